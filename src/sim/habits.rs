//! How upstreams answered, as an access log has it: what a script says nothing of is measured there.
//!
//! Only answers that came at the first attempt tell how long an upstream takes; the others took part of their time
//! somewhere else.

use std::time::Duration;

use super::weather::{prefill, reading};
use crate::config::Blueprint;
use crate::config::rehearsal::log::{Logged, Outcome};
use crate::config::rehearsal::{Delivery, Habits, Script};

/// Fewer streams than this say nothing of an upstream.
const LEAST: usize = 20;
/// Shorter answers say nothing of their pace.
const LEAST_TOKENS: u64 = 10;

/// What was measured of one upstream.
#[derive(Default)]
struct Measured {
    ttfts: Vec<Duration>,
    paces: Vec<Duration>,
}

/// Fills in what `script` does not say of the upstreams of `blueprint`; the names of those that were measured.
pub fn learn(script: &mut Script, requests: &[Logged], blueprint: &Blueprint) -> Vec<String> {
    let mut learnt = Vec::new();
    for upstream in &blueprint.upstreams {
        let name = &*upstream.name;
        let known = script.habits.iter().find(|(known, _)| known == name);
        let known = known.map_or_else(Habits::default, |(_, habits)| *habits);
        let rate = known.prefill.or_else(|| prefill(upstream));
        let mut measured = Measured::default();
        for request in requests.iter().filter(|request| is_telling(request, name)) {
            measured.add(request, rate);
        }
        if measured.ttfts.len() < LEAST {
            continue;
        }
        let habits = Habits {
            ttft: known.ttft.or(middle(&mut measured.ttfts)),
            pace: known.pace.or(middle(&mut measured.paces)),
            ..known
        };
        script.habits.retain(|(other, _)| other != name);
        script.habits.push((name.to_owned(), habits));
        learnt.push(name.to_owned());
    }
    learnt
}

fn is_telling(request: &Logged, upstream: &str) -> bool {
    let of = request.channel.split_once('/').map_or(&*request.channel, |(name, _)| name);
    of == upstream
        && request.outcome == Outcome::Good
        && request.attempts == 1
        && request.call.delivery == Delivery::Stream
}

impl Measured {
    fn add(&mut self, request: &Logged, rate: Option<u32>) {
        let Some(ttft) = request.first_byte else { return };
        let read = rate.map_or(Duration::ZERO, |rate| reading(request.call.prompt_tokens, rate));
        self.ttfts.push(ttft.saturating_sub(read).max(Duration::from_millis(1)));
        if let Some(tokens) = request.output.filter(|tokens| *tokens >= LEAST_TOKENS) {
            self.paces.push(request.lasted.saturating_sub(ttft).div_f64((tokens - 1) as f64));
        }
    }
}

fn middle(of: &mut [Duration]) -> Option<Duration> {
    of.sort_unstable();
    of.get(of.len() / 2).copied()
}
