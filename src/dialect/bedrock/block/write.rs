//! Writes content blocks, for either side.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::dialect::bedrock::block::CITED;
use crate::dialect::bedrock::media::Medium;
use crate::dialect::hub::{CacheMark, Citation, Extras, Source, Thought};
use crate::dialect::write::{Array, Object};

/// `{"image": {"format", "source"}}` and its like. `name` is a document's.
pub fn media(
    medium: Medium,
    format: Option<&str>,
    name: Option<&str>,
    source: &Source<'_>,
    extras: &Extras<'_>,
    blocks: &mut Array<'_>,
) {
    blocks.object(|block| {
        block.object(medium.key(), |media| {
            media.str_if("format", format).str_if("name", name);
            media.object("source", |object| write_source(source, extras, object));
            for (key, raw) in extras.all().filter(|(key, _)| *key != "bucketOwner") {
                media.raw(key, raw);
            }
        });
    });
}

fn write_source(source: &Source<'_>, extras: &Extras<'_>, object: &mut Object<'_>) {
    match source {
        Source::Base64(data) => {
            object.str("bytes", data);
        }
        Source::Text(text) => {
            object.str("text", text);
        }
        // Nothing else than a place in S3 gets here.
        Source::Url(uri) | Source::FileId(uri) => {
            object.object("s3Location", |place| {
                place.str("uri", uri).raw_if("bucketOwner", extras.find("bucketOwner"));
            });
        }
    }
}

/// A call; `input` is an object.
pub fn call(id: &str, name: &str, input: &str, extras: &Extras<'_>, blocks: &mut Array<'_>) {
    blocks.object(|block| {
        block.object("toolUse", |call| {
            call.str("toolUseId", id).str("name", name).raw("input", input);
            extras.write(call);
        });
    });
}

/// Reasoning. `signature` is what the reader of the block may have of it.
pub fn thought(thought: &Thought<'_>, signature: Option<&str>, blocks: &mut Array<'_>) {
    blocks.object(|block| {
        block.object("reasoningContent", |reasoning| {
            if thought.is_redacted {
                reasoning.str("redactedContent", &BASE64_STANDARD.encode(signature.unwrap_or_default()));
            } else {
                reasoning.object("reasoningText", |text| {
                    text.str("text", &thought.text).str_if("signature", signature);
                });
            }
        });
    });
}

/// A cache point behind what was written last.
pub fn cache_point(mark: CacheMark, blocks: &mut Array<'_>) {
    blocks.object(|block| {
        block.object("cachePoint", |point| {
            point.str("type", "default");
            point.str_if("ttl", (mark == CacheMark::Hour).then_some("1h"));
        });
    });
}

/// The citations of another vendor's text, behind it: callers who did not ask for any look for the text where it
/// always is.
pub fn citations(citations: &[Citation<'_>], blocks: &mut Array<'_>) {
    blocks.object(|block| {
        block.object(CITED, |cited| {
            cited.array("content", |_| {});
            cited.array("citations", |array| {
                for Citation { url, title, .. } in citations {
                    array.object(|object| write_citation(url.as_deref(), title.as_deref(), object));
                }
            });
        });
    });
}

/// One of them.
pub fn write_citation(url: Option<&str>, title: Option<&str>, citation: &mut Object<'_>) {
    citation.str_if("title", title).str_if("source", url);
    if let Some(url) = url {
        citation.object("location", |place| {
            place.object("web", |web| {
                web.str("url", url);
            });
        });
    }
}
