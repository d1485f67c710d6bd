//! Pictures and speech of Gemini's models, which make them as parts of an answer
//! (ai.google.dev/gemini-api/docs/image-generation and …/speech-generation), of upstreams.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::names::{member, standard};
use super::reply::block_reason;
use crate::dialect::hub::{Draw, Drawn, Losses, Picture, Said, Sound, Speak, Text};
use crate::dialect::task::Unanswered;
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Object};
use crate::dialect::{Dialect, meter};
use crate::vocab::Usage;

/// The shapes in which pictures are drawn.
const RATIOS: [(u64, u64); 10] =
    [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];
/// The longest side of what these models draw unasked.
const LONGEST_SIDE: u64 = 1_536;
/// Samples a second, where the answer does not say.
const USUAL_RATE: u32 = 24_000;

/// OpenAI's voices, and which of Google's stand in for them.
const VOICES: [(&str, &str); 13] = [
    ("alloy", "Kore"),
    ("ash", "Charon"),
    ("ballad", "Enceladus"),
    ("cedar", "Orus"),
    ("coral", "Leda"),
    ("echo", "Puck"),
    ("fable", "Fenrir"),
    ("marin", "Aoede"),
    ("nova", "Zephyr"),
    ("onyx", "Algenib"),
    ("sage", "Sulafat"),
    ("shimmer", "Callirrhoe"),
    ("verse", "Iapetus"),
];

/// How an upstream is asked for pictures.
pub fn write_draw(ask: &Draw<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.drop_extras(&ask.extras);
    if ask.n.is_some_and(|n| n > 1) {
        losses.drop("n");
    }
    let ratio = ask.size.map(|size| nearest(size, losses));
    write::object(out, |o| {
        say(o, &ask.prompt);
        o.object("generationConfig", |o| {
            o.array("responseModalities", |a| {
                a.str("IMAGE");
            });
            if let Some((width, height)) = ratio {
                o.object("imageConfig", |o| {
                    o.str("aspectRatio", &format!("{width}:{height}"));
                });
            }
        });
    });
}

fn say(o: &mut Object<'_>, text: &str) {
    o.array("contents", |a| {
        a.object(|o| {
            o.str("role", "user").array("parts", |a| {
                a.object(|o| {
                    o.str("text", text);
                });
            });
        });
    });
}

/// The shape that is most like it.
fn nearest((width, height): (u64, u64), losses: &mut Losses) -> (u64, u64) {
    let wanted = (width as f64 / height as f64).ln();
    let distance = |(w, h): (u64, u64)| ((w as f64 / h as f64).ln() - wanted).abs();
    let ratio = RATIOS.into_iter().min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap_or((1, 1));
    if width * ratio.1 != height * ratio.0 || width.max(height) > LONGEST_SIDE {
        losses.drop("size");
    }
    ratio
}

/// How an upstream is asked for speech.
pub fn write_speak(ask: &Speak<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.drop_extras(&ask.extras);
    match ask.format {
        Some(Sound::Encoded) => losses.refuse(
            "response_format",
            "the channel's model speaks `wav` and `pcm` only; ask for one of them",
        ),
        // MP3 is what it would be elsewhere.
        None => losses.drop("response_format"),
        Some(Sound::Wav | Sound::Pcm) => {}
    }
    let stand_in = VOICES.iter().find(|(name, _)| *name == ask.voice).map(|(_, voice)| *voice);
    if stand_in.is_some() {
        losses.drop("voice");
    }
    write::object(out, |o| {
        say(o, &ask.words);
        o.object("generationConfig", |o| {
            o.array("responseModalities", |a| {
                a.str("AUDIO");
            });
            o.object("speechConfig", |o| {
                o.object("voiceConfig", |o| {
                    o.object("prebuiltVoiceConfig", |o| {
                        o.str("voiceName", stand_in.unwrap_or(&ask.voice));
                    });
                });
            });
        });
    });
}

/// The pictures of an answer.
pub fn read_drawn<'a>(root: &Node<'a>) -> Result<Drawn<'a>, Unanswered> {
    let pictures: Vec<Picture<'a>> = media(root, "image/")?
        .into_iter()
        .map(|(mime, data)| Picture { mime, data: standard(data) })
        .collect();
    if pictures.is_empty() {
        return Err(declined(root, "a picture"));
    }
    Ok(Drawn { pictures, usage: usage(root) })
}

/// The speech of an answer.
pub fn read_said(root: &Node<'_>) -> Result<Said, Unanswered> {
    let mut said = Said { samples: Vec::new(), rate: USUAL_RATE, usage: usage(root) };
    for (mime, data) in media(root, "audio/")? {
        let sound = STANDARD.decode(standard(data).as_bytes());
        said.samples.extend(sound.map_err(|_| Wrong::whole("the sound is not base64"))?);
        // `audio/L16;codec=pcm;rate=24000`
        let rate = mime.split(';').find_map(|param| param.trim().strip_prefix("rate=")?.parse().ok());
        said.rate = rate.unwrap_or(said.rate);
    }
    if said.samples.is_empty() {
        return Err(declined(root, "speech"));
    }
    Ok(said)
}

/// Type and data of the parts of that kind, thoughts left out.
fn media<'a>(root: &Node<'a>, kind: &str) -> Result<Vec<(Text<'a>, Text<'a>)>, Wrong> {
    let mut found = Vec::new();
    for candidate in root.at("candidates").map(Node::elements).unwrap_or_default() {
        let parts = candidate.at("content").and_then(|content| content.at("parts"));
        for part in parts.map(Node::elements).unwrap_or_default() {
            let Some(blob) = member(part, "inlineData") else { continue };
            let mime = member(blob, "mimeType").map(Node::string).transpose()?.unwrap_or_default();
            let thought = part.at("thought").and_then(Node::as_bool) == Some(true);
            if mime.starts_with(kind) && !thought {
                found.push((mime, blob.need("data")?.string()?));
            }
        }
    }
    Ok(found)
}

fn usage(root: &Node<'_>) -> Option<Usage> {
    meter::usage_at(Dialect::Gemini, root.at("usageMetadata")?.raw().as_bytes())
}

/// An answer without what was asked for: the model's or its vendor's decision.
fn declined(root: &Node<'_>, what: &str) -> Unanswered {
    let reason = block_reason(root).and_then(Node::as_str).or_else(|| {
        root.at("candidates").and_then(|all| all.elements().first()?.at("finishReason")?.as_str())
    });
    let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    Unanswered::Declined(format!("the model answered without {what}{why}; ask for it in other words"))
}
