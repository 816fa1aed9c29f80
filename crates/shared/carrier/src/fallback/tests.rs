//! The promises of the fall-back, over every reachable state: at most one SMS, none after a known delivery, and what a restart changes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_000_000;

fn id() -> MessageId {
    MessageId::from_random([9; 16])
}

/// A policy with few steps, so that every state can be visited.
fn policy(unanswered: Unanswered) -> Policy {
    Policy {
        patience_ms: 1000,
        revoke_patience_ms: 200,
        settle_ms: 50,
        revokes_max: 2,
        unanswered,
        can_revoke: true,
        send_takes_id_once: true,
        sms_takes_id_once: false,
    }
}

fn begun(policy: Policy) -> Fallback {
    let (fallback, action) = Fallback::new(id(), policy, NOW);
    assert_eq!(action, Action::SendRcs);
    fallback
}

/// Everything that whoever runs the machine can do to it.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Tell(Event),
    Time,
    TakeSms,
    Restart,
}

fn steps() -> Vec<Step> {
    let events = [
        Event::SendAccepted,
        Event::SendRefused,
        Event::SendDeferred { after_ms: 600 },
        Event::SendUnanswered,
        Event::Delivered(Channel::Rcs),
        Event::Read(Channel::Other("WHATSAPP".into())),
        Event::ProviderFailed,
        Event::RevokedByTtl,
        Event::TtlRevokeFailed,
        Event::RevokeConfirmed,
        Event::RevokeRefused,
        Event::RevokeUnanswered,
        Event::SmsSubmitted,
        Event::SmsRefused,
        Event::SmsUnanswered,
        Event::SmsDeferred,
        Event::SmsDelivered,
        Event::SmsFailed,
    ];
    let told = events.into_iter().map(Step::Tell);
    told.chain([Step::Time, Step::TakeSms, Step::Restart]).collect()
}

/// A machine, and what somebody who watches it from outside knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    machine: Fallback,
    now: u64,
    is_delivery_known: bool,
    sms_orders: u8,
    sms_permits: u8,
    sms_repeats: u8,
}

impl World {
    fn new(policy: Policy) -> Self {
        Self {
            machine: begun(policy),
            now: NOW,
            is_delivery_known: false,
            sms_orders: 0,
            sms_permits: 0,
            sms_repeats: 0,
        }
    }

    /// Takes a step and checks every promise that a single step can break.
    fn take(&mut self, step: &Step) {
        let before = self.machine.clone();
        let action = match step {
            Step::Tell(event) => {
                self.is_delivery_known |= matches!(event, Event::Delivered(_) | Event::Read(_));
                if *event == Event::SmsDeferred && matches!(before.sms, Sms::Submitting { is_repeat: false, .. }) {
                    // It never left: the permit is back.
                    self.sms_permits -= 1;
                }
                self.machine.on(event.clone(), self.now)
            }
            Step::Time => {
                self.now = self.machine.deadline().unwrap_or(self.now).max(self.now);
                self.machine.on_time(self.now)
            }
            Step::TakeSms => {
                if let Some(permit) = self.machine.take_sms() {
                    assert!(!self.is_delivery_known, "an SMS after a known delivery, from {before:?}");
                    if permit.is_repeat() {
                        assert!(self.machine.policy.sms_takes_id_once);
                        self.sms_repeats = 1;
                    } else {
                        self.sms_permits += 1;
                    }
                }
                None
            }
            Step::Restart => {
                let row = self.machine.to_row();
                self.machine = Fallback::from_row(&row).unwrap();
                assert_eq!(self.machine, before, "a row is the whole state");
                self.machine.resume(self.now)
            }
        };
        if action == Some(Action::SendSms) && *step != Step::Restart {
            self.sms_orders += 1;
        }
        let place = || format!("{step:?} from {before:?} to {:?}", self.machine);
        assert!(self.sms_orders <= 1, "a second order: {}", place());
        assert!(self.sms_permits <= 1, "a second SMS: {}", place());
        assert!(!(self.is_delivery_known && action.is_some()), "something is done after a delivery: {}", place());
        let status = self.machine.status();
        if self.is_delivery_known {
            assert_eq!(status.phase, Phase::Delivered, "{}", place());
            assert!(status.channel.is_some());
        }
        if self.machine.policy.unanswered == Unanswered::Wait && action == Some(Action::SendSms) {
            let knows = matches!(before.rcs, Rcs::Settling { .. })
                || matches!(step, Step::Tell(Event::SendRefused | Event::ProviderFailed | Event::SendDeferred { .. }))
                || *step == Step::Restart;
            assert!(knows, "whoever waits sends no SMS on a guess: {}", place());
        }
        if action == Some(Action::Revoke) {
            assert!(self.machine.policy.can_revoke, "{}", place());
        }
        assert_eq!(Fallback::from_row(&self.machine.to_row()).as_ref(), Ok(&self.machine));
    }
}

