//! Media that a caller gave as a URL, towards a dialect whose upstreams fetch nothing: which they are, and
//! their content in their place.
//!
//! Fetches nothing itself. Whoever can, asks [`wanted`] and gives what came of it to [`replace`]; a URL that
//! the dialect takes is in neither, nor is one that no fetch would help (a sound for a model that is deaf).

use std::collections::HashSet;

use super::Dialect;
use super::bedrock;
use super::gemini;
use super::hub::{Ask, Content, Media, Part, Role, Source, Terms, Text};
use super::quirks::{ClaudeSources, Quirks, ToolIds};
use super::tree::Node;

/// What a URL held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'h> {
    /// Its media type, without parameters.
    pub kind: &'h str,
    /// Standard base64.
    pub data: &'h str,
}

/// A URL whose content is not what its part says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub url: String,
    pub message: String,
}

/// The URLs of `ask` whose content `to` has to be given, each once, in their order.
pub fn wanted<'w>(ask: &'w Ask<'_>, to: Dialect, terms: &Terms<'_>) -> Vec<&'w str> {
    let (mut urls, mut seen) = (Vec::new(), HashSet::new());
    if !is_filled(ask.dialect, to, terms) {
        return urls;
    }
    for part in ask.turns.iter().filter(|turn| turn.role == Role::User).flat_map(|turn| &turn.parts) {
        gather(part, to, terms, &mut |url| {
            if seen.insert(url) {
                urls.push(url);
            }
        });
    }
    urls
}

/// What comes in its own dialect is left as it is, save where a cloud takes less of that than its maker.
fn is_filled(from: Dialect, to: Dialect, terms: &Terms<'_>) -> bool {
    from != to || refuses_urls(to, terms.quirks)
}

/// Does an upstream of this dialect refuse URLs that its own callers may say?
pub fn refuses_urls(dialect: Dialect, quirks: &Quirks) -> bool {
    dialect == Dialect::Anthropic && quirks.claude_sources == ClaudeSources::Data
}

fn gather<'w>(part: &'w Part<'_>, to: Dialect, terms: &Terms<'_>, found: &mut impl FnMut(&'w str)) {
    if let Content::Outcome(outcome) = &part.content {
        outcome.content.iter().for_each(|part| gather(part, to, terms, found));
    } else if let Some(url) = url_of(&part.content, to, terms) {
        found(url);
    }
}

/// The URL of a part that `to` cannot take as one.
fn url_of<'w>(content: &'w Content<'_>, to: Dialect, terms: &Terms<'_>) -> Option<&'w str> {
    let (Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::File(media)) =
        content
    else {
        return None;
    };
    let Source::Url(url) = &media.source else { return None };
    let begins =
        |scheme: &str| url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    let is_web = begins("https://") || begins("http://");
    (is_web && helps(content, url, to, terms)).then_some(&**url)
}

/// Can `to` say the content, and not the URL?
fn helps(content: &Content<'_>, url: &str, to: Dialect, terms: &Terms<'_>) -> bool {
    let (is_image, is_file) = (matches!(content, Content::Image(_)), matches!(content, Content::File(_)));
    let is_audio = matches!(content, Content::Audio(_));
    let quirks = terms.quirks;
    match to {
        Dialect::Bedrock => is_image || is_file || bedrock::hears(terms),
        Dialect::Gemini => !gemini::opens(url),
        Dialect::Ollama => is_image || is_file,
        Dialect::Cohere => is_file,
        Dialect::Responses => is_audio,
        // OpenAI's own takes URLs of pictures alone; Mistral's takes all.
        Dialect::OpenAi => {
            (is_file && quirks.tools_by_responses)
                || (is_audio && quirks.tool_ids != ToolIds::NineAlphanumeric)
        }
        Dialect::Anthropic => (is_image || is_file) && quirks.claude_sources == ClaudeSources::Data,
        Dialect::Http => false,
    }
}

/// Puts the content of each URL that [`wanted`] names in its place, as far as `held` has it.
pub fn replace<'a>(
    ask: &mut Ask<'a>,
    to: Dialect,
    terms: &Terms<'_>,
    held: impl Fn(&str) -> Option<Held<'a>>,
) -> Result<(), Mismatch> {
    if !is_filled(ask.dialect, to, terms) {
        return Ok(());
    }
    let turns = ask.turns.iter_mut().filter(|turn| turn.role == Role::User);
    turns.flat_map(|turn| &mut turn.parts).try_for_each(|part| put(part, to, terms, &held))
}

