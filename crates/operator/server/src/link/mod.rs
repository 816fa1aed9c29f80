//! Linking slots: where a new device and the primary device leave messages for each other before anybody is logged in.
//!
//! A rendezvous is opened by the new device, lives ten minutes, and holds up to four numbered messages, each written once. Its id
//! is unguessable and travels in the QR code; what is written is sealed between the two devices. Reading may wait up to half a
//! minute for a message that is not there yet. Nobody is logged in, so every request is rate-limited by address.

mod error;
mod http;

use rcseal_wire::id::LinkId;
use tokio::sync::broadcast;

pub(crate) use http::routes;

/// Announcements that a waiting request may miss before it is told to look again by itself.
const ANNOUNCEMENTS_MAX: usize = 256;

/// Wakes requests that wait for a message. A hint only: they look into the store before and after.
pub(crate) struct LinkWaiters(broadcast::Sender<LinkId>);

impl LinkWaiters {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(ANNOUNCEMENTS_MAX).0)
    }

    fn announce(&self, link: LinkId) {
        // An error means that nobody waits.
        let _ = self.0.send(link);
    }

    fn listen(&self) -> broadcast::Receiver<LinkId> {
        self.0.subscribe()
    }
}
