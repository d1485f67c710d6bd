//! `contents` and `systemInstruction` for an upstream.
//!
//! What Google's own caller said is said again as it stood. Other dialects' turns are put as Google
//! wants them: one content for neighbours of one role, results of tools first, nothing empty,
//! instructions from the middle of a conversation as words of the user.

use std::sync::LazyLock;

use super::thinking::Model;
use super::write::Origin;
use crate::dialect::gemini::part::{self, as_signed};
use crate::dialect::gemini::{names, signature};
use crate::dialect::hub::{
    Ask, Content, Extras, Losses, Media, NOTHING, Outcome, Part, Role, Source, Terms, Thought,
};
use crate::dialect::quirks::CallIds;
use crate::dialect::write::{self, Array, Object};

/// What the user says where he has to.
static SILENCE: LazyLock<Part<'static>> = LazyLock::new(|| Part::text(NOTHING));

/// What one side says at once.
pub struct Said<'t, 'a> {
    pub speaker: Speaker,
    parts: Vec<&'t Part<'a>>,
    extras: Option<&'t Extras<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    User,
    Model,
}

/// A request's conversation, in Google's order.
pub struct Conversation<'t, 'a> {
    pub instruction: Vec<&'t Part<'a>>,
    pub contents: Vec<Said<'t, 'a>>,
}

/// Puts the turns in order.
pub fn arrange<'t, 'a>(ask: &'t Ask<'a>, origin: Origin) -> Conversation<'t, 'a> {
    let instructs = |role: Role| matches!(role, Role::System | Role::Developer);
    let leading = ask.turns.iter().take_while(|turn| instructs(turn.role)).count();
    // There has to be something to answer, even if it is only instructions.
    let leading = if leading == ask.turns.len() { 0 } else { leading };
    let (instructions, turns) = ask.turns.split_at(leading);
    let mut contents: Vec<Said<'t, 'a>> = Vec::with_capacity(turns.len());
    for turn in turns {
        let speaker = if turn.role == Role::Assistant { Speaker::Model } else { Speaker::User };
        let last = contents.last_mut().filter(|last| last.speaker == speaker && origin == Origin::Elsewhere);
        if let Some(last) = last {
            last.parts.extend(&turn.parts);
        } else {
            let extras = (origin == Origin::Google).then_some(&turn.extras);
            contents.push(Said { speaker, parts: turn.parts.iter().collect(), extras });
        }
    }
    if origin == Origin::Elsewhere {
        for said in &mut contents {
            said.parts.sort_by_key(|part| !matches!(part.content, Content::Outcome(_)));
        }
        // A call is refused that comes behind nobody's turn.
        let calls =
            |said: &Said<'_, '_>| said.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
        if contents.first().is_some_and(|first| first.speaker == Speaker::Model && calls(first)) {
            contents.insert(0, Said { speaker: Speaker::User, parts: vec![&SILENCE], extras: None });
        }
    }
    let instruction = instructions.iter().flat_map(|turn| &turn.parts).collect();
    Conversation { instruction, contents }
}

/// Writes the parts of contents.
pub struct Scribe<'w> {
    pub terms: &'w Terms<'w>,
    pub origin: Origin,
    pub losses: &'w mut Losses,
}

