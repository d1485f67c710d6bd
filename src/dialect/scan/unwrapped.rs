//! A body of Anthropic's Messages as clouds have it, made Anthropic's own: their versions and betas are members where
//! Anthropic has headers, and would be refused there as members ("Extra inputs are not permitted").
//!
//! Sources: Anthropic's "Claude on Vertex AI", "Claude on Amazon Bedrock", and its SDKs for both, of which the newer
//! ones send a version of Anthropic's own instead of the cloud's.

use http::HeaderValue;

use super::super::entry::Wrapping;
use super::super::json::{Kind, Text, Walked, Walker};
use super::super::provider::Delivery;
use super::ScanError;

/// The version of Anthropic's own API that all those of clouds stand for.
const VERSION: &str = "2023-06-01";

/// What a cloud's version begins with.
const CLOUDS: [&str; 2] = ["vertex-", "bedrock-"];

const SHAPE_OF_VERSION: &str = "`anthropic_version` has to be a version, like \"vertex-2023-10-16\"";
const SHAPE_OF_BETAS: &str = "`anthropic_beta` has to be a list of names, of 4096 bytes together at most";

const SHAPE_OF_PROFILE: &str = "`user_profile_id` has to be an id";
const NO_MESSAGES: &str = "the body has no `messages`: invoke is served for Anthropic's Messages, and for nobody else's bodies; ask other models by Converse";

/// Of a version, an id and all flags, in bytes: they become headers.
const LONGEST_VERSION: usize = 64;
const LONGEST_PROFILE: usize = 256;
const MOST_OF_BETAS: usize = 4096;

/// A body of Anthropic's own, and what it said that belongs into headers.
#[derive(Debug, PartialEq, Eq)]
pub struct Unwrapped {
    pub body: Vec<u8>,
    /// `anthropic-version`.
    pub version: Option<HeaderValue>,
    /// Flags of `anthropic-beta`.
    pub betas: Vec<String>,
    /// `anthropic-user-profile-id`, which SDKs put into Bedrock's bodies.
    pub profile: Option<HeaderValue>,
}

/// The body without what belongs into headers, and with the path's model and delivery, where it names them. `None` where
/// it cannot be read, which a scan of it tells.
///
/// # Errors
/// What belongs into headers cannot stand there, or it is the body of another vendor's model.
pub fn unwrapped(
    wrapping: Wrapping,
    body: &[u8],
    model: Option<&str>,
) -> Result<Option<Unwrapped>, ScanError> {
    let mut own = Vec::with_capacity(body.len() + model.map_or(0, str::len) + 16);
    own.push(b'{');
    if let Some(model) = model {
        own.extend_from_slice(b"\"model\":");
        own.extend_from_slice(serde_json::Value::from(model).to_string().as_bytes());
    }
    let delivery = match wrapping {
        Wrapping::Bedrock(delivery) => Some(delivery),
        Wrapping::Vertex => None,
    };
    if delivery == Some(Delivery::Streamed) {
        own.extend_from_slice(if own.len() > 1 { b",\"stream\":true" } else { b"\"stream\":true" });
    }
    let mut seen = Seen::default();
    let mut walker = Walker::new(body);
    let walked = walker.object(|walker, key| {
        let at = walker.offset();
        if seen.takes(walker, key, at)? {
            return Ok(());
        }
        let (kind, span) = walker.value()?;
        seen.messages |= key.is("messages") && kind != Kind::Null;
        let is_the_paths = (model.is_some() && key.is("model")) || (delivery.is_some() && key.is("stream"));
        if !is_the_paths {
            if own.len() > 1 {
                own.push(b',');
            }
            own.push(b'"');
            own.extend_from_slice(key.raw);
            own.extend_from_slice(b"\":");
            own.extend_from_slice(walker.slice(span));
        }
        Ok(())
    });
    if walked.and_then(|_| walker.end()).is_err() {
        return Ok(None);
    }
    own.push(b'}');
    let Seen { version, betas, profile, messages, mut wrong } = seen;
    if delivery.is_some() && !messages {
        wrong.get_or_insert(ScanError::new(walker.position(), NO_MESSAGES));
    }
    match wrong {
        Some(wrong) => Err(wrong),
        None => Ok(Some(Unwrapped { body: own, version, betas, profile })),
    }
}

#[derive(Default)]
struct Seen {
    version: Option<HeaderValue>,
    betas: Vec<String>,
    profile: Option<HeaderValue>,
    messages: bool,
    /// The first thing that is.
    wrong: Option<ScanError>,
}

