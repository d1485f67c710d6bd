//! Laws of rules and splits, over tables of the real thing.

use proptest::prelude::*;

use super::*;
use crate::config::testing::Given;
use crate::config::{self, Blueprint};
use crate::state::{Live, Registry};

const HEAD: &str = "version: 1
organisations: {acme: {}}
teams: {blue: {organisation: acme}}
users: {ann: {team: blue}}
keys: {shop: {secret: '${SHOP}', user: ann}, batch: {secret: '${BATCH}'}}
upstreams: {a: {provider: simulated}}
routes:
  - {model: cheap, channels: [{upstream: a}]}
  - {model: dear, channels: [{upstream: a}]}
";

fn blueprint(routes: &str) -> Blueprint {
    let env =
        Given::default().var("SHOP", "sk-shop-0123456789abcdef").var("BATCH", "sk-batch-0123456789abcdef");
    let text = format!("{HEAD}{routes}");
    config::load(&text, &env).unwrap_or_else(|problems| panic!("{problems:?}")).blueprint
}

fn table(routes: &str) -> Table {
    Table::compile(&blueprint(routes), &mut Registry::default(), &Arc::new(Live::seeded(3)))
}

fn index(table: &Table, model: &str) -> usize {
    table.route_of_model(model).expect("the route is there")
}

/// A short chat at midnight of a Monday, streamed, of nobody.
fn usual(headers: &HeaderMap) -> Occasion<'_> {
    Occasion {
        lineage: None,
        headers,
        prompt_tokens: 100,
        shape: Shape::Stream,
        brings: Abilities::default(),
        session: None,
        at: Duration::from_hours(498_720),
    }
}

fn goes<'t>(table: &'t Table, asked: &str, occasion: &Occasion<'_>, seed: u64) -> (&'t str, Course) {
    let course = course(table, index(table, asked), occasion, &mut Dice::seeded(seed));
    (&table.routes[course.route].config.name, course)
}

fn with(header: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header, value.parse().expect("a header's value"));
    headers
}

#[test]
fn every_condition_decides_by_itself() {
    let none = HeaderMap::new();
    let brings = |ability| {
        let mut brings = Abilities::default();
        brings.add(ability);
        Occasion { brings, ..usual(&none) }
    };
    let (blue, bluish, other) = (with("x-team", "blue"), with("x-team", "blue-2"), with("x-team", "green"));
    let usual = usual(&none);
    let keys = blueprint("").keys;
    let [shop, batch] =
        ["shop", "batch"].map(|name| &keys.iter().find(|key| &*key.name == name).expect("a key").lineage);
    let of = |lineage| Occasion { lineage: Some(lineage), ..usual.clone() };
    let evening = Occasion { at: usual.at + Duration::from_hours(20), ..usual.clone() };
    for (when, yes, no) in [
        ("key: [batch, shop]", of(shop), usual.clone()),
        ("user: [ann]", of(shop), of(batch)),
        ("team: [blue]", of(shop), of(batch)),
        ("organisation: [acme]", of(shop), usual.clone()),
        ("key: [batch]", of(batch), of(shop)),
        (
            "prompt_tokens: {above: 32000}",
            Occasion { prompt_tokens: 32_001, ..usual.clone() },
            Occasion { prompt_tokens: 32_000, ..usual.clone() },
        ),
        ("prompt_tokens: {below: 100}", Occasion { prompt_tokens: 99, ..usual.clone() }, usual.clone()),
        ("tools: true", brings(Ability::Tools), brings(Ability::Vision)),
        ("tools: false", brings(Ability::Vision), brings(Ability::Tools)),
        ("images: true", brings(Ability::Vision), usual.clone()),
        ("stream: false", Occasion { shape: Shape::Whole, ..usual.clone() }, usual.clone()),
        (
            "header: {x-team: blue}",
            Occasion { headers: &blue, ..usual.clone() },
            Occasion { headers: &bluish, ..usual.clone() },
        ),
        (
            "header: {x-team: 'blue*'}",
            Occasion { headers: &bluish, ..usual.clone() },
            Occasion { headers: &other, ..usual.clone() },
        ),
        ("header: {x-team: '*'}", Occasion { headers: &other, ..usual.clone() }, usual.clone()),
        ("time: {between: '18:00-08:00', days: [mon]}", evening.clone(), usual.clone()),
        (
            "time: {between: '18:00-08:00', zone: '+02:00'}",
            usual.clone(),
            Occasion { at: usual.at + Duration::from_hours(6), ..usual.clone() },
        ),
        // All that is written has to hold.
        (
            "stream: true, key: [shop]",
            of(shop),
            Occasion { lineage: Some(shop), shape: Shape::Whole, ..usual.clone() },
        ),
    ] {
        let table = table(&format!(
            "  - {{model: m, channels: [{{upstream: a}}], rules: [{{when: {{{when}}}, use: dear}}]}}\n"
        ));
        assert_eq!(goes(&table, "m", &yes, 1).0, "dear", "{when}");
        assert_eq!(goes(&table, "m", &no, 1).0, "m", "{when}");
    }
}

