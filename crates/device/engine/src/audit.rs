//! Every secret this device holds, for a search that must not find one of them (feature `audit`).
//!
//! The promise that a relay holds no key is checked by looking for each key in everything a relay has stored; for that the keys have to be
//! known. `rcseal demo` and the whole-system tests call this on their own profiles. Nothing else may, and packages for apps are built
//! without the feature.

use rcseal_wire::content::Body;
use zeroize::Zeroizing;

use crate::account::AccountError;
use crate::context::Engine;

/// Messages of one conversation that are looked at: a demo and a test have a few hundred.
const MESSAGES_MAX: usize = 10_000;

/// A secret, and what it is.
pub struct AuditSecret {
    /// What it is, such as `one-time prekey`.
    pub kind: &'static str,
    /// The secret.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for AuditSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditSecret").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Engine<'_> {
    /// The secrets that are in the store now. One that was used up is no longer among them.
    ///
    /// # Errors
    /// [`AccountError::NoAccount`], and those of the store.
    pub fn audit_secrets(&self) -> Result<Vec<AuditSecret>, AccountError> {
        let account = self.account()?;
        let mut secrets = Vec::new();
        let mut add = |kind: &'static str, bytes: &[u8]| {
            secrets.push(AuditSecret { kind, bytes: Zeroizing::new(bytes.to_vec()) });
        };
        add("delivery token", account.delivery_token.expose());
        add("device-auth key", account.device_auth.seed());
        add("identity key", account.identity.expose_secret());
        add("sealing key", account.sealing_seed.expose());
        for signer in [&account.signer, &account.next_signer].into_iter().flatten() {
            add("account key", signer.seed());
        }
        for token in [&account.next_token, &account.retiring_token].into_iter().flatten() {
            add("delivery token", token.expose());
        }
        if !account.takeover.is_empty() {
            add("recovery key or reset ticket", &account.takeover);
        }
        self.audit_prekeys(&mut add)?;
        self.audit_sessions(&mut add)?;
        for conversation in self.conversations()? {
            for message in self.messages(conversation.id, None, MESSAGES_MAX)? {
                if let Some(Body::Media(media)) = message.content.as_ref().map(rcseal_wire::content::Content::body) {
                    add("blob key", media.blob.key.expose());
                    if let Some(thumbnail) = &media.thumbnail {
                        add("blob key", thumbnail.key.expose());
                    }
                }
            }
        }
        Ok(secrets)
    }
}
