//! The board by itself, between two links to one Redis.

use std::sync::Arc;
use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::config;
use mainstay::shared::{Board, Entry, Link, MOST, Silence, Standing};
use mainstay::telemetry::{Metrics, SharedHandles};
use tokio::net::TcpStream;

use super::redis::Redis;
use crate::process::wait_for;

fn link(redis: &Redis) -> Arc<Link> {
    let settings = config::Redis {
        tls: false,
        host: "127.0.0.1".into(),
        port: redis.address.port(),
        database: 0,
        username: None,
        password: None,
        ca_file: None,
        prefix: "it".to_owned(),
        timeout: Duration::from_secs(10),
        poll: Duration::from_secs(1),
        replicas: 1,
    };
    Link::new(settings, SharedHandles::new(&Metrics::new()))
}

fn note(text: &str, secs: u64) -> Entry {
    Entry { text: text.to_owned(), left: Duration::from_secs(secs) }
}

/// These are the texts, in their order, and none has more seconds left than this, or ten fewer: some go by meanwhile.
fn are(entries: &[Entry], wanted: &[(&str, u64)]) {
    let texts: Vec<_> = entries.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(texts, wanted.iter().map(|(text, _)| *text).collect::<Vec<_>>());
    for (entry, (_, secs)) in entries.iter().zip(wanted) {
        let most = Duration::from_secs(*secs);
        let is_near = entry.left <= most && most <= entry.left + Duration::from_secs(10);
        assert!(is_near, "{entry:?}, and not {most:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_are_for_all_to_read_until_the_latest_end_that_was_said() {
    let Some(mut redis) = Redis::start("the board") else { return };
    let link = link(&redis);
    let board = |version| Board::new(Arc::clone(&link), "notes", version);
    let (ours, theirs) = (board(1), board(1));
    assert_eq!(ours.read().await, Err(Silence::Away), "nobody holds the link yet");
    let address = redis.address;
    let dial = move || async move { TcpStream::connect(address).await.map_err(|error| error.to_string()) };
    let holding = tokio::spawn(Arc::clone(&link).hold(dial, Dice::seeded(1)));
    let here = || (link.standing() == Standing::Connected).then_some(());
    assert!(wait_for(30, here).is_some(), "{:?}", link.standing());

    ours.post(&[note("a", 100), note("b", 50)], &[]).await.unwrap();
    theirs.post(&[note("a", 20), note("b", 70), note("long", 1_000_000)], &[]).await.unwrap();
    let read = ours.read().await.unwrap();
    are(&read, &[("long", 28 * 3600), ("a", 100), ("b", 70)]);
    ours.post(&[], &["long".to_owned(), "never there".to_owned()]).await.unwrap();
    are(&theirs.read().await.unwrap(), &[("a", 100), ("b", 70)]);
    assert_eq!(board(2).read().await.unwrap(), [], "another version, another board");

    ours.post(&[Entry { text: "short".to_owned(), left: Duration::from_millis(1) }], &[]).await.unwrap();
    // Every round trip takes time, and a millisecond is soon over.
    let mut left = ours.read().await.unwrap();
    for _ in 0..1000 {
        if left.len() == 2 {
            break;
        }
        left = ours.read().await.unwrap();
    }
    are(&left, &[("a", 100), ("b", 70)]);

    let many: Vec<Entry> = (0..u64::from(MOST) + 10).map(|n| note(&format!("n{n}"), 200 + n)).collect();
    for some in many.chunks(256) {
        ours.post(some, &[]).await.unwrap();
    }
    let read = theirs.read().await.unwrap();
    assert_eq!((read.len(), read[0].text.as_str()), (MOST as usize, format!("n{}", MOST + 9).as_str()));
    assert!(read.iter().all(|entry| entry.text != "a"), "who ends first goes first");

    redis.kill();
    let away = || (link.standing() != Standing::Connected).then_some(());
    assert!(wait_for(30, away).is_some());
    assert_eq!(ours.read().await, Err(Silence::Away));
    redis.run();
    assert!(wait_for(30, here).is_some(), "{:?}", link.standing());
    assert_eq!(ours.read().await.unwrap(), []);
    holding.abort();
}
