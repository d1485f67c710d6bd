//! What is asked for beside generations, from one dialect to another: vectors, rankings, counts, pictures, speech.
//!
//! A sibling of [`translate`](super::translate) for operations that are asked and answered in one piece and
//! that not every dialect has. What only one dialect has (moderations, files, text completions) goes to
//! upstreams of that dialect alone.

mod count;

use super::hub::{Document, Encoding, Losses, Manner, Ranking, Sound, Terms, Vectors};
use super::json::Malformed;
use super::openai::media::Delivery;
use super::openai::rerank::Style;
use super::provider::Rerank;
use super::quirks::Quirks;
use super::translate::Translated;
use super::tree::{self, Node, Wrong};
use super::{Dialect, Operation, Provider, cohere, gemini, ollama, openai, tokens};
use crate::vocab::Usage;

pub use count::{read as read_count, write_reply as write_count};

/// What can be asked of an upstream of another dialect, apart from a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Embed,
    Rerank,
    Count,
    Draw,
    Speak,
}

/// What the answer's writer has to know of what was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Errand {
    Embed {
        /// Gemini has one question for one text, and one for many.
        operation: Operation,
        encodings: Vec<Encoding>,
        inputs: usize,
        /// About so many tokens, should the upstream not say.
        glance: u64,
    },
    Rerank {
        style: Style,
        documents: usize,
        /// They are wanted back.
        repeated: Vec<String>,
        glance: u64,
    },
    Count,
    Draw(Delivery),
    Speak(Sound),
}

/// An answer for the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub body: Vec<u8>,
    pub content_type: &'static str,
    pub usage: Option<Usage>,
    pub tokens: Tokens,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// What the upstream says is no answer to what was asked.
    Wrong(Wrong),
    /// It will not do what it was asked; why, for the caller.
    Declined(String),
}

impl From<Wrong> for Unanswered {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

/// Where the counts of an answer come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// The upstream said them.
    Told,
    /// They are ours, and rather too high than too low.
    Estimated,
}

impl Task {
    pub const fn of(operation: Operation) -> Option<Self> {
        Some(match operation {
            Operation::Embeddings
            | Operation::EmbedContent
            | Operation::BatchEmbed
            | Operation::CohereEmbed => Self::Embed,
            Operation::Rerank => Self::Rerank,
            Operation::Images => Self::Draw,
            Operation::Speech => Self::Speak,
            Operation::CountTokens
            | Operation::GeminiCountTokens
            | Operation::ResponsesInputTokens
            | Operation::BedrockCountTokens => Self::Count,
            _ => return None,
        })
    }

    /// In which of the dialects that an upstream speaks it is best asked; the caller speaks none of them.
    pub fn towards(self, speaks: &[Dialect], quirks: &Quirks) -> Option<Dialect> {
        let can: &[Dialect] = match self {
            Self::Embed => &[Dialect::OpenAi, Dialect::Gemini, Dialect::Cohere, Dialect::Ollama],
            Self::Rerank => &[Dialect::Cohere, Dialect::OpenAi],
            // Of those who speak responses, OpenAI alone counts.
            Self::Count if quirks.tools_by_responses => {
                &[Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock, Dialect::Responses]
            }
            Self::Count => &[Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock],
            Self::Draw | Self::Speak => &[Dialect::Gemini],
        };
        can.iter().copied().find(|dialect| speaks.contains(dialect))
    }
}

/// Whether an upstream of the caller's own dialect has to be asked in another of its ways.
pub fn is_resaid(operation: Operation, provider: &Provider, model: &str) -> bool {
    gemini::embed::is_resaid(operation, provider.paths, model)
}

