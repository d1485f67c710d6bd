//! The tree above the keys: organisations, their teams, their users. A parent stands on a level above, so that
//! nobody can be his own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reach::{self, Known};
use super::{Scene, access, budgets};
use crate::algo::limit::Allowance;
use crate::config::blueprint::{Level, Lineage, Member};
use crate::config::dollars::Dollars;
use crate::config::file::access::Allow;
use crate::config::file::budgets::Budget;
use crate::config::moment;
use crate::config::nearest::{did_you_mean, listed};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;
use crate::vocab::Priority;

/// What every member of the tree may say of itself.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    pub tags: &'a BTreeMap<String, String>,
    pub allow: &'a Allow,
    pub limits: Allowance,
    /// The most that requests of all below may matter.
    pub most: Option<Priority>,
    pub budgets: &'a [Budget],
    pub max_cost: Option<Dollars>,
    pub explain: Option<bool>,
    pub zero_log: Option<bool>,
    pub expires: Option<&'a str>,
}

/// Whose child somebody says to be.
#[derive(Clone, Copy, Default)]
pub struct Parents<'a> {
    pub organisation: Option<&'a str>,
    pub team: Option<&'a str>,
    pub user: Option<&'a str>,
}

/// What the file says of somebody above keys: the three sections call it alike.
macro_rules! own {
    ($said:ident) => {
        Said {
            tags: &$said.tags,
            allow: &$said.allow,
            limits: settle::allowance(&$said.limits),
            most: $said.max_priority.map(settle::priority),
            budgets: &$said.budgets,
            max_cost: $said.max_cost,
            explain: $said.explain,
            zero_log: $said.zero_log,
            expires: $said.expires.as_deref(),
        }
    };
}

/// Every organisation, team and user, each with all above it.
pub fn tree(scene: &Scene<'_>, known: &Known<'_>, findings: &mut Findings) -> Vec<Lineage> {
    let mut tree = Vec::new();
    let mut add = |level: Level, section: &str, name: &str, parents: Parents<'_>, said: Said<'_>| {
        let path = Path::root().key(section).key(name);
        let child = child((level, name), parents, said, &tree, &path, known, findings);
        tree.push(child);
    };
    for (name, said) in &scene.file.organisations.0 {
        let own = own!(said);
        add(Level::Organisation, "organisations", name, Parents::default(), own);
    }
    for (name, said) in &scene.file.teams.0 {
        let own = own!(said);
        let parents = Parents { organisation: said.organisation.as_deref(), ..Parents::default() };
        add(Level::Team, "teams", name, parents, own);
    }
    for (name, said) in &scene.file.users.0 {
        let own = own!(said);
        let (organisation, team) = (said.organisation.as_deref(), said.team.as_deref());
        add(Level::User, "users", name, Parents { organisation, team, user: None }, own);
    }
    tree
}

