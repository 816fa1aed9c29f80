//! What waits here: envelopes that a relay could not take, and frames whose parts do not all come.
//!
//! Both are on disk, so that a restart goes on where the last run ended. An envelope goes to the mailbox that its device has told us last,
//! under the id that it was given when it came in: if the relay had it after all, that is its duplicate.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use rcseal_store::StoreError;
use rcseal_store::broker::forward::{FrameLimit, QueuePlace, Queued};
use rcseal_wire::frame::Submit;
use rcseal_wire::origin::Origin;
use tokio_util::sync::CancellationToken;

use super::inbound::{Inbound, KEEP_SECONDS};
use super::metrics::QueueOutcome;
use super::relay::Submitted;

/// Envelopes that are looked at in one go.
const PAGE: usize = 256;
/// How long a frame may stay open before its parts go on alone. An app keeps them for a week; here they only wait for a few messages that
/// were sent together.
pub(super) const JOIN_MILLIS: u64 = 10 * 60 * 1000;
/// Open frames that one sweep looks at.
const FRAMES_PER_SWEEP: usize = 64;
/// What is read of them at a time: one number's frames may be 8 MiB long, and all numbers' are not to be in memory at once.
const FRAMES_READ: FrameLimit = FrameLimit { frames: 16, bytes: 8 * 1024 * 1024 };
/// Rows that one sweep drops.
const EXPIRE_BUDGET: usize = 1_000;
/// How often the queue is tried while something waits in it, and how often anyway.
const RETRY: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(30);

/// What became of one that waited.
enum Fate {
    /// It need not wait any more.
    Over(QueueOutcome),
    /// Its relay cannot take it now.
    Away(Origin),
    /// Its mailbox is full, or it could not be asked about.
    Later,
}

/// Empties the queue until told to stop.
pub(super) async fn run(inbound: Arc<Inbound>, stopping: CancellationToken) {
    loop {
        let pause = match drain(&inbound).await {
            Ok(0) => IDLE,
            Ok(_) => RETRY,
            Err(error) => {
                tracing::warn!(code = error.code(), "forward.queue_unreadable");
                RETRY
            }
        };
        tokio::select! {
            () = stopping.cancelled() => return,
            () = inbound.queued.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        // What was just put there was put there because its relay is away: it is not asked again at once.
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(RETRY.min(pause)) => {}
        }
    }
}

/// Tries everything that waits once; answers how many still do.
async fn drain(inbound: &Inbound) -> Result<usize, StoreError> {
    let mut after: Option<QueuePlace> = None;
    let mut left = 0;
    let mut away: HashSet<Origin> = HashSet::new();
    loop {
        let page = inbound.store.queued(after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        let now = inbound.clock.now();
        let known_away = &away;
        let fates: Vec<(QueuePlace, Fate)> = stream::iter(page)
            .map(|(place, queued)| async move {
                let fate = if queued.expires_at <= now {
                    Fate::Over(QueueOutcome::Expired)
                } else {
                    try_one(inbound, &queued, known_away).await
                };
                (place, fate)
            })
            .buffer_unordered(PAGE)
            .collect()
            .await;
        let mut over = Vec::new();
        for (place, fate) in fates {
            match fate {
                Fate::Over(outcome) => {
                    inbound.metrics.queue(outcome);
                    over.push(place);
                }
                Fate::Away(relay) => {
                    away.insert(relay);
                    left += 1;
                }
                Fate::Later => left += 1,
            }
        }
        if !over.is_empty() {
            inbound.store.unqueue(over).await?;
        }
    }
    inbound.metrics.waiting(left as u64);
    Ok(left)
}

async fn try_one(inbound: &Inbound, queued: &Queued, away: &HashSet<Origin>) -> Fate {
    let mailbox = match inbound.routes.mailbox(queued.device).await {
        Ok(Some(mailbox)) => mailbox,
        Ok(None) => return Fate::Over(QueueOutcome::Gone),
        Err(_) => return Fate::Later,
    };
    if away.contains(&mailbox.relay) {
        return Fate::Away(mailbox.relay);
    }
    let submit = Submit {
        mailbox: mailbox.mailbox,
        token: mailbox.token,
        id: queued.id,
        ttl_seconds: KEEP_SECONDS,
        envelope: queued.envelope.clone(),
    };
    match inbound.relays.submit(&mailbox.relay, &submit).await {
        Ok(Submitted::Stored | Submitted::Duplicate | Submitted::IdConflict) => Fate::Over(QueueOutcome::Delivered),
        Ok(Submitted::Refused | Submitted::Unfit) => Fate::Over(QueueOutcome::Refused),
        Ok(Submitted::Full) => Fate::Later,
        Err(_) => Fate::Away(mailbox.relay),
    }
}

/// Passes on what does not get whole, and drops what is over. One round; answers whether there is more to do at once.
pub(super) async fn sweep(inbound: &Inbound) -> Result<bool, StoreError> {
    let now = inbound.clock.now();
    let before = rcseal_store::UnixMillis::new(now.get().saturating_sub(JOIN_MILLIS));
    let (mut seen, mut closed) = (0, 0);
    let mut after = None;
    while seen < FRAMES_PER_SWEEP {
        let open = inbound.store.open_frames(before, after.take(), FRAMES_READ).await?;
        let Some(last) = open.last() else { break };
        after = Some(last.place());
        seen += open.len();
        for frame in open {
            match inbound.close_frame(frame).await {
                Ok(()) => closed += 1,
                // It stays where it is, and is tried again at the next sweep.
                Err(error) => tracing::debug!(code = error.code(), "forward.frame_stays_open"),
            }
        }
    }
    let is_full = seen >= FRAMES_PER_SWEEP;
    let expired = inbound.store.expire_forwards(now, EXPIRE_BUDGET).await?;
    for _ in 0..expired.dropped {
        inbound.metrics.queue(QueueOutcome::Expired);
    }
    inbound.tidy();
    Ok((is_full && closed > 0) || expired.more)
}
