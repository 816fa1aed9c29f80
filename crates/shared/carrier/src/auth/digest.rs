//! Responses: what `Authorization` and `Proxy-Authorization` say (RFC 7616, section 3.4).

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use md5::{Digest as _, Md5};
use rand::Rng as _;
use zeroize::Zeroizing;

use super::aka;
use super::challenge::{Algorithm, Challenge, Protection};
use super::{AkaFailure, Credentials};

/// Why a challenge is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The challenge is for other credentials.
    #[error("the challenge is for other credentials")]
    Unfit,
    /// The name has a character that cannot be written.
    #[error("the name cannot be written into a header")]
    Name,
    /// The nonce does not carry what a SIM is to be asked.
    #[error("the nonce carries no challenge for a SIM")]
    Nonce,
    /// The SIM does not answer.
    #[error("the SIM does not answer")]
    Sim(#[source] AkaFailure),
}

impl AuthError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unfit => "auth_unfit",
            Self::Name => "auth_name",
            Self::Nonce => "auth_nonce",
            Self::Sim(AkaFailure::NotAuthentic) => "auth_network_not_authentic",
            Self::Sim(AkaFailure::Synchronisation { .. } | AkaFailure::Unavailable) => "auth_sim",
        }
    }
}

/// A challenge that is being answered: for the request that it came for, and for those after it.
pub struct Session {
    challenge: Challenge,
    user: String,
    /// The hash of name, realm and password, in hex: as good as the password for this realm.
    secret: Zeroizing<String>,
    cnonce: String,
    /// AUTS, where the SIM and the network count differently: such an answer asks for another challenge.
    auts: Option<String>,
    count: AtomicU32,
}

