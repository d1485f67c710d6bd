//! A random world from a number: a configuration and its reloads, outages that end, callers, freezes, a pause of the
//! whole machine, a wall's clock that people set.

use std::fmt::Write;
use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::config::rehearsal::{
    Call, Delivery, FAULTS, Flapping, Form, Onset, Outage, Script, Target, Whom, Workload,
};
use mainstay::config::{self, Blueprint, Env};
use mainstay::sim::{Freeze, Handover, Rehearsal, Reload, WallStep};
use mainstay::vocab::{Fault, Priority};

/// Everything that is wrong is over by then.
pub const HEALED: Duration = Duration::from_secs(40);
/// So long after that, or after the machine was paused, every caller is served.
const RECOVERY: Duration = Duration::from_secs(40);
/// So much longer it takes a crowd, for limits that were learnt come back from almost nothing by a quarter a round.
const REGAINED: Duration = Duration::from_secs(30);
/// For so long callers come who are served; by the end everything is as it was.
const AFTERWARDS: Duration = Duration::from_secs(20);
/// A virtual machine that was put aside: its monotonic clock stands, and then leaps.
const PAUSE: Duration = Duration::from_mins(10);

pub struct Chaos {
    pub seed: u64,
    pub blueprints: Vec<Blueprint>,
    pub script: Script,
    pub workload: Workload,
    /// From then on every caller is served.
    pub well: Duration,
    reloads: Vec<(Duration, Handover)>,
    conversations: u64,
    freezes: Vec<Freeze>,
    steps: Vec<WallStep>,
    dawdle: Duration,
}

struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, name: &str) -> Result<String, String> {
        Err(format!("{name} is not there"))
    }
}

/// What a reload may change.
#[derive(Clone)]
struct Shape {
    upstreams: Vec<Upstream>,
    select: &'static str,
    panic: &'static str,
    replay: &'static str,
    first_event: &'static str,
    attempts: u64,
    budget: &'static str,
    failures: u64,
    least: u64,
    trials: u64,
    passes: u64,
    hedge: &'static str,
    continuation: &'static str,
    concurrency: &'static str,
    queue: &'static str,
    limits: &'static str,
    priority: &'static str,
}

#[derive(Clone)]
struct Upstream {
    number: u64,
    keys: u64,
    probe: &'static str,
    weight: u64,
    tier: u64,
    fate: &'static str,
    /// Of each of its keys at each model.
    quota: &'static str,
    vendor: Vendor,
}

/// Whose models it has: the catalog has prices of some.
#[derive(Clone, Copy)]
enum Vendor {
    Anybody,
    Known { provider: &'static str, model: &'static str },
}

fn one_of<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.below(of.len() as u64) as usize]
}

