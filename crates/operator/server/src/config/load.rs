//! Reading, merging and checking the configuration.

use std::net::IpAddr;
use std::path::Path;

use rcseal_front::config;
use rcseal_wire::api::BLOB_LEN_MAX;

use super::{Config, ConfigError, ServerConfig};

/// Prefix of the server's environment variables.
const ENVIRONMENT_PREFIX: &str = "RCSEALD_";

pub(super) fn load(file: &Path) -> Result<Config, ConfigError> {
    let mut config: Config = config::read(file, ENVIRONMENT_PREFIX)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    config.tls.anchor(folder);
    if let Some(blobs) = &mut config.storage.blobs {
        config::anchor(folder, blobs);
    }
    config::anchor(folder, &mut config.storage.path);
    if let Some(encryption) = &mut config.server_encryption {
        encryption.anchor(folder);
    }
    if let Some(spool) = &mut config.push.spool {
        config::anchor(folder, spool);
    }
    validate(&config)?;
    Ok(config)
}

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    if config.server.origin.is_none() && !config.server.listen.ip().is_loopback() {
        return Err(ConfigError::OriginMissing { listen: config.server.listen });
    }
    config.tls.validate()?;
    const DAY: u64 = 24 * 3600;
    let limits = &config.limits;
    config::within(&[
        ("limits.connections_max", u64::from(limits.connections_max), 1, 1_000_000),
        ("limits.connections_per_address_max", u64::from(limits.connections_per_address_max), 1, 1_000_000),
        ("limits.handshake_seconds_max", limits.handshake_seconds_max, 1, 120),
        ("limits.header_seconds_max", limits.header_seconds_max, 1, 600),
        ("limits.stall_seconds_max", limits.stall_seconds_max, 1, 600),
        ("limits.shutdown_seconds_max", limits.shutdown_seconds_max, 1, 600),
        ("limits.token_seconds_max", limits.token_seconds_max, 1, DAY),
        ("limits.blob_bytes_max", limits.blob_bytes_max, 1, BLOB_LEN_MAX),
        ("limits.blob_account_bytes_max", limits.blob_account_bytes_max, 1, u64::MAX),
        ("limits.blob_age_seconds_max", limits.blob_age_seconds_max, 1, u64::from(u32::MAX)),
        ("limits.mailbox_messages_max", limits.mailbox_messages_max, 1, 10_000_000),
        ("limits.mailbox_bytes_max", limits.mailbox_bytes_max, 1, u64::MAX),
        ("limits.prekey_claims_per_hour_max", u64::from(limits.prekey_claims_per_hour_max), 1, 1_000_000),
        ("limits.bundle_requests_per_minute_max", u64::from(limits.bundle_requests_per_minute_max), 1, 1_000_000),
        (
            "limits.anonymous_requests_per_minute_max",
            u64::from(limits.anonymous_requests_per_minute_max),
            1,
            10_000_000,
        ),
        ("limits.device_requests_per_minute_max", u64::from(limits.device_requests_per_minute_max), 1, 10_000_000),
        ("limits.takeovers_per_hour_max", u64::from(limits.takeovers_per_hour_max), 1, 1_000_000),
        ("limits.submissions_per_second_max", u64::from(limits.submissions_per_second_max), 1, 1_000_000),
        ("limits.link_slots_max", u64::from(limits.link_slots_max), 1, 1_000_000),
        ("reset.delay_seconds", config.reset.delay_seconds, reset_delay_min(config), 90 * DAY),
        ("push.interval_seconds", config.push.interval_seconds, 0, DAY),
        ("push.jitter_millis", config.push.jitter_millis, 0, 60_000),
        ("jobs.sweep_seconds", config.jobs.sweep_seconds, 1, DAY),
    ])?;
    if let Some(encryption) = &config.server_encryption {
        encryption.validate()?;
    }
    config.log.validate()
}

