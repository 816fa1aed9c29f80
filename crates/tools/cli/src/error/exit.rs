//! Which exit code an error of a layer below stands for.

use rcseal_client::backup::BackupFailure;
use rcseal_client::client::ClientError;
use rcseal_client::net::NetError;
use rcseal_credential::{BuildError, ScanError};
use rcseal_engine::account::AccountError;
use rcseal_engine::backup::BackupError;
use rcseal_engine::carrier::CarrierError;
use rcseal_engine::case::CaseError;
use rcseal_engine::contact::ContactError;
use rcseal_engine::number::NumberError;
use rcseal_engine::plain::PlainError;
use rcseal_engine::policy::PolicyError;
use rcseal_engine::resend::ResendError;
use rcseal_engine::retained::RetainedError;
use rcseal_engine::send::SendError;
use rcseal_rcs::transport::SendFailure;
use rcseal_wire::problem::ProblemCode;

use super::Exit;

fn backup_exit(failure: &BackupFailure) -> Exit {
    match failure {
        BackupFailure::WeakPassphrase(_) | BackupFailure::SecretMalformed => Exit::Usage,
        BackupFailure::Archive(error) => match error {
            BackupError::Store(_) => Exit::Store,
            BackupError::Account(error) => account_exit(error),
            BackupError::NeedsAccount | BackupError::TargetNotEmpty | BackupError::AccountKeyReplaced => Exit::NotHere,
            BackupError::OtherSecret => Exit::Usage,
            BackupError::NotABackup
            | BackupError::Truncated
            | BackupError::OldVersion { .. }
            | BackupError::NewerVersion { .. }
            | BackupError::WeakParams
            | BackupError::CostlyParams
            | BackupError::WrongSecret
            | BackupError::Tampered { .. }
            | BackupError::Malformed { .. }
            | BackupError::TooLarge => Exit::Refused,
        },
    }
}

pub(super) fn client_exit(error: &ClientError) -> Exit {
    match error {
        ClientError::Open(_) | ClientError::Store(_) | ClientError::Generation(_) => Exit::Store,
        ClientError::Net(error) => net_exit(error),
        ClientError::Account(error) => account_exit(error),
        ClientError::Contact(error) => contact_exit(error),
        ClientError::Carrier(error) => match error {
            CarrierError::Store(_) => Exit::Store,
            CarrierError::Account(error) => account_exit(error),
            CarrierError::UnknownContact => Exit::NotHere,
        },
        ClientError::Backup(failure) => backup_exit(failure),
        ClientError::Policy(error) => policy_exit(error),
        ClientError::Plain(error) => plain_exit(error),
        ClientError::Number(error) => number_exit(error),
        ClientError::Case(error) => case_exit(error),
        ClientError::Retained(error) => retained_exit(error),
        ClientError::NoSmsWay => Exit::NotHere,
        ClientError::Sms(failure) => sms_exit(failure),
        ClientError::Push(_) | ClientError::RemoteConfig(_) | ClientError::HandOver(_) => Exit::Refused,
        ClientError::Send(error) => send_exit(error),
        ClientError::Resend(error) => match error {
            ResendError::Send(error) => send_exit(error),
            ResendError::UnknownMessage | ResendError::NotHeld | ResendError::Deleted => Exit::NotHere,
        },
        ClientError::Link(rcseal_engine::link::LinkFailure::Account(error)) => account_exit(error),
        ClientError::Link(_) | ClientError::LinkExpired | ClientError::ForeignServer | ClientError::Media(_) => {
            Exit::Refused
        }
        ClientError::UnknownMessage | ClientError::NoMedia | ClientError::ResetPending => Exit::NotHere,
        ClientError::Endpoint(_) => Exit::Usage,
        ClientError::File(_) | ClientError::Stopped => Exit::Failed,
    }
}

fn number_exit(error: &NumberError) -> Exit {
    match error {
        NumberError::Store(_) => Exit::Store,
        NumberError::Account(error) => account_exit(error),
        NumberError::Contact(error) => contact_exit(error),
        NumberError::NoBroker
        | NumberError::UnknownNumber
        | NumberError::NotFound
        | NumberError::State { .. }
        | NumberError::UnknownEvidence => Exit::NotHere,
        NumberError::Number => Exit::Usage,
        // Somebody at the other end is not who they were.
        NumberError::BrokerPinned | NumberError::BrokerKey => Exit::Unverified,
        NumberError::Statement(_) => Exit::Failed,
    }
}

fn case_exit(error: &CaseError) -> Exit {
    match error {
        CaseError::Store(_) => Exit::Store,
        CaseError::Account(error) => account_exit(error),
        CaseError::Contact(error) => contact_exit(error),
        CaseError::Send(error) => send_exit(error),
        CaseError::Link(_) | CaseError::TooLong { .. } | CaseError::Expiry => Exit::Usage,
        CaseError::TooMany => Exit::Refused,
        CaseError::Unknown | CaseError::Progress { .. } => Exit::NotHere,
    }
}

