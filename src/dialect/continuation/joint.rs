//! The events of a further leg, made to continue the caller's stream: one start, one numbering of blocks,
//! one end, counts that are sums.
//!
//! Stands between the reader of a leg and the writer of the caller's stream, which never learns that there
//! is more than one leg. The first leg passes as it is and is only listened to. Of a later one comes
//! through what the [`Splice`] gives out, and what follows it; its thoughts do not.

use super::splice::{Found, Splice};
use super::told::{Held, Told};
use crate::dialect::hub::{Block, Delta, Event};
use crate::vocab::Usage;

#[derive(Debug, Default)]
pub struct Joint {
    told: Told,
    leg: Option<Leg>,
}

/// How far a later leg has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not known yet whether it continues the text.
    Seeking,
    /// It does, and the caller hears it.
    Joined,
    /// It does not. Nothing of it was passed on.
    Lost,
}

#[derive(Debug)]
struct Leg {
    splice: Splice,
    standing: Standing,
    /// The leg's blocks and what they are to the caller.
    blocks: Vec<(u32, Becomes)>,
    /// What the legs before it have used.
    before: Usage,
    counted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    /// Text that is compared, or goes to the caller's block once it continues.
    Text(Option<u32>),
    /// This block of the caller's.
    Block(u32),
    Nothing,
}

impl Joint {
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// The events that come from now on are another leg's. `before`: what all legs before it have used.
    pub fn begin(&mut self, splice: Splice, before: Usage) {
        let blocks = Vec::new();
        self.leg = Some(Leg { splice, standing: Standing::Seeking, blocks, before, counted: false });
    }

    /// `Joined` as long as there is only one leg.
    pub fn standing(&self) -> Standing {
        self.leg.as_ref().map_or(Standing::Joined, |leg| leg.standing)
    }

    /// Takes the next event and says what the caller hears of it.
    pub fn pass(&mut self, event: &Event<'_>, put: &mut impl FnMut(&Event<'_>)) {
        let Self { told, leg } = self;
        let mut say = Say { told, put };
        match leg {
            None => say.say(event),
            Some(leg) => leg.pass(event, &mut say),
        }
    }
}

/// Whatever is said is remembered.
struct Say<'s, P> {
    told: &'s mut Told,
    put: &'s mut P,
}

