//! The control of one simulated upstream: its rules, switchable at any moment, and what it has seen.
//!
//! Nothing here awaits. A change is in force when the call returns: a `refuse` rule has closed the
//! listener by then, and clearing it has opened the listener again.

use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::continued::Habit;
use super::door::Door;
use super::rule::{Fault, Often, ResetAt, Rule};
use super::seen::{Outcome, Ring, Seen};
use crate::algo::dice::Dice;

/// How many characters of a credential are remembered and compared.
const TAIL: usize = 4;

#[derive(Debug)]
pub struct Control {
    started: Instant,
    seed: u64,
    capacity: Option<u32>,
    door: Option<Door>,
    rules: Mutex<Active>,
    habit: Mutex<Habit>,
    memory: Mutex<Memory>,
    /// Every change makes all open connections end.
    evict: watch::Sender<()>,
}

/// What has happened so far, and what is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    pub connections: u64,
    pub connections_open: u64,
    pub arrived: u64,
    pub in_flight: u64,
    pub completed: u64,
    pub aborted: u64,
    pub faulted: u64,
}

#[derive(Debug)]
struct Active {
    dice: Dice,
    rules: Vec<(Rule, u32)>,
}

#[derive(Debug, Default)]
struct Memory {
    counts: Counts,
    ring: Ring,
}

/// What of a request decides whether a rule matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks<'a> {
    pub(super) model: Option<&'a str>,
    pub(super) credential_tail: Option<&'a str>,
    pub(super) path: &'a str,
}

/// The point in a request's life at which rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Head,
    Body,
}

impl Control {
    pub(super) fn new(seed: u64, capacity: Option<u32>, door: Option<Door>) -> Self {
        let (evict, _) = watch::channel(());
        Self {
            started: now(),
            seed,
            capacity,
            door,
            rules: Mutex::new(Active { dice: Dice::seeded(seed), rules: Vec::new() }),
            habit: Mutex::default(),
            memory: Mutex::default(),
            evict,
        }
    }

    /// Put these rules in force instead of all others. Counters and dice start anew.
    pub fn set(&self, rules: Vec<Rule>) {
        let refuse = refuses(&rules);
        let rules = rules.into_iter().map(|rule| (rule, 0)).collect();
        // Held to the end, so that two calls at once leave rules and listener in agreement.
        let mut active = self.rules.lock();
        *active = Active { dice: Dice::seeded(self.seed), rules };
        match (refuse, &self.door) {
            (true, door) => {
                door.iter().for_each(Door::shut);
                self.evict.send_replace(());
            }
            (false, door) => door.iter().for_each(Door::open),
        }
    }

    /// Be well again.
    pub fn clear(&self) {
        self.set(Vec::new());
    }

    /// How the model takes being asked to go on, from now on.
    pub fn behave(&self, habit: Habit) {
        *self.habit.lock() = habit;
    }

    pub(super) fn habit(&self) -> Habit {
        *self.habit.lock()
    }

    pub fn rules(&self) -> Vec<Rule> {
        self.rules.lock().rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// Whether connecting is refused at present.
    pub fn refusing(&self) -> bool {
        self.rules.lock().rules.iter().any(|(rule, _)| rule.fault == Fault::Refuse)
    }

    /// The last 10,000 requests in the order in which they arrived.
    pub fn seen(&self) -> Vec<Seen> {
        self.memory.lock().ring.list()
    }

    /// Forget the requests seen so far. Counts and serial numbers go on.
    pub fn forget(&self) {
        self.memory.lock().ring.clear();
    }

    pub fn counts(&self) -> Counts {
        self.memory.lock().counts
    }

    pub(super) fn door(&self) -> Option<&Door> {
        self.door.as_ref()
    }

    pub(super) fn evictions(&self) -> watch::Receiver<()> {
        self.evict.subscribe()
    }

    pub(super) fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.started)
    }

    /// What the rules want for a request; counts it against `every` and `first`.
    pub(super) fn decide(&self, marks: Marks<'_>, moment: Moment) -> Option<Fault> {
        let mut active = self.rules.lock();
        let Active { dice, rules } = &mut *active;
        let mut hit = |(rule, matched): &mut (Rule, u32)| {
            if moment_of(&rule.fault) != Some(moment) || !matches(rule, marks) {
                return false;
            }
            *matched = matched.saturating_add(1);
            match rule.often {
                Often::Always => true,
                Often::Share(share) => dice.chance(share),
                Often::Every(n) => *matched % n == 0,
                Often::First(n) => *matched <= n,
            }
        };
        rules.iter_mut().find_map(|entry| hit(entry).then(|| entry.0.fault.clone()))
    }

    pub(super) fn connected(&self) -> u64 {
        let counts = &mut self.memory.lock().counts;
        counts.connections += 1;
        counts.connections_open += 1;
        counts.connections
    }

    pub(super) fn disconnected(&self) {
        let counts = &mut self.memory.lock().counts;
        counts.connections_open = counts.connections_open.saturating_sub(1);
    }

    /// Remember an arrival; `seen.serial` is set here and returned.
    pub(super) fn arrived(&self, mut seen: Seen) -> u64 {
        let memory = &mut *self.memory.lock();
        memory.counts.arrived += 1;
        memory.counts.in_flight += 1;
        seen.serial = memory.counts.arrived;
        memory.ring.push(seen);
        memory.counts.arrived
    }

    /// More requests are in flight than the upstream has capacity for.
    pub(super) fn over_capacity(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.memory.lock().counts.in_flight > u64::from(capacity))
    }

    /// Fill in what became known of a request after its head.
    pub(super) fn note(&self, serial: u64, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.memory.lock().ring.entry(serial) {
            change(seen);
        }
    }

    /// A request has ended.
    pub(super) fn settled(&self, serial: u64, outcome: Outcome) {
        let memory = &mut *self.memory.lock();
        memory.counts.in_flight = memory.counts.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Open => {}
            Outcome::Completed => memory.counts.completed += 1,
            Outcome::Aborted { .. } => memory.counts.aborted += 1,
            Outcome::Faulted(_) => memory.counts.faulted += 1,
        }
        if let Some(seen) = memory.ring.entry(serial) {
            seen.outcome = outcome;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "plays another machine, which has its own clock")]
