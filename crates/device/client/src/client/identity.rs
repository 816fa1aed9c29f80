//! Who this account is, and who its contacts are: changing keys, taking an account over, and what the user decides about contacts.
//!
//! Thin: what is decided is decided by the engine in one transaction, and what a server has to hear of it goes out in the background unless
//! the method says that it waits.

use std::time::Duration;

use rcseal_credential::RecoveryKey;
use rcseal_crypto::secret::Secret;
use rcseal_engine::account::{AccountError, NewAccount, TakeoverStarted, recovery_proof};
use rcseal_engine::contact::ChangePolicy;
use rcseal_wire::api::{KeySetBasis, KeySetProof, PendingReset, ResetAccepted};
use rcseal_wire::id::{AccountId, ConversationId};

use super::core::Core;
use super::submit::is_lost_race;
use super::{Client, ClientError};
use crate::net::NetError;

/// Times that a recovery is signed again when the account's key set moves under it: a thief who signs at the same moment loses the race
/// before long, and a server that shows an old set each time is not asked for ever.
const REBASES_MAX: usize = 5;

impl Client {
    // ---- this account

    /// Replaces the account key; on the primary device only. Contacts who had compared safety numbers have to do so again.
    ///
    /// # Errors
    /// [`ClientError::Account`].
    pub async fn rotate_account_key(&self) -> Result<(), ClientError> {
        self.core.change(|engine| engine.rotate_account_key()).await
    }

    /// Replaces the delivery token, so that whoever has only the old one can neither write nor fetch keys once the overlap is over; on the
    /// primary device only. Contacts hear of the new one in the background.
    ///
    /// # Errors
    /// [`ClientError::Account`].
    pub async fn replace_delivery_token(&self, overlap: Duration) -> Result<(), ClientError> {
        let overlap_ms = u64::try_from(overlap.as_millis()).unwrap_or(u64::MAX);
        self.core.change(move |engine| engine.replace_delivery_token(overlap_ms)).await
    }

    /// Sets what becomes of messages to contacts whose account key changed.
    ///
    /// # Errors
    /// [`ClientError::Account`].
    pub async fn set_change_policy(&self, policy: ChangePolicy) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.set_change_policy(policy)).await
    }

    // ---- an account whose devices are lost

    /// Begins to take an account back with its recovery key, on a device that has no account. The new recovery code is to be written down
    /// before [`Client::finish_recovery`] sends anything.
    ///
    /// # Errors
    /// [`ClientError::Net`] when the server refuses the key or is away, [`ClientError::Account`] when there is an account here.
    pub async fn begin_recovery(
        &self,
        account: AccountId,
        new: NewAccount,
        recovery_seed: Secret<32>,
    ) -> Result<TakeoverStarted, ClientError> {
        self.refuse_second_account().await?;
        let proof = recovery_proof(&RecoveryKey::from_seed(*recovery_seed.expose()));
        let basis = self.core.anonymous(&new.origin)?.key_set_by_proof(&account, &proof).await?;
        self.core.change(move |engine| engine.begin_recovery(account, &new, &recovery_seed, &basis.key_set.0)).await
    }

    /// Hands the recovery to the server and waits for its answer. May be repeated until it succeeds; [`Client::run`] does so too.
    ///
    /// # Errors
    /// [`ClientError::Net`], or [`ClientError::Account`] when no recovery was begun or the recovery key is the account's no more.
    pub async fn finish_recovery(&self) -> Result<(), ClientError> {
        self.core.finish_recovery().await
    }

    /// Begins to reset an account with a ticket of the operator's, on a device that has no account. There is no new recovery code
    /// where the account has as many as there can be: the old ones stay good.
    ///
    /// # Errors
    /// As [`Client::begin_recovery`].
    pub async fn begin_reset(
        &self,
        account: AccountId,
        new: NewAccount,
        ticket: String,
    ) -> Result<TakeoverStarted, ClientError> {
        self.refuse_second_account().await?;
        let proof = KeySetProof { recovery_key: None, reset_ticket: Some(ticket.clone()), account_signature: None };
        let basis = self.core.anonymous(&new.origin)?.key_set_by_proof(&account, &proof).await?;
        self.core
            .change(move |engine| engine.begin_reset(account, &new, &ticket, &basis.key_set.0, not_before_ms(&basis)))
            .await
    }

    /// Asks the server how far the reset has come, and makes the account this device's once it is in force.
    ///
    /// # Errors
    /// [`ClientError::Net`], or [`ClientError::Account`] when no reset was begun.
    pub async fn finish_reset(&self) -> Result<ResetAccepted, ClientError> {
        self.core.finish_reset().await
    }

    /// Gives up a recovery or a reset that was begun here.
    ///
    /// # Errors
    /// [`ClientError::Account`] when none was begun.
    pub async fn abandon_takeover(&self) -> Result<(), ClientError> {
        self.core.change(|engine| engine.abandon_takeover()).await
    }

    /// The reset of this account that somebody asked for, as the server knows it; `None` when none is pending.
    ///
    /// # Errors
    /// [`ClientError::Net`].
    pub async fn pending_reset(&self) -> Result<Option<PendingReset>, ClientError> {
        let pending = self.core.authenticated().await?.pending_reset().await?;
        self.core.note_reset(pending.as_ref().map(|pending| pending.effective_at_ms)).await?;
        Ok(pending)
    }

    /// Calls a pending reset off and waits for the server. Should the server be away it is told in the background.
    ///
    /// # Errors
    /// [`ClientError::Net`].
    pub async fn veto_reset(&self) -> Result<(), ClientError> {
        self.core.change(|engine| engine.veto_reset()).await?;
        self.core.authenticated().await?.veto_reset().await?;
        self.core.change(|engine| engine.handle_reset_vetoed()).await
    }

    // ---- contacts

    /// Takes the new account key of a contact for genuine without comparing.
    ///
    /// # Errors
    /// [`ClientError::Contact`].
    pub async fn accept_change(&self, account: AccountId) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.accept_change(account)).await
    }

    /// Sets what becomes of messages to one contact after a change; `None` leaves it to the account's policy.
    ///
    /// # Errors
    /// [`ClientError::Contact`].
    pub async fn set_contact_policy(
        &self,
        account: AccountId,
        policy: Option<ChangePolicy>,
    ) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.set_contact_policy(account, policy)).await
    }

    /// Gives a contact another name.
    ///
    /// # Errors
    /// [`ClientError::Contact`].
    pub async fn rename_contact(&self, account: AccountId, name: String) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.rename_contact(account, &name)).await
    }

    /// Blocks a contact, or ends that.
    ///
    /// # Errors
    /// [`ClientError::Contact`].
    pub async fn block_contact(&self, account: AccountId, is_blocked: bool) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.block_contact(account, is_blocked)).await
    }

    /// Forgets a contact. The conversation stays; the delivery token that the contact knows is replaced.
    ///
    /// # Errors
    /// [`ClientError::Contact`].
    pub async fn remove_contact(&self, account: AccountId) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.remove_contact(account)).await
    }

    /// Marks a conversation as one in which the user is reminded to compare safety numbers.
    ///
    /// # Errors
    /// [`ClientError::Send`] when there is no such conversation.
    pub async fn set_high_risk(&self, conversation: ConversationId, is_high_risk: bool) -> Result<(), ClientError> {
        self.core.change(move |engine| engine.set_high_risk(conversation, is_high_risk)).await
    }

    /// Whether a conversation is marked so.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_high_risk(&self, conversation: ConversationId) -> Result<bool, ClientError> {
        self.core.engine(move |engine| engine.is_high_risk(conversation)).await
    }

    async fn refuse_second_account(&self) -> Result<(), ClientError> {
        match self.account().await? {
            Some(_) => Err(AccountError::Exists.into()),
            None => Ok(()),
        }
    }
}

