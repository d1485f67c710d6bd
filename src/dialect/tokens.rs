//! Tokens, where no upstream counts them: OpenAI's own vocabularies, and estimates for all others.
//!
//! The vocabularies are unpacked when they are first asked for (some 25 MB for `o200k_base`, 8 MB for
//! `cl100k_base`) and stay. Counting is linear in the text, but it is computation: a long prompt belongs
//! on a thread that may block.
//!
//! Estimates err high, since a caller who trusts a low one overflows the model's window (WIRE §0.7): a text
//! of another vendor's model is counted in `o200k_base` and half as much again is added. Anthropic's and
//! Google's own counts of the recorded exchanges stay below that; Anthropic says of its newest
//! tokenizer that it makes up to 1.35 times as many tokens of a text as the one before.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};

use super::hub::{Ask, Content, Format, Media, Part, Source, ToolKind};

/// Whose tokens are to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// OpenAI's newer models.
    O200k,
    /// Anything else, of which no vocabulary is public.
    Unknown,
}

/// OpenAI's newer vocabulary has been unpacked.
static AT_HAND: AtomicBool = AtomicBool::new(false);

/// What OpenAI adds for a message, for the answer's beginning, and for each tool (its cookbook, "How to
/// count tokens with tiktoken"; rounded up).
const PER_MESSAGE: u64 = 4;
const PER_REQUEST: u64 = 8;
const PER_TOOL: u64 = 16;
/// The second of these as it is where all is known.
const PER_ANSWER: u64 = 3;
/// What Anthropic adds for having tools (its table of tool use system prompts: up to 530) and what recorded
/// counts have beyond that.
const FOR_TOOLS: u64 = 640;
/// The instructions that a vendor adds for a tool of its own (recorded: 1,500 for Anthropic's memory).
const PER_VENDORS_TOOL: u64 = 2_500;
/// The most that a picture costs with Anthropic (docs: high resolution, Opus 4.7) and about as much elsewhere.
const PER_IMAGE: u64 = 4_800;
/// The same for a medium of which nothing is known but that it is one.
pub(super) const PER_MEDIUM: u64 = PER_IMAGE;
/// A page as text and as a picture, and a page's size in a PDF; no more pages than vendors take.
const PER_PAGE: u64 = 3_000;
const BYTES_OF_PAGE: u64 = 20_000;
const MOST_PAGES: u64 = 100;
/// Bytes of a token of sound or film, at low quality: 32 tokens a second and 2 kB, 300 and 30 kB.
const BYTES_OF_SOUND: u64 = 64;
const BYTES_OF_FILM: u64 = 100;
/// A medium that only its vendor has: a document of some pages.
const UNSEEN: u64 = 15_000;

impl Vocabulary {
    /// By a model's name, with or without the vendor in front of it.
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let openai = ["gpt-", "o1", "o3", "o4", "chatgpt-", "codex-"];
        if openai.iter().any(|begin| name.starts_with(begin)) { Self::O200k } else { Self::Unknown }
    }
}

/// The text that token ids of `cl100k_base` stand for; `None` when they are of another vocabulary.
pub fn decode(ids: &[u32]) -> Option<String> {
    let vocabulary = tiktoken::get_encoding("cl100k_base")?;
    let mut bytes = Vec::with_capacity(ids.len() * 4);
    for id in ids {
        // An unknown id is skipped in a longer sequence, and is nothing by itself.
        let token = vocabulary.decode(std::slice::from_ref(id));
        if token.is_empty() {
            return None;
        }
        bytes.extend_from_slice(&token);
    }
    // Texts that were cut between two tokens may be cut inside a character.
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()),
    )
}

/// Unpacks what OpenAI's newer models count by: a tenth of a second of work, once.
pub fn unpack() {
    if tiktoken::get_encoding("o200k_base").is_some() {
        AT_HAND.store(true, Release);
    }
}

/// Whether counting for OpenAI's newer models begins at once.
pub fn are_at_hand() -> bool {
    AT_HAND.load(Acquire)
}

/// A quick look at a text: three bytes make a token, which is high for prose and about right for code.
pub fn at_a_glance(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(3)
}

/// About as many tokens as a model reads of `ask`, and rather more than fewer.
pub fn estimate(ask: &Ask<'_>, vocabulary: Vocabulary) -> u64 {
    let tally = Tally::of(ask);
    match vocabulary {
        Vocabulary::O200k => tally.texts + tally.other + PER_REQUEST,
        Vocabulary::Unknown => {
            let tools = if ask.tools.is_empty() { 0 } else { FOR_TOOLS };
            tally.texts + tally.texts.div_ceil(2) + tally.other + PER_REQUEST + tools
        }
    }
}

