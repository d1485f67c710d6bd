//! Tools, the choice among them, and the form of the answer.

use std::borrow::Cow;

use super::line::Line;
use super::marks::Marks;
use super::{say, schema};
use crate::dialect::Dialect;
use crate::dialect::anthropic::stand_in;
use crate::dialect::hub::{Ask, Format, Losses, Terms, Tool, ToolChoice, ToolKind};
use crate::dialect::quirks::ForcedTools;
use crate::dialect::tree::{self, Node};
use crate::dialect::write::{Array, Object};
use crate::vocab::Ability;

/// More strict tools are refused (recorded, WIRE §3.1).
const STRICT_MOST: usize = 20;
const GRAMMAR: &str = "a custom tool with a grammar cannot be sent to an Anthropic model; make it a function with a JSON schema";
/// The oldest web search, which every model with web search knows.
const WEB_SEARCH: &str = "web_search_20250305";

/// How tools and the form of the answer are said to this model.
pub struct Plan<'p, 'a> {
    tools: Vec<&'p Tool<'a>>,
    choice: Option<Choice<'p>>,
    alone: Option<bool>,
    /// The schema of the answer, as `output_config` says it.
    pub format: Option<Cow<'p, str>>,
    /// The schema of the answer, as the input of the tool that stands in for it.
    answer: Option<Cow<'p, str>>,
    /// The answer has to be JSON, and nothing but an instruction can say that.
    pub instructs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice<'p> {
    Auto,
    None,
    Any,
    Tool(&'p str),
}

impl<'p, 'a> Plan<'p, 'a> {
    pub fn of(ask: &'p Ask<'a>, terms: &Terms<'_>, losses: &mut Losses) -> Self {
        let mut plan = Self {
            tools: ask.tools.iter().collect(),
            choice: choice(ask.tool_choice.as_ref()),
            alone: ask.parallel_tools.map(|parallel| !parallel),
            format: None,
            answer: None,
            instructs: false,
        };
        if ask.dialect == Dialect::Anthropic {
            if let Some(Format::Schema { schema, .. }) = &ask.format {
                plan.format = Some(Cow::Borrowed(schema));
            }
            return plan;
        }
        plan.choose_tools(ask, terms, losses);
        plan.choose_form(ask, terms, losses);
        plan.choose_choice(terms, losses);
        plan
    }

    /// A tool has to be called.
    pub fn forces(&self) -> bool {
        matches!(self.choice, Some(Choice::Any | Choice::Tool(_)))
    }

    fn choose_tools(&mut self, ask: &'p Ask<'a>, terms: &Terms<'_>, losses: &mut Losses) {
        // Those that are not allowed are not shown, which is the same.
        if let Some(ToolChoice::Allowed { names, .. }) = &ask.tool_choice {
            self.tools.retain(|tool| match &tool.kind {
                ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => names.contains(name),
                ToolKind::WebSearch { .. } | ToolKind::Vendor { .. } => true,
            });
        }
        self.tools.retain(|tool| match &tool.kind {
            ToolKind::Custom { format, .. } => {
                if is_grammar(*format) {
                    losses.refuse("tools", GRAMMAR);
                }
                true
            }
            ToolKind::WebSearch { .. } if terms.facts.lacks(Ability::WebSearch) => {
                losses.drop("web_search");
                false
            }
            ToolKind::Function { .. } | ToolKind::WebSearch { .. } => true,
            ToolKind::Vendor { name, .. } => {
                losses.drop(name.to_string());
                false
            }
        });
    }

    fn choose_form(&mut self, ask: &'p Ask<'a>, terms: &Terms<'_>, losses: &mut Losses) {
        match &ask.format {
            None => {}
            Some(Format::Json) => {
                losses.drop("response_format");
                self.instructs = true;
            }
            Some(Format::Schema { schema, .. }) => {
                let imposed = Line::of(terms.kind()).structures(terms);
                let imposed = imposed.then(|| schema::imposed(schema, "response_format", losses)).flatten();
                if let Some(schema) = imposed {
                    self.format = Some(Cow::Owned(schema));
                } else if schema::is_of_object(schema) {
                    // Beside other tools the model has to choose one of all.
                    let others = !self.tools.is_empty() && self.choice != Some(Choice::None);
                    self.choice = Some(if others { Choice::Any } else { Choice::Tool(stand_in::ANSWER) });
                    self.answer = Some(schema::of_tool(Some(schema), "response_format", losses));
                } else {
                    losses.drop("response_format");
                    self.instructs = true;
                }
            }
        }
    }

    fn choose_choice(&mut self, terms: &Terms<'_>, losses: &mut Losses) {
        let is_empty = self.tools.is_empty() && self.answer.is_none();
        let is_free =
            terms.facts.lacks(Ability::ForcedTools) || terms.quirks.tool_choice == ForcedTools::OnlyAuto;
        if self.forces() && (is_empty || is_free) {
            losses.drop("tool_choice");
            self.choice = None;
        }
        if is_empty {
            // A choice among no tools is refused.
            (self.choice, self.alone) = (None, None);
        }
        match self.alone {
            Some(true) if terms.facts.lacks(Ability::ParallelToolsConfig) => {
                losses.drop("parallel_tool_calls");
                self.alone = None;
            }
            Some(true) if self.choice == Some(Choice::None) => self.alone = None,
            // The default.
            Some(false) => self.alone = None,
            Some(true) | None => {}
        }
    }

