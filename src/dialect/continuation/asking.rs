//! The request that asks a model to go on, and whether one may be made.
//!
//! Three ways. A *prefill* where the catalog, the vendor's row or the model's line says that it is taken:
//! the conversation ends with the answer's begin. An *instruction* elsewhere: the answer's begin, and a
//! message of the user that asks to go on and to repeat the last words first, by which
//! [`splice`](super::splice) knows the place. And where no text was sent, the same request *anew*.
//!
//! Sources: Mistral's `prefix` (API reference, chat completions; the begin is sent again), DeepSeek's
//! "Chat Prefix Completion (Beta)", vLLM's `continue_final_message`, Anthropic's "Prefill Claude's response"
//! (models up to Claude 4.5; white space at the end is refused; not while it thinks).

use super::Method;
use super::splice::{Anchor, Splice};
use super::told::Told;
use crate::dialect::Dialect;
use crate::dialect::anthropic;
use crate::dialect::hub::{Ask, Mode, Part, Role, Terms, ToolChoice, Turn};
use crate::dialect::quirks::Prefilling;
use crate::dialect::responses::request::STATEFUL;
use crate::dialect::tree::{self, Node};
use crate::vocab::Ability;

/// About so many bytes are a token: what was told is taken off the answer's limit.
const BYTES_OF_TOKEN: usize = 4;
/// What is repeated is added to it, so the other way round: tokens may be shorter, and a few are spent on quotes.
const BYTES_OF_TOKEN_AT_LEAST: usize = 3;
const TOKENS_AROUND: u64 = 8;

/// Why a stream is not continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// It holds a tool call.
    Called,
    /// The model refuses.
    Refused,
    /// More than one answer was asked for.
    Choices,
    /// Pictures or sounds.
    Media,
    Logprobs,
    /// More text than is kept.
    TooLong,
    /// The answer has a form that a second model would have to hit in the middle.
    Formatted,
    /// It refers to what is stored at the vendor.
    Stateful,
    /// Whatever its end is, it stands more than once in the text.
    Ambiguous,
}

impl Bar {
    /// For people and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Called => "a tool was called",
            Self::Refused => "the model refuses",
            Self::Choices => "more than one answer",
            Self::Media => "pictures or sounds",
            Self::Logprobs => "logprobs",
            Self::TooLong => "the text is too long",
            Self::Formatted => "the answer has a prescribed form",
            Self::Stateful => "the request refers to stored state",
            Self::Ambiguous => "the text repeats itself",
        }
    }
}

/// What bars a continuation of what was told as an answer to `ask`.
pub fn barred(ask: &Ask<'_>, told: &Told) -> Option<Bar> {
    if let Some(bar) = told.barred() {
        return Some(bar);
    }
    if ask.n.is_some_and(|n| n > 1) {
        return Some(Bar::Choices);
    }
    if ask.logprobs.is_some() {
        return Some(Bar::Logprobs);
    }
    let holds = |key: &str| ask.extras.iter().any(|(name, _)| name == key);
    let modalities =
        ask.extras.find("modalities").is_some_and(|raw| raw.contains("audio") || raw.contains("image"));
    if modalities || holds("audio") || holds("generationConfig.responseModalities") {
        return Some(Bar::Media);
    }
    let refers = |name: &&&str| ask.extras.find(name).is_some_and(|raw| raw != "false");
    // In the background it goes on where it was begun, whoever listens.
    let mut lasting = STATEFUL.iter().chain(&["background"]);
    if ask.dialect == Dialect::Responses && lasting.any(|name| refers(&name)) {
        return Some(Bar::Stateful);
    }
    if told.text().is_empty() {
        return None;
    }
    let forced = match &ask.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { required: true, .. }) => true,
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed { required: false, .. }) | None => {
            false
        }
    };
    (forced || ask.format.is_some()).then_some(Bar::Formatted)
}

/// A request to go on: what was told, and what is known of the model's ways.
#[derive(Clone, Debug)]
pub struct Asking {
    told: String,
    anchor: Option<Anchor>,
    /// Labels of the channels that have refused to go on with what the request had begun.
    refused_prefill: Vec<Box<str>>,
}

/// How one was put, which tells how the answer is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    pub method: Method,
    prefilling: Prefilling,
}

/// Whether this channel has refused a prefill before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    Nothing,
    RefusesPrefill,
}

impl Asking {
    pub fn new(told: &Told) -> Self {
        let told = told.text().to_owned();
        Self { anchor: Anchor::of(&told), told, refused_prefill: Vec::new() }
    }

    /// The channel of this label is asked in words from now on.
    pub fn refuses_prefill(&mut self, label: &str) {
        self.refused_prefill.push(label.into());
    }

    pub fn has_refused_prefill(&self, label: &str) -> bool {
        self.refused_prefill.iter().any(|known| **known == *label)
    }

    /// In which way this model is asked; `None` when there is none.
    pub fn method(&self, ask: &Ask<'_>, to: Dialect, terms: &Terms<'_>, learnt: Learnt) -> Option<Put> {
        let prefilling = terms.quirks.prefilling;
        let put = |method| Some(Put { method, prefilling });
        if self.told.trim().is_empty() {
            return put(Method::Anew);
        }
        if learnt == Learnt::Nothing && takes_prefill(ask, to, terms) {
            return put(Method::Prefill);
        }
        self.anchor.as_ref().and_then(|_| put(Method::Instruction))
    }

