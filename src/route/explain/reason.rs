//! Why a channel is picked or not, in words.

use crate::algo::tick::Tick;
use crate::config;
use crate::route::shortlist::{Rank, WhyNot};
use crate::state::model::Model;
use crate::state::upstream::Upstream;

/// All that there is to say of it.
pub fn detail(
    judgement: Result<Rank, WhyNot>,
    tier: u8,
    best_tier: Option<u8>,
    upstream: &Upstream,
    now: Tick,
) -> String {
    let said = reason(judgement, tier, best_tier, upstream, now);
    if upstream.is_cut_off(now) {
        return format!("{said}; no provider can be reached, and the network here is suspected");
    }
    said
}

/// Which keys rest because another replica has said that they must.
pub fn hearsay(upstream: &Upstream, model: &Model, now: Tick) -> String {
    let keys = upstream.credentials.iter();
    let heard: Vec<&str> = keys
        .filter(|key| key.rests_on_hearsay(model.rate(&key.rate_key).as_deref(), now))
        .map(|key| key.alias.as_str())
        .collect();
    if heard.is_empty() {
        return String::new();
    }
    format!("; another replica has found out that {} must rest", heard.join(" and "))
}

fn reason(
    judgement: Result<Rank, WhyNot>,
    tier: u8,
    best_tier: Option<u8>,
    upstream: &Upstream,
    now: Tick,
) -> String {
    let seconds = |until: Tick| format!("{:.1} s", until.since(now).as_secs_f64());
    match judgement {
        Ok(Rank::Ready | Rank::Doubted | Rank::Stalled | Rank::Last)
            if best_tier.is_some_and(|best| tier > best) =>
        {
            format!("waits in tier {tier} until tier {} has nothing eligible", best_tier.unwrap_or_default())
        }
        Ok(Rank::Ready) => "takes its share".to_owned(),
        Ok(Rank::Doubted) => {
            let group = upstream.fate.as_ref().map_or("", |fate| &fate.group.name);
            format!("others of its group {group} fail alike; those that look well go first")
        }
        Ok(Rank::Stalled) => {
            "those who wait for it, or for more of a stream, have heard nothing for longer than usual; others of its tier go first"
                .to_owned()
        }
        Ok(Rank::Last) => "failed a moment ago; others of its tier go first".to_owned(),
        Ok(Rank::Short) => {
            "its keys have too little quota left for this; asked when nobody else is left".to_owned()
        }
        Ok(Rank::Trial) => "its breaker lets single requests find out whether it is back".to_owned(),
        Err(WhyNot::Unconfigured) => match &upstream.config.readiness {
            config::Readiness::Unconfigured { missing } => format!("set {}", missing.join(" or ")),
            config::Readiness::Ready => String::new(),
        },
        Err(WhyNot::DisabledByOperator { .. }) => "no request goes there".to_owned(),
        Err(WhyNot::Speaks) => {
            let speaks: Vec<_> = upstream.config.speaks.iter().map(|dialect| dialect.name()).collect();
            format!("speaks {} only", speaks.join(", "))
        }
        Err(WhyNot::OutOfReach) => "the caller's key, or somebody above it, does not allow it".to_owned(),
        Err(WhyNot::Bound) => "what the request refers to is stored at another upstream".to_owned(),
        Err(WhyNot::Lacks(ability)) => format!("its model is known not to take {}", ability.name()),
        Err(WhyNot::Window) => "its model's window is smaller than the prompt".to_owned(),
        Err(WhyNot::TooDear) => "the request could cost more there than `max_cost` allows".to_owned(),
        Err(WhyNot::Down) => "active probes fail".to_owned(),
        Err(WhyNot::BreakerOpen { until }) => until
            .map_or("forced open, or trials under way".to_owned(), |until| {
                format!("next trial in {}", seconds(until))
            }),
        Err(WhyNot::Credentials { until }) => {
            format!("every key cools down; the first is tried in {}", seconds(until))
        }
        Err(WhyNot::Capped { until }) => {
            format!("`quota` is used up; there is room in about {}", seconds(until))
        }
        Err(WhyNot::ModelMissing { until }) => {
            format!("the upstream says that it does not serve this model; asked again in {}", seconds(until))
        }
        Err(WhyNot::Unserved { until }) => {
            format!("the upstream says that it has no model of this name; asked again in {}", seconds(until))
        }
        Err(WhyNot::Full) => {
            "as many requests in flight as `max_inflight` or the limits of its keys allow; others wait"
                .to_owned()
        }
        Err(WhyNot::Tried) => "this request has tried it".to_owned(),
    }
}
