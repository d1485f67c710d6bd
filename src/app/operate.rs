//! What an operator does at night by the command line: to upstreams, and with the configuration of a running gateway.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::ask::Question;
use super::explain::escaped;
use crate::report::moment_of;

/// What to do to which upstream.
#[derive(Clone, Debug, Subcommand)]
pub enum Operate {
    /// List a running gateway's upstreams: health, breakers, and what operators have said of them
    Upstreams {
        #[command(flatten)]
        whom: Whom,
    },
    #[command(flatten)]
    Act(Act),
    /// Look at, compare, change and roll back a running gateway's configuration
    Config {
        #[command(subcommand)]
        what: Configure,
        #[command(flatten)]
        whom: Whom,
    },
}

/// Which gateway.
#[derive(Clone, Debug, Default, Args)]
pub struct Whom {
    /// Its admin listener [default: what the file says]
    #[arg(long, global = true, value_name = "URL")]
    admin: Option<String>,
}

/// What is done to an upstream.
#[derive(Clone, Debug, Subcommand)]
pub enum Act {
    /// Let nothing new go to an upstream; what is under way finishes
    Drain(Order),
    /// Let no request go to an upstream any more
    Disable(Order),
    /// Hold an upstream's breaker open, whatever the evidence
    Trip(Order),
    /// Hold an upstream's breaker closed, whatever the evidence
    Restore(Trial),
    /// Take back what was said of an upstream: drain, disable, trip or restore
    Enable(Part),
    /// Forget an upstream's faults, latencies and cooldowns
    Reset(Part),
    /// Probe an upstream now
    Probe(Target),
}

/// To what, for how long, and why.
#[derive(Clone, Debug, Args)]
pub struct Order {
    #[command(flatten)]
    part: Part,
    /// How long it holds: 90s, 10m, 2h; else until it is taken back
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<String>,
}

/// The same, for what ends by itself.
#[derive(Clone, Debug, Args)]
pub struct Trial {
    #[command(flatten)]
    part: Part,
    /// How long it holds: 90s, 10m, 2h; else ten minutes
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<String>,
}

/// To an upstream, or to a part of it.
#[derive(Clone, Debug, Args)]
pub struct Part {
    #[command(flatten)]
    target: Target,
    /// One model of it; else all of it
    #[arg(long)]
    model: Option<String>,
}

/// To which upstream, and why.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// The upstream's name
    name: String,
    /// Why, for who looks later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    whom: Whom,
}

/// What any of them says.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    action: &'static str,
    target: &'a Target,
    model: Option<&'a str>,
    lasting: Option<&'a str>,
}

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum Configure {
    /// Print what is in force, without its secrets
    Show,
    /// Say what a file would change, in meaning and line by line
    Diff { file: PathBuf },
    /// Write a file's text into the gateway's file, and put it in force
    Apply {
        file: PathBuf,
        /// Only while this revision is in force
        #[arg(long, value_name = "REVISION")]
        if_match: Option<String>,
    },
    /// List which configurations were in force, when, and who put them there
    History,
    /// Put an earlier one in force again
    Rollback { revision: String },
}

impl Operate {
    /// The admin listener that it is for, where it is said.
    pub fn admin(&self) -> Option<&str> {
        let whom = match self {
            Self::Upstreams { whom } | Self::Config { whom, .. } => whom,
            Self::Act(act) => &act.said().target.whom,
        };
        whom.admin.as_deref()
    }

    /// The request of the admin listener that does it.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn request(&self) -> anyhow::Result<Question> {
        Ok(match self {
            Self::Upstreams { .. } => Question::new(Method::GET, "/admin/upstreams"),
            Self::Act(act) => act.said().request(),
            Self::Config { what, .. } => what.request()?,
        })
    }

    /// What the gateway answered, for people.
    pub fn shown(&self, answer: &Value) -> String {
        match self {
            Self::Upstreams { .. } => upstreams(answer),
            Self::Config { what, .. } => what.shown(answer),
            Self::Act(act) => act.shown(answer),
        }
    }
}

impl Act {
    fn said(&self) -> Said<'_> {
        match self {
            Self::Drain(Order { part, lasting }) => part.said("drain", lasting.as_ref()),
            Self::Disable(Order { part, lasting }) => part.said("disable", lasting.as_ref()),
            Self::Trip(Order { part, lasting }) => part.said("trip", lasting.as_ref()),
            Self::Restore(Trial { part, lasting }) => part.said("restore", lasting.as_ref()),
            Self::Enable(part) => part.said("enable", None),
            Self::Reset(part) => part.said("reset", None),
            Self::Probe(target) => Said { action: "probe", target, model: None, lasting: None },
        }
    }

    fn shown(&self, answer: &Value) -> String {
        let subject = self.said().subject();
        match self {
            Self::Probe(_) => {
                let probe = &answer["probe"];
                let why = probe["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
                let took = probe["took_ms"].as_f64().unwrap_or_default();
                format!("{} ({}, {took:.0} ms){why}", word(probe, "result"), word(probe, "kind"))
            }
            Self::Reset(_) => format!("{subject} is as if nothing had happened"),
            Self::Drain(_) | Self::Disable(_) | Self::Trip(_) | Self::Restore(_) | Self::Enable(_) => {
                let said = overridden(&answer["override"]);
                let said = if said.is_empty() { "as the gateway decides".to_owned() } else { said };
                format!("{subject} is {said}; in flight: {}", answer["in_flight"])
            }
        }
    }
}

