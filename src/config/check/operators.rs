//! The admin side's own: who operators are, and what each may do.

use super::Scene;
use super::access::{NAME_MAX, is_name};
use super::server::{certificate, own_secret};
use crate::config::blueprint::{AdminClient, AdminTls, AdminToken};
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

/// `admin_tls` below `server`.
pub fn tls(scene: &Scene<'_>, server: &Path, findings: &mut Findings) -> Option<AdminTls> {
    let said = &scene.file.server.admin_tls;
    let path = server.key("admin_tls");
    let clients = clients(scene, &path, findings);
    let own = certificate(said.cert.as_deref(), said.key.as_deref(), &path, findings);
    match (&said.client_ca, said.clients.0.is_empty()) {
        (Some(_), false) | (None, true) => {}
        (None, false) => {
            let hint = "`client_ca`: PEM file with the roots that the clients have their certificates from";
            findings.error_at_key(&path, "`client_ca` is missing, so no client can prove who he is", hint);
        }
        (Some(_), true) => {
            let hint = "write `clients: {NAME: {subject: \"the certificate's common name\", scopes: [read]}}`, or remove it";
            findings.error(
                &path.key("client_ca"),
                "clients are asked for certificates that are good for nothing",
                hint,
            );
        }
    }
    if said.cert.is_none() && said.key.is_none() && scene.root.has_value(&path) {
        let hint = "PEM files with the certificate chain and the private key of the admin side";
        findings.error_at_key(&path, "`cert` and `key` are missing", hint);
    }
    Some(AdminTls { own: own?, client_ca: said.client_ca.as_deref().map(Into::into), clients })
}

fn clients(scene: &Scene<'_>, tls: &Path, findings: &mut Findings) -> Vec<AdminClient> {
    let mut clients: Vec<AdminClient> = Vec::new();
    for (name, said) in &scene.file.server.admin_tls.clients.0 {
        let path = tls.key("clients").key(name.as_str());
        check_name(name, &path, findings);
        // What is missing is reported by its shape.
        let Some(subject) = said.subject.as_deref() else { continue };
        if let Some(same) = clients.iter().find(|other| &*other.subject == subject) {
            let message = format!("the same subject as of `{}`", same.name);
            findings.error(&path.key("subject"), message, "name everybody once, with all his scopes");
            continue;
        }
        let scopes = scopes(said.scopes.as_deref());
        clients.push(AdminClient { name: name.as_str().into(), subject: subject.into(), scopes });
    }
    clients
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
    fn clients_have_a_subject_and_roots_to_prove_it_by() {
        let text =
            |tls: &str| format!("version: 1\nserver: {{admin: '0.0.0.0:1', admin_tls: {{{tls}}}}}\n{REST}\n");
        let whole =
            "cert: /c, key: /k, client_ca: /ca, clients: {ci: {subject: 'spiffe://x/ci', scopes: [read]}}";
        let server = load(&text(whole), &env()).expect("it is well").blueprint.server;
        let tls = server.admin_tls.as_ref().expect("TLS");
        assert_eq!((&*tls.clients[0].name, &*tls.clients[0].subject), ("ci", "spiffe://x/ci"));
        assert!(server.knows_operators());
        let check = |tls: &str, said: &str| {
            assert_eq!(refused(&format!("admin_tls: {{{tls}}}")), format!("server.admin_tls{said}"), "{tls}");
        };
        check("cert: /c", ": `key` is missing");
        check("client_ca: /ca, clients: {a: {subject: a, scopes: [read]}}", ": `cert` and `key` are missing");
        let blind = ": `client_ca` is missing, so no client can prove who he is";
        check("cert: /c, key: /k, clients: {a: {subject: a, scopes: [read]}}", blind);
        let vain = ".client_ca: clients are asked for certificates that are good for nothing";
        check("cert: /c, key: /k, client_ca: /ca", vain);
        let rest = "cert: /c, key: /k, client_ca: /ca, clients:";
        check(&format!("{rest} {{a: {{scopes: [read]}}}}"), ".clients.a: `subject` is missing");
        let twice =
            format!("{rest} {{a: {{subject: x, scopes: [read]}}, b: {{subject: x, scopes: [audit]}}}}");
        check(&twice, ".clients.b.subject: the same subject as of `a`");
        let problems = load(&text("cert: /c, key: /k"), &env()).expect_err("anybody could reach it");
        assert!(problems[0].message.contains("nobody is asked who he is"), "{problems:?}");
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
