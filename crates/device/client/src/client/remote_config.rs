//! Remote configuration: what whoever publishes the app has switched off or made stricter, on phones that cannot be updated in time.
//!
//! The app gets a document from wherever it likes and hands it over ([`Client::apply_remote_config`]). It is taken when the key that the app
//! was built with has signed it, when it has not expired, and when its counter is not below that of the last one; document and counter are
//! kept in the store, so that an old document does not come back with a restart. It is read again, and verified again, wherever a switch is
//! looked at. A switch can only refuse; when the document expires, what the app and the user had decided counts again.

use std::sync::Arc;

use rcseal_crypto::ed25519::VerifyingKey;
use rcseal_crypto::hash::sha256;
use rcseal_engine::rekey::RekeyInterval;
use rcseal_engine::store::{StoreError, StoreErrorKind, Table, Tx};
use rcseal_wire::remote_config::{RemoteConfig, SignedConfig, SignedConfigError};

use super::core::{Core, blocking, now};
use super::{Client, ClientError};

pub use rcseal_wire::remote_config::RemoteKey;

/// Where the newest document is: the key's 32 bytes, the counter's 8, the document.
const ROW: &[u8] = b"rcseal/remote-config";
const KEY_LEN: usize = 32;
const HEAD_LEN: usize = KEY_LEN + 8;
/// Where this device's place among a hundred is.
const CANARY_ROW: &[u8] = b"rcseal/canary";

/// A document was not taken, or what was asked for is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoteConfigError {
    /// The app was built without a key for it.
    #[error("this app takes no remote configuration")]
    Off,
    /// The app's key is none.
    #[error("the app's key for remote configuration is not a key")]
    Key,
    /// The document is not one, or not from the right hand.
    #[error(transparent)]
    Document(#[from] SignedConfigError),
    /// Its time is over.
    #[error("the document has expired")]
    Expired,
    /// A newer one was taken before.
    #[error("a newer document was taken before")]
    Rollback,
    /// Whoever publishes the app has switched this off.
    #[error("switched off by remote configuration: {}", .0.as_str())]
    SwitchedOff(RemoteKey),
}

impl RemoteConfigError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Off => "remote_config_off",
            Self::Key => "remote_config_key",
            Self::Document(error) => error.code(),
            Self::Expired => "remote_config_expired",
            Self::Rollback => "remote_config_rollback",
            Self::SwitchedOff(_) => "remote_config_switched_off",
        }
    }
}

/// What counts now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteConfigView {
    /// The document's counter; 0 where there is none.
    pub counter: u64,
    /// When it ends to count, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// Whether that is past: its values do not count then.
    pub is_expired: bool,
    /// Its values, within their bounds.
    pub values: Vec<(RemoteKey, u64)>,
    /// Keys whose value was outside its bounds, and counts as the nearer one.
    pub clamped: Vec<RemoteKey>,
    /// Keys that this program does not know.
    pub unknown: Vec<String>,
    /// Whether this device takes part in a trial of as many devices as the document says.
    pub is_canary: bool,
}

/// The counter of the newest document that this key signed, and the document.
fn read(tx: &dyn Tx, key: &VerifyingKey) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let Some(row) = tx.get(Table::Shell, ROW)? else { return Ok(None) };
    let corrupt = || StoreError::new(StoreErrorKind::Corrupt, "remote configuration");
    let owner = row.get(..KEY_LEN).ok_or_else(corrupt)?;
    // Of the app before an update that changed the key.
    if owner != key.as_bytes() {
        return Ok(None);
    }
    let counter = row.get(KEY_LEN..HEAD_LEN).and_then(|bytes| bytes.try_into().ok()).ok_or_else(corrupt)?;
    Ok(Some((u64::from_be_bytes(counter), row.get(HEAD_LEN..).unwrap_or_default().to_vec())))
}

impl Client {
    /// Takes a document, in place of the one before. The same document may be taken again.
    ///
    /// # Errors
    /// [`ClientError::RemoteConfig`]; what counted before still counts then.
    pub async fn apply_remote_config(&self, document: Vec<u8>) -> Result<RemoteConfigView, ClientError> {
        let key = self.core.remote_key()?;
        let config =
            SignedConfig::parse(&document).and_then(|parsed| parsed.verify(&key)).map_err(RemoteConfigError::from)?;
        if config.expires_at_ms <= now().0 {
            return Err(RemoteConfigError::Expired.into());
        }
        let store = Arc::clone(&self.core.store);
        let counter = config.counter;
        blocking(move || {
            store.run(|tx| {
                // With the same counter there can be one document only: another one would be a second truth.
                match read(tx, &key)? {
                    Some((known, _)) if counter < known => return Err(RemoteConfigError::Rollback.into()),
                    Some((known, kept)) if counter == known && kept != document => {
                        return Err(RemoteConfigError::Rollback.into());
                    }
                    Some(_) | None => {}
                }
                let row = [key.as_bytes(), &counter.to_be_bytes()[..], &document].concat();
                tx.put(Table::Shell, ROW, &row).map_err(ClientError::from)
            })
        })
        .await??;
        if self.core.is_switched_off(RemoteKey::NoCarrier).await? {
            self.detach_transport();
        }
        if self.core.is_switched_off(RemoteKey::NoSms).await? {
            self.detach_sms();
        }
        self.remote_config().await
    }

