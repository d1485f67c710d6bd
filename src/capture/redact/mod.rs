//! Strikes out of a text what must not be written down: keys, cards, addresses, numbers, and whatever fits an
//! operator's patterns. A label stands in its place.
//!
//! | file | job |
//! |---|---|
//! | `view` | the text as it is looked at: one alphabet of digits, escapes undone |
//! | `keys` | what lets somebody in |
//! | `cards` | numbers that Luhn's sum holds for |
//! | `people` | e-mail addresses and telephone numbers |
//!
//! All are looked for in the text as it came, so that what one strikes out hides nothing from the next. Texts that hold
//! others (JSON in JSON, percent signs in addresses) are looked at twice, as they are and with their escapes undone.
//! What is encoded otherwise, in base64 or in tokens' numbers, is not found here: `json` leaves it out.

mod cards;
mod keys;
mod people;
mod view;

use std::borrow::Cow;
use std::ops::Range;

use crate::config::Redact;
#[cfg(test)]
pub use cards::is_checked;
pub use keys::is_secret_member;
use view::{Escapes, View};

/// What stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Key,
    Card,
    Email,
    Phone,
    Pattern,
}

/// Something to strike out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub at: Range<usize>,
    pub label: Label,
}

impl Label {
    pub const fn text(self) -> &'static str {
        match self {
            Self::Key => "[KEY]",
            Self::Card => "[CARD]",
            Self::Email => "[EMAIL]",
            Self::Phone => "[PHONE]",
            Self::Pattern => "[PATTERN]",
        }
    }
}

/// All that is to be struck out of `text`, in no order, and some of it twice.
pub fn find(text: &str, what: &Redact) -> Vec<Found> {
    let mut found = Vec::new();
    look(text, Escapes::Kept, what, &mut found);
    if view::has_escapes(text) {
        look(text, Escapes::Undone, what, &mut found);
    }
    found
}

fn look(text: &str, escapes: Escapes, what: &Redact, found: &mut Vec<Found>) {
    let view = View::of(text, escapes);
    let mut add = |label, places: Vec<Range<usize>>| {
        found.extend(places.into_iter().map(|at| Found { at: view.original(at), label }));
    };
    if what.keys {
        add(Label::Key, keys::find(view.text()));
    }
    if what.cards {
        add(Label::Card, cards::find(view.text()));
    }
    if what.email {
        add(Label::Email, people::emails(view.text()));
    }
    if what.phone {
        add(Label::Phone, people::phones(view.text()));
    }
    for pattern in &what.patterns {
        let places = pattern.regex().find_iter(view.text()).map(|found| found.range());
        add(Label::Pattern, places.filter(|at| !at.is_empty()).collect());
    }
}

/// `text` with a label for each place of `found`; of those that overlap the one that begins first names the whole.
pub fn strike(text: &str, mut found: Vec<Found>) -> Cow<'_, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    let (mut struck, mut from) = (String::with_capacity(text.len()), 0);
    let mut found = found.into_iter().peekable();
    while let Some(Found { mut at, label }) = found.next() {
        while let Some(next) = found.next_if(|next| next.at.start < at.end) {
            at.end = at.end.max(next.at.end);
        }
        struck.push_str(text.get(from..at.start).unwrap_or_default());
        struck.push_str(label.text());
        from = at.end;
    }
    struck.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(struck)
}

/// `text` without what is to be struck out of it.
pub fn clean<'t>(text: &'t str, what: &Redact) -> Cow<'t, str> {
    strike(text, find(text, what))
}
