//! A message's life, through restarts.
//!
//! Something happens to a message: a provider answers or reports, time passes, a gateway answers. Then, in this order: what follows is asked of
//! the state machine, the row is written with it, and only then is the action carried out. Two things that happen at once happen one after
//! the other, because a row is changed from the revision that was read or not at all.
//!
//! A message with something left to do stands in the store's list of what is due: at its deadline, or a while after an action began. What is
//! under way in this process is left alone until it ends; what a crash has interrupted is taken up at the next start.

mod sms;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rcseal_carrier::business::{BusinessProvider, RevokeOutcome, WebhookEvent};
use rcseal_carrier::fallback::{Action, Event, Fallback, Phase};
use rcseal_carrier::sms::encoding::plan;
use rcseal_carrier::sms::{SenderId, SmsGateway};
use rcseal_crypto::hash::sha256;
use rcseal_front::clock::Clock;
use rcseal_store::broker::business::{
    BusinessChange, ChangeOutcome, DuePlace, FeedEntry, MessageChange, MessageKey, MessageRecord, NewMessage,
    NewMessageOutcome,
};
use rcseal_store::{BrokerStore, StoreError, UnixMillis};
use rcseal_wire::api::business::{BusinessEventBody, BusinessMessageRequest, BusinessStatus};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::metrics::{BusinessMetrics, WebhookOutcome};
use super::request::{self, Message, Unsendable};
use super::tenant::Tenant;
use super::told;

pub(super) use self::sms::take_reports;

/// An action that has not come to an end after so long is taken for lost, unless it is under way here.
const UNDER_WAY_MS: u64 = 60_000;
/// How often a change is tried that others were faster than.
const RACES_MAX: usize = 16;
/// How long a message and its events are kept.
const KEEP_SECONDS: u64 = 30 * 24 * 3600;
/// Messages that are looked at in one go.
const PAGE: usize = 128;
/// The longest and the shortest pause between two looks at what is due.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Rows that one sweep forgets of each kind.
const EXPIRE_BUDGET: usize = 1_000;

/// An agent at a provider.
pub(crate) struct Agent {
    /// Its name in the configuration and in the webhook's address.
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) tenant: String,
    /// By whom it speaks.
    pub(crate) provider: Arc<dyn BusinessProvider>,
    /// In whose name its SMS leave, where it is not the gateway's.
    pub(crate) sms_sender: Option<SenderId>,
}

/// What the runner is given.
pub(super) struct Parts {
    pub(super) store: Arc<dyn BrokerStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: BusinessMetrics,
    pub(super) agents: Vec<Agent>,
    /// By which gateway SMS leave, and in whose name.
    pub(super) gateway: Option<(Arc<dyn SmsGateway>, SenderId)>,
}

