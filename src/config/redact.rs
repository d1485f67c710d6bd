//! Keeps secrets out of what is shown.
//!
//! A problem quotes a line of the file, and a line may hold a key in clear text, on purpose or by
//! mistake. Everything that stands where secrets stand is struck out of every quote, message and
//! hint; so is every word that looks like a key, wherever it stands, which also covers files that are
//! no YAML and so have no places. Struck out means as many `*` as there were characters: the marks
//! below a quote stay where they were.

use std::collections::HashSet;
use std::ops::Range;

use super::path::Path;
use super::problem::Mark;
use super::tree::{Node, Scalar, Value};
use crate::dialect::provider::grant::METADATA;

/// Shorter texts would strike out parts of ordinary words.
const SECRET_MIN: usize = 4;

/// From this length on a word of letters and digits is taken for a key.
const KEYLIKE_MIN: usize = 24;

/// How vendors begin their keys, and what follows a scheme in a header.
const KEYLIKE_BEGINNINGS: [&str; 12] =
    ["sk-", "sk_", "pk-", "rk-", "gsk_", "xai-", "hf_", "AIza", "r8_", "pplx-", "csk-", "ms-"];

/// Keys of the file under which only secrets stand.
const SECRET_WORDS: [&str; 7] =
    ["credential", "secret", "token", "password", "authorization", "api_key", "apikey"];

/// What stands beside secrets and is none.
const OPEN_WORDS: [&str; 15] = [
    "quota_group",
    "organisation",
    "team",
    "user",
    "tags",
    "allow",
    "expires",
    "priority",
    "max_priority",
    "scopes",
    "limits",
    "budgets",
    "max_cost",
    "explain",
    "zero_log",
];

/// What has to be struck out.
pub struct Redactor {
    /// Longest first, so that a secret inside a longer one leaves nothing of that.
    secrets: Vec<String>,
    /// What references became where no secret stands. The file's own lines cannot show it, save by
    /// chance, so only messages are cleaned of it.
    resolved: Vec<String>,
    /// Where they stand, for those that are written differently than they read (escapes, line breaks).
    places: Vec<(Mark, String)>,
    /// Values with a user and a password in them, and those: they may be written differently, too.
    within: Vec<(Mark, String)>,
    /// Words of models' names that look like keys: some are as long, and have as many digits.
    names: HashSet<String>,
    tree: Tree,
}

/// Whether the tree has everything that is in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    Whole,
    /// The parser stopped or left something out: lines are judged by their look as well.
    Partial,
}

impl Redactor {
    /// Collects what stands where secrets stand.
    pub fn new(root: Option<&Node>, tree: Tree) -> Self {
        let mut redactor = Self {
            secrets: Vec::new(),
            resolved: Vec::new(),
            places: Vec::new(),
            within: Vec::new(),
            names: HashSet::new(),
            tree,
        };
        if let Some(root) = root {
            redactor.collect(root, &Path::root(), Stands::Openly);
        }
        redactor.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        redactor.secrets.dedup();
        redactor
    }

    /// A message without secrets, and without anything that came from a reference.
    pub fn clean_message(&self, text: &str) -> String {
        self.resolved.iter().fold(self.clean(text), |text, value| text.replace(value.as_str(), &stars(value)))
    }

