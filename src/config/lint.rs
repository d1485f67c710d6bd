//! Warnings: a file that works, and will probably surprise somebody (RESILIENCE §4.17).
//!
//! Each rule looks at the finished [`Blueprint`], so it sees what holds after all layers and not what
//! somebody wrote. Places: at the value where the file has it, at the part it belongs to otherwise.

mod budgets;
mod degrade;
mod hedge;
mod ledger;
mod limits;
mod redis;
mod selection;
mod steer;
mod store;

use std::collections::HashMap;
use std::time::Duration;

use super::blueprint::{
    Access, Blueprint, Channel, Continuation, Delivery, FirstEvent, Matcher, ModelName, Origin, PanicMode,
    Pattern, ProbeKind, Readiness, Route, Timeouts, Upstream,
};
use super::check::{channel_layers, channel_path, route_path, upstream_path};
use super::path::Path;
use super::problem::Findings;
use super::tree::Node;
use super::units::shown;
use crate::algo::breaker;
use crate::catalog;
use crate::dialect::Dialect;
use crate::dialect::provider::Auth;
use crate::dialect::provider::grant::METADATA;

/// Beginnings of paths that AI requests come in by (DESIGN §2); `dialect` looks at them first.
const AI_PATHS: [&str; 7] =
    ["/v1/", "/v1beta/", "/v1alpha/", "/anthropic/", "/gemini/", "/cohere/", "/bedrock/"];

/// Below this a window sees too little to prove anything.
const WINDOW_MIN: Duration = Duration::from_secs(1);

pub fn lint(blueprint: &Blueprint, root: &Node, findings: &mut Findings) {
    server(blueprint, findings);
    redis::lint(blueprint, findings);
    store::lint(blueprint, findings);
    ledger::lint(blueprint, findings);
    limits::lint(blueprint, findings);
    budgets::lint(blueprint, findings);
    for upstream in &blueprint.upstreams {
        self::upstream(upstream, root, findings);
    }
    shared_keys(&blueprint.upstreams, findings);
    lonely_fates(&blueprint.upstreams, findings);
    no_automatic_route(blueprint, root, findings);
    unused(blueprint, findings);
    let written = blueprint.routes.iter().take_while(|route| route.origin == Origin::Written);
    for (index, route) in written.enumerate() {
        self::route(route, index, &blueprint.upstreams, root, findings);
        selection::lint(route, &route_path(index), blueprint, root, findings);
        degrade::kept(route, &route_path(index), &blueprint.server, root, findings);
        hedge::lint(route, index, root, findings);
        steer::lint(route, index, &route_path(index), blueprint, findings);
    }
    let ready = |upstream: &Upstream| upstream.readiness == Readiness::Ready;
    if !blueprint.upstreams.iter().any(ready) {
        let missing = blueprint.upstreams.iter().filter_map(|upstream| match &upstream.readiness {
            Readiness::Unconfigured { missing } => missing.first().cloned(),
            Readiness::Ready => None,
        });
        let hint = format!("set one of: {}", missing.collect::<Vec<_>>().join(", "));
        findings.warn_at_key(&Path::root().key("upstreams"), "no upstream can be used yet", hint);
    }
}

fn server(blueprint: &Blueprint, findings: &mut Findings) {
    let path = Path::root().key("server");
    let server = &blueprint.server;
    if !server.listen.ip().is_loopback() && blueprint.access == Access::Open {
        findings.warn(
            &path.key("listen"),
            "other machines can reach this, and nobody is asked for a key",
            "write `access: keys` and `keys:`, or listen on 127.0.0.1",
        );
    }
    if server.limits.replay_body > server.limits.max_body {
        findings.warn(&path.key("limits").key("replay_body"), "`replay_body` is larger than `max_body`", "");
    }
    if blueprint.retry_budget.ratio == 0.0 && blueprint.retry_budget.reserve_per_sec == 0.0 {
        findings.warn(&path.key("retry_budget"), "a budget of nothing: no request is ever retried", "");
    }
}

