//! How an answer that broke off is continued by another model, so that the caller sees one.
//!
//! | file | job |
//! |---|---|
//! | [`told`] | what the caller has been told, from the events of his stream |
//! | [`asking`] | the request that asks to go on, and whether one may be made at all |
//! | [`splice`] | where in the new text the old one ends |
//! | `normal` | texts that differ in white space, quotes and markup only |
//! | [`joint`] | the events of a further leg, so that they continue the caller's stream |
//!
//! A *leg* is what one channel contributes to one stream. Nothing here knows of channels, waits or sends:
//! events and texts come in, events go out. What cannot be proven to continue the text is not shown.
//! Thoughts are not continued, and nothing that holds a call, a picture or a second choice is.

pub mod asking;
pub mod joint;
mod normal;
pub mod splice;
pub mod told;

#[cfg(test)]
mod tests;

pub use asking::{Asking, Bar, Learnt, Put};
pub use joint::{Joint, Standing};
pub use splice::{Anchor, Found, Splice};
pub use told::Told;

/// How a model is brought to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The request ends with the answer's begin, and the model goes on with it.
    Prefill,
    /// A further message of the user asks to go on, and to repeat the last words first.
    Instruction,
    /// No text was sent yet: the same is asked anew.
    Anew,
}

impl Method {
    pub const ALL: [Self; 3] = [Self::Prefill, Self::Instruction, Self::Anew];

    /// The metric label `method`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Instruction => "instruction",
            Self::Anew => "anew",
        }
    }
}
