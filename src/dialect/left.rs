//! The names of what callers leave at an upstream, files and batches: where bodies say and mean them.
//!
//! Texts only: where each of them is, and whose, is remembered by the proxy.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::json::{self, Kind, Walked, Walker};
use super::scan::is_otherwise_written;

/// More of them in an answer are not remembered, and more files in a request are refused.
pub const MOST: usize = 1024;

/// Why it cannot be told which files a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// It names more than [`MOST`].
    TooMany,
    /// What is no JSON to this gateway, or says a name twice, may well say something to its upstream.
    Unreadable,
}

/// Names of what an answer is about: one thing or a page of them, with the files that a batch has made.
pub fn said(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let _ = thing(&mut Walker::new(body), &mut found);
    found.truncate(MOST);
    found
}

fn thing(walker: &mut Walker<'_>, found: &mut Vec<String>) -> Walked {
    const NAMES: [&str; 4] = ["id", "input_file_id", "output_file_id", "error_file_id"];
    walker
        .if_object(|walker, key| {
            if NAMES.iter().any(|name| key.is(name)) {
                name(walker, found)
            } else if key.is("data") && walker.kind()? == Kind::Array {
                walker.array(|walker| thing(walker, found))
            } else {
                walker.skip().map(drop)
            }
        })
        .map(drop)
}

/// The file that a new batch of OpenAI's is read from.
///
/// # Errors
/// It cannot be told.
pub fn input_file(body: &[u8]) -> Result<Option<String>, Unclear> {
    const MEMBER: &str = "input_file_id";
    is_read(body)?;
    let (mut found, mut members, mut is_misspelt) = (Vec::new(), 0, false);
    let read = Walker::new(body).object(|walker, key| {
        let is_it = key.is(MEMBER);
        members += usize::from(is_it);
        is_misspelt |= is_otherwise_written(&key.bytes(), &[MEMBER]);
        if is_it { name(walker, &mut found) } else { walker.skip().map(drop) }
    });
    read.map_err(|_| Unclear::Unreadable)?;
    if members > 1 || is_misspelt { Err(Unclear::Unreadable) } else { Ok(found.pop()) }
}

/// Whether a body can be read from its beginning to its end, as bodies that name a model are anyway.
///
/// # Errors
/// It cannot.
pub fn is_read(body: &[u8]) -> Result<(), Unclear> {
    let is_read = std::str::from_utf8(body).is_ok() && json::is_whole(body);
    if is_read { Ok(()) } else { Err(Unclear::Unreadable) }
}

/// One of these is in every body that names a file; they are looked for in every request.
static MARKS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new(b"\"file_id"), Finder::new(b"\\u00")]);

/// Files that a request is to be read with, each once. What a model has named as its sources is no reference: it
/// is said again as it was.
///
/// # Errors
/// There are more than anybody looks for, or the body cannot be read: one that is passed over may be somebody else's.
pub fn meant(body: &[u8]) -> Result<Vec<String>, Unclear> {
    // Every letter of the name can be written as an escape, and all of those begin alike.
    if MARKS.iter().all(|mark| mark.find(body).is_none()) {
        return Ok(Vec::new());
    }
    let mut found = BTreeSet::new();
    value(&mut Walker::new(body), Among::Others, &mut found).map_err(|_| Unclear::Unreadable)?;
    if found.len() > MOST { Err(Unclear::TooMany) } else { Ok(found.into_iter().collect()) }
}

/// What a value stands among.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    /// What a model has said of its text.
    Annotations,
    Others,
}

fn value(walker: &mut Walker<'_>, among: Among, found: &mut BTreeSet<String>) -> Walked {
    match walker.kind()? {
        Kind::Array => walker.array(|walker| value(walker, Among::Others, found)),
        Kind::Object => {
            let (mut own, mut quoted) = (Vec::new(), false);
            walker.object(|walker, key| {
                if key.is("file_id") {
                    name(walker, &mut own)
                } else if key.is("file_ids") && walker.kind()? == Kind::Array {
                    walker.array(|walker| name(walker, &mut own))
                } else if key.is("annotations") && walker.kind()? == Kind::Array {
                    walker.array(|walker| value(walker, Among::Annotations, found))
                } else if among == Among::Annotations && key.is("type") && walker.kind()? == Kind::String {
                    let kind = walker.string()?;
                    quoted = ["file_citation", "container_file_citation", "file_path"]
                        .iter()
                        .any(|citation| kind.is(citation));
                    Ok(())
                } else {
                    value(walker, Among::Others, found)
                }
            })?;
            if !quoted {
                // One more than are taken tells that there are too many.
                for name in own {
                    if found.len() <= MOST {
                        found.insert(name);
                    }
                }
            }
            Ok(())
        }
        Kind::String | Kind::Number | Kind::True | Kind::False | Kind::Null => walker.skip().map(drop),
    }
}

fn name(walker: &mut Walker<'_>, found: &mut Vec<String>) -> Walked {
    if walker.kind()? != Kind::String {
        return walker.skip().map(drop);
    }
    let text = walker.string()?;
    found.extend(text.decode().filter(|text| !text.is_empty()).map(std::borrow::Cow::into_owned));
    Ok(())
}

