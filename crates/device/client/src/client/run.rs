//! Serving the mailbox: connect, take in, acknowledge after the commit, and try again.
//!
//! Six loops run side by side for as long as [`Client::run`] does: *deliver* holds the mailbox's WebSocket, *submit*
//! ([`super::submit`]) carries out what the engine wants fetched, published and sent, *carry* ([`super::carrier`]) does the same at a
//! carrier, *text* ([`super::sms`]) with short messages, *upkeep* does what is due by the clock, *heed* wakes the others when a push client has
//! written into the store. They share nothing but the store, and each may be dropped at any point.
//!
//! An envelope is acknowledged only after the transaction that took it in. One that the store cannot take is left at the relay; when it is
//! this one envelope's fault, the others go on.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rcseal_engine::account::AccountState;
use rcseal_engine::store::StoreErrorKind;
use rcseal_engine::{Disposition, UnixMillis};
use rcseal_wire::frame::Acks;
use rcseal_wire::origin::Origin;
use rcseal_wire::problem::ProblemCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::core::{Core, blocking};
use super::telemetry::Counted;
use super::{Client, ClientError};
use crate::backoff::Backoff;
use crate::net::{Authenticated, Delivered, MailboxNotice, NetError};

/// Envelopes taken in by one transaction: enough to spread the cost of a commit, few enough that the store is free again soon.
const BATCH_LEN: usize = 32;
/// How often store and vault move to a new generation: what is restored from within one such span is not noticed.
const GENERATION_AGE: Duration = Duration::from_secs(10 * 60);
/// How often prekeys are looked after without being asked.
const PREKEYS_AGE: Duration = Duration::from_secs(6 * 3600);

/// Between two uploads that the relay asked for: it may ask as often as it likes, and each one draws a hundred keys.
const PREKEYS_PAUSE: Duration = Duration::from_secs(60);

/// How a client stands with its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nobody runs it.
    Stopped,
    /// Trying to connect.
    Connecting,
    /// Connected; what waited is being delivered.
    Delivering,
    /// Connected, and everything that waited is here.
    Online,
    /// Waiting for the next attempt.
    Offline {
        /// Why: the stable code of the error.
        code: &'static str,
    },
}

/// What one [`Client::sync_once`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncReport {
    /// Envelopes taken in.
    pub received: usize,
    /// Of these, envelopes that could not be decrypted.
    pub undecryptable: usize,
    /// Of these, envelopes that had been decrypted before: delivered twice, or replayed. They changed nothing.
    pub duplicates: usize,
    /// Envelopes that a relay now has.
    pub submitted: usize,
    /// Envelopes that a carrier was handed, and that no device has confirmed. They go by the relay when their patience ends, if this device
    /// runs then; until then they count as left over.
    pub with_carrier: usize,
    /// Whether nothing is left that could not be done. What is planned for later is not left over.
    pub is_complete: bool,
    /// Whether a relay has every envelope. Keys may still have to be fetched for others, as those of a device that was just linked.
    pub is_outbox_empty: bool,
}

/// Servers that are to be left alone for a while.
#[derive(Default)]
pub(super) struct Gates(HashMap<Origin, Gate>);

struct Gate {
    backoff: Backoff,
    until: Instant,
}

impl Client {
    /// Serves this device until `shutdown`: delivers, acknowledges, submits, fetches, publishes, reconnects.
    ///
    /// Only one of [`Client::run`] and [`Client::sync_once`] works at a time; the second waits for the first.
    ///
    /// # Errors
    /// What trying again cannot help: no account, a login that the server refuses for good, a damaged store.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<(), ClientError> {
        let core = Arc::clone(&self.core);
        let mut shutdown = std::pin::pin!(shutdown);
        let _serving = tokio::select! {
            () = &mut shutdown => return Ok(()),
            serving = core.serving.lock() => serving,
        };
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            stopped = core.serve() => stopped.map(|never| match never {}),
        };
        core.status.send_replace(Status::Stopped);
        outcome
    }

    /// Connects once, takes in all that waits, sends all that can be sent, and disconnects.
    ///
    /// # Errors
    /// [`ClientError::Net`] when the mailbox could not be emptied.
    pub async fn sync_once(&self) -> Result<SyncReport, ClientError> {
        let core = Arc::clone(&self.core);
        let _serving = core.serving.lock().await;
        core.open_gates();
        core.carrier.clear();
        core.sms.clear();
        let outcome = core.sync().await;
        if outcome.is_err() && (core.has_carrier() || core.has_sms()) {
            // The carrier has nothing to do with what is wrong with the relay.
            while core.work().await?.is_some() || core.carry_once().await? + core.text_once().await? > 0 {}
        }
        outcome
    }

    /// The app has learnt that the network is another, or back: whatever waits for its next attempt makes it now.
    pub fn network_changed(&self) {
        self.core.open_gates();
        self.core.retry.notify_waiters();
        self.core.poke();
    }

    /// Follows how the client stands with its server.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.core.status.subscribe()
    }
}

