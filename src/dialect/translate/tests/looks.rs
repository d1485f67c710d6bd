//! Pictures that are none of the kind that their URL says: OpenAI looks at the picture, others at what is said, and
//! refuse it.

use serde_json::{Value, json};

use super::{MODEL, generation, read, terms, write};
use crate::dialect::Dialect;
use crate::dialect::hub::Mode;
use crate::dialect::tree;

const LOOKS: [(&str, &str); 4] = [
    ("iVBORw0KGgoAAAANSUhEUgAA", "image/png"),
    ("/9j/4AAQSkZJRgABAQAAAQAB", "image/jpeg"),
    ("R0lGODlhAQABAIAAAAAAAP//", "image/gif"),
    ("UklGRiIAAABXRUJQVlA4IBYA", "image/webp"),
];

/// What is told of a picture that is said to be of this type.
fn told(to: Dialect, said: &str, data: &str) -> String {
    let url = format!("data:{said};base64,{data}");
    let body = json!({"model": "m", "messages": [{"role": "user", "content":
        [{"type": "image_url", "image_url": {"url": url}}]}]});
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let operation = generation(Dialect::OpenAi, Mode::Whole).expect("it generates");
    let mut ask = read(Dialect::OpenAi, operation, MODEL, &root).expect("a request");
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    let found = match to {
        Dialect::Anthropic => &body["messages"][0]["content"][0]["source"]["media_type"],
        Dialect::Bedrock => &body["messages"][0]["content"][0]["image"]["format"],
        _ => panic!("it says no types"),
    };
    found.as_str().unwrap_or_default().trim_start_matches("image/").to_owned()
}

#[test]
fn a_picture_is_what_it_looks_like() {
    for to in [Dialect::Anthropic, Dialect::Bedrock] {
        for (data, looks) in LOOKS {
            for said in ["image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp"] {
                assert_eq!(told(to, said, data), looks.trim_start_matches("image/"), "{said} to {to}");
            }
        }
        // Of what nobody knows by its looks, what is said counts; a sound begins as a WebP does.
        assert_eq!(told(to, "image/png", "AAAA"), "png", "{to}");
        assert_eq!(told(to, "image/png", "UklGRiIAAABXQVZFZm10IBAA"), "png", "{to}");
    }
}
