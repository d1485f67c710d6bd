//! A request's line of the log: all that is known of it as JSON, or the gist of it for people.
//!
//! What a rehearsal reads of these lines is `config::rehearsal::log`'s affair: whoever changes a field changes it there
//! too.

use std::io::{self, Write};
use std::time::Duration;

use tracing::Level;

use super::json;
use crate::ledger::decision::{Decision, Tried};
use crate::ledger::record::{Record, Whose};
use crate::telemetry::RequestOutcome;
use crate::telemetry::logs::{self, Manner, Timestamps};

/// How loud it is; `None` where there is no line.
pub(super) fn level(record: &Record) -> Option<Level> {
    let request = record.request.as_ref().filter(|_| record.whose != Whose::Mirrors)?;
    Some(match request.outcome {
        RequestOutcome::Ok
        | RequestOutcome::ClientFault
        | RequestOutcome::Cancelled
        | RequestOutcome::Refused => Level::INFO,
        RequestOutcome::Failed | RequestOutcome::Broken => Level::WARN,
    })
}

/// Adds the line, its end included.
pub(super) fn write(
    text: &mut Vec<u8>,
    decision: &Decision<'_>,
    level: Level,
    manner: Manner,
    times: &mut Timestamps,
) {
    let ended = Duration::from_secs_f64((decision.at + decision.millis / 1e3).max(0.0));
    // Memory takes everything.
    let _ = match manner {
        Manner::Json => {
            text.extend_from_slice(br#"{"timestamp":""#);
            times.write(ended, text);
            structured(text, decision, level)
        }
        Manner::Plain => {
            times.write(ended, text);
            plain(text, decision, level)
        }
    };
    text.push(b'\n');
}

/// Behind the time.
fn structured(text: &mut Vec<u8>, decision: &Decision<'_>, level: Level) -> io::Result<()> {
    for part in
        [r#"","level":""#, level.as_str(), r#"","message":"request","target":""#, logs::REQUEST, r#"""#]
    {
        text.extend_from_slice(part.as_bytes());
    }
    let begun = text.len();
    json::write(text, decision)?;
    // The same object goes on.
    text[begun] = b',';
    Ok(())
}

/// `2026-11-22T08:00:00.250000Z  INFO request ok 200 demo -> sim-b/demo in 12.3 ms (first byte 11.0, own 0.2), 9+12
/// tokens, $0.000123, tried sim-a/demo: connect at not_sent (cannot connect to ...), id req_1`.
fn plain(text: &mut Vec<u8>, decision: &Decision<'_>, level: Level) -> io::Result<()> {
    let Decision { outcome, route, channel, millis, first_byte, own, input, output, .. } = decision;
    write!(text, " {level:>5} request {outcome}")?;
    if let Some(status) = decision.status {
        write!(text, " {status}")?;
    }
    if let Some(error) = decision.error {
        write!(text, " {error}")?;
    }
    if let Some(key) = decision.key {
        write!(text, " {key}:")?;
    }
    write!(text, " {route}")?;
    if !channel.is_empty() {
        write!(text, " -> {channel}")?;
    }
    if let Some(replayed) = decision.replayed {
        write!(text, " ({replayed})")?;
    }
    write!(text, " in {millis:.1} ms")?;
    if let Some(first_byte) = first_byte {
        write!(text, " (first byte {first_byte:.1}, own {own:.2})")?;
    }
    if let Some(output) = output {
        write!(text, ", {input}+{output} tokens")?;
    }
    if let Some(cost) = decision.cost_nano_usd.filter(|cost| *cost > 0) {
        write!(text, ", ${:.6}", cost as f64 / 1e9)?;
    }
    for tried in decision.tried.iter().filter(|tried| tried.verdict != "ok") {
        failed(text, tried)?;
    }
    write!(text, ", id {}", decision.request)?;
    decision.trace.as_ref().map_or(Ok(()), |trace| write!(text, ", trace {trace}"))
}

fn failed(text: &mut Vec<u8>, tried: &Tried<'_>) -> io::Result<()> {
    write!(text, ", tried {}: {} at {}", tried.channel, tried.verdict, tried.stage)?;
    tried.detail.map_or(Ok(()), |detail| write!(text, " ({detail})"))
}
