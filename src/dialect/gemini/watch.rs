//! The chunks of a streamed generation, each a whole response.
//!
//! There is no terminator: a finish reason, or a blocked prompt, is the end. A part is content when
//! it holds anything but the marks of a thought.

use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::watch::Glimpse;

/// The model failed, not the caller: another try may well succeed (WIRE §3.2).
const FAILURES: &[&[u8]] =
    &[b"\"MALFORMED_FUNCTION_CALL\"", b"\"UNEXPECTED_TOOL_CALL\"", b"\"TOO_MANY_TOOL_CALLS\"", b"\"OTHER\""];

pub fn chunk(json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut walker = Walker::new(json);
    // An error may come wrapped in an array (WIRE §3.5).
    if walker.kind()? == Kind::Array {
        walker.array(|walker| response(walker, &mut glimpse))?;
    } else {
        response(&mut walker, &mut glimpse)?;
    }
    walker.end()?;
    Ok(glimpse)
}

fn response(walker: &mut Walker<'_>, glimpse: &mut Glimpse) -> Walked {
    let mut is_event = false;
    walker.object(|walker, key| {
        is_event |= ["candidates", "usageMetadata", "promptFeedback"].iter().any(|name| key.is(name));
        if key.is("candidates") && walker.kind()? == Kind::Array {
            walker.array(|walker| candidate(walker, glimpse))
        } else if key.is("usageMetadata") {
            glimpse.usage(walker)
        } else if key.is("promptFeedback") && walker.kind()? == Kind::Object {
            walker.object(|walker, key| {
                if !walker.is_blank()? && key.is("blockReason") {
                    glimpse.choice(0, false, true);
                }
                Ok(())
            })?;
            Ok(())
        } else {
            glimpse.error_or_skip(walker, key)
        }
    })?;
    glimpse.settle(is_event);
    Ok(())
}

fn candidate(walker: &mut Walker<'_>, glimpse: &mut Glimpse) -> Walked {
    let mut index = 0;
    let mut content = false;
    let mut finished = false;
    walker.object(|walker, key| {
        if key.is("content") && walker.kind()? == Kind::Object {
            walker.object(|walker, key| {
                if key.is("parts") && walker.kind()? == Kind::Array {
                    walker.array(|walker| {
                        content |= part(walker)?;
                        Ok(())
                    })
                } else {
                    walker.skip().map(drop)
                }
            })?;
        } else if key.is("finishReason") {
            let (kind, span) = walker.value()?;
            finished = kind == Kind::String && span.len() > 2;
            glimpse.model_failed |= FAILURES.contains(&walker.slice(span));
        } else if key.is("index") {
            index = walker.integer()?.and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
        } else {
            walker.skip()?;
        }
        Ok(())
    })?;
    glimpse.choice(index, content, finished);
    Ok(())
}

fn part(walker: &mut Walker<'_>) -> Walked<bool> {
    let mut filled = false;
    walker.object(|walker, key| {
        filled |= !walker.is_blank()? && !key.is("thought") && !key.is("thoughtSignature");
        Ok(())
    })?;
    Ok(filled)
}
