//! Requests.

use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, Losses, Terms};
use crate::dialect::tree::{Node, Wrong};

/// What a request asks for.
pub fn read<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    body.object()?;
    Ok(Ask::new(Dialect::Cohere))
}

/// The request that asks for the same.
pub fn write(_ask: &Ask<'_>, _terms: &Terms<'_>, _losses: &mut Losses, _out: &mut Vec<u8>) {}
