//! Thinking, sampling, limits and caches.

use serde_json::{Value, json};

use super::{ask, call, check, function, hello, knowing, result, say, terms};
use crate::dialect::anthropic::request;
use crate::dialect::hub::{
    Ask, CacheMark, Effort, Family, Part, Reasoning, Role, Signature, Summary, Terms, Tool, ToolChoice, Turn,
};
use crate::dialect::tree;
use crate::vocab::{Ability, Facts};

#[test]
fn models_are_told_to_think_in_their_own_way() {
    let think = |reasoning| Ask { reasoning, max_tokens: Some(10_000), ..hello() };
    let effort = |effort| think(Reasoning { effort: Some(effort), ..Reasoning::default() });
    let places =
        |thinking: Value, effort: Value| [("/thinking", thinking), ("/output_config/effort", effort)];
    let adaptive = || json!({ "type": "adaptive" });
    check(&effort(Effort::High), &terms("m"), &places(adaptive(), json!("high")), "");
    check(&effort(Effort::Minimal), &terms("m"), &places(adaptive(), json!("low")), "");
    check(&effort(Effort::None), &terms("m"), &places(json!({ "type": "disabled" }), Value::Null), "");
    check(
        &effort(Effort::None),
        &terms("claude-fable-5"),
        &places(Value::Null, Value::Null),
        "reasoning_effort",
    );
    check(&effort(Effort::None), &terms("claude-opus-4-5"), &places(Value::Null, Value::Null), "");
    let no_steps = knowing("m", &[Ability::AdaptiveThinking], &[Ability::EffortXhigh, Ability::EffortMax]);
    check(&effort(Effort::Max), &no_steps, &places(adaptive(), json!("high")), "reasoning_effort");
    let wordless = knowing("m", &[Ability::AdaptiveThinking], &[Ability::OutputConfig]);
    check(&effort(Effort::Max), &wordless, &places(adaptive(), Value::Null), "reasoning_effort");

    let budget = |tokens: u64| json!({ "type": "enabled", "budget_tokens": tokens });
    check(&effort(Effort::Low), &terms("claude-opus-4-5"), &places(budget(2_048), Value::Null), "");
    check(&effort(Effort::Max), &terms("claude-3-7-sonnet-latest"), &places(budget(8_000), Value::Null), "");
    check(
        &effort(Effort::Max),
        &terms("claude-3-5-sonnet-latest"),
        &places(Value::Null, Value::Null),
        "reasoning",
    );
    let tokens = |budget| think(Reasoning { budget: Some(budget), ..Reasoning::default() });
    check(&tokens(500), &terms("claude-opus-4-5"), &places(budget(1_024), Value::Null), "reasoning");
    check(&tokens(3_000), &terms("claude-opus-4-5"), &places(budget(3_000), Value::Null), "");
    check(&tokens(3_000), &terms("claude-opus-5"), &places(adaptive(), json!("medium")), "");
    let tiny = Ask { max_tokens: Some(1_024), ..effort(Effort::Low) };
    check(&tiny, &terms("claude-opus-4-5"), &places(Value::Null, Value::Null), "reasoning");

    let shown = think(Reasoning { summary: Some(Summary::Detailed), ..Reasoning::default() });
    let summarized = json!({ "type": "adaptive", "display": "summarized" });
    check(&shown, &terms("m"), &places(summarized, Value::Null), "");
    let encrypted = think(Reasoning { encrypted: true, ..Reasoning::default() });
    check(&encrypted, &terms("m"), &places(Value::Null, Value::Null), "");
    let forced =
        Ask { tools: vec![function("f")], tool_choice: Some(ToolChoice::Required), ..effort(Effort::Low) };
    check(&forced, &terms("m"), &places(Value::Null, Value::Null), "reasoning");
}

#[test]
fn sampling_is_said_where_it_is_taken() {
    let asked =
        |temperature| Ask { temperature: Some(temperature), top_p: Some(0.9), top_k: Some(5), ..hello() };
    let places = |t: Value, p: Value, k: Value| [("/temperature", t), ("/top_p", p), ("/top_k", k)];
    check(&asked(0.5), &terms("m"), &places(json!(0.5), json!(0.9), json!(5)), "");
    check(&asked(1.5), &terms("m"), &places(json!(1), json!(0.9), json!(5)), "temperature");
    check(&asked(0.5), &terms("claude-opus-4-5"), &places(json!(0.5), Value::Null, json!(5)), "top_p");
    for terms in [terms("claude-opus-5"), terms("claude-next"), knowing("m", &[], &[Ability::Sampling])] {
        check(&asked(0.5), &terms, &places(Value::Null, Value::Null, Value::Null), "temperature top_p top_k");
    }
    let thinking = Ask { reasoning: Reasoning { adaptive: true, ..Reasoning::default() }, ..asked(0.5) };
    check(&thinking, &terms("m"), &places(Value::Null, Value::Null, Value::Null), "temperature top_p top_k");
}

