//! A Redis that falls silent, dawdles or is cut off at any moment, in controlled time: what a request waits for it is
//! known to the millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use http::StatusCode;
use mainstay::algo::dice::Dice;
use mainstay::config;
use mainstay::shared::{Link, Standing, Tallies};
use mainstay::telemetry::SharedHandles;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex,
};
use tokio::time::sleep;

use crate::lab::{Ask, Lab};

const YAML: &str = "
version: 1
upstreams: {a: {provider: simulated, simulated: {ttft: 3ms, pace: 0ms, words: 2}}}
routes:
  - {model: demo, limits: {rpm: 100000, tpm: 100000000}, channels: [{upstream: a}]}
  - {model: free, channels: [{upstream: a}]}
";

/// What `server.redis.timeout` is by default.
const LIMIT: Duration = Duration::from_millis(20);
const AGE: &str = "an-age";
/// Of an answer that is [`Far::Silent`]: never, as far as anybody waits.
const NEVER: u64 = u64::MAX;

/// A Redis that grants everything, after so many milliseconds; it shares no script with a real one.
async fn serve(stream: DuplexStream, late: Arc<AtomicU64>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let words = read(&mut stream).await?;
        match late.load(SeqCst) {
            NEVER => std::future::pending().await,
            late => sleep(Duration::from_millis(late)).await,
        }
        let number =
            |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
        let arguments = words.get(3 + number(2)..).unwrap_or_default();
        let answer = if words[0] != "EVALSHA" {
            "+PONG\r\n".to_owned()
        } else if arguments.len() == 4 {
            format!("*3\r\n:1000000\r\n:1\r\n${}\r\n{AGE}\r\n", AGE.len())
        } else if arguments.get(1).is_some_and(|word| word == AGE) {
            ":1\r\n".to_owned()
        } else {
            // A word of when it is, and for each row what is used and that nothing is to be waited for.
            let rows = number(2) - 2;
            format!("*{}\r\n:1000000\r\n{}", 1 + 2 * rows, ":1\r\n:0\r\n".repeat(rows))
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// A command and its words.
async fn read(stream: &mut BufReader<DuplexStream>) -> std::io::Result<Vec<String>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let count = line.trim_start_matches('*').trim().parse::<usize>();
    let mut words = Vec::new();
    for _ in 0..count.map_err(|_| std::io::ErrorKind::UnexpectedEof)? {
        line.clear();
        stream.read_line(&mut line).await?;
        let length = line.trim_start_matches('$').trim().parse::<usize>();
        let mut word = vec![0; length.map_err(|_| std::io::ErrorKind::InvalidData)? + 2];
        stream.read_exact(&mut word).await?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    Ok(words)
}

async fn comes_to(link: &Link, connected: bool) {
    for _ in 0..1_000 {
        if (link.standing() == Standing::Connected) == connected {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", link.standing());
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_longer_for_redis_than_its_time_limit_whatever_befalls_it() {
    let lab = Lab::start(YAML);
    let settings = config::Redis {
        tls: false,
        host: "far".into(),
        port: 1,
        database: 0,
        username: None,
        password: None,
        ca_file: None,
        prefix: "x".to_owned(),
        timeout: LIMIT,
        poll: Duration::from_secs(1),
        replicas: 1,
    };
    let link = Link::new(settings, SharedHandles::new(&lab.gateway.live.metrics));
    let late = Arc::new(AtomicU64::new(0));
    let far = Arc::clone(&late);
    let dial = move || {
        let (ours, theirs) = duplex(64 * 1024);
        tokio::spawn(serve(theirs, Arc::clone(&far)));
        std::future::ready(Ok(ours))
    };
    let holding = tokio::spawn(Arc::clone(&link).hold(dial, Dice::seeded(1)));
    comes_to(&link, true).await;
    lab.gateway.limiter.share(Tallies::new(Arc::clone(&link), 1));
    let following = tokio::spawn(Arc::clone(&lab.gateway.limiter).follow());

    let took = async |model: &str| {
        let answer = lab.send(&Ask::chat(model)).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.took
    };
    let free = took("free").await;
    let alone = || lab.metric("mainstay_limits_alone_total");
    // Silent from one moment to the next; late, but within the limit; later than that; and well in between.
    for delay in [0, NEVER, 15, NEVER, 0, 25, 100, 15, 1_000, NEVER, 0] {
        late.store(delay, SeqCst);
        let before = alone();
        let mut longest = Duration::ZERO;
        for round in 0..300_u64 {
            longest = longest.max(took("demo").await.saturating_sub(free));
            sleep(Duration::from_millis(1 + round % 17)).await;
        }
        assert!(longest <= LIMIT + Duration::from_millis(1), "{delay} ms late: {longest:?}");
        if delay > 20 {
            comes_to(&link, false).await;
            assert!(alone() >= before + 100.0, "{delay} ms late: {}", alone() - before);
            // Whoever comes now does not wait at all.
            assert_eq!(took("demo").await, free, "{delay} ms late");
            assert_eq!(lab.metric("mainstay_shared_connected"), 0.0, "{delay} ms late");
        } else {
            comes_to(&link, true).await;
            assert_eq!(lab.metric("mainstay_shared_connected"), 1.0, "{delay} ms late");
        }
    }
    lab.assert_quiet().await;
    following.abort();
    holding.abort();
}
