//! Whether a request has to be said anew for an upstream that speaks the caller's own dialect.
//!
//! Its bytes pass as they are, save where they hold what earlier answers left in them and this upstream refuses: marks
//! of ours, members and ids of other vendors, thoughts that are missing where it wants them. Looks for names only, and
//! parses nothing unless it has found some: what is said anew without need is the same request.

use memchr::memmem;

use super::hub::Signature;
use super::quirks::{Quirks, StrangeMembers, ToolIds};
use super::{Dialect, gemini, remote};

/// Members of chat messages that only some vendors know.
const STRANGE: [&str; 3] = ["\"reasoning_content\"", "\"reasoning_details\"", "\"extra_content\""];
/// Members of OpenAI's own answers that others who are strict refuse to hear.
const OF_ANSWERS: [&str; 2] = ["\"annotations\"", "\"refusal\""];
/// Members of OpenAI's requests that Mistral refuses: it tells its usage unasked, and has one name for a limit.
const UNKNOWN_TO_MISTRAL: [&str; 2] = ["\"include_usage\"", "\"max_completion_tokens\""];
/// What is in Claude's ids of calls: `toolu_` at home and at Vertex AI, `srvtoolu_` for the server's own tools,
/// `tooluse_` at Bedrock.
const OF_CLAUDE: &[u8] = b"toolu";

/// Is there anything in it that this upstream refuses? `model` is its name there.
pub fn is_wanted(dialect: Dialect, body: &[u8], model: &str, quirks: &Quirks) -> bool {
    if remote::refuses_urls(dialect, quirks) && has(body, "\"url\"") {
        return true;
    }
    match dialect {
        Dialect::OpenAi => holds_strangers(body, quirks),
        Dialect::Anthropic if !quirks.is_claude(model) => Signature::may_be_sealed(body),
        Dialect::Anthropic => Signature::may_be_ours(dialect, body) || thinks_after(body, b"\"tool_use_id\""),
        Dialect::Bedrock => Signature::may_be_ours(dialect, body) || thinks_after(body, b"\"toolUseId\""),
        Dialect::Gemini => {
            Signature::may_be_ours(dialect, body) || gemini::request::lacks_signatures(body, model)
        }
        Dialect::Responses => Signature::may_be_ours(dialect, body),
        Dialect::Cohere | Dialect::Ollama | Dialect::Http => false,
    }
}

fn has(body: &[u8], name: &str) -> bool {
    memmem::find(body, name.as_bytes()).is_some()
}

/// What others have put into a chat, and this vendor refuses.
fn holds_strangers(body: &[u8], quirks: &Quirks) -> bool {
    let strange = match quirks.strange_members {
        StrangeMembers::Ignored => false,
        StrangeMembers::RefusedByOpenAi => STRANGE.iter().any(|name| has(body, name)),
        StrangeMembers::Refused => STRANGE.iter().chain(&OF_ANSWERS).any(|name| has(body, name)),
    };
    // Nobody else wants such ids.
    let is_mistral = quirks.tool_ids == ToolIds::NineAlphanumeric;
    let is_unknown = || UNKNOWN_TO_MISTRAL.iter().any(|name| has(body, name));
    let has_other_ids = || texts(body, b"\"tool_call_id\"").any(|id| !quirks.tool_ids.takes(id));
    strange || (is_mistral && (is_unknown() || has_other_ids()))
}

/// May Claude be asked to think with a budget after another model's calls, which have no thoughts that he knows?
fn thinks_after(body: &[u8], id: &'static [u8]) -> bool {
    has(body, "\"budget_tokens\"") && texts(body, id).any(|id| memmem::find(id, OF_CLAUDE).is_none())
}

