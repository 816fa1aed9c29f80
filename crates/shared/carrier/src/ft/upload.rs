//! Upload: a form with the transfer's id and the ciphertext, and what is done when it is cut.
//!
//! | step | request | answer |
//! |---|---|---|
//! | challenge | POST, empty | 401 with a challenge; 2xx where the server asks for nothing |
//! | whole file | POST, form with `tid` and `File` | 200, the descriptor |
//! | after a cut | GET `?tid=…&get_upload_info` | 200, what arrived and where the rest goes; 404, nothing is known of it |
//! | the rest | PUT with `Content-Range` | 2xx |
//! | after the rest | GET `?tid=…&get_download_info` | 200, the descriptor |
//!
//! Redirects are not followed: an upload goes where the configuration says.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use http::{Method, StatusCode};
use rand::Rng;
use rcseal_rcs::ft::{ContentUrl, Descriptor, ResumeInfo};
use rcseal_rcs::transport::CarrierMessageId;
use tokio::time::{Instant, sleep};

use super::FtClient;
use super::error::{FtError, Stage};
use super::http::Call;
use super::login::Login;
use super::sealed::SealedBlob;

/// The name of every file that we upload. Peers with RCC.16 accept no other, and a real name is nothing for a content server.
const FILE_NAME: &str = "encrypted_file";

/// The id of one upload (`tid`): a UUID, chosen by the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferId(CarrierMessageId);

impl TransferId {
    /// A fresh id.
    #[must_use]
    pub fn random() -> Self {
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        Self(CarrierMessageId::from_random(random))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// What a ciphertext calls itself to the content server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedType {
    /// `application/octet-stream`.
    OctetStream,
    /// `message/mls-ft`, a file of RCC.16.
    MlsFile,
}

impl SealedType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::OctetStream => "application/octet-stream",
            Self::MlsFile => "message/mls-ft",
        }
    }
}

/// How far an interrupted upload got.
enum Known {
    /// The server has all of it.
    Whole,
    /// The server has nothing of it.
    Nothing,
}

impl FtClient {
    /// Uploads a ciphertext and answers the server's descriptor of it.
    ///
    /// # Errors
    /// [`FtError`].
    pub async fn upload(&self, blob: &SealedBlob, kind: SealedType) -> Result<Descriptor, FtError> {
        let (url, _) = self.config.upload.as_ref().ok_or(FtError::NoContentServer)?;
        let len = blob.bytes().len() as u64;
        if len > self.config.limits.file_len_max {
            return Err(FtError::TooLarge);
        }
        let deadline = self.deadline(len);
        let mut login = Login::default();
        let mut id = TransferId::random();
        let mut failures = 0;
        let mut is_begun = false;
        loop {
            let round = if is_begun {
                match self.resume(&mut login, url, &id, blob, deadline).await {
                    Ok(Known::Whole) => self.ask_for_descriptor(&mut login, url, &id, deadline).await,
                    Ok(Known::Nothing) => {
                        // An id that the server has forgotten is not used for another attempt: it may remember after all.
                        id = TransferId::random();
                        self.post(&mut login, url, &id, blob, kind, deadline).await
                    }
                    Err(error) => Err(error),
                }
            } else {
                is_begun = true;
                self.post(&mut login, url, &id, blob, kind, deadline).await
            };
            let error = match round {
                Ok(descriptor) => return checked(descriptor, len),
                Err(error) => error,
            };
            failures += 1;
            let pause = Duration::from_millis(100 << failures.min(6));
            if !error.is_cut() || failures >= self.config.limits.attempts {
                return Err(error);
            }
            if Instant::now() + pause >= deadline {
                return Err(FtError::Timeout(Stage::Whole));
            }
            sleep(pause).await;
        }
    }

