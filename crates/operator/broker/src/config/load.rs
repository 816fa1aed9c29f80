//! Reading and checking the configuration.

use std::collections::HashSet;
use std::path::Path;

use rcseal_credential::mapping::LIFETIME_MS_MAX;
use rcseal_front::config::{anchor, read, within};

use super::{Config, ConfigError};

/// Prefix of the broker's environment variables.
const ENVIRONMENT_PREFIX: &str = "RCSEAL_BROKER_";

const DAY: u64 = 24 * 3600;

pub(super) fn load(file: &Path) -> Result<Config, ConfigError> {
    let mut config: Config = read(file, ENVIRONMENT_PREFIX)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    config.tls.anchor(folder);
    anchor(folder, &mut config.storage.path);
    anchor(folder, &mut config.signing.key);
    config.forward.anchor(folder);
    config.sms.anchor(folder);
    config.business.anchor(folder);
    for relay in &mut config.relays {
        anchor(folder, &mut relay.authority);
    }
    validate(&config)?;
    Ok(config)
}

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    if config.server.origin.is_none() && !config.server.listen.ip().is_loopback() {
        return Err(ConfigError::OriginMissing { listen: config.server.listen });
    }
    config.tls.validate()?;
    let mut origins = HashSet::new();
    if !config.relays.iter().all(|relay| origins.insert(&relay.origin)) {
        return Err(ConfigError::Invalid { key: "relays", fault: "two of them have the same origin" });
    }
    let (numbers, codes, lookups, limits) = (&config.numbers, &config.codes, &config.lookups, &config.limits);
    if codes.resend_after_seconds.is_empty() || codes.resend_after_seconds.len() > 10 {
        return Err(ConfigError::Invalid { key: "codes.resend_after_seconds", fault: "one to ten entries are needed" });
    }
    let lifetime = numbers.mapping_lifetime_seconds;
    within(&[
        ("numbers.mapping_lifetime_seconds", lifetime, DAY, LIFETIME_MS_MAX / 1000),
        ("numbers.reminder_seconds", numbers.reminder_seconds, 0, lifetime),
        ("numbers.quarantine_seconds", numbers.quarantine_seconds, DAY, 366 * DAY),
        ("numbers.notice_seconds", numbers.notice_seconds, 3600, 3 * DAY),
        ("numbers.notice_retry_seconds", numbers.notice_retry_seconds, 1, DAY),
        ("codes.lifetime_seconds", codes.lifetime_seconds, 60, 3600),
        ("codes.tries_max", codes.tries_max.into(), 1, 10),
        ("codes.per_number_day_max", codes.per_number_day_max.into(), 1, 100),
        ("codes.wrong_per_number_day_max", codes.wrong_per_number_day_max.into(), 1, 100),
        ("codes.per_account_day_max", codes.per_account_day_max.into(), 1, 10_000),
        ("codes.per_address_day_max", codes.per_address_day_max.into(), 1, 10_000_000),
        ("codes.per_block_hour_max", codes.per_block_hour_max.into(), 1, 1_000),
        ("codes.per_hour_max", codes.per_hour_max.into(), 1, 10_000_000),
        ("lookups.per_account_day_max", lookups.per_account_day_max.into(), 1, 1_000_000),
        ("lookups.per_address_day_max", lookups.per_address_day_max.into(), 1, 100_000_000),
        ("lookups.in_vain_per_account_day_max", lookups.in_vain_per_account_day_max.into(), 1, 1_000_000),
        ("lookups.answer_millis", lookups.answer_millis, 0, 1_000),
        ("limits.connections_max", limits.connections_max.into(), 1, 1_000_000),
        ("limits.connections_per_address_max", limits.connections_per_address_max.into(), 1, 1_000_000),
        ("limits.handshake_seconds_max", limits.handshake_seconds_max, 1, 120),
        ("limits.header_seconds_max", limits.header_seconds_max, 1, 600),
        ("limits.stall_seconds_max", limits.stall_seconds_max, 1, 600),
        ("limits.shutdown_seconds_max", limits.shutdown_seconds_max, 1, 600),
        ("limits.token_seconds_max", limits.token_seconds_max, 1, DAY),
        ("limits.anonymous_requests_per_minute_max", limits.anonymous_requests_per_minute_max.into(), 1, 10_000_000),
        ("limits.device_requests_per_minute_max", limits.device_requests_per_minute_max.into(), 1, 10_000_000),
        ("limits.key_set_fresh_seconds", limits.key_set_fresh_seconds, 0, DAY),
        ("limits.key_set_age_seconds_max", limits.key_set_age_seconds_max, 60, 7 * DAY),
        ("jobs.sweep_seconds", config.jobs.sweep_seconds, 1, DAY),
    ])?;
    config.forward.validate()?;
    config.sms.validate()?;
    config.business.validate()?;
    config.log.validate()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use rcseal_front::config::parse;

    use super::*;

    fn parse_text(text: &str) -> Result<Config, ConfigError> {
        parse(text, figment::providers::Serialized::defaults(figment::value::Dict::new()))
    }

    const TLS: &str = "[tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n";

    #[test]
    fn nobody_can_claim_or_enrol_before_the_operator_says_who() {
        let config = parse_text(TLS).unwrap();
        assert!(config.numbers.served.is_empty() && config.relays.is_empty());
        validate(&config).unwrap();
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_nearest_one_named() {
        let error = parse_text("[codes]\ntriesmax = 5\n").unwrap_err();
        assert!(
            matches!(error, ConfigError::UnknownKey { key, nearest } if key == "codes.triesmax" && nearest.as_deref() == Some("codes.tries_max"))
        );
    }

    #[test]
    fn a_prefix_is_a_plus_and_digits() {
        for text in ["44", "+", "+0", "+44x", "+123456789012345"] {
            assert_eq!(text.parse::<super::super::Prefix>(), Err(super::super::PrefixError), "{text}");
        }
        let prefix: super::super::Prefix = "+4477".parse().unwrap();
        assert!(prefix.covers(&"+447700900123".parse().unwrap()));
        assert!(!prefix.covers(&"+441632960001".parse().unwrap()));
    }

    #[test]
    fn a_mapping_never_outlives_what_readers_accept() {
        let config = parse_text(&format!("{TLS}[numbers]\nmapping_lifetime_seconds = 7776001\n")).unwrap();
        assert_eq!(validate(&config).unwrap_err().code(), "config.out_of_range");
    }

    #[test]
    fn two_relays_of_one_origin_are_refused() {
        let relay = "[[relays]]\norigin = \"https://relay.example\"\nauthority = \"a.pem\"\n";
        let config = parse_text(&format!("{relay}{relay}{TLS}")).unwrap();
        assert!(matches!(validate(&config).unwrap_err(), ConfigError::Invalid { key: "relays", .. }));
    }

    #[test]
    fn an_address_outside_loopback_needs_an_origin() {
        let config = parse_text(&format!("[server]\nlisten = \"0.0.0.0:8446\"\n{TLS}")).unwrap();
        assert_eq!(validate(&config).unwrap_err().code(), "config.origin_missing");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_configuration_or_refused(text: String) {
            let _ = parse_text(&text);
        }
    }
}
