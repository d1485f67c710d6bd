use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::dialect::Dialect;
use crate::dialect::hub::{Call, CallKind, Citation, Extras, Part, Thought};

/// What is left of `text`, and what has ended it: character by character, the first one that it ends with.
fn model(texts: &[&str], text: &str) -> (String, Option<String>) {
    let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
    let hit = |end: usize| texts.iter().find(|stop| text[..end].ends_with(**stop)).map(|stop| (end, *stop));
    match ends.clone().find_map(hit) {
        Some((end, stop)) => (text[..end - stop.len()].to_owned(), Some(stop.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// How much of the end of `text` may become one of them.
fn may_become(texts: &[&str], text: &str) -> usize {
    let is_begin = |tail: &str| texts.iter().any(|stop| stop.len() > tail.len() && stop.starts_with(tail));
    let tails = text.char_indices().map(|(at, _)| &text[at..]);
    tails.filter(|tail| is_begin(tail)).map(str::len).max().unwrap_or_default()
}

fn reply(choices: Vec<Choice<'_>>) -> Reply<'_> {
    Reply {
        dialect: Dialect::Responses,
        id: "".into(),
        model: "".into(),
        created: None,
        choices,
        usage: None,
        tier: None,
        extras: Extras::default(),
    }
}

/// An answer in one piece, cut.
fn whole<'a>(stops: &Stops, parts: Vec<Part<'a>>) -> Choice<'a> {
    let mut reply = reply(vec![Choice::new(parts, Stop::End)]);
    stops.cut(&mut reply);
    reply.choices.remove(0)
}

fn text_event(block: u32, text: &str) -> Event<'_> {
    Event::Delta { choice: 0, block, delta: Delta::Text(text.into()) }
}

fn thought() -> Block<'static> {
    Block::Thought { is_summary: false, is_redacted: false, id: None }
}

/// Puts a stream's answer together again, as its caller does.
#[derive(Default)]
struct Heard {
    parts: Vec<(bool, String)>,
    blocks: Vec<(u32, usize)>,
    stop: Option<Stop<'static>>,
}

impl Heard {
    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Open { block, kind, .. } => {
                self.blocks.push((*block, self.parts.len()));
                self.parts.push((*kind == Block::Text, String::new()));
            }
            Event::Delta { block, delta: Delta::Text(text), .. } => {
                let (_, at) = self.blocks.iter().find(|(open, _)| open == block).expect("it is open");
                self.parts[*at].1.push_str(text);
            }
            Event::Close { block, .. } => {
                let at = self.blocks.iter().position(|(open, _)| open == block).expect("it is open");
                self.blocks.remove(at);
            }
            Event::Finish { stop, .. } => {
                assert!(self.blocks.is_empty(), "{:?}", self.blocks);
                assert_eq!(self.stop.replace(stop.clone().into_owned()), None);
            }
            other => panic!("{other:?}"),
        }
    }

    fn text(&self) -> String {
        self.parts.iter().filter(|(is_text, _)| *is_text).map(|(_, text)| &**text).collect()
    }
}

/// The pieces of a text between these places.
fn pieces<'t>(text: &'t str, cuts: &[Index]) -> Vec<&'t str> {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&ends)).chain([0, text.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect()
}

/// Short texts of few letters, so that many of them meet, and one of two bytes that begins as another.
const TEXT: &str = "[abé\u{e8}]{0,12}";
const STOP: &str = "[abé\u{e8}]{1,4}";

