//! Reading, merging and checking the configuration.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format, Toml};

use rcseal_wire::api::BLOB_LEN_MAX;

use super::{Config, ConfigError, ServerConfig};

/// Prefix of the server's environment variables.
const ENVIRONMENT_PREFIX: &str = "RCSEALD_";

/// Below this similarity a suggestion is noise.
const NEAREST_SIMILARITY_MIN: f64 = 0.6;

pub(super) fn load(file: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { path: file.to_owned(), source })?;
    let mut config = parse(&text, Env::prefixed(ENVIRONMENT_PREFIX).split("__"))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    for path in
        [&mut config.tls.certificate, &mut config.tls.private_key, &mut config.tls.authority, &mut config.storage.blobs]
            .into_iter()
            .flatten()
    {
        anchor(folder, path);
    }
    anchor(folder, &mut config.storage.path);
    validate(&config)?;
    Ok(config)
}

fn parse(text: &str, environment: impl figment::Provider) -> Result<Config, ConfigError> {
    Figment::from(Toml::string(text)).merge(environment).extract().map_err(refuse)
}

/// A path in the file means "beside the file", wherever the server was started.
fn anchor(folder: &Path, path: &mut PathBuf) {
    if path.is_relative() {
        *path = folder.join(&*path);
    }
}

fn refuse(error: figment::Error) -> ConfigError {
    let Kind::UnknownField(name, known) = &error.kind else {
        return ConfigError::Parse(Box::new(error));
    };
    let table = error.path.iter().filter(|part| *part != name).cloned().collect::<Vec<_>>().join(".");
    let in_table = |key: &str| if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
    let nearest = known
        .iter()
        .map(|key| (strsim::jaro_winkler(key, name), *key))
        .filter(|(similarity, _)| *similarity >= NEAREST_SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| in_table(key));
    ConfigError::UnknownKey { key: in_table(name), nearest }
}

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    if config.server.origin.is_none() && !config.server.listen.ip().is_loopback() {
        return Err(ConfigError::OriginMissing { listen: config.server.listen });
    }
    if config.tls.certificate.is_none() {
        return Err(ConfigError::TlsMissing { key: "tls.certificate" });
    }
    if config.tls.private_key.is_none() {
        return Err(ConfigError::TlsMissing { key: "tls.private_key" });
    }
    const DAY: u64 = 24 * 3600;
    let limits = &config.limits;
    let ranges: [(&'static str, u64, u64, u64); 21] = [
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
        ("jobs.sweep_seconds", config.jobs.sweep_seconds, 1, DAY),
    ];
    for (key, value, min, max) in ranges {
        if !(min..=max).contains(&value) {
            return Err(ConfigError::OutOfRange { key, value, min, max });
        }
    }
    tracing_subscriber::EnvFilter::try_new(&config.log.filter)
        .map_err(|source| ConfigError::LogFilter { filter: config.log.filter.clone(), source })?;
    Ok(())
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
        parse(text, figment::providers::Serialized::defaults(figment::value::Dict::new()))
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
