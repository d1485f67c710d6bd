//! `mainstay simulate`: reads what is to be rehearsed, has it rehearsed, and shows what it came to.

use std::fmt::Write;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Process;
use crate::config::rehearsal::log::{AccessLog, Cut, Moment, Replay};
use crate::config::rehearsal::{self, Script, Workload};
use crate::config::{Blueprint, Problem};
use crate::server::loader::{Loader, Source};
use crate::sim::claim::Claim;
use crate::sim::outages::{self, ReadyMade};
use crate::sim::page::{self, Head, Held};
use crate::sim::report::Report;
use crate::sim::said::{Claimed, RehearsedReport};
use crate::sim::told::{Stop, judged};
use crate::sim::{self, Rehearsal, habits, text};

/// What to rehearse, as the command line says it.
#[derive(clap::Args, Clone, Debug)]
pub struct Simulate {
    /// A ready-made outage: of an upstream (of the one with most weight where nobody is named), or of all upstreams
    /// of a provider (`storm=provider:openai`) or of a fate group (`storm=fate:rack`); several may be given
    #[arg(long, value_name = "NAME[=WHOM]")]
    outage: Vec<ReadyMade>,
    /// A script of outages
    #[arg(long, value_name = "FILE")]
    outage_file: Option<PathBuf>,
    /// Requests a second, a file that says what callers ask for, or an access log of ours to be replayed [default:
    /// 20, by turns for every model that a route names]
    #[arg(long, value_name = "RATE|FILE|LOG")]
    workload: Option<String>,
    /// Of the log only what came from then on: a time, or how long after its begin
    #[arg(long, value_name = "TIME|DURATION")]
    from: Option<Moment>,
    /// Of the log only what came before
    #[arg(long, value_name = "TIME|DURATION")]
    to: Option<Moment>,
    /// How many times as fast the log's requests come
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    speed: Option<f64>,
    /// How many requests come for one of the log
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    scale: Option<f64>,
    /// Begin the log again when it is over, as long as callers are to come
    #[arg(long = "loop")]
    again: bool,
    /// How long callers come [default: 15m after the last outage, or 10m; as long as the log]
    #[arg(long, value_parser = crate::config::duration)]
    duration: Option<Duration>,
    /// What all chance follows from; the same one gives the same run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the report as a page for browsers
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Rehearse this routing file as well, with the same callers and what of the outages can befall it: the report
    /// says what cannot
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Exit 1 unless this holds: `success >= 99.9%`; metrics are success, p50_ttft, p99_ttft, amplification,
    /// cost and recovery (from the end of an outage until its upstream has its share again); several may be given.
    /// With --compare, both files are held to each of them
    #[arg(long, value_name = "CLAIM")]
    assert: Vec<Claim>,
}

/// What is said at the end of `mainstay simulate --help`.
pub const HELP: &str = "\
Ready-made outages:
  provider-down  refuses every connection from minute 5 for 4 hours
  storm          answers 529 for 3 s of every 30 s, from minute 5 for 30 minutes
  out-of-quota   its first key is out of quota from minute 5 for an hour
  slow-creep     its first token comes later and later, up to 30 s, from minute 5 for 30 minutes
  flapping       refuses connections for 20 s of every 60 s, from minute 5 for 30 minutes

A script of outages (YAML; times count from the start):
  upstreams:                    # how they answer when all is well; none of it is needed
    openai: {ttft: 500ms, pace: 15ms, prefill_tokens_per_second: 10000, capacity: 200}
  outages:
    - {upstream: openai, from: 5m, to: 20m, fault: overloaded, share: 0.6, retry_after: 2s, dated: true}
    - {upstream: openai, from: 30m, to: 40m, fault: connect, flapping: {down: 20s, up: 40s}}
    - {upstream: anthropic, from: 5m, to: 1h, latency: 20s, creeping: true}
    - {upstream: anthropic, from: 5m, to: 1h, latency: 10s, share: 0.02}
    - {upstream: anthropic, from: 5m, to: 1h, capacity: 20}
    - {upstream: gemini, model: gemini-3.5-flash, key: 1, from: 5m, to: 1h, fault: quota_exhausted}
    - {provider: openai, from: 2h, to: 3h, fault: server_error, share: 0.5}
    - {fate: anthropic, from: 2h, to: 3h, fault: connect}
  Faults: dns, connect, connect_timeout, tls, reset, not_processed, protocol, bad_gateway, server_error,
  headers_timeout, first_event_timeout, truncated, overloaded, throttled, quota_exhausted, auth_refused,
  model_missing, stream_error, stream_cut, stream_stalled.
  An outage befalls one upstream, every upstream of a provider, or every one of a fate group: of what `fate:` says in
  the routing file, or else of the provider (openai), with its region where there is one (bedrock/eu-west-3).

