//! The SMS in a message's place: one permit, one submission, and what the gateway says of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcseal_carrier::business::MessageId;
use rcseal_carrier::fallback::{Action, Event, Fallback, SmsPermit};
use rcseal_carrier::sms::{
    Arrived, ReportState, SenderId, SmsGateway, SmsId, SmsMessage, SmsReport, SmsSubmitted, SmsText,
};
use rcseal_crypto::hash::sha256;
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;
use rcseal_store::StoreError;
use rcseal_store::broker::business::{BusinessChange, ChangeOutcome, MessageChange, MessageKey};
use rcseal_wire::api::business::BusinessEventBody;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Agent, Happened, Happening, KEEP_SECONDS, PAUSE_MIN, Runner};
use crate::business::metrics::SmsOutcome;
use crate::business::request::Message;
use crate::business::told;

/// How often an SMS is tried whose gateway cannot be reached, and how long there is between two tries.
const SMS_TRIES_MAX: u8 = 30;
const SMS_PAUSE_MS: u64 = 10_000;
/// How long a report may wait for its message: it can overtake the gateway's answer.
const REPORT_PATIENCE: Duration = Duration::from_secs(2);
/// Reports of a gateway that are looked into at once.
const REPORTS_MAX: usize = 256;
/// An SMS of a message that nobody waits for any more is of no use either.
const SMS_VALIDITY_SECONDS: u32 = 24 * 3600;

impl Runner {
    /// Submits the SMS under a permit that is durable. `None`: it is not called for, or it is tried again later.
    pub(super) async fn send_sms(
        self: &Arc<Self>,
        key: &MessageKey,
        agent: &Agent,
        message: Message,
        to: PhoneNumber,
    ) -> Result<Option<Happening>, StoreError> {
        let Some((gateway, sender)) = &self.parts.gateway else { return Ok(None) };
        let (true, Some(text)) = (message.may_use_sms(), message.sms_text()) else { return Ok(None) };
        let mut permit: Option<SmsPermit> = None;
        let mut before = None;
        let take = |message: &mut Message, fallback: &mut Fallback| {
            // What was withdrawn since is not sent.
            permit = if message.may_use_sms() {
                before = Some(fallback.clone());
                fallback.take_sms()
            } else {
                None
            };
            permit.is_some().then_some(Action::SendSms)
        };
        self.change(key, Happening::default(), take).await?;
        let (Some(permit), Some(before)) = (permit, before) else { return Ok(None) };
        let may_double = permit.may_double().then(|| "may_double".to_owned());
        let sender = agent.sms_sender.as_ref().unwrap_or(sender);
        let result = gateway.submit(sms(to, sender, text, key)).await;
        let at_ms = self.now().get();
        let happening = |event, kind, outcome| {
            self.parts.metrics.sms(outcome);
            let mut told = told::entry(&agent.name, at_ms, kind);
            told.id = Some(MessageId::from_bytes(key.id).to_string());
            told.channel = Some("SMS".to_owned());
            told.reason.clone_from(&may_double);
            Happening { event: Some(event), told: Some(told), ..Happening::default() }
        };
        Ok(Some(match result {
            Ok(SmsSubmitted { gateway_id, segments, parts }) => {
                let mut links: Vec<Bytes> = parts.iter().map(|id| link(agent_gateway(), id.as_str())).collect();
                links.push(link(agent_gateway(), gateway_id.as_str()));
                links.sort();
                links.dedup();
                let submitted = happening(Event::SmsSubmitted, "sms_submitted", SmsOutcome::Submitted);
                Happening { links, segments: Some(segments), ..submitted }
            }
            // It never left, so that the permit can be given back.
            Err(SendFailure::Busy { .. } | SendFailure::Unreachable)
                if message.sms_tries < SMS_TRIES_MAX && self.give_back(key, &before).await? =>
            {
                return Ok(None);
            }
            Err(SendFailure::NoAnswer) => happening(Event::SmsUnanswered, "sms_unanswered", SmsOutcome::Unanswered),
            Err(failure) => {
                let refused = happening(Event::SmsRefused, "sms_refused", SmsOutcome::Refused);
                let told =
                    refused.told.map(|told| BusinessEventBody { reason: Some(failure.code().to_owned()), ..told });
                Happening { told, ..refused }
            }
        }))
    }

