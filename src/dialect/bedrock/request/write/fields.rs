//! The small fields: limits, sampling, form of the answer, tier.

use super::thinking::Thinking;
use super::{Draft, INFERENCE, OUTPUT, Origin};
use crate::dialect::bedrock::maker::Maker;
use crate::dialect::hub::{Ask, Format, Losses, Text, Tier};
use crate::dialect::write::Object;
use crate::vocab::Ability;

/// What the dialect has no word for, whoever the maker is.
pub fn drop_unsayable(ask: &Ask<'_>, losses: &mut Losses) {
    losses.drop_if(ask.n.filter(|n| *n > 1).as_ref(), "n");
    losses.drop_if(ask.seed.as_ref(), "seed");
    losses.drop_if(ask.presence_penalty.as_ref(), "presence_penalty");
    losses.drop_if(ask.frequency_penalty.as_ref(), "frequency_penalty");
    losses.drop_if(ask.logit_bias.as_ref(), "logit_bias");
    losses.drop_if(ask.logprobs.as_ref(), "logprobs");
    losses.drop_if(ask.user.as_ref(), "user");
    losses.drop_if(ask.cache_key.as_ref(), "prompt_cache_key");
    if ask.turns.iter().any(|turn| turn.name.is_some()) {
        losses.drop("name");
    }
}

/// What may be said about the choice of words.
pub struct Sampling {
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u64>,
}

impl Sampling {
    pub fn of(draft: &Draft<'_, '_>, thinking: &Thinking, losses: &mut Losses) -> Self {
        let Ask { max_tokens, temperature, top_p, top_k, .. } = *draft.ask;
        let mut said = Self { max_tokens, temperature, top_p, top_k };
        if draft.origin == Origin::Own {
            return said;
        }
        let old = !draft.maker.is_claude_since((4, 7));
        if !draft.terms.knows(Ability::Sampling, old) || thinking.is_novas_hardest(draft.maker) {
            said.drop_temperature(losses);
            said.drop_top_p(losses);
            said.drop_top_k(losses);
        }
        if thinking.is_novas_hardest(draft.maker) {
            losses.drop_if(said.max_tokens.take().as_ref(), "max_tokens");
        }
        if thinking.is_claudes() {
            if said.temperature != Some(1.0) {
                said.drop_temperature(losses);
            }
            if said.top_p.is_some_and(|top_p| top_p < 0.95) {
                said.drop_top_p(losses);
            }
            said.drop_top_k(losses);
        }
        // Since Opus 4.1 Claude takes one of the two.
        if draft.maker.is_claude_since((4, 1)) && said.temperature.is_some() {
            said.drop_top_p(losses);
        }
        // Converse has 0 to 1; what is more cannot be said.
        if said.temperature.is_some_and(|temperature| temperature > 1.0) {
            losses.drop("temperature");
            said.temperature = Some(1.0);
        }
        said
    }

    fn drop_temperature(&mut self, losses: &mut Losses) {
        losses.drop_if(self.temperature.take().as_ref(), "temperature");
    }

    fn drop_top_p(&mut self, losses: &mut Losses) {
        losses.drop_if(self.top_p.take().as_ref(), "top_p");
    }

    fn drop_top_k(&mut self, losses: &mut Losses) {
        losses.drop_if(self.top_k.take().as_ref(), "top_k");
    }
}

pub fn inference(draft: &Draft<'_, '_>, sampling: &Sampling, losses: &mut Losses, config: &mut Object<'_>) {
    config.number_if("maxTokens", sampling.max_tokens);
    config.number_if("temperature", sampling.temperature).number_if("topP", sampling.top_p);
    let blank = |text: &&Text<'_>| draft.origin == Origin::Foreign && text.trim().is_empty();
    losses.stop_here(draft.ask.stop.iter().filter(blank));
    let stop: Vec<_> = draft.ask.stop.iter().filter(|text| !blank(text)).collect();
    if !stop.is_empty() {
        config.array("stopSequences", |items| {
            for text in stop {
                items.str(text);
            }
        });
    }
    draft.extras_of(INFERENCE, config);
}

/// `top_k` among the additional fields.
pub fn top_k(draft: &Draft<'_, '_>, sampling: &Sampling, losses: &mut Losses, fields: &mut Object<'_>) {
    let Some(top_k) = sampling.top_k else { return };
    match draft.maker {
        Maker::Nova(_) => {
            fields.object("inferenceConfig", |config| {
                config.number("topK", top_k);
            });
        }
        Maker::Claude(..) => {
            fields.number("top_k", top_k);
        }
        Maker::GptOss | Maker::Qwen | Maker::Other if draft.origin == Origin::Own => {
            fields.number("top_k", top_k);
        }
        // Some take it and some refuse the request for it.
        Maker::GptOss | Maker::Qwen | Maker::Other => losses.drop("top_k"),
    }
}

/// The form of the answer. Converse has schemas, and nothing for any JSON.
pub fn output(draft: &Draft<'_, '_>, thinking: &Thinking, losses: &mut Losses, config: &mut Object<'_>) {
    config.str_if("effort", thinking.plain_effort(draft.maker));
    let foreign = draft.origin == Origin::Foreign;
    match &draft.ask.format {
        None => {}
        Some(Format::Json) => losses.drop("response_format"),
        Some(Format::Schema { .. }) if foreign && draft.terms.facts.lacks(Ability::StructuredOutput) => {
            losses.drop("response_format");
        }
        Some(Format::Schema { name, description, schema, strict: _ }) => {
            match draft.imposed(schema, "response_format", losses) {
                None => losses.drop("response_format"),
                Some(schema) => text_format((name.as_deref(), description.as_deref()), &schema, config),
            }
        }
    }
    draft.extras_of(OUTPUT, config);
}

fn text_format((name, description): (Option<&str>, Option<&str>), schema: &str, config: &mut Object<'_>) {
    config.object("textFormat", |format| {
        format.str("type", "json_schema");
        format.object("structure", |structure| {
            structure.object("jsonSchema", |form| {
                form.str_if("name", name).str_if("description", description).str("schema", schema);
            });
        });
    });
}

pub fn service_tier(draft: &Draft<'_, '_>, losses: &mut Losses, body: &mut Object<'_>) {
    let tier = match draft.ask.tier {
        None | Some(Tier::Auto) => return,
        Some(Tier::Standard) => "default",
        Some(Tier::Flex) => "flex",
        Some(Tier::Priority) => "priority",
        Some(Tier::Scale) => return losses.drop("service_tier"),
    };
    body.object("serviceTier", |object| {
        object.str("type", tier);
    });
}
