//! Reads rows, and trusts nothing.

use std::sync::Arc;
use std::time::Duration;

use super::Words;
use crate::store::rows::{AttemptRow, RequestRow, RowId, Who};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Part, Tier, Usage};

pub struct Eye<'e> {
    pub rest: &'e [u8],
    pub words: &'e mut Words,
}

impl<'e> Eye<'e> {
    fn take(&mut self, count: usize) -> Option<&'e [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            ((part << shift) >> shift == part).then_some(())?;
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Of things that take a byte at least.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    fn small<N: TryFrom<u64>>(&mut self) -> Option<N> {
        N::try_from(self.number()?).ok()
    }

    pub fn wide(&mut self) -> Option<u128> {
        self.take(16)?.try_into().ok().map(u128::from_le_bytes)
    }

    fn signed(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'e str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn name(&mut self) -> Option<Arc<str>> {
        self.text().map(Arc::from)
    }

    fn word(&mut self) -> Option<&'static str> {
        let text = self.text()?;
        self.words.word(text)
    }

    fn time(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_nanos)
    }

    fn money(&mut self) -> Option<Money> {
        self.number().map(Money::nano_usd)
    }

    /// The outer `None` is what cannot be read.
    #[expect(clippy::option_option, reason = "what may be missing may be unreadable as well")]
    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Some(None) }
    }

    fn usage(&mut self) -> Option<Usage> {
        Some(Usage {
            input: self.number()?,
            cache_read: self.number()?,
            cache_write: self.number()?,
            cache_write_1h: self.number()?,
            output: self.number()?,
            reasoning: self.number()?,
            input_audio: self.number()?,
            cache_read_audio: self.number()?,
            output_audio: self.number()?,
            input_image: self.number()?,
            output_image: self.number()?,
            other: Other {
                images: self.small()?,
                searches: self.small()?,
                characters: self.small()?,
                audio_millis: self.small()?,
            },
            tier: self.maybe(Self::tier)?,
            said: self.maybe(Self::money)?,
        })
    }

    fn tier(&mut self) -> Option<Tier> {
        let name = self.text()?;
        Tier::ALL.into_iter().find(|tier| tier.name() == name)
    }

    fn tags(&mut self) -> Option<Vec<(Arc<str>, Box<str>)>> {
        let count = self.count()?;
        (0..count).map(|_| Some((self.name()?, self.text()?.into()))).collect()
    }

    pub fn request(&mut self) -> Option<RequestRow> {
        Some(RequestRow {
            id: RowId(self.wide()?),
            request_id: self.text()?.into(),
            at_micros: self.signed()?,
            who: Who {
                organisation: self.maybe(Self::name)?,
                team: self.maybe(Self::name)?,
                user: self.maybe(Self::name)?,
                key: self.maybe(Self::name)?,
            },
            tags: self.tags()?,
            route: self.name()?,
            arm: self.maybe(Self::name)?,
            dialect: self.word()?,
            operation: self.word()?,
            model: self.text()?.into(),
            stream: self.flag()?,
            outcome: self.word()?,
            replayed: self.maybe(Self::word)?,
            attempts: self.small()?,
            took: self.time()?,
            first_byte: self.maybe(Self::time)?,
            own: self.time()?,
            usage: self.usage()?,
            cost: self.maybe(Self::money)?,
            estimated: self.flag()?,
        })
    }

    pub fn attempt(&mut self) -> Option<AttemptRow> {
        Some(AttemptRow {
            request: RowId(self.wide()?),
            number: self.small()?,
            at_micros: self.signed()?,
            part: self.part()?,
            upstream: self.name()?,
            provider: self.text()?.to_owned().into(),
            model: self.name()?,
            credential: self.small()?,
            verdict: self.word()?,
            stage: self.word()?,
            took: self.time()?,
            first_byte: self.maybe(Self::time)?,
            usage: self.usage()?,
            estimated: self.flag()?,
            cost: self.maybe(Self::money)?,
            priced: self.text()?.into(),
            tier: self.word()?,
        })
    }

    fn part(&mut self) -> Option<Part> {
        let name = self.text()?;
        Part::ALL.into_iter().find(|part| part.name() == name)
    }
}
