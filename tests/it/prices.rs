//! What recorded answers cost: a table checked by hand, what the providers themselves said that they charge, and every
//! other body against arithmetic of our own that shares no code with the program.
//!
//! Recordings are read from `$MAINSTAY_FIXTURES` or `../shared/fixtures` where they exist.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mainstay::catalog::{By, Catalog, Tier};
use mainstay::dialect::billed::Wish;
use mainstay::dialect::framing::{Framing, Splitter};
use mainstay::dialect::watch::Watch;
use mainstay::dialect::{Dialect, Operation, meter};
use mainstay::vocab::{Money, Usage};
use serde_json::Value;

/// File, line from 0, whose catalog rows, nano-USD. The arithmetic is in dollars a million.
const BY_HAND: &[(&str, usize, &str, Option<u64>)] = &[
    // claude-sonnet-4-6, a stream: 618 x 3 + 68 x 15
    ("anthropic", 0, "anthropic", Some(2_874_000)),
    // claude-sonnet-4-6: 3 x 3 + 9708 written for an hour x 6 + 6 x 15
    ("anthropic", 33, "anthropic", Some(58_347_000)),
    // claude-opus-4-8: 12523 x 5 + 95 x 25 + one search of 0.01 USD
    ("anthropic", 109, "anthropic", Some(74_990_000)),
    // claude-haiku-4-5: 14 x 1 + 6 x 5
    ("anthropic", 122, "anthropic", Some(44_000)),
    // claude-sonnet-4-5, a stream: 46 x 3 + 84 x 15
    ("anthropic", 265, "anthropic", Some(1_398_000)),
    // claude-opus-4-1: nobody here knows its prices
    ("anthropic", 280, "anthropic", None),
    // claude-sonnet-5: 16 x 2 + 13637 read x 0.2 + 7049 written x 2.5 + 344 x 10
    ("anthropic", 310, "anthropic", Some(23_821_900)),
    // claude-fable-5: 594 x 10 + 50 x 50
    ("anthropic", 368, "anthropic", Some(8_440_000)),
    // gpt-5-nano: 8 x 0.05 + 271 x 0.4, 192 of them reasoning
    ("azure", 0, "azure", Some(108_800)),
    // nova-lite: 147 x 0.06 + 35 x 0.24
    ("bedrock", 3, "bedrock", Some(17_220)),
    // us.claude-sonnet-4-5, a tenth dearer: 558 x 3.3 + 46 x 16.5
    ("bedrock", 24, "bedrock", Some(2_600_400)),
    // nova-micro: 7 x 0.035 + 78 x 0.14
    ("bedrock", 58, "bedrock", Some(11_165)),
    // mistral-large-3: 21 x 0.5 + 26 x 1.5
    ("bedrock", 76, "bedrock", Some(49_500)),
    // us.claude-sonnet-4-5: 2 x 3.3 + 1322 written x 4.125 + 5 x 16.5
    ("bedrock", 112, "bedrock", Some(5_542_350)),
    // the same: 2 x 3.3 + 1322 read x 0.33 + 5 x 16.5
    ("bedrock", 113, "bedrock", Some(525_360)),
    // gpt-oss-120b: 79 x 0.35 + 37 x 0.75
    ("cerebras", 0, "cerebras", Some(55_400)),
    // command-a: billed are 4453 x 2.5 + 47 x 10, of 5890 and 99 that were read and written
    ("cohere", 0, "cohere", Some(11_602_500)),
    // command-r7b: 13 x 0.0375 + 61 x 0.15 = 9.6375, half a nano-dollar rounded up
    ("cohere", 31, "cohere", Some(9_638)),
    // deepseek-v4-flash: 5129 x 0.3 + 16 x 1.2
    ("deepseek", 0, "deepseek", Some(1_557_900)),
    // the same: 72 x 0.3 + 128 read x 0.006 + 16 x 1.2
    ("deepseek", 90, "deepseek", Some(41_568)),
    // gemini-2.5-flash: 29 x 0.3 + 56 x 2.5 + 180 thought x 2.5
    ("gemini", 0, "gemini", Some(598_700)),
    // the same, a stream: 12 x 0.3 + 33 x 2.5
    ("gemini", 4, "gemini", Some(86_100)),
    // the same: 63 x 0.3 + 19 x 2.5 + 72 thought x 2.5
    ("gemini", 6, "gemini", Some(246_400)),
    // gemini-3-flash: 265 and 630 of tools x 0.5 + 157 x 3 + 174 thought x 3
    ("gemini", 8, "gemini", Some(1_440_500)),
    // gemini-2.5-flash: 273 x 0.3 + 4084 read x 0.03 + 1 x 2.5
    ("gemini", 49, "gemini", Some(206_920)),
    // the same: 14 x 0.3 + 176 of sound x 1 + 14 x 2.5
    ("gemini", 67, "gemini", Some(215_200)),
    // the same: 14 x 0.3 + 176 of sound x 1 + 14 x 2.5 + 25 thought x 2.5
    ("gemini", 68, "gemini", Some(277_700)),
    // gemini-3.1-flash-lite: 21 x 0.25 + 4 x 1.5 + 120 thought x 1.5
    ("gemini", 72, "gemini", Some(191_250)),
    // gemini-2.5-pro: 15 x 1.25 + 2 thought x 10
    ("gemini", 341, "gemini", Some(38_750)),
    // gemini-3-flash at Vertex AI, served as flex: 5 x 0.25 + 1 x 1.5 + 100 thought x 1.5
    ("gemini", 360, "vertex", Some(152_750)),
    // gpt-oss-20b: 1795 x 0.075 + 16 x 0.3
    ("groq", 0, "groq", Some(139_425)),
    // the same: 3 x 0.075 + 1792 read x 0.0375 + 16 x 0.3
    ("groq", 1, "groq", Some(72_225)),
    // ministral-3b, a stream: 18 x 0.1 + 1 x 0.1
    ("mistral", 1, "mistral", Some(1_900)),
    // voxtral-small: 11 and 375 of sound, 9 of them read x 0.01, 377 x 0.1, and 15 x 0.4
    ("mistral", 37, "mistral", Some(43_790)),
    // mistral-embed: 42 x 0.1
    ("mistral", 56, "mistral", Some(4_200)),
    // mistral-medium: 32 x 1.5 + 32 read x 0.15 + 6 x 7.5
    ("mistral", 120, "mistral", Some(97_800)),
    // magistral-medium, a stream: 10 x 1.5 + 232 x 7.5
    ("mistral", 149, "mistral", Some(1_755_000)),
    // gpt-4o-mini: 114 x 0.15 + 4352 read x 0.075 + 47 x 0.6
    ("openai", 2, "openai", Some(371_700)),
    // the same, as a response: 112 x 0.15 + 4352 read x 0.075 + 48 x 0.6
    ("openai", 4, "openai", Some(372_000)),
    // gpt-4.1-mini, a stream: 21 x 0.4 + 1 x 1.6
    ("openai", 9, "openai", Some(10_000)),
    // gpt-4o, a streamed response: 172 x 2.5 + 18 x 10
    ("openai", 21, "openai", Some(610_000)),
    // gpt-5.6, a streamed response: 38 x 4 + 40 x 20, 33 of them reasoning
    ("openai", 34, "openai", Some(952_000)),
    // gpt-5.2: 148 x 1.75 + 52 x 14
    ("openai", 76, "openai", Some(987_000)),
    // text-embedding-3-small: 31 x 0.02
    ("openai", 102, "openai", Some(620)),
    // o4-mini: 16 x 1.1 + 16 x 4.4, all of them reasoning
    ("openai", 108, "openai", Some(88_000)),
    // gpt-image-1: 14 x 5 + 272 of a picture x 40
    ("openai", 143, "openai", Some(10_950_000)),
    // gpt-5.6: 4158 x 4 + 4418 written x 5 + 52 x 20
    ("openai", 298, "openai", Some(39_762_000)),
    // gpt-5, a streamed response, served as flex: 53 x 0.625 + 469 x 5
    ("openai", 371, "openai", Some(2_378_125)),
    // gpt-5.6-sol: 8 x 4 + 4012 written x 5 + 5 x 20
    ("openai", 461, "openai", Some(20_192_000)),
    // gpt-4o-mini-audio-preview, retired: nobody here knows its prices
    ("openai", 484, "openai", None),
    // grok-4.3: 145 x 1.25 + 128 read x 0.2 + 327 x 2.5, which is xAI's own sum
    ("xai", 34, "xai", Some(1_024_350)),
    // glm-4.7: 13 x 0.6 + 247 x 2.2
    ("zai", 0, "zai", Some(551_200)),
];

