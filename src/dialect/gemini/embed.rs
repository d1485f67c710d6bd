//! Embeddings (ai.google.dev/api/embeddings): `embedContent` for one content, `batchEmbedContents` for
//! many; on Vertex AI `predict` (cloud.google.com, "Text embeddings API") for all but the newest models.

use super::names::{self, member};
use crate::dialect::hub::{
    Embed, Encoding, Extras, Input, Losses, Purpose, Terms, Text, Truncate, Vector, Vectors,
};
use crate::dialect::json::{Walked, Walker};
use crate::dialect::provider::Paths;
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Object};
use crate::dialect::{Dialect, Operation, meter, task};
use crate::vocab::Usage;

const KNOWN: &[&str] = &["model", "content", "taskType", "title", "outputDimensionality"];

/// What a caller asks for.
pub fn read<'a>(operation: Operation, root: &Node<'a>) -> Result<Embed<'a>, Wrong> {
    let mut ask = Embed {
        dialect: Dialect::Gemini,
        inputs: Vec::new(),
        encodings: vec![Encoding::Float],
        dimensions: None,
        purpose: None,
        title: None,
        truncate: None,
        user: None,
        extras: Extras::default(),
    };
    if operation == Operation::BatchEmbed {
        let requests = root.need("requests")?.items()?;
        names::keep(&mut ask.extras, "", root, &["requests"]);
        for (index, request) in requests.iter().enumerate() {
            let before = (ask.purpose, ask.dimensions);
            one(&mut ask, request)?;
            if index > 0 && before != (ask.purpose, ask.dimensions) {
                return Err(request.wrong(
                    "taskType and outputDimensionality have to be the same in all requests of a batch, \
                     to be put to a model of another vendor",
                ));
            }
        }
        // Each request of a batch may have its own.
        if requests.len() > 1 && ask.title.take().is_some() {
            ask.extras.keep("title", "null");
        }
    } else {
        one(&mut ask, root)?;
    }
    if ask.inputs.is_empty() {
        return Err(root.wrong("there is nothing to embed"));
    }
    Ok(ask)
}

fn one<'a>(ask: &mut Embed<'a>, request: &Node<'a>) -> Result<(), Wrong> {
    let content = request.need("content")?;
    let mut texts: Vec<Text<'a>> = Vec::new();
    let mut other = None;
    for part in content.need("parts")?.items()? {
        match part.at("text") {
            Some(text) => texts.push(text.string()?),
            None => other = Some(Input::Vendor { kind: "media" }),
        }
    }
    ask.inputs.push(other.unwrap_or_else(|| match <[Text<'a>; 1]>::try_from(texts) {
        Ok([only]) => Input::Text(only),
        Err(several) => Input::Text(Text::Owned(several.join("\n"))),
    }));
    ask.purpose = match member(request, "taskType").map(Node::string).transpose()? {
        None => None,
        Some(kind) => Purpose::parse(&kind),
    };
    ask.title = member(request, "title").map(Node::string).transpose()?;
    ask.dimensions = member(request, "outputDimensionality").map(Node::integer).transpose()?;
    names::keep(&mut ask.extras, "", request, KNOWN);
    Ok(())
}

/// How an upstream is asked for the same, and in which of its ways.
pub fn write(
    ask: &Embed<'_>,
    paths: Paths,
    terms: &Terms<'_>,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) -> Operation {
    losses.drop_extras(&ask.extras);
    losses.drop_if(ask.user.as_ref(), "user");
    if is_predicted(paths, terms.model) {
        predict(ask, losses, out);
        return Operation::VertexPredict;
    }
    if matches!(ask.truncate, Some(Truncate::Start | Truncate::Never)) {
        losses.drop("truncate");
    }
    let texts = ask.texts(losses);
    if let [only] = texts.as_slice() {
        write::object(out, |o| say(ask, only, o));
        return Operation::EmbedContent;
    }
    if paths == Paths::Vertex {
        losses
            .refuse("input", "this model embeds one text at a time on Vertex AI; send one request for each");
    }
    let model = format!("models/{}", terms.model.strip_prefix("models/").unwrap_or(terms.model));
    write::object(out, |o| {
        o.array("requests", |a| {
            for text in &texts {
                a.object(|o| {
                    o.str("model", &model);
                    say(ask, text, o);
                });
            }
        });
    });
    Operation::BatchEmbed
}

/// Whether Vertex AI has another operation for what a caller asks of this model: it has no batches.
pub fn is_resaid(operation: Operation, paths: Paths, model: &str) -> bool {
    match operation {
        Operation::BatchEmbed => paths == Paths::Vertex,
        Operation::EmbedContent => is_predicted(paths, model),
        _ => false,
    }
}

fn is_predicted(paths: Paths, model: &str) -> bool {
    let model = model.strip_prefix("models/").unwrap_or(model);
    paths == Paths::Vertex && !model.starts_with("gemini-embedding-2")
}

