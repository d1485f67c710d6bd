//! The files of a rehearsal: a script of outages and a workload, from text to plain values, or everything
//! that is wrong with them.
//!
//! They go the way of routing.yaml itself (tree, shape, decode, checks), so that their problems have the
//! same form. What an outage does is `sim`'s affair. An access log of ours is a workload, too ([`log`]).

pub mod log;
mod whom;

use std::time::Duration;

pub use whom::Whom;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::file::rehearsal as file;
use super::path::Path;
use super::problem::{Findings, Problem};
use super::redact::{Redactor, Tree};
use super::tree::Node;
use super::{Blueprint, FILE_MAX, Mark, decode, schema, settle, shape, tree};
use crate::dialect::Dialect;
use crate::vocab::{Fault, Priority};

/// What goes wrong in a rehearsal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// How upstreams answer while nothing is wrong, by name.
    pub habits: Vec<(String, Habits)>,
    pub outages: Vec<Outage>,
}

/// How an upstream answers while nothing is wrong; what is not said is the rehearsal's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// Median.
    pub ttft: Option<Duration>,
    pub pace: Option<Duration>,
    /// Tokens of a prompt that it reads in a second.
    pub prefill: Option<u32>,
    pub capacity: Option<u32>,
}

/// One thing that goes wrong, with whom, and from when to when since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    pub whom: Whom,
    /// Only this model, as the upstream names it.
    pub model: Option<String>,
    /// Only this key, counted from 1.
    pub key: Option<u32>,
    pub from: Duration,
    pub to: Duration,
    pub fault: Option<Fault>,
    /// Of the requests, 0..=1.
    pub share: f64,
    pub retry_after: Option<Duration>,
    pub form: Form,
    /// Requests at the same moment.
    pub capacity: Option<u32>,
    /// Added to the time to the first token.
    pub latency: Duration,
    pub onset: Onset,
    pub flapping: Option<Flapping>,
}

/// How an outage's latency comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Onset {
    /// All of it from the first moment on.
    #[default]
    Sudden,
    /// Growing evenly to its full length at the outage's end.
    Creeping,
}

/// How an upstream says `retry_after`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Seconds,
    /// By its own clock, to the second.
    Date,
}

/// By turns down and up, down first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    pub down: Duration,
    pub up: Duration,
}

impl Outage {
    /// `fault` for every request to `upstream` between `from` and `to`.
    pub fn of(upstream: &str, fault: Option<Fault>, from: Duration, to: Duration) -> Self {
        Self::befalling(Whom::Upstream(upstream.to_owned()), fault, from, to)
    }

    /// The same for every request to `whom`.
    pub const fn befalling(whom: Whom, fault: Option<Fault>, from: Duration, to: Duration) -> Self {
        Self {
            whom,
            model: None,
            key: None,
            from,
            to,
            fault,
            share: 1.0,
            retry_after: None,
            form: Form::Seconds,
            capacity: None,
            latency: Duration::ZERO,
            onset: Onset::Sudden,
            flapping: None,
        }
    }
}

/// What callers ask for in a rehearsal.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Requests a second; of a schedule, on average.
    pub rate: f64,
    /// At least one, of which at least one has a share.
    pub mix: Vec<Call>,
    /// Requests at their own times, in order, and nobody else. Empty: they come by chance.
    pub schedule: Vec<Arrival>,
}

impl Workload {
    /// Callers who come by chance.
    pub const fn of(rate: f64, mix: Vec<Call>) -> Self {
        Self { rate, mix, schedule: Vec::new() }
    }
}

/// A request at its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub at: Duration,
    /// Index into [`Workload::mix`].
    pub call: usize,
}

/// One kind of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub target: Target,
    /// Relative to the other kinds.
    pub share: f64,
    /// `None` is that of the route's first channel.
    pub dialect: Option<Dialect>,
    pub delivery: Delivery,
    pub prompt_tokens: u64,
    pub answer_tokens: u64,
    /// Share of the callers who hang up.
    pub hang_up: f64,
    /// The name of the caller's key.
    pub key: Option<String>,
    /// What he asks for.
    pub priority: Option<Priority>,
    pub caller: Caller,
}

/// What is known of a caller beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caller {
    #[default]
    Usual,
    /// Hangs up so long after he came, if his answer is not whole by then.
    Leaves { after: Duration },
    /// Asks for what every upstream refuses.
    Mistaken,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its name, as callers say it.
    Model(String),
    /// Plain HTTP.
    Path(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model(name) => write!(f, "model `{name}`"),
            Self::Path(path) => write!(f, "path `{path}`"),
        }
    }
}

/// How an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Stream,
    Whole,
}

