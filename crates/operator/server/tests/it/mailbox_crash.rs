//! `kill -9` of the server in the middle of traffic.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcseal_wire::frame::mailbox_event::Event;
use rcseal_wire::frame::{MAILBOX_PATH, SUBMIT_PATH, SubmitStatus};
use rcseal_wire::id::EnvelopeId;
use tokio::net::TcpStream;

use crate::support::{Client, Owner, Plane, Tls, ids, submission};

/// Lives of the server; each ends at another moment of the traffic.
const LIVES: u32 = 4;
/// Envelopes acknowledged as stored before a life ends.
const STORED_PER_LIFE: usize = 60;

pub struct Process {
    child: Child,
}

impl Process {
    pub async fn start(config: &Path, address: SocketAddr) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_rcseald"))
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child };
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "rcseald did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: the process gets no chance to tidy up.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn configure(folder: &Path) -> (std::path::PathBuf, SocketAddr) {
    rcseal_server::init::write_development_identity(folder).unwrap();
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let config = folder.join("rcseald.toml");
    let text = format!(
        "[server]\nlisten = \"{address}\"\norigin = \"https://localhost:{}\"\n[tls]\ncertificate = \"certificate.pem\"\n\
         private_key = \"private-key.pem\"\n[storage]\npath = \"data\"\nfree_bytes_min = 0\n[admission]\nmode = \"open\"\n",
        address.port()
    );
    std::fs::write(&config, text).unwrap();
    (config, address)
}

async fn logged_in(tls: &Tls, address: SocketAddr, owner: &Owner) -> Client {
    let mut client = Client::connect(tls, address).await;
    let origin = format!("https://localhost:{}", address.port()).parse().unwrap();
    owner.log_in_at(&origin, &mut client).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_server_loses_nothing_acknowledged_and_repeats_nothing_consumed() {
    let folder = tempfile::tempdir().unwrap();
    let (config, address) = configure(folder.path());
    let tls = Tls::trusting(&std::fs::read_to_string(folder.path().join("authority.pem")).unwrap());
    let owner = Owner::new();
    let mut server = Process::start(&config, address).await;
    assert_eq!(Client::connect(&tls, address).await.post("/v1/accounts", &owner.register_request()).await.status, 201);

    let mut next = 0u32;
    // In the order of submission; those in doubt are submitted again under the same id before anything newer.
    let mut stored: Vec<EnvelopeId> = Vec::new();
    let mut in_doubt: Vec<EnvelopeId> = Vec::new();
    let mut received: Vec<EnvelopeId> = Vec::new();
    let mut removed: HashSet<EnvelopeId> = HashSet::new();
    for life in 0..LIVES {
        let client = logged_in(&tls, address, &owner).await;
        let mut alice = Plane::open(&tls, address, SUBMIT_PATH, None).await.unwrap();
        let mut device = Plane::open(&tls, address, MAILBOX_PATH, client.token.as_deref()).await.unwrap();
        let target = stored.len() + STORED_PER_LIFE;
        let mut waiting_for: std::collections::VecDeque<EnvelopeId> = std::collections::VecDeque::new();
        let mut repeated = std::mem::take(&mut in_doubt).into_iter();
        let mut asked: Vec<Vec<EnvelopeId>> = Vec::new();
        loop {
            // A dozen submissions in flight, each a batch of its own.
            while waiting_for.len() < 12 {
                let id = repeated.next().unwrap_or_else(|| {
                    next += 1;
                    let mut bytes = [0; 16];
                    bytes[..4].copy_from_slice(&next.to_be_bytes());
                    EnvelopeId::from_bytes(bytes)
                });
                let envelope = submission(owner.mailbox, &owner.delivery_token, id, &vec![7; 2000]);
                assert!(alice.try_send_batch(0, vec![envelope]).await);
                waiting_for.push_back(id);
            }
            tokio::select! {
                results = alice.results() => {
                    let status = results.unwrap().results().next().unwrap();
                    assert!(matches!(status, SubmitStatus::Stored | SubmitStatus::Duplicate), "{status:?}");
                    stored.push(waiting_for.pop_front().unwrap());
                }
                event = device.try_event() => match event.unwrap() {
                    Event::Deliveries(deliveries) => {
                        let ids = ids(&deliveries);
                        for id in &ids {
                            assert!(!removed.contains(id), "delivered after its acknowledgement was answered");
                            if !received.contains(id) {
                                received.push(*id);
                            }
                        }
                        // Every other delivery is acknowledged; the rest must come again in the next life.
                        if asked.len().is_multiple_of(2) {
                            device.send_acknowledgement(asked.len() as u64, &ids).await;
                            asked.push(ids);
                        } else {
                            asked.push(Vec::new());
                        }
                    }
                    Event::Acknowledged(answer) => removed.extend(&asked[answer.request as usize]),
                    Event::QueueEmpty(_) | Event::PrekeysLow(_) | Event::Reset(_) | Event::RetainedWaiting(_) => {}
                    Event::Failure(failure) => panic!("{failure:?}"),
                },
            }
            if stored.len() >= target + life as usize {
                break;
            }
        }
        drop(server);
        in_doubt.extend(waiting_for);
        server = Process::start(&config, address).await;
    }

    let client = logged_in(&tls, address, &owner).await;
    let mut device = Plane::open(&tls, address, MAILBOX_PATH, client.token.as_deref()).await.unwrap();
    loop {
        match device.event().await {
            Event::Deliveries(deliveries) => {
                let ids = ids(&deliveries);
                for id in &ids {
                    assert!(!removed.contains(id), "delivered after its acknowledgement was answered");
                    if !received.contains(id) {
                        received.push(*id);
                    }
                }
                device.send_acknowledgement(0, &ids).await;
            }
            Event::QueueEmpty(_) => break,
            Event::Acknowledged(_) | Event::PrekeysLow(_) | Event::Reset(_) | Event::RetainedWaiting(_) => {}
            Event::Failure(failure) => panic!("{failure:?}"),
        }
    }
    let received_set: HashSet<_> = received.iter().collect();
    let lost: Vec<_> = stored.iter().filter(|id| !received_set.contains(id)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged envelopes were lost", lost.len(), stored.len());
    let order: Vec<_> = received.iter().filter(|id| stored.contains(id)).copied().collect();
    assert_eq!(order, stored, "the order changed");
}
