//! YAML text to a tree that remembers where everything stands. The only file that knows YAML.
//!
//! Why not straight into structs: a deserializer stops at the first error and knows one type of
//! error. A tree can be looked at as often as needed, so that every unknown key, wrong type and
//! broken reference of a file is found in one go, and checks that need the whole file can still
//! point at the line. Scalars keep their text; what type it has is decided by who asks for it, so
//! `model: 1.10` is the text `1.10` and `region: no` is not `false`.
//!
//! Anchors, aliases and merge keys (`<<`) work. Tags do not: nothing here needs one.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::path::{Path, Step};
use super::problem::{Findings, Mark};

/// Deepest nesting. The file's own shape needs 7.
const DEPTH_MAX: usize = 32;

/// Most values in a file, aliases counted as often as they are used, and 64 bytes of text as one
/// more: 10,000 channels have fewer, and an alias bomb ends here.
const NODES_MAX: usize = 200_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub value: Value,
    pub mark: Mark,
}

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping with its value. Keys are unique.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub key_mark: Mark,
    pub node: Node,
}

/// A text, and what became of the references in it.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// As the file has it. Safe to show only where [`Scalar::text`] is not a secret by its place.
    pub raw: String,
    /// Without quotes, so `null` means nothing rather than a word.
    pub plain: bool,
    pub text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Without references.
    AsWritten,
    /// From the environment or a file: never shown.
    Resolved(String),
    /// These references led nowhere, where that is allowed.
    Missing(Vec<String>),
    /// The reference itself is wrong, and has been reported.
    Broken,
}

impl Scalar {
    /// The text that counts; empty where a reference led nowhere.
    pub fn text(&self) -> &str {
        match &self.text {
            Text::AsWritten => &self.raw,
            Text::Resolved(text) => text,
            Text::Missing(_) | Text::Broken => "",
        }
    }

    pub fn is_null(&self) -> bool {
        self.plain && self.text == Text::AsWritten && matches!(self.raw.as_str(), "" | "~" | "null")
    }
}

impl Node {
    pub fn scalar(&self) -> Option<&Scalar> {
        if let Value::Scalar(scalar) = &self.value { Some(scalar) } else { None }
    }

    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// "a mapping", "a list" or "a single value", for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The value at `path`, if the file has it.
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.steps().iter().try_fold(self, |node, step| node.step(step))
    }

    /// Whether something stands at `path`; a key without a value says nothing.
    pub fn has_value(&self, path: &Path) -> bool {
        self.at(path).is_some_and(|node| !node.is_null())
    }

    /// The topmost layer that says something: the first of `layers` with the value at `within`.
    /// Where none has it, the first of all.
    pub fn said_at(&self, layers: &[Path], within: &[&str]) -> Path {
        let full = |layer: &Path| within.iter().fold(layer.clone(), |path, key| path.key(*key));
        let mut places = layers.iter().map(full);
        places.clone().find(|place| self.at(place).is_some()).or(places.next()).unwrap_or_default()
    }

    fn step(&self, step: &Step) -> Option<&Self> {
        match (step, &self.value) {
            (Step::Key(key), Value::Map(_)) => self.entry(key).map(|entry| &entry.node),
            (Step::Index(index), Value::List(items)) => items.get(*index),
            _ => None,
        }
    }

    /// Where `path` stands; where it leads nowhere, the key of its last step that exists.
    pub fn mark_of_value(&self, path: &Path) -> Mark {
        match self.at(path) {
            Some(node) if node.scalar().is_some_and(|scalar| !scalar.raw.is_empty()) => node.mark,
            _ => self.mark_of_key(path),
        }
    }

    /// The key that `path` ends with; for an item of a list, the item's first key or the item.
    pub fn mark_of_key(&self, path: &Path) -> Mark {
        let mut mark = self.mark;
        let mut node = self;
        for step in path.steps() {
            match (step, &node.value) {
                (Step::Key(key), Value::Map(_)) => match node.entry(key) {
                    Some(entry) => (mark, node) = (entry.key_mark, &entry.node),
                    None => return mark,
                },
                (Step::Index(index), Value::List(items)) => match items.get(*index) {
                    Some(item) => (mark, node) = (item.first_mark(), item),
                    None => return mark,
                },
                _ => return mark,
            }
        }
        mark
    }

    /// What it counts for in [`NODES_MAX`], without its children.
    fn weight(&self) -> usize {
        1 + self.scalar().map_or(0, |scalar| scalar.raw.len() / 64)
    }

    fn first_mark(&self) -> Mark {
        match &self.value {
            Value::Map(entries) => entries.first().map_or(self.mark, |entry| entry.key_mark),
            Value::Scalar(_) | Value::List(_) => self.mark,
        }
    }
}

/// Reads `text`. `None` when it is not YAML, or empty; the findings say why.
pub fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes_left: NODES_MAX,
        findings,
    };
    match builder.document() {
        Ok(root) => root,
        Err(stop) => {
            findings.error_at(stop.mark, stop.message, stop.hint);
            None
        }
    }
}

/// What ends the reading at once.
struct Stop {
    mark: Mark,
    message: String,
    hint: &'static str,
}

