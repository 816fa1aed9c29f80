//! The cells of the matrix: which runs there are, and which combinations are the same run.
//!
//! A combination is a mode, a carrier, a pair of platforms and a state. Many are the same run as another one: where nothing goes by the
//! carrier, it does not matter which it is. Such combinations are named under the run that stands for them, and never run or counted as
//! if they had been runs of their own.

use std::collections::BTreeMap;

use crate::data::{
    Background, Capabilities, CarrierProfile, Event, FallbackWord, Platform, RcsAccess, State, Step, World,
};

/// The route that the users prefer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// By the carrier, where that can be.
    Native,
    /// By the relay.
    Relayed,
    /// By the carrier, where a phone that has no way into it has its number at a broker.
    Brokered,
    /// By the relay, and by the user's leave as words that its operator can read with a key in a hardware module.
    ServerEncrypted,
    /// By the relay, and by the user's leave as a short message.
    Sms,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Native, Self::Relayed, Self::Brokered, Self::ServerEncrypted, Self::Sms];

    /// Whether no carrier's RCS has anything to do with it.
    #[must_use]
    pub const fn is_off_carrier(self) -> bool {
        matches!(self, Self::ServerEncrypted | Self::Sms)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Relayed => "relayed",
            Self::Brokered => "brokered",
            Self::ServerEncrypted => "server_encrypted",
            Self::Sms => "sms",
        }
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The preferred route.
    pub mode: Mode,
    /// The carrier between the phones.
    pub carrier: CarrierProfile,
    /// The phone that the story is told from.
    pub near: Platform,
    /// The other one.
    pub far: Platform,
    /// What is the matter with the other one.
    pub state: State,
    /// What runs on the other one: whether a client of ours, and whether that takes frames.
    pub has_client: bool,
    /// See `has_client`.
    pub has_frames: bool,
    /// How many combinations are this run.
    pub stands_for: usize,
}

impl Cell {
    /// What reports call it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}/{}+{}/{}", self.mode.as_str(), self.carrier.name, self.near.name, self.far.name, self.state.name)
    }

    /// Whether a phone has a way into the carrier: its own, or a broker's.
    fn is_on_carrier(&self, phone: &Platform) -> bool {
        phone.rcs == RcsAccess::HostStack || self.mode == Mode::Brokered
    }

    /// Whether the near phone has a way into the carrier.
    #[must_use]
    pub fn near_is_on_carrier(&self) -> bool {
        self.is_on_carrier(&self.near)
    }

    /// Whether one of the phones needs a broker for that.
    #[must_use]
    pub fn needs_broker(&self) -> bool {
        let has_none = |phone: &Platform| phone.rcs == RcsAccess::None;
        self.mode == Mode::Brokered && (has_none(&self.near) || (self.has_client && has_none(&self.far)))
    }

    /// Whether both phones have a way into the carrier and take frames.
    #[must_use]
    pub fn is_carrier_possible(&self) -> bool {
        self.near_is_on_carrier() && self.is_on_carrier(&self.far) && self.has_client && self.has_frames
    }

    /// Whether messages are to go by the carrier as ciphertext.
    #[must_use]
    pub fn wants_carrier(&self) -> bool {
        matches!(self.mode, Mode::Native | Mode::Brokered) && self.is_carrier_possible()
    }

    /// Whether readable messages may go by the carrier's RCS.
    #[must_use]
    pub fn may_be_readable(&self) -> bool {
        if self.mode.is_off_carrier() {
            return false;
        }
        let is_asked_for = !self.has_client || (self.state.is_acknowledged && self.is_carrier_possible());
        is_asked_for && self.state.has_consent && self.near_is_on_carrier()
    }

    /// Whether policy and consent would let a conversation between two clients go readable, if its user said so.
    #[must_use]
    pub fn is_downgradable(&self) -> bool {
        self.has_client && self.state.policy == FallbackWord::Downgrade
    }
}

/// What of a combination can make a difference to its run; combinations that agree in it are one run.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    mode: Option<Mode>,
    carrier: Option<String>,
    capabilities: Option<&'static str>,
    near: String,
    far: Option<String>,
    state: String,
}

