//! A body whose model its path names.

use super::super::entry::{Entry, ModelAt};
use super::super::json::Walker;
use super::{Named, form};

/// The body with this model for its own; `None` where it names that already, and where it cannot be read, which a scan
/// of it tells.
pub fn with_model(
    entry: &Entry<'_>,
    content_type: Option<&str>,
    body: &[u8],
    model: &str,
) -> Option<Vec<u8>> {
    let boundary = content_type.filter(|_| entry.model == ModelAt::Multipart).and_then(form::boundary);
    match boundary {
        Some(boundary) => in_form(&boundary, body, model),
        None => in_json(body, model),
    }
}

fn in_json(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let named = serde_json::Value::from(model).to_string();
    let mut walker = Walker::new(body);
    let first = walker.offset() + 1;
    let (mut at, mut members) = (None, 0_usize);
    walker
        .object(|walker, key| {
            members += 1;
            let (_, span) = walker.value()?;
            if key.is("model") && at.is_none() {
                at = Some(span);
            }
            Ok(())
        })
        .ok()?;
    match at {
        Some(span) if body.get(span.clone())? == named.as_bytes() => None,
        Some(span) => Some([body.get(..span.start)?, named.as_bytes(), body.get(span.end..)?].concat()),
        None => {
            let comma: &[u8] = if members > 0 { b"," } else { b"" };
            Some([body.get(..first)?, b"\"model\":", named.as_bytes(), comma, body.get(first..)?].concat())
        }
    }
}

fn in_form(boundary: &[u8], body: &[u8], model: &str) -> Option<Vec<u8>> {
    match form::scan(boundary, body) {
        Ok(scan) if scan.model == model => None,
        Ok(scan) => {
            let Named::Form(span) = scan.model_at else { return None };
            Some([body.get(..span.start)?, model.as_bytes(), body.get(span.end..)?].concat())
        }
        // Without a part for it the form is as good with one; whatever else it has to be refused for, it still has.
        Err(_) => {
            let at = memchr::memmem::find(body, boundary)?;
            let head: &[u8] = b"\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
            let (before, rest) = body.split_at_checked(at)?;
            Some([before, boundary, head, model.as_bytes(), b"\r\n", rest].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{scan, tests::entry};
    use super::*;

    fn json(body: &str) -> String {
        let made = with_model(&entry("/v1/chat/completions"), None, body.as_bytes(), "a\"b");
        made.map_or_else(|| "-".to_owned(), |made| String::from_utf8(made).expect("text"))
    }

    #[test]
    fn the_paths_name_goes_where_the_bodys_stands() {
        assert_eq!(json(r#"{"x":1, "model" : "gpt-4o","y":2}"#), r#"{"x":1, "model" : "a\"b","y":2}"#);
        assert_eq!(json(r#"{"x":1,"model":null}"#), r#"{"x":1,"model":"a\"b"}"#);
        assert_eq!(json(r#" {"messages":[]}"#), r#" {"model":"a\"b","messages":[]}"#);
        assert_eq!(json("{}"), r#"{"model":"a\"b"}"#);
        assert_eq!(json(r#"{"model":"a\"b"}"#), "-");
        assert_eq!(json("[1]"), "-");
        assert_eq!(json(r#"{"model":"#), "-");
    }

    #[test]
    fn a_form_has_a_part_for_it() {
        let entry = entry("/v1/audio/transcriptions");
        let kind = Some("multipart/form-data; boundary=b");
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n";
        let named = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nold\r\n";
        for form in [format!("{file}--b--\r\n"), format!("{file}{named}--b--\r\n")] {
            let made = with_model(&entry, kind, form.as_bytes(), "whisper").expect("another");
            assert_eq!(scan(&entry, kind, &made).expect("sound").model, "whisper");
            assert_eq!(with_model(&entry, kind, &made, "whisper"), None);
            assert!(String::from_utf8(made).expect("text").contains(file));
        }
        let none = with_model(&entry, kind, b"no form", "whisper");
        assert_eq!(none, None);
    }

    proptest! {
        #[test]
        fn a_scan_of_it_finds_the_name_or_says_what_it_said_before(
            body in prop_oneof![
                r#"[ ]\{("model":("x"|1|null))?\}"#,
                r#"\{("a":\[1,2\],)?"model":"[a-z]{1,4}"(,"b":\{"model":1\})?\}"#,
                "\\PC{0,20}",
            ],
            model in "[a-z/\"]{1,8}",
        ) {
            let entry = entry("/v1/chat/completions");
            let made = with_model(&entry, None, body.as_bytes(), &model);
            match made {
                Some(made) => prop_assert_eq!(scan(&entry, None, &made).map(|scan| scan.model), Ok(model)),
                None => prop_assert!(scan(&entry, None, body.as_bytes()).map_or(true, |scan| scan.model == model)),
            }
        }
    }
}