/// A member of the tree with all above it, as far as that is right.
pub fn child(
    (level, name): (Level, &str),
    parents: Parents<'_>,
    said: Said<'_>,
    tree: &[Lineage],
    path: &Path,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Lineage {
    access::check_name(level, name, path, findings);
    let member = Member {
        level,
        name: name.into(),
        tags: tags(said.tags, &path.key("tags"), findings),
        reach: reach::reach(said.allow, &path.key("allow"), known, findings),
        limits: said.limits,
        most: said.most,
        budgets: budgets::budgets(said.budgets, &path.key("budgets"), known, findings),
        max_cost: said.max_cost.map(|dollars| dollars.0),
        explain: said.explain.unwrap_or_default(),
        zero_log: said.zero_log.unwrap_or_default(),
        expires: said.expires.and_then(|text| {
            let moment = moment::parse(text);
            if moment.is_none() {
                let hint = "write a day, as in 2027-01-31, or a time, as in 2027-01-31T12:00:00Z";
                findings.error(&path.key("expires"), format!("`{text}` is no point in time"), hint);
            }
            moment
        }),
    };
    Lineage::below(parent(parents, tree, path, findings), member)
}

/// The one above, if one is named that is there.
pub fn parent<'t>(
    parents: Parents<'_>,
    tree: &'t [Lineage],
    path: &Path,
    findings: &mut Findings,
) -> Option<&'t Lineage> {
    let named = [
        (Level::User, parents.user),
        (Level::Team, parents.team),
        (Level::Organisation, parents.organisation),
    ];
    let mut named = named.into_iter().filter_map(|(level, name)| Some((level, name?)));
    let (level, name) = named.next()?;
    if let Some((other, _)) = named.next() {
        let message = format!("both `{}` and `{}`: only the nearest is said", level.name(), other.name());
        let hint = format!("remove it; the {} says where it belongs", level.name());
        findings.error_at_key(&path.key(other.name()), message, hint);
    }
    let found = find(tree, level, name);
    if found.is_none() {
        let names = || {
            tree.iter().filter_map(|line| Some(&*line.members().last().filter(|m| m.level == level)?.name))
        };
        let hint = match names().next() {
            None => format!("there is nothing under `{}s`; add it there", level.name()),
            Some(_) => format!("{}known: {}", did_you_mean(name, names()), listed(names())),
        };
        findings.error(&path.key(level.name()), format!("no {} is called `{name}`", level.name()), hint);
    }
    found
}

/// Who is called `name` on `level`, with all above.
pub fn find<'t>(tree: &'t [Lineage], level: Level, name: &str) -> Option<&'t Lineage> {
    tree.iter().find(|line| line.members().last().is_some_and(|own| own.level == level && *own.name == *name))
}

