//! *Continue securely*: the link by which a case that began in a readable channel goes on end to end.
//!
//! A business puts it on a card, behind a button. It holds the business's invitation, a token that opens one case for one account, and a
//! time after which it opens nothing. Whoever carries the card can read the link, and so could use the token first: the business sees
//! which account did, whether that account has the number the case was begun for, and refuses everybody else who comes with it.
//!
//! Two text forms of the same bytes: `rcseal:c/...` for a device that has the app, and `https://host/c#...` for one that may not, where the
//! page behind it says how to get the app. What follows `#` never reaches a server. `docs/protocol/case.md` has the layout.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use rcseal_crypto::secret::Secret;
use tls_codec::{DeserializeBytes, Serialize as _, TlsByteVecU16, TlsDeserializeBytes, TlsSerialize, TlsSize};

use crate::b64;
use crate::invitation::{Invitation, InvitationError};
use crate::origin::Origin;

const APP_PREFIX: &str = "rcseal:c/";
const WEB_PATH: &str = "/c#";
const VERSION: u8 = 1;
/// Characters of the longest link: a server's origin, the fixed fields, and an invitation with another origin.
const TEXT_LEN_MAX: usize = 2048;

/// Opens one case, once.
pub struct CaseToken(Secret<16>);

impl CaseToken {
    /// Draws a fresh one.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::generate(rng))
    }

    /// Wraps the bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Secret::from_bytes(bytes))
    }

    /// The bytes, for the one who shows them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }

    /// A second copy, on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl fmt::Debug for CaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaseToken")
    }
}

/// The link.
#[derive(Debug)]
pub struct Continuation {
    /// The business.
    pub invitation: Invitation,
    /// Opens the case.
    pub token: CaseToken,
    /// From when on it opens nothing. Unix time in milliseconds.
    pub expires_at_ms: u64,
}

/// The text is not such a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContinuationError {
    /// It has neither form, or what follows cannot be parsed.
    #[error("not a link to a case")]
    Malformed,
    /// Made by newer software: update.
    #[error("the link has unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u8,
    },
    /// The invitation in it is none.
    #[error("the invitation in the link is none")]
    Invitation(#[source] InvitationError),
    /// The link has expired.
    #[error("the link has expired")]
    Expired {
        /// When it did.
        expires_at_ms: u64,
    },
}

impl ContinuationError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "continuation_malformed",
            Self::UnknownVersion { .. } => "continuation_unknown_version",
            Self::Invitation(_) => "continuation_invitation",
            Self::Expired { .. } => "continuation_expired",
        }
    }
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
struct Fields {
    version: u8,
    token: [u8; 16],
    expires_at_ms: u64,
    invitation: TlsByteVecU16,
}

impl Continuation {
    fn body(&self) -> String {
        let fields = Fields {
            version: VERSION,
            token: *self.token.expose(),
            expires_at_ms: self.expires_at_ms,
            invitation: self.invitation.expose_text().into_bytes().into(),
        };
        b64::encode(&fields.tls_serialize_detached().expect("fixed fields and the text of an invitation"))
    }

    /// The form for a device with the app. It holds the token: it goes on the card and nowhere else.
    #[must_use]
    pub fn expose_text(&self) -> String {
        format!("{APP_PREFIX}{}", self.body())
    }

    /// The form with a page at `host` for whoever has no app yet.
    #[must_use]
    pub fn expose_web_text(&self, host: &Origin) -> String {
        format!("{host}{WEB_PATH}{}", self.body())
    }

    /// Parses a link that is to be used now.
    ///
    /// # Errors
    /// [`ContinuationError`]; [`ContinuationError::Expired`] for one that came too late.
    pub fn parse(text: &str, now_ms: u64) -> Result<Self, ContinuationError> {
        let link: Self = text.parse()?;
        match link.expires_at_ms {
            expires_at_ms if expires_at_ms <= now_ms => Err(ContinuationError::Expired { expires_at_ms }),
            _ => Ok(link),
        }
    }
}

impl FromStr for Continuation {
    type Err = ContinuationError;