/// Transcripts name their model in a form that was not recorded: file, line, model, nano-USD.
const HEARD: &[(usize, &str, u64)] = &[
    // Six seconds of 0.0001 USD.
    (85, "whisper-1", 600_000),
    // 54 of sound x 2.5 + 16 x 10
    (86, "gpt-4o-transcribe", 295_000),
    // Seven seconds.
    (481, "whisper-1", 700_000),
];

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from);
    if folder.join("recorded").is_dir() {
        return Some(folder);
    }
    println!("no recorded exchanges in {}: nothing of them is priced", folder.display());
    None
}

/// The lines of a file of recordings.
fn lines(folder: &Path, file: &str) -> Vec<Value> {
    let path = folder.join("recorded").join(file).with_extension("jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a recorded exchange")).collect()
}

fn way(path: &str) -> Option<(Dialect, Operation)> {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let ways = [
        ("/chat/completions", Dialect::OpenAi, Operation::Chat),
        ("/embeddings", Dialect::OpenAi, Operation::Embeddings),
        ("/images/generations", Dialect::OpenAi, Operation::Images),
        ("/audio/transcriptions", Dialect::OpenAi, Operation::Transcriptions),
        ("/responses", Dialect::Responses, Operation::Responses),
        ("/v1/messages", Dialect::Anthropic, Operation::Messages),
        (":generateContent", Dialect::Gemini, Operation::Generate),
        (":streamGenerateContent", Dialect::Gemini, Operation::StreamGenerate),
        ("/v2/chat", Dialect::Cohere, Operation::CohereChat),
        ("/converse", Dialect::Bedrock, Operation::Converse),
    ];
    ways.into_iter().find(|(end, ..)| path.ends_with(end)).map(|(_, dialect, operation)| (dialect, operation))
}

