//! What became of a request and why, for people: its line in the log, its entry in the journal, the answer's
//! `x-mainstay-decision`. All of them say the same, in the same words. Never a word of a prompt, an answer or a secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::account::Request;
use super::record::{Entry, Record, Whose};
use super::waits::Waits;
use crate::algo::tick::Tick;
use crate::config::Level;
use crate::state::look::Look;
use crate::store::rows::CALLERS_OWN;
use crate::telemetry::RequestOutcome;
use crate::vocab::{Money, Part, Usage};

/// A request that has ended, or what is known of one by now. Times are in milliseconds; those of parts count from the request's arrival.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own for whoever reads it")]
pub struct Decision<'r> {
    /// As it stands in the answer's `x-mainstay-request-id`.
    pub request: &'r str,
    /// The trace that it belongs to, in 32 hexadecimal digits; absent where its caller named none and no
    /// collector is told of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// When it came, Unix time in seconds.
    pub at: f64,
    /// Above the key, by its name in the configuration; as `team` and `user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<&'r str>,
    /// See `organisation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<&'r str>,
    /// See `organisation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'r str>,
    /// What the caller's key is called; of one with a token `issuer:` and who he is there, or with `zero_log` a `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'r str>,
    /// Its labels: the key's and those of whoever is above it, and the caller's headers that `ledger.tags` lists.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The caller's wire language; `http` of path routes.
    pub dialect: &'r str,
    /// What was asked for, such as `chat`; empty where it came to no route.
    pub operation: &'r str,
    /// The one that served it; empty where none did.
    pub route: &'r str,
    /// The one that it came to, where a rule, a split or a spent budget sent it elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_route: Option<&'r str>,
    /// The arm of a split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<&'r str>,
    /// Whether it was a spent budget.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub downgraded: bool,
    /// As the caller named it; with `zero_log`, `other` where that is no name of the configuration's or the catalog's.
    pub model: &'r str,
    /// Whether the answer was asked for as a stream.
    pub stream: bool,
    /// How much it mattered; absent of what the store alone has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<&'r str>,
    /// The last one that was asked; empty where none was.
    pub channel: &'r str,
    /// ok, client_fault, refused, failed, broken, cancelled; mirrored, where nobody got the answer; under_way, where it
    /// has not ended.
    pub outcome: &'r str,
    /// Of HTTP; absent where the caller got no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What kind of error the gateway answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'r str>,
    /// hit, stale or repeat: it got what was said before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<&'r str>,
    /// shared or answer: it had a part in another request's attempt, or got what the route says when nobody is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<&'r str>,
    /// Why there was no room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shed: Option<&'r str>,
    /// How many were made for it.
    pub attempts: usize,
    /// Milliseconds from its arrival to the end of its answer.
    pub millis: f64,
    /// Milliseconds to the first byte of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<f64>,
    /// Of these, the gateway's own.
    pub own: f64,
    /// The rest of them: body, another, queue, media, upstream, backoff, recovery.
    #[serde(skip_serializing_if = "Waits::is_empty")]
    #[schemars(with = "BTreeMap<String, f64>")]
    pub waits: Waits,
    /// Tokens read, cached ones included; an estimate where nobody said.
    pub input: u64,
    /// Of the tokens read, those from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Tokens written, those of reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Of the tokens written, those of reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// Of all attempts, in thousand-millionths of a US dollar; absent where one of them has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<u64>,
    /// A count or a price in it is an estimate.
    pub estimated: bool,
    /// Each attempt, in the order in which they began.
    pub tried: Vec<Tried<'r>>,
    /// Each time that a channel was to be picked, and what was thought of all of them.
    pub looks: Vec<Looked<'r>>,
    /// In an answer's `x-mainstay-decision`: there is more of it, which had no room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// One attempt.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tried<'r> {
    /// turn, hedge, leg (of a continued stream) or mirror.
    pub part: &'r str,
    /// As `upstream/model`, or with the route's pattern where callers name the model.
    pub channel: &'r str,
    /// Of the upstream.
    pub provider: &'r str,
    /// Which of the upstream's credentials, by its alias; absent where it needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Cow<'r, str>>,
    /// When it began.
    pub begun: f64,
    /// When its connection was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<f64>,
    /// When the head of an answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<f64>,
    /// When the first content of it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_content: Option<f64>,
    /// When it was over.
    pub ended: f64,
    /// Of HTTP, as the upstream said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// ok, cancelled, or the fault.
    pub verdict: &'r str,
    /// How far it had got: not_sent, sending, waiting, headers, committed.
    pub stage: &'r str,
    /// What went wrong, in the gateway's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'r str>,
    /// Tokens read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// Tokens written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// In thousand-millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<u64>,
}

/// One look at the channels of a route.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Looked<'r> {
    /// When it was.
    pub at: f64,
    /// Whose channels they are.
    pub route: &'r str,
    /// Who was to be asked; absent where nobody could be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picked: Option<&'r str>,
    /// How gladly each would have been picked, or why not; in the order of the file. Empty where one was asked beside
    /// another, or because nobody was eligible.
    pub channels: Vec<Candidate<'r>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Candidate<'r> {
    /// As in an attempt.
    pub channel: &'r str,
    /// ready, doubted, stalled, last, short_of_quota, trial; or why it could not be, as `/admin/explain` has it.
    pub standing: &'r str,
}

impl<'r> Decision<'r> {
    /// `None` as long as it has not ended.
    pub(super) fn of(record: &'r Record) -> Option<Self> {
        record.request.as_ref().map(|request| Self::made(record, request))
    }

