//! What a request needs of a model: abilities, and a window that holds its prompt.
//!
//! Looked at only where it can matter: when a channel of the route, or of its fallbacks, is known to lack
//! something, and the body has anything in it that looks like a picture, a sound or a tool.

use memchr::memmem;

use crate::dialect::entry::Entry;
use crate::dialect::scan::Scan;
use crate::dialect::{Dialect, Operation, translate, tree};
use crate::state::Table;
use crate::vocab::Abilities;

/// Bytes that even long words of dense text do not spend on a token. Half as dense as the usual estimate,
/// so that a prompt that this calls too long really is.
const MOST_BYTES_OF_TOKEN: usize = 8;

/// What the types and members of media and tools are called, over all dialects.
const MARKS: [&[u8]; 9] = [
    b"\"tools\"",
    b"\"toolConfig\"",
    b"\"functions\"",
    b"image",
    b"audio",
    b"video",
    b"application/pdf",
    b"nlineData",
    b"\"document\"",
];

/// Abilities, and the least window; 0 where the size of the body says nothing about it.
pub fn of(
    table: &Table,
    route: usize,
    asks: (Dialect, Operation),
    scan: &Scan,
    body: &[u8],
) -> (Abilities, u64) {
    if !translate::generates(asks.1) {
        return (Abilities::default(), 0);
    }
    // Media are long and cost few tokens.
    let media = || {
        ["base64", "nlineData", "\"data\"", "\"bytes\""]
            .iter()
            .any(|mark| memmem::find(body, mark.as_bytes()).is_some())
    };
    let least = body.len() / MOST_BYTES_OF_TOKEN;
    let window = if least > SMALLEST_WINDOW && !media() { least as u64 } else { 0 };
    let marked = || MARKS.iter().any(|mark| memmem::find(body, mark).is_some());
    let choosy = table.is_choosy(route, &scan.model);
    let abilities = if choosy && marked() { abilities(asks, scan, body) } else { None };
    (abilities.unwrap_or_default(), window)
}

/// Abilities, whatever any channel may lack: what it brings, for rules.
pub fn brings(entry: &Entry<'_>, scan: &Scan, body: &[u8]) -> Abilities {
    let marked = || MARKS.iter().any(|mark| memmem::find(body, mark).is_some());
    let read = translate::generates(entry.operation) && marked();
    let asks = (entry.dialect, entry.operation);
    let abilities = if read { abilities(asks, scan, body) } else { None };
    abilities.unwrap_or_default()
}

/// Prompts below the smallest window in use fit everywhere, and are most of all prompts.
const SMALLEST_WINDOW: usize = 4_096;

/// A body that cannot be read is the upstream's affair, or that of whoever has to translate it.
fn abilities((dialect, operation): (Dialect, Operation), scan: &Scan, body: &[u8]) -> Option<Abilities> {
    let root = tree::request(body).ok()?;
    let ask = translate::read(dialect, operation, &scan.model, &root).ok()?;
    Some(translate::abilities(&ask))
}
