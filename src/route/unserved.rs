//! Whether a channel's upstream has the model that a caller names: asked once, and then known for a while.
//!
//! Where the configuration names the model, its being missing is the operator's affair: the channel is left out,
//! whoever asks. Where callers name it, as under a pattern, it is theirs, and holds for that name alone.

use super::need::Need;
use super::shortlist;
use crate::algo::tick::Tick;
use crate::state::route::Route;
use crate::state::unserved::Named;
use crate::state::{Channel, Permit};
use crate::vocab::Fault;

/// Whether `fault` means that an upstream lacks what the caller of this request chose to name.
pub fn is_callers(fault: Fault, channel: &Channel, need: &Need<'_>) -> bool {
    fault == Fault::ModelMissing && names_model(channel, need)
}

/// Whether the caller names the model that is asked for. Files and batches have no model, and counts of tokens say
/// nothing of one (WIRE §0.7).
pub fn names_model(channel: &Channel, need: &Need<'_>) -> bool {
    !channel.has_own_model() && !need.operation.is_left() && !need.operation.health_neutral()
}

/// Until when the upstream's word is taken that it does not have the model.
pub fn until(route: &Route, channel: &Channel, need: &Need<'_>, now: Tick) -> Option<Tick> {
    let known = &channel.upstream.memory.unserved;
    names_model(channel, need).then(|| known.until(named(route, channel, need), now)).flatten()
}

/// An upstream has said, before any content, that it does not have the model.
pub fn remember(route: &Route, permit: &Permit, need: &Need<'_>, now: Tick) {
    let channel = permit.channel();
    if names_model(channel, need) {
        channel.upstream.memory.unserved.put(named(route, channel, need), now);
    } else if !need.narrow {
        permit.model().missing(now);
    }
}

/// Lets go of what was begun to be remembered of a model that is not there.
pub fn forget(route: &Route, channel: &Channel, need: &Need<'_>) {
    channel.upstream.memory.forget(named(route, channel, need).model);
}

fn named<'a>(route: &'a Route, channel: &'a Channel, need: &'a Need<'_>) -> Named<'a> {
    Named {
        model: channel.model_name(&route.config, need.model).unwrap_or(need.model),
        operation: need.operation,
        narrow: need.narrow,
        dialect: shortlist::asked_in(route, channel, need).unwrap_or(need.dialect),
    }
}
