//! OpenAI's custom tools for models that know functions only.
//!
//! A custom tool's input is free text, perhaps of a grammar. For every other model a function stands for
//! it, whose input is an object with one string, and whose name begins with [`CUSTOM`]: between a request
//! and its answer nothing is kept, so the stand-in has to be known by its looks. The text is taken out of
//! the arguments while they stream. A grammar can only be told to such a model, not imposed on it.

use std::borrow::Cow;

use super::event::Block;
use super::{Ask, Call, CallKind, Content, Delta, Event, Losses, Outcome, Reply, Text, ToolChoice, ToolKind};
use crate::dialect::tree::{self, Node};
use crate::dialect::write;

/// What the names of tools with free text begin with.
pub const CUSTOM: &str = "mainstay_custom_";
/// The one member of such a tool's input.
pub const INPUT: &str = "input";
/// The schema of such a tool's input.
pub const CUSTOM_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// Puts a function in the place of each custom tool, in the tools and in what was said before.
pub fn emulate(ask: &mut Ask<'_>, losses: &mut Losses) {
    let mut names = Vec::new();
    for tool in &mut ask.tools {
        if let ToolKind::Custom { name, description, format } = &tool.kind {
            names.push(name.to_string());
            if format.is_some() {
                losses.drop("tools.format");
            }
            tool.kind = ToolKind::Function {
                name: Cow::Owned(format!("{CUSTOM}{name}")),
                description: told(description.as_deref(), *format).map(Cow::Owned),
                parameters: Some(Cow::Borrowed(CUSTOM_SCHEMA)),
                strict: None,
            };
        }
    }
    match &mut ask.tool_choice {
        Some(ToolChoice::Tool(name)) => rename(name, &names),
        Some(ToolChoice::Allowed { names: allowed, .. }) => {
            for name in allowed {
                rename(name, &names);
            }
        }
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => {}
    }
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match &mut part.content {
            Content::Call(call) if call.kind == CallKind::Custom => stand_in(call),
            Content::Outcome(outcome) if outcome.kind == CallKind::Custom => stand_in_outcome(outcome),
            Content::Call(_)
            | Content::Outcome(_)
            | Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_)
            | Content::Thought(_)
            | Content::Vendor { .. } => {}
        }
    }
}

/// What the model is told of the tool, its grammar included.
fn told(description: Option<&str>, format: Option<&str>) -> Option<String> {
    let grammar = format.and_then(|format| {
        let root = tree::parse(format.as_bytes()).ok()?;
        // Chat has one more level than responses.
        let at = root.at("grammar").filter(|node| node.is_object()).unwrap_or(&root);
        let syntax = at.at("syntax").and_then(Node::text).unwrap_or(Cow::Borrowed("this"));
        let definition = at.at("definition").and_then(Node::text)?;
        Some(format!("`{INPUT}` has to follow this grammar ({syntax}):\n{definition}"))
    });
    match (description, grammar) {
        (Some(description), Some(grammar)) => Some(format!("{description}\n\n{grammar}")),
        (Some(description), None) => Some(description.to_owned()),
        (None, grammar) => grammar,
    }
}

fn rename(name: &mut Text<'_>, customs: &[String]) {
    if customs.iter().any(|custom| custom == name) {
        *name = Cow::Owned(format!("{CUSTOM}{name}"));
    }
}

fn stand_in(call: &mut Call<'_>) {
    call.kind = CallKind::Function;
    call.name = Cow::Owned(format!("{CUSTOM}{}", call.name));
    call.arguments = Cow::Owned(custom_input(&call.arguments));
}

fn stand_in_outcome(outcome: &mut Outcome<'_>) {
    outcome.kind = CallKind::Function;
    if let Some(name) = &mut outcome.name {
        *name = Cow::Owned(format!("{CUSTOM}{name}"));
    }
}

