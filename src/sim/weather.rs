//! What upstreams answer: their habits, and what the script does to them.
//!
//! A request's fate is drawn when it is sent. Capacity is the exception: whoever finds an upstream full is
//! turned away. A first token comes after what the script says and what the prompt takes to be read, spread as
//! measured times are.

use std::f64::consts::TAU;
use std::ops::Range;
use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::algo::dice::Dice;
use crate::algo::sigv4::Stamp;
use crate::algo::tick::Tick;
use crate::config::rehearsal::{Flapping, Form, Habits, Onset, Outage, Script};
use crate::config::{self, Blueprint};
use crate::dialect::classify;
use crate::dialect::provider::Base;
use crate::route::Failure;
use crate::vocab::{Fault, RateHint, Scope, Stage};

/// Median time to the first token of an upstream of which nothing is said.
pub const USUAL_TTFT: Duration = Duration::from_millis(500);
/// Between two tokens of an upstream of which nothing is said.
pub const USUAL_PACE: Duration = Duration::from_millis(15);
/// Tokens of a prompt that a hosted model reads in a second, where nothing is said: the ten thousand for which
/// `route::limits` grants a second of patience.
pub const PREFILL: u32 = 10_000;
/// The same of a server that somebody runs himself: ollama, vLLM and their like, on one accelerator.
pub const PREFILL_AT_HOME: u32 = 2_000;
/// Spread of the logarithm of times to the first token: the 99th percentile is three times the median.
const SPREAD: f64 = 0.47;
/// There and back: how long a refusal takes.
const TRIP: Duration = Duration::from_millis(60);
/// How much of an answer has come when a stream breaks.
const BROKEN_AT: f64 = 0.5;

/// All upstreams of a rehearsal.
pub struct Weather {
    places: Vec<Place>,
    outages: Vec<Outage>,
}

/// One upstream, whatever table it is in.
struct Place {
    name: Box<str>,
    ttft: Duration,
    pace: Duration,
    /// Tokens of a prompt in a second; `None` where prompts take no time.
    prefill: Option<u32>,
    capacity: Option<u32>,
    /// Requests that it is working at.
    busy: u32,
    /// Which outages are about it, as indices.
    outages: Vec<usize>,
}

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub model: &'a str,
    /// The key's name, as in `openai#1`.
    pub credential: Option<&'a str>,
    /// Of the prompt.
    pub prompt: u64,
    /// Of the answer.
    pub tokens: u64,
    pub walls: Walls,
}

/// What clocks on walls show, since the Unix epoch: dates are written by one and read by the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walls {
    pub theirs: Duration,
    pub ours: Duration,
}

/// What an upstream will do with one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Refuses {
        after: Duration,
        failure: Failure,
    },
    /// Not even a connection.
    Unreachable,
    /// Takes the request and says nothing.
    Silent,
    /// Says that it will answer, and nothing else.
    HeadersOnly,
    Speaks {
        ttft: Duration,
        pace: Duration,
        lasts: Duration,
        ending: Ending,
    },
}

/// How an answer that has begun goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    Whole,
    Breaks {
        after: Duration,
        fault: Fault,
    },
    /// Says nothing more after this.
    Stalls {
        after: Duration,
    },
}

impl Answer {
    /// The upstream's verdict on a request that is wrong in itself.
    pub fn mistake() -> Self {
        let failure = Failure { fault: Fault::BadRequest, stage: Stage::Headers, hint: RateHint::default() };
        Self::Refuses { after: TRIP, failure }
    }

    /// Whether the upstream works at the request until it is over.
    pub fn takes_work(&self) -> bool {
        match self {
            Self::Silent | Self::HeadersOnly | Self::Speaks { .. } => true,
            Self::Refuses { .. } | Self::Unreachable => false,
        }
    }
}

impl Weather {
    pub fn new(script: &Script) -> Self {
        Self { places: Vec::new(), outages: script.outages.clone() }
    }