A workload (YAML):
  rate: 20
  mix:
    - {model: smart, share: 3, prompt_tokens: 1000, answer_tokens: 300, stream: true, hang_up: 0.01}
    - {model: smart, key: nightly, priority: sheddable, dialect: anthropic}
    - {path: /echo/}

An access log is what the gateway writes to standard error, in JSON where that is no terminal: a line for each request,
without prompts. Its requests come at their own times;
callers who hung up do so again, and what was wrong with a request still is. Upstreams are as fast as the log says, where
the script does not say it.

With --compare both files are held to every assertion, and each verdict names its file: a claim that fails for either of
them fails. To hold one file to it, rehearse that file alone.

Exit codes: 0, 1 when an assertion fails, 2 when something cannot be read or used.";

/// By so many bytes a log is told from a workload.
const PEEKED: u64 = 64 * 1024;

/// What a rehearsal came to.
pub struct Outcome {
    /// For standard output.
    pub shown: String,
    /// For standard error.
    pub remarks: Vec<String>,
    pub verdict: Held,
}

/// A configuration that is rehearsed.
struct Subject {
    name: String,
    blueprint: Blueprint,
}

impl Simulate {
    /// Rehearses `source`.
    ///
    /// # Errors
    /// What is wrong with the input, for people.
    pub fn run(&self, source: Source) -> Result<Outcome, String> {
        let mut remarks = Vec::new();
        let subject = load(source, &mut remarks)?;
        let compared = self.compare.clone().map(|path| load(Source::at(path), &mut remarks)).transpose()?;
        let log = self.log(&mut remarks)?;
        let mut script = self.file_script(&subject)?;
        let replay = log.as_ref().map(|log| self.replay(log, &script)).transpose()?;
        let workload = match &replay {
            Some(replay) => replay.workload.clone(),
            None => self.workload(&subject)?,
        };
        self.add_ready_made(&mut script, &subject, &workload)?;
        let usual =
            || replay.as_ref().map_or_else(|| outages::usual_duration(&script), |replay| replay.lasts);
        let duration = self.duration.unwrap_or_else(usual);
        if duration.is_zero() {
            return Err("--duration 0s: nobody would come".to_owned());
        }
        if let Some(replay) = &replay
            && script.outages.iter().any(|outage| outage.to > replay.lasts)
        {
            let lasts = text::time(replay.lasts);
            remarks
                .push(format!("the log is over after {lasts}, before an outage is; --loop begins it again"));
        }
        let measured = match &log {
            Some(log) => habits::learn(&mut script, &log.requests, &subject.blueprint),
            None => Vec::new(),
        };
        let mut about = Vec::new();
        let mut reports = Vec::new();
        for Subject { name, blueprint } in std::iter::once(&subject).chain(&compared) {
            let rehearsal = Rehearsal::of(blueprint, &script, &workload, duration, self.seed);
            let report = rehearsal.report(name, &Stop::default(), &mut remarks);
            reports.push(report.map_err(|error| format!("{name}: {error}"))?);
            if about.is_empty() {
                about = rehearsal.about();
            }
        }
        if script.outages.is_empty() {
            about.push("nothing goes wrong; --outage and --outage-file change that".to_owned());
        }
        let mut head = Head { about, claims: judged(&self.assert, &reports) };
        if let Some(replay) = &replay {
            head.about.insert(1, self.about_log(replay, &measured));
        }
        if let Some(path) = &self.out {
            std::fs::write(path, page::render(&head, &reports))
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
            remarks.push(format!("the report is in {}", path.display()));
        }
        let failed = head.claims.iter().any(|judged| judged.held == Held::No);
        let shown = if self.json { as_json(&head, &reports) } else { as_text(&head, &reports) };
        Ok(Outcome { shown, remarks, verdict: if failed { Held::No } else { Held::Yes } })
    }

