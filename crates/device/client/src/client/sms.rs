//! The client's way to send an SMS, where it has one: handing over what the engine cleared, and taking in what comes.
//!
//! A way is attached to a client that is open ([`Client::attach_sms`]); from then on [`Client::run`] and [`Client::sync_once`] use it. Two
//! things are handed to it: words under a permit of the mode SMS, asked for once more right before, and a link without content that the
//! user sends ([`Client::send_sms_invitation`]). What was not taken is not tried again by itself.
//!
//! What comes in is accepted after the commit, and a report as well; where the store fails the way is told to bring it again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcseal_carrier::sms::encoding::{Alphabet, plan};
use rcseal_carrier::sms::way::{SmsWay, SmsWayReport};
use rcseal_carrier::sms::{Arrived, InboundSms, ReportState, SenderId, SmsId, SmsText};
use rcseal_engine::carrier::CarrierDisposition;
use rcseal_engine::plain::{SmsNotice, SmsOutgoing, SmsReport};
use rcseal_engine::policy::{Explanation, SmsWords, Subject};
use rcseal_engine::store::StoreErrorKind;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::{SendFailure, Taken};
use rcseal_wire::id::{ConversationId, MessageId};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::core::Core;
use super::remote_config::RemoteKey;
use super::run::ends_run;
use super::{Client, ClientError};

/// Messages polled in one round.
const WORDS_MAX: usize = 16;

/// What words would be as an SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmsPlan {
    /// How many messages of the network they take: each is paid for.
    pub segments: usize,
    /// Whether they need the wider alphabet, in which fewer characters fit.
    pub is_wide: bool,
}

impl SmsPlan {
    /// Of these words.
    #[must_use]
    pub fn of(words: &str) -> Self {
        let segments = plan(words);
        Self { segments: segments.count(), is_wide: segments.alphabet() == Alphabet::Ucs2 }
    }
}

/// What a client's tasks share about its way to send an SMS.
pub(super) struct SmsDesk {
    attached: watch::Sender<Option<Arc<dyn SmsWay>>>,
    queue: Mutex<VecDeque<SmsOutgoing>>,
    queued: Notify,
}

impl Default for SmsDesk {
    fn default() -> Self {
        Self { attached: watch::Sender::new(None), queue: Mutex::default(), queued: Notify::new() }
    }
}

impl SmsDesk {
    fn way(&self) -> Option<Arc<dyn SmsWay>> {
        self.attached.borrow().clone()
    }

