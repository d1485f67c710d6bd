//! What one pass over a frame's JSON has seen. Dialects' own `watch` fills it; what it means for the stream is the
//! watch's business.

use std::ops::Range;

use serde_json::Value;

use crate::dialect::json::{Kind, Text, Walked, Walker};
use crate::dialect::tier;
use crate::vocab::Tier;

/// What a frame says, the stronger the later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Says {
    #[default]
    Lifecycle,
    UsageOnly,
    Finish,
    Content,
    Terminal,
    Error,
}

/// What one pass over a frame has seen.
#[derive(Debug, Default)]
pub struct Glimpse {
    pub says: Says,
    /// Where the usage object stands.
    pub usage: Option<Range<usize>>,
    pub sequence: Option<u64>,
    /// Where a response object stands.
    pub response: Option<Range<usize>>,
    /// The finish reason is the model's failure.
    pub model_failed: bool,
    /// Choices that spoke and choices that finished, a bit each.
    pub seen: u64,
    pub finished: u64,
    /// How the request was hurried, where that stands beside the usage.
    pub tier: Option<Tier>,
    /// It says what went wrong in a member of its own: an error, where nothing of an answer is beside it.
    pub complains: bool,
}

impl Glimpse {
    /// Books one choice or candidate.
    pub fn choice(&mut self, index: u32, content: bool, finished: bool) {
        let bit = 1 << index.min(63);
        self.seen |= bit;
        if finished {
            self.finished |= bit;
            self.says = self.says.max(Says::Finish);
        }
        if content {
            self.says = self.says.max(Says::Content);
        }
    }

    /// Takes a usage object, or whatever stands in its place.
    pub fn usage(&mut self, walker: &mut Walker<'_>) -> Walked {
        let (kind, span) = walker.value()?;
        if kind == Kind::Object {
            self.usage = Some(span);
        }
        Ok(())
    }

    /// Takes the tier of service, if this is it.
    pub fn tier_of(&mut self, walker: &mut Walker<'_>, key: &Text<'_>) -> Walked<bool> {
        let is_tier = key.is("service_tier") || key.is("serviceTier");
        if is_tier {
            self.tier = tier::read(walker)?.or(self.tier);
        }
        Ok(is_tier)
    }

    /// Errors without a name for it (`{"code", "message"}`, `{"detail"}`, `{"success": false}`) are told from events by
    /// what they lack.
    pub fn settle(&mut self, is_event: bool) {
        if self.complains && !is_event {
            self.says = Says::Error;
        }
    }

    /// Takes a member that the dialect has no use for; errors look the same in all of them.
    pub fn error_or_skip(&mut self, walker: &mut Walker<'_>, key: &Text<'_>) -> Walked {
        let error = key.is("error");
        let base_resp = key.is("base_resp");
        if self.tier_of(walker, key)? {
            return Ok(());
        }
        if error && !walker.is_blank()? {
            self.says = Says::Error;
        } else if base_resp {
            // MiniMax has it in every answer; a status of 0 is success.
            let (_, span) = walker.value()?;
            let status = serde_json::from_slice::<Value>(walker.slice(span)).unwrap_or_default();
            if status["status_code"].as_u64().is_some_and(|code| code != 0) {
                self.says = Says::Error;
            }
        } else if !error {
            let (kind, span) = walker.value()?;
            if key.is("object") && walker.slice(span.clone()) == b"\"error\"" {
                self.says = Says::Error;
            }
            self.complains |= complains(kind, span.len(), key);
        }
        Ok(())
    }
}

/// Whether a member, `length` bytes long, tells what went wrong.
fn complains(kind: Kind, length: usize, key: &Text<'_>) -> bool {
    match kind {
        Kind::String => length > 2 && ["message", "msg", "detail"].iter().any(|name| key.is(name)),
        Kind::Array => length > 2 && (key.is("detail") || key.is("errors")),
        Kind::False => key.is("success"),
        Kind::Object | Kind::Number | Kind::True | Kind::Null => false,
    }
}
