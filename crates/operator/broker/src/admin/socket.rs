//! Commands of the admin socket.
//!
//! | command | answer |
//! |---|---|
//! | `number-ported NUMBER REASON` | `ok`: whoever claims the number next gets it; noted with the reason |
//! | `number-show NUMBER` | lines about the number, then `ok` |
//! | `audit` | one line per entry, then `ok`; a chain that does not hold is an error |
//! | anything else, or a failure | `error REASON` |

use std::fmt::Write as _;
use std::path::Path;

use rcseal_front::admin_socket::{AdminSocketError, Answer, ask};
use rcseal_store::broker::AuditEntry;
use rcseal_wire::api::broker::NoticeKind;
use rcseal_wire::id::DeviceAddress;
use rcseal_wire::number::E164;

use crate::number::{is_in_force, is_readable, notify, tend};
use crate::state::AppState;

/// What is noted for a number that moved.
const PORTED: &str = "number_ported";
/// Characters of a reason.
const REASON_LEN_MAX: usize = 500;
/// Entries read from the store at once.
const AUDIT_PAGE: usize = 256;

/// Answers one line.
pub(crate) async fn command(state: AppState, line: String) -> Answer {
    let line = line.trim();
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (number, reason) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    match word {
        "number-ported" => port(&state, parse(number)?, reason.trim()).await,
        "number-show" => show(&state, parse(number)?).await,
        "audit" => list(&state).await,
        _ => Err("unknown command".to_owned()),
    }
}

fn parse(number: &str) -> Result<E164, String> {
    number.parse().map_err(|_| "not a phone number in international form".to_owned())
}

async fn port(state: &AppState, number: E164, reason: &str) -> Answer {
    if reason.is_empty() || reason.len() > REASON_LEN_MAX {
        return Err("a reason is needed, of at most 500 characters".to_owned());
    }
    let now = state.now();
    let entry = AuditEntry { at: now, action: PORTED, number: number.clone(), reason: reason.to_owned() };
    let before = state.store.port(number.clone(), entry).await.map_err(|error| match error.code() {
        "number_conflict" => "the number was never bound here".to_owned(),
        code => code.to_owned(),
    })?;
    tracing::warn!(event = "number_ported", number = %state.hashes.log(&number));
    let holder = DeviceAddress { account: before.head.account, device: before.head.device };
    if let Err(error) = notify(state, holder, NoticeKind::Ported, number.clone(), now, None).await {
        tracing::warn!(event = "port_notice_failed", code = error.code);
    }
    // Whoever waits for it need not wait any longer.
    tend(state, number).await.map_err(|error| error.to_string())?;
    Ok("ok\n".to_owned())
}

async fn show(state: &AppState, number: E164) -> Answer {
    let record = state.store.number(number.clone()).await.map_err(|error| error.code().to_owned())?;
    let Some(record) = record else { return Err("the number was never bound here".to_owned()) };
    let now = state.now();
    let days = |at: rcseal_store::UnixMillis| (at.get() as i128 - now.get() as i128) / (24 * 3600 * 1000);
    let mut lines = String::new();
    // Writing to a string cannot fail.
    let head = &record.head;
    let _ = writeln!(lines, "account {} device {}", head.account, head.device.get());
    let _ = writeln!(lines, "sequence {} hash {}", head.sequence, head.hash);
    let before = state.store.mappings_before(number).await.map_err(|error| error.code().to_owned())?;
    let _ = writeln!(lines, "mappings before: {}", before.len());
    let _ = writeln!(lines, "in force: {}", is_in_force(&record, now));
    let _ = writeln!(lines, "verifies: {}", is_readable(state, &record));
    let _ = writeln!(lines, "expires in {} days", days(head.expires_at));
    let _ = writeln!(lines, "shown in look-ups: {}", record.discoverable);
    let _ = writeln!(lines, "released: {} ported: {}", record.released.is_some(), record.ported_at.is_some());
    if let Some(waiting) = &record.waiting {
        let _ = writeln!(
            lines,
            "waited for by {}, told: {}, over in {} days",
            waiting.device.account,
            waiting.announced_at.is_some(),
            days(waiting.effective_at)
        );
    }
    lines.push_str("ok\n");
    Ok(lines)
}

async fn list(state: &AppState) -> Answer {
    let mut lines = String::new();
    let mut after = 0;
    loop {
        let page = state.store.audit(after, AUDIT_PAGE).await.map_err(|error| error.code().to_owned())?;
        let Some(last) = page.last() else { break };
        after = last.sequence;
        for entry in &page {
            let hash = rcseal_wire::b64::encode(&entry.hash);
            let number = entry.number.as_str();
            let _ = writeln!(
                lines,
                "{} {} {} {number} {hash} {}",
                entry.sequence,
                entry.at.get(),
                entry.action,
                entry.reason.replace(['\n', '\r'], " ")
            );
        }
    }
    lines.push_str("ok\n");
    Ok(lines)
}

/// Tells the broker whose storage folder is `storage` that a number moved to another carrier, and why one says so.
pub async fn number_ported(storage: &Path, number: &E164, reason: &str) -> Result<(), AdminSocketError> {
    ask(storage, &format!("number-ported {} {reason}", number.as_str())).await.map(drop)
}

/// Asks what is stored of a number. Returns lines.
pub async fn number_state(storage: &Path, number: &E164) -> Result<Vec<String>, AdminSocketError> {
    ask(storage, &format!("number-show {}", number.as_str())).await.map(|(lines, _)| lines)
}

/// Asks for everything that was done to numbers by hand. Returns a line for each.
pub async fn audit(storage: &Path) -> Result<Vec<String>, AdminSocketError> {
    ask(storage, "audit").await.map(|(lines, _)| lines)
}
