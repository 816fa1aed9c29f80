//! One entry function per parser: what a fuzzer calls, and what the tests replay.
//!
//! A parser must take arbitrary bytes and answer a value or a typed error. A [`Target`] is such a parser under one name: it is
//! handed bytes, checks what must hold of any value that comes out (mostly that writing it again gives the same bytes, so that
//! nothing has two encodings), and says whether the bytes were accepted. It panics when a promise is broken, which is how both
//! a fuzzer and the test harness learn of it.
//!
//! Targets are data. The fuzzer in `fuzz/` is one program that looks its target up here, and `tests/corpus.rs` runs every
//! target over its seeds, over damaged seeds, and over what fuzzing has kept in `fuzz/corpus/<target>.hex`. A new parser is one
//! entry in [`TARGETS`]; seeds make sure that fuzzing starts behind the first length check. Nothing here is part of a product.

mod api;
mod archive;
mod backup;
mod business;
mod carrier;
mod credential;
mod frame;
mod mapping;
mod pairwise;
mod push;
mod signal;
mod signal_world;
mod sip;
mod sms;
mod two_party;
mod wire;

/// What a parser said of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It made a value of them, and everything promised about the value held.
    Accepted,
    /// It answered with an error.
    Refused,
}

impl Verdict {
    fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Accepted } else { Self::Refused }
    }
}

/// One parser under one name.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name that `cargo xtask fuzz` and the file in `fuzz/corpus/` use.
    pub name: &'static str,
    /// Runs the parser. Panics when a promise is broken.
    pub run: fn(&[u8]) -> Verdict,
    /// Inputs that the parser accepts, made by our own writers.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Targets of the opt-in `signal-v4` profile begin with this. They exist with the feature of that name only, which the fuzzer turns on.
pub const OPT_IN_PREFIX: &str = "v4_";

