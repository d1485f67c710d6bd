//! Which cache marks are said.
//!
//! The API takes four, and none of an hour behind one of five minutes (Anthropic's page "Prompt caching").

use crate::dialect::hub::{CacheMark, Losses};

/// The API takes no more.
const MARKS_MOST: usize = 4;

/// Cache marks, in the order of the prompt: tools, system, messages.
#[derive(Debug)]
pub struct Marks {
    own: bool,
    /// These first ones are left out.
    skip: usize,
    had_short: bool,
    is_lossy: bool,
}

impl Marks {
    /// As the caller set them.
    pub fn own() -> Self {
        Self { own: true, skip: 0, had_short: false, is_lossy: false }
    }

    /// At most four of so many.
    pub fn last_of(count: usize) -> Self {
        let skip = count.saturating_sub(MARKS_MOST);
        Self { own: false, skip, had_short: false, is_lossy: skip > 0 }
    }

    /// None of so many.
    pub fn none_of(count: usize) -> Self {
        Self { own: false, skip: count, had_short: false, is_lossy: count > 0 }
    }

    pub fn next(&mut self, mark: Option<CacheMark>) -> Option<CacheMark> {
        let mark = mark?;
        if self.own {
            return Some(mark);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        match mark {
            CacheMark::Hour if self.had_short => {
                self.is_lossy = true;
                Some(CacheMark::Short)
            }
            CacheMark::Hour => Some(mark),
            CacheMark::Short => {
                self.had_short = true;
                Some(mark)
            }
        }
    }

    pub fn report(&self, losses: &mut Losses) {
        if self.is_lossy {
            losses.drop("cache_control");
        }
    }
}