    /// What is known before its end: `request` is what will have been one.
    pub(super) fn so_far(record: &'r Record, request: &'r Request) -> Self {
        let mut decision = Self::made(record, request);
        // As long as nothing else is said of it, it counts as one whose caller hung up.
        decision.outcome = match request.outcome {
            RequestOutcome::Cancelled => "under_way",
            ended => ended.name(),
        };
        if decision.channel.is_empty() {
            decision.channel = decision.looks.iter().rev().find_map(|look| look.picked).unwrap_or_default();
        }
        decision.tried.sort_by(|one, other| one.begun.total_cmp(&other.begun));
        decision
    }

    fn made(record: &'r Record, request: &'r Request) -> Self {
        let Record { attempts, looks, whose, .. } = record;
        let begun = request.begun;
        let level =
            |level| request.lineage.as_ref().and_then(|lineage| lineage.at(level)).map(|who| &*who.name);
        let is_mirrored = *whose == Whose::Mirrors;
        let own = || attempts.iter().filter(|entry| (entry.part == Part::Mirror) == is_mirrored);
        let last = attempts.iter().map(|entry| entry.ended.since(begun)).max();
        let told = request.usage.filter(|_| !is_mirrored);
        // Of an answer that ended early its own words are a beginning, or none: its attempts say what is billed.
        let is_whole = matches!(request.outcome, RequestOutcome::Ok | RequestOutcome::ClientFault);
        let billed = || own().map(|entry| entry.used.usage).rfind(|usage| *usage != Usage::default());
        let known = told.filter(|_| is_whole).or_else(billed);
        let told = known.or(told);
        let said = |count: fn(&Usage) -> u64| told.as_ref().map(count);
        Self {
            request: &request.request_id,
            trace: request.trace.as_ref().map(|trace| trace.id.to_string()),
            at: (request.at.as_secs_f64() * 1e6).round() / 1e6,
            organisation: level(Level::Organisation),
            team: level(Level::Team),
            user: level(Level::User),
            key: level(Level::Key),
            tags: request
                .labels()
                .into_iter()
                .map(|(name, value)| (name.to_string(), value.into()))
                .collect(),
            dialect: request.dialect,
            operation: request.operation,
            route: &request.route,
            asked_route: request.asked_route.as_deref(),
            arm: request.arm.as_deref(),
            downgraded: request.downgraded,
            model: &request.model,
            stream: request.stream,
            priority: Some(request.priority.name()),
            channel: match attempts.first().filter(|_| is_mirrored) {
                Some(entry) => &entry.channel.label,
                None => request.channel.as_ref().map_or("", |channel| &channel.label),
            },
            outcome: record.outcome(),
            status: Some(request.status).filter(|status| *status > 0),
            error: request.error,
            replayed: request.replayed,
            instead: request.instead,
            shed: request.shed,
            attempts: own().count(),
            millis: millis(if is_mirrored { last.unwrap_or_default() } else { request.took }),
            first_byte: request.first_byte.map(millis),
            own: millis(request.own),
            waits: request.waits,
            input: said(|usage| usage.input).unwrap_or_else(|| request.prompt_tokens.into()),
            cached: said(|usage| usage.cache_read).filter(|count| *count > 0),
            output: said(|usage| usage.output),
            reasoning: said(|usage| usage.reasoning).filter(|count| *count > 0),
            cost_nano_usd: own().map(Entry::money).sum::<Option<Money>>().map(Money::as_nano_usd),
            estimated: known.is_none() || own().any(|entry| entry.used.estimated),
            tried: attempts.iter().map(|entry| Tried::of(entry, begun)).collect(),
            looks: looks.iter().map(|look| Looked::of(look, begun)).collect(),
            cut: false,
        }
    }
}

impl<'r> Tried<'r> {
    fn of(entry: &'r Entry, begun: Tick) -> Self {
        let after = |at: Tick| millis(at.since(begun));
        let used = Some(entry.used.usage).filter(|usage| *usage != Usage::default());
        Self {
            part: entry.part.name(),
            channel: &entry.channel.label,
            provider: entry.channel.upstream.config.provider.name,
            credential: credential(entry),
            begun: after(entry.begun),
            sent: entry.heard.sent.map(after),
            headers: entry.heard.headed.map(|(at, _)| after(at)),
            first_content: entry.heard.first_content.map(after),
            ended: after(entry.ended),
            status: entry.heard.headed.map(|(_, status)| status),
            verdict: entry.verdict.name(),
            stage: entry.stage.name(),
            detail: entry.detail.as_deref(),
            input: used.map(|usage| usage.input),
            output: used.map(|usage| usage.output),
            cost_nano_usd: entry.money().map(Money::as_nano_usd).filter(|_| used.is_some()),
        }
    }
}

/// What it is called in status and metrics: never a word of it.
fn credential(entry: &Entry) -> Option<Cow<'_, str>> {
    match entry.credential {
        0 => None,
        CALLERS_OWN => Some("caller's own".into()),
        place => {
            let key = entry.channel.upstream.credentials.get(usize::from(place) - 1);
            key.map(|key| Cow::Borrowed(&*key.alias))
        }
    }
}

impl<'r> Looked<'r> {
    fn of(look: &'r Look, begun: Tick) -> Self {
        let channels = &look.route.channels;
        let candidate = |(place, standing): (usize, &&'static str)| {
            channels.get(place).map(|channel| Candidate { channel: &channel.label, standing })
        };
        Self {
            at: millis(look.at.since(begun)),
            route: &look.route.config.name,
            picked: look.picked.and_then(|place| channels.get(place)).map(|channel| &*channel.label),
            channels: look.judged.iter().enumerate().filter_map(candidate).collect(),
        }
    }
}

/// To the microsecond.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