    /// `text` without secrets.
    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), &stars(secret));
        }
        strike(&strike(&text, |text| self.keylike(text)), |text| userinfo(text, Within::Text))
    }

    /// Where there are words that look like keys and are no models' names, in their order.
    pub fn keylike(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = keylike(text);
        found.retain(|word| !self.names.contains(&text[word.clone()]));
        found
    }

    /// Line `number` (from 1) of the file without secrets. `above` are the lines before it.
    pub fn clean_line(&self, number: usize, line: &str, above: &[&str]) -> String {
        let line =
            self.places.iter().fold(line.to_owned(), |line, (place, _)| strike_place(&line, number, *place));
        // Written with escapes or over several lines it cannot be found in the value, of which nothing is shown then.
        let hidden = self.within.iter().filter(|(_, user)| !line.contains(user.as_str()));
        let line = hidden.fold(line.clone(), |line, (place, _)| strike_place(&line, number, *place));
        let line = self.clean(&line);
        match self.tree {
            Tree::Whole => line,
            Tree::Partial => match secrets_from(&line, above) {
                Some(start) => format!("{}{}", &line[..start], strike_values(&line[start..])),
                None => line,
            },
        }
    }

    /// What is struck out wherever it stands.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Where secrets stand, and what they are there.
    pub fn places(&self) -> &[(Mark, String)] {
        &self.places
    }

    /// Values that hold a secret, and what it is there.
    pub fn within(&self) -> &[(Mark, String)] {
        &self.within
    }

    fn collect(&mut self, node: &Node, path: &Path, stands: Stands) {
        match &node.value {
            Value::Scalar(scalar) => self.note(scalar, node.mark, stands),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.collect(item, &path.index(index), stands);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let headers = entry.key == "headers" && {
                        let path = path.to_string();
                        path.starts_with("upstreams") || path.starts_with("telemetry")
                    };
                    // Whoever knows a webhook's address can write to it.
                    let address = entry.key == "url" && path.to_string().starts_with("alerts");
                    // The name of a key, and a number of tokens.
                    let named = matches!(entry.key.as_str(), "key" | "prompt_tokens") && is_condition(path);
                    // Whose requests are captured, and whether keys are struck out of them.
                    let named =
                        named || entry.key == "keys" && path.to_string().starts_with("telemetry.capture");
                    let below = match stands {
                        Stands::Openly if named => Stands::Openly,
                        _ if headers || address || is_secret_word(&entry.key) => Stands::AsSecret,
                        Stands::AsSecret if !OPEN_WORDS.contains(&entry.key.as_str()) => Stands::AsSecret,
                        Stands::AsSecret | Stands::Openly => Stands::Openly,
                    };
                    if below == Stands::Openly && matches!(entry.key.as_str(), "model" | "aliases") {
                        self.name(&entry.node);
                    }
                    self.collect(&entry.node, &path.key(entry.key.as_str()), below);
                }
            }
        }
    }

    /// A model is called this, or these.
    fn name(&mut self, node: &Node) {
        match &node.value {
            Value::Scalar(scalar) => {
                let words = keylike(&scalar.raw).into_iter().map(|word| &scalar.raw[word]);
                // What begins as vendors' keys do was put there by mistake.
                self.names.extend(words.filter(|word| !begins_as_keys_do(word)).map(str::to_owned));
            }
            Value::List(items) => items.iter().for_each(|item| self.name(item)),
            Value::Map(_) => {}
        }
    }

    fn note(&mut self, scalar: &Scalar, mark: Mark, stands: Stands) {
        let pure = is_reference(&scalar.raw) || scalar.raw.starts_with("file:") || scalar.raw == METADATA;
        let written = (stands == Stands::AsSecret && !pure).then_some(scalar.raw.as_str());
        if written.is_some() {
            self.places.push((mark, scalar.raw.clone()));
        }
        // Messages are one line; a secret of several is looked for line by line.
        let parts = |text: &str| {
            let lines = text.lines().map(str::trim).filter(|part| part.len() >= SECRET_MIN);
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        self.secrets.extend(written.map(parts).unwrap_or_default());
        if scalar.text() != scalar.raw {
            match stands {
                Stands::AsSecret => self.secrets.extend(parts(scalar.text())),
                Stands::Openly => self.resolved.extend(parts(scalar.text())),
            }
        }
        for user in userinfo(&scalar.raw, Within::Value).into_iter().map(|user| &scalar.raw[user]) {
            self.within.push((mark, user.to_owned()));
            self.secrets.push(user.to_owned());
        }
    }
}

/// Whether it is `${NAME}` and says nothing itself: no default (`:-`), which may be a secret; what is said where the
/// variable is not set (`:?`) is none.
fn is_reference(raw: &str) -> bool {
    let inside = raw.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| {
        let (name, rest) = inside.split_once(':').unwrap_or((inside, ""));
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let says_nothing = rest.is_empty() || rest == "-" || (rest.starts_with('?') && !rest.contains('}'));
        is_name && says_nothing
    })
}

/// What the keys above a value say about it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Openly,
    AsSecret,
}

