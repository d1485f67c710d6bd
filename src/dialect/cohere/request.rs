//! Requests.

mod ids;
mod messages;
mod read;
mod turns;
mod write;

pub use messages::joined;
pub use read::read;
pub use turns::{call, thought};
pub use write::{holds_to_form, write};

use crate::dialect::hub::Extras;
use crate::dialect::tree::Node;

/// Whose words a request was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The dialect's own: what only it knows goes back to its place.
    Own,
    /// Another one's: it is translated.
    Foreign,
}

/// What is unknown in `node`. Empty lists say nothing: some SDKs always send `documents` and
/// `citations`.
pub fn extras_of<'a>(node: &Node<'a>, known: &[&str]) -> Extras<'a> {
    let mut extras = Extras::default();
    for (key, value) in node.members() {
        let empty = value.is_null() || (value.is_array() && value.elements().is_empty());
        if !known.contains(&&**key) && !empty {
            extras.keep(key.clone(), value.raw());
        }
    }
    extras
}
