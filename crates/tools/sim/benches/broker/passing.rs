//! Envelopes to a mailbox: by the relay's own interface, and by a carrier's trunk and the broker.
//!
//! Both ways end when the sender is told that the envelope is on the relay's disk. The direct way is a device's: one WebSocket for each of
//! those at a time, one envelope in a frame of its own. By the broker it is a SIP MESSAGE with a wrapped frame, answered with 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rand::RngExt as _;
use rcseal_client::net::{Anonymous, Endpoint, SubmitSocket, Timeouts};
use rcseal_client::vault::{SoftwareKeyVault, Unlock};
use rcseal_client::{Client, Config};
use rcseal_engine::account::NewAccount;
use rcseal_rcs::chat;
use rcseal_rcs::frame::{FrameId, Kind, split};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::transport::{CarrierMessage, CarrierMessageId, ReceiptRequest, Sender, TransportProfile};
use rcseal_report::{Report, Row};
use rcseal_server::{Config as RelayConfig, Server, init};
use rcseal_sim::broker::SimBroker;
use rcseal_sim::carrier::{Core, DOMAIN, Passing};
use rcseal_wire::envelope::{Envelope, Tag};
use rcseal_wire::frame::{Submit, SubmitStatus};
use rcseal_wire::id::{Custody, DeviceNumber, EnvelopeId, MailboxId, Platform};
use rcseal_wire::token::DeliveryToken;

use crate::median;

/// Envelopes at a time for the throughput.
const AT_ONCE: usize = 64;
/// Envelopes in a round of each kind.
const ONE_BY_ONE: usize = 300;
const MANY: usize = 4_000;
/// Rounds that count; one before them warms up.
const ROUNDS: usize = 5;
/// Ciphertext of an envelope in the smallest bucket but one.
const CIPHERTEXT_LEN: usize = 528;
const NUMBER: &str = "+14155550142";
const SENDER: &str = "+14155550143";
/// Goals of the issue: milliseconds, and a share.
const ADDED_MS_GOAL: f64 = 3.0;
const SHARE_GOAL: f64 = 0.8;

pub(crate) async fn measure(report: &mut Report) {
    let bench = Bench::start().await;
    let (mut direct_ms, mut brokered_ms, mut direct_rate, mut brokered_rate) = (vec![], vec![], vec![], vec![]);
    for round in 0..=ROUNDS {
        let figures = [
            bench.latencies(Way::Direct).await,
            bench.latencies(Way::Broker).await,
            bench.rate(Way::Direct).await,
            bench.rate(Way::Broker).await,
        ];
        if round > 0 {
            direct_ms.push(figures[0]);
            brokered_ms.push(figures[1]);
            direct_rate.push(figures[2]);
            brokered_rate.push(figures[3]);
        }
    }
    let added: Vec<f64> = brokered_ms.iter().zip(&direct_ms).map(|(broker, direct)| broker - direct).collect();
    let shares: Vec<f64> = brokered_rate.iter().zip(&direct_rate).map(|(broker, direct)| broker / direct).collect();
    report.measure(Row::lower("brokered_1_p50_ms", median(&brokered_ms), "ms").peer("relay", median(&direct_ms)));
    report.measure(Row::lower("added_1_p50_ms", median(&added), "ms").goal(ADDED_MS_GOAL));
    report.measure(Row::higher("brokered_64_per_s", median(&brokered_rate), "/s").peer("relay", median(&direct_rate)));
    report.measure(Row::higher("brokered_64_share_of_relay", median(&shares), "").goal(SHARE_GOAL));
}

#[derive(Clone, Copy)]
enum Way {
    Direct,
    Broker,
}

/// What is handed over.
enum Prepared {
    Direct(Submit),
    Broker(Passing),
}

