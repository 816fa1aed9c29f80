//! Who may ask for business messages, and in whose name.
//!
//! A tenant shows a key; the configuration has its SHA-256 only. Which agents are a tenant's is the operator's word.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use rcseal_crypto::ct_eq;
use rcseal_crypto::hash::sha256;
use rcseal_front::Refusal;
use rcseal_front::limiter::KeyedLimiter;
use rcseal_store::broker::{Charge, QuotaKind};
use rcseal_wire::number::E164;
use rcseal_wire::problem::ProblemCode;

use crate::config::{NumbersConfig, Prefix};
use crate::number::takes_sms;

/// The shortest key that is looked at: 128 bits in hexadecimal.
const KEY_LEN_MIN: usize = 32;
/// The longest.
const KEY_LEN_MAX: usize = 256;

/// A tenant.
pub(crate) struct Tenant {
    /// Its name, in rows and logs.
    pub(crate) name: String,
    /// SHA-256 of the keys it may show: two while it changes from one to the other.
    pub(crate) key_hashes: Vec<[u8; 32]>,
    /// Its agents, by name.
    pub(crate) agents: Vec<String>,
    /// Requests in a minute.
    pub(crate) per_minute: u32,
    /// What its SMS may cost.
    pub(crate) sms: SmsRules,
}

/// Where a tenant's SMS may go, and how many: whoever has a tenant's key spends the operator's money.
#[derive(Default)]
pub(crate) struct SmsRules {
    /// What the operator serves.
    pub(crate) numbers: NumbersConfig,
    /// What this tenant may write to beside that.
    pub(crate) more: Vec<Prefix>,
    /// Segments in a day.
    pub(crate) segments_per_day: u32,
}

impl SmsRules {
    pub(crate) fn allow(&self, to: &E164) -> bool {
        takes_sms(&self.numbers, &self.more, to)
    }

    /// What a message uses up that may become this many segments.
    pub(crate) fn charge(&self, tenant: &str, segments: usize) -> Charge {
        let hash = sha256(&[b"rcseal/broker-tenant-sms/v1", tenant.as_bytes()]);
        Charge {
            kind: QuotaKind::SmsByTenant,
            key: *hash.first_chunk().expect("a SHA-256 hash has more than 16 bytes"),
            amount: u32::try_from(segments).unwrap_or(u32::MAX),
            limit: self.segments_per_day,
            window_seconds: 24 * 3600,
        }
    }
}

impl Tenant {
    /// The agent of that name, or the only one.
    pub(crate) fn agent(&self, name: Option<&str>) -> Option<&str> {
        match (name, self.agents.as_slice()) {
            (Some(name), agents) => agents.iter().find(|agent| *agent == name).map(String::as_str),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// All tenants.
#[derive(Default)]
pub(crate) struct Tenants {
    all: Vec<Arc<Tenant>>,
    limiters: HashMap<String, KeyedLimiter<()>>,
}

impl Tenants {
    pub(crate) fn new(tenants: Vec<Tenant>) -> Self {
        let limiters =
            tenants.iter().map(|tenant| (tenant.name.clone(), KeyedLimiter::per_minute(tenant.per_minute))).collect();
        Self { all: tenants.into_iter().map(Arc::new).collect(), limiters }
    }

    /// The tenant that has this key. Every key is compared, so that the time says nothing of which is nearly right.
    pub(crate) fn by_key(&self, key: &str) -> Result<Arc<Tenant>, Refusal> {
        let refused = || Refusal::new(ProblemCode::TenantKeyUnknown);
        if !(KEY_LEN_MIN..=KEY_LEN_MAX).contains(&key.len()) {
            return Err(refused());
        }
        let hash = sha256(&[key.as_bytes()]);
        let mut found = None;
        for tenant in &self.all {
            for known in &tenant.key_hashes {
                if ct_eq(known, &hash) {
                    found = Some(tenant);
                }
            }
        }
        let tenant = found.ok_or_else(refused)?;
        if let Some(limiter) = self.limiters.get(&tenant.name) {
            limiter.check(&(), NonZeroU32::MIN)?;
        }
        Ok(Arc::clone(tenant))
    }

    pub(crate) fn tidy(&self) {
        self.limiters.values().for_each(KeyedLimiter::tidy);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tenants() -> Tenants {
        let tenant = |name: &str, key: &str, agents: &[&str]| Tenant {
            name: name.into(),
            key_hashes: vec![sha256(&[key.as_bytes()])],
            agents: agents.iter().map(|agent| (*agent).to_owned()).collect(),
            per_minute: 2,
            sms: SmsRules::default(),
        };
        Tenants::new(vec![
            tenant("acme", "0123456789abcdef0123456789abcdef", &["acme-rbm"]),
            tenant("other", "fedcba9876543210fedcba9876543210", &["one", "two"]),
        ])
    }

    #[test]
    fn a_key_opens_one_tenant_and_a_wrong_one_none() {
        let tenants = tenants();
        assert_eq!(tenants.by_key("0123456789abcdef0123456789abcdef").unwrap().name, "acme");
        for wrong in ["", "short", "0123456789abcdef0123456789abcdee"] {
            assert_eq!(tenants.by_key(wrong).err().unwrap().problem().code, "tenant_key_unknown", "{wrong}");
        }
        assert!(tenants.by_key("0123456789abcdef0123456789abcdef").is_ok());
        let limited = tenants.by_key("0123456789abcdef0123456789abcdef").err().unwrap();
        assert_eq!(limited.problem().code, "rate_limited");
    }

    #[test]
    fn a_tenant_writes_by_its_own_agents_only() {
        let tenants = tenants();
        let (acme, other) = (&tenants.all[0], &tenants.all[1]);
        assert_eq!(acme.agent(None), Some("acme-rbm"));
        assert_eq!(acme.agent(Some("one")), None);
        assert_eq!(other.agent(None), None);
        assert_eq!(other.agent(Some("two")), Some("two"));
    }
}