    /// Either form, whether it has expired or not.
    fn from_str(text: &str) -> Result<Self, ContinuationError> {
        if text.len() > TEXT_LEN_MAX {
            return Err(ContinuationError::Malformed);
        }
        let text = text.trim();
        let body = match text.strip_prefix(APP_PREFIX) {
            Some(body) => body,
            None => {
                let (host, body) = text.split_once(WEB_PATH).ok_or(ContinuationError::Malformed)?;
                host.parse::<Origin>().map_err(|_| ContinuationError::Malformed)?;
                body
            }
        };
        let bytes = b64::decode(body).map_err(|_| ContinuationError::Malformed)?;
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(ContinuationError::UnknownVersion { version }),
            None => return Err(ContinuationError::Malformed),
        }
        let fields = Fields::tls_deserialize_exact_bytes(&bytes).map_err(|_| ContinuationError::Malformed)?;
        let invitation = std::str::from_utf8(fields.invitation.as_slice()).map_err(|_| ContinuationError::Malformed)?;
        // An invitation may have spaces round it where a person has pasted it; a link has one form.
        if invitation.trim() != invitation {
            return Err(ContinuationError::Malformed);
        }
        Ok(Self {
            invitation: invitation.parse().map_err(ContinuationError::Invitation)?,
            token: CaseToken::from_bytes(fields.token),
            expires_at_ms: fields.expires_at_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::id::{AccountId, KeySetCounter, KeySetHash};
    use crate::token::DeliveryToken;

    fn link() -> Continuation {
        Continuation {
            invitation: Invitation {
                account: AccountId::from_bytes([1; 16]),
                key_set_counter: KeySetCounter::new(3),
                key_set_hash: KeySetHash::from_bytes([2; 32]),
                account_key: [4; 32],
                delivery_token: DeliveryToken::from_bytes([3; 32]),
                origin: "https://127.0.0.1:8443".parse().unwrap(),
            },
            token: CaseToken::from_bytes([5; 16]),
            expires_at_ms: 1_800_000_000_000,
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let (link, host) = (link(), "https://shop.example".parse().unwrap());
        for text in [link.expose_text(), link.expose_web_text(&host), format!(" {}\n", link.expose_text())] {
            let parsed = Continuation::parse(&text, 1_799_999_999_999).unwrap();
            assert_eq!(parsed.expose_text(), link.expose_text());
        }
        assert!(link.expose_web_text(&host).starts_with("https://shop.example/c#"));
        assert!(link.expose_web_text(&host).len() < 512, "it fits a button of a card");
    }

    #[test]
    fn a_link_opens_nothing_after_its_time() {
        let text = link().expose_text();
        let error = Continuation::parse(&text, 1_800_000_000_000).unwrap_err();
        assert_eq!(error, ContinuationError::Expired { expires_at_ms: 1_800_000_000_000 });
    }

    #[test]
    fn what_is_no_link_is_named() {
        let text = link().expose_text();
        for bad in [
            "",
            "rcseal:c/",
            "https://Shop.example/c#AA",
            "https://shop.example/d#AA",
            &text.replace("rcseal:", "rcs:"),
            &format!("{text}="),
            &"x".repeat(4_000),
        ] {
            assert_eq!(bad.parse::<Continuation>().unwrap_err(), ContinuationError::Malformed, "{bad}");
        }
        let mut bytes = b64::decode(text.strip_prefix(APP_PREFIX).unwrap()).unwrap();
        bytes[0] = 2;
        let newer = format!("{APP_PREFIX}{}", b64::encode(&bytes));
        assert_eq!(newer.parse::<Continuation>().unwrap_err(), ContinuationError::UnknownVersion { version: 2 });
        let mut bytes = b64::decode(text.strip_prefix(APP_PREFIX).unwrap()).unwrap();
        bytes[27] = b'X';
        let other = format!("{APP_PREFIX}{}", b64::encode(&bytes));
        let refused = ContinuationError::Invitation(InvitationError::Malformed);
        assert_eq!(other.parse::<Continuation>().unwrap_err(), refused);
    }

    #[test]
    fn debug_shows_neither_token() {
        let shown = format!("{:?}", link());
        assert!(!shown.contains(&b64::encode(&[5; 16])) && !shown.contains(&b64::encode(&[3; 32])), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>, host in ".{0,20}") {
            let _ = format!("{APP_PREFIX}{}", b64::encode(&bytes)).parse::<Continuation>();
            let _ = format!("{host}{WEB_PATH}{}", b64::encode(&bytes)).parse::<Continuation>();
        }
    }
}
