//! The `keys:` section: what each one's secret is, and which have none.

use http::HeaderValue;

use super::Scene;
use crate::config::blueprint::{Access, CallerKey};
use crate::config::file::access::{AccessName, Secrets};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;
use crate::config::tree::{Node, Text};
use crate::vocab::Secret;

/// Longest name: it becomes a metric label and an access key id.
const NAME_MAX: usize = 64;
/// Fewest characters of a secret; shorter ones can be guessed.
const SECRET_MIN: usize = 16;

/// Those keys that can be used, in the order of the file.
pub fn keys(scene: &Scene<'_>, findings: &mut Findings) -> Vec<CallerKey> {
    let mut keys: Vec<CallerKey> = Vec::new();
    for (name, said) in &scene.file.keys.0 {
        let path = Path::root().key("keys").key(name.as_str());
        check_name(name, &path, findings);
        let at = path.key("secret");
        let listed: Vec<(Path, &str)> = match &said.secret {
            // Reported by its shape.
            None => continue,
            Some(Secrets::One(text)) => vec![(at, text)],
            Some(Secrets::Several(texts)) => {
                texts.iter().enumerate().map(|(index, text)| (at.index(index), text.as_str())).collect()
            }
        };
        let mut key = CallerKey {
            name: name.as_str().into(),
            secrets: Vec::new(),
            priority: said.priority.map(settle::priority),
            max_priority: said.max_priority.map(settle::priority),
        };
        if let (Some(most), Some(own)) = (key.max_priority, key.priority)
            && most < own
        {
            findings.warn(
                &path.key("max_priority"),
                format!(
                    "is below the key's own `priority: {}`, which holds for requests that ask for none",
                    own.name()
                ),
                "raise it, or lower `priority`",
            );
        }
        for (path, text) in &listed {
            key.secrets.extend(secret(scene, path, text, &key, &keys, findings));
        }
        if !key.secrets.is_empty() {
            keys.push(key);
        }
    }
    let said = [scene.file.access].into_iter().chain(scene.file.routes.iter().map(|route| route.access));
    let needed = said.map(access).any(|access| access == Access::Keys);
    if needed && keys.is_empty() {
        findings.warn(
            &Path::root().key("access"),
            "no key can be used, so whatever needs one is refused",
            "write `keys: {NAME: {secret: \"${VARIABLE}\"}}` and set the variable",
        );
    }
    keys
}

/// What a file, or a route, says of who may call.
pub fn access(said: Option<AccessName>) -> Access {
    match said {
        None | Some(AccessName::Open) => Access::Open,
        Some(AccessName::Keys) => Access::Keys,
    }
}

fn check_name(name: &str, path: &Path, findings: &mut Findings) {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fine) {
        findings.error_at_key(
            path,
            "a key cannot be called this",
            format!("use up to {NAME_MAX} letters, digits, `-`, `_` and `.`: it is a metric label"),
        );
    }
}

/// The secret at `path`, unless it is missing or wrong.
fn secret(
    scene: &Scene<'_>,
    path: &Path,
    text: &str,
    own: &CallerKey,
    others: &[CallerKey],
    findings: &mut Findings,
) -> Option<Secret> {
    let scalar = scene.root.at(path).and_then(Node::scalar)?;
    if !is_reference(&scalar.raw) {
        findings.error(
            path,
            "the secret has to be a reference, and nothing else",
            "keep it in the environment (`${NAME}`) or in a file (`file:/path`)",
        );
        return None;
    }
    if text.is_empty() {
        let missing = match &scalar.text {
            Text::Missing(names) => names.join(", "),
            Text::AsWritten | Text::Resolved(_) | Text::Broken => "what it refers to".to_owned(),
        };
        findings.warn(
            path,
            format!("{missing} is not there or empty, so nobody can call with it"),
            "set it, or remove the key",
        );
        return None;
    }
    if HeaderValue::from_str(text).is_err() || text.contains(char::is_whitespace) {
        findings.error(
            path,
            "the secret has a blank, a line break or a character that no header can carry",
            "check how it got into the environment or the file; the secret itself is not shown",
        );
        return None;
    }
    if text.len() < SECRET_MIN {
        findings.error(
            path,
            format!("the secret has fewer than {SECRET_MIN} characters"),
            "make one that nobody guesses: openssl rand -hex 24",
        );
        return None;
    }
    let has = |key: &&CallerKey| key.secrets.iter().any(|secret| secret.expose() == text);
    if let Some(same) = others.iter().chain([own]).find(has) {
        findings.error(path, format!("the same secret as of key `{}`", same.name), "give each its own");
        return None;
    }
    Some(Secret::new(text))
}

