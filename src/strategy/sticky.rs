//! One conversation stays with one channel, for the sake of its prompt cache.
//!
//! Where it was served last, while that is remembered; else where rendezvous hashing puts it, which any
//! other replica would do too. A request that belongs to no conversation takes its turn by weight.

use super::Contender;
use super::weighted_round_robin;
use crate::algo::rendezvous;
use crate::algo::wrr::Smooth;

/// What is known of the conversation that a request belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    pub key: u64,
    /// The channel that served it last, by its identity.
    pub last: Option<u64>,
}

pub fn pick(contenders: &[Contender], session: Option<Session>, smooth: &mut Smooth) -> Option<usize> {
    let Some(Session { key, last }) = session else { return weighted_round_robin::pick(contenders, smooth) };
    let kept = last.and_then(|last| contenders.iter().position(|contender| contender.identity == last));
    kept.or_else(|| {
        let score = |c: &Contender| rendezvous::score(key, c.identity, c.weight);
        let best = |(_, a): &(usize, &Contender), (_, b): &(usize, &Contender)| score(a).total_cmp(&score(b));
        contenders.iter().enumerate().max_by(best).map(|(index, _)| index)
    })
}
