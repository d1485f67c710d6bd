//! `toolConfig`.

use super::turns::Layout;
use super::{Draft, Origin, TOOLS, custom};
use crate::dialect::anthropic::{self, stand_in};
use crate::dialect::bedrock::maker::Maker;
use crate::dialect::bedrock::request::GROUNDING;
use crate::dialect::hub::{CacheMark, Losses, Text, Tool, ToolChoice, ToolKind};
use crate::dialect::json::Walker;
use crate::dialect::write::{Array, Object};
use crate::vocab::Ability;

/// For tools that take nothing, or nobody knows what.
const ANYTHING: &str = r#"{"type":"object","properties":{}}"#;
/// How what is lost of a tool's schema is named.
const PARAMETERS: &str = "tools.parameters";

/// The tools that the model gets, and what it is told about them.
pub struct Tools<'d, 'a> {
    pub listed: Vec<Listed<'d, 'a>>,
    /// Called before but not listed any more: Converse wants to know what calls in the history are of.
    bygone: Vec<String>,
    pick: Option<Pick<'d>>,
    place: Place,
}

/// A tool that the model gets.
pub struct Listed<'d, 'a> {
    tool: &'d Tool<'a>,
    /// The cache mark that is said behind it.
    pub mark: Option<CacheMark>,
}

/// Which tool has to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pick<'d> {
    Auto,
    None,
    Any,
    Tool(Text<'d>),
}

/// Where that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Config,
    /// In Claude's own `tool_choice`, which alone can say how many at once; both together are refused.
    Claude {
        disable_parallel: Option<bool>,
    },
}

impl<'d, 'a> Tools<'d, 'a> {
    pub fn of(draft: &Draft<'d, 'a>, layout: &Layout<'_, '_>, losses: &mut Losses) -> Self {
        let mut tools = Self { listed: Vec::new(), bygone: Vec::new(), pick: None, place: Place::Config };
        tools.pick = draft.ask.tool_choice.as_ref().map(|choice| pick(choice, &draft.ask.tools));
        if draft.origin == Origin::Own {
            tools.listed = draft.ask.tools.iter().map(Listed::of).collect();
            let parallel = draft.ask.parallel_tools;
            if parallel.is_some() || tools.pick == Some(Pick::None) {
                tools.place = Place::Claude { disable_parallel: parallel.map(|parallel| !parallel) };
            }
            return tools;
        }
        let listed = draft.ask.tools.iter().filter(|tool| is_listed(draft, tool, losses));
        tools.listed = listed.map(Listed::of).collect();
        let called = layout.called();
        if tools.pick == Some(Pick::None) {
            tools.pick = None;
            if called.is_empty() {
                // Where nothing is on offer, nothing is called.
                tools.listed.clear();
            } else if !tools.listed.is_empty() {
                losses.drop("tool_choice");
            }
        }
        if tools.listed.is_empty() {
            tools.bygone = called;
            tools.pick = None;
            return tools;
        }
        tools.choose(draft, losses);
        tools
    }

    fn choose(&mut self, draft: &Draft<'_, '_>, losses: &mut Losses) {
        let facts = draft.terms.facts;
        let forced = matches!(self.pick, Some(Pick::Any | Pick::Tool(_)));
        if forced && (facts.lacks(Ability::ForcedTools) || facts.lacks(Ability::ToolChoice)) {
            losses.drop("tool_choice");
            self.pick = None;
        }
        // It is what everybody does unless told otherwise, and some cannot be told.
        if self.pick == Some(Pick::Auto) && !draft.maker.is_claude() && !draft.maker.is_nova() {
            self.pick = None;
        }
        if draft.ask.parallel_tools == Some(false) {
            if draft.terms.knows(Ability::ParallelToolsConfig, true) && draft.maker.is_claude() {
                self.pick = self.pick.take().or(Some(Pick::Auto));
                self.place = Place::Claude { disable_parallel: Some(true) };
            } else {
                losses.drop("parallel_tool_calls");
            }
        }
    }

    pub fn write(&self, draft: &Draft<'_, '_>, losses: &mut Losses, body: &mut Object<'_>) {
        let said = !self.listed.is_empty() || !self.bygone.is_empty();
        let kept = draft.origin == Origin::Own
            && draft
                .ask
                .extras
                .all()
                .any(|(key, _)| key.strip_prefix(TOOLS).is_some_and(|k| k.starts_with('.')));
        if !said && !kept {
            return;
        }
        body.object(TOOLS, |config| {
            config.array("tools", |tools| {
                for Listed { tool, mark } in &self.listed {
                    write_tool(draft, tool, losses, tools);
                    if let Some(mark) = mark {
                        draft.cache_point(*mark, tools);
                    }
                }
                for name in &self.bygone {
                    spec(name, None, ANYTHING, tools, |_| {});
                }
            });
            if let (Place::Config, Some(pick)) = (self.place, &self.pick) {
                config.object("toolChoice", |choice| match pick {
                    Pick::Auto | Pick::None => {
                        choice.raw("auto", "{}");
                    }
                    Pick::Any => {
                        choice.raw("any", "{}");
                    }
                    Pick::Tool(name) => {
                        choice.object("tool", |tool| {
                            tool.str("name", name);
                        });
                    }
                });
            }
            draft.extras_of(TOOLS, config);
        });
    }