fn put<'a>(
    part: &mut Part<'a>,
    to: Dialect,
    terms: &Terms<'_>,
    held: &impl Fn(&str) -> Option<Held<'a>>,
) -> Result<(), Mismatch> {
    if let Content::Outcome(outcome) = &mut part.content {
        return outcome.content.iter_mut().try_for_each(|part| put(part, to, terms, held));
    }
    let Some(url) = url_of(&part.content, to, terms) else { return Ok(()) };
    let Some(Held { kind, data }) = held(url) else { return Ok(()) };
    let family = kind.split('/').next().unwrap_or_default();
    let expected = match &part.content {
        Content::Image(_) => Some(("image", "a picture")),
        Content::Audio(_) => Some(("audio", "a sound")),
        Content::Video(_) => Some(("video", "a video")),
        Content::File(_)
        | Content::Text(_)
        | Content::Refusal(_)
        | Content::Thought(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Vendor { .. } => None,
    };
    if let Some((_, what)) = expected.filter(|(expected, _)| *expected != family) {
        return Err(Mismatch { url: url.to_owned(), message: format!("the URL holds {kind}, not {what}") });
    }
    let content = std::mem::replace(&mut part.content, Content::Text(Text::Borrowed("")));
    part.content = with(content, kind, data, family);
    Ok(())
}

/// A file is what it turns out to be.
fn with<'a>(content: Content<'a>, kind: &'a str, data: &'a str, family: &str) -> Content<'a> {
    let filled = |media: Media<'a>| Media {
        source: Source::Base64(Text::Borrowed(data)),
        mime: Some(Text::Borrowed(kind)),
        ..media
    };
    match content {
        Content::Image(media) => Content::Image(filled(media)),
        Content::Audio(media) => Content::Audio(filled(media)),
        Content::Video(media) => Content::Video(filled(media)),
        Content::File(media) => match family {
            "image" => Content::Image(filled(media)),
            "audio" => Content::Audio(filled(media)),
            "video" => Content::Video(filled(media)),
            _ => Content::File(filled(media)),
        },
        other @ (Content::Text(_)
        | Content::Refusal(_)
        | Content::Thought(_)
        | Content::Call(_)
        | Content::Outcome(_)
        | Content::Vendor { .. }) => other,
    }
}

