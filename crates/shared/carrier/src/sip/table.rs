//! Which messages belong together (RFC 3261, section 17), without timers of its own.
//!
//! Our requests wait under their branch for answers ([`Clients`]). Requests of others are remembered under branch, sender and method
//! ([`Servers`]): while one is being worked on, its retransmissions are absorbed; once it was answered, they get the same answer. Both are
//! bounded; of the answers, the oldest go first, and a request that is retransmitted after that counts as new.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::lock;
use super::message::{Message, Method};

/// Answers that may wait for one request of ours: a provisional one or two, and the final one.
const ANSWERS_WAITING_MAX: usize = 8;

/// Bytes of answers that are kept for retransmitted requests. An answer repeats what its request had of hops, up to a head's length.
const ANSWERS_LEN_MAX: usize = 8 << 20;

/// Our requests that wait for answers.
#[derive(Default)]
pub(super) struct Clients(Mutex<HashMap<String, Waiting>>);

struct Waiting {
    method: Method,
    connection: u64,
    answers: mpsc::Sender<Box<Message>>,
}

impl Clients {
    /// Begins to wait. The wait ends when the ticket is dropped.
    pub(super) fn expect(&self, branch: &str, method: Method, connection: u64) -> Ticket<'_> {
        let (answers, receiver) = mpsc::channel(ANSWERS_WAITING_MAX);
        lock(&self.0).insert(branch.to_owned(), Waiting { method, connection, answers });
        Ticket { clients: self, branch: branch.to_owned(), answers: receiver }
    }

    /// Hands an answer to who waits for it; gives it back where nobody does.
    pub(super) fn deliver(&self, answer: Box<Message>) -> Option<Box<Message>> {
        let waiting = lock(&self.0);
        match waiting.get(answer.branch()) {
            Some(entry) if entry.method == *answer.cseq().1 => {
                // A flood of provisional answers is dropped here; the final one is retransmitted by its sender.
                let _ = entry.answers.try_send(answer);
                None
            }
            Some(_) | None => Some(answer),
        }
    }

    /// Ends the wait of all whose connection is gone.
    pub(super) fn fail(&self, connection: u64) {
        lock(&self.0).retain(|_, waiting| waiting.connection != connection);
    }
}

/// A wait for answers to one request.
pub(super) struct Ticket<'a> {
    clients: &'a Clients,
    branch: String,
    pub(super) answers: mpsc::Receiver<Box<Message>>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        lock(&self.clients.0).remove(&self.branch);
    }
}

/// Names a request of somebody else's over its hop.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ServerKey {
    branch: String,
    sent_by: String,
    method: Method,
}

impl ServerKey {
    /// The key of a request; that of an ACK or CANCEL names itself, see [`ServerKey::of_invite`].
    pub(super) fn of(request: &Message) -> Self {
        Self {
            branch: request.branch().to_owned(),
            sent_by: request.sent_by().to_owned(),
            method: request.cseq().1.clone(),
        }
    }

    /// The key of the INVITE that a CANCEL or an ACK of a refusal is for.
    pub(super) fn of_invite(request: &Message) -> Self {
        Self { method: Method::Invite, ..Self::of(request) }
    }
}

/// What is to be done with a request that came in.
pub(super) enum Seen {
    /// It is new, and is worked on from now on.
    New,
    /// It is being worked on; a provisional answer may have been given.
    Processing(Option<Bytes>),
    /// It was answered with this.
    Answered(Bytes),
    /// It is new, and there is no room for it.
    Full,
}

enum State {
    Processing(Option<Bytes>),
    Answered(Bytes),
}

#[derive(Default)]
struct ServerState {
    entries: HashMap<ServerKey, State>,
    answered: VecDeque<(ServerKey, usize)>,
    answered_len: usize,
    processing: usize,
}

/// Requests of others.
pub(super) struct Servers {
    state: Mutex<ServerState>,
    processing_max: usize,
    answers_max: usize,
}

impl Servers {
    pub(super) fn new(processing_max: usize, answers_max: usize) -> Self {
        Self { state: Mutex::default(), processing_max, answers_max }
    }

    pub(super) fn begin(&self, key: &ServerKey) -> Seen {
        let mut state = lock(&self.state);
        match state.entries.get(key) {
            Some(State::Processing(provisional)) => Seen::Processing(provisional.clone()),
            Some(State::Answered(answer)) => Seen::Answered(answer.clone()),
            None if state.processing >= self.processing_max => Seen::Full,
            None => {
                state.processing += 1;
                state.entries.insert(key.clone(), State::Processing(None));
                Seen::New
            }
        }
    }

    /// Remembers a provisional answer.
    pub(super) fn provisional(&self, key: &ServerKey, answer: &Bytes) {
        if let Some(State::Processing(provisional)) = lock(&self.state).entries.get_mut(key) {
            *provisional = Some(answer.clone());
        }
    }

    /// Remembers the final answer. Where the hop does not lose messages there are no retransmissions, and it is forgotten at once.
    pub(super) fn answered(&self, key: &ServerKey, answer: &Bytes, is_kept: bool) {
        let mut state = lock(&self.state);
        if !matches!(state.entries.get(key), Some(State::Processing(_))) {
            return;
        }
        state.processing -= 1;
        if !is_kept {
            state.entries.remove(key);
            return;
        }
        state.entries.insert(key.clone(), State::Answered(answer.clone()));
        let len = answer.len() + 2 * (key.branch.len() + key.sent_by.len());
        state.answered.push_back((key.clone(), len));
        state.answered_len += len;
        while state.answered.len() > self.answers_max || state.answered_len > ANSWERS_LEN_MAX {
            let Some((oldest, len)) = state.answered.pop_front() else { break };
            state.answered_len -= len;
            state.entries.remove(&oldest);
        }
    }

    /// Forgets a request that will not be answered.
    pub(super) fn abandon(&self, key: &ServerKey) {
        let mut state = lock(&self.state);
        if matches!(state.entries.get(key), Some(State::Processing(_))) {
            state.processing -= 1;
            state.entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn key(number: usize) -> ServerKey {
        ServerKey { branch: number.to_string(), sent_by: "h".to_owned(), method: Method::Message }
    }

    #[test]
    fn kept_answers_are_bounded_in_number_and_in_bytes() {
        let servers = Servers::new(10, 100);
        for number in 0..200 {
            assert!(matches!(servers.begin(&key(number)), Seen::New));
            servers.answered(&key(number), &Bytes::from_static(b"answer"), true);
        }
        assert!(matches!(servers.begin(&key(150)), Seen::Answered(_)));
        assert!(matches!(servers.begin(&key(50)), Seen::New));

        let servers = Servers::new(10, 100_000);
        let long = Bytes::from(vec![b'x'; 16 << 10]);
        for number in 0..2000 {
            assert!(matches!(servers.begin(&key(number)), Seen::New));
            servers.answered(&key(number), &long, true);
        }
        assert!(matches!(servers.begin(&key(1999)), Seen::Answered(_)));
        assert!(matches!(servers.begin(&key(0)), Seen::New));
    }
}
