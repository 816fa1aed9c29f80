//! A fake content server: what RCC.07 says of uploads and downloads, and the faults that a test asks for.
//!
//! It keeps what it was given, as a real one does, so that a test can look at what the carrier has.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};
use rcseal_carrier::tls::TrustAnchors;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const USER: &str = "alice";
const PASSWORD: &str = "content password";
const REALM: &str = "content";

/// A file as it is kept.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_whole: bool,
    pub(crate) content_type: String,
    pub(crate) name: String,
}

/// What goes wrong.
#[derive(Default)]
pub(crate) struct Faults {
    /// Uploads are cut once so many bytes of the file came; each entry is for one upload.
    pub(crate) cut_uploads_after: Vec<usize>,
    /// An upload that was cut is not remembered.
    pub(crate) forgets_uploads: bool,
    /// Downloads are cut after so many bytes; each entry is for one download.
    pub(crate) cut_downloads_after: Vec<usize>,
    /// Ranges are not known.
    pub(crate) ignores_ranges: bool,
    /// So many bytes come behind the file, which the head does not announce.
    pub(crate) surplus: usize,
    /// The file is replaced after each download.
    pub(crate) changes_files: bool,
    /// The body comes in deflated, it says.
    pub(crate) says_deflated: bool,
    /// Sends the head of an answer and then nothing.
    pub(crate) falls_silent: bool,
    /// Nonces that are called stale, though they were right.
    pub(crate) stale_nonces: usize,
    /// Answers this status to everything.
    pub(crate) status: Option<(u16, Option<&'static str>)>,
    /// Redirects downloads: status and location.
    pub(crate) redirect: Option<String>,
    /// Answers this in place of its descriptors.
    pub(crate) descriptor: Option<Vec<u8>>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Kept>,
    faults: Faults,
    nonce: u32,
    version: u32,
    requests: Vec<String>,
    origin: String,
}

/// The server.
pub(crate) struct FakeContentServer {
    origin: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for FakeContentServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeContentServer {
    pub(crate) async fn start(faults: Faults) -> Self {
        Self::start_with(faults, None).await
    }

    /// Over TLS, with a certificate for `localhost`; and who vouches for it.
    pub(crate) async fn start_tls(faults: Faults) -> (Self, TrustAnchors) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let trust = TrustAnchors::from_pem(certificate.pem().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        (Self::start_with(faults, Some(TlsAcceptor::from(Arc::new(config)))).await, trust)
    }

    async fn start_with(faults: Faults, tls: Option<TlsAcceptor>) -> Self {
        let is_tls = tls.is_some();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = if is_tls { format!("https://localhost:{}", address.port()) } else { format!("http://{address}") };
        let state = Arc::new(Mutex::new(State { faults, origin: origin.clone(), ..State::default() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| serve(Arc::clone(&state), request));
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await.ok(),
                        Some(tls) => {
                            let stream = tls.accept(tcp).await.ok()?;
                            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok()
                        }
                    }
                });
            }
        });
        Self { origin, state, task }
    }

    pub(crate) fn upload_url(&self) -> String {
        format!("{}/upload", self.origin)
    }

    pub(crate) fn file_url(&self, id: &str) -> String {
        format!("{}/file?id={id}", self.origin)
    }

    pub(crate) fn put(&self, id: &str, bytes: Vec<u8>) {
        let kept = Kept { bytes, is_whole: true, ..Kept::default() };
        self.state.lock().unwrap().files.insert(id.to_owned(), kept);
    }

    /// What is kept that is whole.
    pub(crate) fn files(&self) -> Vec<Kept> {
        self.state.lock().unwrap().files.values().filter(|kept| kept.is_whole).cloned().collect()
    }

    /// What was asked, as method, path and range.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

/// A body that may end in a broken connection, or not at all.
struct Faulty {
    pieces: Vec<Bytes>,
    end: End,
}

enum End {
    Whole,
    Cut(bool),
    Never,
}

impl Body for Faulty {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match (self.pieces.pop(), &self.end) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, End::Whole) => Poll::Ready(None),
            // One round without anything new, in which what was given before is written.
            (None, End::Cut(is_written)) if !is_written => {
                self.end = End::Cut(true);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (None, End::Cut(_)) => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
            (None, End::Never) => Poll::Pending,
        }
    }
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Faulty> {
    let body = Faulty { pieces: vec![body.into()], end: End::Whole };
    Response::builder().status(status).body(body).unwrap()
}