/// Labels that a ledger and its readers can take.
pub fn tags(
    said: &BTreeMap<String, String>,
    path: &Path,
    findings: &mut Findings,
) -> Vec<(Arc<str>, Arc<str>)> {
    const MOST: usize = 16;
    const LONGEST: usize = 128;
    if said.len() > MOST {
        findings.error(path, format!("{} tags", said.len()), format!("{MOST} are enough for anybody"));
    }
    for (name, value) in said {
        let at = path.key(name.as_str());
        if !access::is_name(name) {
            findings.error_at_key(
                &at,
                "a tag cannot be called this",
                "use up to 64 letters, digits, `-`, `_` and `.`",
            );
        }
        if value.is_empty() || value.len() > LONGEST || value.chars().any(char::is_control) {
            findings.error(&at, "a tag has 1 to 128 bytes, and no line breaks", "shorten it");
        }
    }
    said.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::config::managed::{ManagedKey, Naming, managed};
    use crate::config::testing::Given;
    use crate::config::{Blueprint, Severity, Urgency, load};
    use crate::dialect::Operation;

    const REST: &str = "upstreams: {a: {provider: simulated, region: eu}, b: {provider: simulated}}\n\
        routes: [{model: m, channels: [{upstream: a}, {upstream: b}]}, {model: n-*, channels: [{upstream: a}]}]";

    fn read(said: &str) -> Result<Blueprint, String> {
        let env = Given::default().var("SHOP", "0123456789abcdef").var("DESK", "fedcba9876543210");
        load(&format!("version: 1\n{said}\n{REST}\n"), &env).map(|loaded| loaded.blueprint).map_err(
            |problems| {
                let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
                let said = errors
                    .map(|p| format!("{}: {} ({})", p.path, p.message, p.hint.as_deref().unwrap_or("")));
                said.collect::<Vec<_>>().join("; ")
            },
        )
    }

    fn key(said: &str) -> Lineage {
        let blueprint = read(said).unwrap_or_else(|problems| panic!("{said}: {problems}"));
        blueprint.keys[0].lineage.clone()
    }

    fn names(line: &Lineage) -> String {
        let name = |member: &Arc<Member>| format!("{} {}", member.level.name(), member.name);
        line.members().iter().map(name).collect::<Vec<_>>().join(" > ")
    }

    #[test]
    fn a_key_has_its_place_in_the_tree() {
        let tree = "organisations: {acme: {tags: {cost: '1', by: acme}}}\nteams: {growth: {organisation: acme}, free: {}}\n\
            users: {ada: {team: growth, tags: {by: ada}}, bob: {organisation: acme}}\n";
        for (parent, expected) in [
            ("", "key shop"),
            ("organisation: acme, ", "organisation acme > key shop"),
            ("team: growth, ", "organisation acme > team growth > key shop"),
            ("team: free, ", "team free > key shop"),
            ("user: ada, ", "organisation acme > team growth > user ada > key shop"),
            ("user: bob, ", "organisation acme > user bob > key shop"),
        ] {
            let line = key(&format!("{tree}keys: {{shop: {{{parent}secret: '${{SHOP}}'}}}}"));
            assert_eq!(names(&line), expected);
            assert_eq!(line.at(Level::Key).map(|own| &*own.name), Some("shop"));
        }
        let line =
            key(&format!("{tree}keys: {{shop: {{user: ada, secret: '${{SHOP}}', tags: {{app: x}}}}}}"));
        let tags: Vec<String> = line.tags().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(tags, ["by=ada", "cost=1", "app=x"], "the nearest wins");
        assert_eq!(read(tree).expect("no keys are needed").members.len(), 5);
    }

    /// By the lowest cap of all above; the key's own words, the route's and the caller's come to the same.
    #[test]
    fn nothing_matters_more_than_the_levels_above_let_it() {
        use Priority::{Critical, CriticalPlus, Sheddable, SheddablePlus};
        let tree = "organisations: {acme: {max_priority: critical}, free: {}}\n\
            teams: {growth: {organisation: acme, max_priority: sheddable_plus}, sales: {organisation: acme}}\n\
            users: {ada: {team: sales, max_priority: critical_plus}, bob: {team: growth, max_priority: critical}}\n";
        for (parent, cap) in [
            ("organisation: free", None),
            ("organisation: acme", Some(Critical)),
            ("team: growth", Some(SheddablePlus)),
            ("team: sales", Some(Critical)),
            ("user: ada", Some(Critical)),
            ("user: bob", Some(SheddablePlus)),
        ] {
            let own = "priority: critical_plus, max_priority: critical_plus";
            let said = format!("{tree}keys: {{shop: {{{parent}, {own}, secret: '${{SHOP}}'}}}}");
            let urgency = read(&said).expect("it is well").keys[0].urgency;
            assert_eq!(urgency.cap, cap, "{parent}");
            for usual in Priority::ALL {
                for asked in [None, Some(Sheddable), Some(Critical), Some(CriticalPlus)] {
                    let free = Urgency { cap: None, ..urgency }.of(usual, asked);
                    assert_eq!(
                        urgency.of(usual, asked),
                        cap.map_or(free, |cap| free.min(cap)),
                        "{parent} {asked:?}"
                    );
                }
            }
            // Who has no key of the file has the same above him.
            let members = read(tree).expect("it is well").members;
            let (level, name) = parent.split_once(": ").expect("a level and a name");
            let named = |wanted: &str| (level == wanted).then_some(name);
            let kept = ManagedKey {
                name: "till",
                organisation: named("organisation"),
                team: named("team"),
                user: named("user"),
                terms: r#"{"max_priority": "critical_plus"}"#,
                expires: None,
                limits: Allowance::default(),
            };
            let (_, managed) = managed(kept, &members, Naming::Lenient).expect("it is well");
            assert_eq!(managed.cap, cap, "{parent}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused_with_what_was_probably_meant() {
        for (said, expected) in [
            (
                "teams: {growth: {organisation: acmee}}\norganisations: {acme: {}}",
                "teams.growth.organisation: no organisation is called `acmee` (did you mean `acme`? known: acme)",
            ),
            (
                "users: {ada: {team: growth}}",
                "users.ada.team: no team is called `growth` (there is nothing under `teams`; add it there)",
            ),
            (
                "teams: {t: {}}\nusers: {u: {}}\nkeys: {k: {user: u, team: t, secret: '${SHOP}'}}",
                "keys.k.team: both `user` and `team`: only the nearest is said (remove it; the user says where it belongs)",
            ),
            (
                "organisations: {'a b': {}}",
                "organisations[\"a b\"]: an organisation cannot be called this (use up to 64 letters, digits, `-`, `_` and `.`: it is a metric label, and a part of addresses)",
            ),
            (
                "users: {u: {expires: soon, tags: {'a b': x}}}",
                "users.u.expires: `soon` is no point in time (write a day, as in 2027-01-31, or a time, as in 2027-01-31T12:00:00Z); users.u.tags[\"a b\"]: a tag cannot be called this (use up to 64 letters, digits, `-`, `_` and `.`)",
            ),
            (
                "users: {u: {allow: {upstreams: [aa], regions: [us], routes: [n], models: ['a*b'], networks: [10.0.0.1/8]}}}",
                "users.u.allow.upstreams[0]: no upstream is called `aa` (did you mean `a`? known: a, b); users.u.allow.regions[0]: no upstream's region is called `us` (known: eu); users.u.allow.routes[0]: no route is called `n` (did you mean `m`? known: m, n-*); users.u.allow.models[0]: `a*b` is no model's name, nor the beginning of one and a `*` (write gpt-5.4, gpt-*, or * for all); users.u.allow.networks[0]: `10.0.0.1/8` is no block of addresses (write 10.1.0.0/16, 2001:db8::/32, or one address)",
            ),
            (
                "users: {u: {allow: {endpoints: [models]}}}",
                "users.u.allow.endpoints[0]: `models` is not a kind of request",
            ),
        ] {
            let problems = read(said).expect_err(said);
            assert!(problems.starts_with(expected), "{said}:\n{problems}\n{expected}");
        }
    }

    #[test]
    fn everybody_above_has_a_say() {
        let said = "organisations: {acme: {expires: 2027-01-31, allow: {models: [gpt-*, m], networks: [10.0.0.0/8]}}}\n\
            teams: {t: {organisation: acme, allow: {endpoints: [chat], regions: [eu]}}}\n\
            keys: {k: {team: t, secret: '${SHOP}', allow: {models: [m, claude], routes: [m]}}}";
        let blueprint = read(said).expect("it is well");
        let line = &blueprint.keys[0].lineage;
        let who = |barred: Option<&Member>| barred.map_or("nobody", |member| member.level.name());
        let from = |address: &str| Some(address.parse::<IpAddr>().expect("an address"));
        assert_eq!(who(line.bars_model("m")), "nobody");
        assert_eq!(who(line.bars_model("gpt-5")), "key");
        assert_eq!(who(line.bars_model("claude")), "organisation");
        assert_eq!(who(line.bars_route(Some("m"))), "nobody");
        assert_eq!(who(line.bars_route(Some("n-*"))), "key");
        assert_eq!(who(line.bars_route(None)), "key");
        assert_eq!(who(line.bars_endpoint(Operation::Chat)), "nobody");
        assert_eq!(who(line.bars_endpoint(Operation::Embeddings)), "team");
        assert_eq!(who(line.bars_address(from("10.1.2.3"))), "nobody");
        assert_eq!(who(line.bars_address(from("11.1.2.3"))), "organisation");
        assert_eq!(who(line.bars_address(None)), "organisation");
        assert_eq!(who(line.bars_upstream(&blueprint.upstreams[0])), "nobody");
        assert_eq!(who(line.bars_upstream(&blueprint.upstreams[1])), "team");
        let end = Duration::from_hours(500_376);
        assert_eq!(who(line.expired(end.saturating_sub(Duration::from_nanos(1)))), "nobody");
        assert_eq!(who(line.expired(end)), "organisation");
    }
}
