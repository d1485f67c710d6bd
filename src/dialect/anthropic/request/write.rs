//! What is asked for -> a body, its members in an order that suits prompt caches.

use super::arrange::{Conversation, Instructs, Message};
use super::line::Line;
use super::marks::Marks;
use super::say::{self, Voice};
use super::think::{Bar, Thinking};
use super::tools::Plan;
use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, Effort, Losses, Mode, Role, Terms, Text, Tier};
use crate::dialect::write::{self, Array, Object};
use crate::vocab::Ability;

/// What is to become of what was said before.
const CONTEXT: &str = "context_management";

/// Letters of a `metadata.user_id`; more are refused.
const MOST_OF_USER: usize = 256;

/// The request that asks for the same.
pub fn write(ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let own = ask.dialect == Dialect::Anthropic;
    if !own {
        losses.drop_all_extras(ask);
    }
    let plan = Plan::of(ask, terms, losses);
    let conversation = if own {
        Conversation::own(ask, terms)
    } else {
        let instructs = if plan.instructs { Instructs::Json } else { Instructs::Nothing };
        Conversation::arranged(ask, terms, instructs, losses)
    };
    let max_tokens = if own { ask.max_tokens } else { Some(max_tokens(ask, terms)) };
    let bar = if plan.forces() || conversation.is_prefilled {
        Bar::Closed
    } else if conversation.goes_on_unthought() {
        Bar::ToBudgets
    } else {
        Bar::Open
    };
    let thinking = Thinking::of(ask, terms, max_tokens.unwrap_or_default(), bar, losses);
    let mut marks = marks(ask, &conversation, terms);
    write::object(out, |body| {
        body.str("model", terms.model).number_if("max_tokens", max_tokens);
        plan.write(ask, terms, &mut marks, losses, body);
        let mut voice = Voice { from: ask.dialect, terms, marks: &mut marks, losses };
        write_conversation(&conversation, &mut voice, body);
        thinking.write(ask, body);
        write_config(ask, &plan, thinking.effort, body);
        if own {
            write_sampling(ask.temperature, ask.top_p, ask.top_k, body);
        } else {
            sample(ask, terms, thinking, losses, body);
        }
        write_stop(ask, losses, body);
        if ask.mode != Mode::Whole {
            body.bool("stream", true);
        }
        write_account(ask, losses, body);
        say::mark(marks.next(ask.cache), own.then_some(&ask.extras), body);
        if own {
            say::extras_but(&ask.extras, extra_lost(ask, thinking, losses), body);
        }
    });
    marks.report(losses);
    drop_unsayable(ask, losses);
}

/// `max_tokens` has to be said; the module's words tell which number.
fn max_tokens(ask: &Ask<'_>, terms: &Terms<'_>) -> u64 {
    match (ask.max_tokens, terms.facts.max_output) {
        (Some(wanted), Some(most)) => wanted.min(most),
        (Some(tokens), None) | (None, Some(tokens)) => tokens,
        (None, None) => Line::of(terms.kind()).output(),
    }
}

fn marks(ask: &Ask<'_>, conversation: &Conversation<'_, '_>, terms: &Terms<'_>) -> Marks {
    if ask.dialect == Dialect::Anthropic {
        return Marks::own();
    }
    let on_tools = ask.tools.iter().filter(|tool| tool.cache.is_some()).count();
    let count = on_tools + conversation.marks() + usize::from(ask.cache.is_some());
    if terms.facts.lacks(Ability::PromptCaching) { Marks::none_of(count) } else { Marks::last_of(count) }
}

fn write_conversation(conversation: &Conversation<'_, '_>, voice: &mut Voice<'_>, body: &mut Object<'_>) {
    if !conversation.system.is_empty() {
        body.array("system", |blocks| {
            for item in &conversation.system {
                voice.item(item, blocks);
            }
        });
    }
    body.array("messages", |messages| {
        for message in &conversation.messages {
            write_message(message, voice, messages);
        }
    });
}

fn write_message(message: &Message<'_, '_>, voice: &mut Voice<'_>, messages: &mut Array<'_>) {
    messages.object(|object| {
        object.str(
            "role",
            match message.role {
                Role::System | Role::Developer => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            },
        );
        object.array("content", |blocks| {
            for item in &message.items {
                voice.item(item, blocks);
            }
        });
        if let Some(extras) = message.extras {
            say::extras(extras, object);
        }
    });
}

/// `output_config`.
fn write_config(ask: &Ask<'_>, plan: &Plan<'_, '_>, effort: Option<Effort>, body: &mut Object<'_>) {
    let own = ask.dialect == Dialect::Anthropic;
    let others = own && ask.extras.all().any(|(key, _)| key.starts_with("output_config."));
    if plan.format.is_none() && effort.is_none() && !others {
        return;
    }
    body.object("output_config", |config| {
        config.str_if("effort", effort.map(Effort::name));
        if let Some(schema) = &plan.format {
            config.object("format", |format| {
                format.str("type", "json_schema").raw("schema", schema);
                if own {
                    say::inner_extras(&ask.extras, "output_config.format", format);
                }
            });
        }
        if own {
            say::inner_extras(&ask.extras, "output_config", config);
        }
    });
}

