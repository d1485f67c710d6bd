//! The JSON spelling of rules: units in names, one way to say how often, mistakes refused.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{Fault, Often, Rule, When};

/// [`Rule`] as it is written: `share`, `every` and `first` exclude each other.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleForm {
    #[serde(default, skip_serializing_if = "is_default")]
    when: When,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<u32>,
    fault: Fault,
}

fn is_default(when: &When) -> bool {
    *when == When::default()
}

impl TryFrom<RuleForm> for Rule {
    type Error = String;

    fn try_from(form: RuleForm) -> Result<Self, String> {
        let RuleForm { when, share, every, first, fault } = form;
        let often = match (share, every, first) {
            (None, None, None) => Often::Always,
            (Some(share), None, None) if (0.0..=1.0).contains(&share) => Often::Share(share),
            (Some(share), None, None) => return Err(format!("share: {share} is not within 0..=1")),
            (None, Some(n), None) => Often::Every(n),
            (None, None, Some(n)) => Often::First(n),
            _ => return Err("use one of `share`, `every` and `first`, not several".to_owned()),
        };
        if fault == Fault::Refuse && (!is_default(&when) || often != Often::Always) {
            return Err("refuse closes the whole upstream: `when`, `share`, `every` and `first` \
                        cannot narrow it"
                .to_owned());
        }
        Ok(Self { when, often, fault })
    }
}

impl From<Rule> for RuleForm {
    fn from(rule: Rule) -> Self {
        let (share, every, first) = match rule.often {
            Often::Always => (None, None, None),
            Often::Share(share) => (Some(share), None, None),
            Often::Every(n) => (None, Some(n), None),
            Often::First(n) => (None, None, Some(n)),
        };
        Self { when: rule.when, share, every, first, fault: rule.fault }
    }
}

/// Durations as whole milliseconds.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_millis(u64::deserialize(from)?))
    }

    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer};

        #[expect(clippy::ref_option, reason = "the signature that serde's `with` calls")]
        pub fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, to),
                None => to.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
        }
    }
}

/// A status code as its number; 1xx is no answer and is refused.
pub mod status {
    use http::StatusCode;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde's `with` calls")]
    pub fn serialize<S: Serializer>(value: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(value.as_u16())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<StatusCode, D::Error> {
        let code = u16::deserialize(from)?;
        StatusCode::from_u16(code)
            .ok()
            .filter(|status| (200..=599).contains(&status.as_u16()))
            .ok_or_else(|| D::Error::custom(format!("status: {code} is not within 200..=599")))
    }
}

/// Chunks as `[{"gap_ms": 20, "text": "…"}]`. Bytes that are not UTF-8 can be given in Rust only.
pub mod chunks {
    use std::time::Duration;

    use bytes::Bytes;
    use schemars::JsonSchema;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct Chunk {
        #[serde(default, rename = "gap_ms", with = "super::millis")]
        #[schemars(with = "u64")]
        gap: Duration,
        text: String,
    }

    pub fn serialize<S: Serializer>(value: &[(Duration, Bytes)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(
            value
                .iter()
                .map(|(gap, bytes)| Chunk { gap: *gap, text: String::from_utf8_lossy(bytes).into_owned() }),
        )
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Duration, Bytes)>, D::Error> {
        let chunks = Vec::<Chunk>::deserialize(from)?;
        Ok(chunks.into_iter().map(|chunk| (chunk.gap, Bytes::from(chunk.text))).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::super::rule::{Canned, How, InBand, ResetAt};
    use super::*;

    fn every_fault() -> Vec<Fault> {
        vec![
            Fault::Status {
                status: StatusCode::SERVICE_UNAVAILABLE,
                body: Some("down".to_owned()),
                retry_after: Some(Duration::from_secs(5)),
            },
            Fault::RateLimited { retry_after: Some(Duration::from_secs(20)) },
            Fault::QuotaExhausted,
            Fault::Refuse,
            Fault::Reset { at: ResetAt::Head },
            Fault::Hang,
            Fault::Slow { ttft: Duration::from_secs(5) },
            Fault::Drip { gap: Duration::from_secs(5) },
            Fault::Cut { after_events: 10, how: How::ChunkedEof },
            Fault::Stall { after_events: 10 },
            Fault::InBandError { after_events: 0, error: InBand::ServerError },
            Fault::EmptyStream,
            Fault::Canned(Canned {
                status: StatusCode::OK,
                headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                chunks: vec![(Duration::from_millis(5), "hello".into())],
            }),
        ]
    }

    #[test]
    fn every_fault_survives_the_round_trip_under_its_own_name() {
        for fault in every_fault() {
            let rule = Rule::new(fault);
            let json = serde_json::to_value(&rule).unwrap();
            assert_eq!(json["fault"]["kind"], rule.fault.name());
            assert_eq!(serde_json::from_value::<Rule>(json).unwrap(), rule);
        }
    }

    #[test]
    fn rules_are_read_as_documented() {
        let read = |text| serde_json::from_str::<Rule>(text).unwrap();
        let rule = read(
            r#"{"when": {"model": "m", "credential_tail": "a1b2"}, "every": 2, "fault": {"kind": "status", "status": 500}}"#,
        );
        let expected = Rule::new(Fault::status(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(rule, expected.model("m").credential("a1b2").every(2));
        assert_eq!(read(r#"{"fault": {"kind": "reset"}}"#), Rule::new(Fault::Reset { at: ResetAt::Body }));
        assert_eq!(read(r#"{"share": 0.5, "fault": {"kind": "hang"}}"#), Rule::new(Fault::Hang).share(0.5));
    }

    #[test]
    fn mistakes_are_refused_with_their_reason() {
        let refused = |text: &str, reason: &str| {
            let error = serde_json::from_str::<Rule>(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        refused(r#"{"fault": {"kind": "status", "status": 99}}"#, "200..=599");
        refused(r#"{"share": 1.5, "fault": {"kind": "hang"}}"#, "0..=1");
        refused(r#"{"share": 0.5, "every": 2, "fault": {"kind": "hang"}}"#, "not several");
        refused(r#"{"every": 0, "fault": {"kind": "hang"}}"#, "nonzero");
        refused(r#"{"when": {"model": "m"}, "fault": {"kind": "refuse"}}"#, "whole upstream");
        refused(r#"{"fault": {"kind": "explode"}}"#, "unknown variant");
        refused(r#"{"falt": {"kind": "hang"}}"#, "unknown field");
    }
}
