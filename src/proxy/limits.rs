//! Holds a request against the limits of its caller and its route, and tells him how he stands.
//!
//! What is counted before the request goes anywhere is an estimate: the tokens of its prompt, and those that it allows
//! its answer, or else as many as answers usually have. The prompt's are estimated from its bytes; where that is too
//! much they are counted (`reckon`), if that can be done. `settle` says what it was in the end. A request that never
//! reached an upstream gives everything back; one that failed there counts as a request, without tokens. Whoever shares
//! another one's answer, or gets one that was kept, has made a request as well, and used no tokens.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::intake::Guest;
use super::refuse::{DEFAULT_RETRY_AFTER, Refusal};
use super::settle::Settle;
use super::{Gateway, Snapshot};
use crate::access::limits::{Booking, Refused, Row, Until};
use crate::algo::limit::{Measure, Spent};
use crate::config;
use crate::dialect::allowance::{self, Left, Standing};
use crate::dialect::trouble::Kind;
use crate::dialect::{Dialect, translate};
use crate::route::USUAL_ANSWER;
use crate::telemetry::RequestOutcome;

/// What a request holds of its limits.
pub struct Drawn {
    booking: Booking,
    estimate: Estimate,
    standing: Standing,
}

/// How far a request has come, as far as its limits care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    pub outcome: RequestOutcome,
    pub reached: Reached,
    pub answered: Answered,
    /// As the provider counted them; of an answer that did not come to its end those that passed, where they are more.
    pub tokens: Option<u64>,
    /// Tokens of an answer that did not come to its end, at least.
    pub passed: u64,
}

/// Who has heard of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reached {
    #[default]
    Nobody,
    /// An upstream, or perhaps one.
    Upstream,
}

/// Whether anything of an answer went to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    No,
    Begun,
}

/// What a request is expected to take.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    prompt: u64,
    /// As many as it allows.
    answer: Option<u64>,
}

impl Estimate {
    fn of(guest: &Guest) -> Self {
        let operation = guest.operation;
        match (operation.health_neutral(), translate::generates(operation)) {
            (true, _) => Self { prompt: 0, answer: Some(0) },
            (false, false) => Self { prompt: guest.prompt_tokens, answer: Some(0) },
            (false, true) => Self { prompt: guest.prompt_tokens, answer: guest.most_output },
        }
    }

    fn tokens(&self) -> u64 {
        self.prompt.saturating_add(self.answer.unwrap_or(USUAL_ANSWER))
    }
}

/// Lets `guest` go on if all of his limits allow it.
pub async fn take(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut guest: Box<Guest>,
) -> Result<Box<Guest>, Box<Refusal>> {
    // That of the route which he asked for: where rules send him is none of his doing.
    let route = &snapshot.table.routes[guest.asked_for].config;
    let estimate = Estimate::of(&guest);
    let Err(mut refused) = draw(gateway, route, &mut guest, estimate).await else { return Ok(guest) };
    let mut told = estimate;
    if let Some(closer) = closer(gateway, snapshot, &mut guest, &refused, estimate).await {
        match draw(gateway, route, &mut guest, closer).await {
            Ok(()) => return Ok(guest),
            Err(again) => (refused, told) = (again, closer),
        }
    }
    gateway.limiter.count(&refused);
    Err(refusal(guest, &refused, &told))
}

/// Counts `guest` at everybody who limits him, if all of them allow it.
async fn draw(
    gateway: &Arc<Gateway>,
    route: &config::Route,
    guest: &mut Guest,
    estimate: Estimate,
) -> Result<(), Box<Refused>> {
    let subjects = gateway.limiter.subjects(&guest.caller, (&route.name, route.limits));
    if subjects.is_empty() {
        return Ok(());
    }
    let settle = &mut guest.settle;
    let (booking, rows) =
        gateway.limiter.reserve(subjects, estimate.tokens(), &mut settle.asked_redis).await?;
    let standing = standing(&rows);
    settle.drawn = Some(Box::new(Drawn { booking, estimate, standing }));
    Ok(())
}

