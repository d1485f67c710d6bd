//! Configurations that operators put into a real file, in a process without sockets of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::super::builtin::Simulating;
use super::super::host::Host;
use super::super::loader::Loader;
use super::super::testing::{Bench, FILE, NoWorld};
use super::*;
use crate::admin::Running as _;
use crate::config::Severity;
use crate::config::changes::{Changes, Names};
use crate::state::Live;
use crate::upstream::TcpDial;

const SECRET: &str = "a-literal-credential";

struct Desk {
    host: Arc<Host>,
    path: PathBuf,
    directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let text = FILE.replace("server: {", "server: {state_file: state.json, ");
        let text = text.replace(
            "b: {provider: simulated}",
            &format!("b: {{provider: simulated, credentials: [{SECRET}]}}"),
        );
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("routing.yaml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        Self { host: started(&path), path, directory }
    }

    fn editing(&self) -> Arc<dyn Editing> {
        self.host.editing()
    }

    /// What operators see.
    fn shown(&self) -> Written {
        self.editing().written()
    }

    fn file(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    async fn put(&self, text: String, expected: Option<&str>) -> Result<Reloaded, NotTaken> {
        self.editing().put(text, expected, "somebody").await
    }
}

fn started(path: &Path) -> Arc<Host> {
    let loader = Arc::new(Loader::new(Source::File(path.to_owned()), Arc::new(NoWorld)));
    let draft = loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
    Host::start(Arc::new(Live::seeded(1)), loader, draft, Arc::new(TcpDial), Simulating::Here)
        .expect("a host")
}

/// With another weight.
fn edited(text: &str, weight: u32) -> String {
    let edited = text.replace(
        "[{upstream: a}, {upstream: b",
        &format!("[{{upstream: a, weight: {weight}}}, {{upstream: b"),
    );
    assert_ne!(edited, text);
    edited
}

#[tokio::test]
async fn what_is_put_is_in_the_file_and_in_force_with_the_secrets_that_nobody_was_shown() {
    let desk = Desk::new();
    let shown = desk.shown();
    assert!(!shown.text.contains(SECRET) && shown.text.contains("REDACTED-"), "{}", shown.text);
    assert!(shown.is_file && shown.refused.is_none());
    let put = desk.put(edited(&shown.text, 7), Some(&shown.revision)).await.expect("it is good");
    let after = desk.shown();
    assert_eq!(put, Reloaded::Applied { revision: after.revision.clone() });
    assert!(desk.file().contains(SECRET) && desk.file().contains("weight: 7"), "{}", desk.file());
    assert_eq!(std::fs::metadata(&desk.path).unwrap().permissions().mode() & 0o777, 0o640);
    let table = desk.host.table();
    assert_eq!(
        (table.revision.clone(), table.routes[0].channels[0].config.weight),
        (after.revision.clone(), 7)
    );
    // Nobody finds a change in the file that has been made here, and what is there already is put by nobody.
    let unchanged = Ok(Reloaded::Unchanged { revision: after.revision.clone() });
    assert_eq!(desk.host.reloader.reload(Cause::Watch).await, unchanged);
    assert_eq!(desk.put(after.text, None).await, Ok(Reloaded::Unchanged { revision: after.revision }));
    let history = desk.editing().history();
    let by: Vec<_> = history.iter().map(|past| (&*past.by, past.is_current)).collect();
    assert_eq!(by, [("gateway: start", false), ("somebody", true)]);
}

#[tokio::test]
async fn nobody_writes_over_what_he_has_not_seen() {
    let desk = Desk::new();
    let shown = desk.shown();
    let theirs = edited(&desk.file(), 3);
    std::fs::write(&desk.path, &theirs).unwrap();
    let ours = edited(&shown.text, 7);
    let stale = desk.put(ours.clone(), Some(&shown.revision)).await;
    let revision = desk.shown().revision;
    assert_ne!(revision, shown.revision, "theirs is in force by now");
    assert_eq!(stale, Err(NotTaken::Stale { revision: revision.clone() }));
    assert_eq!(desk.file(), theirs);
    assert!(desk.put(ours, Some(&revision)).await.is_ok());
}

#[tokio::test]
async fn a_file_that_nobody_can_use_can_be_put_right() {
    let desk = Desk::new();
    std::fs::write(&desk.path, "version: 1\nroutse: []\n").unwrap();
    assert!(desk.host.reloader.reload(Cause::Watch).await.is_err());
    let shown = desk.shown();
    assert!(shown.refused.as_ref().is_some_and(|why| why.contains("routse")), "{:?}", shown.refused);
    desk.put(shown.text, Some(&shown.revision)).await.expect("it is in force");
    assert!(desk.file().contains(SECRET));
    assert!(desk.host.reloader.reload(Cause::Watch).await.is_ok());
    assert_eq!(desk.shown().refused, None);
}

#[tokio::test]
async fn what_is_wrong_changes_nothing_and_is_said_with_its_place() {
    let desk = Desk::new();
    let (before, shown) = (desk.file(), desk.shown());
    let wrong = shown.text.replace("{upstream: b}", "{upstream: bb}");
    let line = wrong.lines().position(|line| line.contains("bb")).unwrap() + 1;
    for problems in [
        desk.editing().check(wrong.clone()).await.expect_err("it is wrong"),
        desk.editing().compare(wrong.clone()).await.expect_err("it is wrong"),
        match desk.put(wrong.clone(), None).await {
            Err(NotTaken::Problems(problems)) => problems,
            other => panic!("{other:?}"),
        },
    ] {
        assert!(problems.iter().any(|problem| problem.line == line), "{problems:?}");
        assert!(!format!("{problems:?}").contains(SECRET), "{problems:?}");
    }
    let unknown = desk.put(shown.text.replace("REDACTED-", "REDACTED-000000000000"), None).await;
    let Err(NotTaken::Problems(problems)) = unknown else { panic!("{unknown:?}") };
    assert!(problems[0].message.contains("stands for no secret"), "{problems:?}");
    assert_eq!((desk.file(), desk.shown().revision), (before, shown.revision));
    let warnings = desk.editing().check(shown.text).await.expect("it is good");
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning), "{warnings:?}");
}

