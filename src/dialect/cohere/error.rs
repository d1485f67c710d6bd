//! `{"id","message"}`, and a stream's last event when it fails.

use bytes::Bytes;
use serde_json::json;

use crate::dialect::trouble::Trouble;

pub fn render(trouble: &Trouble, request_id: &str) -> Bytes {
    json!({ "id": request_id, "message": trouble.message }).to_string().into()
}

/// The form that Cohere's reference has for it: a `message-end` whose reason is `ERROR`, with the
/// sentence in `error`. Cohere's own Python SDK (7.3.1, tested) delivers it as an event and raises on
/// nothing that stands in a stream, be it an `error` event or bare JSON: what makes it raise is the
/// transport's abnormal end, which follows. Vercel's SDK takes it for an error, for it has no usage.
pub fn in_band(trouble: &Trouble) -> Bytes {
    let delta = json!({ "error": trouble.message, "finish_reason": "ERROR" });
    format!("event: message-end\ndata: {}\n\n", json!({ "type": "message-end", "delta": delta })).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::framing::{Framing, Splitter};
    use crate::dialect::trouble::Kind;
    use crate::dialect::watch::{Beat, Ending, Watch};
    use crate::dialect::{Dialect, Operation};

    #[test]
    fn our_own_failure_is_one_to_whoever_watches() {
        let mut splitter = Splitter::new(Framing::Sse);
        splitter.push(in_band(&Trouble::new(Kind::BadGateway, "say \"why\"")));
        let frame = splitter.next().expect("short").expect("a frame");
        let mut watch = Watch::new(Dialect::Cohere, Operation::CohereChat, Framing::Sse);
        assert!(matches!(watch.frame(&frame), Beat::Error(_)));
        assert_eq!(watch.end(), Ending::Truncated);
        assert!(splitter.leftover().is_none());
    }
}
