//! Where in a new text the one that was delivered ends.
//!
//! A machine without I/O: pieces of the new text go in as they come, what continues the delivered one comes
//! out. A text is taken to continue when it
//!
//! 1. repeats the delivered text from its beginning, exactly;
//! 2. begins with the end of it, exactly: the anchor that was asked for, or a longer or a shorter one;
//! 3. begins with the anchor, or words at its end, in other white space, quotes or markup;
//! 4. does one of the latter two at the beginning of a line behind a short preamble, with the whole anchor; the preamble
//!    is dropped.
//!
//! Whatever the rest, it is [`Found::Lost`], and nothing of it is ever given out. An end that stands more
//! than once in the delivered text proves nothing, so the anchor is as long as it takes to be the only one,
//! and a text of which no end is (`abababab…`) has none. At most [`HELD`] bytes are held back.
//!
//! After a prefill there is nothing to compare with: the new text is the rest. Only vendors that
//! send the prefill again are expected to.

use super::normal::{Aligned, align, is_markup, normal};

/// How long an anchor is at least, if there is that much, and at most. In characters.
const ANCHOR: usize = 40;
const LONGEST: usize = 320;
/// A shorter end of a longer text proves nothing.
const SHORTEST: usize = 12;
/// What may stand before a repetition: quotes, dots, markup. In characters.
const BEFORE: usize = 8;
/// A longer preamble is another answer. In characters.
const PREAMBLE: usize = 240;
/// With so many characters at hand it is decided.
const ENOUGH: usize = PREAMBLE + LONGEST + BEFORE;
/// So many bytes of the new text are held back at most, the delivered text's repetition not counted.
pub const HELD: usize = 4 * ENOUGH + 64 * 1024;

/// The end of a text that stands in it only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    text: String,
    /// White space and markup behind it.
    tail: String,
}

impl Anchor {
    /// `None` when there is none: nothing but white space, or a text that repeats itself.
    pub fn of(told: &str) -> Option<Self> {
        let core = told.trim_end_matches(|char: char| char.is_whitespace() || is_markup(char));
        let tail = told.get(core.len()..)?.to_owned();
        let whole = normal(core);
        let mut length = ANCHOR;
        while length <= LONGEST {
            let text = last(core, length);
            let wanted = normal(text);
            let wanted = wanted.trim_start();
            if wanted.is_empty() {
                return None;
            }
            if memchr::memmem::find_iter(whole.as_bytes(), wanted.as_bytes()).nth(1).is_none()
                && !overlaps(&whole, wanted)
            {
                return Some(Self { text: text.trim_start().to_owned(), tail });
            }
            length *= 2;
        }
        None
    }

    /// What a model is asked to repeat.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// It, and the ends of it that begin with one of its words.
    fn ends(&self) -> impl Iterator<Item = &str> {
        let mut within = self.text.starts_with(char::is_alphanumeric);
        let words = self.text.char_indices().skip(1).filter_map(move |(at, char)| {
            let before = std::mem::replace(&mut within, char.is_alphanumeric());
            (within && !before).then_some(at)
        });
        std::iter::once(0).chain(words).filter_map(|at| self.text.get(at..))
    }
}

/// Whether `wanted` stands in `text` once more, overlapping its end: `find_iter` skips those.
fn overlaps(text: &str, wanted: &str) -> bool {
    let first = memchr::memmem::find(text.as_bytes(), wanted.as_bytes());
    first.is_some_and(|at| at + wanted.len() < text.len())
}

/// The last `count` characters.
fn last(text: &str, count: usize) -> &str {
    let begin = text.char_indices().rev().nth(count.saturating_sub(1)).map_or(0, |(at, _)| at);
    text.get(begin..).unwrap_or_default()
}

/// What a piece of the new text came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// More is needed to tell.
    Nothing,
    /// This much of it continues the delivered text; may be empty.
    Text(String),
    /// It does not continue the delivered text.
    Lost,
}

