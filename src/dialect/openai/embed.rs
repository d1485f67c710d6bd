//! Embeddings (platform.openai.com/docs/api-reference/embeddings), as two dozen vendors have them.

use crate::dialect::hub::{
    Embed, Encoding, Extras, Input, Losses, Manner, Purpose, Terms, Truncate, Vector, Vectors,
};
use crate::dialect::json::{Kind, Walker};
use crate::dialect::provider::Embeddings;
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Array};
use crate::dialect::{Dialect, meter, task};
use crate::vocab::Usage;

const KNOWN: &[&str] = &["input", "model", "encoding_format", "dimensions", "user", "input_type"];

/// What a caller asks for.
pub fn read<'a>(root: &Node<'a>) -> Result<Embed<'a>, Wrong> {
    let encoding = match root.at("encoding_format") {
        None => Encoding::Float,
        Some(node) => match node.string()?.as_ref() {
            "float" => Encoding::Float,
            "base64" => Encoding::Base64,
            _ => return Err(node.wrong("expected `float` or `base64`")),
        },
    };
    let mut extras = Extras::of(root, KNOWN);
    // Not OpenAI's own, but what many vendors and gateways call it.
    let purpose = root.at("input_type").and_then(|node| node.as_str().and_then(Purpose::parse));
    if let (None, Some(other)) = (purpose, root.at("input_type")) {
        extras.keep("input_type", other.raw());
    }
    Ok(Embed {
        dialect: Dialect::OpenAi,
        inputs: inputs(root.need("input")?)?,
        encodings: vec![encoding],
        dimensions: root.at("dimensions").map(Node::integer).transpose()?,
        purpose,
        title: None,
        truncate: None,
        user: root.at("user").map(Node::string).transpose()?,
        extras,
    })
}

fn inputs<'a>(node: &Node<'a>) -> Result<Vec<Input<'a>>, Wrong> {
    if let Some(text) = node.text() {
        return Ok(vec![Input::Text(text)]);
    }
    let Ok(items) = node.items() else { return Err(node.expected("a text, texts or token ids")) };
    if items.is_empty() {
        return Err(node.wrong("there is nothing to embed"));
    }
    if items.iter().all(|item| item.as_integer().is_some()) {
        return Ok(vec![Input::Tokens(ids(items)?)]);
    }
    items
        .iter()
        .map(|item| match item.text() {
            Some(text) => Ok(Input::Text(text)),
            None if item.is_array() => ids(item.elements()).map(Input::Tokens),
            None => Err(item.expected("a text or token ids")),
        })
        .collect()
}

fn ids(items: &[Node<'_>]) -> Result<Vec<u32>, Wrong> {
    let id = |item: &Node<'_>| u32::try_from(item.integer()?).map_err(|_| item.wrong("no token has this id"));
    items.iter().map(id).collect()
}

/// How an upstream is asked for the same.
pub fn write(ask: &Embed<'_>, style: Embeddings, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let (dimensions, purpose, user) = match style {
        Embeddings::OpenAi => ("dimensions", None, ask.user.as_deref()),
        Embeddings::Mistral => ("output_dimension", None, None),
        Embeddings::Voyage => ("output_dimension", ask.purpose.and_then(voyages), None),
    };
    // OpenAI and Mistral refuse texts that are too long; Voyage cuts them unless it is told.
    let truncated = match (ask.truncate, style) {
        (None | Some(Truncate::Never), _) | (Some(Truncate::End), Embeddings::Voyage) => None,
        (Some(Truncate::Start | Truncate::End), _) => ask.truncate,
    };
    losses.drop_extras(&ask.extras);
    losses.drop_if(ask.purpose.filter(|_| purpose.is_none()).as_ref(), "input_type");
    losses.drop_if(ask.title.as_ref(), "title");
    losses.drop_if(truncated.as_ref(), "truncate");
    losses.drop_if(ask.user.as_ref().filter(|_| user.is_none()), "user");
    let texts = ask.texts(losses);
    write::object(out, |o| {
        o.str("model", terms.model);
        o.array("input", |a| {
            for text in &texts {
                a.str(text);
            }
        });
        o.number_if(dimensions, ask.dimensions).str_if("input_type", purpose).str_if("user", user);
        if style == Embeddings::Voyage && ask.truncate == Some(Truncate::Never) {
            o.bool("truncation", false);
        }
    });
}

/// Voyage's word for what the vectors are for; it has two.
const fn voyages(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Query | Purpose::QuestionAnswering | Purpose::FactVerification | Purpose::Code => {
            Some("query")
        }
        Purpose::Document => Some("document"),
        Purpose::Classification | Purpose::Clustering | Purpose::Similarity => None,
    }
}

/// What an upstream answers.
pub fn read_reply(body: &[u8]) -> Result<Vectors<'_>, Wrong> {
    let mut found: Vec<(u64, Vector<'_>)> = Vec::new();
    let mut usage = None;
    let mut walker = Walker::new(body);
    walker
        .object(|walker, key| {
            if key.is("usage") {
                let (_, span) = walker.value()?;
                usage = meter::usage_at(Dialect::OpenAi, walker.slice(span));
                return Ok(());
            }
            if !key.is("data") {
                return walker.skip().map(drop);
            }
            walker.array(|walker| {
                let mut index = found.len() as u64;
                let mut vector = None;
                walker.object(|walker, key| {
                    match (walker.kind()?, &*key.bytes()) {
                        (_, b"index") => index = walker.count()?.unwrap_or(index),
                        (Kind::Array, b"embedding") => {
                            let (_, span) = walker.value()?;
                            vector = std::str::from_utf8(walker.slice(span)).ok().map(Vector::Floats);
                        }
                        (Kind::String, b"embedding") => {
                            vector = walker.string()?.into_str().map(Vector::Base64);
                        }
                        _ => drop(walker.skip()?),
                    }
                    Ok(())
                })?;
                found.extend(vector.map(|vector| (index, vector)));
                Ok(())
            })
        })
        .map_err(task::malformed)?;
    found.sort_by_key(|(index, _)| *index);
    Ok(Vectors { id: None, vectors: found.into_iter().map(|(_, vector)| vector).collect(), usage })
}

/// The answer for a caller.
pub fn write_reply(
    vectors: &Vectors<'_>,
    encoding: Encoding,
    usage: Usage,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let mut wrong = Ok(());
    write::object(out, |o| {
        o.str("object", "list");
        o.array("data", |a| {
            for (index, vector) in vectors.vectors.iter().enumerate() {
                if let Err(error) = item(a, index, vector, encoding) {
                    wrong = Err(error);
                }
            }
        });
        o.str("model", &manner.model);
        o.object("usage", |o| {
            o.number("prompt_tokens", usage.input).number("total_tokens", usage.input);
        });
    });
    wrong
}

fn item(a: &mut Array<'_>, index: usize, vector: &Vector<'_>, encoding: Encoding) -> Result<(), Wrong> {
    let (floats, base64) = match encoding {
        Encoding::Float => (Some(vector.as_floats()?), None),
        Encoding::Base64 => (None, Some(vector.as_base64()?)),
    };
    a.object(|o| {
        o.str("object", "embedding").number("index", index);
        o.raw_if("embedding", floats.as_deref()).str_if("embedding", base64.as_deref());
    });
    Ok(())
}
