//! Attempts on mappings and look-ups.

use std::time::{SystemTime, UNIX_EPOCH};

use rcseal_client::client::CarrierOptions;
use rcseal_credential::mapping::{
    Grounds, LIFETIME_MS_MAX, Mapping, SignedStatement, UnverifiedMapping, VerifiedMapping,
};
use rcseal_crypto::ed25519::SigningKey;
use rcseal_engine::capability::NumberKey;
use rcseal_engine::number::LookupResult;
use rcseal_engine::policy::{DeliveryMode, FallbackPolicy, PolicyScope, Subject};
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::Base64;
use rcseal_wire::api::broker::{LookupAnswer, LookupInvitation, LookupOutcome, MappingHead};

use super::Attempt;
use super::stage::{Acquainted, Stage, judged, parts_of, verified};
use crate::matrix::{MatrixError, Phone};
use crate::story::in_an_hour;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Numbers of grounds, as `docs/protocol/mapping.md` has them.
const FIRST: u8 = 1;
const RECYCLED: u8 = 5;
/// The key of another broker.
const OTHER_KEY: [u8; 32] = [78; 32];

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn broken(what: &'static str) -> MatrixError {
    MatrixError::Setup { what }
}

/// What a phone makes of a look-up.
async fn noticed(phone: &Phone, number: &PhoneNumber) -> Result<String, MatrixError> {
    Ok(match phone.client.look_up_number(number).await? {
        LookupResult::Refused(refusal) => refusal.finding.code().to_owned(),
        LookupResult::Found(_) => "taken for true".to_owned(),
        LookupResult::Absent => "absent".to_owned(),
        LookupResult::Undiscoverable => "undiscoverable".to_owned(),
        LookupResult::KeySetNeeded { .. } => "asked further".to_owned(),
    })
}

/// The same with the stable code of the cause.
async fn noticed_why(phone: &Phone, number: &PhoneNumber) -> Result<String, MatrixError> {
    Ok(match phone.client.look_up_number(number).await? {
        LookupResult::Refused(refusal) => format!("{}: {}", refusal.finding.code(), refusal.code),
        _ => "taken for true".to_owned(),
    })
}

/// The layout of a mapping by hand, for what the code of an honest broker does not sign.
fn forged(key: &SigningKey, statement: &[u8], kind: u8, made: u64, expires: u64) -> Result<Vec<u8>, MatrixError> {
    let len = u16::try_from(statement.len()).map_err(|_| broken("a statement of a possible length"))?;
    let mut bytes = vec![1];
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(statement);
    bytes.extend_from_slice(&[kind, 0, 0]);
    bytes.extend_from_slice(&made.to_be_bytes());
    bytes.extend_from_slice(&expires.to_be_bytes());
    let signature = key.sign(&[b"rcseal/number-mapping/v1", &bytes]);
    bytes.extend_from_slice(signature.as_bytes());
    Ok(bytes)
}

/// An answer that shows another mapping, and everything that belongs to it.
fn showing(mapping: Vec<u8>, of: &LookupAnswer) -> LookupAnswer {
    LookupAnswer { mapping: Some(Base64(mapping)), ..of.clone() }
}

fn nothing(answer: LookupOutcome, proof: Option<Base64>) -> LookupAnswer {
    LookupAnswer { answer, mapping: None, key_set: None, invitation: None, proof, padding: String::new() }
}

/// Somebody who plays with the broker: an account, and what the broker would show of it.
struct Colluding {
    phone: Phone,
    answer: LookupAnswer,
}

async fn colluding(stage: &Stage) -> Result<Colluding, MatrixError> {
    let phone = stage.somebody("Mallory").await?;
    stage.bind(&phone).await?;
    phone.client.look_up_number(&phone.number).await?;
    let answer = stage.lies.told().seen_lookup.clone().ok_or(broken("an answer"))?;
    Ok(Colluding { phone, answer })
}

/// Countersigns what Mallory says of Ada's number, after `before`.
fn countersigned(
    stage: &Stage,
    mallory: &Colluding,
    statement: &[u8],
    before: Option<&VerifiedMapping>,
    grounds: Grounds,
) -> Result<LookupAnswer, MatrixError> {
    let (_, key_set) = parts_of(&mallory.answer)?;
    let statement = SignedStatement::parse(statement).map_err(|_| broken("a statement that parses"))?;
    let statement = statement.verify(&key_set).map_err(|_| broken("a statement that holds"))?;
    let now = now_ms();
    let made = Mapping::countersign(&stage.key, before, statement, grounds, now, now + LIFETIME_MS_MAX)
        .map_err(|error| MatrixError::Relay(Box::new(error)))?;
    Ok(showing(made.as_bytes().to_vec(), &mallory.answer))
}