struct Builder<'t, 'f> {
    parser: Parser<'t, serde_saphyr::granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes_left: usize,
    findings: &'f mut Findings,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(Stop {
                        mark,
                        message: "a second YAML document begins here".to_owned(),
                        hint: "keep everything in one document: remove the `---`",
                    });
                }
                Event::DocumentStart(..) => {
                    let (event, mark) = self.next()?;
                    root = Some(self.node(event, mark, 0)?);
                }
                Event::StreamEnd => return Ok(root),
                _ => return Err(Stop { mark, message: "unexpected YAML".to_owned(), hint: "" }),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, mark: Mark, depth: usize) -> Result<Node, Stop> {
        if depth > DEPTH_MAX {
            let message = format!("nested more than {DEPTH_MAX} levels deep");
            return Err(Stop { mark, message, hint: "check the brackets and the indentation" });
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.tagged(tag.as_deref(), mark);
                (Value::Scalar(Scalar { raw: text.into_owned(), plain, text: Text::AsWritten }), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tagged(tag.as_deref(), mark);
                (Value::List(self.list(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tagged(tag.as_deref(), mark);
                (Value::Map(self.map(depth)?), anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, mark, depth),
            _ => return Err(Stop { mark, message: "unexpected YAML".to_owned(), hint: "" }),
        };
        let node = Node { value, mark };
        self.spend(node.weight(), mark)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            items.push(self.node(event, mark, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, mark, depth + 1)?;
            let (event, value_mark) = self.next()?;
            let node = self.node(event, value_mark, depth + 1)?;
            let Value::Scalar(scalar) = key.value else {
                self.findings.error_at(mark, "a key has to be a single word", "");
                continue;
            };
            if scalar.plain && scalar.raw == "<<" {
                merged.push(node);
            } else if let Some(line) = seen.get(&scalar.raw) {
                self.findings.error_at(
                    mark,
                    format!("key `{}` is given twice", scalar.raw),
                    format!("the first one is on line {line}; remove one of them, or join their contents"),
                );
            } else {
                seen.insert(scalar.raw.clone(), mark.line);
                entries.push(Entry { key: scalar.raw, key_mark: mark, node });
            }
        }
        for node in merged {
            self.merge(&mut entries, node);
        }
        Ok(entries)
    }

    /// `<<`: what the mapping does not say itself, it takes from there.
    fn merge(&mut self, entries: &mut Vec<Entry>, from: Node) {
        match from.value {
            Value::Map(more) => {
                for entry in more {
                    if !entries.iter().any(|mine| mine.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Value::List(items) => items.into_iter().for_each(|item| self.merge(entries, item)),
            Value::Scalar(_) => {
                self.findings.error_at(from.mark, "`<<` can only merge a mapping", "write `<<: *name`");
            }
        }
    }

    fn alias(&mut self, anchor: usize, mark: Mark, depth: usize) -> Result<Node, Stop> {
        // An alias inside its own anchor is not in the table yet.
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let message = "this alias stands inside what it refers to".to_owned();
            return Err(Stop { mark, message, hint: "write the value out" });
        };
        let size = Size::of(&node);
        if depth + size.depth > DEPTH_MAX {
            let message = format!("nested more than {DEPTH_MAX} levels deep");
            return Err(Stop { mark, message, hint: "use fewer aliases" });
        }
        self.spend(size.nodes, mark)?;
        Ok(Node { mark, ..node })
    }

    fn spend(&mut self, nodes: usize, mark: Mark) -> Result<(), Stop> {
        self.nodes_left = self.nodes_left.checked_sub(nodes).ok_or_else(|| Stop {
            mark,
            message: format!("more than {NODES_MAX} values"),
            hint: "split the configuration over several gateways, or use fewer aliases",
        })?;
        Ok(())
    }

    /// Whether a tag makes a text of the scalar. Tags of YAML's own types change nothing else.
    fn tagged(&mut self, tag: Option<&Tag>, mark: Mark) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() {
            self.findings.error_at(mark, "tags have no meaning here", "remove the word with the `!`");
        }
        tag.is_yaml_core_schema_tag("str")
    }

    fn next(&mut self) -> Result<(Event<'t>, Mark), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, mark(span))),
            Some(Err(error)) => Err(Stop {
                mark: Mark {
                    line: error.marker().line(),
                    column: error.marker().col() + 1,
                    width: 1,
                    last_line: error.marker().line(),
                },
                message: format!("not valid YAML: {}", error.info()),
                hint: "check the indentation (spaces, no tabs), the quotes and the brackets here and above",
            }),
            None => Ok((Event::StreamEnd, Mark::default())),
        }
    }
}

struct Size {
    nodes: usize,
    depth: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let children: Box<dyn Iterator<Item = &Node>> = match &node.value {
            Value::Scalar(_) => return Self { nodes: node.weight(), depth: 1 },
            Value::List(items) => Box::new(items.iter()),
            Value::Map(entries) => Box::new(entries.iter().map(|entry| &entry.node)),
        };
        let start = Self { nodes: 1, depth: 1 };
        children.map(Self::of).fold(start, |sum, child| Self {
            nodes: sum.nodes.saturating_add(child.nodes),
            depth: sum.depth.max(child.depth + 1),
        })
    }
}

fn mark(span: Span) -> Mark {
    let (line, last_line) = (span.start.line(), span.end.line());
    let width = if line == last_line { span.len() } else { 1 };
    Mark { line, column: span.start.col() + 1, width: width.max(1), last_line }
}
