//! Why each channel of a route would be picked now, or not: for people.

mod handling;
mod overridden;
mod reason;
mod steering;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;

use super::hedge::{self, Unhedged};
use super::need::{Need, Resend, USUAL_ANSWER};
use super::price::{self, MostCost};
use super::shortlist::{self, Rank, WhyNot};
use crate::algo::tick::Tick;
use crate::config::{self, Degradation, Lineage};
use crate::dialect::scan::Thinks;
use crate::dialect::{Dialect, Operation};
use crate::state::model::{Model, Shape};
use crate::state::route::Route;
use crate::state::{Channel, Table};
use crate::strategy;
use crate::vocab::{Abilities, Money};

/// A route as it stands for a request that would come now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Explained {
    /// Which rules and arms led to the route, and who has the request as well, in words.
    pub steering: Vec<String>,
    pub route: String,
    pub select: &'static str,
    /// Who goes on with a stream that breaks.
    pub continuation: &'static str,
    pub delivery: &'static str,
    pub channels: Vec<ExplainedChannel>,
    pub fallback: Vec<String>,
    /// What is tried when nothing is eligible, in this order.
    pub on_exhausted: Vec<String>,
    /// What else befalls its requests, in words: queue, stickiness, continuation, cache.
    pub handling: Vec<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExplainedChannel {
    pub channel: String,
    /// The dialect that it would be asked in; another one than the caller's is translated.
    pub asked_in: Option<&'static str>,
    pub tier: u8,
    pub weight: u32,
    /// Share of the weight that slow start grants, 0..=1.
    pub ramp: f64,
    /// Share of its scarcest quota that is left, 0..=1, as far as anybody knows.
    pub quota_left: f64,
    /// Whether a request may go there at all.
    #[serde(skip)]
    pub is_eligible: bool,
    pub picked: bool,
    /// `ready`, `last`, `trial`, or the reason against it.
    pub standing: &'static str,
    pub detail: String,
    /// When it may be picked again, as far as that is known.
    pub recovers_in_seconds: Option<f64>,
    pub breaker: String,
    pub health: &'static str,
    pub in_flight: u32,
    /// What its keys take at the same moment, all together, as far as was learnt; at most `max_inflight`.
    pub limit: u32,
    /// What it would charge, in nano-USD, where the route goes by that and the price is known.
    pub cost_nano_usd: Option<u64>,
    /// Smoothed time to first content, in milliseconds.
    pub latency_ms: Option<f64>,
    /// After how many milliseconds of its silence another channel would be asked as well.
    pub hedge_after_ms: Option<f64>,
    /// That for people, or why nobody would be; `None` where the route does not hedge.
    pub hedge: Option<String>,
}

/// A request that might come.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub model: String,
    pub dialect: Option<Dialect>,
    /// What it brings: pictures, tools.
    pub needs: Abilities,
    pub prompt_tokens: u64,
    /// Whose it is, where that may make a difference.
    pub lineage: Option<Lineage>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A stream, where it is not said.
    pub shape: Option<Shape>,
}

/// The operation by which the callers of a dialect ask for an answer.
pub const fn generation(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::OpenAi => Operation::Chat,
        Dialect::Responses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::Generate,
        Dialect::Cohere => Operation::CohereChat,
        Dialect::Bedrock => Operation::Converse,
        Dialect::Ollama | Dialect::Http => Operation::Opaque,
    }
}

/// `None` when no route takes the model.
pub fn explain(table: &Table, question: &Question) -> Option<Explained> {
    let asked = table.route_of_model(&question.model)?;
    let (route, steering) = steering::steering(table, asked, question);
    Some(Explained { steering, ..explain_route(table, route, question) })
}

/// As [`explain`], for the route of this index, whoever takes the model.
pub fn explain_route(table: &Table, index: usize, question: &Question) -> Explained {
    let Question { model, dialect, needs, prompt_tokens, lineage, shape, headers } = question;
    let route = &table.routes[index];
    let now = table.live.now();
    let first_speaks = || route.channels.iter().find_map(|c| c.upstream.config.speaks.first().copied());
    let dialect = dialect.or_else(first_speaks).unwrap_or(Dialect::OpenAi);
    let need = Need {
        dialect,
        operation: generation(dialect),
        model,
        narrow: false,
        shape: shape.unwrap_or(Shape::Stream),
        resend: Resend::Allowed,
        deadline: now + Duration::from_mins(10),
        prompt_tokens: *prompt_tokens,
        thinks: Thinks::Unsaid,
        most_output: None,
        session: None,
        bond: None,
        least_window: *prompt_tokens,
        abilities: *needs,
        lineage: lineage.as_ref(),
        own: None,
        most_cost: price::bound(lineage.as_ref(), &route.config, asked_most(headers)).map(MostCost::plain),
        most_attempts: u32::MAX,
    };
    let judged = route.channels.iter().map(|channel| {
        let model = channel.model(&route.config, need.model);
        let judgement = shortlist::judge(route, channel, &model, &need, now);
        Judged { channel, model, judgement }
    });
    let judged: Vec<_> = judged.collect();
    let best = judged.iter().filter_map(Judged::place).min();
    let channels = judged.iter().map(|judged| judged.explained(route, &need, best, now)).collect();
    Explained {
        steering: Vec::new(),
        route: route.config.name.to_string(),
        select: route.config.select.name(),
        continuation: route.config.continuation.name(),
        delivery: route.config.delivery.name(),
        channels,
        fallback: route
            .config
            .fallback
            .iter()
            .map(|&index| table.routes[index].config.name.to_string())
            .collect(),
        on_exhausted: route
            .config
            .exhausted
            .tries
            .iter()
            .map(|way| degradation(&route.config, *way))
            .collect(),
        handling: handling::handling(&route.config),
    }
}

