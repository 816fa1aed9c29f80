//! The handle: open, publish bundles, begin sessions, encrypt and decrypt.
//!
//! Every call is one step: it reads through a batch, gathers what changes, and commits all of it at once on condition that nobody else has
//! committed since. Only then does a ciphertext or a plaintext leave it. Calls of one handle wait for each other; another process with the
//! same store makes a call do its step again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_core::CryptoRng;
use rcseal_credential::{Party, SafetyNumber};
use rcseal_signal::{
    Archive, ArchiveDecryptError, ArchiveEncryptError, Local, MessageForm, PreKeyMessage, Role, Session,
    UNANSWERED_AGE_MAX,
};

use crate::batch::{Batch, StoreKeys, name};
use crate::error::PairwiseError;
use crate::format::{Bundle, CARD_LEN, Card, Message};
use crate::head::{self, ALIAS, Head};
use crate::own::{BUNDLES_AT_ONCE_MAX, Named, Own, PROFILE, Pool, SIGNED_AGE_S};
use crate::sessions::{self, Rows};
use crate::store::{CryptoStore, HEAD, StoreFault};
use crate::vault::DataKeyVault;

/// Bytes of a peer's name: an id, an address of mail, a number.
pub const PEER_ID_LEN_MAX: usize = 128;
/// How often a step is made again because another process was faster.
const CONFLICTS_MAX: usize = 8;

/// The time and the randomness of one call. The crate has neither of its own.
pub struct Moment<'a> {
    /// Seconds since 1970, or since any other moment that stays the same.
    pub now_s: u64,
    /// The system's generator.
    pub rng: &'a mut dyn CryptoRng,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionView {
    /// This call began it.
    pub is_new: bool,
    /// The peer has written in it.
    pub has_answered: bool,
}

/// How many prekeys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeyState {
    /// One-time prekeys that were given out in bundles and not used yet, as far as is known here.
    pub one_time: u32,
    /// The age of the signed prekey, in seconds.
    pub signed_age_s: u64,
    /// It is time for [`Pairwise::replenish`], whatever the directory says.
    pub is_rotation_due: bool,
}

/// One identity with its sessions, over an app's store and key vault.
pub struct Pairwise {
    store: Arc<dyn CryptoStore>,
    vault: Arc<dyn DataKeyVault>,
    keys: StoreKeys,
    own: Own,
    was_rolled_back: bool,
    state: Mutex<State>,
}

/// What this handle has seen of the head. Both numbers only grow, or the store was set back under it.
struct State {
    generation: u64,
    revision: u64,
    is_closed: bool,
}

impl Pairwise {
    /// Opens what is in the store, or makes a new identity in an empty one.
    ///
    /// # Errors
    /// [`PairwiseError`]: store, vault, and what contradicts each other in them.
    pub fn open(
        store: Arc<dyn CryptoStore>,
        vault: Arc<dyn DataKeyVault>,
        at: &mut Moment<'_>,
    ) -> Result<Self, PairwiseError> {
        let unlocked = head::unlock(at.rng, &*store, &*vault)?;
        let (keys, mut head) = (unlocked.keys, unlocked.head);
        let mut batch = Batch::new(&*store, &keys);
        let own = Own::load_or_create(&mut batch, at.rng, at.now_s)?;
        if unlocked.is_rolled_back {
            head.era += 1;
            Pool::begin_anew(&mut batch, at.rng, &own, at.now_s)?;
        }
        // The vault first: a crash in between makes the store look set back, which costs sessions; the other way round, one that was set
        // back would look whole.
        head.generation = vault.bump_generation(ALIAS)?;
        let head = head.next();
        let mut writes = batch.into_writes(at.rng);
        writes.push(head.write(&keys, at.rng));
        store.commit(Some(&unlocked.sealed_head), &writes)?;
        let state = State { generation: head.generation, revision: head.revision, is_closed: false };
        Ok(Self { store, vault, keys, own, was_rolled_back: unlocked.is_rolled_back, state: Mutex::new(state) })
    }

