//! The end: receipts, who could read what, and the search of everything that stands between the two.

use rcseal_sim::search::Search;

use super::scene::Scene;
use super::story::{Said, promise};
use crate::demo::carrier::said::many;
use crate::demo::stage::{StepError, ensure};
use crate::demo::telling::Telling;

/// Who could read what, by what was shown and by what the protocols cannot help.
pub(super) const WHO_READS_WHAT: &str = "\
Who could read what

                                     Alice and the   provider (fake)   broker           relay
                                     business        and carrier
  what the agent says, her answers   yes             yes               yes              no
  the card, its link included        yes             yes               yes              no; opens one case once
  that the card was tapped           yes             yes               yes              no
  what is said in the app            yes             no                no               no
  the SMS of a fall-back             yes             yes               yes              no; sealed to her device
  one-time codes                     yes             yes               yes              no
  her phone number                   yes             yes               yes              no
  which account has the number       yes             no                yes              its account, not the number
  which mailbox, when, how much      yes             no                for the number   yes; sizes in buckets

  The provider and the SMS network of this story are fakes on this machine. Nothing here has been audited.";

/// Prints them; answers a summary.
pub(super) fn receipts(said: &Said, telling: &Telling) -> Result<String, StepError> {
    telling.say(&format!("      {:<22} {:<18} {:<17} {}", "message", "channel", "state", "read on the way by"));
    for receipt in &said.receipts {
        telling.message(&receipt.what, &receipt.channel, None, &receipt.state);
        telling.say(&format!(
            "      {:<22} {:<18} {:<17} {}",
            receipt.what, receipt.channel, receipt.state, receipt.readers
        ));
    }
    let unnamed = said.receipts.iter().filter(|receipt| receipt.channel == "not known").count();
    ensure(unnamed == 0, "a channel for each message")?;
    Ok(format!("{}, each with the channel that carried it", many(said.receipts.len(), "receipt")))
}

/// How many marks the provider or the SMS network could read.
pub(super) fn seen_outside(scene: &Scene, marks: &[String]) -> usize {
    let mut seen: Vec<String> = scene.provider.messages().iter().map(|message| message.body.to_string()).collect();
    seen.extend(scene.provider.events().iter().map(|(_, event)| event.to_string()));
    seen.extend(scene.network.all().iter().map(super::network::Sms::words));
    marks.iter().filter(|mark| seen.iter().any(|text| text.contains(*mark))).count()
}

/// Looks for everything that was said end to end wherever it went by.
pub(super) async fn search(scene: Scene, said: &Said, link: &str, telling: &mut Telling) -> Result<String, StepError> {
    let outside = seen_outside(&scene, &said.secret);
    let readable = seen_outside(&scene, &said.open);
    ensure(readable > 0, "what the agent said at the provider, where it has to be")?;
    let mut broker = Search::default();
    let mut relay = Search::default();
    for mark in &said.secret {
        broker.add("end to end", mark.as_bytes());
        relay.add("end to end", mark.as_bytes());
    }
    for mark in &said.open {
        broker.add("readable", mark.as_bytes());
        relay.add("readable", mark.as_bytes());
    }
    let secret_part = link.split_once('#').map_or(link, |(_, secret)| secret);
    relay.add("link", secret_part.as_bytes());
    let mailbox = scene.customer.client.account().await?;
    let mailbox = mailbox.ok_or_else(|| StepError::NotShown { what: "an account".to_owned() })?.mailbox;
    relay.add("mailbox", mailbox.as_bytes());
    let (relay_folder, broker_folder) = scene.end().await;
    let (at_relay, at_broker) = (relay_folder.path().to_owned(), broker_folder.path().to_owned());
    let found =
        tokio::task::spawn_blocking(move || Ok::<_, std::io::Error>((relay.run(&at_relay)?, broker.run(&at_broker)?)));
    let found = found.await.map_err(|_| StepError::NotShown { what: "a search that ends".to_owned() })?;
    let (at_relay, at_broker) = found?;
    // A search that finds what has to be there is one that finds.
    ensure(at_relay.hits.contains_key("mailbox"), "a mailbox's id on the relay's disk, where it has to be")?;
    ensure(at_broker.hits.contains_key("readable"), "what the agent said on the broker's disk, where it has to be")?;
    let leaks = [&at_relay, &at_broker].iter().filter(|found| found.hits.contains_key("end to end")).count();
    promise(telling, "end_to_end_found_elsewhere", (outside + leaks) as u64, "places", 0);
    ensure(outside + leaks == 0, "nothing of what was said end to end anywhere between the two")?;
    ensure(!at_relay.hits.contains_key("readable"), "nothing of what the agent said on the relay's disk")?;
    ensure(!at_relay.hits.contains_key("link"), "no link on the relay's disk")?;
    Ok(format!(
        "{} of the app: none at the provider or the SMS network, none on the broker's disk ({} files, {} kB) or the relay's\n      \
         ({} files, {} kB). What has to be there was found: the agent's words at the broker, a mailbox's id at the relay",
        many(said.secret.len(), "text"),
        at_broker.files,
        at_broker.bytes / 1000,
        at_relay.files,
        at_relay.bytes / 1000
    ))
}
