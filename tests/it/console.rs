//! The console in a real browser: runs the files of `tests/console` in a headless Chromium, against the real binary.
//!
//! Which Chromium: `MAINSTAY_CHROMIUM`, else Debian's, or whichever is on the `PATH`. `scripts/check` fetches it, and
//! playwright-core, which drives it, into `tests/console/node_modules`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Gateway, Guest, SECRET, program, skip, wait_for};

/// Far beyond what the longest of them needs on a loaded machine.
const LONGEST_SECS: u32 = 300;

#[test]
fn every_page_opens_and_is_accessible() {
    run("pages.mjs", ("", ""));
}

#[test]
fn a_fault_is_seen_at_once_and_harms_nobody() {
    run("faults.mjs", ("", ""));
}

#[test]
fn what_became_of_a_request_is_found() {
    run("requests.mjs", ("", ""));
}

#[test]
fn a_configuration_is_edited_refused_and_rolled_back() {
    run("config.mjs", ("", ""));
}

#[test]
fn an_outage_is_rehearsed() {
    run("simulate.mjs", ("", ""));
}

#[test]
fn an_upstream_is_taken_out_of_use_and_given_back() {
    run("operate.mjs", ("", ""));
}

#[test]
fn a_key_is_made_and_called_with() {
    run("keys.mjs", ("version: 1", "version: 1\naccess: keys"));
}

#[test]
fn a_token_is_asked_for_and_stays_in_the_tab() {
    run("entry.mjs", ("server: {", "server: {admin_token: \"${MAINSTAY_IT_SECRET}\", "));
}

/// Against a gateway of `routing.yaml` with something in the place of something else.
pub fn run(file: &str, (in_place_of, something): (&str, &str)) {
    let browser = match browser() {
        Ok(browser) => browser,
        Err(why) => return skip(file, why),
    };
    let home = home();
    let routing =
        std::fs::read_to_string(home.join("routing.yaml")).expect("tests/console/routing.yaml is there");
    let gateway = Gateway::start(&routing.replacen(in_place_of, something, 1));
    let mut command = Command::new(browser.node);
    command
        .arg(home.join("run.mjs"))
        .arg(file)
        .env("MAINSTAY_CHROMIUM", browser.chromium)
        .env("MAINSTAY_URL", format!("http://{}", gateway.callers))
        .env("MAINSTAY_ADMIN_URL", format!("http://{}", gateway.admin))
        .env("MAINSTAY_IT_SECRET", SECRET)
        .env("MAINSTAY_PID", gateway.id().to_string())
        // A browser keeps what it writes beside what the test does.
        .env("HOME", gateway.directory());
    super::sdk::without_settings(&mut command);
    let mut guest = Guest::start(&mut command, gateway.directory(), "browser");
    let status = wait_for(LONGEST_SECS, || guest.ended());
    let well = status.is_some_and(|status| status.success());
    assert!(well, "{file}: {status:?}\n{}\ngateway:\n{}", guest.said(), gateway.said());
    println!("{file}:\n{}", guest.said());
}

struct Browser {
    node: PathBuf,
    chromium: PathBuf,
}

fn browser() -> Result<Browser, &'static str> {
    let named = std::env::var_os("MAINSTAY_CHROMIUM").map(PathBuf::from);
    let chromium = named.or_else(|| program("chromium")).or_else(|| program("chromium-browser"));
    let chromium = chromium.ok_or("there is no Chromium (Debian: chromium)")?;
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node/bin/node");
    let node = if fetched.is_file() { Some(fetched) } else { program("node") };
    let node = node.ok_or("there is no Node (Debian: nodejs)")?;
    let installed = home().join("node_modules/playwright-core").is_dir();
    let browser = Browser { node, chromium };
    installed
        .then_some(browser)
        .ok_or("playwright-core is not installed (scripts/check does it in tests/console)")
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console")
}
