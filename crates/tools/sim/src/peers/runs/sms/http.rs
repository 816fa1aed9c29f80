//! Our adapter for gateways by HTTP against Jasmin's HTTP interface, with call-backs to a server of this process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use rcseal_carrier::auth::Password;
use rcseal_carrier::sms::http_gateway::{Callback, CallbackAnswer, Config, HttpGateway};
use rcseal_carrier::sms::{SmsGateway, SmsMessage};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::transport::SendFailure;
use rcseal_report::Report;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::super::super::jasmin::{HTTP_CODE, Jasmin, PASSWORD, SLOW_USER, USER};
use super::super::super::prepare;
use super::{FORWARD_LIMIT, PATIENCE, RunError, expect, message, number, words};

/// 256 bits for this process.
fn secret() -> &'static str {
    static SECRET: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    SECRET.get_or_init(|| {
        hex::encode([super::super::super::line::random(), super::super::super::line::random()].concat())
    })
}

type Gateways = Arc<Mutex<Option<Arc<HttpGateway>>>>;

/// The server that Jasmin calls.
pub(super) struct Server {
    address: SocketAddr,
    gateway: Gateways,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start() -> Result<Self, RunError> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(prepare("a server"))?;
        let address = listener.local_addr().map_err(prepare("a server"))?;
        let gateway = Gateways::default();
        let routes = axum::Router::new().route("/sms/{secret}", post(called)).with_state(Arc::clone(&gateway));
        let task = tokio::spawn(async move {
            // It ends with the value that stands for it.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, gateway, task })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/sms/{}", self.address, secret())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn called(State(gateways): State<Gateways>, Path(secret): Path<String>, body: Bytes) -> (StatusCode, String) {
    let gateway = gateways.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(gateway) = gateway else { return (StatusCode::SERVICE_UNAVAILABLE, String::new()) };
    let answer = gateway.callback(call(&secret, &body)).await;
    (StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer.body)
}

fn call<'a>(secret: &'a str, content: &'a [u8]) -> Callback<'a> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(since.as_millis()).unwrap_or(0);
    Callback { secret, content, signature: None, timestamp: None, now_ms }
}

/// Without a validity: Jasmin 0.11.0 takes a message that has one, and loses some of them to an error of its own in how it writes tenths of seconds.
fn plain(to: &PhoneNumber, from: &str, words: &str) -> SmsMessage {
    SmsMessage { validity_seconds: None, ..message(to, from, words) }
}

fn gateway(smsc: &Jasmin, server: &Server, user: &str, password: &str) -> Result<Arc<HttpGateway>, RunError> {
    let mut config = Config::new(&smsc.send_url(), user, Password::new(password), Password::new(secret()))?;
    config.callback = Some(Password::new(server.url()));
    Ok(Arc::new(HttpGateway::new(config)?))
}

pub(super) async fn run(report: &mut Report, smsc: &Jasmin, server: &Server) -> Result<(), RunError> {
    let ours = gateway(smsc, server, USER, PASSWORD)?;
    *server.gateway.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&ours));
    sending(report, smsc, &ours).await?;
    receiving(report, &ours).await?;
    refusals(report, smsc, server).await
}

async fn sending(report: &mut Report, smsc: &Jasmin, ours: &Arc<HttpGateway>) -> Result<(), RunError> {
    let cases = [
        ("delivered", 1, "5 € [plain]", b"5 \x1b\x65 \x1b\x3cplain\x1b\x3e".to_vec(), "delivered"),
        ("undeliverable", 2, "я🦐", b"\x04\x4f\xd8\x3e\xdd\x90".to_vec(), "undeliverable"),
        ("refused_by_the_network", 6, "nobody", b"nobody".to_vec(), "rejected"),
    ];
    for (index, (name, fate, text, octets, expected)) in (100..).zip(cases) {
        let to = number(index, fate);
        let submitted = ours.submit(plain(&to, "RCSeal", text)).await?;
        let arrivals = smsc.network().wait_for(to.as_str(), 1, FORWARD_LIMIT).await;
        report.promise(&format!("http_{name}_same_octets"), words(&arrivals).0 == octets);
        let seen = super::report(&**ours).await;
        let is_it = seen.as_ref().is_some_and(|seen| seen.gateway_id == submitted.gateway_id);
        report.promise(&format!("http_{name}_names_the_message"), is_it);
        expect(report, &format!("http_{name}"), seen.map_or("nothing", |seen| seen.state.code()), expected);
    }
    // A report that nobody took is called again; Jasmin waits a second. The same call once more brings nothing.
    let submitted = ours.submit(plain(&number(104, 1), "RCSeal", "again")).await?;
    let first = timeout_at(Instant::now() + PATIENCE, ours.next_report()).await.ok().flatten();
    drop(first);
    let second = super::report(&**ours).await;
    let is_it = second.is_some_and(|seen| seen.gateway_id == submitted.gateway_id);
    report.promise("http_report_not_taken_comes_again", is_it);
    let replay = format!("id={}&level=2&message_status=DELIVRD", submitted.gateway_id.as_str());
    let answer = ours.callback(call(secret(), replay.as_bytes())).await;
    let acknowledged = CallbackAnswer { status: 200, body: "ACK/Jasmin".to_owned() };
    let more = timeout_at(Instant::now() + super::super::SILENCE, ours.next_report()).await;
    report.promise("http_replay_brings_nothing", answer == acknowledged && more.is_err());
    let answer = ours.callback(call("0123456789abcdef0123456789abcdef", replay.as_bytes())).await;
    report.promise("http_guessed_secret_is_told_nothing", (answer.status, answer.body.as_str()) == (404, ""));
    Ok(())
}

async fn receiving(report: &mut Report, ours: &Arc<HttpGateway>) -> Result<(), RunError> {
    for (index, (name, text)) in (110..).zip([("gsm7", "yes, 5 € [please]"), ("ucs2", "да 🦐")]) {
        // The phone there answers to our code with the same octets, which Jasmin pushes.
        ours.submit(plain(&number(index, 5), HTTP_CODE, text)).await?;
        let arrived = timeout_at(Instant::now() + FORWARD_LIMIT, ours.receive()).await.ok().flatten();
        let message = arrived.map(|arrived| arrived.accept());
        let is_same = message.as_ref().is_some_and(|message| message.text == text && message.to == HTTP_CODE);
        report.promise(&format!("http_inbound_{name}_same_words"), is_same);
        let is_known = message
            .is_some_and(|message| message.from.as_str() == number(index, 5).as_str() && message.gateway_id.is_some());
        report.promise(&format!("http_inbound_{name}_sender_and_id"), is_known);
        let _delivered = super::report(&**ours).await;
    }
    Ok(())
}

async fn refusals(report: &mut Report, smsc: &Jasmin, server: &Server) -> Result<(), RunError> {
    let wrong = gateway(smsc, server, USER, "wrong")?;
    let failure = wrong.submit(plain(&number(120, 8), "RCSeal", "not ours")).await.err();
    expect(report, "http_wrong_password", failure.map_or("sent", |failure| failure.code()), "carrier_unauthorized");
    // One message a second.
    let slow = gateway(smsc, server, SLOW_USER, PASSWORD)?;
    let mut busy = 0;
    for _ in 0..4 {
        let outcome = slow.submit(plain(&number(121, 8), "RCSeal", "too fast")).await;
        busy += usize::from(matches!(outcome, Err(SendFailure::Busy { .. })));
    }
    report.promise("http_too_fast_is_busy", busy > 0);
    Ok(())
}
