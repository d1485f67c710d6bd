//! Which cache points are said of a foreign caller's marks: no more than four, as at Anthropic, whose rules choose them
//! (AWS's guide, "Prompt caching for faster model inference": four for Claude and for Nova).

use super::tools::Tools;
use super::turns::Layout;
use super::{Draft, Origin};
use crate::dialect::anthropic::request::Marks;
use crate::dialect::hub::{CacheMark, Losses};

/// Leaves those marks that are said, in the order of the prompt; gives back that of the request as a whole.
pub fn choose(
    draft: &Draft<'_, '_>,
    tools: &mut Tools<'_, '_>,
    layout: &mut Layout<'_, '_>,
    losses: &mut Losses,
) -> Option<CacheMark> {
    if draft.origin == Origin::Own {
        return draft.ask.cache;
    }
    // Nova has no cache points among tools.
    if draft.maker.is_nova() {
        for listed in &mut tools.listed {
            losses.drop_if(listed.mark.take().as_ref(), "cache_control");
        }
    }
    let mut whole = draft.ask.cache;
    let said = layout.messages.iter_mut().flat_map(|message| &mut message.parts);
    let said = layout.system.iter_mut().chain(said).map(|placed| &mut placed.mark);
    let listed = tools.listed.iter_mut().map(|listed| &mut listed.mark);
    let all: Vec<&mut Option<CacheMark>> =
        listed.chain(said).chain([&mut whole]).filter(|mark| mark.is_some()).collect();
    let mut marks = if draft.caches() { Marks::last_of(all.len()) } else { Marks::none_of(all.len()) };
    for mark in all {
        *mark = marks.next(*mark);
    }
    marks.report(losses);
    whole
}