/// Vertex AI's way to ask models before Gemini's second for embeddings.
fn predict(ask: &Embed<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let texts = ask.texts(losses);
    if ask.truncate == Some(Truncate::Start) {
        losses.drop("truncate");
    }
    write::object(out, |o| {
        o.array("instances", |a| {
            for text in &texts {
                a.object(|o| {
                    o.str("content", text).str_if("task_type", ask.purpose.map(word));
                    o.str_if("title", ask.title.as_deref());
                });
            }
        });
        o.object("parameters", |o| {
            o.number_if("outputDimensionality", ask.dimensions);
            if let Some(truncate) = ask.truncate {
                o.bool("autoTruncate", truncate != Truncate::Never);
            }
        });
    });
}

fn say(ask: &Embed<'_>, text: &str, o: &mut Object<'_>) {
    o.object("content", |o| {
        o.array("parts", |a| {
            a.object(|o| {
                o.str("text", text);
            });
        });
    });
    o.str_if("taskType", ask.purpose.map(word));
    o.str_if("title", ask.title.as_deref());
    o.number_if("outputDimensionality", ask.dimensions);
}

const fn word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Query => "RETRIEVAL_QUERY",
        Purpose::Document => "RETRIEVAL_DOCUMENT",
        Purpose::Classification => "CLASSIFICATION",
        Purpose::Clustering => "CLUSTERING",
        Purpose::Similarity => "SEMANTIC_SIMILARITY",
        Purpose::QuestionAnswering => "QUESTION_ANSWERING",
        Purpose::FactVerification => "FACT_VERIFICATION",
        Purpose::Code => "CODE_RETRIEVAL_QUERY",
    }
}

/// What an upstream answers, to whichever question.
pub fn read_reply(body: &[u8]) -> Result<Vectors<'_>, Wrong> {
    let mut said = Vectors::default();
    let mut walker = Walker::new(body);
    walker
        .object(|walker, key| match &*key.bytes() {
            b"embedding" => values(walker, &mut said.vectors),
            b"predictions" => walker.array(|walker| prediction(walker, &mut said)),
            b"embeddings" => walker.array(|walker| values(walker, &mut said.vectors)),
            b"usageMetadata" => {
                let (_, span) = walker.value()?;
                said.usage = meter::usage_at(Dialect::Gemini, walker.slice(span));
                Ok(())
            }
            _ => walker.skip().map(drop),
        })
        .map_err(task::malformed)?;
    Ok(said)
}

fn values<'a>(walker: &mut Walker<'a>, vectors: &mut Vec<Vector<'a>>) -> Walked {
    walker.object(|walker, key| {
        let (_, span) = walker.value()?;
        if key.is("values")
            && let Ok(array) = std::str::from_utf8(walker.slice(span))
        {
            vectors.push(Vector::Floats(array));
        }
        Ok(())
    })?;
    Ok(())
}

/// `{"embeddings": {"values": […], "statistics": {"token_count": 4}}}`
fn prediction<'a>(walker: &mut Walker<'a>, said: &mut Vectors<'a>) -> Walked {
    walker.object(|walker, key| {
        if !key.is("embeddings") {
            return walker.skip().map(drop);
        }
        let (_, span) = walker.value()?;
        let embedding = walker.slice(span);
        values(&mut Walker::new(embedding), &mut said.vectors)?;
        let tokens = statistics(&mut Walker::new(embedding))?;
        let before = said.usage.unwrap_or_default();
        let sum = |tokens| Usage { input: before.input.saturating_add(tokens), ..before };
        said.usage = tokens.map(sum).or(said.usage);
        Ok(())
    })?;
    Ok(())
}

/// `statistics.token_count`
fn statistics(walker: &mut Walker<'_>) -> Walked<Option<u64>> {
    let mut tokens = None;
    walker.object(|walker, key| {
        if !key.is("statistics") {
            return walker.skip().map(drop);
        }
        walker.if_object(|walker, key| {
            if !key.is("token_count") {
                return walker.skip().map(drop);
            }
            tokens = walker.count()?;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(tokens)
}

/// The answer for a caller who asked like this.
pub fn write_reply(
    vectors: &Vectors<'_>,
    operation: Operation,
    usage: Usage,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let floats: Vec<_> = vectors.vectors.iter().map(Vector::as_floats).collect::<Result<_, _>>()?;
    write::object(out, |o| {
        match floats.as_slice() {
            [only] if operation == Operation::EmbedContent => {
                o.object("embedding", |o| {
                    o.raw("values", only);
                });
            }
            all => {
                o.array("embeddings", |a| {
                    for array in all {
                        a.object(|o| {
                            o.raw("values", array);
                        });
                    }
                });
            }
        }
        o.object("usageMetadata", |o| {
            o.number("promptTokenCount", usage.input).number("totalTokenCount", usage.input);
        });
    });
    Ok(())
}
