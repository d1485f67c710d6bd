//! A caller's request.
//!
//! Bodies with `input` instead of `messages` are shaped like responses: Cursor sends them here (WIRE
//! §2.4). What only responses know of them is then kept as theirs.

mod input;
mod messages;
mod parts;
mod reasoning;
mod tools;

use std::borrow::Cow;

use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, CacheMark, Extras, Format, Logprobs, Mode, Text, Tier};
use crate::dialect::openai::nested;
use crate::dialect::tree::{Node, Wrong};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "tools",
    "functions",
    "parallel_tool_calls",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "n",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "prompt_cache_key",
    "cache_control",
    "web_search_options",
];

/// What a request asks for.
pub fn read<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    let input = body.object()?.at("input").filter(|_| body.at("messages").is_none());
    let mut ask = Ask::new(if input.is_some() { Dialect::Responses } else { Dialect::OpenAi });
    ask.extras = Extras::of(body, KNOWN);
    ask.turns = match input {
        Some(input) => input::read(body, input)?,
        None => messages::read(body.need("messages")?)?,
    };
    ask.model = body.at("model").map(Node::string).transpose()?.unwrap_or_default();
    ask.tools = tools::read(body)?;
    ask.tool_choice = tools::read_choice(body, &mut ask.extras)?;
    ask.parallel_tools = body.at("parallel_tool_calls").map(Node::boolean).transpose()?;
    ask.mode = mode(body, &mut ask.extras)?;
    ask.format = format(body, &mut ask.extras)?;
    ask.reasoning = reasoning::read(body, &mut ask.extras)?;
    limits(body, &mut ask)?;
    sampling(body, &mut ask)?;
    ask.tier = tier(body, &mut ask.extras);
    ask.user = user(body, &mut ask.extras)?;
    ask.cache_key = body.at("prompt_cache_key").map(Node::string).transpose()?;
    ask.cache = body.at("cache_control").map(cache_mark);
    put_aside(body, &mut ask.extras);
    if input.is_some() {
        drop_key(&mut ask.extras, "input");
        drop_key(&mut ask.extras, "instructions");
    }
    Ok(ask)
}

/// Forgets a member that was understood after all.
fn drop_key(extras: &mut Extras<'_>, key: &str) {
    let mut others = Extras::default();
    for (name, raw) in extras.iter().filter(|(name, _)| *name != key) {
        others.keep(name.to_owned(), raw);
    }
    for (name, raw) in extras.all().skip(extras.iter().count()).filter(|(name, _)| *name != key) {
        others.keep_aside(name.to_owned(), raw);
    }
    *extras = others;
}

/// Defaults that are said aloud, as some SDKs do: no other dialect misses them.
fn put_aside<'a>(body: &Node<'a>, extras: &mut Extras<'a>) {
    let is_only_text = |node: &Node<'_>| {
        let mut items = node.elements().iter();
        items.next().and_then(Node::as_str) == Some("text") && items.next().is_none()
    };
    let defaults = [
        ("store", body.at("store").filter(|store| store.as_bool() == Some(false))),
        ("modalities", body.at("modalities").filter(|modalities| is_only_text(modalities))),
        ("verbosity", body.at("verbosity").filter(|verbosity| verbosity.as_str() == Some("medium"))),
    ];
    for (key, node) in defaults {
        if let Some(node) = node {
            drop_key(extras, key);
            extras.keep_aside(key, node.raw());
        }
    }
}

fn mode<'a>(body: &Node<'a>, extras: &mut Extras<'a>) -> Result<Mode, Wrong> {
    let is_streamed = body.at("stream").map(Node::boolean).transpose()?.unwrap_or(false);
    let Some(options) = body.at("stream_options").filter(|_| is_streamed) else {
        return Ok(if is_streamed { Mode::Stream { usage: false } } else { Mode::Whole });
    };
    drop_key(extras, "stream_options");
    nested::keep(extras, "stream_options", options.object()?, &["include_usage", "include_obfuscation"]);
    if let Some(obfuscation) = options.at("include_obfuscation") {
        nested::keep_aside(extras, "stream_options", "include_obfuscation", obfuscation);
    }
    let usage = options.at("include_usage").map(Node::boolean).transpose()?.unwrap_or(false);
    Ok(Mode::Stream { usage })
}