proptest! {
    /// However it is cut, what is told at each moment is all but what may still become a stop sequence, and in the end
    /// all that stands before the one that is complete first.
    #[test]
    fn a_stream_is_told_as_far_as_it_can_be_and_ends_where_it_has_to(
        text in TEXT, texts in proptest::collection::vec(STOP, 1..4),
        cuts in proptest::collection::vec(any::<Index>(), 0..6))
    {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (expected, stop) = model(&texts, &text);
        let mut stopper = Stops::of(&texts).of_stream().expect("there are some");
        let mut heard = Heard::default();
        let pass = |stopper: &mut Stopper, heard: &mut Heard, event| {
            stopper.pass(vec![event]).iter().for_each(|event| heard.hear(event));
        };
        pass(&mut stopper, &mut heard, Event::Open { choice: 0, block: 0, kind: Block::Text });
        let mut so_far = String::new();
        for piece in pieces(&text, &cuts) {
            pass(&mut stopper, &mut heard, text_event(0, piece));
            so_far += piece;
            let (kept, hit) = model(&texts, &so_far);
            let held = if hit.is_none() { may_become(&texts, &kept) } else { 0 };
            prop_assert_eq!(heard.text(), &kept[..kept.len() - held]);
            prop_assert_eq!(stopper.is_done(), hit.is_some());
        }
        pass(&mut stopper, &mut heard, Event::Close { choice: 0, block: 0 });
        prop_assert_eq!(heard.text(), expected.as_str());
        pass(&mut stopper, &mut heard, Event::Finish { choice: 0, stop: Stop::End });
        let ended = stop.map_or(Stop::End, |stop| Stop::Sequence(Some(stop.into())));
        prop_assert_eq!(heard.stop, Some(ended.clone()));

        let choice = whole(&Stops::of(&texts), vec![Part::text(&*text)]);
        let told: String = choice.parts.iter().filter_map(Part::as_text).map(|text| &**text).collect();
        prop_assert_eq!((told, choice.stop), (expected, ended));
    }

    /// The same of several blocks, whatever stands between them: an answer in one piece has those of the stream.
    #[test]
    fn a_stream_tells_what_the_whole_answer_does(
        blocks in proptest::collection::vec((any::<bool>(), "[ab]{1,5}"), 0..5),
        texts in proptest::collection::vec("[ab]{1,4}", 1..4),
        cuts in proptest::collection::vec(any::<Index>(), 0..3))
    {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut events = Vec::new();
        for (block, (is_text, text)) in (0..).zip(&blocks) {
            let kind = if *is_text { Block::Text } else { thought() };
            events.push(Event::Open { choice: 0, block, kind });
            events.extend(pieces(text, &cuts).into_iter().map(|piece| text_event(block, piece)));
            events.push(Event::Close { choice: 0, block });
        }
        events.push(Event::Finish { choice: 0, stop: Stop::End });
        let mut heard = Heard::default();
        let mut stopper = Stops::of(&texts).of_stream().expect("there are some");
        stopper.pass(events).iter().for_each(|event| heard.hear(event));

        let parts = blocks.iter().map(|(is_text, text)| if *is_text { Part::text(&**text) } else { thinks(text) });
        let choice = whole(&Stops::of(&texts), parts.collect());
        let parts: Vec<(bool, String)> = choice.parts.iter().map(|part| match &part.content {
            Content::Text(text) => (true, text.to_string()),
            Content::Thought(thought) => (false, thought.text.to_string()),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!((heard.parts, heard.stop), (parts, Some(choice.stop)));
    }
}

fn thinks(text: &str) -> Part<'_> {
    let thought =
        Thought { text: text.into(), is_summary: false, signature: None, is_redacted: false, id: None };
    Part::new(Content::Thought(thought))
}

fn calls(arguments: &str) -> Part<'_> {
    let (id, name) = ("c".into(), "search".into());
    let call = Call { id, name, arguments: arguments.into(), kind: CallKind::Function, signature: None };
    Part::new(Content::Call(call))
}

#[test]
fn the_first_that_is_complete_wins_and_of_those_the_callers_first() {
    let check = |texts: &[&str], text: &str, expected: (&str, &str)| {
        let choice = whole(&Stops::of(texts), vec![Part::text(text)]);
        let told = choice.parts.first().and_then(Part::as_text).map(|text| &**text).unwrap_or_default();
        assert_eq!((told, choice.stop), (expected.0, Stop::Sequence(Some(expected.1.into()))), "{texts:?}");
    };
    check(&["cde", "d"], "abcdef", ("abc", "d"));
    check(&["cd", "d"], "abcdef", ("ab", "cd"));
    check(&["d", "cd"], "abcdef", ("abc", "d"));
    check(&["aab"], "aaab", ("a", "aab"));
    check(&["\n\n"], "One.\n\nTwo.\n\n", ("One.", "\n\n"));
}

