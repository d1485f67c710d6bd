//! Keys of providers and of this gateway, tokens, and whatever else lets somebody in. What a vendor begins its keys
//! with is known of those that say it; the others' are found by their look: long, of letters and digits.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What a key may look like. The group `key`, where there is one, is what is secret of it.
static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // Ours, OpenAI's, Anthropic's, OpenRouter's, Stripe's and others'.
        r"\b(?:ms|sk|pk|rk|csk|nvapi|pplx|tvly|xai|glpat|key)[-_][A-Za-z0-9_\-]{12,}",
        r"\b(?:gsk|hf|r8|fw|npm|gh[opsru]|github_pat)_[A-Za-z0-9_]{12,}",
        // Google's keys and tokens.
        r"\bAIza[A-Za-z0-9_\-]{20,}",
        r"\bya29\.[A-Za-z0-9_\-.]{10,}",
        // Slack's.
        r"\bxox[a-z]-[A-Za-z0-9\-]{8,}",
        // Amazon's: access keys, and Bedrock's own.
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\bABSK[A-Za-z0-9+/=]{20,}",
        // JSON web tokens, whole or cut.
        r"\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){0,4}",
        r"(?i)\bbearer[ \t]+(?P<key>[A-Za-z0-9._~+/=\-]{8,})",
        r"(?i)\bbasic[ \t]+(?P<key>[A-Za-z0-9+/]{6,}={1,2}|[A-Za-z0-9+/]{20,})",
        // Private keys, whole or cut.
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        // `https://user:password@host`.
        r"://(?P<key>[^\s/@:]*:[^\s/@]+)@",
        r#"(?i)\b(?:api[-_ ]?key|client[-_ ]?secret|secret[-_ ]?key|access[-_ ]?token|password|passwd)\b["']?[ \t]*[:=][ \t]*["']?(?P<key>[^\s"',;]{4,})"#,
    ]
    .into_iter()
    .map(|shape| Regex::new(shape).expect("the shapes are written here, and tested"))
    .collect()
});

/// From this length on a word of letters and digits is taken for a key.
const LONG: usize = 24;
/// So many of each such a word has at least.
const MIXED: usize = 4;

/// Characters of a secret access key of Amazon's, which has base64's slashes in it.
const AMAZON: usize = 40;

/// What long words that are no keys begin with: names of requests, answers, calls and files.
const NAMES: [&str; 16] = [
    "chatcmpl", "cmpl", "resp", "msg", "item", "call", "toolu", "req", "file", "batch", "run", "thread",
    "asst", "gen", "fp", "srvtoolu",
];

/// Members of JSON objects whose texts are secret, whatever they look like.
const MEMBERS: [&str; 14] = [
    "apikey",
    "apitoken",
    "accesskey",
    "accesstoken",
    "authtoken",
    "authorization",
    "clientsecret",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretaccesskey",
    "secretkey",
];

/// Where keys stand in `text`.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = words(text).filter(|at| is_keylike(text, at)).collect();
    for shape in SHAPES.iter() {
        found.extend(shape.captures_iter(text).filter_map(|fits| {
            let secret = fits.name("key").or_else(|| fits.get(0))?;
            Some(secret.range())
        }));
    }
    found
}

/// Whether what stands under this name in a JSON object is secret.
pub fn is_secret_member(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    MEMBERS.contains(&&*plain.to_ascii_lowercase())
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

/// Runs of letters, digits and what base64 has besides.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let begin = from + text[from..].find(is_of_a_word)?;
        let rest = &text[begin..];
        from = begin + rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len());
        Some(begin..from)
    })
}

fn is_keylike(text: &str, at: &Range<usize>) -> bool {
    let word = &text[at.clone()];
    let has = |kind: fn(&u8) -> bool| word.bytes().any(|byte| kind(&byte));
    let is_of_amazon = word.len() == AMAZON
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit);
    // A path's parts are words of their own.
    let is_long = word.split('/').any(|part| {
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
        part.len() >= LONG && digits >= MIXED && letters >= MIXED
    });
    (is_long || is_of_amazon) && !is_name(&text[..at.start])
}

/// Whether `before` ends with what begins the name of something.
fn is_name(before: &str) -> bool {
    let begun = before.strip_suffix(['-', '_']).unwrap_or_default();
    let from = begun.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    begun.get(from..).is_some_and(|begun| NAMES.contains(&begun))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found: Vec<&str> = find(text).into_iter().map(|at| &text[at]).collect();
        found.dedup();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn keys_are_known_by_how_they_begin() {
        for key in [
            "ms-live-0123456789ab",
            "sk-ant-api03-abcdefghijkl",
            "sk-proj-abc_def-ghi-jkl",
            "sk_live_abcdefghijkl",
            "gsk_abcdefghijklmnop",
            "xai-abcdefghijklmnop",
            "AIzaSyA-abcdefghijklmnop_qrs",
            "AKIAIOSFODNN7EXAMPLE",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln",
            "eyJhbGciOiJub25lIn0.eyJzdWIi",
        ] {
            check(&format!("it is \"{key}\", so"), &[key]);
        }
        check("Authorization: Bearer abc.def-123", &["abc.def-123"]);
        check("basic dXNlcjpwYXNz= and basic knowledge", &["dXNlcjpwYXNz="]);
        check("postgres://ada:hunter2@db/x and https://docs.example.com/a:b", &["ada:hunter2"]);
        check("password: hunter2, API-KEY=abcd", &["hunter2", "abcd"]);
        check("-----BEGIN RSA PRIVATE KEY-----\nab\ncd", &["-----BEGIN RSA PRIVATE KEY-----\nab\ncd"]);
    }

    #[test]
    fn keys_without_a_beginning_are_known_by_their_look() {
        check("use 0123456789abcdef0123456789abcdef now", &["0123456789abcdef0123456789abcdef"]);
        let amazons = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        check(&format!("{amazons} and https://example.com/a/path/of/forty/characters1/X"), &[amazons]);
    }

    #[test]
    fn words_and_names_are_no_keys() {
        for text in [
            "internationalization of antidisestablishmentarianism",
            "chatcmpl-0123456789abcdef0123456789ab",
            "call_0123456789abcdefGHIJKLMN",
            "123e4567-e89b-12d3-a456-426614174000",
            "https://example.com/a/path/of/many/parts/2026/11/22/index.html",
            "sk-learn and scikit-learn, a bearer of news",
            "170000000000000000000000",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn members_are_secret_by_their_name_in_any_case() {
        for name in ["api_key", "apiKey", "Client-Secret", "PASSWORD", "private_key"] {
            assert!(is_secret_member(name), "{name}");
        }
        for name in ["key", "token", "max_tokens", "name", ""] {
            assert!(!is_secret_member(name), "{name}");
        }
    }
}