/// A channel, and whether a request may go there.
struct Judged<'t> {
    channel: &'t Channel,
    model: Arc<Model>,
    judgement: Result<Rank, WhyNot>,
}

/// By which the one is picked that comes first: those that come last at any rate are behind all tiers of others.
type Place = (Rank, u8, Rank);

impl Judged<'_> {
    fn place(&self) -> Option<Place> {
        self.judgement.ok().map(|rank| (rank.max(Rank::Last), self.channel.config.tier, rank))
    }

    fn explained(&self, route: &Route, need: &Need<'_>, best: Option<Place>, now: Tick) -> ExplainedChannel {
        let Self { channel, model, judgement } = self;
        let hedge = hedge_of(route, channel, model, need, now);
        let gate = model.gate.as_ref().unwrap_or(&channel.upstream.memory.gate);
        let best_tier = best.map(|(_, tier, _)| tier);
        ExplainedChannel {
            quota_left: shortlist::quota_left(channel, model, need, now),
            channel: channel.label.to_string(),
            asked_in: shortlist::asked_in(route, channel, need).map(Dialect::name),
            tier: channel.config.tier,
            weight: channel.config.weight,
            ramp: shortlist::slow_start(route, channel, model, now),
            is_eligible: judgement.is_ok(),
            picked: best.is_some() && self.place() == best,
            standing: match judgement {
                Ok(Rank::Ready) => "ready",
                Ok(Rank::Doubted | Rank::Stalled | Rank::Last) => "last",
                Ok(Rank::Short) => "short_of_quota",
                Ok(Rank::Trial) => "trial",
                Err(why) => why.name(),
            },
            detail: reason::detail(*judgement, channel.config.tier, best_tier, &channel.upstream, now)
                + &reason::hearsay(&channel.upstream, model, now)
                + &overridden::overridden(&channel.upstream, model, now),
            recovers_in_seconds: judgement
                .err()
                .and_then(WhyNot::until)
                .map(|until| until.since(now).as_secs_f64()),
            breaker: gate.state().name().to_owned(),
            health: channel.upstream.memory.health().name(),
            in_flight: model.in_flight(),
            limit: shortlist::limit(channel, model),
            cost_nano_usd: (route.config.select == strategy::Kind::LeastCost)
                .then(|| channel.cost(&route.config, need.model, need.prompt_tokens, USUAL_ANSWER))
                .flatten(),
            latency_ms: model.latency(need.shape, now).map(|latency| latency.as_secs_f64() * 1e3),
            hedge_after_ms: hedge.and_then(Result::ok).map(|delay| delay.as_secs_f64() * 1e3),
            hedge: hedge.map(|hedge| match hedge {
                Ok(delay) => format!("hedged after {:.0} ms", delay.as_secs_f64() * 1e3),
                Err(unhedged) => format!("not hedged: {}", unhedged.why()),
            }),
        }
    }
}

/// What the caller says that the request may cost, where that can be read.
fn asked_most(headers: &[(HeaderName, HeaderValue)]) -> Option<Money> {
    let said = headers.iter().find(|(name, _)| *name == price::MAX_COST)?;
    Money::parse(said.1.to_str().ok()?)
}

/// After how long of its silence another channel would be asked; `None` where the route does not hedge.
fn hedge_of(
    route: &Route,
    channel: &Channel,
    model: &Model,
    need: &Need<'_>,
    now: Tick,
) -> Option<Result<Duration, Unhedged>> {
    let circumstances = hedge::circumstances(route, channel, model, need, now);
    route.config.hedge.enabled.then(|| match hedge::delay(&circumstances) {
        Ok(_) if route.channels.len() == 1 => Err(Unhedged::Alone),
        other => other,
    })
}

/// An item of `on_exhausted`, with what it would do on this route.
fn degradation(route: &config::Route, way: Degradation) -> String {
    let seconds = |time: Duration| format!("{} s", time.as_secs_f64());
    let what = match way {
        Degradation::Stale if !route.cache.enabled => "nothing is kept".to_owned(),
        Degradation::Stale => {
            format!("a kept answer, at most {} old", seconds(route.cache.ttl + route.cache.stale_if_error))
        }
        Degradation::Fallback if route.fallback.is_empty() => "there is none".to_owned(),
        Degradation::Fallback => "the routes above".to_owned(),
        Degradation::Wait => {
            format!("up to {}, {} requests at most", seconds(route.exhausted.wait), route.exhausted.waiters)
        }
        Degradation::Answer if route.exhausted.answer.is_none() => "there is no text".to_owned(),
        Degradation::Answer => "the configured text".to_owned(),
        Degradation::Fail => "an error with the soonest time".to_owned(),
    };
    format!("{} ({what})", way.name())
}