/// Whether all of a text is elsewhere: a `${NAME}` without a default, or a file.
fn is_reference(raw: &str) -> bool {
    let variable = raw.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let default = |inside: &str| inside.split_once(":-").is_some_and(|(_, default)| !default.is_empty());
    raw.starts_with("file:") || variable.is_some_and(|inside| !inside.contains('}') && !default(inside))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::config::{Loaded, Problem, Severity, load};

    const LONG: &str = "0123456789abcdef";

    fn env() -> Given {
        Given::default()
            .var("SHOP", LONG)
            .var("SAME", LONG)
            .var("OTHER", "fedcba9876543210")
            .var("SHORT", "0123456789abcde")
            .var("EMPTY", "")
            .var("BLANK", "0123456789 abcdef")
            .file("/run/shop", "a-secret-of-a-file\n")
            .file("/run/empty", "\n")
    }

    fn read(access: &str) -> Result<Loaded, Vec<Problem>> {
        let rest = "upstreams: {a: {provider: simulated}, b: {provider: simulated}}\nroutes: [{model: m, channels: [{upstream: a}, {upstream: b}]}]";
        load(&format!("version: 1\n{access}\n{rest}\n"), &env())
    }

    /// The names with the number of their secrets, and what was said.
    fn found(access: &str) -> (String, String) {
        let loaded = read(access).unwrap_or_else(|problems| panic!("{access}: {problems:#?}"));
        let keys = loaded.blueprint.keys.iter().map(|key| format!("{}:{}", key.name, key.secrets.len()));
        let said = loaded.warnings.iter().map(|problem| format!("{}: {}", problem.path, problem.message));
        (keys.collect::<Vec<_>>().join(" "), said.collect::<Vec<_>>().join("; "))
    }

    fn refused(access: &str) -> String {
        let problems = read(access).err().unwrap_or_else(|| panic!("{access} is taken"));
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let said: Vec<String> =
            errors.map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        let all = format!("{problems:?} {}", problems.iter().map(|p| p.render("f")).collect::<String>());
        for secret in [LONG, "0123456789abcde", "a-secret-of-a-file", "literal-literal"] {
            assert!(!all.contains(secret), "{all}");
        }
        said.join("; ")
    }

    #[test]
    fn a_key_has_one_secret_or_two_from_the_environment_or_a_file() {
        let check = |access: &str, keys: &str| assert_eq!(found(access), (keys.to_owned(), String::new()));
        check("", "");
        check("keys: {shop: {secret: '${SHOP}'}}", "shop:1");
        check("access: keys\nkeys: {shop: {secret: ['${SHOP}', 'file:/run/shop']}}", "shop:2");
        check("keys: {b.1: {secret: '${OTHER:?needed}'}, a_2-x: {secret: '${SHOP:-}'}}", "b.1:1 a_2-x:1");
    }

    #[test]
    fn a_key_that_leads_nowhere_is_left_out_and_said() {
        let gone =
            |what: &str| format!("keys.a.secret: {what} is not there or empty, so nobody can call with it");
        let none = "access: no key can be used, so whatever needs one is refused";
        let check =
            |access: &str, keys: &str, said: String| assert_eq!(found(access), (keys.to_owned(), said));
        check("keys: {a: {secret: '${GONE}'}}", "", gone("GONE"));
        check("keys: {a: {secret: '${EMPTY}'}}", "", gone("EMPTY"));
        check("keys: {a: {secret: '${GONE:-}'}}", "", gone("what it refers to"));
        check("keys: {a: {secret: 'file:/run/empty'}}", "", gone("file:/run/empty"));
        check("keys: {a: {secret: 'file:/run/gone'}, b: {secret: '${SHOP}'}}", "b:1", gone("file:/run/gone"));
        check(
            "keys: {a: {secret: ['${SHOP}', '${GONE}']}}",
            "a:1",
            gone("GONE").replace("secret:", "secret[1]:"),
        );
        check("access: keys", "", none.to_owned());
        check("access: keys\nkeys: {a: {secret: '${GONE}'}}", "", format!("{none}; {}", gone("GONE")));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_never_shown() {
        let check = |access: &str, said: &str| assert_eq!(refused(access), said, "{access}");
        let reference = "keys.a.secret: the secret has to be a reference, and nothing else";
        check("keys: {a: {secret: literal-literal-literal}}", reference);
        check("keys: {a: {secret: 'x${SHOP}'}}", reference);
        check("keys: {a: {secret: '${SHOP}${OTHER}'}}", reference);
        check("keys: {a: {secret: '${GONE:-literal-literal}'}}", reference);
        check("keys: {a: {secret: '${SHORT}'}}", "keys.a.secret: the secret has fewer than 16 characters");
        check(
            "keys: {a: {secret: '${BLANK}'}}",
            "keys.a.secret: the secret has a blank, a line break or a character that no header can carry",
        );
        check(
            "keys: {a: {secret: '${SHOP}'}, b: {secret: '${SAME}'}}",
            "keys.b.secret: the same secret as of key `a`",
        );
        check(
            "keys: {a: {secret: ['${SHOP}', '${SAME}']}}",
            "keys.a.secret[1]: the same secret as of key `a`",
        );
        check(
            "keys: {a: {secret: ['${SHOP}', '${OTHER}', 'file:/run/shop']}}",
            "keys.a.secret: a list of 3 is not allowed",
        );
        check("keys: {a: {}}", "keys.a: `secret` is missing");
        check("keys: {'a b': {secret: '${SHOP}'}}", "keys[\"a b\"]: a key cannot be called this");
        check("access: closed", "access: `closed` is not a choice");
        assert!(refused("keys: {a: {secret: '${SHOP}'}, a: {secret: '${OTHER}'}}").contains('a'));
    }

    #[test]
    fn a_route_may_differ_from_the_whole() {
        let rest = "upstreams: {a: {provider: simulated}}\nroutes:\n  - {model: m, channels: [{upstream: a}]}\n  \
                    - {path: /health/, access: open, channels: [{upstream: a}]}\n  \
                    - {path: /closed/, access: keys, channels: [{upstream: a}]}";
        for (whole, expected) in [("keys", Access::Keys), ("open", Access::Open)] {
            let text = format!("version: 1\naccess: {whole}\nkeys: {{a: {{secret: '${{SHOP}}'}}}}\n{rest}\n");
            let blueprint = load(&text, &env()).expect("it is well").blueprint;
            let routes: Vec<Access> = blueprint.routes.iter().map(|route| route.access).collect();
            assert_eq!((blueprint.access, routes), (expected, vec![expected, Access::Open, Access::Keys]));
            assert!(!format!("{blueprint:?}").contains(LONG));
        }
    }

    #[test]
    fn an_open_door_to_the_network_is_said() {
        let (_, said) = found("server: {listen: '0.0.0.0:8080'}");
        assert_eq!(said, "server.listen: other machines can reach this, and nobody is asked for a key");
        let (_, said) =
            found("access: keys\nkeys: {a: {secret: '${SHOP}'}}\nserver: {listen: '0.0.0.0:8080'}");
        assert_eq!(said, "");
    }
}
