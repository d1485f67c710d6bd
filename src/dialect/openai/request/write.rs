//! A request to an upstream, in the manner of its vendor.
//!
//! The compatible many know OpenAI's older fields; its newer ones (`service_tier`, `prompt_cache_key`,
//! custom tools …) go to OpenAI's own wire alone, for several vendors refuse what they do not know. A
//! request that came in this very dialect is said again as it was.

mod ids;
mod messages;
mod parts;
mod reasoning;
mod tools;

use std::borrow::Cow;

use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, CacheMark, Family, Format, Losses, Mode, Terms, Text, Tier};
use crate::dialect::openai::{self, nested};
use crate::dialect::quirks::{MaxTokens, Quirks, StrangeMembers, ToolIds};
use crate::dialect::write::{self, Object};
use crate::vocab::Ability;

/// OpenAI takes no more stop sequences.
const MOST_STOPS: usize = 4;
/// The highest temperature that Mistral takes (docs.mistral.ai/api).
const HOTTEST_AT_MISTRAL: f64 = 1.5;

/// Whom the request is written for, and from whom it comes.
#[derive(Clone, Copy, Debug)]
struct Way<'w, 'a> {
    ask: &'w Ask<'a>,
    terms: &'w Terms<'w>,
    vendor: Vendor,
    origin: Origin,
}

/// Vendors with members of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vendor {
    /// OpenAI itself, at home or at Azure.
    OpenAi,
    /// Refuses every member that it does not know.
    Mistral,
    Compatible,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Chat completions: its extras can be said again.
    Own,
    Foreign,
}

/// The request that asks for the same.
pub fn write(ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let origin = if ask.dialect == Dialect::OpenAi { Origin::Own } else { Origin::Foreign };
    let way = Way { ask, terms, vendor: Vendor::of(terms.quirks), origin };
    write::object(out, |object| {
        object.str("model", terms.model);
        messages::write(way, losses, object);
        tools::write(way, losses, object);
        way.write_mode(object);
        way.write_format(losses, object);
        reasoning::write(way, losses, object);
        way.write_limits(losses, object);
        way.write_sampling(losses, object);
        way.write_service(losses, object);
        match origin {
            Origin::Own => nested::write_outer(&ask.extras, object),
            Origin::Foreign => losses.drop_all_extras(ask),
        }
    });
}

/// Whether a model is held to this form of another dialect's.
pub fn holds_to(format: &Format<'_>, terms: &Terms<'_>) -> bool {
    match format {
        Format::Json => true,
        Format::Schema { .. } => knows_schemas(terms),
    }
}

fn knows_schemas(terms: &Terms<'_>) -> bool {
    terms.quirks.json_schema && !terms.facts.lacks(Ability::StructuredOutput)
}

impl Vendor {
    /// The one that has these quirks: only OpenAI sends its callers to responses, only Mistral wants ids
    /// of its own.
    fn of(quirks: &Quirks) -> Self {
        match quirks.tool_ids {
            ToolIds::Any if quirks.tools_by_responses => Self::OpenAi,
            ToolIds::Any => Self::Compatible,
            ToolIds::NineAlphanumeric => Self::Mistral,
        }
    }
}

impl Way<'_, '_> {
    fn is_own(self) -> bool {
        self.origin == Origin::Own
    }

    /// Members of messages that OpenAI's answers have are refused as well.
    fn refuses_strangers(self) -> bool {
        self.terms.quirks.strange_members == StrangeMembers::Refused
    }

    fn lacks(self, ability: Ability) -> bool {
        self.terms.facts.lacks(ability)
    }

    /// How a cache mark is said to this upstream, if at all: to Claude behind a relay as Anthropic says
    /// it, to OpenAI's newer models as a breakpoint.
    fn cache_form(self) -> Option<CacheForm> {
        if self.terms.facts.has(Ability::CacheBreakpoint) {
            Some(CacheForm::Breakpoint)
        } else if self.is_own() || self.terms.family == Family::Anthropic {
            Some(CacheForm::Control)
        } else {
            None
        }
    }

    fn write_mode(self, object: &mut Object<'_>) {
        let Mode::Stream { usage } = self.ask.mode else {
            // Own callers may have said so; it is what the absence means.
            return;
        };
        object.bool("stream", true);
        let extras = &self.ask.extras;
        let is_kept = self.is_own() && nested::is_kept(extras, "stream_options");
        if self.terms.ask_usage || is_kept {
            object.object("stream_options", |options| {
                if self.terms.ask_usage || usage {
                    options.bool("include_usage", true);
                }
                if self.is_own() {
                    nested::write(extras, "stream_options", options);
                }
            });
        }
    }

    fn write_format(self, losses: &mut Losses, object: &mut Object<'_>) {
        let Some(format) = &self.ask.format else { return };
        let knows_schemas = knows_schemas(self.terms);
        object.object("response_format", |object| {
            match format {
                Format::Schema { name, description, schema, strict } if knows_schemas => {
                    object.str("type", "json_schema").object("json_schema", |object| {
                        object.str("name", name.as_deref().unwrap_or("response"));
                        object.str_if("description", description.as_deref()).raw("schema", schema);
                        object.raw_if("strict", strict.map(|strict| if strict { "true" } else { "false" }));
                        if self.is_own() {
                            nested::write(&self.ask.extras, "response_format.json_schema", object);
                        }
                    });
                }
                Format::Schema { .. } => {
                    losses.drop("response_format");
                    object.str("type", "json_object");
                }
                Format::Json => {
                    object.str("type", "json_object");
                }
            }
            if self.is_own() {
                nested::write(&self.ask.extras, "response_format", object);
            }
        });
    }

