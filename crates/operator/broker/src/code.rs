//! One-time codes, and whoever sends them.

use std::fmt;

use async_trait::async_trait;
use rand::RngExt as _;
use rcseal_rcs::number::PhoneNumber;
use rcseal_wire::api::broker::CODE_LEN;

/// Codes there are: every text of [`CODE_LEN`] digits.
const CODES: u32 = 10u32.pow(CODE_LEN as u32);

/// A one-time code. It is in memory until it is sent; the store has a keyed hash of it.
pub struct Code(String);

impl Code {
    /// Draws one, each as likely as any other.
    pub fn generate(rng: &mut impl rand::Rng) -> Self {
        Self(format!("{:0width$}", rng.random_range(0..CODES), width = CODE_LEN))
    }

    /// The digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The words of the message that carries it. They say what it is for, because people are talked into reading codes out.
    #[must_use]
    pub fn text(&self) -> String {
        format!("RCSeal code: {}. It shows that this number is yours. Never tell it to anybody.", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// The code did not leave.
#[derive(Debug, thiserror::Error)]
#[error("the code could not be sent: {code}")]
pub struct CodeNotSent {
    /// A stable code of the way it should have gone.
    pub code: &'static str,
}

/// The way by which codes reach numbers: SMS. A test has one of its own.
#[async_trait]
pub trait CodeSender: Send + Sync + 'static {
    /// Hands a code over; `Ok` once somebody has taken it who is paid to deliver it.
    async fn send(&self, to: &PhoneNumber, code: &Code) -> Result<(), CodeNotSent>;
}

/// No way is configured: nobody can claim anything.
pub(crate) struct NoCodes;

#[async_trait]
impl CodeSender for NoCodes {
    async fn send(&self, _to: &PhoneNumber, _code: &Code) -> Result<(), CodeNotSent> {
        Err(CodeNotSent { code: "no_sms_way" })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn a_code_has_six_digits_and_does_not_show() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        for _ in 0..1000 {
            let code = Code::generate(rng);
            assert_eq!(code.expose().len(), 6);
            assert!(code.expose().bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(format!("{code:?}"), "Code");
            assert!(code.text().contains(code.expose()));
        }
    }
}
