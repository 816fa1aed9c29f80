//! The cells of the matrix: which runs there are, and which combinations are the same run.
//!
//! A combination is a mode, a carrier, a pair of platforms and a state. Many are the same run as another one: where nothing goes by the
//! carrier, it does not matter which it is. Such combinations are named under the run that stands for them, and never run or counted as
//! if they had been runs of their own.

use std::collections::BTreeMap;

use crate::data::{Capabilities, CarrierProfile, Event, FallbackWord, Platform, RcsAccess, State, Step, World};

/// The route that the users prefer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// By the carrier, where that can be.
    Native,
    /// By the relay.
    Relayed,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Native, Self::Relayed];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Relayed => "relayed",
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

    /// Whether the near phone has a way into the carrier.
    #[must_use]
    pub fn near_has_rcs(&self) -> bool {
        self.near.rcs == RcsAccess::HostStack
    }

    /// Whether both phones have a way into the carrier and take frames.
    #[must_use]
    pub fn is_native_possible(&self) -> bool {
        self.near_has_rcs() && self.far.rcs == RcsAccess::HostStack && self.has_client && self.has_frames
    }

    /// Whether messages are to go by the carrier as ciphertext.
    #[must_use]
    pub fn wants_native(&self) -> bool {
        self.mode == Mode::Native && self.is_native_possible()
    }

    /// Whether readable messages may go by the carrier.
    #[must_use]
    pub fn may_be_readable(&self) -> bool {
        let is_asked_for = !self.has_client || (self.state.is_acknowledged && self.is_native_possible());
        is_asked_for && self.state.has_consent && self.near_has_rcs()
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

fn difference(cell: &Cell) -> Difference {
    // What stays end to end although less would be allowed is the run without that leave.
    let passes = (cell.wants_native() && !cell.is_downgradable()) || cell.may_be_readable();
    // A client that may send by the carrier asks it about the far number, and the answers differ.
    let is_asked = cell.near_has_rcs() && (cell.mode == Mode::Native || !cell.has_client);
    Difference {
        // Without a client at the far end there is no choice between ways that nobody else can read.
        mode: cell.has_client.then_some(cell.mode),
        carrier: passes.then(|| cell.carrier.name.clone()),
        capabilities: is_asked.then(|| capabilities_name(cell.carrier.capabilities)),
        near: cell.near.name.clone(),
        // Without a client of ours the far phone is its messaging app, whatever the platform.
        far: cell.has_client.then(|| cell.far.name.clone()),
        state: cell.state.name.clone(),
    }
}

/// Every run, in the order of the files, with how many combinations each stands for.
#[must_use]
pub fn cells(world: &World) -> Vec<Cell> {
    let mut runs: Vec<Cell> = Vec::new();
    let mut known: BTreeMap<Difference, usize> = BTreeMap::new();
    for mode in Mode::ALL {
        for state in &world.states {
            let Some(version) = world.version_of(state) else { continue };
            for near in &world.platforms {
                for far in &world.platforms {
                    for carrier in &world.carriers {
                        let cell = Cell {
                            mode,
                            carrier: carrier.clone(),
                            near: near.clone(),
                            far: far.clone(),
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
        (Mode::Native, None, true) if cell.is_downgradable() => cell.wants_native() && is_among(&["clean"]),
        (Mode::Native, None, true) if cell.wants_native() => {
            is_among(&["clean", "strip_headers", "quote_and_wrap", "truncate", "lying_receipts", "store_and_forward"])
                || is_among(&["unsupported_media", "inject_plaintext"])
        }
        (Mode::Native, Some(Event::Offline | Event::Reinstalled), true) => cell.wants_native() && is_among(&["clean"]),
        (Mode::Native, None, true) => cell.far.name == "ios" && is_among(&["clean"]),
        (Mode::Relayed, None, true) => cell.near.name == "ios" && cell.far.name == "android_oem",
        (Mode::Native, _, false) => cell.near_has_rcs() && is_among(&["clean"]),
        (Mode::Relayed, _, _) => false,
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
