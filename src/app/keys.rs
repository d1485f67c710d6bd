//! `mainstay keys`: callers' keys, managed through the admin listener of a running gateway.

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value};

/// What to do with which key.
#[derive(Clone, Debug, Subcommand)]
pub enum Keys {
    /// Make a key and print its secret, which is shown this once
    Create {
        /// What metrics, logs and bills call it
        name: String,
        #[command(flatten)]
        said: Said,
    },
    /// List all keys, those of the file included
    List,
    /// Show one key
    Show { name: String },
    /// Change what is said of a key; what is not named stays
    Change {
        name: String,
        #[command(flatten)]
        said: Said,
    },
    /// Print a new secret; the old one goes on for a while
    Rotate {
        name: String,
        /// How long the old secret goes on (0s ends it now)
        #[arg(long, default_value = "24h")]
        overlap: String,
    },
    /// Let nobody call with it
    Disable { name: String },
    /// Let whoever could before call with it again
    Enable { name: String },
    /// End it for good
    Delete { name: String },
}

/// What there is to say of a key.
#[derive(Clone, Debug, Default, Args)]
pub struct Said {
    /// Whose it is: a name under `users` of the file
    #[arg(long)]
    user: Option<String>,
    /// For a key of a whole team
    #[arg(long, conflicts_with = "user")]
    team: Option<String>,
    /// For a key of a whole organisation
    #[arg(long, conflicts_with_all = ["user", "team"])]
    organisation: Option<String>,
    /// When it ends: 2027-01-31, or 2027-01-31T12:00:00Z
    #[arg(long)]
    expires: Option<String>,
    /// What it may be used for, as `allow` in the file, in JSON: `{"models": ["gpt-*"]}`
    #[arg(long, value_name = "JSON", value_parser = object)]
    allow: Option<Value>,
    /// How much it may use, as `limits` in the file, in JSON: `{"rpm": 60}`
    #[arg(long, value_name = "JSON", value_parser = object)]
    limits: Option<Value>,
    /// What may be spent, as one of `budgets` in the file, in JSON: {"per": "month", "limit": 30}; all of them
    #[arg(long, value_name = "JSON", value_parser = object)]
    budget: Vec<Value>,
    /// What one of its requests may cost at most, in US dollars: 0.05
    #[arg(long)]
    max_cost: Option<String>,
    /// Labels of its requests; all of them
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag)]
    tag: Vec<(String, String)>,
    /// How much its requests matter
    #[arg(long)]
    priority: Option<String>,
    /// The most that it may ask for
    #[arg(long)]
    max_priority: Option<String>,
    /// Whether it may ask with `x-mainstay-explain` why its requests went where they went
    #[arg(long, value_name = "TRUE|FALSE", num_args = 0..=1, default_missing_value = "true")]
    explain: Option<bool>,
    /// Whether nothing that stands in its requests, or in their answers, is written down anywhere
    #[arg(long, value_name = "TRUE|FALSE", num_args = 0..=1, default_missing_value = "true")]
    zero_log: Option<bool>,
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("no JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Said {
    fn body(&self, name: Option<&str>) -> Map<String, Value> {
        let mut body = Map::new();
        let texts = [
            ("name", name),
            ("user", self.user.as_deref()),
            ("team", self.team.as_deref()),
            ("organisation", self.organisation.as_deref()),
            ("expires", self.expires.as_deref()),
            ("priority", self.priority.as_deref()),
            ("max_priority", self.max_priority.as_deref()),
            ("max_cost", self.max_cost.as_deref()),
        ];
        body.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
        body.extend(self.allow.iter().map(|allow| ("allow".to_owned(), allow.clone())));
        body.extend(self.limits.iter().map(|limits| ("limits".to_owned(), limits.clone())));
        body.extend(self.explain.map(|explain| ("explain".to_owned(), explain.into())));
        body.extend(self.zero_log.map(|zero_log| ("zero_log".to_owned(), zero_log.into())));
        if !self.budget.is_empty() {
            body.insert("budgets".to_owned(), Value::Array(self.budget.clone()));
        }
        if !self.tag.is_empty() {
            let tags = self.tag.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            body.insert("tags".to_owned(), Value::Object(tags.collect()));
        }
        body
    }
}

