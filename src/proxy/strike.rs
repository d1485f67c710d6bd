//! What no caller is to read of an upstream's words: the gateway's own keys, and the names of its accounts.
//!
//! Upstreams quote the key that they refuse, and name the organisation whose limit is reached. Only errors are looked
//! through, and what is struck keeps its length, so that nothing else of an answer has to change.

use bytes::Bytes;
use memchr::memmem;

use crate::state::Channel;

/// A shorter key would be found in words that have nothing to do with it, and is no vendor's.
const SHORTEST_KEY: usize = 12;
/// How OpenAI's names of organisations and projects begin.
const ACCOUNTS: [&str; 2] = ["org-", "proj_"];
/// Letters and digits that they have at least behind that.
const SHORTEST_ACCOUNT: usize = 10;
const STRUCK: u8 = b'*';

/// Strikes them out of an upstream's words; `true` where there was something to strike.
fn strike(channel: &Channel, words: &mut [u8]) -> bool {
    let mut is_struck = false;
    let keys = channel.upstream.credentials.iter().map(|key| key.secret.expose().as_bytes());
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
            if length >= SHORTEST_ACCOUNT {
                words[at..at + length].fill(STRUCK);
                is_struck = true;
            }
        }
    }
    is_struck
}

/// As [`strike`], of a text.
pub fn text(channel: &Channel, words: &mut String) {
    let mut bytes = std::mem::take(words).into_bytes();
    strike(channel, &mut bytes);
    // Only whole characters were struck, and by such.
    *words = String::from_utf8(bytes).unwrap_or_default();
}

/// As [`strike`], of a piece of an answer.
pub fn bytes(channel: &Channel, words: &mut Bytes) {
    let mut copy = words.to_vec();
    if strike(channel, &mut copy) {
        *words = copy.into();
    }
}