    /// Gives a permit back that was not used, if nothing has happened since. The SMS is tried again after a pause.
    async fn give_back(&self, key: &MessageKey, before: &Fallback) -> Result<bool, StoreError> {
        let Some(record) = self.parts.store.message(key.clone()).await? else { return Ok(false) };
        let mut message = Message::parse(&record.row)?;
        let mut taken = before.clone();
        let is_unchanged = taken.take_sms().is_some() && message.fallback()? == taken;
        if !is_unchanged {
            return Ok(false);
        }
        message.set_fallback(before);
        message.sms_tries = message.sms_tries.saturating_add(1);
        let change = MessageChange {
            key: key.clone(),
            revision: record.revision,
            row: message.to_row()?.into(),
            due_at: Some(self.now().plus_millis(SMS_PAUSE_MS)),
        };
        let change = BusinessChange { message: Some(change), ..BusinessChange::default() };
        Ok(self.parts.store.change(change).await? == ChangeOutcome::Done)
    }

    /// What a gateway says of an SMS. `false`: it should say it again.
    async fn sms_reported(self: &Arc<Self>, report: &SmsReport) -> Result<bool, StoreError> {
        let (event, kind, outcome) = match report.state {
            ReportState::Delivered => (Event::SmsDelivered, "sms_delivered", SmsOutcome::Delivered),
            ReportState::Expired | ReportState::Rejected | ReportState::Undeliverable => {
                (Event::SmsFailed, "sms_failed", SmsOutcome::Failed)
            }
            // It says nothing that anybody could act on.
            ReportState::Unknown => return Ok(true),
        };
        let id = link(agent_gateway(), report.gateway_id.as_str());
        let deadline = tokio::time::Instant::now() + REPORT_PATIENCE;
        let key = loop {
            if let Some(key) = self.parts.store.linked(id.clone()).await? {
                break key;
            }
            if tokio::time::Instant::now() >= deadline {
                // A code's, or somebody else's.
                return Ok(true);
            }
            tokio::time::sleep(PAUSE_MIN * 5).await;
        };
        let Some(message) = self.message(&key).await? else { return Ok(true) };
        let mut told = told::entry(&message.agent, self.now().get(), kind);
        told.id = Some(MessageId::from_bytes(key.id).to_string());
        told.channel = Some("SMS".to_owned());
        told.reason.clone_from(&report.error);
        let seen = sha256(&[b"rcseal/broker-sms-report/v1", &id, report.state.code().as_bytes(), &key.id]);
        let happening = Happening {
            event: Some(event),
            key: Some((seen, self.now().plus_seconds(KEEP_SECONDS))),
            told: Some(told),
            ..Happening::default()
        };
        if self.happened(&key, happening).await? != Happened::Known {
            self.parts.metrics.sms(outcome);
        }
        Ok(true)
    }
}

fn sms(to: PhoneNumber, from: &SenderId, text: SmsText, key: &MessageKey) -> SmsMessage {
    SmsMessage {
        to,
        from: from.clone(),
        text,
        id: SmsId(key.id),
        validity_seconds: Some(SMS_VALIDITY_SECONDS),
        wants_report: true,
    }
}

/// There is one gateway for now; its ids are its own.
const fn agent_gateway() -> &'static str {
    "sms"
}

/// A gateway's id as a row's key: hashed, because it may be as long as a key is.
fn link(gateway: &str, id: &str) -> Bytes {
    Bytes::copy_from_slice(&sha256(&[b"rcseal/broker-sms/v1", gateway.as_bytes(), b"\0", id.as_bytes()]))
}

/// Takes a gateway's reports until it closes or we stop.
pub(in crate::business) async fn take_reports(
    runner: Arc<Runner>,
    gateway: Arc<dyn SmsGateway>,
    stopping: CancellationToken,
) {
    let turns = Arc::new(Semaphore::new(REPORTS_MAX));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let arrived: Option<Arrived<SmsReport>> = tokio::select! {
            () = stopping.cancelled() => return,
            arrived = gateway.next_report() => arrived,
        };
        let Some(arrived) = arrived else { return };
        let runner = Arc::clone(&runner);
        runner.tasks.clone().spawn(async move {
            match runner.sms_reported(arrived.item()).await {
                Ok(true) => drop(arrived.accept()),
                Ok(false) => {}
                Err(error) => tracing::warn!(code = error.code(), "business.report_lost"),
            }
            drop(turn);
        });
    }
}