    /// `tools` and `tool_choice`.
    pub fn write(
        &self,
        ask: &Ask<'_>,
        terms: &Terms<'_>,
        marks: &mut Marks,
        losses: &mut Losses,
        body: &mut Object<'_>,
    ) {
        let is_said = ask.dialect == Dialect::Anthropic && !ask.tools.is_empty();
        if is_said || !self.tools.is_empty() || self.answer.is_some() {
            let mut strict = Strict { takes: Line::of(terms.kind()).structures(terms), left: STRICT_MOST };
            body.array("tools", |tools| {
                for tool in &self.tools {
                    write_tool(tool, ask.dialect, &mut strict, marks, losses, tools);
                }
                if let Some(schema) = &self.answer {
                    tools.object(|tool| {
                        tool.str("name", stand_in::ANSWER);
                        tool.str("description", "Gives the answer. Call it once, with the whole answer.");
                        tool.raw("input_schema", schema);
                    });
                }
            });
        }
        if self.choice.is_some() || self.alone.is_some() {
            body.object("tool_choice", |choice| {
                match self.choice {
                    None | Some(Choice::Auto) => choice.str("type", "auto"),
                    Some(Choice::None) => choice.str("type", "none"),
                    Some(Choice::Any) => choice.str("type", "any"),
                    Some(Choice::Tool(name)) => choice.str("type", "tool").str("name", &self.wire_name(name)),
                };
                if let Some(alone) = self.alone {
                    choice.bool("disable_parallel_tool_use", alone);
                }
                if ask.dialect == Dialect::Anthropic {
                    say::inner_extras(&ask.extras, "tool_choice", choice);
                }
            });
        }
    }

    fn wire_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let mut kinds = self.tools.iter().map(|tool| &tool.kind);
        let is_custom = kinds.any(|kind| matches!(kind, ToolKind::Custom { name: own, .. } if own == name));
        if is_custom { Cow::Owned(custom(name)) } else { Cow::Borrowed(name) }
    }
}

fn choice<'p>(choice: Option<&'p ToolChoice<'_>>) -> Option<Choice<'p>> {
    Some(match choice? {
        ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => Choice::Auto,
        ToolChoice::None => Choice::None,
        ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => Choice::Any,
        ToolChoice::Tool(name) => Choice::Tool(name),
    })
}

/// The name of the tool that stands in for a custom one.
pub fn custom(name: &str) -> String {
    [stand_in::CUSTOM, name].concat()
}

fn is_grammar(format: Option<&str>) -> bool {
    let format = format.and_then(|format| tree::parse(format.as_bytes()).ok());
    format.is_some_and(|format| format.at("type").is_some_and(|kind| kind.as_str() != Some("text")))
}

/// How what is lost of a tool's schema is named.
const PARAMETERS: &str = "tools.parameters";

/// How many strict tools may be said.
struct Strict {
    takes: bool,
    left: usize,
}

impl Strict {
    /// Says the schema, and `strict` if it may be said.
    fn write(&mut self, schema: &str, strict: Option<bool>, losses: &mut Losses, object: &mut Object<'_>) {
        if strict == Some(true) {
            let takes = self.takes && self.left > 0;
            if let Some(imposed) = takes.then(|| schema::imposed(schema, PARAMETERS, losses)).flatten() {
                self.left -= 1;
                object.raw("input_schema", &imposed).bool("strict", true);
                return;
            }
            losses.drop("strict");
        }
        object.raw("input_schema", schema);
    }
}

fn write_tool(
    tool: &Tool<'_>,
    from: Dialect,
    strict: &mut Strict,
    marks: &mut Marks,
    losses: &mut Losses,
    tools: &mut Array<'_>,
) {
    let own = from == Dialect::Anthropic;
    match &tool.kind {
        ToolKind::WebSearch { raw } | ToolKind::Vendor { raw, .. } if own => {
            tools.raw(raw);
        }
        ToolKind::Vendor { .. } => {}
        ToolKind::WebSearch { raw } => {
            tools.object(|object| {
                object.str("type", WEB_SEARCH).str("name", "web_search");
                write_search(raw, object);
                say::mark(marks.next(tool.cache), own.then_some(&tool.extras), object);
            });
        }
        ToolKind::Function { name, description, parameters, strict: is_strict } => {
            tools.object(|object| {
                object
                    .str("name", name)
                    .str_if("description", description.as_deref().filter(|text| !text.is_empty() || own));
                if own {
                    object.raw_if("input_schema", parameters.as_deref());
                    if let Some(is_strict) = is_strict {
                        object.bool("strict", *is_strict);
                    }
                    say::extras(&tool.extras, object);
                } else {
                    let schema = schema::of_tool(parameters.as_deref(), PARAMETERS, losses);
                    strict.write(&schema, *is_strict, losses, object);
                }
                say::mark(marks.next(tool.cache), own.then_some(&tool.extras), object);
            });
        }
        ToolKind::Custom { name, description, .. } => {
            tools.object(|object| {
                object.str("name", &custom(name)).str_if("description", description.as_deref());
                object.raw("input_schema", stand_in::CUSTOM_SCHEMA);
                say::mark(marks.next(tool.cache), own.then_some(&tool.extras), object);
            });
        }
    }
}

/// Where others say the same as Anthropic's web search: who asks, and where to look. Gemini's search
/// says neither, and chat nests the place (`web_search_options`).
fn write_search(raw: &str, object: &mut Object<'_>) {
    let Ok(theirs) = tree::parse(raw.as_bytes()) else { return };
    let domains = theirs.at("filters").and_then(|filters| filters.at("allowed_domains"));
    object.raw_if("allowed_domains", domains.filter(|domains| !domains.elements().is_empty()).map(Node::raw));
    let Some(place) = theirs.at("user_location") else { return };
    let place = place.at("approximate").unwrap_or(place);
    object.object("user_location", |location| {
        location.str("type", "approximate");
        for key in ["city", "region", "country", "timezone"] {
            location.raw_if(key, place.at(key).filter(|value| value.is_string()).map(Node::raw));
        }
    });
}
