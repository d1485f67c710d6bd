//! Reloads of a real file, in a process without sockets of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::builtin::Simulating;
use super::super::host::Host;
use super::super::loader::{Loader, Source};
use super::super::testing::{Bench, FILE, NoWorld};
use super::*;
use crate::admin::Running;
use crate::config::{Http2, ProbeKind};
use crate::state::Live;
use crate::upstream::TcpDial;

fn host(path: &Path) -> Arc<Host> {
    let loader = Arc::new(Loader::new(Source::File(path.to_owned()), Arc::new(NoWorld)));
    let draft = loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
    Host::start(Arc::new(Live::seeded(1)), loader, draft, Arc::new(TcpDial), Simulating::Here)
        .expect("a host")
}

fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("routing.yaml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

#[tokio::test]
async fn pools_and_memory_are_kept_by_identity_and_by_nothing_else() {
    let (_directory, path) = file(FILE);
    let host = host(&path);
    let before = host.gateway().snapshot();
    let (a, b) = (host.simulated("a").expect("started"), host.simulated("b").expect("started"));

    let changed = FILE
        .replace(
            "b: {provider: simulated}",
            "b: {provider: simulated, pool: {max_idle: 7}}\n  c: {provider: simulated}",
        )
        .replace("- {upstream: b}", "")
        .replace("{upstream: a}, {upstream: b}", "{upstream: a, weight: 9}, {upstream: b}, {upstream: c}");
    std::fs::write(&path, changed).unwrap();
    assert!(matches!(host.reloader.reload(Cause::Order).await, Ok(Reloaded::Applied { .. })));
    let after = host.gateway().snapshot();
    assert!(Arc::ptr_eq(&before.pools[0], &after.pools[0]), "nothing of a's connections changed");
    assert!(!Arc::ptr_eq(&before.pools[1], &after.pools[1]), "b's pool has other limits");
    for place in 0..2 {
        let memory = |snapshot: &Snapshot| Arc::clone(&snapshot.table.upstreams[place].memory);
        assert!(Arc::ptr_eq(&memory(&before), &memory(&after)), "what is known of them stays");
    }
    assert!(Arc::ptr_eq(&a, &host.simulated("a").unwrap()) && Arc::ptr_eq(&b, &host.simulated("b").unwrap()));
    let address = host.simulated("c").expect("started with the table").address();
    assert_eq!(after.table.upstreams[2].config.base.port, address.port());
}

#[tokio::test]
async fn a_simulated_upstream_that_is_removed_stops_after_its_last_request() {
    let (_directory, path) = file(FILE);
    let host = host(&path);
    let request_under_way = host.gateway().snapshot();
    let address = host.simulated("b").expect("started").address();
    let changed = FILE.replace("  b: {provider: simulated}\n", "").replace(", {upstream: b}", "");
    std::fs::write(&path, changed).unwrap();
    host.reloader.reload(Cause::Order).await.expect("a good file");
    assert!(host.simulated("b").is_none());
    host.reloader.clear_away().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_ok(), "a request may still need it");
    drop(request_under_way);
    host.reloader.clear_away().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_said_once() {
    let (_directory, path) = file(FILE);
    let host = host(&path);
    let before = host.gateway().snapshot();
    let metric = |series: &str| {
        let text = host.gateway().live.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        line.unwrap_or_default()
    };
    let half = FILE.split_at(FILE.len() / 2).0;
    let unknown = FILE.replace("model: demo", "model: demo, modle: x");
    for (nth, bad) in [half, "", "version: 1\n\tx", &unknown].into_iter().enumerate() {
        std::fs::write(&path, bad).unwrap();
        let rejection = host.reloader.reload(Cause::Watch).await.expect_err("not a good file");
        let checked = host.reloader.loader().load().err().expect("check says so too");
        assert_eq!(rejection.to_string(), checked.to_string());
        let _ = host.reloader.reload(Cause::Poll).await;
        assert_eq!(metric(r#"mainstay_reloads_total{result="refused"}"#), nth as f64 + 1.0);
        assert_eq!(metric("mainstay_config_last_reload_failed"), 1.0);
        assert_eq!(host.applied().refused, Some(rejection.to_string()));
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(host.reloader.reload(Cause::Poll).await, Err(Rejection::Unreadable { .. })));
    assert!(Arc::ptr_eq(&before, &host.gateway().snapshot()), "the table in force stays");

    std::fs::write(&path, FILE).unwrap();
    assert!(matches!(host.reloader.reload(Cause::Poll).await, Ok(Reloaded::Unchanged { .. })));
    assert_eq!(metric("mainstay_config_last_reload_failed"), 0.0);
    assert_eq!(host.applied().refused, None);
}

#[tokio::test]
async fn an_edit_is_picked_up_by_itself() {
    let (_directory, path) = file(FILE);
    let host = host(&path);
    host.watch();
    let before = host.applied().revision;
    // The watch begins in a task; an edit before that is found by the next one.
    let mut edits = 0;
    let noticed = async {
        while host.applied().revision == before {
            edits += 1;
            std::fs::write(&path, format!("{FILE}# {edits}\n")).unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), noticed).await.expect("the edit was noticed");
}

/// P-H04: over a storm of reloads no upstream is probed more often than without one.
#[tokio::test(start_paused = true)]
async fn reloads_are_no_reason_to_probe() {
    let probes = async |reloads: bool| {
        let bench = Bench::start(FILE);
        for nth in 0..600_u32 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if reloads {
                let mut blueprint = blueprint();
                blueprint.routes[0].channels[0].weight = nth % 9 + 1;
                bench.host.reloader.replace(blueprint).await.expect("a good blueprint");
            }
        }
        bench.metric(r#"mainstay_probes_total{upstream="a",result="pass"}"#)
    };
    let (calm, storm) = (probes(false).await, probes(true).await);
    assert!(calm >= 1.0, "{calm}");
    assert!(storm <= calm + 1.0, "{storm} probes in a storm, {calm} without");
}

#[tokio::test(start_paused = true)]
async fn a_changed_transport_is_probed_anew_and_a_switched_off_probe_is_not() {
    let bench = Bench::start(FILE);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let passes = || bench.metric(r#"mainstay_probes_total{upstream="a",result="pass"}"#);
    let first = passes();
    assert!(first >= 1.0);
    let mut changed = blueprint();
    changed.upstreams[0].pool.http2 = Http2::Never;
    changed.upstreams[0].base.port = 81;
    changed.upstreams[1].probe.kind = ProbeKind::Off;
    bench.host.reloader.replace(changed).await.expect("a good blueprint");
    let off = bench.metric(r#"mainstay_probes_total{upstream="b",result="pass"}"#);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(passes() > first, "another target, another health");
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(bench.metric(r#"mainstay_probes_total{upstream="b",result="pass"}"#), off);
}

fn blueprint() -> Blueprint {
    config::load(FILE, &NoWorld).expect("a good file").blueprint
}

/// The disk, and no variables.
struct Disk;

impl config::Env for Disk {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn a_key_that_is_being_replaced_is_not_taken_away() {
    let text = FILE.replace(
        "a: {provider: simulated}",
        "a: {provider: simulated, credentials: ['file:key', 'file:never']}",
    );
    let (directory, path) = file(&text);
    let key = directory.path().join("key");
    std::fs::write(&key, "sk-1\n").unwrap();
    let loader = Arc::new(Loader::new(Source::File(path.clone()), Arc::new(Disk)));
    let draft = loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
    let warned: Vec<&str> = draft.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert!(warned.contains(&"upstreams.a.credentials[1]"), "{warned:?}");
    let host = Host::start(Arc::new(Live::seeded(1)), loader, draft, Arc::new(TcpDial), Simulating::Here);
    let host = host.expect("a host");
    let keys = || host.gateway().snapshot().table.upstreams[0].credentials.len();
    let before = keys();
    let gone: [&dyn Fn(); 2] =
        [&|| std::fs::remove_file(&key).unwrap(), &|| std::fs::write(&key, "\n").unwrap()];
    for goes in gone {
        goes();
        let rejection = host.reloader.reload(Cause::Watch).await.expect_err("it was there");
        let said = rejection.to_string();
        assert!(said.contains("key") && said.contains("put it back"), "{said}");
        assert_eq!((keys(), host.reloader.applied().refused.is_some()), (before, true));
        // Whoever edits the file meanwhile loses it as little.
        std::fs::write(&path, text.replace("upstream: b", "upstream: b, weight: 2")).unwrap();
        assert!(host.reloader.reload(Cause::Watch).await.is_err());
        std::fs::write(&path, &text).unwrap();
        std::fs::write(&key, "sk-1\n").unwrap();
        host.reloader.reload(Cause::Watch).await.expect("as before");
        assert!(host.reloader.applied().refused.is_none());
    }
    std::fs::remove_file(&key).unwrap();
    std::fs::write(&path, text.replace("'file:key', ", "")).unwrap();
    host.reloader.reload(Cause::Watch).await.expect("nobody refers to it any more");
    assert_eq!(keys(), before - 1);
}

#[tokio::test]
async fn a_callers_key_that_is_taken_away_ends() {
    let keys = "keys: {shop: {secret: ['file:old', 'file:new']}}\n";
    let (directory, path) = file(&format!("{FILE}{keys}"));
    for name in ["old", "new"] {
        std::fs::write(directory.path().join(name), format!("a-key-of-a-caller-{name}\n")).unwrap();
    }
    let loader = Arc::new(Loader::new(Source::File(path), Arc::new(Disk)));
    let draft = loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
    let host = Host::start(Arc::new(Live::seeded(1)), loader, draft, Arc::new(TcpDial), Simulating::Here);
    let host = host.expect("a host");
    std::fs::remove_file(directory.path().join("old")).unwrap();
    assert!(matches!(host.reloader.reload(Cause::Watch).await, Ok(Reloaded::Applied { .. })));
}

#[tokio::test]
async fn what_waits_for_a_restart_is_said_for_as_long_as_it_does() {
    let (_directory, path) = file(FILE);
    let host = host(&path);
    let waits = || host.reloader.applied().after_restart;
    let listening = FILE.replace("server: {", "server: {listen: 127.0.0.1:8081, ");
    for (text, waiting) in [
        (listening.clone(), &["server.listen"][..]),
        (listening.replace("demo", "other"), &["server.listen"]),
        (FILE.to_owned(), &[]),
    ] {
        std::fs::write(&path, text).unwrap();
        host.reloader.reload(Cause::Order).await.expect("a good file");
        assert_eq!(waits(), waiting);
    }
}