#[test]
fn one_rule_and_one_split_are_followed_and_no_more() {
    let table = table(
        "  - {model: first, channels: [{upstream: a}], rules: [{when: {stream: true}, use: second}]}
  - model: second
    channels: [{upstream: a}]
    rules: [{use: cheap}]
    split: {arms: {only: {share: 100%, use: third}, none: {share: 0%}}}
  - {model: third, channels: [{upstream: a}], rules: [{use: first}], split: {arms: {x: {share: 50%, use: cheap}, y: {share: 50%, use: dear}}}}
",
    );
    let none = HeaderMap::new();
    let (name, course) = goes(&table, "first", &usual(&none), 1);
    assert_eq!((name, course.rule), ("third", Some(0)));
    assert_eq!(
        course.arm.map(|taken| (taken.of.to_string(), taken.arm.to_string())),
        Some(("second".into(), "only".into()))
    );
    let whole = Occasion { shape: Shape::Whole, ..usual(&none) };
    assert_eq!(goes(&table, "first", &whole, 1).1, Course::straight(index(&table, "first")));
    // A rule of its own name keeps a request from those behind it, not from the split.
    assert_eq!(goes(&table, "second", &whole, 1).0, "cheap");
}

#[test]
fn what_has_to_be_found_out_is_told_before() {
    let table = table(
        "  - {model: plain, channels: [{upstream: a}], rules: [{when: {stream: true}, use: cheap}]}
  - {model: nosy, channels: [{upstream: a}], rules: [{when: {images: false}, use: split}]}
  - {model: split, channels: [{upstream: a}], split: {by: session, arms: {x: {share: 50%}, y: {share: 50%, use: dear}}}}
",
    );
    let looks = |model| looks(&table, index(&table, model));
    assert_eq!(looks("plain"), Looks::default());
    assert_eq!(looks("nosy"), Looks { brings: true, session: true });
    assert_eq!(looks("split"), Looks { brings: false, session: true });
}

fn split(by: &str, shares: [u32; 3]) -> String {
    let arms: Vec<String> = ["a", "b", "c"]
        .iter()
        .zip(shares)
        .map(|(name, share)| format!("{name}: {{share: {}.{:02}%}}", share / 100, share % 100))
        .collect();
    format!(
        "  - {{model: m, channels: [{{upstream: a}}], split: {{by: {by}, arms: {{{}}}}}}}\n",
        arms.join(", ")
    )
}

/// The arms of `count` conversations.
fn arms(table: &Table, count: u64) -> Vec<String> {
    let none = HeaderMap::new();
    let of = |session| {
        let occasion = Occasion { session: Some(session), ..usual(&none) };
        goes(table, "m", &occasion, 9).1.arm.expect("it is split").arm.to_string()
    };
    (0..count).map(of).collect()
}

