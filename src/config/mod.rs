//! `routing.yaml`, from text to a checked [`Blueprint`].
//!
//! | file | job |
//! |---|---|
//! | `tree` | YAML -> a tree with places; the only file that knows YAML |
//! | `expand` | `${VAR}` and `file:` in the tree's values |
//! | `shape` | tree against schema: unknown and missing keys, types, ranges |
//! | `file` | the serde mirror, and with it the JSON Schema |
//! | `decode` | tree -> mirror |
//! | `layer`, `settle` | `defaults` -> upstream -> route -> channel -> settings |
//! | `models` | the file of `catalog.file` -> [`Catalog`](crate::catalog::Catalog), by the same steps |
//! | [`rehearsal`] | the files of `mainstay simulate`, by the same steps |
//! | `check` | names, references, loops, URLs -> [`Blueprint`] |
//! | `lint` | warnings |
//! | `fate` | which upstreams fail together |
//! | `managed` | what is said of a key that the store has and not the file |
//! | [`blueprint`] | what the rest of the program builds itself from |
//! | `schema` | the JSON Schema of all that |
//! | `path`, `units`, `dollars`, `percent`, `moment`, `cidr`, `url`, `page_origin` | values as people write them |
//! | `reasoning` | which models think before they speak, by their names |
//! | `problem`, `redact`, `nearest` | what is shown of all that, without secrets |
//! | [`veil`] | the text itself, for who edits it and may not see its secrets |
//! | [`changes`] | what would be otherwise with another text |
//!
//! Every step reports all that it finds, cuts it out and lets the next one go on, so that one look
//! shows all problems. Nothing here opens a file, reads a clock or logs: text and [`Env`] come in,
//! a blueprint or problems go out.

pub mod blueprint;
pub mod changes;
mod check;
mod cidr;
mod decode;
mod dollars;
mod expand;
mod fate;
mod file;
mod layer;
mod lint;
pub mod managed;
mod models;
pub mod moment;
mod nearest;
mod page_origin;
mod path;
mod percent;
pub mod problem;
pub mod reasoning;
mod redact;
pub mod rehearsal;
mod schema;
mod settle;
mod shape;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tree;
mod units;
mod url;
pub mod veil;

pub use blueprint::*;
pub use check::issuers::is_trustworthy;
pub use check::reach::Known;
pub use check::store::of_url as store_of;
pub use cidr::Cidr;
pub use dollars::Dollars;
pub use nearest::did_you_mean;
pub use page_origin::PageOrigin;
pub use percent::Percent;
pub use problem::{Problem, Severity};
pub use schema::schema;

use check::Scene;
use path::Path;
use problem::{Findings, Mark, Quote, Spot};
use redact::{Redactor, Tree};
use tree::Node;

/// Largest file (RESILIENCE §4.15).
pub const FILE_MAX: usize = 1 << 20;

/// What references refer to. The process's own implementation reads the environment and the disk.
pub trait Env {
    /// The environment variable of this name, if it is set and is text.
    fn var(&self, name: &str) -> Option<String>;

    /// The content of the file at this path, or why it cannot be had.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// A file without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub blueprint: Blueprint,
    /// In the order of the file.
    pub warnings: Vec<Problem>,
    /// Files that upstreams' settings name and that cannot be had.
    pub lost_files: Vec<String>,
}

/// Reads, checks and settles `text`.
///
/// # Errors
/// All problems of the file, warnings included, in the order of the file. At least one is an error.
pub fn load(text: &str, env: &dyn Env) -> Result<Loaded, Vec<Problem>> {
    let mut findings = Findings::default();
    let (blueprint, root, elsewhere) = read(text, env, &mut findings);
    if let (Some(blueprint), Some(root)) = (&blueprint, &root) {
        lint::lint(blueprint, root, &mut findings);
    }
    let partial = root.is_none() || findings.any_without_a_tree();
    let redactor = Redactor::new(root.as_ref(), if partial { Tree::Partial } else { Tree::Whole });
    let mut problems = problems(findings, text, root.as_ref(), &redactor);
    problems.extend(elsewhere);
    match blueprint {
        Some(blueprint) => {
            let lost_files = root.as_ref().map(expand::lost_files).unwrap_or_default();
            Ok(Loaded { blueprint, warnings: problems, lost_files })
        }
        None => Err(problems),
    }
}

