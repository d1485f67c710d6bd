//! The names of routes: no two alike, and every `fallback` leads somewhere and never back.

use std::collections::HashMap;

use super::route_path;
use super::routes::name;
use crate::config::blueprint::{Matcher, Pattern};
use crate::config::file;
use crate::config::nearest::{did_you_mean, listed};
use crate::config::path::Path;
use crate::config::problem::Findings;

/// Every exact name, alias, pattern and prefix with its route; doubles are reported.
pub fn names(
    said: &[file::Route],
    matchers: &[Option<Matcher>],
    findings: &mut Findings,
) -> HashMap<String, usize> {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut claim = |name: String, index: usize, path: &Path, findings: &mut Findings| match names.get(&name)
    {
        Some(first) => {
            let hint = "give every name to one route; several upstreams go into its `channels`";
            findings.error(path, format!("`{name}` is taken by routes[{first}] already"), hint);
        }
        None => {
            names.insert(name, index);
        }
    };
    for (index, matcher) in matchers.iter().enumerate() {
        let Some(matcher) = matcher else { continue };
        let key = if matches!(matcher, Matcher::Model { .. }) { "model" } else { "path" };
        claim(name(matcher), index, &route_path(index).key(key), findings);
    }
    for (index, route) in said.iter().enumerate() {
        for (number, alias) in route.aliases.iter().enumerate() {
            let path = route_path(index).key("aliases").index(number);
            if alias.is_empty() || alias.contains(|c: char| c == '*' || c.is_whitespace()) {
                let hint = "an alias is one whole model name; a pattern is a route of its own";
                findings.error(&path, format!("`{alias}` cannot be an alias"), hint);
            } else {
                claim(alias.clone(), index, &path, findings);
            }
        }
    }
    names
}

pub fn fallback(
    index: usize,
    said: &file::Route,
    matchers: &[Option<Matcher>],
    names: &HashMap<String, usize>,
    findings: &mut Findings,
) -> Vec<usize> {
    let mut targets = Vec::new();
    for (number, name) in said.fallback.iter().enumerate() {
        let path = route_path(index).key("fallback").index(number);
        let Some(&target) = names.get(name) else {
            let mut known: Vec<_> =
                names.keys().map(String::as_str).filter(|name| !name.contains('*')).collect();
            known.sort_unstable();
            let close = did_you_mean(name, known.iter().copied());
            let hint = format!("{close}routes: {}", listed(known));
            findings.error(&path, format!("there is no route `{name}`"), hint);
            continue;
        };
        match (&matchers[index], &matchers[target]) {
            (_, Some(Matcher::Model { pattern: Pattern::Prefix(_) })) => findings.error(
                &path,
                format!("`{name}` is a pattern and does not say which model to fall back to"),
                "name a route with a single model",
            ),
            (Some(Matcher::Model { .. }), Some(Matcher::Path { .. }))
            | (Some(Matcher::Path { .. }), Some(Matcher::Model { .. })) => findings.error(
                &path,
                "models and plain HTTP paths cannot stand in for each other",
                "name a route of the same sort",
            ),
            _ if targets.contains(&target) => {
                findings.error(&path, format!("`{name}` is in the list already"), "remove it");
            }
            _ => targets.push(target),
        }
    }
    targets
}

/// Reports every route that comes back to itself, once for each loop.
pub fn refuse_loops(said: &[file::Route], fallbacks: &[Vec<usize>], findings: &mut Findings) {
    /// A route that is not looked at yet, on the way that is looked at, or done with.
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnTheWay,
        Done,
    }
    let label =
        |index: usize| said[index].model.as_ref().or(said[index].path.as_ref()).cloned().unwrap_or_default();
    let mut marks = vec![Mark::New; fallbacks.len()];
    for start in 0..fallbacks.len() {
        // A stack of (route, its next fallback) instead of recursion: chains may be long.
        let mut way: Vec<(usize, usize)> = Vec::new();
        if marks[start] == Mark::New {
            marks[start] = Mark::OnTheWay;
            way.push((start, 0));
        }
        while let Some((route, next)) = way.last_mut() {
            let (from, number) = (*route, *next);
            *next += 1;
            let Some(&target) = fallbacks[from].get(number) else {
                marks[from] = Mark::Done;
                way.pop();
                continue;
            };
            match marks[target] {
                Mark::Done => {}
                Mark::New => {
                    marks[target] = Mark::OnTheWay;
                    way.push((target, 0));
                }
                Mark::OnTheWay => {
                    let chain = way.iter().map(|(route, _)| *route).skip_while(|route| *route != target);
                    let chain: Vec<_> = chain.chain([target]).map(label).collect();
                    let message = format!("the fallbacks go in a circle: {}", chain.join(" -> "));
                    let path = route_path(from).key("fallback");
                    findings.error_at_key(&path, message, "take one of these out");
                }
            }
        }
    }
}
