//! Every metric of the server, in one table.
//!
//! | name | kind | unit | labels | meaning |
//! |---|---|---|---|---|
//! | `rcseal_connections_open` | gauge | connections | | open TLS connections, WebSockets included |
//! | `rcseal_connections_refused_total` | counter | connections | `reason` | connections closed before their first request |
//! | `rcseal_requests_running` | gauge | requests | | requests whose response head is not written yet |
//! | `rcseal_requests_total` | counter | requests | `plane`, `outcome` | answered requests |
//! | `rcseal_request_duration_seconds` | histogram | seconds | `plane` | from request head to response head |
//! | `rcseal_logins_total` | counter | attempts | `outcome` | login attempts |
//! | `rcseal_registrations_total` | counter | attempts | `outcome` | registrations |
//! | `rcseal_key_sets_published_total` | counter | key sets | `outcome` | attempts to publish a key set |
//! | `rcseal_prekeys_claimed_total` | counter | prekeys | `kind` | prekeys handed out |
//! | `rcseal_blob_bytes_total` | counter | bytes | `direction` | blob ciphertext moved |
//! | `rcseal_websockets_open` | gauge | connections | | open message-plane WebSockets |
//! | `rcseal_messages_enqueued_total` | counter | envelopes | `outcome` | submissions |
//! | `rcseal_messages_delivered_total` | counter | envelopes | | envelopes written to a device, repeats included |
//! | `rcseal_messages_acknowledged_total` | counter | envelopes | | envelopes removed by acknowledgement |
//! | `rcseal_messages_undecryptable_total` | counter | envelopes | | reported by devices as not decryptable |
//! | `rcseal_takeovers_total` | counter | events | `event` | recoveries and resets: asked for, refused, vetoed, in force |
//! | `rcseal_swept_total` | counter | items | `kind` | items removed because they expired |
//! | `rcseal_sweep_failures_total` | counter | sweeps | | sweeps that the store refused |
//! | `rcseal_retained_stored_total` | counter | messages | `outcome` | submissions of messages that the server can read |
//! | `rcseal_retained_opened_total` | counter | messages | `reader`, `outcome` | messages opened with the server's key, or tried to |
//! | `rcseal_server_key_ready` | gauge | 0 or 1 | | whether the server's key was there when it was last looked for |
//! | `rcseal_push_registrations_total` | counter | attempts | `outcome` | registrations for wake-ups |
//! | `rcseal_wake_ups_total` | counter | wake-ups | `outcome` | what became of wake-ups |
//! | `rcseal_wake_ups_noted` | gauge | mailboxes | | mailboxes whose devices may have to be woken |
//! | `rcseal_store_ready` | gauge | 0 or 1 | | whether the last probe of the store succeeded |
//!
//! Labels are closed enums: no account, device, address or path can become one.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rcseal_front::net::ConnectionMetrics;
use rcseal_front::requests::{Outcome, OutcomeLabels, RequestMetrics};
use rcseal_store::audit::AuditOutcome;

macro_rules! labels {
    ($($(#[$doc:meta])* $set:ident { $field:ident: $label:ident { $($(#[$variant_doc:meta])* $variant:ident),* $(,)? } })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
        pub enum $label { $($(#[$variant_doc])* $variant),* }

        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $set { pub(crate) $field: $label }
    )*};
}

labels! {
    /// What a prekey was.
    PrekeyLabels { kind: PrekeyKind {
        /// A one-time EC prekey.
        OneTimeEc,
        /// A one-time KEM prekey.
        OneTimeKem,
        /// The last-resort KEM prekey, because no one-time one was left.
        LastResortEmpty,
        /// The last-resort KEM prekey, because the limiter said so.
        LastResortLimited,
    } }
    /// Which way bytes went.
    DirectionLabels { direction: Direction {
        /// To the server.
        Upload,
        /// From the server.
        Download,
    } }
    /// What a sweep removed.
    SweptLabels { kind: SweptKind {
        /// Messages.
        Message,
        /// Blobs.
        Blob,
        /// Linking slots.
        Link,
        /// Messages that the server could read.
        Retained,
        /// Reset tickets that nobody used, and resets that could not take effect.
        ResetTicket,
    } }
    /// What became of a wake-up.
    WakeUpLabels { outcome: WakeUpOutcome {
        /// The sink has it.
        Sent,
        /// The sink asked to wait.
        Delayed,
        /// The push service knows the token no more; the registration was ended.
        Unregistered,
        /// The sink did not take it.
        Failed,
    } }
    /// What happened to an account that somebody takes back.
    TakeoverLabels { event: TakeoverEvent {
        /// A recovery took effect.
        Recovered,
        /// A recovery was refused.
        RecoveryRefused,
        /// The server could not carry a recovery out.
        RecoveryFailed,
        /// A reset was asked for, or asked about again.
        ResetRequested,
        /// A request for a reset was refused.
        ResetRefused,
        /// The server could not take a request for a reset.
        ResetFailed,
        /// A device vetoed a pending reset.
        ResetVetoed,
        /// The operator cancelled a reset or a ticket.
        ResetCancelled,
        /// A reset took effect.
        ResetInForce,
        /// A reset could not take effect any more.
        ResetDropped,
    } }
}

/// Who had a message opened that the server can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Reader {
    /// A device of the recipient.
    Device,
    /// Somebody with the operator's rights.
    Operator,
}

/// What came of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Opening {
    /// The words were handed over.
    Opened,
    /// The key is destroyed.
    KeyDestroyed,
    /// It was not sealed as it is stored.
    NotAuthentic,
    /// The key could not be used.
    KmsUnavailable,
    /// The key, or the message, belongs to another region.
    RegionMismatch,
}

impl From<AuditOutcome> for Opening {
    fn from(outcome: AuditOutcome) -> Self {
        match outcome {
            AuditOutcome::Opened => Self::Opened,
            AuditOutcome::KeyDestroyed => Self::KeyDestroyed,
            AuditOutcome::NotAuthentic => Self::NotAuthentic,
            AuditOutcome::KmsUnavailable => Self::KmsUnavailable,
            AuditOutcome::RegionMismatch => Self::RegionMismatch,
        }
    }
}

/// Labels of `rcseal_retained_opened_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OpeningLabels {
    reader: Reader,
    outcome: Opening,
}

/// Which part of the server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Plane {
    /// Login and registration.
    Account,
    /// Key sets and prekeys.
    Directory,
    /// Messages.
    Mailbox,
    /// Blobs.
    Blob,
    /// Linking.
    Link,
    /// Messages that the server can read.
    Retained,
    /// Registering for wake-ups.
    Push,
    /// Anything else, unknown paths included.
    Other,
}

