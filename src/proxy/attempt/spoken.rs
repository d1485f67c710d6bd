//! In which dialect a channel is spoken to, and what has to be done to its answer.
//!
//! The caller's own dialect, wherever the channel knows it: then bytes pass untouched. Else the request is
//! read once more for each channel that needs it and written in the channel's dialect, and the answer
//! comes back the same way.

use std::borrow::Cow;

use http::HeaderValue;

use super::betas;
use crate::config::{Media, Unsupported, Upstream};
use crate::dialect::continuation::{Asking, Bar, Learnt, Put};
use crate::dialect::framing::Framing;
use crate::dialect::hub::{Ask, Family, Keeping, Losses, Manner, Mode, Renamed, Stops, Terms};
use crate::dialect::scan::{IncludeUsage, Scan};
use crate::dialect::task::{self, Errand, Task};
use crate::dialect::tree::{self, Wrong};
use crate::dialect::{Dialect, Operation, Provider, conversation, encrypted, flags, translate};
use crate::proxy::intake::Guest;
use crate::proxy::media::Unfilled;
use crate::proxy::thoughts;
use crate::vocab::{Ability, Facts};

/// How one attempt speaks.
pub struct Spoken {
    /// What the upstream hears and answers in.
    pub dialect: Dialect,
    pub operation: Operation,
    /// For an answer that has to be translated.
    pub manner: Option<Box<Manner>>,
    /// For one that is no generation, as well.
    pub errand: Option<Box<Errand>>,
    /// Names of what could not be said, for the caller.
    pub dropped: Option<HeaderValue>,
    /// How it was asked to go on, where it was.
    pub put: Option<Put>,
}

/// Why a request cannot be said to a channel. The message is for the caller.
#[derive(Debug)]
pub struct Unsayable {
    pub message: String,
    pub param: Option<String>,
}

/// Why there is no letter.
#[derive(Debug)]
pub enum Unwritten {
    Unsayable(Unsayable),
    /// Not yet: the content of these URLs is needed.
    Unfetched(Vec<String>),
}

/// A request in the channel's dialect.
pub struct Letter {
    pub spoken: Spoken,
    pub body: Vec<u8>,
}

/// The dialect in which this channel is best asked for `body`; `None` when it knows none that would do.
pub fn dialect_for(
    guest: &Guest,
    scan: &Scan,
    body: &[u8],
    upstream: &Upstream,
    model: &str,
    facts: impl FnOnce() -> Facts,
) -> Option<Dialect> {
    let speaks = upstream.provider.speaks_for(&upstream.speaks, model);
    let quirks = upstream.provider.quirks;
    let wants_responses = guest.dialect == Dialect::OpenAi
        && guest.operation == Operation::Chat
        && quirks.tools_by_responses
        && scan.calls_tools
        && speaks.contains(&Dialect::Responses)
        && translate::tools_need_responses(model);
    if wants_responses {
        return Some(Dialect::Responses);
    }
    let best = translate::towards(guest.dialect, guest.operation, &speaks, quirks);
    // Responses know no stop sequences, and are better than chat only for models that reason. They are heeded here as
    // well, but a model that knows of them does not write on in vain.
    let wants_chat = best == Some(Dialect::Responses)
        && guest.dialect != Dialect::Responses
        && speaks.contains(&Dialect::OpenAi)
        && translate::may_have_stops(body)
        && facts().lacks(Ability::Reasoning);
    if wants_chat { Some(Dialect::OpenAi) } else { best }
}

impl Spoken {
    pub fn native(guest: &Guest) -> Self {
        Self {
            dialect: guest.dialect,
            operation: guest.operation,
            manner: None,
            errand: None,
            dropped: None,
            put: None,
        }
    }

    /// Names further things that were left out.
    pub fn also_dropped(&mut self, names: &[&str]) {
        let before = self.dropped.take();
        let mut all: Vec<Cow<'static, str>> = before
            .as_ref()
            .and_then(|value| value.to_str().ok())
            .into_iter()
            .flat_map(|names| names.split(','))
            .map(|name| Cow::Owned(name.to_owned()))
            .collect();
        all.extend(names.iter().map(|name| Cow::Owned((*name).to_owned())));
        self.dropped = header(&all);
    }

    /// Whether the caller may refer to the answer later.
    pub fn keeping(&self) -> Keeping {
        self.manner.as_ref().map_or(Keeping::Passing, |manner| manner.keeping)
    }

    pub fn is_native(&self) -> bool {
        self.manner.is_none()
    }
}

