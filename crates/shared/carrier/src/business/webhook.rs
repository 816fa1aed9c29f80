//! What makes a webhook credible.
//!
//! A webhook is a request from anywhere. It counts only if its signature is right, under the one algorithm that is configured, over bytes as
//! they came; if the time that the signature covers lies in a window; and if the event's key is new, which whoever keeps the keys says. A
//! window is longer than the provider's own repetitions, since a late repetition is no attack; keys are kept for as long as the window, so
//! that inside it nothing counts twice and outside it nothing counts at all.
//!
//! A webhook that is refused for good is answered in a way that ends the provider's repetitions; a forged one is answered 403.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use rcseal_crypto::hash::sha256;

use super::event::EventKey;

/// The longest body of a webhook that is read: a message of 250 KB in base64, with room around it.
pub const BODY_LEN_MAX: usize = 512 << 10;

/// How far a provider's clock may be ahead of ours.
pub const EARLY_MAX_MS: u64 = 5 * 60 * 1000;

/// Why a webhook does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Longer than anything that is meant for us.
    #[error("the webhook is longer than {BODY_LEN_MAX} bytes")]
    TooLarge,
    /// Not of the provider's form.
    #[error("the webhook is not of the provider's form: {what}")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// Signed by the provider, and not of its published form all the same.
    #[error("the webhook is signed and cannot be read: {what}")]
    Unreadable {
        /// Which part.
        what: &'static str,
    },
    /// No signature, or more than one.
    #[error("the webhook has no signature")]
    SignatureMissing,
    /// The signature is not of its form.
    #[error("the webhook's signature is not of its form")]
    SignatureMalformed,
    /// Signed with another algorithm than the one that is configured.
    #[error("the webhook is signed with another algorithm")]
    Algorithm,
    /// The signature is wrong: forged, or altered on the way, or another secret.
    #[error("the webhook's signature is wrong")]
    Forged,
    /// Signed, and too old.
    #[error("the webhook is {by_ms} ms too late")]
    Late {
        /// By how many milliseconds.
        by_ms: u64,
    },
    /// Signed, and from too far in the future.
    #[error("the webhook is {by_ms} ms ahead of time")]
    Early {
        /// By how many milliseconds.
        by_ms: u64,
    },
    /// Signed, and without a time that the signature covers where one is needed.
    #[error("the webhook has no time")]
    Untimed,
    /// The address check was not made with our secret.
    #[error("the webhook's address check has another secret")]
    WrongToken,
    /// For another agent or another app.
    #[error("the webhook is for another agent")]
    WrongAgent,
}

impl WebhookError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "webhook_too_large",
            Self::Malformed { .. } => "webhook_malformed",
            Self::Unreadable { .. } => "webhook_unreadable",
            Self::SignatureMissing => "webhook_signature_missing",
            Self::SignatureMalformed => "webhook_signature_malformed",
            Self::Algorithm => "webhook_algorithm",
            Self::Forged => "webhook_forged",
            Self::Late { .. } => "webhook_late",
            Self::Early { .. } => "webhook_early",
            Self::Untimed => "webhook_untimed",
            Self::WrongToken => "webhook_wrong_token",
            Self::WrongAgent => "webhook_wrong_agent",
        }
    }

    /// The status to answer. What the provider itself has sent and what will never count is acknowledged and dropped: any other answer has
    /// it repeated for days, and holds back what waits behind it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Late { .. } | Self::Untimed | Self::WrongAgent | Self::Unreadable { .. } => 200,
            Self::TooLarge => 413,
            Self::Malformed { .. } => 400,
            Self::SignatureMissing | Self::SignatureMalformed | Self::Algorithm | Self::Forged | Self::WrongToken => {
                403
            }
            // Clocks come right again, and the provider repeats.
            Self::Early { .. } => 503,
        }
    }
}

/// Whether a time lies in the window.
pub(crate) fn check_time(at_ms: u64, now_ms: u64, window_ms: u64) -> Result<(), WebhookError> {
    let oldest = now_ms.saturating_sub(window_ms);
    let newest = now_ms.saturating_add(EARLY_MAX_MS);
    if at_ms < oldest {
        Err(WebhookError::Late { by_ms: oldest - at_ms })
    } else if at_ms > newest {
        Err(WebhookError::Early { by_ms: at_ms - newest })
    } else {
        Ok(())
    }
}

/// A header that stands there exactly once.
pub(crate) fn one_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// A signature of `N` bytes in base64.
pub(crate) fn signature<const N: usize>(headers: &HeaderMap, name: &str) -> Result<[u8; N], WebhookError> {
    let text = one_header(headers, name).ok_or(WebhookError::SignatureMissing)?;
    let bytes = STANDARD.decode(text.trim()).map_err(|_| WebhookError::SignatureMalformed)?;
    bytes.try_into().map_err(|_| WebhookError::SignatureMalformed)
}

/// The key of an event: over what names it at its provider.
pub(crate) fn event_key(provider: &str, parts: &[&str]) -> EventKey {
    let mut joined = Vec::new();
    for part in std::iter::once(&provider).chain(parts) {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part.as_bytes());
    }
    EventKey(sha256(&[b"rcseal/webhook-event/v1", &joined]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_closed_at_both_ends() {
        let (now, window) = (1_000_000_000, 1000);
        assert_eq!(check_time(now - window, now, window), Ok(()));
        assert_eq!(check_time(now - window - 1, now, window), Err(WebhookError::Late { by_ms: 1 }));
        assert_eq!(check_time(now + EARLY_MAX_MS, now, window), Ok(()));
        assert_eq!(check_time(now + EARLY_MAX_MS + 7, now, window), Err(WebhookError::Early { by_ms: 7 }));
        assert_eq!(check_time(0, u64::MAX, u64::MAX), Ok(()));
    }

    #[test]
    fn keys_tell_parts_apart() {
        assert_ne!(event_key("rbm", &["a", "bc"]), event_key("rbm", &["ab", "c"]));
        assert_ne!(event_key("rbm", &["a"]), event_key("sinch", &["a"]));
        assert_eq!(event_key("rbm", &["a"]), event_key("rbm", &["a"]));
    }
}
