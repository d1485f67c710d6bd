//! Warnings about `rules`, `split` and `mirror`: what is said there and can never happen, or is not followed.

use crate::config::blueprint::{Blueprint, Route, Steering};
use crate::config::path::Path;
use crate::config::problem::Findings;

pub fn lint(route: &Route, index: usize, path: &Path, blueprint: &Blueprint, findings: &mut Findings) {
    let Steering { rules, split, mirror } = &route.steering;
    let always = rules.iter().position(|rule| rule.when.is_always());
    for (number, rule) in rules.iter().enumerate() {
        let path = path.key("rules").index(number);
        if always.is_some_and(|always| number > always) {
            let message = "is never looked at: a rule before it holds for every request";
            findings.warn_at_key(&path, message, "move it up, or remove it");
        } else if let Some(first) = rules[..number].iter().position(|other| other.when == rule.when) {
            let message = format!("never holds: rules[{first}] has the same conditions");
            findings.warn_at_key(&path, message, "remove one of them");
        }
        let target = &blueprint.routes[rule.to];
        if rule.to != index && !target.steering.rules.is_empty() {
            let message = format!("the rules of `{}` are not followed from here", target.name);
            findings.warn(
                &path.key("use"),
                message,
                "a request follows one rule; name the route where it is to end",
            );
        }
    }
    for arm in split.iter().flat_map(|split| &split.arms) {
        let target = &blueprint.routes[arm.to];
        if arm.to != index && target.steering.is_steered() {
            let message =
                format!("neither the rules nor the split of `{}` are followed from here", target.name);
            let path = path.key("split").key("arms").key(&*arm.name).key("use");
            findings.warn(&path, message, "name the route where its requests are to end");
        }
    }
    if let Some(mirror) = mirror
        && blueprint.routes[mirror.to].steering.is_steered()
    {
        let name = &blueprint.routes[mirror.to].name;
        let message = format!("neither the rules nor the split of `{name}` are followed from here");
        findings.warn(&path.key("mirror").key("to"), message, "name the route that is to have the requests");
    }
}