#[test]
fn what_comes_behind_is_left_out_and_nothing_but_text_ends_an_answer() {
    let observation = Stops::of(&["\nObservation:"]);
    let text = "Action: look\nObservation: clear";
    let parts = || vec![thinks(text), calls(text), Part::text(text), Part::text("More."), calls("{}")];
    let choice = whole(&observation, parts());
    let expected = vec![thinks(text), calls(text), Part::text("Action: look")];
    assert_eq!((choice.parts, choice.stop), (expected, Stop::Sequence(Some("\nObservation:".into()))));
    // Nothing of it is left; what stands between two texts parts them.
    assert_eq!(whole(&observation, vec![Part::text("\nObservation: clear")]).parts, []);
    let parted = || vec![Part::text("\nObser"), calls("{}"), Part::text("vation:")];
    assert_eq!(whole(&observation, parted()).parts, parted());
    // Blocks without anything between them are one text, whose first one has gone out.
    let neighbours = vec![Part::text("\nObser"), Part::text("vation: clear")];
    assert_eq!(whole(&observation, neighbours).parts, [Part::text("\nObser")]);
}

#[test]
fn sources_and_probabilities_of_what_is_cut_off_are_not_told() {
    let citation = || Citation { url: Some("https://a.example".into()), title: None, place: None, raw: "{}" };
    let cited = |text: &'static str| Part { citations: vec![citation()], ..Part::text(text) };
    let token = |text: &str, bytes: &str| format!(r#"{{"token":"{text}","logprob":-1,"bytes":{bytes}}}"#);
    let (a, b, stop) = (token("a", "null"), token("é", "[195,169]"), token("END", "null"));
    let mut choice = Choice::new(vec![cited("a"), cited("éEND!")], Stop::End);
    choice.logprobs = Some(format!(r#"{{"content":[{a},{b},{stop}]}}"#).into());
    let mut reply = reply(vec![choice]);
    Stops::of(&["END"]).cut(&mut reply);
    assert_eq!(reply.choices[0].parts, [cited("a"), Part::text("é")]);
    let told = format!(r#"{{"content":[{a},{b}]}}"#);
    assert_eq!(reply.choices[0].logprobs.as_deref(), Some(&*told));
}

/// Events of a stream with two answers.
fn say(choice: u32, text: &str) -> Event<'_> {
    Event::Delta { choice, block: 0, delta: Delta::Text(text.into()) }
}

#[test]
fn each_answer_ends_by_itself_and_the_stream_with_the_last() {
    let opened = |choice| Event::Open { choice, block: 0, kind: Block::Text };
    let closed = |choice| Event::Close { choice, block: 0 };
    let finished = |choice| Event::Finish { choice, stop: Stop::Sequence(Some("X".into())) };
    let mut stopper = Stops::of(&["X"]).of_answers(2).of_stream().expect("there is one");
    let told = stopper.pass(vec![opened(0), say(0, "aX"), say(0, "b"), opened(1), say(1, "c")]);
    assert_eq!(told, [opened(0), say(0, "a"), closed(0), finished(0), opened(1), say(1, "c")]);
    assert!(!stopper.is_done());
    assert_eq!(stopper.pass(vec![say(0, "X"), say(1, "X")]), [closed(1), finished(1)]);
    assert!(stopper.is_done());
    assert_eq!(stopper.pass(vec![closed(0), say(1, "d"), Event::End]), [Event::End]);
    // The upstream ends the last one by itself: it has only its counts to say yet, and says them.
    let mut stopper = Stops::of(&["X"]).of_answers(2).of_stream().expect("there is one");
    let end = Event::Finish { choice: 1, stop: Stop::End };
    let told = stopper.pass(vec![opened(0), say(0, "X"), opened(1), closed(1), end.clone()]);
    assert_eq!((told, stopper.is_done()), (vec![finished(0), opened(1), closed(1), end], false));
}

#[test]
fn only_what_could_be_one_is_looked_for() {
    let mut stops = Stops::default();
    assert!(!stops.add("") && !stops.add(&"x".repeat(LONGEST + 1)));
    assert!(stops.is_empty() && stops.of_stream().is_none());
    assert!(stops.add(&"x".repeat(LONGEST)));
    for at in 1..MOST {
        assert!(stops.add(&at.to_string()));
    }
    assert!(!stops.add("one too many"));
}