impl Session {
    /// Opens a session on a challenge.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn open(challenge: Challenge, credentials: &Credentials) -> Result<Self, AuthError> {
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        Self::open_with(challenge, credentials, &hex::encode(random))
    }

    /// Opens a session with a client nonce of one's own choice, as published examples have it.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn open_with(challenge: Challenge, credentials: &Credentials, cnonce: &str) -> Result<Self, AuthError> {
        let user = credentials.user();
        if !is_writable(user) || !is_writable(cnonce) {
            return Err(AuthError::Name);
        }
        let mut auts = None;
        let password = match (credentials, challenge.algorithm) {
            (Credentials::Aka { sim, .. }, Algorithm::AkaMd5) => {
                let (rand, autn) = aka::asked(&challenge.nonce).ok_or(AuthError::Nonce)?;
                match sim.answer(&rand, &autn) {
                    Ok(answer) => answer.res,
                    // The answer is then computed with an empty password (RFC 3310, section 3.4): it proves nothing but brings AUTS.
                    Err(AkaFailure::Synchronisation { auts: bytes }) => {
                        auts = Some(aka::auts_text(&bytes));
                        Zeroizing::default()
                    }
                    Err(failure) => return Err(AuthError::Sim(failure)),
                }
            }
            (Credentials::Aka { .. }, _) | (Credentials::Password { .. }, Algorithm::AkaMd5) => {
                return Err(AuthError::Unfit);
            }
            (Credentials::Password { password, .. }, _) => Zeroizing::new(password.expose().as_bytes().to_vec()),
        };
        let mut secret = Zeroizing::new(hash(
            challenge.algorithm,
            &[user.as_bytes(), b":", challenge.realm.as_bytes(), b":", &password],
        ));
        if matches!(challenge.algorithm, Algorithm::Md5Session | Algorithm::Sha256Session) {
            let parts = [secret.as_bytes(), b":", challenge.nonce.as_bytes(), b":", cnonce.as_bytes()];
            secret = Zeroizing::new(hash(challenge.algorithm, &parts));
        }
        Ok(Self { challenge, user: user.to_owned(), secret, cnonce: cnonce.to_owned(), auts, count: AtomicU32::new(0) })
    }

    /// The challenge.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Whether this answer only tells the network the SIM's count, so that one more challenge follows of right.
    #[must_use]
    pub const fn is_resynchronisation(&self) -> bool {
        self.auts.is_some()
    }

    /// The value of `Authorization` or `Proxy-Authorization` for a request. `uri` is the request's, as it stands on its first line.
    #[must_use]
    pub fn authorization(&self, method: &str, uri: &str, body: &[u8]) -> String {
        let challenge = &self.challenge;
        let algorithm = challenge.algorithm;
        let what = match challenge.protection {
            Protection::None | Protection::Auth => hash(algorithm, &[method.as_bytes(), b":", uri.as_bytes()]),
            Protection::AuthInt => {
                let body = hash(algorithm, &[body]);
                hash(algorithm, &[method.as_bytes(), b":", uri.as_bytes(), b":", body.as_bytes()])
            }
        };
        let mut value = format!(
            r#"Digest username="{}", realm="{}", nonce="{}", uri="{uri}", algorithm={}"#,
            self.user,
            challenge.realm,
            challenge.nonce,
            algorithm.as_str()
        );
        let qop = match challenge.protection {
            Protection::None => None,
            Protection::Auth => Some("auth"),
            Protection::AuthInt => Some("auth-int"),
        };
        let secret = self.secret.as_bytes();
        let response = match qop {
            None => hash(algorithm, &[secret, b":", challenge.nonce.as_bytes(), b":", what.as_bytes()]),
            Some(qop) => {
                let count = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
                let count = format!("{count:08x}");
                value.push_str(&format!(r#", qop={qop}, nc={count}, cnonce="{}""#, self.cnonce));
                let nonces =
                    [challenge.nonce.as_bytes(), b":", count.as_bytes(), b":", self.cnonce.as_bytes()].concat();
                hash(algorithm, &[secret, b":", &nonces, b":", qop.as_bytes(), b":", what.as_bytes()])
            }
        };
        value.push_str(&format!(r#", response="{response}""#));
        // The session forms hash our nonce, so the server must be told it even where no count is.
        if qop.is_none() && matches!(algorithm, Algorithm::Md5Session | Algorithm::Sha256Session) {
            value.push_str(&format!(r#", cnonce="{}""#, self.cnonce));
        }
        if let Some(opaque) = &challenge.opaque {
            value.push_str(&format!(r#", opaque="{opaque}""#));
        }
        if let Some(auts) = &self.auts {
            value.push_str(&format!(r#", auts="{auts}""#));
        }
        value
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("algorithm", &self.challenge.algorithm).finish_non_exhaustive()
    }
}

/// Whether a text can stand between quotes as it is.
fn is_writable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_control() && !matches!(c, '"' | '\\'))
}

fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> String {
    match algorithm {
        Algorithm::Sha256 | Algorithm::Sha256Session => hex::encode(rcseal_crypto::hash::sha256(parts)),
        Algorithm::Md5 | Algorithm::Md5Session | Algorithm::AkaMd5 => {
            let mut hasher = Md5::new();
            for part in parts {
                hasher.update(part);
            }
            hex::encode(hasher.finalize())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::Arc;

    use super::*;
    use crate::auth::{AkaAnswer, AkaProvider, Password};

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials::Password { user: user.to_owned(), password: Password::new(password) }
    }

    fn session(challenge: &str, credentials: &Credentials, cnonce: &str) -> Session {
        let challenge = Challenge::parse_all(challenge).pop().unwrap();
        Session::open_with(challenge, credentials, cnonce).unwrap()
    }

    fn parameter(value: &str, name: &str) -> Option<String> {
        let (_, rest) = value.split_once(&format!(" {name}="))?;
        Some(rest.split(',').next().unwrap().trim_matches('"').to_owned())
    }

    fn response(value: &str) -> String {
        parameter(value, "response").unwrap()
    }

    #[test]
    fn rfc_2617_section_3_5() {
        let challenge = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
        let session = session(challenge, &credentials("Mufasa", "Circle Of Life"), "0a4f113b");
        let value = session.authorization("GET", "/dir/index.html", b"");
        assert_eq!(response(&value), "6629fae49393a05397450978507c4ef1");
        assert_eq!(parameter(&value, "nc").unwrap(), "00000001");
        assert_eq!(parameter(&value, "opaque").unwrap(), "5ccc069c403ebaf9f0171e9517f40e41");
        assert_eq!(parameter(&session.authorization("GET", "/dir/index.html", b""), "nc").unwrap(), "00000002");
    }

    #[test]
    fn rfc_7616_section_3_9_1() {
        let of = |algorithm: &str| {
            let challenge = format!(
                r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
            );
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            response(&session(&challenge, &credentials("Mufasa", "Circle of Life"), cnonce).authorization(
                "GET",
                "/dir/index.html",
                b"",
            ))
        };
        assert_eq!(of("MD5"), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(of("SHA-256"), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    /// Computed with another implementation of the two hashes, from the formulas of RFC 7616, section 3.4.
    #[test]
    fn the_session_forms_and_the_protection_of_bodies() {
        let of = |parameters: &str| {
            let challenge = format!(r#"Digest realm="r.example", nonce="n0", {parameters}"#);
            response(&session(&challenge, &credentials("+4915112345678", "pass"), "c0").authorization(
                "MESSAGE",
                "sip:b@r.example",
                b"hello",
            ))
        };
        assert_eq!(of(r#"algorithm=MD5-sess, qop="auth""#), MD5_SESSION);
        assert_eq!(of(r#"algorithm=SHA-256-sess, qop="auth""#), SHA256_SESSION);
        assert_eq!(of(r#"algorithm=MD5, qop="auth-int""#), MD5_INT);
        assert_eq!(of(r#"algorithm=SHA-256, qop="auth-int""#), SHA256_INT);
        assert_eq!(of("algorithm=MD5"), MD5_OLD);
    }
    const MD5_SESSION: &str = "970c56dd5285f2c059b9f38496c6b96e";
    const SHA256_SESSION: &str = "0176577bc34b988df7d6495747d6a68e76539c2abb80bfe2173aaa2f42034022";
    const MD5_INT: &str = "34ce6fc5e95a2c2aba3f5b0df92065c1";
    const SHA256_INT: &str = "8f4cc0975fc9983609130a23b35ef7979fc678ce27424aba849fcf65125d1e5d";
    const MD5_OLD: &str = "62cb8e67abcd943b589d1fc7c954fc18";

    struct Sim(Result<[u8; 8], AkaFailure>);

    impl AkaProvider for Sim {
        fn answer(&self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<AkaAnswer, AkaFailure> {
            assert_eq!((rand, autn), (&[1; 16], &[2; 16]));
            let res = self.0?;
            Ok(AkaAnswer {
                res: Zeroizing::new(res.to_vec()),
                ck: Zeroizing::new([0; 16]),
                ik: Zeroizing::new([0; 16]),
            })
        }
    }

    fn aka(sim: Result<[u8; 8], AkaFailure>) -> Credentials {
        Credentials::Aka { user: "impi@r.example".into(), sim: Arc::new(Sim(sim)) }
    }

    /// RAND of ones, AUTN of twos, and four bytes of the server's behind them.
    const AKA: &str = r#"Digest realm="r.example", nonce="AQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgICAgICAgIDAwMD", algorithm=AKAv1-MD5, qop="auth""#;

    /// RES are bytes, not text (RFC 3310, section 3.3). Computed with another implementation of the hash.
    #[test]
    fn rfc_3310_takes_res_for_the_password() {
        let session = session(AKA, &aka(Ok([0xa5, 0x42, 0x11, 0xd5, 0xe3, 0xba, 0x50, 0xbf])), "c0");
        let value = session.authorization("REGISTER", "sip:r.example", b"");
        assert_eq!(response(&value), "533ac78abd074fc939371b79950c18fe");
        assert_eq!(parameter(&value, "algorithm").unwrap(), "AKAv1-MD5");
        assert!(!session.is_resynchronisation());
    }

    #[test]
    fn rfc_3310_answers_another_count_with_auts_and_an_empty_password() {
        let session = session(AKA, &aka(Err(AkaFailure::Synchronisation { auts: [7; 14] })), "c0");
        let value = session.authorization("REGISTER", "sip:r.example", b"");
        assert_eq!(response(&value), "cd72c0c80d255b5534f39ff13bdd5639");
        assert_eq!(parameter(&value, "auts").unwrap(), "BwcHBwcHBwcHBwcHBwc=");
        assert!(session.is_resynchronisation());
    }

    #[test]
    fn a_network_that_is_not_the_sims_gets_nothing() {
        let challenge = Challenge::parse_all(AKA).pop().unwrap();
        let error = Session::open(challenge.clone(), &aka(Err(AkaFailure::NotAuthentic))).unwrap_err();
        assert_eq!(error, AuthError::Sim(AkaFailure::NotAuthentic));
        assert_eq!(Session::open(challenge, &credentials("u", "p")).unwrap_err(), AuthError::Unfit);
        let short = Challenge::parse_all(r#"Digest realm="r", nonce="AQEB", algorithm=AKAv1-MD5"#).pop().unwrap();
        assert_eq!(Session::open(short, &aka(Ok([0; 8]))).unwrap_err(), AuthError::Nonce);
    }

    #[test]
    fn names_cannot_leave_their_quotes_and_secrets_are_not_shown() {
        let challenge = Challenge::parse_all(r#"Digest realm="r", nonce="n""#).pop().unwrap();
        for name in ["", "a\"b", "a\\b", "a\r\nb"] {
            assert_eq!(Session::open(challenge.clone(), &credentials(name, "p")).unwrap_err(), AuthError::Name);
        }
        let credentials = credentials("alice", "hunter2");
        let session = Session::open(challenge, &credentials).unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials::Password");
        assert!(!format!("{session:?}").contains("hunter2"));
    }
}