#[test]
fn the_limit_is_the_callers_or_the_models() {
    let most = |max_output| {
        let mut facts = Facts::default();
        facts.max_output = max_output;
        Terms { facts, ..terms("claude-x") }
    };
    for (wanted, most, said) in [
        (Some(100), most(None), 100),
        (Some(100), most(Some(64)), 64),
        (None, most(Some(64)), 64),
        (None, most(None), 32_000),
        (None, terms("other"), 4_096),
    ] {
        check(&Ask { max_tokens: wanted, ..hello() }, &most, &[("/max_tokens", json!(said))], "");
    }
}

#[test]
fn the_last_four_cache_marks_count() {
    let mark = |cache| Part { cache: Some(cache), ..Part::text("x") };
    let short = || mark(CacheMark::Short);
    let tool = Tool { cache: Some(CacheMark::Hour), ..function("f") };
    let turns = vec![
        Turn::new(Role::System, vec![short()]),
        Turn::new(Role::User, vec![short(), mark(CacheMark::Hour), short()]),
    ];
    let asked = Ask { tools: vec![tool], ..ask(turns) };
    let ephemeral = json!({ "type": "ephemeral" });
    check(
        &asked,
        &terms("m"),
        &[
            ("/tools/0/cache_control", Value::Null),
            ("/system/0/cache_control", ephemeral.clone()),
            ("/messages/0/content/1/cache_control", ephemeral.clone()),
            ("/messages/0/content/2/cache_control", ephemeral),
        ],
        "cache_control",
    );
    let uncached = knowing("m", &[], &[Ability::PromptCaching]);
    check(&asked, &uncached, &[("/messages/0/content/2/cache_control", Value::Null)], "cache_control");
}

#[test]
fn an_answer_without_its_thoughts_is_not_thought_on_with_a_budget() {
    let turns = vec![
        say(Role::User, "Hello"),
        Turn::new(Role::Assistant, vec![call("c", "f")]),
        Turn::new(Role::User, vec![result("c", "f")]),
    ];
    let reasoning = Reasoning { effort: Some(Effort::Low), ..Reasoning::default() };
    let asked = Ask { reasoning, ..ask(turns) };
    check(&asked, &terms("claude-opus-4-5"), &[("/thinking", Value::Null)], "reasoning");
    check(&asked, &terms("claude-opus-4-6"), &[("/thinking/type", json!("adaptive"))], "");
}

/// The last thought is another model's; the request is in this dialect already.
#[test]
fn a_callers_own_budget_gives_way_to_another_models_calls() {
    let sealed = Signature { family: Family::Gemini, value: "g".into() };
    let sealed = sealed.seal(Family::Anthropic);
    let body = |first: Value, kind: &str| {
        json!({
            "model": "m", "max_tokens": 9_000, "thinking": {"type": kind, "budget_tokens": 2_000},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [first, {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "1"}]},
            ],
        })
        .to_string()
    };
    let mut cases = vec![
        ("claude-sonnet-4-5", json!({"type": "thinking", "thinking": "Hm", "signature": sealed}), true),
        ("claude-sonnet-4-5", json!({"type": "text", "text": "Hm"}), true),
        ("claude-sonnet-4-5", json!({"type": "thinking", "thinking": "Hm", "signature": "s"}), false),
        ("kimi-k3", json!({"type": "text", "text": "Hm"}), false),
    ];
    for (model, first, is_dropped) in cases.drain(..) {
        let text = body(first, "enabled");
        let root = tree::parse(text.as_bytes()).expect("JSON");
        let asked = request::read(&root).expect("sound");
        let lost = if is_dropped { "thinking context_management" } else { "" };
        let budget = if is_dropped { Value::Null } else { json!(2_000) };
        check(&asked, &terms(model), &[("/thinking/budget_tokens", budget)], lost);
    }
    // Who signs nothing gets it back unsigned.
    let text = body(json!({"type": "thinking", "thinking": "Hm", "signature": ""}), "enabled");
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let asked = request::read(&root).expect("sound");
    let unsigned = json!({"type": "thinking", "thinking": "Hm", "signature": ""});
    check(&asked, &terms("kimi-k3"), &[("/messages/1/content/0", unsigned)], "");
}

#[test]
fn a_default_that_is_left_out_is_no_loss() {
    let asked = Ask { temperature: Some(1.0), top_p: Some(1.0), ..hello() };
    check(&asked, &terms("claude-opus-5"), &[("/temperature", Value::Null), ("/top_p", Value::Null)], "");
}

#[test]
fn a_users_name_may_be_so_long_and_no_longer() {
    let named = |length: usize| Ask { user: Some("u".repeat(length).into()), ..hello() };
    check(&named(256), &terms("m"), &[("/metadata/user_id", json!("u".repeat(256)))], "");
    check(&named(257), &terms("m"), &[("/metadata", Value::Null)], "user");
}
