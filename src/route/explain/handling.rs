//! What else befalls the requests of a route, in words: where they wait, and what becomes of their answers.

use std::time::Duration;

use crate::config::{CacheScope, Continuation, Delivery, Route};
use crate::strategy;

/// One line for each of them.
pub fn handling(route: &Route) -> Vec<String> {
    let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
    let mut lines = vec![match route.queue.max {
        Some(0) => format!("queue: none; priority {}", route.priority.name()),
        Some(max) => format!(
            "queue: up to {} for room, {max} requests at most; priority {}",
            seconds(route.queue.timeout),
            route.priority.name()
        ),
        None => {
            format!(
                "queue: up to {} for room; priority {}",
                seconds(route.queue.timeout),
                route.priority.name()
            )
        }
    }];
    if route.select == strategy::Kind::Sticky {
        lines.push(format!(
            "sticky: a conversation keeps its channel and key for {}",
            seconds(route.sticky.ttl)
        ));
    }
    match route.continuation {
        Continuation::Off => {}
        Continuation::SameModel => {
            lines.push("continuation: a stream that breaks is continued by the same model".to_owned());
        }
        Continuation::Any => {
            lines.push("continuation: a stream that breaks is continued by any channel".to_owned());
        }
    }
    match route.delivery {
        Delivery::Buffered => lines.push("delivery: streams are held back until they are whole".to_owned()),
        Delivery::Streamed => {}
    }
    if let Some(silence) = route.early_commit {
        lines.push(format!(
            "early_commit: a stream's head goes out after {} of silence, and keep-alives from then on",
            seconds(silence)
        ));
    }
    if route.cache.enabled {
        let whose = match route.cache.scope {
            CacheScope::Key => "the same key",
            CacheScope::Route => "anybody",
        };
        lines.push(format!("cache: an answer is said again to {whose} for {}", seconds(route.cache.ttl)));
    }
    if route.coalesce {
        lines.push("coalesce: identical requests at the same moment share one attempt".to_owned());
    }
    lines
}
