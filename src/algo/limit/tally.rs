//! All that one subject has used, and whether more may be.
//!
//! A request is *booked* with an estimate of its tokens, and *settled* when its end tells how many they were: less
//! than that is given back to the time at which it was booked, more is added to the time at which it is known. So
//! tokens exceed their limit by what requests under way turn out to take beyond their estimates, and by nothing else.

use super::{Allowance, Measure, Unit, Window};
use crate::algo::tick::Tick;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    windows: Windows,
    in_flight: u32,
    /// How often `in_flight` has changed.
    turn: u64,
}

/// Those that are limited at all; the others are never made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Windows {
    rpm: Option<Window>,
    rpd: Option<Window>,
    tpm: Option<Window>,
    tpd: Option<Window>,
}

/// Why a request is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    pub unit: Unit,
    pub limit: u64,
    pub when: When,
}

/// When it would be granted, if nobody else came; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// As soon as another request ends.
    Freed,
    At(Tick),
    /// It takes more than the limit.
    Never,
}

/// What was counted of a request before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    pub tokens: u64,
    pub at: Tick,
}

/// What a request has used in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Nothing: it never got to anybody.
    Nothing,
    /// Itself, and so many tokens.
    Tokens(u64),
    /// Itself, and what was estimated, for nobody has said more.
    Estimate,
}

/// How much of a limit is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    pub unit: Unit,
    pub limit: u64,
    pub used: u64,
    /// When all of it is there again, if nothing more is used.
    pub whole_at: Tick,
}

impl Windows {
    /// `None` for what is no matter of time.
    fn of(&mut self, unit: Unit) -> Option<&mut Window> {
        let window = match unit {
            Unit::Rpm => &mut self.rpm,
            Unit::Rpd => &mut self.rpd,
            Unit::Tpm => &mut self.tpm,
            Unit::Tpd => &mut self.tpd,
            Unit::Concurrency => return None,
        };
        Some(window.get_or_insert_with(|| Window::new(unit.length())))
    }

    fn limited(&mut self, allowance: Allowance, mut each: impl FnMut(&mut Window, Measure)) {
        for unit in Unit::ALL.into_iter().filter(|unit| allowance.limit(*unit).is_some()) {
            if let Some(window) = self.of(unit) {
                each(window, unit.measure());
            }
        }
    }
}

impl Tally {
    /// Whether a request of so many tokens may come in; the unit that it has to wait for longest, if not. Nothing is
    /// counted.
    ///
    /// # Errors
    /// It may not.
    pub fn judge(&mut self, allowance: Allowance, tokens: u64, now: Tick) -> Result<(), Short> {
        let mut worst: Option<Short> = None;
        for unit in Unit::ALL {
            let Some(limit) = allowance.limit(unit) else { continue };
            let when = match self.windows.of(unit) {
                Some(window) => match window.fits_at(amount(unit, tokens), limit, now) {
                    Some(at) if at <= now => continue,
                    Some(at) => When::At(at),
                    None => When::Never,
                },
                None if u64::from(self.in_flight) < limit => continue,
                None => When::Freed,
            };
            if worst.is_none_or(|worst| worst.when < when) {
                worst = Some(Short { unit, limit, when });
            }
        }
        worst.map_or(Ok(()), Err)
    }

    /// A request has come in.
    pub fn enter(&mut self) {
        self.in_flight += 1;
        self.turn += 1;
    }

    /// It has ended.
    pub fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.turn += 1;
    }

    /// Counts a request that may come in.
    pub fn book(&mut self, allowance: Allowance, booked: Booked) {
        self.windows.limited(allowance, |window, measure| match measure {
            Measure::Requests => window.add(1, booked.at),
            Measure::Tokens => window.add(booked.tokens, booked.at),
            Measure::Presence => {}
        });
    }

    /// Counts what it has used instead of what was booked.
    pub fn settle(&mut self, allowance: Allowance, booked: Booked, spent: Spent, now: Tick) {
        let (requests, tokens) = corrections(booked, spent);
        self.windows.limited(allowance, |window, measure| {
            let correction = match measure {
                Measure::Requests => requests,
                Measure::Tokens => tokens,
                Measure::Presence => return,
            };
            if correction < 0 {
                window.give_back(correction.unsigned_abs(), booked.at, now);
            } else {
                window.add(correction.unsigned_abs(), now);
            }
        });
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many there are, with a number that grows whenever that changes.
    pub fn presence(&self) -> (u64, u32) {
        (self.turn, self.in_flight)
    }

    /// What is used of each limit, in the order of [`Unit::ALL`].
    pub fn used(&mut self, allowance: Allowance, now: Tick) -> impl Iterator<Item = Used> {
        Unit::ALL.into_iter().filter_map(move |unit| {
            let limit = allowance.limit(unit)?;
            let (used, whole_at) = match self.windows.of(unit) {
                Some(window) => window.standing(now),
                None => (self.in_flight.into(), now),
            };
            Some(Used { unit, limit, used, whole_at })
        })
    }

    /// Everything that counts of a unit, by when it was used, the oldest first.
    pub fn parts(&mut self, unit: Unit, now: Tick) -> Vec<(Tick, u64)> {
        self.windows.of(unit).map(|window| window.parts(now).collect()).unwrap_or_default()
    }

    /// As [`Tally::parts`], and forgets it.
    pub fn drain(&mut self, unit: Unit, now: Tick) -> Vec<(Tick, u64)> {
        self.windows.of(unit).map(|window| window.drain(now).collect()).unwrap_or_default()
    }

    /// Whether there is nothing to remember.
    pub fn is_idle(&mut self, now: Tick) -> bool {
        let Windows { rpm, rpd, tpm, tpd } = &mut self.windows;
        let mut windows = [rpm, rpd, tpm, tpd].into_iter().flatten();
        self.in_flight == 0 && windows.all(|window| window.used(now) == 0)
    }
}

/// What a request of so many tokens takes of a unit.
pub fn amount(unit: Unit, tokens: u64) -> u64 {
    match unit.measure() {
        Measure::Requests | Measure::Presence => 1,
        Measure::Tokens => tokens,
    }
}

/// What has to be added of requests and of tokens, so that what was booked becomes what was spent.
pub fn corrections(booked: Booked, spent: Spent) -> (i64, i64) {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    match spent {
        Spent::Nothing => (-1, -whole(booked.tokens)),
        Spent::Tokens(tokens) => (0, whole(tokens) - whole(booked.tokens)),
        Spent::Estimate => (0, 0),
    }
}