/// `line` without what `place` covers of it.
fn strike_place(line: &str, number: usize, place: Mark) -> String {
    if !(place.line..=place.last_line).contains(&number) {
        return line.to_owned();
    }
    let start = if number == place.line { place.column - 1 } else { 0 };
    let end = if place.line == place.last_line { start + place.width } else { usize::MAX };
    line.chars().enumerate().map(|(at, c)| if (start..end).contains(&at) { '*' } else { c }).collect()
}

/// `routes[0].rules[1].when`.
fn is_condition(path: &Path) -> bool {
    let path = path.to_string();
    path.starts_with("routes[") && path.contains(".rules[") && path.ends_with("].when")
}

pub fn is_secret_word(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    SECRET_WORDS.iter().any(|word| key.contains(word))
        || matches!(key.as_str(), "key" | "keys" | "auth")
        || key.ends_with("_key")
        || key.ends_with("_keys")
}

/// Where a URL stands: alone, or among other words, which may quote it.
#[derive(Clone, Copy)]
enum Within {
    Value,
    Text,
}

/// Where `user:password` of URLs is, in their order. Some write `:\/\/` in a text between quotes.
fn userinfo(text: &str, within: Within) -> Vec<Range<usize>> {
    let begins = text.match_indices("//").chain(text.match_indices("\\/\\/"));
    let begins = begins.filter(|(at, _)| text[..*at].ends_with(':')).map(|(at, begin)| at + begin.len());
    let mut found: Vec<Range<usize>> = begins
        .filter_map(|from| {
            let ends = |c: char| match within {
                Within::Value => matches!(c, '/' | '?' | '#'),
                Within::Text => matches!(c, '/' | '?' | '#' | '"' | '\'' | '`') || c.is_whitespace(),
            };
            let authority = text[from..].split(ends).next()?;
            let length = authority.rfind('@').filter(|length| *length >= SECRET_MIN)?;
            // Our own hints have a user in them.
            let is_secret = match within {
                Within::Value => true,
                Within::Text => authority[..length].contains(':'),
            };
            is_secret.then_some(from..from + length)
        })
        .collect();
    found.sort_unstable_by_key(|user| user.start);
    found
}

/// `text` without what `find` finds there, in its order.
fn strike(text: &str, find: impl Fn(&str) -> Vec<Range<usize>>) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for word in find(text) {
        out.push_str(&text[from..word.start]);
        out.push_str(&stars(&text[word.clone()]));
        from = word.end;
    }
    out + &text[from..]
}

/// Where there are words that look like keys, in their order.
fn keylike(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begun = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let is_of_a_word = c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match begun {
            None if is_of_a_word => begun = Some(at),
            Some(from) if !is_of_a_word => {
                begun = None;
                if is_keylike(&text[from..at]) {
                    found.push(from..at);
                }
            }
            None | Some(_) => {}
        }
    }
    found
}

fn is_keylike(word: &str) -> bool {
    // Hosts, file names and paths are long too, but their parts between dots are not.
    word.split('.').any(|part| {
        let digits = part.chars().filter(char::is_ascii_digit).count();
        let letters = part.chars().filter(char::is_ascii_alphabetic).count();
        let long = part.len() >= KEYLIKE_MIN;
        // An upstream may be called `ms-east`; keys are longer, or have digits.
        (begins_as_keys_do(part) && (digits > 0 || long)) || (long && digits >= 4 && letters >= 4)
    })
}

fn begins_as_keys_do(word: &str) -> bool {
    KEYLIKE_BEGINNINGS.iter().any(|start| word.len() > start.len() + 4 && word.starts_with(start))
}

/// From where on a line may hold secrets, judged by words and indentation alone.
fn secrets_from(line: &str, above: &[&str]) -> Option<usize> {
    let names_secret = |line: &str| {
        let start = |word: &str| line.to_ascii_lowercase().find(word);
        SECRET_WORDS.iter().filter_map(|word| start(word)).chain(start("headers:")).min()
    };
    if let Some(start) = names_secret(line) {
        return Some(start);
    }
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut shallowest = depth(line);
    let mut item = line.trim_start().starts_with('-');
    for line in above.iter().rev().filter(|line| !line.trim().is_empty()) {
        let here = depth(line);
        let dashed = line.trim_start().starts_with('-');
        // The items of a list may stand as far left as its name.
        if here < shallowest || (here == shallowest && item && !dashed) {
            if names_secret(line).is_some() {
                return Some(0);
            }
            shallowest = here;
            item = dashed;
        }
        if shallowest == 0 && !item {
            break;
        }
    }
    None
}

