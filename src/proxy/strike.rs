//! What no caller is to read of an upstream's words: the gateway's own keys, and the names of its accounts.
//!
//! Upstreams quote the key that they refuse, and name the organisation whose limit is reached. Only errors are looked
//! through, and what is struck keeps its length, so that nothing else of an answer has to change.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::state::Channel;
use crate::vocab::Secret;

/// A shorter key would be found in words that have nothing to do with it, and is no vendor's.
const SHORTEST_KEY: usize = 12;
/// How OpenAI's names of organisations and projects begin.
const ACCOUNTS: [&str; 2] = ["org-", "proj_"];
/// Letters and digits that they have at least behind that.
const SHORTEST_ACCOUNT: usize = 10;
const STRUCK: u8 = b'*';

/// Longest name of an account, with how it begins.
const LONGEST_ACCOUNT: usize = 80;

/// Strikes them out of an upstream's words, of which that is all or more may come; `true` where there was something to
/// strike.
fn strike<'k>(keys: impl Iterator<Item = &'k Secret>, words: &mut [u8], extent: Extent) -> bool {
    let mut is_struck = false;
    let keys = keys.map(|key| key.expose().as_bytes());
    for key in keys.filter(|key| key.len() >= SHORTEST_KEY) {
        let found: Vec<usize> = memmem::find_iter(words, key).collect();
        for at in found {
            words[at..at + key.len()].fill(STRUCK);
            is_struck = true;
        }
    }
    for begin in ACCOUNTS {
        let mut at = 0;
        while let Some(found) = memmem::find(&words[at..], begin.as_bytes()) {
            at += found + begin.len();
            let length = words[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            // Of one that goes on in the next piece the rest would not be known any more.
            let is_whole =
                extent == Extent::All || at + length < words.len() || length >= LONGEST_ACCOUNT / 2;
            if length >= SHORTEST_ACCOUNT && is_whole {
                words[at..at + length].fill(STRUCK);
                is_struck = true;
            }
        }
    }
    is_struck
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    All,
    MoreMayCome,
}

fn keys(channel: &Channel) -> impl Iterator<Item = &Secret> {
    channel.upstream.credentials.iter().map(|key| &key.secret)
}

/// As [`strike`], of a text.
pub fn text(channel: &Channel, words: &mut String) {
    let mut bytes = std::mem::take(words).into_bytes();
    strike(keys(channel), &mut bytes, Extent::All);
    // Only whole characters were struck, and by such.
    *words = String::from_utf8(bytes).unwrap_or_default();
}

/// As [`strike`], of a piece of an answer.
pub fn bytes(channel: &Channel, words: &mut Bytes) {
    let mut copy = words.to_vec();
    if strike(keys(channel), &mut copy, Extent::All) {
        *words = copy.into();
    }
}

/// As [`strike`], of an answer that comes in pieces: so much of what has come is held back as may be the beginning of
/// what is to be struck.
pub struct Striker {
    keys: Box<[Secret]>,
    held: BytesMut,
    longest: usize,
}

impl Striker {
    pub fn new(channel: &Channel) -> Self {
        Self::of(keys(channel).cloned().collect())
    }

    fn of(keys: Box<[Secret]>) -> Self {
        let longest = keys.iter().map(|key| key.expose().len()).max().unwrap_or(0);
        Self { keys, held: BytesMut::new(), longest: longest.max(LONGEST_ACCOUNT) }
    }

    /// What may go on once `piece` has come.
    pub fn push(&mut self, piece: &[u8]) -> Bytes {
        self.held.extend_from_slice(piece);
        strike(self.keys.iter(), &mut self.held, Extent::MoreMayCome);
        let whole = self.held.len().saturating_sub(self.longest);
        self.held.split_to(whole).freeze()
    }

    /// What was held back, as nothing more comes.
    pub fn finish(&mut self) -> Bytes {
        strike(self.keys.iter(), &mut self.held, Extent::All);
        self.held.split().freeze()
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk-0123456789abcdef";
    const ACCOUNT: &str = "org-0123456789abcdef01234567";

    proptest! {
        #[test]
        fn what_comes_in_pieces_is_struck_as_what_comes_whole(
            words in prop::collection::vec(
                prop_oneof![Just(KEY.to_owned()), Just(ACCOUNT.to_owned()), "[ -~]{0,200}", Just("sk-01".to_owned())],
                0..12,
            ),
            cuts in prop::collection::vec(1_usize..90, 1..40),
        ) {
            let keys = || -> Box<[Secret]> { Box::new([Secret::new(KEY)]) };
            let mut whole = words.join(" ").into_bytes();
            let said = whole.clone();
            strike(keys().iter(), &mut whole, Extent::All);
            let mut striker = Striker::of(keys());
            let (mut told, mut rest) = (Vec::new(), &said[..]);
            for cut in cuts.into_iter().cycle() {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                told.extend_from_slice(&striker.push(piece));
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            told.extend_from_slice(&striker.finish());
            prop_assert_eq!(striker.held(), 0);
            prop_assert_eq!(String::from_utf8_lossy(&told), String::from_utf8_lossy(&whole));
        }
    }
}
