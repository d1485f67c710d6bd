//! The `issuers:` section: whose signed tokens are taken, and whom their claims can name.

use std::sync::Arc;

use std::net::IpAddr;

use super::Scene;
use super::access::{NAME_MAX, is_name};
use super::budgets;
use super::reach::{self, Known};
use super::tree::{self, Parents};
use crate::config::blueprint::{Algorithm, Issuer, KeysAt, Level, Lineage, Member, Urgency};
use crate::config::file::issuers::{self as file, AlgorithmName, Audiences};
use crate::config::layer::stack;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::{settle, url};

/// Where an OpenID provider says where its keys are (OpenID Connect Discovery §4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Those whose tokens can be taken, in the order of the file.
pub fn issuers(
    scene: &Scene<'_>,
    members: &[Lineage],
    known: &Known<'_>,
    findings: &mut Findings,
) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (name, said) in &scene.file.issuers.0 {
        let path = Path::root().key("issuers").key(name.as_str());
        if !is_name(name) {
            let hint =
                format!("use up to {NAME_MAX} letters, digits, `-`, `_` and `.`: it is a metric label");
            findings.error_at_key(&path, "an issuer cannot be called this", hint);
        }
        // Reported by their shape.
        let (Some(iss), Some(audience)) = (&said.iss, &said.audience) else { continue };
        if let Some(other) = issuers.iter().find(|other| *other.iss == **iss) {
            let message = format!("the same issuer as `{}`", other.name);
            findings.error(&path.key("issuer"), message, "put both together, with all audiences");
        }
        let Some(keys) = keys_at(said, iss, &path, findings) else { continue };
        let audiences = match audience {
            Audiences::One(one) => std::slice::from_ref(one),
            Audiences::Several(several) => several,
        };
        if audiences.iter().any(String::is_empty) {
            let hint = "write what the issuer calls this gateway";
            findings.error(&path.key("audience"), "nobody is called nothing", hint);
        }
        issuers.push(Issuer {
            name: name.as_str().into(),
            iss: iss.as_str().into(),
            audiences: audiences.iter().map(|audience| audience.as_str().into()).collect(),
            keys,
            ca_file: said.ca_file.clone(),
            algorithms: algorithms(said),
            claims: claims(said, members, &path, findings),
            otherwise: tree::parent(otherwise(said), members, &path.key("otherwise"), findings).cloned(),
            refuse: said.refuse.iter().map(|subject| subject.as_str().into()).collect(),
            own: Member {
                budgets: budgets::budgets(&said.budgets, &path.key("budgets"), known, findings),
                max_cost: said.max_cost.map(|dollars| dollars.0),
                explain: said.explain.unwrap_or_default(),
                zero_log: said.zero_log.unwrap_or_default(),
                level: Level::Key,
                name: name.as_str().into(),
                tags: tree::tags(&said.tags, &path.key("tags"), findings),
                reach: reach::reach(&said.allow, &path.key("allow"), known, findings),
                limits: settle::allowance(&stack([
                    said.limits.clone(),
                    scene.file.defaults.key_limits.clone(),
                ])),
                most: None,
                expires: None,
            },
            urgency: Urgency {
                own: said.priority.map(settle::priority),
                most: said.max_priority.map(settle::priority),
                cap: None,
            },
        });
    }
    issuers
}

fn keys_at(said: &file::Issuer, iss: &str, path: &Path, findings: &mut Findings) -> Option<KeysAt> {
    let (at, text) = match &said.jwks_url {
        Some(said) => (path.key("jwks_url"), said.clone()),
        None => (path.key("issuer"), format!("{}{DISCOVERY}", iss.trim_end_matches('/'))),
    };
    match is_trustworthy(&text) {
        Ok(()) if said.jwks_url.is_some() => Some(KeysAt::Here(text.into())),
        Ok(()) => Some(KeysAt::SaidBy(text.into())),
        Err(why) => {
            let hint = match said.jwks_url {
                Some(_) => "write the https:// URL of its keys",
                None => {
                    "write the https:// URL that is `iss` in its tokens, or say in `jwks_url` where its keys are"
                }
            };
            findings.error(&at, why, hint);
            None
        }
    }
}

