//! Challenges: what `WWW-Authenticate` and `Proxy-Authenticate` say (RFC 7616, section 3.3).
//!
//! A header may hold several challenges, of schemes that are not ours, too. Values are kept as they stood between their quotes, because
//! that is what both sides hash and what goes back; they are visible text, so that they cannot end the line they are written into.

use super::Credentials;

/// The longest header that is read.
const CHALLENGE_LEN_MAX: usize = 8 * 1024;

/// The most parameters in one header, of all its challenges.
const PARAMETERS_MAX: usize = 64;

/// How a response is computed, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `MD5`, which is meant where none is named.
    Md5,
    /// `MD5-sess`.
    Md5Session,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Session,
    /// `AKAv1-MD5`: MD5, with a SIM's answer for a password.
    AkaMd5,
}

impl Algorithm {
    /// The name in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Session => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Session => "SHA-256-sess",
            Self::AkaMd5 => "AKAv1-MD5",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Md5, Self::Md5Session, Self::Sha256, Self::Sha256Session, Self::AkaMd5];
        all.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether an answer by it is no help to whoever tries passwords fast: MD5 with a password is.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha256Session | Self::AkaMd5)
    }

    const fn is_aka(self) -> bool {
        matches!(self, Self::AkaMd5)
    }
}

/// What a response protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// The form of RFC 2069, for servers that name none.
    None,
    /// Method and URI.
    Auth,
    /// The body, too.
    AuthInt,
}

/// One challenge of the digest scheme that we can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) protection: Protection,
    is_stale: bool,
}

/// Why no challenge can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// There is none of the digest scheme, or none that can be read.
    #[error("no digest challenge that can be read")]
    None,
    /// Our credentials cannot answer those that there are.
    #[error("no challenge that these credentials can answer")]
    Unfit,
}

impl ChallengeError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::None => "auth_no_challenge",
            Self::Unfit => "auth_challenge_unfit",
        }
    }
}

impl Challenge {
    /// The challenges in the value of one header. What is not of the digest scheme, or asks for what we do not know, is left out.
    #[must_use]
    pub fn parse_all(value: &str) -> Vec<Self> {
        if value.len() > CHALLENGE_LEN_MAX || value.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut scanner = Scanner { rest: value, parameters: 0 };
        while let Some(scheme) = scanner.scheme() {
            let parameters = scanner.parameters();
            if scheme.eq_ignore_ascii_case("Digest") {
                found.extend(Self::from_parameters(&parameters));
            }
        }
        found
    }

    /// The strongest challenge in these headers that the credentials can answer; of equals, one under which each answer counts once (`qop`), and
    /// of such the first.
    ///
    /// # Errors
    /// [`ChallengeError`].
    pub fn strongest<'a>(
        values: impl IntoIterator<Item = &'a str>,
        credentials: &Credentials,
    ) -> Result<Self, ChallengeError> {
        let with_sim = matches!(credentials, Credentials::Aka { .. });
        let rank = |challenge: &Self| (challenge.algorithm, challenge.protection != Protection::None);
        let mut any = false;
        let mut best: Option<Self> = None;
        for challenge in values.into_iter().flat_map(Self::parse_all) {
            any = true;
            if challenge.algorithm.is_aka() == with_sim
                && best.as_ref().is_none_or(|best| rank(&challenge) > rank(best))
            {
                best = Some(challenge);
            }
        }
        best.ok_or(if any { ChallengeError::Unfit } else { ChallengeError::None })
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the server says that only the nonce was too old, and not that the password was wrong.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.is_stale
    }

    fn from_parameters(parameters: &[(&str, &str)]) -> Option<Self> {
        let get =
            |name: &str| parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let algorithm = match get("algorithm") {
            Some(name) => Algorithm::parse(name)?,
            None => Algorithm::Md5,
        };
        let protection = match get("qop") {
            None => Protection::None,
            Some(list) => {
                let offers = |name: &str| list.split(',').any(|word| word.trim().eq_ignore_ascii_case(name));
                if offers("auth") {
                    Protection::Auth
                } else if offers("auth-int") {
                    Protection::AuthInt
                } else {
                    return None;
                }
            }
        };
        Some(Self {
            realm: get("realm")?.to_owned(),
            nonce: get("nonce")?.to_owned(),
            opaque: get("opaque").map(str::to_owned),
            algorithm,
            protection,
            is_stale: get("stale").is_some_and(|word| word.eq_ignore_ascii_case("true")),
        })
    }
}