/// Makes custom calls again of those that stand for them.
pub fn restore(reply: &mut Reply<'_>) {
    for part in reply.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        let Content::Call(call) = &mut part.content else { continue };
        let Some(name) = call.name.strip_prefix(CUSTOM).map(str::to_owned) else { continue };
        let text = tree::parse(call.arguments.as_bytes()).ok().map(|root| free_text(&root).into_owned());
        call.name = Cow::Owned(name);
        call.kind = CallKind::Custom;
        if let Some(text) = text {
            call.arguments = Cow::Owned(text);
        }
    }
}

/// The same for a stream.
#[derive(Debug, Default)]
pub struct Restorer {
    /// Choice, block, and how far its text has come.
    open: Vec<(u32, u32, FreeText)>,
}

impl Restorer {
    /// `event` as it is meant; `None` when there is nothing of it to say yet.
    pub fn restore<'e>(&mut self, event: Event<'e>) -> Option<Event<'e>> {
        match event {
            Event::Open { choice, block, kind: Block::Call { id, name, kind } } => {
                let custom = name.strip_prefix(CUSTOM).map(str::to_owned);
                let (name, kind) = match custom {
                    Some(name) => {
                        self.open.push((choice, block, FreeText::default()));
                        (Cow::Owned(name), CallKind::Custom)
                    }
                    None => (name, kind),
                };
                Some(Event::Open { choice, block, kind: Block::Call { id, name, kind } })
            }
            Event::Delta { choice, block, delta: Delta::Arguments(more) } => {
                let open = self.open.iter_mut().find(|(c, b, _)| (*c, *b) == (choice, block));
                let text = match open {
                    Some((_, _, free)) => Cow::Owned(free.more(&more)),
                    None => more,
                };
                (!text.is_empty()).then_some(Event::Delta { choice, block, delta: Delta::Arguments(text) })
            }
            Event::Close { choice, block } => {
                self.open.retain(|(c, b, _)| (*c, *b) != (choice, block));
                Some(event)
            }
            other => Some(other),
        }
    }
}

/// The free text in a custom tool's input. Anything else that the model made up is passed as it is.
pub fn free_text<'a>(input: &Node<'a>) -> Text<'a> {
    input.at(INPUT).and_then(Node::text).unwrap_or(Text::Borrowed(input.raw()))
}

/// The input with this free text.
pub fn custom_input(text: &str) -> String {
    write::text(|out| {
        write::object(out, |input| {
            input.str(INPUT, text);
        });
    })
}

/// Takes the free text out of a custom tool's input while it streams. The input is short of nothing but
/// the escapes of one string, so what is there can be said at once.
#[derive(Debug)]
pub struct FreeText {
    place: Place,
    /// An escape sequence that is not whole yet.
    escape: String,
}

#[derive(Debug)]
enum Place {
    /// Before the text: the quotes that were passed so far.
    Before(u8),
    Inside,
    After,
}

/// `{"input":"`: the text begins behind the third quote.
const QUOTES_BEFORE: u8 = 3;

impl Default for FreeText {
    fn default() -> Self {
        Self { place: Place::Before(0), escape: String::new() }
    }
}

impl FreeText {
    /// What this much more of the input adds to the text.
    pub fn more(&mut self, input: &str) -> String {
        let mut text = String::with_capacity(input.len());
        for char in input.chars() {
            match &mut self.place {
                Place::Before(quotes) => {
                    *quotes += u8::from(char == '"');
                    if *quotes == QUOTES_BEFORE {
                        self.place = Place::Inside;
                    }
                }
                Place::Inside if !self.escape.is_empty() => self.escaped(char, &mut text),
                Place::Inside if char == '\\' => self.escape.push(char),
                Place::Inside if char == '"' => self.place = Place::After,
                Place::Inside => text.push(char),
                Place::After => {}
            }
        }
        text
    }

    fn escaped(&mut self, char: char, text: &mut String) {
        self.escape.push(char);
        if self.is_cut_escape() {
            return;
        }
        let quoted = ["\"", &self.escape, "\""].concat();
        if let Some(plain) =
            tree::parse(quoted.as_bytes()).ok().and_then(|node| node.text().map(Text::into_owned))
        {
            text.push_str(&plain);
        }
        self.escape.clear();
    }

