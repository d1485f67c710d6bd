//! Amounts of money as people write them: `30`, `0.05`, `30.00 USD`.
//!
//! US dollars only, since that is what providers' prices are in; read digit by digit, to the nano-dollar.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::vocab::Money;

/// An amount in the file, never nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dollars(pub Money);

impl Dollars {
    pub const FORMAT: &str = "mainstay-dollars";

    pub fn parse(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("USD").map_or(text, str::trim_end);
        let money = Money::parse(number).ok_or_else(|| {
            "is not an amount of US dollars; write 30, 0.05 or 30.00 USD, with up to nine decimals".to_owned()
        })?;
        if money == Money::ZERO {
            return Err("is nothing; write more, or take away who may ask (`allow`, `expires`)".to_owned());
        }
        Ok(Self(money))
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// YAML's scalars come as texts here, JSON's numbers as numbers.
struct Reader;

impl Visitor<'_> for Reader {
    type Value = Dollars;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount of US dollars, such as 30 or 0.05")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Dollars, E> {
        Dollars::parse(text).map_err(|why| E::custom(format!("the amount {why}")))
    }

    fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Dollars, E> {
        self.visit_str(&whole.to_string())
    }

    /// Written again as it was: the shortest number that means the same.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Dollars, E> {
        self.visit_str(&number.to_string())
    }
}

impl JsonSchema for Dollars {
    fn schema_name() -> Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "US dollars, as in 30, 0.05 or 30.00 USD.",
            "type": ["string", "number"],
            "format": Self::FORMAT,
            "pattern": r"^[0-9]+(\.[0-9]{1,9})?( ?USD)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly_with_its_currency_or_without() {
        for (text, nano) in [
            ("30", 30_000_000_000),
            ("30.00 USD", 30_000_000_000),
            ("30USD", 30_000_000_000),
            ("0.05", 50_000_000),
            ("0.000000001", 1),
        ] {
            assert_eq!(Dollars::parse(text), Ok(Dollars(Money::nano_usd(nano))), "{text}");
        }
        for text in ["", "0", "0.00 USD", "-1", "30 EUR", "1e3", "thirty", "0.0000000001", ".5"] {
            assert!(Dollars::parse(text).is_err(), "{text}");
        }
        let json =
            |text: &str| serde_json::from_str::<Dollars>(text).map(|dollars| dollars.0.as_nano_usd()).ok();
        assert_eq!(json("30"), Some(30_000_000_000));
        assert_eq!(json("0.05"), Some(50_000_000));
        assert_eq!(json("12.34"), Some(12_340_000_000));
        assert_eq!(json("\"7.5 USD\""), Some(7_500_000_000));
        assert_eq!(json("-1"), None);
    }
}
