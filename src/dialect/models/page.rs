//! What of the list a caller wants, by the query of his dialect.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::endpoints;
use crate::dialect::Dialect;
use crate::vocab::Facts;

/// Usual and largest page (Anthropic: API reference, "List models"; Gemini: `models.list`; Cohere: "List Models").
const ANTHROPIC: (usize, usize) = (20, 1000);
const GEMINI: (usize, usize) = (50, 1000);
const COHERE: (usize, usize) = (20, 1000);

/// What Cohere calls the ways to ask a model.
const ENDPOINTS: [&str; 7] = ["chat", "embed", "classify", "summarize", "rerank", "rate", "generate"];

/// What a caller wants of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    size: usize,
    from: From,
    pub(super) codex: Codex,
    /// Only models for this one of Cohere's endpoints.
    endpoint: Option<&'static str>,
}

/// Where a page begins, or ends, and which parameter said so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Start,
    After(&'static str, String),
    Before(&'static str, String),
}

/// Whether the caller is Codex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codex {
    Asks,
    Silent,
}

/// A page of a list, by the places of what is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub places: Range<usize>,
    /// Further on the way that the caller goes.
    pub has_more: bool,
}

/// Which parameter makes no sense, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPage {
    pub param: &'static str,
    pub why: String,
}

impl Page {
    /// Reads the query of a request for the list. Parameters that mean nothing to the dialect are ignored.
    pub fn parse(dialect: Dialect, query: Option<&str>) -> Result<Self, BadPage> {
        let given = |name: &str| {
            let pairs = query.into_iter().flat_map(|query| query.split('&'));
            let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs
                .filter(|(key, value)| *key == name && !value.is_empty())
                .map(|(_, value)| decoded(value))
                .next()
        };
        let from = |name, from: fn(&'static str, String) -> From| given(name).map(|id| from(name, id));
        match dialect {
            Dialect::Anthropic => Ok(Self {
                size: match given("limit").map(|limit| limit.parse::<usize>()) {
                    None => ANTHROPIC.0,
                    Some(Ok(limit)) if (1..=ANTHROPIC.1).contains(&limit) => limit,
                    Some(_) => return Err(BadPage::new("limit", "1 to 1000 models make a page")),
                },
                from: from("after_id", From::After)
                    .or_else(|| from("before_id", From::Before))
                    .unwrap_or(From::Start),
                codex: Codex::Silent,
                endpoint: None,
            }),
            Dialect::Gemini => Ok(Self {
                size: match given("pageSize").map(|size| size.parse::<u32>()) {
                    None | Some(Ok(0)) => GEMINI.0,
                    Some(Ok(size)) => (size as usize).min(GEMINI.1),
                    Some(Err(_)) => return Err(BadPage::new("pageSize", "a page has a number of models")),
                },
                from: from("pageToken", From::After).unwrap_or(From::Start),
                codex: Codex::Silent,
                endpoint: None,
            }),
            Dialect::Cohere => Ok(Self {
                // Its SDK's type for the number is a float.
                size: match given("page_size").map(|size| size.strip_suffix(".0").unwrap_or(&size).parse()) {
                    None => COHERE.0,
                    Some(Ok(size)) if (1..=COHERE.1).contains(&size) => size,
                    Some(_) => return Err(BadPage::new("page_size", "1 to 1000 models make a page")),
                },
                from: from("page_token", From::After).unwrap_or(From::Start),
                codex: Codex::Silent,
                endpoint: given("endpoint").map(|name| endpoint(&name)).transpose()?,
            }),
            Dialect::OpenAi | Dialect::Responses | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => {
                Ok(Self {
                    size: usize::MAX,
                    from: From::Start,
                    codex: if given("client_version").is_some() { Codex::Asks } else { Codex::Silent },
                    endpoint: None,
                })
            }
        }
    }

    /// Whether a model is in the list that the caller wants; what is known of it is asked for where it matters.
    pub fn wants(&self, facts: impl FnOnce() -> Facts) -> bool {
        self.endpoint.is_none_or(|wanted| endpoints(facts().mode).contains(&wanted))
    }

    /// The page of a list of `ids`.
    pub fn cut(&self, ids: &[&str]) -> Result<Cut, BadPage> {
        let place = |id: &str, param: &'static str| {
            let place = ids.iter().position(|known| *known == id);
            place.ok_or_else(|| BadPage::new(param, "the list has no such model; begin at its start"))
        };
        match &self.from {
            From::Start => Ok(self.onwards(0, ids.len())),
            From::After(param, id) => Ok(self.onwards(place(id, param)? + 1, ids.len())),
            From::Before(param, id) => {
                let end = place(id, param)?;
                let begin = end.saturating_sub(self.size);
                Ok(Cut { places: begin..end, has_more: begin > 0 })
            }
        }
    }

    fn onwards(&self, begin: usize, count: usize) -> Cut {
        let end = begin.saturating_add(self.size).min(count);
        Cut { places: begin..end, has_more: end < count }
    }
}

impl BadPage {
    fn new(param: &'static str, why: &str) -> Self {
        Self { param, why: why.to_owned() }
    }

    /// For people.
    pub fn message(&self) -> String {
        format!("{}: {}", self.param, self.why)
    }
}

/// One of Cohere's own.
fn endpoint(name: &str) -> Result<&'static str, BadPage> {
    let known = ENDPOINTS.iter().find(|known| **known == name).copied();
    known.ok_or_else(|| BadPage::new("endpoint", &format!("it is one of {}", ENDPOINTS.join(", "))))
}

/// A value of a query string; broken escapes stay as they are.
fn decoded(value: &str) -> String {
    percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_make_no_sense_say_why() {
        let bad = |dialect, query| Page::parse(dialect, Some(query)).expect_err(query).param;
        for limit in ["limit=0", "limit=1001", "limit=-1", "limit=many"] {
            assert_eq!(bad(Dialect::Anthropic, limit), "limit");
        }
        assert_eq!(bad(Dialect::Gemini, "pageSize=-1"), "pageSize");
        assert!(Page::parse(Dialect::Gemini, Some("pageSize=5000")).is_ok_and(|page| page.size == 1000));
        for size in ["page_size=0", "page_size=1001", "page_size=x"] {
            assert_eq!(bad(Dialect::Cohere, size), "page_size");
        }
        assert_eq!(bad(Dialect::Cohere, "endpoint=paint"), "endpoint");
        assert!(Page::parse(Dialect::OpenAi, Some("limit=0&pageSize=x")).is_ok());
        let page = Page::parse(Dialect::Anthropic, Some("after_id=gone")).expect("a page");
        assert_eq!(page.cut(&["a"]).expect_err("no such model").param, "after_id");
    }
}
