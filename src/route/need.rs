//! What a request needs of a channel, and what may be done with it.

use std::sync::Arc;

use super::price::MostCost;
use super::unserved;
use crate::algo::quota::Tokens;
use crate::algo::tick::Tick;
use crate::config::Lineage;
use crate::dialect::scan::Thinks;
use crate::dialect::{Dialect, Operation};
use crate::state::Channel;
use crate::state::model::{Model, Shape};
use crate::state::permit::{Wants, Whose};
use crate::state::route::Route;
use crate::vocab::{Abilities, Payer};

/// Fixed for the life of a request.
#[derive(Clone, Debug)]
pub struct Need<'a> {
    /// The dialect that the channel has to speak.
    pub dialect: Dialect,
    pub operation: Operation,
    /// The model as the caller named it; empty for plain HTTP.
    pub model: &'a str,
    /// It asks a version of the API that may lack models which others have.
    pub narrow: bool,
    pub shape: Shape,
    pub resend: Resend,
    pub deadline: Tick,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// Whether it has its model think.
    pub thinks: Thinks,
    /// The caller's limit on the answer's tokens.
    pub most_output: Option<u64>,
    /// The conversation that it belongs to, where the route cares.
    pub session: Option<u64>,
    /// Where what it refers to is stored.
    pub bond: Option<Bond>,
    /// A window of fewer tokens cannot hold the prompt; 0 where that cannot be told.
    pub least_window: u64,
    /// What the model has to be able to do.
    pub abilities: Abilities,
    /// Whose it is, where that decides which upstreams may have it.
    pub lineage: Option<&'a Lineage>,
    /// Whose keys it brings one of its own for, which goes along instead of the gateway's.
    pub own: Option<&'a str>,
    /// Channels where it could cost more are not asked.
    pub most_cost: Option<MostCost>,
    /// Bounds each route's own number of attempts.
    pub most_attempts: u32,
}

/// Tokens of an answer whose length nobody knows: about what chat answers have. A limit of the caller's
/// only makes it shorter, for limits are seldom reached.
pub const USUAL_ANSWER: u64 = 500;

impl Need<'_> {
    /// About how many tokens the answer will have.
    pub fn answer_tokens(&self) -> u64 {
        self.most_output.map_or(USUAL_ANSWER, |most| most.min(USUAL_ANSWER))
    }

    /// The same without a bond, if it has one that yields.
    pub fn freed(&self) -> Option<Self> {
        let yields = self.bond.is_some_and(|bond| bond.hold == Hold::Yields);
        yields.then(|| Self { bond: None, ..self.clone() })
    }

    /// What is remembered of a channel for requests of this kind. What callers leave there has a memory of its own at
    /// each upstream, or else a failing one would take its models out.
    pub fn memory(&self, route: &Route, channel: &Channel, now: Tick) -> Arc<Model> {
        const LEFT: &str = "(files, batches, stored responses)";
        if self.operation.is_left() {
            return channel.upstream.memory.model(LEFT, Some(&channel.config.breaker));
        }
        // What is not there needs none of its own, or names without end would take all places.
        if unserved::until(route, channel, self, now).is_some() {
            return channel.upstream.memory.other_models(Some(&channel.config.breaker));
        }
        channel.model(&route.config, self.model)
    }

    pub fn wants(&self) -> Wants {
        let tokens = Tokens { input: self.prompt_tokens, output: self.answer_tokens() };
        Wants {
            shape: self.shape,
            session: self.session,
            key: self.bond.and_then(|bond| bond.key),
            payer: self.payer(),
            tokens,
        }
    }

    pub const fn payer(&self) -> Payer {
        match self.own {
            Some(_) => Payer::Caller,
            None => Payer::Gateway,
        }
    }
}

/// The one upstream, by its identity, and those of its keys that know what a request refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bond {
    pub upstream: u64,
    pub key: Option<Whose>,
    pub hold: Hold,
}

/// How much a request depends on its bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nobody else can answer.
    Firm,
    /// While it cannot be had, somebody else can answer a request without what it refers to.
    Yields,
}

/// What may be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// A repetition does no harm: generations (it costs), safe methods, keyed requests.
    Allowed,
    /// A repetition could do something twice: only what provably never reached the upstream.
    IfUnsent,
    /// Something at the upstream lasts that a repetition would change twice (a conversation, work in the background),
    /// but only of what it is told in the caller's dialect: a translated request leaves nothing behind.
    IfUnsentOrTranslated,
}

impl Resend {
    /// What holds for a request that goes out in the caller's dialect.
    #[must_use]
    pub const fn native(self) -> Self {
        match self {
            Self::Allowed => Self::Allowed,
            Self::IfUnsent | Self::IfUnsentOrTranslated => Self::IfUnsent,
        }
    }

    /// What holds for one that goes out in another dialect.
    #[must_use]
    pub const fn translated(self) -> Self {
        match self {
            Self::Allowed | Self::IfUnsentOrTranslated => Self::Allowed,
            Self::IfUnsent => Self::IfUnsent,
        }
    }
}
