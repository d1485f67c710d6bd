//! What somebody wants to see rehearsed, and what it came to.

use std::time::Duration;

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::rehearsal::{self, Script, Workload};
use crate::config::{self, Blueprint, Problem};
use crate::sim::claim::Claim;
use crate::sim::outages::{self, ReadyMade};
use crate::sim::report::Report;
use crate::sim::said::{Claimed, RehearsedReport};
use crate::sim::told::{Stop, judged};
use crate::sim::{Rehearsal, pretend_keys};

/// Longest time that callers come, in the rehearsal's own: reports have a row for each of its minutes.
const LONGEST: Duration = Duration::from_hours(24);
/// Most requests of one configuration; a server takes some three seconds for them.
const MOST_REQUESTS: f64 = 1_000_000.0;
/// Fewest and most requests a second, as on the command line.
const RATES: std::ops::RangeInclusive<f64> = 0.001..=100_000.0;
/// Ready-made outages of one rehearsal, and claims.
const MOST: usize = 100;

/// A rehearsal that is asked for. What is left out is as `mainstay simulate` has it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Ready-made ones, with whom they befall if that is not the upstream with most weight: `provider-down`,
    /// `storm=openai`, `out-of-quota=fate:rack`. They come beside those of the script.
    #[serde(default)]
    #[schemars(length(max = 100))]
    outages: Vec<String>,
    /// A script of outages, in YAML.
    script: Option<String>,
    /// What callers ask for, in YAML: each model that a route names, by turns, where nothing is said.
    workload: Option<String>,
    /// Requests a second, whatever the workload says.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    rate: Option<f64>,
    /// How long callers come: `90m`, at most `24h`. Otherwise until a quarter of an hour after the last outage.
    duration: Option<String>,
    /// What all chance follows from; the same one gives the same run.
    seed: Option<u64>,
    /// What should hold: `success >= 99.9%`.
    #[serde(default)]
    #[schemars(length(max = 100))]
    claims: Vec<String>,
    /// Another routing.yaml, rehearsed with the same callers and the same outages; `REDACTED-…` as in `GET /admin/config`.
    pub compare: Option<String>,
}

/// What it came to: what was rehearsed, and a report of each configuration.
#[derive(Serialize, JsonSchema)]
pub struct Came {
    about: Vec<String>,
    /// What people should know of the run.
    remarks: Vec<String>,
    claims: Vec<Claimed>,
    /// Of what is in force, and of the other configuration.
    reports: Vec<RehearsedReport>,
}

/// A configuration that is rehearsed.
pub struct Subject {
    name: &'static str,
    blueprint: Blueprint,
}

impl Subject {
    pub const fn of(name: &'static str, blueprint: Blueprint) -> Self {
        Self { name, blueprint }
    }

    /// Makes upstreams usable whose keys are not set; what to say of it.
    fn pretended(&mut self) -> Option<String> {
        let names = pretend_keys(&mut self.blueprint);
        let name = self.name;
        (!names.is_empty()).then(|| {
            format!("{name}: rehearsed as if the keys of {} were set; they are not", names.join(", "))
        })
    }
}

impl Wish {
    /// Rehearses it, for as long as nobody says `stop`. The first of `subjects` is whose upstreams are meant.
    ///
    /// # Errors
    /// Why it cannot be rehearsed.
    pub fn rehearsed(self, mut subjects: Vec<Subject>, stop: &Stop) -> Result<Bytes, Vec<Problem>> {
        let mut remarks: Vec<String> = subjects.iter_mut().filter_map(Subject::pretended).collect();
        let first =
            subjects.first().ok_or_else(|| alone("", "there is nothing to rehearse".to_owned(), ""))?;
        let workload = self.calls(&first.blueprint)?;
        let script = self.outages(first, &workload)?;
        let claims = self.claimed()?;
        let duration = self.lasting(&script, &workload)?;
        let mut about = Vec::new();
        let mut reports: Vec<Report> = Vec::new();
        for Subject { name, blueprint } in &subjects {
            let rehearsal = Rehearsal::of(blueprint, &script, &workload, duration, self.seed.unwrap_or(1));
            let report = rehearsal.report(name, stop, &mut remarks);
            reports.push(report.map_err(|why| alone("workload", format!("{name}: {why}"), ""))?);
            if about.is_empty() {
                about = rehearsal.about();
            }
        }
        let claims = judged(&claims, &reports).iter().map(Claimed::from).collect();
        let reports = reports.iter().map(RehearsedReport::from).collect();
        let came = serde_json::to_vec(&Came { about, remarks, claims, reports });
        Ok(came.expect("figures and names are JSON").into())
    }

