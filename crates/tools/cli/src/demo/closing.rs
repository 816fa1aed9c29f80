//! The end of the demo: what is on the relay's disk, and who could read what.

use super::attack::middle;
use super::evidence::Evidence;
use super::inside::Inside;
use super::stage::{Stage, StepError, ensure};
use super::story::{Cast, STILL_WAITING};

/// Looks for everything that was said and every secret in everything the relay has stored.
pub(super) async fn relay_disk(stage: &Stage, cast: &Cast, evidence: &mut Evidence) -> Result<String, StepError> {
    // One message is waiting while the disk is searched.
    stage.run(&cast.alice, &["send", "Bob", STILL_WAITING]).await?;
    evidence.learn_text(STILL_WAITING);
    for phone in [&cast.alice, &cast.bob, &cast.tablet] {
        evidence.learn_secrets(phone)?;
    }
    let bob = Inside::open(&cast.bob)?;
    let (waiting, _) = bob.authenticated()?.fetch().await?;
    let envelope = waiting.last().ok_or_else(|| StepError::NotShown { what: "an envelope that waits".to_owned() })?;
    evidence.learn_control("envelope that waits", middle(&envelope.envelope));
    evidence.learn_control("Bob's mailbox id", bob.account()?.mailbox.as_bytes());
    drop(bob);

    let search = evidence.search();
    let found = search.run(&stage.relay_folder())?;
    let controls: Vec<&str> = evidence.controls().collect();
    for control in &controls {
        ensure(found.hits.contains_key(*control), format!("{control} on the relay's disk, where it has to be"))?;
    }
    let leaks: Vec<String> = found
        .hits
        .iter()
        .filter(|(name, _)| !controls.contains(&name.as_str()))
        .map(|(name, path)| format!("{name} in {}", path.display()))
        .collect();
    ensure(leaks.is_empty(), format!("nothing readable on the relay's disk, but there is: {}", leaks.join(", ")))?;
    let (words, photo, secrets) = evidence.counts();
    Ok(format!(
        "{} files, {} kB searched for {words} texts and names, {photo} pieces of the photo and {secrets} secret keys, in {} forms\n      \
         (as they are, in hex, in base64): none is there. What has to be there was found:\n      {}",
        found.files,
        found.bytes / 1000,
        search.forms_len(),
        controls.join(", ")
    ))
}

/// Who could read what, by what was shown and by what a relay cannot help seeing.
pub(super) const WHO_READS_WHAT: &str = "\
Who could read what

                                     their devices   the relay, its disk and its operator
  texts, captions, reactions         yes             no
  the photo and its thumbnail        yes             no; the size of the ciphertext, to within 12 %
  names, who is a contact of whom    yes             no
  the private keys of a device       that device     no
  who wrote a message                yes             not named; the network address it came from
  which mailbox it is for            yes             yes
  when, and how much                 yes             yes; sizes in buckets
  an account's devices, public keys  yes             yes: it is their directory

  Not shown here: what a relay can conclude from timing and network addresses, and what a stolen phone gives away
  (docs/threat-model.md). Nothing here has been audited.";
