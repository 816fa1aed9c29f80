//! On what grounds a number may go to an account that has shown that it receives there. No clock, no store, no key.

use rcseal_credential::mapping::{Grounds, SignedStatement};
use rcseal_store::UnixMillis;
use rcseal_store::broker::NumberRecord;
use rcseal_wire::id::AccountId;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Countersign on these grounds.
    Bind(Box<Grounds>),
    /// Tell the account that has the number, and wait.
    Wait,
}

impl Decision {
    fn bind(grounds: Grounds) -> Self {
        Self::Bind(Box::new(grounds))
    }
}

/// Decides. `release` is the signed release that the account before has given: to the broker, or to the caller. Whether it holds is
/// checked where it is countersigned.
pub(super) fn decide(
    record: Option<&NumberRecord>,
    account: AccountId,
    release: Option<SignedStatement>,
    now: UnixMillis,
    quarantine_seconds: u64,
) -> Decision {
    let Some(record) = record else { return Decision::bind(Grounds::First) };
    if record.head.account == account {
        return Decision::bind(Grounds::Same);
    }
    if let Some(release) = release {
        return Decision::bind(Grounds::Released(release));
    }
    if record.ported_at.is_some() {
        return Decision::bind(Grounds::Ported);
    }
    if record.head.expires_at.plus_seconds(quarantine_seconds) <= now {
        return Decision::bind(Grounds::Recycled);
    }
    let waited = record.waiting.as_ref().filter(|waiting| {
        waiting.device.account == account && waiting.announced_at.is_some() && waiting.effective_at <= now
    });
    match waited.and_then(|waiting| waiting.announced_at) {
        Some(announced_at) => Decision::bind(Grounds::Waited { announced_at_ms: announced_at.get() }),
        None => Decision::Wait,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use rcseal_credential::AccountSigner;
    use rcseal_credential::mapping::{Action, NumberStatement};
    use rcseal_store::broker::{MappingRecord, WaitingRecord};
    use rcseal_wire::id::{BrokerKeyId, DeviceAddress, DeviceNumber, KeySetCounter, KeySetHash, MappingHash};

    use super::*;

    const DAY: u64 = 24 * 3600;
    const QUARANTINE: u64 = 30 * DAY;
    const OLD: AccountId = AccountId::from_bytes([1; 16]);
    const NEW: AccountId = AccountId::from_bytes([2; 16]);
    const OTHER: AccountId = AccountId::from_bytes([3; 16]);

    fn at(days: u64) -> UnixMillis {
        UnixMillis::new(1_800_000_000_000).plus_seconds(days * DAY)
    }

    /// Bound on day 0, good until day 90.
    fn record() -> NumberRecord {
        NumberRecord {
            head: MappingRecord {
                sequence: 1,
                hash: MappingHash::from_bytes([9; 32]),
                bytes: Bytes::new(),
                account: OLD,
                device: DeviceNumber::PRIMARY,
                key_set: Bytes::new(),
                expires_at: at(90),
            },
            discoverable: true,
            released: None,
            ported_at: None,
            waiting: None,
            remind_at: None,
        }
    }

    fn waiting(account: AccountId, announced_at: Option<UnixMillis>, effective_at: UnixMillis) -> WaitingRecord {
        WaitingRecord {
            device: DeviceAddress { account, device: DeviceNumber::PRIMARY },
            statement: Bytes::new(),
            key_set: Bytes::new(),
            since: at(1),
            announced_at,
            next_at: effective_at,
            effective_at,
        }
    }

    fn release() -> SignedStatement {
        let statement = NumberStatement {
            action: Action::Release,
            number: "+447400123456".parse().unwrap(),
            account: OLD,
            device: DeviceNumber::PRIMARY,
            sequence: 2,
            previous: Some(MappingHash::from_bytes([9; 32])),
            key_set_counter: KeySetCounter::FIRST,
            key_set_hash: KeySetHash::from_bytes([8; 32]),
            broker: BrokerKeyId::from_bytes(*AccountSigner::from_seed([7; 32]).account_key().as_bytes()),
            issued_at_ms: at(2).get(),
        };
        statement.sign(&AccountSigner::from_seed([6; 32])).unwrap()
    }

    fn grounds(record: Option<&NumberRecord>, account: AccountId, now: UnixMillis) -> Option<Grounds> {
        match decide(record, account, None, now, QUARANTINE) {
            Decision::Bind(grounds) => Some(*grounds),
            Decision::Wait => None,
        }
    }

    #[test]
    fn a_number_without_a_history_is_bound_at_once() {
        assert_eq!(grounds(None, NEW, at(1)), Some(Grounds::First));
    }

    #[test]
    fn an_account_renews_its_own_at_any_time() {
        for day in [1, 89, 95, 200] {
            assert_eq!(grounds(Some(&record()), OLD, at(day)), Some(Grounds::Same), "day {day}");
        }
    }

    #[test]
    fn an_active_number_of_another_account_needs_a_wait() {
        assert_eq!(grounds(Some(&record()), NEW, at(1)), None);
    }

    #[test]
    fn a_wait_counts_for_who_waited_and_once_it_was_announced_and_is_over() {
        let with = |waiting| NumberRecord { waiting: Some(waiting), ..record() };
        let over = with(waiting(NEW, Some(at(1)), at(8)));
        assert_eq!(grounds(Some(&over), NEW, at(8)), Some(Grounds::Waited { announced_at_ms: at(1).get() }));
        assert_eq!(grounds(Some(&over), NEW, at(7)), None, "a day too early");
        assert_eq!(grounds(Some(&over), OTHER, at(8)), None, "somebody else's wait");
        let never_told = with(waiting(NEW, None, at(8)));
        assert_eq!(grounds(Some(&never_told), NEW, at(9)), None);
    }

    #[test]
    fn an_expired_number_is_free_after_its_quarantine() {
        assert_eq!(grounds(Some(&record()), NEW, at(90)), None);
        assert_eq!(grounds(Some(&record()), NEW, at(119)), None);
        assert_eq!(grounds(Some(&record()), NEW, at(120)), Some(Grounds::Recycled));
    }

    #[test]
    fn a_release_goes_before_everything_but_ones_own_number() {
        let release = release();
        let released = NumberRecord { ported_at: Some(at(2)), ..record() };
        let decide = |account| decide(Some(&released), account, Some(release.clone()), at(200), QUARANTINE);
        assert_eq!(decide(NEW), Decision::bind(Grounds::Released(release.clone())));
        assert_eq!(decide(OLD), Decision::bind(Grounds::Same));
    }

    #[test]
    fn a_ported_number_goes_to_who_claims_it() {
        let ported = NumberRecord { ported_at: Some(at(2)), ..record() };
        assert_eq!(grounds(Some(&ported), NEW, at(3)), Some(Grounds::Ported));
        assert_eq!(grounds(Some(&ported), OLD, at(3)), Some(Grounds::Same));
    }
}
