//! What an endpoint takes and gives beyond its path: what its document says of it ([`mod@super::document`]), and what
//! the index lists. It stands beside the handler that it describes.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::explain::pairs;
use crate::config::did_you_mean;

/// So much of what somebody wrote is said back to him.
const LONGEST_NAME: usize = 60;

/// Where a type's schema comes from.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Whatever is JSON.
pub(super) fn anything(generator: &mut SchemaGenerator) -> Schema {
    of::<serde_json::Value>(generator)
}

/// One endpoint's.
pub(super) struct Form {
    pub query: &'static [Parameter],
    pub body: Option<Body>,
    /// A body that is taken, as it is written.
    pub example: Option<&'static str>,
    /// When all is well.
    pub answer: Answer,
    /// Other answers that are no refusals.
    pub others: &'static [Answer],
    /// Refusals with a status of their own, and when; those of the door are not among them.
    pub refusals: &'static [(u16, &'static str)],
    /// What the audit trail calls it; `None` for what changes nothing, and shows nobody's words.
    pub deed: Option<&'static str>,
}

/// Something in the query string.
pub(super) struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
    pub doc: &'static str,
    pub example: Option<&'static str>,
}

/// What may stand there.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// A whole number from 0 on.
    Count,
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text, and as often as there is something to say.
    Texts,
}

/// Whether something may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// What is sent along.
pub(super) struct Body {
    pub media: &'static str,
    pub shape: Shape,
    pub need: Need,
    pub doc: &'static str,
}

/// What comes back.
pub(super) struct Answer {
    pub status: u16,
    pub content: Content,
    pub doc: &'static str,
}

/// In what form.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Json(Shape),
    /// Text of one of these media types.
    Text(&'static [&'static str]),
    /// JSON, or one of these media types where `format` asks for it.
    Either(Shape, &'static [&'static str]),
}

impl Form {
    /// Answers 200 with this, takes nothing and changes nothing.
    pub const fn gives(content: Content, doc: &'static str) -> Self {
        Self {
            query: &[],
            body: None,
            example: None,
            answer: Answer { status: 200, content, doc },
            others: &[],
            refusals: &[],
            deed: None,
        }
    }

    /// Answers 200 with a `T` as JSON.
    pub const fn json<T: JsonSchema>(doc: &'static str) -> Self {
        Self::gives(Content::Json(of::<T>), doc)
    }

    /// Changes something: the audit trail has it under this name.
    pub const fn does(mut self, deed: &'static str) -> Self {
        self.deed = Some(deed);
        self
    }

    pub const fn status(mut self, status: u16) -> Self {
        self.answer.status = status;
        self
    }

    pub const fn query(mut self, query: &'static [Parameter]) -> Self {
        self.query = query;
        self
    }

    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    pub const fn others(mut self, others: &'static [Answer]) -> Self {
        self.others = others;
        self
    }

    pub const fn refuses(mut self, refusals: &'static [(u16, &'static str)]) -> Self {
        self.refusals = refusals;
        self
    }

    /// What is said of a query with a name in it that means nothing here: misspelt, it would change the answer in silence.
    pub fn unknown_in(&self, query: &str) -> Option<String> {
        let names = || self.query.iter().map(|parameter| parameter.name);
        let (name, _) = pairs(query).into_iter().find(|(name, _)| !names().any(|known| known == name))?;
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let close = did_you_mean(&name, names());
        let all = names().collect::<Vec<_>>().join(", ");
        let there = if all.is_empty() { "there is nothing".to_owned() } else { format!("there are {all}") };
        Some(format!("the query has `{name}`, which means nothing here; {close}{there}"))
    }

    /// A `T` as JSON is sent along.
    pub const fn takes<T: JsonSchema>(self, need: Need, doc: &'static str) -> Self {
        self.body(Body { media: "application/json", shape: of::<T>, need, doc })
    }

    pub const fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }
}

impl Parameter {
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, need: Need::Required, doc, example: None }
    }

    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, need: Need::Optional, doc, example: None }
    }

    /// With a value that could stand there.
    pub const fn like(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }
}
