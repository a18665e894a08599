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
    ("scram", &[]),
    ("cert", &[]),
    ("audit", &[]),
    ("lsm", &[]),
    ("backup", &[]),
    ("messages", &[]),
    ("proto", &["messages", "cert"]),
    ("api", &[]),
    ("node", &["lsm", "backup", "proto", "expr", "keys"]),
    ("client", &["proto", "keys"]),
    ("sql", &["expr", "keys", "client", "scram", "audit", "backup"]),
    ("gateway", &["sql", "expr", "client", "proto", "scram", "cert", "audit", "api"]),
    (
        "cli",
        &[
            "gateway", "node", "sql", "client", "proto", "lsm", "expr", "keys", "scram", "cert", "audit",
            "api", "backup",
        ],
    ),
];

/// Crates whose name may stand in one place only.
const CONFINED: &[(&str, &str)] = &[("openraft", "node/src/raft"), ("pgwire", "gateway/src/pgwire")];

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

/// The modules of a crate and what they name: a path such as `["bind", "scope"]`, and its product code.
struct Modules {
    code: BTreeMap<Vec<String>, String>,
    /// What a module re-exports of one below it: the path that others use, and the item's own.
    exports: BTreeMap<Vec<String>, Vec<String>>,
}

impl Modules {
    fn of(source: &Path) -> Self {
        let mut code = BTreeMap::new();
        for path in files(source, ".rs") {
            let inside = path.strip_prefix(source).expect("below src").with_extension("");
            let mut parts: Vec<String> =
                inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
                parts.pop();
            }
            if !parts.iter().any(|part| part == "tests") {
                code.insert(parts, product_code(&path).join("\n"));
            }
        }
        let mut modules = Self { code, exports: BTreeMap::new() };
        for (module, text) in &modules.code {
            for (is_export, path) in used_paths(text) {
                let path = path.strip_prefix("self::").unwrap_or(&path);
                let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
                if let (true, Some(first), Some(last)) = (is_export, parts.first(), parts.last())
                    && modules.code.contains_key(&below(module, std::slice::from_ref(first)))
                {
                    let own = below(module, &parts);
                    modules.exports.insert(below(module, std::slice::from_ref(last)), own);
                }
            }
        }
        modules
    }

    /// The module that a path leads to, through re-exports.
    fn home(&self, path: &[String]) -> Vec<String> {
        for length in (0..=path.len()).rev() {
            if self.code.contains_key(&path[..length]) {
                return match path.get(..=length).and_then(|item| self.exports.get(item)) {
                    Some(own) => self.home(own),
                    None => path[..length].to_vec(),
                };
            }
        }
        Vec::new()
    }

    /// What stands side by side in each module, and which of it names which.
    fn siblings(&self) -> BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> {
        let mut levels: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (module, text) in &self.code {
            let used = used_paths(text).into_iter().map(|(_, path)| path);
            for path in used.chain(inline_paths(text)) {
                let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
                let up = parts.iter().take_while(|part| *part == "super").count();
                let target = match parts.first().map(String::as_str) {
                    Some("crate") => parts[1..].to_vec(),
                    Some("self") => below(module, &parts[1..]),
                    Some("super") if up <= module.len() => below(&module[..module.len() - up], &parts[up..]),
                    _ if self.code.contains_key(&below(module, &parts[..1])) => below(module, &parts),
                    _ => continue,
                };
                let home = self.home(&target);
                let shared = module.iter().zip(&home).take_while(|(own, other)| own == other).count();
                if let (Some(from), Some(to)) = (module.get(shared), home.get(shared)) {
                    let level = levels.entry(module[..shared].to_vec()).or_default();
                    level.entry(from.clone()).or_default().insert(to.clone());
                }
            }
        }
        levels
    }
}

fn below(module: &[String], parts: &[String]) -> Vec<String> {
    module.iter().chain(parts).cloned().collect()
}

/// The paths that `use` names, one by one, and whether each is re-exported.
fn used_paths(text: &str) -> Vec<(bool, String)> {
    let mut paths = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let before = text[line_start..at].trim();
        if before.is_empty() || before.starts_with("pub") {
            let tree = text[at + 4..].split(';').next().unwrap_or("");
            let mut expanded = Vec::new();
            expand("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut expanded);
            paths.extend(expanded.into_iter().map(|path| (!before.is_empty(), path)));
        }
    }
    paths
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((stem, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        if !path.is_empty() {
            paths.push(format!("{prefix}{path}"));
        }
        return;
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                expand(&format!("{prefix}{}", stem.trim()), inner[start..at].trim(), paths);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths that code names without `use`.
fn inline_paths(text: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = text.split(|c: char| !is_path(c)).map(|path| path.trim_matches(':'));
    let rooted = |path: &&str| ["crate::", "super::", "self::"].iter().any(|root| path.starts_with(root));
    paths.filter(rooted).map(str::to_owned).collect()
}

/// Modules whose files name each other in a circle: those of a recursive grammar always will (an expression holds
/// queries, a query expressions), the others still do.
const CIRCLES: [&str; 2] = ["sql/src/parse/grammar", "lsm/src/db"];

#[test]
fn modules_of_a_crate_form_layers() {
    let mut broken = Vec::new();
    for (name, _) in EDGES {
        for (level, uses) in Modules::of(&root().join(name).join("src")).siblings() {
            let place = [&[(*name).to_owned(), "src".to_owned()], level.as_slice()].concat().join("/");
            if let Some(cycle) = cycle(&uses)
                && !CIRCLES.contains(&place.as_str())
            {
                broken.push(format!("{place}: {}", cycle.join(" -> ")));
            }
        }
    }
    assert_none(&broken, "the modules beside each other form layers without a cycle, at every depth");
}

#[test]
fn a_re_exported_name_leads_to_its_module() {
    let code = [
        (vec![], "mod a;"),
        (vec!["a"], "mod b;\nmod c;\npub use b::{Deep, other::Thing};"),
        (vec!["a", "b"], "use super::c::{self, Nothing};"),
        (vec!["a", "c"], "fn f() -> super::Deep {}"),
    ];
    let own = |path: &[&str]| path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let code = code.iter().map(|(path, text)| (own(path), (*text).to_owned())).collect();
    let exports = BTreeMap::from([(own(&["a", "Deep"]), own(&["a", "b", "Deep"]))]);
    let levels = Modules { code, exports }.siblings();
    assert_eq!(cycle(&levels[&own(&["a"])]).map(|cycle| cycle.join(" ")), Some("b c b".to_owned()));
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
    assert_none(&broken, "openraft and pgwire are named by their one adapter alone");
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
                // Four or six of them stand for digits, as in the names of escapes; whatever else the line says counts.
                let said = line.replace(&"X".repeat(6), "").replace(&"X".repeat(4), "");
                if marks.iter().any(|mark| said.contains(mark)) {
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

/// What is said to be shown by a test is shown by one.
#[test]
fn tests_named_in_security_exist() {
    let text = read(&root().join("SECURITY.md"));
    let tests: String = files(&root().join("tests"), ".rs").iter().map(|path| read(path)).collect();
    let columns =
        text.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.rsplit('|').nth(1));
    let named: Vec<&str> = columns.flat_map(|column| column.split('`').skip(1).step_by(2)).collect();
    let names: Vec<&str> = named.into_iter().filter(|name| !name.contains(['/', '.'])).collect();
    assert!(names.len() > 30, "{names:?}");
    let broken: Vec<String> =
        names.into_iter().filter(|name| !tests.contains(&format!("fn {name}("))).map(str::to_owned).collect();
    assert_none(&broken, "SECURITY.md names tests that there are");
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
