//! `budgets` of a member of the tree or of a route: windows, thresholds, and routes that are there.

use std::sync::Arc;

use super::reach::{Known, Sort};
use super::route_path;
use crate::algo::spend::Per;
use crate::config::blueprint::{Budget, Exceeded, Unpriced};
use crate::config::file;
use crate::config::file::budgets::{self as said, ExceededName, PerName, Thresholds, UnpricedName};
use crate::config::moment;
use crate::config::path::Path;
use crate::config::percent::Percent;
use crate::config::problem::Findings;

/// Most of one holder's: every request is held against all of them.
const MOST: usize = 8;

/// Those at `path` that can be used.
pub fn budgets(
    said: &[said::Budget],
    path: &Path,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Arc<[Budget]> {
    if said.len() > MOST {
        findings.error_at_key(
            path,
            format!("{} budgets", said.len()),
            format!("{MOST} are enough for anybody"),
        );
    }
    let numbered = said.iter().enumerate();
    numbered.filter_map(|(index, said)| budget(said, &path.index(index), known, findings)).collect()
}

/// Those of the route of this number.
pub fn of_route(
    said: &file::Route,
    index: usize,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Arc<[Budget]> {
    let path = route_path(index).key("budgets");
    for (at, budget) in said.budgets.iter().enumerate() {
        let to = budget.downgrade_to.as_ref();
        if to.is_some_and(|to| said.model.as_ref() == Some(to) || said.aliases.contains(to)) {
            let hint = "name a cheaper one, or remove it";
            findings.error(&path.index(at).key("downgrade_to"), "it is the same route", hint);
        }
    }
    // What is said of a path was refused with it.
    if said.path.is_some() { Arc::default() } else { budgets(&said.budgets, &path, known, findings) }
}

fn budget(said: &said::Budget, path: &Path, known: &Known<'_>, findings: &mut Findings) -> Option<Budget> {
    let per = said.per.map(|per| match per {
        PerName::Day => Per::Day,
        PerName::Week => Per::Week,
        PerName::Month => Per::Month,
        PerName::Total => Per::Total,
    });
    for (key, missing) in [("per", per.is_none()), ("limit", said.limit.is_none())] {
        // A file's shape says so as well; of what the store has nobody else does.
        if missing && !findings.touches(path) {
            findings.error_at_key(path, format!("`{key}` is missing"), "write {per: month, limit: 30}");
        }
    }
    if let (Some(downgrade), Some(_)) = (&said.downgrade_to, said.on_exceeded) {
        findings.error_at_key(
            &path.key("on_exceeded"),
            format!("requests cannot be served by `{downgrade}` and be refused or let through as well"),
            "keep one of `on_exceeded` and `downgrade_to`; two budgets of one window may differ",
        );
    }
    let downgrade_to = said.downgrade_to.as_deref().map(|to| {
        known.route(to, Sort::OneModel).unwrap_or_else(|hint| {
            findings.error(&path.key("downgrade_to"), format!("no route is called `{to}`"), hint);
            to
        })
    });
    let starts = said.starts.as_deref().and_then(|text| {
        let moment = moment::parse(text);
        if moment.is_none() {
            let hint = "write a day, as in 2027-01-31, or a time, as in 2027-01-31T12:00:00Z";
            findings.error(&path.key("starts"), format!("`{text}` is no point in time"), hint);
        }
        moment
    });
    if said.starts.is_some() && per.is_some_and(|per| per != Per::Total) {
        let hint = "remove it, or write `per: total`";
        findings.error_at_key(&path.key("starts"), "windows of the calendar begin by themselves", hint);
    }
    let mut soft = match &said.soft {
        None => ["80%", "100%"].into_iter().filter_map(|text| Percent::parse(text).ok()).collect(),
        Some(Thresholds::One(one)) => vec![*one],
        Some(Thresholds::Several(several)) => several.clone(),
    };
    if soft.iter().any(|share| share.hundredths() == 0) {
        findings.error(&path.key("soft"), "0% is always spent", "use 1% to 100%");
    }
    soft.sort_unstable();
    soft.dedup();
    Some(Budget {
        per: per?,
        starts: starts.filter(|_| per == Some(Per::Total)),
        limit: said.limit?.0,
        soft,
        exceeded: match (downgrade_to, said.on_exceeded) {
            (Some(to), _) => Exceeded::Downgrade(to.into()),
            (None, None | Some(ExceededName::Refuse)) => Exceeded::Refuse,
            (None, Some(ExceededName::Alert)) => Exceeded::Alert,
        },
        unpriced: match said.unpriced {
            None | Some(UnpricedName::Allow) => Unpriced::Allow,
            Some(UnpricedName::Refuse) => Unpriced::Refuse,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::config::testing::Given;
    use crate::vocab::Money;

    fn read(tree: &str, route: &str) -> Result<crate::config::Loaded, Vec<String>> {
        let env = Given::default().var("SHOP", "0123456789abcdef");
        let rest = "access: keys\nupstreams: {a: {provider: simulated}, b: {provider: simulated}}\nstore: {url: 'sqlite:m.db'}";
        let routes = format!(
            "routes: [{{model: m, aliases: [own], {route} channels: [{{upstream: a}}, {{upstream: b}}]}}, {{model: cheap, aliases: [little], channels: [{{upstream: a}}]}}, {{model: x-*, aliases: [some], channels: [{{upstream: a}}]}}]"
        );
        load(&format!("version: 1\n{tree}\n{rest}\n{routes}\n"), &env).map_err(|problems| {
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
        })
    }

    #[test]
    fn everybody_in_the_tree_and_every_route_may_have_budgets() {
        let tree = "organisations: {acme: {budgets: [{per: month, limit: 1000.50 USD, soft: 50%}]}}\n\
            teams: {t: {organisation: acme, budgets: [{per: week, limit: 7, on_exceeded: alert, unpriced: refuse}]}}\n\
            users: {u: {team: t, budgets: [{per: total, limit: 5, starts: 2026-11-01}]}}\n\
            keys: {shop: {user: u, secret: '${SHOP}', max_cost: 0.05, budgets: [{per: day, limit: 2, downgrade_to: cheap}, {per: day, limit: 3}, {per: week, limit: 2, downgrade_to: little}]}}";
        let loaded = read(tree, "max_cost: 1, budgets: [{per: day, limit: 9, soft: [90%, 10%, 90%]}],")
            .expect("it is well");
        let blueprint = loaded.blueprint;
        let members = blueprint.keys[0].lineage.members();
        let first = |at: usize| &members[at].budgets[0];
        assert_eq!((first(0).per, first(0).limit), (Per::Month, Money::nano_usd(1_000_500_000_000)));
        assert_eq!(first(0).soft, [Percent::parse("50%").expect("a share")]);
        assert_eq!((&first(1).exceeded, first(1).unpriced), (&Exceeded::Alert, Unpriced::Refuse));
        assert_eq!(first(2).starts.map(|at| at.as_secs()), Some(1_793_491_200));
        assert_eq!(first(3).exceeded, Exceeded::Downgrade("cheap".into()));
        assert_eq!(members[3].budgets[1].exceeded, Exceeded::Refuse);
        let meant = Exceeded::Downgrade("cheap".into());
        assert_eq!(members[3].budgets[2].exceeded, meant, "an alias is the route that it means");
        assert_eq!(members[3].max_cost, Some(Money::nano_usd(50_000_000)));
        assert_eq!(blueprint.routes[0].max_cost, Some(Money::nano_usd(1_000_000_000)));
        let shares: Vec<u32> =
            blueprint.routes[0].budgets[0].soft.iter().map(|share| share.hundredths()).collect();
        assert_eq!(shares, [1000, 9000]);
    }

    #[test]
    fn what_cannot_hold_is_said() {
        let problems = |route: &str| read("", &format!("budgets: [{route}],")).expect_err(route);
        for (said, path, what) in [
            ("{per: day}", "routes[0].budgets[0]", "`limit` is missing"),
            ("{per: year, limit: 3}", "routes[0].budgets[0].per", "is not a window"),
            ("{per: day, limit: 0}", "routes[0].budgets[0].limit", "is nothing"),
            ("{per: day, limit: 3 EUR}", "routes[0].budgets[0].limit", "is not an amount"),
            (
                "{per: day, limit: 3, starts: 2026-11-01}",
                "routes[0].budgets[0].starts",
                "begin by themselves",
            ),
            ("{per: total, limit: 3, starts: soon}", "routes[0].budgets[0].starts", "no point in time"),
            (
                "{per: day, limit: 3, downgrade_to: chep}",
                "routes[0].budgets[0].downgrade_to",
                "no route is called",
            ),
            ("{per: day, limit: 3, downgrade_to: m}", "routes[0].budgets[0].downgrade_to", "the same route"),
            (
                "{per: day, limit: 3, downgrade_to: own}",
                "routes[0].budgets[0].downgrade_to",
                "the same route",
            ),
            (
                "{per: day, limit: 3, downgrade_to: some}",
                "routes[0].budgets[0].downgrade_to",
                "no route is called",
            ),
            (
                "{per: day, limit: 3, on_exceeded: alert, downgrade_to: cheap}",
                "routes[0].budgets[0].on_exceeded",
                "as well",
            ),
            ("{per: day, limit: 3, soft: 0%}", "routes[0].budgets[0].soft", "always spent"),
            ("{per: day, limit: 3, soft: 80}", "routes[0].budgets[0].soft", "share"),
        ] {
            let found = problems(said);
            assert!(
                found.iter().any(|line| line.starts_with(path) && line.contains(what)),
                "{said}: {found:?}"
            );
        }
    }
}
