//! The steps of the demo over a carrier: what goes end to end, what the journal and the record say, and what is on the relay's disk.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcseal_engine::UnixMillis;
use rcseal_engine::policy::JournalEntry;
use rcseal_report::Row;
use rcseal_sim::carrier::{Passing, shows};
use rcseal_sim::data::{CarrierProfile, Expectation};
use rcseal_sim::search::Search;
use rcseal_sim::story::words;

use super::readable;
use super::said::{Said, carrier_reads, many, say};
use super::scene::{LIMIT, PAGE, Scene, until};
use crate::demo::stage::{StepError, ensure};
use crate::demo::telling::Telling;

/// Lengths of what is said: a line, and more than a pager message of 1,300 bytes takes.
const SHORT: usize = 60;
const LONG: usize = 2_000;

/// Plays the whole story. The first step that does not hold ends it.
pub(super) async fn play(profile: CarrierProfile, seed: u64, telling: &mut Telling) -> Result<(), StepError> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut secret = Vec::new();

    telling.begin("scene_set", "a relay, two phones with a store of their own, and a number on the carrier for each");
    let scene = Scene::new(profile, seed).await?;
    telling.held(&format!(
        "Alice is {}, Bob is {}; the relay is {}",
        scene.alice.number.as_str(),
        scene.bob.number.as_str(),
        scene.origin()
    ));

    telling.begin("acquainted", "Bob invites Alice; they exchange a first message over the relay, and numbers");
    let ((first_mark, first), (answer_mark, answer)) = (words(&mut rng, SHORT), words(&mut rng, SHORT));
    scene.meet(&first, &answer).await?;
    secret.extend([first_mark, answer_mark]);
    let both = until(LIMIT, || scene.is_native()).await?;
    ensure(both, "two phones that know of each other that they take messages by the carrier")?;
    telling.held("inside the session each said that it takes encrypted messages at its number");

    telling.begin("said_both_ways", "each writes a short and a long message, and prefers the carrier");
    let said = both_ways(&scene, &mut rng, telling).await?;
    secret.extend(said.iter().map(|said| said.mark.clone()));
    let lost = said.iter().filter(|said| !said.arrived_once || !said.is_end_to_end).count();
    telling.promise(Row::equal("lost", lost as u64, "messages").goal(0));
    ensure(lost == 0, format!("every message once and end to end, but {lost} are not"))?;
    telling.held(&summary(&scene, &said)?);

    telling.begin("carrier_record", "everything that the carrier saw is searched for what was said");
    let readable = secret.iter().filter(|mark| carrier_reads(&scene.carrier, mark)).count();
    telling.promise(Row::equal("readable_unnamed", readable as u64, "messages").goal(0));
    ensure(readable == 0, format!("nothing readable, but {readable} are"))?;
    let record = scene.carrier.record();
    let bytes: usize = record.iter().map(|seen| seen.handed_in.body.len()).sum();
    telling.held(&format!(
        "{} of {bytes} bytes in all, read as they are, decompressed and out of base64: none of {} is there",
        many(record.len(), "message"),
        many(secret.len(), "text")
    ));

    let named = readable::play(&scene, &mut rng, telling).await?;

    telling.begin("journal", "what was not as wanted stands in its sender's journal, which is only ever added to");
    let entries = journal(&scene).await?;
    for entry in &entries {
        telling.say(&format!("      {entry}"));
    }
    let unexplained = said.iter().filter(|said| said.way != "native" && said.reason.is_none()).count();
    ensure(unexplained == 0, format!("a reason for each, but {unexplained} have none"))?;
    for phone in [&scene.alice, &scene.bob] {
        let summary = phone.client.journal_summary(UnixMillis(0)).await?;
        ensure(summary.is_unbroken, format!("an unbroken journal on {}'s side", phone.name))?;
    }
    telling.held(&format!("{} entries, each with a reason, in two unbroken chains", entries.len()));

    telling.begin("relay_disk", "what the relay was handed, and what its disk holds");
    let found = relay_disk(scene, &secret, &named).await?;
    telling.held(&found);
    Ok(())
}

