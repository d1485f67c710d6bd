//! What a writer has to know: of the upstream that a request goes to, or of the caller that an answer
//! goes to.

use super::carry::Family;
use super::renamed::Renamed;
use super::stops::Stops;
use crate::dialect::framing::Framing;
use crate::dialect::quirks::Quirks;
use crate::vocab::{Ability, Facts};

/// The terms on which an upstream takes a request.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// The model's name there.
    pub model: &'t str,
    /// The name that tells which model it is, where its own does not.
    pub like: Option<&'t str>,
    pub facts: Facts,
    pub family: Family,
    pub quirks: &'static Quirks,
    /// Chat streams have to be asked for their usage.
    pub ask_usage: bool,
    /// Makes up ids that are wanted and not there; some letters and digits, unlike in any two requests.
    pub nonce: &'t str,
}

impl<'t> Terms<'t> {
    /// The name that tells which model it is.
    pub fn kind(&self) -> &'t str {
        self.like.unwrap_or(self.model)
    }

    /// Is it Claude, in Anthropic's dialect?
    pub fn is_claude(&self) -> bool {
        self.quirks.is_claude(self.kind())
    }

    /// Whether the model has this ability: what is known of it, else what its name or its maker lets expect.
    pub fn knows(&self, ability: Ability, otherwise: bool) -> bool {
        self.facts.has(ability) || (otherwise && !self.facts.lacks(ability))
    }
}

/// The manner in which a caller wants its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Manner {
    /// The model as the caller named it, for upstreams that do not say theirs.
    pub model: String,
    /// Makes up ids that are wanted and not there; some letters and digits, unlike in any two requests.
    pub nonce: String,
    /// Seconds since 1970, for upstreams that do not say when they answered.
    pub now: u64,
    /// A chat caller who wants usage at the end of the stream.
    pub usage_wanted: bool,
    /// Whose signatures the model makes that answers.
    pub family: Family,
    /// What divides the stream's events: Gemini callers without `alt=sse` want one JSON array.
    pub framing: Framing,
    /// JSON members of a response that repeat the request (responses only): `"tools":[],…`, without
    /// braces. Empty elsewhere.
    pub echo: String,
    pub keeping: Keeping,
    /// Whose stand-ins the upstream was told for names of tools.
    pub renamed: Renamed,
    /// Stop sequences that the upstream was not told of.
    pub stops: Stops,
}

/// Whether the caller may refer to the answer later (responses only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is remembered here, under an id of ours.
    Kept,
    /// It lies nowhere.
    Passing,
}