impl Plane {
    /// The plane of a route template.
    pub(crate) fn of(route: &str) -> Self {
        if route == "/v1/accounts" {
            return Self::Account;
        }
        let known = [
            ("/v1/login", Self::Account),
            ("/v1/accounts", Self::Directory),
            ("/v1/account", Self::Directory),
            ("/v1/device", Self::Directory),
            ("/v1/mailbox", Self::Mailbox),
            ("/v1/submit", Self::Mailbox),
            ("/v1/deliver", Self::Mailbox),
            ("/v1/messages", Self::Mailbox),
            ("/v1/blobs", Self::Blob),
            ("/v1/links", Self::Link),
            ("/v1/retained", Self::Retained),
            ("/v1/server-key", Self::Retained),
            ("/v1/push", Self::Push),
        ];
        known.into_iter().find(|(prefix, _)| route.starts_with(prefix)).map_or(Self::Other, |(_, plane)| plane)
    }
}

/// The table. Fields are named as the metrics are.
pub struct Metrics {
    registry: Registry,
    pub(crate) connections: ConnectionMetrics,
    pub(crate) requests: RequestMetrics<Plane>,
    logins: Family<OutcomeLabels, Counter>,
    registrations: Family<OutcomeLabels, Counter>,
    key_sets_published: Family<OutcomeLabels, Counter>,
    prekeys_claimed: Family<PrekeyLabels, Counter>,
    blob_bytes: Family<DirectionLabels, Counter>,
    pub(crate) websockets_open: Gauge,
    messages_enqueued: Family<OutcomeLabels, Counter>,
    pub(crate) messages_delivered: Counter,
    pub(crate) messages_acknowledged: Counter,
    pub(crate) messages_undecryptable: Counter,
    takeovers: Family<TakeoverLabels, Counter>,
    swept: Family<SweptLabels, Counter>,
    pub(crate) sweep_failures: Counter,
    retained_stored: Family<OutcomeLabels, Counter>,
    retained_opened: Family<OpeningLabels, Counter>,
    pub(crate) server_key_ready: Gauge,
    push_registrations: Family<OutcomeLabels, Counter>,
    wake_ups: Family<WakeUpLabels, Counter>,
    pub(crate) wake_ups_noted: Gauge,
    pub(crate) store_ready: Gauge,
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("rcseal");
        let connections = ConnectionMetrics::register(&mut registry);
        let requests = RequestMetrics::register(&mut registry);
        let logins = Family::default();
        registry.register("logins", "Login attempts", logins.clone());
        let registrations = Family::default();
        registry.register("registrations", "Registrations", registrations.clone());
        let key_sets_published = Family::default();
        registry.register("key_sets_published", "Attempts to publish a key set", key_sets_published.clone());
        let prekeys_claimed = Family::default();
        registry.register("prekeys_claimed", "Prekeys handed out", prekeys_claimed.clone());
        let blob_bytes = Family::default();
        registry.register_with_unit("blob", "Blob ciphertext moved", Unit::Bytes, blob_bytes.clone());
        let websockets_open = Gauge::default();
        registry.register("websockets_open", "Open message-plane WebSockets", websockets_open.clone());
        let messages_enqueued = Family::default();
        registry.register("messages_enqueued", "Submissions", messages_enqueued.clone());
        let messages_delivered = Counter::default();
        registry.register(
            "messages_delivered",
            "Envelopes written to a device, repeats included",
            messages_delivered.clone(),
        );
        let messages_acknowledged = Counter::default();
        registry.register(
            "messages_acknowledged",
            "Envelopes removed by acknowledgement",
            messages_acknowledged.clone(),
        );
        let messages_undecryptable = Counter::default();
        registry.register(
            "messages_undecryptable",
            "Envelopes that a device reported it could not decrypt",
            messages_undecryptable.clone(),
        );
        let takeovers = Family::default();
        registry.register("takeovers", "Recoveries and resets of accounts", takeovers.clone());
        let swept = Family::default();
        registry.register("swept", "Items removed because they expired", swept.clone());
        let sweep_failures = Counter::default();
        registry.register("sweep_failures", "Sweeps that the store refused", sweep_failures.clone());
        let retained_stored = Family::default();
        registry.register(
            "retained_stored",
            "Submissions of messages that the server can read",
            retained_stored.clone(),
        );
        let retained_opened = Family::default();
        registry.register(
            "retained_opened",
            "Messages opened with the server's key, or tried to",
            retained_opened.clone(),
        );
        let server_key_ready = Gauge::default();
        registry.register(
            "server_key_ready",
            "Whether the server's key was there when it was last looked for",
            server_key_ready.clone(),
        );
        let push_registrations = Family::default();
        registry.register("push_registrations", "Registrations for wake-ups", push_registrations.clone());
        let wake_ups = Family::default();
        registry.register("wake_ups", "What became of wake-ups", wake_ups.clone());
        let wake_ups_noted = Gauge::default();
        registry.register("wake_ups_noted", "Mailboxes whose devices may have to be woken", wake_ups_noted.clone());
        let store_ready = Gauge::default();
        registry.register("store_ready", "Whether the last probe of the store succeeded", store_ready.clone());
        Self {
            registry,
            connections,
            requests,
            logins,
            registrations,
            key_sets_published,
            prekeys_claimed,
            blob_bytes,
            websockets_open,
            messages_enqueued,
            messages_delivered,
            messages_acknowledged,
            messages_undecryptable,
            takeovers,
            swept,
            sweep_failures,
            retained_stored,
            retained_opened,
            server_key_ready,
            push_registrations,
            wake_ups,
            wake_ups_noted,
            store_ready,
        }
    }

    pub(crate) fn login(&self, outcome: Outcome) {
        self.logins.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn registration(&self, outcome: Outcome) {
        self.registrations.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn key_set_published(&self, outcome: Outcome) {
        self.key_sets_published.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn prekey_claimed(&self, kind: PrekeyKind) {
        self.prekeys_claimed.get_or_create(&PrekeyLabels { kind }).inc();
    }

    pub(crate) fn blob_moved(&self, direction: Direction, bytes: u64) {
        self.blob_bytes.get_or_create(&DirectionLabels { direction }).inc_by(bytes);
    }

    pub(crate) fn messages_enqueued(&self, outcome: Outcome, count: u64) {
        self.messages_enqueued.get_or_create(&OutcomeLabels { outcome }).inc_by(count);
    }

    pub(crate) fn takeover(&self, event: TakeoverEvent) {
        self.takeovers.get_or_create(&TakeoverLabels { event }).inc();
    }

    pub(crate) fn swept(&self, kind: SweptKind, count: u64) {
        self.swept.get_or_create(&SweptLabels { kind }).inc_by(count);
    }

    pub(crate) fn push_registration(&self, outcome: Outcome) {
        self.push_registrations.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn wake_up(&self, outcome: WakeUpOutcome) {
        self.wake_ups.get_or_create(&WakeUpLabels { outcome }).inc();
    }

    pub(crate) fn retained_stored(&self, outcome: Outcome) {
        self.retained_stored.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn retained_opened(&self, reader: Reader, outcome: AuditOutcome) {
        self.retained_opened.get_or_create(&OpeningLabels { reader, outcome: outcome.into() }).inc();
    }

    /// The table in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string cannot fail");
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use rcseal_front::net::ConnectionRefusal;

    use super::*;

    #[test]
    fn the_page_ends_as_openmetrics_demands_and_counts() {
        let metrics = Metrics::new();
        metrics.connections.refused(ConnectionRefusal::Address);
        metrics.blob_moved(Direction::Upload, 5);
        let page = metrics.render();
        assert!(page.ends_with("# EOF\n"));
        assert!(page.contains("rcseal_connections_refused_total{reason=\"Address\"} 1"));
        assert!(page.contains("rcseal_blob_bytes_total{direction=\"Upload\"} 5"));
    }
}
