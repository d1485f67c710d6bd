//! Keeps count of a rehearsal, minute by minute.
//!
//! A request is booked in the minute in which its caller came, an attempt and its bill when they ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::drive::Parted;
use super::report::{Attempts, Cost, Lane, Minute, Report, Span, Totals};
use super::seen::{Bill, End, Left, Role, Seen, Witness};
use crate::algo::cooldown::Readiness;
use crate::algo::tick::Tick;
use crate::catalog::{self, Catalog, Line, Tier};
use crate::config::rehearsal::Script;
use crate::state::{Channel, Table};
use crate::vocab::{Class, Usage};

/// How often breakers and keys are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// An upstream is back when it has had nine tenths of its share for so long.
const BACK_FOR: usize = 10;
const BACK_SHARE: f64 = 0.9;

/// A witness that makes a [`Report`].
pub struct Ledger<'a> {
    script: &'a Script,
    catalog: Arc<Catalog>,
    upstreams: Vec<Arc<str>>,
    /// From when to when something is wrong with each of them, if ever.
    ill: Vec<Option<(Duration, Duration)>>,
    minutes: Vec<Minute>,
    reasons: BTreeMap<&'static str, u64>,
    /// Answers that began, by second and upstream.
    commits: Vec<Vec<u32>>,
    lanes: Vec<Lane>,
    looked: Option<Tick>,
    /// Counts of the whole, as far as they are not sums of minutes.
    totals: Totals,
    /// How long requests waited for room, in seconds.
    queues: Vec<f32>,
    ended: Tick,
}

impl<'a> Ledger<'a> {
    pub fn new(script: &'a Script, catalog: &Arc<Catalog>) -> Self {
        Self {
            script,
            catalog: Arc::clone(catalog),
            upstreams: Vec::new(),
            ill: Vec::new(),
            minutes: Vec::new(),
            reasons: BTreeMap::new(),
            commits: Vec::new(),
            lanes: Vec::new(),
            looked: None,
            totals: Totals::default(),
            queues: Vec::new(),
            ended: Tick::ZERO,
        }
    }

    fn minute(&mut self, at: Tick) -> &mut Minute {
        let index = (at.since(Tick::ZERO).as_secs() / 60) as usize;
        if self.minutes.len() <= index {
            self.minutes.resize_with(index + 1, Minute::default);
        }
        &mut self.minutes[index]
    }

    /// The place of an upstream in every list of upstreams here.
    fn upstream(&mut self, channel: &Channel) -> usize {
        let config = &channel.upstream.config;
        self.upstreams.iter().position(|known| *known == config.name).unwrap_or_else(|| {
            let mine = || self.script.outages.iter().filter(|outage| outage.whom.includes(config));
            let (from, to) = (mine().map(|outage| outage.from).min(), mine().map(|outage| outage.to).max());
            self.ill.push(from.zip(to));
            self.upstreams.push(Arc::clone(&config.name));
            self.upstreams.len() - 1
        })
    }

    fn left(&mut self, now: Tick, channel: &Channel, how: Left, role: Role, bill: Bill) {
        let upstream = self.upstream(channel);
        let cost = self.cost(channel, bill);
        if role == Role::Leg {
            self.totals.legs_cost.add(cost);
        }
        let minute = self.minute(now);
        if minute.attempts.len() <= upstream {
            minute.attempts.resize(upstream + 1, Attempts::default());
        }
        match how {
            Left::Finished => minute.attempts[upstream].good += 1,
            Left::Failed(..) => minute.attempts[upstream].bad += 1,
            Left::Cancelled => minute.attempts[upstream].cancelled += 1,
        }
        minute.cost.add(cost);
    }

    /// Femto-USD; `None` where no price is known. What was not worked at costs nothing anywhere.
    fn cost(&self, channel: &Channel, Bill { prompt, answer }: Bill) -> Option<u128> {
        if prompt == 0 && answer == 0 {
            return Some(0);
        }
        let model = channel.label.split_once('/').map_or("", |(_, model)| model);
        let entry = self.catalog.find(channel.upstream.config.provider.name, model)?;
        let usage = Usage { input: prompt, output: answer, ..Usage::default() };
        let cost = catalog::cost(&entry.prices(self.catalog.as_of()), Tier::Standard, &usage)?;
        Some(cost.lines.iter().map(Line::femto_usd).sum())
    }

    fn lane(&mut self, label: &str, state: &'static str, now: Tick) {
        let at = now.since(Tick::ZERO);
        let found = self.lanes.iter_mut().find(|lane| lane.label == label);
        match found {
            None => {
                let spans = vec![Span { from: at, to: at, state }];
                self.lanes.push(Lane { label: label.to_owned(), spans });
            }
            Some(lane) => match lane.spans.last_mut() {
                Some(last) if last.state == state => last.to = at,
                Some(last) => {
                    last.to = at;
                    lane.spans.push(Span { from: at, to: at, state });
                }
                None => {}
            },
        }
    }

    /// The longest time that an upstream took to get its share back after its last outage.
    fn recovery(&self) -> Option<Duration> {
        let mut longest = None;
        for (upstream, ill) in self.ill.iter().enumerate() {
            let Some((from, to)) = *ill else { continue };
            if to >= self.ended.since(Tick::ZERO) {
                return None;
            }
            let before = self.share(upstream, 0, from.as_secs() as usize)?;
            let healed = to.as_secs() as usize;
            let back = (healed..self.commits.len().saturating_sub(BACK_FOR)).find(|&second| {
                let share = self.share(upstream, second, second + BACK_FOR);
                share.is_some_and(|share| share >= before * BACK_SHARE)
            })?;
            let took = Duration::from_secs((back - healed) as u64);
            longest = longest.max(Some(took));
        }
        longest
    }

