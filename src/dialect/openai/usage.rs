//! `usage` of chat completions, embeddings and the rest, in all vendors' variants (WIRE §3.3).

use crate::dialect::json::{Walked, Walker};
use crate::dialect::tree::Node;
use crate::dialect::write::Object;
use crate::vocab::Usage;

/// The counts as vendors name them.
#[derive(Default)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    /// Images, audio and responses say `input` and `output` where chat says `prompt` and `completion`.
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_cache_hit_tokens: Option<u64>,
    num_cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    prompt: Details,
    completion: Details,
    input: Details,
    output: Details,
}

/// The objects `…_tokens_details`.
#[derive(Default)]
struct Details {
    cached: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    audio: Option<u64>,
}

/// Cached tokens are inside the input, reasoning is inside the output.
pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let mut counts = Counts::default();
    walker.object(|walker, key| {
        let count = match &*key.bytes() {
            b"prompt_tokens" => &mut counts.prompt_tokens,
            b"completion_tokens" => &mut counts.completion_tokens,
            b"input_tokens" => &mut counts.input_tokens,
            b"output_tokens" => &mut counts.output_tokens,
            b"total_tokens" => &mut counts.total_tokens,
            b"prompt_cache_hit_tokens" => &mut counts.prompt_cache_hit_tokens,
            b"num_cached_tokens" => &mut counts.num_cached_tokens,
            b"reasoning_tokens" => &mut counts.reasoning_tokens,
            b"prompt_tokens_details" => return counts.prompt.read(walker),
            b"completion_tokens_details" => return counts.completion.read(walker),
            b"input_tokens_details" => return counts.input.read(walker),
            b"output_tokens_details" => return counts.output.read(walker),
            _ => return walker.skip().map(drop),
        };
        *count = walker.count()?;
        Ok(())
    })?;
    Ok(counts.sum())
}

/// The `usage` of an answer or a chunk; `None` if there is none, or none that tells anything.
pub fn of(node: &Node<'_>) -> Option<Usage> {
    let groq = || node.at("x_groq")?.at("usage");
    let said = node.at("usage").or_else(groq).filter(|usage| usage.is_object())?;
    read(&mut Walker::new(said.raw().as_bytes())).ok().flatten()
}

/// The normal form as OpenAI says it.
pub fn write(usage: &Usage, object: &mut Object<'_>) {
    object.object("usage", |object| {
        object
            .number("prompt_tokens", usage.input)
            .number("completion_tokens", usage.output)
            .number("total_tokens", usage.input.saturating_add(usage.output))
            .object("prompt_tokens_details", |details| {
                details
                    .number("cached_tokens", usage.cache_read)
                    .number("cache_write_tokens", usage.cache_write.saturating_add(usage.cache_write_1h));
            })
            .object("completion_tokens_details", |details| {
                details.number("reasoning_tokens", usage.reasoning);
            });
    });
}

impl Details {
    fn read(&mut self, walker: &mut Walker<'_>) -> Walked {
        *self = Self::default();
        walker.if_object(|walker, key| {
            let count = match &*key.bytes() {
                b"cached_tokens" => &mut self.cached,
                b"cache_write_tokens" => &mut self.cache_write,
                b"reasoning_tokens" => &mut self.reasoning,
                b"audio_tokens" => &mut self.audio,
                _ => return walker.skip().map(drop),
            };
            *count = walker.count()?;
            Ok(())
        })?;
        Ok(())
    }
}

impl Counts {
    fn sum(self) -> Option<Usage> {
        let input = self.prompt_tokens.or(self.input_tokens);
        let output = self.completion_tokens.or(self.output_tokens);
        if input.is_none() && output.is_none() {
            // Voyage's embeddings.
            return self.total_tokens.map(|input| Usage { input, ..Usage::default() });
        }
        let cached = self.prompt.cached.or(self.input.cached);
        let cached = cached.or(self.prompt_cache_hit_tokens).or(self.num_cached_tokens);
        let reasoning = self.completion.reasoning.or(self.output.reasoning);
        let reasoning = reasoning.or(self.reasoning_tokens).unwrap_or(0);
        let mut all = Usage {
            input: input.unwrap_or(0),
            cache_read: cached.unwrap_or(0),
            cache_write: self.prompt.cache_write.or(self.input.cache_write).unwrap_or(0),
            cache_write_1h: 0,
            output: output.unwrap_or(0),
            reasoning,
            ..Usage::default()
        };
        // xAI leaves reasoning out of the output, Mistral audio out of the input; the total gives it
        // away.
        match self.total_tokens.unwrap_or(0).saturating_sub(all.input.saturating_add(all.output)) {
            0 => {}
            left_out if left_out == reasoning => all.output = all.output.saturating_add(left_out),
            left_out if Some(left_out) == self.prompt.audio => {
                all.input = all.input.saturating_add(left_out);
            }
            _ => {}
        }
        Some(all)
    }
}
