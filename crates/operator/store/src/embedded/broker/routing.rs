//! Looking numbers up for messages that pass through, many at a time.
//!
//! A look-up is a few searches in memory, and handing it to a thread and back costs more than that. So whoever asks while a read is on its way
//! is answered by the next one, which reads for all that wait by then. Every answer is read after its question was put: nobody is answered
//! with what was true before.

use std::sync::{Arc, Mutex, PoisonError};

use rcseal_wire::id::DeviceAddress;
use rcseal_wire::number::E164;
use tokio::sync::oneshot;

use super::super::FjallStore;
use super::super::engine::Engine;
use super::forward::{NAME, SPACE};
use super::{enrolment, number, rows};
use crate::StoreError;
use crate::broker::forward::BoundNumber;

/// Look-ups of one read: a moment's work, so that none waits long for the others.
const TOGETHER_MAX: usize = 256;

type Answer = Result<Option<BoundNumber>, StoreError>;

/// What waits for the next read.
#[derive(Default)]
struct Waiting {
    asked: Vec<(E164, oneshot::Sender<Answer>)>,
    is_reading: bool,
}

/// Look-ups that wait for each other.
#[derive(Clone, Default)]
pub(super) struct Routing(Arc<Mutex<Waiting>>);

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Routing")
    }
}

impl Routing {
    /// The number with its device.
    pub(super) async fn ask(&self, store: &FjallStore, number: E164) -> Answer {
        let (reply, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = self.lock();
            waiting.asked.push((number, reply));
            !std::mem::replace(&mut waiting.is_reading, true)
        };
        if is_first {
            // It belongs to all who wait, so that it goes on when the first of them does not wait any more.
            tokio::spawn(self.clone().read_all(store.clone()));
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_all(self, store: FjallStore) {
        let mut reading = Reading { routing: self, is_over: false };
        loop {
            let asked = {
                let mut waiting = reading.routing.lock();
                let len = waiting.asked.len().min(TOGETHER_MAX);
                if len == 0 {
                    waiting.is_reading = false;
                    reading.is_over = true;
                    return;
                }
                waiting.asked.drain(..len).collect::<Vec<_>>()
            };
            // Where the read itself fails the questions are dropped, and whoever put them hears that the store is closed.
            let _ = store
                .read(move |engine| {
                    for (number, reply) in asked {
                        // Nobody may wait any more.
                        let _ = reply.send(bound_number(engine, &number));
                    }
                    Ok(())
                })
                .await;
        }
    }
}

/// Somebody who reads. Should its runtime end under it, nobody is left waiting for it.
struct Reading {
    routing: Routing,
    is_over: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.routing.lock();
            waiting.is_reading = false;
            waiting.asked.clear();
        }
    }
}

fn bound_number(engine: &Engine, of: &E164) -> Answer {
    let Some(row) = engine.get(SPACE, &rows::number_key(of))? else { return Ok(None) };
    let number = number::record(&rows::decode(&row, NAME)?)?;
    let device = DeviceAddress { account: number.head.account, device: number.head.device };
    let account = engine.get(SPACE, &rows::account_key(device.account))?;
    let enrolled = engine.get(SPACE, &rows::device_key(device))?;
    let enrolled = match (account, enrolled) {
        (Some(account), Some(enrolled)) => Some((
            enrolment::account(&rows::decode(&account, NAME)?)?,
            enrolment::device(&rows::decode(&enrolled, NAME)?)?,
        )),
        _ => None,
    };
    Ok(Some(BoundNumber { number, enrolled }))
}
