//! The `routes:` section: what each one takes, and its channels.

use std::time::Duration;

use super::access::access;
use super::fallback::{fallback, names, refuse_loops};
use super::server::NO_TIME;
use super::steer::steering;
use super::{Scene, channel_layers, channel_path, route_path};
use crate::config::blueprint::{
    Byok, Channel, FirstEvent, Matcher, ModelName, Origin, Pattern, Route, Steering, Timeouts, Upstream,
};
use crate::config::file;
use crate::config::layer::stack;
use crate::config::nearest::{did_you_mean, listed};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle::{self, MAX_INFLIGHT, Traffic};
use crate::config::tree::Value;
use crate::config::units::shown;
use crate::config::{Reasoning, reasoning};
use crate::dialect::Dialect;
use std::sync::Arc;

/// A head that goes out sooner leaves hardly any error its status.
const LEAST_SILENCE: Duration = Duration::from_secs(1);

pub fn check(
    scene: &Scene<'_>,
    upstreams: &[Option<Upstream>],
    findings: &mut Findings,
) -> Option<Vec<Route>> {
    let said = &scene.file.routes;
    let automatic = scene.file.auto_routes == Some(true);
    let is_mapping = matches!(scene.root.value, Value::Map(_));
    if is_mapping && !automatic && !scene.root.has_value(&Path::root().key("routes")) {
        let hint = "Which requests go to which upstreams; or write `auto_routes: true`";
        findings.error_at_key(&Path::root(), "`routes` is missing", hint);
    }
    let matchers: Vec<_> =
        said.iter().enumerate().map(|(index, route)| matcher(route, &route_path(index), findings)).collect();
    let names = names(said, &matchers, findings);
    let fallbacks: Vec<_> = said
        .iter()
        .enumerate()
        .map(|(index, route)| fallback(index, route, &matchers, &names, findings))
        .collect();
    refuse_loops(said, &fallbacks, findings);
    let steerings: Vec<_> =
        (0..said.len()).map(|index| steering(scene.file, index, &matchers, &names, findings)).collect();
    let cases = said.iter().zip(matchers).zip(fallbacks.into_iter().zip(steerings)).enumerate();
    let routes = cases.map(|(index, ((said, matcher), (fallback, steering)))| {
        let matcher = matcher?;
        let mut route = route(scene, upstreams, said, index, matcher, findings)?;
        route.fallback = fallback;
        route.steering = steering;
        Some(route)
    });
    // Collected first: `collect::<Option<_>>` would stop at the first route with a problem.
    let routes: Vec<Option<Route>> = routes.collect();
    routes.into_iter().collect()
}

/// One route with its channels and without its fallbacks.
pub fn route(
    scene: &Scene<'_>,
    upstreams: &[Option<Upstream>],
    said: &file::Route,
    index: usize,
    matcher: Matcher,
    findings: &mut Findings,
) -> Option<Route> {
    let defaults = &scene.file.defaults;
    let context = Context { scene, upstreams, matcher: &matcher, route: said, index };
    let channels = context.channels(findings)?;
    let retry = stack([said.retry.clone(), defaults.retry.clone()]);
    let select = said.select.as_ref().or(defaults.select.as_ref());
    Some(Route {
        name: name(&matcher).into(),
        origin: Origin::Written,
        access: access(said.access.or(scene.file.access)),
        byok: byok(said, (&matcher, index), findings),
        aliases: said.aliases.clone(),
        steering: Steering::default(),
        // The schema lets only known names through.
        select: select.and_then(|name| name.0.parse().ok()).unwrap_or_default(),
        channels,
        fallback: Vec::new(),
        unsupported: settle::unsupported(said.unsupported.or(defaults.unsupported)),
        continuation: settle::continuation(said.continuation.or(defaults.continuation)),
        delivery: settle::delivery(said.delivery.or(defaults.delivery)),
        early_commit: early_commit(scene, said, index, findings),
        fallback_on: settle::fallback_on(said.fallback_on.as_deref().or(defaults.fallback_on.as_deref())),
        retry: settle::retry(&retry),
        hedge: settle::hedge(&stack([said.hedge.clone(), defaults.hedge.clone()])),
        exhausted: settle::exhausted(
            said.on_exhausted.as_deref().or(defaults.on_exhausted.as_deref()),
            &stack([said.exhausted.clone(), defaults.exhausted.clone()]),
        ),
        cache: settle::cache(&stack([said.cache.clone(), defaults.cache.clone()])),
        files: said.files.unwrap_or(false),
        coalesce: said.coalesce.or(defaults.coalesce).unwrap_or(false),
        panic: settle::panic(&stack([said.panic.clone(), defaults.panic.clone()])),
        slow_start: settle::slow_start(&stack([said.slow_start.clone(), defaults.slow_start.clone()])),
        queue: settle::queue(&stack([said.queue.clone(), defaults.queue.clone()])),
        limits: settle::allowance(&said.limits),
        // Once it is known which routes there are.
        budgets: Arc::default(),
        max_cost: said.max_cost.map(|dollars| dollars.0),
        priority: said.priority.map(settle::priority).unwrap_or_default(),
        sticky: settle::sticky(&stack([said.sticky.clone(), defaults.sticky.clone()])),
        matcher,
    })
}

