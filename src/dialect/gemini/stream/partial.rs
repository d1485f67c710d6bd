//! Arguments that come in pieces (`streamFunctionCallArguments`, Vertex only): each piece names its
//! place by a JSON path, and long strings come in several.
//!
//! Only callers who ask for it in Google's own words get such streams, so the pieces are put together
//! and passed on as one.

use crate::dialect::gemini::names::member;
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Object};

/// More would be no legitimate call.
const MOST_BYTES: usize = 16 * 1024 * 1024;
const MOST_DEPTH: usize = 64;

/// A call's arguments as far as they have come.
#[derive(Debug, Default)]
pub struct Arguments {
    root: Vec<(String, Grown)>,
    bytes: usize,
}

#[derive(Debug)]
enum Grown {
    Object(Vec<(String, Grown)>),
    Array(Vec<Grown>),
    Text(String),
    /// Numbers, true, false and null.
    Json(String),
}

enum Step {
    Key(String),
    Index(usize),
}

impl Arguments {
    /// Adds a piece: an element of `partialArgs`.
    pub fn add(&mut self, piece: &Node<'_>) -> Result<(), Wrong> {
        let path = match member(piece, "jsonPath") {
            Some(path) => path,
            None => piece.need("jsonPath")?,
        };
        let value = value(piece)?;
        self.bytes = self.bytes.saturating_add(piece.raw().len());
        let steps = path.as_str().and_then(steps).filter(|_| self.bytes <= MOST_BYTES);
        let placed = steps.and_then(|steps| place(&mut self.root, steps.into_iter(), value));
        placed.ok_or_else(|| path.wrong("a piece of arguments that has no place"))
    }

    /// The whole of them.
    pub fn take(&mut self) -> String {
        let root = std::mem::take(&mut self.root);
        self.bytes = 0;
        write::text(|out| write::object(out, |o| say_members(o, &root)))
    }
}

fn value(piece: &Node<'_>) -> Result<Grown, Wrong> {
    if let Some(text) = member(piece, "stringValue") {
        return Ok(Grown::Text(text.string()?.into_owned()));
    }
    if let Some(number) = member(piece, "numberValue") {
        return number.number().map(|_| Grown::Json(number.raw().to_owned()));
    }
    if let Some(truth) = member(piece, "boolValue") {
        return truth.boolean().map(|_| Grown::Json(truth.raw().to_owned()));
    }
    Ok(Grown::Json("null".to_owned()))
}

/// `$.a[0]['b c']` in steps; nothing when it is no such path.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == MOST_DEPTH {
            return None;
        }
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (key, tail) = tail.split_at_checked(end)?;
            steps.push(Step::Key(key.to_owned()));
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")) {
            let (key, tail) = tail.split_once("']").or_else(|| tail.split_once("\"]"))?;
            steps.push(Step::Key(key.to_owned()));
            rest = tail;
        } else {
            let (index, tail) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = tail;
        }
    }
    Some(steps)
}

fn place(
    members: &mut Vec<(String, Grown)>,
    mut steps: std::vec::IntoIter<Step>,
    value: Grown,
) -> Option<()> {
    let Step::Key(key) = steps.next()? else { return None };
    let at = members.iter().position(|(name, _)| *name == key);
    match (at, steps.as_slice()) {
        (Some(at), []) => {
            grow(&mut members.get_mut(at)?.1, value);
            Some(())
        }
        (Some(at), _) => descend(&mut members.get_mut(at)?.1, steps, value),
        (None, next) => {
            let mut child = begun(next, value);
            if let Begun::Inner(grown, value) = &mut child {
                descend(grown, steps, value.take()?)?;
            }
            members.push((key, child.into()));
            Some(())
        }
    }
}

