//! Microseconds per decision, for the shortest and the longest way through the rules.

use rcseal_engine::UnixMillis;
use rcseal_engine::policy::{
    AbsenceEvidence, Consent, ConsentId, ContentKind, DeliveryMode, FallbackPolicy, Inputs, Observed, PeerCapability,
    Policies, Recipient, RoutePreference, Ways, decide,
};
use rcseal_report::{Report, Row};
use rcseal_wire::id::AccountId;

use crate::timing::per_call;

const GOAL: f64 = 1.0;
const COUNT: usize = 200_000;

pub(crate) fn measure(report: &mut Report) {
    let by = AccountId::from_bytes([1; 16]);
    let recipient = Recipient { account: None, number: None };
    let now = UnixMillis(1_000_000);
    let end_to_end = Inputs {
        now,
        by,
        recipient: Recipient { account: Some(AccountId::from_bytes([2; 16])), number: None },
        content: ContentKind::Words,
        policies: Policies { tenant: None, account: FallbackPolicy::Block, conversation: None },
        preference: RoutePreference::Native,
        ways: Ways::NONE.with(DeliveryMode::Relayed).with(DeliveryMode::Native),
        peer: PeerCapability::KnownCapable { since: now },
        absence: None,
        acknowledged: None,
        consent: None,
        observed: Observed::default(),
    };
    let readable = Inputs {
        recipient,
        policies: Policies {
            tenant: Some(FallbackPolicy::Downgrade),
            account: FallbackPolicy::Downgrade,
            conversation: Some(FallbackPolicy::Downgrade),
        },
        ways: DeliveryMode::READABLE.into_iter().fold(Ways::NONE, Ways::with),
        peer: PeerCapability::Unknown,
        absence: Some(AbsenceEvidence::UserAttested { at: now, expires_at: UnixMillis(2_000_000) }),
        // The last mode that is looked at.
        consent: Some(Consent {
            id: ConsentId(1),
            by,
            recipient,
            mode: DeliveryMode::Sms,
            given_at: now,
            expires_at: UnixMillis(2_000_000),
            withdrawn_at: None,
        }),
        ..end_to_end
    };
    for (id, inputs) in [("decide_end_to_end_us", end_to_end), ("decide_readable_us", readable)] {
        let micros = per_call(COUNT, || decide(std::hint::black_box(&inputs)));
        report.measure(Row::lower(id, micros, "µs").goal(GOAL));
    }
}
