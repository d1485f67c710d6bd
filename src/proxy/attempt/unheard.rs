//! An answer that nobody gets: what it says of its usage, and nothing else of it.

use super::Answer;
use super::read::Content;
use crate::algo::tick::Tick;
use crate::dialect::billed::Wish;
use crate::dialect::scan::Thinks;
use crate::dialect::tokens::at_a_glance;
use crate::dialect::{Operation, translate, watch};
use crate::proxy::onward::Party;
use crate::proxy::reply::{Audience, Opaque, Said, Streaming, read_out};
use crate::proxy::settle::Settle;
use crate::proxy::tail::Counted;
use crate::state::Permit;
use crate::vocab::Usage;

impl Answer {
    /// Reads it to its end, for what it says of its usage alone; `settle` goes along with it.
    pub async fn read_out(self, settle: Settle, wish: Wish, deadline: Tick) {
        let Self { mut permit, body, spoken, .. } = self;
        let audience = Audience::Nobody;
        match body {
            Content::Whole { body, usage, .. } => {
                let usage = wish.complete(spoken.operation, usage);
                book(&mut permit, usage.as_ref(), spoken.operation, &body);
                permit.has_told_all();
            }
            Content::Stream { peeked, upstream } => {
                let said = Said { dialect: spoken.dialect, thinks: Thinks::Unsaid, keepsake: None, audience };
                let party = Party::Settle(Box::new(settle));
                read_out(&mut Streaming::new(*peeked, upstream, permit, party, said, deadline)).await;
            }
            Content::Opaque { begin, upstream, tail } => {
                let counted = Counted { tail, operation: spoken.operation, wish };
                let mut opaque = Opaque::new(begin, upstream, counted, permit, settle, audience, deadline);
                read_out(&mut opaque).await;
            }
            // Nobody can read that.
            Content::Tunnel { .. } => {}
        }
    }
}

/// What a whole answer has used.
pub fn book(permit: &mut Permit, usage: Option<&Usage>, operation: Operation, body: &[u8]) {
    match usage {
        Some(usage) => permit.used(usage),
        None if translate::generates(operation) => {
            permit.answered_in(at_a_glance(watch::words(body)));
        }
        None => {}
    }
}
