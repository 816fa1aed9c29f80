//! From the store to the inputs of a decision, and the explanation of one.

use rcseal_wire::content::Body;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};

use super::decide::decide;
use super::decision::{AbsenceEvidence, ContentKind, Decision, Inputs, Observed, PeerCapability, Recipient, Ways};
use super::error::PolicyError;
use super::mode::{DeliveryMode, FallbackPolicy};
use super::record::{StoredDecision, Subject};
use crate::account::AccountError;
use crate::capability::{Latch, Latched, NumberKey};
use crate::context::{Engine, UnixMillis};
use crate::conversation::devices_in_scope;
use crate::store::StoreError;

/// Everything that a decision would be made of now, and the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// The conversation or thread.
    pub subject: Subject,
    /// The inputs.
    pub inputs: Inputs,
    /// Since when the recipient is known to be capable, and what showed it.
    pub latch: Option<Latch>,
    /// The decision that they make. It is not stored: nothing was sent.
    pub decision: Decision,
}

impl Explanation {
    /// The rule that decided, as `docs/protocol/delivery.md` numbers them.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.decision.reason.rule()
    }

    /// Every input by name, for people. Without numbers and ids.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let inputs = &self.inputs;
        let policy = |policy: Option<FallbackPolicy>| policy.map_or("not set", FallbackPolicy::as_str).to_owned();
        let names = |modes: Vec<DeliveryMode>| {
            let names: Vec<_> = modes.into_iter().map(DeliveryMode::as_str).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let peer = match (inputs.peer, self.latch) {
            (PeerCapability::KnownCapable { .. }, Some(latch)) => {
                format!("known capable, by {}", latch.source.as_str())
            }
            (PeerCapability::KnownCapable { .. }, None) => "known capable, an account".to_owned(),
            (PeerCapability::Unknown, _) => "unknown".to_owned(),
        };
        let absence = match inputs.absence {
            None => "none".to_owned(),
            Some(evidence) if evidence.is_fresh(inputs.now) => evidence.as_str().to_owned(),
            Some(AbsenceEvidence::UserAttested { .. }) => "expired".to_owned(),
        };
        let acknowledged = inputs.acknowledged.map_or("no".to_owned(), |it| it.mode.as_str().to_owned());
        let consented = DeliveryMode::READABLE.into_iter().filter(|mode| inputs.consent_to(*mode).is_some()).collect();
        vec![
            ("policy of the tenant", policy(inputs.policies.tenant)),
            ("policy of the account", inputs.policies.account.as_str().to_owned()),
            ("policy of the conversation", policy(inputs.policies.conversation)),
            ("policy that counts", inputs.policies.strictest().as_str().to_owned()),
            ("route preference", inputs.preference.as_str().to_owned()),
            ("ways", names(inputs.ways.modes().collect())),
            ("recipient", peer),
            ("evidence of absence", absence),
            ("downgrade acknowledged", acknowledged),
            ("consent", names(consented)),
            ("failures of the carrier", inputs.observed.native_failures.to_string()),
            ("carrier's answer about the number", inputs.observed.hint.as_str().to_owned()),
        ]
    }
}

