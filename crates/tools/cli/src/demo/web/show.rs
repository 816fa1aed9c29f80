//! The scene as the page sees it, and what can be done to it.
//!
//! One task looks at the scene several times a second ([`Show::watch`]), writes down what it sees as JSON, and wakes whoever reads when
//! that is something new. Streams read the newest state, so one that is slow misses only what has passed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rcseal_client::ClientError;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::plain::{PlainError, PlainSender};
use rcseal_engine::policy::{
    DeliveryMode, EntryKind, Explanation, FallbackPolicy, PolicyScope, Reason, RoutePreference, Subject,
};
use rcseal_engine::send::SendError;
use rcseal_sim::carrier::StandardPhone;
use rcseal_sim::data::{CarrierProfile, World};
use rcseal_sim::story::in_an_hour;
use rcseal_wire::id::MessageId;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{RwLock, watch};
use tokio::time::sleep;

use super::wire::{Log, at_carrier, at_relay};
use crate::demo::carrier::scene::{CAROL_NUMBER, PAGE, Phone, Scene, phone_number};
use crate::demo::stage::StepError;

/// Between two looks at the scene: soon enough to look live, seldom enough for a laptop.
const PAUSE: Duration = Duration::from_millis(100);
const READABLE: DeliveryMode = DeliveryMode::CarrierReadable;

/// Somebody on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Who {
    /// Has a client of ours.
    Alice,
    /// Has a client of ours.
    Bob,
    /// Has standard messaging only.
    Carol,
}

/// What the page can do.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Act {
    /// Somebody writes to somebody.
    Say { who: Who, to: Who, text: String },
    /// Both phones, and Carol's, go to another carrier.
    Carrier { name: String },
    /// Alice's and Bob's fallback policy.
    Policy { value: String },
    /// The way that Alice and Bob prefer.
    Route { value: String },
    /// Alice's word that Carol has no encryption, and her leave that the carrier reads what she writes to her; or both taken back.
    Consent { value: bool },
}

struct Stage {
    scene: Scene,
    carol: Arc<StandardPhone>,
    seed: u64,
}

/// What Carol's phone has shown on carriers before, and what she wrote.
#[derive(Default)]
struct Seen {
    carol: Vec<Value>,
    carol_read: usize,
    carrier_read: usize,
    relay_read: usize,
    log: Log,
    state: Arc<Value>,
}

/// The show.
pub(super) struct Show {
    stage: RwLock<Stage>,
    world: World,
    safety_number: String,
    seen: Mutex<Seen>,
    changes: watch::Sender<u64>,
}

fn malformed(what: &str) -> StepError {
    StepError::NotShown { what: what.to_owned() }
}

