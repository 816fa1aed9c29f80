//! The secrets of a session, for a search that must not find them (feature `audit`).
//!
//! `rcseal demo` and the whole-system tests look for every secret of a device in everything a server has stored. To do that they have to
//! know the secrets. Nothing else may use this, and packages for apps are built without the feature.

use alloc::vec;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::session::Session;
use crate::state::Sending;

impl Session {
    /// Name and bytes of every secret in the session's state.
    #[must_use]
    pub fn audit_secrets(&self) -> Vec<(&'static str, Zeroizing<Vec<u8>>)> {
        let state = &self.state;
        let copy = |bytes: &[u8; 32]| Zeroizing::new(bytes.to_vec());
        let mut secrets =
            vec![("root key", copy(state.root.expose())), ("exporter secret", copy(state.exporter.expose()))];
        match &state.sending {
            Sending::Running { pair, chain, .. } => {
                secrets.push(("ratchet key", copy(pair.secret.expose())));
                secrets.push(("sending chain key", copy(chain.key().expose())));
            }
            Sending::Turn { .. } => {}
        }
        for receiving in &state.receiving {
            secrets.push(("receiving chain key", copy(receiving.chain.key().expose())));
        }
        state.pq.audit_secrets(&mut |name, bytes| secrets.push((name, Zeroizing::new(bytes.to_vec()))));
        secrets
    }
}