#[tokio::test]
async fn a_comparison_says_what_would_be_otherwise_and_shows_no_secret() {
    let desk = Desk::new();
    let shown = desk.shown();
    let other = edited(&shown.text, 7).replace("pre_stop_delay: 5s", "pre_stop_delay: 6s")
        + "  - {model: new, channels: [{upstream: b}]}\n";
    let other = other.lines().map(|line| {
        if line.contains("credentials") {
            line.replace("REDACTED-", "a-new-secret-")
        } else {
            line.to_owned()
        }
    });
    let other: String = other.map(|line| line + "\n").collect();
    let compared = desk.editing().compare(other).await.expect("it is good");
    assert_eq!(compared.revision, shown.revision);
    let names = |added: &[&str], changed: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { added: owned(added), removed: Vec::new(), changed: owned(changed) }
    };
    let (routes, upstreams) = (names(&["new"], &["demo"]), names(&[], &["b"]));
    let expected = Changes { routes, upstreams, sections: vec!["server"], ..Changes::default() };
    assert_eq!(compared.changes, expected);
    assert!(
        compared.unified.contains("+  - {model: new") && compared.unified.contains("-server: "),
        "{}",
        compared.unified
    );
    assert!(
        !compared.unified.contains(SECRET) && !compared.unified.contains("a-new-secret"),
        "{}",
        compared.unified
    );
    let same = desk.editing().compare(shown.text).await.expect("it is good");
    assert!(same.changes.is_empty() && same.unified.is_empty(), "{same:?}");
}

#[tokio::test]
async fn an_earlier_one_is_put_in_force_again_after_a_restart_too() {
    let desk = Desk::new();
    let first = desk.shown();
    let before = desk.file();
    desk.put(edited(&first.text, 7), None).await.expect("it is good");
    let second = desk.shown().revision;
    assert_eq!(desk.editing().roll_back("000000000000", None, "somebody").await, Err(NotTaken::Unknown));
    let stale = desk.editing().roll_back(&first.revision, Some(&first.revision), "somebody").await;
    assert_eq!(stale, Err(NotTaken::Stale { revision: second.clone() }));
    let back = desk.editing().roll_back(&first.revision, Some(&second), "somebody").await;
    assert_eq!(back, Ok(Reloaded::Applied { revision: first.revision.clone() }));
    assert_eq!(desk.file(), before);

    let next = started(&desk.path);
    let kept: Vec<_> = next.editing().history().into_iter().map(|past| past.revision).collect();
    assert_eq!(kept, [&*first.revision, &*second, &*first.revision]);
    let on = next.editing().roll_back(&second, None, "somebody").await;
    assert_eq!(on, Ok(Reloaded::Applied { revision: second }));
    assert!(desk.file().contains("weight: 7") && desk.file().contains(SECRET));
    let kept = std::fs::read_to_string(desk.directory.path().join("state.json.history")).unwrap();
    assert!(!kept.contains(SECRET), "{kept}");
}

#[tokio::test]
async fn what_cannot_be_written_leaves_everything_as_it_was() {
    let desk = Desk::new();
    let (before, shown) = (desk.file(), desk.shown());
    std::fs::create_dir(desk.directory.path().join("routing.yaml.mainstay-new")).unwrap();
    let refused = desk.put(edited(&shown.text, 7), None).await;
    assert!(
        matches!(&refused, Err(NotTaken::Unwritable(why)) if why.contains("routing.yaml")),
        "{refused:?}"
    );
    assert_eq!((desk.file(), desk.shown().revision), (before, shown.revision));
    let bench = Bench::start(FILE);
    let written = bench.host.editing().written();
    assert!(!written.is_file);
    let refused = bench.host.editing().put(edited(&written.text, 7), None, "somebody").await;
    assert!(matches!(&refused, Err(NotTaken::Unwritable(why)) if why.contains("--config")), "{refused:?}");
}
