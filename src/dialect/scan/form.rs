//! The `model` and `stream` parts of a `multipart/form-data` body (RFC 7578), found in place.
//!
//! A form that another parser may read otherwise is refused: what is held against a caller's rules has to be what his
//! upstream reads. No SDK writes one.

use super::{IncludeUsage, LONG, Media, Named, Scan, ScanError, Wish, prompt_tokens, refuse};

/// RFC 2046 §5.1.1.
const MAX_BOUNDARY: usize = 70;

/// The boundary, as it stands in the body, when `content_type` is that of a form.
pub(super) fn boundary(content_type: &str) -> Option<Vec<u8>> {
    let (kind, params) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut boundary = None;
    for param in Params(params.as_bytes()) {
        let (name, value) = param.ok()?;
        if name.eq_ignore_ascii_case(b"boundary") && boundary.replace(value).is_some() {
            return None;
        }
    }
    let value = boundary?;
    (1..=MAX_BOUNDARY).contains(&value.len()).then(|| [b"--", value].concat())
}

pub(super) fn scan(boundary: &[u8], body: &[u8]) -> Result<Scan, ScanError> {
    let mut model = None;
    let mut stream = None;
    let (mut texts, mut media) = (0, Media::default());
    // A preamble is allowed and ignored.
    let finder = memchr::memmem::Finder::new(boundary);
    let first = finder.find(body).filter(|at| *at == 0 || body[..*at].ends_with(b"\r\n"));
    let first = first.ok_or_else(|| ScanError::new(0, "the form does not begin with its boundary"))?;
    let mut at = first + boundary.len();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        let next = finder.find(rest);
        if rest.starts_with(b"--") {
            if next.is_some() {
                return Err(ScanError::new(at, "the form goes on behind its end"));
            }
            break;
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Err(ScanError::new(at, "there is more in the line of the form's boundary"));
        }
        let next = next.ok_or_else(|| ScanError::new(at, "the form has no end"))?;
        // Lines may end otherwise for another parser, which takes this one for the boundary.
        let length = next.checked_sub(2).filter(|end| &rest[*end..next] == b"\r\n");
        let length = length.ok_or_else(|| {
            ScanError::new(at + next, "the form's boundary is not at the beginning of a line")
        })?;
        let part = rest.get(..length).unwrap_or_default();
        let headers = memchr::memmem::find(part, b"\r\n\r\n")
            .ok_or_else(|| ScanError::new(at, "a part of the form has no headers"))?;
        let value = at + headers + 4..at + length;
        let text = body.get(value.clone()).unwrap_or_default();
        let head = part.get(..headers).unwrap_or_default();
        let disposition = Disposition::of(head.get(padding..).unwrap_or_default());
        let disposition = disposition.map_err(|Odd(message)| ScanError::new(at, message))?;
        // A file is a medium as any other, and a short one costs no more than its bytes would.
        if disposition.is_file && text.len() > LONG {
            media.count += 1;
        } else {
            texts += text.len();
        }
        match disposition.name {
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
        at += next + boundary.len();
    }
    let (model, span) = model.ok_or_else(|| ScanError::new(body.len(), "the form names no `model`"))?;
    Ok(Scan {
        model,
        model_at: Named::Form(span),
        others: Vec::new(),
        stream: stream.unwrap_or(false),
        include_usage: IncludeUsage::Inherent,
        max_output_tokens: None,
        older_limit: None,
        calls_tools: false,
        shape: super::Shape::Own,
        state: super::State::None,
        refers_to: None,
        store: super::Store::Declined,
        prompt_tokens: prompt_tokens(texts, media),
        thinks: super::Thinks::Unsaid,
        wish: Wish::default(),
        values: 0,
    })
}

/// What another parser may read otherwise, and why.
#[derive(Debug, PartialEq, Eq)]
struct Odd(&'static str);

/// What a part is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Disposition<'a> {
    name: Option<&'a [u8]>,
    /// Every client gives its files a name (RFC 7578 §4.2), and its texts none.
    is_file: bool,
}

