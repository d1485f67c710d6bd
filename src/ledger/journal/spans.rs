//! A request's spans: one of the server's for itself, one of a client's for each attempt.
//!
//! Names are OpenTelemetry's where its conventions have them: for HTTP, errors
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>) and generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>); all else is `mainstay.*`, and says what the
//! log says of it, in the same words. Of what callers typed there is the model's name, cut; never a path, a prompt or
//! an answer.

use std::time::Duration;

use crate::algo::tick::Tick;
use crate::ledger::account::Request;
use crate::ledger::decision::{Decision, Looked, Tried};
use crate::ledger::record::{Entry, Record, Whose};
use crate::state::books::Verdict;
use crate::telemetry::RequestOutcome;
use crate::telemetry::otlp::{Attributes, Kind, Place, Span, Spans, vendor};
use crate::vocab::{Part, Trace};

/// Of a model's name, in bytes.
const LONGEST: usize = 128;
/// What a channel's standing is called where there is nothing to say of it.
const READY: &str = "ready";

/// Adds the spans of a request that has ended.
pub(super) fn write(spans: &mut Spans, record: &Record, decision: &Decision<'_>) {
    let Some((request, trace)) =
        record.request.as_ref().and_then(|request| Some((request, request.trace.as_ref()?)))
    else {
        return;
    };
    let scene = Scene { request, trace, decision };
    if record.whose != Whose::Mirrors {
        spans.add(scene.served(record));
    }
    let mut last = None;
    for (entry, tried) in record.attempts.iter().zip(&decision.tried) {
        spans.add(scene.tried(entry, tried, last));
        if entry.part != Part::Mirror {
            last = Some(trace.attempt(entry.place));
        }
    }
}

struct Scene<'r> {
    request: &'r Request,
    trace: &'r Trace,
    decision: &'r Decision<'r>,
}

