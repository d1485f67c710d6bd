//! Tests of access logs as workloads.

use super::*;

const WELL: &str = r#"{"timestamp":"2026-11-21T08:00:02.500000Z","level":"DEBUG","message":"request","request":"req_1","key":"shop","dialect":"anthropic","route":"claude-*","model":"claude-sonnet-4-6","stream":true,"priority":"sheddable","channel":"near/claude-sonnet-4-6","outcome":"ok","attempts":1,"millis":2500.0,"first_byte":700.0,"input":1200,"output":60,"target":"mainstay::request"}"#;

fn line(outcome: &str, at: &str, millis: u64, more: &str) -> String {
    format!(
        r#"{{"timestamp":"{at}","level":"INFO","message":"request","dialect":"openai","route":"demo","model":"demo","stream":false,"channel":"","outcome":"{outcome}","attempts":1,"millis":{millis}{more},"target":"mainstay::request"}}"#
    )
}

fn log(lines: &[String]) -> AccessLog {
    AccessLog::read(lines.join("\n").as_bytes()).expect("memory can be read")
}

const ALL: Cut = Cut { from: None, to: None, speed: 1.0, scale: 1.0, until: None };

#[test]
fn a_line_tells_when_somebody_came_and_what_for() {
    let log = log(&[WELL.to_owned()]);
    let [request] = log.requests.as_slice() else { panic!("{log:?}") };
    assert_eq!(request.at, Duration::from_hours(498_680), "it is written when the request ends");
    let Call { target, dialect, delivery, prompt_tokens, answer_tokens, key, priority, .. } = &request.call;
    assert_eq!(*target, Target::Model("claude-sonnet-4-6".to_owned()), "as the caller named it");
    assert_eq!((*dialect, *delivery), (Some(Dialect::Anthropic), Delivery::Stream));
    assert_eq!((*prompt_tokens, *answer_tokens, key.as_deref()), (1200, 60, Some("shop")));
    assert_eq!(*priority, Some(crate::vocab::Priority::Sheddable));
    assert_eq!(request.first_byte, Some(Duration::from_millis(700)));
}

