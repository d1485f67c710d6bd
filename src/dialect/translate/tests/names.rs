//! Names of tools that the other dialect does not take: a translation is the same but for them.

use super::streams::{frames, messages, translated_for};
use super::{CALLERS, MODEL, generation, golden, read, reply, terms, write};
use crate::dialect::hub::samples::{self, manner};
use crate::dialect::hub::{Ask, Family, Manner, Mode, Renamed, Terms, ToolChoice};
use crate::dialect::translate::GENERATING;
use crate::dialect::{Dialect, tree};

/// What the samples call it, which everybody takes.
const KNOWN: &str = "get_weather";
/// What nobody takes but Ollama.
const OURS: &str = "mcp__plugin_almanac:almanac__observations.get_weather_of_a_city_as_it_was_measured_at_the_station_that_is_nearest_to_it__hourly";

/// What is sent to `to` for a caller's request, and what stands for names in it.
fn sent(from: Dialect, to: Dialect, mode: Mode, body: &str) -> (String, Renamed) {
    let operation = generation(from, mode).expect("it generates");
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let mut ask = read(from, operation, MODEL, &root).expect("a request");
    let before = ask.tools.clone();
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    assert_eq!(ask.tools, before, "what is repeated to a caller is his own");
    (String::from_utf8(written.body).expect("text"), written.renamed)
}

/// What an upstream of this dialect is told for [`OURS`].
fn stand_in(to: Dialect) -> (String, Renamed) {
    let mut ask = Ask::new(Dialect::Http);
    ask.tool_choice = Some(ToolChoice::Tool(OURS.into()));
    let renamed = Renamed::replace(&mut ask, to, &terms(to));
    let Some(ToolChoice::Tool(told)) = ask.tool_choice else { panic!("a tool") };
    (told.into_owned(), renamed)
}

#[test]
fn an_upstream_hears_the_same_but_for_the_name() {
    let mut heard = 0;
    for (sample, ask) in samples::asks() {
        for from in CALLERS {
            let Some(body) = golden(sample, &format!("ask.{from}.json")) else { continue };
            let known = String::from_utf8(body).expect("text");
            let ours = known.replace(KNOWN, OURS);
            for to in CALLERS.into_iter().chain([Dialect::Ollama]) {
                let (told, _) = if from == to { (OURS.to_owned(), Renamed::default()) } else { stand_in(to) };
                let (expected, none) = sent(from, to, ask.mode, &known);
                assert!(none.is_empty(), "{sample} {from} -> {to}");
                let (said, renamed) = sent(from, to, ask.mode, &ours);
                assert_eq!(said, expected.replace(KNOWN, &told), "{sample} {from} -> {to}");
                assert_eq!(
                    renamed.is_empty(),
                    told == OURS || !known.contains(KNOWN),
                    "{sample} {from} -> {to}"
                );
                heard += usize::from(!renamed.is_empty());
            }
        }
    }
    assert!(heard > 100, "only {heard} were renamed");
}

#[test]
fn a_caller_is_told_the_same_but_for_the_name() {
    for from in GENERATING {
        let (told, renamed) = stand_in(from);
        let manner = || Manner { renamed: renamed.clone(), ..manner() };
        for (sample, _) in samples::replies() {
            let Some(body) = golden(sample, &format!("reply.{from}.json")) else { continue };
            let known = String::from_utf8(body).expect("text");
            for to in CALLERS {
                let said =
                    reply(from, to, known.replace(KNOWN, &told).as_bytes(), &manner()).expect("an answer");
                let expected = reply(from, to, known.as_bytes(), &manner()).expect("an answer");
                let expected = String::from_utf8_lossy(&expected).replace(KNOWN, OURS);
                assert_eq!(String::from_utf8_lossy(&said), expected, "{sample} {from} -> {to}");
            }
        }
        for (sample, _) in samples::streams() {
            let Some(lines) = golden(sample, &format!("stream.{from}.txt")) else { continue };
            let known = String::from_utf8(lines).expect("text");
            let wire = |text: &str| match from {
                Dialect::Bedrock => messages(text),
                _ => text.as_bytes().to_vec(),
            };
            for to in CALLERS {
                let heard = |text: &str| {
                    let said = translated_for(from, to, &frames(from, [&*wire(text)]), manner());
                    let frames = frames(to, [&*said]);
                    let data = frames.iter().map(|frame| frame.data().unwrap_or_default().to_vec());
                    data.map(|data| String::from_utf8(data).expect("text")).collect::<Vec<_>>().concat()
                };
                let expected = heard(&known).replace(KNOWN, OURS);
                assert_eq!(heard(&known.replace(KNOWN, &told)), expected, "{sample} {from} -> {to}");
            }
        }
    }
}

/// A tool with free text, of OpenAI's callers: its prefix makes its name longer than it may be.
#[test]
fn a_custom_tool_of_a_long_name_comes_back_as_one() {
    let name = "a_patch_of_the_file_that_was_named_before_and_of_no_other_one";
    let body = format!(
        r#"{{"input":[{{"type":"custom_tool_call","call_id":"c","name":"{name}","input":"x"}},{{"type":"custom_tool_call_output","call_id":"c","output":"y"}}],"tools":[{{"type":"custom","name":"{name}"}}],"tool_choice":{{"type":"custom","name":"{name}"}}}}"#
    );
    for to in [Dialect::OpenAi, Dialect::Gemini, Dialect::Cohere, Dialect::Bedrock] {
        let operation = generation(Dialect::Responses, Mode::Whole).expect("it generates");
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let mut ask = read(Dialect::Responses, operation, MODEL, &root).expect("a request");
        let terms = Terms { family: Family::Other, ..terms(to) };
        let written = write(&mut ask, to, &terms).expect("a pair");
        let said = String::from_utf8(written.body).expect("text");
        assert!(said.contains("mainstay_custom_") && !said.contains(name), "{to}: {said}");
        let at = said.find("mainstay_custom_").expect("a stand-in");
        let told = said[at..].split('"').next().expect("a name");
        assert!(told.len() <= 64, "{told}");
        let manner = Manner { renamed: written.renamed, ..manner() };
        let call = golden("tools", &format!("reply.{to}.json")).expect("a call");
        let call = String::from_utf8(call).expect("text").replace(KNOWN, told);
        let answer = reply(to, Dialect::Responses, call.as_bytes(), &manner).expect("an answer");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("custom_tool_call") && answer.contains(name), "{to}: {answer}");
        assert!(!answer.contains("mainstay_custom_"), "{to}: {answer}");
    }
}
