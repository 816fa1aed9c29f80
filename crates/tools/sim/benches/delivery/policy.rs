//! Microseconds per decision, for the shortest and the longest way through the rules.

use rcseal_engine::policy::{
    AbsenceEvidence, Consent, ConsentId, ContentKind, DeliveryMode, FallbackPolicy, Inputs, Observed, PeerCapability,
    Policies, Recipient, RoutePreference, Ways, decide,
};
use rcseal_report::{Report, Row};
use rcseal_wire::UnixMillis;
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
        peer: PeerCapability::KnownCapable,
        absence: None,
        acknowledged: None,
        consents: [None; DeliveryMode::READABLE.len()],
        observed: Observed::default(),
    };
    let mut readable = Inputs {
        recipient,
        policies: Policies {
            tenant: Some(FallbackPolicy::Verify),
            account: FallbackPolicy::Verify,
            conversation: Some(FallbackPolicy::Verify),
        },
        ways: DeliveryMode::READABLE.into_iter().fold(Ways::NONE, Ways::with),
        peer: PeerCapability::Unknown,
        absence: Some(AbsenceEvidence::UserAttested { at: now, expires_at: UnixMillis(2_000_000) }),
        ..end_to_end
    };
    for (slot, mode) in readable.consents.iter_mut().zip(DeliveryMode::READABLE) {
        *slot = Some(Consent {
            id: ConsentId(1),
            by,
            recipient,
            mode,
            given_at: now,
            expires_at: UnixMillis(2_000_000),
            withdrawn_at: None,
        });
    }
    for (id, inputs) in [("decide_end_to_end_us", end_to_end), ("decide_readable_us", readable)] {
        let micros = per_call(COUNT, || decide(std::hint::black_box(&inputs)));
        report.measure(Row::lower(id, micros, "µs").goal(GOAL));
    }
}