#[derive(Debug)]
pub struct Splice {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Comparing.
    Seeking(Box<Seek>),
    /// White space and markup at the end of what was delivered, which the new text may repeat.
    Seam(Seam),
    Passing,
    Lost,
}

#[derive(Debug)]
struct Seek {
    told: String,
    /// Absent where only a repetition of the whole is expected, else the text goes on as it is.
    anchor: Option<Anchor>,
    /// So many bytes of `told` the new text has repeated from the beginning, and nothing else yet.
    repeated: Option<usize>,
    pending: String,
}

#[derive(Clone, Debug, Default)]
struct Seam {
    tail: String,
    /// The repetition was quoted: its closing quote is no part of the text.
    quoted: bool,
}

impl Splice {
    /// All of the new text is wanted.
    pub const fn straight() -> Self {
        Self { state: State::Passing }
    }

    /// The model goes on behind `told`, white space at its end left out.
    pub fn prefilled(told: &str) -> Self {
        let tail = told.get(told.trim_end().len()..).unwrap_or_default().to_owned();
        Self { state: State::Seam(Seam { tail, quoted: false }) }
    }

    /// As [`Splice::prefilled`], at a vendor who sends the begin again.
    pub fn echoed(told: &str) -> Self {
        let seek = Seek { told: told.to_owned(), anchor: None, repeated: Some(0), pending: String::new() };
        Self { state: State::Seeking(Box::new(seek)) }
    }

    /// The model was asked to begin with `anchor`.
    pub fn anchored(told: &str, anchor: Anchor) -> Self {
        let (told, anchor) = (told.to_owned(), Some(anchor));
        let seek = Seek { told, anchor, repeated: Some(0), pending: String::new() };
        Self { state: State::Seeking(Box::new(seek)) }
    }

    /// Nothing has to be repeated first.
    pub const fn takes_anything(&self) -> bool {
        matches!(self.state, State::Seam(_) | State::Passing)
    }

    /// Takes the next piece of the new text.
    pub fn more(&mut self, text: &str) -> Found {
        match &mut self.state {
            State::Seeking(seek) => match seek.more(text) {
                Sought::Nothing => Found::Nothing,
                Sought::At { rest, seam } => {
                    self.state = State::Seam(seam);
                    self.more(&rest)
                }
                Sought::Lost => {
                    self.state = State::Lost;
                    Found::Lost
                }
            },
            State::Seam(seam) => match seam.strip(text) {
                None => Found::Nothing,
                Some(rest) => {
                    let rest = rest.to_owned();
                    self.state = State::Passing;
                    Found::Text(rest)
                }
            },
            State::Passing => Found::Text(text.to_owned()),
            State::Lost => Found::Lost,
        }
    }

    /// The new text is whole.
    pub fn end(&mut self) -> Found {
        match std::mem::replace(&mut self.state, State::Passing) {
            State::Seeking(mut seek) => match seek.decide() {
                Sought::At { rest, seam } => {
                    self.state = State::Seam(seam);
                    match self.more(&rest) {
                        Found::Nothing => Found::Text(String::new()),
                        found @ (Found::Text(_) | Found::Lost) => found,
                    }
                }
                Sought::Nothing | Sought::Lost => {
                    self.state = State::Lost;
                    Found::Lost
                }
            },
            State::Seam(_) | State::Passing => Found::Text(String::new()),
            State::Lost => {
                self.state = State::Lost;
                Found::Lost
            }
        }
    }
}

/// Whether a text is whole, as far as it is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    Comes,
    IsNotAwaited,
}

enum Sought {
    Nothing,
    /// The repetition has ended; this followed.
    At {
        rest: String,
        seam: Seam,
    },
    Lost,
}

