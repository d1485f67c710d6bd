//! From a rehearsal to its report, with what people should know beside it: for the command line and for the admin side
//! alike.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::claim::{Claim, Judgement};
use super::page::{Held, Judged};
use super::report::Report;
use super::seen::{Seen, Witness};
use super::setup::{Rehearsal, Unroutable};
use super::world::Unrouted;
use super::{Ledger, run, text, unmodelled};
use crate::algo::tick::Tick;
use crate::config::rehearsal::Script;
use crate::state::Table;

/// Kinds of requests without a route that are named.
const MOST_UNROUTED: usize = 5;

/// Ends a rehearsal from outside, between two of its events.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

/// Whoever waits for a report: when this is dropped, the rehearsal ends.
#[derive(Debug)]
pub struct Waiting(Stop);

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    #[error(transparent)]
    Unroutable(#[from] Unroutable),
    #[error("nobody waited for its end")]
    Stopped,
    /// An outage that never comes would make it look immune.
    #[error(
        "callers come for {} only, and an outage begins at {}; give it more time (`duration`)",
        text::time(*.lasts),
        text::time(*.begins)
    )]
    Missed { begins: Duration, lasts: Duration },
}

impl Stop {
    pub fn waiting(&self) -> Waiting {
        Waiting(self.clone())
    }

    fn is_said(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Relaxed);
    }
}

impl Rehearsal<'_> {
    /// Runs it. `name` is what the configuration is called, `remarks` takes what people should know of the run.
    ///
    /// # Errors
    /// Where the workload has no route, where an outage begins when nobody comes any more, and where `stop` was said.
    pub fn report(&self, name: &str, stop: &Stop, remarks: &mut Vec<String>) -> Result<Report, Untold> {
        if let Some(outage) = self.script.outages.iter().find(|outage| outage.from >= self.duration) {
            return Err(Untold::Missed { begins: outage.from, lasts: self.duration });
        }
        let ledger = Ledger::new(self.script, &self.blueprint.catalog);
        let mut awaited = Awaited { ledger, stop };
        let unrouted = run(self, &mut awaited)?;
        if stop.is_said() {
            return Err(Untold::Stopped);
        }
        remarks.extend(about_unrouted(name, &unrouted));
        let unmodelled = unmodelled::of(self.blueprint);
        Ok(Report { unmodelled, does_not_happen: self.does_not_happen(name), ..awaited.ledger.report(name) })
    }

    /// What is rehearsed, a line each.
    pub fn about(&self) -> Vec<String> {
        let mut about = vec![format!(
            "{} of {} requests a second, seed {}",
            text::time(self.duration),
            text::rate(self.workload.rate),
            self.seed
        )];
        about.extend(self.script.outages.iter().map(|outage| {
            let what = outage.fault.map_or("slower or narrower", |fault| fault.name()).replace('_', " ");
            format!(
                "{}: {what} from {} to {}",
                outage.befallen(self.blueprint),
                text::time(outage.from),
                text::time(outage.to)
            )
        }));
        about
    }

    /// Which outages befall nobody in this configuration, a line each: without a word, it would look immune.
    fn does_not_happen(&self, name: &str) -> Vec<String> {
        let Script { outages, .. } = self.script;
        let mut lines: Vec<String> = Vec::new();
        for lack in outages.iter().filter_map(|outage| outage.lacks(self.blueprint)) {
            let line = format!("{name} {lack}: what befalls it does not happen there");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

fn about_unrouted(name: &str, unrouted: &Unrouted) -> Option<String> {
    if unrouted.is_empty() {
        return None;
    }
    let shown: Vec<String> = unrouted.iter().map(|(what, count)| format!("{what} ({count})")).collect();
    let few = shown.get(..MOST_UNROUTED).unwrap_or(&shown).join(", ");
    let more = shown.len().saturating_sub(MOST_UNROUTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{name}: no route takes {few}{more}; these requests fail here"))
}

/// What became of each claim in each report, which is named where there are several.
pub fn judged(claims: &[Claim], reports: &[Report]) -> Vec<Judged> {
    let mut judged = Vec::new();
    for claim in claims {
        for report in reports {
            let place = if reports.len() > 1 { format!(" in {}", report.config) } else { String::new() };
            let (said, held) = match claim.judge(&report.totals) {
                Judgement::Holds { found } => (format!("holds{place}: {claim} ({found})"), Held::Yes),
                Judgement::Fails { found } => (format!("FAILS{place}: {claim} ({found})"), Held::No),
            };
            judged.push(Judged { config: report.config.clone(), said, held });
        }
    }
    judged
}

/// Keeps count for as long as somebody waits.
struct Awaited<'a> {
    ledger: Ledger<'a>,
    stop: &'a Stop,
}

impl Witness for Awaited<'_> {
    fn saw(&mut self, now: Tick, seen: &Seen<'_>) {
        self.ledger.saw(now, seen);
    }

    fn looked(&mut self, now: Tick, table: &Table) {
        self.ledger.looked(now, table);
    }

    fn goes_on(&self) -> bool {
        !self.stop.is_said()
    }

    fn closed(&mut self, now: Tick, tables: &[&Table]) {
        self.ledger.closed(now, tables);
    }
}
