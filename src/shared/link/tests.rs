//! The link over pipes in memory, with a Redis that does what the test wants, under paused time.

use std::collections::VecDeque;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::telemetry::Metrics;

/// What one connection does. The latest one goes for all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Far {
    Refuses,
    /// Takes everything and says nothing.
    Hole,
    /// Answers so many commands, then falls silent.
    Answers(usize),
    /// Answers so many, then hangs up.
    Leaves(usize),
    /// Answers later than is waited for.
    Late,
    /// Answers each command after 15 ms of the 20 that are waited for.
    Dawdles,
    /// Answers a PING, and everything else with an error.
    Grumbles,
    /// Answers everything but this with an error that says why it cannot serve.
    Unfit(&'static str),
}

async fn serve(mut stream: DuplexStream, far: Far) {
    let mut buffer = [0; 4096];
    let mut answered = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
        for command in text.split("*1\r\n").filter(|command| !command.is_empty()) {
            let good = match far {
                Far::Refuses | Far::Hole => false,
                Far::Answers(most) => answered < most,
                Far::Leaves(most) if answered >= most => return,
                Far::Late => {
                    sleep(LIMIT * 2).await;
                    true
                }
                Far::Dawdles => {
                    sleep(LIMIT * 3 / 4).await;
                    true
                }
                Far::Leaves(_) | Far::Grumbles | Far::Unfit(_) => true,
            };
            answered += 1;
            let answer = match (far, command.contains("PING")) {
                (Far::Grumbles, false) => "-WRONGTYPE not of that kind\r\n".to_owned(),
                (Far::Unfit(why), false) => format!("-{why}\r\n"),
                _ => "+PONG\r\n".to_owned(),
            };
            if good && stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

const LIMIT: Duration = Duration::from_millis(20);

struct Lab {
    link: Arc<Link>,
    metrics: Metrics,
    dialled: Arc<Mutex<u32>>,
    holding: tokio::task::JoinHandle<()>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.holding.abort();
    }
}

impl Lab {
    fn with(script: &[Far]) -> Self {
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
        let metrics = Metrics::new();
        let link = Link::new(settings, SharedHandles::new(&metrics));
        let script: Mutex<VecDeque<Far>> = Mutex::new(script.iter().copied().collect());
        let dialled = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&dialled);
        let dial = move || {
            *counted.lock() += 1;
            let mut script = script.lock();
            let far = if script.len() > 1 { script.pop_front() } else { script.front().copied() };
            async move {
                let far = far.expect("a script says something");
                if far == Far::Refuses {
                    return Err("connection refused".to_owned());
                }
                let (ours, theirs) = duplex(4096);
                tokio::spawn(serve(theirs, far));
                Ok(ours)
            }
        };
        let holding = tokio::spawn(Arc::clone(&link).hold(dial, Dice::seeded(1)));
        Self { link, metrics, dialled, holding }
    }

    /// As one of the questions of a request.
    async fn ask_within(&self, waited: &mut Waited) -> Result<String, Silence> {
        let mut commands = redis::pipe();
        commands.cmd("PING");
        self.link
            .ask_within::<(String,)>(SharedOperation::Take, &commands, waited)
            .await
            .map(|(answer,)| answer)
    }

    async fn ask(&self) -> Result<String, Silence> {
        let mut commands = redis::pipe();
        commands.cmd("TIME");
        let (answer,) = self.link.ask::<(String,)>(SharedOperation::Read, &commands).await?;
        Ok(answer)
    }

    async fn connected(&self) {
        for _ in 0..1000 {
            if self.link.standing() == Standing::Connected {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.link.standing());
    }

    fn count(&self, result: &str) -> u64 {
        let series = format!("mainstay_shared_operations_total{{operation=\"read\",result=\"{result}\"}} ");
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn while_nobody_answers_asking_costs_nothing_and_somebody_knocks_ever_less_often() {
    for far in [Far::Refuses, Far::Hole, Far::Late] {
        let lab = Lab::with(&[far]);
        for _ in 0..600 {
            let begun = now();
            assert_eq!(lab.ask().await, Err(Silence::Away));
            assert_eq!(begun.elapsed(), Duration::ZERO, "{far:?}");
            sleep(Duration::from_millis(100)).await;
        }
        assert!(matches!(lab.link.standing(), Standing::Away { .. }), "{far:?}");
        let dialled = *lab.dialled.lock();
        assert!((10..30).contains(&dialled), "{far:?}: {dialled} in a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn three_late_answers_end_a_connection_and_the_next_one_is_as_good_as_new() {
    // The PING that greets, and two more.
    let lab = Lab::with(&[Far::Answers(3), Far::Answers(usize::MAX)]);
    lab.connected().await;
    assert_eq!(lab.ask().await.as_deref(), Ok("PONG"));
    assert_eq!(lab.ask().await.as_deref(), Ok("PONG"));
    for _ in 0..3 {
        let begun = now();
        assert_eq!(lab.ask().await, Err(Silence::Late));
        assert!(begun.elapsed() <= LIMIT + Duration::from_millis(2), "{:?}", begun.elapsed());
    }
    sleep(Duration::from_millis(1)).await;
    let Standing::Away { why } = lab.link.standing() else { panic!("it is there") };
    assert!(why.contains("3 commands in a row"), "{why}");
    assert_eq!(lab.ask().await, Err(Silence::Away));
    lab.connected().await;
    assert_eq!(lab.ask().await.as_deref(), Ok("PONG"));
    assert_eq!((lab.count("ok"), lab.count("timeout"), *lab.dialled.lock()), (3, 3, 2));
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_noticed_without_anybody_asking() {
    let lab = Lab::with(&[Far::Leaves(1), Far::Refuses]);
    lab.connected().await;
    assert_eq!(lab.ask().await, Err(Silence::Broken));
    sleep(Duration::from_millis(1)).await;
    let Standing::Away { .. } = lab.link.standing() else { panic!("it is there") };
    assert_eq!(lab.count("failed"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_an_answer() {
    let lab = Lab::with(&[Far::Grumbles]);
    lab.connected().await;
    for _ in 0..10 {
        assert!(matches!(lab.ask().await, Err(Silence::Refused(why)) if why.contains("not of that kind")));
    }
    let Standing::Refuses { why } = lab.link.standing() else { panic!("it refuses") };
    assert!(why.contains("not of that kind"), "{why}");
    assert_eq!(lab.count("refused"), 10);
    sleep(RECENT).await;
    assert_eq!(lab.link.standing(), Standing::Connected, "nobody has asked since");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_before_anything_is_written_is_told_from_what_may_be_half_done() {
    for (why, nothing) in [
        ("OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:31.", true),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to", true),
        ("NOREPLICAS Not enough good replicas to write.", true),
        ("BUSY Redis is busy running a script.", true),
        ("READONLY You can't write against a read only replica. script: 1f, on @user_script:31.", true),
        ("WRONGTYPE Operation against a key holding the wrong kind of value script: 1f", false),
        ("NOPERM this user has no permissions to run the 'hset' command", false),
        ("ERR user_script:9: attempt to compare nil with number script: 1f", false),
    ] {
        let lab = Lab::with(&[Far::Unfit(why)]);
        lab.connected().await;
        let silence = lab.ask().await.expect_err(why);
        assert_eq!(silence.wrote_nothing(), nothing, "{why}: {silence:?}");
        assert_eq!(lab.count("refused"), 1, "{why}");
    }
}

/// What a Redis says that is there and of no use: another one is, by the same name.
const UNFIT: [&str; 3] = [
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
];

#[tokio::test(start_paused = true)]
async fn a_redis_that_says_it_is_not_the_one_is_left_and_dialled_anew() {
    for why in UNFIT {
        let lab = Lab::with(&[Far::Unfit(why), Far::Unfit(why), Far::Answers(usize::MAX)]);
        lab.connected().await;
        assert!(lab.ask().await.is_err());
        sleep(Duration::from_millis(1)).await;
        let Standing::Away { why: said } = lab.link.standing() else { panic!("{why}: it stays") };
        let word = why.split(' ').next().expect("a word");
        assert!(said.contains(word), "{said}");
        for _ in 0..1000 {
            if lab.ask().await.is_ok() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(*lab.dialled.lock(), 3, "{why}");
        for answers in 1..SOUND {
            let Standing::Away { why: said } = lab.link.standing() else { panic!("{why}: after {answers}") };
            assert!(said.contains(word), "{said}");
            assert_eq!(lab.ask().await.as_deref(), Ok("PONG"), "used all the same");
        }
        assert_eq!(lab.link.standing(), Standing::Connected, "{why}: it has proven to be one");
        assert_eq!((lab.count("refused"), lab.count("failed")), (2, 0), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_stays_the_wrong_one_is_dialled_ever_less_often() {
    let lab = Lab::with(&[Far::Unfit(UNFIT[0])]);
    for _ in 0..600 {
        assert!(lab.ask().await.is_err());
        sleep(Duration::from_millis(100)).await;
    }
    let dialled = *lab.dialled.lock();
    assert!((10..30).contains(&dialled), "{dialled} in a minute");
    assert!(matches!(lab.link.standing(), Standing::Away { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_before_the_gist_does_not_take_a_refusal_back() {
    let lab = Lab::with(&[Far::Grumbles]);
    lab.connected().await;
    let mut ping = redis::pipe();
    ping.cmd("PING");
    for _ in 0..3 {
        let begun: Result<(String,), Silence> = lab.link.begin(SharedOperation::Read, &ping).await;
        assert!(begun.is_ok());
        assert!(lab.ask().await.is_err());
        assert_eq!(lab.link.refusals.lock().len(), 1, "said already");
    }
    let asked: Result<(String,), Silence> = lab.link.ask(SharedOperation::Read, &ping).await;
    assert!(asked.is_ok() && lab.link.refusals.lock().is_empty());
    assert_eq!(lab.link.standing(), Standing::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_asks_several_times_waits_no_longer_than_one_that_asks_once() {
    let lab = Lab::with(&[Far::Dawdles]);
    sleep(LIMIT).await;
    for _ in 0..SILENCES * 2 {
        let (mut waited, begun) = (Waited::default(), now());
        assert_eq!(lab.ask_within(&mut waited).await.as_deref(), Ok("PONG"));
        assert_eq!(lab.ask_within(&mut waited).await, Err(Silence::Late));
        assert_eq!(begun.elapsed(), LIMIT);
        assert_eq!(lab.ask_within(&mut waited).await, Err(Silence::Away), "no time is left to ask");
        assert_eq!(begun.elapsed(), LIMIT);
        // What nobody waits for any more is answered meanwhile.
        sleep(LIMIT).await;
    }
    assert_eq!((*lab.dialled.lock(), lab.link.standing()), (1, Standing::Connected));
}
