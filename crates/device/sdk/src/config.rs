//! What a client is opened with.

/// Where a client lives and whom it trusts.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ClientConfig {
    /// A folder for this client alone.
    pub folder: String,
    /// The authorities of every server it talks to, in PEM.
    pub authorities_pem: String,
}
