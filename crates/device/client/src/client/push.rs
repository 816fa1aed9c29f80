//! Being woken: registering at the relay for wake-ups, and taking in what waits when one comes.
//!
//! A wake-up says only that something may wait. [`Client::process_push`] fetches it from the relay with this device's own login, as
//! [`Client::sync_once`] does, in small batches, and returns before its deadline whatever happens. Before it begins it leaves a mark in the
//! store that work is left, and takes the mark away only when nothing is: a process that is killed at any point leaves the mark, and the
//! next wake-up, or the app, goes on. An envelope is acknowledged only after the transaction that took it in.
//!
//! It may run in a process of its own beside the app's ([`Client::open_push`]). It uses requests and no WebSocket, so that it does not take
//! the mailbox's connection from an app that is running; an envelope that both fetch is taken in once. What it answers has no words of
//! messages, no names and no ids of people: kinds, counts, and keys of the catalogue of words. Spec: `docs/protocol/push.md`.

use std::time::Duration;

use rcseal_engine::Engine;
use rcseal_engine::account::AccountState;
use rcseal_engine::event::Event;
use rcseal_engine::store::{StoreError, StoreErrorKind, Table, Tx};
use rcseal_wire::api::Base64;
use rcseal_wire::api::push::{PushHandle, PushRegister, PushRegisterError, WakeUp, WakeUpError};
use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::core::{Core, blocking, now};
use super::submit::is_outage;
use super::telemetry::Counted;
use super::{Client, ClientError};
use crate::net::NetError;

pub use rcseal_wire::api::push::PushProvider;

/// Envelopes taken in by one transaction: the longest step that cannot be broken off takes some milliseconds.
const BATCH_LEN: usize = 8;
/// The part of the time that is kept for ending: the last step, and noting how far it came.
const RESERVE_PART: u32 = 8;
/// No more than this of it.
const RESERVE_MAX: Duration = Duration::from_secs(2);
/// The longest time that a wake-up is worked for: no system gives more.
const DEADLINE_MAX: Duration = Duration::from_secs(120);
/// Events that are looked at for one outcome, in pages. An app that has not read more than this for long will look for itself.
const EVENTS_MAX: usize = 4096;
/// Events read at once.
const EVENTS_PAGE: usize = 64;
/// Conversations in one outcome: more than fit on any screen.
const NOTIFICATIONS_MAX: usize = 64;
/// Where the state is.
const ROW: &[u8] = b"rcseal/push";

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PushKind {
    /// Somebody's keys changed, or should be compared.
    Security,
    /// The account or this device needs a look.
    Account,
    /// Messages with a picture or another file.
    Media,
    /// Messages.
    Message,
}

impl PushKind {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Account => "account",
            Self::Media => "media",
            Self::Message => "message",
        }
    }
}

/// Something to notify the user of. Says neither who nor what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushNotification {
    /// Where, so that notifications of one conversation replace each other and open it; `None` where it is none's.
    pub conversation: Option<ConversationId>,
    /// What about.
    pub kind: PushKind,
    /// How many.
    pub count: u32,
    /// The words for it: a key of the catalogue.
    pub words: &'static str,
}

/// What became of a wake-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOutcome {
    /// What to show: everything that came in and was not told by an earlier outcome, and that the app has not forgotten.
    pub notifications: Vec<PushNotification>,
    /// What to say when there is nothing in `notifications` and work is left: that there may be something.
    pub pending_words: Option<&'static str>,
    /// Envelopes taken in.
    pub received: usize,
    /// Whether nothing is left to do. Otherwise a mark is in the store, and the app's next run goes on.
    pub is_complete: bool,
}

impl PushOutcome {
    fn new(notifications: Vec<PushNotification>, received: usize, is_complete: bool) -> Self {
        let is_quiet = notifications.is_empty() && !is_complete;
        Self { notifications, pending_words: is_quiet.then_some("notification.pending"), received, is_complete }
    }
}

/// How the device stands with its push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushState {
    /// Where it is registered.
    pub provider: Option<PushProvider>,
    /// Whether a registration was begun and its answer never came: to be repeated.
    pub is_pending: bool,
    /// Whether a wake-up left work.
    pub is_work_left: bool,
    /// The number of the last wake-up of this registration; 0 before the first. What is missing between two was lost on the way.
    pub last_wake_up: u64,
}