fn every_policy() -> Vec<Policy> {
    let mut policies = Vec::new();
    for bits in 0..16_u8 {
        let unanswered = if bits & 1 == 0 { Unanswered::Wait } else { Unanswered::FallBack };
        policies.push(Policy {
            can_revoke: bits & 2 != 0,
            send_takes_id_once: bits & 4 != 0,
            sms_takes_id_once: bits & 8 != 0,
            ..policy(unanswered)
        });
    }
    policies.push(Policy { settle_ms: 0, ..policy(Unanswered::FallBack) });
    policies
}

/// Depth of the count below. The check itself has no depth: it visits every state that can be reached at all.
const COUNTED_DEPTH: usize = 12;

#[test]
fn at_most_one_sms_and_none_after_a_known_delivery_in_every_reachable_state() {
    let steps = steps();
    for policy in every_policy() {
        let start = World::new(policy);
        let mut places = HashMap::from([(start.clone(), 0_usize)]);
        let mut next = Vec::<Vec<usize>>::new();
        let mut queue = VecDeque::from([start]);
        while let Some(world) = queue.pop_front() {
            let mut reached = Vec::new();
            for step in &steps {
                let mut after = world.clone();
                after.take(step);
                let place = places.len();
                let place = *places.entry(after.clone()).or_insert_with(|| {
                    queue.push_back(after);
                    place
                });
                reached.push(place);
            }
            next.push(reached);
            assert!(places.len() < 200_000, "the states of a message are few");
        }
        // How many orders of events the visit stands for: paths of that length through the graph of states.
        let mut paths = vec![0_f64; next.len()];
        paths[0] = 1.0;
        for _ in 0..COUNTED_DEPTH {
            let mut after = vec![0_f64; next.len()];
            for (place, reached) in next.iter().enumerate() {
                reached.iter().for_each(|to| after[*to] += paths[place]);
            }
            paths = after;
        }
        let (states, transitions) = (next.len(), next.iter().map(Vec::len).sum::<usize>());
        eprintln!(
            "{policy:?}: {states} states, {transitions} transitions, {:.1e} orders of {COUNTED_DEPTH} events",
            paths.iter().sum::<f64>()
        );
    }
}

#[test]
fn a_message_that_arrives_sends_nothing_else() {
    let mut fallback = begun(policy(Unanswered::FallBack));
    assert_eq!(fallback.on(Event::SendAccepted, NOW), None);
    assert_eq!(fallback.status().phase, Phase::Waiting);
    assert_eq!(fallback.on(Event::Delivered(Channel::Rcs), NOW + 10), None);
    assert_eq!(fallback.deadline(), None);
    assert_eq!(fallback.on(Event::Read(Channel::Rcs), NOW + 20), None);
    let expected = Status { phase: Phase::Delivered, channel: Some(Channel::Rcs), is_read: true, by_both: false };
    assert_eq!(fallback.status(), expected);
}

#[test]
fn a_number_without_rcs_gets_the_sms_at_once() {
    let mut fallback = begun(policy(Unanswered::Wait));
    assert_eq!(fallback.on(Event::SendRefused, NOW), Some(Action::SendSms));
    let permit = fallback.take_sms().unwrap();
    assert!(!permit.may_double() && !permit.is_repeat());
    assert_eq!(permit.id(), id());
    assert_eq!(fallback.take_sms(), None, "one permit");
    fallback.on(Event::SmsSubmitted, NOW + 1);
    assert_eq!((fallback.status().phase, fallback.status().channel), (Phase::SmsSent, None));
    fallback.on(Event::SmsDelivered, NOW + 2);
    assert_eq!((fallback.status().phase, fallback.status().channel), (Phase::Delivered, Some(Channel::Sms)));
}

