//! Which route serves a request that came to another: rules, splits, and mirrors beside them.
//!
//! A request follows one rule of the route that it asked for, and one split of the route where it then is; what
//! an arm leads to is final, so there are no circles. (`route::steer` does it.)

use std::fmt;
use std::sync::Arc;

use http::HeaderName;

use super::access::Level;
use crate::algo::hours::Hours;
use crate::config::percent::Percent;

/// All of it that a route has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steering {
    /// In order; the first one that holds is followed.
    pub rules: Vec<Rule>,
    pub split: Option<Split>,
    pub mirror: Option<Mirror>,
}

impl Steering {
    /// Whether requests may go elsewhere than to their own route.
    pub fn is_steered(&self) -> bool {
        !self.rules.is_empty() || self.split.is_some()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub when: When,
    /// Index of a route.
    pub to: usize,
}

/// Conditions, all of which have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// Names of which one has to be the caller's at that level. Empty is anybody.
    pub callers: Vec<(Level, Vec<Arc<str>>)>,
    pub headers: Vec<(HeaderName, Wanted)>,
    pub above: Option<u64>,
    pub below: Option<u64>,
    pub tools: Option<bool>,
    pub images: Option<bool>,
    pub stream: Option<bool>,
    pub time: Option<Time>,
}

/// Hours, and how the file has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Time {
    pub hours: Hours,
    pub said: Box<str>,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Exactly(Box<str>),
    /// Whatever begins like this; everything, where it is empty.
    Beginning(Box<str>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    pub by: Sticks,
    /// At least two, whose shares are 100% together.
    pub arms: Vec<Arm>,
}

/// What keeps its arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticks {
    /// Nothing but a request that is named by its caller (`Idempotency-Key`).
    Request,
    /// Who asks: his key, or whoever is above it on this level.
    Caller(Level),
    Session,
    Header(HeaderName),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Of letters, digits, `-` and `_`.
    pub name: Arc<str>,
    pub share: Percent,
    /// Index of a route.
    pub to: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Index of a route.
    pub to: usize,
    pub share: Percent,
    pub max_in_flight: u32,
}

impl When {
    /// It holds for every request.
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

/// `key is batch, prompt_tokens above 32000`; for people.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = Vec::new();
        for (level, names) in &self.callers {
            said.push(format!("{} is {}", level.name(), names.join(" or ")));
        }
        for (name, wanted) in &self.headers {
            said.push(match wanted {
                Wanted::Exactly(value) => format!("{name} is {value}"),
                Wanted::Beginning(begin) => format!("{name} is {begin}*"),
            });
        }
        said.extend(self.above.map(|bound| format!("prompt_tokens above {bound}")));
        said.extend(self.below.map(|bound| format!("prompt_tokens below {bound}")));
        for (wanted, what) in [(self.tools, "tools"), (self.images, "images"), (self.stream, "stream")] {
            said.extend(wanted.map(|wanted| if wanted { what.to_owned() } else { format!("no {what}") }));
        }
        said.extend(self.time.as_ref().map(|time| time.said.to_string()));
        if said.is_empty() { f.write_str("always") } else { f.write_str(&said.join(", ")) }
    }
}

/// As the file has it.
impl fmt::Display for Sticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("request"),
            Self::Caller(level) => f.write_str(level.name()),
            Self::Session => f.write_str("session"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}
