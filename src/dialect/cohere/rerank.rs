//! Rankings (docs.cohere.com/reference/rerank, v2; of v1 what it had beyond).

use crate::dialect::Dialect;
use crate::dialect::hub::{Extras, Losses, Manner, Ranking, Rerank, Terms};
use crate::dialect::openai::rerank::{documents, places, texts};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write;
use crate::vocab::Usage;

const KNOWN: &[&str] = &["model", "query", "documents", "top_n", "return_documents"];

/// What a caller asks for.
pub fn read<'a>(root: &Node<'a>) -> Result<Rerank<'a>, Wrong> {
    Ok(Rerank {
        dialect: Dialect::Cohere,
        query: root.need("query")?.string()?,
        documents: documents(root.need("documents")?)?,
        top: root.at("top_n").map(Node::integer).transpose()?,
        repeat: root.at("return_documents").map(Node::boolean).transpose()?,
        extras: Extras::of(root, KNOWN),
    })
}

/// How an upstream is asked for the same.
pub fn write(ask: &Rerank<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.drop_extras(&ask.extras);
    write::object(out, |o| {
        o.str("model", terms.model).str("query", &ask.query);
        texts(ask, o);
        o.number_if("top_n", ask.top);
    });
}

/// What an upstream answers.
pub fn read_reply<'a>(root: &Node<'a>) -> Result<Ranking<'a>, Wrong> {
    let billed = root.at("meta").and_then(|meta| meta.at("billed_units"));
    let count = |name| billed.and_then(|billed| billed.at(name)).and_then(Node::as_integer);
    Ok(Ranking {
        id: root.at("id").and_then(Node::text),
        places: places(root.need("results")?)?,
        usage: count("input_tokens").map(|input| Usage { input, ..Usage::default() }),
        search_units: count("search_units"),
    })
}

/// The answer for a caller; `repeated` holds his documents if he wants them back.
pub fn write_reply(ranking: &Ranking<'_>, repeated: &[String], manner: &Manner, out: &mut Vec<u8>) {
    write::object(out, |o| {
        o.str("id", ranking.id.as_deref().unwrap_or(&manner.nonce));
        o.array("results", |a| {
            for place in &ranking.places {
                a.object(|o| {
                    o.number("index", place.index).raw("relevance_score", place.score);
                    if let Some(text) = usize::try_from(place.index).ok().and_then(|at| repeated.get(at)) {
                        o.object("document", |o| {
                            o.str("text", text);
                        });
                    }
                });
            }
        });
        o.object("meta", |o| {
            o.object("api_version", |o| {
                o.str("version", "2");
            });
            o.object("billed_units", |o| {
                // Whoever ranks for others than Cohere bills tokens.
                o.number_if("search_units", ranking.search_units);
                o.number_if("input_tokens", ranking.usage.map(|usage| usage.input));
            });
        });
    });
}