#[test]
fn a_ttl_notice_is_no_guarantee_and_the_late_delivery_is_seen() {
    let mut fallback = begun(policy(Unanswered::Wait));
    fallback.on(Event::SendAccepted, NOW);
    assert_eq!(fallback.on(Event::RevokedByTtl, NOW + 900), None, "a delivery may still be reported");
    assert_eq!(fallback.on_time(NOW + 949), None);
    let mut late = fallback.clone();
    // The delivery comes within the time that is left for it: no SMS.
    fallback.on(Event::Delivered(Channel::Rcs), NOW + 940);
    assert_eq!(fallback.on_time(NOW + 2000), None);
    assert_eq!(fallback.take_sms(), None);
    // It comes after the SMS has left: delivered by both, under one id.
    assert_eq!(late.on_time(NOW + 950), Some(Action::SendSms));
    assert!(late.take_sms().unwrap().may_double());
    late.on(Event::SmsSubmitted, NOW + 951);
    late.on(Event::Delivered(Channel::Rcs), NOW + 952);
    late.on(Event::SmsDelivered, NOW + 953);
    let expected = Status { phase: Phase::Delivered, channel: Some(Channel::Rcs), is_read: false, by_both: true };
    assert_eq!(late.status(), expected);
}

#[test]
fn a_delivery_between_order_and_submission_withdraws_the_sms() {
    let mut fallback = begun(policy(Unanswered::FallBack));
    fallback.on(Event::SendAccepted, NOW);
    assert_eq!(fallback.on_time(NOW + 1000), Some(Action::Revoke));
    assert_eq!(fallback.on(Event::RevokeUnanswered, NOW + 1100), Some(Action::SendSms));
    fallback.on(Event::Delivered(Channel::Rcs), NOW + 1101);
    assert_eq!(fallback.take_sms(), None);
    assert!(!fallback.status().by_both);
}

#[test]
fn a_refused_revocation_means_delivered_only_for_what_was_accepted() {
    let mut accepted = begun(policy(Unanswered::FallBack));
    accepted.on(Event::SendAccepted, NOW);
    assert_eq!(accepted.on_time(NOW + 1000), Some(Action::Revoke));
    assert_eq!(accepted.on(Event::RevokeRefused, NOW + 1001), None);
    assert_eq!(accepted.status().phase, Phase::PresumedDelivered);
    let mut lost = begun(policy(Unanswered::FallBack));
    assert_eq!(lost.on(Event::SendUnanswered, NOW), Some(Action::Revoke));
    assert_eq!(lost.on(Event::RevokeRefused, NOW + 1), Some(Action::SendSms), "the provider may never have had it");
}

#[test]
fn whoever_waits_asks_again_and_then_says_that_nobody_knows() {
    let mut fallback = begun(policy(Unanswered::Wait));
    fallback.on(Event::SendAccepted, NOW);
    assert_eq!(fallback.on_time(NOW + 1000), Some(Action::Revoke));
    assert_eq!(fallback.on(Event::RevokeUnanswered, NOW + 1010), None);
    assert_eq!(fallback.on_time(NOW + 1210), Some(Action::Revoke), "the second and last time");
    assert_eq!(fallback.on_time(NOW + 1410), None);
    assert_eq!((fallback.status().phase, fallback.deadline()), (Phase::Unresolved, None));
    // What is reported late still decides.
    assert_eq!(fallback.on(Event::RevokedByTtl, NOW + 9000), None);
    assert_eq!(fallback.on_time(NOW + 9050), Some(Action::SendSms));
}

#[test]
fn a_provider_that_is_busy_is_asked_again_within_the_patience() {
    let mut fallback = begun(policy(Unanswered::Wait));
    assert_eq!(fallback.on(Event::SendDeferred { after_ms: 600 }, NOW), None);
    assert_eq!(fallback.on_time(NOW + 600), Some(Action::SendRcs));
    assert_eq!(fallback.on(Event::SendDeferred { after_ms: 600 }, NOW + 610), Some(Action::SendSms));
    assert!(!fallback.take_sms().unwrap().may_double(), "it never left");
}

