//! Histories that hold the chunks of streams.
//!
//! Google's SDKs keep every chunk of a streamed answer as a content of its own, the last one with an
//! empty text. Google reads them as one answer; other vendors would see many messages, and want a
//! thought back whole that their signature covers. So the answer is put together again.

use crate::dialect::hub::{Content, Family, Part, Role, Text, Thought, Turn};

/// Appends a turn, or adds the model's words to those before. Says where its parts begin.
pub fn append<'a>(turns: &mut Vec<Turn<'a>>, mut turn: Turn<'a>) -> usize {
    if turn.role != Role::Assistant {
        turns.push(turn);
        return 0;
    }
    turn.parts.retain(|part| !says_nothing(part));
    let last = turns.last_mut().filter(|last| last.role == Role::Assistant && turn.extras.is_empty());
    let Some(last) = last else {
        let mut parts = Vec::with_capacity(turn.parts.len());
        for part in turn.parts {
            add(&mut parts, part, Seam::Inside);
        }
        turns.push(Turn { parts, ..turn });
        return 0;
    };
    let mut from = last.parts.len();
    let mut seam = Seam::Between;
    for part in turn.parts {
        from = from.min(add(&mut last.parts, part, std::mem::replace(&mut seam, Seam::Inside)));
    }
    from
}

/// Whether a part follows another one in its own content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seam {
    Inside,
    /// It begins the next chunk.
    Between,
}

/// Says from where on the parts have changed.
fn add<'a>(parts: &mut Vec<Part<'a>>, mut part: Part<'a>, seam: Seam) -> usize {
    if let Content::Thought(thought) = &mut part.content {
        let foreign = thought.signature.as_ref().is_some_and(|signature| signature.family != Family::Gemini);
        if foreign && !thought.is_redacted && thought.is_summary {
            thought.text = gather(parts, std::mem::take(&mut thought.text));
        }
    }
    match (&mut part.content, parts.last_mut().map(|last| (&mut last.content, &last.extras))) {
        (Content::Text(text), Some((Content::Text(before), extras)))
            if seam == Seam::Between && extras.is_empty() && part.extras.is_empty() =>
        {
            before.to_mut().push_str(text);
        }
        _ => parts.push(part),
    }
    parts.len() - 1
}

/// Takes the unsigned thoughts at the end, and puts them before `text`.
fn gather<'a>(parts: &mut Vec<Part<'a>>, text: Text<'a>) -> Text<'a> {
    let unsigned =
        |part: &Part<'_>| matches!(&part.content, Content::Thought(Thought { signature: None, .. }));
    let begin = parts.len() - parts.iter().rev().take_while(|part| unsigned(part)).count();
    if begin == parts.len() {
        return text;
    }
    let mut whole = String::new();
    for part in parts.drain(begin..) {
        if let Content::Thought(thought) = part.content {
            whole.push_str(&thought.text);
        }
    }
    whole.push_str(&text);
    Text::Owned(whole)
}

fn says_nothing(part: &Part<'_>) -> bool {
    part.extras.is_empty() && part.as_text().is_some_and(|text| text.is_empty())
}
