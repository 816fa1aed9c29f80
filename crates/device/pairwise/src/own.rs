//! Our own side: the identity, and the prekeys by which others begin.
//!
//! One counter names all prekeys. The **signed** prekey `n` is an X25519 key and a KEM key of last resort, both with id `n`; a **one-time**
//! prekey `m` is the same pair with id `m`, deleted in the commit that stores the session it opened. The signed prekey is replaced when it
//! is [`SIGNED_AGE_S`] old; the one before is kept until the next replacement, for messages that are under way.

use rand_core::CryptoRng;
use rcseal_crypto::ed25519::SigningKey;
use rcseal_signal::{
    IdentityKeyPair, KemPreKey, OneTimePreKey, PreKeyBundle, PreKeyMessage, Profile, ResponderKeys, SignedPreKey,
};
use zeroize::Zeroizing;

use crate::batch::{Batch, name, u64_at};
use crate::error::PairwiseError;
use crate::format::{Bundle, Card};

/// The profile of every session.
pub(crate) const PROFILE: Profile = Profile::Native;
/// The age at which the signed prekey is replaced: 30 days.
pub const SIGNED_AGE_S: u64 = 30 * 24 * 3600;
/// One-time prekeys that are kept; with more, the oldest go. Ten times what a directory is usually given at once.
pub const ONE_TIME_MAX: u32 = 1_000;
/// Bundles that one call makes: each costs a key generation of the KEM.
pub const BUNDLES_AT_ONCE_MAX: u32 = 100;
/// Sessions that others may open with one last-resort prekey: each is remembered, so that its first message opens nothing twice.
pub const LAST_RESORT_MAX: u64 = 10_000;
/// After a store was set back, ids that were given out since must not come again.
const ERA_LEAP: u32 = 1 << 16;
const VERSION: u8 = 1;
const SELF: &[u8] = b"self";
const POOL: &[u8] = b"pool";

/// Who we are. In memory while the store is open.
pub(crate) struct Own {
    pub(crate) account: SigningKey,
    pub(crate) identity: IdentityKeyPair,
    pub(crate) card: Card,
}

impl Own {
    /// Reads the identity, or makes it and its first prekeys.
    pub(crate) fn load_or_create(
        batch: &mut Batch<'_>,
        rng: &mut dyn CryptoRng,
        now_s: u64,
    ) -> Result<Self, PairwiseError> {
        if let Some(row) = batch.get(SELF)? {
            let (Some(VERSION), Some(seed), Some(secret), 65) = (
                row.first().copied(),
                row.get(1..33).and_then(|seed| <[u8; 32]>::try_from(seed).ok()),
                row.get(33..65).and_then(|secret| <[u8; 32]>::try_from(secret).ok()),
                row.len(),
            ) else {
                return Err(PairwiseError::Damaged);
            };
            return Ok(Self::of(SigningKey::from_seed(seed), IdentityKeyPair::from_secret_bytes(secret)));
        }
        let own = Self::of(SigningKey::generate(rng), IdentityKeyPair::generate(rng));
        let mut row = Zeroizing::new(vec![VERSION]);
        row.extend_from_slice(own.account.seed());
        row.extend_from_slice(own.identity.expose_secret());
        batch.put(SELF.to_vec(), &row);
        Pool::begin(batch, rng, &own, 1, now_s)?;
        Ok(own)
    }

    fn of(account: SigningKey, identity: IdentityKeyPair) -> Self {
        let card = Card::issue(&account, &identity);
        Self { account, identity, card }
    }
}

/// Which prekeys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pool {
    next_id: u32,
    signed: u32,
    signed_at_s: u64,
    /// 0 where there was none.
    previous: u32,
    /// One-time prekeys are kept from here on.
    first_one_time: u32,
    pub(crate) live: u32,
}

impl Pool {
    pub(crate) fn load(batch: &Batch<'_>) -> Result<Self, PairwiseError> {
        let row = batch.get(POOL)?.ok_or(PairwiseError::Damaged)?;
        if row.len() != 49 || row[0] != VERSION {
            return Err(PairwiseError::Damaged);
        }
        let number = |nth: usize| u64_at(&row, 1 + 8 * nth);
        let id = |nth| number(nth).and_then(|id| u32::try_from(id).map_err(|_| PairwiseError::Damaged));
        Ok(Self {
            next_id: id(0)?,
            signed: id(1)?,
            signed_at_s: number(2)?,
            previous: id(3)?,
            first_one_time: id(4)?,
            live: id(5)?,
        })
    }