    fn write_limits(self, losses: &mut Losses, object: &mut Object<'_>) {
        let ask = self.ask;
        // More than the model can say is refused by most, and means no more than all it can say.
        let most = self.terms.facts.max_output.filter(|_| !self.is_own());
        let limit = ask.max_tokens.map(|limit| most.map_or(limit, |most| limit.min(most)));
        object.number_if(
            match self.terms.quirks.max_tokens {
                MaxTokens::Plain => "max_tokens",
                MaxTokens::Completion => "max_completion_tokens",
            },
            limit,
        );
        let taken = if self.is_own() { ask.stop.len() } else { MOST_STOPS };
        if self.refuses_sampling() {
            losses.stop_here(&ask.stop);
        } else if !ask.stop.is_empty() {
            losses.stop_here(ask.stop.iter().skip(taken));
            object.array("stop", |array| {
                for stop in ask.stop.iter().take(taken) {
                    array.str(stop);
                }
            });
        }
        object.number_if("n", ask.n.filter(|n| *n != 1 || self.is_own()));
    }

    /// OpenAI's reasoning models take none of it, the stop sequences included; 1 is what they do anyway.
    fn refuses_sampling(self) -> bool {
        self.vendor == Vendor::OpenAi && self.lacks(Ability::Sampling)
    }

    fn write_sampling(self, losses: &mut Losses, object: &mut Object<'_>) {
        let ask = self.ask;
        let lacks = self.lacks(Ability::Sampling);
        let hottest =
            if self.vendor == Vendor::Mistral && !self.is_own() { HOTTEST_AT_MISTRAL } else { f64::MAX };
        if ask.temperature.is_some_and(|temperature| temperature > hottest) {
            losses.drop("temperature");
        }
        let mut number = |key, name: &'static str, value: Option<f64>, is_taken: bool| match value {
            Some(value) if is_taken => {
                object.number(key, value);
            }
            Some(_) => losses.drop(name),
            None => {}
        };
        let temperature = ask.temperature.filter(|t| !lacks || *t != 1.0);
        number("temperature", "temperature", temperature.map(|t| t.min(hottest)), !lacks);
        number("top_p", "top_p", ask.top_p.filter(|p| !lacks || *p != 1.0), !lacks);
        number("presence_penalty", "presence_penalty", ask.presence_penalty, !lacks);
        number("frequency_penalty", "frequency_penalty", ask.frequency_penalty, !lacks);
        let seed = if self.vendor == Vendor::Mistral && !self.is_own() { "random_seed" } else { "seed" };
        number(seed, "seed", ask.seed, true);
        // Nobody's word but vLLM's and OpenRouter's, and OpenAI itself has none.
        match ask.top_k {
            Some(top_k) if self.is_own() && !lacks => {
                object.number("top_k", top_k);
            }
            Some(_) => losses.drop("top_k"),
            None => {}
        }
        let knows_tokens = self.is_own() || self.vendor != Vendor::Mistral;
        match ask.logit_bias {
            Some(bias) if knows_tokens && !self.refuses_sampling() => {
                object.raw("logit_bias", bias);
            }
            Some(_) => losses.drop("logit_bias"),
            None => {}
        }
        match ask.logprobs {
            Some(logprobs) if knows_tokens && !self.refuses_sampling() => {
                object.bool("logprobs", true);
                object.number_if("top_logprobs", Some(logprobs.top).filter(|top| *top > 0));
            }
            Some(_) => losses.drop("logprobs"),
            None => {}
        }
    }

    /// Claude Code's users have longer names than OpenAI takes, and those who hold to it.
    fn short<'t>(self, name: &'t Text<'_>) -> Cow<'t, str> {
        if self.is_own() { Cow::Borrowed(name) } else { openai::ids::shortened("", name) }
    }

    fn write_service(self, losses: &mut Losses, object: &mut Object<'_>) {
        let ask = self.ask;
        let knows_service = self.is_own() || self.vendor == Vendor::OpenAi;
        match ask.tier {
            Some(tier) if knows_service => {
                object.str("service_tier", tier_name(tier));
            }
            Some(_) => losses.drop("service_tier"),
            None => {}
        }
        match &ask.cache_key {
            Some(key) if knows_service => {
                object.str("prompt_cache_key", &self.short(key));
            }
            Some(_) => losses.drop("prompt_cache_key"),
            None => {}
        }
        match &ask.user {
            Some(user) if self.is_own() || self.vendor != Vendor::Mistral => {
                object.str("user", &self.short(user));
            }
            Some(_) => losses.drop("user"),
            None => {}
        }
        match (ask.cache, self.cache_form()) {
            (Some(mark), Some(CacheForm::Control)) => CacheForm::Control.write(mark, object),
            // OpenAI marks the end of the prompt by itself.
            (Some(_), Some(CacheForm::Breakpoint)) | (None, _) => {}
            (Some(_), None) => losses.drop("cache_control"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CacheForm {
    /// `cache_control`, as Anthropic has it.
    Control,
    /// OpenAI's `prompt_cache_breakpoint`; it has one lifetime only.
    Breakpoint,
}

impl CacheForm {
    fn write(self, mark: CacheMark, object: &mut Object<'_>) {
        match self {
            Self::Control => object.object("cache_control", |control| {
                control.str("type", "ephemeral");
                control.str_if("ttl", (mark == CacheMark::Hour).then_some("1h"));
            }),
            Self::Breakpoint => object.object("prompt_cache_breakpoint", |breakpoint| {
                breakpoint.str("mode", "explicit");
            }),
        };
    }
}

const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Auto => "auto",
        Tier::Standard => "default",
        Tier::Flex => "flex",
        Tier::Priority => "priority",
        Tier::Scale => "scale",
    }
}
