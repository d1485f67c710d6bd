//! What a request says of its own price, where the answer does not: its tier, pictures, characters.
//!
//! An answer's word always holds: a provider may serve a request otherwise than it asked.

use super::Operation;
use crate::vocab::usage::Other;
use crate::vocab::{Tier, Usage};

/// What a request asks for that has a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// `None` where it leaves that to the provider.
    pub tier: Option<Tier>,
    /// Pictures that are to be made; one where it does not say.
    pub images: u32,
    /// Texts that are to be written, each of which costs what one alone would; one where it does not say.
    pub answers: u32,
    /// Characters that are to be spoken.
    pub characters: u32,
}

impl Wish {
    /// What was used, as the answer to this request has told, with what only the request can tell.
    pub fn complete(&self, operation: Operation, told: Option<Usage>) -> Option<Usage> {
        let pictures = makes_pictures(operation);
        let speech = operation == Operation::Speech;
        let images = if pictures { self.images.max(1) } else { 0 };
        let characters = if speech { self.characters } else { 0 };
        let is_known = told.is_some() || images > 0 || characters > 0;
        let mut usage = is_known.then(|| told.unwrap_or_default())?;
        if usage.other.images == 0 {
            usage.other = Other { images, ..usage.other };
        }
        usage.other.characters = usage.other.characters.max(characters);
        // Who serves a tier that nobody here knows says so; who passes over the word has served the usual one.
        usage.tier = usage.tier.or(self.tier.filter(|tier| *tier != Tier::Other));
        // Models that answer with nothing else do not say what their tokens are.
        if pictures && usage.output_image == 0 {
            usage.output_image = usage.output;
        }
        if speech && usage.output_audio == 0 {
            usage.output_audio = usage.output;
        }
        Some(usage)
    }
}

/// Whether the answer is pictures and nothing else.
pub fn makes_pictures(operation: Operation) -> bool {
    matches!(operation, Operation::Images | Operation::ImageEdits | Operation::ImageVariations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_word_holds_and_the_requests_fills_in() {
        let asked = Wish { tier: Some(Tier::Priority), images: 3, answers: 3, characters: 40 };
        let told = |tier| Usage { input: 1, tier, ..Usage::default() };
        let tier = |tier| asked.complete(Operation::Chat, Some(told(tier))).and_then(|usage| usage.tier);
        assert_eq!(tier(Some(Tier::Standard)), Some(Tier::Standard));
        assert_eq!(tier(None), Some(Tier::Priority));
        let unknown = Wish { tier: Some(Tier::Other), ..asked };
        let tier = |tier| unknown.complete(Operation::Chat, Some(told(tier))).and_then(|usage| usage.tier);
        assert_eq!((tier(None), tier(Some(Tier::Other))), (None, Some(Tier::Other)));
        assert_eq!(asked.complete(Operation::Chat, None), None);
        let other = |operation| asked.complete(operation, None).expect("counted").other;
        assert_eq!(other(Operation::Images), Other { images: 3, ..Other::default() });
        assert_eq!(other(Operation::Speech), Other { characters: 40, ..Other::default() });
        assert_eq!(Wish::default().complete(Operation::Speech, None), None);
    }

    #[test]
    fn what_a_painter_or_speaker_answers_is_pictures_or_sound() {
        let told = |output_image| Some(Usage { output: 10, output_image, ..Usage::default() });
        let asked = Wish::default();
        let painted = |told| asked.complete(Operation::ImageEdits, told).map(|usage| usage.output_image);
        assert_eq!((painted(told(0)), painted(told(7))), (Some(10), Some(7)));
        let spoken = asked.complete(Operation::Speech, told(0)).map(|usage| usage.output_audio);
        assert_eq!(spoken, Some(10));
    }
}
