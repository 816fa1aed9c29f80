//! Who may register. A trait, because how an operator lets people in differs; two adapters so far.
//!
//! [`OpenAdmission`] lets everybody in. [`InviteAdmission`] asks for a single-use code that the operator made with `rcseald invite
//! create`; the server stores only its hash, and uses it up in the transaction that creates the account, so that two registrations
//! cannot share one. An adapter decides; it never touches the store.

mod invite;

use rcseal_front::refusal::Refusal;
use rcseal_store::InviteHash;
use rcseal_wire::problem::ProblemCode;

pub(crate) use invite::{InviteCode, InviteCodeError};

use crate::config::AdmissionMode;

/// What an adapter lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The invite that the registration uses up, if it needs one.
    pub(crate) invite: Option<InviteHash>,
}

/// Why somebody may not register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// No invite was shown.
    #[error("an invite is needed")]
    InviteMissing,
    /// What was shown is not an invite code.
    #[error("not an invite code")]
    InviteMalformed,
}

impl From<AdmissionError> for Refusal {
    fn from(error: AdmissionError) -> Self {
        let detail = match error {
            AdmissionError::InviteMissing => "an invite is needed",
            AdmissionError::InviteMalformed => "the invite is not one",
        };
        Self::with_detail(ProblemCode::AdmissionRefused, detail)
    }
}

/// Decides who may register.
pub(crate) trait Admission: Send + Sync {
    /// Whether a registration that shows `invite` goes on, and what it uses up.
    fn admit(&self, invite: Option<&str>) -> Result<Admitted, AdmissionError>;
}

/// Everybody.
pub(crate) struct OpenAdmission;

impl Admission for OpenAdmission {
    fn admit(&self, _invite: Option<&str>) -> Result<Admitted, AdmissionError> {
        Ok(Admitted { invite: None })
    }
}

/// Holders of an unused invite.
pub(crate) struct InviteAdmission;

impl Admission for InviteAdmission {
    fn admit(&self, invite: Option<&str>) -> Result<Admitted, AdmissionError> {
        let text = invite.ok_or(AdmissionError::InviteMissing)?;
        let code: InviteCode = text.parse().map_err(|InviteCodeError| AdmissionError::InviteMalformed)?;
        Ok(Admitted { invite: Some(code.hash()) })
    }
}

/// The adapter that the configuration names.
pub(crate) fn adapter(mode: AdmissionMode) -> Box<dyn Admission> {
    match mode {
        AdmissionMode::Open => Box::new(OpenAdmission),
        AdmissionMode::Invite => Box::new(InviteAdmission),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_admission_asks_for_nothing() {
        assert_eq!(OpenAdmission.admit(None), Ok(Admitted { invite: None }));
    }

    #[test]
    fn invite_admission_names_what_is_wrong() {
        assert_eq!(InviteAdmission.admit(None), Err(AdmissionError::InviteMissing));
        assert_eq!(InviteAdmission.admit(Some("please")), Err(AdmissionError::InviteMalformed));
        let code = InviteCode::from_bytes([3; 16]);
        assert_eq!(InviteAdmission.admit(Some(&code.expose_text())), Ok(Admitted { invite: Some(code.hash()) }));
    }
}
