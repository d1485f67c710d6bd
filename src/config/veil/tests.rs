use proptest::prelude::*;

use super::*;
use crate::config;
use crate::config::testing::Given;

const FILE: &str = r#"
version: 1
# The old key was sk-live-0123456789abcdef, and nobody uses it.
server: {admin_token: "the \"word\" of operators", redis: {url: 'redis://u:pa''ss@h:6379'}}
upstreams:
  one: {provider: openai, credentials: [sk-first-literal, "${FIRST}", {key: 'it''s-second', quota_group: org}]}
  two:
    provider: custom
    dialect: openai
    base_url: https://user:hidden@two.example.com/v1
    headers: {x-team: blue-secret}
    credentials:
      - |
        -----BEGIN-----
        abc def
        -----END-----
      - ${SECOND:-third-literal}
      - plain in
        two lines
    region: eu-west
keys:
  desk: {secret: ms-desk-literal, team: growth, limits: {rpm: 60}, max_cost: 0.05}
teams: {growth: {}}
routes:
  - {model: m, channels: [{upstream: one}, {upstream: two}]}
"#;

fn veil() -> Veil {
    Veil::new([7; 32])
}

#[test]
fn no_secret_is_shown_and_the_rest_is() {
    let shown = veil().lower(FILE);
    for secret in [
        "0123456789abcdef",
        "operators",
        "pa''ss",
        "sk-first",
        "second'",
        "hidden",
        "blue-secret",
        "BEGIN",
        "abc def",
        "END",
        "third",
        "plain in",
        "two lines",
        "ms-desk",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    for open in [
        "${FIRST}",
        "quota_group: org",
        "region: eu-west",
        "{rpm: 60}",
        "team: growth",
        "max_cost: 0.05",
        "nobody",
    ] {
        assert!(shown.contains(open), "{open} is not in {shown}");
    }
    let mut findings = Findings::default();
    assert!(tree::parse(&shown, &mut findings).is_some() && !findings.any_error(), "{shown}");
}

#[test]
fn what_comes_back_as_it_was_is_the_file_byte_for_byte() {
    let mut veil = veil();
    let shown = veil.lower(FILE);
    assert_eq!(veil.lift(&shown).map(|lifted| lifted.text).ok().as_deref(), Some(FILE));
    assert_eq!(veil.lower(FILE), shown, "and it is shown as before");
    // A line may go elsewhere, and what is new in it stays.
    let line = shown.lines().find(|line| line.contains("one:")).expect("a line");
    let edited = format!("{line} # moved\n");
    let lifted = veil.lift(&edited).map(|lifted| lifted.text).ok();
    assert!(lifted.is_some_and(|text| text.contains("[sk-first-literal, ") && text.ends_with("# moved\n")));
}

#[test]
fn a_stand_in_of_somewhere_else_is_a_problem_with_its_place() {
    let unknown = "version: 1\nserver: {admin_token: REDACTED-0123456789ab}\n";
    let problems = veil().lift(unknown).err().expect("nobody knows it");
    assert_eq!((problems.len(), problems[0].line, problems[0].column), (1, 2, 23));
    assert_eq!(
        veil().lift("REDACTED-nothing").map(|lifted| lifted.text).ok().as_deref(),
        Some("REDACTED-nothing")
    );
    let mut other = Veil::new([8; 32]);
    assert_ne!(other.lower(FILE), veil().lower(FILE), "another salt, other stand-ins");
}

#[test]
fn problems_are_where_they_are_in_the_text_that_was_sent() {
    let mut veil = veil();
    let shown = veil.lower(FILE).replace("region:", "regoin:").replace("quota_group:", "qouta_group:");
    let lifted = veil.lift(&shown).expect("all are known");
    let mut problems = config::load(&lifted.text, &Given::default()).expect_err("two slips");
    lifted.replace(&shown, &mut problems);
    for slip in ["regoin", "qouta_group"] {
        let (at, _) = shown.match_indices(slip).next().expect("it is there");
        let problem = problems.iter().find(|problem| problem.message.contains(slip)).expect("it is found");
        assert_eq!((problem.line, problem.column), place(&shown, at), "{slip}");
    }
}

#[test]
fn what_is_no_yaml_is_struck_out_for_good() {
    let shown = veil().lower("server: {admin_token: sk-live-1234567\n  - [");
    assert!(!shown.contains("1234567") && shown.contains("admin_token"), "{shown}");
}

#[test]
fn only_what_is_still_shown_is_remembered() {
    let mut veil = veil();
    let one = veil.lower("server: {admin_token: the-first-one}");
    let two = veil.lower("server: {admin_token: the-second-one}");
    veil.keep([two.as_str()].into_iter());
    assert!(veil.lift(&one).is_err() && veil.lift(&two).is_ok());
}

proptest! {
    #[test]
    fn whatever_the_text_it_comes_back_or_is_struck_out(text in r#"(server: |keys:|  |\n|- |key|: |[a-z]{1,9}|"|'|\{|\}|\[|\]|\||#|é|\\|REDACTED-|&a |\*a){0,40}"#) {
        let mut veil = veil();
        let shown = veil.lower(&text);
        if tree::parse(&text, &mut Findings::default()).is_some() && stand_ins(&text).next().is_none() {
            prop_assert_eq!(veil.lift(&shown).map(|lifted| lifted.text).ok(), Some(text));
        }
    }
}

#[test]
fn a_models_name_is_no_secret_however_long_it_is_and_a_key_in_its_place_is() {
    let names = [
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "accounts/fireworks/models/llama-v3p1-405b-instruct-long",
        "Qwen/Qwen3-235B-A22B-Instruct-2507",
    ];
    let file = |model: &str| {
        format!(
            "version: 1\nupstreams: {{a: {{provider: simulated}}}}\nroutes:\n  - model: demo\n    \
             aliases: [\"{model}\"]\n    channels: [{{upstream: a, model: \"{model}\"}}]\n    fallback: [\"{model}\"]\n"
        )
    };
    for name in names {
        assert_eq!(veil().lower(&file(name)), file(name));
    }
    let key = "sk-proj-0123456789abcdef0123456789";
    assert!(!veil().lower(&file(key)).contains("0123456789"));
    // It is none where nothing says so.
    let comment = format!("# {}\n{}", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", file("m"));
    assert!(!veil().lower(&comment).contains("0a1b2c3d"));
}