/// Every parser that bytes of a peer reach.
pub const TARGETS: &[Target] = &[
    Target { name: "envelope", run: wire::envelope, seeds: wire::envelope_seeds },
    Target { name: "carrier_delivery", run: wire::carrier_delivery, seeds: wire::carrier_delivery_seeds },
    Target { name: "hello", run: wire::hello, seeds: wire::hello_seeds },
    Target { name: "padding", run: wire::padding, seeds: wire::padding_seeds },
    Target { name: "payload", run: wire::payload, seeds: wire::payload_seeds },
    Target { name: "content", run: wire::content, seeds: wire::content_seeds },
    Target { name: "invitation", run: wire::invitation, seeds: wire::invitation_seeds },
    Target { name: "continuation", run: wire::continuation, seeds: wire::continuation_seeds },
    Target { name: "link", run: wire::link, seeds: wire::link_seeds },
    Target { name: "backup_header", run: backup::header, seeds: backup::header_seeds },
    Target { name: "backup_rows", run: backup::rows, seeds: backup::rows_seeds },
    Target { name: "frame_to_relay", run: wire::frame_to_relay, seeds: wire::frame_to_relay_seeds },
    Target { name: "frame_to_device", run: wire::frame_to_device, seeds: wire::frame_to_device_seeds },
    Target { name: "signal_message", run: signal::message, seeds: signal::message_seeds },
    Target { name: "signal_prekey_message", run: signal::prekey_message, seeds: signal::prekey_message_seeds },
    Target { name: "signal_braid_message", run: signal::braid_message, seeds: signal::braid_message_seeds },
    Target { name: "prekey_bundle", run: signal::bundle, seeds: signal::bundle_seeds },
    Target { name: "pairwise_bundle", run: pairwise::bundle, seeds: pairwise::bundle_seeds },
    Target { name: "pairwise_message", run: pairwise::message, seeds: pairwise::message_seeds },
    Target { name: "session_record", run: signal::record, seeds: signal::record_seeds },
    Target { name: "session_archive", run: archive::session_archive, seeds: archive::session_archive_seeds },
    Target { name: "archive_message", run: archive::archive_message, seeds: archive::archive_message_seeds },
    Target { name: "two_party", run: two_party::two_party, seeds: two_party::two_party_seeds },
    Target { name: "key_set", run: credential::key_set, seeds: credential::key_set_seeds },
    Target { name: "device_entry", run: credential::device_entry, seeds: credential::device_entry_seeds },
    Target { name: "safety_number", run: credential::safety_number, seeds: credential::safety_number_seeds },
    Target { name: "number_statement", run: mapping::number_statement, seeds: mapping::number_statement_seeds },
    Target { name: "number_mapping", run: mapping::number_mapping, seeds: mapping::number_mapping_seeds },
    Target { name: "mapping_evidence", run: mapping::mapping_evidence, seeds: mapping::mapping_evidence_seeds },
    Target { name: "safety_number_v4", run: credential::safety_number_v4, seeds: credential::safety_number_v4_seeds },
    #[cfg(feature = "signal-v4")]
    Target { name: "v4_message", run: signal::v4::message, seeds: signal::v4::message_seeds },
    #[cfg(feature = "signal-v4")]
    Target { name: "v4_prekey_message", run: signal::v4::prekey_message, seeds: signal::v4::prekey_message_seeds },
    #[cfg(feature = "signal-v4")]
    Target { name: "v4_braid_message", run: signal::v4::braid_message, seeds: signal::v4::braid_message_seeds },
    #[cfg(feature = "signal-v4")]
    Target { name: "v4_two_party", run: two_party::two_party_v4, seeds: two_party::two_party_seeds },
    Target { name: "api_request", run: api::request, seeds: api::request_seeds },
    Target { name: "api_response", run: api::response, seeds: api::response_seeds },
    Target { name: "wake_up", run: push::wake_up, seeds: push::wake_up_seeds },
    Target { name: "remote_config", run: push::remote_config, seeds: push::remote_config_seeds },
    Target { name: "frame_part", run: frame::part, seeds: frame::part_seeds },
    Target { name: "frame_text", run: frame::text, seeds: frame::text_seeds },
    Target { name: "cpim", run: carrier::cpim, seeds: carrier::cpim_seeds },
    Target { name: "imdn", run: carrier::imdn, seeds: carrier::imdn_seeds },
    Target { name: "composing", run: carrier::composing, seeds: carrier::composing_seeds },
    Target { name: "msrp", run: carrier::msrp, seeds: carrier::msrp_seeds },
    Target { name: "sdp", run: carrier::sdp, seeds: carrier::sdp_seeds },
    Target { name: "ft_descriptor", run: carrier::ft_descriptor, seeds: carrier::ft_descriptor_seeds },
    Target { name: "phone_uri", run: carrier::phone_uri, seeds: carrier::phone_uri_seeds },
    Target { name: "feature_tags", run: carrier::feature_tags, seeds: carrier::feature_tags_seeds },
    Target { name: "carrier_body", run: carrier::carrier_body, seeds: carrier::carrier_body_seeds },
    Target { name: "rbm_webhook", run: business::rbm_webhook, seeds: business::rbm_webhook_seeds },
    Target { name: "cpaas_webhook", run: business::cpaas_webhook, seeds: business::cpaas_webhook_seeds },
    Target { name: "fallback_row", run: business::fallback_row, seeds: business::fallback_row_seeds },
    Target { name: "sip_message", run: sip::sip_message, seeds: sip::sip_message_seeds },
    Target { name: "smpp_pdu", run: sms::smpp_pdu, seeds: sms::smpp_pdu_seeds },
    Target { name: "sms_receipt", run: sms::sms_receipt, seeds: sms::sms_receipt_seeds },
    Target { name: "sms_encoding", run: sms::sms_encoding, seeds: sms::sms_encoding_seeds },
    Target { name: "gateway_callback", run: sms::gateway_callback, seeds: sms::gateway_callback_seeds },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