/// `response_format`. One that is not known stays an extra: llama.cpp and others have their own.
fn format<'a>(body: &Node<'a>, extras: &mut Extras<'a>) -> Result<Option<Format<'a>>, Wrong> {
    let Some(format) = body.at("response_format") else { return Ok(None) };
    let known = match &*format.need("type")?.string()? {
        "text" => None,
        "json_object" => {
            nested::keep(extras, "response_format", format, &["type"]);
            Some(Format::Json)
        }
        "json_schema" => {
            let said = format.need("json_schema")?.object()?;
            let Some(schema) = said.at("schema") else { return Ok(None) };
            nested::keep(extras, "response_format", format, &["type", "json_schema"]);
            let known = ["name", "description", "schema", "strict"];
            nested::keep(extras, "response_format.json_schema", said, &known);
            Some(Format::Schema {
                name: said.at("name").map(Node::string).transpose()?,
                description: said.at("description").map(Node::string).transpose()?,
                schema: Cow::Borrowed(schema.object()?.raw()),
                strict: said.at("strict").map(Node::boolean).transpose()?,
            })
        }
        _ => return Ok(None),
    };
    drop_key(extras, "response_format");
    Ok(known)
}

fn limits<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let newer = body.at("max_completion_tokens");
    let of_responses = body.at("max_output_tokens").filter(|_| ask.dialect == Dialect::Responses);
    if of_responses.is_some() {
        drop_key(&mut ask.extras, "max_output_tokens");
    }
    let limit = newer.or_else(|| body.at("max_tokens")).or(of_responses);
    ask.max_tokens = limit.map(Node::integer).transpose()?;
    ask.stop = match body.at("stop") {
        None => Vec::new(),
        Some(one) if one.is_string() => vec![one.string()?],
        Some(several) => several.items()?.iter().map(Node::string).collect::<Result<_, _>>()?,
    };
    ask.n = body.at("n").map(Node::integer).transpose()?;
    Ok(())
}

fn sampling<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let number = |key| body.at(key).map(Node::number).transpose();
    ask.temperature = number("temperature")?;
    ask.top_p = number("top_p")?;
    ask.seed = number("seed")?;
    ask.presence_penalty = number("presence_penalty")?;
    ask.frequency_penalty = number("frequency_penalty")?;
    // vLLM says -1 for none.
    let top_k = body.at("top_k").filter(|top_k| top_k.as_number() != Some(-1.0));
    ask.top_k = top_k.map(Node::integer).transpose()?;
    ask.logit_bias = body.at("logit_bias").map(|bias| bias.object().map(Node::raw)).transpose()?;
    if body.at("logprobs").map(Node::boolean).transpose()? == Some(true) {
        drop_key(&mut ask.extras, "top_logprobs");
        let top = body.at("top_logprobs").map(Node::integer).transpose()?.unwrap_or(0);
        ask.logprobs = Some(Logprobs { top });
    }
    Ok(())
}

fn tier<'a>(body: &Node<'a>, extras: &mut Extras<'a>) -> Option<Tier> {
    let tier = match body.at("service_tier")?.as_str()? {
        "auto" => Tier::Auto,
        "default" => Tier::Standard,
        "flex" => Tier::Flex,
        "priority" => Tier::Priority,
        "scale" => Tier::Scale,
        _ => return None,
    };
    drop_key(extras, "service_tier");
    Some(tier)
}

/// `safety_identifier` is OpenAI's newer word for `user`.
fn user<'a>(body: &Node<'a>, extras: &mut Extras<'a>) -> Result<Option<Text<'a>>, Wrong> {
    let key = if body.at("user").is_some() { "user" } else { "safety_identifier" };
    drop_key(extras, key);
    body.at(key).map(Node::string).transpose()
}

/// `cache_control`, as OpenRouter and Anthropic have it.
fn cache_mark(node: &Node<'_>) -> CacheMark {
    let is_hour = node.at("ttl").and_then(Node::as_str) == Some("1h");
    if is_hour { CacheMark::Hour } else { CacheMark::Short }
}