/// A relay, a broker with a number bound, and both ways to its mailbox.
struct Bench {
    sockets: Vec<tokio::sync::Mutex<SubmitSocket>>,
    core: Arc<Core>,
    mailbox: MailboxId,
    token: DeliveryToken,
    to: PhoneNumber,
    next: AtomicU64,
    _kept: Box<dyn std::any::Any>,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        init::write_development_identity(folder.path()).unwrap();
        let mut config = RelayConfig::development(folder.path());
        config.limits.mailbox_messages_max = 10_000_000;
        config.limits.mailbox_bytes_max = u64::MAX;
        config.limits.submissions_per_second_max = 1_000_000;
        let relay = Server::start(config).await.unwrap();
        let relay_pem = relay.ca_pem().unwrap().to_owned();
        let unlimited = |config: &mut rcseal_broker::Config| {
            config.forward.per_sender_per_minute = u32::MAX;
            config.forward.per_recipient_per_minute = u32::MAX;
        };
        let broker = SimBroker::start_with(relay.origin(), &relay_pem, unlimited).await.unwrap();
        let trust = broker.trust_with(&relay_pem).unwrap();
        let client_folder = tempfile::tempdir().unwrap();
        let vault = SoftwareKeyVault::new(client_folder.path(), Unlock::KeyFile).unwrap();
        let timeouts = Timeouts::default();
        let config = Config::new(client_folder.path().join("client"), trust.clone(), timeouts);
        let client = Client::open(config, Arc::new(vault)).await.unwrap();
        let account = NewAccount {
            origin: relay.origin().clone(),
            platform: Platform::Ios,
            custody: Custody::User,
            display_name: "Bound".to_owned(),
        };
        let created = client.create_account(account).await.unwrap();
        client.register(None).await.unwrap();
        let to: PhoneNumber = NUMBER.parse().unwrap();
        broker.bind(&client, &to).await.unwrap();
        let invitation = client.invite().await.unwrap();
        let endpoint = Endpoint::new(relay.origin().clone(), &trust, timeouts).unwrap();
        let anonymous = Anonymous::new(endpoint);
        let token = invitation.delivery_token;
        let bundles = anonymous.bundles(&created.account, &token, vec![DeviceNumber::PRIMARY]).await.unwrap();
        let mailbox = bundles[0].mailbox;
        let mut sockets = Vec::new();
        for _ in 0..AT_ONCE {
            sockets.push(tokio::sync::Mutex::new(anonymous.submit_socket().await.unwrap()));
        }
        let core = Arc::clone(broker.core());
        let kept = Box::new((relay, broker, client, folder, client_folder));
        Self { sockets, core, mailbox, token, to, next: AtomicU64::new(1), _kept: kept }
    }

    /// The middle of the times that envelopes take one after the other, in milliseconds.
    async fn latencies(&self, way: Way) -> f64 {
        let mut times = Vec::with_capacity(ONE_BY_ONE);
        for _ in 0..ONE_BY_ONE {
            let prepared = self.prepare(way);
            let began = Instant::now();
            self.send(prepared, 0).await;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        median(&times)
    }

    /// Envelopes a second, with many under way.
    async fn rate(&self, way: Way) -> f64 {
        // What phones do with an envelope before they hand it over is neither the relay's work nor the broker's.
        let prepared: Vec<Vec<Prepared>> =
            (0..AT_ONCE).map(|_| (0..MANY / AT_ONCE).map(|_| self.prepare(way)).collect()).collect();
        let began = Instant::now();
        let senders = prepared.into_iter().enumerate().map(|(sender, prepared)| async move {
            for one in prepared {
                self.send(one, sender).await;
            }
        });
        futures_util::future::join_all(senders).await;
        (MANY / AT_ONCE * AT_ONCE) as f64 / began.elapsed().as_secs_f64()
    }

    fn prepare(&self, way: Way) -> Prepared {
        let envelope = fresh_envelope();
        match way {
            Way::Direct => Prepared::Direct(Submit {
                mailbox: self.mailbox,
                token: self.token.duplicate(),
                id: EnvelopeId::generate(&mut rand::rng()),
                ttl_seconds: 3600,
                envelope: envelope.into(),
            }),
            Way::Broker => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let cpim = wrapped(&self.to, &envelope, number);
                Prepared::Broker(Passing::cpim(Sender::Asserted(SENDER.parse().unwrap()), cpim))
            }
        }
    }

    async fn send(&self, prepared: Prepared, socket: usize) {
        match prepared {
            Prepared::Direct(submit) => {
                let statuses = self.sockets[socket].lock().await.submit(&[submit]).await.unwrap();
                assert_eq!(statuses, [SubmitStatus::Stored]);
            }
            Prepared::Broker(passing) => {
                self.core.bring(&self.to, passing).await.unwrap();
            }
        }
    }
}

/// An envelope that no other is like.
fn fresh_envelope() -> Vec<u8> {
    let mut ciphertext = vec![0; CIPHERTEXT_LEN];
    let rng = &mut rand::rng();
    rng.fill(&mut ciphertext[..]);
    Envelope::Session { tag: Tag(rng.random()), nonce: rng.random(), ciphertext: &ciphertext }.to_bytes()
}

/// The envelope as a phone's stack would hand it to the carrier.
fn wrapped(to: &PhoneNumber, envelope: &[u8], number: u64) -> Vec<u8> {
    let profile = TransportProfile {
        is_binary_safe: true,
        body_len_max: 16 << 10,
        parts_max: 1,
        carries_headers: true,
        has_receipts: false,
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let parts = split(Kind::Envelope, FrameId::from_bytes(rand::random()), envelope, &profile).unwrap();
    let message = CarrierMessage {
        to: to.clone(),
        id: CarrierMessageId::from_random(id),
        receipts: ReceiptRequest::default(),
        carriage: parts[0].carriage(&profile),
    };
    let own: PhoneNumber = SENDER.parse().unwrap();
    chat::wrap(&message, &own, &DOMAIN.parse().unwrap(), Timestamp::from_millis(1_800_000_000_000)).unwrap()
}