/// An answer of Anthropic's in which the results of batches are to be had at this gateway: `results_url` without
/// its host, which its SDKs resolve against their base URL. `None` where nothing has to change.
pub fn homeward(body: &[u8]) -> Option<Vec<u8>> {
    const MEMBER: &[u8] = b"\"results_url\"";
    const WAY: &[u8] = b"/v1/messages/batches/";
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = memmem::find(rest, MEMBER) {
        let (before, behind) = rest.split_at(at + MEMBER.len());
        out.extend_from_slice(before);
        rest = behind;
        let blank = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let colon = blank(behind);
        let Some(value) = behind.get(colon..).and_then(|text| text.strip_prefix(b":")) else { continue };
        let Some(url) = value.get(blank(value)..).and_then(|text| text.strip_prefix(b"\"")) else { continue };
        let length = memchr::memchr(b'"', url).unwrap_or(0);
        let host =
            url.get(..length).filter(|url| url.starts_with(b"http")).and_then(|url| memmem::find(url, WAY));
        if let Some(host) = host {
            out.extend_from_slice(b":\"");
            rest = url.get(host..).unwrap_or_default();
        }
    }
    (!out.is_empty()).then(|| {
        out.extend_from_slice(rest);
        out
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_names_itself_and_its_files() {
        let batch = br#"{"id":"batch_1","object":"batch","input_file_id":"file-1","output_file_id":null,
            "error_file_id":"file-2","metadata":{"id":"x"}}"#;
        assert_eq!(said(batch), ["batch_1", "file-1", "file-2"]);
        let page = br#"{"object":"list","data":[{"id":"file-1"},{"id":"file-2"}],"last_id":"file-2"}"#;
        assert_eq!(said(page), ["file-1", "file-2"]);
        assert_eq!(
            input_file(br#"{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}"#),
            Ok(Some("file-1".to_owned()))
        );
    }

    #[test]
    fn files_are_meant_by_parts_and_not_by_what_a_model_quoted() {
        let chat =
            br#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#;
        assert_eq!(meant(chat).expect("one"), ["file-1"]);
        let responses = br#"{"input":[{"content":[{"type":"input_image","file_id":"file-2"},
            {"type":"output_text","annotations":[{"file_id":"file-9","type":"file_citation"}]}]}],
            "tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-3"]}}]}"#;
        assert_eq!(meant(responses).expect("two"), ["file-2", "file-3"]);
        let anthropic = br#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"file_4"}}]}]}"#;
        assert_eq!(meant(anthropic).expect("one"), ["file_4"]);
        assert_eq!(meant(br#"{"messages":[{"content":"\"file_id\":\"file-5\""}]}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_file_is_meant_however_its_member_is_spelt() {
        for member in
            [r"file\u005fid", r"\u0066ile_id", r"file_i\u0064", r"\u0066\u0069\u006c\u0065\u005F\u0069\u0064"]
        {
            let body = format!(
                r#"{{"messages":[{{"content":[{{"type":"file","file":{{"{member}":"file-1"}}}}]}}]}}"#
            );
            assert_eq!(meant(body.as_bytes()).expect("one"), ["file-1"], "{member}");
        }
        assert_eq!(meant(br#"{"file\u005fids":["file\u002d1","file-1"]}"#).expect("one"), ["file-1"]);
    }

    #[test]
    fn a_part_does_not_become_a_quotation_by_its_own_word() {
        for kind in ["file_citation", "container_file_citation", "file_path"] {
            let part = format!(r#"{{"file_id":"file-1","type":"{kind}"}}"#);
            let names = |body: String| meant(body.as_bytes()).expect("one");
            assert_eq!(names(format!(r#"{{"input":[{{"content":[{part}]}}]}}"#)), ["file-1"]);
            assert_eq!(names(format!(r#"{{"annotations":{part}}}"#)), ["file-1"]);
            assert_eq!(names(format!(r#"{{"annotations":[{{"x":{part}}}]}}"#)), ["file-1"]);
            assert!(names(format!(r#"{{"annotations":[{part}]}}"#)).is_empty());
        }
    }

    #[test]
    fn a_file_among_too_many_is_not_passed_over() {
        let body = |ids: usize, parts: usize| {
            let part = |part: usize| format!(r#"{{"file_id":"file-{}"}}"#, part % ids);
            format!("[{}]", (0..parts).map(part).collect::<Vec<_>>().join(",")).into_bytes()
        };
        assert_eq!(meant(&body(MOST, MOST)).map(|names| names.len()), Ok(MOST));
        assert_eq!(meant(&body(3, 4 * MOST)).map(|names| names.len()), Ok(3), "each counts once");
        assert_eq!(meant(&body(MOST + 1, MOST + 1)), Err(Unclear::TooMany));
        let ids: Vec<String> = (0..=MOST).map(|id| format!("\"file-{id}\"")).collect();
        assert_eq!(meant(format!(r#"{{"file_ids":[{}]}}"#, ids.join(",")).as_bytes()), Err(Unclear::TooMany));
    }

    #[test]
    fn results_are_had_where_the_batch_was_asked_for() {
        let batch =
            br#"{"id":"m","results_url" : "https://api.anthropic.com/v1/messages/batches/m/results","x":1}"#;
        let home = homeward(batch).expect("a URL");
        assert_eq!(home, br#"{"id":"m","results_url":"/v1/messages/batches/m/results","x":1}"#);
        let none = br#"{"results_url":null}"#;
        assert_eq!(homeward(none).as_deref(), Some(&none[..]));
        assert_eq!(homeward(b"{}"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let marked = [br#"{"file_id":"results_url":"#.as_slice(), &bytes].concat();
            for body in [&bytes, &marked] {
                let _ = (said(body), meant(body), input_file(body), homeward(body));
            }
        }
    }
}
