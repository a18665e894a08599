//! House rules that no linter knows, checked on the tree itself.
//!
//! Each test is one rule; what breaks it is listed in full, with what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates and, for each, the workspace crates that it may use. `env` is open to all.
const EDGES: &[(&str, &[&str])] = &[
    ("env", &[]),
    ("keys", &[]),
    ("expr", &["keys"]),
    ("lsm", &[]),
    ("proto", &[]),
    ("node", &["lsm", "proto", "expr", "keys"]),
    ("client", &["proto", "keys"]),
    ("sql", &["expr", "keys", "client"]),
    ("gateway", &["sql", "expr", "client"]),
    ("cli", &["gateway", "node", "sql", "client", "proto", "lsm", "expr", "keys"]),
];

/// Crates whose name may stand in one place only.
const CONFINED: &[(&str, &str)] =
    &[("openraft", "node/src/raft"), ("pgwire", "gateway/src/pgwire"), ("sqlparser", "sql/src/parse")];

/// More lines of code than this in a file, and it holds two ideas.
const CODE_LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

fn files(below: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file without comments and without what stands behind `#[cfg(test)]`.
fn product_code(path: &Path) -> Vec<String> {
    let text = read(path);
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        if !line.trim_start().starts_with("//") {
            lines.push(line.to_owned());
        }
    }
    lines
}

fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

#[test]
fn every_file_opens_with_its_concept() {
    let broken: Vec<_> = files(&root(), ".rs")
        .into_iter()
        .filter(|path| !read(path).trim_start().starts_with("//!"))
        .map(|path| relative(&path))
        .collect();
    assert_none(&broken, "every Rust file opens with //! and says what concept it holds");
}

#[test]
fn files_hold_one_idea() {
    let mut broken = Vec::new();
    for path in files(&root(), ".rs") {
        let code = product_code(&path).iter().filter(|line| !line.trim().is_empty()).count();
        if code > CODE_LINES_MAX {
            broken.push(format!("{}: {code} lines", relative(&path)));
        }
    }
    assert_none(&broken, "split by concept what has grown beyond one idea");
}

#[test]
fn names_say_what_they_hold() {
    let vague = ["utils", "util", "common", "helpers", "helper", "misc"];
    let broken: Vec<_> = files(&root(), ".rs")
        .iter()
        .map(|path| relative(path))
        .filter(|path| path.split(['/', '.']).any(|part| vague.contains(&part)))
        .collect();
    assert_none(&broken, "a small thing gets a small module with a name of its own");
}

#[test]
fn crates_depend_only_downwards() {
    let names: BTreeSet<_> = EDGES.iter().map(|(name, _)| *name).collect();
    let mut broken = Vec::new();
    for (name, allowed) in EDGES {
        let manifest = read(&root().join(name).join("Cargo.toml"));
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or("");
            if section == "[dependencies]"
                && names.contains(dependency)
                && dependency != "env"
                && !allowed.contains(&dependency)
            {
                broken.push(format!("{name} uses {dependency}"));
            }
        }
    }
    assert_none(&broken, "only the edges that docs/architecture.md draws exist between crates");
}

#[test]
fn modules_of_a_crate_form_layers() {
    let mut broken = Vec::new();
    for (name, _) in EDGES {
        let source = root().join(name).join("src");
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for path in files(&source, ".rs") {
            let inside = path.strip_prefix(&source).expect("below src").to_string_lossy().into_owned();
            let module = inside.split(['/', '.']).next().unwrap_or("").to_owned();
            if module == "lib" || module == "main" {
                continue;
            }
            for line in product_code(&path) {
                for (at, _) in line.match_indices("crate::") {
                    let rest = &line[at + "crate::".len()..];
                    let target: String =
                        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let exists =
                        source.join(format!("{target}.rs")).exists() || source.join(&target).is_dir();
                    if exists && target != module {
                        uses.entry(module.clone()).or_default().insert(target);
                    }
                }
            }
        }
        if let Some(cycle) = cycle(&uses) {
            broken.push(format!("{name}: {}", cycle.join(" -> ")));
        }
    }
    assert_none(&broken, "the top modules of a crate form layers without a cycle");
}