/// Something about push was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The payload is no wake-up.
    #[error(transparent)]
    WakeUp(#[from] WakeUpError),
    /// This device is not registered for wake-ups.
    #[error("this device is not registered for wake-ups")]
    NotRegistered,
    /// The wake-up was for an earlier registration of this device.
    #[error("the wake-up was for an earlier registration")]
    OldHandle,
    /// The wake-up is not for this device.
    #[error("the wake-up is not for this device")]
    ForeignHandle,
    /// The token is empty or too long.
    #[error("the push token is empty or too long")]
    Token,
    /// The app's name at the push service is not one.
    #[error("the app's name at the push service is not one")]
    App,
}

impl PushError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::WakeUp(error) => error.code(),
            Self::NotRegistered => "push_not_registered",
            Self::OldHandle => "push_handle_old",
            Self::ForeignHandle => "push_handle_foreign",
            Self::Token => "push_token",
            Self::App => "push_app",
        }
    }
}

impl From<PushRegisterError> for PushError {
    fn from(error: PushRegisterError) -> Self {
        match error {
            PushRegisterError::Token => Self::Token,
            PushRegisterError::App => Self::App,
        }
    }
}

/// What is kept, in the store and nowhere else. The token is not: the system hands it out again.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Row {
    provider: Option<PushProvider>,
    handle: Option<PushHandle>,
    /// Of the registration before.
    earlier: Option<PushHandle>,
    /// A registration is on its way: wake-ups may have a handle that is not known here.
    pending: bool,
    work_left: bool,
    /// The number of the last wake-up.
    last: u64,
    /// The last event that an outcome told.
    told: u64,
}

fn read(tx: &dyn Tx) -> Result<Row, StoreError> {
    let Some(bytes) = tx.get(Table::Shell, ROW)? else { return Ok(Row::default()) };
    serde_json::from_slice(&bytes).map_err(|error| StoreError::new(StoreErrorKind::Corrupt, error))
}

fn write(tx: &mut dyn Tx, row: &Row) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(row).map_err(|error| StoreError::new(StoreErrorKind::Corrupt, error))?;
    tx.put(Table::Shell, ROW, &bytes)
}

impl Client {
    /// Registers this device's token at its relay, so that it is woken. To be called whenever the app starts and whenever the system hands out
    /// a token: each call gives the device another handle, and takes the token from whatever device had it.
    ///
    /// `app` is what the push service calls the app: a topic, a project.
    ///
    /// # Errors
    /// [`ClientError::Push`] for a token or a name that cannot be one, [`ClientError::Net`]. After an error it is to be repeated.
    pub async fn register_push_token(
        &self,
        provider: PushProvider,
        token: Vec<u8>,
        app: String,
    ) -> Result<(), ClientError> {
        let registration = PushRegister { provider, token: Base64(token), app };
        registration.check().map_err(PushError::from)?;
        let server = self.core.authenticated().await?;
        // Known before the relay knows: a wake-up that comes before the answer is not taken for a stranger's.
        self.core.push_row(|row| row.pending = true).await?;
        let handle = server.register_push(&registration).await?;
        self.core
            .push_row(move |row| {
                row.earlier = row.handle.replace(handle);
                row.provider = Some(provider);
                row.pending = false;
                row.last = 0;
            })
            .await
    }

    /// Ends that. Wake-ups that are on their way are refused from now on.
    ///
    /// # Errors
    /// [`ClientError::Net`]; the relay may still wake the device then.
    pub async fn unregister_push_token(&self) -> Result<(), ClientError> {
        self.core.authenticated().await?.remove_push().await?;
        self.core
            .push_row(|row| {
                row.earlier = row.handle.take();
                row.provider = None;
                row.pending = false;
            })
            .await
    }

