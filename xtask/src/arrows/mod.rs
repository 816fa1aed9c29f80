//! `cargo xtask arrows`: the folders are the trust zones, and this proves it.
//!
//! Five rules are checked, the first four over the manifests of the workspace, for dependencies of every kind:
//!
//! 1. a crate uses only what its row in ARCHITECTURE.md allows, and every crate has a row;
//! 2. nothing in `operator/` reaches a crate of `device/`, where message keys live, over any number of steps, not even in
//!    its tests; neither does anything in `shared/`. This rule does not ask the table, so that no edit of a document can
//!    open it;
//! 3. a crate's folder is its short name, and its package is `rcseal-` and the short name;
//! 4. a crate stands in one of the known zones;
//! 5. no source of `sdk` that was written by hand has the word that Rust's compiler cannot forbid there, because generated code needs it.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;

use crate::process::say;
use crate::workspace::{Member, Workspace};
use table::Table;

const ZONES: [&str; 4] = ["shared", "device", "operator", "tools"];
const PREFIX: &str = "rcseal-";
/// The crate whose lints cannot forbid the word.
const BORDER: &str = "crates/device/sdk/src";
const WORD: &str = "unsafe";

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// A crate has no row in the table.
    NoRow { short: String },
    /// The table has a row for a crate that does not exist.
    NoCrate { short: String },
    /// A crate uses what its row does not allow.
    NotAllowed { short: String, uses: String, in_tests_only: bool },
    /// A crate reaches the device zone, by the given way.
    ReachesDevice { way: Vec<String> },
    /// Folder and package name do not agree.
    Misnamed { package: String, folder: String },
    /// The folder is in no known zone.
    NoZone { folder: String },
    /// A source written by hand steps outside what the compiler checks.
    Unchecked { file: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRow { short } => write!(f, "`{short}` has no row in the table of arrows"),
            Self::NoCrate { short } => write!(f, "the table of arrows has a row for `{short}`, which does not exist"),
            Self::NotAllowed { short, uses, in_tests_only: false } => {
                write!(f, "`{short}` uses `{uses}`, and its row does not allow it")
            }
            Self::NotAllowed { short, uses, in_tests_only: true } => {
                write!(f, "the tests of `{short}` use `{uses}`, and its row does not allow it")
            }
            Self::ReachesDevice { way } => write!(f, "a crate outside device/ reaches it: {}", way.join(" -> ")),
            Self::Misnamed { package, folder } => write!(f, "package `{package}` stands in {folder}/"),
            Self::Unchecked { file } => write!(f, "{file} has `{WORD}`, which only generated code may have"),
            Self::NoZone { folder } => write!(f, "{folder}/ is in no trust zone (crates/{})", ZONES.join(", crates/")),
        }
    }
}

/// Runs the command.
pub(crate) fn run() -> Result<u8, Box<dyn Error>> {
    let workspace = Workspace::load()?;
    let mut violations = check_workspace(&workspace)?;
    check_sources(std::path::Path::new(BORDER), &mut violations)?;
    for violation in &violations {
        say(&format!("arrows: {violation}"));
    }
    if violations.is_empty() {
        let to_others = |member: &Member| member.uses.iter().filter(|used| used.package != member.package).count();
        let arrows: usize = workspace.members.iter().map(to_others).sum();
        say(&format!("arrows: {} crates, {arrows} arrows, all allowed", workspace.members.len()));
    }
    Ok(u8::from(!violations.is_empty()))
}

/// Checks a workspace against its own ARCHITECTURE.md.
pub(crate) fn check_workspace(workspace: &Workspace) -> Result<Vec<Violation>, Box<dyn Error>> {
    let table = table::parse(&workspace.read("ARCHITECTURE.md")?)?;
    Ok(check(&workspace.members, &table))
}

/// Looks for the word in code; comments may speak of it.
fn check_sources(folder: &std::path::Path, violations: &mut Vec<Violation>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            check_sources(&path, violations)?;
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && steps_outside(&std::fs::read_to_string(&path)?)
        {
            violations.push(Violation::Unchecked { file: path.display().to_string() });
        }
    }
    Ok(())
}

fn steps_outside(source: &str) -> bool {
    let is_part = |c: char| !(c.is_alphanumeric() || c == '_');
    source
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .any(|code| code.split(is_part).any(|word| word == WORD))
}

fn check(members: &[Member], table: &Table) -> Vec<Violation> {
    let mut violations = BTreeSet::new();
    for member in members {
        check_name(member, &mut violations);
        check_row(member, table, &mut violations);
    }
    let shorts: BTreeSet<&str> = members.iter().map(|member| short(&member.package)).collect();
    for name in table.keys().filter(|name| !shorts.contains(name.as_str())) {
        violations.insert(Violation::NoCrate { short: name.clone() });
    }
    check_zones(members, &mut violations);
    violations.into_iter().collect()
}

fn check_name(member: &Member, violations: &mut BTreeSet<Violation>) {
    let parts: Vec<&str> = member.folder.split('/').collect();
    let agrees = match parts.as_slice() {
        ["xtask"] => member.package == "xtask",
        ["crates", zone, name] if ZONES.contains(zone) => member.package.strip_prefix(PREFIX) == Some(name),
        _ => {
            violations.insert(Violation::NoZone { folder: member.folder.clone() });
            return;
        }
    };
    if !agrees {
        violations.insert(Violation::Misnamed { package: member.package.clone(), folder: member.folder.clone() });
    }
}

fn check_row(member: &Member, table: &Table, violations: &mut BTreeSet<Violation>) {
    let name = short(&member.package);
    let Some(allowed) = table.get(name) else {
        violations.insert(Violation::NoRow { short: name.to_owned() });
        return;
    };
    // A crate whose tests name the crate itself only turns on a feature of it.
    for used in member.uses.iter().filter(|used| used.package != member.package) {
        let other = short(&used.package);
        if !(allowed.always.contains(other) || used.in_tests_only && allowed.in_tests.contains(other)) {
            violations.insert(Violation::NotAllowed {
                short: name.to_owned(),
                uses: other.to_owned(),
                in_tests_only: used.in_tests_only,
            });
        }
    }
}

/// Walks from every crate outside `device/` and `tools/`; the first step may be one of tests, the others are what is linked.
fn check_zones(members: &[Member], violations: &mut BTreeSet<Violation>) {
    let by_name: BTreeMap<&str, &Member> = members.iter().map(|member| (member.package.as_str(), member)).collect();
    for start in members.iter().filter(|member| matches!(zone(member), Some("operator" | "shared"))) {
        let mut seen = BTreeSet::new();
        let mut ways = vec![vec![start]];
        while let Some(way) = ways.pop() {
            let Some(last) = way.last() else { continue };
            for used in last.uses.iter().filter(|used| way.len() == 1 || !used.in_tests_only) {
                let Some(next) = by_name.get(used.package.as_str()) else { continue };
                if !seen.insert(next.package.as_str()) {
                    continue;
                }
                let mut further = way.clone();
                further.push(next);
                if zone(next) == Some("device") {
                    let way = further.iter().map(|member| short(&member.package).to_owned()).collect();
                    violations.insert(Violation::ReachesDevice { way });
                } else {
                    ways.push(further);
                }
            }
        }
    }
}

fn zone(member: &Member) -> Option<&str> {
    member.folder.strip_prefix("crates/")?.split('/').next()
}

fn short(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

#[cfg(test)]
mod tests;
