//! Names of tools that are in a namespace, which only OpenAI's responses know.
//!
//! Anywhere else such a tool is one among the others, by a name of both with a mark between them. No vendor takes that,
//! so that [`Renamed`](super::Renamed) has a stand-in for each, and the caller is told both parts again.

use std::borrow::Cow;

use super::Text;

/// Stands between a namespace and a name: a character that no name has.
pub const MARK: char = '\u{1f}';

/// The name of the search for tools that a caller makes himself: in the namespace without a name, where nothing else is.
pub const TOOL_SEARCH: &str = "\u{1f}tool_search";

/// The name of a tool that is in a namespace.
pub fn qualified<'a>(space: &str, name: &str) -> Text<'a> {
    Cow::Owned(format!("{space}{MARK}{name}"))
}

pub fn is_qualified(name: &str) -> bool {
    name.contains(MARK)
}

/// The namespace of a tool, if it is in one, and its name there.
pub fn divide(name: &str) -> (Option<&str>, &str) {
    name.split_once(MARK).map_or((None, name), |(space, name)| (Some(space), name))
}
