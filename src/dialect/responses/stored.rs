//! What is said of a stored response: how far it has come, and of one that is stored here a page of its input, and that
//! it is gone.

use std::borrow::Cow;

use crate::dialect::tree::{self, Node};
use crate::dialect::write;

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is being made, in the background.
    UnderWay,
    Made,
    Failed,
    Cancelled,
}

/// The id of a response and how far it has come; `None` of anything else.
pub fn progress(body: &[u8]) -> Option<(String, Progress)> {
    let root = tree::parse(body).ok()?;
    let id = root.at("id").and_then(Node::as_str)?;
    let progress = match root.at("status").and_then(Node::as_str)? {
        "queued" | "in_progress" => Progress::UnderWay,
        "failed" => Progress::Failed,
        "cancelled" => Progress::Cancelled,
        _ => Progress::Made,
    };
    Some((id.to_owned(), progress))
}

/// A part of a list of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'q> {
    limit: usize,
    newest_first: bool,
    after: Option<Cow<'q, str>>,
}

/// A query that asks for no part of a list; the words are for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPage {
    pub param: &'static str,
    pub message: &'static str,
}

impl<'q> Page<'q> {
    pub fn parse(query: Option<&'q str>) -> Result<Self, BadPage> {
        let mut page = Self { limit: 20, newest_first: true, after: None };
        for param in query.unwrap_or_default().split('&') {
            match param.split_once('=') {
                Some(("limit", number)) => {
                    let limit = number.parse().ok().filter(|limit| (1..=100).contains(limit));
                    page.limit = limit.ok_or(BadPage { param: "limit", message: "`limit` is 1 to 100" })?;
                }
                Some(("order", "asc")) => page.newest_first = false,
                Some(("order", "desc")) => page.newest_first = true,
                Some(("order", _)) => {
                    return Err(BadPage { param: "order", message: "`order` is asc or desc" });
                }
                Some(("after", id)) => page.after = Some(Cow::Borrowed(id)),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The list's page, JSON; `items` are ids and texts, the oldest first.
    pub fn list(&self, mut items: Vec<(String, String)>) -> Result<String, BadPage> {
        if self.newest_first {
            items.reverse();
        }
        let begin = match &self.after {
            None => 0,
            Some(after) => {
                let known = items.iter().position(|(id, _)| id == after);
                1 + known.ok_or(BadPage { param: "after", message: "`after` names no item of the input" })?
            }
        };
        let rest = items.get(begin..).unwrap_or_default();
        let shown = rest.get(..self.limit).unwrap_or(rest);
        Ok(write::text(|out| {
            write::object(out, |o| {
                o.str("object", "list");
                o.array("data", |array| {
                    for (_, item) in shown {
                        array.raw(item);
                    }
                });
                for (key, item) in [("first_id", shown.first()), ("last_id", shown.last())] {
                    match item {
                        Some((id, _)) => o.str(key, id),
                        None => o.null(key),
                    };
                }
                o.bool("has_more", shown.len() < rest.len());
            });
        }))
    }
}

/// What is said of a response that is gone.
pub fn deleted(id: &str) -> String {
    write::text(|out| {
        write::object(out, |o| {
            o.str("id", id).str("object", "response").bool("deleted", true);
        });
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let items: Vec<(String, String)> =
            (0..45).map(|n| (format!("i{n}"), format!("{{\"id\":\"i{n}\"}}"))).collect();
        for (order, first) in [("asc", "i0"), ("desc", "i44")] {
            let (mut seen, mut query) = (Vec::new(), format!("order={order}"));
            loop {
                let page = Page::parse(Some(&query)).expect("sound").list(items.clone()).expect("known");
                let page: Value = serde_json::from_str(&page).expect("JSON");
                let data = page["data"].as_array().expect("a list").clone();
                assert_eq!(
                    (&page["first_id"], &page["last_id"]),
                    (&data[0]["id"], &data[data.len() - 1]["id"])
                );
                seen.extend(data.into_iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
                if page["has_more"] == json!(false) {
                    break;
                }
                query = format!("order={order}&after={}", page["last_id"].as_str().expect("an id"));
            }
            assert_eq!((seen.len(), &*seen[0]), (45, first));
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), 45);
        }
    }

    #[test]
    fn a_page_that_is_none_is_refused() {
        for query in ["limit=0", "limit=101", "limit=x", "order=up"] {
            assert!(Page::parse(Some(query)).is_err(), "{query}");
        }
        let page = Page::parse(Some("after=nobody")).expect("sound");
        assert_eq!(page.list(Vec::new()).expect_err("unknown").param, "after");
    }
}
