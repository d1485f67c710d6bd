//! Three upstreams with faults all the while, and streams that survive them.

use std::sync::Arc;

use http::StatusCode;
use mainstay::algo::dice::Dice;
use mainstay::simulated::{Fault, How, InBand, Rule, oracle};

use super::{after, secs};
use crate::lab::{Ask, End, Lab, send, strict};

/// Printed with every failure; the run repeats from it.
const SEED: u64 = 0x5eed_2026;
const LASTING: u64 = 240;

/// Faults last for three seconds here, and so breakers stay open for about a tenth of their defaults: with those, two
/// upstreams that are well again would still be left alone while the third refuses.
const YAML: &str = "
version: 1
upstreams:
  a: {provider: simulated, dialect: openai, simulated: {words: 120, pace: 20ms}}
  b: {provider: simulated, dialect: anthropic, simulated: {words: 120, pace: 20ms}}
  c: {provider: simulated, dialect: gemini, simulated: {words: 120, pace: 20ms}}
defaults:
  timeouts: {idle: 2s}
  breaker: {open: {base: 500ms, max: 6s}, decay_interval: 3s}
server: {retry_budget: {ratio: 2, reserve_per_sec: 100}}
routes:
  - model: demo
    continuation: any
    retry: {max_attempts: 5, budget: {ratio: 2, reserve_per_sec: 100}}
    channels: [{upstream: a, model: m}, {upstream: b, model: m}, {upstream: c, model: m}]
";

fn fault(dice: &mut Dice) -> Fault {
    let after_events = dice.next_u64() as u32 % 100 + 1;
    match dice.next_u64() % 9 {
        0 => Fault::Cut { after_events, how: How::Rst },
        1 => Fault::Cut { after_events, how: How::Fin },
        2 => Fault::Cut { after_events, how: How::ChunkedEof },
        3 => Fault::Hang,
        4 => Fault::Stall { after_events },
        5 => Fault::InBandError { after_events, error: InBand::Overloaded },
        6 => Fault::RateLimited { retry_after: Some(secs(1)) },
        7 => Fault::status(StatusCode::from_u16(529).expect("a status")),
        _ => Fault::Slow { ttft: secs(3) },
    }
}

/// The last run: upstreams are killed, hang, cut streams, stall, fail in-band, refuse and are slow, one
/// after another and without a pause, while callers of all dialects stream.
#[tokio::test(start_paused = true)]
async fn streams_survive_four_minutes_of_faults_without_a_word_lost() {
    let lab = Lab::seeded(YAML, SEED);
    let mut dice = Dice::seeded(SEED);
    let mut callers = Vec::new();
    let asks = Ask::stream_in_every_dialect("demo");
    let faults = async {
        for _ in 0..LASTING / 3 {
            let name = ["a", "b", "c"][dice.next_u64() as usize % 3];
            let control = lab.sim(name).control();
            if dice.next_u64().is_multiple_of(4) {
                // Killed, with every connection that it has, and started again.
                control.set(vec![Rule::new(Fault::Refuse)]);
            } else {
                control.set(vec![Rule::new(fault(&mut dice)).share(0.7)]);
            }
            after(secs(3)).await;
            control.clear();
        }
    };
    let load = async {
        for number in 0..LASTING * 4 {
            let (dialect, ask) = asks[number as usize % asks.len()].clone();
            let gateway = Arc::clone(&lab.gateway);
            callers.push(tokio::spawn(async move { (dialect, send(&gateway, &ask).await) }));
            after(std::time::Duration::from_millis(250)).await;
        }
    };
    tokio::join!(faults, load);
    let (mut wrong, mut ended) = (Vec::new(), 0.0);
    let total = callers.len();
    for caller in callers {
        let (dialect, answer) = caller.await.expect("a caller of the lab does not panic");
        if answer.status == StatusCode::OK && answer.end == End::Cut {
            assert!(answer.text().contains("\"error\""), "never in silence: {}", answer.text());
            ended += 1.0;
            continue;
        }
        match strict::read(dialect, &answer) {
            Err(why) => wrong.push(why),
            Ok(whole) => {
                wrong.extend(oracle(&whole.text).err().map(|broken| format!("{broken:?}: {}", whole.text)));
            }
        }
    }
    // Streams for which nobody was left, or that had been continued twice.
    let hopeless = ["no_channel", "exhausted"]
        .map(|result| lab.metric_sum("mainstay_continuations_total", &[&format!("result=\"{result}\"")]));
    let continued = lab.metric_sum("mainstay_continuations_total", &["result=\"continued\""]);
    println!(
        "seed {SEED:#x}: {total} streams, {continued} times continued, {ended} ended, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "seed {SEED:#x}: {} of {total} are wrong, first: {}", wrong.len(), wrong[0]);
    assert_eq!(ended, hopeless.iter().sum::<f64>(), "seed {SEED:#x}: only what nobody could continue ends");
    assert!(ended * 200.0 <= total as f64, "seed {SEED:#x}: {ended} of {total} ended");
    assert!(continued > 50.0, "seed {SEED:#x}: {continued} were continued");
    lab.assert_quiet().await;
}
