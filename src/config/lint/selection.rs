//! Warnings about `select`: knobs of a strategy that is not in use, and strategies that have nothing to go by.

use crate::config::blueprint::{Blueprint, Channel, Matcher, ModelName, Pattern, Route};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::tree::Node;
use crate::strategy;

pub fn lint(route: &Route, path: &Path, blueprint: &Blueprint, root: &Node, findings: &mut Findings) {
    if route.select != strategy::Kind::Sticky && root.has_value(&path.key("sticky")) {
        findings.warn_at_key(
            &path.key("sticky"),
            format!("`select: {}` does not look at conversations", route.select.name()),
            "write `select: sticky`, or remove it",
        );
    }
    if route.select == strategy::Kind::Sticky
        && let [only] = &*route.channels
        && blueprint.upstreams[only.upstream].credentials.len() < 2
    {
        findings.warn_at_key(
            &path.key("channels"),
            "one channel and one key: conversations have nowhere else to stray",
            "add a channel or a key, or remove `select: sticky`",
        );
    }
    if route.select != strategy::Kind::LeastCost {
        return;
    }
    let known = |channel: &Channel| {
        let name = match (&channel.model, &route.matcher) {
            (ModelName::Fixed(name), _) => &**name,
            (ModelName::AsAsked, Matcher::Model { pattern: Pattern::Exact(name) }) => name,
            // Callers name the model, and its price with it.
            (ModelName::AsAsked | ModelName::Suffix, _) => return true,
        };
        let provider = blueprint.upstreams[channel.upstream].provider.name;
        blueprint
            .catalog
            .find(provider, name)
            .is_some_and(|entry| !entry.prices(blueprint.catalog.as_of()).is_empty())
    };
    let unknown: Vec<_> = (0..).zip(&route.channels).filter(|(_, channel)| !known(channel)).collect();
    for (number, channel) in &unknown {
        let upstream = &blueprint.upstreams[channel.upstream].name;
        findings.warn_at_key(
            &path.key("channels").index(*number),
            format!("nobody knows the prices of this model at {upstream}: the channel is picked last"),
            "write its prices into the file of `catalog`, or use another `select`",
        );
    }
}
