//! What rehearsals show of rules and splits: callers by their keys and prompts, at the hours of a virtual wall.

use std::collections::BTreeMap;

use super::*;
use crate::sim::unmodelled;

/// How often each upstream was asked, by the hour of the rehearsal.
#[derive(Default)]
struct Asked(BTreeMap<(u64, String), u32>);

impl Witness for Asked {
    fn saw(&mut self, now: Tick, seen: &Seen<'_>) {
        if let Seen::Asked { channel, .. } = seen {
            let hour = now.since(Tick::ZERO).as_secs() / 3600;
            *self.0.entry((hour, channel.upstream.config.name.to_string())).or_default() += 1;
        }
    }
}

const STEERED: &str = "version: 1
keys: {shop: {secret: \"${SHOP}\"}}
upstreams: {near: {provider: simulated}, far: {provider: simulated}}
routes:
  - {model: demo, channels: [{upstream: near}]}
  - {model: other, channels: [{upstream: far}]}
";

fn rehearse(steering: &str, calls: Vec<Call>, hours: u64) -> Asked {
    let text = STEERED.replace("{model: demo,", &format!("{{model: demo, {steering},"));
    let blueprint = blueprint(&text);
    let (script, workload) = (Script::default(), Workload::of(0.1, calls));
    let mut asked = Asked::default();
    let rehearsal = Rehearsal::of(&blueprint, &script, &workload, minutes(60 * hours), 1);
    run(&rehearsal, &mut asked).expect("every call has a route");
    asked
}

fn demo() -> Call {
    Call::to(Target::Model("demo".to_owned()))
}

impl Asked {
    fn of(&self, hour: u64, upstream: &str) -> u32 {
        self.0.get(&(hour, upstream.to_owned())).copied().unwrap_or(0)
    }

    fn all(&self, upstream: &str) -> u32 {
        self.0.iter().filter(|((_, name), _)| name == upstream).map(|(_, count)| count).sum()
    }
}

#[test]
fn a_rule_about_the_time_holds_in_its_hours() {
    // The wall begins on a Monday at 14:13:20 UTC: the hours of the rule begin and end twenty seconds before those
    // of the rehearsal.
    let asked = rehearse(
        "rules: [{when: {time: {between: '17:13-20:13', days: [mon], zone: '+01:00'}}, use: other}]",
        vec![demo()],
        7,
    );
    for hour in 0..7 {
        let (other, own) = if (2..5).contains(&hour) { ("near", "far") } else { ("far", "near") };
        assert!(asked.of(hour, own) > 250 && asked.of(hour, other) <= 10, "{hour}: {:?}", asked.0);
    }
}

#[test]
fn rules_know_a_callers_key_his_prompt_and_how_he_wants_his_answer() {
    let whole = Call { delivery: Delivery::Whole, ..demo() };
    let long = Call { prompt_tokens: 40_000, ..demo() };
    let shop = Call { key: Some("shop".to_owned()), ..demo() };
    for (when, call) in
        [("stream: false", whole), ("prompt_tokens: {above: 32000}", long), ("key: [shop]", shop)]
    {
        let rule = format!("rules: [{{when: {{{when}}}, use: other}}]");
        let asked = rehearse(&rule, vec![call], 1);
        assert!(asked.all("far") > 250 && asked.all("near") == 0, "{when}: {:?}", asked.0);
        let asked = rehearse(&rule, vec![demo()], 1);
        assert!(asked.all("near") > 250 && asked.all("far") == 0, "{when}: {:?}", asked.0);
    }
}

#[test]
fn a_split_shares_out_and_a_mirror_is_said_to_be_left_out() {
    let asked = rehearse("split: {arms: {a: {share: 75%}, b: {share: 25%, use: other}}}", vec![demo()], 10);
    let (near, far) = (f64::from(asked.all("near")), f64::from(asked.all("far")));
    let share = far / (near + far);
    assert!(near + far > 3000.0 && (0.22..0.28).contains(&share), "{near} {far}");
    let text = STEERED.replace(
        "{model: demo,",
        "{model: demo, mirror: {to: other, share: 5%}, rules: [{when: {tools: true}, use: other}],",
    );
    let lines = unmodelled::of(&blueprint(&text));
    assert!(lines.iter().any(|line| line.contains("mirror") && line.contains("demo")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("tools") && line.contains("demo")), "{lines:?}");
}
