//! The events of a streamed message.
//!
//! A block's start is content only when it carries something: text and thinking begin empty, a tool
//! call begins with its name. `ping` is never content.

use crate::dialect::json::{Kind, Text, Walked, Walker};
use crate::dialect::watch::{Glimpse, Says, Terminator};

/// What ends a stream whose upstream forgot to (RESILIENCE E5).
pub const TERMINATOR: Terminator =
    Terminator::Bytes(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");

pub fn event(json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut name: &[u8] = b"";
    let mut part = Part::default();
    let mut walker = Walker::new(json);
    walker.object(|walker, key| {
        if key.is("type") && walker.kind()? == Kind::String {
            name = walker.string()?.raw;
            Ok(())
        } else if (key.is("delta") || key.is("content_block")) && walker.kind()? == Kind::Object {
            walker.object(|walker, key| part.member(walker, key))?;
            Ok(())
        } else if key.is("message") && walker.kind()? == Kind::Object {
            walker.object(
                |walker, key| {
                    if key.is("usage") { glimpse.usage(walker) } else { walker.skip().map(drop) }
                },
            )?;
            Ok(())
        } else if key.is("usage") {
            glimpse.usage(walker)
        } else {
            glimpse.error_or_skip(walker, key)
        }
    })?;
    walker.end()?;
    if name == b"message_delta" && part.stopped {
        glimpse.choice(0, false, true);
    }
    glimpse.says = glimpse.says.max(match name {
        b"content_block_delta" if part.filled => Says::Content,
        b"content_block_start" if part.filled || part.is_tool => Says::Content,
        b"message_stop" => Says::Terminal,
        b"error" => Says::Error,
        _ => Says::Lifecycle,
    });
    glimpse.settle(!name.is_empty());
    Ok(glimpse)
}

/// A `delta` or `content_block`.
#[derive(Default)]
struct Part {
    /// Anything in it beside its type is not empty.
    filled: bool,
    /// It is neither text nor thinking, so that its mere beginning tells something.
    is_tool: bool,
    /// It gives the reason for the end.
    stopped: bool,
}

impl Part {
    fn member<'a>(&mut self, walker: &mut Walker<'a>, key: &Text<'a>) -> Walked {
        if key.is("type") && walker.kind()? == Kind::String {
            self.is_tool = !matches!(walker.string()?.raw, b"text" | b"thinking");
            return Ok(());
        }
        let blank = walker.is_blank()?;
        self.filled |= !blank;
        self.stopped |= !blank && key.is("stop_reason");
        Ok(())
    }
}
