//! What business traffic counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum WebhookOutcome {
    Taken,
    Known,
    Refused,
    Failed,
}

/// What became of an SMS in a message's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum SmsOutcome {
    Submitted,
    Refused,
    Unanswered,
    Delivered,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    outcome: WebhookOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SmsLabels {
    outcome: SmsOutcome,
}

/// Counters of business traffic.
#[derive(Debug, Clone, Default)]
pub(crate) struct BusinessMetrics {
    messages: Counter,
    webhooks: Family<WebhookLabels, Counter>,
    sms: Family<SmsLabels, Counter>,
}

impl BusinessMetrics {
    /// Shows them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("business_messages", "Messages that tenants asked for", metrics.messages.clone());
        registry.register("business_webhooks", "Webhook events, by what became of them", metrics.webhooks.clone());
        registry.register("business_sms", "SMS in a message's place, by what became of them", metrics.sms.clone());
        metrics
    }

    pub(crate) fn message(&self) {
        self.messages.inc();
    }

    pub(crate) fn webhook(&self, outcome: WebhookOutcome) {
        self.webhooks.get_or_create(&WebhookLabels { outcome }).inc();
    }

    pub(crate) fn sms(&self, outcome: SmsOutcome) {
        self.sms.get_or_create(&SmsLabels { outcome }).inc();
    }
}