    /// What counts now.
    ///
    /// # Errors
    /// [`ClientError::RemoteConfig`] where the app takes none. Those of the store.
    pub async fn remote_config(&self) -> Result<RemoteConfigView, ClientError> {
        self.core.remote_key()?;
        let Some(config) = self.core.newest_config().await? else { return Ok(RemoteConfigView::default()) };
        let is_expired = config.expires_at_ms <= now().0;
        let percent = config.values.get(&RemoteKey::CanaryPercent).copied().unwrap_or(0);
        let is_canary = !is_expired && percent > 0 && u64::from(self.core.canary_place().await?) < percent;
        Ok(RemoteConfigView {
            counter: config.counter,
            expires_at_ms: config.expires_at_ms,
            is_expired,
            values: config.values.into_iter().collect(),
            clamped: config.clamped,
            unknown: config.unknown,
            is_canary,
        })
    }
}

impl Core {
    fn remote_key(&self) -> Result<VerifyingKey, ClientError> {
        let bytes = self.remote_config_key.ok_or(RemoteConfigError::Off)?;
        Ok(VerifyingKey::from_bytes(&bytes).map_err(|_| RemoteConfigError::Key)?)
    }

    async fn newest_config(&self) -> Result<Option<RemoteConfig>, ClientError> {
        let Ok(key) = self.remote_key() else { return Ok(None) };
        let store = Arc::clone(&self.store);
        let kept = blocking(move || store.run(|tx| read(tx, &key).map_err(ClientError::from))).await??;
        let Some((_, document)) = kept else { return Ok(None) };
        // It was verified when it came. A store that was tampered with must not switch anything either.
        Ok(SignedConfig::parse(&document).and_then(|parsed| parsed.verify(&key)).ok())
    }

    /// A value that counts now.
    async fn remote_value(&self, key: RemoteKey) -> Result<Option<u64>, ClientError> {
        if self.remote_config_key.is_none() {
            return Ok(None);
        }
        let config = self.newest_config().await?.filter(|config| config.expires_at_ms > now().0);
        Ok(config.and_then(|config| config.values.get(&key).copied()))
    }

    pub(super) async fn is_switched_off(&self, key: RemoteKey) -> Result<bool, ClientError> {
        Ok(self.remote_value(key).await?.is_some_and(|value| value > 0))
    }

    /// Refuses what is switched off.
    pub(super) async fn refuse_switched_off(&self, key: RemoteKey) -> Result<(), ClientError> {
        if self.is_switched_off(key).await? { Err(RemoteConfigError::SwitchedOff(key).into()) } else { Ok(()) }
    }

    /// A choice of the user's, or the longest that is allowed.
    pub(super) async fn bounded_rekey(
        &self,
        chosen: Option<RekeyInterval>,
    ) -> Result<Option<RekeyInterval>, ClientError> {
        let most = self.remote_value(RemoteKey::RekeySecondsMax).await?;
        let most = most.and_then(|seconds| u32::try_from(seconds / 60).ok()).and_then(RekeyInterval::from_minutes);
        Ok(match (chosen, most) {
            (Some(chosen), Some(most)) => Some(chosen.min(most)),
            (None, most) => most,
            (chosen, None) => chosen,
        })
    }

    /// This device's place among a hundred: drawn once, told to nobody.
    async fn canary_place(&self) -> Result<u8, ClientError> {
        let store = Arc::clone(&self.store);
        blocking(move || {
            store.run(|tx| {
                if let Some([place]) = tx.get(Table::Shell, CANARY_ROW)?.as_deref() {
                    return Ok(*place);
                }
                // Of eight bytes, so that every place is as likely as any other, but for a part in 10^17.
                let digest = sha256(&[&rand::random::<[u8; 32]>()]);
                let drawn = digest.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes) % 100);
                let place = u8::try_from(drawn).unwrap_or(0);
                tx.put(Table::Shell, CANARY_ROW, &[place]).map_err(ClientError::from)?;
                Ok(place)
            })
        })
        .await?
    }
}
