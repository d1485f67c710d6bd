//! Counting tokens: a generation that is not made. What is asked is read and written as one.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dialect::hub::{Ask, Losses, Mode, Terms};
use crate::dialect::provider::Paths;
use crate::dialect::tree::{self, Node, Wrong};
use crate::dialect::write::{self, Object};
use crate::dialect::{Dialect, Operation, gemini, translate};

/// What of a generation's body a question for its count may have. Anthropic's refuses all others.
const ANTHROPIC: &[&str] = &[
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "mcp_servers",
    "cache_control",
];
const RESPONSES: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
];
const CONVERSE: &[&str] = &["messages", "system", "toolConfig", "additionalModelRequestFields"];
const VERTEX: &[&str] = &["contents", "systemInstruction", "tools"];

/// Hands on what a caller wants counted.
pub fn read<T>(
    dialect: Dialect,
    model: &str,
    root: &Node<'_>,
    then: impl FnOnce(Ask<'_>) -> Result<T, Wrong>,
) -> Result<T, Wrong> {
    let invoke = root.at("input").and_then(|input| input.at("invokeModel"));
    match invoke.filter(|_| dialect == Dialect::Bedrock) {
        None => asked(dialect, model, root).and_then(then).map_err(|wrong| wrong.place(root)),
        // What its caller would send to `InvokeModel`: Claude's, in Anthropic's form.
        Some(invoke) => {
            let body = base64(invoke).map_err(|wrong| wrong.place(root))?;
            let within =
                |wrong: Wrong| Wrong::whole(format!("what input.invokeModel.body holds is wrong: {wrong}"));
            let root = tree::request(&body).map_err(within)?;
            let ask = asked(Dialect::Anthropic, model, &root);
            ask.and_then(then).map_err(|wrong| within(wrong.place(&root)))
        }
    }
}

fn base64(invoke: &Node<'_>) -> Result<Vec<u8>, Wrong> {
    let body = invoke.need("body")?;
    STANDARD.decode(body.string()?.as_bytes()).map_err(|_| body.wrong("it is no base64"))
}

fn asked<'a>(dialect: Dialect, model: &'a str, root: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    let none = || Wrong::whole("no count of this dialect can be translated");
    match dialect {
        Dialect::Anthropic => translate::read(dialect, Operation::Messages, model, root),
        Dialect::Responses => translate::read(dialect, Operation::Responses, model, root),
        Dialect::Gemini => {
            // A whole request, or the contents alone.
            let wrapped = root.at("generateContentRequest").or_else(|| root.at("generate_content_request"));
            let root = wrapped.unwrap_or(root);
            let ask = gemini::request::read_to_count(root).map_err(|wrong| wrong.place(root))?;
            Ok(Ask { model: Cow::Borrowed(model), mode: Mode::Whole, ..ask })
        }
        Dialect::Bedrock => {
            translate::read(dialect, Operation::Converse, model, root.need("input")?.need("converse")?)
        }
        Dialect::OpenAi | Dialect::Cohere | Dialect::Ollama | Dialect::Http => Err(none()),
    }
}

/// How an upstream is asked; `None` where it does not count.
pub fn write(
    ask: &mut Ask<'_>,
    to: Dialect,
    paths: Paths,
    terms: &Terms<'_>,
    losses: &mut Losses,
) -> Option<(Operation, Vec<u8>)> {
    let written = translate::write(ask, to, terms)?;
    for name in written.losses.names() {
        losses.drop(name.clone());
    }
    if let Some(fatal) = written.losses.fatal() {
        losses.refuse(fatal.param.clone(), fatal.message.clone());
    }
    let root = tree::parse(&written.body).ok()?;
    let mut out = Vec::with_capacity(written.body.len() + 64);
    let operation = match to {
        Dialect::Anthropic => {
            write::object(&mut out, |o| keep(&root, ANTHROPIC, o));
            Operation::CountTokens
        }
        Dialect::Responses => {
            write::object(&mut out, |o| keep(&root, RESPONSES, o));
            Operation::ResponsesInputTokens
        }
        Dialect::Bedrock => {
            write::object(&mut out, |o| {
                o.object("input", |o| {
                    o.object("converse", |o| keep(&root, CONVERSE, o));
                });
            });
            Operation::BedrockCountTokens
        }
        Dialect::Gemini if paths == Paths::Vertex => {
            write::object(&mut out, |o| keep(&root, VERTEX, o));
            Operation::GeminiCountTokens
        }
        Dialect::Gemini => {
            let model = terms.model.strip_prefix("models/").unwrap_or(terms.model);
            write::object(&mut out, |o| {
                o.object("generateContentRequest", |o| {
                    o.str("model", &format!("models/{model}"));
                    for (key, value) in root.members() {
                        o.raw(key, value.raw());
                    }
                });
            });
            Operation::GeminiCountTokens
        }
        Dialect::OpenAi | Dialect::Cohere | Dialect::Ollama | Dialect::Http => return None,
    };
    Some((operation, out))
}

fn keep(root: &Node<'_>, names: &[&str], o: &mut Object<'_>) {
    for (key, value) in root.members().iter().filter(|(key, _)| names.contains(&&**key)) {
        o.raw(key, value.raw());
    }
}

/// The count that an upstream answers.
pub fn read_reply(dialect: Dialect, root: &Node<'_>) -> Result<u64, Wrong> {
    let name = match dialect {
        Dialect::Anthropic | Dialect::Responses => "input_tokens",
        Dialect::Gemini => "totalTokens",
        Dialect::Bedrock => "inputTokens",
        Dialect::OpenAi | Dialect::Cohere | Dialect::Ollama | Dialect::Http => {
            return Err(Wrong::whole("no count of this dialect can be translated"));
        }
    };
    root.need(name)?.integer()
}

/// The answer for a caller.
pub fn write_reply(dialect: Dialect, tokens: u64, out: &mut Vec<u8>) {
    write::object(out, |o| match dialect {
        Dialect::Gemini => {
            o.number("totalTokens", tokens);
        }
        Dialect::Bedrock => {
            o.number("inputTokens", tokens);
        }
        Dialect::Responses => {
            o.str("object", "response.input_tokens").number("input_tokens", tokens);
        }
        Dialect::Anthropic | Dialect::OpenAi | Dialect::Cohere | Dialect::Ollama | Dialect::Http => {
            o.number("input_tokens", tokens);
        }
    });
}