    /// The access log that is to be replayed, if it is one.
    fn log(&self, remarks: &mut Vec<String>) -> Result<Option<AccessLog>, String> {
        let log = match self.workload.as_deref().filter(|said| rate(said).is_none()) {
            Some(said) => open_log(said)?,
            None => None,
        };
        let only_for_logs = [
            ("--from", self.from.is_some()),
            ("--to", self.to.is_some()),
            ("--speed", self.speed.is_some()),
            ("--scale", self.scale.is_some()),
            ("--loop", self.again),
        ];
        let misplaced = only_for_logs.into_iter().find(|(_, given)| *given && log.is_none());
        if let Some((name, _)) = misplaced {
            return Err(format!("{name} is for an access log; name one with --workload"));
        }
        if let Some((AccessLog { unread, first_unread: Some((number, why)), .. }, name)) =
            log.as_ref().zip(self.workload.as_ref())
        {
            let lines = if *unread == 1 { "1 line is".to_owned() } else { format!("{unread} lines are") };
            remarks.push(format!("{name}: {lines} left out, the first of them {name}:{number}: {why}"));
        }
        Ok(log)
    }

    fn replay(&self, log: &AccessLog, script: &Script) -> Result<Replay, String> {
        let last = || self.outage.iter().map(ReadyMade::ends);
        let outages = script.outages.iter().map(|outage| outage.to).chain(last()).max();
        let usual = || outages.map_or(outages::QUIET, |end| end + outages::AFTERWARDS);
        let until = self.again.then(|| self.duration.unwrap_or_else(usual));
        let cut = Cut {
            from: self.from,
            to: self.to,
            speed: self.speed.unwrap_or(1.0),
            scale: self.scale.unwrap_or(1.0),
            until,
        };
        let name = self.workload.as_deref().unwrap_or_default();
        log.replay(&cut).map_err(|why| format!("{name}: {why}"))
    }

    fn about_log(&self, replay: &Replay, measured: &[String]) -> String {
        let name = self.workload.as_deref().unwrap_or_default();
        let success = replay.success.map_or_else(|| "unknown".to_owned(), text::percent);
        let mut about = format!(
            "{name}: {} requests at their own times; success was {success} when they were written down",
            replay.requests
        );
        if !measured.is_empty() {
            let _ = write!(about, "; it says how fast {} is", measured.join(", "));
        }
        about
    }

    fn workload(&self, subject: &Subject) -> Result<Workload, String> {
        let usual = || {
            outages::usual_workload(&subject.blueprint).ok_or_else(|| {
                format!(
                    "no route of {} names a model; say what callers ask for with --workload FILE",
                    subject.name
                )
            })
        };
        let Some(said) = &self.workload else { return usual() };
        match rate(said) {
            Some(rate) if (0.001..=100_000.0).contains(&rate) => Ok(Workload { rate, ..usual()? }),
            Some(_) => Err(format!("--workload {said}: use 0.001 to 100000 requests a second")),
            None => {
                let text = read(Path::new(said))?;
                rehearsal::workload(&text, said).map_err(|problems| shown(&problems))
            }
        }
    }

    fn file_script(&self, subject: &Subject) -> Result<Script, String> {
        let Some(path) = &self.outage_file else { return Ok(Script::default()) };
        let text = read(path)?;
        rehearsal::script(&text, &path.display().to_string(), &subject.blueprint)
            .map_err(|problems| shown(&problems))
    }

    fn add_ready_made(
        &self,
        script: &mut Script,
        subject: &Subject,
        workload: &Workload,
    ) -> Result<(), String> {
        for ready in &self.outage {
            let outage = ready.outage(&subject.blueprint, workload, &subject.name);
            script.outages.push(outage.map_err(|why| format!("--outage {why}"))?);
        }
        Ok(())
    }
}

/// Requests a second, if that is what is said.
fn rate(said: &str) -> Option<f64> {
    said.strip_suffix("/s").unwrap_or(said).parse().ok()
}

