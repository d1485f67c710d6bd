//! What goes on beside the requests: probes, synthetic trials and rechecks of keys, with the periods and
//! by the rules of `server::{prober, rescue, recheck}`. Recovery hangs on them.

use std::sync::Arc;

use super::weather::Weather;
use crate::algo::breaker::{self, Signal};
use crate::algo::cooldown::Recheck;
use crate::algo::dice::Dice;
use crate::algo::health::{self, Verdict};
use crate::algo::tick::Tick;
use crate::config::ProbeKind;
use crate::state::Live;
use crate::state::table::Table;
use crate::state::upstream::{Memory, Upstream};
use crate::vocab::Fault;

/// All watches of a rehearsal. They are numbered and never forgotten, so that whatever is still to
/// happen to one that ended finds that it has.
#[derive(Default)]
pub struct Watches {
    watches: Vec<Watch>,
    /// Probes and trials under way.
    pub busy: u32,
}

struct Watch {
    upstream: Arc<Upstream>,
    memory: Arc<Memory>,
    place: usize,
    /// Part of the table in force.
    follows: Follows,
    trying: Option<Trial>,
    /// Says which of the moments that were planned for the next probe is the one that holds.
    plan: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    permit: breaker::Permit,
    begun: Tick,
}

/// A moment at which a watch wants to be called, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub at: Tick,
    pub watch: usize,
    pub what: What,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Send a probe, if this plan still holds.
    Probe { plan: u32 },
    /// A probe's answer.
    Probed { begun: Tick, fault: Option<Fault> },
    /// A synthetic trial's answer.
    Tried { fault: Option<Fault> },
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    Passed,
    Failed,
}

impl Watches {
    /// Goes over to `table`. What was watched before, and is the same at heart, is probed when it would
    /// have been.
    pub fn follow(&mut self, table: &Table, places: &[usize], live: &Live) -> Vec<Call> {
        let mut calls = Vec::new();
        for watch in &mut self.watches {
            watch.follows = Follows::No;
        }
        for (upstream, &place) in table.upstreams.iter().zip(places) {
            if !upstream.is_configured() {
                continue;
            }
            let same = |watch: &Watch| Arc::ptr_eq(&watch.memory, &upstream.memory);
            let found = self.watches.iter().position(same);
            let index = found.unwrap_or(self.watches.len());
            match found {
                Some(index) => {
                    let watch = &mut self.watches[index];
                    watch.upstream = Arc::clone(upstream);
                    watch.follows = Follows::Yes;
                }
                None => self.watches.push(Watch {
                    upstream: Arc::clone(upstream),
                    memory: Arc::clone(&upstream.memory),
                    place,
                    follows: Follows::Yes,
                    trying: None,
                    plan: 0,
                }),
            }
            let is_planned = found.is_some_and(|index| self.watches[index].plan > 0);
            if upstream.config.probe.kind != ProbeKind::Off && !is_planned {
                let gap = upstream.memory.health.lock().initial_gap(&mut live.dice());
                calls.push(self.planned(index, live.now() + gap));
            }
        }
        calls
    }

    fn planned(&mut self, index: usize, at: Tick) -> Call {
        let watch = &mut self.watches[index];
        watch.plan += 1;
        Call { at, watch: index, what: What::Probe { plan: watch.plan } }
    }

