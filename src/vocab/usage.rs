//! Token counts in one normal form, whatever the provider calls them.

use super::money::Money;
use super::tier::Tier;

/// Tokens of one attempt. `input` contains the cached tokens, `output` contains the reasoning tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub cache_read: u64,
    /// Input tokens written to a prompt cache that lives five minutes (or the provider's default).
    pub cache_write: u64,
    /// Input tokens written to a prompt cache that lives an hour.
    pub cache_write_1h: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Input tokens of sound, cached ones included.
    pub input_audio: u64,
    /// Input tokens of sound, read from a cache.
    pub cache_read_audio: u64,
    /// Output tokens of sound.
    pub output_audio: u64,
    /// Input tokens of pictures, where the provider tells them from others.
    pub input_image: u64,
    /// Output tokens of pictures.
    pub output_image: u64,
    /// What is no token.
    pub other: Other,
    /// How it was hurried, as the answer says, or else as the request asked; `None` where neither does.
    pub tier: Option<Tier>,
    /// What the provider itself says that it charges for all of it.
    pub said: Option<Money>,
}

/// What providers charge for beside tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Other {
    /// Pictures that were made.
    pub images: u32,
    /// Searches that a tool of the provider's made, or a reranker's.
    pub searches: u32,
    /// Characters that were spoken.
    pub characters: u32,
    /// Milliseconds of sound that were heard.
    pub audio_millis: u32,
}

impl Other {
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            images: self.images.saturating_add(other.images),
            searches: self.searches.saturating_add(other.searches),
            characters: self.characters.saturating_add(other.characters),
            audio_millis: self.audio_millis.saturating_add(other.audio_millis),
        }
    }
}

/// Tokens that no model reads or writes at once: ten times the longest context that is sold (Llama 4 Scout's, ten
/// million).
const TOO_MANY: u64 = 100_000_000;

impl Usage {
    /// Whether a provider can mean it. What it cannot mean is as good as not said: it would cost somebody his budget.
    pub fn is_plausible(&self) -> bool {
        self.input < TOO_MANY && self.output < TOO_MANY
    }

    /// The tokens of two attempts together; the tier is that of the later one.
    #[must_use]
    pub const fn plus(self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            input_audio: self.input_audio.saturating_add(other.input_audio),
            cache_read_audio: self.cache_read_audio.saturating_add(other.cache_read_audio),
            output_audio: self.output_audio.saturating_add(other.output_audio),
            input_image: self.input_image.saturating_add(other.input_image),
            output_image: self.output_image.saturating_add(other.output_image),
            other: self.other.plus(other.other),
            said: match (self.said, other.said) {
                (Some(one), Some(another)) => Some(one.plus(another)),
                // Half of a price is none.
                (Some(_) | None, _) => None,
            },
            tier: if other.tier.is_some() { other.tier } else { self.tier },
        }
    }
}
