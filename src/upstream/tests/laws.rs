//! P-P01 (a connection is never used again after an error, past its age, or after its pool's end) and
//! P-P02 (never more in use than allowed), over random histories.

use std::collections::HashSet;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;

const MAX_CONNECTIONS: u32 = 3;
const MAX_REQUESTS: u32 = 4;
const MAX_LIFETIME: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Sends a request and holds the response.
    Call(Reuse),
    /// Reads a held response to its end.
    Finish(usize),
    /// Drops a held response.
    Abandon(usize),
    /// Sends a request that the peer answers with broken framing, and reads it.
    Break,
    Pass(u16),
    Sweep,
    CloseIdle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|any| Step::Call(if any { Reuse::Any } else { Reuse::SafeOnly })),
        3 => any::<usize>().prop_map(Step::Finish),
        2 => any::<usize>().prop_map(Step::Abandon),
        1 => Just(Step::Break),
        2 => (0_u16..8_000).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
        1 => Just(Step::CloseIdle),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the peers saw: each connection's birth, and those that must not be used any more.
#[derive(Default)]
struct Seen {
    spoiled: HashSet<usize>,
    violations: Vec<String>,
}

async fn serve_counted(n: usize, mut io: DuplexStream, seen: Arc<Mutex<Seen>>) {
    let born = now();
    let mut requests = 0;
    while let Some(request) = read_request(&mut io).await {
        requests += 1;
        if seen.lock().spoiled.contains(&n) {
            seen.lock().violations.push(format!("{n} was used again after an error"));
        }
        if requests > MAX_REQUESTS || now() - born > MAX_LIFETIME.mul_f64(1.1) {
            seen.lock()
                .violations
                .push(format!("{n} was used after {requests} requests, {:?}", now() - born));
        }
        if request.starts_with("GET /break") {
            seen.lock().spoiled.insert(n);
            // The connection stays open, so that a second use of it would be seen.
            let _ = io.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nbroken").await;
            continue;
        }
        if io.write_all(&answer(&n.to_string())).await.is_err() {
            return;
        }
    }
}

async fn check(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let script = Arc::clone(&seen);
    let peer = Memory::serving(move |n, io| serve_counted(n, io, Arc::clone(&script)));
    let pool = peer.pool(config::Pool {
        max_connections: MAX_CONNECTIONS,
        max_idle: 2,
        max_lifetime: MAX_LIFETIME,
        max_requests: MAX_REQUESTS,
        idle_timeout: 10 * SECOND,
        ..settings()
    });
    let mut held = Vec::new();
    for step in steps {
        match step {
            Step::Call(reuse) => {
                let called = pool.call(get("/"), CallLimits { reuse, ..limits() }).await;
                match called {
                    Ok(response) => held.push(response),
                    Err(error) => {
                        prop_assert_eq!(error.fault, Fault::PoolFull);
                        prop_assert_eq!(held.len(), MAX_CONNECTIONS as usize);
                    }
                }
            }
            Step::Finish(which) if !held.is_empty() => {
                let response = held.swap_remove(which % held.len());
                prop_assert!(response.into_body().collect().await.is_ok());
            }
            Step::Abandon(which) if !held.is_empty() => {
                drop(held.swap_remove(which % held.len()));
            }
            Step::Break if held.len() < MAX_CONNECTIONS as usize => {
                let response = pool.call(get("/break"), limits()).await.expect("a head");
                prop_assert!(response.into_body().collect().await.is_err());
            }
            Step::Finish(_) | Step::Abandon(_) | Step::Break => {}
            Step::Pass(millis) => tokio::time::sleep(Duration::from_millis(millis.into())).await,
            Step::Sweep => pool.sweep(),
            Step::CloseIdle => pool.close_idle(),
        }
        let counts = pool.counts();
        prop_assert_eq!(counts.in_use, held.len());
        prop_assert!(
            counts.idle <= 2 && counts.idle + counts.in_use <= MAX_CONNECTIONS as usize,
            "{:?}",
            counts
        );
    }
    let dials = peer.dials();
    pool.retire();
    let held_at_the_end = held.len();
    for response in held {
        prop_assert!(response.into_body().collect().await.is_ok());
    }
    prop_assert_eq!(pool.counts(), PoolCounts::default());
    ask(&pool, "/").await;
    prop_assert_eq!(peer.dials(), dials + 1, "{} were held", held_at_the_end);
    prop_assert_eq!(pool.counts(), PoolCounts::default());
    let violations = std::mem::take(&mut seen.lock().violations);
    prop_assert!(violations.is_empty(), "{violations:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn connections_keep_their_laws(steps in steps()) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check(steps))?;
    }
}
