//! Token counts.

use crate::dialect::json::{Walked, Walker};
use crate::vocab::Usage;

pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    walker.skip().map(|_| None)
}
