//! What an SMSC's refusal means to whoever submitted.

use rcseal_rcs::transport::SendFailure;
use rusmpp_core::CommandStatus;

/// What is to be done about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The message was taken.
    Taken,
    /// It was not taken, and may be offered again later.
    Throttled,
    /// It was not taken.
    Refused(SendFailure),
}

/// What a status in the answer to a submission means.
pub(super) fn of_submission(status: u32) -> Meaning {
    match CommandStatus::from(status) {
        CommandStatus::EsmeRok => Meaning::Taken,
        CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful => Meaning::Throttled,
        CommandStatus::EsmeRinvdstadr | CommandStatus::EsmeRinvdstton | CommandStatus::EsmeRinvdstnpi => {
            Meaning::Refused(SendFailure::NotFound)
        }
        CommandStatus::EsmeRinvmsglen | CommandStatus::EsmeRinvcmdlen => Meaning::Refused(SendFailure::TooLarge),
        CommandStatus::EsmeRinvbndsts | CommandStatus::EsmeRprohibited => Meaning::Refused(SendFailure::Unauthorized),
        _ => Meaning::Refused(refused(status)),
    }
}

/// What a status in the answer to a bind means: whether it is our credentials that the SMSC does not take.
pub(super) fn of_bind(status: u32) -> SendFailure {
    match CommandStatus::from(status) {
        CommandStatus::EsmeRinvpaswd
        | CommandStatus::EsmeRinvsysid
        | CommandStatus::EsmeRbindfail
        | CommandStatus::EsmeRinvsystyp
        | CommandStatus::EsmeRprohibited => SendFailure::Unauthorized,
        _ => SendFailure::Unreachable,
    }
}

/// Statuses of networks and makers go up to 0x4ff; what is larger is shown as the largest.
fn refused(status: u32) -> SendFailure {
    SendFailure::Refused { status: u16::try_from(status).unwrap_or(u16::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_whether_the_message_may_be_offered_again() {
        assert_eq!(of_submission(0), Meaning::Taken);
        assert_eq!(of_submission(0x58), Meaning::Throttled);
        assert_eq!(of_submission(0x14), Meaning::Throttled);
        assert_eq!(of_submission(0x0b), Meaning::Refused(SendFailure::NotFound));
        assert_eq!(of_submission(0x45), Meaning::Refused(SendFailure::Refused { status: 0x45 }));
        assert_eq!(of_submission(0x0001_0000), Meaning::Refused(SendFailure::Refused { status: u16::MAX }));
        assert_eq!(of_bind(0x0e), SendFailure::Unauthorized);
        assert_eq!(of_bind(0x08), SendFailure::Unreachable);
    }
}