    /// How the device stands with its push service.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn push_state(&self) -> Result<PushState, ClientError> {
        let store = std::sync::Arc::clone(&self.core.store);
        let row = blocking(move || store.run(|tx| read(tx).map_err(ClientError::from))).await??;
        Ok(PushState {
            provider: row.provider,
            is_pending: row.pending,
            is_work_left: row.work_left,
            last_wake_up: row.last,
        })
    }

    /// Takes in what a wake-up is about. Returns before `deadline` is over, with what has come in by then; the rest is marked as left. A relay
    /// that is away is no error: the work is left.
    ///
    /// # Errors
    /// [`ClientError::Push`] for what is not a wake-up of this device; nothing was fetched then. [`ClientError::Net`] where the relay does not
    /// know this device any more. Those of the store.
    pub async fn process_push(&self, payload: &[u8], deadline: Duration) -> Result<PushOutcome, ClientError> {
        let deadline = deadline.min(DEADLINE_MAX);
        let last_at = Instant::now() + deadline;
        let ends_at = last_at - (deadline / RESERVE_PART).min(RESERVE_MAX);
        let wake_up = WakeUp::parse(payload).map_err(PushError::from)?;
        let mut received = 0;
        // Another process may be in the store for longer than there is time.
        let Ok(begun) = timeout_at(ends_at, self.core.begin_push(wake_up)).await else {
            return Ok(PushOutcome::new(Vec::new(), 0, false));
        };
        begun?;
        // Dropped at the deadline: an operation of the engine that has begun runs to its end in its own transaction.
        let is_complete = match timeout_at(ends_at, self.core.fetch_pushed(ends_at, &mut received)).await {
            Ok(Ok(is_complete)) => is_complete,
            Ok(Err(ClientError::Net(error))) if is_passing(&error) => {
                tracing::info!(event = "push_left", code = error.code());
                false
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => false,
        };
        self.core.telemetry.count(Counted::WakeUp, 1);
        self.core.telemetry.count(Counted::WakeUpLeft, usize::from(!is_complete));
        let ended = timeout_at(last_at, self.core.end_push(last_at, received, is_complete)).await;
        ended.unwrap_or_else(|_| Ok(PushOutcome::new(Vec::new(), received, false)))
    }
}

/// Whether the work can be done another time.
fn is_passing(error: &NetError) -> bool {
    !matches!(error, NetError::Login(_)) && (error.is_retryable() || is_outage(error)) && !ends_device(error)
}

fn ends_device(error: &NetError) -> bool {
    use rcseal_wire::problem::ProblemCode;
    matches!(error.problem(), Some(ProblemCode::LoginRefused | ProblemCode::DeviceUnknown))
}

impl Core {
    async fn push_row(&self, change: impl FnOnce(&mut Row) + Send + 'static) -> Result<(), ClientError> {
        let store = std::sync::Arc::clone(&self.store);
        blocking(move || {
            store.run(|tx| {
                let mut row = read(tx)?;
                change(&mut row);
                write(tx, &row).map_err(ClientError::from)
            })
        })
        .await?
    }

    /// Checks whom a wake-up is for, and marks that work is left.
    async fn begin_push(&self, wake_up: WakeUp) -> Result<(), ClientError> {
        let store = std::sync::Arc::clone(&self.store);
        blocking(move || {
            store.run(|tx| {
                let mut row = read(tx)?;
                let is_current = row.handle == Some(wake_up.handle);
                if !is_current && row.earlier == Some(wake_up.handle) {
                    return Err(PushError::OldHandle.into());
                }
                if !is_current && !row.pending {
                    let is_registered = row.handle.is_some();
                    return Err(if is_registered { PushError::ForeignHandle } else { PushError::NotRegistered }.into());
                }
                if is_current {
                    row.last = row.last.max(wake_up.counter);
                }
                row.work_left = true;
                write(tx, &row).map_err(ClientError::from)
            })
        })
        .await?
    }

    /// Empties the mailbox, answers what has to be answered; whether nothing is left.
    async fn fetch_pushed(&self, ends_at: Instant, received: &mut usize) -> Result<bool, ClientError> {
        // What else has to be done first is the app's.
        if self.account().await?.state != AccountState::Active {
            return Ok(false);
        }
        let server = self.authenticated().await?;
        loop {
            let (waiting, more) = server.fetch().await?;
            let mut acknowledged = 0;
            for batch in waiting.chunks(BATCH_LEN) {
                if Instant::now() >= ends_at {
                    return Ok(false);
                }
                let (acks, _) = self.take_in(batch.to_vec()).await?;
                let taken = acks.consumed.len() + acks.undecryptable.len();
                *received += taken;
                acknowledged += taken;
                if taken > 0 {
                    server.acknowledge(&acks).await?;
                }
            }
            match (more, acknowledged) {
                (false, taken) if taken == waiting.len() => break,
                // What cannot be taken in stays, and would come again without end.
                (_, 0) | (false, _) => return Ok(false),
                (true, _) => {}
            }
        }
        // Receipts, and keys that messages wait for. Not the carrier's part, which takes its time.
        loop {
            self.change(|engine| engine.flush_receipts()).await?;
            if self.work().await?.is_none() {
                break;
            }
        }
        Ok(!self.is_anything_left().await?)
    }

