//! Which of several replicas tells operators of something.

use std::time::Duration;

use mainstay::store::{Store, Telling, Tells};
use mainstay::vocab::AlertKind::{self, Budget, ChannelDown};

use super::both;
use super::model::BEGIN;
use super::postgres::Postgres;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(BEGIN + seconds)
}

/// Whether this is told now by whoever asks, of a subject that began at `since`.
async fn told(store: &Store, kind: AlertKind, tells: Tells, since: u64, now: u64) -> bool {
    let all = [Telling { subject: "upstream a", since: at(since) }];
    let claimed = store.claim_alerts(kind, tells, &all, at(now)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed[0]
}

#[tokio::test]
async fn a_beginning_and_an_end_are_told_by_one_and_another_outage_by_one_again() {
    let server = Postgres::start("alerts in PostgreSQL");
    for held in both(server.as_ref()).await {
        let told = async |tells, since, now| told(&held.store, ChannelDown, tells, since, now).await;
        // Three replicas notice, the last of them when others have told its end already.
        assert!(told(Tells::Begun, 0, 10).await);
        assert!(!told(Tells::Begun, 4, 14).await);
        assert!(!told(Tells::Begun, 600, 610).await, "it has been said that it fires");
        assert!(told(Tells::Over, 4, 700).await);
        assert!(!told(Tells::Over, 0, 703).await && !told(Tells::Begun, 695, 705).await);
        assert!(!told(Tells::Over, 695, 720).await);
        // Another one.
        assert!(told(Tells::Begun, 900, 910).await && !told(Tells::Begun, 901, 911).await);
        // Whoever tells it has died, and an hour later somebody notices for himself.
        assert!(told(Tells::Begun, 5000, 5010).await);
        let four = 4 * 3600;
        assert!(told(Tells::GoesOn, 5000, 5010 + four).await);
        assert!(!told(Tells::GoesOn, 901, 5011 + four).await, "once every four hours");
        // An end of which nobody had told the beginning here: the store was away then.
        assert!(told(Tells::Over, 5000, 5020 + four).await);
        assert!(told(Tells::Over, 6000 + four, 6100 + four).await);
        // Of a budget a replica may know late.
        let of_budget = async |since, now| self::told(&held.store, Budget, Tells::Begun, since, now).await;
        assert!(of_budget(0, 10).await && !of_budget(four, four + 10).await);
        // Whoever sees it go on says so, whatever others have said.
        assert!(told(Tells::GoesOn, 5000, 5010 + 2 * four).await);
    }
}

#[tokio::test]
async fn of_many_at_the_same_moment_each_subject_is_one_replicas() {
    let server = Postgres::start("alerts of many replicas in PostgreSQL");
    for held in both(server.as_ref()).await {
        let subjects: Vec<String> = (0..250).map(|number| format!("{number} {}", "ä".repeat(900))).collect();
        let all: Vec<_> = subjects.iter().map(|subject| Telling { subject, since: at(0) }).collect();
        let store = &held.store;
        let replica = async |order: Vec<Telling<'_>>| {
            let claimed = store.claim_alerts(Budget, Tells::Begun, &order, at(10)).await.unwrap();
            let own = order.iter().zip(claimed).filter(|(_, is_own)| *is_own);
            own.map(|(telling, _)| telling.subject.to_owned()).collect::<Vec<_>>()
        };
        let reversed: Vec<_> = all.iter().copied().rev().collect();
        let (one, two, three) =
            tokio::join!(replica(all.clone()), replica(reversed), replica(all[40..200].to_vec()));
        let mut told = [one, two, three].concat();
        told.sort_unstable();
        let mut expected = subjects.clone();
        expected.sort_unstable();
        assert!(told == expected, "{} of {}", told.len(), expected.len());
        assert!(told_of_another_kind(store, &all).await);
    }
}

async fn told_of_another_kind(store: &Store, all: &[Telling<'_>]) -> bool {
    let claimed = store.claim_alerts(ChannelDown, Tells::Begun, all, at(10)).await.unwrap();
    claimed.into_iter().all(|is_own| is_own)
}