/// Everything after a colon, dash, bracket or comma that is no reference.
fn strike_values(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let bare = word.trim_matches(['"', '\'']);
        let known = bare.is_empty()
            || bare.ends_with(':')
            || bare.starts_with("${") && !bare.contains(":-")
            || bare.starts_with("file:")
            || bare.chars().all(|c| c.is_ascii_punctuation());
        out.push_str(&if known { word.clone() } else { stars(word) });
        word.clear();
    };
    for c in line.chars() {
        if c.is_whitespace() || matches!(c, ',' | '[' | ']') {
            flush(&mut word, &mut out);
            out.push(c);
        } else {
            word.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}

fn stars(text: &str) -> String {
    "*".repeat(text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Findings;
    use crate::config::tree;

    #[test]
    fn what_stands_where_secrets_stand_is_struck_out_everywhere() {
        let text = "upstreams: {a: {credentials: [abcd, '${K:-efgh}', {key: ijkl}], headers: {x: mnop}, api_key: qrst, \
                    base_url: 'http://user:uvwx@h/', region: eu-west}}";
        let root = tree::parse(text, &mut Findings::default()).unwrap();
        let clean = Redactor::new(Some(&root), Tree::Whole).clean(text);
        for secret in ["abcd", "efgh", "ijkl", "mnop", "qrst", "uvwx"] {
            assert!(!clean.contains(secret), "{secret} in {clean}");
        }
        assert!(clean.contains("eu-west") && clean.contains("credentials"), "{clean}");
        assert_eq!(clean.chars().count(), text.chars().count());
    }

    #[test]
    fn a_password_in_a_url_is_struck_out_however_it_is_written() {
        for (text, shown) in [
            ("a: 'https://user:uvwx@h/'", "a: 'https://*********@h/'"),
            (r#"a: "https://user:uv\x77x@h/""#, "a: *************************"),
            (r#"a: "https:\/\/user:uvwx@h\/x""#, r#"a: "https:\/\/*********@h\/x""#),
            (
                "a: see http://user:abcd@h or ws://other:efgh@i/",
                "a: see http://*********@h or ws://**********@i/",
            ),
            ("a: 'https://h/?user@example.com'", "a: 'https://h/?user@example.com'"),
        ] {
            let root = tree::parse(text, &mut Findings::default()).unwrap();
            assert_eq!(Redactor::new(Some(&root), Tree::Whole).clean_line(1, text, &[]), shown, "{text}");
        }
        let torn = "a: [http://user:uvwx@h, 'x";
        let clean = Redactor::new(None, Tree::Partial).clean_line(1, torn, &[]);
        assert_eq!(clean, "a: [http://*********@h, 'x");
        let said = "cannot read \"https://user:uvwx@h/\"";
        let clean = Redactor::new(None, Tree::Partial).clean_message(said);
        assert_eq!(clean, "cannot read \"https://*********@h/\"");
    }

    #[test]
    fn a_file_that_is_no_yaml_keeps_its_secrets_too() {
        let check = |line: &str, above: &[&str], shown: &str| {
            assert_eq!(Redactor::new(None, Tree::Partial).clean_line(9, line, above), shown);
        };
        check("x: [sk-live-1234567", &[], "x: [***************");
        check("  credentials: [abcd, \"efgh", &[], "  credentials: [****, *****");
        check("    - abcd", &["  a:", "    credentials:"], "    - ****");
        check("- abcd", &["credentials:"], "- ****");
        check("  credentials: [${KEY}, file:/x", &[], "  credentials: [${KEY}, file:/x");
        check(
            "      - {upstream: a, weight: 3",
            &["routes:", "  - channels:"],
            "      - {upstream: a, weight: 3",
        );
        check("{region: eu, credentials: [abcd", &[], "{region: eu, credentials: [****");
        check("    region: eu", &["  a:", "    credentials:", "      - x"], "    region: eu");
    }
}
