//! What a turn is made of.

use super::carry::Signature;
use super::{Extras, Text};
use crate::dialect::write;

#[derive(Clone, Debug, PartialEq)]
pub struct Part<'a> {
    pub content: Content<'a>,
    pub cache: Option<CacheMark>,
    /// What an answer's text is based on.
    pub citations: Vec<Citation<'a>>,
    pub extras: Extras<'a>,
}

/// A source that an answer names.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation<'a> {
    pub url: Option<Text<'a>>,
    pub title: Option<Text<'a>>,
    /// Where in the answer's text it belongs, in characters, where `raw` says so in another way than OpenAI.
    pub place: Option<(u64, u64)>,
    /// All of it, in the upstream's own words.
    pub raw: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content<'a> {
    Text(Text<'a>),
    /// The model's refusal, in its own words.
    Refusal(Text<'a>),
    Image(Media<'a>),
    Audio(Media<'a>),
    Video(Media<'a>),
    /// A PDF or another document.
    File(Media<'a>),
    Thought(Thought<'a>),
    Call(Call<'a>),
    Outcome(Outcome<'a>),
    /// A part that only the dialect of origin knows; `kind` is its type, `raw` all of it.
    Vendor {
        kind: Text<'a>,
        raw: &'a str,
    },
}

/// What is not text.
#[derive(Clone, Debug, PartialEq)]
pub struct Media<'a> {
    pub source: Source<'a>,
    /// `image/png`; unknown for most URLs.
    pub mime: Option<Text<'a>>,
    /// OpenAI's `low`, `high`, `auto` for images.
    pub detail: Option<Text<'a>>,
    /// A file's name or a document's title.
    pub name: Option<Text<'a>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source<'a> {
    /// Standard base64, without a `data:` prefix.
    Base64(Text<'a>),
    Url(Text<'a>),
    /// A file that was left at the vendor before.
    FileId(Text<'a>),
    /// A document that is plain text.
    Text(Text<'a>),
}

/// A piece of reasoning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thought<'a> {
    /// What may be read of it; empty when only the vendor can.
    pub text: Text<'a>,
    /// It is a summary and not the reasoning itself.
    pub is_summary: bool,
    /// What its vendor wants back with it, untouched.
    pub signature: Option<Signature<'a>>,
    /// The vendor shows nothing of it (Anthropic's `redacted_thinking`); the data is the signature.
    pub is_redacted: bool,
    /// The item's id, where the dialect has one.
    pub id: Option<Text<'a>>,
}

/// A tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'a> {
    /// Empty when the dialect gives none: the writer makes one up.
    pub id: Text<'a>,
    pub name: Text<'a>,
    /// What the model wrote: JSON for functions, as far as the model is right; free text for custom
    /// tools.
    pub arguments: Text<'a>,
    pub kind: CallKind,
    /// Gemini's signature of the thought that led to it.
    pub signature: Option<Signature<'a>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallKind {
    #[default]
    Function,
    /// OpenAI's custom tool, whose input is free text.
    Custom,
}

/// What came of a tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<'a> {
    /// Empty when the dialect gives none: the order tells.
    pub call_id: Text<'a>,
    /// The tool's name. Readers fill it in from the call wherever the dialect does not say it.
    pub name: Option<Text<'a>>,
    pub content: Vec<Part<'a>>,
    pub is_error: Option<bool>,
    /// It answers an OpenAI custom tool.
    pub kind: CallKind,
}

/// A prompt may be cached up to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMark {
    /// Five minutes, or whatever the vendor's usual is.
    Short,
    /// An hour.
    Hour,
}

impl<'a> Part<'a> {
    pub fn new(content: Content<'a>) -> Self {
        Self { content, cache: None, citations: Vec::new(), extras: Extras::default() }
    }

    pub fn text(text: impl Into<Text<'a>>) -> Self {
        Self::new(Content::Text(text.into()))
    }

    /// Adds what an answer as a whole is based on to its last text; an answer without any gets an empty one.
    pub fn cite(parts: &mut Vec<Self>, citations: impl IntoIterator<Item = Citation<'a>>) {
        let mut citations = citations.into_iter().peekable();
        if citations.peek().is_none() {
            return;
        }
        match parts.iter_mut().rev().find(|part| part.as_text().is_some()) {
            Some(part) => part.citations.extend(citations),
            None => parts.push(Self { citations: citations.collect(), ..Self::text("") }),
        }
    }

    /// Its text, if that is what it is.
    pub fn as_text(&self) -> Option<&Text<'a>> {
        if let Content::Text(text) = &self.content { Some(text) } else { None }
    }
}

impl Call<'_> {
    /// A function's arguments as the object that they have to be; `None` where they are none.
    pub fn object(&self) -> Option<&str> {
        object_of(&self.arguments)
    }

    /// The same for dialects that have nothing but an object there. What is none was dealt with before (`translate`).
    pub fn input(&self) -> &str {
        self.object().unwrap_or("{}")
    }
}

/// The JSON object that a function's arguments have to be. None at all are an empty one: many models write nothing
/// where a tool takes nothing.
pub fn object_of(arguments: &str) -> Option<&str> {
    match arguments.trim() {
        "" | "null" => Some("{}"),
        text => write::as_object(text),
    }
}

/// What pictures begin with, as far as it fills digits of base64.
const LOOKS: [(&str, &str); 4] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    // `RIFF`, four bytes of a length, `WEBP`.
    ("UklGR", "image/webp"),
];
/// Where the digits begin that `WEBP` fills, and what they are: a sound begins with `RIFF`, too.
const WEBP: (usize, &str) = (11, "XRUJQ");

impl<'a> Media<'a> {
    /// The type of a picture, by its first bytes: what is said of it may be wrong. Looks at sixteen digits.
    pub fn picture_by_looks(&self) -> Option<&'static str> {
        let Source::Base64(data) = &self.source else { return None };
        let (_, mime) = LOOKS.iter().find(|(begin, _)| data.starts_with(begin))?;
        let is_it = *mime != "image/webp" || data.get(WEBP.0..).is_some_and(|rest| rest.starts_with(WEBP.1));
        is_it.then_some(mime)
    }

    pub fn new(source: Source<'a>, mime: Option<Text<'a>>) -> Self {
        Self { source, mime, detail: None, name: None }
    }

    /// What a URL means: `data:image/png;base64,…` is the data itself, anything else stays a URL.
    pub fn of_url(url: Text<'a>) -> Self {
        let split = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
        let Some((head, _)) = split.filter(|(head, _)| head.ends_with(";base64")) else {
            return Self::new(Source::Url(url), None);
        };
        let mime = head.trim_end_matches(";base64").split(';').next().unwrap_or_default().to_owned();
        let begin = "data:".len() + head.len() + 1;
        let data = match url {
            Text::Borrowed(text) => Text::Borrowed(text.get(begin..).unwrap_or_default()),
            Text::Owned(text) => Text::Owned(text.get(begin..).unwrap_or_default().to_owned()),
        };
        Self::new(Source::Base64(data), (!mime.is_empty()).then_some(Text::Owned(mime)))
    }

    /// A URL that says the same: a `data:` URL for data. `None` for files at the vendor and text.
    pub fn as_url(&self) -> Option<Text<'_>> {
        match &self.source {
            Source::Url(url) => Some(Text::Borrowed(url)),
            Source::Base64(data) => {
                let mime = self.mime.as_deref().unwrap_or("application/octet-stream");
                Some(Text::Owned(format!("data:{mime};base64,{data}")))
            }
            Source::FileId(_) | Source::Text(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_its_data_and_back() {
        let media = Media::of_url("data:image/png;base64,AAAA".into());
        assert_eq!(media.source, Source::Base64("AAAA".into()));
        assert_eq!(media.mime.as_deref(), Some("image/png"));
        assert_eq!(media.as_url().as_deref(), Some("data:image/png;base64,AAAA"));
        let named = Media::of_url("data:application/pdf;name=a.pdf;base64,AA==".into());
        assert_eq!(named.mime.as_deref(), Some("application/pdf"));
        for url in ["https://example.com/a.png", "data:text/plain,hi", "data:"] {
            assert_eq!(Media::of_url(url.into()).source, Source::Url(url.into()));
        }
    }
}
