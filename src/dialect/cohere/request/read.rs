//! What a caller's request asks for.

use super::{extras_of, turns};
use crate::dialect::Dialect;
use crate::dialect::cohere::{document, tools};
use crate::dialect::hub::{
    Ask, Content, Effort, Format, Logprobs, Mode, Reasoning, Role, Text, ToolChoice, Turn,
};
use crate::dialect::tree::{Node, Wrong};

/// Members that have a place of their own; the rest is Cohere's alone.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "documents",
    "stream",
    "tools",
    "strict_tools",
    "tool_choice",
    "response_format",
    "thinking",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
];

/// Reads a request.
pub fn read<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    let number = |key| body.at(key).map(Node::number).transpose();
    let flag = |key| body.at(key).map(Node::boolean).transpose();
    let mut ask = Ask::new(Dialect::Cohere);
    ask.model = body.object()?.at("model").map_or(Ok(Text::Borrowed("")), Node::string)?;
    if flag("stream")? == Some(true) {
        ask.mode = Mode::Stream { usage: true };
    }
    ask.extras = extras_of(body, KNOWN);
    ask.turns = turns::read(body.need("messages")?)?;
    read_documents(body, &mut ask)?;
    read_tools(body, &mut ask)?;
    ask.format = body.at("response_format").map(format).transpose()?.flatten();
    ask.reasoning = body.at("thinking").map(reasoning).transpose()?.unwrap_or_default();
    ask.max_tokens = body.at("max_tokens").map(Node::integer).transpose()?;
    ask.stop = list(body.at("stop_sequences"), Node::string)?;
    ask.temperature = number("temperature")?;
    ask.seed = number("seed")?;
    ask.frequency_penalty = number("frequency_penalty")?;
    ask.presence_penalty = number("presence_penalty")?;
    ask.top_k = body.at("k").map(Node::integer).transpose()?;
    ask.top_p = number("p")?;
    ask.logprobs = flag("logprobs")?.filter(|wanted| *wanted).map(|_| Logprobs { top: 0 });
    Ok(ask)
}

fn list<'a, T>(
    node: Option<&Node<'a>>,
    read: impl Fn(&Node<'a>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    node.map_or(Ok(Vec::new()), |node| node.items()?.iter().map(read).collect())
}

/// They come first in the last turn of the user's own; without one there is nothing to base an answer
/// on, and they stay Cohere's.
fn read_documents<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let documents = list(body.at("documents"), document::read)?;
    if documents.is_empty() {
        return Ok(());
    }
    match ask.turns.iter_mut().rev().find(|turn| is_users_own(turn)) {
        Some(turn) => drop(turn.parts.splice(0..0, documents)),
        None => ask.extras.keep("documents", body.at("documents").map_or("[]", Node::raw)),
    }
    Ok(())
}

fn is_users_own(turn: &Turn<'_>) -> bool {
    turn.role == Role::User && !turn.parts.iter().any(|part| matches!(part.content, Content::Outcome(_)))
}

fn read_tools<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let strict = body.at("strict_tools");
    let flag = strict.map(Node::boolean).transpose()?;
    ask.tools = list(body.at("tools"), |tool| tools::read(tool, flag))?;
    if let Some(strict) = strict.filter(|_| ask.tools.is_empty()) {
        ask.extras.keep("strict_tools", strict.raw());
    }
    ask.tool_choice = match body.at("tool_choice") {
        None => None,
        Some(choice) => Some(match choice.as_str() {
            Some("REQUIRED") => ToolChoice::Required,
            Some("NONE") => ToolChoice::None,
            _ => return Err(choice.wrong("expected REQUIRED or NONE; leave it out to let the model choose")),
        }),
    };
    Ok(())
}

/// `text` is what one gets anyway.
fn format<'a>(node: &Node<'a>) -> Result<Option<Format<'a>>, Wrong> {
    let kind = node.need("type")?;
    match kind.as_str() {
        Some("text") => Ok(None),
        Some("json_object") => {
            // `schema` is the older name.
            let Some(schema) = node.at("json_schema").or_else(|| node.at("schema")) else {
                return Ok(Some(Format::Json));
            };
            let schema = Text::Borrowed(schema.object()?.raw());
            Ok(Some(Format::Schema { name: None, description: None, schema, strict: None }))
        }
        _ => Err(kind.wrong("expected text or json_object")),
    }
}

fn reasoning(node: &Node<'_>) -> Result<Reasoning, Wrong> {
    let kind = node.need("type")?;
    let budget = node.at("token_budget").map(Node::integer).transpose()?;
    match kind.as_str() {
        Some("disabled") => Ok(Reasoning { effort: Some(Effort::None), ..Reasoning::default() }),
        Some("enabled") => Ok(Reasoning { budget, adaptive: budget.is_none(), ..Reasoning::default() }),
        _ => Err(kind.wrong("expected enabled or disabled")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tree;

    fn wrong(members: &str) -> String {
        let body = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}],{members}}}");
        let root = tree::parse(body.as_bytes()).expect("JSON");
        read(&root).expect_err("wrong").place(&root).to_string()
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        assert_eq!(
            wrong(r#""tool_choice":"auto""#),
            "tool_choice: expected REQUIRED or NONE; leave it out to let the model choose"
        );
        assert_eq!(wrong(r#""stream":"yes""#), "stream: expected true or false, found a string");
        assert_eq!(wrong(r#""k":-1"#), "k: expected a whole number of at least 0, found a number");
        assert_eq!(wrong(r#""stop_sequences":"x""#), "stop_sequences: expected an array, found a string");
        assert_eq!(wrong(r#""thinking":{"type":"some"}"#), "thinking.type: expected enabled or disabled");
        assert_eq!(
            wrong(r#""response_format":{"type":"xml"}"#),
            "response_format.type: expected text or json_object"
        );
        assert_eq!(wrong(r#""tools":[{"type":"function"}]"#), "tools[0].function: required, and missing");
        assert_eq!(
            wrong(r#""tools":[{"function":{"name":"f","parameters":"x"}}]"#),
            "tools[0].function.parameters: expected an object, found a string"
        );
        assert_eq!(wrong(r#""documents":[{"id":"x"}]"#), "documents[0].data: required, and missing");
    }

    #[test]
    fn documents_belong_to_the_last_question() {
        let body = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],
            "documents":["x","y"],"safety_mode":"OFF","citations":[]}"#;
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let ask = read(&root).expect("a request");
        assert_eq!(ask.turns.iter().map(|turn| turn.parts.len()).collect::<Vec<_>>(), [1, 1, 3]);
        assert_eq!(ask.extras.iter().collect::<Vec<_>>(), [("safety_mode", "\"OFF\"")]);
    }
}
