//! A **fake** SMS network: a gateway with the HTTP interface that Jasmin has, and handsets behind it.
//!
//! It takes what the broker sends, and does nothing with it until the story says so: then it reports a delivery, or brings the same octets
//! back to the broker as an SMS for a number that is bound there. Every answer carries the label of the fakes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Form, Router};
use rcseal_carrier::business::fake::{LABEL, LABEL_VALUE};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::tenant::BrokerHttp;
use crate::demo::stage::{StepError, ensure};

/// The last element of the call-backs' path. This network lives for seconds, on loopback.
pub(super) const CALLBACK_SECRET: &str = "5ec7e7f0r7hedem00n1y5ec7e7f0r7he";
/// Where the broker takes call-backs.
const CALLBACKS: &str = "/v1/callbacks/sms";

/// An SMS as the broker handed it in.
#[derive(Debug, Clone)]
pub(super) struct Sms {
    /// The network's id of it.
    pub(super) id: String,
    /// To whom, digits alone.
    pub(super) to: String,
    from: String,
    coding: String,
    octets: String,
    wants_report: bool,
}

impl Sms {
    /// Its words. This program's own are in the part of the alphabet that is ASCII's, but for three characters.
    pub(super) fn words(&self) -> String {
        let octets = hex::decode(&self.octets).unwrap_or_default();
        octets
            .into_iter()
            .map(|octet| match octet {
                0x00 => '@',
                0x02 => '$',
                0x11 => '_',
                other => char::from(other),
            })
            .collect()
    }
}

#[derive(Default)]
struct Taken(Mutex<Vec<Sms>>);

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Vec<Sms>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network. It ends when it is dropped.
pub(super) struct FakeSmsNetwork {
    address: SocketAddr,
    taken: Arc<Taken>,
    server: JoinHandle<()>,
}

impl FakeSmsNetwork {
    pub(super) async fn start() -> Result<Self, StepError> {
        let taken = Arc::new(Taken::default());
        let router = Router::new().route("/send", post(take)).with_state(Arc::clone(&taken));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            // It serves until it is dropped; an error of one connection is that connection's.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, taken, server })
    }

    /// Where it takes messages.
    pub(super) fn url(&self) -> String {
        format!("http://{}/send", self.address)
    }

    /// What was handed in for a number, the oldest first.
    pub(super) fn to(&self, number: &str) -> Vec<Sms> {
        let digits = number.trim_start_matches('+');
        self.taken.lock().iter().filter(|sms| sms.to == digits).cloned().collect()
    }

    /// Everything that was handed in.
    pub(super) fn all(&self) -> Vec<Sms> {
        self.taken.lock().clone()
    }

    /// Reports to the broker that an SMS was delivered.
    pub(super) async fn report_delivered(&self, broker: &BrokerHttp, sms: &Sms) -> Result<(), StepError> {
        ensure(sms.wants_report, "a message that asks for a report")?;
        self.call(broker, format!("id={}&level=2&message_status=DELIVRD", sms.id)).await
    }

    /// Brings an SMS to the number that it is for, by the broker: the number is the app's.
    pub(super) async fn bring(&self, broker: &BrokerHttp, sms: &Sms) -> Result<(), StepError> {
        let form = format!(
            "id=mo-{}&from=%2B{}&to={}&coding={}&binary={}&content=",
            sms.id, sms.from, sms.to, sms.coding, sms.octets
        );
        self.call(broker, form).await
    }

    /// Brings other words from whom an SMS came from.
    pub(super) async fn bring_words(&self, broker: &BrokerHttp, like: &Sms, words: &str) -> Result<(), StepError> {
        let other =
            Sms { id: format!("{}-more", like.id), octets: hex::encode(words), coding: "0".to_owned(), ..like.clone() };
        self.bring(broker, &other).await
    }

    async fn call(&self, broker: &BrokerHttp, form: String) -> Result<(), StepError> {
        let path = format!("{CALLBACKS}/{CALLBACK_SECRET}");
        let reply = broker.post(&path, &[("content-type", "application/x-www-form-urlencoded")], form.into()).await?;
        ensure(reply.status == 200, format!("a call-back that the broker takes, but it said {}", reply.status))
    }
}

impl Drop for FakeSmsNetwork {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(
    State(taken): State<Arc<Taken>>,
    Form(mut form): Form<HashMap<String, String>>,
) -> ([(&'static str, &'static str); 1], String) {
    let mut field = |name: &str| form.remove(name).unwrap_or_default();
    let mut taken = taken.lock();
    let id = format!("sms-{}", taken.len() + 1);
    let sms = Sms {
        id: id.clone(),
        to: field("to"),
        from: field("from"),
        coding: field("coding"),
        octets: field("hex-content"),
        wants_report: field("dlr") == "yes",
    };
    taken.push(sms);
    ([(LABEL, LABEL_VALUE)], format!("Success \"{id}\""))
}