/// The shortest delay of a reset. On a server that others can reach it must leave the account's devices the time to come by and veto. Its
/// loopback address may be where something passes connections on to, so what clients call it counts as well.
fn reset_delay_min(config: &Config) -> u64 {
    let ServerConfig { listen, origin, .. } = &config.server;
    let is_called_local = origin.as_ref().is_none_or(|origin| {
        let host = origin.host();
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    });
    if listen.ip().is_loopback() && is_called_local { 1 } else { 24 * 3600 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn parse_text(text: &str) -> Result<Config, ConfigError> {
        config::parse(text, figment::providers::Serialized::defaults(figment::value::Dict::new()))
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_nearest_one_named() {
        let error = parse_text("[limits]\nconection_max = 5\n").unwrap_err();
        let ConfigError::UnknownKey { key, nearest } = &error else {
            panic!("unexpected {error:?}");
        };
        assert_eq!(key, "limits.conection_max");
        assert_eq!(nearest.as_deref(), Some("limits.connections_max"));
        assert_eq!(error.to_string(), "unknown key `limits.conection_max`; did you mean `limits.connections_max`?");
    }

    #[test]
    fn a_misspelt_table_is_refused_with_the_nearest_one_named() {
        let error = parse_text("[limit]\nconnections_max = 5\n").unwrap_err();
        assert!(
            matches!(error, ConfigError::UnknownKey { key, nearest } if key == "limit" && nearest.as_deref() == Some("limits"))
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_configuration_or_refused(text: String) {
            let _ = parse_text(&text);
        }

        #[test]
        fn any_key_and_value_is_accepted_or_refused(
            table in "(server|tls|storage|admission|limits|jobs|log|[a-z]{1,6})",
            key in "[a-z_]{1,30}",
            value in r#"([0-9]{1,25}|-[0-9]{1,5}|"[a-z:/.]{0,20}"|true|\[\]|\{\})"#,
        ) {
            let _ = parse_text(&format!("[{table}]\n{key} = {value}\n"));
        }
    }

    #[test]
    fn a_key_unlike_any_other_is_refused_without_a_guess() {
        let error = parse_text("[jobs]\nqqq = 5\n").unwrap_err();
        assert!(matches!(error, ConfigError::UnknownKey { key, nearest: None } if key == "jobs.qqq"));
    }

    #[test]
    fn a_value_of_the_wrong_type_does_not_parse() {
        assert_eq!(parse_text("[limits]\nconnections_max = \"many\"\n").unwrap_err().code(), "config.parse");
        assert_eq!(parse_text("not toml").unwrap_err().code(), "config.parse");
    }

    #[test]
    fn a_server_that_forgets_its_admission_mode_is_not_open() {
        assert_eq!(parse_text("").unwrap().admission.mode, super::super::AdmissionMode::Invite);
    }

    #[test]
    fn an_origin_with_a_path_does_not_parse() {
        assert_eq!(
            parse_text("[server]\norigin = \"https://relay.example.org/\"\n").unwrap_err().code(),
            "config.parse"
        );
    }

    #[test]
    fn an_address_outside_loopback_needs_an_origin() {
        let config =
            parse_text("[server]\nlisten = \"0.0.0.0:8443\"\n[tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n")
                .unwrap();
        assert_eq!(validate(&config).unwrap_err().code(), "config.origin_missing");
    }

    #[test]
    fn a_log_filter_that_is_none_is_refused() {
        let config =
            parse_text("[log]\nfilter = \"a=b=c\"\n[tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n").unwrap();
        assert_eq!(validate(&config).unwrap_err().code(), "config.log_filter");
    }

    #[test]
    fn a_limit_outside_its_range_is_refused() {
        let config =
            parse_text("[limits]\ntoken_seconds_max = 0\n[tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n").unwrap();
        assert!(matches!(
            validate(&config).unwrap_err(),
            ConfigError::OutOfRange { key: "limits.token_seconds_max", value: 0, .. }
        ));
    }
}