/// Reads a file that looks like an access log; `None` for one that does not.
fn open_log(path: &str) -> Result<Option<AccessLog>, String> {
    let unread = |error: std::io::Error| format!("{path} cannot be read: {error}");
    let mut begin = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(PEEKED).read_to_end(&mut begin).map_err(unread)?;
    if !AccessLog::begins_like_one(&String::from_utf8_lossy(&begin)) {
        return Ok(None);
    }
    AccessLog::read(BufReader::new(File::open(path).map_err(unread)?)).map(Some).map_err(unread)
}

fn factor(said: &str) -> Result<f64, String> {
    let factor = said.parse().ok().filter(|factor| (0.001..=1000.0).contains(factor));
    factor.ok_or_else(|| "use a factor from 0.001 to 1000".to_owned())
}

fn load(source: Source, remarks: &mut Vec<String>) -> Result<Subject, String> {
    let name = source.name();
    let draft = Loader::new(source, Arc::new(Process)).load().map_err(|rejection| rejection.to_string())?;
    let mut blueprint = draft.blueprint;
    let pretended = sim::pretend_keys(&mut blueprint);
    if !pretended.is_empty() {
        let names = pretended.join(", ");
        remarks.push(format!("{name}: rehearsed as if the keys of {names} were set; they are not set here"));
    }
    Ok(Subject { name, blueprint })
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn shown(problems: &[Problem]) -> String {
    let shown: Vec<String> = problems.iter().map(|problem| problem.render("")).collect();
    shown.join("\n").trim_end().to_owned()
}

fn as_text(head: &Head, reports: &[Report]) -> String {
    let mut out = head.about.join("\n");
    out.push('\n');
    for report in reports {
        let _ = write!(out, "\n{}\n{}\n", report.config, text::render(report));
    }
    if reports.len() > 1 {
        let _ = write!(out, "\nside by side\n{}\n", text::totals(reports));
    }
    for judged in &head.claims {
        let _ = write!(out, "\n{}", judged.said);
    }
    out.trim_end().to_owned()
}

fn as_json(head: &Head, reports: &[Report]) -> String {
    let value = json!({
        "about": head.about,
        "claims": head.claims.iter().map(Claimed::from).collect::<Vec<_>>(),
        "reports": reports.iter().map(RehearsedReport::from).collect::<Vec<_>>(),
    });
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::outages::BuiltIn;

    #[test]
    fn the_help_lists_every_outage_and_every_fault() {
        for ready in BuiltIn::ALL {
            let line = HELP.lines().find(|line| line.trim_start().starts_with(ready.name()));
            assert!(line.is_some_and(|line| line.ends_with(ready.about())), "{}", ready.name());
            let console = include_str!("../../console/src/rehearsal.ts");
            assert!(console.contains(&format!("[\"{}\", ", ready.name())), "{}", ready.name());
        }
        for fault in rehearsal::FAULTS {
            assert!(HELP.contains(fault.name()), "{}", fault.name());
        }
    }

    #[test]
    fn the_examples_of_the_help_are_good_files() {
        let section = |from: &str, to: &str| {
            let text = HELP.split_once(from).expect("the section is there").1;
            let text = text.split_once('\n').expect("it has lines").1;
            text.split_once(to).expect("and an end").0.to_owned()
        };
        let routing = "version: 1\nupstreams: {openai: {provider: openai, credentials: [\"${KEY}\"]}, \
            anthropic: {provider: anthropic, credentials: [\"${KEY}\"]}, gemini: {provider: simulated}}\n\
            routes: [{model: smart, channels: [{upstream: openai}]}]\n";
        let source = Source::Text { name: "r".to_owned(), text: routing.to_owned() };
        let subject = load(source, &mut Vec::new()).expect("a good file");
        let script = section("A script of outages", "  Faults:");
        let script = rehearsal::script(&script, "s", &subject.blueprint);
        assert_eq!(script.map_err(|problems| shown(&problems)).map(|script| script.outages.len()), Ok(8));
        let workload = rehearsal::workload(&section("A workload", "\nAn access log"), "w");
        assert_eq!(workload.map_err(|problems| shown(&problems)).map(|workload| workload.mix.len()), Ok(3));
    }
}
