//! Replays every target over its seeds, over damaged seeds, and over what fuzzing has kept.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rcseal_corpus::{OPT_IN_PREFIX, TARGETS, Target, Verdict, target};

/// How far a long seed is damaged byte by byte; behind it every 13th byte is enough, for the layouts are fields of bytes there.
const DENSE_LEN: usize = 512;

fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus")
}

/// The kept inputs of a target: one in each line, in hexadecimal digits.
fn kept(name: &str) -> Vec<Vec<u8>> {
    let file = corpus_folder().join(format!("{name}.hex"));
    let Ok(text) = fs::read_to_string(file) else { return Vec::new() };
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}

fn seeds_are_accepted(target: Target) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    for (index, seed) in seeds.iter().enumerate() {
        assert_eq!((target.run)(seed), Verdict::Accepted, "seed {index} of {}", target.name);
    }
}

/// A panic in here names the broken promise; that a damaged input is accepted is allowed, because not every byte is checked
/// by the parser that sees it first.
fn damaged_seeds_break_no_promise(target: Target) {
    for seed in (target.seeds)() {
        let places = (0..seed.len()).filter(|place| *place < DENSE_LEN || place % 13 == 0);
        for place in places {
            (target.run)(&seed[..place]);
            let mut damaged = seed.clone();
            for flip in [0x01, 0x80, 0xff] {
                damaged[place] = seed[place] ^ flip;
                (target.run)(&damaged);
            }
        }
        let mut longer = seed.clone();
        longer.extend_from_slice(&[0; 17]);
        (target.run)(&longer);
    }
}

fn kept_inputs_break_no_promise(target: Target) {
    for input in kept(target.name) {
        (target.run)(&input);
    }
}

macro_rules! replay {
    ($($(#[$condition:meta])? $name:ident),* $(,)?) => {
        $($(#[$condition])? mod $name {
            #[test]
            fn seeds_are_accepted() {
                super::seeds_are_accepted(super::target(stringify!($name)).unwrap());
            }

            #[test]
            fn damaged_seeds_break_no_promise() {
                super::damaged_seeds_break_no_promise(super::target(stringify!($name)).unwrap());
            }

            #[test]
            fn kept_inputs_break_no_promise() {
                super::kept_inputs_break_no_promise(super::target(stringify!($name)).unwrap());
            }
        })*

        const REPLAYED: &[&str] = &[$($(#[$condition])? stringify!($name)),*];
    };
}

replay! {
    envelope,
    carrier_delivery,
    hello,
    padding,
    payload,
    content,
    invitation,
    continuation,
    link,
    backup_header,
    backup_rows,
    frame_to_relay,
    frame_to_device,
    signal_message,
    signal_prekey_message,
    signal_braid_message,
    prekey_bundle,
    pairwise_bundle,
    pairwise_message,
    session_record,
    session_archive,
    archive_message,
    two_party,
    key_set,
    device_entry,
    safety_number,
    safety_number_v4,
    number_statement,
    number_mapping,
    mapping_evidence,
    #[cfg(feature = "signal-v4")]
    v4_message,
    #[cfg(feature = "signal-v4")]
    v4_prekey_message,
    #[cfg(feature = "signal-v4")]
    v4_braid_message,
    #[cfg(feature = "signal-v4")]
    v4_two_party,
    api_request,
    api_response,
    frame_part,
    frame_text,
    cpim,
    imdn,
    composing,
    msrp,
    sdp,
    ft_descriptor,
    phone_uri,
    feature_tags,
    carrier_body,
    rbm_webhook,
    cpaas_webhook,
    fallback_row,
    sip_message,
    smpp_pdu,
    sms_receipt,
    sms_encoding,
    gateway_callback,
    remote_config,
    wake_up,
}

#[test]
fn every_target_is_replayed() {
    let targets: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(targets.len(), TARGETS.len(), "a name stands for one target");
    assert_eq!(targets, REPLAYED.iter().copied().collect());
}

#[test]
fn every_kept_input_belongs_to_a_target() {
    for entry in fs::read_dir(corpus_folder()).into_iter().flatten() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".hex").unwrap();
        let opt_in = cfg!(not(feature = "signal-v4")) && name.starts_with(OPT_IN_PREFIX);
        assert!(opt_in || target(name).is_some(), "fuzz/corpus/{file}");
    }
}
