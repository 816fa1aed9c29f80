//! Carrying out what the engine wants: key sets and bundles fetched, our key set published, envelopes submitted.
//!
//! Servers are worked with side by side, and each in order. A server that does not answer gets a gate ([`Core::close_gate`]): its
//! envelopes stay due, and are tried when the gate opens or when the mailbox connects again, whichever is first. What a server refuses by
//! itself goes back to the engine, which waits or gives up by its own rules.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use rcseal_engine::Engine;
use rcseal_engine::account::AccountView;
use rcseal_engine::carrier::{Deposit, Fetch, FetchFailure};
use rcseal_engine::need::{Need, NeedKind};
use rcseal_engine::outbox::Via;
use rcseal_engine::retained::RetainedOutgoing;
use rcseal_wire::api::{BundlesResponse, DELIVERY_TOKENS_MAX};
use rcseal_wire::frame::{BATCH_LEN_MAX, FRAME_LEN_MAX, Submit, SubmitStatus};
use rcseal_wire::id::{AccountId, DeliveryTokenHash};
use rcseal_wire::origin::Origin;
use rcseal_wire::problem::ProblemCode;
use tokio::time::sleep;

use super::ClientError;
use super::core::{Core, now};
use super::run::ends_run;
use super::telemetry::Counted;
use crate::backoff::Backoff;
use crate::net::NetError;

/// Envelopes looked at in one round: at 96 KiB each, what a phone can hold in memory.
const ROUND_LEN: usize = 128;
/// Bytes that a submission adds to its envelope: ids, token and framing, rounded up.
const SUBMISSION_OVERHEAD: usize = 128;
/// The longest sleep of the submit loop.
const IDLE: Duration = Duration::from_secs(60);
/// The shortest, so that a wrong clock cannot make it spin.
const PAUSE: Duration = Duration::from_millis(50);

/// What one round of work did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    /// Envelopes that a relay now has.
    pub(super) submitted: usize,
    /// Fetches and publications tried, and submissions answered.
    attempts: usize,
}

/// One server's share of a round.
#[derive(Default)]
struct Share {
    needs: Vec<Need>,
    outgoing: Vec<Submission>,
    deposits: Vec<Keeping>,
    retained: Vec<RetainedOutgoing>,
}

/// A blob for our own relay, of which the engine then makes a reference.
struct Keeping {
    number: u64,
    deposit: Deposit,
}

/// An envelope for a relay.
struct Submission {
    number: u64,
    submit: Submit,
}

impl Core {
    /// Works whenever something is due, for ever.
    pub(super) async fn submit(&self) -> Result<Infallible, ClientError> {
        let mut changes = self.changes();
        let mut backoff = Backoff::RECONNECT;
        loop {
            // Marked as seen before looking, so that a change in between is not slept through.
            changes.borrow_and_update();
            let wait = match self.work_until_idle().await {
                Ok(wait) => {
                    backoff.reset();
                    wait
                }
                Err(error) if ends_run(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(event = "submit_failed", code = error.code());
                    backoff.next(None, &mut rand::rng())
                }
            };
            tokio::select! {
                () = sleep(wait.clamp(PAUSE, IDLE)) => {}
                changed = changes.changed() => changed.map_err(|_| ClientError::Stopped)?,
            }
        }
    }

    async fn work_until_idle(&self) -> Result<Duration, ClientError> {
        while self.work().await?.is_some() {}
        let scheduled = self.engine(|engine| engine.poll_schedule_timeout()).await?;
        let scheduled = scheduled.map(|due| Duration::from_millis(due.since(now())));
        Ok([self.next_due().await?, scheduled].into_iter().flatten().min().unwrap_or(IDLE))
    }

