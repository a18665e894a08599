//! What is depended upon, held against `deny.toml`: licences, sources, and crates that are not wanted.
//!
//! cargo-deny reads the same file and knows more of its words; those that stand there are understood here. Licences are those
//! of what is built (default features, for this machine), all else is of the whole lock file.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn table(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join(file)).expect("a file");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The texts of a list; none where there is no list.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether a licence expression can be kept to with these alone: OR (and the old `/`) binds weaker than AND.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut place = 0;
    let is_fine = either(&words, &mut place, allowed);
    is_fine && place == words.len()
}

fn either(words: &[&str], place: &mut usize, allowed: &[&str]) -> bool {
    let mut is_fine = all(words, place, allowed);
    while words.get(*place) == Some(&"OR") {
        *place += 1;
        is_fine |= all(words, place, allowed);
    }
    is_fine
}

fn all(words: &[&str], place: &mut usize, allowed: &[&str]) -> bool {
    let mut is_fine = one(words, place, allowed);
    while words.get(*place) == Some(&"AND") {
        *place += 1;
        is_fine &= one(words, place, allowed);
    }
    is_fine
}

fn one(words: &[&str], place: &mut usize, allowed: &[&str]) -> bool {
    let Some(word) = words.get(*place) else { return false };
    *place += 1;
    if *word == "(" {
        let is_fine = either(words, place, allowed);
        let is_closed = words.get(*place) == Some(&")");
        *place += usize::from(is_closed);
        return is_fine && is_closed;
    }
    if words.get(*place) == Some(&"WITH") {
        let exception = words.get(*place + 1).copied().unwrap_or_default();
        *place += 2;
        return allowed.contains(&format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(word)
}

#[test]
fn expressions_of_licences_are_understood() {
    let allowed = ["MIT", "ISC"];
    for fine in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "MIT AND ISC", "(MIT OR GPL-3.0) AND ISC"] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
    for wrong in ["", "GPL-3.0", "MIT AND GPL-3.0", "MIT WITH exception", "(MIT", "MIT)", "MIT ISC"] {
        assert!(!is_allowed(wrong, &allowed), "{wrong}");
    }
}

#[test]
fn licences_are_those_that_are_allowed() {
    let deny = table("deny.toml");
    let allowed = texts(&deny["licenses"]["allow"]);
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(root());
        let output = command.output().expect("cargo runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    // What was built is there: nothing is fetched.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata =
        ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &target];
    let metadata: Value = serde_json::from_slice(&cargo(&metadata)).expect("JSON");
    let packages = list(&metadata["packages"]);
    assert!(packages.len() > 100, "cargo metadata tells of {} packages", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence, &allowed), "{} is licensed as '{licence}'", package["name"]);
    }
}

#[test]
fn crates_come_from_the_registry_or_from_here() {
    let (deny, lock) = (table("deny.toml"), table("Cargo.lock"));
    let allowed = texts(&deny["sources"]["allow-registry"]);
    for package in list(&lock["package"]) {
        let Some(source) = package["source"].as_str() else { continue };
        let registry = source.strip_prefix("registry+");
        assert!(
            registry.is_some_and(|registry| allowed.contains(&registry)),
            "{} is from {source}",
            package["name"]
        );
    }
}

#[test]
fn crates_that_are_not_wanted_are_not_there() {
    let (deny, lock) = (table("deny.toml"), table("Cargo.lock"));
    let packages = list(&lock["package"]);
    assert!(packages.len() > 100, "Cargo.lock has {} packages", packages.len());
    let banned = list(&deny["bans"]["deny"]);
    assert!(!banned.is_empty());
    for entry in banned {
        let name = entry["crate"].as_str().expect("a crate's name");
        let (wrappers, reason) = (texts(&entry["wrappers"]), &entry["reason"]);
        let is_there = packages.iter().any(|package| package["name"] == name);
        assert!(!is_there || !wrappers.is_empty(), "{name} is there: {reason}");
        for package in packages {
            // `name`, or `name version` where there are several.
            let mut uses = texts(&package["dependencies"]).into_iter();
            if uses.any(|used| used.split(' ').next() == Some(name)) {
                let by = package["name"].as_str().unwrap_or_default();
                assert!(wrappers.contains(&by), "{by} uses {name}: {reason}");
            }
        }
    }
}
