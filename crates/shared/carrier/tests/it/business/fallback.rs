//! The fall-back over a provider, real requests between them: what a recipient gets, and what the log says carried it.

use std::collections::HashSet;
use std::time::Duration;

use rcseal_carrier::business::fake::Disorder;
use rcseal_carrier::business::fake::Trouble;
use rcseal_carrier::business::fake::rbm::Race;
use rcseal_carrier::business::{AgentMessage, BusinessProvider, Channel, EventKey, Ttl, Webhook};
use rcseal_carrier::fallback::{Action, Event, Fallback, Phase, Policy, Status, Unanswered};

use super::{ALICE, id, rbm, sinch, text};

/// One message, run the way a broker runs it: rows are written before actions, events are dropped by their keys.
struct Runner<'a> {
    provider: &'a dyn BusinessProvider,
    message: AgentMessage,
    row: Vec<u8>,
    now: u64,
    keys: HashSet<EventKey>,
    sms_sent: u32,
}

impl<'a> Runner<'a> {
    async fn send(provider: &'a dyn BusinessProvider, message: AgentMessage, policy: Policy, now: u64) -> Runner<'a> {
        let (fallback, action) = Fallback::new(message.id(), policy, now);
        let row = fallback.to_row();
        let mut runner = Runner { provider, message, row, now, keys: HashSet::new(), sms_sent: 0 };
        runner.act(Some(action)).await;
        runner
    }

    fn load(&self) -> Fallback {
        Fallback::from_row(&self.row).unwrap()
    }

    fn tell(&mut self, event: Event) -> Option<Action> {
        let mut fallback = self.load();
        let action = fallback.on(event, self.now);
        self.row = fallback.to_row();
        action
    }

    async fn act(&mut self, mut action: Option<Action>) {
        while let Some(next) = action {
            action = match next {
                Action::SendRcs => {
                    let result = self.provider.send(&self.message).await;
                    self.tell(Event::from_send(&result))
                }
                Action::Revoke => {
                    let outcome = self.provider.revoke(self.message.to(), self.message.id()).await;
                    self.tell(Event::from_revoke(outcome))
                }
                Action::SendSms => {
                    let mut fallback = self.load();
                    let permit = fallback.take_sms();
                    self.row = fallback.to_row();
                    if permit.is_some() {
                        self.sms_sent += 1;
                        self.tell(Event::SmsSubmitted);
                        self.tell(Event::SmsDelivered);
                    }
                    None
                }
            };
        }
    }

    async fn hear(&mut self, webhooks: Vec<rcseal_carrier::business::fake::Posted>) {
        for webhook in webhooks {
            let read = self.provider.parse_webhook(&webhook.headers, &webhook.body, self.now).unwrap();
            let Webhook::Events(events) = read else { panic!("events were expected") };
            for event in events {
                if !self.keys.insert(event.key) {
                    continue;
                }
                if let Some((id, event)) = Event::from_provider(&event.event) {
                    assert_eq!(id, self.message.id());
                    let action = self.tell(event);
                    self.act(action).await;
                }
            }
        }
    }

    async fn wait(&mut self, by_ms: u64) {
        self.now += by_ms;
        let mut fallback = self.load();
        let action = fallback.on_time(self.now);
        self.row = fallback.to_row();
        self.act(action).await;
    }

    fn status(&self) -> Status {
        self.load().status()
    }
}

fn policy(provider: &dyn BusinessProvider, unanswered: Unanswered) -> Policy {
    Policy::for_provider(provider.traits(), Ttl::from_seconds(60).unwrap(), unanswered)
}

#[tokio::test]
async fn a_number_without_rcs_gets_one_sms_and_the_log_says_so() {
    let (fake, provider) = rbm().await;
    let runner =
        Runner::send(&provider, text(1, ALICE, "Hi", Some(60)), policy(&provider, Unanswered::Wait), fake.now_ms())
            .await;
    assert_eq!(runner.sms_sent, 1);
    let expected = Status { phase: Phase::Delivered, channel: Some(Channel::Sms), is_read: false, by_both: false };
    assert_eq!(runner.status(), expected);
}

#[tokio::test]
async fn somebody_offline_gets_one_sms_after_the_time_to_live_in_whichever_way_the_revocation_goes() {
    for (race, unanswered, sms, phase, channel) in [
        (Race::Clean, Unanswered::Wait, 1, Phase::Delivered, Some(Channel::Sms)),
        (Race::SaidAndDelivered, Unanswered::Wait, 0, Phase::Delivered, Some(Channel::Rcs)),
        (Race::SaidAndDelivered, Unanswered::FallBack, 0, Phase::Delivered, Some(Channel::Rcs)),
        (Race::Fails, Unanswered::Wait, 0, Phase::PresumedDelivered, None),
    ] {
        let (fake, provider) = rbm().await;
        fake.has_rcs(ALICE, false);
        fake.race(race);
        fake.disorder(Disorder { copies: 1, is_backwards: false });
        let sent = text(1, ALICE, "Code 1234", Some(60));
        let mut runner = Runner::send(&provider, sent, policy(&provider, unanswered), fake.now_ms()).await;
        fake.advance(Duration::from_secs(61));
        runner.now = fake.now_ms();
        runner.hear(fake.take_webhooks()).await;
        runner.wait(10_000).await;
        runner.wait(60_000).await;
        assert_eq!(
            (runner.sms_sent, runner.status().phase, runner.status().channel),
            (sms, phase, channel),
            "{race:?}"
        );
    }
}

#[tokio::test]
async fn a_delivery_after_the_sms_is_seen_as_a_double() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, false);
    fake.race(Race::SaidAndDelivered);
    let sent = text(1, ALICE, "Code 1234", Some(60));
    let mut runner = Runner::send(&provider, sent, policy(&provider, Unanswered::Wait), fake.now_ms()).await;
    fake.advance(Duration::from_secs(61));
    runner.now = fake.now_ms();
    let mut webhooks = fake.take_webhooks();
    let late = webhooks.split_off(1);
    runner.hear(webhooks).await;
    runner.wait(10_000).await;
    assert_eq!(runner.sms_sent, 1, "the notice was believed after a while");
    runner.hear(late).await;
    assert_eq!(runner.sms_sent, 1);
    let expected = Status { phase: Phase::Delivered, channel: Some(Channel::Rcs), is_read: false, by_both: true };
    assert_eq!(runner.status(), expected);
}

