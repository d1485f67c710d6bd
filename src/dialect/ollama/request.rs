//! Requests.

use crate::dialect::hub::{Ask, Losses, Terms};

/// The request that asks for the same.
pub fn write(_ask: &Ask<'_>, _terms: &Terms<'_>, _losses: &mut Losses, _out: &mut Vec<u8>) {}