impl Engine<'_> {
    /// To whom a conversation or thread goes.
    pub(crate) fn recipient_of(&self, subject: Subject) -> Result<Recipient, PolicyError> {
        match subject {
            Subject::Number(number) => Ok(Recipient { account: None, number: Some(number) }),
            Subject::Server => Err(PolicyError::UnknownConversation),
            Subject::Conversation(id) => {
                let own = self.account()?.address.account;
                Ok(self.recipient_in(own, id)?.ok_or(PolicyError::UnknownConversation)?)
            }
        }
    }

    fn recipient_in(&self, own: AccountId, id: ConversationId) -> Result<Option<Recipient>, StoreError> {
        let Some(conversation) = self.conversation(id)? else { return Ok(None) };
        let other = conversation.participants.iter().map(|participant| participant.account).find(|it| *it != own);
        let account = other.unwrap_or(own);
        let number = self.number_of(account)?.map(|number| NumberKey::of(&number));
        Ok(Some(Recipient { account: Some(account), number }))
    }

    /// Everything that a decision about a message would be made of now.
    pub(crate) fn inputs(&self, subject: Subject, content: ContentKind) -> Result<Inputs, PolicyError> {
        let by = self.account()?.address.account;
        let recipient = self.recipient_of(subject)?;
        let settings = self.settings(subject)?;
        let may_be_readable = settings.policies.strictest() == FallbackPolicy::Downgrade;
        let peer = match (recipient.account, self.latch_of(recipient)?) {
            (_, Some(latch)) => PeerCapability::KnownCapable { since: latch.since },
            // An account has keys, whether they are here yet or not.
            (Some(_), None) => PeerCapability::KnownCapable { since: UnixMillis(0) },
            (None, None) => PeerCapability::Unknown,
        };
        Ok(Inputs {
            now: self.now,
            by,
            recipient,
            content,
            policies: settings.policies,
            preference: settings.preference,
            ways: self.ways(subject, recipient)?,
            peer,
            absence: settings.absence,
            acknowledged: settings.acknowledged,
            // Where policy allows nothing less, no consent is looked for.
            consent: if may_be_readable { self.consent_for(recipient)? } else { None },
            observed: match recipient.number {
                Some(number) => self.observed(number)?,
                None => Observed::default(),
            },
        })
    }

    /// The modes for which there is a way from here to the recipient. An account always has the relay: that it does not answer, or refuses,
    /// is a failure to send and no reason to send otherwise.
    pub(super) fn ways(&self, subject: Subject, recipient: Recipient) -> Result<Ways, StoreError> {
        let mut ways = Ways::NONE;
        if recipient.account.is_some() {
            ways = ways.with(DeliveryMode::Relayed);
        }
        if let Some(account) = recipient.account
            && self.has_retained_way(account)?
        {
            ways = ways.with(DeliveryMode::ServerEncrypted);
        }
        if recipient.number.is_some() && self.has_sms_way()? {
            ways = ways.with(DeliveryMode::Sms);
        }
        if recipient.number.is_none() || self.carrier_setup()?.is_none() {
            return Ok(ways);
        }
        ways = ways.with(DeliveryMode::CarrierReadable);
        if let (Some(account), Subject::Conversation(id)) = (recipient.account, subject)
            && let Some(mode) = self.carrier_mode(account, id)?
        {
            ways = ways.with(mode);
        }
        Ok(ways)
    }

    /// In which mode frames go to the devices of the recipient that take them at the contact's number; `None` where none does. Where some
    /// are reached through a broker and others are not, the message is said to pass one.
    fn carrier_mode(&self, account: AccountId, id: ConversationId) -> Result<Option<DeliveryMode>, StoreError> {
        let (Some(conversation), Some(key_set)) = (self.conversation(id)?, self.key_set(account)?) else {
            return Ok(None);
        };
        let mut mode = None;
        for participant in conversation.participants.iter().filter(|participant| participant.account == account) {
            for device in devices_in_scope(participant, &key_set) {
                match self.carrier_way(device)?.map(|way| way.mode) {
                    Some(DeliveryMode::Brokered) => return Ok(Some(DeliveryMode::Brokered)),
                    Some(other) => mode = Some(other),
                    None => {}
                }
            }
        }
        Ok(mode)
    }

    /// Why a message would go the way it would go now. Nothing is sent, stored or journalled.
    ///
    /// # Errors
    /// [`PolicyError::UnknownConversation`].
    pub fn explain(&self, subject: Subject) -> Result<Explanation, PolicyError> {
        let inputs = self.inputs(subject, ContentKind::Words)?;
        let latch = self.latch_of(inputs.recipient)?;
        Ok(Explanation { subject, inputs, latch, decision: decide(&inputs) })
    }

    /// Since when a recipient is known to be capable, as an account where it is one.
    fn latch_of(&self, recipient: Recipient) -> Result<Option<Latch>, StoreError> {
        match recipient {
            Recipient { account: Some(account), .. } => self.latched(Latched::Account(account)),
            Recipient { number: Some(number), .. } => self.latched(Latched::Number(number)),
            Recipient { .. } => Ok(None),
        }
    }

    /// Decides about a message, and answers the decision as it is to be stored.
    pub(crate) fn decide_about(
        &self,
        subject: Subject,
        content: ContentKind,
        message: Option<MessageId>,
    ) -> Result<StoredDecision, PolicyError> {
        let inputs = self.inputs(subject, content)?;
        Ok(StoredDecision {
            decision: decide(&inputs),
            at: self.now,
            subject,
            recipient: inputs.recipient,
            message,
            wanted: inputs.wanted(),
        })
    }

    /// A refusal that [`Engine::send`] or [`Engine::send_plain`] answered with is stored and journalled. It takes a call of its own because
    /// the one that refused was rolled back with all it wrote.
    ///
    /// # Errors
    /// Those of the store.
    pub fn note_refusal(&mut self, refusal: &StoredDecision) -> Result<Decision, AccountError> {
        if refusal.decision.mode().is_some() || refusal.decision.number != 0 {
            return Ok(refusal.decision);
        }
        // A refusal is about a message that never came to be: it is not to stand for one that did.
        Ok(self.record_decision(StoredDecision { message: None, ..*refusal })?)
    }
}

/// What a body is to a decision.
pub(crate) const fn content_kind(body: &Body) -> ContentKind {
    match body {
        Body::Text(_) => ContentKind::Words,
        Body::DeliveryNotice(_) => ContentKind::Notice,
        _ => ContentKind::Other,
    }
}
