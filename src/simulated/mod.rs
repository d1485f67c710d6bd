//! The built-in upstream of `provider: simulated`.
//!
//! A real server on a loopback socket that speaks every dialect, streams at a chosen pace, and goes
//! wrong on demand, exactly, while it runs. The sample configuration, the demo and most tests of faults
//! stand on it. It remembers who asked and how each request ended, never what was asked,
//! save for files and batches that callers leave on purpose, and its own answers to the Responses API.
//!
//! ```text
//! server ── door (listens, refuses)      one task per connection, all owned by one host task
//!   └─ line (FIN, RST, drip)
//!       └─ serve ── ask (what is asked) ── control (rules, memory) ── desk ── speech ── a dialect
//!                                                                      └─ reply (steps, ending)
//! ```
//!
//! It deliberately shares no wire code with the gateway: neither `dialect` nor `upstream`. An upstream
//! that read and wrote with the gateway's own code would agree with its mistakes.
//!
//! # Rules as JSON
//!
//! The admin API takes a list of rules. A rule has a `fault`, may narrow `when` it applies, and may say
//! how often, by one of `share` (0 to 1, seeded dice), `every` (the n-th, 2n-th, …) or `first` (the
//! first n since the rules were set). The first rule that matches and whose turn it is decides.
//!
//! ```json
//! [
//!   {"when": {"model": "m", "credential_tail": "a1b2", "path_prefix": "/v1/chat"},
//!    "share": 0.5, "fault": {"kind": "status", "status": 503, "retry_after_ms": 5000}},
//!   {"every": 2, "fault": {"kind": "cut", "after_events": 10, "how": "rst"}}
//! ]
//! ```
//!
//! | `kind` | fields | on the wire |
//! |---|---|---|
//! | `status` | `status`, `body`?, `retry_after_ms`? | an error answer; without `body`, in the dialect's own shape |
//! | `rate_limited` | `retry_after_ms`? | 429 of a rate limit |
//! | `quota_exhausted` | | `insufficient_quota`, `billing_error` or a daily `QuotaFailure` |
//! | `refuse` | | the listener and all connections are closed; cannot be narrowed |
//! | `reset` | `at`?: `body`, `head` | RST instead of an answer |
//! | `hang` | | read, never answered |
//! | `slow` | `ttft_ms` | a good answer, late |
//! | `drip` | `gap_ms` | a good answer, one byte per gap, headers included |
//! | `cut` | `after_events`, `how`: `fin`, `rst`, `chunked_eof`, `close_delimited` | ends in the middle |
//! | `stall` | `after_events` | goes silent in the middle |
//! | `in_band_error` | `after_events`, `error`?: `overloaded`, `server_error`, `rate_limited`, `quota_exhausted` | an error inside a 200 |
//! | `empty_stream` | | a 200 with nothing in it |
//! | `canned` | `status`, `headers`: `[[name, value]]`, `chunks`: `[{gap_ms, text}]` | these bytes |
//!
//! `after_events` counts events with content; what leads up to content (roles, ids, pings) is sent in
//! any case. An answer that is not a stream is cut or stalled after half its body. Errors answer at
//! once, everything else after `ttft`. `chunked_eof` and `close_delimited` are whole for HTTP and
//! truncated for the dialect only; on HTTP/2, `fin` and `rst` both reset the stream.

mod anthropic;
mod ask;
mod complaint;
mod continued;
mod control;
mod desk;
mod door;
mod echo;
mod encode;
mod form;
mod gemini;
mod line;
mod openai;
mod remembered;
mod reply;
mod responses;
mod rule;
mod seen;
mod serve;
mod server;
mod settings;
mod speech;
mod store;
mod text;
mod visit;

#[cfg(test)]
mod tests;

pub use continued::Habit;
pub use control::{Control, Counts};
pub use rule::{Canned, Fault, How, InBand, Often, ResetAt, Rule, When};
pub use seen::{Outcome, Seen};
pub use server::Simulated;
pub use settings::Settings;
pub use text::{Broken, Spoken, oracle};
