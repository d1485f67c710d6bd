//! Managed keys and the audit trail.

use std::sync::Arc;
use std::time::Duration;

use mainstay::access::{Desk, Managed};
use mainstay::store::rows::RowId;
use mainstay::store::{AuditRow, Digest, Error, KeyRow};
use mainstay::vocab::Secret;

use super::postgres::Postgres;
use super::{Held, both};

fn key(number: u8, name: &str) -> KeyRow {
    KeyRow {
        id: RowId(number.into()),
        name: name.into(),
        prefix: "ms-abcdefgh".to_owned(),
        organisation: Some("acme".into()),
        team: Some("growth".into()),
        user: None,
        terms: r#"{"allow":{"models":["gpt-*"]}}"#.to_owned(),
        disabled_at: None,
        expires_at: Some(9_000_000),
        deleted_at: None,
        created_at: 1_000_000,
        created_by: "admin".to_owned(),
        version: 0,
        digests: vec![digest(number, 0)],
    }
}

fn digest(byte: u8, from: i64) -> Digest {
    Digest { hash: [byte; 32], valid_from: from, valid_to: None }
}

#[tokio::test]
async fn keys_are_made_changed_and_followed_by_number() {
    let server = Postgres::start("managed keys in PostgreSQL");
    for held in both(server.as_ref()).await {
        let store = &held.store;
        assert_eq!(store.insert_key(&key(1, "shop")).await, Ok(1));
        assert_eq!(store.insert_key(&key(2, "bot")).await, Ok(2));
        // A name that is taken, and an id that is: neither counts as a change.
        assert_eq!(store.insert_key(&key(3, "shop")).await, Err(Error::Taken));
        assert_eq!(store.insert_key(&key(1, "other")).await, Err(Error::Taken));
        let listed = store.list_keys().await.unwrap();
        assert_eq!(listed, [KeyRow { version: 2, ..key(2, "bot") }, KeyRow { version: 1, ..key(1, "shop") }]);

        // Two that read the same: the first to write wins.
        let [mut one, mut two] = [listed[1].clone(), listed[1].clone()];
        one.disabled_at = Some(5);
        two.terms = "{}".to_owned();
        assert_eq!(store.update_key(&one).await, Ok(3));
        assert_eq!(store.update_key(&two).await, Err(Error::Changed));
        let renamed = KeyRow { name: "bot".into(), version: 3, ..one.clone() };
        assert_eq!(store.update_key(&renamed).await, Err(Error::Taken));

        // Two secrets, the old one for a while.
        let old = Digest { valid_to: Some(77), ..digest(1, 0) };
        let both = [old, digest(9, 50)];
        let rotated = store.replace_digests(RowId(1), 3, "ms-ijklmnop", &both).await;
        assert_eq!(rotated, Ok(4));
        assert_eq!(store.replace_digests(RowId(1), 3, "ms-x", &both).await, Err(Error::Changed));
        let since = store.keys_from(3).await.unwrap();
        let wanted = KeyRow { version: 4, prefix: "ms-ijklmnop".to_owned(), digests: both.to_vec(), ..one };
        assert_eq!(since, std::slice::from_ref(&wanted));

        // One that is deleted is listed no more, is told of, and leaves its name.
        let deleted = KeyRow { deleted_at: Some(6), ..wanted };
        assert_eq!(store.update_key(&deleted).await, Ok(5));
        assert_eq!(store.list_keys().await.unwrap().len(), 1);
        assert_eq!(store.keys_from(5).await.unwrap(), [KeyRow { version: 5, ..deleted }]);
        assert_eq!(store.replace_digests(RowId(1), 5, "ms-x", &both).await, Err(Error::Changed));
        assert_eq!(store.insert_key(&key(4, "shop")).await, Ok(6));
        assert_eq!(store.keys_from(7).await.unwrap(), []);
        assert!(!format!("{:?}", store.list_keys().await).contains("9, 9"), "digests are shown to nobody");
    }
}

#[tokio::test]
async fn two_replicas_that_change_keys_at_once_lose_no_change() {
    let Some(server) = Postgres::start("two replicas that change keys") else { return };
    // Both make the tables, whoever comes first.
    let [one, other] = [Held::postgres(&server), Held::postgres(&server)];
    let (one, other) = tokio::join!(one.ready(), other.ready());
    let changes = |held: &Held, first: u8| {
        let store = Arc::clone(&held.store);
        tokio::spawn(async move {
            let mut numbers = Vec::new();
            for number in first..first + 20 {
                numbers.push(store.insert_key(&key(number, &format!("key-{number}"))).await.unwrap());
            }
            numbers
        })
    };
    let (some, others) = tokio::join!(changes(&one, 1), changes(&other, 101));
    let mut numbers: Vec<i64> = some.unwrap().into_iter().chain(others.unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    let versions: Vec<i64> = one.store.keys_from(0).await.unwrap().iter().map(|key| key.version).collect();
    assert_eq!(versions, numbers);
}

#[tokio::test]
async fn the_audit_trail_is_read_from_its_end() {
    let server = Postgres::start("the audit trail in PostgreSQL");
    for held in both(server.as_ref()).await {
        let store = &held.store;
        let row = |number: u32| AuditRow {
            id: RowId(number.into()),
            at_micros: number.into(),
            actor: "ann".to_owned(),
            action: "key.create".to_owned(),
            subject: format!("key-{number}"),
            detail: "{\"note\":\"it's \\u0000 \"}".to_owned(),
        };
        for number in 1..=5 {
            store.append_audit(&row(number)).await.unwrap();
        }
        assert_eq!(store.audit(None, 2).await.unwrap(), [row(5), row(4)]);
        assert_eq!(store.audit(Some(RowId(4)), 9).await.unwrap(), [row(3), row(2), row(1)]);
        assert!(store.append_audit(&row(3)).await.is_err(), "nothing is written over");
        assert_eq!(store.audit(None, 9).await.unwrap().len(), 5);
    }
}

#[tokio::test]
async fn the_keys_of_an_older_copy_are_those_that_it_has() {
    for (held, copy) in both(None).await.into_iter().zip(both(None).await) {
        let managed = Managed::new(&Secret::new("what-hashes-are-made-with"));
        let names = || managed.rows().iter().map(|row| row.name.to_string()).collect::<Vec<_>>();
        for number in 1..=3 {
            held.store.insert_key(&key(number, &format!("key-{number}"))).await.unwrap();
        }
        copy.store.insert_key(&key(1, "key-1")).await.unwrap();
        let [live, restored] =
            [&held, &copy].map(|held| Desk::new(Arc::clone(&held.store), Arc::clone(&managed)));
        live.look(Duration::ZERO).await.unwrap();
        live.look(Duration::ZERO).await.unwrap();
        assert_eq!(names(), ["key-1", "key-2", "key-3"]);
        // A backup was put in its place, and goes on from there: its numbers are used a second time.
        restored.look(Duration::ZERO).await.unwrap();
        assert_eq!(names(), ["key-1"]);
        copy.store.insert_key(&key(7, "key-7")).await.unwrap();
        restored.look(Duration::ZERO).await.unwrap();
        assert_eq!(names(), ["key-1", "key-7"]);
    }
}
