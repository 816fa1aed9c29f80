//! Where bearer tokens come from.
//!
//! A provider that works with service accounts wants its access tokens asked for with a statement signed by RSA. This project verifies RSA
//! signatures where a protocol needs it and makes none, so the token comes from outside: from a file that some agent of the operator keeps
//! fresh ([`FileToken`]), or from a program that prints one ([`CommandToken`]). Where the token is asked for with a password over TLS
//! ([`ClientCredentials`]), nothing of the kind is needed. A token is never logged and never part of an error.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::http_client::{Call, HttpClient, Patience};
use crate::tls::TrustAnchors;

/// The longest token that is taken. Access tokens are a kilobyte or two.
const TOKEN_LEN_MAX: usize = 8 << 10;

/// How long a token file is not read again.
const FILE_REREAD: Duration = Duration::from_secs(15);

/// How long a program may take to print a token.
const COMMAND_PATIENCE: Duration = Duration::from_secs(20);

/// A token's last seconds are not used: a request that leaves with it may arrive after its end.
const MARGIN: Duration = Duration::from_secs(60);

/// An access token. Erased on drop, never shown.
#[derive(Clone)]
pub struct BearerToken(Zeroizing<String>);

impl BearerToken {
    /// A token out of visible ASCII; white space around it is taken off.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if !(1..=TOKEN_LEN_MAX).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Malformed);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value of an `Authorization` header.
    pub(crate) fn header(&self) -> Result<HeaderValue, TokenError> {
        secret_header(&format!("Bearer {}", self.0.as_str()))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}

fn secret_header(text: &str) -> Result<HeaderValue, TokenError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| TokenError::Malformed)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The value of an `Authorization` header with a name and a password.
pub(crate) fn basic_header(name: &str, password: &str) -> Result<HeaderValue, TokenError> {
    let pair = Zeroizing::new(format!("{name}:{password}"));
    secret_header(&format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// What was found is no token.
    #[error("what was found is no token")]
    Malformed,
    /// The file cannot be read.
    #[error("the token file cannot be read")]
    File(#[source] std::io::Error),
    /// The program cannot be run.
    #[error("the token program cannot be run")]
    Command(#[source] std::io::Error),
    /// The program ended with a failure, or did not end in time.
    #[error("the token program failed")]
    CommandFailed,
    /// Whoever gives out tokens refused, with this status.
    #[error("no token was given: status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// Whoever gives out tokens cannot be reached or did not answer.
    #[error("whoever gives out tokens does not answer")]
    Unreachable,
}

impl TokenError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::File(_) => "token_file",
            Self::Command(_) => "token_command",
            Self::CommandFailed => "token_command_failed",
            Self::Refused { .. } => "token_refused",
            Self::Unreachable => "token_unreachable",
        }
    }
}

/// Where tokens come from.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that should be good now.
    ///
    /// # Errors
    /// [`TokenError`].
    async fn token(&self) -> Result<BearerToken, TokenError>;

    /// The provider did not take the last token: a kept one is to be forgotten.
    async fn refused(&self);
}

/// A token that never changes.
#[derive(Debug)]
pub struct FixedToken(BearerToken);

impl FixedToken {
    /// That token.
    #[must_use]
    pub const fn new(token: BearerToken) -> Self {
        Self(token)
    }
}

#[async_trait]
impl TokenSource for FixedToken {
    async fn token(&self) -> Result<BearerToken, TokenError> {
        Ok(self.0.clone())
    }

    async fn refused(&self) {}
}

/// A token and until when it is used.
type Kept = Mutex<Option<(BearerToken, Instant)>>;

async fn kept(kept: &Kept) -> Option<BearerToken> {
    let kept = kept.lock().await;
    kept.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(token, _)| token.clone())
}

/// A file that holds one token and that somebody else keeps fresh. It is read again every few seconds, and when its token was refused.
pub struct FileToken {
    path: PathBuf,
    kept: Kept,
}

impl FileToken {
    /// The token in that file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), kept: Mutex::new(None) }
    }
}

