//! Durations and sizes as people write them: `250ms`, `3s`, `1m30s`; `64KiB`, `1MiB`.
//!
//! A number without a unit is refused for durations, because `30` once meant seconds to the writer
//! and milliseconds to the reader. Sizes are whole bytes; a bare number is bytes.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

/// Longest duration: ten years, for how long things are kept. Far below what arithmetic on points in time bears.
const LONGEST: Duration = Duration::from_hours(3660 * 24);

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// A duration in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A number of bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Span {
    pub const FORMAT: &str = "mainstay-duration";

    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok() && text != "0" {
            return Err(format!("has no unit; write {text}s, or {text}ms"));
        }
        let refused =
            || "is not a duration; write a number with ms, s, m, h or d, as in 250ms or 1m30s".to_owned();
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() && text != "0" {
            let (number, after) = digits(rest).ok_or_else(refused)?;
            let (unit, after) = letters(after);
            let (_, millis) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
            total = total.saturating_add(scaled(number, *millis).ok_or_else(refused)?);
            rest = after;
        }
        match total {
            _ if text.is_empty() => Err(refused()),
            total if total > LONGEST => Err("is longer than ten years".to_owned()),
            total => Ok(Self(total)),
        }
    }
}

impl Size {
    pub const FORMAT: &str = "mainstay-size";

    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = || "is not a size; write bytes, or a number with KiB, MiB or GiB".to_owned();
        let (number, unit) = digits(text).ok_or_else(refused)?;
        let unit = if unit.is_empty() { "B" } else { unit.trim_start() };
        let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        let whole: u64 = number.parse().map_err(|_| refused())?;
        whole.checked_mul(*bytes).map(Self).ok_or_else(|| "is too large".to_owned())
    }
}

/// `number` (with or without a decimal point) times `millis`.
fn scaled(number: &str, millis: u64) -> Option<Duration> {
    if let Ok(whole) = number.parse::<u64>() {
        return Some(Duration::from_millis(whole.saturating_mul(millis)));
    }
    let seconds = number.parse::<f64>().ok()? * millis as f64 / 1000.0;
    Duration::try_from_secs_f64(seconds).ok()
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn letters(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len()))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|why| de::Error::custom(format!("the value {why}")))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|why| de::Error::custom(format!("the value {why}")))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number with ms, s, m, h or d, as in 250ms, 3s or 1m30s.",
            "type": "string",
            "format": Self::FORMAT,
            "pattern": r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$",
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes, or a whole number with KiB, MiB or GiB, as in 64KiB.",
            "type": ["string", "integer"],
            "format": Self::FORMAT,
            "pattern": r"^[0-9]+ ?(B|KiB|MiB|GiB|KB|MB|GB)?$",
            "minimum": 0,
        })
    }
}

/// A duration as the file would have it: the shortest exact form.
pub fn shown(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 => format!("{}m", m / 60_000),
        m if m % 1000 == 0 => format!("{}s", m / 1000),
        m => format!("{m}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let check =
            |text, millis| assert_eq!(Span::parse(text), Ok(Span(Duration::from_millis(millis))), "{text}");
        check("0", 0);
        check("0s", 0);
        check("250ms", 250);
        check("3s", 3000);
        check("1.5s", 1500);
        check("1m30s", 90_000);
        check("10m", 600_000);
        check("2h", 7_200_000);
        check("1d", 86_400_000);
    }

    #[test]
    fn a_duration_without_a_unit_or_sense_is_refused() {
        for text in [
            "",
            "30",
            "1.5",
            "s",
            "3 s",
            "3x",
            "-3s",
            "3s4",
            "1e3s",
            "1..2s",
            "99999999999999999999s",
            "3661d",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        assert_eq!(Span::parse("30").unwrap_err(), "has no unit; write 30s, or 30ms");
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        let check = |text, bytes| assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        check("0", 0);
        check("512", 512);
        check("64KiB", 65_536);
        check("1 MiB", 1_048_576);
        check("2GB", 2_000_000_000);
        for text in ["", "KiB", "1.5MiB", "-1", "1XiB", "99999999999GiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0_u64..86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(Span::parse(&shown(duration)), Ok(Span(duration)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = (Span::parse(&text), Size::parse(&text));
        }
    }
}