async fn serve(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Faulty>, std::io::Error> {
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let get = |name: header::HeaderName| {
        request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let (range, content_range, content_type) =
        (get(header::RANGE), get(header::CONTENT_RANGE), get(header::CONTENT_TYPE));
    let authorization = get(header::AUTHORIZATION);
    let method = request.method().clone();
    {
        let mut state = state.lock().unwrap();
        let note = format!("{method} {target} {range}{content_range}");
        state.requests.push(note.trim_end().to_owned());
        if let Some((status, retry_after)) = state.faults.status {
            let mut answer = answer(status, "");
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.parse().unwrap());
            }
            return Ok(answer);
        }
    }
    if target.starts_with("/file") {
        return Ok(download(&mut state.lock().unwrap(), &target, &range));
    }
    if let Some(challenge) = challenge(&mut state.lock().unwrap(), method.as_str(), &target, &authorization) {
        return Ok(challenge);
    }
    match (method, target.split_once('?').map(|(_, query)| query)) {
        (Method::POST, None) => upload(&state, &content_type, request.into_body()).await,
        (Method::PUT, Some(query)) => resume(&state, query, &content_range, request.into_body()).await,
        (Method::GET, Some(query)) => Ok(status(&state.lock().unwrap(), query)),
        _ => Ok(answer(400, "")),
    }
}

/// Digest authentication by RFC 7616, worked out here and not by the code under test.
fn challenge(state: &mut State, method: &str, target: &str, authorization: &str) -> Option<Response<Faulty>> {
    let field = |name: &str| {
        let rest = authorization.split(&format!("{name}=")).nth(1)?;
        Some(rest.split(',').next()?.trim().trim_matches('"').to_owned())
    };
    let hash = |text: String| hex::encode(Md5::digest(text.as_bytes()));
    let current = format!("nonce-{}", state.nonce);
    let is_right = || {
        let ha1 = hash(format!("{USER}:{REALM}:{PASSWORD}"));
        let ha2 = hash(format!("{method}:{}", field("uri")?));
        let (nonce, nc, cnonce) = (field("nonce")?, field(" nc")?, field("cnonce")?);
        let expected = hash(format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}"));
        let is_sound = field("uri")? == target && field("username")? == USER && field(" response")? == expected;
        is_sound.then_some(nonce)
    };
    let is_stale = match is_right() {
        Some(nonce) if nonce == current && state.faults.stale_nonces == 0 => return None,
        Some(_) => true,
        None => false,
    };
    if is_stale {
        state.faults.stale_nonces = state.faults.stale_nonces.saturating_sub(1);
        state.nonce += 1;
    }
    let stale = if is_stale { ", stale=true" } else { "" };
    let value =
        format!("Digest realm=\"{REALM}\", nonce=\"nonce-{}\", qop=\"auth\", algorithm=MD5{stale}", state.nonce);
    let mut answer = answer(401, "");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, value.parse().unwrap());
    Some(answer)
}

/// Reads a body until so many bytes are there that `enough` says so; `true` if it did.
async fn read(mut body: Incoming, mut enough: impl FnMut(&[u8]) -> bool) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        read.extend_from_slice(&frame.into_data().unwrap_or_default());
        if enough(&read) {
            return (read, true);
        }
    }
    (read, false)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The fields of a form, also of one that is cut: name, headers, bytes so far.
fn fields(form: &[u8], boundary: &str) -> Vec<(String, String, Vec<u8>)> {
    let mark = format!("--{boundary}");
    let mut fields = Vec::new();
    let mut rest = form;
    while let Some(at) = find(rest, mark.as_bytes()) {
        rest = &rest[at + mark.len()..];
        let Some(head_len) = find(rest, b"\r\n\r\n") else { break };
        let head = String::from_utf8(rest[..head_len].to_vec()).unwrap();
        let body = &rest[head_len + 4..];
        let end = find(body, format!("\r\n{mark}").as_bytes()).unwrap_or(body.len());
        let name = head.split(" name=\"").nth(1).unwrap_or_default().split('"').next().unwrap().to_owned();
        fields.push((name, head, body[..end].to_vec()));
        rest = &body[end..];
    }
    fields
}

async fn upload(state: &Mutex<State>, content_type: &str, body: Incoming) -> Result<Response<Faulty>, std::io::Error> {
    let Some(boundary) = content_type.split("boundary=").nth(1) else { return Ok(answer(204, "")) };
    let cut = {
        let mut state = state.lock().unwrap();
        if state.faults.cut_uploads_after.is_empty() { None } else { Some(state.faults.cut_uploads_after.remove(0)) }
    };
    let file_len = |form: &[u8]| {
        fields(&form[..form.len().min(2048)], boundary).iter().any(|(name, ..)| name == "File").then_some(form.len())
    };
    let (form, is_cut) =
        read(body, |form| cut.is_some_and(|cut| file_len(form).is_some_and(|len| len >= cut + 512))).await;
    let fields = fields(&form, boundary);
    let field = |name: &str| fields.iter().find(|(found, ..)| found == name).cloned();
    let (Some((_, _, tid)), Some((_, head, mut bytes))) = (field("tid"), field("File")) else {
        return Ok(answer(400, ""));
    };
    let tid = String::from_utf8(tid).unwrap();
    let mut state = state.lock().unwrap();
    if is_cut {
        bytes.truncate(cut.unwrap());
    }
    let line = |mark: &str| head.split(mark).nth(1).unwrap_or_default().split(['\r', '"']).next().unwrap().to_owned();
    let kept = Kept { bytes, is_whole: !is_cut, content_type: line("Content-Type: "), name: line("filename=\"") };
    if !is_cut || !state.faults.forgets_uploads {
        state.files.insert(tid.clone(), kept);
    }
    if is_cut {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    Ok(descriptor(&state, &tid))
}

fn descriptor(state: &State, tid: &str) -> Response<Faulty> {
    if let Some(bytes) = &state.faults.descriptor {
        return answer(200, bytes.clone());
    }
    let (kept, origin) = (&state.files[tid], &state.origin);
    answer(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<file xmlns=\"urn:gsma:params:xml:ns:rcs:rcs:fthttp\">\
             <file-info type=\"file\"><file-size>{}</file-size><file-name>{}</file-name>\
             <content-type>{}</content-type><data url=\"{origin}/file?id={tid}\" until=\"2099-01-01T00:00:00Z\"/>\
             </file-info></file>",
            kept.bytes.len(),
            kept.name,
            kept.content_type,
        ),
    )
}

