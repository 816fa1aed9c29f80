//! A fake: registrar and proxy in one, for user agents of ours to meet over.
//!
//! It checks digest and AKA credentials with its own arithmetic and forwards by the contact's user. It is faithful where the tests look (nonce
//! counts, stale nonces, `Via`, `Record-Route`) and knows nothing else of SIP. It is not evidence about a real proxy.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use milenage::Milenage;
use rcseal_carrier::sip::message::{Message, Method, Start};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub(crate) type Key = [u8; 16];

/// How it knows its subscribers.
#[derive(Clone)]
pub(crate) enum Auth {
    None,
    /// `algorithm`, `qop`, password.
    Digest(&'static str, &'static str, &'static str),
    /// Key, OPc, and the sequence number that was used last.
    Aka(Key, Key, u64),
}

#[derive(Clone)]
pub(crate) enum Listen {
    Udp,
    Tcp,
    Tls(CertificateDer<'static>, Arc<PrivateKeyDer<'static>>),
}

/// What it does, and what it has seen.
pub(crate) struct State {
    pub auth: Auth,
    pub challenges_messages: bool,
    /// After so many uses a nonce is stale.
    pub nonce_uses: u32,
    pub min_expires: u32,
    pub granted: u32,
    /// Swallows so many messages that are to be forwarded.
    pub swallows: usize,
    /// Forwards each request twice.
    pub doubles: bool,
    pub seen: Vec<String>,
    pub connections: usize,
    pub resynchronised: usize,
    /// Contacts that were taken back beside a new one.
    pub withdrawn: usize,
    nonces: HashMap<String, (u32, Option<Vec<u8>>)>,
    last_rand: Key,
    contacts: HashMap<String, (Flow, String)>,
    back: HashMap<String, Flow>,
    address: String,
    protocol: &'static str,
}

pub(crate) struct FakeRegistrar {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
    /// What is sent here goes out to the newest connection as it is.
    pub raw: Arc<Mutex<Option<mpsc::UnboundedSender<Bytes>>>>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
enum Flow {
    Datagram(SocketAddr),
    Stream(mpsc::UnboundedSender<Bytes>),
}

impl FakeRegistrar {
    pub(crate) async fn start(listen: Listen, auth: Auth) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), listen, auth).await
    }

    pub(crate) async fn start_at(at: SocketAddr, listen: Listen, auth: Auth) -> Self {
        let mut tasks = JoinSet::new();
        let raw = Arc::new(Mutex::new(None));
        let (protocol, udp, tcp) = match &listen {
            Listen::Udp => ("UDP", Some(UdpSocket::bind(at).await.unwrap()), None),
            Listen::Tcp => ("TCP", None, Some(TcpListener::bind(at).await.unwrap())),
            Listen::Tls(..) => ("TLS", None, Some(TcpListener::bind(at).await.unwrap())),
        };
        let address = udp.as_ref().map_or_else(|| tcp.as_ref().unwrap().local_addr(), UdpSocket::local_addr).unwrap();
        let state = Arc::new(Mutex::new(State {
            auth,
            challenges_messages: false,
            nonce_uses: u32::MAX,
            min_expires: 0,
            granted: 3600,
            swallows: 0,
            doubles: false,
            seen: Vec::new(),
            connections: 0,
            resynchronised: 0,
            withdrawn: 0,
            nonces: HashMap::new(),
            last_rand: [0; 16],
            contacts: HashMap::new(),
            back: HashMap::new(),
            address: address.to_string(),
            protocol,
        }));
        if let Some(socket) = udp {
            tasks.spawn(datagrams(socket, Arc::clone(&state)));
        }
        if let Some(listener) = tcp {
            tasks.spawn(streams(listener, Arc::clone(&state), Arc::clone(&raw), listen));
        }
        Self { address, state, raw, _tasks: tasks }
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.state.lock().unwrap().seen.iter().filter(|seen| *seen == method).count()
    }
}

