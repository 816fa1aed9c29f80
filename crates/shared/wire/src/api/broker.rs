//! Requests to a broker, which says to which account a phone number belongs: enrolment, claims, look-ups.
//!
//! Login is the relay's ([`super::LoginChallenge`], [`super::LoginRequest`]), with the broker's own origin under the signature. Statements,
//! releases and mappings are opaque here: `rcseal_credential::mapping` makes and reads them. Spec: `docs/protocol/broker.md`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Base64;
use crate::id::{AccountId, DeviceNumber, MailboxId, MappingHash};
use crate::number::E164;
use crate::origin::Origin;

/// Bytes of a signed statement in a request; they are well below it.
pub const STATEMENT_BODY_LEN_MAX: usize = 512;
/// Bytes of a key set that a look-up answers with. A longer one, of a dozen devices or more, is fetched from the relay.
pub const LOOKUP_KEY_SET_LEN_MAX: usize = 16 * 1024;
/// Bytes of every answer to a look-up, whatever it says: the longest mapping, key set and invitation in base64, and room.
pub const LOOKUP_ANSWER_LEN: usize = 32 * 1024;
/// Digits of a one-time code.
pub const CODE_LEN: usize = 6;

/// GET /v1/broker: who this is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BrokerInfo {
    /// What a login signs.
    #[schema(value_type = String)]
    pub origin: Origin,
    /// The Ed25519 public key that countersigns mappings, 32 bytes. Pin it: a broker with another key is another broker.
    pub signing_key: Base64,
    /// The relays whose accounts can enrol.
    #[schema(value_type = Vec<String>)]
    pub relays: Vec<Origin>,
    /// Beginnings of the numbers that can be claimed, such as `+44`. Empty: none.
    pub served: Vec<String>,
    /// How long a mapping is good for before it must be renewed, in seconds.
    pub mapping_lifetime_seconds: u64,
    /// The broker's clock, in milliseconds since 1970.
    pub now_ms: u64,
}

/// POST /v1/broker/enrolment, on a connection that has asked for a login challenge. A login in one: it answers a
/// [`super::LoginResponse`]. Repeat it whenever the key set, the relay, the mailbox or the delivery token changes.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    /// The account's current signed key set. The broker asks the relay whether it is.
    pub key_set: Base64,
    /// The account's relay: one of [`BrokerInfo::relays`].
    #[schema(value_type = String)]
    pub relay: Origin,
    /// Which device this is. What comes in from a carrier goes to the device that a number is bound to.
    #[schema(value_type = u8)]
    pub device: DeviceNumber,
    /// The device's mailbox at the relay.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// A delivery token of the account, 32 bytes, best one for this broker alone: with it the broker submits what comes in, and hands it
    /// to whoever looks one of the account's numbers up.
    pub delivery_token: Base64,
    /// Ed25519 signature by the device-auth key over the login bytes of `rcseal_wire::login`, 64 bytes.
    pub signature: Base64,
}

impl std::fmt::Debug for EnrolmentRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolmentRequest")
            .field("relay", &self.relay)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// POST /v1/numbers: begins a claim, or sends the code of one once more.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// Whose ownership is to be shown.
    #[schema(value_type = String)]
    pub number: E164,
}

/// 202: a code is on its way. Nothing here says whether somebody else has the number.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClaimStarted {
    /// For the path of the confirmation: 16 bytes in base64url.
    pub claim: String,
    /// How long the code is good for.
    pub expires_in_seconds: u64,
    /// When another one can be asked for.
    pub resend_after_seconds: u64,
    /// The number's newest mapping, where it is the caller's own; absent for every other number. A statement that does not follow the
    /// newest mapping is answered with [`ClaimState::Verified`], which tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<MappingHead>,
}

/// Where a number's mappings have come to: the next statement names `sequence + 1` and this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingHead {
    /// The newest mapping's sequence.
    pub sequence: u64,
    /// Its hash.
    #[schema(value_type = String)]
    pub hash: MappingHash,
}

/// POST /v1/numbers/{claim}/confirm.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// The six digits. Any text will do for a claim that is verified.
    pub code: String,
    /// The signed statement that binds the number. Without one the code alone is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Base64>,
    /// The signed release of the account that has the number, where the caller was given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Base64>,
}

impl std::fmt::Debug for ConfirmRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfirmRequest")
    }
}

/// How far a claim has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// The code was right. A statement that follows `current` is still needed.
    Verified,
    /// The number is the account's; `mapping` says so.
    Mapped,
    /// Another account has the number. It is told, and the caller gets the number at `pending_until_ms` unless it objects. Ask for the
    /// number's view then.
    Pending,
}

/// What a confirmation answers: 200 for `verified` and `mapped`, 202 for `pending`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConfirmAnswer {
    /// How far the claim has come.
    pub state: ClaimState,
    /// The countersigned mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Base64>,
    /// The number's newest mapping, for [`ClaimState::Verified`]; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<MappingHead>,
    /// For [`ClaimState::Pending`]: when at the soonest, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_until_ms: Option<u64>,
}

/// DELETE /v1/numbers/{number}: gives a number up.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The signed release.
    pub statement: Base64,
}

/// PUT /v1/numbers/{number}/visibility: whether others find the number.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Visibility {
    /// `false`: look-ups answer *undiscoverable*.
    pub discoverable: bool,
}

