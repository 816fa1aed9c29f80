//! Messages out of a byte stream (RFC 3261, section 18.3; keep-alives by RFC 5626, section 3.5.1).
//!
//! A stream says where a message ends only by `Content-Length`, so one without it, or with two, ends the connection: after such a message
//! nobody knows where the next begins. What a peer can make us hold is one message of the largest size; the body of a larger one is passed
//! over, so that one sender behind a proxy cannot end the connection that all others share.

use bytes::{Buf as _, Bytes, BytesMut};

use super::message::{self, Message, ParseError};

/// Something that a stream brought.
#[derive(Debug)]
pub(super) enum Item {
    Message(Box<Message>),
    /// A message whose body is larger than we take; it has none here.
    Oversize(Box<Message>),
    /// Two line ends: to be answered with one.
    Ping,
    /// One line end.
    Pong,
}

/// The longest body that is passed over; a longer one ends the connection.
const SKIP_LEN_MAX: usize = 16 << 20;

/// Finds messages in what arrives.
pub(super) struct Decoder {
    buffer: BytesMut,
    /// A head that was read already, and the length of the body it waits for.
    head: Option<(Message, usize)>,
    body_len_max: usize,
    /// Bytes of an oversize body that are still to come.
    skip: usize,
    /// How far the buffer was searched for the end of a head: a byte a packet must not cost its square.
    searched: usize,
}

impl Decoder {
    pub(super) fn new(body_len_max: usize) -> Self {
        Self { buffer: BytesMut::with_capacity(16 << 10), head: None, body_len_max, skip: 0, searched: 0 }
    }

    /// Where to read to.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_midway(&self) -> bool {
        self.head.is_some() || self.skip > 0 || !self.buffer.is_empty()
    }

    /// The next item; `None` where more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Item>, ParseError> {
        if self.skip > 0 {
            let skipped = self.skip.min(self.buffer.len());
            self.buffer.advance(skipped);
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(None);
            }
        }
        if self.head.is_none() {
            if self.searched == 0 {
                if self.buffer.starts_with(b"\r\n\r\n") {
                    self.buffer.advance(4);
                    return Ok(Some(Item::Ping));
                }
                if self.buffer.starts_with(b"\r\n") {
                    // One line end may be the first half of a ping that came in two packets. Taking it for a pong costs the peer an
                    // answer to that ping, and it will ping again.
                    self.buffer.advance(2);
                    return Ok(Some(Item::Pong));
                }
                if matches!(self.buffer.as_ref(), [] | [b'\r']) {
                    return Ok(None);
                }
            }
            let from = self.searched.saturating_sub(3).min(self.buffer.len());
            let found = message::head_len(&self.buffer[from..]).map(|found| found.map(|len| from + len));
            let Some(head_len) = found? else {
                self.searched = self.buffer.len();
                if self.searched >= message::HEAD_LEN_MAX {
                    return Err(ParseError::HeadTooLarge);
                }
                return Ok(None);
            };
            self.searched = 0;
            let head = Message::parse_head(&self.buffer.split_to(head_len))?;
            let body_len = head.content_length()?.filter(|len| *len <= SKIP_LEN_MAX).ok_or(ParseError::Length)?;
            if body_len > self.body_len_max {
                self.skip = body_len;
                return Ok(Some(Item::Oversize(Box::new(head))));
            }
            self.head = Some((head, body_len));
        }
        match self.head.take() {
            Some((head, body_len)) if self.buffer.len() >= body_len => {
                let body: Bytes = self.buffer.split_to(body_len).freeze();
                Ok(Some(Item::Message(Box::new(head.with_body(body)))))
            }
            waiting => {
                self.head = waiting;
                Ok(None)
            }
        }
    }
}

/// What a stream of these bytes brings, for the corpus: how many messages were read, or why the connection would end.
///
/// # Errors
/// [`ParseError`].
pub fn count_messages(chunks: &[&[u8]], body_len_max: usize) -> Result<usize, ParseError> {
    let mut decoder = Decoder::new(body_len_max);
    let mut count = 0;
    for chunk in chunks {
        decoder.buffer().extend_from_slice(chunk);
        while let Some(item) = decoder.next()? {
            count += usize::from(matches!(item, Item::Message(_)));
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    const ONE: &[u8] = b"MESSAGE sip:a@b SIP/2.0\r\nv: SIP/2.0/TCP h;branch=z9hG4bK1\r\nf: <sip:c@d>;tag=1\r\nt: <sip:a@b>\r\ni: x\r\nCSeq: 1 MESSAGE\r\nl: 3\r\n\r\nabc";

    #[test]
    fn messages_and_keep_alives_are_found_wherever_the_packets_end() {
        let stream = [ONE, b"\r\n\r\n", ONE, b"\r\n"].concat();
        for at in 0..stream.len() {
            assert_eq!(count_messages(&[&stream[..at], &stream[at..]], 10), Ok(2), "cut at {at}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(count_messages(&bytes, 10), Ok(2));
    }

    #[test]
    fn a_body_that_is_too_large_is_passed_over() {
        let mut decoder = Decoder::new(2);
        decoder.buffer().extend_from_slice(&[ONE, b"\r\n\r\n"].concat());
        assert!(matches!(decoder.next(), Ok(Some(Item::Oversize(message))) if message.body().is_empty()));
        assert!(matches!(decoder.next(), Ok(Some(Item::Ping))));
        assert!(!decoder.is_midway());
    }

    #[test]
    fn a_length_that_is_missing_or_absurd_ends_the_connection() {
        let without = String::from_utf8(ONE.to_vec()).unwrap().replace("l: 3\r\n", "");
        assert_eq!(count_messages(&[without.as_bytes()], 10), Err(ParseError::Length));
        let huge = String::from_utf8(ONE.to_vec()).unwrap().replace("l: 3", "l: 4294967295");
        assert_eq!(count_messages(&[huge.as_bytes()], 10), Err(ParseError::Length));
        let twice = String::from_utf8(ONE.to_vec()).unwrap().replace("l: 3\r\n", "l: 3\r\nContent-Length: 0\r\n");
        assert_eq!(count_messages(&[twice.as_bytes()], 10), Err(ParseError::Twice));
    }

    #[test]
    fn a_head_without_end_is_not_kept() {
        let endless = vec![b'a'; message::HEAD_LEN_MAX];
        let chunks: Vec<&[u8]> = endless.chunks(1000).collect();
        assert_eq!(count_messages(&chunks, 10), Err(ParseError::HeadTooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_messages_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = count_messages(&[&bytes], 1000);
        }
    }
}
