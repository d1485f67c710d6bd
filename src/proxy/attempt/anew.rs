//! Whether bytes of the channel's own dialect pass as they are, or are said anew for it.

use bytes::Bytes;

use super::spoken;
use crate::dialect::hub::Terms;
use crate::dialect::provider::StreamUsage;
use crate::dialect::scan::{self, Scan};
use crate::dialect::{Dialect, anew, task, translate};
use crate::proxy::intake::Guest;
use crate::route::Plan;
use crate::state::{Channel, Permit};
use crate::vocab::Ability;

/// A request in the caller's words, and the upstream's dialect and name for its model.
pub struct Said<'s> {
    pub dialect: Dialect,
    pub name: &'s str,
    pub asked: &'s str,
    pub scan: &'s Scan,
    pub body: &'s Bytes,
}

impl Said<'_> {
    /// Has it to be said anew, though the upstream speaks the caller's dialect? Else its bytes pass.
    pub fn is_to_be_said_anew(&self, guest: &Guest, plan: &Plan<'_>, permit: &Permit) -> bool {
        let provider = permit.channel().upstream.config.provider;
        if task::is_resaid(guest.operation, provider, self.name) {
            return true;
        }
        if !translate::generates(guest.operation) {
            return false;
        }
        let is_continued = guest.onward.is_some();
        let is_misplaced = self.scan.shape == scan::Shape::OfResponses;
        let is_refused = || anew::is_wanted(self.dialect, self.body, self.name, provider.quirks);
        is_continued || is_misplaced || is_refused() || self.is_beyond(guest, plan, permit)
    }

    /// Has its limit to be said by the newer name? Models that reason refuse the older one at OpenAI's, which most
    /// others know alone.
    pub fn wants_newer_limit(&self, plan: &Plan<'_>, permit: &Permit) -> bool {
        let channel = permit.channel();
        let upstream = &channel.upstream.config;
        self.scan.has_older_limit()
            && upstream.provider.knows_newer_limit(upstream.api_version.as_deref())
            && !channel.facts(&plan.route().config, self.asked).lacks(Ability::Reasoning)
    }

    /// Does it ask for more than the model takes, which need not be the one that its caller had in mind?
    fn is_beyond(&self, guest: &Guest, plan: &Plan<'_>, permit: &Permit) -> bool {
        let route = plan.route();
        let other = |channel: &Channel| {
            channel.model_name(&route.config, self.asked).is_some_and(|model| model != self.name)
        };
        let is_chosen_here =
            plan.route_index() != guest.asked_for || route.channels.iter().any(|channel| other(channel));
        is_chosen_here && translate::is_beyond(self.dialect, self.body, &self.terms(plan, permit, ""))
    }

    /// On which terms the upstream takes it.
    pub fn terms<'t>(&'t self, plan: &Plan<'_>, permit: &'t Permit, nonce: &'t str) -> Terms<'t> {
        let channel = permit.channel();
        let upstream = &channel.upstream.config;
        let kind = channel.known_as(self.name);
        Terms {
            model: self.name,
            like: (kind != self.name).then_some(kind),
            facts: channel.facts(&plan.route().config, self.asked),
            family: spoken::family(self.dialect, upstream, kind),
            quirks: upstream.provider.quirks,
            ask_usage: upstream.stream_usage == StreamUsage::Ask,
            nonce,
        }
    }
}