/// As many as OpenAI says that it has read, where nothing but texts is in `ask`; else about as many.
pub fn count_as_openai(ask: &Ask<'_>) -> u64 {
    let tally = Tally::of(ask);
    tally.texts + tally.other + PER_ANSWER
}

struct Tally {
    texts: u64,
    other: u64,
}

impl Tally {
    fn of(ask: &Ask<'_>) -> Self {
        let mut tally = Self { texts: 0, other: 0 };
        for turn in &ask.turns {
            tally.other += PER_MESSAGE;
            turn.parts.iter().for_each(|part| tally.part(part));
        }
        for tool in &ask.tools {
            tally.other += PER_TOOL;
            match &tool.kind {
                ToolKind::Function { name, description, parameters, .. } => {
                    tally.text(name);
                    for text in description.iter().chain(parameters) {
                        tally.text(text);
                    }
                }
                ToolKind::Custom { name, description, format } => {
                    tally.text(name);
                    for text in description.iter().map(|text| &**text).chain(*format) {
                        tally.text(text);
                    }
                }
                ToolKind::WebSearch { raw } | ToolKind::Vendor { raw, .. } => {
                    tally.other += PER_VENDORS_TOOL;
                    tally.text(raw);
                }
            }
        }
        if let Some(Format::Schema { schema, .. }) = &ask.format {
            tally.text(schema);
        }
        tally
    }

    fn text(&mut self, text: &str) {
        let counted = tiktoken::get_encoding("o200k_base").map(|vocabulary| vocabulary.count(text) as u64);
        self.texts += counted.unwrap_or_else(|| at_a_glance(text.len()));
    }

    fn part(&mut self, part: &Part<'_>) {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => self.text(text),
            Content::Image(_) => self.other += PER_IMAGE,
            Content::Audio(media) => self.media(media, |bytes| bytes / BYTES_OF_SOUND),
            Content::Video(media) => self.media(media, |bytes| bytes / BYTES_OF_FILM),
            Content::File(media) => {
                self.media(media, |bytes| (bytes / BYTES_OF_PAGE).clamp(1, MOST_PAGES) * PER_PAGE);
            }
            Content::Thought(thought) => self.text(&thought.text),
            Content::Call(call) => {
                self.other += PER_TOOL;
                self.text(&call.name);
                self.text(&call.arguments);
            }
            Content::Outcome(outcome) => {
                self.other += PER_TOOL;
                outcome.content.iter().for_each(|part| self.part(part));
            }
            Content::Vendor { raw, .. } => self.text(raw),
        }
    }

    fn media(&mut self, media: &Media<'_>, cost: impl Fn(u64) -> u64) {
        match &media.source {
            Source::Base64(data) => self.other += cost(data.len() as u64 / 4 * 3),
            Source::Text(text) => self.text(text),
            Source::Url(_) | Source::FileId(_) => self.other += UNSEEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dialect;
    use super::super::hub::{Role, Turn};
    use super::*;

    fn said(text: &str) -> Ask<'_> {
        let mut ask = Ask::new(Dialect::OpenAi);
        ask.turns.push(Turn::new(Role::User, vec![Part::text(text)]));
        ask
    }

    #[test]
    fn token_ids_are_text_again_or_refused() {
        // What LangChain makes of these words.
        assert_eq!(decode(&[15339, 1917]).as_deref(), Some("hello world"));
        assert_eq!(decode(&[]).as_deref(), Some(""));
        assert_eq!(decode(&[15339, 199_999]), None);
        assert_eq!(decode(&[u32::MAX]), None);
    }

    #[test]
    fn models_are_known_by_their_names() {
        for model in ["gpt-5.4-mini", "openai/gpt-4o", "o3", "o4-mini"] {
            assert_eq!(Vocabulary::of(model), Vocabulary::O200k, "{model}");
        }
        for model in ["claude-opus-4-5", "gemini-2.5-pro", "command-a", "qwen/o-model"] {
            assert_eq!(Vocabulary::of(model), Vocabulary::Unknown, "{model}");
        }
    }

    #[test]
    fn more_is_never_fewer() {
        let text = "Mainstay stands between callers and providers. ".repeat(50);
        let ours = estimate(&said(&text), Vocabulary::O200k);
        let others = estimate(&said(&text), Vocabulary::Unknown);
        assert!((400..700).contains(&ours), "{ours}");
        assert!(others > ours && others < 2 * ours, "{others} of {ours}");
        let mut longer = said(&text);
        longer.turns.push(Turn::new(
            Role::User,
            vec![Part::new(Content::Image(Media::new(
                Source::Url("https://example.com/a.png".into()),
                None,
            )))],
        ));
        assert_eq!(estimate(&longer, Vocabulary::O200k), ours + PER_MESSAGE + PER_IMAGE);
    }
}
