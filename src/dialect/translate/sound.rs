//! Whether what an upstream has told is an answer that a caller of another dialect may act on.
//!
//! A model writes a call's arguments as text, and may fail to, or be cut off. Where the caller's dialect has that text,
//! he finds out as he would at his own vendor. Where it has an object, nothing may be made up in its place, as agents
//! call their tools with whatever they get: the answer has failed, or, where it was cut off, the call was never made.

use super::{Dialect, Untold};
use crate::dialect::hub::{Block, Call, CallKind, Content, Delta, Event, Reply, Stop, custom, object_of};

/// What a model that failed has left; few dialects have a word for it, and none that all SDKs raise on.
const FAILED: &str = "the model failed to produce a valid answer";
const BROKEN: &str = "the model called a tool with arguments that are no JSON object";

/// Looks at an answer in one piece, and takes out calls that were cut off.
pub(super) fn check(reply: &mut Reply<'_>, to: Dialect) -> Result<(), Untold> {
    let is_broken = |call: &Call<'_>| needs_object(to, &call.name, call.kind) && call.object().is_none();
    for choice in &mut reply.choices {
        if choice.stop == Stop::Failed {
            return Err(Untold::Failed(FAILED));
        }
        let is_cut = is_cut(&choice.stop);
        let before = choice.parts.len();
        choice.parts.retain(|part| !matches!(&part.content, Content::Call(call) if is_broken(call)));
        if choice.parts.len() < before && !is_cut {
            return Err(Untold::Failed(BROKEN));
        }
    }
    Ok(())
}

/// The same for a stream. Its writers leave out what is cut off, if they can.
#[derive(Debug)]
pub(super) struct Sound {
    to: Dialect,
    /// Choice, block, and the arguments as far as they have come.
    open: Vec<(u32, u32, String)>,
    /// Choices with a call that is broken.
    broken: Vec<u32>,
}

impl Sound {
    pub const fn new(to: Dialect) -> Self {
        Self { to, open: Vec::new(), broken: Vec::new() }
    }

    /// The caller's dialect.
    pub const fn to(&self) -> Dialect {
        self.to
    }

    /// Looks at the next events before anything of them is told.
    pub fn check(&mut self, events: &[Event<'_>]) -> Result<(), Untold> {
        for event in events {
            match event {
                Event::Open { choice, block, kind: Block::Call { name, kind, .. } }
                    if needs_object(self.to, name, *kind) =>
                {
                    self.open.push((*choice, *block, String::new()));
                }
                Event::Delta { choice, block, delta: Delta::Arguments(more) } => {
                    let open = self.open.iter_mut().find(|(c, b, _)| (*c, *b) == (*choice, *block));
                    if let Some((_, _, arguments)) = open {
                        arguments.push_str(more);
                    }
                }
                Event::Close { choice, block } => {
                    let at = self.open.iter().position(|(c, b, _)| (*c, *b) == (*choice, *block));
                    if let Some((_, _, arguments)) = at.map(|at| self.open.swap_remove(at))
                        && object_of(&arguments).is_none()
                    {
                        self.broken.push(*choice);
                    }
                }
                Event::Finish { stop: Stop::Failed, .. } => return Err(Untold::Failed(FAILED)),
                Event::Finish { choice, stop } if self.broken.contains(choice) && !is_cut(stop) => {
                    return Err(Untold::Failed(BROKEN));
                }
                Event::Start { .. }
                | Event::Open { .. }
                | Event::Delta { .. }
                | Event::Finish { .. }
                | Event::Usage(_)
                | Event::Vendor { .. }
                | Event::End => {}
            }
        }
        Ok(())
    }
}

/// The input of a tool that stands for a custom one is an object whose text is all that the caller gets.
fn needs_object(to: Dialect, name: &str, kind: CallKind) -> bool {
    kind == CallKind::Function && (to.has_objects_for_arguments() || name.starts_with(custom::CUSTOM))
}

/// Whether the model might have said more.
const fn is_cut(stop: &Stop<'_>) -> bool {
    match stop {
        Stop::Length | Stop::Window | Stop::Filter | Stop::Refusal | Stop::Sequence(_) => true,
        Stop::End | Stop::Calls | Stop::Pause | Stop::Failed => false,
    }
}