#[test]
fn lines_that_cannot_be_read_are_counted_and_others_passed_over() {
    let log = log(&[
        r#"{"timestamp":"2026-11-21T08:00:00Z","level":"INFO","message":"serving","target":"mainstay::server"}"#.to_owned(),
        String::new(),
        "mainstay 0.1.0 serves routing.yaml".to_owned(),
        WELL.to_owned(),
        "thread 'main' panicked".to_owned(),
        line("ok", "yesterday", 1, ""),
        line("fine", "2026-11-21T08:00:00Z", 1, ""),
    ]);
    assert_eq!((log.requests.len(), log.unread), (1, 3));
    assert_eq!(log.first_unread.map(|(number, _)| number), Some(5));
    for (text, expected) in [
        (line("ok", "yesterday", 1, ""), "is no time"),
        (WELL.replace("\"millis\"", "\"m\""), "`millis` is missing"),
    ] {
        let why = request(text.as_bytes()).expect_err("it is no good line");
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_log_is_told_from_a_workload_by_its_lines() {
    assert!(AccessLog::begins_like_one(&format!("mainstay 0.1.0 serves routing.yaml\n{WELL}\n")));
    for other in ["", "mix: [{model: demo}]", "{mix: [{model: demo}]}", "{\"mix\": []}", "not a log"] {
        assert!(!AccessLog::begins_like_one(other), "{other}");
    }
}

#[test]
fn requests_come_at_their_own_times_faster_more_often_and_again() {
    // They end in another order than they came.
    let log = log(&[
        line("ok", "2026-11-21T08:00:10Z", 0, ",\"output\":10"),
        line("client_fault", "2026-11-21T08:00:20Z", 0, ""),
        line("cancelled", "2026-11-21T08:00:24Z", 9000, ""),
        line("failed", "2026-11-21T08:00:30Z", 0, ""),
    ]);
    let times = |cut: Cut| {
        let replay = log.replay(&cut).expect("there are requests");
        let times =
            replay.workload.schedule.iter().map(|arrival| arrival.at.as_secs_f64()).collect::<Vec<_>>();
        (times, replay.lasts.as_secs_f64())
    };
    let (all, lasts) = times(ALL);
    assert_eq!(all, [0.0, 5.0, 10.0, 20.0]);
    assert!((lasts - 26.667).abs() < 0.001, "{lasts}: the usual gap is behind the last one, too");
    assert_eq!(times(Cut { speed: 2.0, ..ALL }).0, [0.0, 2.5, 5.0, 10.0]);
    assert_eq!(times(Cut { scale: 2.0, ..ALL }).0, [0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 20.0]);
    assert_eq!(times(Cut { scale: 0.5, ..ALL }).0, [5.0, 20.0]);
    let some = Cut { from: "5s".parse().ok(), to: "2026-11-21T08:00:30Z".parse().ok(), ..ALL };
    assert_eq!(times(some), (vec![0.0, 5.0], 15.0));
    let again = Cut { until: Some(Duration::from_secs(30)), ..some };
    assert_eq!(times(again), (vec![0.0, 5.0, 15.0, 20.0], 30.0));
    let replay = log.replay(&ALL).expect("there are requests");
    assert_eq!(replay.success, Some(2.0 / 3.0), "a mistake is the caller's, and who hung up had his reasons");
    let callers: Vec<Caller> = replay.workload.mix.iter().map(|call| call.caller).collect();
    let leaves = Caller::Leaves { after: Duration::from_secs(9) };
    assert_eq!(callers, [Caller::Usual, leaves, Caller::Mistaken, Caller::Usual]);
    assert!(
        replay.workload.mix.iter().all(|call| call.answer_tokens == 10),
        "as long as those that are known"
    );
}

#[test]
fn a_log_without_requests_says_how_to_have_some() {
    let none = log(&[]).replay(&ALL).expect_err("there is nothing in it");
    assert!(none.contains("mainstay::request=info"), "{none}");
    let late = Cut { from: "2027-01-01T00:00:00Z".parse().ok(), ..ALL };
    assert!(log(&[WELL.to_owned()]).replay(&late).is_err_and(|why| why.contains("between --from and --to")));
    assert!("tomorrow".parse::<Moment>().is_err_and(|why| why.contains("as in 10m")));
}

#[test]
fn too_many_requests_are_refused_before_any_is_made() {
    let second =
        |second: u32| line("ok", &format!("2026-11-21T08:{:02}:{:02}Z", second / 60, second % 60), 0, "");
    let log = log(&(0..600).map(second).collect::<Vec<_>>());
    let hours = |hours| Some(Duration::from_hours(hours));
    let refused = |cut: Cut| log.replay(&cut).expect_err("they are too many");
    // Their number is that of all repetitions, so it was known before the first one.
    let much = refused(Cut { scale: 1000.0, until: hours(10), ..ALL });
    assert!(much.contains("these would be 36000000 requests") && much.contains("--scale"), "{much}");
    let fast = refused(Cut { speed: 1000.0, until: hours(10), ..ALL });
    assert!(fast.contains("these would be 36000000 requests") && fast.contains("--speed"), "{fast}");
    let none = refused(Cut { scale: 0.001, until: hours(10), ..ALL });
    assert!(none.contains("--scale 0.001 leaves none of its 600 requests"), "{none}");
}

proptest::proptest! {
    #[test]
    fn as_many_requests_come_as_were_counted_beforehand(
        gaps in proptest::collection::vec(0_u64..5, 1..40),
        scale in 0.1_f64..5.0,
        speed in 0.1_f64..5.0,
        rounds in proptest::option::of(0.1_f64..4.0),
    ) {
        let mut at = 0;
        let lines = gaps.iter().map(|gap| {
            at += gap;
            line("ok", &format!("2026-11-21T08:{:02}:{:02}Z", at / 60, at % 60), 0, "")
        });
        let log = log(&lines.collect::<Vec<_>>());
        let once = Cut { speed, ..ALL };
        let until = rounds.map(|rounds| log.replay(&once).expect("there are requests").lasts.mul_f64(rounds));
        match log.replay(&Cut { scale, until, ..once }) {
            Ok(replay) => {
                let each = (gaps.len() as f64 * scale) as usize;
                let rounds = rounds.map_or(1.0, f64::ceil) as usize;
                proptest::prop_assert_eq!(replay.workload.schedule.len(), each * rounds);
            }
            Err(why) => proptest::prop_assert!((gaps.len() as f64 * scale) < 1.0, "{}", why),
        }
    }
}