/// After how much silence the head of a stream goes out.
fn early_commit(
    scene: &Scene<'_>,
    said: &file::Route,
    index: usize,
    findings: &mut Findings,
) -> Option<Duration> {
    let silence = settle::early_commit(said.early_commit.or(scene.file.defaults.early_commit))?;
    if silence < LEAST_SILENCE {
        let layers = [route_path(index), Path::root().key("defaults")];
        let hint = "write 10s or so: what is told before still has a status that SDKs act on";
        let message = format!("{} of silence is too short; use 1s or more", shown(silence));
        findings.error(&scene.root.said_at(&layers, &["early_commit"]), message, hint);
    }
    Some(silence)
}

/// Whether callers may bring their own keys: to whoever serves models, since all of those take keys.
fn byok(said: &file::Route, (matcher, index): (&Matcher, usize), findings: &mut Findings) -> Byok {
    let byok = settle::byok(said.byok);
    if byok != Byok::Off && matches!(matcher, Matcher::Path { .. }) {
        let hint = "remove it; services behind a path get callers' own headers anyway";
        findings.error(
            &route_path(index).key("byok"),
            "only a route of models has providers with keys",
            hint,
        );
    }
    byok
}

/// The name of a route is what it takes.
pub fn name(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Model { pattern: Pattern::Exact(name) } => name.clone(),
        Matcher::Model { pattern: Pattern::Prefix(prefix) } => format!("{prefix}*"),
        Matcher::Model { pattern: Pattern::Listed(providers) } => providers.join("+"),
        Matcher::Path { prefix, .. } => prefix.clone(),
    }
}

fn matcher(said: &file::Route, path: &Path, findings: &mut Findings) -> Option<Matcher> {
    match (&said.model, &said.path) {
        (Some(model), None) => {
            if said.strip.is_some() {
                let hint = "remove it, or write `path` instead of `model`";
                findings.error_at_key(
                    &path.key("strip"),
                    "only a route with `path` has something to cut off",
                    hint,
                );
            }
            pattern(model, &path.key("model"), findings).map(|pattern| Matcher::Model { pattern })
        }
        (None, Some(prefix)) => {
            for (given, key) in [
                (!said.aliases.is_empty(), "aliases"),
                (said.fallback_on.is_some(), "fallback_on"),
                (said.unsupported.is_some(), "unsupported"),
                (said.continuation.is_some(), "continuation"),
                (said.delivery.is_some(), "delivery"),
                (said.early_commit.is_some(), "early_commit"),
                (!said.rules.is_empty(), "rules"),
                (said.split.is_some(), "split"),
                (said.mirror.is_some(), "mirror"),
                (!said.budgets.is_empty(), "budgets"),
                (said.max_cost.is_some(), "max_cost"),
            ] {
                if given {
                    let hint = "remove it, or write `model` instead of `path`";
                    findings.error_at_key(&path.key(key), "means nothing on a route with `path`", hint);
                }
            }
            let prefix = path_prefix(prefix, &path.key("path"), findings)?;
            Some(Matcher::Path { prefix, strip: said.strip.unwrap_or(false) })
        }
        (Some(_), Some(_)) => {
            let hint = "make two routes of it";
            findings.error_at_key(&path.key("path"), "a route has a `model` or a `path`, not both", hint);
            None
        }
        (None, None) => {
            if !findings.touches(path) {
                let hint = "write `model: name` for AI requests, or `path: /prefix/` for plain HTTP";
                findings.error_at_key(path, "neither `model` nor `path` is here", hint);
            }
            None
        }
    }
}