    /// The places of a blueprint's upstreams, in its order; those that are known keep what they are at.
    pub fn places(&mut self, blueprint: &Blueprint, script: &Script) -> Vec<usize> {
        let of = |upstream: &config::Upstream| {
            let about = |(index, outage): (usize, &Outage)| outage.whom.includes(upstream).then_some(index);
            let outages = self.outages.iter().enumerate().filter_map(about).collect();
            if let Some(known) = self.places.iter().position(|place| *place.name == *upstream.name) {
                self.places[known].outages = outages;
                return known;
            }
            let said = script.habits.iter().find(|(name, _)| **name == *upstream.name);
            let habits = said.map_or_else(Habits::default, |(_, habits)| *habits);
            let own = upstream.simulated.as_ref();
            self.places.push(Place {
                name: (&*upstream.name).into(),
                ttft: habits.ttft.or(own.map(|own| own.ttft)).unwrap_or(USUAL_TTFT),
                pace: habits.pace.or(own.map(|own| own.pace)).unwrap_or(USUAL_PACE),
                prefill: habits.prefill.or_else(|| prefill(upstream)),
                capacity: habits.capacity,
                busy: 0,
                outages,
            });
            self.places.len() - 1
        };
        blueprint.upstreams.iter().map(of).collect()
    }

    /// What becomes of a request that is sent now.
    pub fn answer(&self, place: usize, asking: &Asking<'_>, now: Tick, dice: &mut Dice) -> Answer {
        let here = &self.places[place];
        let mut fault = None;
        let mut slower = Duration::ZERO;
        let mut capacity = here.capacity;
        for outage in self.active(place, now) {
            if !befalls(outage, asking) {
                continue;
            }
            capacity = [capacity, outage.capacity].into_iter().flatten().min();
            let changes = outage.fault.is_some() || !outage.latency.is_zero();
            if !changes || !dice.chance(outage.share) {
                continue;
            }
            slower += latency(outage, now);
            if let Some(what) = outage.fault
                && fault.is_none()
            {
                fault = Some((what, retry_after(outage, asking.walls)));
            }
        }
        if fault.is_none() && capacity.is_some_and(|capacity| here.busy >= capacity) {
            fault = Some((Fault::Overloaded, None));
        }
        let prefill = here.prefill.map_or(Duration::ZERO, |rate| reading(asking.prompt, rate));
        let ttft = (here.ttft + prefill).mul_f64(spread(dice)) + slower;
        let lasts =
            here.pace.saturating_mul(u32::try_from(asking.tokens.saturating_sub(1)).unwrap_or(u32::MAX));
        let speaks = |ending| Answer::Speaks { ttft, pace: here.pace, lasts, ending };
        let Some((fault, retry_after)) = fault else { return speaks(Ending::Whole) };
        let refuses = |after: Duration, stage: Stage| {
            let hint = RateHint { retry_after, ..RateHint::default() };
            Answer::Refuses { after, failure: Failure { fault, stage, hint } }
        };
        let broken = lasts.mul_f64(BROKEN_AT);
        match fault {
            Fault::Dns | Fault::Connect | Fault::Tls => refuses(TRIP, Stage::NotSent),
            Fault::ConnectTimeout => Answer::Unreachable,
            Fault::HeadersTimeout => Answer::Silent,
            Fault::FirstEventTimeout => Answer::HeadersOnly,
            Fault::Reset | Fault::NotProcessed => refuses(TRIP, Stage::Waiting),
            Fault::Truncated => refuses(ttft, Stage::Headers),
            Fault::StreamError | Fault::StreamCut => speaks(Ending::Breaks { after: broken, fault }),
            Fault::StreamStalled => speaks(Ending::Stalls { after: broken }),
            Fault::BadRequest
            | Fault::ContextOverflow
            | Fault::ContentPolicy
            | Fault::ForeignReasoning
            | Fault::Throttled
            | Fault::QuotaExhausted
            | Fault::AuthRefused
            | Fault::ModelMissing
            | Fault::Protocol
            | Fault::BadGateway
            | Fault::ServerError
            | Fault::Overloaded
            | Fault::Busy
            | Fault::Cancelled
            | Fault::PoolFull
            | Fault::DeadlineExceeded
            | Fault::Starved
            | Fault::Unsayable => refuses(TRIP, Stage::Headers),
        }
    }

    /// What becomes of a probe that is sent now: how long it takes, and its failure if it fails. A probe asks
    /// whether the host is there, so only what befalls the whole host befalls it.
    pub fn probe(
        &self,
        place: usize,
        now: Tick,
        timeout: Duration,
        dice: &mut Dice,
    ) -> (Duration, Option<Fault>) {
        for outage in self.active(place, now) {
            let Some(fault) = outage.fault else { continue };
            let whole = outage.model.is_none() && outage.key.is_none();
            let of_host = fault.scope() == Scope::Transport && fault != Fault::NotProcessed;
            if whole && of_host && dice.chance(outage.share) {
                let after = if fault == Fault::ConnectTimeout { timeout } else { TRIP };
                return (after.min(timeout), Some(fault));
            }
        }
        (TRIP.min(timeout), None)
    }