    /// Says what came in, and takes the mark away if nothing is left. Once nobody waits for the answer nothing counts as told: the next outcome has it.
    async fn end_push(&self, last_at: Instant, received: usize, is_complete: bool) -> Result<PushOutcome, ClientError> {
        let store = std::sync::Arc::clone(&self.store);
        let ended = blocking(move || {
            store.run(|tx| {
                let mut row = read(tx)?;
                let notifications = if Instant::now() >= last_at {
                    Vec::new()
                } else {
                    let mut rng = rand::rng();
                    let mut engine = Engine::new(tx, now(), &mut rng);
                    let own = engine.account_view()?.map(|account| account.address.account);
                    untold(&engine, own, &mut row.told)?
                };
                row.work_left = !is_complete;
                write(tx, &row)?;
                Ok::<_, ClientError>(notifications)
            })
        });
        Ok(PushOutcome::new(ended.await??, received, is_complete))
    }

    /// A run of the app has taken in everything that waited.
    pub(super) async fn clear_push_work(&self) -> Result<(), ClientError> {
        let store = std::sync::Arc::clone(&self.store);
        blocking(move || {
            store.run(|tx| {
                let mut row = read(tx)?;
                if !row.work_left {
                    return Ok(());
                }
                row.work_left = false;
                write(tx, &row).map_err(ClientError::from)
            })
        })
        .await?
    }
}

/// What events that no outcome has told are worth a notification, the most important first.
fn untold(engine: &Engine<'_>, own: Option<AccountId>, told: &mut u64) -> Result<Vec<PushNotification>, ClientError> {
    let mut counts: Vec<(PushKind, Option<ConversationId>, u32)> = Vec::new();
    let mut looked = 0;
    while looked < EVENTS_MAX {
        let page = engine.events(*told, EVENTS_PAGE)?;
        let Some(last) = page.last() else { break };
        *told = last.number;
        looked += page.len();
        for numbered in page {
            let Some((kind, conversation)) = worth(engine, own, numbered.event)? else { continue };
            let has_room = counts.len() < NOTIFICATIONS_MAX;
            match counts.iter_mut().find(|(known, at, _)| (*known, *at) == (kind, conversation)) {
                Some((_, _, count)) => *count = count.saturating_add(1),
                None if has_room => counts.push((kind, conversation, 1)),
                // The user has enough to look at.
                None => {}
            }
        }
    }
    counts.sort_by_key(|(kind, _, _)| *kind);
    let words = |kind, count| match kind {
        PushKind::Security => "notification.safety",
        PushKind::Account => "notification.account",
        PushKind::Media | PushKind::Message if count == 1 => "notification.message",
        PushKind::Media | PushKind::Message => "notification.messages",
    };
    Ok(counts
        .into_iter()
        .map(|(kind, conversation, count)| PushNotification { conversation, kind, count, words: words(kind, count) })
        .collect())
}

fn worth(
    engine: &Engine<'_>,
    own: Option<AccountId>,
    event: Event,
) -> Result<Option<(PushKind, Option<ConversationId>)>, ClientError> {
    Ok(match event {
        Event::MessageReceived { sender, .. } if Some(sender) == own => None,
        Event::MessageReceived { conversation, sender, message } => {
            let content = engine.message_view(conversation, sender, message)?.and_then(|message| message.content);
            // Taken back since: nothing to show.
            content.map(|content| {
                let is_media = matches!(content.body(), Body::Media(_));
                (if is_media { PushKind::Media } else { PushKind::Message }, Some(conversation))
            })
        }
        Event::AccountKeyChanged { .. } | Event::KeySetRefused { .. } | Event::VerificationSuggested { .. } => {
            Some((PushKind::Security, None))
        }
        Event::ResetPending { .. } | Event::DeviceRemoved | Event::ChangeRefused | Event::NumberContested { .. } => {
            Some((PushKind::Account, None))
        }
        // What changes on a screen, and nobody is called to it for.
        _ => None,
    })
}
