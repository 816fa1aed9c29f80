//! Our SMPP client against SMSCs that misbehave. They are fakes of a few lines, which do what no real SMSC can be made to do; the real one is
//! Jasmin (`rcseal-sim peers`).

mod gateway;
mod hostile;
mod losing;
mod taking_in;

use std::sync::Arc;
use std::time::Duration;

use rcseal_carrier::auth::Password;
use rcseal_carrier::sms::smpp::{Config, Credentials, LinkState, SmppClient};
use rcseal_carrier::sms::{SenderId, SmsGateway, SmsId, SmsMessage, SmsSubmitted, SmsText};
use rcseal_rcs::transport::SendFailure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

const BIND_TRANSCEIVER: u32 = 9;
const SUBMIT: u32 = 4;
const DELIVER: u32 = 5;
const UNBIND: u32 = 6;
const ENQUIRE: u32 = 0x15;
const ANSWER: u32 = 0x8000_0000;

/// A PDU as a fake reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    id: u32,
    status: u32,
    sequence: u32,
    body: Vec<u8>,
}

fn pdu(id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(16 + body.len()).unwrap();
    [&len.to_be_bytes()[..], &id.to_be_bytes(), &status.to_be_bytes(), &sequence.to_be_bytes(), body].concat()
}

/// A `deliver_sm`.
fn deliver(sequence: u32, esm_class: u8, coding: u8, words: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x01\x014915112345678\0\x01\x01491700000000\0".to_vec();
    body.extend([esm_class, 0, 0, 0, 0, 0, 0, coding, 0, u8::try_from(words.len()).unwrap()]);
    body.extend(words);
    pdu(DELIVER, 0, sequence, &body)
}

/// A fake SMSC.
struct Smsc(TcpListener);

impl Smsc {
    async fn start() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    fn config(&self) -> Config {
        let credentials =
            Credentials { system_id: "us".to_owned(), password: Password::new("secret"), system_type: String::new() };
        let mut config = Config::new("127.0.0.1", self.0.local_addr().unwrap().port(), credentials);
        config.timers.reconnect_min = Duration::from_millis(5);
        config.timers.reconnect_max = Duration::from_millis(50);
        config.timers.throttle_min = Duration::from_millis(5);
        config.timers.throttle_max = Duration::from_millis(20);
        config
    }

    /// The next connection, its bind unread.
    async fn accept(&self) -> Conversation {
        let (stream, _) = timeout(PATIENCE, self.0.accept()).await.unwrap().unwrap();
        Conversation(stream)
    }

    /// The next connection, bound.
    async fn bound(&self) -> Conversation {
        let mut conversation = self.accept().await;
        let bind = conversation.read().await.unwrap();
        assert_eq!(bind.id, BIND_TRANSCEIVER);
        conversation.write(&pdu(bind.id | ANSWER, 0, bind.sequence, b"fake\0")).await;
        conversation
    }
}

/// A connection of a fake.
struct Conversation(TcpStream);

impl Conversation {
    /// The next PDU; `None` at the end.
    async fn read(&mut self) -> Option<Read> {
        let mut header = [0; 16];
        timeout(PATIENCE, self.0.read_exact(&mut header)).await.unwrap().ok()?;
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let mut body = vec![0; usize::try_from(word(0)).unwrap() - 16];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await.unwrap().ok()?;
        Some(Read { id: word(4), status: word(8), sequence: word(12), body })
    }

    /// The next submission.
    async fn submission(&mut self) -> Read {
        let read = self.read().await.unwrap();
        assert_eq!(read.id, SUBMIT);
        read
    }

    async fn write(&mut self, bytes: &[u8]) {
        // A client that has gone has its reasons, and the test looks at those.
        let _ = self.0.write_all(bytes).await;
    }

    async fn answer(&mut self, to: &Read, status: u32, id: &str) {
        let body = if status == 0 { [id.as_bytes(), b"\0"].concat() } else { Vec::new() };
        self.write(&pdu(to.id | ANSWER, status, to.sequence, &body)).await;
    }

    /// Reads until the client has ended the connection.
    async fn until_end(&mut self) {
        let mut rest = vec![0; 1 << 16];
        let reading = async { while matches!(self.0.read(&mut rest).await, Ok(1..)) {} };
        timeout(PATIENCE, reading).await.unwrap();
    }
}

fn message(words: &str) -> SmsMessage {
    SmsMessage {
        to: "+4915112345678".parse().unwrap(),
        from: SenderId::parse("RCSeal").unwrap(),
        text: SmsText::parse(words).unwrap(),
        id: SmsId([7; 16]),
        validity_seconds: None,
        wants_report: true,
    }
}

fn start(config: Config) -> Arc<SmppClient> {
    Arc::new(SmppClient::start(config).unwrap())
}

fn submit(client: &Arc<SmppClient>, words: &str) -> JoinHandle<Result<SmsSubmitted, SendFailure>> {
    let (client, message) = (Arc::clone(client), message(words));
    tokio::spawn(async move { client.submit(message).await })
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

/// Waits until the client has lost its connection, or has another.
async fn until_lost(client: &SmppClient, connections: u64) {
    until(|| client.status().connections > connections || client.status().link != LinkState::Bound).await;
}
