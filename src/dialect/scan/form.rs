//! The `model` and `stream` parts of a `multipart/form-data` body (RFC 7578), found in place.

use super::{IncludeUsage, LONG, Media, Named, Scan, ScanError, Wish, prompt_tokens, refuse};

/// RFC 2046 §5.1.1.
const MAX_BOUNDARY: usize = 70;

/// The boundary, as it stands in the body, when `content_type` is that of a form.
pub(super) fn boundary(content_type: &str) -> Option<Vec<u8>> {
    let (kind, params) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (1..=MAX_BOUNDARY).contains(&value.len()).then(|| [b"--", value.as_bytes()].concat())
}

pub(super) fn scan(boundary: &[u8], body: &[u8]) -> Result<Scan, ScanError> {
    let delimiter = [b"\r\n", boundary].concat();
    let mut model = None;
    let mut stream = None;
    let (mut texts, mut media) = (0, Media::default());
    let mut at = if body.starts_with(boundary) {
        boundary.len()
    } else {
        // A preamble is allowed and ignored.
        memchr::memmem::find(body, &delimiter)
            .map(|found| found + delimiter.len())
            .ok_or_else(|| ScanError::new(0, "the form does not begin with its boundary"))?
    };
    let finder = memchr::memmem::Finder::new(&delimiter);
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            break;
        }
        let length = finder.find(rest).ok_or_else(|| ScanError::new(at, "the form has no end"))?;
        let part = rest.get(..length).unwrap_or_default();
        let headers = memchr::memmem::find(part, b"\r\n\r\n")
            .ok_or_else(|| ScanError::new(at, "a part of the form has no headers"))?;
        let value = at + headers + 4..at + length;
        let text = body.get(value.clone()).unwrap_or_default();
        let head = part.get(..headers).unwrap_or_default();
        match kind(head) {
            // A file is a medium as any other, and a short one costs no more than its bytes would.
            Kind::File if text.len() > LONG => media.count += 1,
            Kind::File | Kind::Text => texts += text.len(),
        }
        match name(head) {
            Some(b"model") => {
                let name = std::str::from_utf8(text)
                    .map_err(|_| ScanError::new(value.start, "`model` is not valid UTF-8"))?;
                if let Some(refusal) = refuse(name) {
                    return Err(ScanError::new(value.start, refusal));
                }
                if model.replace((name.to_owned(), value.clone())).is_some() {
                    return Err(ScanError::new(value.start, "`model` is there twice"));
                }
            }
            Some(b"stream") => {
                let said = text.eq_ignore_ascii_case(b"true") || text == b"1";
                let earlier = stream.replace(said);
                if earlier.is_some() {
                    return Err(ScanError::new(value.start, "`stream` is there twice"));
                }
            }
            _ => {}
        }
        at += length + delimiter.len();
    }
    let (model, span) = model.ok_or_else(|| ScanError::new(body.len(), "the form names no `model`"))?;
    Ok(Scan {
        model,
        model_at: Named::Form(span),
        others: Vec::new(),
        stream: stream.unwrap_or(false),
        include_usage: IncludeUsage::Inherent,
        max_output_tokens: None,
        calls_tools: false,
        shape: super::Shape::Own,
        state: super::State::None,
        refers_to: None,
        store: super::Store::Declined,
        prompt_tokens: prompt_tokens(texts, media),
        thinks: super::Thinks::Unsaid,
        wish: Wish::default(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    File,
}

/// Every client gives its files a name (RFC 7578 §4.2), and its texts none.
fn kind(headers: &[u8]) -> Kind {
    let named = [b"filename=".as_slice(), b"filename*="];
    let is_file = named.iter().any(|name| memchr::memmem::find(headers, name).is_some());
    if is_file { Kind::File } else { Kind::Text }
}

/// The `name` of a part, from its `Content-Disposition`.
fn name(headers: &[u8]) -> Option<&[u8]> {
    headers.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (field, value) = line.split_at_checked(colon)?;
        if !field.trim_ascii().eq_ignore_ascii_case(b"content-disposition") {
            return None;
        }
        value.split(|byte| *byte == b';').find_map(|param| {
            let quoted = param.trim_ascii().strip_prefix(b"name=")?;
            Some(quoted.strip_prefix(b"\"").and_then(|q| q.strip_suffix(b"\"")).unwrap_or(quoted))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=\"xYz\"";

    fn transcription(body: &str) -> Result<Scan, ScanError> {
        super::super::scan(&entry("/v1/audio/transcriptions"), Some(KIND), body.as_bytes())
    }

    #[test]
    fn the_model_part_is_found_among_files() {
        let body = "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;name=b\"\r\n\
            Content-Type: audio/wav\r\n\r\n\u{0}--x\r\n\r\n--xY\r\n--xYz\r\ncontent-disposition: form-data; \
            name=\"model\"\r\n\r\nwhisper-1\r\n--xYz\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\n\
            true\r\n--xYz--\r\n";
        let seen = transcription(body).expect("a form");
        assert_eq!((seen.model.as_str(), seen.stream), ("whisper-1", true));
        assert!(matches!(seen.model_at, Named::Form(span) if &body[span.clone()] == "whisper-1"));
    }

    #[test]
    fn of_a_form_its_texts_and_the_number_of_its_files_count() {
        let tokens = |file: usize, prompt: usize| {
            let (file, prompt) = ("\u{1}".repeat(file), "x".repeat(prompt));
            let body = format!(
                "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n{file}\r\n--xYz\r\n\
                Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper1\r\n--xYz\r\n\
                Content-Disposition: form-data; name=\"prompt\"\r\n\r\n{prompt}\r\n--xYz--"
            );
            transcription(&body).expect("a form").prompt_tokens
        };
        assert_eq!(tokens(400, 400), 202);
        assert_eq!(tokens(2_000_000, 400), tokens(10_000_000, 400));
        assert_eq!(tokens(2_000_000, 80_000), 20_002 + crate::dialect::tokens::PER_MEDIUM);
    }

    #[test]
    fn a_form_without_end_model_or_boundary_is_refused() {
        let part = "--xYz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm";
        for body in ["", "--xYz--", part, &format!("{part}\r\n{part}\r\n--xYz--"), "--xYz\r\nx\r\n--xYz--"] {
            assert!(transcription(body).is_err(), "{body}");
        }
        assert!(transcription(&format!("preamble\r\n{part}\r\n--xYz--")).is_ok());
    }
}