impl Part {
    fn said<'a>(&'a self, action: &'static str, lasting: Option<&'a String>) -> Said<'a> {
        let Self { target, model } = self;
        Said { action, target, model: model.as_deref(), lasting: lasting.map(String::as_str) }
    }
}

impl Said<'_> {
    fn subject(&self) -> String {
        let name = &self.target.name;
        self.model.map_or_else(|| name.clone(), |model| format!("{name}/{model}"))
    }

    fn request(&self) -> Question {
        let said = [("model", self.model), ("for", self.lasting), ("reason", self.target.reason.as_deref())];
        let said = said.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text?))));
        let body = Value::Object(said.collect::<Map<_, _>>()).to_string();
        let name = escaped(&self.target.name).replace('/', "%2F");
        Question::new(Method::POST, format!("/admin/upstreams/{name}/{}", self.action)).saying(body)
    }
}

impl Configure {
    fn request(&self) -> anyhow::Result<Question> {
        let read =
            |file: &Path| std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        Ok(match self {
            Self::Show => Question::new(Method::GET, "/admin/config"),
            Self::History => Question::new(Method::GET, "/admin/config/history"),
            Self::Diff { file } => Question::new(Method::POST, "/admin/config/diff").saying(read(file)?),
            Self::Apply { file, if_match } => {
                Question::new(Method::PUT, "/admin/config").saying(read(file)?).matching(if_match.as_deref())
            }
            Self::Rollback { revision } => {
                let body = json!({ "revision": revision }).to_string();
                Question::new(Method::POST, "/admin/config/rollback").saying(body)
            }
        })
    }

