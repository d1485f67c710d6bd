//! Who calls: which of the configured keys a request proves to hold, and whether that is enough for it.
//!
//! | file | job |
//! |---|---|
//! | `presented` | what a request brings along that could be a key, and taking ours out of it |
//! | `ring` | the keys: found by secret or by name |
//! | `standing` | what the head proves, and what the body has to prove yet |
//!
//! Nothing is refused in words here, which is the proxy's job, and nothing is limited: a caller is a name
//! or nobody. Secrets are hashed before they are looked up and compared in constant time; only whoever
//! checks a signature needs one in clear.

mod presented;
mod ring;
mod standing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{HeaderMap, request};
use metrics::Counter;

pub use presented::Signing;
pub use ring::Key;
pub use standing::{Denied, Received, Standing};

use crate::config::{self, Blueprint, Matcher};
use crate::telemetry::{Metrics, catalogue};
use ring::Ring;

/// What decides who may call; immutable, made anew by every reload.
pub struct Access {
    ring: Ring,
    /// There are no keys, and nothing needs one.
    idle: bool,
    whole: config::Access,
    models: Demand,
    refused: Refusals,
}

/// Whether a request that names a model needs a key, as far as that is known before its model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    Never,
    Always,
    /// On the route that its model leads to.
    ByRoute,
}

/// Counters of those who are nobody we know.
struct Refusals {
    missing: Counter,
    unknown: Counter,
    disagreeing: Counter,
    bad_signature: Counter,
}

impl Access {
    pub fn compile(blueprint: &Blueprint, metrics: &Metrics) -> Self {
        let count = |result| metrics.counter(&catalogue::ACCESS, &["", result]);
        let routes = || blueprint.routes.iter();
        let needed = blueprint.access == config::Access::Keys
            || routes().any(|route| route.access == config::Access::Keys);
        let models = routes().filter(|route| matches!(route.matcher, Matcher::Model { .. }));
        let mut wanted = models.map(|route| route.access).chain([blueprint.access]);
        let first = wanted.next().unwrap_or_default();
        Self {
            ring: Ring::new(&blueprint.keys, metrics),
            idle: blueprint.keys.is_empty() && !needed,
            whole: blueprint.access,
            models: match (first, wanted.all(|other| other == first)) {
                (_, false) => Demand::ByRoute,
                (config::Access::Open, true) => Demand::Never,
                (config::Access::Keys, true) => Demand::Always,
            },
            refused: Refusals {
                missing: count("missing"),
                unknown: count("unknown_key"),
                disagreeing: count("disagreeing"),
                bad_signature: count("bad_signature"),
            },
        }
    }

    /// What holds where no route says otherwise.
    pub const fn whole(&self) -> config::Access {
        self.whole
    }

    /// What holds of requests that name a model, before it is known.
    pub const fn models(&self) -> Demand {
        self.models
    }

    /// What a request's head says about its caller.
    ///
    /// # Errors
    /// Why that is nobody we know.
    pub fn judge(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        signing: Signing,
    ) -> Result<Standing, Denied> {
        if self.idle {
            return Err(Denied::Missing);
        }
        self.ring.judge(headers, query, signing)
    }

    /// The caller's name where he has one, and whether he may go on; counts what is decided.
    ///
    /// # Errors
    /// A key is needed, and none was proven.
    pub fn decide(
        &self,
        proof: Result<Arc<Key>, Denied>,
        needed: config::Access,
    ) -> Result<Option<Arc<str>>, Denied> {
        match (proof, needed) {
            (Ok(key), _) => {
                key.counts.allowed.increment(1);
                Ok(Some(Arc::clone(&key.name)))
            }
            (Err(_), config::Access::Open) => Ok(None),
            (Err(denied), config::Access::Keys) => {
                self.count(&denied);
                Err(denied)
            }
        }
    }

    /// Takes every key of ours out of a request, so that it can go to somebody who must not have it.
    pub fn strip(&self, head: &mut request::Parts) {
        if !self.ring.is_empty() {
            presented::strip(head, |secret| self.ring.find(secret).is_some());
        }
    }

    fn count(&self, denied: &Denied) {
        match denied {
            Denied::Missing => &self.refused.missing,
            Denied::Unknown => &self.refused.unknown,
            Denied::Disagreeing => &self.refused.disagreeing,
            Denied::Signature { key: None, .. } => &self.refused.bad_signature,
            Denied::Signature { key: Some(key), why } => key.counts.of(*why),
        }
        .increment(1);
    }
}
