//! `mainstay requests`: what became of requests, and why, asked of a running gateway.

mod waterfall;

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::explain::escaped;
use crate::config;
use crate::state::Clock;

/// One request, or those that all of this is said of.
#[derive(Clone, Debug, Args)]
pub struct Requests {
    /// One of them, as its answer's x-mainstay-request-id names it: all that is known of it
    #[arg(value_name = "ID", conflicts_with_all = ["key", "team", "model", "route", "channel", "outcome", "verdict", "status", "slower_than", "last", "limit"])]
    id: Option<String>,
    /// What its caller asked and was answered, redacted, where that was captured: as JSON
    #[arg(long, requires = "id")]
    capture: bool,
    /// What the caller's key is called
    #[arg(long)]
    key: Option<String>,
    #[arg(long)]
    team: Option<String>,
    /// As the caller named it
    #[arg(long)]
    model: Option<String>,
    /// The one that served it
    #[arg(long)]
    route: Option<String>,
    /// One that was asked: UPSTREAM or UPSTREAM/MODEL
    #[arg(long)]
    channel: Option<String>,
    /// ok, client_fault, refused, failed, broken, cancelled, mirrored
    #[arg(long)]
    outcome: Option<String>,
    /// Of one of its attempts: ok, cancelled, or a fault
    #[arg(long)]
    verdict: Option<String>,
    /// Of its answer: 429, 5xx
    #[arg(long)]
    status: Option<String>,
    /// Those that took so long, or longer: 2s
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    slower_than: Option<Duration>,
    /// Those that came within the last 15m, 1h, 7d; in the store as well, where those at hand do not reach so far back
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    last: Option<Duration>,
    /// How many at most, the newest first (100)
    #[arg(long)]
    limit: Option<u32>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The running gateway's admin listener [default: what the file says]
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text)
}

impl Requests {
    /// The path of the admin listener that tells of them.
    pub fn path(&self) -> String {
        self.path_at(Clock::start().unix_now())
    }

    fn path_at(&self, now: Duration) -> String {
        if let Some(id) = &self.id {
            let capture = if self.capture { "/capture" } else { "" };
            return format!("/admin/requests/{}{capture}", escaped(id));
        }
        let millis = self.slower_than.map(|least| (least.as_secs_f64() * 1e3).to_string());
        let from = self.last.map(|last| now.saturating_sub(last).as_secs_f64().to_string());
        let limit = self.limit.map(|limit| limit.to_string());
        let said = [
            ("key", &self.key),
            ("team", &self.team),
            ("model", &self.model),
            ("route", &self.route),
            ("channel", &self.channel),
            ("outcome", &self.outcome),
            ("verdict", &self.verdict),
            ("status", &self.status),
            ("slower_than", &millis),
            ("from", &from),
            ("limit", &limit),
        ];
        let said =
            said.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
        let query: Vec<String> = said.collect();
        if query.is_empty() {
            "/admin/requests".to_owned()
        } else {
            format!("/admin/requests?{}", query.join("&"))
        }
    }

    /// What the gateway answered, for people, or as it is.
    pub fn shown(&self, answer: &Value) -> String {
        match (self.format, &self.id) {
            _ if self.capture => serde_json::to_string_pretty(answer).unwrap_or_default(),
            (Format::Json, _) => serde_json::to_string_pretty(answer).unwrap_or_default(),
            (Format::Table, Some(_)) => waterfall::of(answer),
            (Format::Table, None) => table(answer),
        }
    }
}

/// A line a request.
fn table(answer: &Value) -> String {
    let head = format!(
        "{:<20} {:<12} {:>6} {:>3} {:>9} {:>9} {:<14} {:<16} {:<24} {}",
        "CAME", "OUTCOME", "STATUS", "TRY", "FIRST ms", "MS", "KEY", "ROUTE", "CHANNEL", "REQUEST"
    );
    let rows = answer["requests"].as_array().into_iter().flatten().map(|request| {
        let millis =
            |field: &str| request[field].as_f64().map_or("-".to_owned(), |millis| format!("{millis:.1}"));
        format!(
            "{:<20} {:<12} {:>6} {:>3} {:>9} {:>9} {:<14} {:<16} {:<24} {}",
            waterfall::came(request),
            waterfall::word(request, "outcome"),
            request["status"].as_u64().map_or("-".to_owned(), |status| status.to_string()),
            request["attempts"].as_u64().unwrap_or_default(),
            millis("first_byte"),
            millis("millis"),
            waterfall::word(request, "key"),
            waterfall::word(request, "route"),
            waterfall::word(request, "channel"),
            waterfall::word(request, "request"),
        )
    });
    let more =
        answer["next_before"].as_str().map(|_| "there may be more: ask with a higher --limit".to_owned());
    std::iter::once(head).chain(rows).chain(more).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        requests: Requests,
    }

    fn line(words: &[&str]) -> Result<Requests, String> {
        let line = Line::try_parse_from(std::iter::once(&"requests").chain(words));
        line.map(|line| line.requests).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_said_is_asked_for() {
        let check = |words: &[&str], path: &str| {
            let asked = line(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            assert_eq!(asked.path_at(Duration::from_secs(10_000)), path, "{words:?}");
        };
        check(&[], "/admin/requests");
        check(&["req_1"], "/admin/requests/req_1");
        check(&["a b"], "/admin/requests/a%20b");
        check(&["req_1", "--capture"], "/admin/requests/req_1/capture");
        check(&["--key", "a b", "--outcome", "failed"], "/admin/requests?key=a%20b&outcome=failed");
        check(
            &["--slower-than", "1500ms", "--last", "1h", "--limit", "7", "--channel", "sim-a"],
            "/admin/requests?channel=sim-a&slower_than=1500&from=6400&limit=7",
        );
        assert!(line(&["req_1", "--key", "a"]).is_err());
        assert!(line(&["--capture"]).is_err());
        assert!(line(&["--last", "yesterday"]).is_err());
    }

    #[test]
    fn a_table_has_a_line_a_request_and_says_that_there_may_be_more() {
        let request = json!({"request": "req_1", "at": 1_795_132_800.25, "outcome": "ok", "status": 200, "attempts": 2,
            "millis": 31.4, "route": "demo", "channel": "far/demo"});
        let answer = json!({"requests": [request], "next_before": "7"});
        let lines: Vec<String> =
            line(&[]).expect("a line").shown(&answer).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(
            words,
            ["2026-11-20T00:00:00Z", "ok", "200", "2", "-", "31.4", "-", "demo", "far/demo", "req_1"]
        );
    }
}
