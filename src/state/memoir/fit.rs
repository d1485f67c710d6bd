//! A memoir that is too large for its file, without what was of use longest ago.
//!
//! Models go first, since they are learnt again by asking: under a pattern callers make up their names, and
//! each brings a breaker's windows. Where files and batches are is found out by nobody a second time, so that
//! goes only when there is nothing else. What is of every upstream and key stays: the configuration bounds it.

use super::{Memoir, Unfit};

/// A file's text, and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub text: String,
    pub left_out: LeftOut,
}

/// How much there was no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub models: usize,
    /// Of files and batches.
    pub places: usize,
}

/// The text of `memoir`, of at most so many bytes.
pub(super) fn encode(memoir: &Memoir, most: usize) -> Result<Encoded, String> {
    let text = memoir.text()?;
    if text.len() <= most {
        return Ok(Encoded { text, left_out: LeftOut::default() });
    }
    let mut less = memoir.clone();
    // A list that loses its last item saves no comma.
    let mut excess = text.len() - most + less.upstreams.len();
    let models = leave_out_models(&mut less, &mut excess)?;
    let places = leave_out_places(&mut less, excess);
    let text = less.text()?;
    if text.len() > most {
        return Err(Unfit::Large.to_string());
    }
    Ok(Encoded { text, left_out: LeftOut { models, places } })
}

/// Takes out as many models as there are bytes too much, and says how many.
fn leave_out_models(memoir: &mut Memoir, excess: &mut usize) -> Result<usize, String> {
    let mut all = Vec::new();
    for (upstream, kept) in memoir.upstreams.iter().enumerate() {
        for (model, kept) in kept.models.iter().enumerate() {
            let text = serde_json::to_string(kept).map_err(|error| error.to_string())?;
            all.push((kept.holds_until(), upstream, model, text.len() + 1));
        }
    }
    all.sort_unstable();
    let mut gone: Vec<(usize, usize)> = Vec::new();
    for (_, upstream, model, bytes) in all {
        if *excess == 0 {
            break;
        }
        *excess = excess.saturating_sub(bytes);
        gone.push((upstream, model));
    }
    // From behind, so that the places of the others stay true.
    gone.sort_unstable_by(|a, b| b.cmp(a));
    for (upstream, model) in &gone {
        memoir.upstreams[*upstream].models.remove(*model);
    }
    Ok(gone.len())
}

/// The same of places, which are in order of age.
fn leave_out_places(memoir: &mut Memoir, excess: usize) -> usize {
    let (mut saved, mut gone) = (0, 0);
    for place in &memoir.left {
        if saved >= excess {
            break;
        }
        // Brackets, and a comma after each number, one of which is that after the place.
        let digits = place.iter().map(|number| number.checked_ilog10().unwrap_or(0) as usize + 1);
        saved += digits.sum::<usize>() + place.len() + 2;
        gone += 1;
    }
    memoir.left.drain(..gone);
    gone
}