const fn capabilities_name(capabilities: Capabilities) -> &'static str {
    match capabilities {
        Capabilities::AsTheyAre => "as_they_are",
        Capabilities::WithoutTags => "without_tags",
        Capabilities::NotFound => "not_found",
        Capabilities::NoAnswer => "no_answer",
        Capabilities::Forged => "forged",
    }
}

/// What of a platform makes a difference. Behind a broker all that have no way of their own into the carrier are alike: suspended apps,
/// which a push wakes. Where no carrier's RCS has anything to do with it, there are apps that run and apps that a push wakes.
fn kind_of(mode: Mode, platform: &Platform) -> String {
    match (mode.is_off_carrier(), platform.background) {
        (true, Background::Runs) => "that_runs".to_owned(),
        (true, Background::Suspended) => "suspended".to_owned(),
        (false, _) if mode == Mode::Brokered && platform.rcs == RcsAccess::None => "without_a_way".to_owned(),
        (false, _) => platform.name.clone(),
    }
}

/// What of a state makes a difference to a mode without a carrier's RCS: not whether there are frames, which only carriers carry.
fn kind_of_state(cell: &Cell) -> String {
    let State { event, policy, is_attested, has_consent, is_acknowledged, .. } = &cell.state;
    format!("{} {event:?} {policy:?} {is_attested} {has_consent} {is_acknowledged}", cell.has_client)
}

/// The same for the modes that have nothing to do with a carrier's RCS: all carriers are one run, and so are all phones of one kind.
fn difference_off_carrier(cell: &Cell) -> Difference {
    Difference {
        mode: Some(cell.mode),
        carrier: None,
        capabilities: None,
        near: kind_of(cell.mode, &cell.near),
        far: cell.has_client.then(|| kind_of(cell.mode, &cell.far)),
        state: kind_of_state(cell),
    }
}

fn difference(cell: &Cell) -> Difference {
    match (cell.mode, cell.has_client) {
        // A server keeps nothing for somebody who has no account: what is left is the run by the carrier.
        (Mode::ServerEncrypted, false) => return difference(&Cell { mode: Mode::Native, ..cell.clone() }),
        (Mode::ServerEncrypted | Mode::Sms, _) => return difference_off_carrier(cell),
        (Mode::Native | Mode::Relayed | Mode::Brokered, _) => {}
    }
    // What stays end to end although less would be allowed is the run without that leave.
    let passes = (cell.wants_carrier() && !cell.is_downgradable()) || cell.may_be_readable();
    // A client that may send by its own way into the carrier asks it about the far number, and the answers differ.
    let is_asked = cell.near.rcs == RcsAccess::HostStack && (cell.mode != Mode::Relayed || !cell.has_client);
    // Where both have their own way into the carrier, or nothing of ours is at one end and a way at the other, nobody needs a broker.
    let mode = if cell.mode == Mode::Brokered && !cell.needs_broker() { Mode::Native } else { cell.mode };
    Difference {
        // Without a client at the far end there is no choice between ways that nobody else can read.
        mode: (cell.has_client || mode == Mode::Brokered).then_some(mode),
        carrier: passes.then(|| cell.carrier.name.clone()),
        capabilities: is_asked.then(|| capabilities_name(cell.carrier.capabilities)),
        near: kind_of(mode, &cell.near),
        // Without a client of ours the far phone is its messaging app, whatever the platform.
        far: cell.has_client.then(|| kind_of(mode, &cell.far)),
        state: cell.state.name.clone(),
    }
}

