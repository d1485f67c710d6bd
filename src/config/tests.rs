//! The room as a whole: text in, blueprint or problems out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::testing::Given;
use super::*;
use crate::algo::{aimd, breaker, budget, cooldown, health};
use crate::vocab::Priority;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at_root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn sample() -> String {
    fs::read_to_string(at_root("routing.yaml")).expect("the sample is in the repository")
}

fn loaded(text: &str) -> Loaded {
    loaded_in(text, &Given::default())
}

fn loaded_in(text: &str, env: &Given) -> Loaded {
    load(text, env).unwrap_or_else(|problems| panic!("{}", rendered(&problems)))
}

fn rendered(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.render("routing.yaml")).collect::<Vec<_>>().join("\n")
}

/// What bad configurations are read with.
fn fixture_env() -> Given {
    Given::default()
        .var("PORT", "eighty")
        .var("SECRET_KEY", "hunter2-hunter2")
        .var("SHOP_SECRET", "hunter2-of-the-shop")
        .file("/run/key", "from-a-file")
        .file("/run/models.yaml", "as_of: today\nproviders:\n  openai:\n    gpt-x: {context: big, suports: [tools], price: {inptu: 1}}\n")
}

#[test]
fn every_bad_configuration_is_explained_as_agreed() {
    let folder = at_root("tests/fixtures/config/bad");
    let mut count = 0;
    let mut differing = Vec::new();
    for file in fs::read_dir(&folder).expect("the fixtures are in the repository") {
        let file = file.expect("a readable folder").path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&file).expect("a readable file");
        let problems = match load(&text, &fixture_env()) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => {
                assert!(
                    problems.iter().any(|problem| problem.severity == Severity::Error),
                    "{}",
                    file.display()
                );
                problems
            }
        };
        assert!(!problems.is_empty(), "{} has no problem", file.display());
        let shown = rendered(&problems);
        assert!(!shown.contains("hunter2"), "{} shows a secret:\n{shown}", file.display());
        let golden = file.with_extension("txt");
        if std::env::var_os("MAINSTAY_BLESS").is_some() {
            fs::write(&golden, &shown).expect("a writable folder");
        }
        let agreed = fs::read_to_string(&golden).unwrap_or_default();
        if agreed != shown {
            differing.push(format!("== {}\n-- agreed\n{agreed}-- now\n{shown}", file.display()));
        }
    }
    assert!(count >= 25, "only {count} bad configurations");
    let hint = "set MAINSTAY_BLESS=1 to agree to what is said now";
    assert!(differing.is_empty(), "{}\n{hint}", differing.join("\n"));
}

#[test]
fn the_sample_loads_without_a_word_with_no_key_and_with_all_keys() {
    let keys = ["OPENAI_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"];
    let all = keys.iter().fold(Given::default(), |env, key| env.var(key, &format!("value-of-{key}")));
    for (env, unconfigured) in [(Given::default(), 4), (all, 0)] {
        let loaded = loaded_in(&sample(), &env);
        assert!(loaded.warnings.is_empty(), "{}", rendered(&loaded.warnings));
        let waiting = loaded.blueprint.upstreams.iter().filter(|one| one.readiness != Readiness::Ready);
        assert_eq!(waiting.count(), unconfigured);
    }
}

#[test]
fn the_sample_serves_a_demo_without_any_key() {
    let blueprint = loaded(&sample()).blueprint;
    let demo = blueprint.routes.iter().find(|route| &*route.name == "demo").expect("the sample has it");
    assert_eq!(demo.channels.len(), 2);
    for channel in &demo.channels {
        let upstream = &blueprint.upstreams[channel.upstream];
        assert!(upstream.simulated.is_some());
        assert_eq!(upstream.readiness, Readiness::Ready);
    }
    let openai = blueprint.upstreams.iter().find(|one| &*one.name == "openai").expect("the sample has it");
    assert_eq!(openai.readiness, Readiness::Unconfigured { missing: vec!["OPENAI_API_KEY".to_owned()] });
}

/// The sample's comments promise that they show the defaults: taking the marks away must change
/// nothing.
#[test]
fn what_the_sample_shows_as_defaults_are_the_defaults() {
    let text = sample();
    let (_, tail) = text.split_once("# defaults:\n").expect("the sample shows them");
    let (defaults, tail) = tail.split_once("\n# More of the gateway").expect("the sample shows them");
    let (_, server) = tail.split_once("above):\n").expect("the sample shows them");
    let (server, _) = server.split_once("# and of an upstream").expect("the sample shows them");
    let bare = |text: &str| {
        let lines =
            text.lines().map(|line| line.strip_prefix('#').unwrap_or(line).strip_prefix(' ').unwrap_or(""));
        lines.filter(|line| !line.trim_start().starts_with("# ")).collect::<Vec<_>>().join("\n")
    };
    let plain = "upstreams: {a: {provider: simulated}, b: {provider: simulated}}\n\
                 routes: [{model: m, channels: [{upstream: a}, {upstream: b}]}]\nversion: 1\n";
    let spelled = format!("{plain}defaults:\n{}\nserver:\n{}", bare(defaults), bare(server));
    let mut spelled = loaded(&spelled).blueprint;
    let plain = loaded(plain).blueprint;
    spelled.revision.clone_from(&plain.revision);
    assert_eq!(spelled, plain);
}

