//! Puts another model's name, the wish for usage, or the limit's newer name into a body without copying the body.
//!
//! What is not changed is the caller's own buffer, byte for byte. Whether something has to change is
//! the caller's decision; asking for what is already there changes nothing.

use bytes::Bytes;

use super::scan::{IncludeUsage, Named, Scan};

/// What a body should say instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrite<'a> {
    /// The upstream's name for the model; `None` leaves the caller's.
    pub model: Option<&'a str>,
    /// Ask for usage at the end of a chat stream whose caller did not.
    pub ask_usage: bool,
    /// Say a chat's `max_tokens` by its newer name, if it has no other limit.
    pub newer_limit: bool,
}

/// Three changes make seven pieces at most.
const MAX_PIECES: usize = 7;

/// A body in pieces, in order; none is empty.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    parts: [Bytes; MAX_PIECES],
    count: usize,
    len: usize,
}

/// The body that goes to the upstream.
pub fn splice(body: &Bytes, scan: &Scan, rewrite: Rewrite<'_>) -> Pieces {
    let model = rewrite.model.filter(|model| *model != scan.model).and_then(|model| match &scan.model_at {
        Named::Json(span) => Some((span.clone(), Bytes::from(quote(model)))),
        Named::Form(span) => Some((span.clone(), Bytes::copy_from_slice(model.as_bytes()))),
        Named::Absent(at) => Some((*at..*at, Bytes::from(format!("\"model\":{},", quote(model))))),
        Named::Elsewhere => None,
    });
    let usage = match &scan.include_usage {
        IncludeUsage::No(patch) if rewrite.ask_usage && scan.stream => {
            Some((patch.at.clone(), Bytes::from_static(patch.text.as_bytes())))
        }
        _ => None,
    };
    let limit = scan.older_limit.clone().filter(|_| rewrite.newer_limit);
    let limit = limit.map(|at| (at, Bytes::from_static(b"\"max_completion_tokens\"")));
    let mut changes = [model, usage, limit];
    changes.sort_by_key(|change| change.as_ref().map(|(at, _)| at.start));

    let mut pieces = Pieces::default();
    let mut done = 0;
    for (at, text) in changes.into_iter().flatten() {
        pieces.push(cut(body, done, at.start));
        pieces.push(text);
        done = at.end;
    }
    pieces.push(cut(body, done, body.len()));
    pieces
}

/// `body[from..to]`, sharing the buffer; empty should the scan be of another body.
fn cut(body: &Bytes, from: usize, to: usize) -> Bytes {
    if from <= to && to <= body.len() { body.slice(from..to) } else { Bytes::new() }
}

fn quote(model: &str) -> String {
    serde_json::Value::from(model).to_string()
}