    fn save(&self, batch: &mut Batch<'_>) {
        let mut row = vec![VERSION];
        let ids = [self.next_id, self.signed].map(u64::from);
        let rest = [self.previous, self.first_one_time, self.live].map(u64::from);
        for number in ids.into_iter().chain([self.signed_at_s]).chain(rest) {
            row.extend_from_slice(&number.to_be_bytes());
        }
        batch.put(POOL.to_vec(), &row);
    }

    fn begin(
        batch: &mut Batch<'_>,
        rng: &mut dyn CryptoRng,
        own: &Own,
        first_id: u32,
        now_s: u64,
    ) -> Result<(), PairwiseError> {
        let mut pool =
            Self { next_id: first_id, signed: 0, signed_at_s: 0, previous: 0, first_one_time: first_id, live: 0 };
        pool.rotate(batch, rng, own, now_s)
    }

    /// Everything anew: the store was set back, and prekeys may have been used that are here still.
    pub(crate) fn begin_anew(
        batch: &mut Batch<'_>,
        rng: &mut dyn CryptoRng,
        own: &Own,
        now_s: u64,
    ) -> Result<(), PairwiseError> {
        let old = Self::load(batch)?;
        for id in old.first_one_time..old.next_id {
            batch.delete(one_time_name(id));
        }
        for signed in [old.previous, old.signed] {
            forget_signed(batch, signed)?;
        }
        Self::begin(batch, rng, own, old.next_id.saturating_add(ERA_LEAP), now_s)
    }

    fn take_id(&mut self) -> Result<u32, PairwiseError> {
        let id = self.next_id;
        // Four billion bundles.
        self.next_id = id.checked_add(1).ok_or(PairwiseError::PrekeyWornOut)?;
        Ok(id)
    }

    pub(crate) const fn signed_age_s(&self, now_s: u64) -> u64 {
        now_s.saturating_sub(self.signed_at_s)
    }

    pub(crate) fn rotate(
        &mut self,
        batch: &mut Batch<'_>,
        rng: &mut dyn CryptoRng,
        own: &Own,
        now_s: u64,
    ) -> Result<(), PairwiseError> {
        let id = self.take_id()?;
        let signed = SignedPreKey::generate(rng, PROFILE, id, &own.identity)?;
        let kem = KemPreKey::generate(rng, PROFILE, id, &own.identity)?;
        batch.put(signed_name(id), &Zeroizing::new([&signed.to_bytes()[..], &kem.to_bytes()[..]].concat()));
        forget_signed(batch, self.previous)?;
        self.previous = self.signed;
        self.signed = id;
        self.signed_at_s = now_s;
        self.save(batch);
        Ok(())
    }

    /// A bundle that any number of peers may be given.
    pub(crate) fn last_resort(&self, batch: &Batch<'_>, own: &Own) -> Result<Bundle, PairwiseError> {
        let (signed, kem) = load_signed(batch, self.signed)?.ok_or(PairwiseError::Damaged)?;
        let prekeys = PreKeyBundle {
            identity: own.identity.public(),
            signed_prekey: signed.public(),
            kem_prekey: kem.public(),
            one_time: None,
        };
        Ok(Bundle::issue(&own.account, own.card, prekeys))
    }

    /// Bundles that serve one session each.
    pub(crate) fn one_time(
        &mut self,
        batch: &mut Batch<'_>,
        rng: &mut dyn CryptoRng,
        own: &Own,
        count: u32,
    ) -> Result<Vec<Bundle>, PairwiseError> {
        let (signed, _) = load_signed(batch, self.signed)?.ok_or(PairwiseError::Damaged)?;
        let mut bundles = Vec::new();
        for _ in 0..count.min(BUNDLES_AT_ONCE_MAX) {
            let id = self.take_id()?;
            let ec = OneTimePreKey::generate(rng, PROFILE, id)?;
            let kem = KemPreKey::generate(rng, PROFILE, id, &own.identity)?;
            batch.put(one_time_name(id), &Zeroizing::new([&ec.to_bytes()[..], &kem.to_bytes()[..]].concat()));
            self.live += 1;
            let prekeys = PreKeyBundle {
                identity: own.identity.public(),
                signed_prekey: signed.public(),
                kem_prekey: kem.public(),
                one_time: Some(ec.public()),
            };
            bundles.push(Bundle::issue(&own.account, own.card, prekeys));
        }
        while self.live > ONE_TIME_MAX {
            let name = one_time_name(self.first_one_time);
            if batch.get(&name)?.is_some() {
                batch.delete(name);
                self.live -= 1;
            }
            self.first_one_time += 1;
        }
        self.save(batch);
        Ok(bundles)
    }
}