    /// The whole file, after the challenge was fetched without it.
    async fn post(
        &self,
        login: &mut Login,
        url: &ContentUrl,
        id: &TransferId,
        blob: &SealedBlob,
        kind: SealedType,
        deadline: Instant,
    ) -> Result<Descriptor, FtError> {
        let mut greeting = self.call_logged_in(login, url, &Call::new(Method::POST), deadline).await?;
        if !greeting.status.is_success() {
            return Err(greeting.refusal());
        }
        greeting.read_all(self, deadline).await?;
        let form = Form::new(id, blob, kind);
        let call = Call::new(Method::POST).header(header::CONTENT_TYPE, &form.content_type)?.body(form.body);
        self.descriptor_of(login, url, &call, deadline).await
    }

    /// Asks what arrived and sends the rest.
    async fn resume(
        &self,
        login: &mut Login,
        url: &ContentUrl,
        id: &TransferId,
        blob: &SealedBlob,
        deadline: Instant,
    ) -> Result<Known, FtError> {
        let query = url.with_query(&format!("tid={}&get_upload_info", id.as_str()));
        let mut answer = self.call_logged_in(login, &query, &Call::new(Method::GET), deadline).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Known::Nothing),
            _ => return Err(answer.refusal()),
        }
        let info = ResumeInfo::parse(&answer.read_all(self, deadline).await?)?;
        let len = blob.bytes().len() as u64;
        // The range names the first and the last byte that are there.
        if info.start != 0 || info.end >= len {
            return Err(FtError::Protocol);
        }
        let next = info.end + 1;
        if next == len {
            return Ok(Known::Whole);
        }
        let rest = blob.bytes().slice(usize::try_from(next).map_err(|_| FtError::TooLarge)?..);
        let range = format!("bytes {next}-{}/{len}", len - 1);
        let call = Call::new(Method::PUT).header(header::CONTENT_RANGE, &range)?.body(rest);
        let answer = self.call_logged_in(login, &info.url, &call, deadline).await?;
        if answer.status.is_success() { Ok(Known::Whole) } else { Err(answer.refusal()) }
    }

    async fn ask_for_descriptor(
        &self,
        login: &mut Login,
        url: &ContentUrl,
        id: &TransferId,
        deadline: Instant,
    ) -> Result<Descriptor, FtError> {
        let query = url.with_query(&format!("tid={}&get_download_info", id.as_str()));
        self.descriptor_of(login, &query, &Call::new(Method::GET), deadline).await
    }

    async fn descriptor_of(
        &self,
        login: &mut Login,
        url: &ContentUrl,
        call: &Call,
        deadline: Instant,
    ) -> Result<Descriptor, FtError> {
        let mut answer = self.call_logged_in(login, url, call, deadline).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal());
        }
        Ok(Descriptor::parse(&answer.read_all(self, deadline).await?)?)
    }
}

/// A descriptor of another file than ours is a failed upload.
fn checked(descriptor: Descriptor, len: u64) -> Result<Descriptor, FtError> {
    if descriptor.file.size == len { Ok(descriptor) } else { Err(FtError::Length) }
}

/// A form of two fields (RFC 7578).
struct Form {
    content_type: String,
    body: Bytes,
}

impl Form {
    fn new(id: &TransferId, blob: &SealedBlob, kind: SealedType) -> Self {
        // 128 random bits are not in the ciphertext, nor can a peer have put them there.
        let boundary = TransferId::random();
        let boundary = boundary.as_str();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"tid\"\r\nContent-Type: text/plain\r\n\r\n{}\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"File\"; filename=\"{FILE_NAME}\"\r\n\
             Content-Type: {}\r\n\r\n",
            id.as_str(),
            kind.as_str(),
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        // One buffer, because a digest over the body (`auth-int`) needs it whole.
        let mut body = Vec::with_capacity(head.len() + blob.bytes().len() + tail.len());
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(blob.bytes());
        body.extend_from_slice(tail.as_bytes());
        Self { content_type: format!("multipart/form-data; boundary={boundary}"), body: body.into() }
    }
}