fn upstream(upstream: &Upstream, root: &Node, findings: &mut Findings) {
    let path = upstream_path(&upstream.name);
    let layers = [path.clone(), Path::root().key("defaults")];
    let said = |section: &str, key: &str| root.said_at(&layers, &[section, key]);
    breaker(&upstream.breaker, root, &layers, findings);
    let health = &upstream.probe.settings;
    if upstream.probe.kind != ProbeKind::Off {
        if health.timeout > health.interval {
            let message = format!(
                "a probe may take longer ({}) than the time between two ({})",
                shown(health.timeout),
                shown(health.interval)
            );
            findings.warn(&said("probe", "timeout"), message, "make `timeout` shorter than `interval`");
        }
        if health.fast_interval > health.interval {
            findings.warn(&said("probe", "fast_interval"), "`fast_interval` is longer than `interval`", "");
        }
        if health.down_max < health.down_interval {
            findings.warn(&said("probe", "down_max"), "`down_max` is shorter than `down_interval`", "");
        }
    }
    let wants_key = upstream.provider.auth != Auth::None;
    if let ProbeKind::Http { expect, .. } = &upstream.probe.kind
        && wants_key
        && !expect.contains(&401)
        && upstream.speaks != [Dialect::Http]
    {
        findings.warn(
            &said("probe", "kind"),
            "an http probe carries no key, and this provider may answer 401",
            "write `kind: list_models`, or add 401 to `expect`",
        );
    }
    if upstream.cooldown.short_max < upstream.cooldown.base {
        findings.warn(&said("cooldown", "short_max"), "`short_max` is shorter than `base`", "");
    }
    let most = upstream.concurrency.max;
    if most > upstream.max_inflight && root.has_value(&said("concurrency", "max")) {
        let message = format!("`max` ({most}) is never reached: `max_inflight` is {}", upstream.max_inflight);
        findings.warn(&said("concurrency", "max"), message, "raise `max_inflight` as well, or lower `max`");
    }
    let loopback =
        matches!(&*upstream.base.host, "localhost" | "::1") || upstream.base.host.starts_with("127.");
    if !upstream.base.https && !loopback && !upstream.credentials.is_empty() {
        findings.warn(&path.key("base_url"), "the key goes over the network unencrypted", "write https://");
    }
}

fn breaker(settings: &breaker::Settings, root: &Node, layers: &[Path], findings: &mut Findings) {
    let said = |rule: &str, key: &str| root.said_at(layers, &["breaker", rule, key]);
    if settings.open.max < settings.open.base {
        let message = format!("`open.max` is {}, less than `open.base`", shown(settings.open.max));
        findings.warn(&said("open", "max"), message, "the breaker would never stay open for `base`");
    }
    for (name, window) in [("fast", settings.fast.window), ("slow", settings.slow.window)] {
        if window < WINDOW_MIN {
            let message = format!("a window of {} sees too little to prove anything", shown(window));
            findings.warn(&said(name, "window"), message, "use 1s or more");
        }
    }
    if settings.slow.window < settings.fast.window {
        findings.warn(&said("slow", "window"), "the slow window is shorter than the fast one", "");
    }
}

/// Two entries with one key share its quota, and only a common group tells the gateway.
fn shared_keys(upstreams: &[Upstream], findings: &mut Findings) {
    let mut seen = HashMap::new();
    for upstream in upstreams {
        for credential in upstream.credentials.iter().filter(|key| key.secret.expose() != METADATA) {
            let Some(first) = seen.insert(credential.fingerprint.as_str(), credential) else { continue };
            if first.quota_group.is_none() || first.quota_group != credential.quota_group {
                findings.warn_at_key(
                    &upstream_path(&upstream.name).key("credentials"),
                    format!("{} is the same key as {}", credential.alias, first.alias),
                    "give both the same `quota_group`, so that one cooldown holds for both",
                );
            }
        }
    }
}

