//! A carrier between phone numbers, in this process.
//!
//! Members are ways into it: a phone whose stack is lent to our client ([`SimCarrier::attach`] gives the transport), or a phone with
//! standard messaging and nothing of ours ([`SimCarrier::attach_standard`]). What passes between them is whole CPIM messages, and the
//! carrier does to them what its profile says (`data/carriers.toml`). It keeps a record of everything that it saw, before and after
//! ([`Seen`]), and tells whoever subscribed.
//!
//! Randomness comes from the seed it is made with. Time is the runtime's, in delays of some hundred milliseconds at most.
//!
//! | file | what |
//! |---|---|
//! | `route.rs` | what is to happen with a message, by the profile |
//! | `mangle.rs`, `wrapper.rs` | what is done to its bytes |
//! | `record.rs` | what was seen, and what could be read in it |
//! | `phone.rs` | a phone with standard messaging |
//! | `core.rs` | a SIP trunk to a broker, for numbers that have no phone here |

mod core;
mod mangle;
mod phone;
mod record;
mod route;
mod wrapper;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcseal_carrier::host::{HostCallbacks, HostConfig, HostStack};
use rcseal_carrier::transport::{Answer, CarrierCapabilities};
use rcseal_client::client::CarrierOptions;
use rcseal_client::{Client, ClientError};
use rcseal_rcs::chat;
use rcseal_rcs::feature::FeatureTags;
use rcseal_rcs::frame::FRAME_VERSION;
use rcseal_rcs::imdn::{Kind, Notification};
use rcseal_rcs::number::PhoneNumber;
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::transport::{
    Carriage, CarrierMessage, CarrierMessageId, ReceiptRequest, SendFailure, Sender, Taken, TransportProfile,
};
use tokio::sync::{broadcast, oneshot};
use tokio::time::{Instant, timeout};

pub use self::core::{CORE_NUMBER, Core};
pub use self::mangle::{CPIM, Passing};
pub use self::phone::{Shown, StandardPhone, standard_tags};
pub use self::record::{Origin, Seen, readings, shows};
use self::route::{Plan, Told, plan};
use self::wrapper::Wrapper;
use crate::data::{Capabilities, CarrierProfile, Step};

/// The domain of every simulated carrier.
pub const DOMAIN: &str = "carrier.example";

/// Messages that a subscriber may be behind.
const BEHIND_MAX: usize = 1024;

/// How long our stacks wait for the carrier's answer: a SIP transaction in a carrier whose delays are a hundredth of a real one's.
const CALLBACK_PATIENCE: Duration = Duration::from_secs(30);

/// How long the carrier waits between two tries to deliver what it keeps, and how often it tries.
const RETRY: Duration = Duration::from_millis(100);
const RETRIES_MAX: usize = 50;

/// A way to a member.
enum Member {
    /// A stack that our client has. The carrier does not keep it alive.
    Ours { stack: Weak<HostStack>, tags: FeatureTags },
    /// A phone with standard messaging.
    Standard { phone: Arc<StandardPhone>, tags: FeatureTags },
    /// A number that a broker serves.
    Trunk { core: Weak<Core>, tags: FeatureTags },
}

/// A member that is there, to talk to outside the lock.
enum Present {
    Ours(Arc<HostStack>),
    Standard(Arc<StandardPhone>),
    Trunk(Arc<Core>),
}

#[derive(Default)]
struct Members {
    by_number: HashMap<PhoneNumber, Member>,
    /// Members that are switched off.
    away: Vec<PhoneNumber>,
    /// What is kept for members that are not there.
    kept: Vec<(PhoneNumber, Passing)>,
}

/// A message that may be overtaken: it leaves when this is dropped or used.
struct Overtaken {
    to: PhoneNumber,
    go: oneshot::Sender<()>,
}

