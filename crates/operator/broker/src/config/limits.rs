//! How much of everything.

use std::time::Duration;

use rcseal_front::net::AcceptorSettings;
use serde::{Deserialize, Serialize};

/// Table `[codes]`: what a stranger can make the operator pay for, and how often a code can be guessed. The counts outlive a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodesConfig {
    /// How long a code is good.
    pub lifetime_seconds: u64,
    /// Wrong codes that one claim allows, over all codes sent for it.
    pub tries_max: u8,
    /// Seconds before a second, third, ... code can be asked for in one claim. There are as many codes as there are entries.
    pub resend_after_seconds: Vec<u64>,
    /// Codes sent to one number in a day.
    pub per_number_day_max: u32,
    /// Wrong codes for one number in a day, by whomever.
    pub wrong_per_number_day_max: u32,
    /// Codes asked for by one account in a day.
    pub per_account_day_max: u32,
    /// Codes asked for from one IPv4 address or IPv6 /64 in a day. Generous, because phones share carrier NAT addresses.
    pub per_address_day_max: u32,
    /// Codes sent in an hour to numbers that differ in their last three digits only: whoever is paid for messages to a range orders them
    /// in a row.
    pub per_block_hour_max: u32,
    /// Codes sent in an hour at all: the operator's budget.
    pub per_hour_max: u32,
}

/// Table `[lookups]`. The counts outlive a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LookupsConfig {
    /// Look-ups by one account in a day. An address book is looked up once, over some days if need be.
    pub per_account_day_max: u32,
    /// Look-ups from one IPv4 address or IPv6 /64 in a day.
    pub per_address_day_max: u32,
    /// Look-ups by one account in a day that find nothing: who tries numbers in a row finds nothing most of the time.
    pub in_vain_per_account_day_max: u32,
    /// No answer leaves sooner than this after the request: longer than looking takes, so that the time says nothing of what was found.
    pub answer_millis: u64,
}

/// Table `[limits]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Open connections in all.
    pub connections_max: u32,
    /// Open connections per IPv4 address or IPv6 /64.
    pub connections_per_address_max: u32,
    /// Time for a TLS handshake.
    pub handshake_seconds_max: u64,
    /// Time between a connection becoming idle and the next complete request head.
    pub header_seconds_max: u64,
    /// Time between two pieces of a request body, and the longest a peer may refuse to read what we write.
    pub stall_seconds_max: u64,
    /// Time requests get to finish at shutdown.
    pub shutdown_seconds_max: u64,
    /// Life of a login token.
    pub token_seconds_max: u64,
    /// Unauthenticated requests per address and minute. An enrolment counts for twenty.
    pub anonymous_requests_per_minute_max: u32,
    /// Requests of one logged-in device per minute.
    pub device_requests_per_minute_max: u32,
    /// A key set that the relay has confirmed within this time is taken for the newest at a login.
    pub key_set_fresh_seconds: u64,
    /// While the relay cannot be asked, a key set that it has confirmed within this time still serves for logins.
    pub key_set_age_seconds_max: u64,
}

impl Default for CodesConfig {
    fn default() -> Self {
        Self {
            lifetime_seconds: 10 * 60,
            // Five in a million per claim.
            tries_max: 5,
            resend_after_seconds: vec![30, 120, 300],
            per_number_day_max: 5,
            wrong_per_number_day_max: 15,
            per_account_day_max: 10,
            per_address_day_max: 50,
            per_block_hour_max: 30,
            per_hour_max: 1_000,
        }
    }
}

impl Default for LookupsConfig {
    fn default() -> Self {
        Self {
            per_account_day_max: 500,
            per_address_day_max: 5_000,
            in_vain_per_account_day_max: 250,
            answer_millis: 20,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 2_000,
            handshake_seconds_max: 10,
            header_seconds_max: 60,
            stall_seconds_max: 30,
            shutdown_seconds_max: 20,
            token_seconds_max: 15 * 60,
            anonymous_requests_per_minute_max: 600,
            device_requests_per_minute_max: 600,
            key_set_fresh_seconds: 10 * 60,
            // A removed device keeps a login here for so long if it can keep the relay from being asked.
            key_set_age_seconds_max: 24 * 3600,
        }
    }
}

impl LimitsConfig {
    /// Time requests get at shutdown.
    #[must_use]
    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds_max)
    }

    /// Time a peer may stall.
    #[must_use]
    pub fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_seconds_max)
    }

    /// What the listener needs to know.
    #[must_use]
    pub fn acceptor(&self) -> AcceptorSettings {
        AcceptorSettings {
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
            handshake: Duration::from_secs(self.handshake_seconds_max),
            header: Duration::from_secs(self.header_seconds_max),
            stall: self.stall(),
        }
    }
}
