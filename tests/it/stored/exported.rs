//! Reports of the store: any grouping adds up to the rows, CSV says what JSON does, and pages are all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay::algo::dice::Dice;
use mainstay::catalog::Catalog;
use mainstay::report::{Export, Failed, Words, usage};
use mainstay::store::Store;
use mainstay::store::rows::{Batch, Part, RequestRow};
use serde_json::Value;

use super::both;
use super::model::{self, batch};
use super::postgres::Postgres;

/// After all that is written here.
const NOW: std::time::Duration = std::time::Duration::from_secs(model::BEGIN + 30 * 86_400);

fn words(text: &str) -> Words {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    Words(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

async fn report(store: &Store, text: &str) -> Result<String, Failed> {
    let asked = words(text).usage(NOW)?;
    usage(store, &Catalog::embedded(), &asked).await
}

async fn rows(store: &Arc<Store>, text: &str) -> String {
    let mut export = Export::new(Arc::clone(store), words(text).rows(NOW).unwrap());
    let mut all = String::new();
    while let Some(text) = export.next().await {
        all += &text.unwrap();
    }
    all
}

/// Reads RFC 4180 as anybody would, with the guard taken off texts.
fn csv(text: &str) -> Vec<BTreeMap<String, String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut chars, mut quoted) = (text.chars().peekable(), false);
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {
                chars.next();
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(row.is_empty() && cell.is_empty(), "it ends with a line");
    let head = rows.remove(0);
    let bare = |cell: String| cell.strip_prefix('\'').map(str::to_owned).unwrap_or(cell);
    rows.into_iter().map(|row| head.iter().cloned().zip(row.into_iter().map(bare)).collect()).collect()
}

fn json(rows: &Value) -> Vec<BTreeMap<String, String>> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let members = |row: &Value| {
        row.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    rows.as_array().unwrap().iter().map(members).collect()
}

/// Dollars with nine decimals, in nano-dollars.
fn nano(text: &str) -> u128 {
    let (whole, part) = text.split_once('.').unwrap();
    assert_eq!(part.len(), 9, "{text}");
    format!("{whole}{part}").parse().unwrap()
}

#[tokio::test]
async fn any_report_adds_up_to_the_rows_and_csv_says_what_json_does() {
    let server = Postgres::start("reports from PostgreSQL");
    let mut dice = Dice::seeded(31);
    let batches: Vec<Batch> = (0..40).map(|_| batch(&mut dice)).collect();
    // Mirrors are told of where somebody asks for parts.
    let all = |text: &str| {
        let of_parts = text.contains("part");
        let rows = batches.iter().flat_map(|batch| &batch.attempts);
        rows.filter(move |row| of_parts || row.part != Part::Mirror)
    };
    let requests: usize = batches.iter().map(|batch| batch.requests.len()).sum();
    for held in both(server.as_ref()).await {
        for batch in &batches {
            held.store.write(batch.clone()).await.unwrap();
        }
        let fields = [
            "organisation",
            "team",
            "user",
            "key",
            "route",
            "arm",
            "upstream",
            "provider",
            "model",
            "part",
            "day",
            "hour",
        ];
        let mut texts = vec![String::new()];
        for _ in 0..24 {
            let mut by: Vec<&str> = (0..dice.below(4)).map(|_| fields[dice.below(12) as usize]).collect();
            by.sort_unstable();
            by.dedup();
            if by.contains(&"day") && by.contains(&"hour") {
                by.retain(|word| *word != "hour");
            }
            let at = if dice.chance(0.5) { "&at=openai/gpt-5.4-mini" } else { "" };
            texts.push(format!("by={}{at}", by.join(",")));
        }
        for text in texts {
            let text = format!("{text}&from=2026-11-01&to=2026-12-01");
            let attempts = || all(&text);
            let costs = attempts().filter_map(|row| row.cost);
            let cost: u128 = costs.map(|cost| u128::from(cost.as_nano_usd())).sum();
            let input: u64 = attempts().map(|row| row.usage.input).sum();
            let said: Value = serde_json::from_str(&report(&held.store, &text).await.unwrap()).unwrap();
            let rows = json(&said["rows"]);
            let sum = |name: &str| rows.iter().map(|row| row[name].parse::<u64>().unwrap()).sum::<u64>();
            assert_eq!(
                (sum("requests"), sum("input"), sum("attempts")),
                (requests as u64, input, attempts().count() as u64),
                "{text}"
            );
            assert_eq!(rows.iter().map(|row| nano(&row["cost_usd"])).sum::<u128>(), cost, "{text}");
            assert_eq!(nano(said["total"]["cost_usd"].as_str().unwrap()), cost, "{text}");
            assert_eq!(said["total"]["input"], input);
            assert_eq!(
                csv(&report(&held.store, &format!("{text}&format=csv")).await.unwrap()),
                rows,
                "{text}"
            );
            let table = report(&held.store, &format!("{text}&format=table")).await.unwrap();
            assert!(table.starts_with("2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z\n"), "{table}");
            // With nothing to tell apart there is the total alone.
            let told_apart = !text.starts_with("by=&") && !text.starts_with('&');
            assert_eq!(table.lines().count(), 3 + if told_apart { rows.len() } else { 0 }, "{text}\n{table}");
        }
        // What has no tag is a row as well, and can be asked for.
        let (by, of_none) = ("by=tag:x-customer&from=2026-11-01", "&only=tag:x-customer=");
        for (text, rows) in [(by.to_owned(), 3), (format!("{by}{of_none}"), 1)] {
            let told: Value = serde_json::from_str(&report(&held.store, &text).await.unwrap()).unwrap();
            assert_eq!(told["rows"].as_array().unwrap().len(), rows, "{told}");
            let none = told["rows"].as_array().unwrap().iter().find(|row| row["tag:x-customer"].is_null());
            let requests = batches.iter().flat_map(|batch| &batch.requests);
            let has_none = |row: &&RequestRow| {
                row.tags.iter().all(|(name, value)| &**name != "x-customer" || value.is_empty())
            };
            assert_eq!(none.unwrap()["requests"], requests.filter(has_none).count());
        }
        let tagged =
            report(&held.store, "by=tag:x-customer&only=tag:x-customer=ada&from=2026-11-01").await.unwrap();
        let tagged: Value = serde_json::from_str(&tagged).unwrap();
        let ada = batches
            .iter()
            .flat_map(|batch| &batch.requests)
            .filter(|row| row.tags.iter().any(|(_, value)| &**value == "ada"));
        assert_eq!(tagged["rows"][0]["tag:x-customer"], "ada");
        assert_eq!(tagged["total"]["requests"], ada.count());
    }
}

#[tokio::test]
async fn all_rows_are_exported_once_and_in_order_page_after_page() {
    let server = Postgres::start("exports from PostgreSQL");
    let mut dice = Dice::seeded(32);
    let mut whole = Batch { id: 1, ..Batch::default() };
    while whole.requests.len() < 2_100 {
        let Batch { requests, attempts, .. } = batch(&mut dice);
        whole.requests.extend(requests);
        whole.attempts.extend(attempts);
    }
    // What somebody might want a spreadsheet to run.
    whole.requests[0].model = "=cmd|' /C calc'!A0".into();
    whole.requests[1].model = "two\r\nlines, \"quoted\"".into();
    for held in both(server.as_ref()).await {
        held.store.write(whole.clone()).await.unwrap();
        // The attempts of a time are those of its requests, though they began later.
        for (from, to) in
            [("2026-11-20T03:00:00Z", "2026-11-20T09:30:00Z"), ("2026-11-21T05:30:00Z", "2026-11-22")]
        {
            let of = async |kind: &str, id: &str| -> Vec<String> {
                let text = rows(&held.store, &format!("rows={kind}&from={from}&to={to}&format=csv")).await;
                csv(&text).into_iter().map(|mut row| row.remove(id).unwrap()).collect()
            };
            let (requests, attempts) = (of("requests", "id").await, of("attempts", "request").await);
            let are_theirs = whole.attempts.iter().map(|row| row.request.to_string());
            let theirs = are_theirs.filter(|request| requests.contains(request)).count();
            assert!(
                theirs > 0 && attempts.iter().all(|request| requests.contains(request)),
                "{from} to {to}"
            );
            assert_eq!(attempts.len(), theirs, "{from} to {to}");
        }
        for (kind, count) in [("requests", whole.requests.len()), ("attempts", whole.attempts.len())] {
            let text = rows(&held.store, &format!("rows={kind}&from=2026-11-01&format=csv")).await;
            let read = csv(&text);
            assert_eq!(read.len(), count, "{kind}");
            // An attempt's place is that of its request.
            let came = if kind == "requests" { "at" } else { "request" };
            let length = if kind == "requests" { 19 } else { 12 };
            assert!(read.is_sorted_by(|one, next| one[came][..length] <= next[came][..length]), "{kind}");
            let said = rows(&held.store, &format!("rows={kind}&from=2026-11-01&format=json")).await;
            assert_eq!(json(&serde_json::from_str(&said).unwrap()), read, "{kind}");
            if kind == "requests" {
                assert!(text.contains(",'=cmd|' /C calc'!A0,"));
                let ids: std::collections::BTreeSet<&String> = read.iter().map(|row| &row["id"]).collect();
                assert_eq!(ids.len(), count);
                let costs: u128 = read
                    .iter()
                    .filter(|row| !row["cost_usd"].is_empty())
                    .map(|row| nano(&row["cost_usd"]))
                    .sum();
                let written = whole
                    .requests
                    .iter()
                    .filter_map(|row| row.cost)
                    .map(|cost| u128::from(cost.as_nano_usd()));
                assert_eq!(costs, written.sum::<u128>());
            }
        }
        assert_eq!(rows(&held.store, "from=2020-01-01&to=2020-01-02&format=json").await, "[\n]\n");
        assert!(
            rows(&held.store, "from=2020-01-01&to=2020-01-02&format=csv")
                .await
                .starts_with("at,id,request_id,")
        );
    }
}