    /// How long until something that waits to be done is due; `None` when nothing waits. What the engine will do by itself is no waiting.
    pub(super) async fn next_due(&self) -> Result<Option<Duration>, ClientError> {
        // Without a transport nothing is polled for a carrier, and nothing is due there.
        let (has_carrier, has_sms) = (self.has_carrier(), self.has_sms());
        let due = self
            .engine(move |engine| {
                let mut due = vec![
                    engine.poll_outbox_timeout()?,
                    engine.poll_needs_timeout()?,
                    engine.poll_retained_outbox_timeout()?,
                ];
                if has_carrier {
                    due.extend([engine.poll_carrier_notices_timeout()?, engine.poll_plain_outbox_timeout()?]);
                }
                if has_sms {
                    due.push(engine.poll_sms_outbox_timeout()?);
                }
                Ok::<_, ClientError>(due)
            })
            .await?;
        let Some(due) = due.into_iter().flatten().min() else { return Ok(None) };
        let due = Duration::from_millis(due.since(now()));
        // What is due but stands behind a closed gate waits for that.
        Ok(Some(due.max(self.next_gate().unwrap_or_default())))
    }

    /// Whether something waits that was tried or could be.
    pub(super) async fn is_anything_left(&self) -> Result<bool, ClientError> {
        self.engine(|engine| {
            let is_left = engine.poll_outbox_timeout()?.is_some() || engine.poll_retained_outbox_timeout()?.is_some();
            Ok::<_, ClientError>(is_left || engine.has_unmet_needs()?)
        })
        .await
    }

    /// One round; `None` when there was nothing to do.
    pub(super) async fn work(&self) -> Result<Option<Round>, ClientError> {
        let account = self.account().await?;
        // What is due by the clock first: it makes envelopes and needs.
        self.engine(|engine| engine.poll_schedule()).await?;
        let (needs, outgoing) =
            self.engine(|engine| Ok::<_, ClientError>((engine.poll_needs()?, engine.poll_outbox(ROUND_LEN)?))).await?;
        // What is the carrier's has its own loop: one that takes its time must not hold the relays.
        let attempts = self.poll_for_carrier().await? + self.poll_for_sms().await?;
        let mut sum = Round { attempts, ..Round::default() };
        let mut shares: BTreeMap<Origin, Share> = BTreeMap::new();
        for need in needs {
            let origin = match &need {
                Need::FetchKeySet { origin, .. }
                | Need::FetchKeySets { origin, .. }
                | Need::FetchBundles { origin, .. } => origin.clone(),
                Need::FetchEnvelope(fetch) => fetch.origin.clone(),
                Need::PublishKeySet { .. }
                | Need::SetDeliveryTokens { .. }
                | Need::VetoReset
                | Need::FetchServerKey => account.origin.clone(),
                Need::QueryCapabilities { number } => {
                    sum.attempts += usize::from(self.ask_carrier(number.clone()));
                    continue;
                }
                Need::LookUpNumber { origin, .. } | Need::ViewNumber { origin, .. } => origin.clone(),
            };
            shares.entry(origin).or_default().needs.push(need);
        }
        for envelope in outgoing {
            match envelope.via {
                Via::Relay { origin, submit } => {
                    shares.entry(origin).or_default().outgoing.push(Submission { number: envelope.number, submit });
                }
                Via::Carrier(handover) => {
                    self.queue_for_carrier(envelope.number, handover);
                    sum.attempts += 1;
                }
                // Not worth waiting for: there are other ways, and the relay's is not one of them now.
                Via::Deposit(deposit) if !self.is_open(&deposit.origin) => {
                    self.deposit_failed(envelope.number).await?;
                    sum.attempts += 1;
                }
                Via::Deposit(deposit) => {
                    let share = shares.entry(deposit.origin.clone()).or_default();
                    share.deposits.push(Keeping { number: envelope.number, deposit });
                }
            }
        }
        for outgoing in self.poll_retained().await? {
            shares.entry(outgoing.origin.clone()).or_default().retained.push(outgoing);
        }
        shares.retain(|origin, _| self.is_open(origin));
        let rounds = join_all(shares.into_iter().map(|(origin, share)| self.work_with(origin, share, &account))).await;
        for round in rounds {
            let round = round?;
            sum.submitted += round.submitted;
            sum.attempts += round.attempts;
        }
        Ok((sum.attempts > 0).then_some(sum))
    }

