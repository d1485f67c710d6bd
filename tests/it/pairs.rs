//! Every official SDK against an upstream of every dialect: runs `tests/sdk/pairs`.
//!
//! What holds is written to `target/pairs`, from which `scripts/matrix` makes the README's table.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Gateway, Guest, skip, wait_for};
use super::sdk::{python, without_settings};

/// Far beyond what all cells need on a loaded machine.
const LONGEST_SECS: u32 = 420;

#[test]
fn every_python_sdk_reaches_every_dialect() {
    let Some(python) = python("import openai, anthropic, google.genai, cohere, boto3") else {
        return skip(
            "pairs of dialects",
            "there is no Python with the SDKs (scripts/check makes one in .venv)",
        );
    };
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/pairs");
    let upstreams = Upstreams::start(&python, &home);
    let gateway = Gateway::start(&routing(&home, &upstreams.port));
    let matrix = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pairs");
    std::fs::create_dir_all(&matrix).expect("target can be written");
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(home.join("test_pairs.py"))
        .arg("--matrix")
        .arg(matrix.join("python.json"))
        .env("MAINSTAY_URL", format!("http://{}", gateway.callers))
        .env("UPSTREAMS_PORT", &upstreams.port);
    without_settings(&mut command);
    let mut guest = Guest::start(&mut command, gateway.directory(), "python");
    let status = wait_for(LONGEST_SECS, || guest.ended());
    let well = status.is_some_and(|status| status.success());
    assert!(well, "{status:?}\n{}\ngateway:\n{}", guest.said(), gateway.said());
    println!("{}", guest.said());
}

fn routing(home: &Path, port: &str) -> String {
    let text =
        std::fs::read_to_string(home.join("routing.yaml")).expect("tests/sdk/pairs/routing.yaml is there");
    text.replace("PORT", port)
}

/// The server that speaks every dialect.
struct Upstreams {
    port: String,
    _guest: Guest,
    _directory: tempfile::TempDir,
}

impl Upstreams {
    fn start(python: &PathBuf, home: &Path) -> Self {
        let directory =
            tempfile::TempDir::with_prefix("mainstay-it-").expect("there is a temporary directory");
        let mut command = Command::new(python);
        command.arg("-B").arg(home.join("upstreams.py"));
        let guest = Guest::start(&mut command, directory.path(), "upstreams");
        let port = wait_for(30, || Some(guest.said().lines().next()?.to_owned()));
        let port = port.unwrap_or_else(|| panic!("the upstreams do not start: {}", guest.said()));
        assert!(port.parse::<u16>().is_ok(), "the upstreams do not start: {}", guest.said());
        Self { port, _guest: guest, _directory: directory }
    }
}
