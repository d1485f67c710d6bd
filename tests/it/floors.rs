//! Holds the import direction between the rooms (ARCHITECTURE, DESIGN §3): a room uses rooms on strictly
//! lower floors only. Reads the source as text, so it also sees what is behind `cfg`, tests included.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// From the ground up; rooms of one floor are strangers to each other.
const FLOORS: &[&[&str]] = &[
    &["algo", "vocab"],
    &["catalog", "dialect", "strategy", "telemetry"],
    &["config"],
    &["state", "shared", "store"],
    &["access", "route", "upstream", "simulated", "cache", "capture", "ledger", "report", "alerts"],
    &["proxy", "sim"],
    &["admin"],
    &["server"],
    &["app"],
    // The binary, a crate of its own that sees the library as any program would.
    &["main", "lib"],
];

/// A room that uses another one, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    from: String,
    to: String,
    file: String,
    line: usize,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} uses {}", self.file, self.line, self.from, self.to)
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn is_allowed(from: &str, to: &str) -> bool {
    from == to || floor(to) < floor(from)
}

/// The rooms that `source` names after `crate::`, with line numbers. Comments and strings do not count.
fn rooms_used(source: &str) -> Vec<(usize, String)> {
    let code = without_comments_and_strings(source);
    let mut found = Vec::new();
    for root in ["crate::", "mainstay::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            found.extend(names(&code[at + root.len()..]).into_iter().map(|name| (line, name)));
        }
    }
    found
}

/// The first segments of a path or of a group: `a::b` gives `a`, `{a::b, c}` gives `a` and `c`.
fn names(rest: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = rest.trim_start().strip_prefix('{') else { return vec![word(rest)] };
    let mut depth = 0_usize;
    let mut members = vec![0];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(at + 1),
            _ => {}
        }
    }
    members.into_iter().map(|at| word(&group[at..])).filter(|name| !name.is_empty()).collect()
}

/// Blanks comments and literals, and keeps every line break.
fn without_comments_and_strings(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if c == '"' {
            string(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        out.push(' ');
        rest = &rest[skipped..];
    }
    out
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('r')?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    inner[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let begin = 1 + hashes + 1;
    Some(rest[begin..].find(&close).map_or(rest.len(), |end| begin + end + close.len()))
}

fn visit(directory: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("the source tree is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every use of one room by another under `src`.
fn uses(src: &Path) -> Vec<Use> {
    let mut files = Vec::new();
    visit(src, &mut files);
    let mut uses = Vec::new();
    for path in files {
        let inside = path.strip_prefix(src).expect("found under src");
        let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
        let from = first.trim_end_matches(".rs").to_owned();
        let file = inside.display().to_string();
        let source = std::fs::read_to_string(&path).expect("source is text");
        for (line, to) in rooms_used(&source) {
            uses.push(Use { from: from.clone(), to, file: file.clone(), line });
        }
    }
    uses
}

#[test]
fn rooms_use_lower_floors_only() {
    let uses = uses(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for found in &uses {
        // `crate::name` may be an item of lib.rs, which has none but rooms.
        assert!(floor(&found.to).is_some(), "{found}: {} has no floor", found.to);
        assert!(floor(&found.from).is_some(), "{found}: {} has no floor", found.from);
        *counts.entry(&found.from).or_default() += 1;
        if !is_allowed(&found.from, &found.to) {
            wrong.push(found.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A reader that finds nothing would pass every tree.
    for room in ["state", "route", "proxy", "admin", "server", "app", "main"] {
        assert!(counts.get(room).is_some_and(|count| *count >= 3), "{room}: the test sees no imports of it");
    }
}

#[test]
fn every_room_of_the_library_has_a_floor() {
    let lib = include_str!("../../src/lib.rs");
    let rooms: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(rooms.len() > 10, "{rooms:?}");
    for room in rooms {
        assert!(floor(room).is_some(), "{room} is on no floor");
    }
}

#[test]
fn the_test_sees_every_way_to_name_a_room() {
    let check = |source: &str, expected: &[&str]| {
        let found: Vec<String> = rooms_used(source).into_iter().map(|(_, name)| name).collect();
        assert_eq!(found, expected, "{source}");
    };
    check("use crate::algo::tick::Tick;", &["algo"]);
    check("use crate::{algo::tick::Tick, state::{Live, Table}, vocab};", &["algo", "state", "vocab"]);
    check("fn f() -> crate::server::X { crate :: y() }", &["server"]);
    check("use mainstay::app::App;", &["app"]);
    check("// crate::server\n/* crate::server */ let s = \"crate::server\"; r#\"crate::server\"#;", &[]);
    check("let c = '\"'; use crate::route; let d = \"\\\"crate::x\";", &["route"]);
    check("use my_crate::server;", &[]);
}

#[test]
fn upward_and_sideways_imports_are_not_allowed() {
    assert!(is_allowed("server", "proxy"));
    assert!(is_allowed("state", "state"));
    assert!(!is_allowed("state", "route"), "upwards");
    assert!(!is_allowed("proxy", "admin"), "sideways");
    assert!(!is_allowed("algo", "vocab"), "sideways on the ground");
}

/// The heads of rooms that list their files list all of them, and no others.
#[test]
fn rooms_list_the_files_that_they_have() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for room in std::fs::read_dir(&src).expect("the source") {
        let file = room.expect("a room").path().join("mod.rs");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let Some((_, table)) = text.split_once("//! | file | job |\n") else { continue };
        let rows = table.lines().take_while(|line| line.starts_with("//! |"));
        let listed: BTreeSet<&str> = rows
            .flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
            .collect();
        let listed: BTreeSet<&str> = listed
            .iter()
            .map(|name| name.trim_start_matches("mod@"))
            .filter(|name| !name.contains("::"))
            .collect();
        let mut is_for_tests = false;
        for line in text.lines() {
            let module = line.trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
            let module = module
                .trim_start_matches("pub ")
                .strip_prefix("mod ")
                .and_then(|rest| rest.strip_suffix(';'));
            if let Some(module) = module.filter(|module| !is_for_tests && !listed.contains(module)) {
                wrong.push(format!("{}: `{module}` is not listed", file.display()));
            }
            is_for_tests = line.starts_with("#[cfg") && line.contains("test");
        }
        let folder = file.parent().expect("a room");
        for name in listed {
            let is_there = folder.join(format!("{name}.rs")).exists() || folder.join(name).is_dir();
            if !is_there {
                wrong.push(format!("{}: there is no `{name}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
