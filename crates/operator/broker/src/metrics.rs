//! Every metric of the broker's own, in one table. Those of connections are the front's.
//!
//! | name | kind | unit | labels | meaning |
//! |---|---|---|---|---|
//! | `rcseal_broker_requests_running` | gauge | requests | | requests whose response head is not written yet |
//! | `rcseal_broker_requests_total` | counter | requests | `plane`, `outcome` | answered requests |
//! | `rcseal_broker_request_duration_seconds` | histogram | seconds | `plane` | from request head to response head |
//! | `rcseal_broker_logins_total` | counter | attempts | `outcome` | logins, enrolments included |
//! | `rcseal_broker_codes_total` | counter | codes | `event` | codes sent, not sent, refused for a limit, right, wrong |
//! | `rcseal_broker_mappings_total` | counter | mappings | `grounds` | mappings countersigned |
//! | `rcseal_broker_waits_total` | counter | waits | `event` | waits for a number that another account has |
//! | `rcseal_broker_notices_total` | counter | notices | `outcome` | notices to mailboxes |
//! | `rcseal_broker_lookups_total` | counter | look-ups | `answer` | look-ups, by what was answered |
//! | `rcseal_broker_harvests_suspected_total` | counter | look-ups | | look-ups refused because the account found too little: it tries numbers |
//! | `rcseal_broker_swept_total` | counter | rows | `kind` | rows removed because they expired |
//! | `rcseal_broker_sweep_failures_total` | counter | sweeps | | sweeps that the store refused |
//! | `rcseal_broker_store_ready` | gauge | 0 or 1 | | whether the last probe of the store succeeded |
//!
//! Labels are closed enums: no account, number or address can become one.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rcseal_credential::mapping::GroundsKind;
use rcseal_front::net::ConnectionMetrics;
use rcseal_front::requests::{Outcome, OutcomeLabels, RequestMetrics};
use rcseal_wire::api::broker::LookupOutcome;