    /// Claude's own `tool_choice`, among the additional fields.
    pub fn write_choice(&self, fields: &mut Object<'_>) {
        let Place::Claude { disable_parallel } = self.place else { return };
        fields.object("tool_choice", |choice| {
            let (kind, name) = match &self.pick {
                Some(Pick::Auto) | None => ("auto", None),
                Some(Pick::None) => ("none", None),
                Some(Pick::Any) => ("any", None),
                Some(Pick::Tool(name)) => ("tool", Some(&**name)),
            };
            choice.str("type", kind).str_if("name", name);
            if let Some(disable) = disable_parallel {
                choice.bool("disable_parallel_tool_use", disable);
            }
        });
    }
}

impl<'d, 'a> Listed<'d, 'a> {
    fn of(tool: &'d Tool<'a>) -> Self {
        Self { tool, mark: tool.cache }
    }
}

fn pick<'d>(choice: &'d ToolChoice<'_>, tools: &[Tool<'_>]) -> Pick<'d> {
    let is_custom = |wanted: &str| {
        tools.iter().any(|tool| matches!(&tool.kind, ToolKind::Custom { name, .. } if name == wanted))
    };
    match choice {
        ToolChoice::Auto | ToolChoice::Allowed { required: false, .. } => Pick::Auto,
        ToolChoice::None => Pick::None,
        ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => Pick::Any,
        ToolChoice::Tool(name) if is_custom(name) => Pick::Tool(Text::Owned(custom(name))),
        ToolChoice::Tool(name) => Pick::Tool(Text::Borrowed(name)),
    }
}

/// Does the model get it? Only what is allowed, and what Converse can say.
fn is_listed(draft: &Draft<'_, '_>, tool: &Tool<'_>, losses: &mut Losses) -> bool {
    let allowed = |name: &Text<'_>| match &draft.ask.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => names.contains(name),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Tool(_)) | None => true,
    };
    match &tool.kind {
        ToolKind::Function { name, .. } => allowed(name),
        ToolKind::Custom { name, format, .. } => {
            if format.is_some_and(|format| format.contains("grammar")) {
                losses.refuse(
                    "tools",
                    "a custom tool with a grammar cannot be sent to Bedrock; give the tool a JSON schema",
                );
            }
            allowed(name)
        }
        ToolKind::WebSearch { .. } if matches!(draft.maker, Maker::Nova(2..)) => true,
        ToolKind::WebSearch { .. } => {
            losses.drop("web_search");
            false
        }
        ToolKind::Vendor { name, .. } => {
            losses.drop(name.clone().into_owned());
            false
        }
    }
}

fn write_tool(draft: &Draft<'_, '_>, tool: &Tool<'_>, losses: &mut Losses, tools: &mut Array<'_>) {
    let own = draft.origin == Origin::Own;
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let mut strict = strict.filter(|strict| own || is_strict(draft, *strict, losses));
            let schema = parameters.as_deref().unwrap_or(ANYTHING);
            let mut schema = match draft.maker {
                _ if own => Text::Borrowed(schema),
                Maker::Claude(..) => anthropic::request::of_tool(Some(schema), PARAMETERS, losses),
                Maker::Nova(_) | Maker::GptOss | Maker::Qwen | Maker::Other => rooted(schema),
            };
            if strict == Some(true) {
                let imposed = draft.imposed(&schema, PARAMETERS, losses).map(Text::into_owned);
                if let Some(imposed) = imposed {
                    schema = Text::Owned(imposed);
                } else {
                    losses.drop("strict");
                    strict = None;
                }
            }
            let description = description.as_deref().filter(|text| own || !text.is_empty());
            spec(name, description, &schema, tools, |spec| {
                if let Some(strict) = strict {
                    spec.bool("strict", strict);
                }
                if own {
                    tool.extras.write(spec);
                }
            });
        }
        ToolKind::Custom { name, description, .. } => {
            let description = description.as_deref().filter(|text| !text.is_empty());
            spec(&custom(name), description, stand_in::CUSTOM_SCHEMA, tools, |_| {});
        }
        ToolKind::WebSearch { raw } | ToolKind::Vendor { raw, .. } if own => {
            tools.raw(raw);
        }
        ToolKind::WebSearch { .. } | ToolKind::Vendor { .. } => {
            tools.object(|tool| {
                tool.object("systemTool", |tool| {
                    tool.str("name", GROUNDING);
                });
            });
        }
    }
}

fn spec(
    name: &str,
    description: Option<&str>,
    schema: &str,
    tools: &mut Array<'_>,
    more: impl FnOnce(&mut Object<'_>),
) {
    tools.object(|tool| {
        tool.object("toolSpec", |spec| {
            spec.str("name", name).str_if("description", description);
            spec.object("inputSchema", |input| {
                input.raw("json", schema);
            });
            more(spec);
        });
    });
}

/// Whether `strict` can be said: what is not strict is so by itself, and only newer Claude is known to
/// take the field.
fn is_strict(draft: &Draft<'_, '_>, strict: bool, losses: &mut Losses) -> bool {
    let taken = draft.terms.knows(Ability::StructuredOutput, draft.maker.is_claude_since((4, 5)));
    if strict && !taken {
        losses.drop("strict");
    }
    strict && taken
}

/// A schema whose root says that it is an object, as Claude wants it.
fn rooted(schema: &str) -> Text<'_> {
    let schema = schema.trim();
    let mut typed = false;
    let mut empty = true;
    let walked = Walker::new(schema.as_bytes()).object(|walker, key| {
        typed |= key.is("type");
        empty = false;
        walker.skip().map(drop)
    });
    match schema.strip_prefix('{') {
        _ if walked.is_err() || empty => Text::Borrowed(ANYTHING),
        Some(rest) if !typed => Text::Owned([r#"{"type":"object","#, rest].concat()),
        _ => Text::Borrowed(schema),
    }
}
