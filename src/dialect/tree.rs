//! A JSON text as a tree that borrows from it: what translation reads.
//!
//! Members keep their order (the order of a schema's properties is the order in which a model fills
//! them in) and every value knows the text that it was read from, so that arguments and schemas are
//! passed on byte for byte and an error can say where it is. Of members with equal keys the last one
//! counts, as with most parsers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use super::json::{self, Kind, Malformed, Walked, Walker};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    value: Value<'a>,
    /// The text that it was read from.
    raw: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
enum Value<'a> {
    Null,
    Bool(bool),
    /// As written; see [`Node::raw`].
    Number,
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// What is wrong with a body, and where. Quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Wrong {
    /// `messages[2].content`, in the caller's own words. Empty while the place is only known by its
    /// text: [`Wrong::place`] fills it in.
    pub path: String,
    pub message: Cow<'static, str>,
    at: usize,
    missing: Option<&'static str>,
}

impl Wrong {
    /// Something that is wrong with the body as a whole.
    pub fn whole(message: impl Into<Cow<'static, str>>) -> Self {
        Self { path: String::new(), message: message.into(), at: 0, missing: None }
    }

    /// Finds out where in `root` it is.
    #[must_use]
    pub fn place(mut self, root: &Node<'_>) -> Self {
        if self.path.is_empty() && self.at != 0 {
            root.path_to(self.at, &mut self.path);
        }
        if let Some(missing) = self.missing.take() {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(missing);
        }
        self
    }
}

/// Values, counted as [`Walker::values`] counts them, that a caller's body may have where it is read into a tree. As
/// many take a tenth of a second and 150 MB to say in another dialect; the 100,000 messages that Anthropic takes at
/// most are 300,000 of them, as are the tokens that OpenAI embeds at once, and a picture is one.
pub const MOST_VALUES: usize = 400_000;
/// The same of anything else: the numbers of the largest embeddings that OpenAI's models make are 6,300,000.
const MOST_OF_ALL: usize = 8_000_000;
/// Bytes that a value takes while a request is said in another dialect, at most, beside the text that is read and the
/// one that is written: its node, and what the hub makes of it. Measured, from 100 (numbers) to 380 (short messages).
const COST: u64 = 384;

/// What a request of so many values takes while it is said in another dialect.
pub fn cost(values: usize) -> u64 {
    values as u64 * COST
}

/// Says no to more values than [`MOST_VALUES`].
pub fn check(values: usize) -> Result<(), Wrong> {
    if values > MOST_VALUES { Err(too_many(MOST_VALUES)) } else { Ok(()) }
}

fn too_many(most: usize) -> Wrong {
    Wrong::whole(format!("the body has more than {most} JSON values, too many to be said in another dialect"))
}

/// Reads what a caller sent, which may have [`MOST_VALUES`].
pub fn request(body: &[u8]) -> Result<Node<'_>, Wrong> {
    within(body, MOST_VALUES)
}

/// Reads a part of what was read before, or an answer that nobody is told.
pub fn parse(body: &[u8]) -> Result<Node<'_>, Wrong> {
    within(body, MOST_OF_ALL)
}

/// Reads an upstream's answer. Halves of characters are wrong in it: their other halves may come with the next event.
pub fn whole(body: &[u8]) -> Result<Node<'_>, Wrong> {
    read(body, Limits { values: MOST_OF_ALL, halves: Halves::Refused })
}

fn within(body: &[u8], values: usize) -> Result<Node<'_>, Wrong> {
    read(body, Limits { values, halves: Halves::Replaced })
}

/// What may be read.
#[derive(Clone, Copy)]
struct Limits {
    values: usize,
    halves: Halves,
}

/// What becomes of an escape that is half a surrogate pair.
#[derive(Clone, Copy)]
enum Halves {
    /// It is U+FFFD, as JavaScript's callers get from every vendor.
    Replaced,
    Refused,
}

