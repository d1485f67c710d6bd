//! Embeddings (docs.cohere.com/reference/embed, v2).

use crate::dialect::hub::{
    Embed, Encoding, Extras, Input, Losses, Manner, Purpose, Terms, Text, Truncate, Vector, Vectors,
};
use crate::dialect::json::{Kind, Walker};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write;
use crate::dialect::{Dialect, task};
use crate::vocab::Usage;

const KNOWN: &[&str] =
    &["model", "texts", "images", "inputs", "input_type", "embedding_types", "output_dimension", "truncate"];

/// What a caller asks for.
pub fn read<'a>(root: &Node<'a>) -> Result<Embed<'a>, Wrong> {
    let mut extras = Extras::of(root, KNOWN);
    let purpose = root.need("input_type")?.string()?;
    if &*purpose == "image" {
        return Err(root.need("input_type")?.wrong("pictures can be put to Cohere's own models only"));
    }
    let truncate = match root.at("truncate").map(Node::string).transpose()?.as_deref() {
        None => None,
        Some("NONE") => Some(Truncate::Never),
        Some("START") => Some(Truncate::Start),
        Some(_) => Some(Truncate::End),
    };
    Ok(Embed {
        dialect: Dialect::Cohere,
        inputs: inputs(root)?,
        encodings: encodings(root, &mut extras)?,
        dimensions: root.at("output_dimension").map(Node::integer).transpose()?,
        purpose: Purpose::parse(&purpose),
        title: None,
        truncate,
        user: None,
        extras,
    })
}

fn inputs<'a>(root: &Node<'a>) -> Result<Vec<Input<'a>>, Wrong> {
    let mut inputs = Vec::new();
    for text in root.at("texts").map(Node::items).transpose()?.unwrap_or_default() {
        inputs.push(Input::Text(text.string()?));
    }
    for _ in root.at("images").map(Node::items).transpose()?.unwrap_or_default() {
        inputs.push(Input::Vendor { kind: "pictures" });
    }
    for input in root.at("inputs").map(Node::items).transpose()?.unwrap_or_default() {
        let mut texts: Vec<Text<'a>> = Vec::new();
        let mut other = None;
        for part in input.need("content")?.items()? {
            match part.at("text") {
                Some(text) => texts.push(text.string()?),
                None => other = Some(Input::Vendor { kind: "pictures" }),
            }
        }
        inputs.push(other.unwrap_or_else(|| Input::Text(Text::Owned(texts.join("\n")))));
    }
    if inputs.is_empty() {
        return Err(root.wrong("there is nothing to embed: `texts` or `inputs` is missing"));
    }
    Ok(inputs)
}

fn encodings<'a>(root: &Node<'a>, extras: &mut Extras<'a>) -> Result<Vec<Encoding>, Wrong> {
    let Some(node) = root.at("embedding_types") else { return Ok(vec![Encoding::Float]) };
    let kinds = node.items()?;
    let known = |kind: &Node<'_>| match kind.as_str() {
        Some("float") => Some(Encoding::Float),
        Some("base64") => Some(Encoding::Base64),
        _ => None,
    };
    let encodings: Vec<Encoding> = kinds.iter().filter_map(known).collect();
    if encodings.is_empty() {
        return Err(node.wrong("models of other vendors can be had as `float` and `base64` only"));
    }
    if encodings.len() < kinds.len() {
        extras.keep("embedding_types", node.raw());
    }
    Ok(encodings)
}

/// How an upstream is asked for the same.
pub fn write(ask: &Embed<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.drop_extras(&ask.extras);
    losses.drop_if(ask.user.as_ref(), "user");
    losses.drop_if(ask.title.as_ref(), "title");
    let texts = ask.texts(losses);
    write::object(out, |o| {
        o.str("model", terms.model);
        o.array("texts", |a| {
            for text in &texts {
                a.str(text);
            }
        });
        // It has to be said; most texts that are embedded are searched later.
        o.str("input_type", ask.purpose.map_or("search_document", word));
        o.array("embedding_types", |a| {
            a.str("float");
        });
        o.number_if("output_dimension", ask.dimensions);
        o.str_if(
            "truncate",
            ask.truncate.map(|truncate| match truncate {
                Truncate::Never => "NONE",
                Truncate::Start => "START",
                Truncate::End => "END",
            }),
        );
    });
}

