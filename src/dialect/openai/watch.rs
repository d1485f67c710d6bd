//! Chat and completion chunks, and the typed events of streamed images and audio.
//!
//! A chunk's choices say everything: what is not empty beside the `role` is content, whatever the
//! vendor calls it (`content`, `reasoning`, `reasoning_content`, `tool_calls`, `refusal`, `audio`…).

use crate::dialect::json::{Kind, Text, Walked, Walker};
use crate::dialect::watch::{Glimpse, Says, Terminator};

/// What ends a stream whose upstream forgot to (RESILIENCE E5).
pub const TERMINATOR: Terminator = Terminator::Bytes(b"data: [DONE]\n\n");

/// One chunk of chat or completions.
pub fn chunk(json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut choices = Kind::Null;
    let mut empty = true;
    let mut walker = Walker::new(json);
    walker.object(|walker, key| {
        if key.is("choices") && walker.kind()? == Kind::Array {
            choices = Kind::Array;
            walker.array(|walker| {
                empty = false;
                choice(walker, &mut glimpse)
            })
        } else if key.is("usage") {
            glimpse.usage(walker)
        } else if key.is("x_groq") && walker.kind()? == Kind::Object {
            // Groq's older place for usage.
            walker.object(|walker, key| {
                if key.is("usage") && glimpse.usage.is_none() {
                    glimpse.usage(walker)
                } else {
                    walker.skip().map(drop)
                }
            })?;
            Ok(())
        } else {
            glimpse.error_or_skip(walker, key)
        }
    })?;
    walker.end()?;
    glimpse.settle(choices == Kind::Array || glimpse.usage.is_some());
    // Groq repeats usage in an empty chunk of its own, Azure's first chunk is empty without it.
    if choices == Kind::Array && empty && glimpse.usage.is_some() {
        glimpse.says = glimpse.says.max(Says::UsageOnly);
    }
    Ok(glimpse)
}

fn choice(walker: &mut Walker<'_>, glimpse: &mut Glimpse) -> Walked {
    let mut index = 0;
    let mut finished = false;
    let mut failed = false;
    let mut content = false;
    let mut member = |walker: &mut Walker<'_>, key: &Text<'_>| {
        if (key.is("delta") || key.is("message")) && walker.kind()? == Kind::Object {
            walker.object(|walker, key| {
                content |= !walker.is_blank()? && !key.is("role") && !key.is("name");
                Ok(())
            })?;
        } else if key.is("text") {
            content |= !walker.is_blank()?;
        } else if key.is("finish_reason") {
            let (kind, span) = walker.value()?;
            // Relays say `""` until they have a reason.
            finished = kind == Kind::String && span.len() > 2;
            failed = walker.slice(span) == b"\"error\"";
        } else if key.is("index") {
            index = walker.integer()?.and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
        } else {
            walker.skip()?;
        }
        Ok(())
    };
    if walker.kind()? == Kind::Object {
        walker.object(&mut member)?;
    } else {
        walker.skip()?;
    }
    glimpse.choice(index, content, finished);
    if failed {
        glimpse.says = glimpse.says.max(Says::Error);
    }
    Ok(())
}

/// One typed event of a streamed image, transcription or speech: `….delta` until `….done`.
pub fn media(json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut named = false;
    let mut walker = Walker::new(json);
    walker.object(|walker, key| {
        if key.is("type") && walker.kind()? == Kind::String {
            named = true;
            let name = walker.string()?.raw;
            let last = name.ends_with(b".completed") || name.ends_with(b".done");
            glimpse.says = glimpse.says.max(match name {
                b"error" => Says::Error,
                b"transcript.text.segment" => Says::Content,
                _ if last => Says::Terminal,
                _ => Says::Content,
            });
            Ok(())
        } else if key.is("usage") {
            glimpse.usage(walker)
        } else {
            glimpse.error_or_skip(walker, key)
        }
    })?;
    walker.end()?;
    glimpse.settle(named);
    Ok(glimpse)
}