fn descend(grown: &mut Grown, mut steps: std::vec::IntoIter<Step>, value: Grown) -> Option<()> {
    match grown {
        Grown::Object(members) => place(members, steps, value),
        Grown::Array(items) => {
            let Step::Index(index) = steps.next()? else { return None };
            if index == items.len() {
                let mut child = begun(steps.as_slice(), value);
                if let Begun::Inner(grown, value) = &mut child {
                    descend(grown, steps, value.take()?)?;
                }
                items.push(child.into());
                return Some(());
            }
            let item = items.get_mut(index)?;
            if !steps.as_slice().is_empty() {
                return descend(item, steps, value);
            }
            grow(item, value);
            Some(())
        }
        Grown::Text(_) | Grown::Json(_) => None,
    }
}

/// A new value: what it holds is placed already, or still to be placed inside.
enum Begun {
    Leaf(Grown),
    Inner(Grown, Option<Grown>),
}

impl From<Begun> for Grown {
    fn from(begun: Begun) -> Self {
        match begun {
            Begun::Leaf(grown) | Begun::Inner(grown, _) => grown,
        }
    }
}

fn begun(next: &[Step], value: Grown) -> Begun {
    match next.first() {
        None => Begun::Leaf(value),
        Some(Step::Key(_)) => Begun::Inner(Grown::Object(Vec::new()), Some(value)),
        Some(Step::Index(_)) => Begun::Inner(Grown::Array(Vec::new()), Some(value)),
    }
}

/// More of a text, or another value in its place.
fn grow(grown: &mut Grown, value: Grown) {
    match (grown, value) {
        (Grown::Text(text), Grown::Text(more)) => text.push_str(&more),
        (grown, value) => *grown = value,
    }
}

fn say_members(o: &mut Object<'_>, members: &[(String, Grown)]) {
    for (key, grown) in members {
        match grown {
            Grown::Object(members) => o.object(key, |o| say_members(o, members)),
            Grown::Array(items) => o.array(key, |a| say_items(a, items)),
            Grown::Text(text) => o.str(key, text),
            Grown::Json(json) => o.raw(key, json),
        };
    }
}

fn say_items(a: &mut write::Array<'_>, items: &[Grown]) {
    for grown in items {
        match grown {
            Grown::Object(members) => a.object(|o| say_members(o, members)),
            Grown::Array(items) => a.array(|a| say_items(a, items)),
            Grown::Text(text) => a.str(text),
            Grown::Json(json) => a.raw(json),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tree;

    fn check(pieces: &[&str], expected: &str) {
        let mut arguments = Arguments::default();
        for piece in pieces {
            let node = tree::parse(piece.as_bytes()).expect("JSON");
            if let Err(wrong) = arguments.add(&node) {
                assert_eq!(wrong.message, expected);
                return;
            }
        }
        assert_eq!(arguments.take(), expected);
        assert_eq!(arguments.take(), "{}");
    }

    #[test]
    fn pieces_become_one_object() {
        check(&[], "{}");
        check(
            &[
                r#"{"jsonPath":"$.city","stringValue":"Bos","willContinue":true}"#,
                r#"{"jsonPath":"$.city","stringValue":"ton"}"#,
                r#"{"jsonPath":"$.days","numberValue":0.5}"#,
                r#"{"jsonPath":"$.list[0].a","boolValue":true}"#,
                r#"{"jsonPath":"$.list[0]['b c']","nullValue":"NULL_VALUE"}"#,
                r#"{"jsonPath":"$.list[1][0]","stringValue":"x"}"#,
            ],
            r#"{"city":"Boston","days":0.5,"list":[{"a":true,"b c":null},["x"]]}"#,
        );
    }

    #[test]
    fn a_piece_without_a_place_is_wrong() {
        for path in ["city", "$", "$[0]", "$.a[5]", "$.a[99999999999999999999]", "$.a[", "$['a"] {
            check(
                &[&format!(r#"{{"jsonPath":"{path}","stringValue":"x"}}"#)],
                "a piece of arguments that has no place",
            );
        }
    }
}