async fn datagrams(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, source) = socket.recv_from(&mut buffer).await.unwrap();
        let Ok(message) = Message::parse(&Bytes::copy_from_slice(&buffer[..len])) else { continue };
        let out = state.lock().unwrap().take(&message, &buffer[..len], Flow::Datagram(source));
        for (flow, bytes) in out {
            if let Flow::Datagram(to) = flow {
                socket.send_to(&bytes, to).await.unwrap();
            }
        }
    }
}

async fn streams(
    listener: TcpListener,
    state: Arc<Mutex<State>>,
    raw: Arc<Mutex<Option<mpsc::UnboundedSender<Bytes>>>>,
    listen: Listen,
) {
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        state.lock().unwrap().connections += 1;
        let (state, raw) = (Arc::clone(&state), Arc::clone(&raw));
        match &listen {
            Listen::Tls(certificate, key) => {
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let config = rustls::ServerConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .unwrap();
                let config =
                    config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key.clone_key()).unwrap();
                let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
                tasks.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, state, raw).await;
                    }
                });
            }
            Listen::Udp | Listen::Tcp => {
                tasks.spawn(serve(stream, state, raw));
            }
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite,
    state: Arc<Mutex<State>>,
    raw: Arc<Mutex<Option<mpsc::UnboundedSender<Bytes>>>>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (queue, mut queued) = mpsc::unbounded_channel::<Bytes>();
    *raw.lock().unwrap() = Some(queue.clone());
    let write = async {
        while let Some(bytes) = queued.recv().await {
            if bytes.is_empty() || writer.write_all(&bytes).await.is_err() {
                return;
            }
            writer.flush().await.unwrap();
        }
    };
    let read = async {
        let mut buffer = Vec::new();
        loop {
            if reader.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            loop {
                if buffer.starts_with(b"\r\n\r\n") {
                    buffer.drain(..4);
                    queue.send(Bytes::from_static(b"\r\n")).unwrap();
                }
                let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { break };
                let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("Content-Length: "))
                    .map_or(0, |length| length.parse().unwrap());
                if buffer.len() < end + 4 + length {
                    break;
                }
                let one: Vec<u8> = buffer.drain(..end + 4 + length).collect();
                let message = Message::parse(&Bytes::copy_from_slice(&one)).unwrap();
                let out = state.lock().unwrap().take(&message, &one, Flow::Stream(queue.clone()));
                for (flow, bytes) in out {
                    if let Flow::Stream(to) = flow {
                        let _ = to.send(bytes);
                    }
                }
            }
        }
    };
    tokio::select! { () = write => {}, () = read => {} }
}

fn md5(text: &[&[u8]]) -> String {
    let mut hash = Md5::new();
    text.iter().for_each(|part| hash.update(part));
    hex::encode(hash.finalize())
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let value = value.replace("Digest ", ", ");
    let (_, rest) = value.split_once(&format!(", {name}="))?;
    Some(rest.split(", ").next().unwrap().trim_matches('"').to_owned())
}

fn user(uri: &str) -> String {
    uri.trim_start_matches("sip:").split('@').next().unwrap().to_owned()
}