impl Seen {
    /// Takes the member's value, where it belongs into a header.
    fn takes(&mut self, walker: &mut Walker<'_>, key: &Text<'_>, at: usize) -> Walked<bool> {
        let sound = if key.is("anthropic_version") {
            let version = text(walker)?;
            self.version = version.as_deref().and_then(version_of);
            self.version.is_some().then_some(()).ok_or(SHAPE_OF_VERSION)
        } else if key.is("anthropic_beta") {
            self.betas(walker)?
        } else if key.is("user_profile_id") {
            let profile = text(walker)?.filter(|profile| profile.len() <= LONGEST_PROFILE);
            self.profile = profile.and_then(|profile| HeaderValue::from_str(&profile).ok());
            self.profile.is_some().then_some(()).ok_or(SHAPE_OF_PROFILE)
        } else {
            return Ok(false);
        };
        if let Err(message) = sound {
            self.wrong.get_or_insert(ScanError::new(at, message));
        }
        Ok(true)
    }

    /// A list of flags, or as a header has them.
    fn betas(&mut self, walker: &mut Walker<'_>) -> Walked<Result<(), &'static str>> {
        let mut is_sound = true;
        let mut flag = |walker: &mut Walker<'_>| {
            let flags = text(walker)?.unwrap_or_default();
            is_sound &=
                !flags.is_empty() && flags.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            self.betas
                .extend(flags.split(',').map(str::trim).filter(|flag| !flag.is_empty()).map(str::to_owned));
            Ok(())
        };
        match walker.kind()? {
            Kind::Array => walker.array(flag)?,
            Kind::Null => {
                walker.skip()?;
            }
            _ => flag(walker)?,
        }
        is_sound &= self.betas.iter().map(String::len).sum::<usize>() <= MOST_OF_BETAS;
        Ok(if is_sound { Ok(()) } else { Err(SHAPE_OF_BETAS) })
    }
}

/// A string; whatever else stands there is passed over.
fn text(walker: &mut Walker<'_>) -> Walked<Option<String>> {
    if walker.kind()? == Kind::String {
        return Ok(walker.string()?.decode().map(std::borrow::Cow::into_owned));
    }
    walker.skip()?;
    Ok(None)
}

