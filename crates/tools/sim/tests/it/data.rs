//! The files of worlds.

use rcseal_sim::data::{DataError, World, parse_carriers};

#[test]
fn the_built_in_files_are_of_their_form_and_every_name_is_its_own() {
    let world = World::load().unwrap();
    assert!(world.carriers.len() >= 25, "{}", world.carriers.len());
    assert_eq!(world.platforms.len(), 3);
    assert!(world.states.len() >= 5);
    assert!(world.states.iter().all(|state| world.version_of(state).is_some()));
}

#[test]
fn a_setting_that_nobody_knows_is_refused() {
    let with = |line: &str| {
        parse_carriers(&format!(
            "[[carrier]]\nname = \"a\"\nwhat = \"b\"\npatience_ms = 1\nexpect = \"native\"\n{line}\n"
        ))
    };
    with("").unwrap();
    for line in [
        "stepps = []",
        "steps = [\"explode\"]",
        "steps = [{ truncate = { kept = 1 } }]",
        "steps = [{ truncate = { keep = 1, more = 2 } }]",
        "transport = { is_binary_save = true }",
        "expect = \"perhaps\"",
    ] {
        assert!(matches!(with(line), Err(DataError::Form { .. })), "{line}");
    }
}

#[test]
fn a_name_stands_once() {
    let one = "[[carrier]]\nname = \"a\"\nwhat = \"b\"\npatience_ms = 1\nexpect = \"native\"\n";
    let error = parse_carriers(&format!("{one}{one}")).unwrap_err();
    assert!(matches!(&error, DataError::Name { name, .. } if name == "a"), "{error}");
}

#[test]
fn the_readme_names_every_step_that_a_file_uses() {
    let readme = include_str!("../../data/README.md");
    let carriers = include_str!("../../data/carriers.toml");
    let mut words = carriers.lines().filter(|line| line.contains("steps = [") || line.trim_start().starts_with('{'));
    let used = words.by_ref().flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let steps = ["strip_headers", "rename_headers", "retype", "crlf_to_lf", "surround", "quote_and_wrap", "typography"];
    assert!(steps.iter().all(|step| readme.contains(&format!("`{step}`"))));
    let missing: Vec<&str> = used
        .filter(|word| word.contains('_') && !word.ends_with("_ms"))
        .filter(|word| !readme.contains(*word))
        .collect();
    assert_eq!(missing, [""; 0]);
}
