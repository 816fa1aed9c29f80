//! SIP messages as they go out.
//!
//! Everything that leaves passes [`Writer::field`], which takes no control character: whatever a name or a number was made of, it ends no
//! line and begins no header. A message with such a value is not written at all.

use bytes::Bytes;

use super::message::Message;

/// A value has a character that no header may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header's value cannot be written")]
pub(super) struct Unwritable;

/// Writes one message.
pub(super) struct Writer {
    out: Vec<u8>,
    is_sound: bool,
}

impl Writer {
    /// A request.
    pub(super) fn request(method: &str, uri: &str) -> Self {
        let mut writer = Self { out: Vec::with_capacity(1024), is_sound: true };
        writer.is_sound = super::field::is_uri(uri);
        for part in [method, " ", uri, " SIP/2.0\r\n"] {
            writer.out.extend_from_slice(part.as_bytes());
        }
        writer
    }

    /// A response, with what it repeats of its request. `to_tag` is ours, where the request does not name it.
    pub(super) fn response(request: &Message, status: u16, to_tag: &str) -> Self {
        let mut writer = Self { out: Vec::with_capacity(512), is_sound: true };
        for part in ["SIP/2.0 ", &status.to_string(), " ", reason(status), "\r\n"] {
            writer.out.extend_from_slice(part.as_bytes());
        }
        for via in request.all("Via") {
            writer.field("Via", via);
        }
        writer.field("From", request.header("From").unwrap_or_default());
        let to = request.header("To").unwrap_or_default();
        if request.to_tag().is_some() || status == 100 {
            writer.field("To", to);
        } else {
            writer.field("To", &format!("{to};tag={to_tag}"));
        }
        writer.field("Call-ID", request.call_id());
        writer.field("CSeq", request.header("CSeq").unwrap_or_default());
        writer
    }

    /// Adds a header.
    pub(super) fn field(&mut self, name: &str, value: &str) -> &mut Self {
        self.is_sound &= !value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f);
        for part in [name, ": ", value, "\r\n"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self
    }

    /// Ends the head and adds the body.
    pub(super) fn finish(mut self, body: &[u8]) -> Result<Bytes, Unwritable> {
        self.field("Content-Length", &body.len().to_string());
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
        if self.is_sound { Ok(self.out.into()) } else { Err(Unwritable) }
    }
}

/// The phrase behind a status: for people who read traces.
const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        420 => "Bad Extension",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Status",
    }
}
