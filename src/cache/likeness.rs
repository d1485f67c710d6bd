//! What two requests share that are the same: a hash of all that makes a difference.
//!
//! The body counts byte for byte. JSON that means the same and is written in another way is another
//! request: a hit that is missed costs tokens, a wrong one an answer to somebody else's question.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 of everything that was added, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Likeness([u8; 32]);

/// A likeness in the making.
pub struct Likening(Context);

impl Likening {
    /// `what` keeps likenesses of different kinds apart.
    pub fn begin(what: &str) -> Self {
        let mut likening = Self(Context::new(&SHA256));
        likening.add(what.as_bytes());
        likening
    }

    /// Adds a part. Its length is part of it, so that no two lists of parts run together into the same bytes.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Adds a part that may not be there; an empty one is there.
    pub fn add_or_none(&mut self, part: Option<&[u8]>) {
        match part {
            Some(part) => {
                self.0.update(&[1]);
                self.add(part);
            }
            None => self.0.update(&[0]),
        }
    }

    pub fn end(self) -> Likeness {
        let digest = self.0.finish();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Likeness(bytes)
    }
}

/// It is made of prompts; who knows one could try guesses against it.
impl fmt::Debug for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Likeness(…)")
    }
}