/// A better estimate, where it is tokens that are too many and where there is a lower one.
async fn closer(
    gateway: &Gateway,
    snapshot: &Snapshot,
    guest: &mut Guest,
    refused: &Refused,
    estimate: Estimate,
) -> Option<Estimate> {
    if refused.unit.measure() != Measure::Tokens {
        return None;
    }
    let prompt = gateway.reckoner.prompt(snapshot, guest).await?;
    guest.prompt_tokens = prompt;
    guest.settle.prompt_has(prompt);
    (prompt < estimate.prompt).then_some(Estimate { prompt, ..estimate })
}

/// How a caller stands, for whatever he is answered; `None` where nothing limits him.
pub fn shown(settle: &Settle) -> Option<Standing> {
    settle.drawn.as_ref().map(|drawn| drawn.standing)
}

pub fn say(gateway: &Gateway, headers: &mut HeaderMap, dialect: Dialect, standing: &Standing) {
    allowance::say(headers, dialect, standing, gateway.live.clock.unix_now());
}

impl Drawn {
    /// The request is over.
    pub fn settle(mut self, course: &Course) {
        self.booking.spend(spent(course, self.estimate));
    }
}

fn spent(course: &Course, estimate: Estimate) -> Spent {
    let Course { outcome, reached, answered, tokens, passed } = *course;
    let prompt = estimate.prompt;
    if let Some(tokens) = tokens {
        return Spent::Tokens(tokens);
    }
    let seen = prompt.saturating_add(passed);
    match (outcome, reached, answered) {
        // Nobody has counted them, and more has come than was expected.
        (RequestOutcome::Broken | RequestOutcome::Cancelled, Reached::Upstream, Answered::Begun)
            if seen > estimate.tokens() =>
        {
            Spent::Tokens(seen)
        }
        (RequestOutcome::Ok | RequestOutcome::Broken, Reached::Upstream, _)
        | (RequestOutcome::Cancelled, Reached::Upstream, Answered::Begun) => Spent::Estimate,
        // The prompt may have been read by then.
        (RequestOutcome::Cancelled, Reached::Upstream, Answered::No) => Spent::Tokens(prompt),
        (
            RequestOutcome::ClientFault | RequestOutcome::Refused | RequestOutcome::Failed,
            Reached::Upstream,
            _,
        )
        | (RequestOutcome::Ok | RequestOutcome::Broken, Reached::Nobody, _)
        | (RequestOutcome::Cancelled, Reached::Nobody, Answered::Begun) => Spent::Tokens(0),
        (
            RequestOutcome::ClientFault | RequestOutcome::Refused | RequestOutcome::Failed,
            Reached::Nobody,
            _,
        )
        | (RequestOutcome::Cancelled, Reached::Nobody, Answered::No) => Spent::Nothing,
    }
}

/// Of each kind the limit of which least is left.
fn standing(rows: &[Row]) -> Standing {
    let least = |measure: Measure| {
        let of_kind = rows.iter().filter(|row| row.unit.measure() == measure);
        let left = of_kind.map(|Row { limit, used, whole_in, .. }| Left {
            limit: *limit,
            remaining: limit.saturating_sub(*used),
            whole_in: *whole_in,
        });
        left.min_by_key(|left| left.remaining)
    };
    Standing { requests: least(Measure::Requests), tokens: least(Measure::Tokens) }
}