/// A group warns its members of what befalls others of it; that takes others.
fn lonely_fates(upstreams: &[Upstream], findings: &mut Findings) {
    for upstream in upstreams {
        let Some(name) = &upstream.fate else { continue };
        let members = upstreams.iter().filter(|other| other.fate_group().as_ref() == Some(name)).count();
        let message = match members {
            1 => format!("nobody else shares the fate of `{name}`"),
            2 => {
                format!("only two share the fate of `{name}`: once both have failed nobody is left to spare")
            }
            _ => continue,
        };
        let hint = "give the same name to all upstreams that fail together, three or more, or remove it";
        findings.warn(&upstream_path(&upstream.name).key("fate"), message, hint);
    }
}

fn no_automatic_route(blueprint: &Blueprint, root: &Node, findings: &mut Findings) {
    let path = Path::root().key("auto_routes");
    let wanted = root.at(&path).and_then(Node::scalar).is_some_and(|scalar| scalar.text() == "true");
    if wanted && blueprint.routes.iter().all(|route| route.origin == Origin::Written) {
        findings.warn(
            &path,
            "the catalog knows no model of any upstream's provider: there are no automatic routes",
            "name models in a `catalog.file`, or write routes",
        );
    }
}

fn unused(blueprint: &Blueprint, findings: &mut Findings) {
    for (index, upstream) in blueprint.upstreams.iter().enumerate() {
        let used = |route: &Route| route.channels.iter().any(|channel| channel.upstream == index);
        if !blueprint.routes.iter().any(used) {
            let hint = "add it to the `channels` of a route, or remove it";
            findings.warn_at_key(&upstream_path(&upstream.name), "no route uses this upstream", hint);
        }
    }
}

fn route(route: &Route, index: usize, upstreams: &[Upstream], root: &Node, findings: &mut Findings) {
    let path = route_path(index);
    let layers = [path.clone(), Path::root().key("defaults")];
    let retry = |within: &[&str]| root.said_at(&layers, &[&["retry"], within].concat());
    if let Matcher::Path { prefix, .. } = &route.matcher
        && AI_PATHS.iter().any(|taken| prefix.starts_with(taken))
    {
        let message = format!(
            "AI requests come in below `{prefix}`: but for files, batches and the like they never come to this route"
        );
        findings.warn(&path.key("path"), message, "choose another beginning");
    }
    nowhere_to_go(route, &path, upstreams, findings);
    nobody_goes_on(route, &path, upstreams, findings);
    degrade::degrade(route, &layers, root, findings);
    let several = route.channels.len() > 1 || !route.fallback.is_empty();
    if route.retry.max_attempts == 1 && several {
        let hint = "use 2 or more";
        findings.warn(
            &retry(&["max_attempts"]),
            "one attempt: the other channels are never tried for a failed request",
            hint,
        );
    }
    for (name, backoff) in
        [("other_channel", route.retry.other_channel), ("same_channel", route.retry.same_channel)]
    {
        if backoff.cap < backoff.base {
            findings.warn(&retry(&[name, "cap"]), "`cap` is shorter than `base`", "");
        }
    }
    let budget = &route.retry.budget;
    if budget.ratio == 0.0 && budget.reserve_per_sec == 0.0 {
        findings.warn(&retry(&["budget"]), "a budget of nothing: no request is ever retried", "");
    }
    let longest = route.longest_total();
    for (number, channel) in route.channels.iter().enumerate() {
        let at = channel_path(index, number);
        let below = &upstreams[channel.upstream];
        let layers = channel_layers(index, number, &below.name);
        if channel.timeouts.total < longest {
            let message = format!(
                "`total` ({}) has no effect here: another channel of the route has {}, and the longest holds for a request with \
                 all its attempts",
                shown(channel.timeouts.total),
                shown(longest)
            );
            let hint = "say the same for all channels of a route; `first_event` and `idle` bound an attempt";
            findings.warn(&root.said_at(&layers, &["timeouts", "total"]), message, hint);
        }
        timeouts(&channel.timeouts, |key| root.said_at(&layers, &["timeouts", key]), findings);
        breaker(&channel.breaker, root, &layers, findings);
        if route.retry.wait > channel.timeouts.total {
            findings.warn(&retry(&["wait"]), "`wait` is longer than `timeouts.total`", "");
        }
        if below.probe.kind != ProbeKind::Off && below.probe.settings.interval >= route.slow_start.window {
            findings.warn_at_key(
                &at,
                format!(
                    "it is back at its full share ({}) before its next probe ({})",
                    shown(route.slow_start.window),
                    shown(below.probe.settings.interval)
                ),
                "make `probe.interval` shorter than `slow_start.window`",
            );
        }
    }
}

