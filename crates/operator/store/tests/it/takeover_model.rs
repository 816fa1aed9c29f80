//! Random lives of one account (key sets, tickets, resets, vetoes, recoveries, time) with crashes in between, against the simplest model
//! that could be right.

use proptest::prelude::*;
use rcseal_crypto::hash::sha256;
use rcseal_store::conformance::Fixture;
use rcseal_store::directory::{PublishError, PublishKeySet, UploadPrekeys};
use rcseal_store::takeover::{
    AddTicketError, BeginReset, BeginResetError, CancelReset, ResetState, Settled, TakeoverError,
};
use rcseal_store::{
    DirectoryStore as _, FjallStore, MailboxStore as _, ResetTicketHash, StoredKeySet, Takeover, TakeoverStore as _,
    UnixMillis,
};
use rcseal_wire::id::{DeviceAddress, DeviceNumber, KeySetCounter, KeySetHash, MailboxId};

use crate::engine::{NOW, open};

#[derive(Debug, Clone)]
enum Action {
    /// A device publishes; with a new device or without.
    Publish(bool),
    /// Under a number, for so many seconds.
    Ticket(u8, u64),
    /// With a ticket, after so many seconds.
    Begin(u8, u64),
    /// The last request for a reset once more, with a ticket.
    BeginAgain(u8),
    Cancel(bool),
    /// Leaping over so many counters.
    Recover(u64),
    /// Of a key set that is no longer current.
    RecoverLate,
    Advance(u64),
    Settle,
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => any::<bool>().prop_map(Action::Publish),
        4 => (0..3u8, 1..20u64).prop_map(|(ticket, seconds)| Action::Ticket(ticket, seconds)),
        5 => (0..3u8, 1..10u64).prop_map(|(ticket, seconds)| Action::Begin(ticket, seconds)),
        2 => (0..3u8).prop_map(Action::BeginAgain),
        1 => any::<bool>().prop_map(Action::Cancel),
        1 => (0..5u64).prop_map(Action::Recover),
        1 => Just(Action::RecoverLate),
        3 => (1..8u64).prop_map(Action::Advance),
        4 => Just(Action::Settle),
        2 => Just(Action::Crash),
    ]
}

#[derive(Debug, Clone)]
enum Reset {
    None,
    Allowed(u8, UnixMillis),
    Pending(u8, UnixMillis, Box<Takeover>),
}

struct Model {
    bob: Fixture,
    now: UnixMillis,
    current: StoredKeySet,
    devices: Vec<u8>,
    highest: u8,
    /// Mailboxes of devices that have one.
    mailboxes: Vec<MailboxId>,
    gone: Vec<MailboxId>,
    reset: Reset,
    last_request: Option<Takeover>,
    drawn: u64,
}

impl Model {
    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        sha256(&[b"model", &self.drawn.to_be_bytes()])
    }

    fn key_set(&mut self, counter: u64) -> StoredKeySet {
        let hash = self.draw();
        StoredKeySet {
            counter: KeySetCounter::new(counter),
            hash: KeySetHash::from_bytes(hash),
            bytes: hash.repeat(20).into(),
        }
    }

    /// One new device in the place of all others.
    fn takeover(&mut self, leap: u64) -> Takeover {
        let key_set = self.key_set(self.current.counter.get() + 1 + leap);
        let mut mailbox = [0; 16];
        mailbox.copy_from_slice(&self.draw()[..16]);
        Takeover {
            account: self.bob.account,
            previous: self.current.hash,
            key_set,
            device: DeviceNumber::new(self.highest + 1).unwrap(),
            mailbox: MailboxId::from_bytes(mailbox),
            prekeys: UploadPrekeys::default(),
        }
    }

    fn take_over(&mut self, takeover: &Takeover) {
        self.current = takeover.key_set.clone();
        self.devices = vec![takeover.device.get()];
        self.highest = takeover.device.get();
        self.gone.append(&mut self.mailboxes);
        self.mailboxes.push(takeover.mailbox);
    }

    fn end_pending(&mut self) -> bool {
        let is_pending = matches!(self.reset, Reset::Pending(..));
        if is_pending {
            self.reset = Reset::None;
        }
        is_pending
    }

    fn begin(&mut self, ticket: u8, effective_at: UnixMillis, takeover: &Takeover) -> Result<UnixMillis, &'static str> {
        match &self.reset {
            Reset::Allowed(good, until) if *good == ticket && self.now < *until => {
                if takeover.previous != self.current.hash {
                    return Err("key_set_conflict");
                }
                self.reset = Reset::Pending(ticket, effective_at, Box::new(takeover.clone()));
                Ok(effective_at)
            }
            Reset::Pending(good, effective_at, pending) if *good == ticket && **pending == *takeover => {
                Ok(*effective_at)
            }
            _ => Err("reset_ticket_refused"),
        }
    }

    /// What settling does, once.
    fn settle(&mut self) -> &'static str {
        match self.reset.clone() {
            Reset::Allowed(_, until) if until <= self.now => {
                self.reset = Reset::None;
                "expired"
            }
            Reset::Pending(_, effective_at, takeover) if effective_at <= self.now => {
                self.reset = Reset::None;
                self.take_over(&takeover);
                "in force"
            }
            _ => "nothing",
        }
    }
}

fn ticket(number: u8) -> ResetTicketHash {
    ResetTicketHash::from_bytes([number; 32])
}

