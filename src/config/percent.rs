//! Shares as people write them: `5%`, `0.25%`.
//!
//! A number without the sign is refused: `0.05` once meant a twentieth to the writer and a twentieth of a
//! hundredth to the reader.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

/// A share, in hundredths of a percent: 0..=10000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    pub const FORMAT: &str = "mainstay-percent";
    pub const WHOLE: u32 = 100 * 100;

    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(number) = text.strip_suffix('%').map(str::trim_end) else {
            let how = match text.parse::<f64>() {
                Ok(share) if share > 0.0 && share <= 1.0 => format!("; write {text}%, or {}%", share * 100.0),
                Ok(_) => format!("; write {text}%"),
                Err(_) => String::new(),
            };
            return Err(format!("is not a share in percent, such as 5%{how}"));
        };
        let refused = || "is not a share in percent, such as 5% or 0.25%".to_owned();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 2 {
            return Err(refused());
        }
        let hundredths: u32 = format!("{part:0<2}").parse().map_err(|_| refused())?;
        let share =
            whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(100)?.checked_add(hundredths));
        share.filter(|share| *share <= Self::WHOLE).map(Self).ok_or_else(|| "is more than 100%".to_owned())
    }

    /// So many, of a hundred at most.
    pub const fn whole(percent: u32) -> Self {
        Self(if percent > 100 { Self::WHOLE } else { percent * 100 })
    }

    /// In hundredths of a percent.
    pub const fn hundredths(self) -> u32 {
        self.0
    }

    /// 0..=1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }
}

/// `5%`, `0.25%`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|why| de::Error::custom(format!("the value {why}")))
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share in percent, as in 5% or 0.25%.",
            "type": "string",
            "format": Self::FORMAT,
            "pattern": r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)%$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_it_is_shown() {
        for (text, hundredths) in [("0%", 0), ("5%", 500), ("0.25%", 25), ("33.3%", 3330), ("100%", 10_000)] {
            let share = Percent::parse(text).unwrap_or_else(|why| panic!("{text} {why}"));
            assert_eq!(share.hundredths(), hundredths, "{text}");
            assert_eq!(share.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_share_is_refused_with_a_remedy() {
        for (text, why) in [
            ("0.05", "write 0.05%, or 5%"),
            ("5", "write 5%"),
            ("five", "such as 5%"),
            ("100.01%", "more than 100%"),
            ("99999999999%", "more than 100%"),
            ("0.001%", "such as 5%"),
            ("-1%", "such as 5%"),
            ("%", "such as 5%"),
            ("", "such as 5%"),
        ] {
            let refused = Percent::parse(text).expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
