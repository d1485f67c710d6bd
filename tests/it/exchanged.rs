//! S28 at the real binary: the directory of routing.yaml is exchanged for another one, as deployers do.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
upstreams: {a: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}]
";
/// Seconds within which a change is to be noticed; the poll, which would find it too, comes every 60.
const SOON: u32 = 20;

/// Puts a directory with this configuration in the place of `directory`, which goes to `aside` under this name.
fn exchange(directory: &Path, aside: &Path, name: &str, routing: &str) {
    let new = aside.join(format!("{name}.new"));
    fs::create_dir(&new).expect("made");
    fs::write(new.join("routing.yaml"), routing).expect("written");
    fs::rename(directory, aside.join(name)).expect("moved aside");
    fs::rename(&new, directory).expect("moved into its place");
}

#[test]
fn s28_a_directory_of_the_configuration_that_is_exchanged_is_noticed_bad_or_good() {
    // Its log is in that directory, and is to say nothing: its lines would wake a watch that was left behind there.
    let gateway = Gateway::start_logging(ROUTING, "off");
    let good = fs::read_to_string(&gateway.file).expect("it serves it");
    let aside = TempDir::new().expect("a directory");
    let refused = |failed: &str| {
        let line = format!("mainstay_config_last_reload_failed {failed}");
        wait_for(SOON, || gateway.metrics().lines().any(|found| found == line).then_some(()))
    };
    for round in 0..2 {
        let name = |what: &str| format!("{what}.{round}");
        exchange(
            gateway.directory(),
            aside.path(),
            &name("bad"),
            &good.replace("version: 1", "version: none"),
        );
        refused("1").expect("the bad one is noticed");
        exchange(gateway.directory(), aside.path(), &name("good"), &good);
        refused("0").expect("the good one is noticed");
    }
}