fn refusal(guest: Box<Guest>, refused: &Refused, estimate: &Estimate) -> Box<Refusal> {
    let Refused { holder, name, unit, limit, until, rows } = refused;
    let whose = format!("{} `{name}`", holder.name());
    let (kind, message, wait) = match until {
        Until::Freed => (
            Kind::RateLimited,
            format!(
                "{whose} has {limit} {} already, as many as its limit `{}` allows; come again when one has ended",
                unit.words(),
                unit.name()
            ),
            Some(DEFAULT_RETRY_AFTER),
        ),
        Until::In(wait) => {
            let takes = match unit.measure() {
                Measure::Requests | Measure::Presence => String::new(),
                Measure::Tokens => format!(" and this request takes about {}", estimate.tokens()),
            };
            let message = format!(
                "{whose} may use {limit} {} (`{}`), too few of which are left{takes}; it would be let in in {} s",
                unit.words(),
                unit.name(),
                seconds(*wait)
            );
            (Kind::RateLimited, message, Some(*wait))
        }
        Until::Never => (
            Kind::BadRequest,
            format!(
                "{whose} may use {limit} {} (`{}`), and this request alone takes about {} (its prompt {}, its answer up to {}), \
                 so it can never be let in; shorten the prompt, allow the answer fewer tokens, or have the limit raised",
                unit.words(),
                unit.name(),
                estimate.tokens(),
                estimate.prompt,
                estimate.answer.unwrap_or(USUAL_ANSWER)
            ),
            None,
        ),
    };
    let mut refusal = Refusal::new(kind, message, guest.dialect, &guest.request_id);
    refusal.trouble.retry_after = wait;
    refusal.limited = Some(Box::new(standing(rows)));
    // What is left of its body is not read.
    refusal.close = matches!(guest.load, super::intake::Load::Once(_));
    refusal.settle = Some(guest.settle);
    refusal
}

/// As Retry-After says it.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::limit::Unit;

    const ESTIMATE: Estimate = Estimate { prompt: 40, answer: Some(10) };

    #[test]
    fn an_answer_that_broke_off_and_that_nobody_counted_counts_for_what_has_passed() {
        let of = |outcome, passed| {
            let (reached, answered) = (Reached::Upstream, Answered::Begun);
            spent(&Course { outcome, reached, answered, tokens: None, passed }, ESTIMATE)
        };
        for outcome in [RequestOutcome::Cancelled, RequestOutcome::Broken] {
            assert_eq!(of(outcome, 10), Spent::Estimate);
            assert_eq!(of(outcome, 11), Spent::Tokens(51));
        }
    }

    #[test]
    fn what_counts_in_the_end_follows_from_how_far_a_request_came() {
        use Answered::{Begun, No};
        use Reached::{Nobody, Upstream};
        use RequestOutcome::{Broken, Cancelled, ClientFault, Failed, Ok, Refused};
        let check = |outcome, reached, answered, tokens, expected| {
            let course = Course { outcome, reached, answered, tokens, passed: 0 };
            assert_eq!(spent(&course, ESTIMATE), expected, "{course:?}");
        };
        for outcome in [Ok, Broken, Cancelled] {
            check(outcome, Upstream, Begun, Some(7), Spent::Tokens(7));
            check(outcome, Upstream, Begun, None, Spent::Estimate);
            // Somebody else's answer, or one that was kept.
            check(outcome, Nobody, Begun, None, Spent::Tokens(0));
        }
        check(Cancelled, Upstream, No, None, Spent::Tokens(40));
        check(Cancelled, Nobody, No, None, Spent::Nothing);
        for outcome in [ClientFault, Refused, Failed] {
            check(outcome, Nobody, Begun, None, Spent::Nothing);
            check(outcome, Upstream, Begun, None, Spent::Tokens(0));
        }
    }

    #[test]
    fn a_caller_is_told_of_what_he_has_least_of() {
        let row = |unit, limit, used| Row { unit, limit, used, whole_in: Duration::from_secs(1) };
        let rows = [
            row(Unit::Rpm, 60, 10),
            row(Unit::Concurrency, 3, 3),
            row(Unit::Rpd, 70, 69),
            row(Unit::Tpm, 5, 9),
        ];
        let Standing { requests, tokens } = standing(&rows);
        assert_eq!(requests.map(|left| (left.limit, left.remaining)), Some((70, 1)));
        assert_eq!(tokens.map(|left| (left.limit, left.remaining)), Some((5, 0)));
        assert_eq!(standing(&[]), Standing::default());
    }

    #[test]
    fn waits_are_said_in_whole_seconds_that_are_enough() {
        let said = [1, 999, 1000, 1001].map(|millis| seconds(Duration::from_millis(millis)));
        assert_eq!(said, [1, 1, 1, 2]);
    }
}