impl Call {
    /// Answer and prompt of a usual length, streamed.
    pub fn to(target: Target) -> Self {
        Self {
            target,
            share: 1.0,
            dialect: None,
            delivery: Delivery::Stream,
            prompt_tokens: 1000,
            answer_tokens: 300,
            hang_up: 0.0,
            key: None,
            priority: None,
            caller: Caller::Usual,
        }
    }
}

/// Requests a second where nobody says.
pub const USUAL_RATE: f64 = 20.0;

/// Faults that an upstream can commit; the others are a caller's or our own.
pub const FAULTS: [Fault; 20] = [
    Fault::Dns,
    Fault::Connect,
    Fault::ConnectTimeout,
    Fault::Tls,
    Fault::Reset,
    Fault::NotProcessed,
    Fault::Protocol,
    Fault::BadGateway,
    Fault::ServerError,
    Fault::HeadersTimeout,
    Fault::FirstEventTimeout,
    Fault::Truncated,
    Fault::Overloaded,
    Fault::Throttled,
    Fault::QuotaExhausted,
    Fault::AuthRefused,
    Fault::ModelMissing,
    Fault::StreamError,
    Fault::StreamCut,
    Fault::StreamStalled,
];

/// Reads a script for `blueprint`. The problems carry `name`, the file's.
pub fn script(text: &str, name: &str, blueprint: &Blueprint) -> Result<Script, Vec<Problem>> {
    let hint = "begin with: outages: [{upstream: openai, from: 5m, to: 20m, fault: connect}]";
    read(text, name, hint, |said: &file::Script, findings| {
        let root = Path::root();
        for (upstream, _) in &said.upstreams.0 {
            let place = root.key("upstreams").key(upstream.as_str());
            known(&Whom::Upstream(upstream.clone()), &place, blueprint, findings);
        }
        let outages = said.outages.iter().enumerate();
        let outages = outages
            .filter_map(|(index, said)| outage(said, &root.key("outages").index(index), blueprint, findings));
        Script {
            outages: outages.collect(),
            habits: said.upstreams.0.iter().map(|(name, said)| (name.clone(), habits(said))).collect(),
        }
    })
}

/// Reads a workload. Whether routes take it is found out by whoever rehearses.
pub fn workload(text: &str, name: &str) -> Result<Workload, Vec<Problem>> {
    let hint = "begin with: mix: [{model: demo}]";
    read(text, name, hint, |said: &file::Workload, findings| {
        let path = Path::root().key("mix");
        let mix: Vec<Call> = said
            .mix
            .iter()
            .enumerate()
            .filter_map(|(index, said)| call(said, &path.index(index), findings))
            .collect();
        if !mix.is_empty() && mix.iter().all(|call| call.share == 0.0) {
            findings.error_at_key(&path, "nobody asks for anything", "give one of them a `share` above 0");
        }
        Workload::of(said.rate.unwrap_or(USUAL_RATE), mix)
    })
}

fn read<F, T>(
    text: &str,
    name: &str,
    empty: &str,
    mean: impl FnOnce(&F, &mut Findings) -> T,
) -> Result<T, Vec<Problem>>
where
    F: DeserializeOwned + JsonSchema,
{
    let mut findings = Findings::default();
    let mut whole: Option<Node> = None;
    let said: Option<F> = parsed(text, empty, &mut whole, &mut findings);
    let meant = said.map(|said| mean(&said, &mut findings));
    match meant {
        Some(meant) if !findings.any_error() => Ok(meant),
        Some(_) | None => {
            // No secret stands in it, but a word that looks like one may have got there by mistake.
            let redactor = Redactor::new(None, Tree::Whole);
            let mut problems = super::problems(findings, text, whole.as_ref(), &redactor);
            for problem in &mut problems {
                problem.file = Some(name.to_owned());
            }
            Err(problems)
        }
    }
}

fn parsed<F: DeserializeOwned + JsonSchema>(
    text: &str,
    empty: &str,
    whole: &mut Option<Node>,
    findings: &mut Findings,
) -> Option<F> {
    if text.len() > FILE_MAX {
        let message = format!("the file is larger than {} KiB", FILE_MAX / 1024);
        findings.error_at(Mark::default(), message, "a rehearsal needs no more than a few lines");
        return None;
    }
    let root = tree::parse(text, findings).filter(|root| !root.is_null());
    let Some(mut root) = root else {
        if !findings.any_error() {
            findings.error_at(Mark::default(), "the file is empty", empty);
        }
        return None;
    };
    *whole = Some(root.clone());
    shape::fit(&mut root, &schema::of::<F>(), findings);
    match decode::decode::<F>(&root) {
        Ok(said) => Some(said),
        Err(error) => {
            // Schema and structs disagree, or the root is no mapping; `shape` has said the latter.
            if !findings.any_error() {
                findings.error_at(Mark::default(), format!("{}: {}", error.path(), error.inner()), "");
            }
            None
        }
    }
}