/// Old thoughts are not cleared away where none are to be thought now: the API refuses to.
fn extra_lost(ask: &Ask<'_>, thinking: Thinking, losses: &mut Losses) -> Option<&'static str> {
    let is_unthought = ask.reasoning.budget.is_some() && !thinking.is_on();
    let clears = ask.extras.find(CONTEXT).is_some_and(|raw| raw.contains("clear_thinking"));
    (is_unthought && clears).then(|| {
        losses.drop(CONTEXT);
        CONTEXT
    })
}

/// What this model takes of it, which is nothing beside thinking; and temperatures end at 1. To leave
/// out a 1 loses nothing: it is the default.
fn sample(ask: &Ask<'_>, terms: &Terms<'_>, thinking: Thinking, losses: &mut Losses, body: &mut Object<'_>) {
    let line = Line::of(terms.kind());
    let takes = line.samples(terms) && !thinking.is_on();
    let mut temperature = ask.temperature;
    if temperature.is_some_and(|temperature| !(0.0..=1.0).contains(&temperature)) {
        losses.drop("temperature");
        temperature = temperature.map(|temperature| temperature.clamp(0.0, 1.0));
    }
    let takes_top_p = takes && !(line.samples_once() && temperature.is_some());
    let temperature = taken(temperature.filter(|value| takes || *value != 1.0), takes, "temperature", losses);
    let top_p = taken(ask.top_p.filter(|value| takes_top_p || *value != 1.0), takes_top_p, "top_p", losses);
    let top_k = taken(ask.top_k, takes, "top_k", losses);
    write_sampling(temperature, top_p, top_k, body);
}

fn taken<T>(value: Option<T>, takes: bool, name: &'static str, losses: &mut Losses) -> Option<T> {
    if !takes {
        losses.drop_if(value.as_ref(), name);
    }
    value.filter(|_| takes)
}

fn write_sampling(temperature: Option<f64>, top_p: Option<f64>, top_k: Option<u64>, body: &mut Object<'_>) {
    body.number_if("temperature", temperature).number_if("top_p", top_p).number_if("top_k", top_k);
}

/// The API refuses sequences of nothing but white space.
fn write_stop(ask: &Ask<'_>, losses: &mut Losses, body: &mut Object<'_>) {
    let own = ask.dialect == Dialect::Anthropic;
    let is_taken = |text: &&Text<'_>| own || !text.trim().is_empty();
    losses.stop_here(ask.stop.iter().filter(|text| !is_taken(text)));
    let mut taken = ask.stop.iter().filter(is_taken).peekable();
    if taken.peek().is_some() {
        body.array("stop_sequences", |stop| {
            for text in taken {
                stop.str(text);
            }
        });
    }
}

/// Who asks, and at which tier.
fn write_account(ask: &Ask<'_>, losses: &mut Losses, body: &mut Object<'_>) {
    let own = ask.dialect == Dialect::Anthropic;
    let user = ask.user.as_deref().filter(|user| own || user.chars().count() <= MOST_OF_USER);
    if user.is_none() {
        losses.drop_if(ask.user.as_ref(), "user");
    }
    if user.is_some() || (own && ask.extras.all().any(|(key, _)| key.starts_with("metadata."))) {
        body.object("metadata", |metadata| {
            metadata.str_if("user_id", user);
            if own {
                say::inner_extras(&ask.extras, "metadata", metadata);
            }
        });
    }
    match ask.tier {
        None => {}
        // What was paid for in advance is used where there is any, which is what `auto` says.
        Some(Tier::Auto | Tier::Priority) => {
            body.str("service_tier", "auto");
        }
        Some(Tier::Standard) => {
            body.str("service_tier", "standard_only");
        }
        Some(Tier::Flex | Tier::Scale) => losses.drop("service_tier"),
    }
}

/// What the dialect has no words for.
fn drop_unsayable(ask: &Ask<'_>, losses: &mut Losses) {
    if ask.n.is_some_and(|n| n > 1) {
        losses.drop("n");
    }
    losses.drop_if(ask.seed.as_ref(), "seed");
    losses.drop_if(ask.presence_penalty.as_ref(), "presence_penalty");
    losses.drop_if(ask.frequency_penalty.as_ref(), "frequency_penalty");
    losses.drop_if(ask.logit_bias.as_ref(), "logit_bias");
    losses.drop_if(ask.logprobs.as_ref(), "logprobs");
    losses.drop_if(ask.cache_key.as_ref(), "prompt_cache_key");
}