fn version_of(said: &str) -> Option<HeaderValue> {
    let is_clouds = CLOUDS.iter().any(|cloud| said.starts_with(cloud));
    let is_sound = (1..=LONGEST_VERSION).contains(&said.len())
        && said.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let own = if is_clouds { VERSION } else { said };
    is_sound.then(|| HeaderValue::from_str(own).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::{scan, tests::entry};
    use super::*;

    fn said(body: &str, model: Option<&str>) -> String {
        said_at(Wrapping::Vertex, body, model)
    }

    /// `body`, and then headers as they stand.
    fn said_at(wrapping: Wrapping, body: &str, model: Option<&str>) -> String {
        match unwrapped(wrapping, body.as_bytes(), model) {
            Ok(Some(Unwrapped { body, version, betas, profile })) => {
                let version = version.map(|version| format!(" @{}", version.to_str().expect("text")));
                let mut said = String::from_utf8(body).expect("text") + &version.unwrap_or_default();
                for flag in betas {
                    said.extend([" +", &flag]);
                }
                if let Some(profile) = profile {
                    said.extend([" =", profile.to_str().expect("text")]);
                }
                said
            }
            Ok(None) => "-".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn versions_and_betas_go_into_headers_and_the_paths_model_into_the_body() {
        let check = |body: &str, expected: &str| assert_eq!(said(body, Some("cl\"x")), expected, "{body}");
        check(
            r#"{ "anthropic_version" : "vertex-2023-10-16", "messages":[{"anthropic_beta":1}], "max_tokens": 1.0 }"#,
            r#"{"model":"cl\"x","messages":[{"anthropic_beta":1}],"max_tokens":1.0} @2023-06-01"#,
        );
        check(r#"{"model":"other","anthropic_version":"2026-10-21"}"#, r#"{"model":"cl\"x"} @2026-10-21"#);
        check(r#"{"anthropic_beta":["a-1"," b,c "]}"#, r#"{"model":"cl\"x"} +a-1 +b +c"#);
        check(r#"{"anthropic_b\u0065ta":"a,b"}"#, r#"{"model":"cl\"x"} +a +b"#);
        check(r#"{"anthropic_beta":null,"anthropic_beta":[]}"#, r#"{"model":"cl\"x"}"#);
        check("{}", r#"{"model":"cl\"x"}"#);
        for broken in ["", "[]", r#"{"a""#, r#"{"a":1} x"#] {
            check(broken, "-");
        }
        let count = r#"{"model":"claude","anthropic_version":"bedrock-2023-05-31","messages":[]}"#;
        assert_eq!(said(count, None), r#"{"model":"claude","messages":[]} @2023-06-01"#);
    }

    #[test]
    fn bedrocks_path_says_how_it_is_delivered() {
        let check = |delivery, body: &str, expected: &str| {
            assert_eq!(said_at(Wrapping::Bedrock(delivery), body, Some("m")), expected, "{body}");
        };
        let body = r#"{"anthropic_version":"bedrock-2023-05-31","stream":false,"messages":[]}"#;
        check(Delivery::Whole, body, r#"{"model":"m","messages":[]} @2023-06-01"#);
        check(Delivery::Streamed, body, r#"{"model":"m","stream":true,"messages":[]} @2023-06-01"#);
        let body = r#"{"user_profile_id":"u_1","anthropic_beta":["a"],"messages":[]}"#;
        check(Delivery::Whole, body, r#"{"model":"m","messages":[]} +a =u_1"#);
        for (body, at) in [(r#"{"inputText":"hello"}"#, 21), ("{}", 2), (r#"{"messages":null}"#, 17)] {
            check(Delivery::Whole, body, &format!("{NO_MESSAGES} (at byte {at})"));
        }
    }

    #[test]
    fn what_cannot_be_a_header_is_refused() {
        for version in ["1", "null", "\"\"", r#""2023\r\nx: y""#, "{}", r#""é""#] {
            let body = format!(r#"{{"anthropic_version":{version}}}"#);
            assert_eq!(said(&body, None), format!("{SHAPE_OF_VERSION} (at byte 21)"), "{version}");
        }
        let most = |length| format!(r#"["{}","{}"]"#, "a".repeat(96), "b".repeat(length));
        assert!(!said(&format!(r#"{{"anthropic_beta":{}}}"#, most(4000)), None).contains("at byte"));
        for betas in
            ["1", &most(4001), "[1]", r#"["a\n"]"#, r#"["é"]"#, r#"[""]"#, r#"[["a"]]"#, r#"{"a":1}"#]
        {
            let body = format!(r#"{{"anthropic_beta":{betas}}}"#);
            assert_eq!(said(&body, None), format!("{SHAPE_OF_BETAS} (at byte 18)"), "{betas}");
        }
    }

    proptest! {
        /// Nothing else is lost or made up, and the scan finds what the path has named.
        #[test]
        fn all_other_members_stay_as_they_are(
            members in prop::collection::btree_map("[a-z_]{1,6}", "[a-z0-9 ,]{0,4}", 0..5),
            version in prop::option::of("(vertex-|bedrock-)?20[0-9]{2}-01-01"),
            betas in prop::option::of(prop::collection::vec("[a-z0-9-]{1,8}", 0..3)),
        ) {
            let plain: Value = members.iter().filter(|(name, _)| *name != "model" && *name != "stream" && *name != "models")
                .map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into();
            let mut wrapped = plain.clone();
            if let Some(version) = &version { wrapped["anthropic_version"] = json!(version); }
            if let Some(betas) = &betas { wrapped["anthropic_beta"] = json!(betas); }
            let own = unwrapped(Wrapping::Vertex, wrapped.to_string().as_bytes(), Some("claude-x")).expect("sound").expect("read");
            prop_assert_eq!(own.version.is_some(), version.is_some());
            prop_assert_eq!(own.betas, betas.unwrap_or_default());
            let scanned = scan(&entry("/v1/messages"), None, &own.body).map(|scan| scan.model);
            prop_assert_eq!(scanned, Ok("claude-x".to_owned()));
            let mut expected = plain;
            expected["model"] = json!("claude-x");
            prop_assert_eq!(serde_json::from_slice::<Value>(&own.body).expect("JSON"), expected);
        }

        #[test]
        fn whatever_comes_is_no_panic(body in "\\PC{0,40}|\\{\"anthropic_(beta|version)\":\\PC{0,12}\\}") {
            for wrapping in [Wrapping::Vertex, Wrapping::Bedrock(Delivery::Streamed)] {
                let _ = unwrapped(wrapping, body.as_bytes(), Some("m"));
            }
        }
    }
}
