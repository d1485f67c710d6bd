//! Rankings, as Jina, Voyage, vLLM, llama.cpp and others have them below an OpenAI base URL.
//!
//! All agree on `model`, `query` and `documents`. Voyage says `top_k` for `top_n` and `data` for `results`;
//! a caller who says the one gets the other.

use crate::dialect::hub::{Document, Extras, Losses, Manner, Ranked, Ranking, Rerank, Terms};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Object};
use crate::dialect::{Dialect, meter};
use crate::vocab::Usage;

const KNOWN: &[&str] = &["model", "query", "documents", "top_n", "top_k", "return_documents"];

/// Whose names an answer has, or a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `top_n`, `results`
    Jina,
    /// `top_k`, `data`
    Voyage,
}

/// What a caller asks for.
pub fn read<'a>(root: &Node<'a>) -> Result<Rerank<'a>, Wrong> {
    let top = root.at("top_n").or_else(|| root.at("top_k"));
    Ok(Rerank {
        dialect: Dialect::OpenAi,
        query: root.need("query")?.string()?,
        documents: documents(root.need("documents")?)?,
        top: top.map(Node::integer).transpose()?,
        repeat: root.at("return_documents").map(Node::boolean).transpose()?,
        extras: Extras::of(root, KNOWN),
    })
}

/// Whose names the caller knows.
pub fn style(root: &Node<'_>) -> Style {
    // Voyage's SDK names it even when it has nothing to say.
    if root.members().iter().any(|(key, _)| key == "top_k") { Style::Voyage } else { Style::Jina }
}

/// Texts, or objects that have one.
pub fn documents<'a>(node: &Node<'a>) -> Result<Vec<Document<'a>>, Wrong> {
    let document = |item: &Node<'a>| match item.text() {
        Some(text) => Ok(Document::Text(text)),
        None if item.is_object() => {
            Ok(Document::Object { text: item.at("text").and_then(Node::text), raw: item.raw() })
        }
        None => Err(item.expected("a text or an object")),
    };
    node.items()?.iter().map(document).collect()
}

/// How an upstream is asked for the same.
pub fn write(ask: &Rerank<'_>, style: Style, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.drop_extras(&ask.extras);
    write::object(out, |o| {
        o.str("model", terms.model).str("query", &ask.query);
        texts(ask, o);
        o.number_if(if style == Style::Voyage { "top_k" } else { "top_n" }, ask.top);
        // The documents are the caller's own: we repeat them ourselves.
    });
}

/// The documents as texts, which everybody takes.
pub fn texts(ask: &Rerank<'_>, o: &mut Object<'_>) {
    o.array("documents", |a| {
        for document in &ask.documents {
            a.str(document.as_text());
        }
    });
}

/// What an upstream answers, in either style.
pub fn read_reply<'a>(root: &Node<'a>) -> Result<Ranking<'a>, Wrong> {
    let usage = root.at("usage").and_then(|node| meter::usage_at(Dialect::OpenAi, node.raw().as_bytes()));
    let results = match root.at("results") {
        Some(results) => results,
        None => root.need("data")?,
    };
    let id = root.at("id").and_then(Node::text);
    Ok(Ranking { id, places: places(results)?, usage, search_units: None })
}

/// The list of who is where.
pub fn places<'a>(results: &Node<'a>) -> Result<Vec<Ranked<'a>>, Wrong> {
    let ranked = |item: &Node<'a>| {
        // Hugging Face says `score`.
        let score = item.at("score").filter(|_| item.at("relevance_score").is_none());
        let score = match score {
            Some(score) => score,
            None => item.need("relevance_score")?,
        };
        score.number()?;
        Ok(Ranked { index: item.need("index")?.integer()?, score: score.raw() })
    };
    results.items()?.iter().map(ranked).collect()
}

/// The answer for a caller; `repeated` holds his documents if he wants them back.
pub fn write_reply(
    ranking: &Ranking<'_>,
    style: Style,
    repeated: &[String],
    usage: Usage,
    manner: &Manner,
    out: &mut Vec<u8>,
) {
    write::object(out, |o| {
        o.str("object", "list").str("model", &manner.model);
        o.array(if style == Style::Voyage { "data" } else { "results" }, |a| {
            for place in &ranking.places {
                a.object(|o| {
                    o.number("index", place.index).raw("relevance_score", place.score);
                    if let Some(text) = usize::try_from(place.index).ok().and_then(|at| repeated.get(at)) {
                        match style {
                            Style::Voyage => o.str("document", text),
                            Style::Jina => o.object("document", |o| {
                                o.str("text", text);
                            }),
                        };
                    }
                });
            }
        });
        o.object("usage", |o| {
            o.number("prompt_tokens", usage.input).number("total_tokens", usage.input);
        });
    });
}