    /// `\n` is whole, `\u00e9` at six characters; a high surrogate waits for the low one.
    fn is_cut_escape(&self) -> bool {
        if !self.escape.starts_with("\\u") {
            return false;
        }
        let is_high = self.escape.get(2..4).is_some_and(|digits| {
            u8::from_str_radix(digits, 16).is_ok_and(|byte| (0xd8..0xdc).contains(&byte))
        });
        self.escape.chars().count() < if is_high { 12 } else { 6 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Dialect;
    use crate::dialect::hub::{Part, Role, Tool, Turn};

    #[test]
    fn a_custom_tool_becomes_a_function_and_its_calls_become_custom_again() {
        let mut ask = Ask::new(Dialect::Responses);
        let format = r#"{"type":"grammar","syntax":"lark","definition":"start: \"x\""}"#;
        let kind = ToolKind::Custom {
            name: "patch".into(),
            description: Some("Patches".into()),
            format: Some(format),
        };
        ask.tools.push(Tool { kind, cache: None, extras: super::super::Extras::default() });
        ask.tool_choice = Some(ToolChoice::Tool("patch".into()));
        let call = Call {
            id: "c".into(),
            name: "patch".into(),
            arguments: "*** \"x\"".into(),
            kind: CallKind::Custom,
            signature: None,
        };
        ask.turns.push(Turn::new(Role::Assistant, vec![Part::new(Content::Call(call))]));
        let mut losses = Losses::default();
        emulate(&mut ask, &mut losses);
        let ToolKind::Function { name, description, .. } = &ask.tools[0].kind else { panic!("a function") };
        assert_eq!(name, "mainstay_custom_patch");
        assert!(description.as_deref().is_some_and(|text| text.contains("(lark):\nstart: \"x\"")));
        assert_eq!(ask.tool_choice, Some(ToolChoice::Tool("mainstay_custom_patch".into())));
        assert_eq!(losses.names(), ["tools.format"]);
        let Content::Call(call) = &ask.turns[0].parts[0].content else { panic!("a call") };
        assert_eq!((&*call.name, &*call.arguments), ("mainstay_custom_patch", r#"{"input":"*** \"x\""}"#));

        let choice =
            super::super::Choice::new(vec![ask.turns[0].parts[0].clone()], super::super::Stop::Calls);
        let mut reply = Reply {
            dialect: Dialect::Anthropic,
            id: "".into(),
            model: "".into(),
            created: None,
            choices: vec![choice],
            usage: None,
            tier: None,
            extras: super::super::Extras::default(),
        };
        restore(&mut reply);
        let Content::Call(call) = &reply.choices[0].parts[0].content else { panic!("a call") };
        assert_eq!((&*call.name, &*call.arguments, call.kind), ("patch", "*** \"x\"", CallKind::Custom));
    }

    proptest! {
        #[test]
        fn free_text_comes_out_of_its_input_however_it_is_cut(
            text in "\\PC{0,20}|[\\\\\"\n\u{0}\u{1f600}u0-9]{0,20}", at in 0_usize..60)
        {
            let input = custom_input(&text);
            prop_assert_eq!(free_text(&tree::parse(input.as_bytes()).expect("JSON")), text.as_str());
            for input in [input.clone(), serde_json::json!({ "input": text }).to_string()] {
                let at = (0..=at.min(input.len())).rev().find(|at| input.is_char_boundary(*at)).unwrap_or(0);
                let (head, tail) = input.split_at(at);
                let mut reader = FreeText::default();
                prop_assert_eq!(reader.more(head) + &reader.more(tail), text.as_str());
            }
        }

        #[test]
        fn any_input_is_survived(input in "[\\\\\"ud89a:{}é]{0,40}") {
            FreeText::default().more(&input);
        }
    }

    #[test]
    fn surrogates_are_one_character() {
        let mut reader = FreeText::default();
        assert_eq!(reader.more(r#"{"input":"\ud83d"#) + &reader.more(r#"\ude00\n"}"#), "\u{1f600}\n");
    }
}
