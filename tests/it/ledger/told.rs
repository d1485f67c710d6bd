//! What an upstream has said of tokens is believed, however its stream ends and whoever leaves when.

use serde_json::json;

use crate::lab::{Ask, Lab, Said, Scribe, Step};

const CLAUDE: &str = "version: 1
upstreams:
  a: {provider: anthropic, base_url: 'http://a', credentials: [sk-a-key-of-a-test]}
  b: {provider: anthropic, base_url: 'http://b', credentials: [sk-a-key-of-a-test]}
routes: [{model: claude-haiku-4-5, channels: [{upstream: a}, {upstream: b, tier: 1}]}]
";
const BEGIN: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":4000,\"output_tokens\":1}}}\n\n";
const REST: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const REFUSED: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

fn events(text: String) -> Said {
    Said::status(200).header("content-type", "text/event-stream").data(text)
}

#[tokio::test(start_paused = true)]
async fn of_a_stream_that_ends_before_its_content_the_tokens_count_that_it_had_told() {
    for (said, input, estimated) in [
        (events(BEGIN.to_owned()), 4003_u64, true),
        // Who refuses after all charges for nothing.
        (events(format!("{BEGIN}{REFUSED}")), 0, false),
    ] {
        let (first, second) = (Scribe::saying(said), Scribe::saying(events(format!("{BEGIN}{REST}"))));
        let lab = Lab::beside(CLAUDE, &[("a", &first), ("b", &second)]);
        let books = lab.keep_books();
        let asked = json!({"model": "claude-haiku-4-5", "max_tokens": 9, "stream": true,
            "messages": [{"role": "user", "content": "word ".repeat(9_000)}]});
        let answer = lab.send(&Ask::post("/anthropic/v1/messages", asked.to_string())).await;
        assert_eq!(answer.words(), "hello");
        let (_, attempts) = books.only().await;
        let usage = &attempts[0].usage;
        assert_eq!((usage.input, usage.cache_read), (input, input.saturating_sub(3)), "{attempts:?}");
        assert_eq!(attempts[0].estimated, estimated, "{attempts:?}");
        assert_eq!((attempts[1].usage.input, attempts[1].usage.output), (4003, 5));
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_with_the_last_event_has_had_all_of_it() {
    for (path, last) in [("/anthropic/v1/messages", "message_stop"), ("/v1/chat/completions", "[DONE]")] {
        let scribe = Scribe::saying(events(format!("{BEGIN}{REST}")).step(Step::Hang));
        let lab = Lab::beside(CLAUDE, &[("a", &scribe), ("b", &scribe)]);
        let books = lab.keep_books();
        let asked = json!({"model": "claude-haiku-4-5", "max_tokens": 9, "stream": true,
            "messages": [{"role": "user", "content": "hi"}]});
        let ask = Ask::post(path, asked.to_string()).header("idempotency-key", "once");
        let mut kept = lab.open(&ask).await;
        let mut came = String::new();
        while !came.contains(last) {
            let piece = kept.next().await.expect("more of it");
            came.push_str(std::str::from_utf8(&piece).expect("text"));
        }
        kept.hang_up();
        lab.assert_quiet().await;
        let (request, attempts) = books.only().await;
        assert_eq!((request.outcome, attempts[0].verdict), ("ok", "ok"), "{path} {attempts:?}");
        assert_eq!((attempts[0].usage.output, attempts[0].estimated), (5, false));
        assert_eq!(lab.metric_sum("mainstay_requests_total", &["outcome=\"ok\""]), 1.0);
        // He has had it, so that he gets it again under its name.
        let again = lab.send(&ask).await;
        assert_eq!(
            (again.header("idempotent-replayed"), again.words().as_str()),
            ("true", "hello"),
            "{path}"
        );
        assert_eq!(scribe.heard().len(), 1);
    }
}
