//! Webhooks on their way out of a fake.
//!
//! They wait here until somebody takes them, for tests that hand them in themselves, or until they are posted to an address. What is not
//! answered with 200 stays and is posted again, as providers do. [`Disorder`] is what a provider's queue does on a bad day.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{LABEL, LABEL_VALUE};
use crate::business::endpoint::Endpoint;
use crate::business::http_client::{Call, HttpClient, Patience};
use crate::tls::TrustAnchors;

/// How long a webhook that was not taken waits before it is posted again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A webhook as it is sent.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a queue does on a bad day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disorder {
    /// Every webhook is sent this many times more than once.
    pub copies: usize,
    /// What waits is sent newest first.
    pub is_backwards: bool,
}

struct Inner {
    waiting: VecDeque<Posted>,
    disorder: Disorder,
    under_way: usize,
}

/// The webhooks of one fake.
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    wake: Notify,
    poster: Mutex<Option<JoinHandle<()>>>,
}

impl Outbox {
    pub(super) fn new() -> Arc<Self> {
        let inner = Inner { waiting: VecDeque::new(), disorder: Disorder::default(), under_way: 0 };
        Arc::new(Self { inner: Mutex::new(inner), wake: Notify::new(), poster: Mutex::new(None) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn disorder(&self, disorder: Disorder) {
        self.lock().disorder = disorder;
    }

    pub(super) fn push(&self, mut webhook: Posted) {
        webhook.headers.insert(HeaderName::from_static(LABEL), HeaderValue::from_static(LABEL_VALUE));
        let mut inner = self.lock();
        for _ in 0..=inner.disorder.copies {
            inner.waiting.push_back(webhook.clone());
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Everything that waits, in the order in which it would be posted.
    pub(super) fn take(&self) -> Vec<Posted> {
        let mut inner = self.lock();
        let mut taken: Vec<Posted> = inner.waiting.drain(..).collect();
        if inner.disorder.is_backwards {
            taken.reverse();
        }
        taken
    }

    /// How many are waiting or under way.
    pub(super) fn len(&self) -> usize {
        let inner = self.lock();
        inner.waiting.len() + inner.under_way
    }

    /// What was under way was taken, or comes back to be posted again.
    fn settle(&self, refused: Option<Posted>) {
        let mut inner = self.lock();
        inner.under_way = 0;
        if let Some(webhook) = refused {
            inner.waiting.push_front(webhook);
        }
    }

    /// Posts from now on to that address whatever waits and comes.
    pub(super) fn post_to(self: &Arc<Self>, endpoint: Endpoint, trust: TrustAnchors) {
        let client = HttpClient::new(endpoint, trust, Patience::default());
        let outbox = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            loop {
                let Some(outbox) = outbox.upgrade() else { return };
                let next = {
                    let mut inner = outbox.lock();
                    let next =
                        if inner.disorder.is_backwards { inner.waiting.pop_back() } else { inner.waiting.pop_front() };
                    inner.under_way = usize::from(next.is_some());
                    next
                };
                let Some(webhook) = next else {
                    // A short wait as well as the signal, so that a dropped fake ends its poster.
                    let _ = tokio::time::timeout(AGAIN_AFTER, outbox.wake.notified()).await;
                    continue;
                };
                let mut call = Call::new(Method::POST, String::new()).body(webhook.body.clone());
                call.headers = webhook.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                let is_taken = client.call(&call).await.is_ok_and(|reply| reply.status == 200);
                outbox.settle((!is_taken).then_some(webhook));
                drop(outbox);
                if !is_taken {
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        });
        let mut poster = self.poster.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = poster.replace(task) {
            before.abort();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(poster) = self.poster.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            poster.abort();
        }
    }
}
