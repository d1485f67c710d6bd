//! `generationConfig` and `toolConfig` of a caller.
//!
//! What the hub has no word for is kept under the way to it: `generationConfig.speechConfig`.

use crate::dialect::gemini::names::{self, member};
use crate::dialect::gemini::schema::as_json_schema;
use crate::dialect::hub::{Ask, Effort, Format, Logprobs, Summary, ToolChoice};
use crate::dialect::tree::{Node, Wrong};

const KNOWN: [&str; 15] = [
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "candidateCount",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "thinkingConfig",
];
const JSON: &str = "application/json";

pub fn read<'a>(node: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let number = |key| member(node.object()?, key).map(Node::number).transpose();
    let count = |key| member(node, key).map(Node::integer).transpose();
    ask.temperature = number("temperature")?;
    ask.top_p = number("topP")?;
    ask.top_k = count("topK")?;
    ask.max_tokens = count("maxOutputTokens")?;
    ask.n = count("candidateCount")?;
    ask.seed = number("seed")?;
    ask.presence_penalty = number("presencePenalty")?;
    ask.frequency_penalty = number("frequencyPenalty")?;
    for stop in member(node, "stopSequences").map(Node::items).transpose()?.unwrap_or_default() {
        ask.stop.push(stop.string()?);
    }
    logprobs(node, ask)?;
    format(node, ask)?;
    if let Some(thinking) = member(node, "thinkingConfig") {
        read_thinking(thinking, ask)?;
    }
    let mut known = KNOWN.to_vec();
    if let Some(modalities) = member(node, "responseModalities").filter(|node| is_text_only(node)) {
        ask.extras.keep_aside("generationConfig.responseModalities", modalities.raw());
        known.push("responseModalities");
    }
    names::keep(&mut ask.extras, "generationConfig.", node, &known);
    Ok(())
}

/// Text is what everybody answers with; some SDKs say so each time.
fn is_text_only(modalities: &Node<'_>) -> bool {
    matches!(modalities.elements(), [only] if only.as_str().is_some_and(|name| name.eq_ignore_ascii_case("TEXT")))
}

fn logprobs<'a>(node: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let top = member(node, "logprobs");
    match member(node, "responseLogprobs").map(Node::boolean).transpose()? {
        Some(true) => {
            ask.logprobs = Some(Logprobs { top: top.map(Node::integer).transpose()?.unwrap_or(0) });
        }
        Some(false) | None => {
            if let Some(top) = top {
                ask.extras.keep("generationConfig.logprobs", top.raw());
            }
        }
    }
    Ok(())
}

fn format<'a>(node: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let mime = member(node, "responseMimeType");
    let google = member(node, "responseSchema");
    let json = member(node, "responseJsonSchema");
    let kind = mime.map(Node::string).transpose()?;
    match (kind.as_deref(), json, google) {
        (Some(JSON) | None, Some(schema), _) => {
            ask.format = Some(schemed(schema.raw().into()));
        }
        (Some(JSON) | None, None, Some(schema)) => {
            ask.format = Some(schemed(as_json_schema(schema.object()?)));
            ask.extras.keep_aside("generationConfig.responseSchema", schema.raw());
        }
        (Some(JSON), None, None) => ask.format = Some(Format::Json),
        // Plain text is what everybody answers with.
        (Some("text/plain"), None, None) => {
            let said = mime.map_or("", Node::raw);
            ask.extras.keep_aside("generationConfig.responseMimeType", said);
        }
        (None, None, None) => {}
        (Some(_), _, _) => {
            for (key, node) in
                [("responseMimeType", mime), ("responseSchema", google), ("responseJsonSchema", json)]
            {
                if let Some(node) = node {
                    ask.extras.keep(format!("generationConfig.{key}"), node.raw());
                }
            }
        }
    }
    Ok(())
}

fn schemed(schema: crate::dialect::hub::Text<'_>) -> Format<'_> {
    Format::Schema { name: None, description: None, schema, strict: None }
}

fn read_thinking<'a>(node: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    if let Some(level) = member(node.object()?, "thinkingLevel") {
        let effort = Effort::parse(&level.string()?.to_ascii_lowercase());
        match effort {
            Some(_) => ask.reasoning.effort = effort,
            None => ask.extras.keep("generationConfig.thinkingConfig.thinkingLevel", level.raw()),
        }
    }
    if let Some(budget) = member(node, "thinkingBudget") {
        match budget.number()? {
            -1.0 => ask.reasoning.adaptive = true,
            _ => ask.reasoning.budget = Some(budget.integer()?),
        }
    }
    ask.reasoning.summary = match member(node, "includeThoughts").map(Node::boolean).transpose()? {
        Some(true) => Some(Summary::Auto),
        Some(false) => Some(Summary::Omitted),
        None => None,
    };
    let known = ["thinkingLevel", "thinkingBudget", "includeThoughts"];
    names::keep(&mut ask.extras, "generationConfig.thinkingConfig.", node, &known);
    Ok(())
}

pub fn read_tools<'a>(node: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    if let Some(calling) = member(node.object()?, "functionCallingConfig") {
        choice(calling, ask)?;
        let known = ["mode", "allowedFunctionNames"];
        names::keep(&mut ask.extras, "toolConfig.functionCallingConfig.", calling, &known);
    }
    names::keep(&mut ask.extras, "toolConfig.", node, &["functionCallingConfig"]);
    Ok(())
}

/// `ANY` is OpenAI's `required`; `VALIDATED` is `AUTO` with calls that follow their schemas, and the
/// only one of the two that may be limited to some tools.
fn choice<'a>(node: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let mut allowed = Vec::new();
    let names = member(node.object()?, "allowedFunctionNames");
    for name in names.map(Node::items).transpose()?.unwrap_or_default() {
        allowed.push(name.string()?);
    }
    let Some(mode) = member(node, "mode") else {
        if let Some(names) = names {
            ask.extras.keep("toolConfig.functionCallingConfig.allowedFunctionNames", names.raw());
        }
        return Ok(());
    };
    let word = mode.string()?.to_ascii_uppercase();
    ask.tool_choice = match (word.as_str(), allowed.len()) {
        ("ANY", 0) => Some(ToolChoice::Required),
        ("ANY", 1) => allowed.pop().map(ToolChoice::Tool),
        ("ANY", _) => Some(ToolChoice::Allowed { names: allowed, required: true }),
        ("NONE", _) => Some(ToolChoice::None),
        ("AUTO", 0) => Some(ToolChoice::Auto),
        ("AUTO" | "VALIDATED", 1..) => Some(ToolChoice::Allowed { names: allowed, required: false }),
        (_, _) => {
            ask.extras.keep("toolConfig.functionCallingConfig.mode", mode.raw());
            (word == "VALIDATED").then_some(ToolChoice::Auto)
        }
    };
    Ok(())
}