impl<'a> Disposition<'a> {
    /// From the `Content-Disposition` among a part's headers.
    fn of(headers: &'a [u8]) -> Result<Self, Odd> {
        let mut found = None;
        for line in headers.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.starts_with(b" ") || line.starts_with(b"\t") || line.contains(&b'\r') {
                return Err(Odd("a header of the form goes over several lines"));
            }
            let Some((field, value)) = memchr::memchr(b':', line).and_then(|at| line.split_at_checked(at))
            else {
                continue;
            };
            let is_disposition = field.trim_ascii().eq_ignore_ascii_case(b"content-disposition");
            if is_disposition && found.replace(Self::read(value)?).is_some() {
                return Err(Odd("a part of the form has two dispositions"));
            }
        }
        Ok(found.unwrap_or_default())
    }

    fn read(value: &'a [u8]) -> Result<Self, Odd> {
        let mut read = Self::default();
        let Some(params) = memchr::memchr(b';', value).and_then(|at| value.get(at + 1..)) else {
            return Ok(read);
        };
        for param in Params(params) {
            let (name, value) = param?;
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("name*") || (is("name") && (read.name.replace(value).is_some() || value.contains(&b'\\'))) {
                return Err(Odd("a part of the form has a name that can be read in two ways"));
            }
            read.is_file |= is("filename") || is("filename*");
        }
        Ok(read)
    }
}

/// The parameters of a header's value (RFC 9110 §5.6.6), behind its first `;`: each with what it is, without its quotes
/// and with whatever is escaped in them.
struct Params<'a>(&'a [u8]);

impl<'a> Iterator for Params<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Odd>;

    fn next(&mut self) -> Option<Self::Item> {
        const ODD: Odd = Odd("a header of the form is not well formed");
        let text = self.0.trim_ascii_start();
        if text.is_empty() {
            return None;
        }
        let end = text.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let Some(value) = rest.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) else {
            self.0 = rest.get(1..).unwrap_or_default();
            return Some(Ok((name.trim_ascii(), &[])));
        };
        let (value, rest) = match value.strip_prefix(b"\"") {
            None => {
                let (token, rest) = value.split_at(memchr::memchr(b';', value).unwrap_or(value.len()));
                (token.trim_ascii_end(), rest)
            }
            Some(quoted) => {
                let mut is_escaped = false;
                let end = quoted.iter().position(|byte| {
                    let is_end = *byte == b'"' && !is_escaped;
                    is_escaped = *byte == b'\\' && !is_escaped;
                    is_end
                });
                let Some(end) = end else {
                    self.0 = &[];
                    return Some(Err(ODD));
                };
                (&quoted[..end], quoted[end + 1..].trim_ascii_start())
            }
        };
        self.0 = match rest.split_first() {
            None => &[],
            Some((b';', rest)) => rest,
            Some(_) => {
                self.0 = &[];
                return Some(Err(ODD));
            }
        };
        Some(Ok((name.trim_ascii(), value)))
    }
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
    fn a_form_that_another_parser_may_read_otherwise_is_refused() {
        let part = |disposition: &str| {
            format!(
                "--xYz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ncheap\r\n--xYz\r\n{disposition}\r\n\r\ndear\r\n--xYz--"
            )
        };
        let form = |header: &str| part(&format!("Content-Disposition: form-data; {header}"));
        for header in [
            "name=\"prompt\"; name=\"model\"",
            "name=\"x\"; name=model",
            "NAME=\"model\"",
            "name = \"model\"",
            "name=\"model\"; xfilename=x",
            "name=\"mod\\el\"",
            "name=\"x\"; name*=utf-8''model",
            "name=\"model",
            "name=\"x\" name=\"model\"",
        ] {
            assert!(transcription(&form(header)).is_err(), "{header}");
        }
        for headers in [
            "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"model\"",
            "Content-Disposition: form-data;\r\n name=\"model\"",
        ] {
            assert!(transcription(&part(headers)).is_err(), "{headers}");
        }
        let whole = form("name=\"prompt\"; filename=\"a;name=b\\\"c.wav\"; filename*=utf-8''a");
        assert!(transcription(&whole).is_ok());
        let model = "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ndear";
        for (cut, odd) in [
            ("--xYz--", format!("--xYz--x\r\n--xYz{model}\r\n--xYz--")),
            ("dear\r\n", format!("dear\n--xYz{model}\r\n")),
            ("--xYz\r\nContent-Disposition: form-data; name=\"prompt\"", format!("--xYzx{model}\r\n--xYz")),
        ] {
            let odd = whole.replacen(cut, &odd, 1);
            assert!(odd != whole && transcription(&odd).is_err(), "{odd}");
        }
        for kind in ["multipart/form-data; boundary=a; boundary=xYz", "multipart/form-data; boundary=\"xYz"] {
            let scanned =
                super::super::scan(&entry("/v1/audio/transcriptions"), Some(kind), whole.as_bytes());
            assert!(scanned.is_err(), "{kind}");
        }
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
