//! What an error body says, in whichever of a dozen shapes it says it (WIRE §3.5).
//!
//! Serde's tree is fine here: errors are rare and at most 16 KiB.

use std::time::Duration;

use serde_json::Value;

use super::hints::cap;
use super::moments;

/// An upstream's sentence longer than this is cut.
const MAX_MESSAGE_CHARS: usize = 500;
/// A code longer than this is none.
const MAX_TAG_CHARS: usize = 100;

#[derive(Clone, Debug, Default)]
pub(in crate::dialect) struct Said {
    pub message: Option<String>,
    pub code: Option<String>,
    /// The message in lower case, for looking up.
    pub text: String,
    /// A status that the body itself names.
    pub status: Option<u16>,
    pub retry_after: Option<Duration>,
    /// The limit that was hit is a day's.
    pub daily: bool,
    /// And one model's.
    pub of_model: bool,
    /// Another vendor behind this one is named as the guilty one.
    pub relayed: bool,
    /// MiniMax's own number.
    pub minimax: Option<u16>,
    /// Codes, types, statuses and reasons, in lower case.
    tags: Vec<String>,
}

impl Said {
    /// Reads an error; `None` when the bytes are not JSON or no error is in them.
    pub fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let root = match &value {
            Value::Array(elements) => elements.first()?,
            other => other,
        };
        Self::of(root)
    }

    fn of(root: &Value) -> Option<Self> {
        let mut said = Self::default();
        let base = &root["base_resp"];
        if let Some(code) = base["status_code"].as_u64().filter(|code| *code != 0) {
            said.minimax = u16::try_from(code).ok();
            said.sentence(&base["status_msg"]);
            return Some(said.finish());
        }
        match &root["error"] {
            error @ Value::Object(_) => said.error(error),
            // xAI, Venice: the sentence itself, the code beside it.
            error @ Value::String(_) => {
                said.sentence(error);
                said.tag(&root["code"]);
            }
            _ if root["response"]["error"].is_object() => said.error(&root["response"]["error"]),
            // Cohere's last event.
            _ if root["delta"]["error"].is_string() => said.sentence(&root["delta"]["error"]),
            // FastAPI and those built on it: a sentence, or a list of complaints.
            _ if !root["detail"].is_null() => {
                said.sentence(&root["detail"]);
                said.sentence(&root["detail"][0]["msg"]);
            }
            // Mistral, Cohere, Bedrock, DashScope, OpenAI's flat error event.
            _ if root["message"].is_string() => said.error(root),
            _ if root["msg"].is_string() => {
                said.error(root);
                said.sentence(&root["msg"]);
            }
            // Cloudflare's.
            _ if root["errors"][0].is_object() => said.error(&root["errors"][0]),
            _ => return None,
        }
        Some(said.finish())
    }

    /// An error object.
    fn error(&mut self, error: &Value) {
        self.sentence(&error["message"]);
        for key in ["code", "type", "status", "status_code", "raw_status_code"] {
            self.tag(&error[key]);
        }
        self.tag(&error["innererror"]["code"]);
        self.tag(&error["details"]["error_code"]);
        for detail in error["details"].as_array().into_iter().flatten() {
            self.tag(&detail["reason"]);
            if let Some(delay) = detail["retryDelay"].as_str() {
                self.retry_after = moments::duration(delay).map(cap);
            }
            for violation in detail["violations"].as_array().into_iter().flatten() {
                let says = |what: &str| violation["quotaId"].as_str().is_some_and(|id| id.contains(what));
                self.daily |= says("PerDay");
                self.of_model |= says("PerModel");
            }
        }
        let metadata = &error["metadata"];
        self.relayed = metadata["provider_name"].is_string();
        // What the vendor behind it said: a sentence, or its whole answer.
        let raw = metadata["raw"].as_str().and_then(|raw| Self::read(raw.as_bytes()));
        match raw.and_then(|raw| raw.message) {
            Some(message) => self.message = Some(message),
            None => self.sentence(&metadata["raw"]),
        }
        if metadata["reasons"].is_array() {
            self.tags.push("moderation".to_owned());
        }
    }

    /// A later, more telling sentence replaces an earlier one.
    fn sentence(&mut self, value: &Value) {
        if let Some(text) = value.as_str().and_then(clean) {
            self.message = Some(text);
        }
    }

    fn tag(&mut self, value: &Value) {
        match value {
            Value::String(tag) if !tag.is_empty() && tag.chars().count() <= MAX_TAG_CHARS => {
                self.code = self.code.take().or_else(|| clean(tag));
                self.tags.push(tag.to_ascii_lowercase());
            }
            Value::Number(number) => {
                let status = number.as_u64().and_then(|number| u16::try_from(number).ok());
                self.status = self.status.or(status.filter(|status| (400..=599).contains(status)));
            }
            _ => {}
        }
    }

    /// The error's kind stands outside of its body: `ThrottlingException:http://internal…/`.
    pub fn name(&mut self, kind: &str) {
        let name = kind.split([':', '#']).next().unwrap_or_default();
        self.tag(&Value::String(name.to_owned()));
    }

    fn finish(mut self) -> Self {
        self.text = self.message.as_deref().unwrap_or_default().to_lowercase();
        self.daily |= self.mentions(&["per day", "(rpd)", "(tpd)", "daily limit"]);
        // Groq's, and OpenRouter's of its models without a price.
        self.of_model |= self.mentions(&["reached for model", "free-models-per-day"]);
        self.retry_after = self.retry_after.or_else(|| wait_in_words(&self.text).map(cap));
        self
    }

    pub fn tagged(&self, tags: &[&str]) -> bool {
        self.tags.iter().any(|tag| tags.contains(&tag.as_str()))
    }

    pub fn mentions(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.text.contains(text))
    }

    /// The sentence, without the names of errors that a relay has put before it.
    pub fn own_words(&self) -> &str {
        let mut words = self.text.as_str();
        while let Some((name, rest)) = words.split_once(' ')
            && ["error", "exception"].iter().any(|kind| name.trim_end_matches(':').ends_with(kind))
        {
            words = rest.trim_start_matches(['-', ' ']);
        }
        words
    }

    /// The model that was asked for is not there, in anybody's words. The sentence has to begin with the model and to
    /// say so at once: further on may stand whatever the caller wrote.
    pub fn misses_model(&self) -> bool {
        const ALONE: &[&str] = &["invalid model", "unknown model", "no such model", "not found the model "];
        const BEGINNINGS: &[&str] = &[
            "model ",
            "models/",
            "the model ",
            "the requested model ",
            "this model ",
            "publisher model ",
            "specified model ",
        ];
        const MISSING: &[&str] = &[" not exist", " not found", " is not supported. supported models"];
        /// `The model or endpoint x does`.
        const MOST_WORDS_BEFORE: usize = 6;
        let words = self.own_words();
        let begins = |with: &[&str]| with.iter().any(|begin| words.starts_with(begin));
        let said_at =
            MISSING.iter().filter_map(|missing| words.split_once(missing)).map(|(before, _)| before);
        let mut at_once = said_at.map(|before| before.split(' ').count() <= MOST_WORDS_BEFORE);
        // Anthropic's whole sentence is the model's name.
        (self.tagged(&["not_found_error"]) && words.starts_with("model:"))
            || words.split_once(' ').is_some_and(|(_, rest)| rest.starts_with("is not a valid model"))
            || begins(ALONE)
            || (begins(BEGINNINGS) && at_once.any(|at_once| at_once))
    }
}

