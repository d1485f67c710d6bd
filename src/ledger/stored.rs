//! A request as the store has it, in the words of a decision. What no column has is absent: looks, waits, the status,
//! the steps of attempts and what upstreams said.

use std::borrow::Cow;

use super::decision::{Decision, Tried, millis};
use super::waits::Waits;
use crate::store::rows::CALLERS_OWN;
use crate::store::{FoundAttempt, FoundRequest};
use crate::vocab::{Money, Usage};

/// A request's row, with those of its attempts.
#[derive(Debug)]
pub struct Stored {
    request: FoundRequest,
    /// Each with its channel's label.
    attempts: Vec<(FoundAttempt, String)>,
}

impl Stored {
    /// `attempts` are in the order in which they began.
    pub fn new(request: FoundRequest, attempts: Vec<FoundAttempt>) -> Self {
        let label = |attempt: &FoundAttempt| format!("{}/{}", attempt.upstream, attempt.model);
        let attempts = attempts.into_iter().map(|attempt| (label(&attempt), attempt));
        Self { request, attempts: attempts.map(|(label, attempt)| (attempt, label)).collect() }
    }

    pub fn decision(&self) -> Decision<'_> {
        let Self { request, attempts } = self;
        let last = attempts.iter().rfind(|(attempt, _)| attempt.part != "mirror");
        let usage = &request.usage;
        Decision {
            request: &request.request_id,
            trace: None,
            at: seconds(request.at_micros),
            organisation: request.who.organisation.as_deref(),
            team: request.who.team.as_deref(),
            user: request.who.user.as_deref(),
            key: request.who.key.as_deref(),
            tags: request.tags.iter().cloned().collect(),
            dialect: &request.dialect,
            operation: &request.operation,
            route: &request.route,
            asked_route: None,
            arm: request.arm.as_deref(),
            downgraded: false,
            model: &request.model,
            stream: request.stream,
            priority: None,
            channel: last.map_or("", |(_, label)| label),
            outcome: &request.outcome,
            status: None,
            error: None,
            replayed: request.replayed.as_deref(),
            instead: None,
            shed: None,
            attempts: usize::try_from(request.attempts).unwrap_or(usize::MAX),
            millis: millis(request.took),
            first_byte: request.first_byte.map(millis),
            own: millis(request.own),
            waits: Waits::default(),
            input: usage.input,
            cached: Some(usage.cache_read).filter(|count| *count > 0),
            output: Some(usage.output).filter(|_| *usage != Usage::default()),
            reasoning: Some(usage.reasoning).filter(|count| *count > 0),
            cost_nano_usd: request.cost.map(Money::as_nano_usd),
            estimated: request.estimated,
            tried: attempts.iter().map(|(attempt, label)| tried(attempt, label, request.at_micros)).collect(),
            looks: Vec::new(),
            cut: false,
        }
    }
}

fn tried<'r>(attempt: &'r FoundAttempt, label: &'r str, came: i64) -> Tried<'r> {
    let begun = attempt.at_micros.saturating_sub(came).max(0) as f64 / 1e3;
    let used = Some(&attempt.usage).filter(|usage| **usage != Usage::default());
    Tried {
        part: &attempt.part,
        channel: label,
        provider: &attempt.provider,
        credential: match attempt.credential {
            0 => None,
            own if own == u64::from(CALLERS_OWN) => Some(Cow::Borrowed("caller's own")),
            place => Some(Cow::Owned(format!("{}#{place}", attempt.upstream))),
        },
        begun,
        sent: None,
        headers: None,
        first_content: attempt.first_byte.map(|after| begun + millis(after)),
        ended: begun + millis(attempt.took),
        status: None,
        verdict: &attempt.verdict,
        stage: &attempt.stage,
        detail: None,
        input: used.map(|usage| usage.input),
        output: used.map(|usage| usage.output),
        cost_nano_usd: attempt.cost.map(Money::as_nano_usd).filter(|_| used.is_some()),
    }
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}