fn known(whom: &Whom, path: &Path, blueprint: &Blueprint, findings: &mut Findings) {
    if whom.among(blueprint).next().is_none() {
        let message = format!("there is no {whom} in the routing file");
        findings.error(path, message, whom.hint(blueprint));
    }
}

fn whom(said: &file::Outage, path: &Path, blueprint: &Blueprint, findings: &mut Findings) -> Option<Whom> {
    let (key, whom) = match (&said.upstream, &said.provider, &said.fate) {
        (Some(name), None, None) => ("upstream", Whom::Upstream(name.clone())),
        (None, Some(name), None) => ("provider", Whom::Provider(name.clone())),
        (None, None, Some(name)) => ("fate", Whom::Fate(name.clone())),
        (None, None, None) => {
            let hint = "give it an `upstream`, or a `provider` or a `fate` for every upstream of one";
            findings.error(path, "it befalls nobody", hint);
            return None;
        }
        (Some(_) | None, Some(_) | None, Some(_) | None) => {
            let hint = "keep one of `upstream`, `provider` and `fate`; others have an outage of their own";
            findings.error(path, "it says twice whom it befalls", hint);
            return None;
        }
    };
    known(&whom, &path.key(key), blueprint, findings);
    Some(whom)
}

fn habits(said: &file::Habits) -> Habits {
    Habits {
        ttft: said.ttft.map(|span| span.0),
        pace: said.pace.map(|span| span.0),
        prefill: said.prefill_tokens_per_second,
        capacity: said.capacity,
    }
}

fn outage(
    said: &file::Outage,
    path: &Path,
    blueprint: &Blueprint,
    findings: &mut Findings,
) -> Option<Outage> {
    let whom = whom(said, path, blueprint, findings);
    let (Some(from), Some(to)) = (said.from, said.to) else {
        // Said by the shape.
        return None;
    };
    if from.0 >= to.0 {
        findings.error(&path.key("to"), "it is over before it begins", "give a `to` behind its `from`");
    }
    if said.fault.is_none() && said.capacity.is_none() && said.latency.is_none() {
        findings.error(path, "nothing happens in it", "give it a `fault`, a `capacity` or a `latency`");
    }
    // The schema lets only known words through.
    let fault = said.fault.as_ref().and_then(|name| FAULTS.into_iter().find(|known| known.name() == name.0));
    let flapping = said.flapping.as_ref().and_then(|said| {
        let flapping = Flapping { down: said.down?.0, up: said.up?.0 };
        if flapping.down.is_zero() || flapping.up.is_zero() {
            findings.error(&path.key("flapping"), "it does not flap", "let both `down` and `up` last");
        }
        Some(flapping)
    });
    let dated = said.dated == Some(true);
    if dated && said.retry_after.is_none() {
        findings.error(&path.key("dated"), "nothing is said as a date", "give it a `retry_after`");
    }
    let creeping = said.creeping == Some(true);
    if creeping && said.latency.is_none() {
        findings.error(&path.key("creeping"), "nothing creeps", "give it the `latency` that it grows to");
    }
    Some(Outage {
        whom: whom?,
        model: said.model.clone(),
        key: said.key,
        from: from.0,
        to: to.0,
        fault,
        share: said.share.unwrap_or(1.0),
        retry_after: said.retry_after.map(|span| span.0),
        form: if dated { Form::Date } else { Form::Seconds },
        capacity: said.capacity,
        latency: said.latency.map(|span| span.0).unwrap_or_default(),
        onset: if creeping { Onset::Creeping } else { Onset::Sudden },
        flapping,
    })
}

fn call(said: &file::Call, path: &Path, findings: &mut Findings) -> Option<Call> {
    let target = match (&said.model, &said.path) {
        (Some(model), None) => Target::Model(model.clone()),
        (None, Some(path)) => Target::Path(path.clone()),
        (Some(_), Some(_)) => {
            findings.error(path, "it has a `model` and a `path`", "keep one of them");
            return None;
        }
        (None, None) => {
            findings.error(path, "nothing is asked for", "give it a `model`, or a `path` for plain HTTP");
            return None;
        }
    };
    let usual = Call::to(target);
    let dialect = said.dialect.as_ref();
    Some(Call {
        share: said.share.unwrap_or(usual.share),
        dialect: dialect.and_then(|name| Dialect::ALL.into_iter().find(|known| known.name() == name.0)),
        delivery: if said.stream == Some(false) { Delivery::Whole } else { Delivery::Stream },
        prompt_tokens: said.prompt_tokens.unwrap_or(usual.prompt_tokens),
        answer_tokens: said.answer_tokens.unwrap_or(usual.answer_tokens),
        hang_up: said.hang_up.unwrap_or(usual.hang_up),
        key: said.key.clone(),
        priority: said.priority.map(settle::priority),
        caller: usual.caller,
        target: usual.target,
    })
}

#[cfg(test)]
mod tests;
