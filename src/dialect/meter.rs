//! What an answer in one piece says: how many tokens, an error in spite of its 200, all of it?

use super::billed;
use super::classify::{self, InBand};
use super::json::{self, Kind, Text, Walked, Walker};
use super::watch::{Glimpse, Says};
use super::{Dialect, Operation, anthropic, bedrock, cohere, gemini, ollama, openai, responses, translate};
use crate::vocab::Usage;
use crate::vocab::usage::Other;

/// What was found in a successful answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyFacts {
    pub usage: Option<Usage>,
    /// It is an error after all.
    pub in_band: Option<InBand>,
    /// Nothing is cut off, as far as its form can tell.
    pub whole: bool,
}

/// Reads a successful answer.
pub fn reply(dialect: Dialect, operation: Operation, body: &[u8]) -> ReplyFacts {
    if dialect == Dialect::Http || is_media(operation, body) {
        return ReplyFacts { whole: true, ..ReplyFacts::default() };
    }
    let Some(seen) = walk(dialect, operation, body) else {
        let whole = json::is_whole(body) || operation == Operation::Speech;
        return ReplyFacts { whole, ..ReplyFacts::default() };
    };
    let usage = seen.usage.or((seen.pictures > 0).then(Usage::default)).map(|usage| Usage {
        other: Other { images: seen.pictures, ..usage.other },
        tier: usage.tier.or(seen.glimpse.tier),
        ..usage
    });
    let in_band = if seen.answers {
        (seen.glimpse.says == Says::Error).then(|| classify::in_band(body)).flatten()
    } else if seen.glimpse.complains || seen.glimpse.says == Says::Error || generates(operation) {
        Some(classify::in_band(body).unwrap_or_else(|| InBand::unnamed(NO_ANSWER)))
    } else {
        None
    };
    ReplyFacts { usage, in_band, whole: true }
}

/// For an answer with a 200 that is none and does not say why.
const NO_ANSWER: &str = "there is nothing of an answer in the upstream's answer";

/// Speech is audio, and transcripts may be plain text: neither shows where it should end. An object in place of either
/// is JSON.
fn is_media(operation: Operation, body: &[u8]) -> bool {
    match operation {
        Operation::Speech | Operation::Transcriptions | Operation::Translations => {
            !body.trim_ascii_start().starts_with(b"{")
        }
        _ => false,
    }
}

/// Whether an answer has to hold what [`answer`] looks for. Others are as many as there are vendors, and are errors
/// only where they say so.
const fn generates(operation: Operation) -> bool {
    matches!(operation, Operation::Completions | Operation::OllamaChat) || translate::generates(operation)
}

/// Takes a member that an answer consists of, and says whether there is anything in it; `None` if it is no such member.
fn answer(operation: Operation, walker: &mut Walker<'_>, key: &Text<'_>) -> Walked<Option<bool>> {
    let names: &[&str] = match operation {
        Operation::Chat | Operation::Completions => &["choices"],
        Operation::Messages => &["content"],
        Operation::Generate | Operation::StreamGenerate => &["candidates", "promptFeedback"],
        Operation::CohereChat | Operation::OllamaChat => &["message"],
        Operation::Responses | Operation::Converse | Operation::ConverseStream => &["output"],
        _ => &["data", "results", "embeddings", "embedding", "predictions", "text", "images", "models"],
    };
    let kind = walker.kind()?;
    let is_answer = !generates(operation) || matches!(kind, Kind::Object | Kind::Array);
    if !is_answer || !names.iter().any(|name| key.is(name)) {
        return Ok(None);
    }
    // A model may well have nothing to say; then its message is empty, and yet there.
    let may_be_empty = kind == Kind::Array && matches!(operation, Operation::Messages | Operation::Responses);
    Ok(Some(!walker.is_blank()? || may_be_empty))
}

