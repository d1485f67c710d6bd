//! Pictures and speech (platform.openai.com/docs/api-reference/images/create and …/audio/createSpeech), of callers.

use crate::dialect::hub::{Draw, Drawn, Extras, Manner, Sound, Speak};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write;

const KNOWN: &[&str] = &["model", "prompt", "n", "size", "response_format", "output_format", "stream"];
const SPOKEN: &[&str] = &["model", "input", "voice", "response_format", "stream_format"];

/// How a caller wants his pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Base64,
    /// There is no place to keep it at, so the URL holds the picture itself.
    Url,
}

/// The pictures that a caller asks for.
pub fn read_draw<'a>(root: &Node<'a>) -> Result<(Draw<'a>, Delivery), Wrong> {
    if let Some(stream) = root.at("stream").filter(|node| node.as_bool() == Some(true)) {
        return Err(stream.wrong("the channel draws pictures in one piece; leave `stream` out"));
    }
    let delivery = match root.at("response_format").map(Node::string).transpose()?.as_deref() {
        Some("url") => Delivery::Url,
        _ => Delivery::Base64,
    };
    let mut extras = Extras::of(root, KNOWN);
    if let Some(format) = root.at("output_format").filter(|node| node.as_str() != Some("png")) {
        extras.keep("output_format", format.raw());
    }
    let size = match root.at("size").map(Node::string).transpose()? {
        None => None,
        Some(text) => pixels(&text),
    };
    let ask = Draw {
        prompt: root.need("prompt")?.string()?,
        n: root.at("n").map(Node::integer).transpose()?,
        size,
        extras,
    };
    Ok((ask, delivery))
}

/// `1536x1024`; nothing for `auto`.
fn pixels(text: &str) -> Option<(u64, u64)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=100_000).contains(side));
    Some((side(width)?, side(height)?))
}

/// The answer for a caller.
pub fn write_drawn(drawn: &Drawn<'_>, delivery: Delivery, manner: &Manner, out: &mut Vec<u8>) {
    write::object(out, |o| {
        o.number("created", manner.now);
        o.array("data", |a| {
            for picture in &drawn.pictures {
                a.object(|o| {
                    match delivery {
                        Delivery::Base64 => o.str("b64_json", &picture.data),
                        Delivery::Url => {
                            o.str("url", &format!("data:{};base64,{}", picture.mime, picture.data))
                        }
                    };
                });
            }
        });
        let format = drawn.pictures.first().and_then(|picture| picture.mime.strip_prefix("image/"));
        o.str_if("output_format", format);
        if let Some(usage) = drawn.usage {
            o.object("usage", |o| {
                o.number("input_tokens", usage.input).number("output_tokens", usage.output);
                o.number("total_tokens", usage.input.saturating_add(usage.output));
                o.object("input_tokens_details", |o| {
                    o.number("text_tokens", usage.input).number("image_tokens", 0);
                });
            });
        }
    });
}

/// The speech that a caller asks for.
pub fn read_speak<'a>(root: &Node<'a>) -> Result<Speak<'a>, Wrong> {
    if let Some(stream) = root.at("stream_format").filter(|node| node.as_str() != Some("audio")) {
        return Err(stream.wrong("the channel speaks in one piece; leave `stream_format` out"));
    }
    let format = root.at("response_format").map(Node::string).transpose()?;
    let mut extras = Extras::of(root, SPOKEN);
    if root.at("speed").and_then(Node::as_number) == Some(1.0) {
        extras = Extras::of(root, &[SPOKEN, &["speed"]].concat());
    }
    Ok(Speak {
        words: root.need("input")?.string()?,
        voice: root.need("voice")?.string()?,
        format: format.map(|format| match &*format {
            "wav" => Sound::Wav,
            "pcm" => Sound::Pcm,
            _ => Sound::Encoded,
        }),
        extras,
    })
}