impl<P: FnMut(&Event<'_>)> Say<'_, P> {
    fn say(&mut self, event: &Event<'_>) {
        self.told.observe(event);
        (self.put)(event);
    }

    /// Ends the caller's open blocks of a kind.
    fn close(&mut self, which: impl Fn(Held) -> bool) {
        let open: Vec<u32> =
            self.told.open().iter().filter(|(_, held)| which(*held)).map(|(block, _)| *block).collect();
        for block in open {
            self.say(&Event::Close { choice: 0, block });
        }
    }

    fn open(&mut self, kind: Block<'_>) -> u32 {
        let block = self.told.next_block();
        self.say(&Event::Open { choice: 0, block, kind });
        block
    }
}

impl Leg {
    fn pass<P: FnMut(&Event<'_>)>(&mut self, event: &Event<'_>, say: &mut Say<'_, P>) {
        if self.standing == Standing::Lost {
            return;
        }
        match event {
            Event::Open { choice: 0, block, kind } => {
                let becomes = self.open(kind, say);
                self.blocks.push((*block, becomes));
            }
            Event::Delta { choice: 0, block, delta } => self.delta(*block, delta, say),
            Event::Close { choice: 0, block } => self.close(*block, say),
            Event::Finish { choice: 0, .. } => {
                self.end(say);
                if self.standing == Standing::Joined {
                    say.close(|held| held == Held::Thought);
                    say.say(event);
                }
            }
            Event::Usage(usage) => {
                self.counted = true;
                say.say(&Event::Usage(self.before.plus(usage)));
            }
            Event::End => {
                self.end(say);
                if self.standing == Standing::Joined {
                    if !self.counted && self.before != Usage::default() {
                        say.say(&Event::Usage(self.before));
                    }
                    say.say(event);
                }
            }
            // The caller's stream has begun, has one choice, and what a vendor runs besides is not his.
            Event::Start { .. }
            | Event::Vendor { .. }
            | Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Finish { .. } => {}
        }
    }

    fn open<P: FnMut(&Event<'_>)>(&mut self, kind: &Block<'_>, say: &mut Say<'_, P>) -> Becomes {
        match kind {
            Block::Text => Becomes::Text(None),
            Block::Thought { .. } => Becomes::Nothing,
            Block::Refusal | Block::Call { .. } => {
                // Behind text that has come to its end a call is as good as it was; a text that
                // breaks off in the middle it does not continue.
                if self.standing == Standing::Seeking {
                    if !self.splice.takes_anything() {
                        self.standing = Standing::Lost;
                        return Becomes::Nothing;
                    }
                    self.standing = Standing::Joined;
                }
                say.close(|_| true);
                Becomes::Block(say.open(kind.clone()))
            }
        }
    }

    fn delta<P: FnMut(&Event<'_>)>(&mut self, block: u32, delta: &Delta<'_>, say: &mut Say<'_, P>) {
        let Some((_, becomes)) = self.blocks.iter_mut().find(|(known, _)| *known == block) else { return };
        match (becomes, delta) {
            (Becomes::Text(to), Delta::Text(text)) => {
                let found = self.splice.more(text);
                let text = match found {
                    Found::Nothing => return,
                    Found::Lost => {
                        self.standing = Standing::Lost;
                        return;
                    }
                    Found::Text(text) => text,
                };
                self.standing = Standing::Joined;
                if !text.is_empty() {
                    let block = place(to, say);
                    say.say(&Event::Delta { choice: 0, block, delta: Delta::Text(text.into()) });
                }
            }
            (Becomes::Text(Some(block)) | Becomes::Block(block), _) => {
                say.say(&Event::Delta { choice: 0, block: *block, delta: delta.clone() });
            }
            // Pictures and citations of what is only repeated.
            (Becomes::Text(None) | Becomes::Nothing, _) => {}
        }
    }

    fn close<P: FnMut(&Event<'_>)>(&mut self, block: u32, say: &mut Say<'_, P>) {
        let Some(at) = self.blocks.iter().position(|(known, _)| *known == block) else { return };
        match self.blocks.swap_remove(at).1 {
            Becomes::Text(Some(block)) | Becomes::Block(block) => {
                say.say(&Event::Close { choice: 0, block });
            }
            // Its end is the end of what it repeats.
            Becomes::Text(None) if self.standing == Standing::Joined => say.close(|_| true),
            Becomes::Text(None) | Becomes::Nothing => {}
        }
    }

    /// No more text comes.
    fn end<P: FnMut(&Event<'_>)>(&mut self, say: &mut Say<'_, P>) {
        if self.standing != Standing::Seeking {
            return;
        }
        match self.splice.end() {
            Found::Text(text) => {
                self.standing = Standing::Joined;
                if !text.is_empty() {
                    let block = place(&mut None, say);
                    say.say(&Event::Delta { choice: 0, block, delta: Delta::Text(text.into()) });
                    say.say(&Event::Close { choice: 0, block });
                }
            }
            Found::Nothing | Found::Lost => self.standing = Standing::Lost,
        }
    }
}

/// The caller's block for the text that continues: the open one, else a new one.
fn place<P: FnMut(&Event<'_>)>(to: &mut Option<u32>, say: &mut Say<'_, P>) -> u32 {
    if let Some(block) = *to {
        return block;
    }
    say.close(|held| held == Held::Thought);
    let open = say.told.open_text().map(|(block, _)| block);
    let block = open.unwrap_or_else(|| say.open(Block::Text));
    *to = Some(block);
    block
}

#[cfg(test)]
mod tests;
