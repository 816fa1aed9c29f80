//! One message, two ways: a business message first, one SMS at most if it does not arrive.
//!
//! This is a pure state machine. It has no clock and no sockets: whoever runs it tells it what happened and what time it is, and carries out
//! the one [`Action`] that comes back. It lives through restarts as a row ([`Fallback::to_row`]).
//!
//! **The rule of use.** The row is durable *before* an action is carried out. An SMS takes two durable steps: the action
//! [`SendSms`](Action::SendSms), and then, right before the gateway is called, [`take_sms`](Fallback::take_sms), which looks again whether a
//! delivery was reported meanwhile and gives a permit at most once. A crash before the permit loses nothing and a crash after it sends
//! nothing twice. A permit whose SMS certainly never left comes back by [`Event::SmsDeferred`].
//!
//! **What is promised**, under every order of answers, reports, time and restarts: at most one SMS is permitted, and none after a delivery is
//! known. What cannot be promised is that nothing arrives twice: a provider's word that it took a message back is no proof that the
//! recipient's client has not fetched it. The SMS of such a message says so ([`SmsPermit::may_double`]), both carry the same id, and the
//! app shows an id once.
//!
//! ```text
//! sending ──accepted──▶ trying ──time──▶ revoking ──confirmed──▶ settling ──time──▶ SMS
//!    │                     │                 ├──refused, was accepted──▶ presumed delivered
//!    │                     └─ttl notice──────┼─────────────────▶ settling
//!    ├──refused────────────────────────────────────────────────────────────────────▶ SMS
//!    └──no answer──▶ revoking                └──no answer──▶ doubt ──▶ policy: wait, or SMS that may double
//! any of them ──delivered──▶ arrived                (held: the provider wants us to wait; then sending again)
//! ```
//!
//! A refused revocation means that the message was delivered, but only of a message that the provider is known to have: of one whose
//! acceptance was lost it means nothing, since the provider answers the same for what it never had.

mod event;
mod policy;
mod row;

pub use event::Event;
pub use policy::{Policy, Unanswered};
pub use row::RowError;

use crate::business::{Channel, MessageId};

/// What whoever runs the machine is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send the business message, under the same id as ever.
    SendRcs,
    /// Take it back.
    Revoke,
    /// Send the SMS: [`take_sms`](Fallback::take_sms) first.
    SendSms,
}

/// The leave to submit one SMS.
#[derive(Debug, PartialEq, Eq)]
pub struct SmsPermit {
    id: MessageId,
    may_double: bool,
    is_repeat: bool,
}

impl SmsPermit {
    /// The message's id, for the gateway and for the text's link.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Whether the business message may arrive as well.
    #[must_use]
    pub const fn may_double(&self) -> bool {
        self.may_double
    }

    /// Whether this submission may be the second one of the same id, at a gateway that takes an id once.
    #[must_use]
    pub const fn is_repeat(&self) -> bool {
        self.is_repeat
    }
}

/// Where the business message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rcs {
    /// A request is under way.
    Sending { give_up: u64 },
    /// The provider wants us to wait before we ask again.
    Held { until: u64, give_up: u64 },
    /// The provider has it.
    Trying { until: u64 },
    /// We asked for it back, or wait for the provider to give it up.
    Revoking { until: u64, tries: u8 },
    /// It is said to be taken back; a delivery that was under way may still be reported.
    Settling { until: u64 },
    /// Nobody knows.
    Doubt { next: Option<u64>, tries: u8 },
    /// It is said to be delivered, and nobody has reported the delivery.
    Presumed,
    /// It is over for this way.
    Gone,
    /// A delivery was reported.
    Arrived,
}

/// Where the SMS stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sms {
    /// Not called for.
    None,
    /// Called for, no permit given.
    Ordered { may_double: bool, is_repeat: bool },
    /// Called for, and given up because a delivery was reported first.
    Withdrawn,
    /// Permitted: it may be at the gateway.
    Submitting { may_double: bool, is_repeat: bool },
    /// The gateway has it.
    Submitted,
    /// Permitted once, and nobody knows whether the gateway has it.
    InDoubt,
    /// Reported as delivered.
    Delivered,
    /// Refused, or reported as not delivered.
    Failed,
}