#[test]
fn a_callers_name_keeps_its_arm_and_chance_shares_out_the_nameless() {
    let table = table(&split("'header:x-user'", [5000, 3000, 2000]));
    let (ann, none) = (with("x-user", "ann"), HeaderMap::new());
    let arm =
        |headers: &HeaderMap, seed| goes(&table, "m", &usual(headers), seed).1.arm.expect("it is split").arm;
    assert!((0..50).all(|seed| arm(&ann, seed) == arm(&ann, 0)));
    let of_a = (0..4000).filter(|seed| &*arm(&none, *seed) == "a").count();
    assert!((1850..2150).contains(&of_a), "{of_a}");
    // Who names a request gets the same arm for it again.
    let table = table_by_request();
    let named = with("idempotency-key", "one");
    let arm = |seed| goes(&table, "m", &usual(&named), seed).1.arm.expect("it is split").arm;
    assert!((0..50).all(|seed| arm(seed) == arm(0)));
}

fn table_by_request() -> Table {
    table(&split("request", [5000, 3000, 2000]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rules are total: whatever a request is like, it goes to one route, by the first rule that holds.
    #[test]
    fn the_first_rule_that_holds_is_followed(tokens in 0_u64..100, bounds in proptest::collection::vec((0_u64..100, any::<bool>()), 0..6)) {
        let rules: Vec<String> = bounds.iter().map(|(bound, dear)| {
            format!("{{when: {{prompt_tokens: {{above: {bound}}}}}, use: {}}}", if *dear { "dear" } else { "cheap" })
        }).collect();
        let table = table(&format!("  - {{model: m, channels: [{{upstream: a}}], rules: [{}]}}\n", rules.join(", ")));
        let none = HeaderMap::new();
        let (name, course) = goes(&table, "m", &Occasion { prompt_tokens: tokens, ..usual(&none) }, 1);
        let first = bounds.iter().position(|(bound, _)| tokens > *bound);
        prop_assert_eq!(course.rule, first);
        prop_assert_eq!(name, first.map_or("m", |first| if bounds[first].1 { "dear" } else { "cheap" }));
    }

    /// Every arm gets its share, of conversations that stay where they are.
    #[test]
    fn arms_get_their_shares(a in 0_u32..=10_000, part in 0_u32..=100) {
        let b = (10_000 - a) * part / 100;
        let shares = [a, b, 10_000 - a - b];
        let table = table(&split("session", shares));
        let got = arms(&table, 4000);
        prop_assert_eq!(&got, &arms(&table, 4000));
        for (name, share) in ["a", "b", "c"].iter().zip(shares) {
            let part = got.iter().filter(|arm| arm == name).count() as f64 / 4000.0;
            let wanted = f64::from(share) / 10_000.0;
            // Five standard deviations.
            let bound = 5.0 * (wanted * (1.0 - wanted) / 4000.0).sqrt();
            prop_assert!((part - wanted).abs() <= bound, "{name}: {part} of {wanted}");
        }
    }

    /// Other shares move a conversation to an arm that has got more than it had, against one that has less.
    #[test]
    fn other_shares_move_no_more_than_they_must(a in 0_u32..=10_000, part in 0_u32..=100, gives in 0_usize..3, takes in 0_usize..3, by in 0_u32..=100) {
        let b = (10_000 - a) * part / 100;
        let before = [a, b, 10_000 - a - b];
        let mut after = before;
        let moved = before[gives] * by / 100;
        after[gives] -= moved;
        after[takes] += moved;
        let names = ["a", "b", "c"];
        let (old, new) = (arms(&table(&split("session", before)), 1000), arms(&table(&split("session", after)), 1000));
        for (old, new) in old.iter().zip(&new).filter(|(old, new)| old != new) {
            prop_assert!(gives != takes);
            // Somebody may also come from the third arm, whose weight is less beside a greater one, or go there.
            prop_assert!(old == names[gives] || new == names[takes], "{old} -> {new}");
        }
    }
}
