//! A relay, a compromised broker, and people with numbers.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcseal_broker::init::read_signing_key;
use rcseal_credential::UnverifiedKeySet;
use rcseal_credential::VerifiedKeySet;
use rcseal_credential::mapping::{Evidence, UnverifiedMapping, VerifiedMapping};
use rcseal_crypto::ed25519::{SigningKey, VerifyingKey};
use rcseal_engine::number::LookupResult;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::broker::LookupAnswer;
use rcseal_wire::id::ConversationId;

use super::Attempt;
use super::lies::Lies;
use crate::broker::SimBroker;
use crate::data::{Platform, World};
use crate::matrix::{MatrixError, Phone, Relay};
use crate::search::Search;
use crate::story::words;

const SETUP: fn(&'static str) -> MatrixError = |what| MatrixError::Setup { what };

/// Where the drill is played.
pub(super) struct Stage {
    pub(super) relay: Relay,
    pub(super) lies: Lies,
    pub(super) key: SigningKey,
    platform: Platform,
    next: AtomicUsize,
    rng: Mutex<StdRng>,
    marks: Mutex<Vec<String>>,
}

/// Two people: Ada has a number at the broker, and Bob found her by it.
pub(super) struct Acquainted {
    pub(super) ada: Phone,
    pub(super) bob: Phone,
    pub(super) conversation: ConversationId,
    /// The honest answer by which Bob found her.
    pub(super) answer: LookupAnswer,
}

impl Stage {
    pub(super) async fn start() -> Result<Self, MatrixError> {
        let lies = Lies::default();
        let relay = Relay::start_with_broker_behind(lies.before()).await?;
        let broker = relay.broker().ok_or(SETUP("a broker"))?;
        let key = read_signing_key(broker.signing_key_file()).map_err(|error| MatrixError::Relay(Box::new(error)))?;
        // No way of its own into a carrier, and no code in the background: the drill says when a phone looks.
        let platforms = World::load()?.platforms;
        let platform = platforms.into_iter().find(|platform| platform.name == "ios").ok_or(SETUP("a platform"))?;
        Ok(Self {
            relay,
            lies,
            key,
            platform,
            next: AtomicUsize::new(1),
            rng: Mutex::new(StdRng::seed_from_u64(1)),
            marks: Mutex::default(),
        })
    }

    pub(super) fn broker(&self) -> Result<&SimBroker, MatrixError> {
        self.relay.broker().ok_or(SETUP("a broker"))
    }

    /// Somebody with an account and a number of their own, which the broker does not know yet.
    pub(super) async fn somebody(&self, name: &str) -> Result<Phone, MatrixError> {
        let last = self.next.fetch_add(1, Ordering::Relaxed);
        let number: PhoneNumber =
            format!("+1415{:07}", 3_000_000 + last).parse().map_err(|_| SETUP("a phone number"))?;
        let mut phone = Phone::new(&self.platform, &self.relay, name, number).await?;
        phone.switch_on();
        phone.client.use_broker(self.broker()?.origin()).await?;
        Ok(phone)
    }

    /// The phone's number is bound to its account, or its mapping renewed.
    pub(super) async fn bind(&self, phone: &Phone) -> Result<(), MatrixError> {
        let bound = self.broker()?.bind(&phone.client, &phone.number).await;
        bound.map_err(|error| MatrixError::Relay(Box::new(error)))
    }

    pub(super) async fn acquainted(&self) -> Result<Acquainted, MatrixError> {
        self.lies.stop();
        let (ada, bob) = (self.somebody("Ada").await?, self.somebody("Bob").await?);
        self.bind(&ada).await?;
        let LookupResult::Found(_) = bob.client.look_up_number(&ada.number).await? else {
            return Err(SETUP("a number that is found"));
        };
        let answer = self.lies.told().seen_lookup.clone().ok_or(SETUP("an answer"))?;
        let account = bob.client.add_contact_by_number(&ada.number, "Ada".to_owned()).await?;
        let conversation = bob.client.direct_conversation(account).await?;
        let acquainted = Acquainted { ada, bob, conversation, answer };
        self.say(&acquainted.bob, &acquainted.ada, conversation).await?;
        self.say(&acquainted.ada, &acquainted.bob, conversation).await?;
        Ok(acquainted)
    }

    /// A mark that the search looks for, and words with it.
    pub(super) fn words(&self) -> (String, String) {
        let (mark, text) = words(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner), 80);
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).push(mark.clone());
        (mark, text)
    }

    /// One says something to the other, over the relay, and both look until it is there.
    pub(super) async fn say(&self, from: &Phone, to: &Phone, conversation: ConversationId) -> Result<(), MatrixError> {
        let (_, text) = self.words();
        from.client.send_text(conversation, text.clone()).await?;
        for _ in 0..20 {
            from.wake().await?;
            to.wake().await?;
            if shown(to, conversation, &text).await? > 0 {
                from.wake().await?;
                return Ok(());
            }
        }
        Err(SETUP("a message that arrives"))
    }

    /// What somebody signs who claims a number: the broker reads it in the request. `head` is what the claimant is told is the newest mapping.
    pub(super) async fn statement_of(
        &self,
        mallory: &Phone,
        number: &PhoneNumber,
        head: Option<rcseal_wire::api::broker::MappingHead>,
    ) -> Result<Vec<u8>, MatrixError> {
        {
            let mut told = self.lies.told();
            (told.head, told.seen_statement) = (Some(head), None);
        }
        mallory.client.claim_number(number).await?;
        let code = self.broker()?.codes().take(number).ok_or(SETUP("a code"))?;
        // What an honest broker answers to this does not matter: the statement is what was wanted.
        let _ = mallory.client.confirm_number(number, &code, None).await;
        let mut told = self.lies.told();
        told.head = None;
        told.seen_statement.take().ok_or(SETUP("a statement"))
    }

    /// Looks on both operators' disks for everything that was said.
    pub(super) async fn search(self) -> Result<Attempt, MatrixError> {
        let marks = std::mem::take(&mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner));
        let (relay, broker) = self.relay.stop().await;
        let mut found = 0;
        for folder in [Some(relay), broker].into_iter().flatten() {
            let mut search = Search::default();
            for mark in &marks {
                search.add(mark, mark.as_bytes());
            }
            let hits = search.run(folder.path()).map_err(|source| MatrixError::Io { what: "a search", source })?;
            found += hits.hits.len();
        }
        Ok(Attempt::new(
            "read_what_passes",
            format!("{found} of the texts on the disks"),
            "0 of the texts on the disks",
        ))
    }
}