/// Reads a header from its beginning. Every step either shortens `rest` or ends.
struct Scanner<'a> {
    rest: &'a str,
    parameters: usize,
}

impl<'a> Scanner<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c: char| !is_token(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        (!token.is_empty()).then(|| {
            self.rest = rest;
            token
        })
    }

    fn scheme(&mut self) -> Option<&'a str> {
        self.skip();
        self.token()
    }

    /// The parameters up to the next scheme or to something that is none.
    fn parameters(&mut self) -> Vec<(&'a str, &'a str)> {
        let mut found = Vec::new();
        loop {
            self.skip();
            let before = self.rest;
            let Some(name) = self.token() else { break };
            let Some(after) = self.rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
                self.rest = before;
                break;
            };
            self.parameters += 1;
            self.rest = after.trim_start_matches([' ', '\t']);
            let Some(value) = self.value() else { break };
            if self.parameters > PARAMETERS_MAX {
                self.rest = "";
                break;
            }
            found.push((name, value));
        }
        found
    }

    /// A quoted value without its quotes, or everything up to a comma or a space.
    fn value(&mut self) -> Option<&'a str> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', ' ', '\t']).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return (!value.contains(['"', '\\'])).then_some(value);
        };
        let mut is_escaped = false;
        for (at, c) in quoted.char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Some(&quoted[..at]);
                }
                _ => {}
            }
        }
        self.rest = "";
        None
    }
}

const fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '!' | '%' | '*' | '_' | '+' | '`' | '\'' | '~')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;
    use crate::auth::Password;

    fn password() -> Credentials {
        Credentials::Password { user: "alice".into(), password: Password::new("x") }
    }

    #[test]
    fn several_challenges_in_one_header_are_told_apart() {
        let value = r#"Basic realm="b, c", Digest realm="a\"b", nonce="n1", qop="auth-int, auth", opaque="o", Digest realm="r", nonce="n2",algorithm=SHA-256 ,qop=auth, Negotiate"#;
        let all = Challenge::parse_all(value);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].realm(), all[0].algorithm(), all[0].protection),
            (r#"a\"b"#, Algorithm::Md5, Protection::Auth)
        );
        assert_eq!((all[1].realm(), all[1].algorithm(), all[1].nonce.as_str()), ("r", Algorithm::Sha256, "n2"));
    }

    #[test]
    fn the_strongest_that_we_know_is_answered() {
        let values = [
            r#"Digest realm="r", nonce="n", algorithm=MD5"#,
            r#"Digest realm="r", nonce="n", algorithm=SHA-512-256"#,
            r#"Digest realm="r", nonce="n", algorithm=SHA-256"#,
            r#"Digest realm="r", nonce="n", algorithm=AKAv1-MD5"#,
        ];
        assert_eq!(Challenge::strongest(values, &password()).unwrap().algorithm(), Algorithm::Sha256);
        assert_eq!(Challenge::strongest([values[3]], &password()), Err(ChallengeError::Unfit));
        assert_eq!(Challenge::strongest([values[1]], &password()), Err(ChallengeError::None));
    }

    #[test]
    fn of_equals_the_one_that_counts_uses_of_its_nonce_is_answered() {
        let values = [r#"Digest realm="r", nonce="old""#, r#"Digest realm="r", nonce="new", qop="auth""#];
        assert_eq!(Challenge::strongest(values, &password()).unwrap().nonce, "new");
        let values = [values[1], values[0]];
        assert_eq!(Challenge::strongest(values, &password()).unwrap().nonce, "new");
    }

    #[test]
    fn a_challenge_without_realm_or_nonce_is_none() {
        assert!(Challenge::parse_all(r#"Digest realm="r""#).is_empty());
        assert!(Challenge::parse_all(r#"Digest nonce="r""#).is_empty());
        assert!(Challenge::parse_all("Digest realm=\"r\r\nX: y\", nonce=\"n\"").is_empty());
        assert!(Challenge::parse_all(r#"Digest realm="r, nonce="n"#).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(value in ".{0,300}") {
            for challenge in Challenge::parse_all(&value) {
                prop_assert!(!challenge.nonce.contains(['\r', '\n']));
            }
        }

        #[test]
        fn text_that_looks_like_challenges_is_read_without_harm(value in r#"(Digest|Basic|realm|nonce|qop|=|"|\\|,| |a|MD5){0,40}"#) {
            let _ = Challenge::parse_all(&value);
        }
    }
}
