//! References in values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `$$`, `file:/path`.
//!
//! They are replaced in scalars of the parsed tree, never in the file's text: a value with a colon or
//! a line break in it cannot change the structure, and lines and columns stay true. Keys are left
//! alone. The syntax is Docker Compose's. What came from a reference is never shown again.

use super::Env;
use super::path::{Path, Step};
use super::problem::Findings;
use super::redact::is_secret_word;
use super::tree::{Node, Scalar, Text, Value};

/// A value that begins so is the content of the file that it names.
const FILE: &str = "file:";

/// Replaces every reference in the tree.
pub fn expand(root: &mut Node, env: &dyn Env, findings: &mut Findings) {
    walk(root, &Path::root(), env, findings);
}

fn walk(node: &mut Node, path: &Path, env: &dyn Env, findings: &mut Findings) {
    match &mut node.value {
        Value::Scalar(scalar) => resolve(scalar, path, env, findings),
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, &path.index(index), env, findings);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                walk(&mut entry.node, &path.key(entry.key.as_str()), env, findings);
            }
        }
    }
}

fn resolve(scalar: &mut Scalar, path: &Path, env: &dyn Env, findings: &mut Findings) {
    if !scalar.raw.contains('$') && !scalar.raw.starts_with(FILE) {
        return;
    }
    let mut missing = Vec::new();
    let resolved = substitute(&scalar.raw, env, &mut missing).and_then(|text| {
        match text.strip_prefix(FILE) {
            // A half-resolved file name means nothing.
            Some(name) if missing.is_empty() => read(name, env, &mut missing),
            _ => Ok(text),
        }
    });
    scalar.text = match resolved {
        Err(Bad { message, hint }) => {
            findings.error(path, message, hint);
            Text::Broken
        }
        Ok(text) if missing.is_empty() => Text::Resolved(text),
        Ok(_) if may_be_missing(path) => {
            // Variables may well be set on another machine only; a file that is named is meant to be here. What is said
            // of a caller's key says so already.
            let of_upstream = matches!(path.steps(), [Step::Key(section), ..] if section == "upstreams");
            for gap in missing.iter().filter(|gap| of_upstream && gap.name.starts_with(FILE)) {
                findings.warn(path, gap.message.clone(), gap.hint.clone());
            }
            Text::Missing(missing.into_iter().map(|gap| gap.name).collect())
        }
        Ok(_) => {
            for gap in missing {
                let is_variable = !gap.name.starts_with(FILE);
                // No default of a secret would be taken.
                let hint = if is_variable && is_secret(path) {
                    "set it and start again".to_owned()
                } else {
                    gap.hint
                };
                findings.error(path, gap.message, hint);
            }
            Text::Broken
        }
    };
}

/// The files that upstreams' settings name and that cannot be had, as they are named.
pub fn lost_files(root: &Node) -> Vec<String> {
    fn collect(node: &Node, lost: &mut Vec<String>) {
        match &node.value {
            Value::Scalar(Scalar { text: Text::Missing(names), .. }) => {
                lost.extend(names.iter().filter_map(|name| name.strip_prefix(FILE)).map(str::to_owned));
            }
            Value::Scalar(_) => {}
            Value::List(items) => items.iter().for_each(|item| collect(item, lost)),
            Value::Map(entries) => entries.iter().for_each(|entry| collect(&entry.node, lost)),
        }
    }
    let mut lost = Vec::new();
    if let Some(upstreams) = root.entry("upstreams") {
        collect(&upstreams.node, &mut lost);
    }
    lost
}

fn is_secret(path: &Path) -> bool {
    let key = |step: &Step| match step {
        Step::Key(key) => Some(is_secret_word(key)),
        Step::Index(_) => None,
    };
    path.steps().iter().rev().find_map(key).unwrap_or_default()
}

/// Where an upstream or a caller's key simply stays unconfigured: whom it speaks to, and as whom.
fn may_be_missing(path: &Path) -> bool {
    match path.steps() {
        [Step::Key(section), Step::Key(_), Step::Key(tls), Step::Key(field)] if tls == "tls" => {
            section == "upstreams" && matches!(field.as_str(), "client_cert" | "client_key")
        }
        [Step::Key(section), Step::Key(_), Step::Key(field), ..] => {
            (section == "upstreams"
                && matches!(field.as_str(), "credentials" | "base_url" | "aws_region" | "headers" | "proxy"))
                || (section == "keys" && field == "secret")
        }
        _ => false,
    }
}

struct Bad {
    message: String,
    hint: String,
}

/// A reference that led nowhere.
struct Gap {
    name: String,
    message: String,
    hint: String,
}