fn retained_exit(error: &RetainedError) -> Exit {
    match error {
        RetainedError::Store(_) => Exit::Store,
        RetainedError::Account(error) => account_exit(error),
        // What the server shows does not hold.
        RetainedError::KeyMalformed | RetainedError::KeyExpired => Exit::Refused,
        RetainedError::NoOffer | RetainedError::UnknownClass => Exit::NotHere,
    }
}

/// Without an answer it may have left, and is not sent again by itself.
fn sms_exit(failure: &SendFailure) -> Exit {
    match failure {
        SendFailure::Unreachable | SendFailure::NoAnswer | SendFailure::Busy { .. } => Exit::Network,
        _ => Exit::Refused,
    }
}

fn send_exit(error: &SendError) -> Exit {
    match error {
        SendError::Store(_) => Exit::Store,
        SendError::Account(error) => account_exit(error),
        SendError::UnknownConversation | SendError::ContactBlocked => Exit::NotHere,
        SendError::VerificationChanged => Exit::Unverified,
        // Policy says no, and only the user can say otherwise.
        SendError::Refused(_) => Exit::Refused,
        // What is sent was on the command line.
        SendError::Content(_) | SendError::TooLong { .. } => Exit::Usage,
        SendError::Session(_) => Exit::Failed,
    }
}

fn policy_exit(error: &PolicyError) -> Exit {
    match error {
        PolicyError::Store(_) => Exit::Store,
        PolicyError::Account(error) => account_exit(error),
        PolicyError::UnknownConversation
        | PolicyError::NoNumber
        | PolicyError::UnknownConsent
        | PolicyError::NumberOfContact
        | PolicyError::NotDowngraded => Exit::NotHere,
        PolicyError::NotReadable | PolicyError::Expiry => Exit::Usage,
        PolicyError::NoWayForMode { .. } => Exit::NotHere,
        PolicyError::KnownCapable | PolicyError::NotKnownCapable | PolicyError::NotAllowed => Exit::Refused,
        PolicyError::Notice(error) => send_exit(error),
    }
}

fn plain_exit(error: &PlainError) -> Exit {
    match error {
        PlainError::Store(_) => Exit::Store,
        PlainError::Account(error) => account_exit(error),
        PlainError::UnknownThread | PlainError::UnknownMessage => Exit::NotHere,
        PlainError::NameTooLong | PlainError::Empty | PlainError::TooLong { .. } => Exit::Usage,
        PlainError::Refused(_) => Exit::Refused,
    }
}

fn net_exit(error: &NetError) -> Exit {
    match error {
        NetError::Connect(_)
        | NetError::Tls(_)
        | NetError::Pin
        | NetError::Proxy(_)
        | NetError::Timeout(_)
        | NetError::Closed(_) => Exit::Network,
        NetError::Problem(refused) => match refused.known {
            Some(
                ProblemCode::RateLimited
                | ProblemCode::ShuttingDown
                | ProblemCode::Unavailable
                | ProblemCode::Internal
                | ProblemCode::Stalled
                | ProblemCode::TakenOver,
            ) => Exit::Network,
            _ => Exit::Refused,
        },
        NetError::Protocol(_) | NetError::TooLarge { .. } | NetError::DigestMismatch => Exit::Refused,
        NetError::Login(_) => Exit::Store,
        NetError::File(_) => Exit::Failed,
    }
}

fn account_exit(error: &AccountError) -> Exit {
    match error {
        AccountError::Store(_) => Exit::Store,
        AccountError::NoAccount
        | AccountError::Exists
        | AccountError::NotPrimary
        | AccountError::PrimaryStays
        | AccountError::NoTakeover
        | AccountError::TakeoverUnderWay
        | AccountError::TokenUnderWay
        | AccountError::Build(BuildError::NoSuchDevice { .. }) => Exit::NotHere,
        AccountError::KeySet(_) | AccountError::Format(_) | AccountError::OtherAccount => Exit::Refused,
        AccountError::NameTooLong => Exit::Usage,
        AccountError::ChangeUnderWay
        | AccountError::NoNumbersLeft
        | AccountError::Build(_)
        | AccountError::Profile(_) => Exit::Failed,
    }
}

fn contact_exit(error: &ContactError) -> Exit {
    match error {
        ContactError::Store(_) => Exit::Store,
        ContactError::Account(error) => account_exit(error),
        ContactError::Unknown | ContactError::NoKeySet | ContactError::NotChanged => Exit::NotHere,
        ContactError::Own | ContactError::NameTooLong => Exit::Usage,
        ContactError::Scan(ScanError::Malformed) => Exit::Usage,
        ContactError::OtherAccountKey | ContactError::Scan(_) => Exit::Unverified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_be_reached_is_told_apart_from_one_that_refuses() {
        let away = NetError::Connect(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(net_exit(&away), Exit::Network);
        let refused =
            |code| NetError::Problem(rcseal_client::net::Refused { status: 403, known: Some(code), retry_after: None });
        assert_eq!(net_exit(&refused(ProblemCode::AdmissionRefused)), Exit::Refused);
        assert_eq!(net_exit(&refused(ProblemCode::ShuttingDown)), Exit::Network);
    }
}
