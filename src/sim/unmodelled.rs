//! What no rehearsal of a configuration shows: the foot of every report, so that nobody takes one for more than it is.

use crate::config::{Blueprint, Degradation, Delivery, Lineage, Reach, Route};
use crate::strategy;

/// Whether something holds for a route.
type Has = fn(&Route) -> bool;

/// One line each; the first one holds for all configurations.
pub fn of(blueprint: &Blueprint) -> Vec<String> {
    let mut lines = vec![
        "wires (connections, slow callers, translations, what is fetched for a prompt), prompt caches, limits of \
         providers that no script names, and whether the text of a continued stream joins: it always does here"
            .to_owned(),
    ];
    let kinds: [(&str, Has); 8] =
        [
            ("`on_exhausted: stale | wait | answer`, so these requests fail here", |route| {
                route.exhausted.tries.iter().any(|way| match way {
                    Degradation::Stale | Degradation::Wait | Degradation::Answer => true,
                    Degradation::Fallback | Degradation::Fail => false,
                })
            }),
            ("the cache, so every request is asked for", |route| route.cache.enabled),
            ("`coalesce`, so nobody shares an answer", |route| route.coalesce),
            ("`delivery: buffered`, so answers are passed on as they come", |route| {
                route.delivery == Delivery::Buffered
            }),
            ("`select: sticky`, for callers have no conversations here", |route| {
                route.select == strategy::Kind::Sticky
            }),
            ("rules about headers, tools or images, for callers bring none of them here", |route| {
                route.steering.rules.iter().any(|rule| {
                    !rule.when.headers.is_empty() || rule.when.tools.or(rule.when.images).is_some()
                })
            }),
            ("`max_cost`, so dear channels are asked like others", |route| route.max_cost.is_some()),
            ("`mirror`, so nobody is asked for more than callers ask for", |route| {
                route.steering.mirror.is_some()
            }),
        ];
    let narrows = |line: &Lineage| {
        line.members().iter().any(|member| member.expires.is_some() || member.reach != Reach::default())
    };
    if blueprint.keys.iter().any(|key| narrows(&key.lineage)) {
        lines.push("`allow` and `expires`, so every key reaches everything, for good".to_owned());
    }
    let spends = |line: &Lineage| {
        line.members().iter().any(|member| !member.budgets.is_empty() || member.max_cost.is_some())
    };
    if blueprint.keys.iter().any(|key| spends(&key.lineage))
        || blueprint.routes.iter().any(|route| !route.budgets.is_empty())
    {
        lines.push("`budgets`, and `max_cost` of keys, so nobody runs out of money".to_owned());
    }
    for (what, has) in kinds {
        let of: Vec<&str> =
            blueprint.routes.iter().filter(|route| has(route)).map(|route| &*route.name).collect();
        match of.as_slice() {
            [] => {}
            few if few.len() <= 3 => lines.push(format!("{what} (route {})", few.join(", "))),
            [first, rest @ ..] => lines.push(format!("{what} (route {first} and {} more)", rest.len())),
        }
    }
    lines
}
