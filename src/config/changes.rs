//! What another text of the file would change in meaning: not which lines differ, but which routes, upstreams and keys
//! would be there, gone, or otherwise. A default that is changed is so seen where it takes effect.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::blueprint::{Blueprint, Lineage, Route};

/// All of it. What is empty does not differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changes {
    pub upstreams: Names,
    pub routes: Names,
    pub keys: Names,
    /// Organisations, teams and users.
    pub members: Names,
    pub issuers: Names,
    /// Other sections that differ.
    pub sections: Vec<&'static str>,
}

/// Of one kind of thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Names {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is otherwise `after` than `before`.
pub fn changes(before: &Blueprint, after: &Blueprint) -> Changes {
    let sections = [
        ("server", before.server != after.server),
        ("ledger", before.ledger != after.ledger),
        ("alerts", before.alerts != after.alerts),
        ("telemetry", before.telemetry != after.telemetry),
        ("access", before.access != after.access),
        ("store", before.store != after.store),
        ("catalog", before.catalog != after.catalog),
        ("key_limits", before.key_limits != after.key_limits),
        ("defaults.retry.budget", before.retry_budget != after.retry_budget),
    ];
    Changes {
        upstreams: names(
            &before.upstreams,
            &after.upstreams,
            |upstream| upstream.name.to_string(),
            |a, b| a == b,
        ),
        routes: names(
            &before.routes,
            &after.routes,
            |route| route.name.to_string(),
            |a, b| freed(a, before) == freed(b, after),
        ),
        keys: names(&before.keys, &after.keys, |key| key.name.to_string(), |a, b| a == b),
        members: names(&before.members, &after.members, name_of, |a, b| a == b),
        issuers: names(&before.issuers, &after.issuers, |issuer| issuer.name.to_string(), |a, b| a == b),
        sections: sections.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect(),
    }
}

fn names<T>(before: &[T], after: &[T], name: impl Fn(&T) -> String, same: impl Fn(&T, &T) -> bool) -> Names {
    let by_name = |all: &[T]| -> BTreeMap<String, usize> {
        all.iter().enumerate().map(|(index, one)| (name(one), index)).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let without = |some: &BTreeMap<String, usize>, others: &BTreeMap<String, usize>| -> Vec<String> {
        some.keys().filter(|name| !others.contains_key(*name)).cloned().collect()
    };
    let changed = old
        .iter()
        .filter(|(name, index)| new.get(*name).is_some_and(|other| !same(&before[**index], &after[*other])));
    Names {
        added: without(&new, &old),
        removed: without(&old, &new),
        changed: changed.map(|(name, _)| name.clone()).collect(),
    }
}

/// `team growth`: members of two levels may have one name.
fn name_of(lineage: &Lineage) -> String {
    lineage
        .members()
        .last()
        .map_or_else(String::new, |member| format!("{} {}", member.level.name(), member.name))
}

/// A route with names in place of the indices that it refers by, which are others wherever something was put before.
fn freed(route: &Route, of: &Blueprint) -> (Route, Vec<String>) {
    let mut route = route.clone();
    let mut named = Vec::new();
    for channel in &mut route.channels {
        named.push(of.upstreams[std::mem::take(&mut channel.upstream)].name.to_string());
    }
    let fallback = std::mem::take(&mut route.fallback);
    let steering = &mut route.steering;
    let rules = steering.rules.iter_mut().map(|rule| &mut rule.to);
    let arms = steering.split.iter_mut().flat_map(|split| &mut split.arms).map(|arm| &mut arm.to);
    let mirror = steering.mirror.iter_mut().map(|mirror| &mut mirror.to);
    let steered: Vec<usize> = rules.chain(arms).chain(mirror).map(std::mem::take).collect();
    named.extend(fallback.into_iter().chain(steered).map(|index| of.routes[index].name.to_string()));
    (route, named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, testing::Given};

    const FILE: &str = "
version: 1
server: {drain: {timeout: 60s}}
defaults: {timeouts: {idle: 30s}}
upstreams:
  one: {provider: openai, credentials: [sk-first]}
  two: {provider: custom, dialect: openai, base_url: 'https://two.example.com/v1', timeouts: {idle: 10s}}
keys: {desk: {secret: '${DESK}'}}
routes:
  - {model: a, channels: [{upstream: one, timeouts: {idle: 5s}}], fallback: [b]}
  - {model: b, channels: [{upstream: two, timeouts: {idle: 5s}}]}
";

    fn compared(after: &str) -> Changes {
        let env = Given::default().var("DESK", "ms-desk-0123456789abcdef0123456789");
        let read = |text: &str| config::load(text, &env).expect(text).blueprint;
        changes(&read(FILE), &read(after))
    }

    #[test]
    fn what_says_the_same_in_other_words_changes_nothing() {
        assert!(compared(FILE).is_empty());
        let words = FILE.replace("idle: 30s", "idle: 30000ms").replace("version: 1", "# a word\nversion: 1");
        assert!(compared(&words).is_empty());
        // Everything has another index.
        let moved = FILE.replace(
            "  - {model: a, channels: [{upstream: one, timeouts: {idle: 5s}}], fallback: [b]}\n  - {model: b, channels: [{upstream: two, timeouts: {idle: 5s}}]}\n",
            "  - {model: b, channels: [{upstream: two, timeouts: {idle: 5s}}]}\n  - {model: a, channels: [{upstream: one, timeouts: {idle: 5s}}], fallback: [b]}\n",
        );
        assert_ne!(moved, FILE);
        assert!(compared(&moved).is_empty(), "{:?}", compared(&moved));
    }

    #[test]
    fn each_thing_is_named_that_comes_goes_or_changes() {
        let names = |added: &[&str], removed: &[&str], changed: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Names { added: owned(added), removed: owned(removed), changed: owned(changed) }
        };
        let secret = compared(&FILE.replace("sk-first", "sk-other"));
        assert_eq!(secret, Changes { upstreams: names(&[], &[], &["one"]), ..Changes::default() });
        let default = compared(&FILE.replace("idle: 30s", "idle: 31s"));
        assert_eq!(default.upstreams, names(&[], &[], &["one"]), "the other one has its own: {default:?}");
        let route = compared(&FILE.replace(", fallback: [b]", ""));
        assert_eq!(route, Changes { routes: names(&[], &[], &["a"]), ..Changes::default() });
        let renamed = compared(&FILE.replace("model: a,", "model: c,"));
        assert_eq!(renamed.routes, names(&["c"], &["a"], &[]));
        let key = compared(&FILE.replace("desk: {", "shop: {"));
        assert_eq!(key, Changes { keys: names(&["shop"], &["desk"], &[]), ..Changes::default() });
        let server = compared(&FILE.replace("timeout: 60s", "timeout: 61s"));
        assert_eq!(server, Changes { sections: vec!["server"], ..Changes::default() });
    }
}