impl Seek {
    fn more(&mut self, text: &str) -> Sought {
        if let Some(repeated) = self.repeated {
            let (told, whole) = (self.told.as_bytes(), self.told.trim_end().len());
            let left = told.get(repeated..whole).unwrap_or_default();
            if text.len() >= left.len() && text.as_bytes().starts_with(left) {
                let rest = text.get(left.len()..).unwrap_or_default().to_owned();
                let tail = self.told.get(whole..).unwrap_or_default().to_owned();
                return Sought::At { rest, seam: Seam { tail, quoted: false } };
            }
            if left.starts_with(text.as_bytes()) {
                self.repeated = Some(repeated + text.len());
                return Sought::Nothing;
            }
            // Something else: what was repeated is a part of it.
            self.repeated = None;
            self.pending.push_str(self.told.get(..repeated).unwrap_or_default());
        }
        self.pending.push_str(text);
        let Some(anchor) = &self.anchor else {
            return self.not_echoed();
        };
        let early = self.ends_here(0).or_else(|| self.repeats_here(0, anchor, More::Comes));
        match early {
            Some((end, seam)) => self.found(end, seam),
            None if self.pending.len() > HELD || self.pending.chars().nth(ENOUGH).is_some() => self.decide(),
            None => Sought::Nothing,
        }
    }

    /// Nothing was sent again: all of it is new.
    fn not_echoed(&mut self) -> Sought {
        let tail = self.told.get(self.told.trim_end().len()..).unwrap_or_default().to_owned();
        Sought::At { rest: std::mem::take(&mut self.pending), seam: Seam { tail, quoted: false } }
    }

    fn found(&self, end: usize, seam: Seam) -> Sought {
        let rest = self.pending.get(end..).unwrap_or_default().to_owned();
        Sought::At { rest, seam }
    }

    /// No more is waited for.
    fn decide(&mut self) -> Sought {
        if let Some(repeated) = self.repeated.take() {
            self.pending.push_str(self.told.get(..repeated).unwrap_or_default());
        }
        let Some(anchor) = &self.anchor else {
            return self.not_echoed();
        };
        let lines = self.pending.match_indices('\n').map(|(at, _)| at + 1);
        let lines =
            lines.take_while(|at| self.pending.get(..*at).is_some_and(|it| it.chars().count() <= PREAMBLE));
        for begin in std::iter::once(0).chain(lines) {
            // A fence that opens before the text would have to be taken off its end, too.
            if self.pending.get(..begin).is_some_and(|preamble| preamble.contains("```")) {
                break;
            }
            let found =
                self.ends_here(begin).or_else(|| self.repeats_here(begin, anchor, More::IsNotAwaited));
            if let Some((end, seam)) = found {
                let again =
                    self.pending.get(end..).is_some_and(|rest| begin > 0 && rest.contains(&anchor.text));
                return if again { Sought::Lost } else { self.found(end, seam) };
            }
        }
        Sought::Lost
    }

    /// The places at which a repetition may begin behind quotes and the like, from `begin` on.
    fn begins(&self, begin: usize) -> impl Iterator<Item = (usize, bool)> {
        let text = self.pending.get(begin..).unwrap_or_default();
        let mut quoted = false;
        let mut over = false;
        let places = text.char_indices().take(BEFORE + 1).map_while(move |(at, char)| {
            if over {
                return None;
            }
            let place = (begin + at, quoted);
            over = !is_ornament(char);
            quoted |= is_quote(char);
            Some(place)
        });
        places.collect::<Vec<_>>().into_iter()
    }

    /// An end of the delivered text, exactly; the byte behind it.
    fn ends_here(&self, begin: usize) -> Option<(usize, Seam)> {
        let whole = self.told.trim_end();
        let tail = self.told.get(whole.len()..).unwrap_or_default();
        let window = last(whole, LONGEST);
        self.begins(begin).find_map(|(at, quoted)| {
            let text = self.pending.get(at..)?;
            let first = text.chars().next()?;
            let mut ends = window
                .char_indices()
                .filter(|(_, char)| *char == first)
                .map(|(place, _)| window.get(place..).unwrap_or_default());
            let end = ends.find(|end| text.starts_with(end) && self.proves(end, begin))?;
            Some((at + end.len(), Seam { tail: tail.to_owned(), quoted }))
        })
    }

