//! Telling the app, in order, until it says it has heard.

use std::collections::VecDeque;
use std::sync::Arc;

use rcseal_engine::event::NumberedEvent;
use tokio::sync::watch;

use super::core::Core;
use super::{Client, ClientError};

/// Events that are read at once.
const PAGE_LEN: usize = 64;

/// The events of a client, from the oldest that has not been forgotten.
pub struct Events {
    core: Arc<Core>,
    changed: watch::Receiver<u64>,
    after: u64,
    read: VecDeque<NumberedEvent>,
}

impl Events {
    /// Waits for the next event. May be dropped while it waits: nothing is lost.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn next(&mut self) -> Result<NumberedEvent, ClientError> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.number;
                return Ok(event);
            }
            // Marked as seen before reading, so that a change in between is not slept through.
            self.changed.borrow_and_update();
            let mut foreign = self.core.store.foreign_commits();
            self.fill().await?;
            if self.read.is_empty() {
                tokio::select! {
                    changed = self.changed.changed() => changed.map_err(|_| ClientError::Stopped)?,
                    // Another process does not wake anybody here.
                    () = self.core.foreign_change(&mut foreign) => {}
                }
            }
        }
    }

    /// The next event, if there is one already.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn try_next(&mut self) -> Result<Option<NumberedEvent>, ClientError> {
        if self.read.is_empty() {
            self.fill().await?;
        }
        let event = self.read.pop_front();
        if let Some(event) = &event {
            self.after = event.number;
        }
        Ok(event)
    }

    async fn fill(&mut self) -> Result<(), ClientError> {
        let after = self.after;
        self.read.extend(self.core.engine(move |engine| engine.events(after, PAGE_LEN)).await?);
        Ok(())
    }
}

impl Client {
    /// Subscribes to events, beginning with the oldest that was not forgotten. Each subscription has a place of its own.
    #[must_use]
    pub fn events(&self) -> Events {
        Events { core: Arc::clone(&self.core), changed: self.core.changes(), after: 0, read: VecDeque::new() }
    }

    /// The same from after an event that the caller has seen already.
    #[must_use]
    pub fn events_after(&self, number: u64) -> Events {
        Events { core: Arc::clone(&self.core), changed: self.core.changes(), after: number, read: VecDeque::new() }
    }

    /// The app has dealt with every event up to and including `number`: they are not told again, not even after a restart.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget_events(&self, number: u64) -> Result<(), ClientError> {
        self.core.engine(move |engine| engine.forget_events(number)).await
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("after", &self.after).finish_non_exhaustive()
    }
}
