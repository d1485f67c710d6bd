//! How long an attempt may stay silent: shorter while there is somewhere else to go (E3).

use std::time::Duration;

use super::need::Need;
use super::plan::Plan;
use crate::config::FirstEvent;
use crate::state::model::Shape;
use crate::state::permit::Permit;

/// Deadlines of one attempt, measured from its begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// To the response's headers.
    pub headers: Duration,
    /// To the first content; as long as the request may last where content is not told apart.
    pub first_event: Duration,
}

/// The shortest limit while an alternative exists.
const LEAST: Duration = Duration::from_secs(10);
/// Whole answers take as long as they are long, so their least is more generous.
const LEAST_WHOLE: Duration = Duration::from_mins(1);
/// Multiple of the p95 that is still patience and not stubbornness.
const P95_FACTOR: u32 = 4;
/// Each ten thousand prompt tokens take the prefill about this much longer.
const PER_10K_TOKENS: Duration = Duration::from_secs(1);
const REASONING: Duration = Duration::from_mins(2);
const LAST: Duration = Duration::from_mins(1);
const LAST_REASONING: Duration = Duration::from_mins(5);

impl Plan<'_> {
    pub fn limits(&self, permit: &Permit, need: &Need<'_>) -> Limits {
        let channel = permit.channel();
        let timeouts = &channel.config.timeouts;
        let now = self.table().live.now();
        let left = need.deadline.since(now);
        let p95 = || permit.model().p95(need.shape, now).map(|p95| p95 * P95_FACTOR);
        match (timeouts.first_event, need.shape) {
            (FirstEvent::Off, _) => Limits { headers: timeouts.ttfb.min(left), first_event: left },
            (FirstEvent::Fixed(limit), Shape::Stream) => {
                // Content without headers there is none.
                Limits { headers: timeouts.ttfb.min(limit).min(left), first_event: limit.min(left) }
            }
            (FirstEvent::Auto, Shape::Stream) => {
                let elsewhere = self.has_other(channel, need);
                let limit = match (elsewhere, channel.config.reasoning) {
                    (true, true) => REASONING,
                    (true, false) => {
                        let prefill = PER_10K_TOKENS.mul_f64(need.prompt_tokens as f64 / 10_000.0);
                        p95().unwrap_or(LEAST).max(LEAST) + prefill
                    }
                    (false, true) => LAST_REASONING,
                    (false, false) => LAST,
                };
                // Many upstreams send their headers with the first token, so the last possible attempt
                // must not be ended by the limit for headers.
                let headers = if elsewhere { timeouts.ttfb.min(limit) } else { timeouts.ttfb.max(limit) };
                Limits { headers: headers.min(left), first_event: limit.min(left) }
            }
            // The headers of a whole answer come when it is whole, so only the total bounds it, unless
            // experience says that this channel is usually much faster and another one is waiting.
            (FirstEvent::Auto, Shape::Whole) => {
                let experience = p95().filter(|_| self.has_other(channel, need));
                let limit = experience.map_or(left, |limit| limit.max(LEAST_WHOLE)).min(left);
                Limits { headers: limit, first_event: limit }
            }
            (FirstEvent::Fixed(limit), Shape::Whole) => {
                let limit = limit.min(left);
                Limits { headers: limit, first_event: limit }
            }
        }
    }
}
