//! Embeddings (docs.ollama.com/api/embed), of upstreams.

use crate::dialect::hub::{Embed, Losses, Terms, Truncate, Vector, Vectors};
use crate::dialect::json::Walker;
use crate::dialect::task;
use crate::dialect::tree::Wrong;
use crate::dialect::write;
use crate::vocab::Usage;

/// How an upstream is asked.
pub fn write(ask: &Embed<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    losses.drop_extras(&ask.extras);
    losses.drop_if(ask.user.as_ref(), "user");
    losses.drop_if(ask.title.as_ref(), "title");
    losses.drop_if(ask.purpose.as_ref(), "input_type");
    if ask.truncate == Some(Truncate::Start) {
        losses.drop("truncate");
    }
    let texts = ask.texts(losses);
    write::object(out, |o| {
        o.str("model", terms.model);
        o.array("input", |a| {
            for text in &texts {
                a.str(text);
            }
        });
        if ask.truncate == Some(Truncate::Never) {
            o.bool("truncate", false);
        }
        o.number_if("dimensions", ask.dimensions);
    });
}

/// What it answers.
pub fn read_reply(body: &[u8]) -> Result<Vectors<'_>, Wrong> {
    let mut said = Vectors::default();
    let mut walker = Walker::new(body);
    walker
        .object(|walker, key| match &*key.bytes() {
            b"embeddings" => walker.array(|walker| {
                let (_, span) = walker.value()?;
                said.vectors.extend(std::str::from_utf8(walker.slice(span)).ok().map(Vector::Floats));
                Ok(())
            }),
            b"prompt_eval_count" => {
                said.usage = walker.count()?.map(|input| Usage { input, ..Usage::default() });
                Ok(())
            }
            _ => walker.skip().map(drop),
        })
        .map_err(task::malformed)?;
    Ok(said)
}