#[test]
fn defaults_are_those_of_the_algorithms() {
    let blueprint = loaded(
        "{version: 1, upstreams: {a: {provider: simulated}, b: {provider: simulated}}, \
         routes: [{model: m, channels: [{upstream: a}, {upstream: b}]}]}",
    )
    .blueprint;
    let upstream = &blueprint.upstreams[0];
    assert_eq!(upstream.breaker, breaker::Settings::default());
    assert_eq!(upstream.cooldown, cooldown::Settings::default());
    assert_eq!(upstream.probe.settings, health::Settings::default());
    assert_eq!(upstream.probe.kind, ProbeKind::ListModels { path: "/v1/models".to_owned() });
    assert_eq!(blueprint.retry_budget, budget::Settings::default());
    let route = &blueprint.routes[0];
    assert_eq!(route.channels[0].breaker, breaker::Settings::default());
    assert_eq!(route.retry.budget, budget::Settings::default());
    assert_eq!(route.channels[0].timeouts.idle, s(30));
    assert_eq!((route.channels[0].weight, route.channels[0].tier), (1, 0));
    assert_eq!(blueprint.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(blueprint.server.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(blueprint.revision.len(), 12);
}

/// A file that sets `section` to a different value on each level of `levels` (bits: defaults,
/// upstream, route, channel), and the value that has to win.
fn layered(levels: u8, section: impl Fn(u64) -> String) -> (String, Option<u64>) {
    let at =
        |level: u8| if levels & (1 << level) == 0 { String::new() } else { section(u64::from(level) + 10) };
    let text = format!(
        "{{version: 1, defaults: {{{}}}, upstreams: {{a: {{provider: simulated, {}}}, b: {{provider: simulated}}}}, \
         routes: [{{model: m, {} channels: [{{upstream: a, {}}}, {{upstream: b}}]}}]}}",
        at(0),
        at(1),
        Some(at(2)).filter(|text| !text.is_empty()).map(|text| text + ",").unwrap_or_default(),
        at(3),
    );
    (text, (0_u8..4).rev().find(|level| levels & (1 << level) != 0).map(|level| u64::from(level) + 10))
}

#[test]
fn every_field_of_a_layer_hides_the_same_field_below_and_no_other() {
    type Read = fn(&Channel) -> u64;
    let fields: [(&str, Read); 14] = [
        ("timeouts: {connect: #s}", |channel| channel.timeouts.connect.as_secs()),
        ("timeouts: {tls: #s}", |channel| channel.timeouts.tls.as_secs()),
        ("timeouts: {pool_wait: #s}", |channel| channel.timeouts.pool_wait.as_secs()),
        ("timeouts: {ttfb: #s}", |channel| channel.timeouts.ttfb.as_secs()),
        ("timeouts: {idle: #s}", |channel| channel.timeouts.idle.as_secs()),
        ("timeouts: {content_idle: #s}", |channel| {
            channel.timeouts.content_idle.map_or(0, |limit| limit.as_secs())
        }),
        ("timeouts: {total: #s}", |channel| channel.timeouts.total.as_secs()),
        ("timeouts: {first_event: #s}", |channel| match channel.timeouts.first_event {
            FirstEvent::Fixed(limit) => limit.as_secs(),
            FirstEvent::Auto | FirstEvent::Off => 0,
        }),
        ("breaker: {consecutive: {failures: #}}", |channel| channel.breaker.consecutive.failures.into()),
        ("breaker: {consecutive: {max_age: #s}}", |channel| channel.breaker.consecutive.max_age.as_secs()),
        ("breaker: {fast: {min: #}}", |channel| channel.breaker.fast.min.into()),
        ("breaker: {open: {base: #s}}", |channel| channel.breaker.open.base.as_secs()),
        ("breaker: {half_open: {hold: #s}}", |channel| channel.breaker.half_open.hold.as_secs()),
        ("breaker: {decay_interval: #s}", |channel| channel.breaker.decay_interval.as_secs()),
    ];
    for (section, read) in fields {
        let (plain, _) = layered(0, |_| String::new());
        let plain = loaded(&plain).blueprint.routes.remove(0);
        for levels in 0..16 {
            let (text, winner) = layered(levels, |value| section.replace('#', &value.to_string()));
            let mut route = loaded(&text).blueprint.routes.remove(0);
            let channel = route.channels.remove(0);
            let expected = winner.unwrap_or_else(|| read(&plain.channels[0]));
            assert_eq!(read(&channel), expected, "{section} on levels {levels:04b}");
            // All other fields are as if nobody had said anything.
            for (other, read) in fields {
                // A trial may not outlast the headers' limit, which is a layer's business too.
                if other != section {
                    assert_eq!(read(&channel), read(&plain.channels[0]), "{other} beside {section}");
                }
            }
            // Route and channel layers of one channel do not leak to an upstream's other channels.
            let neighbour = if levels & 0b0101 == 0 { read(&plain.channels[0]) } else { u64::MAX };
            if neighbour != u64::MAX {
                assert_eq!(read(&route.channels[0]), neighbour, "{section} leaks on levels {levels:04b}");
            }
        }
    }
}

#[test]
fn a_route_and_an_upstream_lie_over_the_defaults() {
    let blueprint = loaded(
        "version: 1
defaults:
  select: lowest_latency
  retry: {max_attempts: 5, budget: {ratio: 0.1}}
  panic: {mode: fail_fast}
  slow_start: {window: 20s, floor: 0.2}
  sticky: {ttl: 10m}
  hedge: {enabled: true, max_share: 0.1}
  fallback_on: []
  continuation: same_model
  delivery: buffered
  early_commit: 10s
  max_inflight: 7
  pool: {max_idle: 3, http2: never}
  cooldown: {base: 2s}
  probe: {interval: 4s, fall: 9}
upstreams:
  a: {provider: simulated, pool: {max_idle: 4}, probe: {fall: 8}}
  b: {provider: simulated, max_inflight: 9}
routes:
  - {model: x, channels: [{upstream: a}, {upstream: b, max_inflight: 3}]}
  - model: y
    select: least_inflight
    retry: {budget: {window: 20s}}
    slow_start: {floor: 0.3}
    sticky: {ttl: 1h}
    hedge: {delay: 2s}
    fallback_on: [content_policy]
    continuation: off
    delivery: streamed
    early_commit: off
    max_inflight: 5
    channels: [{upstream: a}, {upstream: b}]
",
    )
    .blueprint;
    let [a, b] = blueprint.upstreams.as_slice() else { panic!("two upstreams") };
    assert_eq!((a.pool.max_idle, a.pool.http2, b.pool.max_idle), (4, Http2::Never, 3));
    assert_eq!((a.probe.settings.fall, a.probe.settings.interval, b.probe.settings.fall), (8, s(4), 9));
    assert_eq!((a.cooldown.base, a.max_inflight, b.max_inflight), (s(2), 7, 9));
    let [x, y] = blueprint.routes.as_slice() else { panic!("two routes") };
    assert_eq!((x.select.name(), y.select.name()), ("lowest_latency", "least_inflight"));
    assert_eq!((y.retry.max_attempts, y.retry.budget.ratio, y.retry.budget.window), (5, 0.1, s(20)));
    assert_eq!((y.slow_start.window, y.slow_start.floor), (s(20), 0.3));
    assert_eq!((x.sticky.ttl, y.sticky.ttl), (s(600), s(3600)));
    let hedge = |delay| Hedge { enabled: true, delay, max_share: 0.1 };
    assert_eq!((x.hedge, y.hedge), (hedge(HedgeDelay::Auto), hedge(HedgeDelay::Fixed(s(2)))));
    assert_eq!(y.panic.mode, PanicMode::FailFast);
    assert_eq!(x.fallback_on, FallbackOn { context_overflow: false, content_policy: false });
    assert_eq!(y.fallback_on, FallbackOn { context_overflow: false, content_policy: true });
    assert_eq!((x.continuation, y.continuation), (Continuation::SameModel, Continuation::Off));
    assert_eq!((x.delivery, y.delivery), (Delivery::Buffered, Delivery::Streamed));
    assert_eq!((x.early_commit, y.early_commit), (Some(s(10)), None));
    let inflight: Vec<_> = x.channels.iter().chain(&y.channels).map(|channel| channel.max_inflight).collect();
    assert_eq!(inflight, [7, 3, 5, 5]);
}

#[test]
fn a_route_says_what_is_tried_and_kept_over_the_defaults_field_by_field() {
    let blueprint = loaded(
        "version: 1
defaults:
  on_exhausted: [stale, answer]
  exhausted: {wait: 3s, answer: sorry}
  cache: {enabled: true, ttl: 1m, scope: route}
  coalesce: true
server: {cache_memory: 1MiB, idempotency: {ttl: 1m}}
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - {model: x, channels: [{upstream: a}, {upstream: b}]}
  - model: y
    on_exhausted: [wait]
    exhausted: {waiters: 3}
    cache: {max_entry: 1KiB}
    coalesce: false
    files: true
    channels: [{upstream: a}, {upstream: b}]
",
    )
    .blueprint;
    let [x, y] = blueprint.routes.as_slice() else { panic!("two routes") };
    assert_eq!(x.exhausted.tries, [Degradation::Stale, Degradation::Answer]);
    assert_eq!(y.exhausted.tries, [Degradation::Wait]);
    let exhausted = |route: &Route| (route.exhausted.wait, route.exhausted.waiters);
    assert_eq!((exhausted(x), exhausted(y)), ((s(3), 100), (s(3), 3)));
    assert_eq!(y.exhausted.answer.as_deref(), Some("sorry"));
    assert_eq!((x.cache.ttl, x.cache.max_entry, x.cache.scope), (s(60), 1 << 20, CacheScope::Route));
    assert_eq!(y.cache, Cache { max_entry: 1024, ..x.cache.clone() });
    assert_eq!((x.coalesce, y.coalesce), (true, false));
    assert_eq!((x.files, y.files), (false, true));
    let server = &blueprint.server;
    assert_eq!(
        (server.cache_memory, server.idempotency.ttl, server.idempotency.enabled),
        (1 << 20, s(60), true)
    );
    for wrong in ["cache_memory: 65GiB", "idempotency: {ttl: 0s}", "idempotency: {memory: 65GiB}"] {
        let text = format!(
            "{{version: 1, server: {{{wrong}}}, upstreams: {{a: {{provider: simulated}}}}, \
             routes: [{{model: m, channels: [{{upstream: a}}]}}]}}"
        );
        assert!(load(&text, &Given::default()).is_err(), "{wrong}");
    }
}

#[test]
fn a_channel_knows_which_model_to_ask_for() {
    let blueprint = loaded(
        "version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - {model: vendor/*, aliases: [short], channels: [{upstream: a}, {upstream: a, model: '*'}, {upstream: b, model: x}]}
",
    )
    .blueprint;
    let route = &blueprint.routes[0];
    assert_eq!(route.matcher, Matcher::Model { pattern: Pattern::Prefix("vendor/".to_owned()) });
    assert_eq!((&*route.name, route.aliases.as_slice()), ("vendor/*", &["short".to_owned()][..]));
    let models: Vec<_> = route.channels.iter().map(|channel| channel.model.clone()).collect();
    assert_eq!(models, [ModelName::AsAsked, ModelName::Suffix, ModelName::Fixed("x".into())]);
}

const AUTOMATIC: &str = "version: 1
auto_routes: true
upstreams:
  a: {provider: openai}
  b: {provider: azure, base_url: 'http://127.0.0.1:1'}
  c: {provider: openai, base_url: 'http://127.0.0.1:2/v1'}
  d: {provider: openrouter}
  e: {provider: simulated}
  f: {provider: http, base_url: 'http://127.0.0.1:3'}
";

#[test]
fn automatic_routes_are_one_a_provider_and_one_for_each_set_that_shares_models() {
    let summary = |text: &str| -> Vec<String> {
        let blueprint = loaded(text).blueprint;
        let automatic = blueprint.routes.iter().filter(|route| route.origin == Origin::Automatic);
        let names = |route: &Route| {
            let upstreams = route.channels.iter().map(|one| &*blueprint.upstreams[one.upstream].name);
            format!("{} -> {}", route.name, upstreams.collect::<Vec<_>>().join(" "))
        };
        automatic.map(names).collect()
    };
    assert_eq!(
        summary(AUTOMATIC),
        [
            "auto: openai/* -> a c",
            "auto: azure/* -> b",
            "auto: openrouter/* -> d",
            "auto: openai -> a c",
            "auto: openai+azure -> a c b",
            "auto: azure -> b",
        ]
    );
    let written = format!("{AUTOMATIC}routes: [{{model: 'openai/*', channels: [{{upstream: d}}]}}]\n");
    assert!(!summary(&written).iter().any(|route| route.starts_with("auto: openai/*")));
    assert!(summary(&written.replace("auto_routes: true", "auto_routes: false")).is_empty());
}

#[test]
fn automatic_routes_take_the_defaults_as_all_routes_do() {
    let text = format!("{AUTOMATIC}defaults: {{timeouts: {{connect: 1s}}, select: least_inflight}}\n");
    for route in loaded(&text).blueprint.routes {
        assert_eq!(route.select.name(), "least_inflight");
        assert!(route.channels.iter().all(|channel| channel.timeouts.connect == s(1)));
    }
}

#[test]
fn what_an_operator_knows_of_models_is_part_of_the_blueprint() {
    let text = AUTOMATIC.replace("auto_routes: true", "auto_routes: true\ncatalog: {file: models.yaml}");
    let models = "providers: {simulated: {demo: {context: 5}}}";
    let blueprint = loaded_in(&text, &Given::default().file("models.yaml", models)).blueprint;
    assert_eq!(blueprint.catalog.facts("simulated", "demo").context, Some(5));
    assert!(blueprint.routes.iter().any(|route| &*route.name == "auto: simulated/*"));

    let missing = load(&text, &Given::default()).expect_err("no such file");
    assert!(
        rendered(&missing).contains("catalog.file: models.yaml cannot be read"),
        "{}",
        rendered(&missing)
    );
    // What is wrong here and there is shown together.
    let text = text.replace("provider: azure", "provider: azur");
    let env = Given::default().file("models.yaml", "providers: {openai: {x: {context: -1}}}");
    let shown = rendered(&load(&text, &env).expect_err("two mistakes"));
    assert!(shown.contains("routing.yaml:6:") && shown.contains("--> models.yaml:1:"), "{shown}");
}

#[test]
fn a_thinking_model_gets_more_patience_unless_the_channel_says_otherwise() {
    let blueprint = loaded(
        "version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}, c: {provider: simulated}}
routes:
  - {model: gpt-5.4, channels: [{upstream: a}, {upstream: b, reasoning: false}, {upstream: c, model: gpt-4o}]}
",
    )
    .blueprint;
    let idle: Vec<_> =
        blueprint.routes[0].channels.iter().map(|one| (one.reasoning, one.timeouts.idle)).collect();
    assert_eq!(idle, [(Reasoning::Yes, s(90)), (Reasoning::No, s(30)), (Reasoning::No, s(30))]);
}

#[test]
fn where_callers_name_models_each_is_as_patient_as_its_name_says() {
    let blueprint = loaded(
        "version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - {model: 'gpt-*', channels: [{upstream: a}, {upstream: b, reasoning: false}]}
  - {model: 'or/*', channels: [{upstream: a, model: '*'}]}
  - {model: 'demo-*', channels: [{upstream: a}]}
",
    )
    .blueprint;
    let thinks = |route: usize, channel: usize, model: &str| {
        blueprint.routes[route].channels[channel].reasoning.of(model)
    };
    assert!(thinks(0, 0, "gpt-5.4") && !thinks(0, 0, "gpt-4o") && !thinks(0, 1, "gpt-5.4"));
    assert!(thinks(1, 0, "deepseek-r1") && !thinks(1, 0, "llama-4"));
    assert!(!thinks(2, 0, "demo-1"));
}

#[test]
fn plain_http_has_shorter_limits_and_no_events() {
    let blueprint = loaded(
        "version: 1
defaults: {timeouts: {first_event: 20s, tls: 4s}}
upstreams:
  a: {provider: http, base_url: 'http://127.0.0.1:7000/api/'}
  b: {provider: http, base_url: 'http://127.0.0.1:7001', probe: {path: /healthz, expect: [204]}}
routes: [{path: /orders, strip: true, channels: [{upstream: a}, {upstream: b}]}]
",
    )
    .blueprint;
    let route = &blueprint.routes[0];
    assert_eq!(route.matcher, Matcher::Path { prefix: "/orders/".to_owned(), strip: true });
    let timeouts = &route.channels[0].timeouts;
    assert_eq!((timeouts.connect, timeouts.tls, timeouts.ttfb, timeouts.total), (s(2), s(4), s(15), s(60)));
    assert_eq!((timeouts.first_event, timeouts.content_idle), (FirstEvent::Off, None));
    let [a, b] = blueprint.upstreams.as_slice() else { panic!("two upstreams") };
    assert_eq!((a.base.authority().as_str(), a.base.path.as_str()), ("127.0.0.1:7000", "/api"));
    assert_eq!(a.probe.kind, ProbeKind::Tcp);
    let get = http::Method::GET;
    let kind = ProbeKind::Http { method: get, path: "/healthz".to_owned(), expect: vec![204] };
    assert_eq!(b.probe.kind, kind);
}

const KEYED: &str = "version: 1
upstreams:
  a: {provider: openai, credentials: ['${ONE}', 'file:/run/two', {key: '${THREE:-}', quota_group: org}]}
  b: {provider: openai}
  c: {provider: openai, base_url: 'http://127.0.0.1:1/v1'}
  d: {provider: azure, base_url: '${AZURE_URL}', credentials: ['${AZURE_KEY}']}
  e: {provider: custom, dialect: openai, base_url: 'http://127.0.0.1:2', headers: {x-team: '${TEAM}'}}
routes: [{model: m, channels: [{upstream: a}, {upstream: b}, {upstream: c}, {upstream: d}, {upstream: e}]}]
";

#[test]
fn an_upstream_without_its_key_or_address_waits_for_it() {
    let missing = |env: &Given| {
        let blueprint = loaded_in(KEYED, env).blueprint;
        let missing = blueprint.upstreams.iter().map(|upstream| match &upstream.readiness {
            Readiness::Ready => format!("ready:{}", upstream.credentials.len()),
            Readiness::Unconfigured { missing } => missing.join("+"),
        });
        missing.collect::<Vec<_>>()
    };
    assert_eq!(
        missing(&Given::default()),
        [
            "ONE+file:/run/two+upstreams.a.credentials[2].key",
            "OPENAI_API_KEY",
            "ready:0",
            "AZURE_URL+AZURE_KEY",
            "TEAM"
        ]
    );
    let env = Given::default()
        .var("THREE", "k3")
        .var("OPENAI_API_KEY", "k")
        .var("AZURE_URL", "https://x.example")
        .var("AZURE_KEY", "z")
        .var("TEAM", "blue");
    assert_eq!(missing(&env), ["ready:1", "ready:1", "ready:0", "ready:1", "ready:0"]);
    let blueprint = loaded_in(KEYED, &env.file("/run/two", "k2\n")).blueprint;
    let credentials = &blueprint.upstreams[0].credentials;
    let shown: Vec<_> = credentials.iter().map(|one| (one.alias.as_str(), one.secret.expose())).collect();
    assert_eq!(shown, [("a#2", "k2"), ("a#3", "k3")]);
    assert_eq!(credentials[1].quota_group.as_deref(), Some("org"));
    assert_eq!(credentials[0].fingerprint.len(), 12);
    assert_ne!(credentials[0].fingerprint, credentials[1].fingerprint);
    assert_eq!(blueprint.upstreams[3].base.path, "/openai/v1");
}

#[test]
fn clouds_are_addressed_by_region_or_project_and_take_their_own_credentials() {
    let text = "version: 1
upstreams:
  a: {provider: bedrock, aws_region: '${AWS_REGION}'}
  b: {provider: bedrock, aws_region: eu-west-3, credentials: ['AKIA1:${AWS_SECRET}:a/session=']}
  c: {provider: vertex, base_url: 'https://aiplatform.googleapis.com/v1/projects/p/locations/global',
      credentials: ['file:/run/user.json', metadata, ya29.token]}
  d: {provider: azure, base_url: 'https://r.openai.azure.com', credentials: ['${APP}', metadata]}
  e: {provider: azure-legacy, base_url: 'https://r.openai.azure.com', api_version: 2025-01-01-preview}
routes: [{model: m, channels: [{upstream: a}, {upstream: b}, {upstream: c}, {upstream: d}, {upstream: e}]}]
";
    let user = "{\n  \"type\": \"authorized_user\",\n  \"client_id\": \"i\",\n  \"client_secret\": \"s\",
        \"refresh_token\": \"r\"\n}\n";
    let env = Given::default()
        .var("AWS_SECRET", "s")
        .var("AWS_BEARER_TOKEN_BEDROCK", "ABSK1")
        .var("APP", r#"{"tenant_id": "t", "client_id": "i", "client_secret": "s"}"#)
        .file("/run/user.json", user);
    let with_region = loaded_in(text, &env.clone().var("AWS_REGION", "us-west-2")).blueprint;
    let [here, there, vertex, azure, legacy] = &with_region.upstreams[..] else { panic!("five upstreams") };
    assert_eq!(&*here.base.host, "bedrock-runtime.us-west-2.amazonaws.com");
    assert_eq!(here.aws_region.as_deref(), Some("us-west-2"));
    assert_eq!(here.credentials.len(), 1);
    assert_eq!(&*there.base.host, "bedrock-runtime.eu-west-3.amazonaws.com");
    assert_eq!((vertex.credentials.len(), azure.credentials.len()), (3, 2));
    assert_eq!(legacy.api_version.as_deref(), Some("2025-01-01-preview"));
    for upstream in &with_region.upstreams {
        assert_eq!(upstream.readiness, Readiness::Ready, "{}", upstream.name);
    }
    let without = loaded_in(text, &env).blueprint;
    let waits = Readiness::Unconfigured { missing: vec!["AWS_REGION".to_owned()] };
    assert_eq!(without.upstreams[0].readiness, waits);
}

#[test]
fn secrets_appear_in_no_debug_output() {
    let env = Given::default()
        .var("ONE", "hunter2-one")
        .var("TEAM", "hunter2-team")
        .var("AZURE_KEY", "hunter2-azure");
    let text = KEYED.replace("base_url: 'http://127.0.0.1:1/v1'", "credentials: [hunter2-clear]");
    let loaded = loaded_in(&text, &env);
    let shown = format!("{loaded:?}\n{}", rendered(&loaded.warnings));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("in clear text"), "{shown}");
}

#[test]
fn values_from_the_environment_become_the_type_that_is_needed() {
    let env = Given::default().var("PORT", "1234").var("W", "7").var("ON", "false").var("T", "9s");
    let text = "version: 1
server: {listen: '127.0.0.1:${PORT}'}
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes: [{model: m, breaker: {enabled: '${ON}'}, timeouts: {ttfb: '${T}'},
          channels: [{upstream: a, weight: '${W}'}, {upstream: b, weight: '${NONE:-3}'}]}]
";
    let blueprint = loaded_in(text, &env).blueprint;
    assert_eq!(blueprint.server.listen.port(), 1234);
    let channels = &blueprint.routes[0].channels;
    assert_eq!((channels[0].weight, channels[1].weight), (7, 3));
    assert!(!channels[0].breaker.enabled);
    assert_eq!(channels[0].timeouts.ttfb, s(9));
}

#[test]
fn anchors_and_merge_keys_save_typing() {
    let blueprint = loaded(
        "version: 1
upstreams:
  a: &sim {provider: simulated, simulated: {words: 5, ttft: 1s}}
  b: {<<: *sim, simulated: {words: 6}}
routes: [{model: m, channels: &both [{upstream: a}, {upstream: b}]}, {model: n, channels: *both}]
",
    )
    .blueprint;
    let words: Vec<_> =
        blueprint.upstreams.iter().filter_map(|one| one.simulated.as_ref()).map(|one| one.words).collect();
    assert_eq!(words, [5, 6]);
    assert_eq!(blueprint.routes[1].channels.len(), 2);
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let _ = writeln!(text, "a{level}: &a{level} [{}]", [below.as_str(); 10].join(", "));
    }
    let problems = load(&text, &Given::default()).unwrap_err();
    assert!(problems[0].message.contains("more than"), "{}", rendered(&problems));
    let deep = "[".repeat(5000);
    assert!(load(&deep, &Given::default()).is_err());
    assert!(load(&"x".repeat(FILE_MAX + 1), &Given::default()).is_err());
}

#[test]
fn a_problem_as_json_has_what_a_tool_needs() {
    let problems =
        load("version: 2\nupstreams: {a: {provider: simulated}}\n", &Given::default()).unwrap_err();
    let json = serde_json::to_value(&problems).unwrap();
    assert_eq!(json[0]["path"], "");
    assert_eq!(json[0]["message"], "`routes` is missing");
    assert_eq!(json[1]["path"], "version");
    assert_eq!((json[1]["line"].as_u64(), json[1]["column"].as_u64()), (Some(1), Some(10)));
    assert_eq!(json[1]["severity"], "error");
}

/// Keywords below `schema` that `shape` would have to know.
fn keywords(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    let Some(object) = schema.as_object() else { return };
    for (key, below) in object {
        found.insert(key.clone());
        match (key.as_str(), below) {
            ("properties" | "$defs", serde_json::Value::Object(named)) => {
                for schema in named.values() {
                    keywords(schema, found);
                }
            }
            ("anyOf" | "oneOf", serde_json::Value::Array(options)) => {
                for schema in options {
                    keywords(schema, found);
                }
            }
            ("items" | "additionalProperties", schema) => keywords(schema, found),
            _ => {}
        }
    }
}

#[test]
fn the_schema_uses_only_keywords_that_the_shape_check_knows() {
    let mut found = BTreeSet::new();
    keywords(&schema::strict(), &mut found);
    let known = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "oneOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
        "x-hint",
        "x-what",
    ];
    let unknown: Vec<_> = found.iter().filter(|keyword| !known.contains(&keyword.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_published_schema_describes_every_section_and_allows_references() {
    let schema = schema();
    let sections = schema["properties"].as_object().unwrap();
    assert!(
        sections.len() >= 9 && sections.values().all(|one| one.get("description").is_some()),
        "{sections:?}"
    );
    let weight = &schema["$defs"]["Channel"]["properties"]["weight"];
    assert_eq!(weight["anyOf"][1]["$ref"], "#/$defs/Reference");
    assert_eq!(weight["anyOf"][0]["maximum"], 1000);
}

/// Why `schema` refuses `value`: what an editor would do, save for patterns.
fn refusal(
    root: &serde_json::Value,
    schema: &serde_json::Value,
    value: &serde_json::Value,
) -> Option<String> {
    use serde_json::Value as Json;
    let refused = |why: &str| Some(format!("{value} {why}"));
    if let Some(name) = schema.get("$ref").and_then(Json::as_str) {
        let found = root.pointer(name.trim_start_matches('#'))?;
        return refusal(root, found, value);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(options) = schema.get(keyword).and_then(Json::as_array)
            && options.iter().all(|option| refusal(root, option, value).is_some())
        {
            return refused("fits no alternative");
        }
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return refused("is another constant");
    }
    if schema.get("enum").and_then(Json::as_array).is_some_and(|names| !names.contains(value)) {
        return refused("is not in the list");
    }
    let kind = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let fits = |wanted: &Json| *wanted == kind || (*wanted == "number" && kind == "integer");
    match schema.get("type") {
        Some(Json::Array(kinds)) if !kinds.iter().any(fits) => return refused("has the wrong type"),
        Some(one @ Json::String(_)) if !fits(one) => return refused("has the wrong type"),
        _ => {}
    }
    let number = value.as_f64();
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    if number.zip(bound("minimum")).is_some_and(|(n, least)| n < least)
        || number.zip(bound("maximum")).is_some_and(|(n, most)| n > most)
    {
        return refused("is out of range");
    }
    if let (Some(items), Some(of)) = (value.as_array(), schema.get("items")) {
        return items.iter().find_map(|item| refusal(root, of, item));
    }
    let object = value.as_object()?;
    let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
    if let Some(name) = required.filter_map(Json::as_str).find(|name| !object.contains_key(*name)) {
        return refused(&format!("lacks {name}"));
    }
    object.iter().find_map(|(key, below)| {
        let known = schema.get("properties").and_then(|properties| properties.get(key));
        match known.or(schema.get("additionalProperties")) {
            Some(Json::Bool(false)) => refused(&format!("has an unknown key {key}")),
            Some(schema) => refusal(root, schema, below),
            None => None,
        }
    })
}

#[test]
fn the_published_schema_accepts_what_the_loader_accepts() {
    let schema = schema();
    let read = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).expect("valid YAML");
    let good = ["version: 1
server: {listen: '127.0.0.1:${PORT:-80}', limits: {max_body: 1024, max_inflight: '${N}'}}
upstreams:
  a: {provider: '${WHO}', max_inflight: '${N}', dialect: [openai, responses], probe: {rise: 3, expect: [200]},
      base_url: 'http://127.0.0.1:1'}
  b: {provider: custom, dialect: gemini, base_url: 'http://127.0.0.1:1', credentials: [file:/run/key, {key: '${K:-x1}'}]}
routes: [{model: m, select: '${S:-lowest_latency}', channels: [{upstream: a, weight: 3}]}]
", KEYED, &sample()];
    let env = Given::default().var("WHO", "vllm").var("N", "7").file("/run/key", "abc");
    for text in good {
        loaded_in(text, &env);
        assert_eq!(refusal(&schema, &schema, &read(text)), None);
    }
    let bad = "{version: 1, upstreams: {a: {provider: simulated}}, routes: [{model: m, channels: [{upstream: a, weight: #}]}]}";
    for weight in ["0", "1001", "1.5", "[1]"] {
        assert!(refusal(&schema, &schema, &read(&bad.replace('#', weight))).is_some(), "{weight}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_blueprint_or_problems(text in "\\PC{0,200}") {
        let _ = load(&text, &Given::default());
    }

    #[test]
    fn any_bytes_are_a_blueprint_or_problems(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(problems) = load(&text, &Given::default()) {
            let _ = rendered(&problems);
            prop_assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
        }
    }

    /// A real file with a stretch of it replaced: closer to what people do to their files.
    #[test]
    fn a_damaged_sample_is_a_blueprint_or_problems(
        start in 0_usize..6000, length in 0_usize..40, patch in "[ \\-:{}\\[\\],&*!|>'\"#a-z0-9\n\t$]{0,12}",
    ) {
        let text: Vec<char> = sample().chars().collect();
        let start = start.min(text.len());
        let end = (start + length).min(text.len());
        let damaged: String = text[..start].iter().copied().chain(patch.chars()).chain(text[end..].iter().copied()).collect();
        if let Err(problems) = load(&damaged, &Given::default()) {
            for problem in &problems {
                let shown = problem.render("routing.yaml");
                prop_assert!(shown.starts_with(problem.severity.name()));
                // A problem without a place would be one that the schema let through to serde.
                prop_assert!(problem.line > 0, "{}", shown);
                prop_assert!(problem.line <= damaged.lines().count().max(1) + 1);
            }
            prop_assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
        }
    }

    /// Whatever else breaks, a key in the file is not in what is shown.
    #[test]
    fn a_damaged_file_still_shows_no_key(
        start in 0_usize..400, length in 0_usize..30, patch in "[ \\-:{}\\[\\],&*!|>'\"#a-z0-9\n\t$]{0,12}",
    ) {
        const KEY: &str = "sk-hunter2-0123456789abcdefghij";
        let text = format!(
            "version: 1\nupstreams:\n  a: {{provider: openai, credentials: [{KEY}]}}\n  b:\n    provider: openai\n    \
             credentials:\n      - {KEY}\n      - key: \"{KEY}\"\n    headers:\n      x-key: {KEY}\n\
             routes: [{{model: m, channels: [{{upstream: a}}, {{upstream: b}}]}}]\n"
        );
        let start = start.min(text.len());
        let damaged = format!("{}{patch}{}", &text[..start], &text[(start + length).min(text.len())..]);
        let problems = load(&damaged, &Given::default()).map_or_else(|problems| problems, |loaded| loaded.warnings);
        let shown = rendered(&problems) + &serde_json::to_string(&problems).unwrap();
        prop_assert!(!shown.contains("hunter2-0123"), "{}", shown);
    }
}

#[test]
fn limits_of_keys_queues_and_priorities_are_layered_and_useless_ones_are_named() {
    let text = "
version: 1
keys: {boss: {secret: '${BOSS}', priority: critical_plus, max_priority: critical}}
defaults:
  concurrency: {max: 50, ttft_rise: 2}
  queue: {timeout: 3s}
upstreams:
  a: {provider: simulated, concurrency: {max: 20, min: 30}}
  b: {provider: simulated, max_inflight: 9, concurrency: {adaptive: false, start: 5}}
routes:
  - {model: x, priority: sheddable, queue: {max: 0}, channels: [{upstream: a}, {upstream: b}]}
  - {model: y, channels: [{upstream: a}, {upstream: b}]}
";
    let loaded = loaded_in(text, &Given::default().var("BOSS", "0123456789abcdef"));
    let [a, b] = [0, 1].map(|index| loaded.blueprint.upstreams[index].concurrency);
    assert_eq!((a.mode, a.start, a.min, a.max, a.ttft_rise), (aimd::Mode::Adaptive, 32, 20, 20, Some(2.0)));
    assert_eq!((b.mode, b.max), (aimd::Mode::Fixed, 50));
    let [x, y] = [0, 1].map(|index| &loaded.blueprint.routes[index]);
    assert_eq!(
        (x.priority, x.queue.max, x.queue.timeout),
        (Priority::Sheddable, Some(0), Duration::from_secs(3))
    );
    assert_eq!((y.priority, y.queue.max), (Priority::Critical, None));
    let said = rendered(&loaded.warnings);
    for path in ["keys.boss.max_priority", "upstreams.a.concurrency", "upstreams.b.concurrency.start"] {
        assert!(said.contains(&format!("warning: {path}:")), "{path} in {said}");
    }
}

#[test]
fn memory_for_requests_has_room_for_two_of_the_largest_bodies() {
    let with = |limits: &str| {
        let text = format!(
            "version: 1\nserver: {{limits: {limits}}}\nupstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, channels: [{{upstream: a}}]}}]"
        );
        load(&text, &Given::default()).map(|loaded| loaded.blueprint.server.limits.memory)
    };
    assert_eq!(with("{}").ok(), Some(512 << 20));
    assert_eq!(with("{max_body: 1GiB}").ok(), Some(2 << 30));
    assert_eq!(with("{max_body: 1MiB, memory: 2MiB}").ok(), Some(2 << 20));
    for wrong in ["{memory: 127MiB}", "{max_body: 1MiB, memory: 1MiB}", "{memory: 65GiB}"] {
        let said = with(wrong).map_err(|problems| rendered(&problems)).expect_err("wrong");
        assert!(said.contains("server.limits.memory"), "{wrong}: {said}");
    }
}

#[test]
fn the_admin_side_is_found_in_a_file_with_mistakes_or_not_at_all() {
    let at = |text: &str| {
        let env = Given::default().var("TOKEN", "0123456789abcdef");
        admin_side(text, &env).map(|side| (side.address.to_string(), side.token.is_some())).map_err(|_| ())
    };
    let upstreams = "upstreams: {a: {provider: simulated, credentials: ['${UNSET:?needed}']}}";
    let found = |address: &str, token| Ok((address.to_owned(), token));
    assert_eq!(at("upstreams: {a: {provider: nobody}}\nfoo: 1"), found("127.0.0.1:9090", false));
    let said = "server: {admin: 127.0.0.1:7000, admin_token: '${TOKEN}', key_hash_secret: '${UNSET}'}";
    assert_eq!(at(&format!("version: 9\n{said}\n{upstreams}")), found("127.0.0.1:7000", true));
    let said = "server: {admin: 127.0.0.1:7000, admin_token: '${UNSET}'}";
    assert_eq!(at(said), found("127.0.0.1:7000", false));
    // No YAML from there on.
    assert_eq!(at(&format!("{said}\nroutes: [}}\n")), found("127.0.0.1:7000", false));
    for nothing in [
        "server: {admin: '${UNSET}'}",
        "server: {admin: 7000}",
        "server: {admin: [127.0.0.1:7000]}",
        "routes: [}\nserver: {admin: 127.0.0.1:7000}",
        "routes: [}",
        "",
    ] {
        assert_eq!(at(nothing), Err(()), "{nothing}");
    }
}
