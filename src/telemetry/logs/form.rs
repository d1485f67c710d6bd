//! How lines are written: as JSON for machines, or for people. It may change while the process runs.

use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Compact, Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether this process's lines are for people.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Json,
    /// For people.
    Plain,
}

impl Manner {
    /// As it is now.
    pub fn now() -> Self {
        if PLAIN.load(Relaxed) { Self::Plain } else { Self::Json }
    }

    pub(super) fn set(self) {
        PLAIN.store(self == Self::Plain, Relaxed);
    }
}

/// What a configuration says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// For people on a terminal, for machines everywhere else.
    #[default]
    Auto,
    Json,
    Plain,
}

impl Choice {
    pub(super) fn manner(self) -> Manner {
        match self {
            Self::Plain => Manner::Plain,
            Self::Auto if std::io::stderr().is_terminal() => Manner::Plain,
            Self::Auto | Self::Json => Manner::Json,
        }
    }
}

/// Writes what is said in the manner of the moment. Spans that other people's code opens are in neither.
pub(super) struct Form {
    json: Format<Json>,
    plain: Format<Compact>,
}

impl Form {
    pub fn new() -> Self {
        let json = Format::default().json().flatten_event(true);
        Self {
            json: json.with_current_span(false).with_span_list(false),
            plain: Format::default().with_target(false).compact(),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match Manner::now() {
            Manner::Json => self.json.format_event(context, writer, event),
            Manner::Plain => self.plain.format_event(context, writer, event),
        }
    }
}