async fn both_ways(scene: &Scene, rng: &mut StdRng, telling: &mut Telling) -> Result<Vec<Said>, StepError> {
    let (alice, bob) = (&scene.alice, &scene.bob);
    let mut all = Vec::new();
    for (from, to, len) in [(alice, bob, SHORT), (alice, bob, LONG), (bob, alice, SHORT), (bob, alice, LONG)] {
        let (mark, text) = words(rng, len);
        let said = say(scene, from, to, mark, text).await?;
        telling.message(&said.what, said.way, said.reason.map(|(code, _)| code), &said.carried);
        telling.say(&format!("      {}: {}", said.what, said.carried));
        telling.say(&format!(
            "        {}: {}",
            said.way,
            said.reason.map_or("end to end, as its sender prefers", |(_, text)| text)
        ));
        all.push(said);
    }
    Ok(all)
}

/// What is to become of messages by the carrier's profile, and what did.
fn summary(scene: &Scene, said: &[Said]) -> Result<String, StepError> {
    let native = said.iter().filter(|said| said.way == "native").count();
    match scene.carrier.profile().expect {
        Expectation::Native => ensure(native == said.len(), format!("all by the carrier, but {native} were"))?,
        Expectation::Relayed => ensure(native == 0, format!("all by the relay, but {native} went by the carrier"))?,
        Expectation::Either => {}
    }
    let confirmed = said.iter().filter(|said| said.is_confirmed).count();
    Ok(format!(
        "{} of {} arrived by the carrier, {} over the relay, each once and end to end; {confirmed} confirmed by the other device",
        native,
        said.len(),
        said.len() - native
    ))
}

async fn journal(scene: &Scene) -> Result<Vec<String>, StepError> {
    let mut lines = Vec::new();
    for phone in [&scene.alice, &scene.bob] {
        let entries = phone.client.journal(0, PAGE).await?;
        lines.extend(entries.iter().map(|entry| format!("{}: {}", phone.name, journal_line(entry))));
    }
    Ok(lines)
}

/// An entry of the journal for people.
pub(super) fn journal_line(entry: &JournalEntry) -> String {
    format!(
        "{} of {} to {}: {}",
        entry.kind.as_str(),
        entry.wanted.as_str(),
        entry.taken.map_or("nothing", |mode| mode.as_str()),
        entry.reason.text()
    )
}

/// Looks for everything that was said in what the relay was handed and in everything that it has stored.
async fn relay_disk(scene: Scene, secret: &[String], named: &[String]) -> Result<String, StepError> {
    let submissions = scene.submissions(0);
    let mailbox = submissions.first().map(|submission| submission.mailbox);
    let mailbox =
        mailbox.ok_or_else(|| StepError::NotShown { what: "anything that the relay was handed".to_owned() })?;
    let words = || secret.iter().chain(named);
    for submission in &submissions {
        let handed = Passing {
            from: rcseal_rcs::transport::Sender::Anonymous,
            content_type: String::new(),
            content_encoding: None,
            body: submission.envelope.clone(),
        };
        let leaks = words().filter(|mark| shows(&handed, mark.as_bytes())).count();
        ensure(leaks == 0, "no words in anything that the relay was handed")?;
    }
    // By now the carrier has written down everything that it saw.
    let late = secret.iter().filter(|mark| carrier_reads(&scene.carrier, mark)).count();
    ensure(late == 0, "nothing that was said end to end in the carrier's record")?;
    let mut search = Search::default();
    for mark in words() {
        search.add("words", mark.as_bytes());
    }
    search.add("a mailbox's id", mailbox.as_bytes());
    let folder = scene.end().await;
    let path = folder.path().to_owned();
    let found = tokio::task::spawn_blocking(move || search.run(&path)).await;
    let found = found.map_err(|_| StepError::NotShown { what: "a search that ends".to_owned() })??;
    ensure(found.hits.contains_key("a mailbox's id"), "a mailbox's id on the relay's disk, where it has to be")?;
    ensure(!found.hits.contains_key("words"), "no words on the relay's disk")?;
    Ok(format!(
        "{} in the relay's hands and {} files, {} kB on its disk hold none of {}; a mailbox's id was found, as it must be",
        many(submissions.len(), "envelope"),
        found.files,
        found.bytes / 1000,
        many(secret.len() + named.len(), "text")
    ))
}
