//! An access log of ours as a workload: the lines that `proxy::settle` writes, from text to requests at their own
//! times.
//!
//! A line is written when its request ends, so its time less its duration is when the caller came. It holds no
//! prompts; how long they were is all that a rehearsal needs. What the gateway could not read of a request (an
//! unknown model, a wrong key) has no line. Lines about other things are passed over, those that cannot be read
//! are counted, and the first of them is kept with its number.

use std::io::{self, BufRead};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::{Arrival, Call, Caller, Delivery, Target, Workload};
use crate::config::units::Span;
use crate::dialect::{Dialect, classify};

/// Requests of one rehearsal, repetitions included.
const MOST_REQUESTS: usize = 2_000_000;
/// What the lines of requests are called.
const TARGET: &str = "mainstay::request";
/// How the gateway's own words for people begin.
const GREETING: &[u8] = b"mainstay ";
/// Tokens of an answer where no line of the log says how long answers are.
const USUAL_ANSWER: u64 = 300;

/// A log as it was read: requests in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct AccessLog {
    pub requests: Vec<Logged>,
    /// Lines that cannot be read.
    pub unread: u64,
    /// The number of the first of them, counted from 1, and what is wrong with it.
    pub first_unread: Option<(u64, String)>,
}

/// One request of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// When it came, since the Unix epoch.
    pub at: Duration,
    pub lasted: Duration,
    pub first_byte: Option<Duration>,
    pub call: Call,
    pub outcome: Outcome,
    pub attempts: u32,
    /// Who answered it, as `upstream/model`; empty where nobody did.
    pub channel: String,
    pub output: Option<u64>,
}

/// How a request of the log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its answer, or the upstream's verdict that the request is wrong.
    Good,
    Bad,
    HungUp,
}

/// A line as it is written.
#[derive(Deserialize)]
struct Line {
    target: Option<String>,
    timestamp: Option<String>,
    outcome: Option<String>,
    millis: Option<f64>,
    first_byte: Option<f64>,
    dialect: Option<String>,
    route: Option<String>,
    model: Option<String>,
    stream: Option<bool>,
    priority: Option<String>,
    key: Option<String>,
    channel: Option<String>,
    attempts: Option<u32>,
    input: Option<u64>,
    output: Option<u64>,
}

impl AccessLog {
    /// Whether a file that begins like this is a log of ours, and no workload in YAML.
    pub fn begins_like_one(text: &str) -> bool {
        text.lines().any(|line| serde_json::from_str::<Line>(line).is_ok_and(|line| line.timestamp.is_some()))
    }