#[async_trait]
impl TokenSource for FileToken {
    async fn token(&self) -> Result<BearerToken, TokenError> {
        if let Some(token) = kept(&self.kept).await {
            return Ok(token);
        }
        let file = tokio::fs::File::open(&self.path).await.map_err(TokenError::File)?;
        let mut text = Zeroizing::new(String::new());
        let bounded = file.take(TOKEN_LEN_MAX as u64 + 2).read_to_string(&mut text).await;
        bounded.map_err(TokenError::File)?;
        let token = BearerToken::parse(&text)?;
        *self.kept.lock().await = Some((token.clone(), Instant::now() + FILE_REREAD));
        Ok(token)
    }

    async fn refused(&self) {
        *self.kept.lock().await = None;
    }
}

/// A program that prints one token on its standard output. It is run without a shell, and its token is kept for a while.
pub struct CommandToken {
    program: PathBuf,
    arguments: Vec<String>,
    lifetime: Duration,
    kept: Kept,
}

impl CommandToken {
    /// The token that this program prints, good for `lifetime` after it was printed.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, arguments: Vec<String>, lifetime: Duration) -> Self {
        Self { program: program.into(), arguments, lifetime, kept: Mutex::new(None) }
    }

    async fn run(&self) -> Result<BearerToken, TokenError> {
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(TokenError::Command)?;
        let mut text = Zeroizing::new(String::new());
        if let Some(stdout) = child.stdout.take() {
            stdout.take(TOKEN_LEN_MAX as u64 + 2).read_to_string(&mut text).await.map_err(TokenError::Command)?;
        }
        let status = child.wait().await.map_err(TokenError::Command)?;
        if !status.success() {
            return Err(TokenError::CommandFailed);
        }
        BearerToken::parse(&text)
    }
}

#[async_trait]
impl TokenSource for CommandToken {
    async fn token(&self) -> Result<BearerToken, TokenError> {
        if let Some(token) = kept(&self.kept).await {
            return Ok(token);
        }
        let token = timeout(COMMAND_PATIENCE, self.run()).await.map_err(|_| TokenError::CommandFailed)??;
        let until = Instant::now() + self.lifetime.saturating_sub(MARGIN);
        *self.kept.lock().await = Some((token.clone(), until));
        Ok(token)
    }

    async fn refused(&self) {
        *self.kept.lock().await = None;
    }
}

/// Tokens of the OAuth 2.0 client credentials grant (RFC 6749, section 4.4): asked for with a name and a password over TLS.
pub struct ClientCredentials {
    client: HttpClient,
    name: String,
    password: Zeroizing<String>,
    kept: Kept,
}

impl ClientCredentials {
    /// Tokens from that address, which is the whole address of the token endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint, trust: TrustAnchors, name: String, password: String) -> Self {
        let client = HttpClient::new(endpoint, trust, Patience::default());
        Self { client, name, password: Zeroizing::new(password), kept: Mutex::new(None) }
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

#[async_trait]
impl TokenSource for ClientCredentials {
    async fn token(&self) -> Result<BearerToken, TokenError> {
        if let Some(token) = kept(&self.kept).await {
            return Ok(token);
        }
        let mut call = Call::new(Method::POST, String::new()).body(b"grant_type=client_credentials".to_vec());
        call.content_type = "application/x-www-form-urlencoded";
        call.authorization = Some(basic_header(&self.name, &self.password)?);
        let reply = self.client.call(&call).await.map_err(|_| TokenError::Unreachable)?;
        if reply.status != 200 {
            return Err(TokenError::Refused { status: reply.status });
        }
        let granted: Granted = serde_json::from_slice(&reply.body).map_err(|_| TokenError::Malformed)?;
        let token = BearerToken::parse(&Zeroizing::new(granted.access_token))?;
        // A day is longer than any such token lives, and bounds what an answer can claim.
        let lifetime = Duration::from_secs(granted.expires_in.min(24 * 3600)).saturating_sub(MARGIN);
        *self.kept.lock().await = Some((token.clone(), Instant::now() + lifetime));
        Ok(token)
    }

    async fn refused(&self) {
        *self.kept.lock().await = None;
    }
}