impl State {
    fn take(&mut self, message: &Message, bytes: &[u8], flow: Flow) -> Vec<(Flow, Bytes)> {
        let Start::Request { method, uri } = message.start() else { return self.back(bytes) };
        self.seen.push(method.as_str().to_owned());
        if *method == Method::Register {
            let answer = self.register(message, bytes, &flow);
            return vec![(flow, answer)];
        }
        if self.challenges_messages
            && *method == Method::Message
            && let Some(challenge) = self.judge(message, "Proxy-Authorization")
        {
            {
                return vec![(
                    flow,
                    answer(bytes, "407 Proxy Authentication Required", &format!("Proxy-Authenticate: {challenge}\r\n")),
                )];
            }
        }
        if *method == Method::Message && self.swallows > 0 {
            self.swallows -= 1;
            return Vec::new();
        }
        let Some((to, contact)) = self.contacts.get(&user(uri)).cloned() else {
            return vec![(flow, answer(bytes, "404 Not Found", ""))];
        };
        let branch = format!("z9hG4bKfake{}", message.branch());
        self.back.insert(branch.clone(), flow);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        lines.next();
        let mut out = format!(
            "{} {contact} SIP/2.0\r\nVia: SIP/2.0/{} {};branch={branch}\r\n",
            method.as_str(),
            self.protocol,
            self.address
        );
        if *method == Method::Invite {
            out.push_str(&format!("Record-Route: <sip:{};lr>\r\n", self.address));
        }
        for line in lines {
            let is_ours = line.starts_with("Route: ") && line.contains(&self.address);
            if !is_ours && !line.starts_with("Proxy-Authorization: ") {
                out.push_str(&format!("{line}\r\n"));
            }
        }
        let out = Bytes::from([out.as_bytes(), &bytes[end + 2..]].concat());
        let copies = if self.doubles { 2 } else { 1 };
        vec![(to, out); copies]
    }