    /// Reads a log to its end.
    ///
    /// # Errors
    /// That of the reader.
    pub fn read(mut from: impl BufRead) -> io::Result<Self> {
        let mut log = Self::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if from.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            match request(line.trim_ascii()) {
                Ok(Some(request)) => log.requests.push(request),
                Ok(None) => {}
                Err(why) => {
                    log.unread += 1;
                    log.first_unread.get_or_insert((number, why));
                }
            }
        }
        log.requests.sort_by_key(|request| request.at);
        log.guess_answers();
        Ok(log)
    }

    /// Answers that were not counted, for they failed or broke, would have been as long as the others.
    fn guess_answers(&mut self) {
        let (count, sum) = self
            .requests
            .iter()
            .filter(|request| request.outcome == Outcome::Good)
            .filter_map(|request| request.output)
            .fold((0_u64, 0_u64), |(count, sum), output| (count + 1, sum.saturating_add(output)));
        let usual = sum.checked_div(count).unwrap_or(USUAL_ANSWER);
        for request in self.requests.iter_mut().filter(|request| request.output.is_none()) {
            request.call.answer_tokens = usual;
        }
    }

    /// The requests that `cut` leaves.
    ///
    /// # Errors
    /// Where it leaves none, or too many; for people.
    pub fn replay(&self, cut: &Cut) -> Result<Replay, String> {
        let begin = self.requests.first().map(|request| request.at).ok_or_else(|| {
            "there is no request in it; the gateway writes a line for each as long as MAINSTAY_LOG lets \
             mainstay::request=info pass, which it does unless it is set"
                .to_owned()
        })?;
        let moment = |moment: Moment| match moment {
            Moment::Since(span) => begin + span,
            Moment::At(at) => at,
        };
        let (from, to) = (cut.from.map(moment), cut.to.map(moment));
        let lies_between = |at: Duration| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
        let chosen: Vec<&Logged> = self.requests.iter().filter(|request| lies_between(request.at)).collect();
        let (Some(first), Some(last)) = (chosen.first(), chosen.last()) else {
            return Err("no request of it lies between --from and --to".to_owned());
        };
        let origin = from.unwrap_or(first.at).min(first.at);
        let end = to.unwrap_or_else(|| last.at + usual_gap(first.at, last.at, chosen.len()));
        let lasts = end.saturating_sub(origin).max(Duration::from_secs(1)).div_f64(cut.speed);
        let each = so_far(chosen.len(), cut.scale);
        let rounds = cut.until.map_or(1, |until| until.as_nanos().div_ceil(lasts.as_nanos().max(1)).max(1));
        let all = rounds.saturating_mul(each as u128);
        if all == 0 {
            return Err(format!("--scale {} leaves none of its {} requests", cut.scale, chosen.len()));
        }
        if all > MOST_REQUESTS as u128 {
            return Err(format!(
                "these would be {all} requests ({} of the log, --scale {}, --speed {}, {rounds} times), and \
                 {MOST_REQUESTS} are the most; --from and --to leave fewer",
                chosen.len(),
                cut.scale,
                cut.speed
            ));
        }
        let mut schedule = Vec::with_capacity(all as usize);
        let mut offset = Duration::ZERO;
        for _ in 0..rounds {
            repeat(&chosen, origin, cut, offset, &mut schedule);
            offset += lasts;
        }
        schedule.sort_by_key(|arrival| arrival.at);
        let count = |outcome| chosen.iter().filter(|request| request.outcome == outcome).count();
        let (good, bad) = (count(Outcome::Good), count(Outcome::Bad));
        Ok(Replay {
            success: (good + bad > 0).then(|| good as f64 / (good + bad) as f64),
            requests: chosen.len(),
            workload: Workload {
                rate: schedule.len() as f64 / offset.as_secs_f64(),
                mix: chosen.iter().map(|request| request.call.clone()).collect(),
                schedule,
            },
            lasts: offset,
        })
    }
}

/// What lies between two requests on average: after the last one, the log could begin again.
fn usual_gap(first: Duration, last: Duration, count: usize) -> Duration {
    let gaps = count.saturating_sub(1);
    if gaps == 0 { Duration::from_secs(1) } else { last.saturating_sub(first).div_f64(gaps as f64) }
}

/// How many requests the first `count` of the log become.
fn so_far(count: usize, scale: f64) -> usize {
    (count as f64 * scale) as usize
}

/// Every request of `chosen`, as often as `scale` says: one that comes twice does so evenly spread up to the next one.
fn repeat(chosen: &[&Logged], origin: Duration, cut: &Cut, offset: Duration, schedule: &mut Vec<Arrival>) {
    let at = |request: &Logged| offset + request.at.saturating_sub(origin).div_f64(cut.speed);
    for (call, request) in chosen.iter().enumerate() {
        let copies = so_far(call + 1, cut.scale) - so_far(call, cut.scale);
        let gap = chosen.get(call + 1).map_or(Duration::ZERO, |next| at(next).saturating_sub(at(request)));
        for copy in 0..copies {
            schedule.push(Arrival { at: at(request) + gap.mul_f64(copy as f64 / copies as f64), call });
        }
    }
}

/// What of a log is replayed, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    pub from: Option<Moment>,
    pub to: Option<Moment>,
    /// How many times as fast as they came, above 0.
    pub speed: f64,
    /// How many requests for one of the log, above 0.
    pub scale: f64,
    /// Begins again until then.
    pub until: Option<Duration>,
}

