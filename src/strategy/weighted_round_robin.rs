//! Smooth weighted round robin: in any run of as many picks as the weights sum to, each channel is
//! picked exactly as often as its weight says, and as evenly spread as can be (nginx, 2012).

use smallvec::SmallVec;

use super::Contender;
use crate::algo::wrr::Smooth;

pub fn pick(contenders: &[Contender], smooth: &mut Smooth) -> Option<usize> {
    let weights: SmallVec<[_; 16]> = contenders.iter().map(|c| (c.slot, c.weight)).collect();
    smooth.pick(&weights)
}
