//! The labels that keep the ratchet's derivations apart, as data of a suite.

/// One label per derivation. What else goes into each is said where it is used.
#[derive(Debug)]
pub(crate) struct PqLabels {
    /// Chains of key epoch 0, from the handshake's key.
    pub(crate) chain_start: &'static [u8],
    /// Chains of every later key epoch.
    pub(crate) chain_add_epoch: &'static [u8],
    /// One message further on a chain.
    pub(crate) chain_next: &'static [u8],
    /// An epoch's key from its ML-KEM shared secret.
    pub(crate) epoch_key: &'static [u8],
    pub(crate) authenticator_update: &'static [u8],
    pub(crate) header_mac: &'static [u8],
    pub(crate) ciphertext_mac: &'static [u8],
    /// Whether bytes behind the known part of a message's field are passed over, as deployed peers do, or refused.
    pub(crate) tolerates_trailing_bytes: bool,
}

pub(crate) static NATIVE: PqLabels = PqLabels {
    chain_start: b"rcseal/signal/native/v1/pq/chain-start",
    chain_add_epoch: b"rcseal/signal/native/v1/pq/chain-add-epoch",
    chain_next: b"rcseal/signal/native/v1/pq/chain-next",
    epoch_key: b"rcseal/signal/native/v1/pq/epoch-key",
    authenticator_update: b"rcseal/signal/native/v1/pq/authenticator-update",
    header_mac: b"rcseal/signal/native/v1/pq/header-mac",
    ciphertext_mac: b"rcseal/signal/native/v1/pq/ciphertext-mac",
    tolerates_trailing_bytes: false,
};

/// The first has two spaces before `Start`.
#[cfg(feature = "signal-v4")]
pub(crate) static SIGNAL_V4: PqLabels = PqLabels {
    chain_start: b"Signal PQ Ratchet V1 Chain  Start",
    chain_add_epoch: b"Signal PQ Ratchet V1 Chain Add Epoch",
    chain_next: b"Signal PQ Ratchet V1 Chain Next",
    epoch_key: b"Signal_PQCKA_V1_MLKEM768:SCKA Key",
    authenticator_update: b"Signal_PQCKA_V1_MLKEM768:Authenticator Update",
    header_mac: b"Signal_PQCKA_V1_MLKEM768:ekheader",
    ciphertext_mac: b"Signal_PQCKA_V1_MLKEM768:ciphertext",
    tolerates_trailing_bytes: true,
};