impl Show {
    /// A show of this scene.
    pub(super) async fn new(scene: Scene, seed: u64) -> Result<Arc<Self>, StepError> {
        let world = World::load().map_err(|_| malformed("the carriers"))?;
        let carol_number = phone_number(CAROL_NUMBER)?;
        scene.alice.client.open_thread(carol_number.clone(), "Carol".to_owned()).await?;
        let safety_number = scene.alice.client.safety_number(scene.bob.account).await?.numeric();
        let carol = scene.carrier.attach_standard(&carol_number);
        let stage = RwLock::new(Stage { scene, carol, seed });
        let changes = watch::Sender::new(0);
        let show = Arc::new(Self { stage, world, safety_number, seen: Mutex::default(), changes });
        show.look().await?;
        Ok(show)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts up when there is something new to read.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The newest state, what passed after the entry of this number, and the number of the newest.
    pub(super) fn read(&self, after: u64) -> (Arc<Value>, Vec<Arc<Value>>, u64) {
        let seen = self.seen();
        let (wire, newest) = seen.log.after(after);
        (Arc::clone(&seen.state), wire, newest)
    }

    /// Looks for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(event = "look_failed", error = %crate::demo::explain(&error));
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends it: phones, relay, and what they have on disk.
    pub(super) async fn end(self) {
        drop(self.stage.into_inner().scene.end().await);
    }

    /// Looks once.
    async fn look(&self) -> Result<(), StepError> {
        let stage = self.stage.read().await;
        let state = self.state(&stage).await?;
        let name = |number: &str| name_of(&stage.scene, number);
        let mut seen = self.seen();
        let before = seen.log.after(u64::MAX).1;
        for entry in stage.scene.carrier.record().get(seen.carrier_read..).unwrap_or_default() {
            seen.carrier_read += 1;
            seen.log.add(at_carrier(entry, name));
        }
        for submission in stage.scene.submissions(seen.relay_read) {
            seen.relay_read += 1;
            seen.log.add(at_relay(&submission));
        }
        let shown = stage.carol.shown();
        for shown in shown.borrow().get(seen.carol_read..).unwrap_or_default() {
            seen.carol_read += 1;
            let from = shown.from.as_ref().map_or("somebody".to_owned(), |number| name(number.as_str()));
            seen.carol.push(json!({ "mine": false, "from": from, "text": shown.text }));
        }
        let mut state = state;
        state["carol"]["messages"] = seen.carol.clone().into();
        if *seen.state != state || seen.log.after(u64::MAX).1 != before {
            seen.state = Arc::new(state);
            drop(seen);
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    async fn state(&self, stage: &Stage) -> Result<Value, StepError> {
        let scene = &stage.scene;
        let carol = phone_number(CAROL_NUMBER)?;
        let profile = scene.carrier.profile();
        let alice = &scene.alice.client;
        let policy = alice.fallback_policy(PolicyScope::Account).await?.unwrap_or(FallbackPolicy::Block);
        let route = alice.route_preference(Subject::Conversation(scene.conversation)).await?;
        let towards_carol = alice.explain(Subject::Number(NumberKey::of(&carol))).await?;
        let consent = towards_carol.inputs.absence.is_some();
        Ok(json!({
            "carrier": { "name": profile.name, "what": profile.what },
            "carriers": self.world.carriers.iter().map(carrier).collect::<Vec<_>>(),
            "policy": policy.as_str(),
            "route": route.as_str(),
            "consent": consent,
            "safety_number": self.safety_number,
            "alice": self.phone(scene, &scene.alice, &scene.bob).await?,
            "bob": self.phone(scene, &scene.bob, &scene.alice).await?,
            "carol": { "number": carol.as_str() },
            "thread": { "messages": thread(&scene.alice, &carol).await?, "next": explanation(&towards_carol) },
        }))
    }

    async fn phone(&self, scene: &Scene, phone: &Phone, other: &Phone) -> Result<Value, StepError> {
        let next = phone.client.explain(Subject::Conversation(scene.conversation)).await?;
        let fallbacks = fallbacks(phone).await?;
        let mut messages = Vec::new();
        for (message, text) in phone.texts(scene.conversation).await? {
            let reason = match (message.is_outgoing, fallbacks.get(&message.id)) {
                (false, _) => None,
                (true, Some(reason)) => Some(*reason),
                (true, None) => phone.client.decision_of(message.id).await?.map(|stored| stored.decision.reason),
            };
            messages.push(json!({
                "id": message.id.to_string(),
                "mine": message.is_outgoing,
                "text": text,
                "mode": message.encryption.mode().as_str(),
                "state": message.state.as_str(),
                "reason": reason.map(Reason::code),
                "reason_text": reason.map(Reason::text),
            }));
        }
        // What came readable from the other's number is never in the conversation.
        let plain = phone.client.plain_messages(other.number.clone(), None, PAGE).await?;
        let strangers: Vec<Value> =
            plain.iter().rev().map(|it| json!({ "text": it.words, "mode": it.mode.as_str() })).collect();
        Ok(json!({
            "name": phone.name,
            "number": phone.number.as_str(),
            "messages": messages,
            "readable": strangers,
            "next": explanation(&next),
        }))
    }

    /// Does something; what a person has to be told beside what shows is in the answer.
    pub(super) async fn act(&self, act: Act) -> Result<Value, StepError> {
        let answer = match act {
            Act::Carrier { name } => self.change_carrier(&name).await?,
            Act::Say { who, to, text } => self.say(who, to, text).await?,
            Act::Policy { value } => {
                let policy = FallbackPolicy::parse(&value).ok_or_else(|| malformed("a policy"))?;
                let stage = self.stage.read().await;
                for phone in [&stage.scene.alice, &stage.scene.bob] {
                    phone.client.set_fallback_policy(PolicyScope::Account, Some(policy)).await?;
                }
                json!({})
            }
            Act::Route { value } => {
                let route = RoutePreference::parse(&value).ok_or_else(|| malformed("a route"))?;
                let stage = self.stage.read().await;
                for phone in [&stage.scene.alice, &stage.scene.bob] {
                    phone.client.set_route_preference(None, Some(route)).await?;
                }
                json!({})
            }
            Act::Consent { value } => self.consent(value).await?,
        };
        self.look().await?;
        Ok(answer)
    }

    async fn change_carrier(&self, name: &str) -> Result<Value, StepError> {
        let profile = self.world.carrier(name).map_err(|_| malformed("a carrier of this name"))?.clone();
        // What the old carrier saw is written down before it is gone.
        self.look().await?;
        let mut stage = self.stage.write().await;
        let seed = stage.seed;
        stage.scene.change_carrier(profile, seed).await?;
        stage.carol = stage.scene.carrier.attach_standard(&phone_number(CAROL_NUMBER)?);
        let mut seen = self.seen();
        (seen.carol_read, seen.carrier_read) = (0, 0);
        Ok(json!({}))
    }

    async fn consent(&self, value: bool) -> Result<Value, StepError> {
        let stage = self.stage.read().await;
        let client = &stage.scene.alice.client;
        let carol = phone_number(CAROL_NUMBER)?;
        if value {
            client.attest_absence(carol.clone(), in_an_hour()).await?;
            client.give_consent(Subject::Number(NumberKey::of(&carol)), READABLE, in_an_hour()).await?;
        } else {
            client.withdraw_attestation(carol).await?;
            for consent in client.consents().await?.iter().filter(|consent| consent.withdrawn_at.is_none()) {
                client.withdraw_consent(consent.id).await?;
            }
        }
        Ok(json!({}))
    }

    async fn say(&self, who: Who, to: Who, text: String) -> Result<Value, StepError> {
        let stage = self.stage.read().await;
        let Stage { scene, carol, .. } = &*stage;
        let refused = |reason: Reason| json!({ "refused": { "code": reason.code(), "text": reason.text() } });
        match (who, to) {
            (Who::Alice, Who::Bob) | (Who::Bob, Who::Alice) => {
                let phone = if who == Who::Alice { &scene.alice } else { &scene.bob };
                match phone.client.send_text(scene.conversation, text).await {
                    Ok(_) => Ok(json!({})),
                    Err(ClientError::Send(SendError::Refused(stored))) => Ok(refused(stored.decision.reason)),
                    Err(error) => Err(error.into()),
                }
            }
            (Who::Alice, Who::Carol) => match scene.alice.client.send_plain(phone_number(CAROL_NUMBER)?, text).await {
                Ok(_) => Ok(json!({})),
                Err(ClientError::Plain(PlainError::Refused(stored))) => Ok(refused(stored.decision.reason)),
                Err(error) => Err(error.into()),
            },
            (Who::Carol, Who::Alice) => {
                let told = carol.send_text(&scene.alice.number, &text).await;
                self.seen().carol.push(json!({ "mine": true, "text": text }));
                Ok(match told {
                    Ok(_) => json!({}),
                    Err(failure) => json!({ "refused": { "code": failure.code(), "text": failure.to_string() } }),
                })
            }
            _ => Err(malformed("two who can write to each other")),
        }
    }
}

fn carrier(profile: &CarrierProfile) -> Value {
    json!({ "name": profile.name, "what": profile.what })
}

/// What the page calls a number.
fn name_of(scene: &Scene, number: &str) -> String {
    let known = [(&scene.alice.number, "Alice"), (&scene.bob.number, "Bob")];
    let found = known.into_iter().find(|(of, _)| of.as_str() == number).map(|(_, name)| name);
    found.unwrap_or(if number == CAROL_NUMBER { "Carol" } else { "somebody" }).to_owned()
}

/// How the next message would go, and why.
fn explanation(explained: &Explanation) -> Value {
    let decision = &explained.decision;
    json!({
        "mode": decision.mode().map(DeliveryMode::as_str),
        "reason": decision.reason.code(),
        "text": decision.reason.text(),
        "rule": explained.rule(),
        "inputs": explained.lines(),
    })
}

/// Messages that did not go the way that was decided.
async fn fallbacks(phone: &Phone) -> Result<HashMap<MessageId, Reason>, StepError> {
    let journal = phone.client.journal(0, 1000).await?;
    let fallbacks = journal.into_iter().filter(|entry| entry.kind == EntryKind::Fallback);
    Ok(fallbacks.filter_map(|entry| Some((entry.message?, entry.reason))).collect())
}

/// Alice's thread with Carol.
async fn thread(alice: &Phone, carol: &rcseal_rcs::number::PhoneNumber) -> Result<Vec<Value>, StepError> {
    let messages = alice.client.plain_messages(carol.clone(), None, PAGE).await?;
    let value = |message: rcseal_engine::plain::PlainMessageView| {
        json!({
            "id": message.id.to_string(),
            "mine": message.sender == PlainSender::Own,
            "text": message.words,
            "mode": message.mode.as_str(),
            "state": message.state.as_str(),
        })
    };
    Ok(messages.into_iter().rev().map(value).collect())
}