/// A cycle of the graph, its first node repeated at the end.
fn cycle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        node: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|on_path| on_path == node) {
            let mut cycle = path[at..].to_vec();
            cycle.push(node.to_owned());
            return Some(cycle);
        }
        if !done.insert(node.to_owned()) {
            return None;
        }
        path.push(node.to_owned());
        for next in uses.get(node).into_iter().flatten() {
            if let Some(found) = visit(next, uses, path, done) {
                return Some(found);
            }
        }
        path.pop();
        None
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|node| visit(node, uses, &mut Vec::new(), &mut done))
}

#[test]
fn a_cycle_of_modules_is_seen() {
    let uses = BTreeMap::from([
        ("a".to_owned(), BTreeSet::from(["b".to_owned()])),
        ("b".to_owned(), BTreeSet::from(["c".to_owned()])),
        ("c".to_owned(), BTreeSet::from(["a".to_owned()])),
    ]);
    assert_eq!(cycle(&uses).map(|cycle| cycle.join(" ")), Some("a b c a".to_owned()));
}

#[test]
fn borrowed_crates_stay_behind_their_adapter() {
    let mut broken = Vec::new();
    for (name, home) in CONFINED {
        for (member, _) in EDGES {
            for path in files(&root().join(member).join("src"), ".rs") {
                let place = relative(&path);
                if !place.starts_with(home) {
                    for line in product_code(&path) {
                        if line.contains(&format!("{name}::")) && !line.contains(&format!("::{name}::")) {
                            broken.push(format!("{place}: {}", line.trim()));
                        }
                    }
                }
            }
        }
    }
    assert_none(&broken, "openraft, pgwire and sqlparser are named by their one adapter alone");
}

#[test]
fn no_file_is_orphaned() {
    let mut broken = Vec::new();
    for (name, _) in EDGES {
        let source = root().join(name).join("src");
        let all = files(&source, ".rs");
        let declared: String = all.iter().map(|path| read(path)).collect();
        for path in &all {
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let module = match stem.as_str() {
                "lib" | "main" => continue,
                "mod" => {
                    path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy().into_owned()
                }
                _ => stem,
            };
            if !declared.contains(&format!("mod {module};")) {
                broken.push(relative(path));
            }
        }
    }
    assert_none(&broken, "a file that no `mod` names is never compiled");
}

#[test]
fn nothing_is_left_as_a_stub() {
    let marks = ["todo!(", "unimplemented!(", "FIXME", "XXX"];
    let mut broken = Vec::new();
    for (name, _) in EDGES {
        for path in files(&root().join(name).join("src"), ".rs") {
            for line in read(&path).lines() {
                if marks.iter().any(|mark| line.contains(mark)) {
                    broken.push(format!("{}: {}", relative(&path), line.trim()));
                }
            }
        }
    }
    assert_none(&broken, "finish it, or answer a clear error");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read(&root().join("Cargo.toml"));
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("the section");
    let section = section.split("\n[").next().expect("its body");
    let mut broken = Vec::new();
    let mut reason_above = false;
    for line in section.lines() {
        if line.starts_with('#') {
            reason_above = true;
        } else if line.trim().is_empty() {
            reason_above = false;
        } else if !line.contains("path = ") && !line.contains(" # ") && !reason_above {
            broken.push(line.to_owned());
        }
    }
    assert_none(&broken, "one line of reason beside each dependency");
}

#[test]
fn paths_named_in_documents_exist() {
    let mut broken = Vec::new();
    let mut documents = files(&root().join("docs"), ".md");
    documents.push(root().join("README.md"));
    for document in documents.iter().filter(|document| document.exists()) {
        let text = read(document);
        for quoted in text.split('`').skip(1).step_by(2) {
            let first = quoted.split('/').next().unwrap_or("");
            let is_path = quoted.contains('/')
                && !quoted.contains([' ', '*', '{', '<', ':', '$', '='])
                && (root().join(first).is_dir() && !first.is_empty());
            if is_path && !root().join(quoted).exists() {
                broken.push(format!("{}: {quoted}", relative(document)));
            }
        }
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or("");
            let folder = document.parent().expect("a folder");
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                broken.push(format!("{}: {target}", relative(document)));
            }
        }
    }
    assert_none(&broken, "a path that a document names exists");
}