/// Where in the body a URL stands, for an error about it.
pub fn place<'n, 'a>(root: &'n Node<'a>, url: &str) -> Option<&'n Node<'a>> {
    if root.as_str() == Some(url) {
        return Some(root);
    }
    let members = root.members().iter().map(|(_, value)| value);
    members.chain(root.elements()).find_map(|node| place(node, url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hub::{Family, Outcome, Turn};
    use crate::dialect::provider;
    use crate::dialect::quirks::Quirks;
    use crate::dialect::tree;
    use crate::vocab::Facts;

    fn terms(model: &str) -> Terms<'_> {
        Terms {
            model,
            like: None,
            facts: Facts::default(),
            family: Family::Other,
            quirks: &Quirks::OPENAI,
            ask_usage: false,
            nonce: "n",
        }
    }

    fn media(url: &str) -> Media<'static> {
        Media::new(Source::Url(Text::Owned(url.to_owned())), None)
    }

    fn ask_of(content: Content<'static>) -> Ask<'static> {
        let mut ask = Ask::new(Dialect::Anthropic);
        ask.turns = vec![Turn::new(Role::User, vec![Part::new(content)])];
        ask
    }

    #[test]
    fn only_what_a_dialect_cannot_take_as_a_url_is_wanted() {
        const URL: &str = "https://a.example/x";
        let wants = |content: Content<'static>| {
            let ask = ask_of(content);
            let of = |to: &Dialect| !wanted(&ask, *to, &terms("m")).is_empty();
            Dialect::ALL.into_iter().filter(of).map(Dialect::name).collect::<Vec<_>>()
        };
        let sorted = |mut names: Vec<&'static str>| {
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(wants(Content::Image(media(URL)))), ["bedrock", "gemini", "ollama"]);
        assert_eq!(
            sorted(wants(Content::File(media(URL)))),
            ["bedrock", "cohere", "gemini", "ollama", "openai"]
        );
        assert_eq!(sorted(wants(Content::Audio(media(URL)))), ["bedrock", "gemini", "openai", "responses"]);
        assert_eq!(sorted(wants(Content::Video(media(URL)))), ["bedrock", "gemini"]);
        for elsewhere in ["s3://a/b.png", "gs://a/b", "data:text/plain,hi", "file-1", ""] {
            assert_eq!(wants(Content::Image(media(elsewhere))), [""; 0], "{elsewhere}");
        }
        for googles in ["https://youtu.be/x", "https://generativelanguage.googleapis.com/v1beta/files/abc"] {
            let ask = ask_of(Content::Video(media(googles)));
            assert_eq!(wanted(&ask, Dialect::Gemini, &terms("m")), [""; 0], "{googles}");
        }
        let vertex = Terms { quirks: provider::find("vertex").expect("a row").quirks, ..terms("m") };
        for own in [Content::Image(media(URL)), Content::File(media(URL))] {
            // Whoever asks: the upstream would refuse its own dialect's URLs, too.
            let mut ask = ask_of(own);
            for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
                ask.dialect = dialect;
                assert_eq!(wanted(&ask, Dialect::Anthropic, &vertex), [URL]);
            }
        }
        let deaf = ask_of(Content::Audio(media(URL)));
        assert_eq!(wanted(&deaf, Dialect::Bedrock, &terms("anthropic.claude-sonnet-4-5")), [""; 0]);
    }

    #[test]
    fn a_url_is_asked_for_once_and_found_in_tools_results_and_not_where_no_user_says_it() {
        let image = |url: &str| Part::new(Content::Image(media(url)));
        let outcome = Outcome {
            call_id: "c".into(),
            name: None,
            content: vec![image("HTTPS://b"), image("https://a")],
            is_error: None,
            kind: super::super::hub::CallKind::Function,
        };
        let mut ask = Ask::new(Dialect::OpenAi);
        ask.turns = vec![
            Turn::new(Role::System, vec![image("https://s")]),
            Turn::new(Role::User, vec![image("https://a"), Part::new(Content::Outcome(outcome))]),
        ];
        assert_eq!(wanted(&ask, Dialect::Bedrock, &terms("m")), ["https://a", "HTTPS://b"]);
        let held = |_: &str| Some(Held { kind: "image/png", data: "AAAA" });
        assert_eq!(replace(&mut ask, Dialect::Bedrock, &terms("m"), held), Ok(()));
        assert_eq!(wanted(&ask, Dialect::Bedrock, &terms("m")), [""; 0]);
        // Its own dialect is said again as it was.
        assert_eq!(wanted(&ask, Dialect::OpenAi, &terms("m")), [""; 0]);
    }

    #[test]
    fn a_file_becomes_what_it_is_and_a_picture_has_to_be_one() {
        let held = |kind: &'static str| move |_: &str| Some(Held { kind, data: "AAAA" });
        let put = |content: Content<'static>, kind: &'static str| {
            let mut ask = ask_of(content);
            replace(&mut ask, Dialect::Bedrock, &terms("m"), held(kind)).map(|()| ask)
        };
        let ask = put(Content::File(media("https://a")), "image/png").expect("a picture");
        let Content::Image(found) = &ask.turns[0].parts[0].content else { panic!("{ask:?}") };
        assert_eq!(
            (found.mime.as_deref(), &found.source),
            (Some("image/png"), &Source::Base64("AAAA".into()))
        );
        let wrong = put(Content::Image(media("https://a")), "text/html").expect_err("no picture");
        assert_eq!(wrong.message, "the URL holds text/html, not a picture");
    }

    #[test]
    fn a_urls_place_is_that_of_its_value() {
        let body = br#"{"m": [{"x": "https:\/\/a\/b"}, {"y": "https://c"}]}"#;
        let root = tree::parse(body).expect("JSON");
        let path = |url| place(&root, url).map(|node| node.wrong("x").place(&root).path);
        assert_eq!(path("https://a/b").as_deref(), Some("m[0].x"));
        assert_eq!(path("https://c").as_deref(), Some("m[1].y"));
        assert_eq!(path("https://d"), None);
    }
}
