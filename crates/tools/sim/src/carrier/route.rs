//! What becomes of one message: the carrier's steps carried out, in order, into what is delivered when and what the sender is told.
//!
//! Still no time and no tasks: [`plan`] says what is to happen, and [`super::SimCarrier`] lets it happen.

use std::time::Duration;

use rand::rngs::StdRng;
use rcseal_rcs::transport::{SendFailure, Taken};

use super::mangle::{Passing, mangle};
use crate::data::{DropAnswer, Step};

/// What the sender is told without asking the far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// What the far end answers.
    TheTruth,
    /// This.
    Said(Result<Taken, SendFailure>),
    /// Nothing.
    Nothing,
}

/// One delivery.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) after: Duration,
    pub(super) passing: Passing,
}

/// What is to happen with one message.
#[derive(Debug)]
pub(super) struct Plan {
    /// At once, in order. The far end's answer to the last of them is the truth.
    pub(super) at_once: Vec<Passing>,
    /// Later.
    pub(super) later: Vec<Delivery>,
    /// Whether `at_once` may be overtaken by the next message, and how long it waits for one.
    pub(super) overtaken: Option<Duration>,
    /// Whether it is kept while the far end is not there.
    pub(super) is_kept: bool,
    pub(super) told: Told,
    /// Whether the sender gets receipts that nobody wrote.
    pub(super) forged_receipts: bool,
    /// Readable messages of the carrier's own, under the sender's number.
    pub(super) injected: Vec<String>,
}

/// A final answer as a stack reports it.
pub(super) fn refusal(status: u16) -> SendFailure {
    match status {
        401 | 407 => SendFailure::Unauthorized,
        415 | 488 => SendFailure::UnsupportedMedia,
        404 | 410 | 480 | 604 => SendFailure::NotFound,
        413 | 513 => SendFailure::TooLarge,
        503 | 486 | 600 => SendFailure::Busy { retry_after: None },
        status => SendFailure::Refused { status },
    }
}

/// Carries out the steps. `count` is the number of the message at this carrier.
pub(super) fn plan(steps: &[Step], message: Passing, count: u64, rng: &mut StdRng) -> Plan {
    let whole_len = message.body.len();
    let inner_type = message.inner_type();
    let mut plan = Plan {
        at_once: vec![message],
        later: Vec::new(),
        overtaken: None,
        is_kept: false,
        told: Told::TheTruth,
        forged_receipts: false,
        injected: Vec::new(),
    };
    let (mut hold, mut repeat) = (None, None);
    for step in steps {
        match step {
            Step::Refuse { status } => plan.refuse(*status),
            Step::RefuseAbove { bytes, status } if whole_len > *bytes => plan.refuse(*status),
            Step::RefuseTypes { accept, status } if !is_among(accept, &inner_type) => plan.refuse(*status),
            Step::Drop { answer } => plan.drop_it(*answer),
            Step::DropAbove { bytes, answer } if whole_len > *bytes => plan.drop_it(*answer),
            Step::Store { hold_ms } => {
                hold = Some(Duration::from_millis(*hold_ms));
                plan.is_kept = true;
                plan.told = Told::Said(Ok(Taken::Stored));
            }
            Step::Late { hold_ms } => {
                hold = Some(Duration::from_millis(*hold_ms));
                plan.told = Told::Nothing;
            }
            Step::RepeatLater { hold_ms } => repeat = Some(Duration::from_millis(*hold_ms)),
            Step::Reorder { hold_ms } if count.is_multiple_of(2) => {
                plan.overtaken = Some(Duration::from_millis(*hold_ms));
                plan.told = Told::Said(Ok(Taken::Answered));
            }
            Step::ForgeReceipts => plan.forged_receipts = true,
            Step::Inject { text } => plan.injected.push(text.clone()),
            _ => {
                let now = std::mem::take(&mut plan.at_once);
                plan.at_once = now.into_iter().flat_map(|passing| mangle(step, passing, rng)).collect();
            }
        }
    }
    if let Some(after) = repeat {
        plan.later.extend(plan.at_once.iter().map(|passing| Delivery { after, passing: passing.clone() }));
    }
    if let Some(after) = hold {
        let held = std::mem::take(&mut plan.at_once);
        plan.later.extend(held.into_iter().map(|passing| Delivery { after, passing }));
    }
    plan
}

impl Plan {
    fn refuse(&mut self, status: u16) {
        self.at_once.clear();
        self.told = Told::Said(Err(refusal(status)));
    }

    fn drop_it(&mut self, answer: DropAnswer) {
        self.at_once.clear();
        self.told = match answer {
            DropAnswer::Ok => Told::Said(Ok(Taken::Answered)),
            DropAnswer::Nothing => Told::Nothing,
        };
    }
}

fn is_among(types: &[String], of: &str) -> bool {
    let essence = of.split(';').next().unwrap_or_default().trim();
    types.iter().any(|known| known.eq_ignore_ascii_case(essence))
}
