//! Official SDKs, unmodified, against a binary that wants keys: runs `tests/sdk/access.py`.

use std::process::Command;

use crate::http;
use crate::process::{Gateway, Guest, skip, wait_for};
use crate::sdk::{python, without_settings};

const LONGEST_SECS: u32 = 120;
const OLD: &str = "the-first-secret-of-the-shop";

/// `OLD` and `NEW` are files; the second one is not there yet.
const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
access: keys
keys: {shop: {secret: ['file:OLD', 'file:NEW']}}
upstreams:
  a: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms, words: 8}}
routes: [{model: demo, channels: [{upstream: a}]}]
";

#[test]
fn sdks_prove_themselves_as_they_do_at_home_and_raise_their_own_error_where_they_do_not() {
    let Some(python) = python("import openai, anthropic, google.genai, cohere, boto3") else {
        return skip("keys", "there is no Python with the SDKs (scripts/check makes one in .venv)");
    };
    let secrets = tempfile::TempDir::with_prefix("mainstay-it-").expect("there is a temporary directory");
    let (old, new) = (secrets.path().join("old"), secrets.path().join("new"));
    std::fs::write(&old, OLD).expect("the temporary directory can be written");
    let named = |path: &std::path::Path| path.display().to_string();
    let gateway = Gateway::start(&ROUTING.replace("OLD", &named(&old)).replace("NEW", &named(&new)));
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/access.py");
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(script)
        .env("MAINSTAY_URL", format!("http://{}", gateway.callers))
        .env("MAINSTAY_ADMIN_URL", format!("http://{}", gateway.admin))
        .env("SECRET_OLD", &old)
        .env("SECRET_NEW", &new);
    without_settings(&mut command);
    let mut guest = Guest::start(&mut command, gateway.directory(), "python");
    let status = wait_for(LONGEST_SECS, || guest.ended());
    let well = status.is_some_and(|status| status.success());
    assert!(well, "{status:?}\n{}\ngateway:\n{}", guest.said(), gateway.said());

    let new = std::fs::read_to_string(&new).expect("the script has written it");
    let log = std::fs::read_to_string(gateway.directory().join("mainstay.log")).expect("it has a log");
    let status = http::get(gateway.admin, "/admin/status").expect("the admin side answers").body;
    for shown in [log, status, gateway.metrics()] {
        assert!(!shown.contains(OLD) && !shown.contains(new.trim()), "a secret is shown:\n{shown}");
    }
}
