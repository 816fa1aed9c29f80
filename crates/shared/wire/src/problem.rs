//! Errors that a server answers with: RFC 9457 problem documents with stable codes.
//!
//! Clients decide by `code`; `title` and `detail` are for people. The list is closed: a client that meets a code it does not know
//! treats it by its HTTP status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem document.
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

macro_rules! problems {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// Why a request was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum ProblemCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ProblemCode {
            /// Every code, for documents and tests.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// One line for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Finds a code by its text.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

problems! {
    /// The body or a parameter could not be parsed.
    Malformed = "malformed", 400, "the request could not be parsed";
    /// A field is out of its limits.
    OutOfRange = "out_of_range", 400, "a field is outside its limits";
    /// Nobody is logged in, or the token is not one of ours.
    Unauthenticated = "unauthenticated", 401, "log in first";
    /// The token was valid once.
    TokenExpired = "token_expired", 401, "the login has expired";
    /// The login's signature does not verify for this connection, nonce and device.
    LoginRefused = "login_refused", 401, "the login was refused";
    /// The device is not, or no longer, in its account's key set.
    DeviceUnknown = "device_unknown", 401, "the device is not in the account's key set";
    /// Something of another account was touched, or a delivery token does not fit.
    Forbidden = "forbidden", 403, "not yours";
    /// Registration needs an invitation, and this one is absent, used or wrong.
    AdmissionRefused = "admission_refused", 403, "registration was refused";
    /// The recovery key is not the one that the account's key set commits to, its proof does not hold, or there is no such account: the
    /// server does not say which.
    RecoveryRefused = "recovery_refused", 403, "the recovery was refused";
    /// The reset ticket is unknown, expired, used, called off, or another account's.
    ResetTicketRefused = "reset_ticket_refused", 403, "the reset ticket was refused";
    /// There is no such thing here.
    NotFound = "not_found", 404, "not found";
    /// The method is not one this path knows.
    MethodNotAllowed = "method_not_allowed", 405, "method not allowed";
    /// The account exists already.
    AccountExists = "account_exists", 409, "the account exists already";
    /// The mailbox id is taken.
    MailboxTaken = "mailbox_taken", 409, "the mailbox id is taken";
    /// The key set is not the successor of the stored one: somebody else was first.
    KeySetConflict = "key_set_conflict", 409, "the key set is not the successor of the stored one";
    /// The key set is older than the stored one.
    KeySetRollback = "key_set_rollback", 409, "the key set is older than the stored one";
    /// The key set has the right counter, but continues another key set than the stored one.
    KeySetFork = "key_set_fork", 409, "the key set continues another one than is stored";
    /// The device has another mailbox already, and a mailbox id is fixed once set.
    MailboxFixed = "mailbox_fixed", 409, "the device has another mailbox";
    /// The upload's offset is not where the server stands.
    OffsetConflict = "offset_conflict", 409, "the upload continues elsewhere";
    /// The idempotency id was used for other content.
    IdConflict = "id_conflict", 409, "the id was used for other content";
    /// What was asked for is gone: expired, or handed out.
    Gone = "gone", 410, "no longer here";
    /// The body exceeds the limit.
    TooLarge = "too_large", 413, "too large";
    /// The media type is not one this path takes.
    UnsupportedMediaType = "unsupported_media_type", 415, "unsupported media type";
    /// The range cannot be satisfied.
    RangeNotSatisfiable = "range_not_satisfiable", 416, "the range cannot be satisfied";
    /// The key set's signatures, proofs or succession do not hold.
    KeySetInvalid = "key_set_invalid", 422, "the key set does not verify";
    /// The uploaded bytes do not have the declared digest.
    DigestMismatch = "digest_mismatch", 422, "the bytes do not have the declared digest";
    /// The message was sealed to a key that the server no longer holds: ask for the current one, and seal again.
    ServerKeyDestroyed = "server_key_destroyed", 410, "the server's key is destroyed";
    /// The server's key, or what was sealed to it, belongs to another region than this server.
    RegionMismatch = "region_mismatch", 409, "the key belongs to another region";
    /// There is no retention class of this name.
    RetentionUnknown = "retention_unknown", 422, "there is no such retention class";
    /// The server's key cannot be used now; nothing was opened.
    KmsUnavailable = "kms_unavailable", 503, "the server's key cannot be used now";
    /// The relay is not one that the broker serves.
    RelayUnknown = "relay_unknown", 422, "the broker does not serve this relay";
    /// The relay answers another key set than was sent, or refuses the delivery token.
    RelayDisagrees = "relay_disagrees", 409, "the relay does not confirm the key set";
    /// The relay cannot be asked now.
    RelayUnreachable = "relay_unreachable", 503, "the relay cannot be asked now";
    /// The key of a business's program is none that the operator has given out.
    TenantKeyUnknown = "tenant_key_unknown", 401, "no tenant has this key";
    /// Numbers of this range or kind cannot be claimed at this broker. Says nothing of the number's use.
    NumberNotServed = "number_not_served", 422, "numbers of this kind cannot be claimed here";
    /// The one-time code is wrong.
    CodeRefused = "code_refused", 403, "the code was refused";
    /// There is no such claim: it has expired, was used, or its tries are used up.
    ClaimGone = "claim_gone", 410, "the claim is no longer here";
    /// The one-time code could not be sent.
    CodeNotSent = "code_not_sent", 503, "the code could not be sent";
    /// A statement about a number does not verify, or says something else than what is asked for.
    StatementInvalid = "statement_invalid", 422, "the statement does not hold";
    /// The release of the account that has the number does not hold.
    ReleaseInvalid = "release_invalid", 422, "the release does not hold";
    /// The number's newest mapping is another one by now.
    NumberConflict = "number_conflict", 409, "the number's newest mapping is another one";
    /// The caller has looked up as many numbers as it may.
    LookupQuotaExceeded = "lookup_quota_exceeded", 429, "too many look-ups";
    /// The webhook's signature, token or time does not hold.
    WebhookRefused = "webhook_refused", 401, "the webhook was refused";
    /// The provider cannot be asked, or did not answer.
    ProviderUnavailable = "provider_unavailable", 502, "the provider cannot be asked now";
    /// The number is not bound to the device that wants to write in its name.
    NumberNotYours = "number_not_yours", 403, "the number is not bound to this device";
    /// The far end does not know the media type.
    CarrierUnsupportedMedia = "carrier_unsupported_media", 422, "the far end does not know this media type";
    /// Nobody is reachable at the number.
    CarrierNotFound = "carrier_not_found", 422, "nobody is there";
    /// Too large for somebody on the way.
    CarrierTooLarge = "carrier_too_large", 422, "too large for the carrier";
    /// The carrier refused for a reason of its own.
    CarrierRefused = "carrier_refused", 422, "the carrier refused";
    /// The message cannot be carried at all.
    CarrierUnfit = "carrier_unfit", 422, "the carrier cannot carry this";
    /// The carrier asks to try later.
    CarrierBusy = "carrier_busy", 503, "the carrier is busy";
    /// The carrier did not take the broker's credentials.
    CarrierUnauthorized = "carrier_unauthorized", 502, "the carrier does not accept the broker";
    /// Nothing came back in time: the message may have arrived. Repeat it with the same id.
    CarrierNoAnswer = "carrier_no_answer", 504, "no answer from the carrier";
    /// There is no connection to the carrier.
    CarrierUnreachable = "carrier_unreachable", 502, "the carrier cannot be reached";
    /// Too many requests.
    RateLimited = "rate_limited", 429, "too many requests";
    /// The mailbox or the account is full.
    QuotaExceeded = "quota_exceeded", 507, "quota exceeded";
    /// A newer connection took over this mailbox.
    TakenOver = "taken_over", 409, "another connection of this device took over";
    /// The peer stopped reading or writing in the middle of something.
    Stalled = "stalled", 408, "the connection stalled";
    /// The server is shutting down; come back.
    ShuttingDown = "shutting_down", 503, "shutting down";
    /// The store cannot answer now; nothing was promised.
    Unavailable = "unavailable", 503, "temporarily unavailable";
    /// A bug of the server's.
    Internal = "internal", 500, "internal error";
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:rcseal:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What was wrong with this very request. Never holds a secret or personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When to try again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl Problem {
    /// The document for a code.
    #[must_use]
    pub fn new(code: ProblemCode) -> Self {
        Self {
            kind: format!("urn:rcseal:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: None,
            retry_after_seconds: None,
        }
    }

    /// Adds what was wrong with this request.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_found_again() {
        for code in ProblemCode::ALL {
            assert_eq!(ProblemCode::from_code(code.as_str()), Some(*code));
            assert!((400..600).contains(&code.status()));
        }
    }
}
