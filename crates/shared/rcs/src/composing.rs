//! "Is writing" notices (RFC 3994).
//!
//! A notice says that somebody is writing, or has stopped. It travels in the clear, so we read it from standard peers and never send
//! one for a conversation that is encrypted end to end.

use crate::stamp::Timestamp;
use crate::text::MediaType;
use crate::xml;

/// The media type of a notice.
pub const CONTENT_TYPE: &str = "application/im-iscomposing+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";

/// Whether somebody is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They are.
    Active,
    /// They are not.
    Idle,
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsComposing {
    /// Whether somebody is writing.
    pub state: State,
    /// What they are writing, for example `text`; only if it is a whole media type here.
    pub content_type: Option<MediaType>,
    /// After how many seconds an active notice is sent again; without it, 120 (section 4).
    pub refresh: Option<u32>,
    /// When they last wrote.
    pub last_active: Option<Timestamp>,
}

/// Not a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a notice that somebody is writing")]
pub struct ComposingError;

impl ComposingError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "composing_invalid"
    }
}

impl IsComposing {
    /// How long an active notice holds without another one (section 4).
    pub const REFRESH_DEFAULT: u32 = 120;

    /// The longest refresh that is believed: a day, so that a notice does not stand for ever.
    pub const REFRESH_MAX: u32 = 86_400;

    /// A notice of this state.
    #[must_use]
    pub const fn new(state: State) -> Self {
        Self { state, content_type: None, refresh: None, last_active: None }
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let state = match self.state {
            State::Active => "active",
            State::Idle => "idle",
        };
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<isComposing xmlns=\"{NAMESPACE}\"><state>{state}</state>"
        );
        if let Some(last_active) = self.last_active {
            out.push_str(&format!("<lastactive>{last_active}</lastactive>"));
        }
        if let Some(content_type) = &self.content_type {
            out.push_str(&format!("<contenttype>{}</contenttype>", xml::escape(content_type.as_str())));
        }
        if let Some(refresh) = self.refresh {
            out.push_str(&format!("<refresh>{refresh}</refresh>"));
        }
        out.push_str("</isComposing>");
        out
    }

    /// A document. States other than `active` count as idle, as section 3.2 has it.
    ///
    /// # Errors
    /// [`ComposingError`] for other XML, for none, and for two states.
    pub fn parse(document: &[u8]) -> Result<Self, ComposingError> {
        let document = xml::parse(document).ok_or(ComposingError)?;
        let root = document.root_element();
        if !xml::is(root, NAMESPACE, "isComposing") {
            return Err(ComposingError);
        }
        let child = |name| {
            let node = xml::only_child(root, NAMESPACE, name).map_err(|_| ComposingError)?;
            Ok(node.map(xml::text))
        };
        let state = if child("state")?.ok_or(ComposingError)? == "active" { State::Active } else { State::Idle };
        let refresh =
            child("refresh")?.and_then(|text| text.parse::<u32>().ok()).map(|seconds| seconds.min(Self::REFRESH_MAX));
        Ok(Self {
            state,
            content_type: child("contenttype")?.and_then(|text| MediaType::parse(&text).ok()),
            refresh,
            last_active: child("lastactive")?.and_then(|text| Timestamp::parse(&text)),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Section 4 of the RFC, in our own words of it.
    const NOTICE: &str = "<?xml version='1.0' encoding='UTF-8'?>\n<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'\n \
        xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>\n <state>active</state>\n <contenttype>text/plain</contenttype>\n \
        <refresh>90</refresh>\n <x:new xmlns:x='urn:x'>1</x:new></isComposing>";

    #[test]
    fn a_notice_is_read_and_what_is_unknown_in_it_is_passed_over() {
        let notice = IsComposing::parse(NOTICE.as_bytes()).unwrap();
        assert_eq!((notice.state, notice.refresh, notice.last_active), (State::Active, Some(90), None));
        assert_eq!(notice.content_type.unwrap().as_str(), "text/plain");
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut notice = IsComposing::new(State::Idle);
        assert_eq!(IsComposing::parse(notice.to_xml().as_bytes()), Ok(notice.clone()));
        notice.content_type = Some(MediaType::parse("text/x;a=\"<&>\"").unwrap());
        notice.last_active = Some(Timestamp::from_millis(1_000_000));
        notice.refresh = Some(60);
        assert_eq!(IsComposing::parse(notice.to_xml().as_bytes()), Ok(notice));
    }

    #[test]
    fn two_states_other_documents_and_document_types_are_refused() {
        for text in [
            NOTICE.replace("<state>", "<state>idle</state><state>"),
            NOTICE.replace("isComposing", "imdn"),
            NOTICE.replace("<state>active</state>", ""),
            format!("<!DOCTYPE x [<!ENTITY a 'active'>]>{}", NOTICE.split_once('\n').unwrap().1),
            String::new(),
        ] {
            assert_eq!(IsComposing::parse(text.as_bytes()), Err(ComposingError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_in_a_notice_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = IsComposing::parse(&bytes);
        }
    }
}
