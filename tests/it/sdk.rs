//! Official SDKs, unmodified, against the real binary: runs the files of `tests/sdk`.
//!
//! Which Python: `MAINSTAY_SDK_PYTHON`, else `.venv/bin/python`, which `scripts/check` makes from
//! `tests/sdk/requirements.txt`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::pairs::node;
use super::process::{Gateway, Guest, skip, wait_for};

/// Far beyond what the longest of them needs on a loaded machine.
const LONGEST_SECS: u32 = 180;

#[test]
fn the_openai_sdk_gets_what_it_expects() {
    run("test_openai.py");
}

#[test]
fn the_anthropic_and_google_sdks_get_what_they_expect() {
    run("test_others.py");
}

#[test]
fn the_anthropic_sdk_gets_what_it_expects_of_clouds() {
    run("test_clouds.py");
}

#[test]
fn files_and_batches_are_where_the_sdks_left_them() {
    run("test_left.py");
}

#[test]
fn an_upstream_dies_and_comes_back_and_the_sdk_sees_no_error() {
    run("failover.py");
}

#[test]
fn the_sdks_for_javascript_leave_decisions_out() {
    match node() {
        Ok(node) => runs(&mut Command::new(node), "js/explained.mjs"),
        Err(why) => skip("js/explained.mjs", why),
    }
}

fn run(file: &str) {
    let Some(python) = python("import openai, anthropic, google.genai") else {
        return skip(file, "there is no Python with the SDKs (scripts/check makes one in .venv)");
    };
    runs(Command::new(python).arg("-B"), file);
}

/// Runs `file` against a gateway of its own; it has to end well.
fn runs(command: &mut Command, file: &str) {
    let home = home();
    let routing =
        std::fs::read_to_string(home.join("routing.yaml")).expect("tests/sdk/routing.yaml is there");
    let gateway = Gateway::start(&routing);
    command
        .arg(home.join(file))
        .env("MAINSTAY_URL", format!("http://{}", gateway.callers))
        .env("MAINSTAY_ADMIN_URL", format!("http://{}", gateway.admin));
    without_settings(command);
    let mut guest = Guest::start(command, gateway.directory(), "sdk");
    let status = wait_for(LONGEST_SECS, || guest.ended());
    let well = status.is_some_and(|status| status.success());
    assert!(well, "{file}: {status:?}\n{}\ngateway:\n{}", guest.said(), gateway.said());
    println!("{file}:\n{}", guest.said());
}

/// Somebody's own settings would change what the SDKs do.
pub fn without_settings(command: &mut Command) {
    const SETTINGS: [&str; 17] = [
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_VERTEX_BASE_URL",
        "ANTHROPIC_VERTEX_PROJECT_ID",
        "CLOUD_ML_REGION",
        "ANTHROPIC_BEDROCK_BASE_URL",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_GEMINI_BASE_URL",
        "CO_API_KEY",
        "CO_API_URL",
        "AWS_ENDPOINT_URL",
        "AWS_PROFILE",
        "AWS_BEARER_TOKEN_BEDROCK",
    ];
    const PROXIES: [&str; 6] =
        ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    for name in SETTINGS.into_iter().chain(PROXIES) {
        command.env_remove(name);
    }
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// A Python that can do what `imports` says.
pub fn python(imports: &str) -> Option<PathBuf> {
    let named = std::env::var_os("MAINSTAY_SDK_PYTHON").map(PathBuf::from);
    let own = || Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"));
    let python = named.or_else(own).filter(|file| file.is_file())?;
    let imports = Command::new(&python).args(["-c", imports]).output().ok()?;
    imports.status.success().then_some(python)
}
