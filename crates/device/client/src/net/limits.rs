//! How long things may take, and how large they may be.

use std::time::Duration;

use rcseal_wire::frame::FRAME_LEN_MAX;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Name resolution and TCP. Phones on bad networks take seconds, never a quarter of a minute.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From a request to the first byte of its answer.
    pub answer: Duration,
    /// Between two pieces of an answer, and for one write.
    pub stall: Duration,
    /// For the whole of an answer that is read as one: a server that drips bytes holds nobody up for longer.
    pub whole: Duration,
    /// Silence on a WebSocket after which the client pings, and after which, pinged, it gives up.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            tls: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            // The longest such answer is 4 MiB: 35 KB/s.
            whole: Duration::from_secs(120),
            // Shorter than the idle limits of mobile middleboxes, which begin at about two minutes.
            silence: Duration::from_secs(50),
        }
    }
}

/// Bytes of an answer that is read as a whole: a frame of the message plane over HTTPS, or a run of key sets.
pub(super) const ANSWER_LEN_MAX: usize = 2 * FRAME_LEN_MAX;
/// Bytes of a problem document; whatever is longer is none.
pub(super) const PROBLEM_LEN_MAX: usize = 16 * 1024;
/// Bytes that a WebSocket reads at once: small, because most frames are, and each connection keeps one buffer of it.
pub(super) const READ_BUFFER_LEN: usize = 16 * 1024;