fn tid_of(query: &str) -> &str {
    query.split('&').find_map(|part| part.strip_prefix("tid=")).unwrap_or_default()
}

fn status(state: &State, query: &str) -> Response<Faulty> {
    let Some(kept) = state.files.get(tid_of(query)) else { return answer(404, "") };
    if query.ends_with("get_download_info") {
        return if kept.is_whole { descriptor(state, tid_of(query)) } else { answer(404, "") };
    }
    let origin = &state.origin;
    answer(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<file-resume-info xmlns=\"urn:gsma:params:xml:ns:rcs:rcs:fthttp\">\
             <file-range start=\"0\" end=\"{}\"/><data url=\"{origin}/upload?tid={}&amp;resume\"/></file-resume-info>",
            kept.bytes.len() - 1,
            tid_of(query),
        ),
    )
}

async fn resume(
    state: &Mutex<State>,
    query: &str,
    content_range: &str,
    body: Incoming,
) -> Result<Response<Faulty>, std::io::Error> {
    let cut = {
        let mut state = state.lock().unwrap();
        if state.faults.cut_uploads_after.is_empty() { None } else { Some(state.faults.cut_uploads_after.remove(0)) }
    };
    let (mut bytes, is_cut) = read(body, |bytes| cut.is_some_and(|cut| bytes.len() >= cut)).await;
    let mut state = state.lock().unwrap();
    let Some(kept) = state.files.get_mut(tid_of(query)) else { return Ok(answer(404, "")) };
    if is_cut {
        bytes.truncate(cut.unwrap());
    }
    let total: usize = content_range.rsplit('/').next().unwrap().parse().unwrap();
    let expected = format!("bytes {}-{}/{total}", kept.bytes.len(), total - 1);
    if content_range != expected {
        return Ok(answer(416, ""));
    }
    kept.bytes.extend_from_slice(&bytes);
    if is_cut {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    kept.is_whole = kept.bytes.len() == total;
    Ok(answer(200, ""))
}

fn download(state: &mut State, target: &str, range: &str) -> Response<Faulty> {
    if let Some(location) = state.faults.redirect.as_ref().filter(|_| !target.contains("redirected")) {
        let mut answer = answer(302, "");
        answer.headers_mut().insert(header::LOCATION, location.parse().unwrap());
        return answer;
    }
    let id = target.split("id=").nth(1).unwrap_or_default();
    let Some(kept) = state.files.get(id) else { return answer(404, "") };
    let whole = kept.bytes.clone();
    let tag = format!("\"v{}\"", state.version);
    if state.faults.changes_files {
        state.version += 1;
    }
    let from = range
        .strip_prefix("bytes=")
        .filter(|_| !state.faults.ignores_ranges)
        .and_then(|range| range.split('-').next()?.parse::<usize>().ok());
    let mut bytes = whole[from.unwrap_or(0)..].to_vec();
    let announced = bytes.len();
    bytes.extend(std::iter::repeat_n(b'+', state.faults.surplus));
    let cut = if state.faults.cut_downloads_after.is_empty() {
        None
    } else {
        Some(state.faults.cut_downloads_after.remove(0))
    };
    let end = match (cut, state.faults.falls_silent) {
        (Some(cut), _) => {
            bytes.truncate(cut);
            End::Cut(false)
        }
        (None, true) => {
            bytes.clear();
            End::Never
        }
        (None, false) => End::Whole,
    };
    // Without an announced length where there is a surplus: in chunks, which end where they end.
    let mut builder = Response::builder().header(header::ETAG, tag).status(StatusCode::OK);
    if state.faults.surplus == 0 {
        builder = builder.header(header::CONTENT_LENGTH, announced);
    }
    if state.faults.says_deflated {
        builder = builder.header(header::CONTENT_ENCODING, "deflate");
    }
    if let Some(from) = from {
        let value = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
        builder = builder.status(206).header(header::CONTENT_RANGE, value);
    }
    let pieces: Vec<Bytes> = bytes.chunks(8192).rev().map(Bytes::copy_from_slice).collect();
    builder.body(Faulty { pieces, end }).unwrap()
}