    fn shown(&self, answer: &Value) -> String {
        match self {
            Self::Show => answer["text"].as_str().unwrap_or_default().trim_end().to_owned(),
            Self::Diff { .. } => differences(answer),
            Self::Apply { .. } | Self::Rollback { .. } => {
                format!("{}: revision {}", word(answer, "result"), word(answer, "revision"))
            }
            Self::History => {
                let past = answer["history"].as_array().into_iter().flatten();
                let rows = past.map(|past| {
                    let mark = if past["is_current"] == true { "*" } else { " " };
                    let at = moment_of(past["at"].as_f64().unwrap_or_default() as i64 * 1_000_000);
                    format!("{mark} {:<14} {at:<22} {}", word(past, "revision"), word(past, "by"))
                });
                rows.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

fn word(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or("-").to_owned()
}

/// `draining for 540 s: new address`, where something was said.
fn overridden(said: &Value) -> String {
    let Some(kind) = said["kind"].as_str() else { return String::new() };
    let left = said["for_seconds"].as_f64().map(|left| format!(" for {left:.0} s")).unwrap_or_default();
    let why = said["reason"].as_str().filter(|why| !why.is_empty());
    format!("{kind}{left}{}", why.map(|why| format!(": {why}")).unwrap_or_default())
}

fn upstreams(answer: &Value) -> String {
    let row = |name: &str, health: &str, of: &Value| {
        let said = overridden(&of["override"]);
        let line = format!(
            "{name:<32} {health:<12} {:<14} {:>9}  {said}",
            word(&of["breaker"], "state"),
            of["in_flight"]
        );
        line.trim_end().to_owned()
    };
    let mut lines =
        vec![format!("{:<32} {:<12} {:<14} {:>9}  SAID", "UPSTREAM", "HEALTH", "BREAKER", "IN FLIGHT")];
    for upstream in answer["upstreams"].as_array().into_iter().flatten() {
        let name = word(upstream, "name");
        let is_configured = upstream["configured"] == true;
        let health = if is_configured { word(upstream, "health") } else { "unconfigured".to_owned() };
        lines.push(row(&name, &health, upstream));
        for model in upstream["models"].as_array().into_iter().flatten() {
            lines.push(row(&format!("  {}", word(model, "model")), "", model));
        }
    }
    lines.join("\n")
}

fn differences(answer: &Value) -> String {
    let mut lines = Vec::new();
    let names = |of: &Value| -> Vec<String> {
        of.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for (kind, of) in answer["changes"].as_object().into_iter().flatten() {
        for (how, some) in of.as_object().into_iter().flatten() {
            let some = names(some);
            if !some.is_empty() {
                lines.push(format!("{kind} {how}: {}", some.join(", ")));
            }
        }
    }
    let sections = names(&answer["changes"]["sections"]);
    if !sections.is_empty() {
        lines.push(format!("sections changed: {}", sections.join(", ")));
    }
    let later = names(&answer["after_restart"]);
    if !later.is_empty() {
        lines.push(format!("after a restart only: {}", later.join(", ")));
    }
    if lines.is_empty() {
        lines.push("nothing changes in meaning".to_owned());
    }
    lines.push(answer["unified"].as_str().unwrap_or_default().trim_end().to_owned());
    lines.join("\n").trim_end().to_owned()
}

/// What was refused, for people: each problem of a configuration with its place.
pub fn refusal(body: &Bytes) -> String {
    let text = || String::from_utf8_lossy(body).into_owned();
    let Ok(said) = serde_json::from_slice::<Value>(body) else { return text() };
    if let Some(error) = said["error"].as_str() {
        return error.to_owned();
    }
    let Some(problems) = said["problems"].as_array() else { return text() };
    let line = |problem: &Value| {
        let hint = problem["hint"].as_str().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let path = problem["path"].as_str().filter(|path| !path.is_empty());
        let path = path.map(|path| format!("{path}: ")).unwrap_or_default();
        format!("line {}:{}: {path}{}{hint}", problem["line"], problem["column"], word(problem, "message"))
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        what: Operate,
    }

    fn line(words: &str) -> Operate {
        let words = std::iter::once("mainstay").chain(words.split(' '));
        Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).what
    }

    #[test]
    fn each_command_is_a_request_of_the_admin_side() {
        let check = |words: &str, method: Method, path: &str, body: Value| {
            let asked = line(words).request().expect("nothing is read");
            assert_eq!((&asked.method, &*asked.path), (&method, path), "{words}");
            let sent = serde_json::from_slice(&asked.body).unwrap_or(Value::Null);
            assert_eq!(sent, body, "{words}");
        };
        check("upstreams", Method::GET, "/admin/upstreams", Value::Null);
        check("drain a/b", Method::POST, "/admin/upstreams/a%2Fb/drain", json!({}));
        check(
            "disable a --model m --for 10m --reason late",
            Method::POST,
            "/admin/upstreams/a/disable",
            json!({"model": "m", "for": "10m", "reason": "late"}),
        );
        for action in ["trip", "restore", "enable", "reset", "probe"] {
            let path = format!("/admin/upstreams/a/{action}");
            check(&format!("{action} a --admin http://h:1"), Method::POST, &path, json!({}));
        }
        check("config show", Method::GET, "/admin/config", Value::Null);
        check("config history", Method::GET, "/admin/config/history", Value::Null);
        check("config rollback abc", Method::POST, "/admin/config/rollback", json!({"revision": "abc"}));
        assert_eq!(line("config history --admin http://h:1").admin(), Some("http://h:1"));
        assert_eq!(line("probe a --admin http://h:1").admin(), Some("http://h:1"));
        assert!(line("config diff /nowhere.yaml").request().is_err());
        check("restore a --for 2h", Method::POST, "/admin/upstreams/a/restore", json!({"for": "2h"}));
        for words in ["mainstay enable a --for 1m", "mainstay reset a --for 1m", "mainstay probe a --model m"]
        {
            assert!(Line::try_parse_from(words.split(' ')).is_err(), "{words}");
        }
    }

    #[test]
    fn answers_are_lines_for_people() {
        let said = json!({"kind": "draining", "for_seconds": 60.0, "reason": "late"});
        let answer = json!({"override": said, "in_flight": 2});
        assert_eq!(line("drain a --model m").shown(&answer), "a/m is draining for 60 s: late; in flight: 2");
        let answer = json!({"override": null, "in_flight": 0});
        assert_eq!(line("enable a").shown(&answer), "a is as the gateway decides; in flight: 0");
        let probe = json!({"probe": {"result": "fail", "kind": "tcp", "took_ms": 1.2, "why": "refused"}});
        assert_eq!(line("probe a").shown(&probe), "fail (tcp, 1 ms): refused");
        let changes =
            json!({"routes": {"added": ["new"], "removed": [], "changed": []}, "sections": ["server"]});
        let compared = json!({"changes": changes, "after_restart": [], "unified": "+ x\n"});
        let shown = line("config diff f").shown(&compared);
        assert_eq!(shown, "routes added: new\nsections changed: server\n+ x");
        let problems = json!({"problems": [{"line": 2, "column": 3, "path": "routes", "message": "none", "hint": "add"}]});
        assert_eq!(refusal(&problems.to_string().into()), "line 2:3: routes: none (add)");
        assert_eq!(refusal(&r#"{"error": "no"}"#.into()), "no");
    }
}
