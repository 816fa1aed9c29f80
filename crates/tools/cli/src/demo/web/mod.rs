//! `rcseal demo --web`: a page on this machine with two phones and, between them, what the carrier and the relay see, byte for byte.
//!
//! The phones are clients of the library in this process, on the same scene as `demo --carrier`; the page shows them and types for them.
//! Whoever can read the page can read both phones, so it is served on loopback only, under a path that nobody can guess, to requests that
//! name this very address ([`guard`]). Everything on it that came from a carrier is text to the browser and never markup.
//!
//! | module | what |
//! |---|---|
//! | [`guard`] | who is answered, and with which headers |
//! | [`show`] | the scene as the page sees it, and what can be done to it |
//! | [`wire`] | what passed the carrier and the relay |
//! | `page.html` | the page: one file, no resources from elsewhere |

mod guard;
mod show;
mod wire;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use self::guard::Guard;
use self::show::{Act, Show};
use super::carrier::scene::{LIMIT, Scene, until};
use super::stage::StepError;
use crate::error::CliError;
use crate::output::Output;
use crate::serve::wait_for_stop;

/// The carrier that the page begins with.
const FIRST_CARRIER: &str = "clean";
const PAGE: &str = include_str!("page.html");
/// The place in the page that the nonce of its script and style is written into.
const NONCE_PLACE: &str = "{{nonce}}";
/// The longest request: a text of the longest length, in JSON.
const REQUEST_LEN_MAX: usize = 64 * 1024;

/// How long connections may take to end after the server has, and how often that is looked at: two seconds in all.
const LET_GO_PAUSE: Duration = Duration::from_millis(20);
const LET_GO_TRIES: usize = 100;

#[derive(Clone)]
struct Site {
    show: Arc<Show>,
    guard: Arc<Guard>,
    stopping: watch::Receiver<bool>,
}

/// Serves the page until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`CliError`] when it cannot begin.
pub(crate) async fn run(carrier: Option<&str>, port: u16, seed: u64, output: Output) -> Result<ExitCode, CliError> {
    let name = carrier.unwrap_or(FIRST_CARRIER);
    if name == super::carrier::LIST {
        return super::carrier::run(name, seed, output).await;
    }
    let profile = super::carrier::profile(name)?;
    let begin = async {
        let scene = Scene::new(profile, seed).await?;
        scene.meet("Hello Bob, it is Alice.", "Good to hear from you, Alice.").await?;
        // Where the carrier is no way, the page shows just that.
        until(LIMIT, || scene.is_native()).await?;
        Show::new(scene, seed).await
    };
    let show: Result<Arc<Show>, StepError> = tokio::select! {
        show = begin => show,
        () = wait_for_stop() => return Ok(ExitCode::SUCCESS),
    };
    let show = show.map_err(|error| stopped(super::explain(&error)))?;
    let io = |source: std::io::Error| stopped(format!("the page cannot be served: {source}"));
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(io)?;
    let guard = Arc::new(Guard::new(listener.local_addr().map_err(io)?));
    let url = guard.url();
    output.result(
        || json!({ "event": "web", "url": url, "pid": std::process::id() }),
        || format!("{url}\nThis page is for this machine and whoever has its address. Ctrl-C ends it."),
    );
    let (stop, stopping) = watch::channel(false);
    let site = Site { show: Arc::clone(&show), guard, stopping: stopping.clone() };
    let watching = tokio::spawn(Arc::clone(&show).watch());
    let served = axum::serve(listener, router(site)).with_graceful_shutdown(async move {
        wait_for_stop().await;
        // Streams of events would keep the server open for as long as somebody looks.
        let _ = stop.send(true);
    });
    served.await.map_err(io)?;
    watching.abort();
    let _ = watching.await;
    end(show).await;
    Ok(ExitCode::SUCCESS)
}

/// Ends the show once the last connection has let go of it, so that nothing of it stays on disk.
async fn end(mut show: Arc<Show>) {
    for _ in 0..LET_GO_TRIES {
        match Arc::try_unwrap(show) {
            Ok(show) => return show.end().await,
            Err(shared) => show = shared,
        }
        sleep(LET_GO_PAUSE).await;
    }
}

fn stopped(detail: String) -> CliError {
    CliError::Demo { step: "web".to_owned(), detail }
}

fn router(site: Site) -> Router {
    let guard = Arc::clone(&site.guard);
    Router::new()
        .route("/{token}/", get(page))
        .route("/{token}/events", get(events))
        .route("/{token}/act", post(act))
        .layer(axum::extract::DefaultBodyLimit::max(REQUEST_LEN_MAX))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(site)
}

async fn page(State(_): State<Site>, Path(_): Path<String>) -> Response {
    let nonce = guard::random_word();
    let page = PAGE.replace(NONCE_PLACE, &nonce);
    ([(header::CONTENT_SECURITY_POLICY, guard::policy(&nonce)), (header::CONTENT_TYPE, guard::HTML.to_owned())], page)
        .into_response()
}

async fn act(State(site): State<Site>, Path(_): Path<String>, Json(act): Json<Act>) -> (StatusCode, Json<Value>) {
    match site.show.act(act).await {
        Ok(answer) => (StatusCode::OK, Json(answer)),
        Err(error) => (StatusCode::CONFLICT, Json(json!({ "error": super::explain(&error) }))),
    }
}

/// Where a stream of events stands.
struct Reading {
    site: Site,
    changes: watch::Receiver<u64>,
    told_first: bool,
    wire_from: u64,
}

async fn events(State(site): State<Site>, Path(_): Path<String>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let reading = Reading { changes: site.show.changes(), site, told_first: false, wire_from: 0 };
    let stream = stream::unfold(reading, |mut reading| async move {
        if reading.told_first {
            let Site { stopping, .. } = &mut reading.site;
            tokio::select! {
                changed = reading.changes.changed() => changed.ok()?,
                _ = stopping.wait_for(|stop| *stop) => return None,
            }
        }
        reading.told_first = true;
        reading.changes.mark_unchanged();
        let (state, wire, next) = reading.site.show.read(reading.wire_from);
        reading.wire_from = next;
        let wire: Vec<&Value> = wire.iter().map(AsRef::as_ref).collect();
        let data = json!({ "state": *state, "wire": wire });
        Some((Ok(Event::default().data(data.to_string())), reading))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