fn now() -> Instant {
    Instant::now()
}

fn refuses(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| rule.fault == Fault::Refuse)
}

/// When a fault is decided; `None` for what happens before there is a request.
fn moment_of(fault: &Fault) -> Option<Moment> {
    match fault {
        Fault::Refuse => None,
        Fault::Reset { at: ResetAt::Head } => Some(Moment::Head),
        _ => Some(Moment::Body),
    }
}

fn matches(rule: &Rule, marks: Marks<'_>) -> bool {
    let when = &rule.when;
    let model = when.model.as_deref().is_none_or(|model| marks.model == Some(model));
    let path = when.path_prefix.as_deref().is_none_or(|prefix| marks.path.starts_with(prefix));
    let credential = when
        .credential_tail
        .as_deref()
        .is_none_or(|wanted| marks.credential_tail.is_some_and(|tail| tail.ends_with(tail_of(wanted))));
    model && path && credential
}

/// The last characters of a credential.
pub(super) fn tail_of(credential: &str) -> &str {
    let start = credential.char_indices().rev().nth(TAIL - 1).map_or(0, |(index, _)| index);
    credential.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn control(rules: Vec<Rule>) -> Control {
        let control = Control::new(7, None, None);
        control.set(rules);
        control
    }

    fn marks<'a>(model: &'a str, credential_tail: &'a str) -> Marks<'a> {
        Marks { model: Some(model), credential_tail: Some(credential_tail), path: "/v1/chat/completions" }
    }

    /// Ask for `n` equal requests: `x` where a rule hits, `.` where none does.
    fn pattern(control: &Control, n: u32) -> String {
        let ask = |_| if control.decide(marks("m", "a1b2"), Moment::Body).is_some() { 'x' } else { '.' };
        (0..n).map(ask).collect()
    }

    #[test]
    fn every_first_and_always_hit_exactly_their_turns() {
        assert_eq!(pattern(&control(vec![Rule::new(Fault::Hang).every(3)]), 7), "..x..x.");
        assert_eq!(pattern(&control(vec![Rule::new(Fault::Hang).first(2)]), 5), "xx...");
        assert_eq!(pattern(&control(vec![Rule::new(Fault::Hang)]), 3), "xxx");
        assert_eq!(pattern(&control(Vec::new()), 3), "...");
    }

    #[test]
    fn shares_are_met_and_repeat_from_the_seed() {
        let run = || pattern(&control(vec![Rule::new(Fault::Hang).share(0.3)]), 10_000);
        let hits = run().matches('x').count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        assert_eq!(run(), run());
        assert_eq!(pattern(&control(vec![Rule::new(Fault::Hang).share(0.0)]), 5), ".....");
        assert_eq!(pattern(&control(vec![Rule::new(Fault::Hang).share(1.0)]), 5), "xxxxx");
    }

    #[test]
    fn rules_see_only_the_requests_that_they_are_about() {
        let control = control(vec![
            Rule::new(Fault::Hang).model("x"),
            Rule::new(Fault::QuotaExhausted).credential("sk-long-a1b2"),
            Rule::new(Fault::EmptyStream).path("/v1/embed"),
        ]);
        let decide = |marks| control.decide(marks, Moment::Body);
        assert_eq!(decide(marks("x", "0000")), Some(Fault::Hang));
        assert_eq!(decide(marks("y", "a1b2")), Some(Fault::QuotaExhausted));
        assert_eq!(decide(marks("y", "0000")), None);
        let bare = Marks { model: None, credential_tail: None, path: "/v1/embeddings" };
        assert_eq!(decide(bare), Some(Fault::EmptyStream));
        assert_eq!(control.decide(marks("x", "a1b2"), Moment::Head), None);
    }

    #[test]
    fn the_first_rule_whose_turn_it_is_decides() {
        let status = |code| Fault::status(StatusCode::from_u16(code).unwrap());
        let control = control(vec![Rule::new(status(500)).every(2), Rule::new(status(503))]);
        let asked: Vec<_> = (0..4).map(|_| control.decide(marks("m", "a1b2"), Moment::Body)).collect();
        assert_eq!(asked, [503, 500, 503, 500].map(|code| Some(status(code))));
    }

    #[test]
    fn only_the_tail_of_a_credential_is_kept() {
        assert_eq!(tail_of("sk-secret-a1b2"), "a1b2");
        assert_eq!(tail_of("abc"), "abc");
        assert_eq!(tail_of(""), "");
        assert_eq!(tail_of("schlüssel-äöüß"), "äöüß");
    }
}