/// What the program meters of an exchange.
fn metered(exchange: &Value) -> Option<Usage> {
    let (dialect, operation) = way(exchange["path"].as_str()?)?;
    let body = match &exchange["resp"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !exchange["stream"].as_bool().unwrap_or_default() {
        let usage = meter::reply(dialect, operation, body.as_bytes()).usage;
        return Wish::default().complete(operation, usage);
    }
    let framing = if body.starts_with('[') { Framing::JsonArray } else { Framing::Sse };
    let mut watch = Watch::new(dialect, operation, framing);
    let mut splitter = Splitter::new(framing);
    splitter.push(Bytes::from(body));
    while let Ok(Some(frame)) = splitter.next() {
        watch.frame(&frame);
    }
    if let Some(rest) = splitter.leftover() {
        watch.frame(&rest);
    }
    watch.usage()
}

/// As the request names it.
fn model(exchange: &Value) -> Option<String> {
    if let Some(model) = exchange["req"]["model"].as_str() {
        return Some(model.to_owned());
    }
    let path = exchange["path"].as_str()?;
    let after = |mark: &str| Some(path.split_once(mark)?.1.to_owned());
    let of_google = after("models/").map(|rest| rest.split(':').next().unwrap_or_default().to_owned());
    let of_amazon =
        || after("/model/").map(|rest| rest.split('/').next().unwrap_or_default().replace("%3A", ":"));
    of_google.or_else(of_amazon)
}

/// By counts and prices alone, whatever the provider says.
fn priced(provider: &str, model: &str, usage: &Usage) -> Option<u64> {
    let usage = Usage { said: None, ..*usage };
    let catalog = Catalog::embedded();
    catalog.cost(provider, model, &usage, catalog.as_of()).map(|cost| cost.money.as_nano_usd())
}

#[test]
fn recorded_answers_cost_what_a_hand_has_reckoned() {
    let Some(folder) = shared() else { return };
    let mut files: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (file, line, provider, expected) in BY_HAND {
        let exchange = &files.entry(file).or_insert_with(|| lines(&folder, file))[*line];
        let model = model(exchange).expect("a model");
        let usage = metered(exchange).unwrap_or_else(|| panic!("{file} {line}: no usage"));
        assert_eq!(priced(provider, &model, &usage), *expected, "{file} {line} {model} {usage:?}");
    }
    let heard = &files["openai"];
    for (line, model, expected) in HEARD {
        let usage = metered(&heard[*line]).unwrap_or_else(|| panic!("openai {line}: no usage"));
        assert_eq!(priced("openai", model, &usage), Some(*expected), "openai {line} {usage:?}");
    }
}

#[test]
fn what_providers_say_that_they_charge_is_what_is_booked() {
    let Some(folder) = shared() else { return };
    let catalog = Catalog::embedded();
    let (mut said, mut agreed) = (0, 0);
    for file in ["xai", "openrouter", "perplexity", "mixed", "anthropic", "openai"] {
        for (number, exchange) in lines(&folder, file).iter().enumerate() {
            let (Some(usage), Some(model)) = (metered(exchange), model(exchange)) else { continue };
            let Some(money) = usage.said else { continue };
            said += 1;
            let cost = catalog.cost("nobody", &model, &usage, catalog.as_of()).expect("said");
            assert_eq!((cost.money, cost.by), (money, By::Provider), "{file} {number}");
            assert_eq!(money, Money::nano_usd(bill(exchange)), "{file} {number}");
            // Prices have changed since for some, and relays choose among hosts; for many they are the same.
            let (vendor, name) = model.split_once('/').unwrap_or((file, model.as_str()));
            agreed +=
                usize::from(priced(vendor, &name.replace("4.5", "4-5"), &usage) == Some(money.as_nano_usd()));
        }
    }
    println!(
        "{said} answers say what they cost; for {agreed} of them counts and prices come to the very same"
    );
    assert!(said > 150 && agreed > 100, "{said} {agreed}");
}

/// The last sum in the answer, in nano-USD, found without the code under test.
fn bill(exchange: &Value) -> u64 {
    let text = match &exchange["resp"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut last = None;
    let events = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
    for event in events.filter_map(|event| serde_json::from_str::<Value>(event).ok()) {
        for usage in [&event["usage"], &event["response"]["usage"]] {
            let ticks = usage["cost_in_usd_ticks"].as_u64().map(|ticks| (ticks + 5) / 10);
            let sum = usage["cost"].as_f64().or_else(|| usage["cost"]["total_cost"].as_f64());
            last = ticks.or(sum.map(|dollars| (dollars * 1e9).round() as u64)).or(last);
        }
    }
    last.expect("a sum")
}

#[test]
fn every_recorded_usage_has_the_cost_that_plain_arithmetic_gives_it() {
    let Some(folder) = shared() else { return };
    let mut checked: BTreeMap<String, usize> = BTreeMap::new();
    let mut unknown = 0;
    for provider in [
        "anthropic",
        "azure",
        "bedrock",
        "cerebras",
        "cohere",
        "deepseek",
        "gemini",
        "groq",
        "mistral",
        "openai",
        "xai",
        "zai",
    ] {
        for (number, exchange) in lines(&folder, provider).iter().enumerate() {
            let (Some(usage), Some(model)) = (metered(exchange), model(exchange)) else { continue };
            let found = priced(provider, &model, &usage);
            if found.is_none() {
                unknown += 1;
            }
            let Some(expected) = plain(exchange, provider, &model) else { continue };
            assert_eq!(found, Some(expected), "{provider} {number} {model} {usage:?}");
            *checked.entry(provider.to_owned()).or_default() += 1;
        }
    }
    let total: usize = checked.values().sum();
    println!("{total} recorded answers priced twice, {checked:?}; {unknown} have no known cost");
    assert!(total > 900, "{checked:?}");
}

/// Plain prices and plain counts; `None` for what has more in it than those.
fn plain(exchange: &Value, provider: &str, model: &str) -> Option<u64> {
    let catalog = Catalog::embedded();
    let entry = catalog.find(provider, model)?;
    let price = |word: &str| {
        let meter = mainstay::catalog::Meter::by_word(word).expect("a word");
        let found = entry.prices(catalog.as_of()).all().find(|(known, _)| *known == meter);
        found.map(|(_, price)| u128::from(price.femto_usd()))
    };
    let usage = last_usage(exchange)?;
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let text = usage.to_string();
    let strange = ["AUDIO", "IMAGE", "FLEX", "\"seconds\"", "input_token_details", "prompt_audio_seconds"];
    let spoken = count("/completion_tokens_details/audio_tokens") > 0;
    if spoken || strange.iter().any(|word| text.contains(word)) || exchange["req"]["service_tier"] == "flex" {
        return None;
    }
    // Fresh, read, written, written for an hour, answered.
    let (fresh, read, written, hour, out) = if usage["promptTokenCount"].is_u64() {
        let cached = count("/cachedContentTokenCount");
        let prompt = count("/promptTokenCount") + count("/toolUsePromptTokenCount");
        (prompt - cached, cached, 0, 0, count("/candidatesTokenCount") + count("/thoughtsTokenCount"))
    } else if usage["billed_units"].is_object() {
        (count("/billed_units/input_tokens"), 0, 0, 0, count("/billed_units/output_tokens"))
    } else if usage["inputTokens"].is_u64() {
        let (read, written) = (count("/cacheReadInputTokens"), count("/cacheWriteInputTokens"));
        (count("/inputTokens"), read, written, 0, count("/outputTokens"))
    } else if usage["prompt_tokens"].is_u64() {
        let read = count("/prompt_tokens_details/cached_tokens").max(count("/num_cached_tokens"));
        let read = read.max(count("/prompt_cache_hit_tokens"));
        let written = count("/prompt_tokens_details/cache_write_tokens");
        (count("/prompt_tokens") - read - written, read, written, 0, count("/completion_tokens"))
    } else if exchange["path"].as_str()?.ends_with("/v1/messages") {
        let hour = count("/cache_creation/ephemeral_1h_input_tokens");
        let written = count("/cache_creation_input_tokens") - hour;
        (count("/input_tokens"), count("/cache_read_input_tokens"), written, hour, count("/output_tokens"))
    } else if usage["input_tokens"].is_u64() && usage["output_tokens_details"]["image_tokens"].is_null() {
        let read = count("/input_tokens_details/cached_tokens");
        let written = count("/input_tokens_details/cache_write_tokens");
        (count("/input_tokens") - read - written, read, written, 0, count("/output_tokens"))
    } else {
        return None;
    };
    // OpenAI's older models charge nothing extra for writing.
    let writing = price("cache_write").or_else(|| price("input").filter(|_| provider == "openai"));
    let of =
        |count: u64, price: Option<u128>| if count == 0 { Some(0) } else { Some(price? * u128::from(count)) };
    let searches = u128::from(count("/server_tool_use/web_search_requests")) * 10_000_000_000_000;
    let femto = of(fresh, price("input"))?
        + of(read, price("cache_read"))?
        + of(written, writing)?
        + of(hour, price("cache_write_1h"))?
        + of(out, price("output"))?
        + searches;
    // Beyond a threshold, or with more than these in it, the other arithmetic is not as plain.
    let prompt = fresh + read + written + hour;
    let plain =
        prompt < 100_000 && price("reasoning").is_none_or(|price_of| Some(price_of) == price("output"));
    plain.then(|| u64::try_from((femto + 500_000) / 1_000_000).expect("a small sum"))
}

/// The usage of an answer; of a stream the last one, which Anthropic's completes and does not replace.
fn last_usage(exchange: &Value) -> Option<Value> {
    let completes = exchange["path"].as_str()?.ends_with("/v1/messages");
    let mut all = serde_json::Map::new();
    let mut add = |event: &Value| {
        for place in ["/message/usage", "/usage", "/response/usage", "/usageMetadata"] {
            if let Some(Value::Object(said)) = event.pointer(place) {
                if !completes {
                    all.clear();
                }
                all.extend(
                    said.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())),
                );
            }
        }
    };
    match &exchange["resp"] {
        Value::String(text) => {
            let events = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
            events.filter_map(|event| serde_json::from_str(event).ok()).for_each(|event: Value| add(&event));
        }
        whole => add(whole),
    }
    (!all.is_empty()).then_some(Value::Object(all))
}

#[test]
fn tiers_of_the_catalog_are_cheaper_or_dearer_as_their_names_say() {
    let catalog = Catalog::embedded();
    let usage = |tier| Usage { input: 1_000, output: 1_000, tier: Some(tier), ..Usage::default() };
    let (mut cheaper, mut dearer) = (0, 0);
    for provider in ["openai", "anthropic", "gemini"] {
        for (name, _) in catalog.models_of(provider) {
            let cost =
                |tier| catalog.cost(provider, name, &usage(tier), catalog.as_of()).map(|cost| cost.money);
            let Some(standard) = cost(Tier::Standard).filter(|money| *money > Money::ZERO) else { continue };
            if let Some(batch) = cost(Tier::Batch) {
                assert!(batch <= standard, "{provider}/{name}: batch {batch}, standard {standard}");
                cheaper += 1;
            }
            if let Some(priority) = cost(Tier::Priority) {
                assert!(priority > standard, "{provider}/{name}: priority {priority}, standard {standard}");
                dearer += 1;
            }
        }
    }
    assert!(cheaper > 50 && dearer > 20, "{cheaper} {dearer}");
}