/// A carrier.
pub struct SimCarrier {
    profile: CarrierProfile,
    began: Instant,
    members: Mutex<Members>,
    record: Mutex<Vec<Arc<Seen>>>,
    /// What phones handed in, from the moment they did: the record has it only once it has passed.
    handed_in: Mutex<Vec<Passing>>,
    rng: Mutex<StdRng>,
    overtaken: Mutex<Vec<Overtaken>>,
    told: broadcast::Sender<Arc<Seen>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tags of a phone that our client runs on.
#[must_use]
pub fn our_tags() -> FeatureTags {
    FeatureTags { frame_version: Some(FRAME_VERSION), ..standard_tags() }
}

impl SimCarrier {
    /// A carrier that does what the profile says.
    #[must_use]
    pub fn new(profile: CarrierProfile, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            profile,
            began: Instant::now(),
            members: Mutex::default(),
            record: Mutex::default(),
            handed_in: Mutex::default(),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            overtaken: Mutex::default(),
            told: broadcast::Sender::new(BEHIND_MAX),
        })
    }

    /// What it does.
    #[must_use]
    pub fn profile(&self) -> &CarrierProfile {
        &self.profile
    }

    /// A phone joins whose stack is lent to our client. Joining again under the same number replaces the phone.
    #[must_use]
    pub fn attach(self: &Arc<Self>, own: &PhoneNumber) -> Arc<HostStack> {
        self.attach_with(own, TransportProfile::from(&self.profile.transport), our_tags())
    }

    /// A phone joins and its client is lent its stack. The answer is to be kept: a carrier does not keep its members' stacks.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn lend(self: &Arc<Self>, own: &PhoneNumber, client: &Client) -> Result<Arc<HostStack>, ClientError> {
        let stack = self.attach(own);
        let patience = Duration::from_millis(self.profile.patience_ms);
        let options = CarrierOptions { patience, ..CarrierOptions::new(own.clone()) };
        client.attach_transport(options, Arc::clone(&stack) as _).await?;
        Ok(stack)
    }

    /// The same as [`SimCarrier::attach`] with a transport and tags of one's own choice.
    #[must_use]
    pub fn attach_with(
        self: &Arc<Self>,
        own: &PhoneNumber,
        profile: TransportProfile,
        tags: FeatureTags,
    ) -> Arc<HostStack> {
        let link = Arc::new(Link { carrier: Arc::clone(self), own: own.clone() });
        let config = HostConfig { callback_patience: CALLBACK_PATIENCE, ..HostConfig::new(own.clone(), profile) };
        let stack = HostStack::new(config, link);
        let member = Member::Ours { stack: Arc::downgrade(&stack), tags };
        lock(&self.members).by_number.insert(own.clone(), member);
        stack
    }

    /// A phone joins that has standard messaging and nothing of ours.
    #[must_use]
    pub fn attach_standard(self: &Arc<Self>, own: &PhoneNumber) -> Arc<StandardPhone> {
        let phone = StandardPhone::new(own.clone(), Arc::downgrade(self));
        let member = Member::Standard { phone: Arc::clone(&phone), tags: standard_tags() };
        lock(&self.members).by_number.insert(own.clone(), member);
        phone
    }

    /// A number joins that is served behind a trunk. The carrier does not keep the core.
    fn attach_core(&self, own: &PhoneNumber, core: &Arc<Core>) {
        let member = Member::Trunk { core: Arc::downgrade(core), tags: our_tags() };
        lock(&self.members).by_number.insert(own.clone(), member);
    }

    /// A phone is switched off, or on again; then it gets what was kept for it.
    pub fn set_online(self: &Arc<Self>, number: &PhoneNumber, is_online: bool) {
        let kept = {
            let mut members = lock(&self.members);
            members.away.retain(|away| away != number);
            if !is_online {
                members.away.push(number.clone());
                return;
            }
            let (theirs, others) = members.kept.drain(..).partition(|(to, _)| to == number);
            members.kept = others;
            theirs
        };
        let kept: Vec<(PhoneNumber, Passing)> = kept;
        for (to, passing) in kept {
            self.deliver_later(to, passing, Duration::ZERO, true);
        }
    }

    /// Everything that passed so far.
    #[must_use]
    pub fn record(&self) -> Vec<Arc<Seen>> {
        lock(&self.record).clone()
    }

    /// Every message from now on, right after it passed. Who reads too slowly misses some; [`SimCarrier::record`] has them all.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Seen>> {
        self.told.subscribe()
    }

    /// Whether the carrier could have read these words in anything that a phone handed in.
    #[must_use]
    pub fn could_read(&self, words: &[u8]) -> bool {
        lock(&self.handed_in).iter().any(|passing| shows(passing, words))
    }

    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Carries a message of a member's.
    async fn carry(
        self: &Arc<Self>,
        from: &PhoneNumber,
        to: &PhoneNumber,
        cpim: Vec<u8>,
    ) -> Result<Taken, SendFailure> {
        let handed_in = Passing::cpim(Sender::Asserted(from.clone()), cpim);
        let count = {
            let mut all = lock(&self.handed_in);
            all.push(handed_in.clone());
            u64::try_from(all.len()).unwrap_or(u64::MAX)
        };
        let plan = plan(&self.profile.steps, handed_in.clone(), count, &mut lock(&self.rng));
        let passed_on: Vec<Passing> =
            plan.at_once.iter().chain(plan.later.iter().map(|later| &later.passing)).cloned().collect();
        let (forged, injected) = (plan.forged_receipts, plan.injected.clone());
        let (told, is_silent) = self.carry_out(plan, to).await;
        self.note(Origin::Phone, from, to, handed_in.clone(), passed_on, told.clone());
        if forged {
            self.forge_receipts(from, to, &handed_in);
        }
        for text in injected {
            self.inject(from, to, &text);
        }
        if is_silent {
            // The stack's own patience ends this: the answer is that there was none.
            return Err(SendFailure::NoAnswer);
        }
        told
    }

    /// Lets happen what was planned; answers what the sender is told, and whether it is told nothing.
    async fn carry_out(self: &Arc<Self>, plan: Plan, to: &PhoneNumber) -> (Result<Taken, SendFailure>, bool) {
        for later in plan.later {
            self.deliver_later(to.clone(), later.passing, later.after, plan.is_kept);
        }
        let truth = match plan.overtaken {
            Some(wait) => {
                self.let_overtake(to, plan.at_once, wait);
                Ok(Taken::Answered)
            }
            None => {
                let mut truth = Ok(Taken::Answered);
                for passing in plan.at_once {
                    truth = self.deliver(to, &passing).await;
                }
                self.release_overtaken(to);
                truth
            }
        };
        match plan.told {
            Told::TheTruth => (truth, false),
            Told::Said(told) => (told, false),
            Told::Nothing => (Err(SendFailure::NoAnswer), true),
        }
    }

    fn note(
        &self,
        origin: Origin,
        from: &PhoneNumber,
        to: &PhoneNumber,
        handed_in: Passing,
        passed_on: Vec<Passing>,
        told: Result<Taken, SendFailure>,
    ) {
        let seen = {
            let mut record = lock(&self.record);
            let number = u64::try_from(record.len()).unwrap_or(u64::MAX).saturating_add(1);
            let (from, to) = (from.clone(), to.clone());
            let seen =
                Arc::new(Seen { number, at: self.began.elapsed(), origin, from, to, handed_in, passed_on, told });
            record.push(Arc::clone(&seen));
            seen
        };
        // Nobody has to listen.
        let _ = self.told.send(seen);
    }

    fn present(&self, number: &PhoneNumber) -> Option<Present> {
        let members = lock(&self.members);
        if members.away.contains(number) {
            return None;
        }
        match members.by_number.get(number)? {
            Member::Ours { stack, .. } => stack.upgrade().map(Present::Ours),
            Member::Standard { phone, .. } => Some(Present::Standard(Arc::clone(phone))),
            Member::Trunk { core, .. } => core.upgrade().map(Present::Trunk),
        }
    }

    /// Brings a message to a phone and says what the phone answered.
    async fn deliver(&self, to: &PhoneNumber, passing: &Passing) -> Result<Taken, SendFailure> {
        let present = self.present(to).ok_or(SendFailure::NotFound)?;
        let Passing { from, content_type, content_encoding, body } = passing.clone();
        let answer = match present {
            Present::Trunk(core) => return core.bring(to, passing.clone()).await,
            Present::Ours(stack) => stack.deliver(from, content_type, content_encoding, body).await,
            Present::Standard(phone) => phone.take(&from, &content_type, content_encoding.as_deref(), &body),
        };
        match answer {
            Answer::Accepted => Ok(Taken::Answered),
            Answer::UnsupportedMedia => Err(SendFailure::UnsupportedMedia),
            Answer::TooLarge => Err(SendFailure::TooLarge),
            Answer::TryLater => Err(SendFailure::Busy { retry_after: None }),
            Answer::NotFound => Err(SendFailure::NotFound),
            Answer::Malformed => Err(SendFailure::Refused { status: 400 }),
        }
    }

    /// Delivers later. What is kept is tried again while the phone is busy, and lies there while it is away.
    fn deliver_later(self: &Arc<Self>, to: PhoneNumber, passing: Passing, after: Duration, is_kept: bool) {
        let carrier = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            for _ in 0..RETRIES_MAX {
                let Some(carrier) = carrier.upgrade() else { return };
                match carrier.deliver(&to, &passing).await {
                    Err(SendFailure::NotFound) if is_kept => {
                        return lock(&carrier.members).kept.push((to, passing));
                    }
                    Err(SendFailure::Busy { .. }) if is_kept => {}
                    _ => return,
                }
                drop(carrier);
                tokio::time::sleep(RETRY).await;
            }
        });
    }

    /// Messages that leave once another one to the same phone has, or after a while.
    fn let_overtake(self: &Arc<Self>, to: &PhoneNumber, messages: Vec<Passing>, wait: Duration) {
        let (go, gone) = oneshot::channel();
        lock(&self.overtaken).push(Overtaken { to: to.clone(), go });
        let (carrier, to) = (Arc::downgrade(self), to.clone());
        tokio::spawn(async move {
            // Told to go, not told any more, or tired of waiting: it leaves in each case.
            let _ = timeout(wait, gone).await;
            for passing in messages {
                let Some(carrier) = carrier.upgrade() else { return };
                let _ = carrier.deliver(&to, &passing).await;
            }
        });
    }

    fn release_overtaken(&self, to: &PhoneNumber) {
        let waiting = std::mem::take(&mut *lock(&self.overtaken));
        let (theirs, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|waiting| waiting.to == *to);
        lock(&self.overtaken).extend(others);
        for waiting in theirs {
            let _ = waiting.go.send(());
        }
    }

    /// Tells a sender what nobody said.
    fn forge_receipts(self: &Arc<Self>, sender: &PhoneNumber, to: &PhoneNumber, handed_in: &Passing) {
        let id =
            Wrapper::read(&handed_in.body).and_then(|wrapper| CarrierMessageId::parse(wrapper.header("Message-ID")?));
        let Some(id) = id else { return };
        for kind in [Kind::Delivered, Kind::Displayed] {
            let receipt = chat::receipt(&Notification::new(id.clone(), kind), sender.clone(), self.forged_id());
            self.make_up(to, sender, &receipt);
        }
    }

    /// Puts a readable message between those of a phone.
    fn inject(self: &Arc<Self>, from: &PhoneNumber, to: &PhoneNumber, text: &str) {
        let carriage = Carriage::Verbatim {
            headers: Vec::new(),
            content_type: chat::TEXT_CONTENT_TYPE.to_owned(),
            body: text.as_bytes().to_vec(),
        };
        let receipts = ReceiptRequest::default();
        self.make_up(from, to, &CarrierMessage { to: to.clone(), id: self.forged_id(), receipts, carriage });
    }

    fn forged_id(&self) -> CarrierMessageId {
        let mut random = [0; 16];
        rand::Rng::fill_bytes(&mut *lock(&self.rng), &mut random);
        CarrierMessageId::from_random(random)
    }

    fn make_up(self: &Arc<Self>, from: &PhoneNumber, to: &PhoneNumber, message: &CarrierMessage) {
        let Ok(domain) = DOMAIN.parse() else { return };
        let Ok(cpim) = chat::wrap(message, from, &domain, Timestamp::from_millis(self.now_ms())) else { return };
        let passing = Passing::cpim(Sender::Asserted(from.clone()), cpim);
        self.note(Origin::Carrier, from, to, passing.clone(), vec![passing.clone()], Ok(Taken::Answered));
        self.deliver_later(to.clone(), passing, Duration::ZERO, false);
    }

    /// What is said of a phone.
    fn capabilities(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        let tags = {
            let members = lock(&self.members);
            let is_away = members.away.contains(of);
            members.by_number.get(of).filter(|_| !is_away).map(|member| match member {
                Member::Ours { tags, .. } | Member::Standard { tags, .. } | Member::Trunk { tags, .. } => tags.clone(),
            })
        };
        let contacts = |tags: &FeatureTags| Ok(CarrierCapabilities { contacts: vec![tags.to_params()] });
        match self.profile.capabilities {
            Capabilities::NotFound => Err(SendFailure::NotFound),
            Capabilities::NoAnswer => Err(SendFailure::NoAnswer),
            Capabilities::Forged => contacts(&our_tags()),
            Capabilities::WithoutTags => {
                tags.ok_or(SendFailure::NotFound).map(|_| CarrierCapabilities { contacts: vec![Vec::new()] })
            }
            Capabilities::AsTheyAre => contacts(&tags.ok_or(SendFailure::NotFound)?),
        }
    }

    /// Whether it keeps messages for phones that are switched off.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.profile.steps.iter().any(|step| matches!(step, Step::Store { .. }))
    }
}

impl std::fmt::Debug for SimCarrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimCarrier").field("profile", &self.profile.name).finish_non_exhaustive()
    }
}

/// A member's own way in.
struct Link {
    carrier: Arc<SimCarrier>,
    own: PhoneNumber,
}

#[async_trait]
impl HostCallbacks for Link {
    async fn send_cpim(&self, to: &PhoneNumber, cpim: Vec<u8>) -> Result<Taken, SendFailure> {
        if lock(&self.carrier.members).away.contains(&self.own) {
            return Err(SendFailure::Unreachable);
        }
        self.carrier.carry(&self.own, to, cpim).await
    }

    async fn query_capabilities(&self, of: &PhoneNumber) -> Result<CarrierCapabilities, SendFailure> {
        self.carrier.capabilities(of)
    }
}
