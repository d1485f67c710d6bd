use super::*;
use crate::dialect::continuation::splice::Anchor;
use crate::dialect::hub::{CallKind, Stop};

const TEXT: &str = "The quick brown fox jumps over the lazy dog and";

/// Events of one leg, as they are and as a word each.
fn heard(joint: &mut Joint, events: &[Event<'_>]) -> String {
    let mut heard = Vec::new();
    for event in events {
        joint.pass(event, &mut |event| {
            heard.push(match event {
                Event::Start { .. } => "start".to_owned(),
                Event::Open { block, kind: Block::Text, .. } => format!("text{block}"),
                Event::Open { block, kind: Block::Thought { .. }, .. } => format!("thought{block}"),
                Event::Open { block, .. } => format!("other{block}"),
                Event::Delta { block, delta: Delta::Text(text), .. } => format!("{block}={text}"),
                Event::Delta { block, .. } => format!("{block}+"),
                Event::Close { block, .. } => format!("close{block}"),
                Event::Finish { .. } => "finish".to_owned(),
                Event::Usage(usage) => format!("{}/{}", usage.input, usage.output),
                Event::Vendor { .. } => "vendor".to_owned(),
                Event::End => "end".to_owned(),
            });
        });
    }
    heard.join(" ")
}

fn start() -> Event<'static> {
    Event::Start { id: "x".into(), model: "m".into(), created: 1 }
}

fn open(block: u32, kind: Block<'static>) -> Event<'static> {
    Event::Open { choice: 0, block, kind }
}

fn text(block: u32, text: &'static str) -> Event<'static> {
    Event::Delta { choice: 0, block, delta: Delta::Text(text.into()) }
}

fn close(block: u32) -> Event<'static> {
    Event::Close { choice: 0, block }
}

fn usage(input: u64, output: u64) -> Event<'static> {
    Event::Usage(Usage { input, output, ..Usage::default() })
}

const FINISH: Event<'static> = Event::Finish { choice: 0, stop: Stop::End };

fn thought() -> Block<'static> {
    Block::Thought { is_summary: false, is_redacted: false, id: None }
}

fn call() -> Block<'static> {
    Block::Call { id: "c".into(), name: "f".into(), kind: CallKind::Function }
}

fn anchored() -> Splice {
    Splice::anchored(TEXT, Anchor::of(TEXT).expect("one"))
}

#[test]
fn the_open_block_goes_on_and_counts_are_sums() {
    let mut joint = Joint::default();
    heard(&mut joint, &[start(), open(0, Block::Text), text(0, TEXT)]);
    joint.begin(anchored(), Usage { input: 7, output: 10, ..Usage::default() });
    let leg = [
        start(),
        open(0, thought()),
        text(0, "hm"),
        close(0),
        open(1, Block::Text),
        text(1, "quick brown fox jumps over "),
    ];
    assert_eq!(heard(&mut joint, &leg), "", "nothing is known yet");
    assert_eq!(joint.standing(), Standing::Seeking);
    let rest =
        [text(1, "the lazy dog and then"), text(1, " sleeps"), close(1), FINISH, usage(20, 5), Event::End];
    assert_eq!(heard(&mut joint, &rest), "0= then 0= sleeps close0 finish 27/15 end");
    assert_eq!((joint.standing(), joint.told().text()), (Standing::Joined, &*format!("{TEXT} then sleeps")));
}

#[test]
fn a_text_that_had_ended_is_followed_by_another() {
    let mut joint = Joint::default();
    heard(&mut joint, &[start(), open(3, Block::Text), text(3, TEXT), close(3)]);
    joint.begin(anchored(), Usage::default());
    let leg = [start(), open(0, Block::Text), text(0, TEXT), text(0, " more"), close(0), FINISH, Event::End];
    assert_eq!(heard(&mut joint, &leg), "text4 4= more close4 finish end");
    // And where nothing more is said, no block is opened for it.
    joint.begin(Splice::prefilled(joint.told().text()), Usage::default());
    assert_eq!(heard(&mut joint, &[start(), FINISH, Event::End]), "finish end");
}

#[test]
fn a_thought_that_broke_off_ends_and_the_text_follows() {
    let mut joint = Joint::default();
    heard(&mut joint, &[start(), open(0, thought()), text(0, "let me")]);
    joint.begin(Splice::prefilled(""), Usage::default());
    let leg = [start(), open(0, thought()), text(0, "again"), close(0), open(1, Block::Text), text(1, "Hi")];
    assert_eq!(heard(&mut joint, &leg), "close0 text1 1=Hi");
}

#[test]
fn a_call_follows_a_text_only_where_nothing_was_to_be_repeated() {
    let leg = [start(), open(0, call()), close(0), FINISH, Event::End];
    let mut joint = Joint::default();
    heard(&mut joint, &[start(), open(0, Block::Text), text(0, TEXT)]);
    joint.begin(anchored(), Usage::default());
    assert_eq!(heard(&mut joint, &leg), "");
    assert_eq!(joint.standing(), Standing::Lost);
    // The same stream, and another leg: nothing has been lost of it.
    joint.begin(Splice::prefilled(TEXT), Usage::default());
    assert_eq!(heard(&mut joint, &leg), "close0 other1 close1 finish end");
}

#[test]
fn a_leg_that_says_something_else_is_not_heard_to_its_end() {
    let mut joint = Joint::default();
    heard(&mut joint, &[start(), open(0, Block::Text), text(0, TEXT)]);
    joint.begin(anchored(), Usage::default());
    let leg =
        [start(), open(0, Block::Text), text(0, "I am sorry."), close(0), FINISH, usage(1, 1), Event::End];
    assert_eq!(heard(&mut joint, &leg[..6]), "");
    assert_eq!(heard(&mut joint, &leg[6..]), "");
    assert_eq!(joint.standing(), Standing::Lost);
}