    /// Takes in what a call is for; the next one goes to `calls`.
    pub fn call(
        &mut self,
        call: Call,
        weather: &Weather,
        live: &Live,
        dice: &mut Dice,
        slots: u32,
        calls: &mut Vec<Call>,
    ) -> Heard {
        let now = live.now();
        let (index, watch) = (call.watch, &mut self.watches[call.watch]);
        let upstream = Arc::clone(&watch.upstream);
        match call.what {
            What::Probe { plan } => {
                let is_off = upstream.config.probe.kind == ProbeKind::Off;
                if plan != watch.plan {
                    return Heard::Nothing;
                }
                if watch.follows == Follows::No || is_off {
                    // Should it be watched again, that begins anew.
                    watch.plan = 0;
                    return Heard::Nothing;
                }
                if upstream.needs_no_probe(now) {
                    upstream.handles.probe_skipped.increment(1);
                    let gap = upstream.next_probe(now, &mut live.dice());
                    calls.push(self.planned(index, now + gap));
                } else if self.busy >= slots {
                    // Waits for one of those under way.
                    calls.push(Call { at: now + BUSY, ..call });
                } else {
                    self.busy += 1;
                    let timeout = upstream.config.probe.settings.timeout;
                    let (after, fault) = weather.probe(watch.place, now, timeout, dice);
                    let what = What::Probed { begun: now, fault };
                    calls.push(Call { at: now + after, watch: index, what });
                }
                Heard::Nothing
            }
            What::Probed { begun, fault } => {
                self.busy -= 1;
                let heard = match fault {
                    None => {
                        upstream.probed(Verdict::Pass, now);
                        Heard::Passed
                    }
                    Some(fault) if proves_nothing(fault, live, begun) => Heard::Nothing,
                    Some(_) => {
                        upstream.probed(Verdict::Fail, now);
                        Heard::Failed
                    }
                };
                let gap = upstream.next_probe(now, &mut live.dice());
                calls.push(self.planned(index, now + gap));
                heard
            }
            What::Tried { fault } => {
                self.busy -= 1;
                let Some(Trial { permit, begun }) = watch.trying.take() else { return Heard::Nothing };
                let (signal, heard) = match fault {
                    None => (Signal::Success, Heard::Passed),
                    Some(fault) if proves_nothing(fault, live, begun) => (Signal::Neutral, Heard::Nothing),
                    Some(_) => (Signal::Failure, Heard::Failed),
                };
                let settled = watch.memory.gate.settle(permit, signal, begun, now, &mut live.dice());
                upstream.note(None, settled.transition, now);
                heard
            }
        }
    }

    /// Begins the synthetic trials that are due.
    pub fn rescue(&mut self, weather: &Weather, live: &Live, dice: &mut Dice, slots: u32) -> Vec<Call> {
        let now = live.now();
        let mut calls = Vec::new();
        for (index, watch) in self.watches.iter_mut().enumerate() {
            let wanted = watch.follows == Follows::Yes
                && watch.trying.is_none()
                && self.busy < slots
                && watch.memory.gate.wants_probe(now)
                && watch.memory.health() != health::State::Down;
            if !wanted {
                continue;
            }
            match watch.memory.gate.admit_probe(now, &mut live.dice()) {
                Err(refused) => watch.upstream.note(None, refused.transition, now),
                Ok((permit, transition)) => {
                    watch.upstream.note(None, transition, now);
                    watch.trying = Some(Trial { permit, begun: now });
                    self.busy += 1;
                    let timeout = watch.upstream.config.probe.settings.timeout;
                    let (after, fault) = weather.probe(watch.place, now, timeout, dice);
                    calls.push(Call { at: now + after, watch: index, what: What::Tried { fault } });
                }
            }
        }
        calls
    }

    /// Asks whether refused keys are accepted again, where that is due.
    pub fn recheck(&self, weather: &Weather, live: &Live) {
        let now = live.now();
        for watch in self.watches.iter().filter(|watch| watch.follows == Follows::Yes) {
            for key in &watch.upstream.credentials {
                let answer = if weather.refuses_key(watch.place, &key.alias, now) {
                    Recheck::Refused
                } else {
                    Recheck::Accepted
                };
                for cell in [&key.own, &key.quota] {
                    if cell.wants_recheck(now) {
                        cell.rechecked(answer, now, &mut live.dice());
                    }
                }
            }
        }
    }

    pub fn name(&self, watch: usize) -> &str {
        &self.watches[watch].memory.name
    }
}

/// How soon a probe that found no slot looks again.
const BUSY: std::time::Duration = std::time::Duration::from_millis(100);

/// Whether a failed probe says more about this machine than about the upstream.
fn proves_nothing(fault: Fault, live: &Live, begun: Tick) -> bool {
    matches!(fault, Fault::HeadersTimeout | Fault::ConnectTimeout | Fault::Tls) && live.starved_since(begun)
}