/// A body that is no JSON error, if it is a sentence and not a page.
pub(super) fn plain_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body.get(..body.len().min(4 * MAX_MESSAGE_CHARS)).unwrap_or_default());
    let text = text.trim_start();
    (!text.starts_with(['<', '{', '[']) && !text.contains('\u{fffd}')).then(|| clean(text)).flatten()
}

/// No control characters, no overlength; `None` when nothing is left.
fn clean(text: &str) -> Option<String> {
    let visible: String =
        text.trim().chars().take(MAX_MESSAGE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!visible.is_empty()).then_some(visible)
}

/// `… try again in 1m2.5s.`, `… retry in 900ms`; `text` is in lower case.
fn wait_in_words(text: &str) -> Option<Duration> {
    let (_, rest) = text.split_once("try again in ").or_else(|| text.split_once("retry in "))?;
    let word = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next()?;
    if let Some(wait) = moments::duration(word.trim_end_matches('.')) {
        return Some(wait);
    }
    // "in 20 seconds"
    let unit = rest.strip_prefix(word)?.trim_start();
    let number = moments::seconds(word)?;
    match unit {
        unit if unit.starts_with("second") => Some(number),
        unit if unit.starts_with("minute") => number.checked_mul(60),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_gives_its_sentence_and_its_code() {
        for (body, message, code) in [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m", Some("c")),
            (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, "m", Some("t")),
            (r#"{"code":"c","error":"m"}"#, "m", Some("c")),
            (r#"{"error":"m"}"#, "m", None),
            (
                r#"{"object":"error","message":"m","type":"t","code":"c","raw_status_code":400}"#,
                "m",
                Some("c"),
            ),
            (r#"{"detail":"m"}"#, "m", None),
            (r#"{"success":false,"code":"c","msg":"m"}"#, "m", Some("c")),
            (r#"{"success":false,"errors":[{"code":7003,"message":"m"}],"result":null}"#, "m", None),
            (r#"{"detail":[{"loc":["body"],"msg":"m"}]}"#, "m", None),
            (r#"[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]"#, "m", Some("NOT_FOUND")),
            (r#"{"base_resp":{"status_code":1004,"status_msg":"m"}}"#, "m", None),
            (r#"{"type":"response.failed","response":{"error":{"code":"c","message":"m"}}}"#, "m", Some("c")),
        ] {
            let said = Said::read(body.as_bytes()).expect(body);
            assert_eq!((said.message.as_deref(), said.code.as_deref()), (Some(message), code), "{body}");
        }
    }

    #[test]
    fn a_sentence_is_bounded_and_printable() {
        let long = format!(r#"{{"error":{{"message":"a\nb{}"}}}}"#, "é".repeat(1000));
        let message = Said::read(long.as_bytes()).and_then(|said| said.message).expect("a message");
        assert!(message.starts_with("a bé"));
        assert_eq!(message.chars().count(), MAX_MESSAGE_CHARS);
        assert_eq!(plain_text(b" upstream connect error\n"), Some("upstream connect error".to_owned()));
        assert_eq!(plain_text(b"<html>"), None);
    }

    #[test]
    fn a_wait_in_words_is_read() {
        for (text, expected) in [
            ("please try again in 20ms. visit", Some(Duration::from_millis(20))),
            ("try again in 6m0s.", Some(Duration::from_mins(6))),
            ("please retry in 34.07s", Some(Duration::from_millis(34_070))),
            ("try again in 20 seconds", Some(Duration::from_secs(20))),
            ("try again in a while", None),
            ("try again later", None),
        ] {
            assert_eq!(wait_in_words(text), expected, "{text}");
        }
    }
}