fn head_of(mapping: &UnverifiedMapping) -> MappingHead {
    MappingHead { sequence: mapping.sequence(), hash: mapping.hash() }
}

pub(super) async fn play(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    let mut attempts = shown_wrong(stage).await?;
    attempts.extend(forks(stage).await?);
    attempts.extend(given_away(stage).await?);
    attempts.extend(silence(stage).await?);
    stage.lies.stop();
    Ok(attempts)
}

/// Mappings that are old, of somebody else, altered, of another key, ended.
async fn shown_wrong(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    let mut attempts = Vec::new();
    let Acquainted { ada, bob, answer, .. } = stage.acquainted().await?;
    let mallory = colluding(stage).await?;
    let lie = |answer: LookupAnswer| stage.lies.told().lookup = Some(answer);

    lie(mallory.answer.clone());
    let how = noticed_why(&bob, &ada.number).await?;
    attempts.push(Attempt::new(
        "swap_another_numbers_mapping",
        format!("contact: {how}"),
        "contact: broker_swapped: mapping_other_number",
    ));

    let swapped = LookupInvitation {
        account: mallory.phone.account,
        ..mallory.answer.invitation.clone().ok_or(broken("an invitation"))?
    };
    lie(LookupAnswer { invitation: Some(swapped), ..answer.clone() });
    let how = noticed(&bob, &ada.number).await?;
    attempts.push(Attempt::new("swap_the_invitation", format!("contact: {how}"), "contact: broker_swapped"));

    let mut altered = answer.mapping.clone().ok_or(broken("a mapping"))?.0;
    if let Some(last) = altered.last_mut() {
        *last ^= 1;
    }
    lie(showing(altered, &answer));
    let how = noticed_why(&bob, &ada.number).await?;
    attempts.push(Attempt::new(
        "alter_a_mapping",
        format!("contact: {how}"),
        "contact: mapping_invalid: mapping_broker_signature",
    ));

    let (honest, _) = parts_of(&answer)?;
    let statement = honest.signed_statement().as_bytes();
    let now = now_ms();
    lie(showing(forged(&SigningKey::from_seed(OTHER_KEY), statement, FIRST, now, now + DAY_MS)?, &answer));
    let how = noticed_why(&bob, &ada.number).await?;
    attempts.push(Attempt::new(
        "sign_with_another_key",
        format!("contact: {how}"),
        "contact: mapping_invalid: mapping_broker_signature",
    ));

    // Ada signed the statement moments ago: a mapping that has ended must have been made before, and says so.
    lie(showing(forged(&stage.key, statement, FIRST, now, now + 1)?, &answer));
    let how = noticed_why(&bob, &ada.number).await?;
    attempts.push(Attempt::new(
        "show_a_mapping_that_has_ended",
        format!("contact: {how}"),
        "contact: mapping_invalid: mapping_expired",
    ));

    stage.lies.stop();
    stage.bind(&ada).await?;
    if noticed(&bob, &ada.number).await? != "taken for true" {
        return Err(broken("a mapping that was renewed"));
    }
    lie(answer.clone());
    let how = noticed(&bob, &ada.number).await?;
    attempts.push(Attempt::new("roll_a_mapping_back", format!("contact: {how}"), "contact: broker_rolled_back"));
    let how = noticed(&ada, &ada.number).await?;
    attempts.push(Attempt::new("roll_back_before_the_holder", format!("holder: {how}"), "holder: broker_rolled_back"));
    Ok(attempts)
}

/// Two mappings for one place.
async fn forks(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    let mut attempts = Vec::new();
    let Acquainted { ada, bob, .. } = stage.acquainted().await?;
    let mallory = colluding(stage).await?;
    // Mallory is told that nobody had the number, and the broker countersigns.
    let statement = stage.statement_of(&mallory.phone, &ada.number, None).await?;
    let fork = countersigned(stage, &mallory, &statement, None, Grounds::First)?;
    stage.lies.told().lookup = Some(fork.clone());
    let how = noticed(&bob, &ada.number).await?;
    attempts.push(Attempt::new("fork_before_a_contact", format!("contact: {how}"), "contact: broker_forked"));
    attempts.push(Attempt::new(
        "fork_as_a_third_party_sees_it",
        format!("anybody: {}", judged(&bob).await?),
        "anybody: forked",
    ));
    let how = noticed(&ada, &ada.number).await?;
    attempts.push(Attempt::new("fork_before_the_holder", format!("holder: {how}"), "holder: broker_forked"));
    attempts.push(Attempt::new(
        "fork_evidence_of_the_holder",
        format!("anybody: {}", judged(&ada).await?),
        "anybody: forked",
    ));

    // Carl never heard of Ada. Nothing contradicts what he is shown, until a log or a safety number does.
    let carl = stage.somebody("Carl").await?;
    let how = noticed(&carl, &ada.number).await?;
    attempts.push(Attempt::new("first_contact_with_a_colluding_account", how, "taken for true"));
    Ok(attempts)
}

