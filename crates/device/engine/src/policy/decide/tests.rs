//! The decision table, by enumeration and by chance.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use rcseal_wire::id::AccountId;

use super::*;
use crate::capability::NumberKey;
use crate::context::UnixMillis;
use crate::policy::{AbsenceEvidence, Acknowledgement, Consent, ConsentId, Observed, Policies, Recipient, Ways};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const LATER: UnixMillis = UnixMillis(NOW.0 + 1000);
const BEFORE: UnixMillis = UnixMillis(NOW.0 - 1000);

fn own() -> AccountId {
    AccountId::from_bytes([1; 16])
}

fn number(last: u8) -> NumberKey {
    NumberKey::of(&format!("+1415555010{last}").parse().unwrap())
}

fn recipient() -> Recipient {
    Recipient { account: Some(AccountId::from_bytes([2; 16])), number: Some(number(1)) }
}

fn consent(mode: DeliveryMode) -> Consent {
    Consent {
        id: ConsentId(u64::from(mode.code())),
        by: own(),
        recipient: recipient(),
        mode,
        given_at: BEFORE,
        expires_at: LATER,
        withdrawn_at: None,
    }
}

/// Every way in which a consent does not serve a mode.
fn useless_consents(mode: DeliveryMode) -> Vec<Consent> {
    let sound = consent(mode);
    let others = DeliveryMode::ALL.into_iter().filter(|other| *other != mode).map(consent);
    let number_changed = Recipient { number: Some(number(2)), ..recipient() };
    let account_changed = Recipient { account: None, ..recipient() };
    others
        .chain([
            Consent { expires_at: NOW, ..sound },
            Consent { withdrawn_at: Some(NOW), ..sound },
            Consent { by: AccountId::from_bytes([9; 16]), ..sound },
            Consent { recipient: number_changed, ..sound },
            Consent { recipient: account_changed, ..sound },
        ])
        .collect()
}

fn attested(expires_at: UnixMillis) -> AbsenceEvidence {
    AbsenceEvidence::UserAttested { at: BEFORE, expires_at }
}

fn ways_of(bits: usize) -> Ways {
    let modes = DeliveryMode::ALL.into_iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
    modes.fold(Ways::NONE, |ways, (_, mode)| ways.with(mode))
}

fn known() -> PeerCapability {
    PeerCapability::KnownCapable { since: BEFORE }
}