impl Core {
    async fn serve(&self) -> Result<Infallible, ClientError> {
        self.account().await?;
        self.carrier.clear();
        self.sms.clear();
        let others = async { Ok::<_, ClientError>(self.heed_others().await) };
        let (never, _, _, _, _, _) =
            tokio::try_join!(self.deliver(), self.submit(), self.carry(), self.text(), self.look_after(), others)?;
        Ok(never)
    }

    /// Holds the mailbox open, for ever.
    async fn deliver(&self) -> Result<Infallible, ClientError> {
        let mut backoff = Backoff::RECONNECT;
        loop {
            self.status.send_replace(Status::Connecting);
            let (code, retry_after) = match self.deliver_until_lost(&mut backoff).await {
                Ok(()) => ("net.closed", None),
                Err(error) if ends_run(&error) => return Err(error),
                Err(ClientError::Net(error)) => (error.code(), error.retry_after()),
                Err(error) => (error.code(), None),
            };
            self.telemetry.count(Counted::ConnectionLost, 1);
            tracing::info!(event = "mailbox_lost", code, attempts = backoff.attempts());
            self.status.send_replace(Status::Offline { code });
            let wait = backoff.next(retry_after, &mut rand::rng());
            tokio::select! {
                () = sleep(wait) => {}
                // Another part of the client has heard from the server, or the app knows of a new network.
                () = self.retry.notified() => {}
            }
        }
    }

    async fn deliver_until_lost(&self, backoff: &mut Backoff) -> Result<(), ClientError> {
        let server = self.authenticated().await?;
        self.settle(&server).await?;
        let mut mailbox = server.mailbox().await?;
        // What was called off while this device was away, nobody says any more.
        self.note_reset(server.announced_reset()).await?;
        self.status.send_replace(Status::Delivering);
        // The server can be reached, so nothing has to wait for its gate.
        self.open_gates();
        self.poke();
        let mut requests = 0;
        let (mut is_live, mut retained) = (false, 0);
        let mut low_at: Option<Instant> = None;
        while let Some(notice) = mailbox.next().await? {
            match notice {
                MailboxNotice::Delivered(delivered) => {
                    for batch in delivered.chunks(BATCH_LEN) {
                        let (mut acks, _) = self.take_in(batch.to_vec()).await?;
                        requests += 1;
                        acks.request = requests;
                        mailbox.acknowledge(&acks).await?;
                    }
                    if is_live {
                        self.change(|engine| engine.flush_receipts()).await?;
                    }
                }
                MailboxNotice::QueueEmpty => {
                    backoff.reset();
                    is_live = true;
                    self.change(|engine| engine.flush_receipts()).await?;
                    self.clear_push_work().await?;
                    self.status.send_replace(Status::Online);
                    self.note_retained(retained).await?;
                }
                MailboxNotice::PrekeysLow { .. } if low_at.is_none_or(|at| at.elapsed() >= PREKEYS_PAUSE) => {
                    low_at = Some(Instant::now());
                    self.try_upload_prekeys(&server).await?;
                }
                MailboxNotice::Reset { effective_at_ms } => self.note_reset(effective_at_ms).await?,
                MailboxNotice::RetainedWaiting { newest } if is_live => self.note_retained(newest).await?,
                // Whether a message belongs into its conversation may stand in an envelope that is still to come.
                MailboxNotice::RetainedWaiting { newest } => retained = newest,
                MailboxNotice::PrekeysLow { .. } | MailboxNotice::Acknowledged { .. } => {}
            }
        }
        Ok(())
    }