/// The secret halves that a first message names.
pub(crate) struct Named {
    signed: SignedPreKey,
    kem: KemPreKey,
    one_time: Option<OneTimePreKey>,
}

impl Named {
    /// Looks them up; refuses a first message that opened a session before.
    pub(crate) fn find(batch: &Batch<'_>, message: &PreKeyMessage) -> Result<Self, PairwiseError> {
        let (signed, last_resort) = load_signed(batch, message.signed_prekey_id())?.ok_or(PairwiseError::PrekeyGone)?;
        let Some(id) = message.one_time_id() else {
            if message.kem_prekey_id() != message.signed_prekey_id() {
                return Err(PairwiseError::PrekeyGone);
            }
            let seen = batch.get(&seen_name(message.signed_prekey_id(), &message.base_key()))?;
            return if seen.is_some() {
                Err(PairwiseError::Replayed)
            } else {
                Ok(Self { signed, kem: last_resort, one_time: None })
            };
        };
        if message.kem_prekey_id() != id {
            return Err(PairwiseError::PrekeyGone);
        }
        let row = batch.get(&one_time_name(id))?.ok_or(PairwiseError::PrekeyGone)?;
        let (ec, kem) = row.split_at_checked(OneTimePreKey::LEN).ok_or(PairwiseError::Damaged)?;
        Ok(Self { signed, kem: KemPreKey::from_bytes(kem)?, one_time: Some(OneTimePreKey::from_bytes(ec)?) })
    }

    pub(crate) const fn keys(&self) -> ResponderKeys<'_> {
        ResponderKeys { signed: &self.signed, kem: &self.kem, one_time: self.one_time.as_ref() }
    }

    /// The message was genuine: its one-time prekey goes, or its base key is remembered.
    pub(crate) fn use_up(self, batch: &mut Batch<'_>, base_key: &[u8; 32]) -> Result<(), PairwiseError> {
        if let Some(one_time) = self.one_time {
            batch.delete(one_time_name(one_time.id()));
            let mut pool = Pool::load(batch)?;
            pool.live = pool.live.saturating_sub(1);
            pool.save(batch);
            return Ok(());
        }
        let signed = self.signed.id();
        let count = batch.get(&count_name(signed))?.map_or(Ok(0), |row| u64_at(&row, 0))?;
        if count >= LAST_RESORT_MAX {
            return Err(PairwiseError::PrekeyWornOut);
        }
        batch.put(seen_name(signed, base_key), &[]);
        batch.put(nth_name(signed, count), base_key);
        batch.put(count_name(signed), &(count + 1).to_be_bytes());
        Ok(())
    }
}

fn load_signed(batch: &Batch<'_>, id: u32) -> Result<Option<(SignedPreKey, KemPreKey)>, PairwiseError> {
    let Some(row) = batch.get(&signed_name(id))? else { return Ok(None) };
    let (signed, kem) = row.split_at_checked(SignedPreKey::LEN).ok_or(PairwiseError::Damaged)?;
    Ok(Some((SignedPreKey::from_bytes(signed)?, KemPreKey::from_bytes(kem)?)))
}

fn forget_signed(batch: &mut Batch<'_>, id: u32) -> Result<(), PairwiseError> {
    if id == 0 {
        return Ok(());
    }
    batch.delete(signed_name(id));
    let count = batch.get(&count_name(id))?.map_or(Ok(0), |row| u64_at(&row, 0))?;
    for nth in 0..count {
        let row = batch.get(&nth_name(id, nth))?.ok_or(PairwiseError::Damaged)?;
        batch.delete(name("seen", &[&id.to_be_bytes(), &row]));
        batch.delete(nth_name(id, nth));
    }
    batch.delete(count_name(id));
    Ok(())
}

fn signed_name(id: u32) -> Vec<u8> {
    name("signed", &[&id.to_be_bytes()])
}

fn one_time_name(id: u32) -> Vec<u8> {
    name("one-time", &[&id.to_be_bytes()])
}

fn seen_name(signed: u32, base_key: &[u8; 32]) -> Vec<u8> {
    name("seen", &[&signed.to_be_bytes(), base_key])
}

fn count_name(signed: u32) -> Vec<u8> {
    name("seen-count", &[&signed.to_be_bytes()])
}

fn nth_name(signed: u32, nth: u64) -> Vec<u8> {
    name("seen-nth", &[&signed.to_be_bytes(), &nth.to_be_bytes()])
}