fn substitute(raw: &str, env: &dyn Env, missing: &mut Vec<Gap>) -> Result<String, Bad> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let Some((inside, after)) = after.split_once('}') else {
                return Err(Bad {
                    message: "a `${` without its `}`".to_owned(),
                    hint: "close it, or write `$$` for a dollar sign".to_owned(),
                });
            };
            out.push_str(&variable(inside, env, missing)?);
            rest = after;
        } else {
            return Err(Bad {
                message: "a single `$`".to_owned(),
                hint: "write `${NAME}` for an environment variable, or `$$` for a dollar sign".to_owned(),
            });
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(inside: &str, env: &dyn Env, missing: &mut Vec<Gap>) -> Result<String, Bad> {
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Bad {
            message: format!("`${{{inside}}}` does not name an environment variable"),
            hint: "names have letters, digits and underscores, as in `${OPENAI_API_KEY}`".to_owned(),
        });
    }
    let value = env.var(name).filter(|value| !value.is_empty());
    if let Some(default) = operator.strip_prefix(":-") {
        return Ok(value.unwrap_or_else(|| default.to_owned()));
    }
    let demand = operator.strip_prefix(":?");
    if demand.is_none() && !operator.is_empty() {
        return Err(Bad {
            message: format!("`{operator}` after `${{{name}` is not understood"),
            hint: format!("write `${{{name}}}`, `${{{name}:-default}}` or `${{{name}:?message}}`"),
        });
    }
    match (value, demand) {
        (Some(value), _) => Ok(value),
        (None, Some(message)) => Err(Bad {
            message: if message.is_empty() {
                format!("environment variable {name} is required and not set")
            } else {
                format!("environment variable {name} is required: {message}")
            },
            hint: format!("set {name} and start again"),
        }),
        (None, None) => {
            missing.push(Gap {
                name: name.to_owned(),
                message: format!("environment variable {name} is not set"),
                hint: format!("set it, or write `${{{name}:-default}}`"),
            });
            Ok(String::new())
        }
    }
}

fn read(name: &str, env: &dyn Env, missing: &mut Vec<Gap>) -> Result<String, Bad> {
    if name.is_empty() {
        return Err(Bad {
            message: "`file:` without a path".to_owned(),
            hint: "write `file:/run/secrets/name`".to_owned(),
        });
    }
    let gap = |why: String| Gap {
        name: format!("{FILE}{name}"),
        message: format!("{name} {why}"),
        hint: "create the file, or check its path and permissions".to_owned(),
    };
    match env.file(name) {
        // Editors begin a file with a byte order mark, and they and `echo` end it with a line break; neither is part of
        // the secret.
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let text = text.strip_suffix('\n').unwrap_or(text);
            let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
            if text.is_empty() {
                missing.push(gap("is empty".to_owned()));
            }
            Ok(text)
        }
        Err(why) => {
            missing.push(gap(format!("cannot be read: {why}")));
            Ok(String::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::config::tree;

    /// What `value` becomes as the region of an upstream, or the problems.
    fn expanded(value: &str) -> Result<String, String> {
        let env = Given::default()
            .var("KEY", "sk-1")
            .var("EMPTY", "")
            .file("/run/key", "sk-2\n")
            .file("/run/two", "a\nb\r\n")
            .file("/run/marked", "\u{feff}sk-3\r\n")
            .file("/run/empty", "\n");
        let mut findings = Findings::default();
        let mut root = tree::parse(&format!("x: '{value}'"), &mut findings).unwrap();
        expand(&mut root, &env, &mut findings);
        let texts: Vec<_> = findings.into_vec().into_iter().map(|finding| finding.message).collect();
        let scalar = root.at(&Path::root().key("x")).and_then(Node::scalar).unwrap();
        if texts.is_empty() { Ok(scalar.text().to_owned()) } else { Err(texts.join("; ")) }
    }

    #[test]
    fn references_become_their_values() {
        let check = |value, text: &str| assert_eq!(expanded(value).as_deref(), Ok(text), "{value}");
        check("plain", "plain");
        check("${KEY}", "sk-1");
        check("a-${KEY}-${KEY}", "a-sk-1-sk-1");
        check("${KEY:-other}", "sk-1");
        check("${EMPTY:-other}", "other");
        check("${UNSET:-}", "");
        check("${UNSET:-http://x:1/}", "http://x:1/");
        check("${KEY:?needed}", "sk-1");
        check("file:/run/marked", "sk-3");
        check("a$$b", "a$b");
        check("$${KEY}", "${KEY}");
        check("file:/run/key", "sk-2");
        check("file:/run/two", "a\nb");
        check("file:${DIR:-/run}/key", "sk-2");
        check("profile:/run/key", "profile:/run/key");
    }

    #[test]
    fn a_reference_that_leads_nowhere_says_which_and_why() {
        let check = |value, text: &str| assert_eq!(expanded(value), Err(text.to_owned()), "{value}");
        check("${UNSET}", "environment variable UNSET is not set");
        check("${EMPTY}", "environment variable EMPTY is not set");
        check(
            "${UNSET}${ALSO}",
            "environment variable UNSET is not set; environment variable ALSO is not set",
        );
        check(
            "${UNSET:?get one from the console}",
            "environment variable UNSET is required: get one from the console",
        );
        check("file:/run/none", "/run/none cannot be read: no such file");
        check("file:/run/empty", "/run/empty is empty");
        check("file:", "`file:` without a path");
        check("$KEY", "a single `$`");
        check("${KEY", "a `${` without its `}`");
        check("${1}", "`${1}` does not name an environment variable");
        check("${}", "`${}` does not name an environment variable");
        check("${KEY-x}", "`-x` after `${KEY` is not understood");
    }

    #[test]
    fn only_what_names_an_upstream_and_its_key_may_be_missing() {
        let upstream = Path::root().key("upstreams").key("openai");
        assert!(may_be_missing(&upstream.key("credentials").index(0)));
        assert!(may_be_missing(&upstream.key("headers").key("x-team")));
        assert!(may_be_missing(&upstream.key("base_url")));
        assert!(may_be_missing(&Path::root().key("keys").key("shop").key("secret")));
        assert!(!may_be_missing(&upstream.key("region")));
        assert!(!may_be_missing(&Path::root().key("server").key("listen")));
    }
}