/// How often words stand in a conversation.
pub(super) async fn shown(phone: &Phone, conversation: ConversationId, text: &str) -> Result<usize, MatrixError> {
    let texts = crate::story::texts(&phone.client, conversation, 100).await?;
    Ok(texts.iter().filter(|(_, known)| known == text).count())
}

/// The mapping in an answer, and the key set beside it.
pub(super) fn parts_of(answer: &LookupAnswer) -> Result<(UnverifiedMapping, VerifiedKeySet), MatrixError> {
    let (Some(mapping), Some(key_set)) = (&answer.mapping, &answer.key_set) else { return Err(SETUP("a mapping")) };
    let mapping = UnverifiedMapping::parse(&mapping.0).map_err(|_| SETUP("a mapping that parses"))?;
    let key_set = UnverifiedKeySet::parse(&key_set.0).map_err(|_| SETUP("a key set that parses"))?;
    Ok((mapping, key_set.verify().map_err(|_| SETUP("a key set that holds"))?))
}

pub(super) fn verified(answer: &LookupAnswer, key: &VerifyingKey) -> Result<VerifiedMapping, MatrixError> {
    let (mapping, key_set) = parts_of(answer)?;
    mapping.verify(key, &key_set).map_err(|_| SETUP("a mapping that holds"))
}

/// What a third party makes of the newest evidence that a phone exports, from its bytes and the broker's key alone.
pub(super) async fn judged(phone: &Phone) -> Result<String, MatrixError> {
    let Some(newest) = phone.client.broker_evidence().await?.into_iter().max_by_key(|evidence| evidence.id) else {
        return Ok("no evidence".to_owned());
    };
    let (key, bytes) = phone.client.export_evidence(newest.id).await?;
    let key = VerifyingKey::from_bytes(key.as_bytes()).map_err(|_| SETUP("the broker's key"))?;
    let evidence = Evidence::parse(&bytes).map_err(|_| SETUP("evidence that parses"))?;
    Ok(match evidence.check(&key) {
        Ok(finding) => finding.as_str().to_owned(),
        Err(error) => error.code().to_owned(),
    })
}