impl Keys {
    /// The request of the admin listener that does it.
    pub fn request(&self) -> (Method, String, Bytes) {
        let at = |name: &str, more: &str| format!("/admin/keys/{}{more}", super::explain::escaped(name));
        let json = |body: Map<String, Value>| Bytes::from(Value::Object(body).to_string());
        match self {
            Self::Create { name, said } => {
                (Method::POST, "/admin/keys".to_owned(), json(said.body(Some(name))))
            }
            Self::List => (Method::GET, "/admin/keys".to_owned(), Bytes::new()),
            Self::Show { name } => (Method::GET, at(name, ""), Bytes::new()),
            Self::Change { name, said } => (Method::PATCH, at(name, ""), json(said.body(None))),
            Self::Rotate { name, overlap } => {
                let body = Map::from_iter([("overlap".to_owned(), overlap.as_str().into())]);
                (Method::POST, at(name, "/rotate"), json(body))
            }
            Self::Disable { name } => (Method::POST, at(name, "/disable"), Bytes::new()),
            Self::Enable { name } => (Method::POST, at(name, "/enable"), Bytes::new()),
            Self::Delete { name } => (Method::DELETE, at(name, ""), Bytes::new()),
        }
    }

    /// What the gateway answered, for people: a new secret alone, so that scripts can take it; a list as a table.
    pub fn shown(&self, answer: &Value) -> String {
        let word = |key: &Value, field: &str| key[field].as_str().unwrap_or("-").to_owned();
        match self {
            Self::Create { .. } | Self::Rotate { .. } => word(answer, "secret"),
            Self::List => {
                let rows = answer["keys"].as_array().into_iter().flatten().map(|key| {
                    let state = if key["disabled_at"].is_null() { "" } else { "disabled" };
                    format!(
                        "{:<24} {:<6} {:<14} {:<16} {:<16} {:<16} {state}",
                        word(key, "name"),
                        word(key, "source"),
                        word(key, "begins"),
                        word(key, "organisation"),
                        word(key, "team"),
                        word(key, "user"),
                    )
                });
                let head = format!(
                    "{:<24} {:<6} {:<14} {:<16} {:<16} USER",
                    "NAME", "SOURCE", "BEGINS", "ORGANISATION", "TEAM"
                );
                let lines: Vec<String> = std::iter::once(head).chain(rows).collect();
                lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
            }
            Self::Show { .. } | Self::Change { .. } => {
                serde_json::to_string_pretty(answer).unwrap_or_default()
            }
            Self::Disable { name } => format!("{name} is disabled"),
            Self::Enable { name } => format!("{name} is enabled"),
            Self::Delete { name } => format!("{name} is deleted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        keys: Keys,
    }

    #[test]
    fn budgets_and_the_most_that_a_request_may_cost_are_sent_as_they_are_written() {
        let words =
            ["keys", "create", "desk", "--budget", r#"{"per": "month", "limit": 30}"#, "--max-cost", "0.10"];
        let more = ["--budget", r#"{"per": "day", "limit": "2 USD", "soft": "50%"}"#];
        let line = Line::try_parse_from(words.into_iter().chain(more)).map_err(|error| error.to_string());
        let (method, path, body) = line.expect("a good line").keys.request();
        assert_eq!((method, &*path), (Method::POST, "/admin/keys"));
        let sent: Value = serde_json::from_slice(&body).expect("JSON");
        let expected = r#"{"name": "desk", "max_cost": "0.10", "budgets": [{"per": "month", "limit": 30},
            {"per": "day", "limit": "2 USD", "soft": "50%"}]}"#;
        assert_eq!(sent, serde_json::from_str::<Value>(expected).expect("JSON"));
        assert!(Line::try_parse_from(["keys", "create", "desk", "--budget", "30"]).is_err());
    }
}
