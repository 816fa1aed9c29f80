//! Targets for what reaches a device beside its relay: wake-ups, and documents of remote configuration.

use rcseal_crypto::ed25519::SigningKey;
use rcseal_wire::api::push::{PushHandle, WAKE_UP_LEN, WakeUp};
use rcseal_wire::remote_config::{RemoteConfig, SignedConfig};

use crate::Verdict;

fn key() -> SigningKey {
    SigningKey::from_seed([5; 32])
}

/// A wake-up, as a phone's system hands it over.
pub(crate) fn wake_up(bytes: &[u8]) -> Verdict {
    let parsed = WakeUp::parse(bytes);
    if let Ok(wake_up) = &parsed {
        let text = wake_up.to_text();
        assert_eq!(text.len(), WAKE_UP_LEN, "every wake-up has one length");
        assert_eq!(WakeUp::parse(text.as_bytes()), Ok(*wake_up), "what was written can be read");
    }
    Verdict::of(&parsed)
}

pub(crate) fn wake_up_seeds() -> Vec<Vec<u8>> {
    let wake_up = |counter| WakeUp { handle: PushHandle::from_bytes([7; 16]), counter };
    vec![wake_up(1).to_text().into_bytes(), wake_up(u64::MAX).to_text().into_bytes()]
}

/// A document of remote configuration: whatever it says, what comes out is within bounds, and only the key's word is taken.
pub(crate) fn remote_config(bytes: &[u8]) -> Verdict {
    let parsed = SignedConfig::parse(bytes);
    let verdict = Verdict::of(&parsed);
    if let Ok(config) = parsed.and_then(|parsed| parsed.verify(&key().verifying_key())) {
        for (key, value) in &config.values {
            let (least, most) = key.bounds();
            assert!((least..=most).contains(value), "a value is within its bounds");
        }
    }
    verdict
}

pub(crate) fn remote_config_seeds() -> Vec<Vec<u8>> {
    let values = [("no_carrier", 1), ("canary_percent", 500), ("rekey_seconds_max", 1), ("from_the_future", 7)];
    vec![RemoteConfig::sign(1, 10, 20, &[], &key()), RemoteConfig::sign(2, 10, 20, &values, &key())]
}
