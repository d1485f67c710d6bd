//! What is asked and what is answered, byte for byte: both ends build it from here, so every answer
//! can be checked against the original.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;

/// What the mock is to do. It reads it in the `user` field, which every gateway leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Unary,
    Stream,
    Hold,
}

/// Content events of a stream; with the last event and `[DONE]` a stream has 50.
const CONTENT_EVENTS: usize = 48;
/// SSE events of a whole stream, each sent as one chunk.
pub const STREAM_EVENTS: usize = CONTENT_EVENTS + 2;
/// Between two events: 100 streams opened a second, of 50 events each, make 5,000 chunks a second.
pub const EVENT_GAP: Duration = Duration::from_millis(20);
/// Events that a held stream sends before it falls silent.
pub const HOLD_EVENTS: usize = 3;
/// Sizes of the targets' "1 KB chat completions".
const BODY: usize = 1024;

impl Ask {
    const ALL: [Self; 3] = [Self::Unary, Self::Stream, Self::Hold];

    const fn user(self) -> &'static str {
        match self {
            Self::Unary => "bench-unary",
            Self::Stream => "bench-stream",
            Self::Hold => "bench-hold",
        }
    }

    /// The request's body, 1 KB.
    pub fn body(self) -> Bytes {
        let stream = if self == Self::Unary { "false" } else { "true" };
        let user = self.user();
        padded(
            &format!(
                r#"{{"model":"bench","stream":{stream},"user":"{user}","temperature":0.7,"messages":[{{"role":"system","content":"You answer in one paragraph."}},{{"role":"user","content":""#
            ),
            r#""}]}"#,
        )
    }

    /// What a body that arrived asks for; `None` when it did not arrive as it was sent. A gateway may
    /// add a member (the wish for usage), so only what was sent has to be there.
    pub fn read(body: &[u8]) -> Option<Self> {
        let ask =
            Self::ALL.into_iter().find(|ask| memchr::memmem::find(body, ask.user().as_bytes()).is_some())?;
        let sent = match ask {
            Self::Unary => &*UNARY_ASKED,
            Self::Stream | Self::Hold => return (body.len() >= BODY).then_some(ask),
        };
        (body == sent).then_some(ask)
    }
}

static UNARY_ASKED: LazyLock<Bytes> = LazyLock::new(|| Ask::Unary.body());

/// A whole chat completion, 1 KB.
pub static COMPLETION: LazyLock<Bytes> = LazyLock::new(|| {
    padded(
        r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1780000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":""#,
        r#""},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":230,"completion_tokens":190,"total_tokens":420}}"#,
    )
});

/// The events of a stream.
pub static EVENTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let event = |delta: &str, finish: &str| {
        let text = format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1780000000,\"model\":\"bench\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
        );
        Bytes::from(text)
    };
    let mut events: Vec<Bytes> =
        (0..CONTENT_EVENTS).map(|n| event(&format!(r#"{{"content":" word{n:04}"}}"#), "null")).collect();
    events.push(event("{}", r#""stop""#));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
});

/// All events in one.
pub static STREAM: LazyLock<Bytes> = LazyLock::new(|| EVENTS.concat().into());

fn padded(head: &str, tail: &str) -> Bytes {
    let words = "lorem ipsum dolor sit amet ".bytes().cycle();
    let pad = BODY.saturating_sub(head.len() + tail.len());
    head.bytes().chain(words.take(pad)).chain(tail.bytes()).collect()
}