/// A number that goes to somebody else by the broker's word.
async fn given_away(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    let mut attempts = Vec::new();
    let Acquainted { ada, bob, answer, .. } = stage.acquainted().await?;
    let mallory = colluding(stage).await?;
    let before = verified(&answer, &stage.key.verifying_key())?;
    let statement = stage.statement_of(&mallory.phone, &ada.number, Some(head_of(before.unverified()))).await?;

    // "Recycled", though the mapping before is in force.
    let now = now_ms();
    stage.lies.told().lookup =
        Some(showing(forged(&stage.key, &statement, RECYCLED, now, now + DAY_MS)?, &mallory.answer));
    let how = noticed(&bob, &ada.number).await?;
    attempts.push(Attempt::new(
        "give_a_number_away_without_grounds",
        format!("contact: {how}"),
        "contact: broker_swapped",
    ));
    attempts.push(Attempt::new(
        "groundless_as_a_third_party_sees_it",
        format!("anybody: {}", judged(&bob).await?),
        "anybody: groundless",
    ));

    // "Ported": nobody can check that, and it is shown to everybody concerned.
    let ported = countersigned(stage, &mallory, &statement, Some(&before), Grounds::Ported)?;
    stage.lies.told().lookup = Some(ported);
    let how = noticed(&ada, &ada.number).await?;
    attempts.push(Attempt::new("give_a_number_away_as_ported", format!("holder: {how}"), "holder: broker_swapped"));
    bob.client.look_up_number(&ada.number).await?;
    let number = bob.client.contact_number(ada.account).await?.number;
    let how = if number.is_none() { "the number is hers no more, and changed" } else { "nothing" };
    attempts.push(Attempt::new(
        "contacts_of_a_number_given_away",
        format!("contact: {how}"),
        "contact: the number is hers no more, and changed",
    ));
    Ok(attempts)
}

/// Saying nothing, and saying that there is nobody.
async fn silence(stage: &Stage) -> Result<Vec<Attempt>, MatrixError> {
    let mut attempts = Vec::new();
    let Acquainted { ada, bob, conversation, .. } = stage.acquainted().await?;
    // Ada's devices name the mapping that she signed, as those do that take messages by the broker: silence contradicts their word.
    let options = CarrierOptions::by_broker(ada.number.clone());
    ada.client.attach_broker_with(stage.broker()?.origin(), options).await?;
    stage.say(&ada, &bob, conversation).await?;
    stage.lies.told().lookup = Some(nothing(LookupOutcome::Absent, None));
    bob.client.look_up_number(&ada.number).await?;
    let how = bob.client.broker_evidence().await?.last().map_or("nothing", |evidence| evidence.finding.code());
    attempts.push(Attempt::new("withhold_from_a_contact", format!("contact: {how}"), "contact: broker_withholds"));
    let how = noticed(&ada, &ada.number).await?;
    attempts.push(Attempt::new("withhold_from_the_holder", format!("holder: {how}"), "holder: broker_withholds"));

    // A stranger to Ada: silence is no evidence, whatever is called a proof.
    let carl = stage.somebody("Carl").await?;
    let subject = Subject::Number(NumberKey::of(&ada.number));
    carl.client.open_thread(ada.number.clone(), "Ada".to_owned()).await?;
    carl.client.set_fallback_policy(PolicyScope::Account, Some(FallbackPolicy::Downgrade)).await?;
    for (id, proof) in [("withhold_from_a_stranger", None), ("forge_an_absence", Some(Base64(vec![1; 64])))] {
        stage.lies.told().lookup = Some(nothing(LookupOutcome::Absent, proof));
        carl.client.look_up_number(&ada.number).await?;
        // Where this device has no way to send readable words the consent is refused, which is stricter still.
        let _ = carl.client.give_consent(subject, DeliveryMode::Sms, in_an_hour()).await;
        let decision = carl.client.explain(subject).await?.decision;
        let how = if decision.mode().is_some() { "sent" } else { "not sent" };
        attempts.push(Attempt::new(
            id,
            format!("policy: {how}, {}", decision.reason.code()),
            "policy: not sent, capability_unknown",
        ));
    }
    Ok(attempts)
}