/// What one pass over an answer has met.
#[derive(Default)]
struct Seen {
    usage: Option<Usage>,
    glimpse: Glimpse,
    /// That were made.
    pictures: u32,
    /// There is something of an answer in it.
    answers: bool,
}

impl Seen {
    fn member(&mut self, operation: Operation, walker: &mut Walker<'_>, key: &Text<'_>) -> Walked {
        match answer(operation, walker, key)? {
            Some(is_there) => self.answers |= is_there,
            None => self.glimpse.error_or_skip(walker, key)?,
        }
        Ok(())
    }
}

/// `None` when it is no whole JSON object.
fn walk(dialect: Dialect, operation: Operation, body: &[u8]) -> Option<Seen> {
    if dialect == Dialect::Ollama {
        return whole(operation, body);
    }
    let name = match dialect {
        Dialect::Gemini => "usageMetadata",
        Dialect::OpenAi
        | Dialect::Responses
        | Dialect::Anthropic
        | Dialect::Cohere
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => "usage",
    };
    let makes_pictures = billed::makes_pictures(operation);
    let mut seen = Seen::default();
    let mut walker = Walker::new(body);
    if walker.kind().ok()? != Kind::Object {
        return None;
    }
    walker
        .object(|walker, key| {
            if makes_pictures && key.is("data") && walker.kind()? == Kind::Array {
                seen.pictures = 0;
                seen.answers = true;
                return walker.array(|walker| {
                    seen.pictures = seen.pictures.saturating_add(1);
                    walker.skip().map(drop)
                });
            }
            // Cohere's ranks and vectors have it in their `meta`.
            let is_usage = key.is(name) || (dialect == Dialect::Cohere && key.is("meta"));
            if !is_usage {
                return seen.member(operation, walker, key);
            }
            if walker.kind()? == Kind::Object {
                seen.usage = object(dialect, walker)?;
                return Ok(());
            }
            walker.skip().map(drop)
        })
        .and_then(|_| walker.end())
        .ok()?;
    Some(seen)
}

/// Ollama's counts are members of the answer itself.
fn whole(operation: Operation, body: &[u8]) -> Option<Seen> {
    let mut seen = Seen::default();
    let mut walker = Walker::new(body);
    walker.object(|walker, key| seen.member(operation, walker, key)).and_then(|_| walker.end()).ok()?;
    seen.usage = usage_at(Dialect::Ollama, body);
    Some(seen)
}

/// Takes a usage object.
fn object(dialect: Dialect, walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let said = match dialect {
        Dialect::OpenAi => openai::usage::read(walker),
        Dialect::Responses => responses::usage::read(walker),
        Dialect::Anthropic => Ok(anthropic::usage::Counts::read(walker)?.sum()),
        Dialect::Gemini => gemini::usage::read(walker),
        Dialect::Cohere => cohere::usage::billed(walker),
        Dialect::Bedrock => bedrock::usage::read(walker),
        Dialect::Ollama => ollama::usage::read(walker),
        Dialect::Http => walker.skip().map(|_| None),
    };
    said.map(|usage| usage.filter(Usage::is_plausible))
}

