//! Changes to an input that its parser may not expect: of its bytes, and of the JSON in it.

use mainstay::algo::dice::Dice;
use serde_json::{Value, json};

/// Most that a mutated input is long.
const LONGEST: usize = 20_000;

/// One of the seeds, changed once or twice.
pub fn one_of(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = pick(seeds, dice).clone();
    for _ in 0..=dice.below(2) {
        let other = pick(seeds, dice).as_slice();
        let changed = if dice.chance(0.9) { of_json(&input, other, dice) } else { None };
        input = changed.unwrap_or_else(|| of_bytes(&input, other, dice));
    }
    input.truncate(LONGEST);
    input
}

fn pick<'t, T>(from: &'t [T], dice: &mut Dice) -> &'t T {
    &from[dice.below(from.len() as u64) as usize]
}

fn place(length: usize, dice: &mut Dice) -> usize {
    dice.below(length as u64 + 1) as usize
}

/// Flips, cuts, doubles, splices or puts something odd in.
fn of_bytes(input: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const ODD: &[&[u8]] = &[
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\n\n",
        b"\r\n\r\n",
        b"\r",
        b"data:",
        b"event: error\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b",",
        b":",
        b"null",
        b"-1",
        b"1e999",
        b"99999999999999999999",
        b"[DONE]",
    ];
    let mut out = input.to_vec();
    let (one, two) = (place(input.len(), dice), place(input.len(), dice));
    let (from, to) = (one.min(two), one.max(two));
    match dice.below(6) {
        0 if from < out.len() => out[from] ^= 1 << dice.below(8),
        1 => out.truncate(from),
        2 => {
            out.drain(from..to);
        }
        3 => {
            let again = input[from..to].to_vec();
            out.splice(to..to, again);
        }
        4 => {
            out.truncate(from);
            out.extend_from_slice(&other[place(other.len(), dice)..]);
        }
        _ => {
            out.splice(from..from, pick(ODD, dice).iter().copied());
        }
    }
    out
}

/// Changes the JSON of a body, of one event of a stream or of one message; `None` where there is none.
fn of_json(input: &[u8], other: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    if let Some(lines) = spoken(input) {
        return Some(messages(&of_lines(&lines, other, dice)?));
    }
    if let Ok(mut body) = serde_json::from_slice::<Value>(input) {
        change(&mut body, &donor(other), dice);
        return Some(body.to_string().into_bytes());
    }
    of_lines(input, other, dice)
}

fn of_lines(input: &[u8], other: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let with_json: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains('{')).collect();
    if with_json.is_empty() {
        return None;
    }
    let at = *pick(&with_json, dice);
    match dice.below(8) {
        0 => {
            lines.remove(at);
        }
        1 => {
            let again = lines[at].clone();
            lines.insert(at, again);
        }
        2 => {
            let further = *pick(&with_json, dice);
            lines.swap(at, further);
        }
        _ => {
            let (head, json) = lines[at].split_at(lines[at].find('{')?);
            let mut event: Value = serde_json::from_str(json.trim_end()).ok()?;
            change(&mut event, &donor(other), dice);
            lines[at] = format!("{head}{event}");
        }
    }
    Some(lines.join("\n").into_bytes())
}

/// JSON out of another seed.
fn donor(other: &[u8]) -> Value {
    let text = String::from_utf8_lossy(other);
    let line = text.lines().find(|line| line.contains('{')).unwrap_or_default();
    let json = line.find('{').map_or("", |at| &line[at..]);
    serde_json::from_slice(other).or_else(|_| serde_json::from_str(json)).unwrap_or(Value::Null)
}

