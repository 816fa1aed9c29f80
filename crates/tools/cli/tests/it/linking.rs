//! A second device, and its end.

use super::support::{Device, World};

pub(crate) fn link(world: &World, primary: &Device, name: &str) -> Device {
    let device = world.blank(name);
    let mut linking = device.start(&["device", "link", "--server", &world.server, "--ca", &world.authority()]);
    let text = linking.event("link")["link"].as_str().unwrap().to_owned();
    primary.run(&["device", "approve", &text]);
    linking.event("linked");
    assert_eq!(linking.end(), Some(0));
    device
}

#[test]
fn a_linked_device_receives_and_sends_for_its_account() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let tablet = link(&world, &alice, "tablet");
    assert_eq!(alice.run(&["account", "show"]).text("account"), tablet.run(&["account", "show"]).text("account"));
    assert_eq!(tablet.run(&["account", "show"]).lines[0]["primary"], false);
    assert_eq!(tablet.run(&["devices"]).lines.len(), 2);
    // The contacts came along.
    tablet.run(&["send", "bob", "from the sofa"]);
    let received = bob.drain();
    assert_eq!(received.events("message")[0]["sender"]["device"], 2);
    // The account's other device has it as well, as its own.
    let copy = alice.drain();
    assert_eq!(copy.events("message")[0]["outgoing"], true);
    bob.run(&["send", "alice", "to both"]);
    for device in [&alice, &tablet] {
        assert_eq!(device.drain().events("message")[0]["content"]["text"], "to both");
    }
}

#[test]
fn a_removed_device_gets_nothing_more() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    let tablet = link(&world, &alice, "tablet");
    bob.drain();
    alice.run(&["device", "remove", "2"]);
    assert_eq!(alice.run(&["devices"]).lines.len(), 1);
    bob.drain();
    bob.run(&["send", "alice", "only for your phone"]);
    assert_eq!(alice.drain().events("message").len(), 1);
    // The server does not say whether it was the device or the signature that it did not know.
    tablet.attempt(&["listen", "--until-empty"]).assert_refused(4, "login_refused");
    assert!(!tablet.texts().iter().any(|text| text.contains("only for your phone")));
}

#[test]
fn only_the_primary_device_links_and_removes() {
    let world = World::new();
    let alice = world.device("alice");
    let tablet = link(&world, &alice, "tablet");
    tablet.attempt(&["device", "remove", "1"]).assert_refused(6, "not_primary");
    alice.attempt(&["device", "remove", "1"]).assert_refused(6, "primary_stays");
    let third = world.blank("third");
    let mut linking = third.start(&["device", "link", "--server", &world.server, "--ca", &world.authority()]);
    let text = linking.event("link")["link"].as_str().unwrap().to_owned();
    tablet.attempt(&["device", "approve", &text]).assert_refused(6, "not_primary");
}