impl Core {
    pub(super) async fn finish_recovery(&self) -> Result<(), ClientError> {
        let account = self.account().await?;
        let server = self.anonymous(&account.origin)?;
        for _ in 0..REBASES_MAX {
            let request = self.engine(|engine| engine.recovery_request()).await?;
            match server.recover(&account.address.account, &request).await {
                Ok(()) => return self.change(|engine| engine.complete_takeover()).await,
                Err(error) if is_lost_race(&error) => self.rebase_takeover(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let request = self.engine(|engine| engine.recovery_request()).await?;
        server.recover(&account.address.account, &request).await?;
        self.change(|engine| engine.complete_takeover()).await
    }

    pub(super) async fn finish_reset(&self) -> Result<ResetAccepted, ClientError> {
        let account = self.account().await?;
        let server = self.anonymous(&account.origin)?;
        let request = self.engine(|engine| engine.reset_request()).await?;
        let accepted = match server.request_reset(&account.address.account, &request).await {
            Err(error) if is_lost_race(&error) => {
                self.rebase_takeover(error).await?;
                let request = self.engine(|engine| engine.reset_request()).await?;
                server.request_reset(&account.address.account, &request).await?
            }
            answer => answer?,
        };
        if accepted.in_force {
            self.change(|engine| engine.complete_takeover()).await?;
        }
        Ok(accepted)
    }

    /// The account's key set has moved: signs again on top of the one that the server shows now. `refusal` is given back where the server
    /// shows the same one, and would refuse again.
    async fn rebase_takeover(&self, refusal: NetError) -> Result<(), ClientError> {
        let account = self.account().await?;
        let proof = self.engine(|engine| engine.takeover_proof()).await?;
        let server = self.anonymous(&account.origin)?;
        let basis = server.key_set_by_proof(&account.address.account, &proof).await?;
        let not_before_ms = not_before_ms(&basis);
        let moved = self.change(move |engine| engine.rebase_takeover(&basis.key_set.0, not_before_ms)).await?;
        if moved { Ok(()) } else { Err(refusal.into()) }
    }
}

/// When a reset that begins now is in force at the earliest, by the server's clock.
const fn not_before_ms(basis: &KeySetBasis) -> u64 {
    basis.now_ms.saturating_add(basis.reset_delay_seconds.saturating_mul(1000))
}
