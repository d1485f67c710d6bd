//! The `keys:` section: what each one's secret is, which have none, and whose they are.

use http::HeaderValue;

use super::Scene;
use super::reach::Known;
use super::tree::{self, Parents, Said};
use crate::config::blueprint::{Access, CallerKey, Level, Lineage, Urgency};
use crate::config::file::access::{AccessName, Secrets};
use crate::config::layer::stack;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;
use crate::config::tree::{Node, Text};
use crate::vocab::Secret;

/// Longest name: it becomes a metric label and an access key id.
pub const NAME_MAX: usize = 64;
/// Fewest characters of a secret; shorter ones can be guessed.
const SECRET_MIN: usize = 16;

/// Those keys that can be used, in the order of the file.
pub fn keys(
    scene: &Scene<'_>,
    above: &[Lineage],
    known: &Known<'_>,
    findings: &mut Findings,
) -> Vec<CallerKey> {
    let mut keys: Vec<CallerKey> = Vec::new();
    for (name, said) in &scene.file.keys.0 {
        let path = Path::root().key("keys").key(name.as_str());
        let limits = stack([said.limits.clone(), scene.file.defaults.key_limits.clone()]);
        let own = Said {
            tags: &said.tags,
            allow: &said.allow,
            limits: settle::allowance(&limits),
            most: None,
            budgets: &said.budgets,
            max_cost: said.max_cost,
            explain: said.explain,
            zero_log: said.zero_log,
            expires: said.expires.as_deref(),
        };
        let parents = Parents {
            organisation: said.organisation.as_deref(),
            team: said.team.as_deref(),
            user: said.user.as_deref(),
        };
        let lineage = tree::child((Level::Key, name), parents, own, above, &path, known, findings);
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
            urgency: Urgency {
                own: said.priority.map(settle::priority),
                most: said.max_priority.map(settle::priority),
                cap: None,
            }
            .below(&lineage),
            lineage,
        };
        if let (Some(most), Some(own)) = (key.urgency.most, key.urgency.own)
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
    let may_be_made = scene.file.store.is_some() && scene.file.server.key_hash_secret.is_some();
    if needed && keys.is_empty() && scene.file.issuers.0.is_empty() && !may_be_made {
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

/// Whether a member of the tree can be called this: it becomes a metric label, a column and a part of addresses.
pub fn is_name(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // What addresses resolve away would be somebody else's.
    let is_dots = matches!(name, "." | "..");
    !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(fine) && !is_dots
}

pub fn check_name(level: Level, name: &str, path: &Path, findings: &mut Findings) {
    // Those who sign in are often called by their addresses.
    let is_fine = if level == Level::User { is_name(&name.replace(['@', '+'], "-")) } else { is_name(name) };
    if !is_fine {
        let article = if level == Level::Organisation { "an" } else { "a" };
        findings.error_at_key(
            path,
            format!("{article} {} cannot be called this", level.name()),
            format!(
                "use up to {NAME_MAX} letters, digits, `-`, `_` and `.`{}: it is a metric label, and a part of addresses",
                if level == Level::User { ", or an e-mail address" } else { "" }
            ),
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
    let secret = match secret_at(scene, path, text, SECRET_MIN) {
        Ok(secret) => secret,
        Err(Unfit::Missing(what)) => {
            let message = format!("{what} is not there or empty, so nobody can call with it");
            findings.warn(path, message, "set it, or remove the key");
            return None;
        }
        Err(Unfit::Wrong(message, hint)) => {
            findings.error(path, message, hint);
            return None;
        }
    };
    let has = |key: &&CallerKey| key.secrets.contains(&secret);
    if let Some(same) = others.iter().chain([own]).find(has) {
        findings.error(path, format!("the same secret as of key `{}`", same.name), "give each its own");
        return None;
    }
    Some(secret)
}

/// Why a text is no secret.
pub enum Unfit {
    /// What it refers to is not there.
    Missing(String),
    /// What is wrong, and how to mend it.
    Wrong(String, &'static str),
}

/// The secret of `least` characters or more that `text` at `path` refers to.
pub fn secret_at(scene: &Scene<'_>, path: &Path, text: &str, least: usize) -> Result<Secret, Unfit> {
    let Some(scalar) = scene.root.at(path).and_then(Node::scalar) else {
        return Err(Unfit::Missing("it".to_owned()));
    };
    let wrong = |message: &str, hint| Err(Unfit::Wrong(message.to_owned(), hint));
    if !is_reference(&scalar.raw) {
        return wrong(
            "the secret has to be a reference, and nothing else",
            "keep it in the environment (`${NAME}`) or in a file (`file:/path`)",
        );
    }
    if text.is_empty() {
        return Err(Unfit::Missing(match &scalar.text {
            Text::Missing(names) => names.join(", "),
            Text::AsWritten | Text::Resolved(_) | Text::Broken => "what it refers to".to_owned(),
        }));
    }
    if HeaderValue::from_str(text).is_err() || text.contains(char::is_whitespace) {
        return wrong(
            "the secret has a blank, a line break or a character that no header can carry",
            "check how it got into the environment or the file; the secret itself is not shown",
        );
    }
    if text.len() < least {
        return wrong(
            &format!("the secret has fewer than {least} characters"),
            "make one that nobody guesses: openssl rand -hex 24",
        );
    }
    Ok(Secret::new(text))
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
            .var("HASH", "0123456789abcdef0123456789abcdef")
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
        let managed = "access: keys\nstore: {url: 'sqlite:m.db'}\nserver: {key_hash_secret: '${HASH}'}";
        check(managed, "", String::new());
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
    fn a_door_is_open_to_the_network_only_where_somebody_wrote_so() {
        let open = "server: {listen: '0.0.0.0:8080'}";
        let error = "server.listen: other machines can reach this, and nobody is asked for a key";
        assert_eq!(refused(open), error);
        assert_eq!(refused(&format!("access: open\n{open}")), error);
        assert_eq!(refused("server: {listen: '0.0.0.0:8080', open_to_everybody: false}"), error);
        let (_, said) = found("server: {listen: '0.0.0.0:8080', open_to_everybody: true}");
        assert_eq!(said, "server.listen: other machines can reach this, and nobody is asked for a key");
        let (_, said) =
            found("access: keys\nkeys: {a: {secret: '${SHOP}'}}\nserver: {listen: '0.0.0.0:8080'}");
        assert_eq!(said, "");
        assert_eq!(found("server: {listen: '127.0.0.2:8080'}").1, "");
    }

    #[test]
    fn the_admin_side_wants_a_token_where_others_can_reach_it() {
        assert_eq!(
            refused("server: {admin: '0.0.0.0:9090'}"),
            "server.admin: other machines can reach the admin side, and nobody is asked who he is"
        );
        for (said, error) in [
            ("literal-literal-literal", "the secret has to be a reference, and nothing else"),
            ("${GONE}", "environment variable GONE is not set"),
            ("${EMPTY}", "environment variable EMPTY is not set"),
            ("${GONE:-}", "what it refers to is not there or empty"),
            ("${SHORT}", "the secret has fewer than 16 characters"),
        ] {
            for admin in ["admin: '0.0.0.0:9090', ", ""] {
                let said = format!("server: {{{admin}admin_token: '{said}'}}");
                assert_eq!(refused(&said), format!("server.admin_token: {error}"));
            }
        }
        let loaded = read("server: {admin: '0.0.0.0:9090', admin_token: '${SHOP}'}").expect("it is well");
        assert_eq!(loaded.blueprint.server.admin_token, Some(Secret::new(LONG)));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert!(!format!("{:?}", loaded.blueprint).contains(LONG));
    }

    #[test]
    fn managed_keys_have_a_secret_of_their_own() {
        assert_eq!(
            refused("server: {key_hash_secret: '${SHOP}'}"),
            "server.key_hash_secret: the secret has fewer than 32 characters"
        );
    }
}