impl Limits {
    fn text(self, text: json::Text<'_>, at: usize) -> Walked<Cow<'_, str>> {
        let text = match self.halves {
            Halves::Replaced => text.into_lossy(),
            Halves::Refused => text.into_str(),
        };
        text.ok_or(Malformed { at, expected: "sound escapes" })
    }
}

fn read(body: &[u8], limits: Limits) -> Result<Node<'_>, Wrong> {
    let most = limits.values;
    let text = std::str::from_utf8(body)
        .map_err(|error| Wrong::whole(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let mut walker = Walker::new(body);
    let root = node(&mut walker, (text, limits)).and_then(|root| walker.end().map(|()| root));
    root.map_err(|Malformed { at, expected }| {
        if walker.values() > most {
            return too_many(most);
        }
        Wrong::whole(format!("not valid JSON: expected {expected} at byte {at}"))
    })
}

fn node<'a>(walker: &mut Walker<'a>, (text, limits): (&'a str, Limits)) -> Walked<Node<'a>> {
    let start = walker.offset();
    if walker.values() > limits.values {
        return Err(Malformed { at: start, expected: "fewer values" });
    }
    let value = match walker.kind()? {
        Kind::Object => {
            let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
            let mut places = Places::default();
            walker.object(|walker, key| {
                let key = limits.text(key.clone(), start)?;
                let value = node(walker, (text, limits))?;
                if let Some((_, slot)) = places.find(&members, &key).and_then(|place| members.get_mut(place))
                {
                    *slot = value;
                } else {
                    places.add(key.clone(), members.len());
                    members.push((key, value));
                }
                Ok(())
            })?;
            Value::Object(members)
        }
        Kind::Array => {
            let mut items = Vec::new();
            walker.array(|walker| {
                items.push(node(walker, (text, limits))?);
                Ok(())
            })?;
            Value::Array(items)
        }
        Kind::String => Value::String(limits.text(walker.string()?, start)?),
        kind => {
            walker.skip()?;
            match kind {
                Kind::True => Value::Bool(true),
                Kind::False => Value::Bool(false),
                Kind::Null => Value::Null,
                Kind::Number | Kind::Object | Kind::Array | Kind::String => Value::Number,
            }
        }
    };
    let end = walker.position();
    Ok(Node { value, raw: text.get(start..end).unwrap_or_default() })
}

/// Where a key stands among an object's members. A look through them is fastest while they are few, and
/// they nearly always are; hostile ones must not cost their square.
#[derive(Default)]
struct Places<'a>(HashMap<Cow<'a, str>, usize>);

impl<'a> Places<'a> {
    /// So many are looked through.
    const FEW: usize = 64;

    fn find(&mut self, members: &[(Cow<'a, str>, Node<'a>)], key: &str) -> Option<usize> {
        if members.len() < Self::FEW {
            return members.iter().position(|(name, _)| name == key);
        }
        if self.0.is_empty() {
            self.0.extend(members.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)));
        }
        self.0.get(key).copied()
    }

    fn add(&mut self, key: Cow<'a, str>, place: usize) {
        if place >= Self::FEW {
            self.0.insert(key, place);
        }
    }
}

