//! The public interface of the Swift face, as text: compared with a golden file, and read for comments that are missing.
//!
//! The compiler writes what a module shows as a graph of symbols. A line of the golden file is a symbol's kind, its path and its
//! declaration, sorted; what the compiler adds on its own to every type of a kind (conformances of an enumeration, for one) is left out.
//! Comments are asked for in the layer that is written by hand. The generated module has those of the Rust code, where the Rust compiler asks.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{Built, PACKAGE, step};
use crate::process::say;
use crate::sdk::{Kit, SdkError, failed, golden, passed};
use crate::test::Counts;

/// A module, and its golden file.
const MODULES: [(&str, &str); 2] =
    [("Rcseal", "sdk/swift/api/Rcseal.txt"), ("RcsealFFI", "sdk/swift/api/RcsealFFI.txt")];
/// Where the graphs are written inside.
const GRAPHS: &str = "/tmp/symbols";

/// Compares both modules and looks for missing comments.
pub(super) fn check(kit: &Kit<'_>, built: &Built) -> Result<Counts, SdkError> {
    let folder = super::fresh(&built.temporary.join("symbols"))?;
    let target = built.target()?;
    let mut counts = Counts::default();
    for (module, file) in MODULES {
        let mut command = built.command(&[], "swift-symbolgraph-extract");
        command.args(["-module-name", module, "-output-dir", GRAPHS, "-minimum-access-level", "public"]);
        command.args(["-target", &target, "-I", &format!("{PACKAGE}/.build/debug/Modules")]);
        command.args(["-I", &format!("{PACKAGE}/Sources/RcsealFFIC/include")]);
        step(&mut command)?;
        let path = folder.join(format!("{module}.symbols.json"));
        let text = fs::read_to_string(&path).map_err(SdkError::file(&path))?;
        let graph: Value =
            serde_json::from_str(&text).map_err(|_| SdkError::step(format!("the symbol graph of {module}")))?;
        let symbols = Symbols::read(&graph);
        counts.add(&golden(kit, file, &symbols.lines())?);
        if module == "Rcseal" {
            counts.add(&undocumented(&symbols));
        }
    }
    Ok(counts)
}

fn undocumented(symbols: &Symbols) -> Counts {
    if symbols.without_comment.is_empty() {
        return passed();
    }
    for path in &symbols.without_comment {
        say(&format!("no documentation comment: {path}"));
    }
    failed()
}

/// What a module shows.
#[derive(Debug, Default)]
struct Symbols {
    lines: BTreeSet<String>,
    without_comment: BTreeSet<String>,
}

impl Symbols {
    fn read(graph: &Value) -> Self {
        let mut symbols = Self::default();
        for symbol in graph["symbols"].as_array().into_iter().flatten() {
            let precise = symbol["identifier"]["precise"].as_str().unwrap_or_default();
            // Added by the compiler or by a protocol of the standard library: no place of ours.
            if precise.contains("::SYNTHESIZED::") || symbol["location"].is_null() {
                continue;
            }
            let path = symbol["pathComponents"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let path = path.collect::<Vec<_>>().join(".");
            let kind = symbol["kind"]["identifier"].as_str().unwrap_or_default().trim_start_matches("swift.");
            let declaration: String = symbol["declarationFragments"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|fragment| fragment["spelling"].as_str())
                .collect();
            let declaration = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
            symbols.lines.insert(format!("{kind} {path} :: {declaration}"));
            if symbol["docComment"].is_null() {
                symbols.without_comment.insert(format!("{kind} {path}"));
            }
        }
        symbols
    }

    fn lines(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_without_a_comment_is_named_and_the_compilers_own_are_left_out() {
        let graph = serde_json::json!({"symbols": [
            {"kind": {"identifier": "swift.method"}, "identifier": {"precise": "s:1"}, "pathComponents": ["A", "b()"],
             "declarationFragments": [{"spelling": "func"}, {"spelling": " b()"}], "location": {}},
            {"kind": {"identifier": "swift.class"}, "identifier": {"precise": "s:2"}, "pathComponents": ["A"],
             "declarationFragments": [{"spelling": "class A"}], "location": {}, "docComment": {"lines": []}},
            {"kind": {"identifier": "swift.func.op"}, "identifier": {"precise": "s:3::SYNTHESIZED::s:2"}, "pathComponents": ["A", "!="],
             "declarationFragments": [], "location": {}},
        ]});
        let symbols = Symbols::read(&graph);
        assert_eq!(symbols.lines(), "class A :: class A\nmethod A.b() :: func b()\n");
        assert_eq!(symbols.without_comment.iter().collect::<Vec<_>>(), ["method A.b()"]);
    }
}