const fn word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Query | Purpose::QuestionAnswering | Purpose::FactVerification | Purpose::Code => {
            "search_query"
        }
        Purpose::Document => "search_document",
        Purpose::Classification => "classification",
        // Texts are compared with their like.
        Purpose::Clustering | Purpose::Similarity => "clustering",
    }
}

/// What an upstream answers: by type, or as a bare list (v1).
pub fn read_reply(body: &[u8]) -> Result<Vectors<'_>, Wrong> {
    let mut said = Vectors::default();
    let mut walker = Walker::new(body);
    walker
        .object(|walker, key| match (walker.kind()?, &*key.bytes()) {
            (Kind::String, b"id") => {
                said.id = walker.string()?.into_str();
                Ok(())
            }
            (Kind::Array, b"embeddings") => arrays(walker, &mut said.vectors),
            (Kind::Object, b"embeddings") => {
                walker.object(|walker, kind| {
                    if kind.is("float") { arrays(walker, &mut said.vectors) } else { walker.skip().map(drop) }
                })?;
                Ok(())
            }
            (Kind::Object, b"meta") => {
                said.usage = billed(walker)?;
                Ok(())
            }
            _ => walker.skip().map(drop),
        })
        .map_err(task::malformed)?;
    Ok(said)
}

fn arrays<'a>(walker: &mut Walker<'a>, vectors: &mut Vec<Vector<'a>>) -> crate::dialect::json::Walked {
    walker.array(|walker| {
        let (_, span) = walker.value()?;
        vectors.extend(std::str::from_utf8(walker.slice(span)).ok().map(Vector::Floats));
        Ok(())
    })
}

/// `meta.billed_units.input_tokens`
fn billed(walker: &mut Walker<'_>) -> crate::dialect::json::Walked<Option<Usage>> {
    let mut usage = None;
    walker.object(|walker, key| {
        if !key.is("billed_units") {
            return walker.skip().map(drop);
        }
        walker.if_object(|walker, key| {
            if !key.is("input_tokens") {
                return walker.skip().map(drop);
            }
            usage = walker.count()?.map(|input| Usage { input, ..Usage::default() });
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(usage)
}

/// The answer for a caller.
pub fn write_reply(
    vectors: &Vectors<'_>,
    encodings: &[Encoding],
    usage: Usage,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let all = &vectors.vectors;
    let floats: Vec<_> = if encodings.contains(&Encoding::Float) {
        all.iter().map(Vector::as_floats).collect::<Result<_, _>>()?
    } else {
        Vec::new()
    };
    let base64: Vec<_> = if encodings.contains(&Encoding::Base64) {
        all.iter().map(Vector::as_base64).collect::<Result<_, _>>()?
    } else {
        Vec::new()
    };
    write::object(out, |o| {
        o.str("id", vectors.id.as_deref().unwrap_or(&manner.nonce));
        o.object("embeddings", |o| {
            if !floats.is_empty() {
                o.array("float", |a| {
                    for array in &floats {
                        a.raw(array);
                    }
                });
            }
            if !base64.is_empty() {
                o.array("base64", |a| {
                    for text in &base64 {
                        a.str(text);
                    }
                });
            }
        });
        o.object("meta", |o| {
            o.object("api_version", |o| {
                o.str("version", "2");
            });
            o.object("billed_units", |o| {
                o.number("input_tokens", usage.input);
            });
        });
        o.str("response_type", "embeddings_by_type");
    });
    Ok(())
}
