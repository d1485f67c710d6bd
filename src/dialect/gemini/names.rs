//! Members by either of their spellings, and both kinds of base64.
//!
//! Google's servers take protocol buffers as JSON: `fileUri` and `file_uri` are the same member, and
//! bytes may be standard or URL-safe base64, padded or not. Google's own Python SDK sends URL-safe.
//! We write the first of each.

use std::borrow::Cow;

use crate::dialect::hub::{Extras, Text};
use crate::dialect::tree::Node;
use crate::dialect::write::Object;

/// Is `name` the member that is called `camel` in camelCase?
pub fn is(name: &str, camel: &str) -> bool {
    if name == camel {
        return true;
    }
    let mut rest = name.bytes();
    camel.bytes().all(|byte| {
        if byte.is_ascii_uppercase() {
            rest.next() == Some(b'_') && rest.next() == Some(byte.to_ascii_lowercase())
        } else {
            rest.next() == Some(byte)
        }
    }) && rest.next().is_none()
}

/// A member that is there and not null, by its name in camelCase.
pub fn member<'n, 'a>(node: &'n Node<'a>, camel: &str) -> Option<&'n Node<'a>> {
    let found = node.members().iter().find(|(name, value)| is(name, camel) && !value.is_null());
    found.map(|(_, value)| value)
}

/// `executable_code` as `executableCode`.
pub fn camel<'a>(name: &Text<'a>) -> Text<'a> {
    if !name.contains('_') {
        return name.clone();
    }
    let mut words = name.split('_');
    let mut joined = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        joined.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        joined.push_str(letters.as_str());
    }
    Text::Owned(joined)
}

/// Keeps the members of `node` that are not `known`, under `prefix`: where they stood.
pub fn keep<'a>(extras: &mut Extras<'a>, prefix: &str, node: &Node<'a>, known: &[&str]) {
    for (name, value) in node.members() {
        if !value.is_null() && !known.iter().any(|camel| is(name, camel)) {
            let name = camel(name);
            extras.keep(
                if prefix.is_empty() { name } else { Text::Owned(format!("{prefix}{name}")) },
                value.raw(),
            );
        }
    }
}

/// Says what was kept under `prefix`, and not deeper.
pub fn say(extras: &Extras<'_>, prefix: &str, object: &mut Object<'_>) {
    for (key, raw) in extras.all() {
        if let Some(name) = key.strip_prefix(prefix).filter(|name| !name.contains('.')) {
            object.raw(name, raw);
        }
    }
}

/// Standard base64 with its padding, of either kind.
pub fn standard(text: Text<'_>) -> Text<'_> {
    let padded = text.len().is_multiple_of(4);
    if padded && !text.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        return text;
    }
    let mut standard: String = text
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    Cow::Owned(standard)
}

/// Is it base64 of the standard kind, as [`standard`] leaves it?
pub fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    padding <= 2 && text.len().is_multiple_of(4) && digits.bytes().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_two_spellings() {
        for (name, camel, same) in [
            ("fileUri", "fileUri", true),
            ("file_uri", "fileUri", true),
            ("parameters_json_schema", "parametersJsonSchema", true),
            ("file_Uri", "fileUri", false),
            ("file_uris", "fileUri", false),
            ("file", "fileUri", false),
            ("topP", "topP", true),
            ("top_p", "topP", true),
        ] {
            assert_eq!(is(name, camel), same, "{name}");
        }
        assert_eq!(camel(&"code_execution_result".into()), "codeExecutionResult");
    }

    #[test]
    fn base64_of_either_kind_becomes_standard() {
        assert_eq!(standard("a-_b".into()), "a+/b");
        assert_eq!(standard("YQ".into()), "YQ==");
        assert!(matches!(standard("YQ==".into()), Cow::Borrowed(_)));
        assert!(is_base64("YQ==") && is_base64("") && is_base64("ab+/"));
        assert!(!is_base64("YQ=") && !is_base64("Y===") && !is_base64("a b=") && !is_base64("a-_b"));
    }
}