impl<'a> Node<'a> {
    /// The text that it was read from.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// A member that is there and not null.
    pub fn at(&self, key: &str) -> Option<&Node<'a>> {
        self.members().iter().find(|(name, value)| name == key && !value.is_null()).map(|(_, value)| value)
    }

    /// A member that has to be there.
    pub fn need(&self, key: &'static str) -> Result<&Node<'a>, Wrong> {
        if !self.is_object() {
            return Err(self.expected("an object"));
        }
        self.at(key).ok_or_else(|| Wrong { missing: Some(key), ..self.wrong("required, and missing") })
    }

    /// The members of an object in their order; nothing for any other value.
    pub fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        if let Value::Object(members) = &self.value { members } else { &[] }
    }

    /// The items of an array; nothing for any other value.
    pub fn elements(&self) -> &[Node<'a>] {
        if let Value::Array(items) = &self.value { items } else { &[] }
    }

    /// The items of what has to be an array.
    pub fn items(&self) -> Result<&[Node<'a>], Wrong> {
        if let Value::Array(items) = &self.value { Ok(items) } else { Err(self.expected("an array")) }
    }

    /// Itself, which has to be an object.
    pub fn object(&self) -> Result<&Self, Wrong> {
        if self.is_object() { Ok(self) } else { Err(self.expected("an object")) }
    }

    /// The text of what has to be a string. Costs no copy unless it was written with escapes.
    pub fn string(&self) -> Result<Cow<'a, str>, Wrong> {
        self.text().ok_or_else(|| self.expected("a string"))
    }

    pub fn number(&self) -> Result<f64, Wrong> {
        self.as_number().ok_or_else(|| self.expected("a number"))
    }

    /// A count: a whole number that is not negative. `5.0` is one, as some SDKs write it.
    pub fn integer(&self) -> Result<u64, Wrong> {
        self.as_integer().ok_or_else(|| self.expected("a whole number of at least 0"))
    }

    pub fn boolean(&self) -> Result<bool, Wrong> {
        if let Value::Bool(value) = self.value { Ok(value) } else { Err(self.expected("true or false")) }
    }

    /// The text of a string; `None` for any other value.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        if let Value::String(text) = &self.value { Some(text.clone()) } else { None }
    }

    /// The text of a string, to look at; `None` for any other value.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    pub fn as_number(&self) -> Option<f64> {
        matches!(self.value, Value::Number)
            .then(|| self.raw.parse().ok())
            .flatten()
            .filter(|n: &f64| n.is_finite())
    }

    pub fn as_integer(&self) -> Option<u64> {
        if !matches!(self.value, Value::Number) {
            return None;
        }
        let rounded =
            || self.as_number().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n)).map(|n| n as u64);
        self.raw.parse().ok().or_else(rounded)
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self.value { Some(value) } else { None }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    pub fn is_array(&self) -> bool {
        matches!(self.value, Value::Array(_))
    }

    pub fn is_string(&self) -> bool {
        matches!(self.value, Value::String(_))
    }

    /// What is wrong with this value.
    pub fn wrong(&self, message: impl Into<Cow<'static, str>>) -> Wrong {
        Wrong { path: String::new(), message: message.into(), at: self.raw.as_ptr() as usize, missing: None }
    }

    pub fn expected(&self, what: &str) -> Wrong {
        self.wrong(format!("expected {what}, found {}", self.kind_name()))
    }

    fn kind_name(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// Appends the way to the value that begins at this address.
    fn path_to(&self, at: usize, path: &mut String) {
        let holds = |node: &Node<'_>| {
            let begin = node.raw.as_ptr() as usize;
            (begin..begin + node.raw.len()).contains(&at)
        };
        if self.raw.as_ptr() as usize == at {
            return;
        }
        if let Some((key, value)) = self.members().iter().find(|(_, value)| holds(value)) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
            value.path_to(at, path);
        } else if let Some((index, value)) =
            self.elements().iter().enumerate().find(|(_, value)| holds(value))
        {
            // Writing to a String cannot fail.
            let _ = write!(path, "[{index}]");
            value.path_to(at, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrong(body: &str, read: impl Fn(&Node<'_>) -> Result<(), Wrong>) -> String {
        let root = parse(body.as_bytes()).expect("JSON");
        read(&root).expect_err("wrong").place(&root).to_string()
    }

    #[test]
    fn values_are_borrowed_in_order_and_the_last_of_a_name_counts() {
        let body = r#"{"b": 1, "a": "x", "b": [true, null, -1.5e1], "c": "\u00e9"}"#;
        let root = parse(body.as_bytes()).expect("JSON");
        let keys: Vec<&str> = root.members().iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["b", "a", "c"]);
        assert_eq!(root.at("b").map(Node::raw), Some("[true, null, -1.5e1]"));
        assert!(matches!(root.at("a").and_then(Node::text), Some(Cow::Borrowed("x"))));
        assert_eq!(root.at("c").and_then(Node::text).as_deref(), Some("é"));
        let items = root.at("b").expect("b").elements();
        assert_eq!(
            (items[0].as_bool(), items[1].is_null(), items[2].as_number()),
            (Some(true), true, Some(-15.0))
        );
    }

    fn second<'a>(root: &Node<'a>) -> Node<'a> {
        root.at("messages").expect("there").elements()[1].clone()
    }

    #[test]
    fn what_is_wrong_says_where() {
        let body = r#"{"messages": [{"role": "user"}, {"role": 7, "content": [{"x": {}}]}], "n": -1}"#;
        assert_eq!(
            wrong(body, |root| second(root).need("role")?.string().map(drop)),
            "messages[1].role: expected a string, found a number"
        );
        assert_eq!(
            wrong(body, |root| root.at("messages").expect("there").elements()[0].need("content").map(drop)),
            "messages[0].content: required, and missing"
        );
        assert_eq!(
            wrong(body, |root| root.need("n")?.integer().map(drop)),
            "n: expected a whole number of at least 0, found a number"
        );
        assert_eq!(wrong(body, |root| root.need("model").map(drop)), "model: required, and missing");
        assert_eq!(
            wrong(body, |root| second(root).need("content")?.items()?[0].need("x")?.need("y").map(drop)),
            "messages[1].content[0].x.y: required, and missing"
        );
    }

    #[test]
    fn numbers_are_counts_only_when_they_are_whole() {
        let count = |text: &str| parse(text.as_bytes()).expect("JSON").as_integer();
        assert_eq!(
            [
                count("7"),
                count("5.0"),
                count("1e3"),
                count("5.5"),
                count("-1"),
                count("\"7\""),
                count("1e300")
            ],
            [Some(7), Some(5), Some(1000), None, None, None, None]
        );
        // JSON's grammar has no range, so what is too large for us may be sent on as it is, and only that.
        let large = parse(b"[-2.5E1111]").expect("JSON");
        assert_eq!((large.elements()[0].as_number(), large.elements()[0].as_integer()), (None, None));
        assert_eq!((large.raw(), large.elements()[0].raw()), ("[-2.5E1111]", "-2.5E1111"));
    }

    #[test]
    fn what_is_not_json_says_at_which_byte() {
        let message = |body: &[u8]| parse(body).expect_err("wrong").message;
        assert!(message(b"{\"a\" 1}").contains("at byte 5"));
        assert!(message(b"\"\xff\"").contains("not UTF-8 at byte 1"));
        assert!(whole(br#""\ud800""#).expect_err("half").message.contains("escapes"));
        assert!(message(&[b'['; 1_000]).contains("128 levels"));
    }

    #[test]
    fn of_many_members_the_last_of_a_name_counts_as_well() {
        let members: Vec<String> = (0..1_000).map(|n| format!("\"k{}\":{n}", n % 500)).collect();
        let body = format!("{{{}}}", members.join(","));
        let root = parse(body.as_bytes()).expect("JSON");
        assert_eq!(root.members().len(), 500);
        assert_eq!(root.at("k7").and_then(Node::as_integer), Some(507));
        assert_eq!(root.at("k499").and_then(Node::as_integer), Some(999));
    }

    #[test]
    fn a_request_has_so_many_values_and_not_one_more() {
        let of = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
        assert!(request(of(MOST_VALUES).as_bytes()).is_ok());
        let wrong = request(of(MOST_VALUES + 1).as_bytes()).expect_err("too many");
        assert!(wrong.message.contains("more than 400000 JSON values"), "{wrong:?}");
        assert!(parse(of(MOST_VALUES + 1).as_bytes()).is_ok(), "an answer has room for vectors");
        assert!(within(of(11).as_bytes(), 10).is_err() && within(of(10).as_bytes(), 10).is_ok());
        let members: Vec<String> = (0..MOST_VALUES).map(|n| format!("\"{n}\":0")).collect();
        assert!(request(format!("{{{}}}", members.join(",")).as_bytes()).is_err(), "the object is one, too");
        assert!(
            request(format!("\"{}\"", ",0".repeat(MOST_VALUES)).as_bytes()).is_ok(),
            "a text is one value"
        );
    }

    proptest! {
        #[test]
        fn halves_of_characters_are_read_as_javascript_says_them(units in proptest::collection::vec(
            prop_oneof![0xd7fe_u16..0xe002, any::<u16>(), Just(0x5c), Just(0x22)], 0..12), plain in any::<bool>())
        {
            let escape = |unit: &u16| match char::from_u32((*unit).into()) {
                Some(shown) if plain && !matches!(shown, '"' | '\\' | '\0'..='\x1f') => shown.to_string(),
                Some('\n') => "\\n".to_owned(),
                Some('/') => "\\/".to_owned(),
                _ => format!("\\u{unit:04X}"),
            };
            let body = format!("\"{}\"", units.iter().map(escape).collect::<String>());
            let expected = String::from_utf16_lossy(&units);
            let read = parse(body.as_bytes()).expect("JSON").text();
            prop_assert_eq!(read.as_deref(), Some(&*expected), "{}", body);
            let keyed = format!("{{{body}:1}}");
            prop_assert!(request(keyed.as_bytes()).expect("JSON").members()[0].0 == expected);
            prop_assert_eq!(whole(body.as_bytes()).is_ok(), String::from_utf16(&units).is_ok());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn it_reads_what_serde_json_reads(tokens in proptest::collection::vec(
            prop_oneof![Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""),
                Just("\"b\\n\""), Just("1"), Just("null"), Just(" "), Just("-2.5E1")], 0..12))
        {
            let text = tokens.concat();
            // Its numbers have a range, and JSON's have none: whether it is JSON it says where it keeps the text.
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            let ours = parse(text.as_bytes());
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text);
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours.raw(), theirs.get());
            }
        }
    }
}