/// Every run, in the order of the files, with how many combinations each stands for.
#[must_use]
pub fn cells(world: &World) -> Vec<Cell> {
    let mut runs: Vec<Cell> = Vec::new();
    let mut known: BTreeMap<Difference, usize> = BTreeMap::new();
    for mode in Mode::ALL {
        // The last of those that are alike behind a broker, or without a carrier, stands for them: the phones for which those are.
        let mut platforms: Vec<&Platform> = world.platforms.iter().collect();
        if mode == Mode::Brokered || mode.is_off_carrier() {
            platforms.reverse();
        }
        for state in &world.states {
            let Some(version) = world.version_of(state) else { continue };
            for near in &platforms {
                for far in &platforms {
                    for carrier in &world.carriers {
                        let cell = Cell {
                            mode,
                            carrier: carrier.clone(),
                            near: Platform::clone(near),
                            far: Platform::clone(far),
                            state: state.clone(),
                            has_client: version.client,
                            has_frames: version.frames,
                            stands_for: 1,
                        };
                        match known.entry(difference(&cell)) {
                            std::collections::btree_map::Entry::Occupied(same) => runs[*same.get()].stands_for += 1,
                            std::collections::btree_map::Entry::Vacant(new) => {
                                new.insert(runs.len());
                                runs.push(cell);
                            }
                        }
                    }
                }
            }
        }
    }
    runs
}

/// The runs of a quick look: every kind of outcome once.
#[must_use]
pub fn is_in_smoke(cell: &Cell) -> bool {
    let is_among = |names: &[&str]| names.contains(&cell.carrier.name.as_str());
    match (cell.mode, cell.state.event, cell.has_client) {
        (Mode::Native, None, true) if cell.is_downgradable() => cell.wants_carrier() && is_among(&["clean"]),
        (Mode::Native, None, true) if cell.wants_carrier() => {
            is_among(&["clean", "strip_headers", "quote_and_wrap", "truncate", "lying_receipts", "store_and_forward"])
                || is_among(&["unsupported_media", "inject_plaintext"])
        }
        (Mode::Native, Some(Event::Offline | Event::Reinstalled), true) => cell.wants_carrier() && is_among(&["clean"]),
        (Mode::Native, None, true) => cell.far.name == "ios" && is_among(&["clean"]),
        (Mode::Relayed, None, true) => cell.near.name == "ios" && cell.far.name == "android_oem",
        (Mode::Native, _, false) => cell.near_is_on_carrier() && is_among(&["clean"]),
        (Mode::Brokered, None, true) => {
            let names = (cell.near.name.as_str(), cell.far.name.as_str());
            let plain = names == ("android_oem", "ios") && !cell.is_downgradable();
            plain && is_among(&["clean", "truncate", "duplicate", "blackhole"])
        }
        (Mode::Brokered, Some(Event::Reinstalled | Event::Offline), true) => {
            cell.near.name == "android_oem" && cell.far.name == "ios" && is_among(&["clean"])
        }
        (Mode::Brokered, _, false) => cell.may_be_readable() && cell.near.name == "ios" && is_among(&["clean"]),
        (Mode::ServerEncrypted | Mode::Sms, event, true) => {
            let is_pair = cell.near.name == "android_oem" && cell.far.name == "ios";
            let is_told_apart = cell.mode == Mode::ServerEncrypted && event == Some(Event::Reinstalled);
            is_pair && (event.is_none() || is_told_apart) && !cell.is_downgradable()
        }
        (Mode::Sms, _, false) => {
            cell.near.name == "ios" && ["legacy_block", "legacy_downgrade"].contains(&cell.state.name.as_str())
        }
        (Mode::Relayed | Mode::ServerEncrypted, _, _) => false,
    }
}

/// Whether words arrived: by a mark in them, or, over a carrier that rewrites words, by anything that is new.
pub(super) fn have_arrived<'a>(carrier: &CarrierProfile, new: impl IntoIterator<Item = &'a str>, mark: &str) -> bool {
    let is_rewriting = carrier.steps.iter().any(|step| {
        matches!(
            step,
            Step::CrlfToLf { .. }
                | Step::Surround { .. }
                | Step::QuoteAndWrap { .. }
                | Step::Typography { .. }
                | Step::Multipart { .. }
                | Step::Segment { .. }
                | Step::Truncate { .. }
                | Step::Corrupt { .. }
        )
    });
    new.into_iter().any(|words| is_rewriting || words.contains(mark))
}
