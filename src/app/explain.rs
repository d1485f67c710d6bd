//! Explanations for the command line: asked of a running gateway, or made from the file alone.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;

use crate::config::{Blueprint, Origin};
use crate::route::{self, Question};
use crate::state::model::Shape;
use crate::state::{Live, Registry, Table};
use crate::vocab::Ability;

/// Where to ask a running gateway.
pub fn explain_path(question: &Question, key: Option<&str>) -> String {
    let mut path = format!("/admin/explain?model={}", escaped(&question.model));
    if let Some(dialect) = question.dialect {
        let _ = write!(path, "&dialect={dialect}");
    }
    let needs: Vec<&str> =
        Ability::ALL.into_iter().filter(|ability| question.needs.has(*ability)).map(Ability::name).collect();
    if !needs.is_empty() {
        let _ = write!(path, "&needs={}", needs.join(","));
    }
    if question.prompt_tokens > 0 {
        let _ = write!(path, "&prompt_tokens={}", question.prompt_tokens);
    }
    if let Some(key) = key {
        let _ = write!(path, "&key={}", escaped(key));
    }
    for (name, value) in &question.headers {
        let value = escaped(&String::from_utf8_lossy(value.as_bytes()));
        let _ = write!(path, "&header={name}:{value}");
    }
    if question.shape == Some(Shape::Whole) {
        path.push_str("&stream=false");
    }
    path
}

/// As a gateway would explain a request that has just started on `blueprint`; `None` if no route takes it.
pub fn explain_cold(blueprint: &Blueprint, question: &Question) -> anyhow::Result<Option<Value>> {
    let table = Table::compile(blueprint, &mut Registry::default(), &Arc::new(Live::default()));
    Ok(route::explain(&table, question).map(serde_json::to_value).transpose()?)
}

/// The routes that nobody wrote, each with its upstreams, for people.
pub fn automatic_routes(blueprint: &Blueprint) -> Vec<String> {
    let automatic = blueprint.routes.iter().filter(|route| route.origin == Origin::Automatic);
    let shown = automatic.map(|route| {
        let upstreams = route.channels.iter().map(|channel| &*blueprint.upstreams[channel.upstream].name);
        format!("{} -> {}", route.name, upstreams.collect::<Vec<_>>().join(", "))
    });
    shown.collect()
}

/// An explanation, for people.
pub fn table_of(explained: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = String::new();
    for line in explained["steering"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "{}", text(line));
    }
    let _ = writeln!(out, "route {} ({})", text(&explained["route"]), text(&explained["select"]));
    let channels = explained["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let width = channels.iter().map(|channel| text(&channel["channel"]).len()).max().unwrap_or_default();
    for channel in channels {
        let mark = if channel["picked"] == true { "->" } else { "  " };
        let _ = write!(
            out,
            "{mark} {:width$}  tier {} weight {:<4} {:<22} {}",
            text(&channel["channel"]),
            channel["tier"],
            channel["weight"].to_string(),
            text(&channel["standing"]),
            text(&channel["detail"]),
        );
        if channel["picked"] == true && channel["hedge"].is_string() {
            let _ = write!(out, "; {}", text(&channel["hedge"]));
        }
        for more in numbers_of(channel) {
            let _ = write!(out, "; {more}");
        }
        out.push('\n');
    }
    let fallback: Vec<String> = explained["fallback"].as_array().into_iter().flatten().map(text).collect();
    if !fallback.is_empty() {
        let _ = writeln!(out, "then {}", fallback.join(", "));
    }
    let exhausted: Vec<String> =
        explained["on_exhausted"].as_array().into_iter().flatten().map(text).collect();
    if !exhausted.is_empty() {
        let _ = writeln!(out, "when nothing is eligible: {}", exhausted.join(", "));
    }
    for line in explained["handling"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "{}", text(line));
    }
    out.truncate(out.trim_end().len());
    out
}

