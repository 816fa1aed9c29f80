//! The fuzzer: one program for every parser, because linking a dozen of them would take longer than fuzzing one.
//!
//! `cargo xtask fuzz` builds it with coverage counters and runs it. What to do comes by environment, since the command line
//! belongs to libFuzzer: `RCSEAL_FUZZ_TARGET` names the target, `RCSEAL_FUZZ_SEEDS` a folder to write its seeds to, and
//! `RCSEAL_FUZZ_LIST` makes it print the names of all targets and stop.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs, process};

use libfuzzer_sys::fuzz_target;
use rcseal_corpus::{TARGETS, Target, target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

fuzz_target!(init: choose(), |data: &[u8]| {
    (chosen().run)(data);
});

fn choose() {
    if env::var_os("RCSEAL_FUZZ_LIST").is_some() {
        for target in TARGETS {
            println!("{}", target.name);
        }
        process::exit(0);
    }
    let chosen = chosen();
    if let Some(folder) = env::var_os("RCSEAL_FUZZ_SEEDS") {
        for (index, seed) in (chosen.seeds)().iter().enumerate() {
            fs::write(Path::new(&folder).join(format!("seed-{index}")), seed).expect("the seed folder can be written");
        }
    }
}

fn chosen() -> &'static Target {
    CHOSEN.get_or_init(|| {
        let name = env::var("RCSEAL_FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| {
            eprintln!("RCSEAL_FUZZ_TARGET names no target: {name:?}");
            process::exit(2);
        })
    })
}