    async fn sync(&self) -> Result<SyncReport, ClientError> {
        let server = self.authenticated().await?;
        self.settle(&server).await?;
        let mut report = SyncReport::default();
        let mut mailbox = server.mailbox().await?;
        // What was called off while this device was away, nobody says any more.
        self.note_reset(server.announced_reset()).await?;
        let (mut requests, mut answered, mut is_empty, mut was_low, mut retained) = (0, 0, false, false, 0);
        // Until nothing waits and every acknowledgement has been carried out; otherwise the next connection would deliver again.
        while !is_empty || answered < requests {
            match mailbox.next().await?.ok_or(NetError::Closed(None))? {
                MailboxNotice::Delivered(delivered) => {
                    for batch in delivered.chunks(BATCH_LEN) {
                        let (mut acks, duplicates) = self.take_in(batch.to_vec()).await?;
                        report.duplicates += duplicates;
                        report.received += acks.consumed.len() + acks.undecryptable.len();
                        report.undecryptable += acks.undecryptable.len();
                        requests += 1;
                        acks.request = requests;
                        mailbox.acknowledge(&acks).await?;
                    }
                }
                MailboxNotice::QueueEmpty => is_empty = true,
                MailboxNotice::Acknowledged { .. } => answered += 1,
                MailboxNotice::PrekeysLow { .. } if !was_low => {
                    was_low = true;
                    self.try_upload_prekeys(&server).await?;
                }
                MailboxNotice::Reset { effective_at_ms } => self.note_reset(effective_at_ms).await?,
                MailboxNotice::RetainedWaiting { newest } => retained = newest,
                MailboxNotice::PrekeysLow { .. } => {}
            }
        }
        mailbox.close().await;
        self.note_retained(retained).await?;
        // What was fetched may have let a message in, and that message may be due a receipt.
        loop {
            self.change(|engine| engine.flush_receipts()).await?;
            let mut worked = false;
            while let Some(round) = self.work().await? {
                worked = true;
                report.submitted += round.submitted;
            }
            worked |= self.carry_once().await? + self.text_once().await? > 0;
            if !worked {
                break;
            }
        }
        self.clear_push_work().await?;
        report.is_complete = !self.is_anything_left().await?;
        report.with_carrier = self.engine(|engine| engine.carrier_view()).await?.handed_over;
        report.is_outbox_empty = self.engine(|engine| engine.poll_outbox_timeout()).await?.is_none();
        Ok(report)
    }

