//! Tokens' probabilities: a stream tells those of the whole answer, in every dialect that has them.

use super::streams::{events, frames, translated};
use super::{CALLERS, read_reply};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{Delta, Event};
use crate::dialect::translate::reply;
use crate::dialect::tree::{self, Node};

/// Of every vendor that tells them: an answer, and the stream that says the same.
const SAMPLES: &[(Dialect, &str, &str)] = &[
    (
        Dialect::OpenAi,
        r#"{"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi you"},"logprobs":{"content":[{"token":"Hi","logprob":-0.5,"bytes":null,"top_logprobs":[]},{"token":" you","logprob":-0.25,"bytes":null,"top_logprobs":[]}]},"finish_reason":"stop"}]}"#,
        r#"
data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"logprobs":{"content":[{"token":"Hi","logprob":-0.5,"bytes":null,"top_logprobs":[]}]}}]}

data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"content":" you"},"logprobs":{"content":[{"token":" you","logprob":-0.25,"bytes":null,"top_logprobs":[]}]}}]}

data: {"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"#,
    ),
    (
        Dialect::Responses,
        r#"{"id":"a","model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hi you","annotations":[],"logprobs":[{"token":"Hi","logprob":-0.5},{"token":" you","logprob":-0.25}]}]}]}"#,
        r#"
data: {"type":"response.created","response":{"id":"a","model":"m"}}

data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi","logprobs":[{"token":"Hi","logprob":-0.5}]}

data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":" you","logprobs":[{"token":" you","logprob":-0.25}]}

data: {"type":"response.output_text.done","output_index":0,"content_index":0,"text":"Hi you","logprobs":[{"token":"Hi","logprob":-0.5},{"token":" you","logprob":-0.25}]}

data: {"type":"response.completed","response":{"id":"a","status":"completed","output":[]}}

"#,
    ),
    // Some servers tell all of a text when it ends.
    (
        Dialect::Responses,
        r#"{"id":"a","model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hi you","logprobs":[{"token":"Hi","logprob":-0.5},{"token":" you","logprob":-0.25}]}]}]}"#,
        r#"
data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"Hi you","logprobs":[{"token":"Hi","logprob":-0.5},{"token":" you","logprob":-0.25}]}]}}

data: {"type":"response.completed","response":{"id":"a","status":"completed","output":[]}}

"#,
    ),
    (
        Dialect::Responses,
        r#"{"id":"a","model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hi you","logprobs":[{"token":"Hi","logprob":-0.5},{"token":" you","logprob":-0.25}]}]}]}"#,
        r#"
data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi you","logprobs":[]}

data: {"type":"response.output_text.done","output_index":0,"content_index":0,"text":"Hi you","logprobs":[{"token":"Hi","logprob":-0.5},{"token":" you","logprob":-0.25}]}

data: {"type":"response.completed","response":{"id":"a","status":"completed","output":[]}}

"#,
    ),
    (
        Dialect::Gemini,
        r#"{"candidates":[{"content":{"parts":[{"text":"Hi you"}]},"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":"Hi","logProbability":-0.5},{"token":" you","logProbability":-0.25}]}}]}"#,
        r#"
data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]},"logprobsResult":{"chosenCandidates":[{"token":"Hi","logProbability":-0.5}]}}]}

data: {"candidates":[{"content":{"parts":[{"text":" you"}]},"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":" you","logProbability":-0.25}]}}]}

"#,
    ),
    (
        Dialect::Cohere,
        r#"{"id":"a","message":{"role":"assistant","content":[{"type":"text","text":"Hi you"}]},"finish_reason":"COMPLETE","logprobs":[{"text":"Hi","token_ids":[1],"logprobs":[-0.5]},{"text":" you","token_ids":[2],"logprobs":[-0.25]}]}"#,
        r#"
data: {"type":"message-start","id":"a","delta":{"message":{"role":"assistant"}}}

data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}

data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hi"}}},"logprobs":{"text":"Hi","token_ids":[1],"logprobs":[-0.5]}}

data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" you"}}},"logprobs":{"text":" you","token_ids":[2],"logprobs":[-0.25]}}

data: {"type":"content-end","index":0}

data: {"type":"message-end","delta":{"finish_reason":"COMPLETE"}}

data: [DONE]

"#,
    ),
    (
        Dialect::Ollama,
        r#"{"model":"m","message":{"role":"assistant","content":"Hi you"},"done":true,"done_reason":"stop","logprobs":[{"token":"Hi","logprob":-0.5},{"token":" you","logprob":-0.25}]}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false,"logprobs":[{"token":"Hi","logprob":-0.5}]}
{"model":"m","message":{"role":"assistant","content":" you"},"done":false,"logprobs":[{"token":" you","logprob":-0.25}]}
{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}
"#,
    ),
];

/// Has no word for them; who asks such an upstream for them is told that `logprobs` is lost.
const MUTE: [Dialect; 2] = [Dialect::Anthropic, Dialect::Bedrock];

/// Tokens and their probabilities, of the hub's form.
fn tokens(said: &str) -> Vec<(String, f64)> {
    let root = tree::parse(said.as_bytes()).expect("JSON");
    let token = |node: &Node<'_>| {
        let text = node.at("token").and_then(Node::text).expect("a token").into_owned();
        (text, node.at("logprob").and_then(Node::as_number).expect("a number"))
    };
    root.at("content").map(Node::elements).unwrap_or_default().iter().map(token).collect()
}

fn of_whole(dialect: Dialect, body: &[u8]) -> Vec<(String, f64)> {
    let root = tree::parse(body).expect("JSON");
    let reply = read_reply(dialect, &root);
    reply.choices[0].logprobs.as_deref().map(tokens).unwrap_or_default()
}

fn of_stream(dialect: Dialect, bytes: &[u8]) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    events(dialect, bytes, &mut |event| {
        if let Event::Delta { delta: Delta::Logprobs(said), .. } = event {
            found.extend(tokens(said));
        }
    });
    found
}

#[test]
fn streams_tell_the_probabilities_of_the_whole_answer_in_every_dialect_that_has_them() {
    let expected = [("Hi".to_owned(), -0.5), (" you".to_owned(), -0.25)];
    for (from, whole, stream) in SAMPLES {
        let stream = stream.trim_start().as_bytes();
        assert_eq!(of_whole(*from, whole.as_bytes()), expected, "{from}");
        assert_eq!(of_stream(*from, stream), expected, "{from}, streamed");
        for to in CALLERS {
            let expected = if MUTE.contains(&to) { &[][..] } else { &expected };
            let whole = reply(*from, to, whole.as_bytes(), &manner()).expect("an answer");
            assert_eq!(of_whole(to, &whole), expected, "{from} -> {to}");
            let stream = translated(*from, to, &frames(*from, [stream]));
            assert_eq!(of_stream(to, &stream), expected, "{from} -> {to}, streamed");
        }
    }
}
