//! The admin side's own: who operators are, and what each may do.

use super::Scene;
use super::access::{NAME_MAX, is_name};
use super::server::own_secret;
use crate::config::blueprint::AdminToken;
use crate::config::file::names::OperatorScopeName;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::vocab::{OperatorScope, OperatorScopes, Secret};

/// Fewest characters of a token; shorter ones can be guessed.
pub const TOKEN_MIN: usize = 16;

/// `admin_tokens` below `server`. One that is the same as another's would leave it open who has done something.
pub fn tokens(
    scene: &Scene<'_>,
    whole: Option<&Secret>,
    server: &Path,
    findings: &mut Findings,
) -> Vec<AdminToken> {
    let mut tokens: Vec<AdminToken> = Vec::new();
    for (name, said) in &scene.file.server.admin_tokens.0 {
        let path = server.key("admin_tokens").key(name.as_str());
        check_name(name, &path, findings);
        let at = path.key("token");
        let Some(token) = own_secret(scene, said.token.as_deref(), &at, TOKEN_MIN, findings) else {
            continue;
        };
        let same = tokens.iter().find(|other| other.token == token).map(|other| format!("`{}`", other.name));
        let same = same.or_else(|| (whole == Some(&token)).then(|| "`admin_token`".to_owned()));
        if let Some(same) = same {
            findings.error(&at, format!("the same token as {same}"), "give each its own");
            continue;
        }
        let scopes = scopes(said.scopes.as_deref());
        tokens.push(AdminToken { name: name.as_str().into(), token, scopes });
    }
    tokens
}

/// Names stand in the audit trail, and in messages.
fn check_name(name: &str, path: &Path, findings: &mut Findings) {
    if !is_name(name) {
        let hint =
            format!("use up to {NAME_MAX} letters, digits, `-`, `_` and `.`: the audit trail calls him so");
        findings.error_at_key(path, "an operator cannot be called this", hint);
    }
}

/// What is unknown is reported by its shape.
fn scopes(said: Option<&[OperatorScopeName]>) -> OperatorScopes {
    let known =
        |name: &OperatorScopeName| OperatorScope::GIVEN.into_iter().find(|scope| scope.name() == name.0);
    said.unwrap_or_default().iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::config::testing::Given;

    const REST: &str =
        "upstreams: {a: {provider: simulated}}\nroutes: [{model: m, channels: [{upstream: a}]}]";

    fn env() -> Given {
        Given::default()
            .var("ONE", "0123456789abcdef")
            .var("SAME", "0123456789abcdef")
            .var("OTHER", "fedcba9876543210")
            .var("SHORT", "0123456789abcde")
    }

    fn refused(server: &str) -> String {
        let text = format!("version: 1\nserver: {{{server}}}\n{REST}\n");
        let problems = load(&text, &env()).err().unwrap_or_else(|| panic!("{server} is taken"));
        let said: Vec<String> =
            problems.iter().map(|said| format!("{}: {}", said.path, said.message)).collect();
        said.join("; ")
    }

    #[test]
    fn an_operator_has_a_token_and_what_it_is_good_for() {
        let text = format!(
            "version: 1\nserver: {{admin: '0.0.0.0:1', admin_tokens: {{ci: {{token: '${{ONE}}', scopes: [config, read]}}}}}}\n{REST}\n"
        );
        let server = load(&text, &env()).expect("it is well").blueprint.server;
        let [ci] = server.admin_tokens.as_slice() else { panic!("{:?}", server.admin_tokens) };
        assert_eq!((&*ci.name, ci.token.expose()), ("ci", "0123456789abcdef"));
        assert_eq!(ci.scopes, OperatorScopes::from_iter([OperatorScope::Read, OperatorScope::Config]));
        assert!(server.knows_operators() && !format!("{server:?}").contains("0123456789"));
    }

    #[test]
    fn nothing_is_open_for_what_is_wrong() {
        let check = |server: &str, said: &str| assert_eq!(refused(server), said, "{server}");
        let gone = "server.admin_tokens.a.token: environment variable GONE is not set";
        check("admin_tokens: {a: {token: '${GONE}', scopes: [read]}}", gone);
        let short = "server.admin_tokens.a.token: the secret has fewer than 16 characters";
        check("admin_tokens: {a: {token: '${SHORT}', scopes: [read]}}", short);
        let literal = "server.admin_tokens.a.token: the secret has to be a reference, and nothing else";
        check("admin_tokens: {a: {token: literal-literal-literal, scopes: [read]}}", literal);
        check("admin_tokens: {a: {token: '${ONE}'}}", "server.admin_tokens.a: `scopes` is missing");
        check("admin_tokens: {a: {scopes: [read]}}", "server.admin_tokens.a: `token` is missing");
        let unknown = "server.admin_tokens.a.scopes[0]: `reed` is not a scope";
        check("admin_tokens: {a: {token: '${ONE}', scopes: [reed]}}", unknown);
        let open = "server.admin_tokens.a.scopes[0]: `open` is not a scope";
        check("admin_tokens: {a: {token: '${ONE}', scopes: [open]}}", open);
        let name = "server.admin_tokens[\"a b\"]: an operator cannot be called this";
        check("admin_tokens: {a b: {token: '${ONE}', scopes: [read]}}", name);
    }

    #[test]
    fn two_operators_never_have_one_token() {
        let twice =
            "admin_tokens: {a: {token: '${ONE}', scopes: [read]}, b: {token: '${SAME}', scopes: [audit]}}";
        assert_eq!(refused(twice), "server.admin_tokens.b.token: the same token as `a`");
        let whole = "admin_token: '${ONE}', admin_tokens: {a: {token: '${SAME}', scopes: [read]}}";
        assert_eq!(refused(whole), "server.admin_tokens.a.token: the same token as `admin_token`");
    }
}
