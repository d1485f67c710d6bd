//! `usage` of chat completions, embeddings and the rest, in all vendors' variants (WIRE §3.3).

use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::tier;
use crate::dialect::tree::Node;
use crate::dialect::write::Object;
use crate::vocab::usage::Other;
use crate::vocab::{Money, Tier, Usage};

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
    seconds: Option<u32>,
    searches: Option<u64>,
    tier: Option<Tier>,
    said: Option<Money>,
    /// An account at the vendor behind a relay pays that vendor, and the sum is the relay's fee only.
    is_byok: bool,
    /// What that vendor charges.
    behind: Option<Money>,
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
    image: Option<u64>,
    /// Of the cached ones.
    cached_audio: Option<u64>,
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
            // Mistral's word for it, and Moonshot's.
            b"num_cached_tokens" | b"cached_tokens" => &mut counts.num_cached_tokens,
            b"reasoning_tokens" => &mut counts.reasoning_tokens,
            // Whisper's, and Mistral's.
            b"seconds" | b"prompt_audio_seconds" => {
                counts.seconds = millis(walker)?.or(counts.seconds);
                return Ok(());
            }
            b"server_tool_use" | b"server_tool_use_details" => {
                walker.if_object(|walker, key| {
                    if key.is("web_search_requests") {
                        counts.searches = walker.count()?;
                        return Ok(());
                    }
                    walker.skip().map(drop)
                })?;
                return Ok(());
            }
            // OpenRouter's sum, and Perplexity's, which has one for each request in it.
            b"cost" => {
                counts.said = sum(walker)?;
                return Ok(());
            }
            b"cost_details" => {
                walker.if_object(|walker, key| {
                    let (_, span) = walker.value()?;
                    if key.is("upstream_inference_cost") {
                        counts.behind = money(walker.slice(span));
                    }
                    Ok(())
                })?;
                return Ok(());
            }
            // xAI's: ten of them are a nano-dollar.
            b"cost_in_usd_ticks" => {
                counts.said = walker.count()?.map(|ticks| Money::nano_usd(ticks.saturating_add(5) / 10));
                return Ok(());
            }
            b"is_byok" => {
                counts.is_byok = walker.skip()? == Kind::True;
                return Ok(());
            }
            // Mistral's place for it.
            b"service_tier" => {
                counts.tier = tier::read(walker)?;
                return Ok(());
            }
            b"prompt_tokens_details" => return counts.prompt.read(walker),
            b"completion_tokens_details" => return counts.completion.read(walker),
            // Transcriptions say `token`.
            b"input_tokens_details" | b"input_token_details" => return counts.input.read(walker),
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

/// Takes dollars: a number, or Perplexity's object with a `total_cost`.
fn sum(walker: &mut Walker<'_>) -> Walked<Option<Money>> {
    let mut said = None;
    if walker.kind()? == Kind::Object {
        walker.object(|walker, key| {
            let (_, span) = walker.value()?;
            if key.is("total_cost") {
                said = money(walker.slice(span));
            }
            Ok(())
        })?;
        return Ok(said);
    }
    let (_, span) = walker.value()?;
    Ok(money(walker.slice(span)))
}

fn money(number: &[u8]) -> Option<Money> {
    Money::of_number(std::str::from_utf8(number).ok()?)
}

/// Takes seconds, whole or not, as milliseconds.
fn millis(walker: &mut Walker<'_>) -> Walked<Option<u32>> {
    let (kind, span) = walker.value()?;
    let text = std::str::from_utf8(walker.slice(span)).unwrap_or_default();
    let seconds = text.parse().ok().filter(|seconds: &f64| kind == Kind::Number && *seconds >= 0.0);
    Ok(seconds.map(|seconds| (seconds * 1e3).round() as u32))
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
                b"image_tokens" => &mut self.image,
                b"cached_tokens_details" => {
                    walker.if_object(|walker, key| {
                        if key.is("audio_tokens") {
                            self.cached_audio = walker.count()?;
                            return Ok(());
                        }
                        walker.skip().map(drop)
                    })?;
                    return Ok(());
                }
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
        let output = self.completion_tokens.or(self.output_tokens);
        // Of the other way round nothing follows: vendors of vectors have no output to count.
        let beside = || Some(self.total_tokens?.saturating_sub(output?));
        let input = self.prompt_tokens.or(self.input_tokens).or_else(beside);
        let other = Other {
            searches: self.searches.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            audio_millis: self.seconds.unwrap_or(0),
            ..Other::default()
        };
        let fee = self.said.unwrap_or(Money::ZERO);
        let said = if self.is_byok { self.behind.map(|behind| behind.plus(fee)) } else { self.said };
        let rest = Usage { other, tier: self.tier, said, ..Usage::default() };
        if input.is_none() && output.is_none() {
            // Voyage's embeddings have a total, Whisper's transcripts seconds.
            let input = self.total_tokens;
            let is_told = input.is_some() || self.seconds.is_some() || said.is_some();
            return is_told.then(|| Usage { input: input.unwrap_or(0), ..rest });
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
            input_audio: self.prompt.audio.or(self.input.audio).unwrap_or(0),
            cache_read_audio: self.prompt.cached_audio.or(self.input.cached_audio).unwrap_or(0),
            output_audio: self.completion.audio.or(self.output.audio).unwrap_or(0),
            input_image: self.prompt.image.or(self.input.image).unwrap_or(0),
            output_image: self.completion.image.or(self.output.image).unwrap_or(0),
            ..rest
        };
        // xAI leaves reasoning out of the output, Mistral audio out of the input; the total gives it
        // away. Google's compatible endpoint says of its models' thoughts nothing but the total.
        let is_told = input.is_some() && output.is_some();
        match self.total_tokens.unwrap_or(0).saturating_sub(all.input.saturating_add(all.output)) {
            0 => {}
            left_out if left_out == reasoning => all.output = all.output.saturating_add(left_out),
            left_out if Some(left_out) == self.prompt.audio => {
                all.input = all.input.saturating_add(left_out);
            }
            left_out if is_told && reasoning == 0 && cached.unwrap_or(0) <= all.input => {
                all.output = all.output.saturating_add(left_out);
                all.reasoning = left_out;
            }
            _ => {}
        }
        Some(all)
    }
}
