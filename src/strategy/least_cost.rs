//! The channel that would charge least for this request. Equal prices share by weight, turn by turn; a price
//! that nobody knows is above every one that is known, for unknown is not free.

use smallvec::SmallVec;

use super::Contender;
use crate::algo::wrr::Smooth;

pub fn pick(contenders: &[Contender], smooth: &mut Smooth) -> Option<usize> {
    let price = |c: &Contender| c.cost.unwrap_or(u64::MAX);
    let least = contenders.iter().map(price).min()?;
    let cheapest: SmallVec<[usize; 16]> =
        (0..contenders.len()).filter(|&index| price(&contenders[index]) == least).collect();
    let weights: SmallVec<[(usize, u32); 16]> =
        cheapest.iter().map(|&index| (contenders[index].slot, contenders[index].weight)).collect();
    cheapest.get(smooth.pick(&weights)?).copied()
}
