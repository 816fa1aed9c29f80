//! What a device signs to log in.
//!
//! The signature is over `label, origin, TLS exporter, account, device, nonce`. The origin ties it to one server, the exporter to one
//! TLS connection, the nonce to one attempt: a server that is given it can use it nowhere else.
//! The key is the device-auth key, which does nothing else.

use crate::id::DeviceAddress;
use crate::origin::Origin;

/// Label of a login signature.
pub const LOGIN_LABEL: &[u8] = b"rcseal/login/v1";
/// Label given to the TLS exporter (RFC 8446, section 7.5).
pub const TLS_EXPORTER_LABEL: &[u8] = b"EXPORTER-rcseal-login-v1";
/// Bytes taken from the TLS exporter.
pub const TLS_EXPORTER_LEN: usize = 32;
/// Bytes of the server's nonce.
pub const LOGIN_NONCE_LEN: usize = 32;

/// The bytes under the signature: each variable part behind its length (two bytes, big-endian), so that no two logins share bytes.
#[must_use]
pub fn login_bytes(
    origin: &Origin,
    exporter: &[u8; TLS_EXPORTER_LEN],
    address: DeviceAddress,
    nonce: &[u8; LOGIN_NONCE_LEN],
) -> Vec<u8> {
    let origin = origin.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(
        LOGIN_LABEL.len() + 2 + origin.len() + TLS_EXPORTER_LEN + DeviceAddress::LEN + LOGIN_NONCE_LEN,
    );
    bytes.extend_from_slice(LOGIN_LABEL);
    let len = u16::try_from(origin.len()).expect("an origin is at most 269 bytes");
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(origin);
    bytes.extend_from_slice(exporter);
    bytes.extend_from_slice(&address.to_bytes());
    bytes.extend_from_slice(nonce);
    bytes
}
