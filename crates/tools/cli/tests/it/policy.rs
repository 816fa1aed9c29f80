//! Policy without a carrier: what is refused, with which code, and what would change it.

use super::support::World;

const STRANGER: &str = "+12015550125";

#[test]
fn of_a_number_nothing_is_known_so_it_is_to_be_asked_by_another_way() {
    let world = World::new();
    let alice = world.device("alice");
    alice.run(&["policy", "set", "verify"]);
    let why = alice.run(&["policy", "explain", STRANGER]);
    assert_eq!((why.text("choice"), why.text("reason")), ("refuse".to_owned(), "capability_unknown".to_owned()));
    assert_eq!(why.text("consent"), "verification_needed");
    assert_eq!(why.text("rule"), "6: unknown means verify");
    let inputs = why.lines[0]["inputs"].as_object().unwrap();
    assert_eq!((&inputs["recipient"], &inputs["policy_that_counts"]), (&"unknown".into(), &"verify".into()));
    assert!(why.text("next_step").contains("rcseal policy absence attest"));
}

#[test]
fn block_is_what_counts_if_nothing_was_chosen_and_refuses_with_4() {
    let world = World::new();
    let alice = world.device("alice");
    assert_eq!(alice.run(&["policy", "show"]).text("counts"), "block");
    alice.attempt(&["send", STRANGER, "hello"]).assert_refused(6, "thread_unknown");
    alice.run(&["thread", "open", STRANGER]);
    alice.attempt(&["send", STRANGER, "hello"]).assert_refused(4, "policy_blocks");
    let decisions = alice.run(&["policy", "decisions"]);
    assert_eq!(
        (&decisions.lines[0]["choice"], &decisions.lines[0]["reason"]),
        (&"refuse".into(), &"policy_blocks".into())
    );
    assert_eq!(alice.run(&["policy", "journal"]).lines[0]["kind"], "refusal");
    // The strictest counts, wherever it was set.
    alice.run(&["policy", "set", "downgrade"]);
    assert_eq!(alice.run(&["policy", "set", "verify", "--tenant"]).text("counts"), "verify");
    assert_eq!(alice.run(&["policy", "set", "block", "--contact", STRANGER]).text("counts"), "block");
    alice.run(&["policy", "set", "none", "--tenant"]);
    assert_eq!(alice.run(&["policy", "show"]).text("counts"), "downgrade");
    assert_eq!(alice.run(&["policy", "show", STRANGER]).text("of_contact"), "block");
}

#[test]
fn a_contact_goes_end_to_end_whatever_the_policy_is() {
    let world = World::new();
    let (alice, bob) = world.acquainted("alice", "bob");
    for policy in ["block", "verify", "downgrade"] {
        alice.run(&["policy", "set", policy]);
        let why = alice.run(&["policy", "explain", "bob"]);
        assert_eq!((why.text("mode"), why.text("reason")), ("relayed".to_owned(), "relayed_by_default".to_owned()));
        alice.run(&["send", "bob", policy]);
    }
    assert_eq!(bob.drain().events("message").len(), 3);
    assert!(alice.run(&["policy", "journal"]).lines.is_empty());
    // A number that is a contact's means the contact.
    alice.run(&["contact", "number", "bob", STRANGER]);
    assert_eq!(alice.run(&["send", STRANGER, "by number"]).text("mode"), "relayed");
    assert_eq!(alice.run(&["contact", "number", "bob", "--remove"]).lines[0]["number"], serde_json::Value::Null);
    alice
        .attempt(&["policy", "consent", "give", "bob", "carrier_readable", "--for", "1h"])
        .assert_refused(6, "contact_without_number");
    alice
        .attempt(&["policy", "consent", "give", STRANGER, "carrier_readable", "--for", "4000d"])
        .assert_refused(2, "expiry_out_of_range");
}