    /// Whether the store was older than the vault remembered when it was opened. The sessions are gone then, and published bundles are
    /// worth nothing: publish new ones.
    #[must_use]
    pub const fn was_rolled_back(&self) -> bool {
        self.was_rolled_back
    }

    /// Our identity: the key that peers compare.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        *self.own.card.account_key.as_bytes()
    }

    /// A bundle that any number of peers may be given. Its sessions are a little weaker until the first answer, because its KEM prekey
    /// serves more than one: give out those of [`Pairwise::bundles`] where there are some.
    ///
    /// # Errors
    /// [`PairwiseError`].
    pub fn last_resort_bundle(&self, at: &mut Moment<'_>) -> Result<Bundle, PairwiseError> {
        self.step(at, |step, _| Pool::load(&step.batch)?.last_resort(&step.batch, &self.own))
    }

    /// Bundles that serve one session each, at most [`BUNDLES_AT_ONCE_MAX`].
    ///
    /// # Errors
    /// [`PairwiseError`].
    pub fn bundles(&self, count: u32, at: &mut Moment<'_>) -> Result<Vec<Bundle>, PairwiseError> {
        self.step(at, |step, at| {
            let mut pool = Pool::load(&step.batch)?;
            pool.one_time(&mut step.batch, at.rng, &self.own, count)
        })
    }

    /// How many prekeys there are.
    ///
    /// # Errors
    /// [`PairwiseError`].
    pub fn prekey_state(&self, at: &mut Moment<'_>) -> Result<PrekeyState, PairwiseError> {
        self.step(at, |step, at| {
            let pool = Pool::load(&step.batch)?;
            let signed_age_s = pool.signed_age_s(at.now_s);
            Ok(PrekeyState { one_time: pool.live, signed_age_s, is_rotation_due: signed_age_s >= SIGNED_AGE_S })
        })
    }

    /// What to publish next, where the directory has `left` bundles of ours: the signed prekey is replaced when it is old, and bundles are
    /// made up to [`BUNDLES_AT_ONCE_MAX`]. The last of the answer is the new last-resort bundle.
    ///
    /// # Errors
    /// [`PairwiseError`].
    pub fn replenish(&self, left: u32, at: &mut Moment<'_>) -> Result<Vec<Bundle>, PairwiseError> {
        self.step(at, |step, at| {
            let mut pool = Pool::load(&step.batch)?;
            if pool.signed_age_s(at.now_s) >= SIGNED_AGE_S {
                pool.rotate(&mut step.batch, at.rng, &self.own, at.now_s)?;
            }
            let missing = BUNDLES_AT_ONCE_MAX.saturating_sub(left);
            let mut bundles = pool.one_time(&mut step.batch, at.rng, &self.own, missing)?;
            bundles.push(pool.last_resort(&step.batch, &self.own)?);
            Ok(bundles)
        })
    }

    /// The session with a peer, or a new one from a bundle. The first bundle or message of a peer fixes its identity; the app decides what
    /// a peer's name is, and has to make sure that the bundle is the peer's, or have people compare safety numbers.
    ///
    /// # Errors
    /// [`PairwiseError::BundleNeeded`] where there is no session that sends and no bundle, [`PairwiseError::IdentityChanged`] where the
    /// bundle is of another identity than the known one.
    pub fn get_or_create_session(
        &self,
        peer_id: &str,
        bundle: Option<&[u8]>,
        at: &mut Moment<'_>,
    ) -> Result<SessionView, PairwiseError> {
        check_peer_id(peer_id)?;
        self.step(at, |step, at| {
            let known = load_peer(&step.batch, peer_id)?;
            let bundle = bundle.map(Bundle::parse).transpose()?;
            if let (Some(known), Some(bundle)) = (known, &bundle)
                && known.card != bundle.card
            {
                return Err(PairwiseError::IdentityChanged);
            }
            let archive = step.sessions(peer_id)?;
            if let Some(session) = archive.active()
                && !is_stale(&archive, at)
            {
                return Ok(SessionView { is_new: false, has_answered: session.has_received() });
            }
            let Bundle { card, prekeys, .. } = bundle.ok_or(PairwiseError::BundleNeeded)?;
            let local = Local {
                identity: &self.own.identity,
                address: self.own.card.address(),
                registration_id: None,
                states_addresses: false,
            };
            let verified = prekeys.verify(PROFILE)?;
            let session = Session::initiate(at.rng, PROFILE, local.identity, local.address, card.peer(), verified)?;
            let change = archive.begin(session, at.now_s)?;
            step.store_change(peer_id, &change)?;
            if known.is_none() {
                store_peer(&mut step.batch, peer_id, &KnownPeer { card, is_verified: false });
            }
            Ok(SessionView { is_new: true, has_answered: false })
        })
    }

    /// Encrypts for a peer. The bytes may leave the device: what they were made from is stored.
    ///
    /// # Errors
    /// [`PairwiseError::BundleNeeded`] where there is no session that sends, or it has waited 30 days for an answer.
    pub fn encrypt(&self, peer_id: &str, plaintext: &[u8], at: &mut Moment<'_>) -> Result<Vec<u8>, PairwiseError> {
        check_peer_id(peer_id)?;
        self.step(at, |step, at| {
            let archive = step.sessions(peer_id)?;
            let encrypted = match archive.encrypt(at.rng, at.now_s, UNANSWERED_AGE_MAX, plaintext) {
                Ok(encrypted) => encrypted,
                Err(ArchiveEncryptError::NoSession | ArchiveEncryptError::Unanswered { .. }) => {
                    return Err(PairwiseError::BundleNeeded);
                }
                Err(error) => return Err(error.into()),
            };
            step.store_change(peer_id, &encrypted.change)?;
            // Until the peer has answered it may not know who we are.
            let form = PreKeyMessage::form_of(PROFILE, &encrypted.output)?;
            let card = (form == MessageForm::PreKey).then_some(self.own.card);
            Ok(Message { card, inner: encrypted.output }.to_bytes())
        })
    }

    /// Decrypts what a peer sent. A message is decrypted once: a second time is an error.
    ///
    /// # Errors
    /// [`PairwiseError`]; nothing has changed after one.
    pub fn decrypt(&self, peer_id: &str, message: &[u8], at: &mut Moment<'_>) -> Result<Vec<u8>, PairwiseError> {
        check_peer_id(peer_id)?;
        let Message { card, inner } = Message::parse(message)?;
        self.step(at, |step, at| {
            let known = load_peer(&step.batch, peer_id)?;
            if let (Some(known), Some(card)) = (known, card)
                && known.card != card
            {
                return Err(PairwiseError::IdentityChanged);
            }
            let archive = step.sessions(peer_id)?;
            let decrypted = archive.decrypt(&Rows(&step.batch), &inner);
            match decrypted {
                Ok(decrypted) => {
                    step.store_change(peer_id, &decrypted.change)?;
                    Ok(decrypted.output)
                }
                Err(ArchiveDecryptError::Message(error)) => Err(error.into()),
                Err(ArchiveDecryptError::NewSession { message }) => {
                    let card = card.ok_or(PairwiseError::NoSession)?;
                    let plaintext = self.accept(step, &archive, peer_id, card, *message, at)?;
                    if known.is_none() {
                        store_peer(&mut step.batch, peer_id, &KnownPeer { card, is_verified: false });
                    }
                    Ok(plaintext)
                }
                Err(_) => Err(PairwiseError::NoSession),
            }
        })
    }

    fn accept(
        &self,
        step: &mut OneStep<'_>,
        archive: &Archive,
        peer_id: &str,
        card: Card,
        message: PreKeyMessage,
        at: &Moment<'_>,
    ) -> Result<Vec<u8>, PairwiseError> {
        let named = Named::find(&step.batch, &message)?;
        let base_key = message.base_key();
        let (ours, address) = (&self.own.identity, self.own.card.address());
        let accepted = Session::accept(PROFILE, ours, address, card.peer(), message, named.keys())?.decrypt_first()?;
        let accepted = archive.accept(accepted, at.now_s)?;
        step.store_change(peer_id, &accepted.change)?;
        named.use_up(&mut step.batch, &base_key)?;
        Ok(accepted.output)
    }

    /// The safety number with a peer.
    ///
    /// # Errors
    /// [`PairwiseError::UnknownPeer`].
    pub fn safety_number(&self, peer_id: &str, at: &mut Moment<'_>) -> Result<SafetyNumber, PairwiseError> {
        let known = self.peer(peer_id, at)?;
        let party = |card: &Card| Party { account: card.account(), account_key: card.account_key };
        Ok(SafetyNumber::new(&party(&self.own.card), &party(&known.card)))
    }

    /// Compares a scanned code or typed digits; where they match, the peer is verified from now on.
    ///
    /// # Errors
    /// [`PairwiseError::Scan`] where they do not.
    pub fn verify(&self, peer_id: &str, text: &str, at: &mut Moment<'_>) -> Result<(), PairwiseError> {
        let number = self.safety_number(peer_id, at)?;
        // Digits have no colon, and a scanned code has one behind its scheme.
        if text.contains(':') { number.verify_scan(text) } else { number.verify_digits(text) }?;
        let compared = self.peer(peer_id, at)?.card;
        self.step(at, |step, _| {
            let known = load_peer(&step.batch, peer_id)?.ok_or(PairwiseError::UnknownPeer)?;
            // Forgotten and known anew while people compared.
            if known.card != compared {
                return Err(PairwiseError::IdentityChanged);
            }
            store_peer(&mut step.batch, peer_id, &KnownPeer { is_verified: true, ..known });
            Ok(())
        })
    }

    /// Whether the peer's safety number was compared.
    ///
    /// # Errors
    /// [`PairwiseError::UnknownPeer`].
    pub fn is_verified(&self, peer_id: &str, at: &mut Moment<'_>) -> Result<bool, PairwiseError> {
        Ok(self.peer(peer_id, at)?.is_verified)
    }

    /// Forgets a peer's identity and its sessions, so that the next bundle or message fixes another one.
    ///
    /// # Errors
    /// [`PairwiseError`].
    pub fn forget_peer(&self, peer_id: &str, at: &mut Moment<'_>) -> Result<(), PairwiseError> {
        check_peer_id(peer_id)?;
        self.step(at, |step, _| {
            sessions::forget(&mut step.batch, peer_id)?;
            step.batch.delete(peer_name(peer_id));
            Ok(())
        })
    }

    /// Closes it. A copy of the store that was made before is recognised as one from now on. Every later call is refused.
    ///
    /// # Errors
    /// [`PairwiseError`]; it is closed all the same.
    pub fn close(&self, at: &mut Moment<'_>) -> Result<(), PairwiseError> {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_closed, true) {
            return Ok(());
        }
        let (sealed, head) = self.head(&mut state)?;
        // Another process has opened it since, and closes it itself.
        if head.generation != self.vault.generation(ALIAS)? {
            return Ok(());
        }
        let head = Head { generation: self.vault.bump_generation(ALIAS)?, ..head }.next();
        Ok(self.store.commit(Some(&sealed), &[head.write(&self.keys, at.rng)])?)
    }

    fn peer(&self, peer_id: &str, at: &mut Moment<'_>) -> Result<KnownPeer, PairwiseError> {
        check_peer_id(peer_id)?;
        self.step(at, |step, _| load_peer(&step.batch, peer_id)?.ok_or(PairwiseError::UnknownPeer))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of an app's store leaves numbers that the next look at the head corrects.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self, state: &mut State) -> Result<(Vec<u8>, Head), PairwiseError> {
        let sealed = self.store.get(HEAD)?.ok_or(PairwiseError::Damaged)?;
        let head = Head::read(&self.keys, &sealed)?;
        if head.generation < state.generation || head.revision < state.revision {
            return Err(PairwiseError::RolledBack);
        }
        state.generation = head.generation;
        state.revision = head.revision;
        Ok((sealed, head))
    }

    /// One step: again from the start where another process committed in between.
    fn step<T>(
        &self,
        at: &mut Moment<'_>,
        mut operation: impl FnMut(&mut OneStep<'_>, &mut Moment<'_>) -> Result<T, PairwiseError>,
    ) -> Result<T, PairwiseError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(PairwiseError::Closed);
        }
        for _ in 0..CONFLICTS_MAX {
            let (sealed, head) = self.head(&mut state)?;
            let mut step = OneStep { batch: Batch::new(&*self.store, &self.keys), era: head.era };
            let output = operation(&mut step, at)?;
            if step.batch.is_empty() {
                return Ok(output);
            }
            let next = head.next();
            let mut writes = step.batch.into_writes(at.rng);
            writes.push(next.write(&self.keys, at.rng));
            match self.store.commit(Some(&sealed), &writes) {
                Ok(()) => {
                    state.revision = next.revision;
                    return Ok(output);
                }
                Err(StoreFault::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreFault::Conflict.into())
    }
}