macro_rules! labels {
    ($($(#[$doc:meta])* $set:ident { $field:ident: $label:ident { $($(#[$variant_doc:meta])* $variant:ident),* $(,)? } })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
        pub(crate) enum $label { $($(#[$variant_doc])* $variant),* }

        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $set { $field: $label }
    )*};
}

labels! {
    /// What became of a code.
    CodeLabels { event: CodeEvent {
        /// It was handed to whoever delivers it.
        Sent,
        /// It could not be.
        NotSent,
        /// A limit kept it from being sent.
        Limited,
        /// The number is of a kind that is not served.
        NotServed,
        /// Somebody showed it.
        Right,
        /// Somebody showed another one.
        Wrong,
        /// Somebody showed one for a claim that is gone.
        Gone,
    } }
    /// Why a mapping was countersigned.
    GroundsLabels { grounds: GroundsLabel {
        /// The number had none.
        First,
        /// The account renewed.
        Same,
        /// The account before gave it up.
        Released,
        /// The account before did not object.
        Waited,
        /// The mapping before had long expired.
        Recycled,
        /// The operator was told that the number moved.
        Ported,
    } }
    /// What became of a wait.
    WaitLabels { event: WaitEvent {
        /// Somebody waits.
        Begun,
        /// The account that has the number objected.
        Vetoed,
        /// The number changed hands.
        Ended,
        /// What was stated holds no more.
        Dropped,
    } }
    /// What became of a notice.
    NoticeLabels { outcome: NoticeOutcome {
        /// It is in a mailbox.
        Taken,
        /// The relay refuses it for good.
        Refused,
        /// The relay could not be asked.
        Failed,
    } }
    /// What a look-up answered.
    LookupLabels { answer: LookupLabel {
        /// A mapping.
        Found,
        /// Nothing.
        Absent,
        /// Not said.
        Undiscoverable,
        /// A quota was used up.
        Limited,
    } }
    /// What a sweep removed.
    SweptLabels { kind: SweptKind {
        /// Claims.
        Claim,
        /// Counters.
        Quota,
    } }
}

/// Which part of the broker answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Plane {
    /// Login and enrolment.
    Account,
    /// Claims and mappings.
    Number,
    /// Look-ups.
    Lookup,
    /// Messages to and from carriers.
    Forward,
    /// Business traffic.
    Business,
    /// Anything else, unknown paths included.
    Other,
}

impl Plane {
    pub(crate) fn of(route: &str) -> Self {
        let rest = route.strip_prefix("/v1/").unwrap_or_default();
        match rest.split('/').next().unwrap_or_default() {
            "login" | "broker" => Self::Account,
            "numbers" => Self::Number,
            "lookups" => Self::Lookup,
            "outbound" | "callbacks" => Self::Forward,
            "business" | "webhooks" => Self::Business,
            _ => Self::Other,
        }
    }
}

/// The table.
pub struct Metrics {
    registry: Registry,
    pub(crate) connections: ConnectionMetrics,
    pub(crate) requests: RequestMetrics<Plane>,
    logins: Family<OutcomeLabels, Counter>,
    codes: Family<CodeLabels, Counter>,
    mappings: Family<GroundsLabels, Counter>,
    waits: Family<WaitLabels, Counter>,
    notices: Family<NoticeLabels, Counter>,
    lookups: Family<LookupLabels, Counter>,
    pub(crate) harvests_suspected: Counter,
    swept: Family<SweptLabels, Counter>,
    pub(crate) sweep_failures: Counter,
    pub(crate) store_ready: Gauge,
}

impl Metrics {
    /// All metrics at zero. `more` adds those of the ways to carriers.
    #[must_use]
    pub fn new<T>(more: impl FnOnce(&mut Registry) -> T) -> (Self, T) {
        let mut all = Registry::with_prefix("rcseal");
        let connections = ConnectionMetrics::register(&mut all);
        let registry = all.sub_registry_with_prefix("broker");
        let requests = RequestMetrics::register(registry);
        let logins = Family::default();
        registry.register("logins", "Logins, enrolments included", logins.clone());
        let codes = Family::default();
        registry.register("codes", "One-time codes", codes.clone());
        let mappings = Family::default();
        registry.register("mappings", "Mappings countersigned", mappings.clone());
        let waits = Family::default();
        registry.register("waits", "Waits for numbers that another account has", waits.clone());
        let notices = Family::default();
        registry.register("notices", "Notices to mailboxes", notices.clone());
        let lookups = Family::default();
        registry.register("lookups", "Look-ups", lookups.clone());
        let harvests_suspected = Counter::default();
        registry.register(
            "harvests_suspected",
            "Look-ups refused because the account found too little",
            harvests_suspected.clone(),
        );
        let swept = Family::default();
        registry.register("swept", "Rows removed because they expired", swept.clone());
        let sweep_failures = Counter::default();
        registry.register("sweep_failures", "Sweeps that the store refused", sweep_failures.clone());
        let store_ready = Gauge::default();
        registry.register("store_ready", "Whether the last probe of the store succeeded", store_ready.clone());
        let more = more(registry);
        let metrics = Self {
            registry: all,
            connections,
            requests,
            logins,
            codes,
            mappings,
            waits,
            notices,
            lookups,
            harvests_suspected,
            swept,
            sweep_failures,
            store_ready,
        };
        (metrics, more)
    }

    pub(crate) fn login(&self, outcome: Outcome) {
        self.logins.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn code(&self, event: CodeEvent) {
        self.codes.get_or_create(&CodeLabels { event }).inc();
    }

    pub(crate) fn mapping(&self, grounds: GroundsKind) {
        let grounds = match grounds {
            GroundsKind::First => GroundsLabel::First,
            GroundsKind::Same => GroundsLabel::Same,
            GroundsKind::Released => GroundsLabel::Released,
            GroundsKind::Waited => GroundsLabel::Waited,
            GroundsKind::Recycled => GroundsLabel::Recycled,
            GroundsKind::Ported => GroundsLabel::Ported,
        };
        self.mappings.get_or_create(&GroundsLabels { grounds }).inc();
    }

    pub(crate) fn wait(&self, event: WaitEvent) {
        self.waits.get_or_create(&WaitLabels { event }).inc();
    }

    pub(crate) fn notice(&self, outcome: NoticeOutcome) {
        self.notices.get_or_create(&NoticeLabels { outcome }).inc();
    }

    pub(crate) fn lookup(&self, answer: LookupOutcome) {
        let answer = match answer {
            LookupOutcome::Found => LookupLabel::Found,
            LookupOutcome::Absent => LookupLabel::Absent,
            LookupOutcome::Undiscoverable => LookupLabel::Undiscoverable,
        };
        self.lookups.get_or_create(&LookupLabels { answer }).inc();
    }

    pub(crate) fn lookup_limited(&self) {
        self.lookups.get_or_create(&LookupLabels { answer: LookupLabel::Limited }).inc();
    }

    pub(crate) fn swept(&self, kind: SweptKind, count: u64) {
        self.swept.get_or_create(&SweptLabels { kind }).inc_by(count);
    }

    /// The table in the OpenMetrics text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string cannot fail");
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_ends_as_openmetrics_demands_and_counts() {
        let (metrics, ()) = Metrics::new(|_| ());
        metrics.code(CodeEvent::Wrong);
        metrics.mapping(GroundsKind::Recycled);
        let page = metrics.render();
        assert!(page.ends_with("# EOF\n"));
        assert!(page.contains("rcseal_broker_codes_total{event=\"Wrong\"} 1"), "{page}");
        assert!(page.contains("rcseal_broker_mappings_total{grounds=\"Recycled\"} 1"));
    }

    #[test]
    fn routes_belong_to_planes() {
        assert_eq!(Plane::of("/v1/numbers/{number}/confirm"), Plane::Number);
        assert_eq!(Plane::of("/v1/lookups"), Plane::Lookup);
        assert_eq!(Plane::of("/other"), Plane::Other);
    }
}