/// Changes one value somewhere in the tree.
fn change(root: &mut Value, donor: &Value, dice: &mut Dice) {
    let mut node = root;
    // Downwards, and sometimes no further.
    loop {
        let length = match &*node {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        if length == 0 || dice.chance(0.15) {
            break;
        }
        let at = dice.below(length as u64) as usize;
        node = match node {
            Value::Array(items) => &mut items[at],
            Value::Object(members) => members.values_mut().nth(at).unwrap(),
            _ => unreachable!("it has a length"),
        };
    }
    match dice.below(10) {
        0 => *node = Value::Null,
        1 => *node = json!([node.take()]),
        2 => *node = json!({"type": "x", "text": node.take()}),
        3 => *node = json!(*pick(&["", "x", "null", "{", "data:a/b;base64,", "\u{0}\u{1f600}"], dice)),
        4 => {
            let odd = [json!(-1), json!(1.5), json!(u64::MAX), json!(1e308), json!(true)];
            node.clone_from(pick(&odd, dice));
        }
        5 => *node = part_of(donor, dice),
        6 => {
            for _ in 0..dice.below(126) {
                *node = json!([node.take()]);
            }
        }
        7 => match node {
            Value::Array(items) if !items.is_empty() => {
                let again = pick(items, dice).clone();
                (0..dice.below(5)).for_each(|_| items.push(again.clone()));
            }
            Value::String(text) => *text = text.repeat(dice.below(20) as usize),
            other => *other = json!({}),
        },
        8 => match node {
            Value::Array(items) if !items.is_empty() => {
                let at = dice.below(items.len() as u64) as usize;
                items.remove(at);
            }
            Value::Object(members) => {
                let key = members.keys().nth(dice.below(members.len().max(1) as u64) as usize).cloned();
                members.remove(&key.unwrap_or_default());
            }
            other => *other = json!([]),
        },
        _ => match node {
            Value::Object(members) => {
                if let Value::Object(theirs) = part_of(donor, dice) {
                    members.extend(theirs);
                }
            }
            Value::Array(items) => items.reverse(),
            other => *other = Value::from(other.to_string()),
        },
    }
}

fn part_of(root: &Value, dice: &mut Dice) -> Value {
    let mut node = root;
    while dice.chance(0.7) {
        node = match node {
            Value::Array(items) if !items.is_empty() => pick(items, dice),
            Value::Object(members) if !members.is_empty() => {
                members.values().nth(dice.below(members.len() as u64) as usize).unwrap()
            }
            _ => break,
        };
    }
    node.clone()
}

/// Amazon's messages, of lines that each have an `event` and its `data`.
pub fn messages(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in String::from_utf8_lossy(lines).lines() {
        let Ok(said) = serde_json::from_str::<Value>(line) else { continue };
        let event = said["event"].as_str().unwrap_or("x");
        let headers =
            [(":message-type", "event"), (":event-type", event), (":content-type", "application/json")];
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(name.len() as u8);
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&(value.len() as u16).to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let data = said["data"].to_string();
        let mut message = ((16 + head.len() + data.len()) as u32).to_be_bytes().to_vec();
        message.extend_from_slice(&(head.len() as u32).to_be_bytes());
        message.extend_from_slice(&crc(&message).to_be_bytes());
        message.extend_from_slice(&head);
        message.extend_from_slice(data.as_bytes());
        message.extend_from_slice(&crc(&message).to_be_bytes());
        out.extend_from_slice(&message);
    }
    out
}

/// The lines of which [`messages`] would make these bytes; `None` where they are no messages.
fn spoken(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let number = |at: usize| Some(u32::from_be_bytes(rest.get(at..at + 4)?.try_into().ok()?) as usize);
        let (total, head) = (number(0)?, number(4)?);
        // The type of a header's value and two bytes of its length stand between its name and itself.
        let headers = std::str::from_utf8(rest.get(12..12 + head)?).ok()?;
        let (_, named) = headers.split_once(":event-type\u{7}\0")?;
        let event = named.get(1..1 + usize::from(*named.as_bytes().first()?))?;
        let data: Value = serde_json::from_slice(rest.get(12 + head..total.checked_sub(4)?)?).ok()?;
        lines.push(json!({"event": event, "data": data}).to_string());
        rest = rest.get(total..)?;
    }
    (!lines.is_empty()).then(|| lines.join("\n").into_bytes())
}

/// CRC-32 as in zlib, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
