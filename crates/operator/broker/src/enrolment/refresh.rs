//! Asking the relay whether the stored key set is still the newest.

use rcseal_store::broker::AccountEnrolment;
use rcseal_wire::id::AccountId;

use super::EnrolmentError;
use super::key_set::{check_follows, listed, stored, verify};
use crate::state::AppState;

/// Asks the relay, and stores a newer key set. What is returned is the newest by the relay's word of this moment.
pub(crate) async fn refresh(state: &AppState, account: AccountId) -> Result<AccountEnrolment, EnrolmentError> {
    let enrolment = state.store.account_enrolment(account).await?.ok_or(EnrolmentError::NotEnrolled)?;
    let (relay, token) = (&enrolment.relay, &enrolment.delivery_token);
    let bytes = state.relays.key_set(relay, account, token).await?;
    let known = &enrolment.key_set;
    let (key_set, devices) = if bytes == known.bytes {
        // The store needs no list for a key set that it has.
        (known.clone(), Vec::new())
    } else {
        let newest = verify(bytes).await?;
        if newest.account() != account {
            return Err(EnrolmentError::RelayDisagrees);
        }
        let newest = check_follows(state, relay, token, known, newest).await?;
        (stored(&newest), listed(&newest))
    };
    let is_current = state.store.refresh_key_set(account, known.hash, key_set, devices, state.now()).await?;
    if !is_current {
        // Somebody else was faster, and has stored what a relay said at about the same time.
        tracing::debug!(event = "key_set_refreshed_meanwhile");
    }
    state.store.account_enrolment(account).await?.ok_or(EnrolmentError::NotEnrolled)
}

/// Looks whether the stored key set is too old to serve a login, and asks the relay then. While a relay cannot be asked, a key set that is
/// not all too old still serves.
pub(super) async fn keep_fresh(state: &AppState, account: AccountId) -> Result<(), EnrolmentError> {
    let enrolment = state.store.account_enrolment(account).await?.ok_or(EnrolmentError::NotEnrolled)?;
    let limits = &state.config.limits;
    let now = state.now();
    if now < enrolment.refreshed_at.plus_seconds(limits.key_set_fresh_seconds) {
        return Ok(());
    }
    match refresh(state, account).await {
        Ok(_) => Ok(()),
        Err(EnrolmentError::RelayUnreachable)
            if now < enrolment.refreshed_at.plus_seconds(limits.key_set_age_seconds_max) =>
        {
            tracing::warn!(event = "relay_unreachable_at_login");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
