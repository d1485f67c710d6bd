//! The admin side's document: what the program prints is what it serves, and what it serves is so.

use std::path::Path;
use std::process::Command;

use super::process::{Gateway, Guest, skip, wait_for};
use super::sdk::{python, without_settings};

/// What `MAINSTAY_IT_SECRET` is for gateways of tests.
const SECRET: &str = "the-secret-of-all-the-gateways-of-tests";
/// Longer than `tests/sdk/admin.py` lets its questions take.
const LONGEST_SECS: u32 = 480;
const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, admin_token: '${MAINSTAY_IT_SECRET}', key_hash_secret: '${MAINSTAY_IT_SECRET}'}
store: {url: 'sqlite:fuzzed.db'}
telemetry: {capture: {enabled: true, path: captures, share: 100%}}
teams: {growth: {}}
keys: {filed: {secret: '${MAINSTAY_IT_SECRET}', team: growth, budgets: [{per: day, limit: 5}]}}
alerts: {webhooks: {nobody: {url: 'http://127.0.0.1:1/', secret: '${MAINSTAY_IT_SECRET}'}}}
upstreams: {sim-a: {provider: simulated}, sim-b: {provider: simulated}}
routes:
  - {model: demo, channels: [{upstream: sim-a}, {upstream: sim-b}]}
  - {path: /plain/, channels: [{upstream: sim-a}]}
";

#[test]
fn nothing_that_its_document_allows_is_answered_otherwise() {
    let Some(python) = python("import schemathesis, openapi_spec_validator") else {
        return skip(
            "the admin side's document",
            "there is no Python with schemathesis (scripts/check makes one)",
        );
    };
    let gateway = Gateway::start(ROUTING);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/admin.py");
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(file)
        .env("MAINSTAY_ADMIN_URL", format!("http://{}", gateway.admin))
        .env("MAINSTAY_ADMIN_TOKEN", SECRET);
    without_settings(&mut command);
    let mut guest = Guest::start(&mut command, gateway.directory(), "python");
    let status = wait_for(LONGEST_SECS, || guest.ended());
    let well = status.is_some_and(|status| status.success());
    assert!(well, "{status:?}\n{}\ngateway:\n{}", guest.said(), gateway.said());
    for text in [gateway.log(), guest.log()] {
        assert!(!text.contains("panicked") && !text.contains(SECRET), "{text}");
    }
}

#[test]
fn the_program_prints_the_document_that_it_serves() {
    let gateway = Gateway::start(ROUTING);
    let served = super::http::get(gateway.admin, "/admin/openapi.json").expect("an answer").json();
    let printed = Command::new(env!("CARGO_BIN_EXE_mainstay")).arg("openapi").output().expect("it starts");
    let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    assert_eq!(served, printed);
    assert_eq!(served["openapi"], "3.1.0");
}