    fn back(&mut self, bytes: &[u8]) -> Vec<(Flow, Bytes)> {
        let text = bytes.to_vec();
        let end = text.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&text[..end]).unwrap();
        let mut branch = None;
        let mut out = String::new();
        for line in head.split("\r\n") {
            if branch.is_none() && line.starts_with("Via: ") {
                branch = Some(line.split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned());
            } else {
                out.push_str(&format!("{line}\r\n"));
            }
        }
        let Some(flow) = self.back.get(&branch.unwrap()).cloned() else { return Vec::new() };
        vec![(flow, Bytes::from([out.as_bytes(), &text[end + 2..]].concat()))]
    }

    fn register(&mut self, message: &Message, bytes: &[u8], flow: &Flow) -> Bytes {
        if let Some(challenge) = self.judge(message, "Authorization") {
            return answer(bytes, "401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"));
        }
        let expires: u32 = message.header("Expires").unwrap().parse().unwrap();
        if expires > 0 && expires < self.min_expires {
            return answer(bytes, "423 Interval Too Brief", &format!("Min-Expires: {}\r\n", self.min_expires));
        }
        let contact = message.header("Contact").unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
        if expires == 0 {
            self.contacts.remove(&user(&contact));
            return answer(bytes, "200 OK", "");
        }
        self.withdrawn += message.list("Contact").filter(|contact| contact.ends_with(";expires=0")).count();
        let granted = self.granted.min(expires);
        self.contacts.insert(user(&contact), (flow.clone(), contact.clone()));
        answer(bytes, "200 OK", &format!("Contact: <{contact}>;expires={granted}\r\n"))
    }

    /// A challenge, or nothing where the credentials hold.
    fn judge(&mut self, message: &Message, header: &str) -> Option<String> {
        if matches!(self.auth, Auth::None) {
            return None;
        }
        let given = message.header(header).map(str::to_owned);
        let mut stale = "";
        if let Some(given) = given {
            let Start::Request { method, uri } = message.start() else { unreachable!() };
            match self.check(&given, method.as_str(), uri, message.body()) {
                Check::Good => return None,
                Check::Stale => stale = ", stale=true",
                Check::Wrong => {}
            }
        }
        let mut random = [0; 16];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
        match self.auth.clone() {
            Auth::None => None,
            Auth::Digest(algorithm, qop, _) => {
                let nonce = hex::encode(random);
                self.nonces.insert(nonce.clone(), (0, None));
                Some(format!(r#"Digest realm="fake", nonce="{nonce}", algorithm={algorithm}, qop="{qop}"{stale}"#))
            }
            Auth::Aka(key, opc, sequence) => {
                self.last_rand = random;
                self.auth = Auth::Aka(key, opc, sequence + 1);
                let [_, _, sqn @ ..] = (sequence + 1).to_be_bytes();
                let mut milenage = Milenage::new_with_opc(key, opc);
                let (res, _, _, ak) = milenage.f2345(&random);
                let mac = milenage.f1(&random, &sqn, &[0x80, 0]);
                let hidden: Vec<u8> = sqn.iter().zip(ak).map(|(byte, mask)| byte ^ mask).collect();
                let nonce = STANDARD.encode([&random[..], &hidden, &[0x80, 0], &mac].concat());
                self.nonces.insert(nonce.clone(), (0, Some(res.to_vec())));
                Some(format!(r#"Digest realm="fake", nonce="{nonce}", algorithm=AKAv1-MD5, qop="auth"{stale}"#))
            }
        }
    }

    fn check(&mut self, given: &str, method: &str, uri: &str, body: &[u8]) -> Check {
        let get = |name| parameter(given, name).unwrap_or_default();
        let Some((last, res)) = self.nonces.get(&get("nonce")).cloned() else { return Check::Stale };
        let auts = get("auts");
        if let Auth::Aka(key, opc, _) = self.auth
            && !auts.is_empty()
        {
            let auts = STANDARD.decode(auts).unwrap();
            let mut milenage = Milenage::new_with_opc(key, opc);
            let ak = milenage.f5star(&self.last_rand);
            let sqn: Vec<u8> = auts[..6].iter().zip(ak).map(|(byte, mask)| byte ^ mask).collect();
            let sqn: [u8; 6] = sqn.try_into().unwrap();
            assert_eq!(auts[6..], milenage.f1star(&self.last_rand, &sqn, &[0, 0]));
            self.auth = Auth::Aka(key, opc, sqn.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
            self.resynchronised += 1;
            return Check::Wrong;
        }
        let (password, is_sha) = match &self.auth {
            Auth::Digest(algorithm, _, password) => (password.as_bytes().to_vec(), algorithm.starts_with("SHA")),
            _ => (res.unwrap(), false),
        };
        let hash = |parts: &[&[u8]]| if is_sha { hex::encode(rcseal_crypto::hash::sha256(parts)) } else { md5(parts) };
        let count = u32::from_str_radix(&get("nc"), 16).unwrap();
        assert_eq!(get("uri"), uri);
        let mut a1 = hash(&[get("username").as_bytes(), b":fake:", &password]);
        if get("algorithm").ends_with("-sess") {
            a1 = hash(&[format!("{a1}:{}:{}", get("nonce"), get("cnonce")).as_bytes()]);
        }
        let a2 = match get("qop").as_str() {
            "auth-int" => hash(&[format!("{method}:{uri}:{}", hash(&[body])).as_bytes()]),
            _ => hash(&[format!("{method}:{uri}").as_bytes()]),
        };
        let expected =
            hash(&[format!("{a1}:{}:{}:{}:{}:{a2}", get("nonce"), get("nc"), get("cnonce"), get("qop")).as_bytes()]);
        if expected != get("response") {
            return Check::Wrong;
        }
        if count <= last || count > self.nonce_uses {
            return Check::Stale;
        }
        self.nonces.get_mut(&get("nonce")).unwrap().0 = count;
        Check::Good
    }
}

enum Check {
    Good,
    Stale,
    Wrong,
}

/// An answer of the fake's own.
fn answer(request: &[u8], status: &str, headers: &str) -> Bytes {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&request[..end]).unwrap();
    let mut out = format!("SIP/2.0 {status}\r\n");
    for line in head.split("\r\n") {
        if ["Via: ", "From: ", "Call-ID: ", "CSeq: "].iter().any(|name| line.starts_with(name)) {
            out.push_str(&format!("{line}\r\n"));
        } else if line.starts_with("To: ") {
            let tag = if line.contains(";tag=") { "" } else { ";tag=fake" };
            out.push_str(&format!("{line}{tag}\r\n"));
        }
    }
    Bytes::from(format!("{out}{headers}Content-Length: 0\r\n\r\n"))
}