/// Whether keys from this URL can be believed.
///
/// # Errors
/// What is wrong with it.
pub fn is_trustworthy(text: &str) -> Result<(), String> {
    let base = url::parse(text, "").map_err(|refused| refused.why.to_owned())?;
    let is_here =
        &*base.host == "localhost" || base.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if base.https || is_here {
        return Ok(());
    }
    Err("is not https, so that anybody in between could put his own keys there".to_owned())
}

fn algorithms(said: &file::Issuer) -> Vec<Algorithm> {
    let Some(named) = &said.algorithms else { return Algorithm::ALL.to_vec() };
    let algorithm = |name: &AlgorithmName| match name {
        AlgorithmName::RS256 => Algorithm::Rs256,
        AlgorithmName::PS256 => Algorithm::Ps256,
        AlgorithmName::ES256 => Algorithm::Es256,
        AlgorithmName::ES384 => Algorithm::Es384,
        AlgorithmName::EdDSA => Algorithm::EdDsa,
    };
    named.iter().map(algorithm).collect()
}

fn otherwise(said: &file::Issuer) -> Parents<'_> {
    let file::Parent { user, team, organisation } = &said.otherwise;
    Parents { organisation: organisation.as_deref(), team: team.as_deref(), user: user.as_deref() }
}

/// The claims that place somebody, the nearest first.
fn claims(
    said: &file::Issuer,
    members: &[Lineage],
    path: &Path,
    findings: &mut Findings,
) -> Vec<(Level, Arc<str>)> {
    let file::Claims { user, team, organisation } = &said.claims;
    let named = [(Level::User, user), (Level::Team, team), (Level::Organisation, organisation)];
    let named = named.into_iter().filter_map(|(level, claim)| Some((level, claim.as_deref()?)));
    named
        .map(|(level, claim)| {
            let is_there =
                members.iter().any(|line| line.members().last().is_some_and(|own| own.level == level));
            if !is_there {
                findings.warn(
                    &path.key("claims").key(level.name()),
                    format!("there is nobody under `{}s`, so it can name nobody", level.name()),
                    format!("add them there, by the names that the claim `{claim}` has, or remove it"),
                );
            }
            (level, claim.into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::config::{Blueprint, Byok, Severity, load};
    use crate::vocab::Priority;

    const REST: &str = "upstreams: {a: {provider: simulated}, b: {provider: simulated}}\nroutes: [{model: m, channels: [{upstream: a}, {upstream: b}]}]";
    const TREE: &str = "organisations: {acme: {max_priority: sheddable_plus}}\n\
                        teams: {growth: {organisation: acme}}\nusers: {ada@acme.com: {team: growth}}";

    fn read(issuers: &str) -> Result<(Blueprint, String), String> {
        let text = format!("version: 1\naccess: keys\n{TREE}\nissuers: {{{issuers}}}\n{REST}\n");
        let shown = |problems: &[crate::config::Problem], wanted: Severity| {
            let said = problems.iter().filter(|problem| problem.severity == wanted);
            said.map(|problem| format!("{}: {}", problem.path, problem.message))
                .collect::<Vec<_>>()
                .join("; ")
        };
        match load(&text, &Given::default()) {
            Ok(loaded) => Ok((loaded.blueprint, shown(&loaded.warnings, Severity::Warning))),
            Err(problems) => Err(shown(&problems, Severity::Error)),
        }
    }

    fn read_one(issuers: &str) -> Issuer {
        let (blueprint, warnings) = read(issuers).unwrap_or_else(|problems| panic!("{issuers}: {problems}"));
        assert_eq!(warnings, "", "no key is needed where there is an issuer");
        blueprint.issuers.into_iter().next().expect("one")
    }

    #[test]
    fn an_issuer_says_where_its_keys_are_and_whom_its_tokens_are_for() {
        let issuer = read_one("okta: {issuer: 'https://acme.okta.com/oauth2/', audience: mainstay}");
        let discovery = "https://acme.okta.com/oauth2/.well-known/openid-configuration";
        assert_eq!(issuer.keys, KeysAt::SaidBy(discovery.into()));
        assert_eq!((&*issuer.iss, issuer.algorithms.len()), ("https://acme.okta.com/oauth2/", 5));
        let issuer = read_one(
            "k8s: {issuer: kubernetes/serviceaccount, audience: [a, b], jwks_url: 'http://127.0.0.1:1/jwks', \
             algorithms: [RS256], claims: {user: email, team: groups}, otherwise: {team: growth}, \
             max_priority: critical_plus}",
        );
        assert_eq!(issuer.keys, KeysAt::Here("http://127.0.0.1:1/jwks".into()));
        assert_eq!(issuer.algorithms, [Algorithm::Rs256]);
        assert_eq!(issuer.claims, [(Level::User, "email".into()), (Level::Team, "groups".into())]);
        let line = issuer.otherwise.expect("somebody");
        assert_eq!(line.members().len(), 2);
        assert_eq!(issuer.urgency.below(&line).cap, Some(Priority::SheddablePlus));
    }

    #[test]
    fn each_of_its_callers_may_have_budgets_and_a_bound_for_one_request() {
        let store = "store: {url: 'sqlite:m.db'}";
        let text = |budgets: &str| {
            let issuers = format!("okta: {{issuer: 'https://x', audience: m, max_cost: 0.05, {budgets}}}");
            format!("version: 1\naccess: keys\n{store}\nissuers: {{{issuers}}}\n{REST}\n")
        };
        let loaded = load(&text("budgets: [{per: day, limit: 2}]"), &Given::default()).expect("it is well");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let own = &loaded.blueprint.issuers[0].own;
        assert_eq!(own.max_cost, crate::vocab::Money::parse("0.05"));
        assert_eq!(own.budgets.len(), 1);
        let problems = load(&text("budgets: [{per: day, limit: 2, downgrade_to: n}]"), &Given::default())
            .expect_err("no such route");
        assert_eq!(&*problems[0].path, "issuers.okta.budgets[0].downgrade_to");
    }

    #[test]
    fn callers_bring_keys_where_somebody_takes_them() {
        let upstreams = "upstreams: {s: {provider: simulated}, c: {provider: custom, dialect: openai, \
                         base_url: 'http://c/v1', credentials: []}, p: {provider: http, base_url: 'http://p'}}";
        let read = |route: &str| {
            let text = format!("version: 1\n{upstreams}\nroutes: [{{{route}}}]\n");
            load(&text, &Given::default()).map(|loaded| loaded.blueprint.routes[0].byok).map_err(|problems| {
                let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
                let said = errors.map(|problem| format!("{}: {}", problem.path, problem.message));
                said.collect::<Vec<_>>().join("; ")
            })
        };
        let of = |byok: &str| read(&format!("model: m, {byok}channels: [{{upstream: c}}]"));
        assert_eq!(of(""), Ok(Byok::Off));
        assert_eq!((of("byok: allow, "), of("byok: require, ")), (Ok(Byok::Allow), Ok(Byok::Require)));
        assert_eq!(read("model: m, byok: allow, channels: [{upstream: s}]"), Ok(Byok::Allow));
        let path = "routes[0].byok: only a route of models has providers with keys";
        assert_eq!(read("path: /p/, byok: require, channels: [{upstream: p}]"), Err(path.to_owned()));
    }

    #[test]
    fn what_cannot_be_trusted_or_means_nobody_is_refused() {
        let check = |issuers: &str, said: &str| assert_eq!(read(issuers).unwrap_err(), said, "{issuers}");
        let plain = "is not https, so that anybody in between could put his own keys there";
        check("a: {issuer: 'http://login.example.com', audience: m}", &format!("issuers.a.issuer: {plain}"));
        check(
            "a: {issuer: x, audience: m, jwks_url: 'http://10.0.0.1/keys'}",
            &format!("issuers.a.jwks_url: {plain}"),
        );
        check("a: {issuer: x, audience: m}", "issuers.a.issuer: is not a URL");
        check("a: {issuer: 'https://x'}", "issuers.a: `audience` is missing");
        check("a: {issuer: 'https://x', audience: ''}", "issuers.a.audience: nobody is called nothing");
        check(
            "a: {issuer: 'https://x', audience: m, algorithms: [HS256]}",
            "issuers.a.algorithms[0]: `HS256` is not a signature",
        );
        check(
            "a: {issuer: 'https://x', audience: m}, b: {issuer: 'https://x', audience: n}",
            "issuers.b.issuer: the same issuer as `a`",
        );
        check(
            "a: {issuer: 'https://x', audience: m, otherwise: {team: sales}}",
            "issuers.a.otherwise.team: no team is called `sales`",
        );
        check(
            "'a:b': {issuer: 'https://x', audience: m}",
            "issuers[\"a:b\"]: an issuer cannot be called this",
        );
    }
}
