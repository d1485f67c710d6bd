//! Warnings about `budgets`: those that begin anew with every process, and those that hold for nobody.

use crate::algo::spend::LARGEST_SHARED;
use crate::config::blueprint::{Access, Blueprint, Issuer, Level, Member};
use crate::config::check::route_path;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::vocab::Money;

pub fn lint(blueprint: &Blueprint, findings: &mut Findings) {
    let lines = || blueprint.members.iter().chain(blueprint.keys.iter().map(|key| &key.lineage));
    let members = || lines().filter_map(|line| line.members().last()).map(|own| (at(own), &own.budgets));
    let issued = |issuer: &Issuer| Path::root().key("issuers").key(&*issuer.name).key("budgets");
    let issuers = || blueprint.issuers.iter().map(|issuer| (issued(issuer), &issuer.own.budgets));
    let callers = || members().chain(issuers());
    let first = callers().find(|(_, budgets)| !budgets.is_empty()).map(|(path, _)| path);
    let of_route = blueprint.routes.iter().position(|route| !route.budgets.is_empty());
    let any = first.clone().or_else(|| of_route.map(|index| route_path(index).key("budgets")));
    if let Some(path) = any
        && blueprint.store.is_none()
        && blueprint.server.redis.is_none()
    {
        findings.warn_at_key(
            &path,
            "what was spent is forgotten when the process ends, and replicas know nothing of each other",
            "add a `store`, as in `store: {url: sqlite:mainstay.db}`, or `server.redis`",
        );
    }
    if blueprint.server.redis.is_some() {
        let routes = blueprint.routes.iter().enumerate();
        let routes = routes.map(|(index, route)| (route_path(index).key("budgets"), &route.budgets));
        for (path, budgets) in callers().chain(routes) {
            for (number, budget) in budgets.iter().enumerate() {
                if budget.limit.as_nano_usd() > LARGEST_SHARED {
                    let most = Money::nano_usd(LARGEST_SHARED);
                    findings.warn(
                        &path.index(number).key("limit"),
                        format!("Redis cannot count that much exactly: {most} hold instead"),
                        "lower it, or let replicas know of each other by a PostgreSQL `store` alone",
                    );
                }
            }
        }
    }
    let open = |access: Access| access == Access::Open;
    let nobody_needs_a_key =
        open(blueprint.access) && blueprint.routes.iter().all(|route| open(route.access));
    if let Some(path) = first.filter(|_| nobody_needs_a_key) {
        findings.warn_at_key(
            &path,
            "nobody needs a key, so whoever sends none gets round these `budgets`",
            "write `access: keys`, or put `budgets` on the routes",
        );
    }
}

fn at(member: &Member) -> Path {
    let section = match member.level {
        Level::Organisation => "organisations",
        Level::Team => "teams",
        Level::User => "users",
        Level::Key => "keys",
    };
    Path::root().key(section).key(&*member.name).key("budgets")
}

#[cfg(test)]
mod tests {
    use crate::config::load;
    use crate::config::testing::Given;

    fn warnings(text: &str) -> Vec<String> {
        let env = Given::default().var("SHOP", "0123456789abcdef");
        let rest = "upstreams: {a: {provider: simulated}, b: {provider: simulated}}";
        let file = format!("version: 1\n{rest}\n{text}\n");
        let loaded = load(&file, &env).unwrap_or_else(|problems| panic!("{problems:?}"));
        loaded.warnings.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn budgets_that_are_forgotten_or_can_be_got_round_are_said() {
        let route =
            "routes: [{model: m, budgets: [{per: day, limit: 3}], channels: [{upstream: a}, {upstream: b}]}]";
        let said = warnings(route);
        assert!(
            said.len() == 1 && said[0].starts_with("routes[0].budgets: what was spent is forgotten"),
            "{said:?}"
        );
        let said = warnings(&format!("{route}\nstore: {{url: 'sqlite:m.db'}}"));
        assert!(said.iter().all(|line| !line.contains("budgets")), "{said:?}");
        let large = "server: {redis: {url: 'redis://h:6379'}}\n\
            routes: [{model: m, budgets: [{per: day, limit: 5000000}], channels: [{upstream: a}, {upstream: b}]}]";
        let said = warnings(large);
        assert!(
            said.iter().any(|line| line.starts_with("routes[0].budgets[0].limit: Redis cannot count")),
            "{said:?}"
        );
        let issued = "issuers: {okta: {issuer: 'https://x', audience: m, budgets: [{per: day, limit: 3}]}}\n\
            access: keys\nroutes: [{model: m, channels: [{upstream: a}, {upstream: b}]}]";
        let said = warnings(issued);
        assert!(
            said.len() == 1 && said[0].starts_with("issuers.okta.budgets: what was spent is forgotten"),
            "{said:?}"
        );
        let keys = "keys: {shop: {secret: '${SHOP}', budgets: [{per: day, limit: 3}]}}\n\
            routes: [{model: m, channels: [{upstream: a}, {upstream: b}]}]\nstore: {url: 'sqlite:m.db'}";
        let said = warnings(keys);
        assert!(
            said.iter().any(|line| line.starts_with("keys.shop.budgets: nobody needs a key")),
            "{said:?}"
        );
    }
}