fn pattern(model: &str, path: &Path, findings: &mut Findings) -> Option<Pattern> {
    if model.chars().any(|c| c.is_whitespace() || c.is_control()) {
        findings.error(path, format!("{model:?} has a blank in it"), "model names have none");
        return None;
    }
    let Some(prefix) = model.strip_suffix('*') else {
        if model.contains('*') {
            let hint = "put the `*` at the end, as in `gpt-*`";
            findings.error(path, format!("`{model}` has a `*` that is not at its end"), hint);
            return None;
        }
        return Some(Pattern::Exact(model.to_owned()));
    };
    if prefix.contains('*') {
        findings.error(path, format!("`{model}` has more than one `*`"), "keep the last one");
        return None;
    }
    Some(Pattern::Prefix(prefix.to_owned()))
}

/// With a slash at both ends, so that `/orders/` does not take `/orders-old`.
fn path_prefix(text: &str, path: &Path, findings: &mut Findings) -> Option<String> {
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '*' | '\\');
    let dots = text.split('/').any(|part| matches!(part, "." | ".."));
    if !text.starts_with('/') || text.contains("//") || dots || text.contains(strange) {
        let hint = "write the beginning of a path, as in `/orders/`; everything below it is meant";
        findings.error(path, format!("{text:?} is not the beginning of a path"), hint);
        return None;
    }
    Some(if text.ends_with('/') { text.to_owned() } else { format!("{text}/") })
}

/// One route while its channels are looked at.
struct Context<'a> {
    scene: &'a Scene<'a>,
    upstreams: &'a [Option<Upstream>],
    matcher: &'a Matcher,
    route: &'a file::Route,
    index: usize,
}