impl Chaos {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::seeded(seed ^ 0x0063_6861_6f73);
        let dice = &mut dice;
        let mut shape = Shape::of(dice);
        // A crowd at upstreams that all have too much to do, and not so much that a breaker opens: what retry
        // budgets are for.
        let crowd = dice.chance(1.0 / 16.0);
        if crowd {
            shape.least = 100;
            shape.attempts = 4;
            // It is larger than what sixty at a time, a hundred in all, or a quota would let through. Other limits are
            // learnt, and regained.
            shape.concurrency = "";
            shape.limits = "";
            for upstream in &mut shape.upstreams {
                upstream.quota = "";
            }
        }
        let names: Vec<String> = shape.upstreams.iter().map(Upstream::name).collect();
        let recovery = if crowd { RECOVERY + REGAINED } else { RECOVERY };
        let end = HEALED + recovery + AFTERWARDS;
        let mut reloads: Vec<(Duration, Handover)> = (0..dice.below(4))
            .map(|_| {
                let how = one_of(dice, &[Handover::Reload, Handover::Reload, Handover::Restart]);
                (moment(dice, end), how)
            })
            .collect();
        reloads.sort_unstable_by_key(|(at, _)| *at);
        let mut blueprints = vec![shape.blueprint()];
        for (_, how) in &reloads {
            match how {
                Handover::Reload => shape.change(dice),
                // What is recalled can be held against what was known only where nothing else changes.
                Handover::Restart => {}
            }
            blueprints.push(shape.blueprint());
        }
        let mut outages: Vec<Outage> = (0..=dice.below(6)).map(|_| outage(dice, &names)).collect();
        if shape.upstreams.iter().any(|upstream| !upstream.fate.is_empty()) && dice.chance(0.5) {
            outages.push(Outage { whom: Whom::Fate("rack".to_owned()), ..outage(dice, &names) });
        }
        // What befalls one provider befalls all who stand behind it.
        if dice.chance(0.125) {
            let one = outage(dice, &names);
            outages.extend(
                names.iter().map(|name| Outage { whom: Whom::Upstream(name.clone()), ..one.clone() }),
            );
        }
        let mut rate = dice.between(3.0, 8.0);
        if crowd {
            rate = 40.0;
            let busy = |name: &String| {
                // Whoever is overloaded from the first moment on has no limit of before that could be regained.
                let (from, to) = (HEALED / 4, HEALED * 3 / 4);
                let all = Outage::of(name, Some(Fault::Overloaded), from, to);
                Outage { share: 0.27, ..all }
            };
            outages = names.iter().map(busy).collect();
        }
        let mut freezes: Vec<Freeze> = (0..dice.below(3))
            .map(|_| Freeze { at: moment(dice, HEALED / 2), lasting: moment(dice, HEALED / 3) })
            .collect();
        let mut well = HEALED + recovery;
        if dice.chance(1.0 / 16.0) {
            let at = moment(dice, HEALED);
            freezes.push(Freeze { at, lasting: PAUSE });
            well += PAUSE;
        }
        if crowd {
            // What is in flight when the first overload comes is all that the gateway knows of the limit of before;
            // when the process has just stood still, that is little.
            for freeze in &mut freezes {
                freeze.at += HEALED / 4 + Duration::from_secs(1);
            }
        }
        let steps = (0..dice.below(4))
            .map(|_| WallStep { at: moment(dice, end), by: one_of(dice, &[3600, -3600, -7200, 5, -86_400]) })
            .collect();
        let dawdle = one_of(dice, &[Duration::ZERO, Duration::from_millis(40), Duration::from_secs(1)]);
        let mix = (0..2)
            .map(|route| Call {
                share: dice.between(0.2, 1.0),
                delivery: one_of(dice, &[Delivery::Stream, Delivery::Stream, Delivery::Whole]),
                answer_tokens: 2 + dice.below(150),
                hang_up: one_of(dice, &[0.0, 0.05, 0.3]),
                priority: one_of(
                    dice,
                    &[None, None].into_iter().chain(Priority::ALL.map(Some)).collect::<Vec<_>>(),
                ),
                ..Call::to(Target::Model(format!("m{route}")))
            })
            .collect();
        Self {
            seed,
            blueprints,
            script: Script { outages, ..Script::default() },
            workload: Workload::of(rate, mix),
            well,
            reloads,
            conversations: one_of(dice, &[0, 7]),
            freezes,
            steps,
            dawdle,
        }
    }

    pub fn rehearsal(&self) -> Rehearsal<'_> {
        let reloads = self.reloads.iter().zip(&self.blueprints[1..]);
        Rehearsal {
            blueprint: &self.blueprints[0],
            script: &self.script,
            workload: &self.workload,
            duration: self.well + AFTERWARDS,
            seed: self.seed,
            reloads: reloads
                .map(|((at, how), blueprint)| Reload { at: *at, blueprint: blueprint.clone(), how: *how })
                .collect(),
            freezes: self.freezes.clone(),
            steps: self.steps.clone(),
            conversations: self.conversations,
            dawdle: self.dawdle,
        }
    }

    /// For how long the process does not run, all in all.
    pub fn frozen(&self) -> Duration {
        self.freezes.iter().map(|freeze| freeze.lasting).sum()
    }
}

fn moment(dice: &mut Dice, before: Duration) -> Duration {
    before.mul_f64(dice.unit())
}

