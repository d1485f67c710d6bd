//! What a request is called.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

/// Bytes of the names that we give: `req_` and 24 hexadecimal digits. Four more, since memory comes in eights.
const USUAL: usize = 32;

/// As it stands in the answer's `x-mainstay-request-id`. Every request has one and hands it on from room to room; one of
/// usual length takes no memory of its own.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(SmallVec<[u8; USUAL]>);

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        // It was made of a text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(SmallVec::from_slice(text.as_bytes()))
    }
}

impl From<String> for RequestId {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_text_that_it_was_made_of(text in any::<String>()) {
            let id = RequestId::from(&*text);
            prop_assert_eq!((&*id, id.to_string(), format!("{id:?}")), (&*text, text.clone(), format!("{text:?}")));
        }
    }
}