    /// Whether this key is refused now.
    pub fn refuses_key(&self, place: usize, credential: &str, now: Tick) -> bool {
        let walls = Walls::default();
        let asking = Asking { model: "", credential: Some(credential), prompt: 0, tokens: 0, walls };
        self.active(place, now).any(|outage| {
            outage.fault == Some(Fault::AuthRefused) && outage.model.is_none() && befalls(outage, &asking)
        })
    }

    pub fn begins_work(&mut self, place: usize) {
        self.places[place].busy += 1;
    }

    pub fn ends_work(&mut self, place: usize) {
        self.places[place].busy = self.places[place].busy.saturating_sub(1);
    }

    fn active(&self, place: usize, now: Tick) -> impl Iterator<Item = &Outage> {
        let about = self.places[place].outages.iter();
        about.map(|&index| &self.outages[index]).filter(move |outage| is_on(outage, now))
    }
}

/// How many tokens of a prompt this upstream reads in a second. Simulated ones have no model that would read.
pub fn prefill(upstream: &config::Upstream) -> Option<u32> {
    let at_home = match upstream.provider.base {
        Base::At(url) | Base::Like(url) => url.contains("127.0.0.1"),
        Base::InRegion(_) => false,
        Base::Made => return None,
    };
    Some(if at_home { PREFILL_AT_HOME } else { PREFILL })
}

/// How long it takes to read a prompt.
pub fn reading(tokens: u64, rate: u32) -> Duration {
    Duration::from_secs_f64(tokens as f64 / f64::from(rate.max(1)))
}

/// What the gateway understands of the wait that an upstream asks for. A date is written by one clock and read by
/// another.
fn retry_after(outage: &Outage, walls: Walls) -> Option<Duration> {
    let wait = outage.retry_after?;
    match outage.form {
        Form::Seconds => Some(wait),
        Form::Date => {
            let date = dated(walls.theirs + wait + Duration::from_millis(999));
            let value = date.parse().ok()?;
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
            classify::asked_wait(429, &headers, walls.ours)
        }
    }
}

/// A moment to the second: `2026-11-21T08:00:00Z`.
fn dated(at: Duration) -> String {
    let stamp = Stamp::at(at).to_string();
    let part = |range: Range<usize>| stamp.get(range).unwrap_or_default();
    let (day, time) = ([part(0..4), part(4..6), part(6..8)], [part(9..11), part(11..13), part(13..15)]);
    format!("{}T{}Z", day.join("-"), time.join(":"))
}

/// Whether the outage is under way, and not in one of its pauses.
fn is_on(outage: &Outage, now: Tick) -> bool {
    let at = now.since(Tick::ZERO);
    if !(outage.from..outage.to).contains(&at) {
        return false;
    }
    outage.flapping.is_none_or(|Flapping { down, up }| {
        let turn = (down + up).as_nanos().max(1);
        at.saturating_sub(outage.from).as_nanos() % turn < down.as_nanos()
    })
}

fn befalls(outage: &Outage, asking: &Asking<'_>) -> bool {
    let of_model = outage.model.as_deref().is_none_or(|model| model == asking.model);
    of_model && outage.is_of_key(asking.credential)
}

fn latency(outage: &Outage, now: Tick) -> Duration {
    match outage.onset {
        Onset::Sudden => outage.latency,
        Onset::Creeping => {
            let gone = now.since(Tick::ZERO).saturating_sub(outage.from).as_secs_f64();
            let whole = outage.to.saturating_sub(outage.from).as_secs_f64();
            outage.latency.mul_f64(gone / whole)
        }
    }
}

/// A factor round 1, spread like the logarithm of a bell (Box and Muller).
fn spread(dice: &mut Dice) -> f64 {
    let radius = (-2.0 * (1.0 - dice.unit()).ln()).sqrt();
    (SPREAD * radius * (TAU * dice.unit()).cos()).exp()
}

#[cfg(test)]
mod tests;