    /// Whether an end of the delivered text stands nowhere else in it, and is long enough to mean it. Behind
    /// a preamble only the whole anchor is.
    fn proves(&self, end: &str, begin: usize) -> bool {
        let whole = self.told.trim_end();
        if begin > 0 && self.anchor.as_ref().is_none_or(|anchor| end.len() < anchor.text.len()) {
            return false;
        }
        end.len() == whole.len()
            || (end.chars().filter(|char| char.is_alphanumeric()).count() >= SHORTEST
                && memchr::memmem::find(whole.as_bytes(), end.as_bytes()) == Some(whole.len() - end.len()))
    }

    /// The anchor in other words, so to say, or where nothing stands before it an end of it; the byte behind it.
    fn repeats_here(&self, begin: usize, anchor: &Anchor, more: More) -> Option<(usize, Seam)> {
        self.begins(begin).find_map(|(at, quoted)| {
            let text = self.pending.get(at..)?;
            let ends = anchor.ends().take(if begin > 0 { 1 } else { usize::MAX });
            let end = ends.filter(|end| proves_normally(end)).find_map(|end| {
                let behind = text.strip_prefix(end);
                let may_be_exact = behind.is_some_and(|behind| anchor.tail.starts_with(behind));
                if may_be_exact && more == More::Comes {
                    return None;
                }
                let Aligned::Whole(at) = align(text, end) else { return None };
                (end.len() == anchor.text.len() || self.is_only(end, anchor)).then_some(at)
            })?;
            Some((at + end, Seam { tail: anchor.tail.clone(), quoted }))
        })
    }

    /// Whether an end of the delivered text stands nowhere else in it, in no other white space, quotes or markup
    /// either.
    fn is_only(&self, end: &str, anchor: &Anchor) -> bool {
        let core = self.told.len().checked_sub(anchor.tail.len()).and_then(|core| self.told.get(..core));
        let (whole, end) = (normal(core.unwrap_or_default()), normal(end));
        memchr::memmem::find(whole.as_bytes(), end.as_bytes()) == whole.len().checked_sub(end.len())
    }
}

/// Whether so much may be recognised that is not the same to the letter.
fn proves_normally(end: &str) -> bool {
    end.chars().filter(|char| char.is_alphanumeric()).count() >= SHORTEST
}

fn is_quote(char: char) -> bool {
    matches!(char, '"' | '\'' | '\u{201c}' | '\u{201e}' | '\u{2018}' | '\u{ab}' | '\u{2039}')
}

/// What models put around what they quote.
fn is_ornament(char: char) -> bool {
    char.is_whitespace() || is_quote(char) || matches!(char, '.' | '\u{2026}' | '>' | '-' | '*' | '_' | '<')
}

impl Seam {
    /// What is left of `text` once the delivered text's end is taken off; `None` while it may go on.
    fn strip<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let mut rest = text;
        if self.quoted
            && let Some(char) = rest.chars().next()
        {
            self.quoted = false;
            if matches!(char, '"' | '\'' | '\u{201d}' | '\u{201c}' | '\u{2019}' | '\u{bb}' | '\u{203a}') {
                rest = rest.get(char.len_utf8()..).unwrap_or_default();
            }
        }
        while let Some(wanted) = self.tail.chars().next() {
            let char = rest.chars().next()?;
            if char == wanted {
                self.tail.remove(0);
                rest = rest.get(char.len_utf8()..).unwrap_or_default();
            } else if char.is_whitespace() && is_markup(wanted) {
                // The markup was left out, and this stands behind it.
                self.tail.remove(0);
            } else if char.is_whitespace() {
                // Other white space in the same place.
                rest = rest.get(char.len_utf8()..).unwrap_or_default();
            } else {
                self.tail.clear();
            }
        }
        (!rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests;
