//! An upstream's stream, in all vendors' variants (WIRE §3.4, §3.8).

use std::borrow::Cow;

use super::answer::Answer;
use crate::dialect::hub::Event;
use crate::dialect::openai::{reply, usage};
use crate::dialect::tree::{Node, Wrong};
use crate::vocab::Usage;

/// OpenAI gives no more answers at once.
const MOST_CHOICES: usize = 128;

/// Reads an upstream's stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    answers: Vec<Answer>,
    /// Told last; some vendors tell it in every chunk.
    usage: Option<Usage>,
}

impl Reader {
    /// What one frame means, appended to `events`. `name` is the frame's event, where it has one.
    pub fn read<'f>(
        &mut self,
        _name: Option<&str>,
        json: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        let choices = json.object()?.at("choices").map(Node::elements).unwrap_or_default();
        let usage = usage::of(json);
        // Azure's first chunk tells of its filters and nothing of the answer, not even the id.
        if !self.started && (!choices.is_empty() || usage.is_some()) {
            self.start(json, events);
        }
        for answer in &mut self.answers {
            if !choices.iter().any(|choice| index(choice) == answer.index) {
                answer.settle(events);
            }
        }
        for choice in choices {
            let Some(answer) = self.answer(index(choice)) else {
                return Err(choice.wrong("more answers than anybody can have asked for"));
            };
            answer.read(choice, events)?;
        }
        self.cite(json, events);
        // The usage is the last that is told.
        if usage.is_some() {
            self.answers.iter_mut().for_each(|answer| answer.settle(events));
        }
        events.extend(usage.map(Event::Usage));
        self.usage = usage.or(self.usage);
        Ok(())
    }

    /// What is known of the usage by now.
    pub const fn known(&self) -> Option<Usage> {
        self.usage
    }

    /// The stream is whole: closes and finishes what is still open.
    pub fn end(&mut self, events: &mut Vec<Event<'_>>) {
        if !self.started {
            self.started = true;
            events.push(Event::Start { id: Cow::Borrowed(""), model: Cow::Borrowed(""), created: 0 });
        }
        if self.answers.is_empty() {
            self.answers.push(Answer::new(0));
        }
        for answer in &mut self.answers {
            answer.end(events);
        }
    }

    fn start<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        self.started = true;
        let text = |key| json.at(key).and_then(Node::text).unwrap_or_default();
        let created = json.at("created").and_then(Node::as_integer).unwrap_or(0);
        events.push(Event::Start { id: text("id"), model: text("model"), created });
    }

    fn answer(&mut self, index: u32) -> Option<&mut Answer> {
        let at = match self.answers.iter().position(|answer| answer.index == index) {
            Some(at) => at,
            None if self.answers.len() < MOST_CHOICES => {
                self.answers.push(Answer::new(index));
                self.answers.len() - 1
            }
            None => return None,
        };
        self.answers.get_mut(at)
    }

    /// Perplexity's sources, beside the choices.
    fn cite<'f>(&mut self, json: &Node<'f>, events: &mut Vec<Event<'f>>) {
        let waits = |answer: &&mut Answer| answer.is_speaking() && !answer.is_cited();
        let Some(answer) = self.answers.first_mut().filter(waits) else { return };
        for source in reply::sources(json) {
            answer.cite(source, events);
        }
    }
}

/// Whose answer it is.
fn index(choice: &Node<'_>) -> u32 {
    let index = choice.at("index").and_then(Node::as_integer).unwrap_or(0);
    u32::try_from(index).unwrap_or(u32::MAX)
}