/// What a translation needs beside the request itself.
pub struct Occasion<'o> {
    /// The model as the caller named it.
    pub asked: &'o str,
    pub terms: Terms<'o>,
    pub to: Dialect,
    pub provider: &'static Provider,
    pub unsupported: Unsupported,
    pub media: &'o Media,
    pub keeping: Keeping,
    /// Names of what is encrypted in it that the channel cannot read.
    pub left_out: &'o [u64],
    /// What the channel has taught of being asked to go on.
    pub learnt: Learnt,
    /// Seconds since 1970.
    pub now: u64,
}

/// Writes the request of `guest` for a channel of another dialect.
pub fn write(guest: &Guest, body: &[u8], occasion: &Occasion<'_>) -> Result<Letter, Unwritten> {
    let root = tree::request(body)?;
    let unaskable = || Wrong::whole("nothing of this kind can be asked of the channel's dialect");
    let mut put = None;
    let mut unflagged = Vec::new();
    let (mut written, mut ask, errand) = if Task::of(guest.operation).is_some() {
        let upstream = (&occasion.terms, occasion.provider);
        let from = (guest.dialect, guest.operation);
        let (written, errand) = task::ask(from, occasion.asked, &root, occasion.to, upstream)?;
        (written, Ask::new(guest.dialect), Some(Box::new(errand)))
    } else {
        let mut ask = translate::read(guest.dialect, guest.operation, occasion.asked, &root)?;
        guest.contents.fill(&mut ask, &root, occasion.to, &occasion.terms, occasion.media)?;
        if let Some(onward) = &guest.onward {
            let way = onward.method(&ask, occasion.to, &occasion.terms, occasion.learnt);
            let way = way.ok_or_else(|| Wrong::whole(Bar::Ambiguous.name()))?;
            onward.extend(&mut ask, way);
            put = Some(way);
        }
        let asked = betas::asked(&guest.head.headers).filter(|_| guest.dialect == Dialect::Anthropic);
        unflagged = take_betas(&mut ask, asked.as_deref().unwrap_or_default(), occasion);
        let is_begun = put.is_none() && translate::ask_to_go_on(&mut ask, occasion.to, &occasion.terms);
        let lessened = encrypted::take_out(&mut ask, occasion.left_out);
        let mut written = translate::write(&mut ask, occasion.to, &occasion.terms).ok_or_else(unaskable)?;
        if is_begun {
            written.losses.drop("prefill");
        }
        // Other vendors could never have read it.
        if lessened && occasion.to == Dialect::Responses {
            written.losses.drop(thoughts::NAME);
        }
        (written, ask, None)
    };
    if let Some(put) = put {
        written.body = Asking::mark(put, occasion.to, written.body);
    }
    let dropped = dropped(&written.losses, occasion)?;
    let (renamed, stops) = (std::mem::take(&mut written.renamed), std::mem::take(&mut written.stops));
    conversation::repeat(&mut ask, occasion.keeping, guest.recall.previous());
    // In the caller's own dialect only the request had to be said anew, save where the vendor has another operation, or
    // does not know his tools by their names, or not where to stop.
    let is_translated =
        occasion.to != guest.dialect || errand.is_some() || !renamed.is_empty() || !stops.is_empty();
    let manner = is_translated.then(|| Box::new(manner(guest, &ask, renamed, stops, occasion)));
    let mut spoken =
        Spoken { dialect: occasion.to, operation: written.operation, manner, errand, dropped, put };
    if occasion.unsupported == Unsupported::Warn && !unflagged.is_empty() {
        spoken.also_dropped(&unflagged.iter().map(|flag| &**flag).collect::<Vec<_>>());
    }
    Ok(Letter { spoken, body: written.body })
}

/// Gives the request those of the caller's flags for betas that Bedrock's model takes; the others come back.
fn take_betas(ask: &mut Ask<'_>, asked: &str, occasion: &Occasion<'_>) -> Vec<String> {
    if occasion.to != Dialect::Bedrock {
        return Vec::new();
    }
    let (taken, others) = flags::sort(asked, &occasion.terms);
    ask.betas = taken.into_iter().map(|flag| Cow::Owned(flag.to_owned())).collect();
    others.into_iter().map(str::to_owned).collect()
}

/// What the caller is told of what cannot be said; an error where that is too much.
fn dropped(losses: &Losses, occasion: &Occasion<'_>) -> Result<Option<HeaderValue>, Unsayable> {
    let names = losses.names();
    if let Some(loss) = losses.fatal() {
        return Err(Unsayable { message: loss.message.to_string(), param: Some(loss.param.to_string()) });
    }
    if occasion.unsupported == Unsupported::Reject && !names.is_empty() {
        let message = format!(
            "the channel's dialect ({}) cannot say {}; leave it out, or set `unsupported: warn` on the route",
            occasion.to,
            names.join(", ")
        );
        return Err(Unsayable { message, param: names.first().map(ToString::to_string) });
    }
    Ok(match occasion.unsupported {
        Unsupported::Warn => header(names),
        Unsupported::Drop | Unsupported::Reject => None,
    })
}

