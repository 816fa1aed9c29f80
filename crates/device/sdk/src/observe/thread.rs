//! The thread of one listener to durable events.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rcseal_engine::event::NumberedEvent;
use rcseal_wire::id::{AccountId, ConversationId, MessageId};
use tokio::sync::watch;

use super::{ClientEvent, EventListener, MessageChange, MessageListener, Subscription, message_of, note};
use crate::error::RcsealError;
use crate::inner::Inner;
use crate::message::Message;
use crate::runtime::runtime;

/// Events that are told before the next ones are read and these are forgotten.
const PAGE_LEN: usize = 64;
/// Between two looks at a store that failed.
const RETRY: Duration = Duration::from_secs(1);

/// What names a message.
pub(super) type MessageName = (ConversationId, AccountId, MessageId);

/// Who is told.
pub(super) enum Teller {
    Messages(Arc<dyn MessageListener>),
    Events(Arc<dyn EventListener>),
}

/// One thing to tell, and its place.
struct Telling {
    number: u64,
    what: What,
}

enum What {
    Message(MessageChange, Box<Message>),
    Event(ClientEvent),
    /// Nothing for this listener.
    Nothing,
}

/// Why no further page is read.
enum End {
    Over,
    Failed,
}

/// Starts the thread.
pub(super) fn start(inner: &Arc<Inner>, teller: Teller) -> Result<Arc<Subscription>, RcsealError> {
    inner.client()?;
    let runtime = runtime()?;
    let (subscription, mut cancelled) = Subscription::new();
    let mut closing = inner.closing();
    let id = inner.feed.enter();
    let shared = Arc::downgrade(inner);
    let started = std::thread::Builder::new().name("rcseal-listener".to_owned()).spawn(move || {
        let mut after = 0;
        while let Ok(page) = runtime.block_on(async {
            tokio::select! {
                biased;
                _ = cancelled.wait_for(|is_cancelled| *is_cancelled) => Err(End::Over),
                _ = closing.wait_for(|is_closing| *is_closing) => Err(End::Over),
                page = patiently(&shared, &teller, after) => page,
            }
        }) {
            for telling in page {
                if is_over(&cancelled) || is_over(&closing) {
                    break;
                }
                let outcome = match (telling.what, &teller) {
                    (What::Message(change, message), Teller::Messages(listener)) => {
                        listener.on_message(change, *message)
                    }
                    (What::Event(event), Teller::Events(listener)) => listener.on_event(event),
                    (What::Nothing | What::Message(..) | What::Event(_), _) => Ok(()),
                };
                // It went away in the middle of it: the next one that subscribes hears it.
                if outcome.is_err() && is_over(&cancelled) {
                    break;
                }
                note(outcome);
                after = telling.number;
            }
            runtime.block_on(forget(&shared, id, after));
        }
        if let Some(inner) = shared.upgrade() {
            inner.feed.leave(id);
        }
    });
    if started.is_err() {
        inner.feed.leave(id);
        return Err(RcsealError::internal("sdk.runtime", "the system gives no threads"));
    }
    Ok(subscription)
}

fn is_over(signal: &watch::Receiver<bool>) -> bool {
    *signal.borrow() || signal.has_changed().is_err()
}

/// The next page, however often the store has to be asked.
async fn patiently(shared: &Weak<Inner>, teller: &Teller, after: u64) -> Result<Vec<Telling>, End> {
    loop {
        match page(shared, teller, after).await {
            Err(End::Failed) => tokio::time::sleep(RETRY).await,
            page => return page,
        }
    }
}

/// Waits for what comes after `after`. The client is held for no longer than this takes.
async fn page(shared: &Weak<Inner>, teller: &Teller, after: u64) -> Result<Vec<Telling>, End> {
    let client = shared.upgrade().and_then(|inner| inner.client().ok()).ok_or(End::Over)?;
    let mut events = client.events_after(after);
    let failed = |error: rcseal_client::ClientError| {
        tracing::warn!(event = "events_not_read", code = error.code());
        End::Failed
    };
    let mut read: Vec<NumberedEvent> = vec![events.next().await.map_err(failed)?];
    while read.len() < PAGE_LEN {
        let Some(event) = events.try_next().await.map_err(failed)? else { break };
        read.push(event);
    }
    let mut page = Vec::with_capacity(read.len());
    for NumberedEvent { number, event } in read {
        let what = match teller {
            Teller::Events(_) => What::Event(ClientEvent::of(number, event)),
            Teller::Messages(_) => match message_of(&event) {
                Some((change, (conversation, sender, message))) => {
                    match client.message(conversation, sender, message).await.map_err(failed)? {
                        Some(view) => What::Message(change, Box::new(Message::from(view))),
                        None => What::Nothing,
                    }
                }
                None => What::Nothing,
            },
        };
        page.push(Telling { number, what });
    }
    Ok(page)
}

/// This listener has heard all up to `number`: what everybody has heard is forgotten.
async fn forget(shared: &Weak<Inner>, id: u64, number: u64) {
    let Some(inner) = shared.upgrade() else { return };
    let heard = inner.feed.heard(id, number);
    let Ok(client) = inner.client() else { return };
    drop(inner);
    if heard > 0
        && let Err(error) = client.forget_events(heard).await
    {
        // They are told again after a restart, which is what durable means.
        tracing::warn!(event = "events_not_forgotten", code = error.code());
    }
}
