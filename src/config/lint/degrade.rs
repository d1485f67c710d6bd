//! Warnings about `on_exhausted` and `cache`: what is said there and can never happen.

use crate::config::blueprint::{Degradation, Matcher, Route, Server};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::tree::Node;
use crate::config::units::shown;

pub fn degrade(route: &Route, layers: &[Path], root: &Node, findings: &mut Findings) {
    let tries = &route.exhausted.tries;
    let list = root.said_at(layers, &["on_exhausted"]);
    let plain = matches!(route.matcher, Matcher::Path { .. });
    if plain {
        for (holds, key) in
            [(route.coalesce, "coalesce"), (route.cache.enabled, "cache"), (route.files, "files")]
        {
            // What `defaults` say for all routes is meant for those it can be meant for.
            let own = layers[0].key(key);
            if holds && root.has_value(&own) {
                findings.warn(&own, format!("`{key}` does nothing on a route with `path`"), "remove it");
            }
        }
    }
    for way in [Degradation::Stale, Degradation::Answer] {
        if plain && tries.contains(&way) {
            let message = format!("`{}` does nothing on a route with `path`", way.name());
            findings.warn(&list, message, "plain HTTP is not looked into; remove it");
        }
    }
    if !plain && tries.contains(&Degradation::Stale) && !route.cache.enabled {
        let hint = "write `cache: {enabled: true}`";
        findings.warn(&list, "`stale` without a cache: no answer is kept that could be said again", hint);
    }
    if !plain && tries.contains(&Degradation::Answer) && route.exhausted.answer.is_none() {
        let hint = "write `exhausted: {answer: \"...\"}`";
        findings.warn(&list, "`answer` without a text: there is nothing to say", hint);
    }
    let total = route.longest_total();
    if tries.contains(&Degradation::Wait) && route.exhausted.wait >= total {
        let message = format!(
            "a request may wait for {}, and all of it may take {}",
            shown(route.exhausted.wait),
            shown(total)
        );
        let hint = "make `exhausted.wait` shorter than `timeouts.total`";
        findings.warn(&root.said_at(layers, &["exhausted", "wait"]), message, hint);
    }
    if !route.fallback.is_empty() && !tries.contains(&Degradation::Fallback) {
        let hint = "add `fallback` to the list, or remove the route's `fallback`";
        findings.warn(
            &list,
            "without `fallback` in it, the route's `fallback` helps with refusals only",
            hint,
        );
    }
    // `answer` always has one for a generation, `fail` for everything.
    let last = tries.iter().position(|way| {
        *way == Degradation::Fail || (*way == Degradation::Answer && route.exhausted.answer.is_some())
    });
    let behind = last.and_then(|last| Some((tries[last], *tries.get(last + 1)?)));
    match behind {
        Some((Degradation::Answer, Degradation::Fail)) | None => {}
        Some((Degradation::Answer, never)) => {
            let message =
                format!("`{}` behind `answer` is for requests only that are no generation", never.name());
            findings.warn(&list, message, "put it in front");
        }
        Some((last, never)) => {
            let message = format!("`{}` is never reached behind `{}`", never.name(), last.name());
            findings.warn(&list, message, "put it in front, or remove it");
        }
    }
}

/// An answer that is larger than all memory for answers is never kept.
pub fn kept(route: &Route, path: &Path, server: &Server, root: &Node, findings: &mut Findings) {
    if route.cache.enabled && route.cache.max_entry > server.cache_memory {
        let layers = [path.clone(), Path::root().key("defaults")];
        let message = format!(
            "`max_entry` ({} bytes) is more than all answers together may take: `server.cache_memory` is {} bytes",
            route.cache.max_entry, server.cache_memory
        );
        let hint = "raise `server.cache_memory`, or lower `max_entry`";
        findings.warn(&root.said_at(&layers, &["cache", "max_entry"]), message, hint);
    }
}
