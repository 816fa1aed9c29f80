//! Digest authentication with a content server: a request, a challenge, the request again.

use http::header;
use rcseal_rcs::ft::ContentUrl;
use tokio::time::Instant;

use super::FtClient;
use super::error::FtError;
use super::http::{Answer, Call};
use crate::auth::{Challenge, Session};

/// Challenges that one request answers: the first, and one more for a nonce that has become too old.
const CHALLENGES_MAX: u32 = 2;

/// Who we are to a content server, as far as it has asked.
#[derive(Default)]
pub(super) struct Login {
    session: Option<Session>,
}

impl FtClient {
    /// Makes a request, with an answer to the challenge if there is one.
    pub(super) async fn call_logged_in(
        &self,
        login: &mut Login,
        url: &ContentUrl,
        call: &Call,
        deadline: Instant,
    ) -> Result<Answer, FtError> {
        let mut challenges = 0;
        loop {
            let answer = match (&login.session, self.config.credentials_for(url)) {
                (Some(session), Some(_)) => {
                    let value = session.authorization(call.method().as_str(), url.target(), call.body_bytes());
                    let call = call.clone().header(header::AUTHORIZATION, &value)?;
                    self.call(url, &call, deadline).await?
                }
                _ => self.call(url, call, deadline).await?,
            };
            if answer.status.as_u16() != 401 {
                return Ok(answer);
            }
            let credentials = self.config.credentials_for(url).ok_or(FtError::Unauthorized)?;
            let values =
                answer.headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
            let challenge = Challenge::strongest(values, credentials).map_err(|_| FtError::Unauthorized)?;
            // Whoever challenges an answer without calling its nonce old says that the password is wrong.
            if challenges >= CHALLENGES_MAX || (login.session.is_some() && !challenge.is_stale()) {
                return Err(FtError::Unauthorized);
            }
            challenges += 1;
            login.session = Some(Session::open(challenge, credentials).map_err(|_| FtError::Unauthorized)?);
        }
    }
}