impl Scene<'_> {
    /// By the wall, in nanoseconds.
    fn after(&self, passed: Duration) -> u64 {
        u64::try_from((self.request.at + passed).as_nanos()).unwrap_or(u64::MAX)
    }

    fn at(&self, tick: Tick) -> u64 {
        self.after(tick.since(self.request.begun))
    }

    fn is_plain(&self) -> bool {
        self.request.dialect == "http"
    }

    fn served(&self, record: &Record) -> Span {
        let Self { request, trace, decision } = *self;
        let name = match (&*request.route, self.is_plain()) {
            ("", _) => trace.method.to_owned(),
            (route, true) => format!("{} {route}", trace.method),
            (route, false) => format!("{} {route}", operation(request.operation)),
        };
        let place = Place { trace: trace.id.0, span: trace.span, parent: trace.parent };
        let times = (self.after(Duration::ZERO), self.after(request.took));
        let mut span = Span::new(place, Kind::Server, &name, times);
        self.describe(&mut span.attributes());
        if let Some(first_byte) = request.first_byte {
            span.event(self.after(first_byte), "mainstay.first_byte", |_| {});
        }
        for (look, looked) in record.looks.iter().zip(&decision.looks) {
            if let Some(others) = passed_over(looked) {
                span.event(self.at(look.at), "mainstay.passed_over", |event| {
                    event.text("mainstay.route", looked.route);
                    event.some_text("mainstay.channel", looked.picked);
                    event.text("mainstay.standing", &others);
                });
            }
        }
        for leg in record.attempts.iter().filter(|entry| entry.part == Part::Leg) {
            span.event(self.at(leg.begun), "mainstay.continued", |event| {
                event.text("mainstay.channel", &leg.channel.label);
            });
        }
        if self.is_broken() || request.status >= 500 {
            span.fails(request.error.unwrap_or(decision.outcome));
        }
        span
    }

    fn describe(&self, said: &mut Attributes<'_>) {
        let Self { request, trace, decision } = *self;
        said.text("http.request.method", trace.method);
        said.some_count("http.response.status_code", decision.status.map(u64::from));
        if self.is_plain() {
            said.text("http.route", &request.route);
        } else if !request.operation.is_empty() {
            said.text("gen_ai.operation.name", operation(request.operation));
            said.some_text("gen_ai.request.model", Some(cut(&request.model)));
            if request.usage.is_some() {
                said.count("gen_ai.usage.input_tokens", decision.input);
                said.some_count("gen_ai.usage.output_tokens", decision.output);
            }
        }
        said.some_text("error.type", self.error());
        said.text("mainstay.request_id", decision.request);
        said.text("mainstay.outcome", decision.outcome);
        said.some_text("mainstay.dialect", Some(decision.dialect));
        said.some_text("mainstay.route", Some(decision.route));
        said.some_text("mainstay.asked_route", decision.asked_route);
        said.some_text("mainstay.arm", decision.arm);
        said.some_text("mainstay.channel", Some(decision.channel));
        said.some_text("mainstay.organisation", decision.organisation);
        said.some_text("mainstay.team", decision.team);
        said.some_text("mainstay.user", decision.user);
        said.some_text("mainstay.key", decision.key);
        said.some_text("mainstay.priority", decision.priority);
        said.count("mainstay.attempts", decision.attempts as u64);
        said.some_count("mainstay.cost_nano_usd", decision.cost_nano_usd);
        said.flag("mainstay.estimated", decision.estimated && !self.is_plain() && decision.attempts > 0);
        said.flag("mainstay.stream", decision.stream);
        said.flag("mainstay.downgraded", decision.downgraded);
        said.some_text("mainstay.replayed", decision.replayed);
        said.some_text("mainstay.instead", decision.instead);
        said.some_text("mainstay.shed", decision.shed);
    }

    /// What a server's error is: one of ours, or an answer that did not come to its end.
    fn error(&self) -> Option<&'static str> {
        self.request.error.or_else(|| self.is_broken().then(|| self.request.outcome.name()))
    }

    fn is_broken(&self) -> bool {
        match self.request.outcome {
            RequestOutcome::Failed | RequestOutcome::Broken => true,
            RequestOutcome::Ok
            | RequestOutcome::ClientFault
            | RequestOutcome::Cancelled
            | RequestOutcome::Refused => false,
        }
    }

    fn tried(&self, entry: &Entry, tried: &Tried<'_>, last: Option<u64>) -> Span {
        let Self { request, trace, .. } = *self;
        let name = match &*entry.model {
            "" => trace.method.to_owned(),
            model => format!("{} {}", operation(request.operation), cut(model)),
        };
        let place = Place { trace: trace.id.0, span: trace.attempt(entry.place), parent: Some(trace.span) };
        let mut span = Span::new(place, Kind::Client, &name, (self.at(entry.begun), self.at(entry.ended)));
        self.describe_attempt(entry, tried, &mut span.attributes());
        let heard = entry.heard;
        let steps = [
            ("mainstay.sent", heard.sent),
            ("mainstay.headers", heard.headed.map(|(at, _)| at)),
            ("mainstay.first_content", heard.first_content),
        ];
        for (step, at) in steps {
            if let Some(at) = at {
                span.event(self.at(at), step, |_| {});
            }
        }
        if let (Part::Leg, Some(before)) = (entry.part, last) {
            span.link(trace.id.0, before, "continues");
        }
        match entry.verdict {
            Verdict::Failed(fault) => span.fails(tried.detail.unwrap_or(fault.name())),
            Verdict::Ok | Verdict::Cancelled => {}
        }
        span
    }

    fn describe_attempt(&self, entry: &Entry, tried: &Tried<'_>, said: &mut Attributes<'_>) {
        let upstream = &entry.channel.upstream.config;
        if self.is_plain() {
            said.text("http.request.method", self.trace.method);
        } else {
            said.text("gen_ai.operation.name", operation(self.request.operation));
            said.text("gen_ai.provider.name", vendor(upstream.provider.name));
            said.some_text("gen_ai.request.model", Some(cut(&entry.model)));
            said.some_count("gen_ai.usage.input_tokens", tried.input);
            said.some_count("gen_ai.usage.output_tokens", tried.output);
        }
        said.some_text("server.address", Some(&upstream.base.host));
        said.count("server.port", upstream.base.port.into());
        said.some_count("http.response.status_code", tried.status.map(u64::from));
        if let Verdict::Failed(fault) = entry.verdict {
            said.text("error.type", fault.name());
        }
        said.text("mainstay.upstream", &upstream.name);
        said.text("mainstay.channel", tried.channel);
        said.some_text("mainstay.credential", tried.credential.as_deref());
        said.text("mainstay.part", tried.part);
        said.text("mainstay.verdict", tried.verdict);
        said.text("mainstay.stage", tried.stage);
        said.some_count("mainstay.cost_nano_usd", tried.cost_nano_usd);
        said.flag("mainstay.estimated", entry.used.estimated);
    }
}

/// Channels that could not be asked, or not gladly, and why; `None` where all could.
fn passed_over(looked: &Looked<'_>) -> Option<String> {
    let others = looked.channels.iter().filter(|candidate| candidate.standing != READY);
    let others: Vec<String> =
        others.map(|candidate| format!("{}: {}", candidate.channel, candidate.standing)).collect();
    (!others.is_empty() || looked.picked.is_none()).then(|| others.join(", "))
}

/// As OpenTelemetry's conventions call it, where they have a name for it.
fn operation(ours: &'static str) -> &'static str {
    match ours {
        "chat" | "responses" | "messages" | "cohere_chat" | "converse" | "converse_stream" => "chat",
        "completions" => "text_completion",
        "embeddings" | "embed_content" | "batch_embed" | "cohere_embed" => "embeddings",
        "generate" | "stream_generate" => "generate_content",
        other => other,
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
