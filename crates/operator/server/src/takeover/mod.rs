//! Taking an account back without its devices: *recovery* by the offline recovery key, and *reset* by a ticket of the operator's.
//!
//! A recovery takes effect at once: its key set shows a key that the current one commits to, which the server checks before anything
//! that costs time. A reset has nothing to show but the operator's ticket, and every device of the account can prevent it: it is *pending*
//! for `reset.delay_seconds`, the devices hear of it at login and over their mailbox connections, and any of them may veto. Contacts see
//! nothing until it is *in force*; then they see a change of account key that nobody signed. When it is due, the first that looks at any
//! account lets it take effect, or the sweep does ([`settle_due`]).
//!
//! Both put one new device in the place of all old ones, in one transaction: key set, mailbox and prekeys of the new device; the old
//! ones are logged out and what waited for them is dropped, since their keys are gone. Delivery tokens stay, so contacts still reach the
//! account. Spec: `docs/protocol/relay-api.md`, section Recovery and reset.

mod error;
mod recovery;
mod reset;
mod schedule;
mod ticket;

use rcseal_store::StoreError;
use rcseal_store::directory::UploadPrekeys;
use rcseal_wire::api::DeviceUpload;
use rcseal_wire::id::{AccountId, MailboxId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::error::TakeoverRefusal;
pub(crate) use self::reset::{allow, cancel, pending_until};
pub(crate) use self::schedule::{Schedule, settle, settle_due};
pub(crate) use self::ticket::{ResetTicket, ResetTicketError};
use crate::directory::{DirectoryError, parse_upload};
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(recovery::key_set_by_proof))
        .routes(routes!(recovery::recover))
        .routes(routes!(reset::request))
        .routes(routes!(reset::status, reset::veto))
}

/// The new device's upload, which must let others reach it.
fn parse_device(upload: DeviceUpload) -> Result<(MailboxId, UploadPrekeys), DirectoryError> {
    if upload.signed.is_none() {
        return Err(DirectoryError::PrekeyMissing { field: "device.signed is missing" });
    }
    if upload.last_resort.is_none() {
        return Err(DirectoryError::PrekeyMissing { field: "device.last_resort is missing" });
    }
    let mailbox = upload.mailbox;
    Ok((mailbox, parse_upload(upload)?))
}

/// Lets every connected device of an account look whether it is still one, after something that may have removed it.
pub(crate) fn look_for_departures(state: &AppState, account: AccountId) {
    // An error means that nobody serves any device at the moment.
    let _ = state.departures.send(account);
}

/// Lets every connected device of an account look at its reset again.
pub(crate) async fn announce(state: &AppState, account: AccountId) -> Result<(), StoreError> {
    for record in state.store.devices(account).await? {
        if let Some(mailbox) = record.mailbox {
            state.mailboxes.reset_changed(mailbox);
        }
    }
    Ok(())
}
