//! A wrapped message as lines and a body, for whoever changes it.
//!
//! This is a network's view and on purpose not the product's parser: it looks for empty lines, and knows nothing of what a header means.

/// The two blocks of headers, and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrapper {
    /// Headers about the message, in order.
    pub(super) message: Vec<(String, String)>,
    /// Headers about the body, in order.
    pub(super) content: Vec<(String, String)>,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Wrapper {
    /// Takes a wrapped message apart; `None` where there are no two blocks of headers.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (message, rest) = block(bytes)?;
        let (content, body) = block(rest)?;
        Some(Self { message, content, body: body.to_vec() })
    }

    /// Puts it together again.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for block in [&self.message, &self.content] {
            for (name, value) in block {
                out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&self.body);
        out
    }

    /// The body's media type.
    pub(super) fn content_type(&self) -> &str {
        let found = self.content.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
        found.map_or("", |(_, value)| value)
    }

    /// Writes another media type, or the first.
    pub(super) fn set_content_type(&mut self, to: &str) {
        match self.content.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("Content-Type")) {
            Some((_, value)) => to.clone_into(value),
            None => self.content.push(("Content-Type".to_owned(), to.to_owned())),
        }
    }

    /// A length that is no longer true is taken out, as gateways that change a body do.
    pub(super) fn drop_length(&mut self) {
        self.content.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"));
    }

    /// The first value of a header about the message, by its name without a prefix.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let is_it = |full: &str| full.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(name));
        self.message.iter().find(|(full, _)| is_it(full)).map(|(_, value)| value.as_str())
    }
}

type Block<'a> = (Vec<(String, String)>, &'a [u8]);

/// Lines up to an empty one, whatever ends them.
fn block(bytes: &[u8]) -> Option<Block<'_>> {
    let mut headers = Vec::new();
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if line.is_empty() {
            return Some((headers, rest));
        }
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}