#[tokio::test]
async fn an_unanswered_revocation_waits_or_doubles_as_the_policy_says() {
    for (unanswered, sms) in [(Unanswered::Wait, 0), (Unanswered::FallBack, 1)] {
        let (fake, provider) = rbm().await;
        fake.has_rcs(ALICE, false);
        let sent = text(1, ALICE, "Hi", Some(60));
        let mut runner = Runner::send(&provider, sent, policy(&provider, unanswered), fake.now_ms()).await;
        fake.trouble(&[Trouble::Status(500, None); 4]);
        runner.wait(65_001).await;
        assert_eq!(runner.sms_sent, sms, "{unanswered:?}");
        // The recipient comes online after all, and the report comes twice.
        fake.disorder(Disorder { copies: 1, is_backwards: true });
        fake.comes_online(ALICE);
        runner.hear(fake.take_webhooks()).await;
        runner.wait(120_000).await;
        assert_eq!(runner.sms_sent, sms);
        assert_eq!((runner.status().channel, runner.status().by_both), (Some(Channel::Rcs), sms == 1));
    }
}

#[tokio::test]
async fn a_restart_while_sending_sends_under_the_same_id_and_is_delivered_once() {
    let (fake, provider) = rbm().await;
    fake.has_rcs(ALICE, true);
    let message = text(1, ALICE, "Hi", Some(60));
    let (fallback, _) = Fallback::new(id(1), policy(&provider, Unanswered::Wait), fake.now_ms());
    let row = fallback.to_row();
    // The request was made, and the process ended before it knew.
    provider.send(&message).await.unwrap();
    let mut runner =
        Runner { provider: &provider, message, row, now: fake.now_ms(), keys: HashSet::new(), sms_sent: 0 };
    let mut resumed = runner.load();
    let action = resumed.resume(runner.now);
    runner.row = resumed.to_row();
    runner.act(action).await;
    assert_eq!(fake.messages().len(), 1);
    runner.hear(fake.take_webhooks()).await;
    assert_eq!((runner.status().phase, runner.sms_sent), (Phase::Delivered, 0));
}

#[tokio::test]
async fn the_aggregators_own_sms_is_a_delivery_and_ours_stays_unsent() {
    let (fake, provider) = sinch(true).await;
    fake.has(ALICE, &["SMS"], true);
    let sent = text(1, ALICE, "Hi", Some(60));
    let mut runner = Runner::send(&provider, sent, policy(&provider, Unanswered::FallBack), fake.now_ms()).await;
    runner.hear(fake.take_webhooks()).await;
    runner.wait(200_000).await;
    assert_eq!((runner.status().channel, runner.sms_sent), (Some(Channel::Sms), 0));
}

#[tokio::test]
async fn an_aggregator_that_cannot_revoke_expires_by_itself_and_then_the_sms_goes() {
    let (fake, provider) = sinch(false).await;
    fake.has(ALICE, &["RCS"], false);
    let sent = text(1, ALICE, "Hi", Some(60));
    let mut runner = Runner::send(&provider, sent, policy(&provider, Unanswered::Wait), fake.now_ms()).await;
    fake.advance(Duration::from_secs(61));
    runner.now = fake.now_ms();
    runner.hear(fake.take_webhooks()).await;
    runner.wait(3_000).await;
    assert_eq!((runner.status().channel, runner.sms_sent), (Some(Channel::Sms), 1));
}