async fn step(store: &FjallStore, model: &mut Model, action: Action) {
    let account = model.bob.account;
    match action {
        Action::Publish(adds) => {
            let key_set = model.key_set(model.current.counter.get() + 1);
            if adds {
                model.highest += 1;
                model.devices.push(model.highest);
            }
            let publish = PublishKeySet {
                account,
                previous: model.current.hash,
                key_set: key_set.clone(),
                devices: model.devices.iter().map(|number| DeviceNumber::new(*number).unwrap()).collect(),
                now: model.now,
            };
            let published = store.publish_key_set(publish).await.unwrap();
            assert_eq!(published.reset_ended, model.end_pending());
            model.current = key_set;
        }
        Action::Ticket(number, seconds) => {
            let until = model.now.plus_seconds(seconds);
            let added = store.add_reset_ticket(account, ticket(number), until).await;
            if matches!(model.reset, Reset::Pending(..)) {
                assert!(matches!(added, Err(AddTicketError::Pending)), "{added:?}");
            } else {
                added.unwrap();
                model.reset = Reset::Allowed(number, until);
            }
        }
        Action::Begin(number, seconds) => {
            let takeover = model.takeover(0);
            model.last_request = Some(takeover.clone());
            begin(store, model, number, model.now.plus_seconds(seconds), takeover).await;
        }
        Action::BeginAgain(number) => {
            if let Some(takeover) = model.last_request.clone() {
                begin(store, model, number, model.now.plus_seconds(99), takeover).await;
            }
        }
        Action::Cancel(everything) => {
            let what = if everything { CancelReset::Everything } else { CancelReset::Pending };
            let expected = model.end_pending() || (everything && matches!(model.reset, Reset::Allowed(..)));
            if everything {
                model.reset = Reset::None;
            }
            assert_eq!(store.cancel_reset(account, what).await.unwrap(), expected);
        }
        Action::Recover(leap) => {
            let takeover = model.takeover(leap);
            let published = store.take_over(takeover.clone(), model.now).await.unwrap();
            assert_eq!(published.removed.len(), model.devices.len());
            assert_eq!(published.reset_ended, model.end_pending());
            model.take_over(&takeover);
            assert!(store.take_over(takeover, model.now).await.unwrap().removed.is_empty(), "repeated");
        }
        Action::RecoverLate => {
            let late = Takeover { previous: KeySetHash::from_bytes(model.draw()), ..model.takeover(0) };
            let refused = store.take_over(late, model.now).await;
            assert!(matches!(refused, Err(TakeoverError::KeySet(PublishError::Conflict { .. }))), "{refused:?}");
        }
        Action::Advance(seconds) => model.now = model.now.plus_seconds(seconds),
        Action::Settle => {
            let happened = match store.settle_reset(model.now).await.unwrap() {
                Settled::Nothing { .. } => "nothing",
                Settled::Expired => "expired",
                Settled::InForce { account: whose, published } => {
                    assert_eq!((whose, published.removed.len()), (account, model.devices.len()));
                    "in force"
                }
                Settled::Dropped { code, .. } => code,
            };
            assert_eq!(happened, model.settle());
        }
        Action::Crash => store.crash_and_reopen().await,
    }
}

async fn begin(store: &FjallStore, model: &mut Model, number: u8, effective_at: UnixMillis, takeover: Takeover) {
    let request = BeginReset { ticket: ticket(number), takeover: takeover.clone(), effective_at, now: model.now };
    let answer = store.begin_reset(request).await;
    let code = answer.as_ref().map_err(BeginResetError::code);
    assert_eq!(code.copied(), model.begin(number, effective_at, &takeover));
}

async fn compare(store: &FjallStore, model: &Model) {
    let account = model.bob.account;
    assert_eq!(store.key_set(account).await.unwrap().as_ref(), Some(&model.current));
    let mut devices: Vec<u8> =
        store.devices(account).await.unwrap().iter().map(|record| record.address.device.get()).collect();
    devices.sort_unstable();
    assert_eq!(devices, model.devices);
    for mailbox in &model.mailboxes {
        assert!(store.mailbox_usage(*mailbox).await.unwrap().is_some());
    }
    for mailbox in &model.gone {
        assert_eq!(store.mailbox_usage(*mailbox).await.unwrap(), None);
    }
    assert!(store.is_delivery_token(account, model.bob.token).await.unwrap());
    match (&model.reset, store.reset(account).await.unwrap().map(|record| record.state)) {
        (Reset::None, None) => {}
        (Reset::Allowed(_, expected), Some(ResetState::Allowed { until })) => assert_eq!(*expected, until),
        (Reset::Pending(_, expected, takeover), Some(ResetState::Pending { effective_at, key_set, .. })) => {
            assert_eq!((*expected, &takeover.key_set), (effective_at, &key_set));
        }
        (expected, found) => panic!("{expected:?} in the model, {found:?} in the store"),
    }
}

async fn check(actions: Vec<Action>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let bob = Fixture::registered(&store).await;
    let DeviceAddress { device, .. } = bob.device;
    let mut model = Model {
        bob,
        now: NOW,
        current: store.key_set(bob.account).await.unwrap().unwrap(),
        devices: vec![device.get()],
        highest: device.get(),
        mailboxes: vec![bob.mailbox],
        gone: vec![],
        reset: Reset::None,
        last_request: None,
        drawn: 0,
    };
    for action in actions {
        step(&store, &mut model, action).await;
        compare(&store, &model).await;
    }
}

proptest! {
    // Every crash opens the database anew, so cases are few and long.
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn an_accounts_takeovers_behave_as_the_model(actions in prop::collection::vec(action(), 1..80)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(check(actions));
    }
}
