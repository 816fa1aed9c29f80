//! What the OpenAPI documents of our servers have in common.

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use rcseal_wire::problem::PROBLEM_CONTENT_TYPE;
use utoipa::openapi::{Content, OpenApi, Ref, ResponseBuilder};

/// Adds to every operation what it may answer beside its own refusals: a malformed or oversized request, a missing login, a failing store.
/// The document must have the schema `Problem`.
pub fn add_problems(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.head, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), any_problem().into());
        }
    }
}

fn any_problem() -> utoipa::openapi::Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new()
        .description("Refused: a problem document, whose `code` says why.")
        .content(PROBLEM_CONTENT_TYPE, problem)
        .build()
}

/// A document as a server hands it out. It never changes while the server runs, and making it takes a millisecond that anybody could ask
/// for, so a server keeps the answer's [`Bytes`].
#[must_use]
pub fn encode(document: &OpenApi) -> Bytes {
    document.to_json().expect("a document of strings, numbers and lists has a JSON form").into()
}

/// The answer to whoever asks for the document.
#[must_use]
pub fn answer(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
