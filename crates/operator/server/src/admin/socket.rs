//! What the operator may say over the admin socket ([`rcseal_front::admin_socket`]).
//!
//! | command | answer |
//! |---|---|
//! | `invite SECONDS` | `ok CODE`: a fresh single-use code that admits one account for that long |
//! | `reset-create ACCOUNT SECONDS` | `ok TICKET`: a fresh ticket, good for that long, for one reset of the account |
//! | `reset-list` | one line per reset, then `ok` |
//! | `reset-cancel ACCOUNT` | `ok` |
//! | what [`super::retained`] says | about messages that the server can read |
//! | anything else, or a failure | `error REASON` |

use std::fmt::{self, Write as _};
use std::path::Path;

use rcseal_front::admin_socket::{AdminSocketError, Answer, ask};
use rcseal_front::log::LogId;
use rcseal_store::takeover::ResetState;
use rcseal_wire::id::{AccountId, IdError};

use super::retained;
use crate::admission::InviteCode;
use crate::state::AppState;
use crate::takeover::{self, ResetTicket};

/// Resets read from the store at once; a pending one comes with its key set.
const RESETS_PAGE: usize = 64;
/// An invite or a ticket that waits longer than a year is forgotten by everybody but its finder.
const LIFETIME_SECONDS_MAX: u64 = 366 * 24 * 3600;

/// Carries out a command.
pub(crate) async fn command(state: AppState, line: String) -> Answer {
    let state = &state;
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["invite", seconds] => invite(state, parse_seconds(seconds)?).await,
        ["reset-create", account, seconds] => {
            allow_reset(state, parse_account(account)?, parse_seconds(seconds)?).await
        }
        ["reset-list"] => resets(state).await,
        ["retained-list"] => retained::list(state, None).await,
        ["retained-list", account, sequence] => {
            let sequence = sequence.parse().map_err(|_| "not a sequence".to_owned())?;
            retained::list(state, Some((parse_account(account)?, sequence))).await
        }
        ["retained-read", id, operator, reason] => retained::read(state, id, operator, reason).await,
        ["retained-check"] => retained::check(state).await,
        ["audit", after] => retained::audit(state, after).await,
        ["reset-cancel", account] => end_reset(state, parse_account(account)?).await,
        _ => Err("unknown command".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds @ 1..=LIFETIME_SECONDS_MAX) => Ok(seconds),
        _ => Err(format!("seconds must be 1 to {LIFETIME_SECONDS_MAX}")),
    }
}

fn parse_account(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|_: IdError| "not an account id".to_owned())
}

async fn invite(state: &AppState, seconds: u64) -> Result<String, String> {
    let code = InviteCode::generate(&mut rand::rng());
    let now = state.clock.now();
    state.store.add_invite(code.hash(), now.plus_seconds(seconds), now).await.map_err(|error| error.to_string())?;
    tracing::info!(event = "invite_created", seconds);
    Ok(format!("ok {}\n", code.expose_text()))
}

async fn allow_reset(state: &AppState, account: AccountId, seconds: u64) -> Result<String, String> {
    let ticket = ResetTicket::generate(&mut rand::rng());
    let expires_at = state.clock.now().plus_seconds(seconds);
    takeover::allow(state, account, &ticket, expires_at).await.map_err(|error| error.to_string())?;
    tracing::info!(event = "reset_ticket_created", account = %LogId::of(account.as_bytes()), seconds);
    Ok(format!("ok {}\n", ticket.expose_text()))
}

async fn resets(state: &AppState) -> Result<String, String> {
    let now = state.clock.now();
    let mut lines = String::new();
    let mut after = None;
    loop {
        let page = state.store.resets(after, RESETS_PAGE).await.map_err(|error| error.to_string())?;
        let Some(last) = page.last() else { break };
        after = Some(last.account);
        for record in page {
            let (state, until) = match record.state {
                ResetState::Allowed { until } => ("allowed: its ticket expires in", until),
                ResetState::Pending { effective_at, .. } => ("pending: takes effect in", effective_at),
            };
            let left = until.get().saturating_sub(now.get()) / 1000;
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{} {state} {}", record.account, Span(left));
        }
    }
    lines.push_str("ok\n");
    Ok(lines)
}

async fn end_reset(state: &AppState, account: AccountId) -> Result<String, String> {
    match takeover::cancel(state, account).await {
        Ok(true) => Ok("ok\n".to_owned()),
        Ok(false) => Err("there is no ticket and no pending reset of this account".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A span of time for people, to the minute.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.div_ceil(60);
        let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
        write!(f, "{days}d {hours}h {minutes}m")
    }
}

/// Asks the server whose storage folder is `storage` for an invite that is good for `seconds`. Returns the code's text.
pub async fn create_invite(storage: &Path, seconds: u64) -> Result<String, AdminSocketError> {
    ask(storage, &format!("invite {seconds}")).await.map(|(_, code)| code)
}

/// Asks for a ticket, good for `seconds`, for one reset of an account. Returns its text.
pub async fn create_reset_ticket(
    storage: &Path,
    account: &AccountId,
    seconds: u64,
) -> Result<String, AdminSocketError> {
    ask(storage, &format!("reset-create {account} {seconds}")).await.map(|(_, ticket)| ticket)
}

/// Asks for every ticket and pending reset. Returns a line for each.
pub async fn list_resets(storage: &Path) -> Result<Vec<String>, AdminSocketError> {
    ask(storage, "reset-list").await.map(|(lines, _)| lines)
}

/// Ends an account's ticket or pending reset.
pub async fn cancel_reset(storage: &Path, account: &AccountId) -> Result<(), AdminSocketError> {
    ask(storage, &format!("reset-cancel {account}")).await.map(drop)
}
