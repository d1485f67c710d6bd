//! What the binary says on standard error, as its file has it; and `docs/logs.md`, whose tables of fields are made of
//! what the line of a request can have: `MAINSTAY_BLESS=1 cargo test --test it docs_name` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use mainstay::ledger::Decision;
use serde_json::Value;

use crate::http;
use crate::process::{Gateway, SECRET, wait_for};

const BEGIN: &str = "<!-- Made of src/ledger/decision.rs by tests/it/logs.rs; do not edit. -->\n";
const END: &str = "<!-- Until here. -->\n";
/// What every line has.
const HEAD: [(&str, &str); 4] = [
    ("timestamp", "When the request ended: UTC to the microsecond."),
    ("level", "`INFO`; `WARN` of those that failed or broke off."),
    ("message", "`request`"),
    ("target", "`mainstay::request`"),
];

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
telemetry: {log: LOG}
access: keys
keys: {shop: {secret: '${MAINSTAY_IT_SECRET}'}}
upstreams:
  near: {provider: custom, dialect: openai, base_url: 'http://127.0.0.1:1/v1', probe: {kind: 'off'}, breaker: {enabled: false}}
  far: {provider: simulated, simulated: {ttft: 1ms, pace: 0ms, words: 3}}
routes:
  - {model: demo, channels: [{upstream: near}, {upstream: far, tier: 1}]}
  - {model: lost, channels: [{upstream: near}]}
";

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn routing(log: &str) -> String {
    ROUTING.replace("LOG", log)
}

/// Asks for the model under this id.
fn ask(gateway: &Gateway, model: &str, id: &str) -> u16 {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
    let (bearer, parent) = (format!("Bearer {SECRET}"), format!("00-{TRACE}-b7ad6b7169203331-01"));
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("x-request-id", id),
        ("traceparent", parent.as_str()),
    ];
    let answer = http::send(gateway.callers, "POST", "/v1/chat/completions", &headers, &body);
    answer.expect("the gateway answers").status
}

/// The line in which this stands, once it is there.
fn line(gateway: &Gateway, part: &str) -> String {
    let find = || gateway.log().lines().find(|line| line.contains(part)).map(str::to_owned);
    wait_for(30, find).unwrap_or_else(|| panic!("no line has {part}: {}", gateway.said()))
}