impl Pieces {
    /// The length of the whole body in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, piece: Bytes) {
        if let Some(slot) = self.parts.get_mut(self.count).filter(|_| !piece.is_empty()) {
            self.len += piece.len();
            *slot = piece;
            self.count += 1;
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(body: Bytes) -> Self {
        let mut pieces = Self::default();
        pieces.push(body);
        pieces
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::iter::Take<std::array::IntoIter<Bytes, MAX_PIECES>>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter().take(self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::scan::{scan, tests::entry};
    use super::*;

    fn spliced(path: &str, body: &str, rewrite: Rewrite<'_>) -> String {
        let body = Bytes::from(body.to_owned());
        let seen = scan(&entry(path), Some("multipart/form-data; boundary=b"), &body).expect("sound");
        let pieces = splice(&body, &seen, rewrite);
        let len = pieces.len();
        let joined = pieces.into_iter().collect::<Vec<_>>().concat();
        assert_eq!(joined.len(), len);
        String::from_utf8(joined).expect("text")
    }

    fn chat(body: &str, rewrite: Rewrite<'_>) -> String {
        spliced("/v1/chat/completions", body, rewrite)
    }

    const BOTH: Rewrite<'_> = Rewrite { model: Some("new"), ask_usage: true, newer_limit: false };

    #[test]
    fn the_model_is_replaced_in_place() {
        let rewrite = Rewrite { model: Some("a\"b"), ..Rewrite::default() };
        assert_eq!(chat(r#"{"x":1, "model" : "old","y":2}"#, rewrite), r#"{"x":1, "model" : "a\"b","y":2}"#);
    }

    #[test]
    fn usage_is_asked_for_in_every_shape_of_stream_options() {
        for (body, expected) in [
            (
                r#"{"model":"m","stream":true}"#,
                r#"{"model":"new","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":null,"model":"m","stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"model":"new","stream":true}"#,
            ),
            (
                r#"{"model":"m","stream":true,"stream_options":{ }}"#,
                r#"{"model":"new","stream":true,"stream_options":{"include_usage":true }}"#,
            ),
            (
                r#"{"model":"m","stream":true,"stream_options":{"a":1}}"#,
                r#"{"model":"new","stream":true,"stream_options":{"include_usage":true,"a":1}}"#,
            ),
            (
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#,
                r#"{"model":"new","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            // Without a stream the option is an error at OpenAI's.
            (r#"{"model":"m"}"#, r#"{"model":"new"}"#),
        ] {
            assert_eq!(chat(body, BOTH), expected);
        }
    }

    #[test]
    fn a_chats_limit_gets_its_newer_name_where_it_stands() {
        let all = Rewrite { newer_limit: true, ..BOTH };
        for (body, expected) in [
            (r#"{"model":"m","max_tokens":7}"#, r#"{"model":"new","max_completion_tokens":7}"#),
            (r#"{ "max_tokens" : 7 , "model":"m"}"#, r#"{ "max_completion_tokens" : 7 , "model":"new"}"#),
            (
                r#"{"stream":true,"max_\u0074okens":null,"model":"m"}"#,
                r#"{"stream":true,"max_completion_tokens":null,"model":"new","stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"max_completion_tokens":9,"model":"m","max_tokens":7}"#,
                r#"{"max_completion_tokens":9,"model":"new","max_tokens":7}"#,
            ),
            (r#"{"model":"m","a":{"max_tokens":7}}"#, r#"{"model":"new","a":{"max_tokens":7}}"#),
        ] {
            assert_eq!(chat(body, all), expected);
        }
        for path in ["/v1/completions", "/v1/messages"] {
            let body = r#"{"model":"m","max_tokens":7}"#;
            assert_eq!(spliced(path, body, all), r#"{"model":"new","max_tokens":7}"#, "{path}");
        }
    }

    #[test]
    fn a_form_and_a_missing_model_are_spliced_too() {
        let form = |model| {
            format!("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b--\r\n")
        };
        assert_eq!(spliced("/v1/audio/translations", &form("whisper-1"), BOTH), form("new"));
        assert_eq!(spliced("/v1/moderations", r#"{"input":"x"}"#, BOTH), r#"{"model":"new","input":"x"}"#);
    }

    #[test]
    fn an_unchanged_body_is_the_callers_own_buffer() {
        let body = Bytes::from_static(br#"{"model":"m","stream":true}"#);
        let seen = scan(&entry("/v1/chat/completions"), None, &body).expect("sound");
        let pieces: Vec<_> =
            splice(&body, &seen, Rewrite { model: Some("m"), ..Rewrite::default() }).into_iter().collect();
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].as_ptr(), body.as_ptr());
    }

    /// Objects as callers write them: the known keys among others, in any order.
    fn bodies() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{0,3}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        });
        let options = prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            Just(Some(json!({}))),
            Just(Some(json!({"include_usage": true}))),
            Just(Some(json!({"include_usage": false, "x": [1]})))
        ];
        let others = proptest::collection::btree_map("[a-zA-MO-Z\\\\\"é]{0,5}", value, 0..5);
        let limit = proptest::option::of(prop_oneof![Just(Value::Null), any::<u32>().prop_map(Value::from)]);
        let rest = (any::<bool>(), options, limit);
        (others, "[ -~é]{1,20}", rest).prop_map(|(others, model, (stream, options, limit))| {
            let mut body = json!(others);
            if let Some(limit) = limit {
                body["max_tokens"] = limit;
            }
            body["model"] = json!(model);
            body["stream"] = json!(stream);
            if let Some(options) = options {
                body["stream_options"] = options;
            }
            body
        })
    }

    proptest! {
        #[test]
        fn only_what_was_asked_for_differs(body in bodies(), model in "[ -~é\n]{0,12}", pretty: bool, ask: bool, newer: bool) {
            let text = if pretty { format!("{body:#}") } else { body.to_string() };
            let same = Rewrite { model: body["model"].as_str(), ..Rewrite::default() };
            prop_assert_eq!(&chat(&text, same), &text);
            let mut expected = body.clone();
            expected["model"] = json!(model);
            if ask && body["stream"] == json!(true) {
                if !expected["stream_options"].is_object() {
                    expected["stream_options"] = json!({});
                }
                expected["stream_options"]["include_usage"] = json!(true);
            }
            if newer && let Some(limit) = expected.as_object_mut().and_then(|body| body.remove("max_tokens")) {
                expected["max_completion_tokens"] = limit;
            }
            let rewrite = Rewrite { model: Some(&model), ask_usage: ask, newer_limit: newer };
            let spliced: Value = serde_json::from_str(&chat(&text, rewrite)).expect("still JSON");
            prop_assert_eq!(spliced, expected);
        }
    }
}
