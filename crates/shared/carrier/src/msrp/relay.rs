//! A relay of ours (RFC 4976): the connection to it, and the path that it gives out for us.
//!
//! A relay asks who we are by digest authentication. Its password goes nowhere else: TLS is checked by the relay's name before the first
//! request, and a relay without TLS is only used where our own protection is plain as well.

use std::time::Duration;

use rcseal_rcs::msrp::{Frame, FrameHeader, Method, Path, Start, Uri};

use super::RelayAccess;
use super::error::OpenError;
use super::session::seed;
use super::stream::Connection;
use crate::auth::{Challenge, Session as DigestSession};

/// AUTH requests for one session: the one that fetches the challenge, its answer, and one more for a nonce that became too old.
const ATTEMPTS_MAX: u32 = 3;

/// Connects to our relay and has it give out a path that leads to `own`.
pub(super) async fn authenticate(
    relay: &RelayAccess,
    own: &Uri,
    limit: Duration,
) -> Result<(Connection, Path), OpenError> {
    let tls = relay.uri.is_secure().then(|| relay.trust.client_config());
    let port = relay.uri.port().unwrap_or(Uri::PORT_DEFAULT);
    let mut connection = Connection::open(relay.uri.host(), port, tls, limit, None).await?;
    let mut session: Option<DigestSession> = None;
    for _ in 0..ATTEMPTS_MAX {
        let mut headers = Vec::new();
        if let Some(session) = &session {
            let value = session.authorization("AUTH", relay.uri.as_str(), &[]);
            headers.push(FrameHeader::new("Authorization", &value).map_err(|_| OpenError::Protocol)?);
        }
        let (to, from) = (Path::of(relay.uri.clone()), Path::of(own.clone()));
        let request = Frame::request(seed(), Method::Auth, to, from, headers);
        connection.write(&request, limit).await?;
        let response = connection.read(limit).await?;
        if response.transaction() != request.transaction() {
            return Err(OpenError::Protocol);
        }
        match response.start() {
            Start::Response(200) => {
                let path = response.use_path().ok_or(OpenError::Protocol)?;
                return Ok((connection, path));
            }
            Start::Response(401) => {
                let value = response.header("WWW-Authenticate").ok_or(OpenError::Protocol)?;
                let challenge = Challenge::strongest([value], &relay.credentials)
                    .map_err(|_| OpenError::Refused { status: 401 })?;
                // A second challenge that does not call our nonce old says that the password is wrong.
                if session.is_some() && !challenge.is_stale() {
                    return Err(OpenError::Refused { status: 401 });
                }
                let opened = DigestSession::open(challenge, &relay.credentials);
                session = Some(opened.map_err(|_| OpenError::Refused { status: 401 })?);
            }
            Start::Response(status) => return Err(OpenError::Refused { status: *status }),
            Start::Request(_) => return Err(OpenError::Protocol),
        }
    }
    Err(OpenError::Refused { status: 401 })
}
