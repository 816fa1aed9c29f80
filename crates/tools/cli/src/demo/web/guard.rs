//! Who is answered.
//!
//! The page shows what two phones decrypted, so it answers only who knows its address: a path with a random word, as printed at the start.
//! A name that somebody else's server resolves to this machine does not help either: the host in the request has to be this very address
//! (no DNS rebinding), and what changes something has to come from the page itself.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use rand::Rng as _;

/// The page's media type.
pub(super) const HTML: &str = "text/html; charset=utf-8";
/// Random bytes in a word: too many to guess.
const WORD_LEN: usize = 16;

/// The address under which the page is.
#[derive(Debug)]
pub(super) struct Guard {
    /// What the header `Host` may say.
    hosts: [String; 2],
    path: String,
}

/// A word that nobody can guess.
pub(super) fn random_word() -> String {
    let mut bytes = [0; WORD_LEN];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// What the page may do: nothing but run its own script and style, and speak to where it came from.
pub(super) fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

impl Guard {
    /// For a page at this address.
    pub(super) fn new(address: SocketAddr) -> Self {
        let port = address.port();
        let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        Self { hosts, path: format!("/{}/", random_word()) }
    }

    /// Where the page is.
    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.hosts[0], self.path)
    }

    /// Why a request is not answered.
    fn refuses(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<StatusCode> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.hosts.iter().any(|known| known == host) {
            return Some(StatusCode::MISDIRECTED_REQUEST);
        }
        if !path.starts_with(&self.path) {
            return Some(StatusCode::NOT_FOUND);
        }
        // A browser names the origin of whoever asks; a page of another site cannot leave it out where something is changed.
        let origin = headers.get(header::ORIGIN).map(|origin| origin.as_bytes().to_vec());
        let is_own = |origin: &[u8]| self.hosts.iter().any(|known| origin == format!("http://{known}").as_bytes());
        match origin {
            Some(origin) if !is_own(&origin) => Some(StatusCode::FORBIDDEN),
            None if method != Method::GET => Some(StatusCode::FORBIDDEN),
            _ => None,
        }
    }
}

/// Answers what may be answered, and writes the headers that every answer has.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.refuses(request.method(), request.uri().path(), request.headers()) {
        Some(status) => status.into_response(),
        None => next.run(request).await,
    };
    let always = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address is the key.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in always {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    for name in ["cross-origin-opener-policy", "cross-origin-resource-policy"] {
        response.headers_mut().insert(name, HeaderValue::from_static("same-origin"));
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_the_very_address_is_answered_and_only_the_page_changes_anything() {
        let guard = Guard::new("127.0.0.1:4711".parse().unwrap());
        let path = format!("{}act", guard.path);
        let own = Some("http://127.0.0.1:4711");
        let ask = |method: Method, path: &str, host: &str, origin: Option<&str>| {
            guard.refuses(&method, path, &headers(host, origin))
        };
        assert_eq!(ask(Method::GET, &guard.path, "127.0.0.1:4711", None), None);
        assert_eq!(ask(Method::POST, &path, "localhost:4711", own), None);
        let rebound = ask(Method::GET, &guard.path, "attacker.example:4711", None);
        assert_eq!(rebound, Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(ask(Method::GET, "/", "127.0.0.1:4711", None), Some(StatusCode::NOT_FOUND));
        assert_eq!(ask(Method::GET, "/0123456789abcdef/", "127.0.0.1:4711", None), Some(StatusCode::NOT_FOUND));
        let foreign = Some("http://attacker.example");
        assert_eq!(ask(Method::POST, &path, "127.0.0.1:4711", foreign), Some(StatusCode::FORBIDDEN));
        assert_eq!(ask(Method::GET, &guard.path, "127.0.0.1:4711", foreign), Some(StatusCode::FORBIDDEN));
        assert_eq!(ask(Method::POST, &path, "127.0.0.1:4711", None), Some(StatusCode::FORBIDDEN));
    }
}