#[test]
fn a_crash_before_the_permit_loses_nothing_and_after_it_sends_nothing_twice() {
    let mut fallback = begun(policy(Unanswered::Wait));
    fallback.on(Event::SendRefused, NOW);
    let mut before = Fallback::from_row(&fallback.to_row()).unwrap();
    assert_eq!(before.resume(NOW), Some(Action::SendSms));
    assert!(before.take_sms().is_some());
    let mut after = Fallback::from_row(&before.to_row()).unwrap();
    assert_eq!(after.resume(NOW), None);
    assert_eq!(after.take_sms(), None);
    assert_eq!(after.status().phase, Phase::SmsInDoubt);
    after.on(Event::SmsDelivered, NOW + 5);
    assert_eq!(after.status().channel, Some(Channel::Sms), "a report ends the doubt");
}

#[test]
fn an_sms_that_never_left_is_due_again_unless_a_delivery_came_meanwhile() {
    let mut fallback = begun(policy(Unanswered::Wait));
    fallback.on(Event::SendRefused, NOW);
    assert!(fallback.take_sms().is_some());
    fallback.on(Event::SmsDeferred, NOW + 1);
    assert_eq!(fallback.status().phase, Phase::SmsDue);
    assert_eq!(fallback.clone().resume(NOW + 2), Some(Action::SendSms));
    assert!(fallback.take_sms().is_some_and(|permit| !permit.is_repeat()));
    fallback.on(Event::Delivered(Channel::Rcs), NOW + 3);
    fallback.on(Event::SmsDeferred, NOW + 4);
    assert_eq!((fallback.take_sms(), fallback.status().by_both), (None, false));
    let mut doubtful = begun(policy(Unanswered::Wait));
    doubtful.on(Event::SendRefused, NOW);
    assert!(doubtful.take_sms().is_some());
    doubtful.on(Event::SmsUnanswered, NOW + 1);
    doubtful.on(Event::SmsDeferred, NOW + 2);
    assert_eq!(doubtful.take_sms(), None, "what may have left does not come back");
}

#[test]
fn a_send_under_way_at_a_crash_is_made_again_only_where_an_id_is_taken_once() {
    let mut once = begun(policy(Unanswered::Wait));
    assert_eq!(once.resume(NOW), Some(Action::SendRcs));
    let mut anew = begun(Policy { send_takes_id_once: false, can_revoke: false, ..policy(Unanswered::FallBack) });
    assert_eq!(anew.resume(NOW), None);
    assert_eq!(anew.status().phase, Phase::Revoking);
    assert_eq!(anew.on_time(NOW + 200), Some(Action::SendSms), "it waits for a report first");
    assert!(anew.take_sms().unwrap().may_double());
}

#[test]
fn rows_of_other_versions_and_damaged_rows_are_refused() {
    let row = begun(policy(Unanswered::Wait)).to_row();
    let mut later = row.clone();
    later[0] = 2;
    assert_eq!(Fallback::from_row(&later), Err(RowError::Version(2)));
    assert_eq!(Fallback::from_row(&[]), Err(RowError::Damaged));
    for len in 0..row.len() {
        assert!(Fallback::from_row(&row[..len]).is_err(), "{len}");
    }
    assert_eq!(Fallback::from_row(&[&row[..], &[0]].concat()), Err(RowError::Damaged));
}

/// A provider and a recipient that behave as they do outside: reports are late, doubled and out of order, and words are not kept.
#[derive(Debug, Clone)]
struct Nature {
    send: u8,
    does_arrive: bool,
    arrival_at: u64,
    report_delays: Vec<u16>,
    revoke: u8,
    is_word_kept: bool,
    ttl_notice: u8,
    sms: u8,
    crashes: Vec<u16>,
}

