//! A clock that is set back, by hours, by days, and to before there was an account.

use rcseal_client::ClientError;
use rcseal_client::store::Store;
use rcseal_engine::outbox::Via;
use rcseal_engine::{Engine, UnixMillis};
use rcseal_wire::content::Body;
use rcseal_wire::frame::SubmitStatus;

use crate::support::acquainted::introduced;
use crate::support::{open_ready, vault};

const HOUR_MS: u64 = 3600 * 1000;

fn at<T, E: Into<ClientError>>(
    store: &Store,
    now: UnixMillis,
    operation: impl FnOnce(&mut Engine<'_>) -> Result<T, E>,
) -> T {
    store.run(|tx| operation(&mut Engine::new(tx, now, &mut rand::rng())).map_err(Into::into)).unwrap()
}

#[test]
fn a_clock_that_is_set_back_loses_nothing_repeats_nothing_and_keeps_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let ([ada, bob], conversation) = introduced(folder.path());
    let (adas, bobs) =
        (open_ready(&ada.folder, &vault(&ada.vault, "pass")), open_ready(&bob.folder, &vault(&bob.vault, "pass")));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(since.as_millis()).unwrap();
    // Each is queued at one time and leaves at an earlier one; the last is before either account was made.
    let times = [now, now - 3 * HOUR_MS, now - 5 * 24 * HOUR_MS, now - 400 * 24 * HOUR_MS];
    let mut words = Vec::new();
    for (n, pair) in times.windows(2).enumerate() {
        let (queued, leaves) = (UnixMillis(pair[0]), UnixMillis(pair[1]));
        let text = format!("words {n}");
        at(&adas, queued, |engine| {
            engine.send(conversation, Body::Text(text.clone()), None).map_err(ClientError::from)
        });
        words.push(text);
        assert!(at(&adas, leaves, |engine| engine.poll_outbox_timeout()).unwrap() <= leaves, "it is due at once");
        let outgoing = at(&adas, leaves, |engine| engine.poll_outbox(64));
        assert_eq!(outgoing.len(), 1, "{n}");
        for outgoing in outgoing {
            let Via::Relay { submit, .. } = outgoing.via else { panic!("there is no carrier") };
            at(&bobs, leaves, |engine| engine.handle_envelope(submit.id, &submit.envelope));
            at(&adas, leaves, |engine| engine.handle_submitted(outgoing.number, SubmitStatus::Stored));
        }
        // Nothing leaves twice, neither by this clock nor by one that is right again.
        for again in [leaves, UnixMillis(now), UnixMillis(now + HOUR_MS)] {
            assert!(at(&adas, again, |engine| engine.poll_outbox(64)).is_empty());
        }
    }
    let texts = |store: &Store, is_outgoing: bool| {
        let messages = at(store, UnixMillis(now), |engine| engine.messages(conversation, None, 100));
        let mut texts: Vec<String> = Vec::new();
        for message in messages.iter().rev().filter(|message| message.is_outgoing == is_outgoing) {
            if let Some(Body::Text(text)) = message.content.as_ref().map(|content| content.body()) {
                texts.extend(text.starts_with("words").then(|| text.clone()));
            }
        }
        texts
    };
    assert_eq!(texts(&adas, true), words);
    assert_eq!(texts(&bobs, false), words);
}