    async fn work_with(&self, origin: Origin, share: Share, account: &AccountView) -> Result<Round, ClientError> {
        let mut round = Round::default();
        match self.work_with_open(&origin, share, account.address.account, &mut round).await {
            Ok(()) => self.open_gate(&origin),
            // Only our own server can say that this device is none of its. From a contact's it is as good as no answer.
            Err(ClientError::Net(error)) if origin != account.origin || !ends_run_alone(&error) => {
                tracing::info!(event = "server_away", code = error.code());
                self.close_gate(&origin, &error);
            }
            Err(error) => return Err(error),
        }
        Ok(round)
    }

    /// Stops at the first error that is the server's or the network's as a whole.
    async fn work_with_open(
        &self,
        origin: &Origin,
        share: Share,
        own: AccountId,
        round: &mut Round,
    ) -> Result<(), ClientError> {
        // Deposits before all: a person waits for them, and where the server is away they go another way at once.
        for Keeping { number, deposit } in share.deposits {
            self.keep(number, deposit).await?;
            round.attempts += 1;
        }
        // Then submissions: they are what a person waits for as well.
        let mut outgoing = share.outgoing.into_iter().peekable();
        while outgoing.peek().is_some() {
            let (numbers, submissions) = next_batch(&mut outgoing);
            let statuses = match self.anonymous(origin)?.submit(&submissions).await {
                Ok(statuses) => statuses,
                Err(error) if is_outage(&error) => return Err(error.into()),
                // The server answers, but not to this: the engine waits longer each time.
                Err(error) => {
                    tracing::warn!(event = "submit_refused", code = error.code());
                    vec![SubmitStatus::Unavailable; numbers.len()]
                }
            };
            let stored = |status: &&SubmitStatus| matches!(status, SubmitStatus::Stored | SubmitStatus::Duplicate);
            round.submitted += statuses.iter().filter(stored).count();
            round.attempts += statuses.len();
            self.change(move |engine| {
                numbers
                    .into_iter()
                    .zip(statuses)
                    .try_for_each(|(number, status)| engine.handle_submitted(number, status))
            })
            .await?;
        }
        self.telemetry.count(Counted::Submitted, round.submitted);
        for outgoing in share.retained {
            self.submit_retained(outgoing).await?;
            round.attempts += 1;
        }
        for need in share.needs {
            self.meet(origin, need, own).await?;
            round.attempts += 1;
        }
        Ok(())
    }

