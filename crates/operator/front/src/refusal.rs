//! Turning refusals into RFC 9457 problem documents, and reading paths and queries so that a bad one becomes such a document.
//!
//! Handlers return `Result<_, Refusal>`. Each operation has its own error enum, and that enum says which [`ProblemCode`] it is; a
//! refusal never carries the cause's text to the peer, only the code and, where it helps, a detail written for the purpose.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rcseal_store::StoreError;
use rcseal_wire::problem::{PROBLEM_CONTENT_TYPE, Problem, ProblemCode};
use serde::de::DeserializeOwned;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Box<Problem>);

impl Refusal {
    /// Refuses with a code.
    #[must_use]
    pub fn new(code: ProblemCode) -> Self {
        Self(Box::new(Problem::new(code)))
    }

    /// Refuses with a code and what was wrong with this very request. The text must hold nothing of the peer's.
    #[must_use]
    pub fn with_detail(code: ProblemCode, detail: &'static str) -> Self {
        Self(Box::new(Problem::new(code).with_detail(detail)))
    }

    /// Refuses until `seconds` have passed.
    #[must_use]
    pub fn retry_after(code: ProblemCode, seconds: u64) -> Self {
        Self(Box::new(Problem::new(code).with_retry_after(seconds)))
    }

    /// The document.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<ProblemCode> for Refusal {
    fn from(code: ProblemCode) -> Self {
        Self::new(code)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.0.retry_after_seconds;
        let mut response = (status, Json(*self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_CONTENT_TYPE));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Parts of the path.
pub struct ApiPath<T>(/** What the path says. */ pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match <Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            // A malformed id names nothing, and saying so spares the caller two cases.
            Err(PathRejection::FailedToDeserializePathParams(_)) => Err(ProblemCode::NotFound.into()),
            Err(_) => Err(ProblemCode::Internal.into()),
        }
    }
}

/// Parts of the query.
pub struct ApiQuery<T>(/** What the query says. */ pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Query::<T>::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|_: QueryRejection| Refusal::with_detail(ProblemCode::Malformed, "the query is malformed"))
    }
}

/// The code that answers a store's failure. The engine's own words are for the log.
#[must_use]
pub fn store_problem(error: &StoreError) -> ProblemCode {
    match error {
        // Nobody's quota, but the operator's disk: the client keeps what it has and comes back.
        StoreError::Full
        | StoreError::Unavailable
        | StoreError::InDoubt(_)
        | StoreError::Read(_)
        | StoreError::Closed
        | StoreError::Open(_) => ProblemCode::Unavailable,
        StoreError::Corrupt { .. } => ProblemCode::Internal,
    }
}

/// Seconds after which a client may try a failing store again.
const STORE_RETRY_SECONDS: u64 = 2;

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match store_problem(&error) {
            ProblemCode::Internal => {
                tracing::error!(event = "store_corrupt", code = error.code());
                ProblemCode::Internal.into()
            }
            code => {
                tracing::warn!(event = "store_failed", code = error.code());
                Self::retry_after(code, STORE_RETRY_SECONDS)
            }
        }
    }
}