/// Reads the usage object that `json` begins with.
pub fn usage_at(dialect: Dialect, json: &[u8]) -> Option<Usage> {
    object(dialect, &mut Walker::new(json)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vocab::{Fault, Money, Tier};

    #[test]
    fn what_no_provider_can_mean_is_not_said() {
        for body in [
            r#"{"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":1}}"#,
            r#"{"usage":{"prompt_tokens":1,"completion_tokens":1000000000000}}"#,
        ] {
            assert_eq!(reply(Dialect::OpenAi, Operation::Chat, body.as_bytes()).usage, None, "{body}");
        }
    }

    #[test]
    fn usage_is_read_in_every_dialect() {
        let usage =
            |dialect, operation, body: &str| reply(dialect, operation, body.as_bytes()).usage.expect(body);
        assert_eq!(
            usage(
                Dialect::OpenAi,
                Operation::Chat,
                r#"{"usage":{"prompt_tokens":10,"completion_tokens":5.0,
                "prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}"#
            ),
            Usage { input: 10, cache_read: 4, output: 5, reasoning: 3, ..Usage::default() }
        );
        assert_eq!(
            usage(
                Dialect::Anthropic,
                Operation::Messages,
                r#"{"usage":{"input_tokens":1,"cache_read_input_tokens":2,
                "cache_creation_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"output_tokens":8}}"#
            ),
            Usage {
                input: 10,
                cache_read: 2,
                cache_write: 3,
                cache_write_1h: 4,
                output: 8,
                reasoning: 0,
                ..Usage::default()
            }
        );
        assert_eq!(
            usage(
                Dialect::Gemini,
                Operation::Generate,
                r#"{"usageMetadata":{"promptTokenCount":6,"candidatesTokenCount":2,"thoughtsTokenCount":3}}"#
            ),
            Usage { input: 6, output: 5, reasoning: 3, ..Usage::default() }
        );
    }

    #[test]
    fn a_count_may_be_in_quotes_and_the_input_that_is_missing_is_told_by_the_total() {
        let check = |usage: &str, input, output| {
            let body = format!(r#"{{"usage":{usage}}}"#);
            let expected = Usage { input, output, ..Usage::default() };
            assert_eq!(
                reply(Dialect::OpenAi, Operation::Chat, body.as_bytes()).usage,
                Some(expected),
                "{body}"
            );
        };
        check(r#"{"prompt_tokens":"10","completion_tokens":"5"}"#, 10, 5);
        check(r#"{"prompt_tokens":null,"completion_tokens":5,"total_tokens":15}"#, 10, 5);
        check(r#"{"prompt_tokens":"many","completion_tokens":5,"total_tokens":"15"}"#, 10, 5);
        check(r#"{"prompt_tokens":10,"completion_tokens":"NaN"}"#, 10, 0);
        check(r#"{"completion_tokens":10,"total_tokens":3}"#, 0, 10);
    }

    #[test]
    fn what_is_priced_apart_is_read_in_every_dialect() {
        let check = |dialect, operation, body: &str, expected: Usage| {
            assert_eq!(reply(dialect, operation, body.as_bytes()).usage, Some(expected), "{body}");
        };
        let (none, other) = (Usage::default(), Other::default());
        check(
            Dialect::OpenAi,
            Operation::Chat,
            r#"{"service_tier":"flex","usage":{"prompt_tokens":100,"completion_tokens":50,
                "prompt_tokens_details":{"cached_tokens":30,"audio_tokens":60,"image_tokens":5,"cached_tokens_details":{"audio_tokens":20,"text_tokens":10}},
                "completion_tokens_details":{"audio_tokens":40}}}"#,
            Usage {
                input: 100,
                cache_read: 30,
                output: 50,
                input_audio: 60,
                cache_read_audio: 20,
                output_audio: 40,
                input_image: 5,
                tier: Some(Tier::Flex),
                ..none
            },
        );
        check(
            Dialect::OpenAi,
            Operation::Images,
            r#"{"data":[{"b64_json":"x"},{"b64_json":"y"}],
                "usage":{"input_tokens":14,"output_tokens":272,"output_tokens_details":{"image_tokens":272,"text_tokens":0}}}"#,
            Usage { input: 14, output: 272, output_image: 272, other: Other { images: 2, ..other }, ..none },
        );
        let two = Usage { other: Other { images: 2, ..other }, ..none };
        check(Dialect::OpenAi, Operation::Images, r#"{"created":1,"data":[{"url":"u"},{"url":"v"}]}"#, two);
        check(
            Dialect::OpenAi,
            Operation::Transcriptions,
            r#"{"text":"Hi","usage":{"type":"duration","seconds":6.5}}"#,
            Usage { other: Other { audio_millis: 6_500, ..other }, ..none },
        );
        check(
            Dialect::OpenAi,
            Operation::Transcriptions,
            r#"{"usage":{"type":"tokens","input_tokens":54,"output_tokens":16,"input_token_details":{"audio_tokens":54}}}"#,
            Usage { input: 54, output: 16, input_audio: 54, ..none },
        );
        check(
            Dialect::Responses,
            Operation::Responses,
            r#"{"service_tier":"priority","usage":{"input_tokens":3,"output_tokens":2,"cost_in_usd_ticks":10243500}}"#,
            Usage {
                input: 3,
                output: 2,
                tier: Some(Tier::Priority),
                said: Some(Money::nano_usd(1_024_350)),
                ..none
            },
        );
        check(
            Dialect::Anthropic,
            Operation::Messages,
            r#"{"usage":{"input_tokens":1,"output_tokens":2,"service_tier":"batch","server_tool_use":{"web_search_requests":3}}}"#,
            Usage {
                input: 1,
                output: 2,
                tier: Some(Tier::Batch),
                other: Other { searches: 3, ..other },
                ..none
            },
        );
        for surcharged in [r#""speed":"fast""#, r#""inference_geo":"us""#] {
            let body = format!(r#"{{"usage":{{"input_tokens":1,"service_tier":"standard",{surcharged}}}}}"#);
            let usage = Usage { input: 1, tier: Some(Tier::Other), ..none };
            check(Dialect::Anthropic, Operation::Messages, &body, usage);
        }
        check(
            Dialect::Gemini,
            Operation::Generate,
            r#"{"usageMetadata":{"promptTokenCount":190,"candidatesTokenCount":30,"cachedContentTokenCount":50,"trafficType":"ON_DEMAND_PRIORITY",
                "promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":170},{"tokenCount":4,"modality":"IMAGE"},null],
                "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":50}],
                "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":25}]}}"#,
            Usage {
                input: 190,
                cache_read: 50,
                output: 30,
                input_audio: 170,
                cache_read_audio: 50,
                input_image: 4,
                output_image: 25,
                tier: Some(Tier::Priority),
                ..none
            },
        );
        check(
            Dialect::Cohere,
            Operation::CohereChat,
            r#"{"usage":{"billed_units":{"input_tokens":27,"output_tokens":4},"cached_tokens":80,"tokens":{"input_tokens":90,"output_tokens":9}}}"#,
            Usage { input: 27, output: 4, ..none },
        );
        check(
            Dialect::Cohere,
            Operation::Rerank,
            r#"{"results":[],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}"#,
            Usage { other: Other { searches: 2, ..other }, ..none },
        );
        check(
            Dialect::Bedrock,
            Operation::Converse,
            r#"{"serviceTier":{"type":"flex"},"usage":{"inputTokens":1,"outputTokens":2}}"#,
            Usage { input: 1, output: 2, tier: Some(Tier::Flex), ..none },
        );
    }

    #[test]
    fn a_total_tells_the_thoughts_that_nothing_else_does_and_no_more_than_it_holds() {
        let counts = |usage: &str| {
            let body = format!(r#"{{"usage":{usage}}}"#);
            let usage = reply(Dialect::OpenAi, Operation::Chat, body.as_bytes()).usage.expect("usage");
            (usage.input, usage.output, usage.reasoning)
        };
        // Google's compatible endpoint.
        assert_eq!(
            counts(r#"{"prompt_tokens":100,"completion_tokens":10,"total_tokens":310}"#),
            (100, 210, 200)
        );
        assert_eq!(
            counts(r#"{"prompt_tokens":100,"completion_tokens":0,"total_tokens":310}"#),
            (100, 210, 210)
        );
        // What is inside of what was told is not left out.
        let within = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":160,"completion_tokens_details":{"reasoning_tokens":40}}"#;
        assert_eq!(counts(within), (100, 50, 40));
        assert_eq!(counts(r#"{"prompt_tokens":100,"completion_tokens":10,"total_tokens":50}"#), (100, 10, 0));
        // A vendor of vectors has no answer to count, and one may count what it has cached beside the prompt.
        assert_eq!(counts(r#"{"prompt_tokens":8,"total_tokens":9}"#), (8, 0, 0));
        let beside = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,"prompt_tokens_details":{"cached_tokens":100}}"#;
        assert_eq!(counts(beside), (10, 5, 0));
    }

    #[test]
    fn a_relays_sum_is_read_unless_the_caller_pays_somebody_else() {
        let said = |usage: &str| {
            let body = format!(r#"{{"usage":{{"prompt_tokens":1,"completion_tokens":1,{usage}}}}}"#);
            reply(Dialect::OpenAi, Operation::Chat, body.as_bytes()).usage.expect("usage").said
        };
        assert_eq!(said(r#""cost":2.85e-05,"is_byok":false"#), Some(Money::nano_usd(28_500)));
        assert_eq!(
            said(r#""cost":{"request_cost":0.005,"total_cost":0.00501}"#),
            Some(Money::nano_usd(5_010_000))
        );
        assert_eq!(said(r#""cost":0.01,"is_byok":true"#), None);
        // The fee, and what the vendor behind it charges.
        assert_eq!(
            said(r#""cost":0.00006,"is_byok":true,"cost_details":{"upstream_inference_cost":0.00123}"#),
            Some(Money::nano_usd(1_290_000))
        );
        assert_eq!(
            said(r#""cost":0.01,"is_byok":false,"cost_details":{"upstream_inference_cost":0.01}"#),
            Some(Money::nano_usd(10_000_000))
        );
        assert_eq!(said(r#""cost":null"#), None);
        assert_eq!(said(r#""cost":"much""#), None);
    }

    #[test]
    fn the_last_member_of_a_name_counts_however_it_is_spelt() {
        let usage = |body: &str| reply(Dialect::OpenAi, Operation::Chat, body.as_bytes()).usage;
        let one = Some(Usage { input: 1, ..Usage::default() });
        assert_eq!(usage(r#"{"usage":{"prompt_tokens":5},"usage":{"prompt_tokens":1}}"#), one);
        assert_eq!(usage(r#"{"usage":{"prompt_tokens":5,"prompt\u005ftokens":1}}"#), one);
        assert_eq!(usage(r#"{"usage":{"prompt_tokens":1},"usage":null}"#), one);
        assert_eq!(usage(r#"{"usage":{"prompt_tokens":1,"prompt_tokens_details":null}}"#), one);
        assert_eq!(usage(r#"{"choices":[{"usage":{"prompt_tokens":1}}],"x":"\"usage\":{}"}"#), None);
        assert_eq!(usage(r#"{"usage":{"prompt_tokens":1}"#), None);
    }

    #[test]
    fn an_error_with_a_200_is_one() {
        let body = br#"{"error":{"code":429,"message":"slow down"}}"#;
        let facts = reply(Dialect::OpenAi, Operation::Chat, body);
        assert_eq!(facts.in_band.map(|error| error.fault), Some(Fault::Throttled));
        let body = br#"{"error":null,"status":"completed","output":[]}"#;
        let fine = reply(Dialect::Responses, Operation::Responses, body);
        assert_eq!(fine, ReplyFacts { whole: true, ..ReplyFacts::default() });
    }

    #[test]
    fn what_is_no_answer_is_an_error_however_it_is_put() {
        const NONE: &[&str] = &[
            r#"{"code":"InternalError","message":"m"}"#,
            r#"{"code":500,"msg":"m","data":null}"#,
            r#"{"detail":"m"}"#,
            r#"{"detail":[{"loc":["body"],"msg":"m"}]}"#,
            r#"{"object":"error","message":"m","code":50001}"#,
            r#"{"success":false,"msg":"m"}"#,
            r#"{"success":false,"errors":[{"code":10000,"message":"m"}],"result":null}"#,
        ];
        const GENERATING: [(Dialect, Operation, &str); 7] = [
            (Dialect::OpenAi, Operation::Chat, r#"{"choices":[{"message":{"content":null}}]}"#),
            (Dialect::OpenAi, Operation::Completions, r#"{"choices":[{"text":""}]}"#),
            (Dialect::Responses, Operation::Responses, r#"{"output":[],"error":null,"status":"incomplete"}"#),
            (
                Dialect::Anthropic,
                Operation::Messages,
                r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#,
            ),
            (Dialect::Gemini, Operation::Generate, r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#),
            (Dialect::Cohere, Operation::CohereChat, r#"{"id":"x","message":{"role":"assistant"}}"#),
            (
                Dialect::Ollama,
                Operation::OllamaChat,
                r#"{"model":"m","message":{"role":"assistant","content":""},"done":true}"#,
            ),
        ];
        let others = [
            (Dialect::OpenAi, Operation::Embeddings, r#"{"data":[{"embedding":[1.0]}]}"#),
            (Dialect::OpenAi, Operation::Speech, r#"{"audio":"aGk="}"#),
            (Dialect::OpenAi, Operation::Speech, "ID3"),
            (Dialect::OpenAi, Operation::Transcriptions, r#"{"text":""}"#),
            (Dialect::OpenAi, Operation::Images, r#"{"created":1,"data":[{"url":"u"}]}"#),
            (Dialect::Cohere, Operation::Rerank, r#"{"id":"x","results":[]}"#),
            (Dialect::Anthropic, Operation::CountTokens, r#"{"input_tokens":3}"#),
        ];
        let error = |dialect, operation, body: &str| reply(dialect, operation, body.as_bytes()).in_band;
        for (dialect, operation, good) in GENERATING.into_iter().chain(others) {
            assert_eq!(error(dialect, operation, good), None, "{operation:?} {good}");
            for none in NONE {
                assert!(error(dialect, operation, none).is_some(), "{operation:?} {none}");
            }
        }
        // What has to be there is not.
        for (dialect, operation, _) in GENERATING {
            let empty = [
                r#"{"id":"x"}"#,
                r#"{"choices":[],"usage":null}"#,
                r#"{"candidates":[]}"#,
                r#"{"choices":null,"output":null,"content":null}"#,
            ];
            for body in empty {
                let found = error(dialect, operation, body).expect(body);
                assert_eq!(found.fault, Fault::ServerError, "{operation:?} {body}");
            }
        }
        let words =
            error(Dialect::OpenAi, Operation::Chat, r#"{"code":"Arrearage","message":"m"}"#).expect("one");
        assert_eq!((words.fault, words.message.as_str()), (Fault::QuotaExhausted, "m"));
    }

    #[test]
    fn what_is_cut_off_is_not_whole() {
        let whole = |operation, body: &[u8]| reply(Dialect::OpenAi, operation, body).whole;
        assert!(whole(Operation::Chat, br#"{"choices":[]}"#));
        assert!(!whole(Operation::Chat, br#"{"choices":[]"#));
        assert!(!whole(Operation::Chat, b""));
        assert!(whole(Operation::Speech, b"\xff\xfb"));
        assert!(whole(Operation::Transcriptions, b"1\n00:00 --> 00:01\nHi"));
        assert!(!whole(Operation::Transcriptions, br#"{"text":"Hi"#));
    }

    proptest! {
        #[test]
        fn any_body_is_read(body in proptest::collection::vec(any::<u8>(), 0..200), at in 0..Dialect::ALL.len()) {
            for operation in Operation::ALL {
                let _ = reply(Dialect::ALL[at], operation, &body);
            }
        }
    }
}