    /// Makes a request of it that asks to go on.
    pub fn extend(&self, ask: &mut Ask<'_>, put: Put) {
        ask.mode = Mode::Stream { usage: true };
        if ask.dialect == Dialect::Responses {
            // The vendor would keep the rest of an answer as if it were one.
            ask.extras.put_aside("store", "false");
        }
        if ask.reasoning.is_unsaid() || ask.reasoning.is_off() {
            let spent = (self.told.len() / BYTES_OF_TOKEN) as u64;
            let left = |most: u64| most.saturating_sub(spent).max(1) + self.repeats(put.method);
            ask.max_tokens = ask.max_tokens.map(left);
        }
        let so_far = || Turn::new(Role::Assistant, vec![Part::text(self.told.trim_end().to_owned())]);
        match (put.method, &self.anchor) {
            (Method::Anew, _) => {}
            (Method::Prefill, _) => ask.turns.push(so_far()),
            (Method::Instruction, anchor) => {
                let anchor = anchor.as_ref().map(Anchor::text).unwrap_or_default();
                ask.turns.push(so_far());
                ask.turns.push(Turn::new(Role::User, vec![Part::text(instruction(anchor))]));
            }
        }
    }

    /// Tokens that go for what is said a second time, and is nothing of the caller's.
    fn repeats(&self, method: Method) -> u64 {
        match (method, &self.anchor) {
            (Method::Instruction, Some(anchor)) => {
                (anchor.text().len() / BYTES_OF_TOKEN_AT_LEAST) as u64 + TOKENS_AROUND
            }
            (Method::Instruction | Method::Anew | Method::Prefill, _) => 0,
        }
    }

    /// What the vendor wants beside a conversation that ends with the answer's begin.
    pub fn mark(put: Put, to: Dialect, body: Vec<u8>) -> Vec<u8> {
        if put.method != Method::Prefill || to != Dialect::OpenAi {
            return body;
        }
        let members = match put.prefilling {
            Prefilling::Plain => return body,
            Prefilling::Prefix | Prefilling::BetaPrefix => {
                return insert(&body, "\"prefix\":true,", |root| root.at("messages")?.elements().last())
                    .unwrap_or(body);
            }
            Prefilling::FinalMessage => "\"continue_final_message\":true,\"add_generation_prompt\":false,",
        };
        insert(&body, members, |root| Some(root)).unwrap_or(body)
    }

    /// Most bytes of an answer that may come before it is known to go on: one that repeats everything in
    /// events of a few letters, and then some.
    pub fn most_bytes(&self) -> u64 {
        64 * (self.told.len() as u64) + 1024 * 1024
    }

    /// What reads the answer.
    pub fn splice(&self, put: Put) -> Splice {
        match (put.method, &self.anchor) {
            (Method::Prefill, _) if put.prefilling == Prefilling::Prefix => Splice::echoed(&self.told),
            (Method::Anew | Method::Prefill, _) | (_, None) => Splice::prefilled(&self.told),
            (Method::Instruction, Some(anchor)) => Splice::anchored(&self.told, anchor.clone()),
        }
    }
}

impl Put {
    /// The path of the vendor's API at which it is taken, where that is not the usual one.
    pub fn base(self) -> Option<&'static str> {
        (self.method == Method::Prefill && self.prefilling == Prefilling::BetaPrefix).then_some("/beta")
    }
}

fn takes_prefill(ask: &Ask<'_>, to: Dialect, terms: &Terms<'_>) -> bool {
    let thinks = !ask.reasoning.is_unsaid() && !ask.reasoning.is_off();
    if thinks || terms.facts.lacks(Ability::Prefill) {
        return false;
    }
    match to {
        Dialect::OpenAi => terms.quirks.prefilling != Prefilling::Plain || terms.facts.has(Ability::Prefill),
        Dialect::Anthropic | Dialect::Bedrock => {
            let claude = terms.kind().contains("claude");
            terms.facts.has(Ability::Prefill) || (claude && anthropic::request::continues(terms))
        }
        Dialect::Gemini => terms.facts.has(Ability::Prefill),
        // They have no place for it, or nobody says what becomes of it.
        Dialect::Responses | Dialect::Cohere | Dialect::Ollama | Dialect::Http => false,
    }
}

/// In plain words that every model follows; the marks are what a model takes for no part of the text.
fn instruction(anchor: &str) -> String {
    format!(
        "Your last message was cut off by a technical fault. Continue it exactly from where it ends, as if it had never \
         stopped: no preamble, no apology, no comment, and nothing of it again but its very end. Begin your reply by \
         repeating, character by character, the end of your message as it stands between <<< and >>>, without these \
         marks, and go straight on from there.\n<<<{anchor}>>>"
    )
}

/// Inserts `members` at the beginning of an object of a body.
fn insert<'b>(
    body: &'b [u8],
    members: &str,
    place: impl for<'n> Fn(&'n Node<'b>) -> Option<&'n Node<'b>>,
) -> Option<Vec<u8>> {
    let root = tree::parse(body).ok()?;
    let raw = place(&root)?.raw();
    let at = (raw.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?.checked_add(1)?;
    let (before, after) = body.split_at_checked(at)?;
    (before.last() == Some(&b'{')).then(|| [before, members.as_bytes(), after].concat())
}

#[cfg(test)]
mod tests;