    fn take(&self) -> Option<SmsOutgoing> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// What an earlier run left is given up as unconfirmed when its time is over.
    pub(super) fn clear(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Client {
    /// Attaches a way to send an SMS. That alone sends none: words go so by policy and consent, and links where the user sends one.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account.
    pub async fn attach_sms(&self, way: Arc<dyn SmsWay>) -> Result<(), ClientError> {
        self.core.refuse_switched_off(RemoteKey::NoSms).await?;
        self.core.change(|engine| engine.set_sms_way(true)).await?;
        self.core.sms.attached.send_replace(Some(way));
        Ok(())
    }

    /// Takes the way away for now: words that wait go on waiting.
    pub fn detach_sms(&self) {
        self.core.sms.attached.send_replace(None);
    }

    /// This device sends no SMS any more.
    ///
    /// # Errors
    /// [`ClientError::Account`] without an account.
    pub async fn leave_sms(&self) -> Result<(), ClientError> {
        self.detach_sms();
        self.core.change(|engine| engine.set_sms_way(false)).await
    }

    /// Why these words would go the way they would go now, and what they would be as an SMS.
    ///
    /// # Errors
    /// [`ClientError::Policy`].
    pub async fn explain_words(&self, subject: Subject, words: &str) -> Result<(Explanation, SmsPlan), ClientError> {
        let plan = SmsPlan::of(words);
        Ok((self.explain(subject).await?, plan))
    }

    /// Sends a link that invites whoever has a number, as an SMS, now. It is tried once. Answers how many segments it took.
    ///
    /// # Errors
    /// [`ClientError::NoSmsWay`], [`ClientError::Sms`] with what the way said.
    pub async fn send_sms_invitation(&self, number: PhoneNumber) -> Result<u8, ClientError> {
        let notice = self.core.change(move |engine| engine.sms_invitation(&number)).await?;
        self.core.send_notice(notice).await
    }

    /// Sends a link that says that a message waits, and neither from whom nor what, as an SMS, now. It is tried once.
    ///
    /// # Errors
    /// As [`Client::send_sms_invitation`]; [`ClientError::Plain`] for a message that this account did not write.
    pub async fn send_sms_wake_up(
        &self,
        number: PhoneNumber,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<u8, ClientError> {
        let notice = self.core.change(move |engine| engine.sms_wake_up(&number, conversation, message)).await?;
        self.core.send_notice(notice).await
    }
}

impl Core {
    /// Whether there is a way to send an SMS now.
    pub(super) fn has_sms(&self) -> bool {
        self.sms.way().is_some()
    }

    async fn send_notice(&self, notice: SmsNotice) -> Result<u8, ClientError> {
        let way = self.sms.way().ok_or(ClientError::NoSmsWay)?;
        send(&*way, notice.release()).await.map_err(ClientError::Sms)
    }

    /// Polls words that go as an SMS. Answers how many.
    pub(super) async fn poll_for_sms(&self) -> Result<usize, ClientError> {
        if !self.has_sms() {
            return Ok(0);
        }
        let words = self.engine(|engine| engine.poll_sms_outbox(WORDS_MAX)).await?;
        let count = words.len();
        if count > 0 {
            self.sms.queue.lock().unwrap_or_else(PoisonError::into_inner).extend(words);
            self.sms.queued.notify_one();
        }
        Ok(count)
    }

    /// Hands over and takes in, for ever.
    pub(super) async fn text(&self) -> Result<Infallible, ClientError> {
        let (never, _) = tokio::try_join!(self.text_always(), self.hear_texts_always())?;
        Ok(never)
    }

    /// Hands over all that is queued and takes in all that waits, once. Answers how much that was.
    pub(super) async fn text_once(&self) -> Result<usize, ClientError> {
        let mut count = 0;
        while let Some(outgoing) = self.sms.take() {
            count += 1;
            self.send_sms(outgoing).await?;
        }
        let Some(way) = self.sms.way() else { return Ok(count) };
        // With no time at all a way answers with what is there.
        while let Ok(Some(inbound)) = timeout(Duration::ZERO, way.receive()).await {
            count += 1;
            self.take_sms(inbound).await?;
        }
        while let Ok(Some(report)) = timeout(Duration::ZERO, way.next_report()).await {
            count += 1;
            self.take_sms_report(report).await?;
        }
        Ok(count)
    }

    async fn text_always(&self) -> Result<Infallible, ClientError> {
        loop {
            while let Some(outgoing) = self.sms.take() {
                self.send_sms(outgoing).await?;
            }
            self.sms.queued.notified().await;
        }
    }

    async fn hear_texts_always(&self) -> Result<Infallible, ClientError> {
        let mut changes = self.sms.attached.subscribe();
        loop {
            changes.borrow_and_update();
            let Some(way) = self.sms.way() else {
                changes.changed().await.map_err(|_| ClientError::Stopped)?;
                continue;
            };
            let is_closed = tokio::select! {
                inbound = way.receive() => match inbound {
                    Some(inbound) => { self.take_sms(inbound).await?; false }
                    None => true,
                },
                report = way.next_report() => match report {
                    Some(report) => { self.take_sms_report(report).await?; false }
                    None => true,
                },
                changed = changes.changed() => { changed.map_err(|_| ClientError::Stopped)?; false }
            };
            if is_closed {
                tracing::warn!(event = "sms_way_closed");
                // Whoever attaches another one means that; this one only ends.
                self.sms.attached.send_if_modified(|attached| {
                    let is_same = attached.as_ref().is_some_and(|attached| Arc::ptr_eq(attached, &way));
                    if is_same {
                        *attached = None;
                    }
                    is_same
                });
            }
        }
    }

    async fn send_sms(&self, outgoing: SmsOutgoing) -> Result<(), ClientError> {
        let number = outgoing.number;
        // It may have waited behind others, and consent may have ended meanwhile.
        match self.change(move |engine| engine.may_words_leave(number)).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return passing(Err(error)),
        }
        let outcome = match self.sms.way() {
            Some(way) => send(&*way, outgoing.words.release()).await.map(|_| Taken::Stored),
            None => Err(SendFailure::Unreachable),
        };
        if let Err(failure) = &outcome {
            tracing::info!(event = "sms_refused", code = failure.code());
        }
        passing(self.change(move |engine| engine.handle_plain_outcome(number, &outcome)).await)
    }

    async fn take_sms(&self, arrived: Arrived<InboundSms>) -> Result<(), ClientError> {
        let sms = arrived.item();
        let from = match &sms.from {
            SenderId::Number(number) => Some(number.clone()),
            SenderId::Name(_) | SenderId::Short(_) => None,
        };
        let id = sms.gateway_id.as_ref().map(|id| id.as_str().to_owned());
        let text = sms.text.clone();
        let taken = self.change(move |engine| engine.handle_sms(from.as_ref(), id.as_deref(), &text)).await;
        match taken {
            // Without room it may come again; the network gives it up by itself.
            Ok(CarrierDisposition::Full) => Ok(()),
            Ok(disposition) => {
                tracing::debug!(event = "sms", code = disposition.code());
                drop(arrived.accept());
                Ok(())
            }
            Err(error) => later(error),
        }
    }

    async fn take_sms_report(&self, arrived: Arrived<SmsWayReport>) -> Result<(), ClientError> {
        let SmsWayReport { id: SmsId(id), state } = *arrived.item();
        let report = match state {
            ReportState::Delivered => Some(SmsReport::Delivered),
            ReportState::Expired | ReportState::Rejected | ReportState::Undeliverable => Some(SmsReport::Failed),
            // The network does not know, and so nobody does.
            ReportState::Unknown => None,
        };
        if let Some(report) = report
            && let Err(error) = self.change(move |engine| engine.handle_sms_report(&id, report)).await
        {
            return later(error);
        }
        let _ = arrived.accept();
        Ok(())
    }
}

/// The one call of a way's [`SmsWay::send`] in this crate. It takes what the engine released and nothing else.
async fn send(way: &dyn SmsWay, words: SmsWords) -> Result<u8, SendFailure> {
    let SmsWords { to, id, text } = words;
    let text = SmsText::parse(text).map_err(|_| SendFailure::Unfit)?;
    Ok(way.send(&to, text, SmsId(id)).await?.segments)
}

/// What the engine could not be told is lost, and time decides: the words are given up as unconfirmed.
fn passing(told: Result<(), ClientError>) -> Result<(), ClientError> {
    match told {
        Err(error) if !ends_run(&error) => {
            tracing::warn!(event = "sms_outcome_lost", code = error.code());
            Ok(())
        }
        told => told,
    }
}

/// What came is not accepted, so that it comes again. Others have a right to be taken in.
fn later(error: ClientError) -> Result<(), ClientError> {
    if !ends_run(&error) || error.store_kind() == Some(StoreErrorKind::Corrupt) {
        tracing::error!(event = "sms_not_taken_in", code = error.code());
        return Ok(());
    }
    Err(error)
}
