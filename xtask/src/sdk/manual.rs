//! The table of calls in `docs/manual/sdk.md` against the golden files: what it names is there, in every face.

use std::fs;
use std::path::Path;

/// The header of each table.
const HEADER: &str = "| what it does | Kotlin | Swift | Python | TypeScript | errors |";
/// The golden files, in the order of the columns.
const FACES: [(&str, &[&str]); 4] = [
    ("Kotlin", &["sdk/kotlin/api/rcseal.api"]),
    ("Swift", &["sdk/swift/api/Rcseal.txt", "sdk/swift/api/RcsealFFI.txt"]),
    ("Python", &["sdk/python/api/rcseal.api"]),
    ("TypeScript", &["sdk/typescript/api/rcseal.api"]),
];

/// The names of a cell: of `SafetyNumber.numeric()` it is `SafetyNumber` and `numeric`.
fn names(cell: &str) -> Vec<&str> {
    let code = cell.split('`').skip(1).step_by(2);
    code.flat_map(|call| call.split('(').next().unwrap_or_default().split('.')).collect()
}

fn has_word(text: &str, name: &str) -> bool {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').any(|word| word == name)
}

#[test]
fn every_call_that_the_manual_names_is_in_its_face() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &&str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let page = read(&"docs/manual/sdk.md");
    let mut named = 0;
    for (column, (face, files)) in FACES.iter().enumerate() {
        let golden: String = files.iter().map(read).collect();
        let mut is_table = false;
        for line in page.lines() {
            is_table = line == HEADER || (is_table && line.starts_with('|'));
            if !is_table || line == HEADER {
                continue;
            }
            let cell = line.split('|').nth(column + 2).unwrap_or_default();
            for name in names(cell) {
                assert!(has_word(&golden, name), "{face} has no {name}: {line}");
                named += 1;
            }
        }
    }
    assert!(named > 300, "only {named} names were found");
}