/// A time in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after its first request.
    Since(Duration),
    /// Since the Unix epoch.
    At(Duration),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = Span::parse(text).map(|span| Self::Since(span.0));
        span.or_else(|_| {
            classify::instant(text).map(Self::At).ok_or_else(|| {
                "write a time, as in 2026-11-21T08:00:00Z, or how long after the log's begin, as in 10m"
                    .to_owned()
            })
        })
    }
}

/// A log that is to be replayed.
#[derive(Clone, Debug)]
pub struct Replay {
    pub workload: Workload,
    /// Its own time, as fast and as often as it was asked for.
    pub lasts: Duration,
    /// Requests of the log that are in it.
    pub requests: usize,
    /// Which share of those who did not hang up had their answer then.
    pub success: Option<f64>,
}

/// The request that a line tells of, or what is wrong with the line; `None` for lines about other things.
fn request(line: &[u8]) -> Result<Option<Logged>, String> {
    // It says what it serves before it logs.
    if line.is_empty() || line.starts_with(GREETING) {
        return Ok(None);
    }
    let said: Line = serde_json::from_slice(line)
        .map_err(|error| format!("it is not one of the log's JSON objects ({error})"))?;
    if said.target.as_deref() != Some(TARGET) {
        return Ok(None);
    }
    // It came to no route: nobody can say what it asked for.
    if said.route.as_deref() == Some("") {
        return Ok(None);
    }
    let missing = |what: &str| format!("`{what}` is missing");
    let timestamp = said.timestamp.ok_or_else(|| missing("timestamp"))?;
    let ended = moment(&timestamp).ok_or_else(|| format!("`{timestamp}` is no time"))?;
    let lasted = said.millis.and_then(span).ok_or_else(|| missing("millis"))?;
    let route = said.route.ok_or_else(|| missing("route"))?;
    let (outcome, caller) = match said.outcome.as_deref() {
        Some("ok") => (Outcome::Good, Caller::Usual),
        Some("client_fault") => (Outcome::Good, Caller::Mistaken),
        Some("cancelled") => (Outcome::HungUp, Caller::Leaves { after: lasted }),
        Some("refused" | "failed" | "broken") => (Outcome::Bad, Caller::Usual),
        Some(other) => return Err(format!("`{other}` is no outcome")),
        None => return Err(missing("outcome")),
    };
    let dialect = Dialect::ALL.into_iter().find(|known| Some(known.name()) == said.dialect.as_deref());
    let target = match (dialect, said.model.filter(|model| !model.is_empty())) {
        (Some(Dialect::Http), _) => Target::Path(route),
        (_, model) => Target::Model(model.unwrap_or(route)),
    };
    let call = Call {
        dialect: dialect.filter(|dialect| *dialect != Dialect::Http),
        delivery: if said.stream == Some(true) { Delivery::Stream } else { Delivery::Whole },
        prompt_tokens: said.input.unwrap_or_default(),
        answer_tokens: said.output.unwrap_or_default(),
        key: said.key,
        priority: said.priority.and_then(|name| name.parse().ok()),
        caller,
        ..Call::to(target)
    };
    Ok(Some(Logged {
        at: ended.saturating_sub(lasted),
        lasted,
        first_byte: said.first_byte.and_then(span),
        call,
        outcome,
        attempts: said.attempts.unwrap_or_default(),
        channel: said.channel.unwrap_or_default(),
        output: said.output,
    }))
}

fn span(millis: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(millis / 1e3).ok()
}

/// A time of the log, with its fraction of a second.
fn moment(text: &str) -> Option<Duration> {
    let fraction =
        text.split_once('.').map_or("", |(_, rest)| rest.trim_end_matches(|c: char| !c.is_ascii_digit()));
    let nanos = format!("0.{}", fraction.split(['Z', '+', '-']).next().unwrap_or_default());
    let fraction = Duration::try_from_secs_f64(nanos.parse().unwrap_or(0.0)).ok()?;
    Some(classify::instant(text)? + fraction)
}

#[cfg(test)]
mod tests;
