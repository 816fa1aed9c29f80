//! The rules, shown on small workspaces that are written out and described by cargo itself.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use super::*;

const TABLE: &str = "\
| crate | may use | in tests also |
|---|---|---|
| `crypto` | – | |
| `signal` | `crypto` | `report` |
| `server` | `crypto` | `report` |
| `report` | – | |
";

const GOOD: [(&str, &str); 4] = [
    ("crates/shared/crypto", ""),
    (
        "crates/device/signal",
        "[dependencies]\nrcseal-crypto.workspace = true\n[dev-dependencies]\nrcseal-report.workspace = true\n",
    ),
    ("crates/operator/server", "[dependencies]\nrcseal-crypto.workspace = true\n"),
    ("crates/tools/report", ""),
];

/// Writes a workspace whose packages are named after their folders, and checks it.
fn violations(crates: &[(&str, &str)], table: &str) -> Vec<Violation> {
    let named: Vec<(String, &str, &str)> = crates
        .iter()
        .map(|(folder, rest)| (format!("rcseal-{}", folder.rsplit('/').next().unwrap()), *folder, *rest))
        .collect();
    violations_of_named(&named, table)
}

fn violations_of_named(crates: &[(String, &str, &str)], table: &str) -> Vec<Violation> {
    let root = tempfile::tempdir().unwrap();
    let mut manifest = "[workspace]\nresolver = \"3\"\nmembers = [".to_owned();
    let mut dependencies = "[workspace.dependencies]\n".to_owned();
    for (package, folder, rest) in crates {
        manifest.push_str(&format!("\"{folder}\", "));
        dependencies.push_str(&format!("{package} = {{ path = \"{folder}\" }}\n"));
        fs::create_dir_all(root.path().join(folder).join("src")).unwrap();
        fs::write(root.path().join(folder).join("src/lib.rs"), "").unwrap();
        let text = format!("[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}");
        fs::write(root.path().join(folder).join("Cargo.toml"), text).unwrap();
    }
    fs::write(root.path().join("Cargo.toml"), format!("{manifest}]\n{dependencies}")).unwrap();
    fs::write(root.path().join("ARCHITECTURE.md"), table).unwrap();
    check_workspace(&Workspace::load_from(root.path()).unwrap()).unwrap()
}

fn with(index: usize, rest: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut crates = GOOD.to_vec();
    crates[index].1 = rest;
    crates
}

#[test]
fn allowed_arrows_pass() {
    assert_eq!(violations(&GOOD, TABLE), []);
}

#[test]
fn an_arrow_that_the_table_does_not_allow_is_named() {
    let crates = with(0, "[dependencies]\nrcseal-report.workspace = true\n");
    let expected =
        Violation::NotAllowed { short: "crypto".to_owned(), uses: "report".to_owned(), in_tests_only: false };
    assert_eq!(violations(&crates, TABLE), [expected]);
}

#[test]
fn what_is_allowed_in_tests_is_not_allowed_in_the_product() {
    let crates = with(1, "[dependencies]\nrcseal-report.workspace = true\n");
    let expected =
        Violation::NotAllowed { short: "signal".to_owned(), uses: "report".to_owned(), in_tests_only: false };
    assert_eq!(violations(&crates, TABLE), [expected]);
}

#[test]
fn a_crate_may_name_itself_to_test_a_feature() {
    let crates = with(
        0,
        "[features]\nextra = []\n[dev-dependencies]\nrcseal-crypto = { workspace = true, features = [\"extra\"] }\n",
    );
    assert_eq!(violations(&crates, TABLE), []);
}

#[test]
fn a_build_script_and_an_optional_dependency_are_arrows_too() {
    let expected =
        Violation::NotAllowed { short: "crypto".to_owned(), uses: "report".to_owned(), in_tests_only: false };
    let build = with(0, "[build-dependencies]\nrcseal-report.workspace = true\n");
    assert_eq!(violations(&build, TABLE), std::slice::from_ref(&expected));
    let optional = with(0, "[dependencies]\nrcseal-report = { workspace = true, optional = true }\n");
    assert_eq!(violations(&optional, TABLE), [expected]);
}

#[test]
fn no_operator_crate_reaches_the_device_zone_even_if_the_table_allows_it() {
    let table = TABLE.replace("| `server` | `crypto` |", "| `server` | `crypto`, `signal` |");
    let crates = with(2, "[dependencies]\nrcseal-signal.workspace = true\n");
    let expected = Violation::ReachesDevice { way: vec!["server".to_owned(), "signal".to_owned()] };
    assert_eq!(violations(&crates, &table), [expected]);
}

#[test]
fn no_operator_crate_reaches_the_device_zone_over_a_third_crate() {
    let table = TABLE
        .replace("| `server` | `crypto` |", "| `server` | `crypto`, `report` |")
        .replace("| `report` | – |", "| `report` | `signal` |");
    let mut crates = with(2, "[dependencies]\nrcseal-report.workspace = true\n");
    crates[3].1 = "[dependencies]\nrcseal-signal.workspace = true\n";
    crates[1].1 = "";
    let way = ["server", "report", "signal"].map(str::to_owned).to_vec();
    assert_eq!(violations(&crates, &table), [Violation::ReachesDevice { way }]);
}

#[test]
fn no_operator_test_reaches_the_device_zone() {
    let table = TABLE.replace("| `server` | `crypto` | `report` |", "| `server` | `crypto` | `signal` |");
    let crates = with(2, "[dev-dependencies]\nrcseal-signal.workspace = true\n");
    let expected = Violation::ReachesDevice { way: vec!["server".to_owned(), "signal".to_owned()] };
    assert_eq!(violations(&crates, &table), [expected]);
}

#[test]
fn nothing_shared_reaches_the_device_zone() {
    let table = TABLE.replace("| `report` | – |", "| `report` | – |\n| `wire` | `signal` |");
    let mut crates = GOOD.to_vec();
    crates.push(("crates/shared/wire", "[dependencies]\nrcseal-signal.workspace = true\n"));
    let expected = Violation::ReachesDevice { way: vec!["wire".to_owned(), "signal".to_owned()] };
    assert_eq!(violations(&crates, &table), [expected]);
}

#[test]
fn crates_and_rows_must_match() {
    let mut crates = GOOD.to_vec();
    crates.push(("crates/shared/wire", ""));
    assert_eq!(violations(&crates, TABLE), [Violation::NoRow { short: "wire".to_owned() }]);
    assert_eq!(
        violations(&GOOD, &format!("{TABLE}| `broker` | `crypto` |\n")),
        [Violation::NoCrate { short: "broker".to_owned() }]
    );
}

#[test]
fn a_folder_is_the_short_name_and_stands_in_a_zone() {
    let misnamed = [("rcseal-report".to_owned(), "crates/tools/reports", "")];
    let table = "| crate | may use |\n|---|---|\n| report | – |\n";
    let expected =
        Violation::Misnamed { package: "rcseal-report".to_owned(), folder: "crates/tools/reports".to_owned() };
    assert_eq!(violations_of_named(&misnamed, table), [expected]);
    let expected = Violation::NoZone { folder: "crates/misc/report".to_owned() };
    assert_eq!(violations(&[("crates/misc/report", "")], table), [expected]);
}
