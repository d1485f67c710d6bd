//! Who makes no batches, since nobody here measures what they use.

use crate::lab::{Answer, Ask, Lab};

/// The lab's variable is worth this.
const SHOP: &str = "Bearer secret-of-LAB_SHOP";

/// A key below all levels. What is said of the top, the key and the route follows them.
fn lab(defaults: &str, top: &str, own: &str, route: &str) -> Lab {
    let [own, route] =
        [own, route].map(|more| if more.is_empty() { String::new() } else { format!(", {more}") });
    Lab::start(&format!(
        "version: 1\naccess: keys\ndefaults: {{{defaults}}}\norganisations: {{acme: {{{top}}}}}\n\
         teams: {{growth: {{organisation: acme}}}}\n\
         keys: {{shop: {{secret: '${{LAB_SHOP}}', team: growth{own}}}}}\n\
         upstreams: {{sim: {{provider: simulated}}}}\n\
         routes:\n  - {{model: demo, files: true{route}, channels: [{{upstream: sim}}]}}\n  \
         - {{model: other, channels: [{{upstream: sim}}]}}\n"
    ))
}

async fn send(lab: &Lab, ask: Ask) -> Answer {
    lab.send(&ask.header("authorization", SHOP)).await
}

/// What a batch is made of.
const LINE: &str =
    r#"{"custom_id":"one","method":"POST","url":"/v1/chat/completions","body":{"model":"demo"}}"#;

/// What makes one in OpenAI's dialect, whose file is there, and in Anthropic's.
async fn batches(lab: &Lab) -> [Ask; 2] {
    let file = send(lab, Ask::upload(LINE)).await;
    assert_eq!(file.status, 200, "a file is no batch yet: {}", file.text());
    let file = file.json()["id"].as_str().expect("an id").to_owned();
    let openai = format!(
        r#"{{"input_file_id":"{file}","endpoint":"/v1/chat/completions","completion_window":"24h"}}"#
    );
    let anthropic = r#"{"requests":[{"custom_id":"a","params":{"model":"demo","max_tokens":128000,"messages":[{"role":"user","content":"hi"}]}}]}"#;
    let anthropic = Ask::post("/v1/messages/batches", anthropic).header("anthropic-version", "2023-06-01");
    [Ask::post("/v1/batches", openai), anthropic]
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_not_for_whom_a_budget_a_cost_or_tokens_are_limited() {
    let daily = "budgets: [{per: day, limit: 1000}]";
    let cheaper = "budgets: [{per: day, limit: 1000, downgrade_to: other}]";
    for (defaults, top, own, route, says) in [
        ("", "", daily, "", "it has `budgets`"),
        ("", "", cheaper, "", "it has `budgets`"),
        ("", "", "max_cost: 100", "", "it has `max_cost`"),
        ("", "", "limits: {tpm: 1000000}", "", "it has `tpm`"),
        ("", "", "limits: {tpd: 1000000, rpm: 10}", "", "it has `tpd`"),
        ("", daily, "", "", "its organisation `acme` has `budgets`"),
        ("", "max_cost: 100", daily, "", "its organisation `acme` has `max_cost`"),
        ("", "limits: {tpm: 1000000}", "", "", "its organisation `acme` has `tpm`"),
        ("key_limits: {tpm: 1000000}", "", "", "", "it has `tpm`"),
        ("", "", "", daily, "this route takes no batches"),
        ("", "", "", "max_cost: 100", "this route takes no batches"),
        ("", "", "", "limits: {tpd: 1000000}", "this route takes no batches"),
    ] {
        let lab = lab(defaults, top, own, route);
        let asks = batches(&lab).await;
        let uploaded = lab.arrived("sim");
        for ask in asks {
            let path = ask.path.clone();
            let answer = send(&lab, ask).await;
            let message = answer.text().replace("\\u0060", "`");
            assert_eq!(answer.status, 403, "{top} {own} {route} {path}: {message}");
            assert!(message.contains(says) && message.contains("send the requests one by one"), "{message}");
            let kind = if path == "/v1/batches" { "invalid_request_error" } else { "permission_error" };
            assert!(message.contains(kind), "{message}");
        }
        assert_eq!(lab.arrived("sim"), uploaded, "no upstream hears of a batch that is refused");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_only_or_counts_requests_forbids_no_batch() {
    let alert = "budgets: [{per: day, limit: 0.01, on_exceeded: alert}]";
    let requests = "limits: {rpm: 100, rpd: 1000, concurrency: 9}";
    for (top, own, route) in [(alert, alert, alert), (requests, requests, requests), ("", "", "")] {
        let lab = lab("", top, own, route);
        for ask in batches(&lab).await {
            let answer = send(&lab, ask).await;
            assert_eq!(answer.status, 200, "{top}: {}", answer.text());
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_from_before_a_budget_is_still_looked_at_and_cancelled() {
    let open = lab("", "", "", "");
    let [openai, _] = batches(&open).await;
    let batch = send(&open, openai.clone()).await;
    let id = batch.json()["id"].as_str().expect("an id").to_owned();
    open.reload(
        "version: 1\naccess: keys\nkeys: {shop: {secret: '${LAB_SHOP}', max_cost: 1}}\n\
         upstreams: {sim: {provider: simulated}}\n\
         routes:\n  - {model: demo, files: true, max_cost: 1, channels: [{upstream: sim}]}\n",
    );
    assert_eq!(send(&open, openai).await.status, 403);
    for ask in [Ask::post(&format!("/v1/batches/{id}/cancel"), ""), Ask::get(&format!("/v1/batches/{id}"))] {
        let answer = send(&open, ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    open.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_to_another_route_that_measures_nothing() {
    let lab = lab("", "", "", "max_cost: 1");
    for ask in batches(&lab).await {
        assert_eq!(send(&lab, ask.clone()).await.status, 403);
        let answer = send(&lab, ask.header("x-mainstay-route", "other")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_held_to_no_cost_that_its_caller_names() {
    let lab = lab("", "", "", "");
    for ask in batches(&lab).await {
        let before = lab.arrived("sim");
        let answer = send(&lab, ask.header("x-mainstay-max-cost", "0.05")).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("leave it out"), "{}", answer.text());
        assert_eq!(lab.arrived("sim"), before, "no upstream hears of it");
        lab.assert_quiet().await;
    }
}