    /// Takes envelopes in and says how to acknowledge them, and how many had been decrypted before. Those that are in neither list stay
    /// at the relay.
    pub(super) async fn take_in(&self, batch: Vec<Delivered>) -> Result<(Acks, usize), ClientError> {
        let together = batch.clone();
        let handled = self
            .change(move |engine| {
                let handle = |envelope: &Delivered| engine.handle_envelope(envelope.id, &envelope.envelope);
                together.iter().map(handle).collect::<Result<Vec<_>, _>>()
            })
            .await;
        let mut acks = Acks { request: 0, consumed: Vec::new(), undecryptable: Vec::new() };
        let mut duplicates = 0;
        let mut note = |envelope: &Delivered, disposition| match disposition {
            Disposition::Consumed | Disposition::Parked => acks.consumed.push(envelope.id),
            Disposition::Duplicate => {
                duplicates += 1;
                acks.consumed.push(envelope.id);
            }
            Disposition::Undecryptable(reason) => acks.undecryptable.push((envelope.id, reason.number())),
        };
        match handled {
            Ok(dispositions) => {
                for (envelope, disposition) in batch.iter().zip(dispositions) {
                    note(envelope, disposition);
                }
            }
            Err(error) if error.store_kind() == Some(StoreErrorKind::Corrupt) => {
                // One of them meets a damaged row. The others have a right to be taken in.
                for envelope in batch {
                    let alone = envelope.clone();
                    match self.change(move |engine| engine.handle_envelope(alone.id, &alone.envelope)).await {
                        Ok(disposition) => note(&envelope, disposition),
                        Err(error) if error.store_kind() == Some(StoreErrorKind::Corrupt) => {
                            tracing::error!(event = "envelope_not_taken_in", code = error.code());
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        self.telemetry.count(Counted::Received, acks.consumed.len() + acks.undecryptable.len());
        self.telemetry.count(Counted::Undecryptable, acks.undecryptable.len());
        self.telemetry.count(Counted::Duplicate, duplicates);
        Ok((acks, duplicates))
    }

    /// Brings the server up to date with this device before it is used: a registration or a link that was cut short, old prekeys.
    async fn settle(&self, server: &Authenticated) -> Result<(), ClientError> {
        let account = self.account().await?;
        match account.state {
            AccountState::Active => return Ok(()),
            AccountState::Recovering => return self.finish_recovery().await,
            AccountState::Resetting => {
                let accepted = self.finish_reset().await?;
                return if accepted.in_force { Ok(()) } else { Err(ClientError::ResetPending) };
            }
            AccountState::Registering if account.is_primary => {
                let request = self.engine(|engine| engine.registration_request(None)).await?;
                self.anonymous(&account.origin)?.register(&request).await?;
            }
            AccountState::Registering => {
                let upload = self.engine(|engine| engine.own_device_upload()).await?;
                server.upload_device(&upload).await?;
            }
        }
        self.change(|engine| engine.handle_registered()).await
    }

    /// The server says how a reset of the account stands.
    pub(super) async fn note_reset(&self, effective_at_ms: Option<u64>) -> Result<(), ClientError> {
        self.change(move |engine| engine.handle_reset_notice(effective_at_ms.map(UnixMillis))).await
    }

    /// The same in the middle of a delivery, which must not end because prekeys cannot be uploaded: the server hands out the last-resort
    /// one meanwhile, and upkeep tries again.
    async fn try_upload_prekeys(&self, server: &Authenticated) -> Result<(), ClientError> {
        match self.upload_prekeys(server).await {
            Err(ClientError::Net(error)) => {
                tracing::warn!(event = "prekeys_not_uploaded", code = error.code());
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Uploads the prekeys that the server lacks, and renews the old ones.
    async fn upload_prekeys(&self, server: &Authenticated) -> Result<(), ClientError> {
        let counts = server.prekey_counts().await?;
        if let Some(upload) = self.engine(move |engine| engine.prekey_upload(counts)).await? {
            server.upload_device(&upload).await?;
        }
        Ok(())
    }

    /// What is due by the clock, for ever.
    async fn look_after(&self) -> Result<Infallible, ClientError> {
        let mut prekeys_at = Instant::now();
        loop {
            if Instant::now() >= prekeys_at {
                let server = self.authenticated().await?;
                let looked = async {
                    self.upload_prekeys(&server).await?;
                    self.engine(|engine| engine.keep_house()).await
                };
                match looked.await {
                    Ok(()) => prekeys_at = Instant::now() + PREKEYS_AGE,
                    // The other loops say what is wrong with the server; here the next round tries again.
                    Err(error) => tracing::debug!(event = "upkeep_failed", code = error.code()),
                }
            }
            sleep(GENERATION_AGE).await;
            let (store, vault, alias) = (Arc::clone(&self.store), Arc::clone(&self.vault), self.alias.clone());
            if let Err(error) = blocking(move || store.advance_generation(&*vault, &alias)).await? {
                tracing::warn!(event = "generation_not_advanced", code = error.code());
            }
        }
    }

    /// Whether a server may be tried now.
    pub(super) fn is_open(&self, origin: &Origin) -> bool {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.0.get(origin).is_none_or(|gate| gate.until <= Instant::now())
    }

    /// A server did not answer, or asked to be left alone.
    pub(super) fn close_gate(&self, origin: &Origin, error: &NetError) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .0
            .entry(origin.clone())
            .or_insert_with(|| Gate { backoff: Backoff::RECONNECT, until: Instant::now() });
        gate.until = Instant::now() + gate.backoff.next(error.retry_after(), &mut rand::rng());
    }

    /// A server answered. Where it did not before, the mailbox need not wait for its turn either.
    pub(super) fn open_gate(&self, origin: &Origin) {
        let was_closed = self.gates.lock().unwrap_or_else(PoisonError::into_inner).0.remove(origin).is_some();
        if was_closed {
            self.retry.notify_waiters();
        }
    }

    fn open_gates(&self) {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).0.clear();
    }

    /// When the next gate opens; `None` when none is closed.
    pub(super) fn next_gate(&self) -> Option<Duration> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.0.values().map(|gate| gate.until.saturating_duration_since(Instant::now())).min()
    }
}

/// Whether trying again is pointless.
pub(super) fn ends_run(error: &ClientError) -> bool {
    match error {
        ClientError::Net(error) => match error {
            NetError::Problem(refused) => matches!(
                refused.known,
                Some(
                    ProblemCode::LoginRefused
                        | ProblemCode::DeviceUnknown
                        | ProblemCode::AdmissionRefused
                        | ProblemCode::AccountExists
                        | ProblemCode::MailboxTaken
                        | ProblemCode::MailboxFixed
                        | ProblemCode::KeySetInvalid
                )
            ),
            NetError::Login(_) => true,
            // A wrong certificate or key may be a captive portal, a broken frame a bad middlebox: both pass.
            NetError::Connect(_)
            | NetError::Tls(_)
            | NetError::Pin
            | NetError::Proxy(_)
            | NetError::Timeout(_)
            | NetError::Closed(_)
            | NetError::Protocol(_)
            | NetError::TooLarge { .. }
            | NetError::File(_)
            | NetError::DigestMismatch => false,
        },
        other => !other.is_retryable(),
    }
}