/// Whether a line of this request is there by the time that a later one's is, or by the time that it would be.
fn has_line(gateway: &Gateway, id: &str, filter: &str) -> bool {
    let until = format!("until-{id}");
    let turned = format!(r#"{{"filter": "{filter}", "for": "1h"}}"#);
    assert_eq!(http::call(gateway.admin, "PUT", "/admin/log", Some(&turned)).unwrap().status, 200);
    ask(gateway, "demo", &until);
    line(gateway, &until);
    assert_eq!(http::call(gateway.admin, "PUT", "/admin/log", Some("{}")).unwrap().status, 200);
    gateway.log().contains(&format!("\"{id}\""))
}

/// Waits until a request is at hand, and so in the log, if it is to be there.
fn is_noted(gateway: &Gateway, id: &str) {
    let path = format!("/admin/requests/{id}");
    let noted = || (http::get(gateway.admin, &path).unwrap().status == 200).then_some(());
    wait_for(30, noted).expect("the request is at hand");
}

#[test]
fn docs_name_every_field_of_a_requests_line() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md");
    let written = std::fs::read_to_string(&path).expect("docs can be read");
    let (before, rest) = written.split_once(BEGIN).expect("its tables begin somewhere");
    let (_, after) = rest.split_once(END).expect("and end");
    let made = format!("{before}{BEGIN}{}{END}{after}", tables());
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        std::fs::write(&path, &made).expect("docs can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(made.lines()).find(|(written, made)| written != made);
    assert!(written == made, "MAINSTAY_BLESS=1 writes docs/logs.md anew; the first difference: {differs:?}");
}

/// What a line may have, by what has it: the line itself, and its parts.
fn fields() -> BTreeMap<String, BTreeMap<String, Value>> {
    let schema = serde_json::to_value(schemars::schema_for!(Decision<'_>)).expect("a schema is JSON");
    let of = |form: &Value| -> BTreeMap<String, Value> {
        let fields = form["properties"].as_object().expect("fields").iter();
        fields.map(|(name, field)| (name.clone(), field.clone())).collect()
    };
    let parts = schema["$defs"].as_object().expect("parts").iter();
    let mut all: BTreeMap<_, _> = parts.map(|(name, form)| (name.clone(), of(form))).collect();
    all.insert(String::new(), of(&schema));
    all
}

fn tables() -> String {
    let mut text = String::new();
    let all = fields();
    for (part, title) in
        [("", ""), ("Tried", "tried"), ("Looked", "looks"), ("Candidate", "looks[].channels")]
    {
        if !title.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n### Each of `{title}`\n");
        }
        text.push_str("| field | type | |\n|---|---|---|\n");
        if part.is_empty() {
            for (name, meaning) in HEAD {
                let _ = writeln!(text, "| `{name}` | string | {meaning} |");
            }
        }
        for (name, field) in &all[part] {
            let meaning =
                field["description"].as_str().unwrap_or_else(|| panic!("{part}.{name} says nothing"));
            let meaning = meaning.replace('\n', " ");
            let _ = writeln!(text, "| `{name}` | {} | {meaning} |", kind(field));
        }
    }
    text
}

fn kind(field: &Value) -> String {
    match &field["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.collect::<Vec<_>>().join(", ")
        }
        _ => "object".to_owned(),
    }
}

#[test]
fn who_comes_over_a_websocket_stands_in_the_log_with_what_he_was_told() {
    let gateway = Gateway::start_logging(&routing("{format: json}"), "");
    let headers = [("connection", "Upgrade"), ("upgrade", "websocket"), ("x-request-id", "socket-1")];
    let answer = http::send(gateway.callers, "GET", "/v1/responses", &headers, "");
    assert_eq!(answer.expect("the gateway answers").status, 426);
    let line: Value = serde_json::from_str(&line(&gateway, "socket-1")).expect("a line is JSON");
    assert_eq!((&line["status"], &line["error"]), (&426.into(), &"method_not_allowed".into()), "{line}");
}

#[test]
fn a_requests_line_is_json_of_the_documented_fields_or_for_people() {
    let gateway = Gateway::start_logging(&routing("{format: json}"), "");
    assert_eq!(ask(&gateway, "demo", "saved-1"), 200);
    assert_ne!(ask(&gateway, "lost", "lost-1"), 200);
    let all = fields();
    for (id, level) in [("saved-1", "INFO"), ("lost-1", "WARN")] {
        let line: Value = serde_json::from_str(&line(&gateway, id)).expect("a line is JSON");
        assert_eq!((&line["request"], &line["level"]), (&id.into(), &level.into()), "{line}");
        assert_eq!((&line["trace"], &line["key"]), (&TRACE.into(), &"shop".into()), "{line}");
        let check = |part: &str, said: &Value| {
            let names: BTreeSet<&str> =
                said.as_object().expect("fields").keys().map(String::as_str).collect();
            let known = all[part].keys().map(String::as_str);
            let known: BTreeSet<&str> = known.chain(HEAD.map(|(name, _)| name)).collect();
            assert!(names.is_subset(&known), "{part}: {:?}", names.difference(&known));
        };
        check("", &line);
        line["tried"].as_array().expect("attempts").iter().for_each(|tried| check("Tried", tried));
        for look in line["looks"].as_array().expect("looks") {
            check("Looked", look);
            look["channels"].as_array().expect("channels").iter().for_each(|one| check("Candidate", one));
        }
    }
    for said in gateway.log().lines().filter(|line| line.contains("timestamp")) {
        let said: Value = serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert!(said["level"].is_string() && said["target"].is_string(), "{said}");
    }

    let gateway = Gateway::start_logging(&routing("{format: pretty}"), "");
    assert_eq!(ask(&gateway, "demo", "saved-2"), 200);
    let line = line(&gateway, "saved-2");
    let parts = [" INFO request ok 200 shop: demo -> far/demo in ", "id saved-2", TRACE];
    assert!(parts.iter().all(|part| line.contains(part)) && !line.contains('\u{1b}'), "{line}");
}

#[test]
fn the_file_says_which_requests_have_a_line_and_a_reload_changes_that_at_once() {
    let gateway = Gateway::start_logging(&routing("{requests: failed}"), "");
    ask(&gateway, "demo", "well-1");
    ask(&gateway, "lost", "lost-1");
    line(&gateway, "lost-1");
    assert!(!has_line(&gateway, "well-1", "info"), "it went well: {}", gateway.said());

    let change = |log: &str| {
        let text = std::fs::read_to_string(&gateway.file).unwrap();
        let from = text.find("{log: ").unwrap() + "{log: ".len();
        let until = from + text[from..].find("}\n").unwrap();
        std::fs::write(&gateway.file, format!("{}{log}{}", &text[..from], &text[until..])).unwrap();
        assert_eq!(http::post(gateway.admin, "/admin/reload", "").unwrap().status, 200);
        http::get(gateway.admin, "/admin/log").unwrap().json()["filter"].as_str().unwrap().to_owned()
    };
    assert_eq!(change("{requests: none}"), "info,mainstay::request=off");
    ask(&gateway, "lost", "lost-2");
    is_noted(&gateway, "lost-2");
    assert!(!has_line(&gateway, "lost-2", "info"), "none has a line: {}", gateway.said());

    assert_eq!(change("{level: warn}"), "warn");
    ask(&gateway, "demo", "well-3");
    ask(&gateway, "lost", "lost-3");
    line(&gateway, "lost-3");
    assert!(!has_line(&gateway, "well-3", "info"), "it is no warning: {}", gateway.said());

    assert_eq!(change("{level: debug, format: pretty}"), "info,mainstay=debug");
    ask(&gateway, "demo", "well-4");
    let line = line(&gateway, "id well-4");
    assert!(line.contains(" INFO request ok"), "the format changes as well: {line}");
    assert!(gateway.log().contains("attempt failed"), "{}", gateway.said());
}

#[test]
fn the_environment_goes_before_the_file_and_an_operator_before_both() {
    let gateway =
        Gateway::start_logging(&routing("{requests: none, level: trace}"), "warn,mainstay::request=info");
    let says = || http::get(gateway.admin, "/admin/log").unwrap().json();
    assert_eq!(says()["usual"], "warn,mainstay::request=info");
    ask(&gateway, "demo", "well-1");
    line(&gateway, "\"well-1\"");
    let off = r#"{"filter": "off", "for": "1h"}"#;
    assert_eq!(http::call(gateway.admin, "PUT", "/admin/log", Some(off)).unwrap().status, 200);
    ask(&gateway, "demo", "well-2");
    is_noted(&gateway, "well-2");
    assert!(!has_line(&gateway, "well-2", "mainstay::request=info"), "{}", gateway.said());
    assert_eq!(says()["filter"], "warn,mainstay::request=info");
}