fn outage(dice: &mut Dice, upstreams: &[String]) -> Outage {
    // A model that is missing is left alone for five minutes, longer than this world lasts.
    let faults: Vec<Fault> = FAULTS.into_iter().filter(|fault| *fault != Fault::ModelMissing).collect();
    let (one, two) = (moment(dice, HEALED), moment(dice, HEALED));
    let upstream = &upstreams[dice.below(upstreams.len() as u64) as usize];
    let mut outage = Outage::of(upstream, None, one.min(two), one.max(two) + Duration::from_millis(1));
    outage.to = outage.to.min(HEALED);
    match dice.below(8) {
        0 => outage.capacity = Some(dice.below(3) as u32),
        1 => {
            outage.latency = moment(dice, Duration::from_secs(12));
            outage.share = one_of(dice, &[1.0, 0.1]);
            outage.onset = one_of(dice, &[Onset::Sudden, Onset::Creeping]);
        }
        _ => {
            outage.fault = Some(one_of(dice, &faults));
            outage.share = one_of(dice, &[1.0, 1.0, 0.5, 0.2]);
            outage.retry_after =
                one_of(dice, &[None, None, Some(Duration::from_secs(2)), Some(Duration::from_secs(6))]);
            outage.form = one_of(dice, &[Form::Seconds, Form::Date]);
            outage.key = one_of(dice, &[None, None, None, Some(1)]);
        }
    }
    if dice.chance(0.3) {
        let mut some = || Duration::from_millis(200 + dice.below(8_000));
        outage.flapping = Some(Flapping { down: some(), up: some() });
    }
    outage
}

impl Upstream {
    fn of(number: u64, dice: &mut Dice) -> Self {
        let vendor = one_of(
            dice,
            &[
                Vendor::Anybody,
                Vendor::Anybody,
                Vendor::Known { provider: "openai", model: "gpt-5.4" },
                Vendor::Known { provider: "openrouter", model: "openai/gpt-5.4-mini" },
            ],
        );
        let least_keys = match vendor {
            Vendor::Anybody => 0,
            Vendor::Known { .. } => 1,
        };
        Self {
            number,
            keys: least_keys + dice.below(3),
            probe: one_of(dice, &["off", "tcp", "http, path: /health"]),
            weight: 1 + dice.below(5),
            tier: one_of(dice, &[0, 0, 0, 1]),
            fate: one_of(dice, &["", "fate: rack, "]),
            quota: one_of(dice, &["", "", "", ", quota: {rpm: 30}", ", quota: {tpm: 90000, rpd: 150}"]),
            vendor,
        }
    }

    fn name(&self) -> String {
        format!("u{}", self.number)
    }
}

impl Shape {
    fn of(dice: &mut Dice) -> Self {
        Self {
            upstreams: (0..=dice.below(4)).map(|number| Upstream::of(number, dice)).collect(),
            select: one_of(
                dice,
                &["weighted_round_robin", "lowest_latency", "least_inflight", "least_cost", "sticky"],
            ),
            panic: one_of(dice, &["throttle", "throttle", "fail_fast", "all"]),
            replay: one_of(dice, &["allowed", "allowed", "if_unsent"]),
            first_event: one_of(dice, &["auto", "8s"]),
            attempts: 1 + dice.below(4),
            budget: one_of(dice, &["ratio: 0.2, reserve_per_sec: 2", "ratio: 0.1, reserve_per_sec: 0.2"]),
            failures: 3 + dice.below(4),
            least: 4 + dice.below(12),
            trials: 1 + dice.below(2),
            passes: 1 + dice.below(3),
            hedge: one_of(dice, &["enabled: false", "enabled: true, delay: 700ms, max_share: 0.1"]),
            continuation: one_of(dice, &["off", "same_model", "any", "any"]),
            concurrency: one_of(
                dice,
                &["", "concurrency: {max: 60}, ", "concurrency: {max: 60, adaptive: false}, "],
            ),
            queue: one_of(dice, &["timeout: 1s", "max: 20, timeout: 3s"]),
            limits: one_of(dice, &["", "", "server: {limits: {max_inflight: 100}}\n"]),
            priority: one_of(dice, &["", "priority: sheddable, ", "priority: critical_plus, "]),
        }
    }

