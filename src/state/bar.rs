//! Whether an operator keeps requests from an upstream, or from one of its models: one word, since every request looks.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

use crate::algo::tick::Tick;

/// Nobody does, unless it is down.
#[derive(Debug, Default)]
pub struct Bar {
    /// When it rises by itself, in nanoseconds, times two; one more where what is at home here passes. 0 is up.
    word: AtomicU64,
}

/// Who is kept away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    Everybody,
    /// Who could go elsewhere: what refers to something that only this upstream has is let through.
    NewComers,
}

/// A bar that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down {
    pub keeps: Keeps,
    /// When it rises by itself, if it does.
    pub until: Option<Tick>,
}

/// As a time: never.
const FOR_GOOD: u64 = u64::MAX >> 1;

impl Bar {
    pub fn lower(&self, down: Down) {
        let until = down.until.map_or(FOR_GOOD, |until| until.nanos().min(FOR_GOOD - 1));
        let spares = match down.keeps {
            Keeps::Everybody => 0,
            Keeps::NewComers => 1,
        };
        self.word.store(until << 1 | spares, Release);
    }

    pub fn raise(&self) {
        self.word.store(0, Release);
    }

    /// How it stands now.
    pub fn down(&self, now: Tick) -> Option<Down> {
        let word = self.word.load(Acquire);
        if word >> 1 <= now.nanos() {
            return None;
        }
        let keeps = if word & 1 == 0 { Keeps::Everybody } else { Keeps::NewComers };
        let until = Some(word >> 1).filter(|&until| until != FOR_GOOD).map(Tick::from_nanos);
        Some(Down { keeps, until })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bar_rises_by_itself_at_its_time_and_not_before() {
        let bar = Bar::default();
        let at = |seconds| Tick::ZERO + Duration::from_secs(seconds);
        assert_eq!(bar.down(Tick::ZERO), None);
        for keeps in [Keeps::Everybody, Keeps::NewComers] {
            let down = Down { keeps, until: Some(at(10)) };
            bar.lower(down);
            assert_eq!(bar.down(at(0)), Some(down));
            assert_eq!(bar.down(at(9)), Some(down));
            assert_eq!(bar.down(at(10)), None);
            let down = Down { keeps, until: None };
            bar.lower(down);
            assert_eq!(bar.down(at(u64::from(u32::MAX))), Some(down));
            bar.raise();
            assert_eq!(bar.down(at(0)), None);
        }
    }
}