/// What stands between the quotes behind each member of this name, as it is written.
fn texts<'b>(body: &'b [u8], name: &'static [u8]) -> impl Iterator<Item = &'b [u8]> {
    memmem::find_iter(body, name).filter_map(|at| {
        let value = body.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":")?;
        let text = value.trim_ascii_start().strip_prefix(b"\"")?;
        text.get(..memchr::memchr(b'"', text)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::provider;

    fn check(provider: &str, dialect: Dialect, model: &str, cases: &[(&str, bool)]) {
        let quirks = provider::find(provider).expect("a row").quirks;
        for (body, wanted) in cases {
            assert_eq!(is_wanted(dialect, body.as_bytes(), model, quirks), *wanted, "{provider} {body}");
        }
    }

    #[test]
    fn what_others_left_in_a_chat_goes_only_to_those_who_take_it() {
        let reasoning = r#"{"messages":[{"role":"assistant","reasoning_content":"a"}]}"#;
        let annotated = r#"{"messages":[{"role":"assistant","annotations":[],"refusal":null}]}"#;
        let called = r#"{"tool_call_id": "call_1"}"#;
        let nine = r#"{"tool_call_id":"aB3456789"}"#;
        let usage = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
        check("mistral", Dialect::OpenAi, "m", &[(usage, true), (r#"{"max_completion_tokens":9}"#, true)]);
        check("custom", Dialect::OpenAi, "m", &[(usage, false), (r#"{"max_completion_tokens":9}"#, false)]);
        let plain = r#"{"messages":[{"role":"user","content":"the reasoning_content"}]}"#;
        for (provider, strange, told, ids) in [
            ("openai", true, false, false),
            ("mistral", true, true, true),
            ("groq", true, true, false),
            ("cerebras", true, true, false),
            ("deepseek", false, false, false),
            ("custom", false, false, false),
        ] {
            let cases =
                [(reasoning, strange), (annotated, told), (called, ids), (nine, false), (plain, false)];
            check(provider, Dialect::OpenAi, "m", &cases);
        }
    }

    #[test]
    fn claude_gets_no_thoughts_that_nobody_has_signed() {
        let unsigned = r#"{"content":[{"type":"thinking","thinking":"a","signature":""}]}"#;
        let sealed = r#"{"signature":"bWFpbnN0YXkx"}"#;
        check("anthropic", Dialect::Anthropic, "mine", &[(unsigned, true), (sealed, true)]);
        check("openrouter", Dialect::Anthropic, "anthropic/claude-opus-5", &[(unsigned, true)]);
        check("openrouter", Dialect::Anthropic, "deepseek/deepseek-v4", &[(unsigned, false)]);
        check("deepseek", Dialect::Anthropic, "deepseek-chat", &[(unsigned, false), (sealed, true)]);
        check("custom", Dialect::Anthropic, "kimi-k3", &[(unsigned, false), (sealed, true)]);
    }

    #[test]
    fn claude_is_asked_about_other_models_calls_anew_where_it_thinks_with_a_budget() {
        let foreign = r#"{"thinking":{"budget_tokens":2000},"messages":[{"tool_use_id": "call_1"}]}"#;
        let own = r#"{"thinking":{"budget_tokens":2000},"messages":[{"tool_use_id":"toolu_1"}]}"#;
        let adaptive = r#"{"thinking":{"type":"adaptive"},"messages":[{"tool_use_id":"call_1"}]}"#;
        let served = r#"{"thinking":{"budget_tokens":2000},"messages":[{"tool_use_id":"srvtoolu_1"}]}"#;
        let cases = [(foreign, true), (own, false), (served, false), (adaptive, false)];
        check("anthropic", Dialect::Anthropic, "claude-sonnet-4-5", &cases);
        let foreign = r#"{"budget_tokens":2000,"toolUseId":"call_1"}"#;
        let own = r#"{"budget_tokens":2000,"toolUseId":"tooluse_1"}"#;
        check(
            "bedrock",
            Dialect::Bedrock,
            "us.anthropic.claude-sonnet-4-5",
            &[(foreign, true), (own, false)],
        );
    }

    #[test]
    fn clouds_that_fetch_nothing_get_no_urls() {
        let image = r#"{"source":{"type":"url","url":"https://x/y.png"}}"#;
        check("vertex", Dialect::Anthropic, "claude-opus-5", &[(image, true)]);
        check("anthropic", Dialect::Anthropic, "claude-opus-5", &[(image, false)]);
    }

    #[test]
    fn gemini_gets_a_signature_for_calls_that_have_none() {
        let unsigned = r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}}]}]}"#;
        let signed = r#"{"contents":[{"parts":[{"functionCall":{"name":"f"},"thoughtSignature":"s"},{"functionCall":{"name":"g"}}]}]}"#;
        let second = r#"{"contents":[{"parts":[{"function_call":{"name":"f"}},{"functionCall":{"name":"g"},"thought_signature":"s"}]}]}"#;
        let cases = [(unsigned, true), (signed, false), (second, true)];
        check("gemini", Dialect::Gemini, "gemini-3-pro", &cases);
        check("gemini", Dialect::Gemini, "gemini-2.5-pro", &[(unsigned, false)]);
        check("gemini", Dialect::Gemini, "mine", &[(unsigned, false)]);
    }
}
