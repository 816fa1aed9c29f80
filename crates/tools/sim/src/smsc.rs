//! A centre for short messages between phone numbers, in this process.
//!
//! It takes what phones hand it, keeps it for phones that are off, delivers it in order, and remembers everything, since whoever runs such
//! a centre can read everything. A number at it belongs to a client, whose way for short messages ends here ([`Smsc::lend`]), or to a phone
//! that has nothing of ours and shows what comes ([`Smsc::attach_standard`]). On request it carries a message and does not answer for it,
//! or delivers one twice under the same id, as networks do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rcseal_carrier::sms::encoding::plan;
use rcseal_carrier::sms::way::{HandSms, HandSmsHandle};
use rcseal_carrier::sms::{
    Arrived, GatewayId, InboundSms, ReportState, SenderId, SmsId, SmsTaken, SmsText, SmsWay, SmsWayReport,
};
use rcseal_client::{Client, ClientError};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;

/// The centre.
#[derive(Default)]
pub struct Smsc {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: BTreeMap<PhoneNumber, Member>,
    /// Every text that it was given.
    seen: Vec<String>,
    /// How often a phone handed over each id.
    submissions: BTreeMap<[u8; 16], usize>,
    delivered: u64,
    is_silent_next: bool,
}

struct Member {
    phone: PhoneAt,
    is_on: bool,
    waiting: VecDeque<InboundSms>,
}

enum PhoneAt {
    /// A client of ours.
    Client(HandSmsHandle),
    /// What a phone without one shows.
    Standard(Vec<(PhoneNumber, String)>),
}

impl Member {
    /// Delivers what waits for it, in order.
    fn deliver(&mut self) {
        while self.is_on
            && let Some(sms) = self.waiting.pop_front()
        {
            match &mut self.phone {
                PhoneAt::Client(handle) => {
                    if !handle.deliver(sms.clone()) {
                        self.waiting.push_front(sms);
                        return;
                    }
                }
                PhoneAt::Standard(shown) => {
                    if let SenderId::Number(from) = sms.from {
                        shown.push((from, sms.text));
                    }
                }
            }
        }
    }
}

impl Smsc {
    /// A centre that nobody is at.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attach(&self, number: &PhoneNumber, phone: PhoneAt) {
        let mut state = self.state();
        // Whoever gets a new phone gets what waits for the number.
        let waiting = state.members.remove(number).map(|member| member.waiting).unwrap_or_default();
        let mut member = Member { phone, is_on: true, waiting };
        member.deliver();
        state.members.insert(number.clone(), member);
    }

    /// A client gets a way to send and receive by this number.
    ///
    /// # Errors
    /// Those of [`Client::attach_sms`].
    pub async fn lend(self: &Arc<Self>, number: &PhoneNumber, client: &Client) -> Result<(), ClientError> {
        let (hand, handle) = HandSms::new();
        client.attach_sms(Arc::new(Way { smsc: Arc::clone(self), own: number.clone(), hand })).await?;
        self.attach(number, PhoneAt::Client(handle));
        Ok(())
    }

    /// A phone without a client of ours has this number.
    pub fn attach_standard(&self, number: &PhoneNumber) {
        self.attach(number, PhoneAt::Standard(Vec::new()));
    }

    /// Switches a phone on or off. What comes for one that is off waits.
    pub fn set_online(&self, number: &PhoneNumber, is_on: bool) {
        if let Some(member) = self.state().members.get_mut(number) {
            member.is_on = is_on;
            member.deliver();
        }
    }

    /// The next message that a client hands over is delivered, and its sender gets no answer.
    pub fn be_silent_once(&self) {
        self.state().is_silent_next = true;
    }

    /// A message from a number, by a phone or a service that is not ours, delivered so many times under one id.
    pub fn carry(&self, from: &PhoneNumber, to: &PhoneNumber, text: &str, copies: usize) {
        self.state().carry(from, to, text, copies);
    }

    /// What a phone without a client of ours shows, oldest first.
    #[must_use]
    pub fn shown(&self, number: &PhoneNumber) -> Vec<(PhoneNumber, String)> {
        match self.state().members.get(number).map(|member| &member.phone) {
            Some(PhoneAt::Standard(shown)) => shown.clone(),
            Some(PhoneAt::Client(_)) | None => Vec::new(),
        }
    }

    /// Everything that it was given, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.state().seen.clone()
    }

    /// Whether these words were in anything that it was given.
    #[must_use]
    pub fn could_read(&self, words: &str) -> bool {
        self.state().seen.iter().any(|text| text.contains(words))
    }

    /// How many messages a phone handed over more than once.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.state().submissions.values().filter(|count| **count > 1).count()
    }
}

impl State {
    fn carry(&mut self, from: &PhoneNumber, to: &PhoneNumber, text: &str, copies: usize) {
        self.delivered += 1;
        self.seen.push(text.to_owned());
        let sms = InboundSms {
            from: SenderId::Number(from.clone()),
            to: to.as_str().to_owned(),
            text: text.to_owned(),
            gateway_id: GatewayId::parse(&format!("smsc-{}", self.delivered)),
            received_at_ms: self.delivered,
        };
        if let Some(member) = self.members.get_mut(to) {
            member.waiting.extend(std::iter::repeat_n(sms, copies));
            member.deliver();
        }
    }
}

impl std::fmt::Debug for Smsc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smsc").finish_non_exhaustive()
    }
}

/// A phone's way to the centre.
struct Way {
    smsc: Arc<Smsc>,
    own: PhoneNumber,
    hand: Arc<HandSms>,
}

#[async_trait]
impl SmsWay for Way {
    async fn send(&self, to: &PhoneNumber, text: SmsText, id: SmsId) -> Result<SmsTaken, SendFailure> {
        let mut state = self.smsc.state();
        *state.submissions.entry(id.0).or_default() += 1;
        state.carry(&self.own, to, text.as_str(), 1);
        if std::mem::take(&mut state.is_silent_next) {
            return Err(SendFailure::NoAnswer);
        }
        // A report says what the centre knows: that a phone which is on has it.
        let is_there = state.members.get(to).is_some_and(|member| member.waiting.is_empty());
        if is_there && let Some(Member { phone: PhoneAt::Client(handle), .. }) = state.members.get(&self.own) {
            handle.report(SmsWayReport { id, state: ReportState::Delivered });
        }
        Ok(SmsTaken { segments: u8::try_from(plan(text.as_str()).count()).unwrap_or(u8::MAX) })
    }

    async fn receive(&self) -> Option<Arrived<InboundSms>> {
        self.hand.receive().await
    }

    async fn next_report(&self) -> Option<Arrived<SmsWayReport>> {
        self.hand.next_report().await
    }
}
