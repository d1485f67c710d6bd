//! What is read of a request before anything else, and what is refused for it.

use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::super::entry;
use super::*;

pub fn entry(path: &str) -> Entry<'_> {
    entry::find(&Method::POST, path, None, &HeaderMap::new()).expect("a way in")
}

fn chat(body: &str) -> Result<Scan, String> {
    scan(&entry("/v1/chat/completions"), None, body.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_chat_request_says_its_model_stream_and_limits() {
    let seen = chat(
        r#" { "messages":[{"model":"not this"}], "model" : "gpt-5", "stream":true,
            "stream_options":{"include_usage":true}, "max_tokens":7, "max_completion_tokens": null } "#,
    )
    .expect("sound");
    assert_eq!((seen.model.as_str(), seen.stream), ("gpt-5", true));
    assert_eq!((seen.include_usage, seen.max_output_tokens), (IncludeUsage::Yes, Some(7)));
    assert_eq!(seen.state, State::None);
}

#[test]
fn a_request_says_what_of_it_has_a_price() {
    let wish = |path, body: &str| scan(&entry(path), None, body.as_bytes()).expect("sound").wish;
    let hurried = wish("/v1/responses", r#"{"model":"m","input":"four","service_tier":"flex"}"#);
    assert_eq!(hurried, Wish { tier: Some(Tier::Flex), images: 1, answers: 1, characters: 0 });
    assert_eq!(wish("/v1/images/generations", r#"{"model":"m","n":3}"#).images, 3);
    assert_eq!(wish("/v1/chat/completions", r#"{"model":"m","n":3}"#).answers, 3);
    assert_eq!(wish("/v1/completions", r#"{"model":"m","n":2,"best_of":5}"#).answers, 5);
    for one in [r#"{"model":"m"}"#, r#"{"model":"m","n":null}"#, r#"{"model":"m","n":1}"#] {
        assert_eq!(wish("/v1/chat/completions", one).answers, 1);
    }
    assert_eq!(wish("/v1/responses", r#"{"model":"m","n":3}"#).answers, 1, "it has no such member");
    let gemini = |body| wish("/gemini/v1beta/models/m:generateContent", body).answers;
    assert_eq!(gemini(r#"{"contents":[],"generationConfig":{"candidateCount" : 4}}"#), 4);
    assert_eq!(gemini(r#"{"contents":[],"generation_config":{"candidate_count":2}}"#), 2);
    assert_eq!(gemini(r#"{"contents":[{"parts":[{"text":"\"candidateCount\":9"}]}]}"#), 1);
    assert_eq!(gemini(r#"{"contents":[],"generationConfig":{"candidateCount":99999999999}}"#), u32::MAX);
    let spoken = wish("/v1/audio/speech", "{\"model\":\"m\",\"input\":\"a\\u00e9\\n\u{1f600}\"}");
    assert_eq!(spoken.characters, 4);
    assert_eq!(wish("/v1/audio/speech", r#"{"model":"m","input":7}"#).characters, 0);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (body, why) in [
        (r#"{"model":"a","model":"b"}"#, "`model` is there twice"),
        (r#"{"model":"a","mod\u0065l":"b"}"#, "`model` is there twice"),
        (r#"{"model":"a","Model":"b"}"#, "this member has to be written in small letters"),
        (r#"{"model":"a","MODEL":"b"}"#, "this member has to be written in small letters"),
        (r#"{"model":"a","Max_Tokens":9}"#, "this member has to be written in small letters"),
        (r#"{"model":"a","max_to\u212aens":9}"#, "this member has to be written in small letters"),
        (r#"{"model":"a","max_token\u017f":9}"#, "this member has to be written in small letters"),
        (r#"{"model":"a","stream":true,"stream":false}"#, "`stream` is there twice"),
        (r#"{"model":"a"} {}"#, "expected the end of the body"),
        (r#"{"model":"a","stream":"yes"}"#, "`stream` has to be"),
        (r#"{"model":["a"]}"#, "`model` has to be a string"),
        (r#"{"model":""}"#, "`model` is empty"),
        (r#"{"model":"a\nb"}"#, "control character"),
        (r#"{"model":"\ud800"}"#, "surrogate"),
        (r#"{"messages":[]}"#, "names no `model`"),
        (r#"["model"]"#, "expected an object"),
        (r#"{"model":"a","x":[1,}"#, "expected a value"),
        ("", "expected an object"),
    ] {
        let error = chat(body).expect_err(body);
        assert!(error.contains(why), "{body}: {error}");
    }
    let error = scan(&entry("/v1/messages"), None, b"{\"model\":\"\xff\"}").expect_err("not UTF-8");
    assert_eq!((error.at, error.message.as_str()), (10, "the body is not valid UTF-8"));
}

#[test]
fn both_sides_of_the_limits() {
    let named = |length: usize| chat(&format!(r#"{{"model":"{}"}}"#, "m".repeat(length)));
    assert!(named(256).is_ok());
    assert!(named(257).is_err());
    let nested = |depth: usize| format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(chat(&nested(127)).is_ok());
    assert!(chat(&nested(128)).is_err());
}

#[test]
fn responses_keep_something_unless_nothing_is_stored_and_nothing_continued() {
    let check = |beside: &str, state: State| {
        let body = format!(r#"{{"model":"m"{beside}}}"#);
        let seen = scan(&entry("/v1/responses"), None, body.as_bytes()).expect("sound");
        assert_eq!(seen.state, state, "{beside}");
    };
    check("", State::Kept);
    check(r#","store":false,"previous_response_id":null"#, State::None);
    check(r#","store":false,"previous_response_id":"r""#, State::Kept);
    check(r#","store":true,"background":false,"conversation":null"#, State::Kept);
    check(r#","conversation":"c""#, State::Lasting);
    check(r#","conversation":{"id":"c"}"#, State::Lasting);
    check(r#","background":true"#, State::Background);
    check(r#","background":true,"conversation":"c""#, State::Background);
}

#[test]
fn who_has_a_model_think_says_so() {
    let check = |path: &str, beside: &str, thinks: Thinks| {
        let body = format!(r#"{{"model":"m"{beside}}}"#);
        let seen = scan(&entry(path), None, body.as_bytes()).expect("sound");
        assert_eq!(seen.thinks, thinks, "{beside}");
    };
    for (path, on, off) in [
        ("/v1/chat/completions", r#","reasoning_effort":"high""#, r#","reasoning_effort":"none""#),
        ("/v1/chat/completions", r#","reasoning_effort":"medium""#, r#","reasoning_effort":null"#),
        (
            "/v1/responses",
            r#","reasoning":{"summary":"auto","effort":"xhigh"}"#,
            r#","reasoning":{"effort":"low"}"#,
        ),
        ("/v1/responses", r#","reasoning":{"effort":"high"}"#, r#","reasoning":null"#),
        ("/v1/messages", r#","thinking":{"type":"adaptive"}"#, r#","thinking":{"type":"disabled"}"#),
        (
            "/v1/messages",
            r#","thinking":{"budget_tokens":2048,"type":"enabled"}"#,
            r#","thinking":"adaptive""#,
        ),
    ] {
        check(path, on, Thinks::Yes);
        check(path, off, Thinks::Unsaid);
    }
}

#[test]
fn a_path_names_the_model_and_the_body_is_left_alone() {
    let entry = entry("/v1beta/models/g:streamGenerateContent");
    let seen = scan(&entry, None, b"not even JSON").expect("not read");
    assert_eq!((seen.model.as_str(), seen.stream, seen.prompt_tokens), ("g", true, 3));
}

/// In every dialect, as a request with one picture has it.
#[test]
fn a_medium_costs_what_it_costs_however_many_bytes_it_has() {
    for (path, before, after) in [
        (
            "/v1/chat/completions",
            r#"{"model":"m","messages":[{"content":[{"image_url":{"url":"data:image/png;base64,"#,
            r#""}}]}]}"#,
        ),
        (
            "/v1/messages",
            r#"{"model":"m","messages":[{"content":[{"source":{"type":"base64","data":""#,
            r#""}}]}]}"#,
        ),
        ("/v1/responses", r#"{"input":[{"content":[{"file_data":""#, r#""}]}],"model":"m"}"#),
        (
            "/v1beta/models/g:generateContent",
            r#"{"contents":[{"parts":[{"inlineData":{"data":""#,
            r#""}}]}]}"#,
        ),
        (
            "/bedrock/model/m/converse",
            r#"{"messages":[{"content":[{"image":{"source":{"bytes":""#,
            r#""}}}]}]}"#,
        ),
    ] {
        let tokens = |bytes: usize| {
            let body = [before, &"iVBORw0K".repeat(bytes / 8), after].concat();
            scan(&entry(path), None, body.as_bytes()).expect("sound").prompt_tokens
        };
        let (small, large, huge) = (tokens(4_000), tokens(400_000), tokens(4_000_000));
        assert!((1_000..1_100).contains(&small), "{path}: {small}");
        assert!((tokens::PER_MEDIUM..tokens::PER_MEDIUM + 100).contains(&large), "{path}: {large}");
        assert_eq!(large, huge, "{path}");
    }
    let words = format!(r#"{{"model":"m","input":"{}"}}"#, "many words ".repeat(4_000));
    let seen = scan(&entry("/v1/responses"), None, words.as_bytes()).expect("sound");
    assert_eq!(seen.prompt_tokens, words.len() as u64 / 4, "a long text is long");
}

#[test]
fn a_moderation_may_leave_its_model_out() {
    let seen = scan(&entry("/v1/moderations"), None, br#"{"input":"x"}"#).expect("sound");
    assert_eq!(seen.model, DEFAULT_MODERATION);
    assert!(scan(&entry("/v1/moderations"), None, b"{}").is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for path in ["/v1/chat/completions", "/v1/responses", "/v1/audio/transcriptions"] {
            let _ = scan(&entry(path), Some("multipart/form-data; boundary=b"), &body);
            let _ = scan(&entry(path), None, &body);
        }
    }
}
