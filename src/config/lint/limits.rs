//! Warnings about `limits`: those that another one makes useless, and those that hold for nobody.

use crate::algo::limit::Unit;
use crate::config::blueprint::{Access, Blueprint, Level, Lineage, Member};
use crate::config::path::Path;
use crate::config::problem::Findings;

pub fn lint(blueprint: &Blueprint, findings: &mut Findings) {
    let keys = || blueprint.keys.iter().map(|key| &key.lineage);
    for line in blueprint.members.iter().chain(keys()) {
        never_reached(line, findings);
    }
    let open = |access: Access| access == Access::Open;
    let nobody_needs_a_key =
        open(blueprint.access) && blueprint.routes.iter().all(|route| open(route.access));
    let mut limited = blueprint.members.iter().chain(keys()).filter_map(|line| line.members().last());
    if nobody_needs_a_key && let Some(first) = limited.find(|own| !own.limits.is_unlimited()) {
        findings.warn_at_key(
            &at(first),
            "nobody needs a key, so whoever sends none gets round its `limits`",
            "write `access: keys`, or put `limits` on the routes",
        );
    }
}

/// A limit above one that holds for all below.
fn never_reached(line: &Lineage, findings: &mut Findings) {
    let Some((own, above)) = line.members().split_last() else { return };
    for unit in Unit::ALL {
        let Some(limit) = own.limits.limit(unit) else { continue };
        let lower =
            |member: &&std::sync::Arc<Member>| member.limits.limit(unit).is_some_and(|most| most < limit);
        if let Some(narrower) = above.iter().rev().find(lower) {
            let message = format!(
                "is never reached: {} `{}` has {} together",
                narrower.level.name(),
                narrower.name,
                narrower.limits.limit(unit).unwrap_or_default()
            );
            findings.warn(&at(own).key(unit.name()), message, "lower it, or remove it");
        }
    }
}

fn at(member: &Member) -> Path {
    let section = match member.level {
        Level::Organisation => "organisations",
        Level::Team => "teams",
        Level::User => "users",
        Level::Key => "keys",
    };
    Path::root().key(section).key(&*member.name).key("limits")
}

#[cfg(test)]
mod tests {
    use crate::algo::limit::Allowance;
    use crate::config::testing::Given;
    use crate::config::{Loaded, Problem, load};

    fn read(said: &str, route: &str) -> Result<Loaded, Vec<Problem>> {
        let env = Given::default().var("SHOP", "0123456789abcdef").var("DESK", "fedcba9876543210");
        let rest = "upstreams: {a: {provider: simulated}, b: {provider: simulated}}";
        let routes = format!("routes: [{{model: m, {route} channels: [{{upstream: a}}, {{upstream: b}}]}}]");
        load(&format!("version: 1\n{said}\n{rest}\n{routes}\n"), &env)
    }

    fn said(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn everybody_in_the_tree_and_every_route_may_have_limits() {
        let tree = "access: keys\norganisations: {acme: {limits: {tpd: 1000000}}}\n\
            teams: {t: {organisation: acme, limits: {rpm: 100}}}\nusers: {u: {team: t, limits: {concurrency: 4}}}\n\
            keys: {shop: {user: u, secret: '${SHOP}', limits: {rpm: 10}}, desk: {secret: '${DESK}'}}\n\
            defaults: {key_limits: {rpm: 50, tpm: 9000}}";
        let loaded = read(tree, "limits: {rpd: 7},").expect("it is well");
        assert_eq!(said(&loaded.warnings), Vec::<String>::new());
        let blueprint = loaded.blueprint;
        let limits: Vec<Allowance> =
            blueprint.keys[0].lineage.members().iter().map(|member| member.limits).collect();
        let none = Allowance::default();
        let expected = [
            Allowance { tpd: Some(1_000_000), ..none },
            Allowance { rpm: Some(100), ..none },
            Allowance { concurrency: Some(4), ..none },
            Allowance { rpm: Some(10), tpm: Some(9000), ..none },
        ];
        assert_eq!(limits, expected);
        let desk = blueprint.keys[1].lineage.members()[0].limits;
        assert_eq!(desk, Allowance { rpm: Some(50), tpm: Some(9000), ..none });
        assert_eq!(blueprint.routes[0].limits, Allowance { rpd: Some(7), ..none });
    }

    #[test]
    fn what_never_holds_is_said() {
        let tree = "teams: {t: {limits: {rpm: 10, tpm: 500}}}\n\
            keys: {shop: {team: t, secret: '${SHOP}', limits: {rpm: 11, tpm: 500}}}";
        let loaded = read(tree, "").expect("it is well");
        assert_eq!(
            said(&loaded.warnings),
            [
                "teams.t.limits: nobody needs a key, so whoever sends none gets round its `limits`",
                "keys.shop.limits.rpm: is never reached: team `t` has 10 together",
            ]
        );
        let problems = read("", "limits: {rpm: 0},").expect_err("nobody could ever call");
        assert_eq!(said(&problems)[0], "routes[0].limits.rpm: 0 is not allowed");
    }
}