/// A route that a single failure can stop. Patterns pass names through to whoever has them, so one
/// upstream is what they are for.
fn nowhere_to_go(route: &Route, path: &Path, upstreams: &[Upstream], findings: &mut Findings) {
    let pattern = matches!(route.matcher, Matcher::Model { pattern: Pattern::Prefix(_) });
    let Some(first) = route.channels.first() else { return };
    let one_upstream = route.channels.iter().all(|channel| channel.upstream == first.upstream);
    if !route.fallback.is_empty() || !one_upstream {
        return;
    }
    let upstream = &upstreams[first.upstream].name;
    let channels = path.key("channels");
    if route.channels.len() > 1 {
        let message = format!("all channels are on {upstream}: when it is down, all are");
        findings.warn_at_key(&channels, message, "add a channel on another upstream, or a `fallback`");
    } else if route.panic.mode == PanicMode::All && first.breaker.enabled {
        let message = "one channel and `panic: all`: its breaker opens without any effect";
        findings.warn_at_key(&channels, message, "write `breaker: {enabled: false}`, or another panic mode");
    } else if !pattern {
        let message = format!("one channel and no fallback: requests fail while {upstream} does");
        findings.warn_at_key(&channels, message, "add a channel on another upstream, or a `fallback`");
    }
}

/// A route whose streams are to be continued, and by whom.
fn nobody_goes_on(route: &Route, path: &Path, upstreams: &[Upstream], findings: &mut Findings) {
    if matches!(route.matcher, Matcher::Path { .. }) {
        return;
    }
    let at = path.key("continuation");
    let same = |one: &Channel, other: &Channel| {
        one.tier == other.tier && common_name(route, one, upstreams) == common_name(route, other, upstreams)
    };
    let has_other =
        |one: &Channel| route.channels.iter().any(|other| !std::ptr::eq(one, other) && same(one, other));
    match route.continuation {
        Continuation::Off => return,
        Continuation::Any if route.channels.len() == 1 && route.fallback.is_empty() => findings.warn_at_key(
            &at,
            "nobody could go on: the route has one channel and no fallback",
            "add a channel on another upstream, or a `fallback`",
        ),
        Continuation::SameModel if !route.channels.iter().any(has_other) => findings.warn_at_key(
            &at,
            "nobody could go on: no two channels of one tier serve the same model",
            "add a channel with the same model, or write `continuation: any`",
        ),
        Continuation::Any | Continuation::SameModel => {}
    }
    if route.delivery == Delivery::Buffered {
        findings.warn_at_key(
            &at,
            "`delivery: buffered` leaves little to continue: only answers larger than `server.limits.stream_buffer`",
            "choose one of the two",
        );
    }
}

/// The model of a channel, by the name that its spellings have in common.
fn common_name(route: &Route, channel: &Channel, upstreams: &[Upstream]) -> String {
    let name = match (&channel.model, &route.matcher) {
        (ModelName::Fixed(name), _) => name,
        (ModelName::AsAsked, Matcher::Model { pattern: Pattern::Exact(name) }) => name.as_str(),
        // Whatever the caller asks for, and then they are the same.
        (ModelName::AsAsked | ModelName::Suffix, _) => return String::new(),
    };
    catalog::base_name(upstreams[channel.upstream].provider.catalog_name(), name)
}

fn timeouts(timeouts: &Timeouts, place: impl Fn(&str) -> Path, findings: &mut Findings) {
    let mut check = |name: &str, limit: Duration| {
        if limit > timeouts.total {
            let message =
                format!("`{name}` ({}) can never pass: `total` is {}", shown(limit), shown(timeouts.total));
            findings.warn(&place(name), message, "make `total` longer");
        }
    };
    check("ttfb", timeouts.ttfb);
    if let FirstEvent::Fixed(limit) = timeouts.first_event {
        check("first_event", limit);
    }
}
