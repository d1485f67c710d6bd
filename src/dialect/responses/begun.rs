//! A response as its stream's first event had it, for the event that ends the stream where it breaks off.
//!
//! `response.failed` carries a whole response object, and most of what has to be in one was said in
//! `response.created`: ids, the model, what it repeats of the request. It is said again here, word for word, with
//! the failure in it. Nothing is made up: of a stream that never said how it begins, only its end is known.

use serde_json::Value;

use crate::dialect::json::{Kind, Walker};
use crate::dialect::write::{self, Object};

/// Members that an end changes.
const OF_THE_END: [&str; 6] = ["object", "status", "error", "incomplete_details", "output", "completed_at"];

/// A longer object is kept without its longest members: instructions and tools can be as long as requests, and it is
/// kept for as long as the stream lasts.
const MOST: usize = 16 * 1024;
const LONGEST_MEMBER: usize = 1024;

/// A response object, JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun(Box<[u8]>);

impl Begun {
    /// `response` is the object of a stream's first event.
    pub fn of(response: &[u8]) -> Self {
        if response.len() <= MOST {
            return Self(response.into());
        }
        let text = write::text(|out| {
            write::object(out, |o| {
                each(response, |key, value| match key {
                    _ if value.len() <= LONGEST_MEMBER => {
                        o.raw(key, value);
                    }
                    // These have to be there.
                    "instructions" => {
                        o.null(key);
                    }
                    "tools" => {
                        o.raw(key, "[]");
                    }
                    _ => {}
                });
            });
        });
        Self(text.into_bytes().into())
    }

    /// The same response, failed.
    pub fn failed(&self, error: &Value) -> String {
        write::text(|out| {
            write::object(out, |o| {
                each(&self.0, |key, value| {
                    if !OF_THE_END.contains(&key) {
                        o.raw(key, value);
                    }
                });
                end(o, error);
            });
        })
    }
}

/// What is known of a failed response by itself.
pub fn end(o: &mut Object<'_>, error: &Value) {
    o.str("object", "response").str("status", "failed").raw("error", &error.to_string());
    o.null("incomplete_details").raw("output", "[]");
}

/// Tells of every member with a plain name: what cannot be read up to there stays untold.
fn each(object: &[u8], mut tell: impl FnMut(&str, &str)) {
    let mut walker = Walker::new(object);
    if walker.kind().ok() != Some(Kind::Object) {
        return;
    }
    let _ = walker.object(|walker, key| {
        let (_, span) = walker.value()?;
        if let (Ok(key), Ok(value)) = (std::str::from_utf8(key.raw), std::str::from_utf8(walker.slice(span)))
        {
            tell(key, value);
        }
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn failed(response: &Value) -> Value {
        let begun = Begun::of(response.to_string().as_bytes());
        serde_json::from_str(&begun.failed(&json!({"code": "server_error", "message": "m"}))).expect("JSON")
    }

    #[test]
    fn a_failed_response_is_the_one_that_began_with_another_end() {
        let began = json!({"id": "resp_1", "object": "response", "created_at": 7, "status": "in_progress", "error": null,
            "incomplete_details": null, "instructions": "be \"kind\"", "model": "m", "output": [1], "usage": null, "tools": [{}]});
        let mut expected = began.clone();
        expected["status"] = "failed".into();
        expected["error"] = json!({"code": "server_error", "message": "m"});
        expected["output"] = json!([]);
        assert_eq!(failed(&began), expected);
    }

    #[test]
    fn what_is_long_is_left_out_and_what_has_to_be_there_stays() {
        let long = "x".repeat(MOST);
        let said = failed(
            &json!({"id": "resp_1", "instructions": long, "tools": [&long], "metadata": {"a": &long}, "top_p": 1}),
        );
        assert_eq!(
            (&said["id"], &said["instructions"], &said["tools"], &said["top_p"]),
            (&json!("resp_1"), &Value::Null, &json!([]), &json!(1))
        );
        assert!(said.get("metadata").is_none());
    }

    proptest! {
        #[test]
        fn whatever_began_the_end_is_json(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 0_usize..80) {
            let object = br#"{"id":"resp_1","tools":[{"a":"b"}],"metadata":{"k":"v"},"status":"queued","model":"m"}"#;
            for object in [&bytes[..], &object[..cut], &object[..]] {
                let said = Begun::of(object).failed(&json!({"message": "m"}));
                let said: Value = serde_json::from_str(&said).expect("JSON");
                prop_assert_eq!(&said["status"], "failed");
            }
        }
    }
}