/// A number as its owner, or somebody who waits for it, sees it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NumberView {
    /// Which.
    #[schema(value_type = String)]
    pub number: E164,
    /// The caller's mapping; absent while the caller only waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Base64>,
    /// When it must be renewed at the latest, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// Whether others find it.
    pub discoverable: bool,
    /// Whether the caller gave it up, or the operator was told that it moved to another carrier.
    pub released: bool,
    /// Somebody else has shown that they receive at the number, and waits for it. A device that did not begin this tells its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by_another: Option<Waiting>,
    /// The caller waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// Seven days in which the account that has a number can object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// When the wait began, in milliseconds since 1970; absent while the account that has the number could not be told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at_ms: Option<u64>,
    /// When it ends at the soonest.
    pub effective_at_ms: u64,
}

/// GET /v1/numbers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NumbersView {
    /// The caller's, and those it waits for.
    pub numbers: Vec<NumberView>,
}

/// POST /v1/lookups.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupRequest {
    /// Whose account is asked for.
    #[schema(value_type = String)]
    pub number: E164,
}

/// What a look-up found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookupOutcome {
    /// A mapping.
    Found,
    /// No mapping that the broker shows. A hint and no evidence while `proof` is absent.
    Absent,
    /// The broker does not say: somebody may have the number. Verify another way, or do not send; never take it for absence.
    Undiscoverable,
}

/// The answer: always [`LOOKUP_ANSWER_LEN`] bytes of JSON.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LookupAnswer {
    /// What was found.
    pub answer: LookupOutcome,
    /// The countersigned mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Base64>,
    /// The signed key set that the mapping names, unless it is longer than [`LOOKUP_KEY_SET_LEN_MAX`]. The relay has the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_set: Option<Base64>,
    /// Where to reach the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<LookupInvitation>,
    /// Evidence of absence; no broker has any yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Base64>,
    /// Fills the answer up to its one size. Says nothing.
    #[serde(default)]
    pub padding: String,
}

impl std::fmt::Debug for LookupAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LookupAnswer").field("answer", &self.answer).finish_non_exhaustive()
    }
}

/// Where to reach an account that was found.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LookupInvitation {
    /// Its relay.
    #[schema(value_type = String)]
    pub relay: Origin,
    /// The account, as the mapping says it too.
    #[schema(value_type = String, format = Uuid)]
    pub account: AccountId,
    /// A delivery token, 32 bytes: it opens the key set, prekey bundles and mailboxes at the relay.
    pub delivery_token: Base64,
}

impl std::fmt::Debug for LookupInvitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LookupInvitation").field("relay", &self.relay).finish_non_exhaustive()
    }
}

/// Media type of a [`BrokerNotice`] inside a sealed carrier delivery.
pub const NOTICE_CONTENT_TYPE: &str = "application/vnd.rcseal.broker-notice+json";

/// What a broker tells an account's device of one of its numbers, by its mailbox. It is the broker's word: the device asks for the number's
/// view before it acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokerNotice {
    /// What happened.
    pub kind: NoticeKind,
    /// To which number.
    #[schema(value_type = String)]
    pub number: E164,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// For [`NoticeKind::ClaimedByAnother`]: when the number goes to the other account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at_ms: Option<u64>,
}

/// What happened to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Another account has shown that it receives at the number, and gets it unless this one objects.
    ClaimedByAnother,
    /// The other account's claim is over.
    ClaimEnded,
    /// The number belongs to another account now.
    Rebound,
    /// The operator was told that the number moved to another carrier: whoever claims it next gets it.
    Ported,
    /// The mapping must be renewed soon.
    Expiring,
}

/// The paths.
pub mod path {
    use crate::number::E164;

    /// GET.
    pub const BROKER: &str = "/v1/broker";
    /// POST, on a connection with a login challenge.
    pub const ENROLMENT: &str = "/v1/broker/enrolment";
    /// POST and GET, logged in.
    pub const NUMBERS: &str = "/v1/numbers";
    /// POST, logged in.
    pub const LOOKUPS: &str = "/v1/lookups";

    /// POST, logged in.
    #[must_use]
    pub fn confirm(claim: &str) -> String {
        format!("{NUMBERS}/{claim}/confirm")
    }

    /// GET and DELETE, logged in. The plus sign may stand in a path.
    #[must_use]
    pub fn number(number: &E164) -> String {
        format!("{NUMBERS}/{}", number.as_str())
    }

    /// PUT, logged in.
    #[must_use]
    pub fn visibility(number: &E164) -> String {
        format!("{NUMBERS}/{}/visibility", number.as_str())
    }

    /// POST, logged in: ends another account's wait for the number.
    #[must_use]
    pub fn veto(number: &E164) -> String {
        format!("{NUMBERS}/{}/veto", number.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug() {
        let request = EnrolmentRequest {
            key_set: Base64(vec![1]),
            relay: "https://relay.example".parse().unwrap(),
            device: DeviceNumber::PRIMARY,
            mailbox: MailboxId::from_bytes([0xaa; 16]),
            delivery_token: Base64(vec![0xbb; 32]),
            signature: Base64(vec![0xcc; 64]),
        };
        let shown = format!("{request:?}");
        assert!(!shown.contains("delivery") && !shown.contains("signature"), "{shown}");
        let request = ConfirmRequest { code: "123456".to_owned(), statement: None, release: None };
        assert_eq!(format!("{request:?}"), "ConfirmRequest");
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<LookupRequest>(r#"{"number":"+447700900123","x":1}"#).is_err());
        assert!(serde_json::from_str::<LookupRequest>(r#"{"number":"447700900123"}"#).is_err());
        assert!(serde_json::from_str::<LookupRequest>(r#"{"number":"+447700900123"}"#).is_ok());
    }
}