/// What is worth knowing of a channel besides: what it has under way, what is left of its quota, what it would cost.
fn numbers_of(channel: &Value) -> Vec<String> {
    let mut all = Vec::new();
    if let (Some(in_flight @ 1..), Some(limit)) = (channel["in_flight"].as_u64(), channel["limit"].as_u64()) {
        all.push(format!("{in_flight} of {limit} under way"));
    }
    if let Some(left) = channel["quota_left"].as_f64().filter(|left| *left < 1.0) {
        all.push(format!("{:.0} % of its quota left", left * 100.0));
    }
    if let Some(cost) = channel["cost_nano_usd"].as_u64() {
        all.push(format!("costs ${:.6}", cost as f64 / 1e9));
    }
    all
}

/// How to reach a listener on this machine.
pub fn local_url(scheme: &str, address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn a_question_survives_its_query() {
        let ask = |model: &str| Question { model: model.to_owned(), ..Question::default() };
        assert_eq!(explain_path(&ask("openai/gpt-5.4"), None), "/admin/explain?model=openai/gpt-5.4");
        let mut question = Question { dialect: Some(Dialect::Gemini), prompt_tokens: 9, ..ask("a b&c") };
        question.needs.add(Ability::Vision);
        question.needs.add(Ability::Tools);
        assert_eq!(
            explain_path(&question, Some("a&b")),
            "/admin/explain?model=a%20b%26c&dialect=gemini&needs=tools,vision&prompt_tokens=9&key=a%26b"
        );
        let header = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let question = Question {
            headers: vec![header("x-team", "blue & green"), header("x-tier", "2")],
            shape: Some(Shape::Whole),
            ..ask("demo")
        };
        assert_eq!(
            explain_path(&question, None),
            "/admin/explain?model=demo&header=x-team:blue%20%26%20green&header=x-tier:2&stream=false"
        );
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_the_local_one() {
        let url = |address: &str| local_url("http", address.parse().unwrap());
        assert_eq!(url("0.0.0.0:9090"), "http://127.0.0.1:9090");
        assert_eq!(url("[::]:9090"), "http://[::1]:9090");
        assert_eq!(url("10.0.0.1:1"), "http://10.0.0.1:1");
    }

    #[test]
    fn the_table_marks_who_is_picked_and_says_why_the_others_are_not() {
        let explained = serde_json::json!({
            "steering": ["no rule of demo holds for it"],
            "route": "demo", "select": "weighted_round_robin", "fallback": ["other"],
            "on_exhausted": ["stale (a kept answer)", "fail (an error)"],
            "channels": [
                {"channel": "a/demo", "tier": 0, "weight": 3, "picked": true, "standing": "ready", "detail": "takes its share",
                 "hedge": "hedged after 500 ms", "in_flight": 3, "limit": 20, "quota_left": 0.257, "cost_nano_usd": 12_345_000},
                {"channel": "b/demo", "tier": 1, "weight": 1, "picked": false, "standing": "unconfigured", "detail": "set KEY",
                 "in_flight": 0, "limit": 20, "quota_left": 1.0, "cost_nano_usd": null},
            ],
            "handling": ["queue: up to 1 s for room"],
        });
        let shown = table_of(&explained);
        let begin = "no rule of demo holds for it\nroute demo (weighted_round_robin)\n";
        assert!(shown.starts_with(begin), "{shown}");
        assert!(shown.contains("-> a/demo  tier 0 weight 3"), "{shown}");
        assert!(shown.contains("takes its share; hedged after 500 ms; 3 of 20 under way; 26 % of its quota left; costs $0.012345\n"), "{shown}");
        assert!(shown.contains("   b/demo  tier 1 weight 1    unconfigured           set KEY\n"), "{shown}");
        let end = "then other\nwhen nothing is eligible: stale (a kept answer), fail (an error)\nqueue: up to 1 s for room";
        assert!(shown.ends_with(end), "{shown}");
    }
}
