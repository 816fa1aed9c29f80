//! The size rows of `cargo xtask bench sdk`: how large the library is that an app ships, and what each part of it costs.
//!
//! Both levels are built with the profile `sdk` and stripped as they are when they are packaged. The parts come from the linker's own map:
//! C code by the archive it lies in, Rust code by the crate in a section's name. A generic function counts for the crate that wrote it.
//! What the linker makes or merges itself (relocations, unwinding tables of Rust, strings) is the rest, and has a row of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rcseal_report::{Report, Row};

use super::{Kit, SdkError, step};
use crate::process::cargo;

const MEGABYTE: f64 = 1_000_000.0;

/// A level, its features, and the goal for it in megabytes.
const LEVELS: [(&str, &[&str], f64); 2] =
    [("client", &[], 11.0), ("crypto_only", &["--no-default-features", "--features", "crypto-only"], 3.0)];

/// Parts by the beginning of what the map names: archives first, then crates.
const PARTS: [(&str, &[&str]); 9] = [
    ("openssl", &["libopenssl_sys", "libcrypto"]),
    ("sqlcipher", &["liblibsqlite3_sys", "sqlite3"]),
    ("aws_lc", &["libaws_lc_sys", "aws_lc"]),
    ("ours", &["rcseal_"]),
    ("tokio", &["tokio", "mio", "futures_"]),
    ("http_tls", &["rustls", "webpki", "hyper", "http", "h2", "tungstenite", "tower"]),
    ("pictures", &["image", "zune_", "png", "jpeg", "fdeflate", "miniz_"]),
    ("regex_numbers", &["regex", "aho_corasick", "phonenumber"]),
    (
        "rust_std",
        &["core", "alloc", "std", "libstd", "libcompiler_builtins", "libcore", "liballoc", "gimli", "addr2line"],
    ),
];

/// Measures both levels.
pub(super) fn rows(kit: &Kit<'_>, report: &mut Report) -> Result<(), SdkError> {
    let folder = kit.folder("size")?;
    for (level, features, goal) in LEVELS {
        let map = folder.join(format!("{level}.map"));
        let mut build = cargo();
        build.current_dir(&kit.workspace.root).args([
            "rustc",
            "--locked",
            "--profile",
            "sdk",
            "--package",
            "rcseal-sdk",
        ]);
        build.args(["--lib", "--crate-type", "cdylib"]).args(features);
        build.arg("--").arg(format!("-Clink-arg=-Wl,-Map={}", map.display()));
        step(&mut build)?;
        let (built, stripped) = (kit.target.join("sdk/librcseal_sdk.so"), folder.join(format!("{level}.so")));
        step(Command::new("strip").arg("-o").arg(&stripped).arg(&built))?;
        let size = fs::metadata(&stripped).map_err(SdkError::file(&stripped))?.len();
        let row = Row::lower(&format!("size_{level}"), megabytes(size), "MB").goal(goal);
        report.measure(if level == "client" { row.peer("libsignal for Node", 27.0) } else { row });
        let mut rest = size;
        for (part, bytes) in parts(&map)? {
            rest = rest.saturating_sub(bytes);
            report.measure(Row::lower(&format!("size_{level}_{part}"), megabytes(bytes), "MB"));
        }
        report.measure(Row::lower(&format!("size_{level}_tables_and_rest"), megabytes(rest), "MB"));
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a library is smaller than what a float counts exactly")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MEGABYTE
}

fn parts(map: &Path) -> Result<BTreeMap<&'static str, u64>, SdkError> {
    // Names of foreign sections need not be UTF-8.
    let bytes = fs::read(map).map_err(SdkError::file(map))?;
    Ok(sum(&String::from_utf8_lossy(&bytes)))
}

/// Sums the lines of LLD's map that are input sections with bytes in the file: address, load address, size, alignment, `FILE:(SECTION)`.
fn sum(map: &str) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for line in map.lines() {
        let mut fields = line.split_whitespace();
        let (Some(_), Some(_), Some(size), Some(_), Some(input)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (Ok(size), Some((file, section))) = (u64::from_str_radix(size, 16), input.split_once(":(")) else {
            continue;
        };
        let is_shipped = ![".bss", ".tbss", ".debug", ".comment"].iter().any(|begin| section.starts_with(begin));
        if !is_shipped || file.starts_with('<') {
            continue;
        }
        *sums.entry(part(file, section)).or_default() += size;
    }
    sums
}

fn part(file: &str, section: &str) -> &'static str {
    let archive = file.rsplit('/').next().unwrap_or(file);
    let of = |name: &str| {
        PARTS.iter().find(|(_, begins)| begins.iter().any(|begin| name.starts_with(begin))).map(|(part, _)| *part)
    };
    // All of Rust is one object of ours after optimisation across crates; C lies in archives.
    archive.contains('(').then(|| of(archive)).flatten().or_else(|| crate_of(section).and_then(of)).unwrap_or("other")
}

/// The crate in a mangled name: of an implementation for a foreign type, the first crate that its path names.
fn crate_of(section: &str) -> Option<&str> {
    let name = &section[section.find("_ZN")? + 3..];
    let digits = name.find(|character: char| !character.is_ascii_digit())?;
    let first = name.get(digits..digits + name[..digits].parse::<usize>().ok()?)?;
    Some(first.trim_start_matches(['_', '$']).trim_start_matches("LT$").trim_start_matches("$RF$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_summed_by_archive_and_by_crate() {
        let map = "\
             VMA              LMA     Size Align Out     In      Symbol
          1c8e0            1c8e0       10    16         /t/libopenssl_sys-1.rlib(aes.o):(.text.aes)
          1c8f0            1c8f0       20    16         /t/rcseal_sdk.o:(.text._ZN5tokio7runtime4task3run17hE)
          1c910            1c910        8    16         /t/rcseal_sdk.o:(.text._ZN67_$LT$rcseal_signal..delta..Delta$u20$as$u20$core..fmt..Debug$GT$3fmtE)
          1c918            1c918      400     1         /t/rcseal_sdk.o:(.bss._ZN5tokio1aE)
          1c918            1c918        4     1         <internal>:(.comment)
";
        assert_eq!(sum(map), BTreeMap::from([("openssl", 16), ("tokio", 32), ("ours", 8)]));
    }
}
