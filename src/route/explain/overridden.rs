//! What operators have said of a channel's upstream or model, in words.

use crate::algo::tick::Tick;
use crate::state::model::Model;
use crate::state::overrides::{Kind, Override};
use crate::state::upstream::Upstream;

/// To stand behind what else there is to say; empty where they have said nothing.
pub fn overridden(upstream: &Upstream, model: &Model, now: Tick) -> String {
    let of = |model: Option<&str>| upstream.live.overrides.of(&upstream.config.name, model, now);
    let whole = of(None).map(|said| words("the upstream", &said, now));
    let model = of(Some(&model.name)).map(|said| words("the model", &said, now));
    [whole, model].into_iter().flatten().collect()
}

fn words(subject: &str, said: &Override, now: Tick) -> String {
    let what = match said.kind {
        Kind::Disabled => "disabled",
        Kind::Draining => "drained",
        Kind::ForcedOpen => "tripped",
        Kind::ForcedClosed => "restored",
    };
    let left = said.until.map(|until| format!(" for another {:.0} s", until.since(now).as_secs_f64()));
    let why = if said.reason.is_empty() { String::new() } else { format!(": {}", said.reason) };
    format!("; an operator has {what} {subject}{}{why}", left.unwrap_or_default())
}
