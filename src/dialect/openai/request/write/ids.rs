//! Ids of tool calls, as the upstream takes them: the same for a call and its result.

use std::borrow::Cow;
use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::{Vendor, Way};
use crate::dialect::hub::Text;
use crate::dialect::quirks::ToolIds;

/// OpenAI refuses longer ones.
const MOST_AT_OPENAI: usize = 40;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Gives ids to calls that have none, and to their results by the order.
#[derive(Debug, Default)]
pub struct Ids {
    made: usize,
    /// Calls without an id that wait for their result: the name and the id that was made up.
    waiting: VecDeque<(String, String)>,
}

impl Ids {
    pub fn call<'t>(&mut self, id: &'t Text<'_>, name: &str, way: Way<'_, '_>) -> Cow<'t, str> {
        if !id.is_empty() {
            return fit(id, way);
        }
        let made = self.make(way);
        self.waiting.push_back((name.to_owned(), made.clone()));
        Cow::Owned(made)
    }

    /// The first call of the same name that has no result yet, or else the first of any name.
    pub fn outcome<'t>(&mut self, id: &'t Text<'_>, name: Option<&str>, way: Way<'_, '_>) -> Cow<'t, str> {
        if !id.is_empty() {
            return fit(id, way);
        }
        let named = self.waiting.iter().position(|(waiting, _)| Some(&**waiting) == name);
        let made = self.waiting.remove(named.unwrap_or(0)).map(|(_, id)| id);
        Cow::Owned(made.unwrap_or_else(|| self.make(way)))
    }

    fn make(&mut self, way: Way<'_, '_>) -> String {
        let made = format!("call_{}_{}", way.terms.nonce, self.made);
        self.made += 1;
        fit(&made, way).into_owned()
    }
}

fn fit<'t>(id: &'t str, way: Way<'_, '_>) -> Cow<'t, str> {
    match way.terms.quirks.tool_ids {
        tool_ids @ ToolIds::NineAlphanumeric if !tool_ids.takes(id.as_bytes()) => Cow::Owned(digest(id, 9)),
        ToolIds::Any if way.vendor == Vendor::OpenAi && id.len() > MOST_AT_OPENAI => {
            Cow::Owned(format!("call_{}", digest(id, 24)))
        }
        ToolIds::NineAlphanumeric | ToolIds::Any => Cow::Borrowed(id),
    }
}

/// Letters and digits that stand for the id. Nine of them meet by chance once in 10^8 conversations of
/// ten thousand calls; 256 is no multiple of 62, which makes no difference to that.
fn digest(id: &str, length: usize) -> String {
    let digest = Sha256::digest(id.as_bytes());
    let digit = |byte: &u8| DIGITS.get(usize::from(byte % 62)).copied().map_or('0', char::from);
    digest.iter().take(length).map(digit).collect()
}