    async fn meet(&self, origin: &Origin, need: Need, own: AccountId) -> Result<(), ClientError> {
        let (kind, account, outcome) = match need {
            // No server's: the carrier is asked.
            Need::QueryCapabilities { number } => {
                self.ask_carrier(number);
                return Ok(());
            }
            Need::LookUpNumber { origin, number } => return self.meet_number(NeedKind::LookUp, &origin, number).await,
            Need::ViewNumber { origin, number } => {
                return self.meet_number(NeedKind::NumberView, &origin, number).await;
            }
            Need::FetchEnvelope(fetch) => return self.fetch_envelope(fetch).await,
            Need::FetchKeySet { account, delivery_token, .. } => {
                let fetched = if account == own {
                    self.authenticated().await?.key_set(&account).await
                } else {
                    self.anonymous(origin)?.key_set(&account, &delivery_token).await
                };
                let outcome = match fetched {
                    Ok(key_set) => {
                        self.take_keys(move |engine| engine.handle_key_set(account, &key_set)).await?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                (NeedKind::KeySet, account, outcome)
            }
            Need::FetchKeySets { account, delivery_token, from, .. } => {
                let fetched = if account == own {
                    self.authenticated().await?.key_sets(&account, from).await
                } else {
                    self.anonymous(origin)?.key_sets(&account, &delivery_token, from).await
                };
                let outcome = match fetched {
                    Ok(key_sets) => {
                        self.take_keys(move |engine| engine.handle_key_sets(account, &key_sets)).await?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                (NeedKind::KeySets, account, outcome)
            }
            Need::SetDeliveryTokens { hashes, keeps_others } => {
                let outcome = match self.set_delivery_tokens(hashes.clone(), keeps_others).await? {
                    Ok(()) => {
                        self.change(move |engine| engine.handle_delivery_tokens(&hashes)).await?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                (NeedKind::Tokens, own, outcome)
            }
            Need::FetchServerKey => (NeedKind::ServerKey, own, self.fetch_server_key().await?),
            Need::VetoReset => {
                let outcome = match self.authenticated().await?.veto_reset().await {
                    Ok(()) => {
                        self.change(|engine| engine.handle_reset_vetoed()).await?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                (NeedKind::VetoReset, own, outcome)
            }
            Need::FetchBundles { account, delivery_token, devices, .. } => {
                let fetched = if account == own {
                    self.authenticated().await?.bundles(&account, devices).await
                } else {
                    self.anonymous(origin)?.bundles(&account, &delivery_token, devices).await
                };
                let outcome = match fetched {
                    Ok(bundles) => {
                        let response = BundlesResponse { bundles };
                        let refused = self.change(move |engine| engine.handle_bundles(account, &response)).await?;
                        for (_, refusal) in refused {
                            tracing::warn!(event = "bundle_refused", code = refusal.code());
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                (NeedKind::Bundles, account, outcome)
            }
            Need::PublishKeySet { key_set } => {
                let outcome = match self.authenticated().await?.publish_key_set(key_set).await {
                    Ok(()) => {
                        self.change(|engine| engine.handle_published()).await?;
                        Ok(())
                    }
                    Err(error) if is_lost_race(&error) => {
                        self.change(|engine| engine.handle_publish_refused()).await?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                (NeedKind::Publish, own, outcome)
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) if is_outage(&error) => Err(error.into()),
            Err(error) => {
                tracing::info!(event = "need_refused", code = error.code());
                self.engine(move |engine| engine.handle_need_failed(kind, account)).await
            }
        }
    }
}

impl Core {
    /// Puts an envelope that is too long for the carrier at our own relay, once. Whatever goes wrong, the envelope takes another way.
    async fn keep(&self, number: u64, deposit: Deposit) -> Result<(), ClientError> {
        let Deposit { bytes, digest, ttl_seconds, .. } = deposit;
        match self.authenticated().await?.put_blob(bytes.into(), digest, ttl_seconds).await {
            Ok(id) => self.change(move |engine| engine.handle_deposited(number, id)).await,
            Err(error) => {
                tracing::info!(event = "deposit_failed", code = error.code());
                self.deposit_failed(number).await
            }
        }
    }

    async fn deposit_failed(&self, number: u64) -> Result<(), ClientError> {
        self.change(move |engine| engine.handle_deposit_failed(number)).await
    }

    /// Fetches an envelope that a contact keeps at its relay. Where that fails the engine waits longer each time, and gives up by itself.
    async fn fetch_envelope(&self, fetch: Fetch) -> Result<(), ClientError> {
        let Fetch { id, origin, blob, len, digest } = fetch;
        let len = usize::try_from(len).unwrap_or(0);
        let failure = match self.anonymous(&origin)?.blob(&blob, len, &digest).await {
            Ok(bytes) => {
                return self
                    .change(move |engine| {
                        engine.handle_fetched(id, &bytes)?;
                        engine.flush_receipts().map_err(ClientError::from)
                    })
                    .await;
            }
            Err(error) => {
                tracing::info!(event = "reference_not_fetched", code = error.code());
                fetch_failure(&error)
            }
        };
        self.engine(move |engine| engine.handle_fetch_failed(id, failure)).await
    }

    /// Takes in keys that were fetched. They may let messages in that waited for them, and whose receipts nothing else would send before
    /// the next delivery.
    async fn take_keys<T, E>(
        &self,
        operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<(), ClientError>
    where
        E: Into<ClientError>,
    {
        self.change(move |engine| {
            operation(engine).map_err(Into::into)?;
            engine.flush_receipts().map_err(ClientError::from)
        })
        .await
    }

    /// Makes these the account's delivery tokens; with `keeps_others` beside those that the server knows, the newest of them first.
    pub(super) async fn set_delivery_tokens(
        &self,
        mut hashes: Vec<DeliveryTokenHash>,
        keeps_others: bool,
    ) -> Result<Result<(), NetError>, ClientError> {
        let server = self.authenticated().await?;
        if keeps_others {
            match server.delivery_tokens().await {
                Ok(others) => {
                    let new: Vec<_> = others.into_iter().filter(|other| !hashes.contains(other)).collect();
                    hashes.extend(new);
                    hashes.truncate(DELIVERY_TOKENS_MAX);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(server.set_delivery_tokens(hashes).await)
    }
}

/// What a failure says of a blob.
fn fetch_failure(error: &NetError) -> FetchFailure {
    match error {
        NetError::DigestMismatch | NetError::TooLarge { .. } => FetchFailure::Damaged,
        NetError::Problem(refused)
            if matches!(refused.known, Some(ProblemCode::NotFound | ProblemCode::Gone)) || refused.status == 404 =>
        {
            FetchFailure::Gone
        }
        _ => FetchFailure::Unavailable,
    }
}

/// Takes envelopes off the front, as many as one frame carries.
fn next_batch(outgoing: &mut std::iter::Peekable<impl Iterator<Item = Submission>>) -> (Vec<u64>, Vec<Submit>) {
    let (mut numbers, mut submissions, mut len) = (Vec::new(), Vec::new(), 0);
    let fits = |next: &Submission, len: usize| len + next.submit.envelope.len() + SUBMISSION_OVERHEAD <= FRAME_LEN_MAX;
    while let Some(next) = outgoing.next_if(|next| submissions.is_empty() || fits(next, len)) {
        len += next.submit.envelope.len() + SUBMISSION_OVERHEAD;
        numbers.push(next.number);
        submissions.push(next.submit);
        if submissions.len() == BATCH_LEN_MAX {
            break;
        }
    }
    (numbers, submissions)
}

/// Whether an error says something about the server as a whole, and nothing about the request.
pub(super) fn is_outage(error: &NetError) -> bool {
    match error {
        NetError::Connect(_)
        | NetError::Tls(_)
        | NetError::Pin
        | NetError::Proxy(_)
        | NetError::Timeout(_)
        | NetError::Closed(_)
        | NetError::Login(_) => true,
        NetError::Protocol(_) => error.is_retryable(),
        NetError::Problem(refused) => matches!(
            refused.known,
            Some(
                ProblemCode::RateLimited
                    | ProblemCode::ShuttingDown
                    | ProblemCode::Unavailable
                    | ProblemCode::LoginRefused
                    | ProblemCode::DeviceUnknown
            )
        ),
        NetError::TooLarge { .. } | NetError::File(_) | NetError::DigestMismatch => false,
    }
}

/// Whether another key set than ours is the account's by now.
pub(super) fn is_lost_race(error: &NetError) -> bool {
    matches!(
        error.problem(),
        Some(
            ProblemCode::KeySetConflict
                | ProblemCode::KeySetRollback
                | ProblemCode::KeySetFork
                | ProblemCode::KeySetInvalid
        )
    )
}

fn ends_run_alone(error: &NetError) -> bool {
    matches!(error, NetError::Login(_))
        || matches!(error.problem(), Some(ProblemCode::LoginRefused | ProblemCode::DeviceUnknown))
}
