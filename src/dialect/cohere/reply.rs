//! Answers in one piece.

use crate::dialect::Dialect;
use crate::dialect::hub::{Extras, Manner, Reply, Text};
use crate::dialect::tree::{Node, Wrong};

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    body.object()?;
    Ok(Reply {
        dialect: Dialect::Cohere,
        id: Text::Borrowed(""),
        model: Text::Borrowed(""),
        created: None,
        choices: Vec::new(),
        usage: None,
        tier: None,
        extras: Extras::default(),
    })
}

/// The answer that says the same.
pub fn write(_reply: &Reply<'_>, _manner: &Manner, _out: &mut Vec<u8>) {}