impl Scribe<'_> {
    pub fn conversation(&mut self, o: &mut Object<'_>, conversation: &Conversation<'_, '_>) {
        o.array("contents", |a| {
            for said in &conversation.contents {
                let parts = write::text(|out| write::array(out, |a| self.parts(a, &said.parts)));
                if parts == "[]" && self.origin == Origin::Elsewhere {
                    continue;
                }
                a.object(|o| {
                    o.str("role", if said.speaker == Speaker::Model { "model" } else { "user" });
                    o.raw("parts", &parts);
                    if let Some(extras) = said.extras {
                        names::say(extras, "", o);
                    }
                });
            }
        });
        let parts = write::text(|out| write::array(out, |a| self.parts(a, &conversation.instruction)));
        // Without any it is refused.
        if parts != "[]" {
            o.object("systemInstruction", |o| {
                o.raw("parts", &parts);
            });
        }
    }

    fn parts(&mut self, a: &mut Array<'_>, parts: &[&Part<'_>]) {
        let mut unsigned = Model::of(self.terms.kind()).is_three();
        let mut beside: Vec<&Part<'_>> = Vec::new();
        let mut rest = parts.iter().peekable();
        while let Some(part) = rest.next() {
            let extras = (self.origin == Origin::Google).then_some(&part.extras);
            match &part.content {
                Content::Thought(thought) => self.thought(a, thought),
                Content::Call(call) => {
                    let own = call.signature.as_ref().and_then(|s| s.for_family(self.terms.family));
                    let sentinel = std::mem::take(&mut unsigned).then_some(signature::SENTINEL);
                    let id = self.id(&call.id);
                    a.object(|o| {
                        part::write_call(o, call, id, own.or(sentinel), |o| say(extras, "functionCall.", o));
                        say(extras, "", o);
                    });
                }
                Content::Outcome(outcome) => {
                    a.object(|o| {
                        self.outcome(o, outcome, extras, &mut beside);
                        say(extras, "", o);
                    });
                }
                Content::Vendor { raw, .. } if self.origin == Origin::Google => {
                    a.raw(raw);
                }
                Content::Vendor { kind, .. } if &**kind == "item_reference" => self.losses.refuse(
                    "item_reference",
                    "an item that another vendor keeps cannot be sent; send the item itself",
                ),
                Content::Vendor { kind, .. } => self.losses.drop(kind.to_string()),
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::Video(_)
                | Content::File(_) => {
                    let signed = rest.peek().and_then(|next| as_signed(next));
                    let written = self.plain(a, part, signed.and_then(|thought| self.own(thought)));
                    if signed.is_some() && written {
                        rest.next();
                    }
                }
            }
        }
        for part in beside {
            self.plain(a, part, None);
        }
    }

    /// Says a text or media; `false` when there was nothing to say.
    fn plain(&mut self, a: &mut Array<'_>, part: &Part<'_>, signature: Option<&str>) -> bool {
        let extras = (self.origin == Origin::Google).then_some(&part.extras);
        if let Content::Text(text) | Content::Refusal(text) = &part.content {
            if text.is_empty() && self.origin == Origin::Elsewhere {
                return false;
            }
            a.object(|o| {
                o.str("text", text).str_if("thoughtSignature", signature);
                say(extras, "", o);
            });
            return true;
        }
        let Some((media, otherwise)) = media_of(&part.content) else { return false };
        if !self.reaches(media) {
            return false;
        }
        a.object(|o| {
            self.media(o, media, otherwise, extras);
            o.str_if("thoughtSignature", signature);
            say(extras, "", o);
        });
        true
    }

    fn media(&mut self, o: &mut Object<'_>, media: &Media<'_>, otherwise: &str, extras: Option<&Extras<'_>>) {
        let name = media.name.as_deref().filter(|_| self.origin == Origin::Google);
        let prefix = if matches!(media.source, Source::Base64(_)) { "inlineData." } else { "fileData." };
        part::write_media(o, media, otherwise, |o| {
            o.str_if("displayName", name);
            say(extras, prefix, o);
        });
    }

    /// Whether Google can open it; else the request cannot be said.
    fn reaches(&mut self, media: &Media<'_>) -> bool {
        let reached = part::reaches(media);
        if !reached {
            self.losses.refuse("file_id", "the file lies at another vendor; send its data or a URL instead");
        }
        reached
    }

    fn outcome<'p, 'a>(
        &mut self,
        o: &mut Object<'_>,
        outcome: &'p Outcome<'a>,
        extras: Option<&Extras<'_>>,
        beside: &mut Vec<&'p Part<'a>>,
    ) {
        let is_data = |part: &&Part<'_>| {
            media_of(&part.content).is_some_and(|(media, _)| !matches!(media.source, Source::Text(_)))
        };
        let mut media: Vec<&'p Part<'a>> = outcome.content.iter().filter(is_data).collect();
        // Gemini 3 and later take media inside of a result.
        if self.origin == Origin::Elsewhere && !Model::of(self.terms.kind()).is_three() {
            beside.append(&mut media);
        }
        for part in &outcome.content {
            if let Content::Vendor { kind, .. } = &part.content {
                self.losses.drop(kind.to_string());
            }
        }
        part::write_outcome(o, outcome, self.id(&outcome.call_id), |o| {
            if !media.is_empty() {
                o.array("parts", |a| {
                    for part in media {
                        self.plain(a, part, None);
                    }
                });
            }
            say(extras, "functionResponse.", o);
        });
    }

    /// Thoughts go back only to whom they belong, and unsigned ones only if Google's caller sent them.
    fn thought(&mut self, a: &mut Array<'_>, thought: &Thought<'_>) {
        match (self.own(thought), thought.signature.is_none() && self.origin == Origin::Google) {
            (Some(signature), _) if thought.text.is_empty() => {
                a.object(|o| {
                    o.str("text", "").str("thoughtSignature", signature);
                });
            }
            (signature @ Some(_), _) | (signature @ None, true) => {
                a.object(|o| {
                    o.str("text", &thought.text).bool("thought", true);
                    o.str_if("thoughtSignature", signature);
                });
            }
            (None, false) => {}
        }
    }

    fn own<'t>(&self, thought: &'t Thought<'_>) -> Option<&'t str> {
        thought.signature.as_ref()?.for_family(self.terms.family)
    }

    fn id<'i>(&self, id: &'i str) -> Option<&'i str> {
        match self.terms.quirks.call_ids {
            CallIds::Sent => Some(id).filter(|id| !id.is_empty()),
            CallIds::Omitted => None,
        }
    }
}

fn say(extras: Option<&Extras<'_>>, prefix: &str, o: &mut Object<'_>) {
    if let Some(extras) = extras {
        names::say(extras, prefix, o);
    }
}

/// Media and the type that they have when nothing tells it.
fn media_of<'c, 'a>(content: &'c Content<'a>) -> Option<(&'c Media<'a>, &'static str)> {
    match content {
        Content::Image(media) => Some((media, "image/png")),
        Content::Audio(media) => Some((media, "audio/wav")),
        Content::Video(media) => Some((media, "video/mp4")),
        Content::File(media) => Some((media, "application/pdf")),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Thought(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Vendor { .. } => None,
    }
}
