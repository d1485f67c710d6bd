//! A text of our own as an answer in any dialect.

use bytes::Bytes;

use super::super::hub::{Block, Choice, Delta, Event, Extras, Manner, Part, Reply, Stop};
use super::{Dialect, Stream};
use crate::vocab::Usage;

/// No caller speaks it, so nobody takes ids or extras of it for his own.
const FROM: Dialect = Dialect::Ollama;

/// `text` as a whole answer that ended by itself and cost nothing.
pub fn said(to: Dialect, text: &str, manner: &Manner) -> Bytes {
    let reply = Reply {
        dialect: FROM,
        id: "".into(),
        model: "".into(),
        created: None,
        choices: vec![Choice::new(vec![Part::text(text)], Stop::End)],
        usage: Some(Usage::default()),
        tier: None,
        extras: Extras::default(),
    };
    super::whole(to, &reply, manner, text.len() + 512)
}

/// The same as a stream, all of it. `None` where the dialect has none.
pub fn said_in_stream(to: Dialect, text: &str, manner: Manner) -> Option<Bytes> {
    let (choice, block) = (0, 0);
    let events = vec![
        Event::Start { id: "".into(), model: "".into(), created: 0 },
        Event::Open { choice, block, kind: Block::Text },
        Event::Delta { choice, block, delta: Delta::Text(text.into()) },
        Event::Close { choice, block },
        Event::Finish { choice, stop: Stop::End },
        Event::Usage(Usage::default()),
        Event::End,
    ];
    Some(Stream::new(FROM, to, manner)?.say(events))
}
