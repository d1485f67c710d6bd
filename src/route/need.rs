//! What a request needs of a channel, and what may be done with it.

use crate::algo::tick::Tick;
use crate::dialect::{Dialect, Operation};
use crate::state::model::Shape;
use crate::vocab::Abilities;

/// Fixed for the life of a request.
#[derive(Clone, Debug)]
pub struct Need<'a> {
    /// The dialect that the channel has to speak.
    pub dialect: Dialect,
    pub operation: Operation,
    /// The model as the caller named it; empty for plain HTTP.
    pub model: &'a str,
    pub shape: Shape,
    pub resend: Resend,
    pub deadline: Tick,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// A window of fewer tokens cannot hold the prompt; 0 where that cannot be told.
    pub least_window: u64,
    /// What the model has to be able to do.
    pub abilities: Abilities,
    /// Bounds each route's own number of attempts.
    pub most_attempts: u32,
}

/// What may be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// A repetition does no harm: generations (it costs), safe methods, keyed requests.
    Allowed,
    /// A repetition could do something twice: only what provably never reached the upstream.
    IfUnsent,
}