/// One message and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fallback {
    id: MessageId,
    policy: Policy,
    rcs: Rcs,
    /// The provider has said that it has the message.
    was_accepted: bool,
    sms: Sms,
    /// What the provider says has carried the message.
    arrived: Option<Channel>,
    is_read: bool,
}

/// How a message stands, for people and for interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where it stands.
    pub phase: Phase,
    /// What really carried it, once that is known.
    pub channel: Option<Channel>,
    /// Whether the recipient opened it.
    pub is_read: bool,
    /// Whether it was delivered by the provider and left as an SMS too. The app shows it once.
    pub by_both: bool,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// On its way to the provider.
    Sending,
    /// At the provider.
    Waiting,
    /// Being taken back.
    Revoking,
    /// Nobody knows whether it was delivered, and the policy waits.
    Unresolved,
    /// The provider says that it was delivered, without a report of the delivery.
    PresumedDelivered,
    /// An SMS is about to be sent.
    SmsDue,
    /// The gateway has the SMS.
    SmsSent,
    /// Nobody knows whether the gateway has the SMS. It is not sent again.
    SmsInDoubt,
    /// Delivered.
    Delivered,
    /// Neither way has worked.
    Failed,
}

impl Phase {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Revoking => "revoking",
            Self::Unresolved => "unresolved",
            Self::PresumedDelivered => "presumed_delivered",
            Self::SmsDue => "sms_due",
            Self::SmsSent => "sms_sent",
            Self::SmsInDoubt => "sms_in_doubt",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl Fallback {
    /// A message that is to be sent, and the first action.
    #[must_use]
    pub fn new(id: MessageId, policy: Policy, now_ms: u64) -> (Self, Action) {
        let give_up = now_ms.saturating_add(policy.patience_ms);
        let rcs = Rcs::Sending { give_up };
        let new = Self { id, policy, rcs, was_accepted: false, sms: Sms::None, arrived: None, is_read: false };
        (new, Action::SendRcs)
    }

    /// The message's id.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// The policy that it was begun under. A later configuration does not change it.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Tells what happened.
    pub fn on(&mut self, event: Event, now_ms: u64) -> Option<Action> {
        match event {
            Event::Delivered(channel) => self.on_arrival(channel, false),
            Event::Read(channel) => self.on_arrival(channel, true),
            Event::SmsSubmitted
            | Event::SmsRefused
            | Event::SmsUnanswered
            | Event::SmsDeferred
            | Event::SmsDelivered
            | Event::SmsFailed => {
                self.on_sms(&event);
                None
            }
            // Once an SMS is called for, or the message has arrived, nothing that the provider says of its attempts changes what is done.
            _ if !self.is_open() => {
                self.was_accepted |= event == Event::SendAccepted;
                None
            }
            Event::SendAccepted => {
                self.was_accepted = true;
                if matches!(self.rcs, Rcs::Sending { .. } | Rcs::Held { .. }) {
                    self.rcs = Rcs::Trying { until: now_ms.saturating_add(self.policy.patience_ms) };
                }
                None
            }
            Event::SendRefused => match self.rcs {
                Rcs::Sending { .. } | Rcs::Held { .. } => self.order_sms(false),
                _ => None,
            },
            Event::SendDeferred { after_ms } => self.on_deferred(after_ms, now_ms),
            Event::SendUnanswered => match self.rcs {
                Rcs::Sending { .. } => self.begin_revoking(now_ms),
                _ => None,
            },
            Event::ProviderFailed => match self.rcs {
                // It waits out what is left of the time in which a delivery may be reported.
                Rcs::Settling { .. } => None,
                _ => self.order_sms(false),
            },
            Event::RevokedByTtl | Event::RevokeConfirmed => self.begin_settling(now_ms),
            Event::TtlRevokeFailed => match self.rcs {
                Rcs::Sending { .. } | Rcs::Held { .. } | Rcs::Trying { .. } => self.begin_revoking(now_ms),
                _ => None,
            },
            Event::RevokeRefused => match self.rcs {
                Rcs::Settling { .. } | Rcs::Presumed => None,
                _ if self.was_accepted => {
                    self.rcs = Rcs::Presumed;
                    None
                }
                _ => self.begin_doubt(now_ms),
            },
            Event::RevokeUnanswered => match self.rcs {
                Rcs::Revoking { .. } => self.begin_doubt(now_ms),
                _ => None,
            },
        }
    }

    /// When [`on_time`](Self::on_time) has something to do, in milliseconds since 1970.
    #[must_use]
    pub const fn deadline(&self) -> Option<u64> {
        match self.rcs {
            Rcs::Held { until, .. } | Rcs::Trying { until } | Rcs::Revoking { until, .. } | Rcs::Settling { until } => {
                Some(until)
            }
            Rcs::Doubt { next, .. } => next,
            Rcs::Sending { .. } | Rcs::Presumed | Rcs::Gone | Rcs::Arrived => None,
        }
    }

    /// Tells that time has passed. Nothing happens before the deadline.
    pub fn on_time(&mut self, now_ms: u64) -> Option<Action> {
        if self.deadline().is_none_or(|deadline| now_ms < deadline) {
            return None;
        }
        match self.rcs {
            Rcs::Held { give_up, .. } => {
                self.rcs = Rcs::Sending { give_up };
                Some(Action::SendRcs)
            }
            Rcs::Trying { .. } => self.begin_revoking(now_ms),
            Rcs::Revoking { .. } => self.begin_doubt(now_ms),
            Rcs::Settling { .. } => self.order_sms(true),
            Rcs::Doubt { tries, .. } => {
                self.rcs = Rcs::Revoking { until: self.revoke_deadline(now_ms), tries: tries.saturating_add(1) };
                Some(Action::Revoke)
            }
            Rcs::Sending { .. } | Rcs::Presumed | Rcs::Gone | Rcs::Arrived => None,
        }
    }

    /// What is to be done after a restart: the action that was under way, as far as it may be done again, or what time calls for.
    pub fn resume(&mut self, now_ms: u64) -> Option<Action> {
        match self.sms {
            Sms::Ordered { .. } => return Some(Action::SendSms),
            Sms::Submitting { may_double, .. } if self.policy.sms_takes_id_once && self.arrived.is_none() => {
                self.sms = Sms::Ordered { may_double, is_repeat: true };
                return Some(Action::SendSms);
            }
            Sms::Submitting { .. } => self.sms = Sms::InDoubt,
            Sms::None | Sms::Withdrawn | Sms::Submitted | Sms::InDoubt | Sms::Delivered | Sms::Failed => {}
        }
        match self.rcs {
            Rcs::Sending { .. } if self.policy.send_takes_id_once => Some(Action::SendRcs),
            Rcs::Sending { .. } => self.begin_revoking(now_ms),
            Rcs::Revoking { until, .. } if now_ms < until && self.policy.can_revoke => Some(Action::Revoke),
            _ => self.on_time(now_ms),
        }
    }

    /// The leave to submit the SMS, right before it is submitted; `None` if it is no longer called for. The row is durable before the
    /// submission.
    #[must_use]
    pub fn take_sms(&mut self) -> Option<SmsPermit> {
        let Sms::Ordered { may_double, is_repeat } = self.sms else { return None };
        self.sms = Sms::Submitting { may_double, is_repeat };
        Some(SmsPermit { id: self.id, may_double, is_repeat })
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let has_left = matches!(self.sms, Sms::Submitting { .. } | Sms::Submitted | Sms::InDoubt | Sms::Delivered);
        let phase = match (&self.arrived, self.sms, self.rcs) {
            (Some(_), ..) | (None, Sms::Delivered, _) => Phase::Delivered,
            (None, Sms::Ordered { .. }, _) => Phase::SmsDue,
            (None, Sms::Submitting { .. } | Sms::Submitted, _) => Phase::SmsSent,
            (None, Sms::InDoubt, _) => Phase::SmsInDoubt,
            (None, Sms::Failed, _) => Phase::Failed,
            (None, Sms::None | Sms::Withdrawn, rcs) => match rcs {
                Rcs::Sending { .. } | Rcs::Held { .. } => Phase::Sending,
                Rcs::Trying { .. } => Phase::Waiting,
                Rcs::Revoking { .. } | Rcs::Settling { .. } => Phase::Revoking,
                Rcs::Doubt { .. } => Phase::Unresolved,
                Rcs::Presumed => Phase::PresumedDelivered,
                Rcs::Gone | Rcs::Arrived => Phase::Failed,
            },
        };
        let by_sms = (self.sms == Sms::Delivered).then_some(Channel::Sms);
        Status {
            phase,
            channel: self.arrived.clone().or(by_sms),
            is_read: self.is_read,
            by_both: self.arrived.is_some() && has_left,
        }
    }

    /// Whether what becomes of the business message still decides on the SMS.
    const fn is_open(&self) -> bool {
        !matches!(self.rcs, Rcs::Gone | Rcs::Arrived)
    }

    fn on_arrival(&mut self, channel: Channel, is_read: bool) -> Option<Action> {
        // The first report names what carried it; a later one of another channel is a second delivery of the provider's own making.
        self.arrived.get_or_insert_with(|| Channel::named(channel.as_str()));
        self.is_read |= is_read;
        self.rcs = Rcs::Arrived;
        if let Sms::Ordered { is_repeat, .. } = self.sms {
            // One that may be at the gateway already stays in doubt.
            self.sms = if is_repeat { Sms::InDoubt } else { Sms::Withdrawn };
        }
        None
    }

    fn on_sms(&mut self, event: &Event) {
        self.sms = match (self.sms, event) {
            // What was never permitted is not at the gateway, whatever is said of it.
            (before @ (Sms::None | Sms::Ordered { is_repeat: false, .. } | Sms::Withdrawn), _) => before,
            (Sms::Delivered, _) | (_, Event::SmsDelivered) => Sms::Delivered,
            (_, Event::SmsFailed) => Sms::Failed,
            (Sms::Submitting { .. } | Sms::InDoubt | Sms::Ordered { .. }, Event::SmsSubmitted) => Sms::Submitted,
            (Sms::Submitting { .. }, Event::SmsRefused) => Sms::Failed,
            (Sms::Submitting { .. }, Event::SmsUnanswered) => Sms::InDoubt,
            // The permit comes back unused, and is given again if the SMS is still called for.
            (Sms::Submitting { may_double, is_repeat }, Event::SmsDeferred) => match (&self.arrived, is_repeat) {
                (None, _) => Sms::Ordered { may_double, is_repeat },
                (Some(_), false) => Sms::Withdrawn,
                (Some(_), true) => Sms::InDoubt,
            },
            (before, _) => before,
        };
    }

    fn on_deferred(&mut self, after_ms: u64, now_ms: u64) -> Option<Action> {
        let Rcs::Sending { give_up } = self.rcs else { return None };
        let until = now_ms.saturating_add(after_ms.max(policy::HOLD_MIN_MS));
        if until >= give_up {
            // It never left, so that nothing can arrive twice.
            return self.order_sms(false);
        }
        self.rcs = Rcs::Held { until, give_up };
        None
    }

    const fn revoke_deadline(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.policy.revoke_patience_ms)
    }