    fn change(&mut self, dice: &mut Dice) {
        match dice.below(5) {
            0 => {
                for upstream in &mut self.upstreams {
                    upstream.weight = 1 + dice.below(5);
                }
            }
            1 if self.upstreams.len() > 1 => {
                let gone = dice.below(self.upstreams.len() as u64) as usize;
                self.upstreams.remove(gone);
            }
            2 => {
                let free = (0..64).find(|number| self.upstreams.iter().all(|known| known.number != *number));
                self.upstreams.push(Upstream::of(free.expect("a few reloads never make so many"), dice));
            }
            3 => {
                self.failures = 3 + dice.below(4);
                self.trials = 1 + dice.below(2);
                self.passes = 1 + dice.below(3);
            }
            // The same file, saved again.
            _ => {}
        }
    }

    fn text(&self) -> String {
        let Self {
            select,
            panic,
            replay,
            first_event,
            attempts,
            budget,
            failures,
            least,
            trials,
            passes,
            hedge,
            continuation,
            concurrency,
            queue,
            limits,
            priority,
            ..
        } = self;
        let mut out = format!(
            "version: 1
{limits}defaults:
  select: {select}
  timeouts: {{connect: 1s, ttfb: 5s, first_event: {first_event}, idle: 4s, total: 20s}}
  retry: {{max_attempts: {attempts}, wait: 2s, replay: {replay}, budget: {{{budget}, window: 10s}}}}
  breaker:
    consecutive: {{failures: {failures}}}
    fast: {{window: 10s, min: {least}, rate: 0.5}}
    open: {{base: 1s, mult: 2, max: 4s, retry_after_cap: 6s}}
    half_open: {{max_concurrent: {trials}, success_threshold: {passes}, probe_timeout: 6s, hold: 1s, max_neutral: 3}}
    min_open: 500ms
  probe: {{interval: 4s, fast_interval: 1s, down_interval: 1s, down_max: 4s, no_traffic_interval: 4s, timeout: 1s}}
  cooldown: {{base: 500ms, short_max: 4s, long_after: 10s, max: 8s, long_steps: [4s, 6s, 8s], quota_max: 8s, recheck: 2s}}
  slow_start: {{window: 4s}}
  panic: {{mode: {panic}}}
  hedge: {{{hedge}}}
  queue: {{{queue}}}
upstreams:
"
        );
        for upstream in &self.upstreams {
            let (name, probe, fate) = (upstream.name(), upstream.probe, upstream.fate);
            let provider = match upstream.vendor {
                Vendor::Anybody => "custom, dialect: openai",
                Vendor::Known { provider, .. } => provider,
            };
            let keys: Vec<String> = (0..upstream.keys).map(|key| format!("sk-{name}-{key}")).collect();
            let _ = writeln!(
                out,
                "  {name}: {{provider: {provider}, {fate}base_url: \"http://10.0.0.{}:80/v1\", \
                 credentials: [{}], {concurrency}probe: {{kind: {probe}}}}}",
                upstream.number + 1,
                keys.join(", ")
            );
            if keys.is_empty() {
                out = out.replace("credentials: [], ", "");
            }
        }
        out.push_str("routes:\n");
        for route in 0..2 {
            let fallback = if route == 0 { "fallback: [m1], " } else { "" };
            let channels: Vec<String> = self
                .upstreams
                .iter()
                .map(|upstream| {
                    let Upstream { weight, tier, quota, .. } = upstream;
                    let model = match upstream.vendor {
                        Vendor::Anybody => format!("x{route}"),
                        Vendor::Known { model, .. } => model.to_owned(),
                    };
                    format!(
                        "{{upstream: {}, model: {model}, weight: {weight}, tier: {tier}{quota}}}",
                        upstream.name()
                    )
                })
                .collect();
            let _ = writeln!(
                out,
                "  - {{model: m{route}, {fallback}{priority}continuation: {continuation}, channels: [{}]}}",
                channels.join(", ")
            );
        }
        out
    }

    fn blueprint(&self) -> Blueprint {
        let text = self.text();
        let loaded = config::load(&text, &NoEnv).unwrap_or_else(|problems| {
            let shown: Vec<String> = problems.iter().map(|problem| problem.render("chaos")).collect();
            panic!("{}\n{text}", shown.join("\n"))
        });
        loaded.blueprint
    }
}
