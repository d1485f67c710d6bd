//! Writes rows.

use std::time::Duration;

use crate::store::rows::{AttemptRow, RequestRow, Who};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Tier, Usage};

pub struct Pen<'p>(pub &'p mut Vec<u8>);

impl Pen<'_> {
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub fn wide(&mut self, number: u128) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self, time: Duration) {
        self.number(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn money(&mut self, money: Money) {
        self.number(money.as_nano_usd());
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn maybe_text(&mut self, text: Option<&str>) {
        self.maybe(text, Self::text);
    }

    fn usage(&mut self, usage: &Usage) {
        let Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning, .. } = *usage;
        let Usage {
            input_audio,
            cache_read_audio,
            output_audio,
            input_image,
            output_image,
            other,
            tier,
            said,
            ..
        } = *usage;
        let Other { images, searches, characters, audio_millis } = other;
        let counts = [input, cache_read, cache_write, cache_write_1h, output, reasoning];
        let media = [input_audio, cache_read_audio, output_audio, input_image, output_image];
        let others = [images, searches, characters, audio_millis].map(u64::from);
        counts.into_iter().chain(media).chain(others).for_each(|count| self.number(count));
        self.maybe_text(tier.map(Tier::name));
        self.maybe(said, Self::money);
    }

    pub fn request(&mut self, row: &RequestRow) {
        let RequestRow {
            id, request_id, at_micros, who, tags, route, arm, dialect, operation, model, ..
        } = row;
        let RequestRow { stream, outcome, replayed, attempts, took, first_byte, own, usage, cost, .. } = row;
        let Who { organisation, team, user, key } = who;
        self.wide(id.0);
        self.text(request_id);
        self.signed(*at_micros);
        for name in [organisation, team, user, key] {
            self.maybe_text(name.as_deref());
        }
        self.number(tags.len() as u64);
        for (name, value) in tags {
            self.text(name);
            self.text(value);
        }
        self.text(route);
        self.maybe_text(arm.as_deref());
        self.text(dialect);
        self.text(operation);
        self.text(model);
        self.flag(*stream);
        self.text(outcome);
        self.maybe_text(*replayed);
        self.number(u64::from(*attempts));
        self.time(*took);
        self.maybe(*first_byte, Self::time);
        self.time(*own);
        self.usage(usage);
        self.maybe(*cost, Self::money);
        self.flag(row.estimated);
    }

    pub fn attempt(&mut self, row: &AttemptRow) {
        let AttemptRow { request, number, at_micros, part, upstream, provider, model, credential, .. } = row;
        let AttemptRow { verdict, stage, took, first_byte, usage, estimated, cost, priced, tier, .. } = row;
        self.wide(request.0);
        self.number(u64::from(*number));
        self.signed(*at_micros);
        self.text(part.name());
        self.text(upstream);
        self.text(provider);
        self.text(model);
        self.number(u64::from(*credential));
        self.text(verdict);
        self.text(stage);
        self.time(*took);
        self.maybe(*first_byte, Self::time);
        self.usage(usage);
        self.flag(*estimated);
        self.maybe(*cost, Self::money);
        self.text(priced);
        self.text(tier);
    }
}