    /// Takes the message back; where that cannot be done, gives the provider the time to give it up by itself.
    fn begin_revoking(&mut self, now_ms: u64) -> Option<Action> {
        self.rcs = Rcs::Revoking { until: self.revoke_deadline(now_ms), tries: 1 };
        self.policy.can_revoke.then_some(Action::Revoke)
    }

    fn begin_settling(&mut self, now_ms: u64) -> Option<Action> {
        if matches!(self.rcs, Rcs::Settling { .. }) {
            return None;
        }
        if self.policy.settle_ms == 0 {
            return self.order_sms(true);
        }
        self.rcs = Rcs::Settling { until: now_ms.saturating_add(self.policy.settle_ms) };
        None
    }

    fn begin_doubt(&mut self, now_ms: u64) -> Option<Action> {
        let tries = match self.rcs {
            Rcs::Revoking { tries, .. } | Rcs::Doubt { tries, .. } => tries,
            _ => 0,
        };
        match self.policy.unanswered {
            Unanswered::FallBack => self.order_sms(true),
            Unanswered::Wait => {
                let may_try = self.policy.can_revoke && tries < self.policy.revokes_max;
                self.rcs = Rcs::Doubt { next: may_try.then(|| self.revoke_deadline(now_ms)), tries };
                None
            }
        }
    }

    fn order_sms(&mut self, may_double: bool) -> Option<Action> {
        self.rcs = Rcs::Gone;
        if self.sms != Sms::None {
            return None;
        }
        self.sms = Sms::Ordered { may_double, is_repeat: false };
        Some(Action::SendSms)
    }
}

#[cfg(test)]
mod tests;
