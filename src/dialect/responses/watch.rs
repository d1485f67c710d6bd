//! The typed events of a streamed response.
//!
//! Deltas are content, and finished items too: some servers send only those, and Codex reads only
//! those. Nothing can replace a missing `response.completed`: it carries the response itself.

use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::watch::{Glimpse, Says};

pub fn event(json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut named = false;
    let mut walker = Walker::new(json);
    walker.object(|walker, key| {
        if key.is("type") && walker.kind()? == Kind::String {
            named = true;
            glimpse.says = glimpse.says.max(says(walker.string()?.raw));
            Ok(())
        } else if key.is("sequence_number") {
            glimpse.sequence = walker.integer()?;
            Ok(())
        } else if key.is("response") && walker.kind()? == Kind::Object {
            let begin = walker.offset();
            walker.object(|walker, key| {
                if key.is("usage") {
                    glimpse.usage(walker)
                } else if glimpse.tier_of(walker, key)? {
                    Ok(())
                } else {
                    walker.skip().map(drop)
                }
            })?;
            glimpse.response = Some(begin..walker.position());
            Ok(())
        } else {
            glimpse.error_or_skip(walker, key)
        }
    })?;
    walker.end()?;
    glimpse.settle(named);
    Ok(glimpse)
}

fn says(name: &[u8]) -> Says {
    match name {
        b"error" | b"response.failed" => Says::Error,
        b"response.completed" | b"response.incomplete" | b"response.cancelled" => Says::Terminal,
        b"response.output_text.annotation.added" => Says::Content,
        _ if [&b".delta"[..], b".done", b".partial_image"].iter().any(|end| name.ends_with(end)) => {
            Says::Content
        }
        _ => Says::Lifecycle,
    }
}
