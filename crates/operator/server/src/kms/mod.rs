//! The operator's key, in a hardware security module that speaks PKCS#11: finding it, making it, and the one step of opening a message that
//! needs it.
//!
//! The private key never leaves the module. What the module does is an ECDH agreement between it and a message's encapsulation; the rest of
//! the opening is [`rcseal_crypto::hpke_p256`]'s. Modules block, and their sessions belong to one thread: [`Kms`] is a handle to that thread.
//! It is in one of three states: *open* (logged in to the token), *closed* (never opened, or something failed: the next request opens it anew,
//! after a pause), *refused* (the PIN was wrong: tried again, it would lock the token, so nothing is until the server is started again).
//! Called by [`crate::retained`] only. It knows no message and no account. Spec: `docs/protocol/server-encryption.md`.

mod error;
mod token;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rcseal_crypto::hpke_p256::PublicKey;
use rcseal_crypto::secret::Secret;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub(crate) use error::KmsError;
use token::Token;

/// Requests that may wait for the module: a few seconds' worth of a slow one.
const WAITING_MAX: usize = 256;
/// How long a request waits for its answer. A module in the network answers in milliseconds; one that has not by then has failed.
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// Pause after a failure before the module is opened again, so that a token that is gone is not asked for by every request.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// Where the key is.
#[derive(Clone, Debug)]
pub(crate) struct KmsSettings {
    /// The module: a shared library.
    pub(crate) module: PathBuf,
    /// The token's label.
    pub(crate) token: String,
    /// A file with the PIN.
    pub(crate) pin_file: PathBuf,
    /// The region that keys must belong to.
    pub(crate) region: String,
}

type Work = Box<dyn FnOnce(&mut Worker) + Send>;

/// A handle to the module's thread, which ends with the last handle.
#[derive(Clone)]
pub(crate) struct Kms {
    work: mpsc::Sender<Work>,
}

impl Kms {
    /// Starts the thread. The module is opened by the first request, so that a server starts while its module is away.
    pub(crate) fn start(settings: KmsSettings) -> std::io::Result<Self> {
        let (work, mut waiting) = mpsc::channel::<Work>(WAITING_MAX);
        let mut worker = Worker { settings, token: None, failed_at: None, is_refused: false };
        std::thread::Builder::new().name("kms".to_owned()).spawn(move || {
            while let Some(work) = waiting.blocking_recv() {
                work(&mut worker);
            }
            worker.close();
        })?;
        Ok(Self { work })
    }

    /// The public half of the key with this label, if there is such a key.
    pub(crate) async fn find(&self, label: String) -> Result<Option<PublicKey>, KmsError> {
        let there = move |token: &Token| match token.find(&label)? {
            Some(key) => Ok(key.public),
            None => Err(KmsError::KeyDestroyed { label: label.clone() }),
        };
        match self.call(there).await {
            Ok(public) => Ok(Some(public)),
            Err(KmsError::KeyDestroyed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The public half of the key with this label, which is made if there is none.
    pub(crate) async fn find_or_make(&self, label: String) -> Result<PublicKey, KmsError> {
        match self.find(label.clone()).await? {
            Some(public) => Ok(public),
            None => self.call(move |token| token.make(&label)).await,
        }
    }

    /// What the key with this label agrees on with an encapsulation. `public` is what the key must be.
    pub(crate) async fn agree(
        &self,
        label: String,
        public: PublicKey,
        encapsulation: PublicKey,
    ) -> Result<Secret<32>, KmsError> {
        self.call(move |token| match token.find(&label)? {
            Some(key) if key.public == public => token.agree(&key, &encapsulation),
            // Another key under the same label is as good as none: what was sealed to the old one stays shut.
            Some(_) | None => Err(KmsError::KeyDestroyed { label: label.clone() }),
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        request: impl Fn(&Token) -> Result<T, KmsError> + Send + 'static,
    ) -> Result<T, KmsError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |worker| {
            // Whoever asked has given up: the module has better things to do.
            if !reply.is_closed() {
                let _ = reply.send(worker.attempt(request));
            }
        });
        self.work.try_send(work).map_err(|_| KmsError::Busy)?;
        match timeout(ANSWER_MAX, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(KmsError::Busy),
            Err(_) => Err(KmsError::TimedOut),
        }
    }
}

/// The thread's own.
struct Worker {
    settings: KmsSettings,
    token: Option<Token>,
    failed_at: Option<Instant>,
    is_refused: bool,
}

impl Worker {
    /// Does a request. Where an open session turns out to be dead, a new one is opened and the request done once more. A session may be dead
    /// and not know it: the objects of a token that was pulled out are simply not found. So a key counts as destroyed only when a session that
    /// was opened for the question does not find it either.
    fn attempt<T>(&mut self, request: impl Fn(&Token) -> Result<T, KmsError>) -> Result<T, KmsError> {
        let was_open = self.token.is_some();
        match self.once(&request) {
            Err(error) if was_open && (error.is_unavailable() || matches!(error, KmsError::KeyDestroyed { .. })) => {
                self.close();
                self.once(&request)
            }
            result => result,
        }
    }

    fn once<T>(&mut self, request: impl Fn(&Token) -> Result<T, KmsError>) -> Result<T, KmsError> {
        let result = request(self.open()?);
        if result.as_ref().is_err_and(KmsError::is_unavailable) {
            self.close();
        }
        result
    }

    fn open(&mut self) -> Result<&Token, KmsError> {
        if self.token.is_none() {
            if self.is_refused {
                return Err(KmsError::PinRefused);
            }
            // Counted from the last attempt, and not from the last request that there was none for.
            if self.failed_at.is_some_and(|failed_at| failed_at.elapsed() < REOPEN_PAUSE) {
                return Err(KmsError::Failing);
            }
            match Token::open(&self.settings) {
                Ok(token) => {
                    tracing::info!(event = "kms_open");
                    self.failed_at = None;
                    self.token = Some(token);
                }
                Err(error) => {
                    tracing::warn!(event = "kms_unavailable", reason = %error, cause = error.cause());
                    self.failed_at = Some(Instant::now());
                    self.is_refused = matches!(error, KmsError::PinRefused);
                    return Err(error);
                }
            }
        }
        Ok(self.token.as_ref().expect("it was opened above, if it was not open"))
    }

    fn close(&mut self) {
        if let Some(token) = self.token.take() {
            token.close();
        }
    }
}
