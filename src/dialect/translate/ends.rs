//! The end of a conversation, for a vendor that goes on with the assistant's words only where it is told to.
//!
//! Mistral refuses a last message of the assistant without `prefix: true`, and with it repeats that message in its
//! answer ("Expected last role User or Tool (or Assistant with prefix True)").

use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, Content, GO_ON, Part, Role, Terms, Turn};
use crate::dialect::quirks::Prefilling;

/// Has the user ask to go on with an answer that a request of another dialect has begun; tells whether he had to.
pub fn ask_to_go_on(ask: &mut Ask<'_>, to: Dialect, terms: &Terms<'_>) -> bool {
    let is_strict = to == Dialect::OpenAi && terms.quirks.prefilling == Prefilling::Prefix;
    let last = ask.turns.last().filter(|last| last.role == Role::Assistant);
    let Some(last) = last.filter(|_| is_strict && ask.dialect != to) else { return false };
    let calls = last.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    let is_blank = last.parts.iter().filter_map(Part::as_text).all(|text| text.trim().is_empty());
    if calls || is_blank {
        return false;
    }
    ask.turns.push(Turn::new(Role::User, vec![Part::text(GO_ON)]));
    true
}