/// Puts a caller's question to an upstream of dialect `to`.
pub fn ask(
    (from, operation): (Dialect, Operation),
    model: &str,
    root: &Node<'_>,
    to: Dialect,
    (terms, provider): (&Terms<'_>, &Provider),
) -> Result<(Translated, Errand), Wrong> {
    let task = Task::of(operation).ok_or_else(unaskable)?;
    let asked = match task {
        Task::Embed => embed((from, operation), root, to, (terms, provider)),
        Task::Rerank => rerank(from, root, to, (terms, provider)),
        Task::Draw => draw(root, to),
        Task::Speak => speak(root, to),
        Task::Count => count(from, model, root, to, (terms, provider)),
    };
    asked.map_err(|wrong| wrong.place(root))
}

fn unaskable() -> Wrong {
    Wrong::whole("nothing of this kind can be asked of the channel's dialect")
}

fn count(
    from: Dialect,
    model: &str,
    root: &Node<'_>,
    to: Dialect,
    (terms, provider): (&Terms<'_>, &Provider),
) -> Result<(Translated, Errand), Wrong> {
    count::read(from, model, root, |mut ask| {
        let mut losses = Losses::default();
        let written = count::write(&mut ask, to, provider.paths, terms, &mut losses);
        let (operation, body) = written.ok_or_else(unaskable)?;
        Ok((Translated::new(body, operation, losses), Errand::Count))
    })
}

fn embed(
    (from, operation): (Dialect, Operation),
    root: &Node<'_>,
    to: Dialect,
    (terms, provider): (&Terms<'_>, &Provider),
) -> Result<(Translated, Errand), Wrong> {
    let ask = match from {
        Dialect::OpenAi => openai::embed::read(root)?,
        Dialect::Gemini => gemini::embed::read(operation, root)?,
        Dialect::Cohere => cohere::embed::read(root)?,
        Dialect::Responses | Dialect::Anthropic | Dialect::Bedrock | Dialect::Ollama | Dialect::Http => {
            return Err(unaskable());
        }
    };
    let mut losses = Losses::default();
    let mut body = Vec::with_capacity(1024);
    let asked = match to {
        Dialect::OpenAi => {
            openai::embed::write(&ask, provider.embeddings, terms, &mut losses, &mut body);
            Operation::Embeddings
        }
        Dialect::Gemini => gemini::embed::write(&ask, provider.paths, terms, &mut losses, &mut body),
        Dialect::Cohere => {
            cohere::embed::write(&ask, terms, &mut losses, &mut body);
            Operation::CohereEmbed
        }
        Dialect::Ollama => {
            ollama::embed::write(&ask, terms, &mut losses, &mut body);
            Operation::OllamaEmbed
        }
        Dialect::Responses | Dialect::Anthropic | Dialect::Bedrock | Dialect::Http => return Err(unaskable()),
    };
    let errand =
        Errand::Embed { operation, inputs: ask.inputs.len(), glance: ask.glance(), encodings: ask.encodings };
    Ok((Translated::new(body, asked, losses), errand))
}

fn rerank(
    from: Dialect,
    root: &Node<'_>,
    to: Dialect,
    (terms, provider): (&Terms<'_>, &Provider),
) -> Result<(Translated, Errand), Wrong> {
    let (ask, style) = match from {
        Dialect::OpenAi => (openai::rerank::read(root)?, openai::rerank::style(root)),
        Dialect::Cohere => (cohere::rerank::read(root)?, Style::Jina),
        Dialect::Responses
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => return Err(unaskable()),
    };
    let mut losses = Losses::default();
    let mut body = Vec::with_capacity(1024);
    match to {
        Dialect::OpenAi => {
            let theirs = match provider.rerank {
                Rerank::Voyage(_) => Style::Voyage,
                Rerank::Dialect | Rerank::At(_) => Style::Jina,
            };
            openai::rerank::write(&ask, theirs, terms, &mut losses, &mut body);
        }
        Dialect::Cohere => cohere::rerank::write(&ask, terms, &mut losses, &mut body),
        Dialect::Responses
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => return Err(unaskable()),
    }
    let texts = || ask.documents.iter().map(Document::as_text);
    // The question is read beside each document.
    let bytes = texts().map(|text| text.len() + ask.query.len()).sum();
    let repeated = if ask.repeat == Some(true) { texts().map(str::to_owned).collect() } else { Vec::new() };
    let glance = tokens::at_a_glance(bytes);
    let errand = Errand::Rerank { style, documents: ask.documents.len(), repeated, glance };
    Ok((Translated::new(body, Operation::Rerank, losses), errand))
}

fn draw(root: &Node<'_>, to: Dialect) -> Result<(Translated, Errand), Wrong> {
    if to != Dialect::Gemini {
        return Err(unaskable());
    }
    let (ask, delivery) = openai::media::read_draw(root)?;
    let (mut losses, mut body) = (Losses::default(), Vec::new());
    gemini::media::write_draw(&ask, &mut losses, &mut body);
    Ok((Translated::new(body, Operation::Generate, losses), Errand::Draw(delivery)))
}

fn speak(root: &Node<'_>, to: Dialect) -> Result<(Translated, Errand), Wrong> {
    if to != Dialect::Gemini {
        return Err(unaskable());
    }
    let ask = openai::media::read_speak(root)?;
    let (mut losses, mut body) = (Losses::default(), Vec::new());
    gemini::media::write_speak(&ask, &mut losses, &mut body);
    let errand = Errand::Speak(ask.format.unwrap_or(Sound::Wav));
    Ok((Translated::new(body, Operation::Generate, losses), errand))
}

/// An upstream's answer, as the caller's dialect says it.
pub fn reply(
    from: Dialect,
    to: Dialect,
    body: &[u8],
    manner: &Manner,
    errand: &Errand,
) -> Result<Answered, Unanswered> {
    match errand {
        Errand::Embed { operation, encodings, inputs, glance } => {
            let vectors = vectors(from, body)?;
            if vectors.vectors.len() != *inputs {
                return Err(Wrong::whole("not as many vectors came back as texts were sent").into());
            }
            let (usage, tokens) = counted(vectors.usage, *glance);
            let mut out = Vec::with_capacity(body.len());
            match to {
                Dialect::OpenAi => {
                    let encoding = encodings.first().copied().unwrap_or(Encoding::Float);
                    openai::embed::write_reply(&vectors, encoding, usage, manner, &mut out)?;
                }
                Dialect::Gemini => gemini::embed::write_reply(&vectors, *operation, usage, &mut out)?,
                Dialect::Cohere => {
                    cohere::embed::write_reply(&vectors, encodings, usage, manner, &mut out)?;
                }
                Dialect::Responses
                | Dialect::Anthropic
                | Dialect::Bedrock
                | Dialect::Ollama
                | Dialect::Http => return Err(unaskable().into()),
            }
            Ok(Answered { body: out, content_type: JSON, usage: vectors.usage, tokens })
        }
        Errand::Rerank { style, documents, repeated, glance } => {
            let root = tree::parse(body)?;
            let ranking = ranking(from, &root).map_err(|wrong| wrong.place(&root))?;
            if ranking.places.iter().any(|place| place.index >= *documents as u64) {
                return Err(Wrong::whole("the answer ranks documents that were not sent").into());
            }
            let (usage, tokens) = counted(ranking.usage, *glance);
            let mut out = Vec::with_capacity(body.len());
            let tokens = if to == Dialect::Cohere {
                cohere::rerank::write_reply(&ranking, repeated, manner, &mut out);
                Tokens::Told
            } else {
                openai::rerank::write_reply(&ranking, *style, repeated, usage, manner, &mut out);
                tokens
            };
            Ok(Answered { body: out, content_type: JSON, usage: ranking.usage, tokens })
        }
        Errand::Count => {
            let root = tree::parse(body)?;
            let tokens = count::read_reply(from, &root).map_err(|wrong| wrong.place(&root))?;
            let mut out = Vec::new();
            count::write_reply(to, tokens, &mut out);
            Ok(Answered { body: out, content_type: JSON, usage: None, tokens: Tokens::Told })
        }
        Errand::Draw(delivery) => {
            let root = tree::parse(body)?;
            let drawn = gemini::media::read_drawn(&root)?;
            let mut out = Vec::with_capacity(body.len());
            openai::media::write_drawn(&drawn, *delivery, manner, &mut out);
            Ok(Answered { body: out, content_type: JSON, usage: drawn.usage, tokens: Tokens::Told })
        }
        Errand::Speak(format) => {
            let said = gemini::media::read_said(&tree::parse(body)?)?;
            let usage = said.usage;
            let (body, content_type) = match format {
                Sound::Wav | Sound::Encoded => (said.as_wav(), "audio/wav"),
                Sound::Pcm => (said.samples, "audio/pcm"),
            };
            Ok(Answered { body, content_type, usage, tokens: Tokens::Told })
        }
    }
}

const JSON: &str = "application/json";

fn vectors(from: Dialect, body: &[u8]) -> Result<Vectors<'_>, Wrong> {
    match from {
        Dialect::OpenAi => openai::embed::read_reply(body),
        Dialect::Gemini => gemini::embed::read_reply(body),
        Dialect::Cohere => cohere::embed::read_reply(body),
        Dialect::Ollama => ollama::embed::read_reply(body),
        Dialect::Responses | Dialect::Anthropic | Dialect::Bedrock | Dialect::Http => Err(unaskable()),
    }
}

fn ranking<'a>(from: Dialect, root: &Node<'a>) -> Result<Ranking<'a>, Wrong> {
    match from {
        Dialect::OpenAi => openai::rerank::read_reply(root),
        Dialect::Cohere => cohere::rerank::read_reply(root),
        Dialect::Responses
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => Err(unaskable()),
    }
}

fn counted(told: Option<Usage>, glance: u64) -> (Usage, Tokens) {
    match told {
        Some(usage) => (usage, Tokens::Told),
        None => (Usage { input: glance, ..Usage::default() }, Tokens::Estimated),
    }
}

/// What is wrong with an answer that is no JSON, or not of the shape that it should have.
pub(in crate::dialect) fn malformed(Malformed { at, expected }: Malformed) -> Wrong {
    Wrong::whole(format!("not valid JSON: expected {expected} at byte {at}"))
}

#[cfg(test)]
mod tests;
