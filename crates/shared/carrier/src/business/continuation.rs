//! "Continue securely": the card that leads from a business's readable messages into the app.
//!
//! The card says nothing about the case. Its one button opens a link whose secret part stands after the `#`, which browsers do not send to
//! the web server; whoever reads the card on its way can follow the link all the same, so it works once and ends soon, and who follows it is
//! told to both sides. Provider and carrier learn that a case is continued, not what it is.

use rcseal_wire::continuation::Continuation;
use rcseal_wire::origin::Origin;

use super::message::{Content, MessageError, Suggestion, check_url};

/// The longest that a link may stay good: a week. Later than that, somebody else may hold the number.
pub const LIFETIME_MAX_MS: u64 = 7 * 24 * 3600 * 1000;

/// The shortest: a card takes some seconds to arrive, and a person some more.
pub const LIFETIME_MIN_MS: u64 = 60 * 1000;

/// What comes back when the button is tapped. The same for every case: it is no secret and names none.
pub const POSTBACK: &str = "rcseal-continue";

/// What stands on the card. Neutral: provider and carrier read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// The card's title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// The button.
    pub button: String,
}

impl Default for Wording {
    fn default() -> Self {
        Self {
            title: "Continue securely".to_owned(),
            body: "Open this conversation in the app. There, only you and we can read it. The link works once."
                .to_owned(),
            button: "Continue securely".to_owned(),
        }
    }
}

/// Why there is no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContinuationError {
    /// The link is not `https`, or has no secret part after a `#`.
    #[error("not an https link with a fragment")]
    Link,
    /// The link has ended, or would before anybody could follow it.
    #[error("the link ends in {left_ms} ms")]
    TooShort {
        /// Milliseconds that are left.
        left_ms: u64,
    },
    /// The link would stay good for too long.
    #[error("the link stays good for {left_ms} ms")]
    TooLong {
        /// Milliseconds that are left.
        left_ms: u64,
    },
    /// The wording breaks a limit.
    #[error("the wording cannot be used")]
    Wording(#[source] MessageError),
}

impl ContinuationError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Link => "continuation_link",
            Self::TooShort { .. } => "continuation_too_short",
            Self::TooLong { .. } => "continuation_too_long",
            Self::Wording(_) => "continuation_wording",
        }
    }
}

/// The card for a case, with the page at `site` behind its button.
///
/// # Errors
/// [`ContinuationError`].
pub fn card_for(
    continuation: &Continuation,
    site: &Origin,
    now_ms: u64,
    wording: &Wording,
) -> Result<Content, ContinuationError> {
    card(&continuation.expose_web_text(site), continuation.expires_at_ms, now_ms, wording)
}

/// The card for a link that is good until `expires_at_ms`.
///
/// # Errors
/// [`ContinuationError`].
pub fn card(link: &str, expires_at_ms: u64, now_ms: u64, wording: &Wording) -> Result<Content, ContinuationError> {
    check_url(link).map_err(|_| ContinuationError::Link)?;
    let secret = link.split_once('#').map_or("", |(_, secret)| secret);
    if secret.is_empty() {
        return Err(ContinuationError::Link);
    }
    let left_ms = expires_at_ms.saturating_sub(now_ms);
    if left_ms < LIFETIME_MIN_MS {
        return Err(ContinuationError::TooShort { left_ms });
    }
    if left_ms > LIFETIME_MAX_MS {
        return Err(ContinuationError::TooLong { left_ms });
    }
    let button = Suggestion::open_url(&wording.button, link, POSTBACK).map_err(ContinuationError::Wording)?;
    let content = Content::Card { title: wording.title.clone(), body: wording.body.clone(), suggestions: vec![button] };
    content.check().map_err(ContinuationError::Wording)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LINK: &str = "https://chat.example/c#AbCdEf";
    const NOW: u64 = 1_800_000_000_000;
    const HOUR: u64 = 3600 * 1000;

    #[test]
    fn the_card_has_one_button_and_no_word_of_the_case() {
        let Content::Card { title, body, suggestions } = card(LINK, NOW + HOUR, NOW, &Wording::default()).unwrap()
        else {
            unreachable!("a card")
        };
        assert_eq!(suggestions, [Suggestion::open_url("Continue securely", LINK, POSTBACK).unwrap()]);
        assert!(!title.contains("http") && !body.contains("http"), "the link stands on the button only");
    }

    #[test]
    fn links_are_https_with_a_secret_part() {
        for wrong in
            ["http://chat.example/c#a", "https://chat.example/c", "https://chat.example/c#", "rcseal:c/abc", ""]
        {
            assert_eq!(card(wrong, NOW + HOUR, NOW, &Wording::default()), Err(ContinuationError::Link), "{wrong}");
        }
    }

    #[test]
    fn links_end_soon() {
        let at = |expires| card(LINK, expires, NOW, &Wording::default());
        assert_eq!(at(NOW - 1), Err(ContinuationError::TooShort { left_ms: 0 }));
        assert_eq!(at(NOW + 59_999), Err(ContinuationError::TooShort { left_ms: 59_999 }));
        assert!(at(NOW + LIFETIME_MAX_MS).is_ok());
        let left_ms = LIFETIME_MAX_MS + 1;
        assert_eq!(at(NOW + left_ms), Err(ContinuationError::TooLong { left_ms }));
    }

    #[test]
    fn a_wording_keeps_the_limits() {
        let wording = Wording { button: "x".repeat(26), ..Wording::default() };
        let refused = card(LINK, NOW + HOUR, NOW, &wording);
        assert_eq!(refused, Err(ContinuationError::Wording(MessageError::SuggestionText { chars: 26 })));
    }
}