/// How the caller wants what is said to him in his own dialect, once somebody else goes on. `echo` is left
/// out: only one who goes on needs it.
pub fn manner_at_home(guest: &Guest, scan: &Scan, nonce: String, now: u64) -> Manner {
    Manner {
        model: scan.model.clone(),
        nonce,
        now,
        usage_wanted: !matches!(scan.include_usage, IncludeUsage::No(_)),
        // Nothing of it is said before somebody else goes on.
        family: Family::Other,
        framing: framing(guest),
        echo: String::new(),
        keeping: Keeping::Passing,
        renamed: Renamed::default(),
        stops: Stops::default(),
    }
}

/// What divides the events of a stream that the caller wants.
pub fn framing(guest: &Guest) -> Framing {
    let sse = guest.head.uri.query().is_some_and(|query| query.split('&').any(|param| param == "alt=sse"));
    if guest.dialect == Dialect::Gemini && !sse { Framing::JsonArray } else { Framing::Sse }
}

fn manner(guest: &Guest, ask: &Ask<'_>, renamed: Renamed, stops: Stops, occasion: &Occasion<'_>) -> Manner {
    Manner {
        model: occasion.asked.to_owned(),
        nonce: occasion.terms.nonce.to_owned(),
        now: occasion.now,
        usage_wanted: !matches!(ask.mode, Mode::Stream { usage: false }),
        family: occasion.terms.family,
        framing: framing(guest),
        echo: translate::echo(ask, guest.dialect),
        keeping: occasion.keeping,
        renamed,
        stops,
    }
}

/// Longest list of names; more of them are counted.
const MOST_NAMES: usize = 32;

/// Names out of a caller's request: only what can stand in a header, and not too many.
fn header(names: &[Cow<'static, str>]) -> Option<HeaderValue> {
    let sound = |name: &&str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"'))
    };
    let mut listed: Vec<&str> = names.iter().map(|name| &**name).filter(sound).take(MOST_NAMES).collect();
    if listed.len() < names.len() {
        listed.push("...");
    }
    (!names.is_empty()).then(|| HeaderValue::from_str(&listed.join(",")).ok()).flatten()
}

impl From<Wrong> for Unwritten {
    fn from(wrong: Wrong) -> Self {
        Self::Unsayable(wrong.into())
    }
}

impl From<Unsayable> for Unwritten {
    fn from(why: Unsayable) -> Self {
        Self::Unsayable(why)
    }
}

impl From<Unfilled> for Unwritten {
    fn from(unfilled: Unfilled) -> Self {
        match unfilled {
            Unfilled::Unfetched(urls) => Self::Unfetched(urls),
            Unfilled::Wrong(wrong) => wrong.into(),
        }
    }
}

impl From<Wrong> for Unsayable {
    fn from(wrong: Wrong) -> Self {
        let param = (!wrong.path.is_empty()).then(|| wrong.path.clone());
        let message = if wrong.path.is_empty() { wrong.message.into_owned() } else { wrong.to_string() };
        Self { message, param }
    }
}

/// Whose signatures the model of a channel makes and takes.
pub fn family(dialect: Dialect, upstream: &Upstream, model: &str) -> Family {
    let claude = model.contains("claude");
    match dialect {
        Dialect::Anthropic => Family::Anthropic,
        Dialect::Gemini => Family::Gemini,
        Dialect::Bedrock if claude => Family::Anthropic,
        // Relays name the vendor in front of the model.
        Dialect::OpenAi | Dialect::Responses => match model.split_once('/') {
            Some(("anthropic", _)) => Family::Anthropic,
            Some(("google", _)) => Family::Gemini,
            Some(("openai", _)) => Family::OpenAi,
            Some(("x-ai" | "xai", _)) => Family::Xai,
            _ => upstream.provider.quirks.family,
        },
        Dialect::Bedrock | Dialect::Cohere | Dialect::Ollama | Dialect::Http => Family::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_names_go_into_the_header() {
        let check = |names: &[&'static str], expected: Option<&str>| {
            let names: Vec<Cow<'static, str>> = names.iter().map(|name| Cow::Borrowed(*name)).collect();
            assert_eq!(header(&names).as_ref().and_then(|value| value.to_str().ok()), expected);
        };
        check(&[], None);
        check(&["top_k", "logit_bias"], Some("top_k,logit_bias"));
        check(&["a\r\nb", "ok", "x,y"], Some("ok,..."));
        check(&["é"], Some("..."));
        check(&["x"; 40], Some(&format!("{}...", "x,".repeat(32))));
    }
}
