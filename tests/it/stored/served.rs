//! The real binary with a store.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::postgres::{Postgres, Safety};
use crate::http;
use crate::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
store: {url: 'URL'}
upstreams: {sim: {provider: simulated, simulated: {ttft: 2ms, pace: 0ms}}}
routes: [{model: m, channels: [{upstream: sim}]}]
";

fn store(gateway: &Gateway) -> Value {
    http::get(gateway.admin, "/admin/status").unwrap().json()["store"].clone()
}

fn ask(gateway: &Gateway) {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(http::post(gateway.callers, "/v1/chat/completions", body).unwrap().status, 200);
}

#[test]
fn a_file_beside_routing_yaml_is_opened_and_a_changed_store_is_for_the_next_start() {
    let gateway = Gateway::start(&ROUTING.replace("URL", "sqlite:ledger.db"));
    let said = store(&gateway);
    assert_eq!((&said["database"], &said["here"]), (&"sqlite".into(), &true.into()), "{said}");
    let mode = std::fs::metadata(gateway.directory().join("ledger.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it is nobody else's to read");
    assert!(gateway.metrics().contains("mainstay_store_up 1"));
    let text = std::fs::read_to_string(&gateway.file).unwrap();
    std::fs::write(&gateway.file, text.replace("ledger.db", "other.db")).unwrap();
    let warned = wait_for(30, || gateway.log().contains("takes effect after a restart only").then_some(()));
    assert!(warned.is_some(), "{}", gateway.said());
    assert!(!gateway.directory().join("other.db").exists());
    ask(&gateway);
}

#[test]
fn a_postgres_that_is_away_keeps_nobody_from_being_served() {
    let Some(mut server) = Postgres::start("a gateway with PostgreSQL") else { return };
    server.kill();
    let gateway =
        Gateway::start(&ROUTING.replace("URL", &server.url().replace("gate@", "gate:hidden-word@")));
    ask(&gateway);
    let said = store(&gateway);
    assert_eq!((&said["database"], &said["here"]), (&"postgres".into(), &false.into()), "{said}");
    server.run();
    becomes_here(&gateway);
    // Its tables are made, and what was asked meanwhile gets there.
    let rows = || server.sql("SELECT count(*) FROM mainstay.requests");
    assert!(wait_for(60, || (rows() == "1").then_some(())).is_some(), "{}", rows());
    assert!(!gateway.log().contains("hidden-word") && !store(&gateway).to_string().contains("hidden-word"));
}

/// Longer than a connection may take to be there, and than any other statement may take.
const SLOW: Duration = Duration::from_secs(32);

#[test]
fn tables_with_many_rows_may_take_long_to_be_changed() {
    let Some(server) = Postgres::start("a PostgreSQL with many rows") else { return };
    let routing = ROUTING.replace("URL", &server.url());
    let before = Gateway::start(&routing);
    becomes_here(&before);
    drop(before);
    // As version 4 was, with a change to come that takes its time.
    server.sql(
        "DELETE FROM mainstay.migrations; INSERT INTO mainstay.migrations VALUES (4); \
         CREATE INDEX attempts_by_time ON mainstay.attempts (at_micros)",
    );
    server.sql(&format!(
        "CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({}); END'; \
         CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('DROP INDEX') EXECUTE FUNCTION wait()",
        SLOW.as_secs(),
    ));
    let gateway = Gateway::start(&routing);
    is_away_for(&gateway, "its tables are being made those of this version");
    ask(&gateway);
    let version = "SELECT max(version) FROM mainstay.migrations";
    assert_eq!(server.sql(version), "4", "what takes long was done at once");
    becomes_here(&gateway);
    let left = "SELECT count(*) FROM pg_class WHERE relname = 'attempts_by_time'";
    assert_eq!((server.sql(left), server.sql(version)), ("0".to_owned(), "6".to_owned()));
    // What was asked meanwhile gets there.
    let rows = || server.sql("SELECT count(*) FROM mainstay.requests");
    assert!(wait_for(60, || (rows() == "1").then_some(())).is_some(), "{}", rows());
}

fn becomes_here(gateway: &Gateway) {
    let here = wait_for(60, || (store(gateway)["here"] == true).then_some(()));
    assert!(here.is_some(), "{}\n{}", store(gateway), gateway.said());
}

/// Until it says why it is away, in these words.
fn is_away_for(gateway: &Gateway, why: &str) {
    let away = wait_for(60, || store(gateway)["why"].to_string().contains(why).then_some(()));
    assert!(away.is_some(), "{}\n{}", store(gateway), gateway.said());
}

#[test]
fn a_password_and_a_certificate_are_asked_for_and_a_stranger_is_told_nothing() {
    let directory = TempDir::with_prefix("mainstay-store-").unwrap();
    let roots = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (own, other) = (made(), made());
    let (good, wrong) = (roots("own.pem", &own.cert.pem()), roots("other.pem", &other.cert.pem()));
    let safety = Safety::Secured {
        certificate: own.cert.pem(),
        key: own.signing_key.serialize_pem(),
        password: "word-of/the:tests".to_owned(),
    };
    let Some(server) = Postgres::with("a PostgreSQL with TLS and a password", safety) else { return };
    let port = server.address.port();
    let of = |password: &str, mode: &str, ca: &str| {
        let url = format!("postgres://gate:{password}@localhost:{port}/postgres?sslmode={mode}");
        Gateway::start(&ROUTING.replace("'URL'", &format!("'{url}', ca_file: '{ca}'")))
    };
    let known = of("word-of%2Fthe%3Atests", "verify-full", &good);
    becomes_here(&known);
    let encrypted = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'mainstay'";
    assert_eq!(server.sql(encrypted), "t");
    let wary = of("word-of%2Fthe%3Atests", "require", &wrong);
    is_away_for(&wary, "name the roots to trust in `store.ca_file`");
    let stranger = of("wrong-word", "require", &good);
    is_away_for(&stranger, "password authentication failed");
    for gateway in [&known, &wary, &stranger] {
        let shown = [gateway.log(), gateway.metrics(), store(gateway).to_string()].concat();
        assert!(!shown.contains("word-of") && !shown.contains("wrong-word"), "{shown}");
        ask(gateway);
    }
}

#[test]
fn a_postgres_without_tls_is_not_spoken_to_where_tls_is_asked_for() {
    let Some(server) = Postgres::start("a PostgreSQL without TLS") else { return };
    let gateway = Gateway::start(&ROUTING.replace("URL", &server.url().replace("disable", "require")));
    is_away_for(&gateway, "write sslmode=disable in `store.url`");
    assert_eq!(server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'mainstay'"), "0");
}

#[test]
fn a_store_that_cannot_be_opened_is_no_start() {
    let directory = TempDir::with_prefix("mainstay-store-").unwrap();
    let file = directory.path().join("routing.yaml");
    let refused = |url: &str| {
        let routing =
            ROUTING.replace("LISTEN", "127.0.0.1:0").replace("ADMIN", "127.0.0.1:0").replace("URL", url);
        std::fs::write(&file, routing).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        let ended = command.args(["serve", "--config"]).arg(&file).output().unwrap();
        assert!(!ended.status.success(), "{url}");
        String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout)
    };
    let nowhere = refused("sqlite:nowhere/ledger.db");
    assert!(
        nowhere.contains("store.url") && nowhere.contains("nowhere/ledger.db cannot be opened"),
        "{nowhere}"
    );
    std::fs::write(
        directory.path().join("notes.txt"),
        "these are notes, and no database at all\n".repeat(99),
    )
    .unwrap();
    let notes = refused("sqlite:notes.txt");
    assert!(notes.contains("notes.txt cannot be opened"), "{notes}");
}
