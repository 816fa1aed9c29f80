//! The native route: two phones on a carrier that a test plays, message by message.

mod bounds;
mod crash;
mod inbound;
mod receipts;
mod reference;
mod route;
mod trust;

use rcseal_rcs::chat;
use rcseal_rcs::frame::{self, Assembly, AssemblyLimits, Part, Progress};
use rcseal_rcs::number::{Domain, PhoneNumber};
use rcseal_rcs::stamp::Timestamp;
use rcseal_rcs::transport::{Carriage, CarrierMessage, Sender, Taken, TransportProfile};
use rcseal_wire::id::ConversationId;

use super::sessions::acquainted;
use super::world::{Phone, World, text};
use crate::carrier::{CarrierDisposition, CarrierSetup, PATIENCE_MS};
use crate::policy::{JournalEntry, RoutePreference, Subject};

pub(super) const ADA: &str = "+15552010001";
pub(super) const BOB: &str = "+15552010002";

/// A carrier that takes long bodies and hands them up as they are.
pub(super) fn wide() -> TransportProfile {
    TransportProfile {
        is_binary_safe: true,
        body_len_max: 64 * 1024,
        parts_max: 64,
        carries_headers: true,
        has_receipts: true,
    }
}

/// One with the bodies of pager mode.
pub(super) fn pager() -> TransportProfile {
    TransportProfile { body_len_max: 900, parts_max: 16, ..wide() }
}

pub(super) fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

/// Two phones that have written to each other, are on a carrier, know each other's numbers, and prefer it.
pub(super) struct Pair {
    pub(super) world: World,
    pub(super) ada: Phone,
    pub(super) bob: Phone,
    pub(super) conversation: ConversationId,
}

impl Pair {
    pub(super) fn new(profile: &TransportProfile) -> Self {
        let (mut world, mut ada, mut bob, conversation) = acquainted();
        world.send(&mut bob, conversation, text("hello yourself"));
        world.settle(&mut [&mut ada, &mut bob]);
        for (phone, own) in [(&mut ada, ADA), (&mut bob, BOB)] {
            let setup = CarrierSetup::new(number(own), profile.clone());
            phone.with(world.now, |engine| engine.set_carrier(Some(setup))).unwrap();
        }
        world.settle(&mut [&mut ada, &mut bob]);
        let accounts = [bob.address.account, ada.address.account];
        for (phone, peer, theirs) in [(&mut ada, accounts[0], BOB), (&mut bob, accounts[1], ADA)] {
            let (theirs, subject) = (number(theirs), Subject::Conversation(conversation));
            phone.with(world.now, |engine| engine.set_contact_number(peer, Some(&theirs))).unwrap();
            phone
                .with(world.now, |engine| engine.set_route_preference(Some(subject), Some(RoutePreference::Native)))
                .unwrap();
        }
        Self { world, ada, bob, conversation }
    }

    /// Ada writes, and her phone hands over what it does.
    pub(super) fn ada_writes(&mut self, words: &str) -> Vec<Handed> {
        self.world.send(&mut self.ada, self.conversation, text(words));
        self.hand_over()
    }

    /// What Ada's phone hands over now; the relay gets the rest.
    pub(super) fn hand_over(&mut self) -> Vec<Handed> {
        self.world.serve(&mut self.ada);
        let carried = self.world.carried.drain(..);
        carried.map(|(number, _, messages)| Handed { number, messages }).collect()
    }

    /// The carrier says that it took a hand-over.
    pub(super) fn taken(&mut self, handed: &Handed, taken: Taken) {
        let now = self.world.now;
        self.ada.with(now, |engine| engine.handle_carrier_outcome(handed.number, Ok(taken))).unwrap();
    }

    /// The carrier brings Bob a message as it was handed over.
    pub(super) fn bring(&mut self, message: &CarrierMessage) -> CarrierDisposition {
        self.bring_body("message/cpim", &wrapped(message))
    }

    /// The carrier brings Bob a body that it says is Ada's.
    pub(super) fn bring_body(&mut self, content_type: &str, body: &[u8]) -> CarrierDisposition {
        self.bring_from(&Sender::Asserted(number(ADA)), content_type, body)
    }

    pub(super) fn bring_from(&mut self, from: &Sender, content_type: &str, body: &[u8]) -> CarrierDisposition {
        let now = self.world.now;
        self.bob.with(now, |engine| engine.handle_carrier_message(from, content_type, None, body)).unwrap()
    }

    /// Receipts and everything else that the relay is for.
    pub(super) fn settle(&mut self) {
        self.world.settle(&mut [&mut self.ada, &mut self.bob]);
    }

    pub(super) fn patience_ends(&mut self) {
        self.world.now += PATIENCE_MS;
    }

    pub(super) fn journal(&mut self) -> Vec<JournalEntry> {
        self.ada.with(0, |engine| engine.journal(0, 100)).unwrap()
    }
}

/// One hand-over.
pub(super) struct Handed {
    pub(super) number: u64,
    pub(super) messages: Vec<CarrierMessage>,
}

impl Handed {
    /// The envelope that its frames hold.
    pub(super) fn envelope(&self) -> Vec<u8> {
        let mut assembly = Assembly::new(AssemblyLimits::default());
        for message in &self.messages {
            if let Progress::Complete(blob) = assembly.add(part(message), 0).unwrap() {
                return blob.bytes.into_owned();
            }
        }
        panic!("the frames are not whole")
    }
}

/// The part in a message.
pub(super) fn part(message: &CarrierMessage) -> Part<'static> {
    let Carriage::Framed { bytes, .. } = &message.carriage else { panic!("not a frame") };
    let found = frame::find(bytes);
    assert_eq!((found.parts.len(), found.damage.len()), (1, 0));
    found.parts.into_iter().next().unwrap().into_owned()
}

/// A message of Ada's as it goes over the carrier's wire.
pub(super) fn wrapped(message: &CarrierMessage) -> Vec<u8> {
    let domain: Domain = "ims.example".parse().unwrap();
    chat::wrap(message, &number(ADA), &domain, Timestamp::from_millis(1_700_000_000_000)).unwrap()
}