impl Context<'_> {
    fn channels(&self, findings: &mut Findings) -> Option<Vec<Channel>> {
        let mut channels: Vec<Channel> = Vec::new();
        let mut whole = true;
        for (number, said) in self.route.channels.iter().enumerate() {
            let path = channel_path(self.index, number);
            let Some(channel) = self.channel(said, number, &path, findings) else {
                whole = false;
                continue;
            };
            let same = |other: &Channel| other.upstream == channel.upstream && other.model == channel.model;
            if channels.iter().any(same) {
                let hint = "remove one and give the other the weight of both";
                findings.error_at_key(&path, "this upstream and model are in the route already", hint);
            }
            channels.push(channel);
        }
        whole.then_some(channels)
    }

    fn channel(
        &self,
        said: &file::Channel,
        number: usize,
        path: &Path,
        findings: &mut Findings,
    ) -> Option<Channel> {
        let model = self.model(said, path, findings);
        let upstream = self.upstream(said, path, findings);
        let (upstream, model) = (upstream?, model?);
        let defaults = &self.scene.file.defaults;
        let (name, below) = &self.scene.file.upstreams.0[upstream];
        let plain = matches!(self.matcher, Matcher::Path { .. });
        if plain {
            for (key, given) in [
                ("reasoning", said.reasoning.is_some()),
                ("timeouts.first_event", said.timeouts.first_event.is_some()),
                ("timeouts.content_idle", said.timeouts.content_idle.is_some()),
            ] {
                if given {
                    let at = key.split('.').fold(path.clone(), |path, key| path.key(key));
                    let hint = "remove it: plain HTTP is not looked into";
                    findings.error_at_key(&at, "means nothing on a route with `path`", hint);
                }
            }
        }
        let reasoning = match said.reasoning {
            _ if plain => Reasoning::No,
            Some(true) => Reasoning::Yes,
            Some(false) => Reasoning::No,
            None => self.thinks(&model),
        };
        let traffic = match (plain, reasoning) {
            (true, _) => Traffic::PlainHttp,
            (false, Reasoning::Yes | Reasoning::ByName) => Traffic::Reasoning,
            (false, Reasoning::No) => Traffic::Ordinary,
        };
        let timeouts = stack([
            said.timeouts.clone(),
            self.route.timeouts.clone(),
            below.timeouts.clone(),
            defaults.timeouts.clone(),
        ]);
        let timeouts = settle::timeouts(&timeouts, traffic);
        let layers = channel_layers(self.index, number, name);
        check_order(&timeouts, |key| self.scene.root.said_at(&layers, &["timeouts", key]), findings);
        let breaker = stack([
            said.breaker.clone(),
            self.route.breaker.clone(),
            below.breaker.clone(),
            defaults.breaker.clone(),
        ]);
        Some(Channel {
            upstream,
            model,
            weight: said.weight.unwrap_or(1),
            tier: said.tier.unwrap_or(0),
            reasoning,
            breaker: settle::breaker(&breaker, timeouts.ttfb),
            timeouts,
            quota: settle::quota(&stack([said.quota.clone(), below.quota.clone()])),
            // An upstream's own limit holds for all of its channels together, so it is no layer here.
            max_inflight: said
                .max_inflight
                .or(self.route.max_inflight)
                .or(defaults.max_inflight)
                .unwrap_or(MAX_INFLIGHT),
        })
    }

    fn upstream(&self, said: &file::Channel, path: &Path, findings: &mut Findings) -> Option<usize> {
        let name = said.upstream.as_ref()?;
        let path = path.key("upstream");
        let entries = &self.scene.file.upstreams.0;
        let Some(index) = entries.iter().position(|(known, _)| known == name) else {
            let known = || entries.iter().map(|(known, _)| known.as_str());
            let hint = format!("{}upstreams: {}", did_you_mean(name, known()), listed(known()));
            findings.error(&path, format!("there is no upstream `{name}`"), hint);
            return None;
        };
        let upstream = self.upstreams.get(index)?.as_ref()?;
        let serves_http = upstream.speaks.contains(&Dialect::Http);
        let serves_models = upstream.speaks.iter().any(|dialect| *dialect != Dialect::Http);
        match self.matcher {
            Matcher::Model { .. } if !serves_models => {
                let hint = "a route with `model` needs an AI provider; plain HTTP has routes with `path`";
                findings.error(&path, format!("`{name}` is plain HTTP and serves no models"), hint);
                None
            }
            Matcher::Path { .. } if !serves_http => {
                let hint = "a route with `path` needs an upstream with `provider: http`";
                findings.error(&path, format!("`{name}` serves models, not plain HTTP"), hint);
                None
            }
            Matcher::Model { .. } | Matcher::Path { .. } => Some(index),
        }
    }

    fn model(&self, said: &file::Channel, path: &Path, findings: &mut Findings) -> Option<ModelName> {
        let Some(model) = &said.model else { return Some(ModelName::AsAsked) };
        let path = path.key("model");
        match self.matcher {
            Matcher::Path { .. } => {
                let hint = "remove it: plain HTTP is not looked into";
                findings.error_at_key(&path, "means nothing on a route with `path`", hint);
                None
            }
            Matcher::Model { pattern: Pattern::Prefix(_) } if model == "*" => Some(ModelName::Suffix),
            Matcher::Model { pattern: Pattern::Exact(name) } if model == "*" => {
                let hint = format!("the route's model `{name}` has no `*` that this could stand for");
                findings.error(&path, "`*` has no meaning here", hint);
                None
            }
            Matcher::Model { .. } if model.contains('*') || model.contains(char::is_whitespace) => {
                let hint =
                    "write one model's name, or `\"*\"` alone for what the `*` of the route stands for";
                findings.error(&path, format!("{model:?} is not a model's name"), hint);
                None
            }
            Matcher::Model { .. } => Some(ModelName::Fixed(model.as_str().into())),
        }
    }

    /// Guessed from the model's name where it is known.
    fn thinks(&self, model: &ModelName) -> Reasoning {
        let known = |name: &str| if reasoning::by_name(name) { Reasoning::Yes } else { Reasoning::No };
        match (model, self.matcher) {
            (ModelName::Fixed(name), _) => known(name),
            (_, Matcher::Model { pattern: Pattern::Exact(name) }) => known(name),
            (ModelName::AsAsked, Matcher::Model { pattern: Pattern::Prefix(prefix) })
                if !reasoning::possible_below(prefix) =>
            {
                Reasoning::No
            }
            (ModelName::AsAsked | ModelName::Suffix, Matcher::Model { .. }) => Reasoning::ByName,
            (ModelName::AsAsked | ModelName::Suffix, Matcher::Path { .. }) => Reasoning::No,
        }
    }
}

/// Limits that end before what they wait for can have begun.
fn check_order(timeouts: &Timeouts, place: impl Fn(&str) -> Path, findings: &mut Findings) {
    if let FirstEvent::Fixed(first) = timeouts.first_event
        && first < timeouts.connect
    {
        let hint = "`first_event` counts from the start of the attempt; make it longer, or write auto";
        findings.error_at_key(&place("first_event"), "`first_event` is shorter than `connect`", hint);
    }
    for (name, duration) in [
        ("connect", timeouts.connect),
        ("tls", timeouts.tls),
        ("ttfb", timeouts.ttfb),
        ("idle", timeouts.idle),
        ("content_idle", timeouts.content_idle.unwrap_or(Duration::MAX)),
    ] {
        if duration.is_zero() {
            findings.error_at_key(&place(name), format!("`{name}` leaves no time at all"), NO_TIME);
        }
    }
    if timeouts.total < timeouts.connect {
        let hint = "`total` is the whole request with all its attempts";
        findings.error_at_key(&place("total"), "`total` is shorter than `connect`", hint);
    }
}