    fn calls(&self, blueprint: &Blueprint) -> Result<Workload, Vec<Problem>> {
        let workload = match &self.workload {
            Some(text) => rehearsal::workload(text, "workload")?,
            None => outages::usual_workload(blueprint).ok_or_else(|| {
                let why = "no route of what is in force names a model".to_owned();
                alone("workload", why, "say what callers ask for")
            })?,
        };
        match self.rate {
            None => Ok(workload),
            Some(rate) if RATES.contains(&rate) => Ok(Workload { rate, ..workload }),
            Some(rate) => {
                Err(alone("rate", format!("{rate} is not allowed"), "use 0.001 to 100000 requests a second"))
            }
        }
    }

    fn outages(&self, subject: &Subject, workload: &Workload) -> Result<Script, Vec<Problem>> {
        let Subject { name, blueprint } = subject;
        if self.outages.len() > MOST {
            return Err(alone("outages", format!("there are {}", self.outages.len()), "100 are the most"));
        }
        let mut script = match &self.script {
            Some(text) => rehearsal::script(text, "script", blueprint)?,
            None => Script::default(),
        };
        for (at, said) in self.outages.iter().enumerate() {
            let ready: Result<ReadyMade, String> = said.parse();
            let outage = ready.and_then(|ready| ready.outage(blueprint, workload, name));
            script.outages.push(outage.map_err(|why| alone(&format!("outages[{at}]"), why, ""))?);
        }
        Ok(script)
    }

    fn claimed(&self) -> Result<Vec<Claim>, Vec<Problem>> {
        if self.claims.len() > MOST {
            return Err(alone("claims", format!("there are {}", self.claims.len()), "100 are the most"));
        }
        let claims = self.claims.iter().enumerate();
        claims
            .map(|(at, said)| said.parse().map_err(|why: String| alone(&format!("claims[{at}]"), why, "")))
            .collect()
    }

    fn lasting(&self, script: &Script, workload: &Workload) -> Result<Duration, Vec<Problem>> {
        let said = self.duration.as_deref().map(config::duration).transpose();
        let said = said.map_err(|why| alone("duration", why, ""))?;
        let duration = said.unwrap_or_else(|| outages::usual_duration(script));
        if duration.is_zero() {
            return Err(alone("duration", "nobody would come".to_owned(), "use at least a second"));
        }
        if duration > LONGEST {
            let why = format!("{} h are not allowed", duration.as_secs() / 3600);
            return Err(alone("duration", why, "24h are the most; `mainstay simulate` has no bound"));
        }
        let requests = workload.rate * duration.as_secs_f64();
        if requests > MOST_REQUESTS {
            let why = format!("these would be some {requests:.0} requests, and {MOST_REQUESTS} are the most");
            let hint = "take a lower `rate` or a shorter `duration`; `mainstay simulate` has no bound";
            return Err(alone("duration", why, hint));
        }
        Ok(duration)
    }
}

/// One thing that is wrong, and nothing else; `hint` may be empty.
fn alone(path: &str, message: String, hint: &str) -> Vec<Problem> {
    let problem = Problem::error(path, message);
    vec![if hint.is_empty() { problem } else { problem.hinted(hint) }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_ends_where_it_is_said_to_end() {
        let check = |rate: f64, duration: &str, expected: Result<u64, &str>| {
            let wish = serde_json::json!({ "rate": rate, "duration": duration });
            let wish: Wish = serde_json::from_value(wish).expect("a wish");
            let workload = Workload::of(rate, Vec::new());
            let found = wish.lasting(&Script::default(), &workload).map(|duration| duration.as_secs());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(problems), Err(word)) => {
                    assert_eq!(problems.len(), 1);
                    assert!(problems[0].render("").contains(word), "{}", problems[0].render(""));
                }
                (found, _) => panic!("{rate} {duration}: {found:?}"),
            }
        };
        check(0.001, "24h", Ok(86_400));
        check(0.001, "86401s", Err("24h are the most"));
        check(100.0, "10000s", Ok(10_000));
        check(100.0, "10001s", Err("1000000 are the most"));
        check(100_000.0, "1s", Ok(1));
        check(1.0, "0s", Err("nobody would come"));
    }
}