/// Where the admin side is, whatever else is wrong with `text`: a gateway serves on beside a file with a mistake, and
/// whoever asks for it may have none of its secrets.
///
/// # Errors
/// Why that cannot be told.
pub fn admin_side(text: &str, env: &dyn Env) -> Result<AdminSide, Vec<Problem>> {
    let address = Path::root().key("server").key("admin");
    let mut findings = Findings::default();
    let root = tree::parse(text, &mut findings).or_else(|| {
        // What stands before the mistake says it, or nothing does.
        let sound = text.split_inclusive('\n').take(findings.first_line().saturating_sub(1));
        let before = tree::parse(&sound.collect::<String>(), &mut Findings::default());
        before.filter(|root| root.has_value(&address))
    });
    // Of what else is wrong nobody has to hear.
    let mut unheard = Findings::default();
    let side = root.and_then(|mut root| {
        expand::expand(&mut root, env, &mut unheard);
        let whole = root.clone();
        shape::fit(&mut root, &schema::strict(), &mut unheard);
        let file = decode::decode::<file::File>(&root).ok()?;
        // What led nowhere, or is no text, was cut out.
        let is_lost = whole.has_value(&address) && file.server.admin.is_none();
        let scene = Scene { file: &file, root: &whole, env };
        check::admin_side(&scene, &mut unheard).filter(|_| !is_lost)
    });
    side.ok_or_else(|| load(text, env).err().unwrap_or_default())
}

/// The tree comes back as it was before anything was cut out of it, for places; and with it what is wrong
/// with other files than this.
fn read(
    text: &str,
    env: &dyn Env,
    findings: &mut Findings,
) -> (Option<Blueprint>, Option<Node>, Vec<Problem>) {
    if text.len() > FILE_MAX {
        let hint = "split the configuration over several gateways";
        findings.error_at(Mark::default(), format!("the file is larger than {} KiB", FILE_MAX / 1024), hint);
        return (None, None, Vec::new());
    }
    let Some(mut root) = tree::parse(text, findings) else {
        if !findings.any_error() {
            empty(findings);
        }
        return (None, None, Vec::new());
    };
    if root.is_null() {
        empty(findings);
        return (None, None, Vec::new());
    }
    expand::expand(&mut root, env, findings);
    let whole = root.clone();
    shape::fit(&mut root, &schema::strict(), findings);
    let file = match decode::decode::<file::File>(&root) {
        Ok(file) => file,
        Err(error) => {
            // Schema and structs disagree, or the root is no mapping; `shape` has said the latter.
            if !findings.any_error() {
                findings.error_at(Mark::default(), format!("{}: {}", error.path(), error.inner()), "");
            }
            return (None, Some(whole), Vec::new());
        }
    };
    let scene = Scene { file: &file, root: &whole, env };
    let (catalog, elsewhere) = models::of(&scene, findings);
    let blueprint = check::check(&scene, catalog, check::revision(text), findings);
    (blueprint.filter(|_| elsewhere.is_empty()), Some(whole), elsewhere)
}

/// A duration as the file would have it: `250ms`, `1m30s`.
///
/// # Errors
/// Why it is none.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    units::Span::parse(text).map(|span| span.0)
}

fn empty(findings: &mut Findings) {
    findings.error_at(
        Mark::default(),
        "the file is empty",
        "begin with: version: 1, upstreams: {...}, routes: [...]; `mainstay schema` describes it all",
    );
}

/// Looks up places, quotes lines, strikes out secrets, and sorts.
fn problems(findings: Findings, text: &str, root: Option<&Node>, redactor: &Redactor) -> Vec<Problem> {
    let findings = findings.into_vec();
    let lines: Vec<&str> = text.lines().collect();
    let mut problems: Vec<Problem> = findings
        .into_iter()
        .map(|finding| {
            let mark = match (finding.spot, root) {
                (Spot::At(mark), _) => mark,
                (Spot::Value, Some(root)) => root.mark_of_value(&finding.path),
                (Spot::Key, Some(root)) => root.mark_of_key(&finding.path),
                (Spot::Value | Spot::Key, None) => Mark::default(),
            };
            let line = mark.line.checked_sub(1).and_then(|index| lines.get(index));
            let quote = line.map(|line| Quote {
                line: redactor.clean_line(mark.line, line, &lines[..mark.line - 1]),
                width: mark.width,
            });
            Problem {
                severity: finding.severity,
                file: None,
                path: redactor.clean_message(&finding.path.to_string()),
                line: mark.line,
                column: mark.column,
                message: redactor.clean_message(&finding.message),
                hint: finding.hint.map(|hint| redactor.clean_message(&hint)),
                quote,
            }
        })
        .collect();
    problems.sort_by(|a, b| {
        (a.line, a.column, a.severity, &a.message).cmp(&(b.line, b.column, b.severity, &b.message))
    });
    problems.dedup();
    problems
}