/// Why a message is not begun.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    /// It cannot be sent as it is.
    #[error("the message cannot be sent as it is")]
    Unsendable(#[from] Unsendable),
    /// An SMS is asked for, and there is no gateway.
    #[error("there is no SMS gateway")]
    NoGateway,
    /// An SMS is asked for to a number that this tenant's do not go to.
    #[error("the tenant's SMS do not go to this number")]
    SmsNotAllowed,
    /// The tenant's SMS of the day are used up.
    #[error("the tenant's SMS of the day are used up")]
    SmsUsedUp {
        /// Until there are new ones.
        retry_after_seconds: u64,
    },
    /// The id was used for something else.
    #[error("the id was used for something else")]
    IdConflict,
    /// There is no such agent.
    #[error("there is no such agent")]
    NoAgent,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// What happened to a message, and what becomes true with it.
#[derive(Default)]
struct Happening {
    event: Option<Event>,
    key: Option<([u8; 32], UnixMillis)>,
    told: Option<BusinessEventBody>,
    links: Vec<Bytes>,
    segments: Option<u8>,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
enum Happened {
    /// It is written down; this is to be done next.
    Next(Option<Action>),
    /// It was known.
    Known,
}

/// Messages on their way.
pub(super) struct Runner {
    parts: Parts,
    agents: HashMap<String, Arc<Agent>>,
    tasks: TaskTracker,
    /// How many actions of each message are being carried out.
    under_way: Mutex<HashMap<MessageKey, usize>>,
    wake: Notify,
    told: watch::Sender<u64>,
}

impl Runner {
    pub(super) fn new(mut parts: Parts, tasks: TaskTracker) -> Self {
        let agents = parts.agents.drain(..).map(|agent| (agent.name.clone(), Arc::new(agent))).collect();
        Self { parts, agents, tasks, under_way: Mutex::default(), wake: Notify::new(), told: watch::Sender::new(0) }
    }

    pub(super) fn agent(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.get(name)
    }

    /// Hears whenever some tenant is told something.
    pub(super) fn told(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    pub(super) fn store(&self) -> &dyn BrokerStore {
        self.parts.store.as_ref()
    }

    pub(super) const fn metrics(&self) -> &BusinessMetrics {
        &self.parts.metrics
    }

    fn now(&self) -> UnixMillis {
        self.parts.clock.now()
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<MessageKey, usize>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to send a message, or answers how it stands that was begun before.
    pub(super) async fn begin(
        self: &Arc<Self>,
        tenant: &Tenant,
        agent: &str,
        request: BusinessMessageRequest,
    ) -> Result<BusinessStatus, BeginError> {
        let agent = self.agent(agent).ok_or(BeginError::NoAgent)?;
        if request.sms.is_some() && self.parts.gateway.is_none() {
            return Err(BeginError::NoGateway);
        }
        let now = self.now();
        let digest = digest(agent, &request);
        let (id, message) = request::begin(agent.name.clone(), request, agent.provider.traits(), now.get())?;
        let key = MessageKey { tenant: tenant.name.clone(), id: *id.as_bytes() };
        self.charge_sms(tenant, &key, &message).await?;
        let new = NewMessage {
            key: key.clone(),
            digest,
            row: message.to_row()?.into(),
            due_at: Some(now.plus_millis(UNDER_WAY_MS)),
            expires_at: now.plus_seconds(KEEP_SECONDS),
        };
        match self.parts.store.new_message(new).await? {
            NewMessageOutcome::Stored => {
                self.parts.metrics.message();
                self.act(key, Action::SendRcs);
                Ok(message.status()?)
            }
            NewMessageOutcome::Present(record) => Ok(Message::parse(&record.row)?.status()?),
            NewMessageOutcome::Conflict => Err(BeginError::IdConflict),
        }
    }

    /// Sees to it that the SMS which a message may become is one that its tenant may send. What was begun before uses up nothing more.
    async fn charge_sms(&self, tenant: &Tenant, key: &MessageKey, message: &Message) -> Result<(), BeginError> {
        let Some(text) = message.sms_text() else { return Ok(()) };
        if !tenant.sms.allow(&message.request.to) {
            return Err(BeginError::SmsNotAllowed);
        }
        if self.parts.store.message(key.clone()).await?.is_some() {
            return Ok(());
        }
        let charge = tenant.sms.charge(&tenant.name, plan(text.as_str()).count());
        let now = self.now();
        self.parts.store.charge(vec![charge], now).await?.map_err(|exhausted| {
            let millis = exhausted.until.get().saturating_sub(now.get());
            BeginError::SmsUsedUp { retry_after_seconds: millis.div_ceil(1000) }
        })
    }

    /// How a message stands.
    pub(super) async fn status(&self, key: MessageKey) -> Result<Option<BusinessStatus>, StoreError> {
        match self.parts.store.message(key).await? {
            Some(record) => Message::parse(&record.row)?.status().map(Some),
            None => Ok(None),
        }
    }

    /// Takes a message back: no SMS leaves for it from now on, and the provider is asked.
    pub(super) async fn withdraw(
        self: &Arc<Self>,
        key: &MessageKey,
    ) -> Result<Option<(RevokeOutcome, BusinessStatus)>, StoreError> {
        let mark = |message: &mut Message, _: &mut Fallback| {
            message.is_withdrawn = true;
            None
        };
        if self.change(key, Happening::default(), mark).await? == Happened::Known {
            return Ok(None);
        }
        let Some(message) = self.message(key).await? else { return Ok(None) };
        let outcome = match (self.agent(&message.agent), request::agent_message(&message.request, message.asked_at_ms))
        {
            (Some(agent), Ok(asked)) => agent.provider.revoke(asked.to(), asked.id()).await,
            _ => RevokeOutcome::Unsupported,
        };
        self.happened(key, Happening { event: Some(Event::from_revoke(outcome)), ..Happening::default() }).await?;
        Ok(self.status(key.clone()).await?.map(|status| (outcome, status)))
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<Message>, StoreError> {
        let record = self.parts.store.message(key.clone()).await?;
        record.map(|record| Message::parse(&record.row)).transpose()
    }

    /// A provider's event, once it is durable. `false`: it was known.
    pub(super) async fn reported(self: &Arc<Self>, agent: &Agent, event: WebhookEvent) -> Result<bool, StoreError> {
        let window = agent.provider.webhook_window_ms();
        // A key is kept for as long as a webhook that old would be taken, and for the clock's difference.
        let remembered = self.now().plus_millis(window.saturating_mul(2));
        let happening = Happening {
            event: None,
            key: Some((key_of(agent, &event), remembered)),
            told: told::of_provider(&agent.name, event.at_ms, &event.event),
            ..Happening::default()
        };
        let outcome = match Event::from_provider(&event.event) {
            Some((id, what)) => {
                let key = MessageKey { tenant: agent.tenant.clone(), id: *id.as_bytes() };
                self.happened(&key, Happening { event: Some(what), ..happening }).await?
            }
            None => self.only_told(&agent.tenant, happening).await?,
        };
        let is_new = outcome != Happened::Known;
        self.parts.metrics.webhook(if is_new { WebhookOutcome::Taken } else { WebhookOutcome::Known });
        Ok(is_new)
    }

    /// Something about no message of ours.
    async fn only_told(&self, tenant: &str, happening: Happening) -> Result<Happened, StoreError> {
        let feed = self.entry(tenant, happening.told)?;
        self.only_told_entry(happening.key, feed).await
    }

    fn entry(&self, tenant: &str, told: Option<BusinessEventBody>) -> Result<Option<FeedEntry>, StoreError> {
        let Some(told) = told else { return Ok(None) };
        let entry = serde_json::to_vec(&told).map_err(|_| StoreError::Corrupt { space: "business_feed" })?;
        let expires_at = self.now().plus_seconds(KEEP_SECONDS);
        Ok(Some(FeedEntry { tenant: tenant.to_owned(), entry: entry.into(), expires_at }))
    }

    /// Something happened to a message: what follows is written down, and then done.
    async fn happened(self: &Arc<Self>, key: &MessageKey, happening: Happening) -> Result<Happened, StoreError> {
        let now = self.now().get();
        let event = happening.event.clone();
        let outcome = self
            .change(key, happening, move |_, fallback| event.clone().and_then(|event| fallback.on(event, now)))
            .await?;
        if let Happened::Next(Some(action)) = outcome {
            self.act(key.clone(), action);
        }
        Ok(outcome)
    }

    /// Changes a message's row from whatever it is now.
    async fn change(
        &self,
        key: &MessageKey,
        happening: Happening,
        mut step: impl FnMut(&mut Message, &mut Fallback) -> Option<Action>,
    ) -> Result<Happened, StoreError> {
        let feed = self.entry(&key.tenant, happening.told)?;
        for _ in 0..RACES_MAX {
            let Some(record) = self.parts.store.message(key.clone()).await? else {
                // Not a message of ours, or one that was forgotten: the tenant is told all the same.
                return self.only_told_entry(happening.key, feed).await;
            };
            let mut message = Message::parse(&record.row)?;
            let mut fallback = message.fallback()?;
            let action = step(&mut message, &mut fallback);
            message.set_fallback(&fallback);
            message.sms_segments = happening.segments.or(message.sms_segments);
            let expires_at = self.now().plus_seconds(KEEP_SECONDS);
            let change = BusinessChange {
                event: happening.key,
                message: Some(self.message_change(key, &record, &message, &fallback, action)?),
                feed: feed.clone(),
                links: happening.links.iter().map(|link| (link.clone(), key.clone(), expires_at)).collect(),
            };
            match self.parts.store.change(change).await? {
                ChangeOutcome::Done => {
                    if feed.is_some() {
                        self.told.send_modify(|count| *count = count.wrapping_add(1));
                    }
                    self.wake.notify_one();
                    return Ok(Happened::Next(action));
                }
                ChangeOutcome::KnownEvent => return Ok(Happened::Known),
                ChangeOutcome::Stale => {}
            }
        }
        // Somebody else always was faster: it has to come again.
        Err(StoreError::Unavailable)
    }

    async fn only_told_entry(
        &self,
        event: Option<([u8; 32], UnixMillis)>,
        feed: Option<FeedEntry>,
    ) -> Result<Happened, StoreError> {
        match self.parts.store.change(BusinessChange { event, feed, ..BusinessChange::default() }).await? {
            ChangeOutcome::Done => {
                self.told.send_modify(|count| *count = count.wrapping_add(1));
                Ok(Happened::Next(None))
            }
            ChangeOutcome::KnownEvent | ChangeOutcome::Stale => Ok(Happened::Known),
        }
    }

    fn message_change(
        &self,
        key: &MessageKey,
        record: &MessageRecord,
        message: &Message,
        fallback: &Fallback,
        action: Option<Action>,
    ) -> Result<MessageChange, StoreError> {
        let is_acted_on = action.is_some_and(|action| action != Action::SendSms || message.may_use_sms());
        let lost_at = is_acted_on.then(|| self.now().plus_millis(UNDER_WAY_MS));
        let deadline = fallback.deadline().map(UnixMillis::new);
        let due_at = match (deadline, lost_at) {
            (Some(deadline), Some(lost_at)) => Some(deadline.min(lost_at)),
            (deadline, lost_at) => deadline.or(lost_at),
        };
        Ok(MessageChange { key: key.clone(), revision: record.revision, row: message.to_row()?.into(), due_at })
    }

    /// Carries an action out, and those that follow from it.
    fn act(self: &Arc<Self>, key: MessageKey, action: Action) {
        let this = Arc::clone(self);
        *self.under_way().entry(key.clone()).or_default() += 1;
        self.tasks.spawn(async move {
            if let Err(error) = this.carry_out(&key, action).await {
                // It stands in the list of what is due, and is taken up again from there.
                tracing::warn!(code = error.code(), "business.step_failed");
            }
            this.ended(&key);
            this.wake.notify_one();
        });
    }

    fn ended(&self, key: &MessageKey) {
        let mut under_way = self.under_way();
        if let Some(count) = under_way.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(key);
            }
        }
    }

    async fn carry_out(self: &Arc<Self>, key: &MessageKey, first: Action) -> Result<(), StoreError> {
        let mut next = Some(first);
        while let Some(action) = next.take() {
            let Some(message) = self.message(key).await? else { return Ok(()) };
            let Some(agent) = self.agent(&message.agent).cloned() else { return Ok(()) };
            let Ok(asked) = request::agent_message(&message.request, message.asked_at_ms) else { return Ok(()) };
            let happening = match action {
                Action::SendRcs => {
                    let result = agent.provider.send(&asked).await;
                    if let Err(failure) = &result {
                        tracing::info!(code = failure.code(), provider = agent.provider.name(), "business.not_taken");
                    }
                    Happening { event: Some(Event::from_send(&result)), ..Happening::default() }
                }
                Action::Revoke => {
                    let outcome = agent.provider.revoke(asked.to(), asked.id()).await;
                    Happening { event: Some(Event::from_revoke(outcome)), ..Happening::default() }
                }
                Action::SendSms => match self.send_sms(key, &agent, message, asked.to().clone()).await? {
                    Some(happening) => happening,
                    None => return Ok(()),
                },
            };
            let now = self.now().get();
            let event = happening.event.clone();
            let step =
                |_: &mut Message, fallback: &mut Fallback| event.clone().and_then(|event| fallback.on(event, now));
            if let Happened::Next(action) = self.change(key, happening, step).await? {
                next = action;
            }
        }
        Ok(())
    }

    /// Takes up everything that the last run left, before anything new begins.
    pub(super) async fn resume(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut after: Option<DuePlace> = None;
        let mut open = HashSet::new();
        loop {
            let page = self.parts.store.due_messages(UnixMillis::new(u64::MAX), after, PAGE).await?;
            let Some((last, ..)) = page.last() else { break };
            after = Some(last.clone());
            open.extend(page.into_iter().map(|(_, key, _)| key));
        }
        // Each once: what is taken up is due at another time, and would be met again on the walk.
        for key in open {
            self.step(&key, Fallback::resume).await?;
        }
        Ok(())
    }

    async fn step(
        self: &Arc<Self>,
        key: &MessageKey,
        step: impl Fn(&mut Fallback, u64) -> Option<Action>,
    ) -> Result<(), StoreError> {
        let now = self.now().get();
        let outcome = self.change(key, Happening::default(), |_, fallback| step(fallback, now)).await?;
        if let Happened::Next(Some(action)) = outcome {
            self.act(key.clone(), action);
        }
        Ok(())
    }

    /// Does what is due, and says how long there is until something is.
    async fn on_time(self: &Arc<Self>) -> Result<Duration, StoreError> {
        let mut after: Option<DuePlace> = None;
        loop {
            let now = self.now();
            let page = self.parts.store.due_messages(now, after.clone(), PAGE).await?;
            let Some((last, ..)) = page.last() else { break };
            after = Some(last.clone());
            for (_, key, _) in page {
                if !self.under_way().contains_key(&key) {
                    self.step(&key, tick).await?;
                }
            }
        }
        // What is under way wakes us when it ends.
        let next = self.parts.store.due_messages(UnixMillis::new(u64::MAX), after, 1).await?;
        let wait = next.first().and_then(|(_, _, record)| record.due_at).map(|due| due.get());
        let now = self.now().get();
        let wait = wait.map_or(PAUSE_MAX, |due| Duration::from_millis(due.saturating_sub(now)));
        Ok(wait.clamp(PAUSE_MIN, PAUSE_MAX))
    }

    /// Forgets what is over. Answers whether there is more to do at once.
    pub(super) async fn sweep(&self) -> Result<bool, StoreError> {
        self.wake.notify_one();
        Ok(self.parts.store.expire_business(self.now(), EXPIRE_BUDGET).await? >= EXPIRE_BUDGET)
    }
}

/// What time calls for, of a message that nothing is under way of: its deadline, or the action that was lost.
fn tick(fallback: &mut Fallback, now_ms: u64) -> Option<Action> {
    match fallback.status().phase {
        Phase::SmsDue => Some(Action::SendSms),
        Phase::Sending if fallback.deadline().is_none() => fallback.resume(now_ms),
        _ => fallback.on_time(now_ms),
    }
}

/// What an event is known by: under its agent, so that a tenant who can sign for its own agent takes no name that another's event will have.
fn key_of(agent: &Agent, event: &WebhookEvent) -> [u8; 32] {
    sha256(&[b"rcseal/broker-event/v1", agent.name.as_bytes(), b"\0", &event.key.0])
}

/// Over everything that a tenant asked for.
fn digest(agent: &Agent, request: &BusinessMessageRequest) -> [u8; 16] {
    let bytes = serde_json::to_vec(request).unwrap_or_default();
    let hash = sha256(&[b"rcseal/broker-business/v1", agent.name.as_bytes(), b"\0", &bytes]);
    *hash.first_chunk().expect("a SHA-256 hash has more than 16 bytes")
}

/// Does what is due when it is due.
pub(super) async fn keep_time(runner: Arc<Runner>, stopping: CancellationToken) {
    loop {
        let pause = runner.on_time().await.unwrap_or_else(|error| {
            tracing::warn!(code = error.code(), "business.time_lost");
            Duration::from_secs(1)
        });
        tokio::select! {
            () = stopping.cancelled() => return,
            () = runner.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