fn nature() -> impl Strategy<Value = Nature> {
    (
        0_u8..4,
        any::<bool>(),
        0_u64..3000,
        prop::collection::vec(0_u16..3000, 1..4),
        0_u8..3,
        any::<bool>(),
        0_u8..3,
        0_u8..4,
        prop::collection::vec(0_u16..6000, 0..3),
    )
        .prop_map(
            |(send, does_arrive, arrival_at, report_delays, revoke, is_word_kept, ttl_notice, sms, crashes)| Nature {
                send,
                does_arrive,
                arrival_at,
                report_delays,
                revoke,
                is_word_kept,
                ttl_notice,
                sms,
                crashes,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_recipient_is_reached_and_the_log_tells_the_truth(nature in nature(), bits in 0_usize..17) {
        let policy = every_policy()[bits];
        let mut world = World::new(policy);
        let is_taken = nature.send < 2 || nature.send == 3;
        let mut events: Vec<(u64, Event)> = Vec::new();
        let arrives_at = NOW + nature.arrival_at;
        let mut is_revoked = false;
        let mut has_arrived = false;
        let mut sms_arrivals = 0;
        let mut actions: Vec<Action> = vec![Action::SendRcs];
        let mut crashes: Vec<u64> = nature.crashes.iter().map(|at| NOW + u64::from(*at)).collect();
        crashes.sort_unstable();
        for at in NOW..NOW + 12_000 {
            world.now = at;
            if crashes.first() == Some(&at) {
                crashes.remove(0);
                actions.clear();
                world.machine = Fallback::from_row(&world.machine.to_row()).unwrap();
                actions.extend(world.machine.resume(at));
            }
            if is_taken && nature.does_arrive && !has_arrived && !is_revoked && at >= arrives_at {
                has_arrived = true;
                for delay in &nature.report_delays {
                    events.push((at + u64::from(*delay), Event::Delivered(Channel::Rcs)));
                }
            }
            if is_taken && at == NOW + 1000 && !has_arrived {
                match nature.ttl_notice {
                    1 => {
                        is_revoked |= nature.is_word_kept;
                        events.push((at + 3, Event::RevokedByTtl));
                    }
                    2 => events.push((at + 3, Event::TtlRevokeFailed)),
                    _ => {}
                }
            }
            while let Some(action) = actions.pop() {
                match action {
                    Action::SendRcs => events.push((at + 2, match nature.send {
                        0 | 1 => Event::SendAccepted,
                        2 => Event::SendRefused,
                        _ => Event::SendUnanswered,
                    })),
                    Action::Revoke => events.push((at + 2, match nature.revoke {
                        0 if has_arrived || !is_taken => Event::RevokeRefused,
                        0 => {
                            is_revoked |= nature.is_word_kept;
                            Event::RevokeConfirmed
                        }
                        1 => Event::RevokeUnanswered,
                        _ => continue,
                    })),
                    Action::SendSms => {
                        let before = world.sms_permits + world.sms_repeats;
                        world.take(&Step::TakeSms);
                        if world.sms_permits + world.sms_repeats == before {
                            continue;
                        }
                        match nature.sms {
                            0 | 3 => {
                                sms_arrivals = 1;
                                events.push((at + 2, Event::SmsSubmitted));
                                events.push((at + 40, Event::SmsDelivered));
                            }
                            1 => events.push((at + 2, Event::SmsRefused)),
                            _ => {
                                sms_arrivals = 1;
                                events.push((at + 2, Event::SmsUnanswered));
                            }
                        }
                    }
                }
            }
            let due: Vec<Event> = events.extract_if(.., |(when, _)| *when <= at).map(|(_, event)| event).collect();
            for event in due {
                world.is_delivery_known |= matches!(event, Event::Delivered(_));
                actions.extend(world.machine.on(event, at));
            }
            actions.extend(world.machine.on_time(at));
        }
        prop_assert!(world.sms_permits <= 1);
        let status = world.machine.status();
        if has_arrived {
            prop_assert_eq!(status.channel.as_ref(), Some(&Channel::Rcs), "a reported delivery is in the status");
            prop_assert_eq!(status.by_both, sms_arrivals == 1 || matches!(world.machine.sms, Sms::Submitting { .. }));
        }
        // Who may double reaches the recipient by one of the two, unless the gateway refuses or nobody knows of the gateway.
        let has_crashed_at_gateway = matches!(world.machine.sms, Sms::InDoubt);
        // A provider that answers that there is nothing to take back of an accepted message is believed.
        if policy.unanswered == Unanswered::FallBack && !has_arrived && nature.sms == 0 && !has_crashed_at_gateway {
            prop_assert_eq!(status.channel, Some(Channel::Sms), "{:?} {:?}", nature, world.machine);
        }
    }
}