    fn share(&self, upstream: usize, from: usize, to: usize) -> Option<f64> {
        let seconds = self.commits.get(from..to.min(self.commits.len()))?;
        let all: u32 = seconds.iter().flatten().sum();
        let own: u32 = seconds.iter().filter_map(|second| second.get(upstream)).sum();
        (all > 0).then(|| f64::from(own) / f64::from(all))
    }

    /// What the rehearsal of `config` came to.
    pub fn report(mut self, config: &str) -> Report {
        let upstreams = self.upstreams.len();
        for minute in &mut self.minutes {
            minute.attempts.resize(upstreams, Attempts::default());
        }
        self.lanes.sort_by(|a, b| a.label.cmp(&b.label));
        let recovery = self.recovery();
        let whole = Minute::sum(&self.minutes, upstreams);
        let attempts: u64 = whole.attempts.iter().map(Attempts::all).sum();
        let asked = whole.requests().max(1);
        self.queues.sort_unstable_by(f32::total_cmp);
        let slowest = self.queues.get(self.queues.len().saturating_sub(1) * 99 / 100);
        let Minute { answered, failed, broken, hung_up, .. } = whole;
        let totals = Totals {
            requests: whole.requests(),
            answered,
            failed,
            broken,
            hung_up,
            success: whole.success(),
            p50_ttft: whole.ttft(0.5),
            p99_ttft: whole.ttft(0.99),
            attempts,
            amplification: attempts as f64 / asked as f64,
            cost: Cost { ..whole.cost },
            recovery,
            queued: self.queues.len() as u64,
            p99_queue: slowest.map(|seconds| Duration::from_secs_f32(*seconds)),
            reasons: self.reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            ..self.totals
        };
        Report {
            config: config.to_owned(),
            upstreams: self.upstreams.iter().map(ToString::to_string).collect(),
            minutes: self.minutes,
            lanes: self.lanes,
            totals,
            unmodelled: Vec::new(),
            does_not_happen: Vec::new(),
        }
    }
}

impl Witness for Ledger<'_> {
    fn saw(&mut self, now: Tick, seen: &Seen<'_>) {
        match *seen {
            Seen::Committed { channel, after, role, .. } => {
                self.totals.hedges_won += u64::from(role == Role::Hedge);
                let upstream = self.upstream(channel);
                let second = now.since(Tick::ZERO).as_secs() as usize;
                if self.commits.len() <= second {
                    self.commits.resize_with(second + 1, Vec::new);
                }
                if self.commits[second].len() <= upstream {
                    self.commits[second].resize(upstream + 1, 0);
                }
                self.commits[second][upstream] += 1;
                let begun = Tick::ZERO + now.since(Tick::ZERO + after);
                self.minute(begun).ttfts.push(after.as_secs_f32());
            }
            Seen::Asked { role: Role::Hedge, .. } => self.totals.hedges += 1,
            Seen::Queued { waited, .. } => self.queues.push(waited.as_secs_f32()),
            Seen::Left { channel, how, role, bill, .. } => {
                self.left(now, channel, how, role, bill);
            }
            Seen::Ended { end, begun, legs, .. } => {
                let goes_on = u64::from(legs > 1);
                match end {
                    End::Answered => self.totals.continued += goes_on,
                    End::Broken(_) => self.totals.continued_in_vain += goes_on,
                    End::Parted(_) | End::HungUp | End::NoRoute => {}
                }
                let minute = self.minute(begun);
                let reason = match end {
                    // The upstream's verdict on the request itself is what the caller came for.
                    End::Parted(Parted::Failed(fault)) if fault.class() == Class::ClientFault => {
                        minute.answered += 1;
                        return;
                    }
                    End::Answered => {
                        minute.answered += 1;
                        return;
                    }
                    End::HungUp => {
                        minute.hung_up += 1;
                        return;
                    }
                    End::Parted(parted) => {
                        minute.failed += 1;
                        parted.name()
                    }
                    End::Broken(fault) => {
                        minute.broken += 1;
                        fault.name()
                    }
                    End::NoRoute => {
                        minute.failed += 1;
                        "no_route"
                    }
                };
                *self.reasons.entry(reason).or_default() += 1;
            }
            Seen::Probed { .. } => self.totals.probes += 1,
            Seen::Began { .. }
            | Seen::Asked { .. }
            | Seen::Judged { .. }
            | Seen::Reloaded { .. }
            | Seen::Restarted { .. }
            | Seen::GoesOn { .. }
            | Seen::Froze { .. }
            | Seen::WallStepped { .. } => {}
        }
    }

    fn looked(&mut self, now: Tick, table: &Table) {
        if self.looked.is_some_and(|last| now.since(last) < LOOK) {
            return;
        }
        self.looked = Some(now);
        for upstream in &table.upstreams {
            let name = &upstream.config.name;
            self.lane(name, upstream.memory.gate.state().name(), now);
            for model in upstream.memory.fixed_models(table) {
                if let Some(gate) = &model.gate {
                    self.lane(&format!("{name}/{}", model.name), gate.state().name(), now);
                }
            }
            for key in &upstream.credentials {
                let state = match key.readiness(None, now) {
                    Readiness::Ready => "ready",
                    Readiness::Trickle => "trickle",
                    Readiness::Cooling { .. } => "cooling",
                    Readiness::Disabled { .. } => "refused",
                };
                self.lane(&format!("key {}", key.alias), state, now);
            }
        }
    }

    fn closed(&mut self, now: Tick, _: &[&Table]) {
        self.ended = now;
    }
}