/// Calls `check` with every combination of inputs. Of a consent that does not serve there is one kind per mode here; every kind has its own
/// test. The three policies stand in one place, and [`the_strictest_policy_is_the_one_that_counts`] shows that the place does not matter.
fn every_combination(observed: &[Observed], mut check: impl FnMut(&Inputs)) {
    let acknowledgements: Vec<Option<DeliveryMode>> =
        [None, Some(DeliveryMode::Relayed)].into_iter().chain(DeliveryMode::READABLE.map(Some)).collect();
    let sound = DeliveryMode::READABLE.map(consent);
    let withdrawn = sound.map(|sound| Consent { withdrawn_at: Some(NOW), ..sound });
    let consents: Vec<Option<Consent>> = [None].into_iter().chain(sound.map(Some)).chain(withdrawn.map(Some)).collect();
    for content in [ContentKind::Words, ContentKind::Other, ContentKind::Notice] {
        for policy in FallbackPolicy::ALL {
            for preference in [RoutePreference::Relayed, RoutePreference::Native] {
                for bits in 0..64 {
                    for peer in [known(), PeerCapability::Unknown] {
                        for absence in [None, Some(attested(LATER)), Some(attested(NOW))] {
                            for acknowledged in &acknowledgements {
                                for consent in &consents {
                                    for observed in observed {
                                        check(&Inputs {
                                            now: NOW,
                                            by: own(),
                                            recipient: recipient(),
                                            content,
                                            policies: Policies { tenant: None, account: policy, conversation: None },
                                            preference,
                                            ways: ways_of(bits),
                                            peer,
                                            absence,
                                            acknowledged: acknowledged.map(|mode| Acknowledgement { mode, at: BEFORE }),
                                            consent: *consent,
                                            observed: *observed,
                                        });
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_sent_readably_without_policy_consent_and_evidence_or_acknowledgement() {
    let (mut readable, mut combinations) = (0_u64, 0_u64);
    every_combination(&[Observed::default()], |inputs| {
        combinations += 1;
        let decision = decide(inputs);
        let Some(mode) = decision.mode().filter(|mode| !mode.is_end_to_end()) else {
            assert!(!matches!(decision.consent, ConsentState::Given(_)), "{inputs:?}");
            return;
        };
        readable += 1;
        assert_eq!(inputs.policies.strictest(), FallbackPolicy::Downgrade, "{inputs:?}");
        assert_eq!(decision.consent, ConsentState::Given(inputs.consent_to(mode).unwrap()), "{inputs:?}");
        assert_eq!(inputs.content, ContentKind::Words, "{inputs:?}");
        assert!(inputs.ways.has(mode), "{inputs:?}");
        match inputs.peer {
            PeerCapability::KnownCapable { .. } => {
                assert_eq!(decision.reason, Reason::DowngradeAcknowledged, "{inputs:?}");
                assert_eq!(inputs.acknowledged.map(|it| it.mode), Some(mode), "{inputs:?}");
            }
            PeerCapability::Unknown => {
                assert_eq!(decision.reason, Reason::DowngradeAgreed, "{inputs:?}");
                assert!(inputs.absence.unwrap().is_fresh(NOW), "{inputs:?}");
                assert!(inputs.ways.modes().all(|way| !way.is_end_to_end()), "{inputs:?}");
            }
        }
    });
    assert_eq!(combinations, 3 * 3 * 2 * 64 * 2 * 3 * 5 * 7);
    assert!(readable > 500, "the enumeration reaches both rules that send readably: {readable}");
}

#[test]
fn what_can_go_end_to_end_does_unless_the_user_acknowledged_otherwise() {
    every_combination(&[Observed::default()], |inputs| {
        let decision = decide(inputs);
        let has_end_to_end = inputs.ways.modes().any(DeliveryMode::is_end_to_end);
        let serves = inputs.peer.is_known()
            && inputs.policies.strictest() == FallbackPolicy::Downgrade
            && inputs.content != ContentKind::Notice
            && inputs.acknowledged.is_some_and(|acknowledged| {
                !acknowledged.mode.is_end_to_end()
                    && inputs.ways.has(acknowledged.mode)
                    && inputs.consent_to(acknowledged.mode).is_some()
            });
        if has_end_to_end && !serves {
            assert!(decision.mode().unwrap().is_end_to_end(), "{inputs:?}");
            assert!(inputs.ways.has(decision.mode().unwrap()), "{inputs:?}");
        }
        if decision.mode().is_none() {
            assert!(!has_end_to_end || decision.reason == Reason::ContentUnfit, "{inputs:?}");
        }
        assert_ne!(decision.reason.rule(), "after the decision", "{inputs:?}");
        assert_eq!(decision.number, 0);
    });
}

#[test]
fn what_was_seen_of_the_network_moves_between_end_to_end_ways_only() {
    let mut all = Vec::new();
    for hint in [CarrierHint::Frames, CarrierHint::NoFrames] {
        for native_failures in [0, NATIVE_FAILURES_MAX] {
            all.push(Observed { hint, native_failures, carrier_receipts: native_failures });
        }
    }
    every_combination(&all, |inputs| {
        let calm = decide(&Inputs { observed: Observed::default(), ..*inputs });
        let seen = decide(inputs);
        let is_end_to_end = |decision: &Decision| decision.mode().is_some_and(DeliveryMode::is_end_to_end);
        assert!(seen == calm || (is_end_to_end(&seen) && is_end_to_end(&calm)), "{inputs:?}");
    });
}

#[test]
fn the_strictest_policy_is_the_one_that_counts() {
    let places = || [None].into_iter().chain(FallbackPolicy::ALL.map(Some));
    for account in FallbackPolicy::ALL {
        for tenant in places() {
            for conversation in places() {
                let strictest = Policies { tenant, account, conversation }.strictest();
                let all = [Some(account), tenant, conversation];
                assert!(all.into_iter().flatten().all(|policy| policy <= strictest));
                assert!(all.contains(&Some(strictest)));
            }
        }
    }
}

/// A number whose holder is attested to have no encryption, under `downgrade`.
fn plain_inputs(consent: Option<Consent>) -> Inputs {
    Inputs {
        now: NOW,
        by: own(),
        recipient: recipient(),
        content: ContentKind::Words,
        policies: Policies { tenant: None, account: FallbackPolicy::Downgrade, conversation: None },
        preference: RoutePreference::Relayed,
        ways: DeliveryMode::READABLE.into_iter().fold(Ways::NONE, Ways::with),
        peer: PeerCapability::Unknown,
        absence: Some(attested(LATER)),
        acknowledged: None,
        consent,
        observed: Observed::default(),
    }
}

#[test]
fn a_consent_serves_its_account_recipient_mode_and_time_and_nothing_else() {
    for mode in DeliveryMode::READABLE {
        let only = |consent| plain_inputs(Some(consent));
        assert_eq!(decide(&only(consent(mode))).mode(), Some(mode));
        for useless in useless_consents(mode) {
            let decision = decide(&only(useless));
            assert_ne!(decision.mode(), Some(mode), "{useless:?}");
        }
    }
    let decision = decide(&plain_inputs(None));
    assert_eq!((decision.reason, decision.consent), (Reason::ConsentMissing, ConsentState::Needed));
}

#[test]
fn unknown_means_verify() {
    let inputs = Inputs { absence: None, ..plain_inputs(Some(consent(DeliveryMode::Sms))) };
    for account in [FallbackPolicy::Downgrade, FallbackPolicy::Verify] {
        let policies = Policies { account, ..inputs.policies };
        let decision = decide(&Inputs { policies, ..inputs });
        assert_eq!(decision.choice, Choice::Refuse);
        assert_eq!(decision.reason, Reason::CapabilityUnknown);
        assert_eq!(decision.consent, ConsentState::VerificationNeeded);
    }
}

#[test]
fn no_evidence_helps_against_the_latch() {
    let inputs = Inputs { peer: known(), ..plain_inputs(Some(consent(DeliveryMode::CarrierReadable))) };
    let mode = DeliveryMode::CarrierReadable;
    let acknowledged = |at| Inputs { acknowledged: Some(Acknowledgement { mode, at }), ..inputs };
    // Without a word, and with one that was given before the recipient was known to be capable.
    for inputs in [inputs, acknowledged(UnixMillis(BEFORE.0 - 1))] {
        let decision = decide(&inputs);
        assert_eq!((decision.choice, decision.reason), (Choice::Refuse, Reason::KnownCapable));
        assert_eq!(decision.consent, ConsentState::AcknowledgementNeeded);
    }
    assert_eq!(decide(&acknowledged(BEFORE)).mode(), Some(mode));
}

fn any_consent() -> impl Strategy<Value = Option<Consent>> {
    let useless = DeliveryMode::READABLE.into_iter().flat_map(useless_consents).collect::<Vec<_>>();
    prop_oneof![
        Just(None),
        prop::sample::select(DeliveryMode::READABLE.map(consent).to_vec()).prop_map(Some),
        prop::sample::select(useless).prop_map(Some),
    ]
}

fn any_inputs() -> impl Strategy<Value = Inputs> {
    let policy = || prop::option::of(prop::sample::select(FallbackPolicy::ALL.to_vec()));
    let settings = (policy(), policy(), policy(), any::<bool>(), 0_usize..64, any::<bool>());
    let leaves = (
        prop::option::of(prop::sample::select(vec![attested(LATER), attested(NOW)])),
        prop::option::of(prop::sample::select(DeliveryMode::ALL.to_vec())),
        any_consent(),
    );
    (settings, leaves).prop_map(|((tenant, account, conversation, prefers_native, bits, is_known), leaves)| {
        let (absence, acknowledged, consent) = leaves;
        Inputs {
            policies: Policies { tenant, account: account.unwrap_or(FallbackPolicy::Downgrade), conversation },
            preference: if prefers_native { RoutePreference::Native } else { RoutePreference::Relayed },
            ways: ways_of(bits),
            peer: if is_known { known() } else { PeerCapability::Unknown },
            absence,
            acknowledged: acknowledged.map(|mode| Acknowledgement { mode, at: BEFORE }),
            ..plain_inputs(consent)
        }
    })
}

/// Inputs in which nothing is sound by construction: every mode may be consented to and acknowledged, at any time, for anybody.
fn wild_inputs() -> impl Strategy<Value = Inputs> {
    let mode = || prop::sample::select(DeliveryMode::ALL.to_vec());
    let time = || prop::sample::select(vec![BEFORE, NOW, LATER, UnixMillis(0), UnixMillis(u64::MAX)]);
    let who = || {
        (prop::option::of(1_u8..4), prop::option::of(1_u8..4)).prop_map(|(account, place)| Recipient {
            account: account.map(|byte| AccountId::from_bytes([byte; 16])),
            number: place.map(number),
        })
    };
    let consent = (1_u8..3, who(), mode(), time(), time(), prop::option::of(time())).prop_map(
        |(by, recipient, mode, given_at, expires_at, withdrawn_at)| Consent {
            id: ConsentId(7),
            by: AccountId::from_bytes([by; 16]),
            recipient,
            mode,
            given_at,
            expires_at,
            withdrawn_at,
        },
    );
    let policy = || prop::sample::select(FallbackPolicy::ALL.to_vec());
    let policies = (prop::option::of(policy()), policy(), prop::option::of(policy()))
        .prop_map(|(tenant, account, conversation)| Policies { tenant, account, conversation });
    let content = prop::sample::select(vec![ContentKind::Words, ContentKind::Other, ContentKind::Notice]);
    let hint = prop::sample::select(vec![CarrierHint::None, CarrierHint::Frames, CarrierHint::NoFrames]);
    let observed = (hint, any::<u8>(), any::<u8>()).prop_map(|(hint, native_failures, carrier_receipts)| Observed {
        hint,
        native_failures,
        carrier_receipts,
    });
    let peer = prop::option::of(time())
        .prop_map(|since| since.map_or(PeerCapability::Unknown, |since| PeerCapability::KnownCapable { since }));
    let absence = prop::option::of(time()).prop_map(|time| time.map(attested));
    let acknowledged = prop::option::of((mode(), time()).prop_map(|(mode, at)| Acknowledgement { mode, at }));
    let known = (content, policies, any::<bool>(), 0_usize..64, peer, observed);
    (time(), who(), known, absence, acknowledged, prop::option::of(consent)).prop_map(
        |(
            now,
            recipient,
            (content, policies, prefers_native, bits, peer, observed),
            absence,
            acknowledged,
            consent,
        )| {
            Inputs {
                now,
                by: own(),
                recipient,
                content,
                policies,
                preference: if prefers_native { RoutePreference::Native } else { RoutePreference::Relayed },
                ways: ways_of(bits),
                peer,
                absence,
                acknowledged,
                consent,
                observed,
            }
        },
    )
}

#[test]
fn every_mode_is_reached_and_by_its_own_way() {
    let mut reached = std::collections::BTreeSet::new();
    every_combination(&[Observed::default()], |inputs| {
        if let Some(mode) = decide(inputs).mode() {
            assert!(inputs.ways.has(mode), "{inputs:?}");
            reached.insert(mode);
        }
    });
    assert_eq!(reached.into_iter().collect::<Vec<_>>(), DeliveryMode::ALL);
}

#[test]
fn the_carriers_way_passes_a_broker_only_where_there_is_no_other() {
    let ways = |modes: &[DeliveryMode]| modes.iter().copied().fold(Ways::NONE, Ways::with);
    let inputs = |modes: &[DeliveryMode], preference| Inputs {
        ways: ways(modes),
        preference,
        peer: known(),
        absence: None,
        ..plain_inputs(None)
    };
    use DeliveryMode::{Brokered, Native, Relayed};
    let cases: [(&[DeliveryMode], RoutePreference, DeliveryMode, Reason); 6] = [
        (&[Relayed, Brokered], RoutePreference::Native, Brokered, Reason::BrokeredPreferred),
        (&[Relayed, Brokered], RoutePreference::Relayed, Relayed, Reason::RelayedByDefault),
        (&[Brokered], RoutePreference::Native, Brokered, Reason::BrokeredPreferred),
        (&[Brokered], RoutePreference::Relayed, Brokered, Reason::BrokeredOnly),
        (&[Relayed, Native, Brokered], RoutePreference::Native, Native, Reason::NativePreferred),
        (&[Relayed], RoutePreference::Native, Relayed, Reason::NativeUnavailable),
    ];
    for (modes, preference, mode, reason) in cases {
        let inputs = inputs(modes, preference);
        let decision = decide(&inputs);
        assert_eq!((decision.mode(), decision.reason), (Some(mode), reason), "{modes:?}");
        // A carrier that fails is left for the relay, whoever stands in between.
        let failing = Observed { native_failures: NATIVE_FAILURES_MAX, ..Observed::default() };
        let decision = decide(&Inputs { observed: failing, ..inputs });
        if modes.contains(&Relayed) {
            assert_eq!(decision.mode(), Some(Relayed), "{modes:?}");
        }
    }
}

/// What the world can do to a sender without the user.
#[derive(Debug, Clone, Copy)]
enum Happening {
    NativeFailed,
    CarrierReceipt,
    Hint(CarrierHint),
    Time(u64),
    BecameCapable,
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::NativeFailed),
        Just(Happening::CarrierReceipt),
        prop::sample::select(vec![CarrierHint::None, CarrierHint::Frames, CarrierHint::NoFrames])
            .prop_map(Happening::Hint),
        (0_u64..3000).prop_map(Happening::Time),
        Just(Happening::BecameCapable),
    ]
}

/// 0 where nobody else can read, more the more can.
fn readability(decision: &Decision) -> usize {
    let place = |mode| DeliveryMode::READABLE.iter().position(|readable| *readable == mode);
    decision.mode().and_then(place).map_or(0, |place| place + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Of all six modes: what somebody else can read takes policy, a consent that serves, words, a way, and either an acknowledgement that is not
    /// older than what is known of the recipient, or fresh evidence of absence. Each is looked up here by hand, not by what the rule uses.
    #[test]
    fn no_input_without_policy_consent_and_word_or_evidence_is_readable(inputs in wild_inputs()) {
        let decision = decide(&inputs);
        let Some(mode) = decision.mode() else { return Ok(()) };
        prop_assert!(inputs.ways.has(mode));
        if [DeliveryMode::Native, DeliveryMode::Relayed, DeliveryMode::Brokered].contains(&mode) {
            return Ok(());
        }
        let all = [inputs.policies.tenant, Some(inputs.policies.account), inputs.policies.conversation];
        prop_assert!(all.into_iter().flatten().all(|policy| policy == FallbackPolicy::Downgrade));
        let consent = inputs.consent.unwrap();
        prop_assert!(consent.mode == mode && consent.by == inputs.by && consent.recipient == inputs.recipient);
        prop_assert!(consent.withdrawn_at.is_none() && inputs.now.0 < consent.expires_at.0);
        prop_assert_eq!(decision.consent, ConsentState::Given(consent.id));
        prop_assert_eq!(inputs.content, ContentKind::Words);
        match inputs.peer {
            PeerCapability::KnownCapable { since } => {
                let acknowledged = inputs.acknowledged.unwrap();
                prop_assert!(acknowledged.mode == mode && acknowledged.at.0 >= since.0);
            }
            PeerCapability::Unknown => {
                let AbsenceEvidence::UserAttested { expires_at, .. } = inputs.absence.unwrap();
                prop_assert!(inputs.now.0 < expires_at.0);
                prop_assert!(inputs.ways.modes().all(|way| !way.is_end_to_end()));
            }
        }
    }

    #[test]
    fn nothing_that_happens_by_itself_makes_a_decision_more_readable(
        start in any_inputs(),
        happenings in prop::collection::vec(any_happening(), 0..24),
    ) {
        let (mut inputs, mut before) = (start, decide(&start));
        for happening in happenings {
            match happening {
                Happening::NativeFailed => {
                    inputs.observed.native_failures = inputs.observed.native_failures.saturating_add(1);
                }
                Happening::CarrierReceipt => {
                    inputs.observed.carrier_receipts = inputs.observed.carrier_receipts.saturating_add(1);
                }
                Happening::Hint(hint) => inputs.observed.hint = hint,
                Happening::Time(millis) => inputs.now = inputs.now.plus(millis),
                Happening::BecameCapable if inputs.peer.is_known() => {}
                Happening::BecameCapable => inputs.peer = PeerCapability::KnownCapable { since: inputs.now },
            }
            let after = decide(&inputs);
            prop_assert!(readability(&after) <= readability(&before), "{inputs:?}");
            before = after;
        }
    }
}