/// Says nothing of keys or peers.
impl std::fmt::Debug for Pairwise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pairwise").field("was_rolled_back", &self.was_rolled_back).finish_non_exhaustive()
    }
}

struct OneStep<'a> {
    batch: Batch<'a>,
    era: u64,
}

impl OneStep<'_> {
    fn sessions(&self, peer_id: &str) -> Result<Archive, PairwiseError> {
        sessions::load(&self.batch, peer_id, self.era)
    }

    fn store_change(&mut self, peer_id: &str, change: &rcseal_signal::ArchiveChange) -> Result<(), PairwiseError> {
        sessions::store(&mut self.batch, peer_id, self.era, change)
    }
}

/// A peer whose identity is fixed.
#[derive(Clone, Copy)]
struct KnownPeer {
    card: Card,
    is_verified: bool,
}

fn load_peer(batch: &Batch<'_>, peer_id: &str) -> Result<Option<KnownPeer>, PairwiseError> {
    let Some(row) = batch.get(&peer_name(peer_id))? else { return Ok(None) };
    let (card, rest) = row.split_first_chunk::<CARD_LEN>().ok_or(PairwiseError::Damaged)?;
    let card = Card::parse(card).map_err(|_| PairwiseError::Damaged)?;
    match rest {
        [verified @ (0 | 1)] => Ok(Some(KnownPeer { card, is_verified: *verified == 1 })),
        _ => Err(PairwiseError::Damaged),
    }
}

fn store_peer(batch: &mut Batch<'_>, peer_id: &str, peer: &KnownPeer) {
    batch.put(peer_name(peer_id), &[&peer.card.to_bytes()[..], &[u8::from(peer.is_verified)]].concat());
}

fn peer_name(peer_id: &str) -> Vec<u8> {
    name("peer", &[peer_id.as_bytes()])
}

const fn check_peer_id(peer_id: &str) -> Result<(), PairwiseError> {
    if peer_id.is_empty() || peer_id.len() > PEER_ID_LEN_MAX { Err(PairwiseError::PeerId) } else { Ok(()) }
}

/// An initiation that was not answered for so long that its prekeys are probably gone: the next bundle begins another one.
fn is_stale(archive: &Archive, at: &mut Moment<'_>) -> bool {
    match archive.active() {
        Some(session) if session.role() == Role::Initiator && !session.has_received() => matches!(
            archive.encrypt(at.rng, at.now_s, UNANSWERED_AGE_MAX, b""),
            Err(ArchiveEncryptError::Unanswered { .. })
        ),
        _ => false,
    }
}
