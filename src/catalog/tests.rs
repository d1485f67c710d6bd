//! The embedded catalog as a whole, and what lies over it.

use std::collections::BTreeSet;

use super::*;
use crate::vocab::Ability;

/// Small enough to see through, with the corners of the format.
const SMALL: &str = "2026-01-02\t4\t2
a/x\tc\t1000\t10\ttv\t\ti=2e9 o=4e9
a/x-2026-03-05\tc\t2000
a/z\tc
b/x\te\t\t\t\t\t\t768
";

fn small() -> Catalog {
    Catalog::of(Rows::new(SMALL))
}

fn embedded_rows() -> Vec<Row> {
    EMBEDDED.lines().skip(1).map(Row::new).collect()
}

fn names(catalog: &Catalog, provider: &str) -> Vec<String> {
    catalog.models_of(provider).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_embedded_model_is_found_where_it_stands() {
    let catalog = Catalog::embedded();
    let rows = embedded_rows();
    assert!(rows.windows(2).all(|pair| pair[0].columns()[0].as_bytes() < pair[1].columns()[0].as_bytes()));
    for row in &rows {
        let (provider, model) = row.name();
        let entry = catalog.exactly(provider, model).unwrap_or_else(|| panic!("{provider}/{model} is lost"));
        assert_eq!(entry.row, Some(*row));
        assert_eq!(entry.facts(), catalog.facts(provider, model));
    }
    assert_eq!(rows.len(), catalog.models());
    let listed: usize = rows
        .iter()
        .map(|row| row.name().0)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|provider| catalog.models_of(provider).count())
        .sum();
    assert_eq!(listed, rows.iter().filter(|row| row.is_callable()).count());
}

/// The script has counted the facts' prices; whatever this program could not read would be missing here.
#[test]
fn nothing_of_the_embedded_text_is_lost_in_reading() {
    let promised: usize = EMBEDDED.lines().next().unwrap().rsplit('\t').next().unwrap().parse().unwrap();
    let mut prices = 0;
    for row in embedded_rows() {
        let columns = row.columns();
        let column = |at: usize| columns.get(at).copied().unwrap_or_default();
        let mut name = row.name();
        assert!(!std::mem::take(&mut name.1).is_empty() && columns.len() <= 11, "{columns:?}");
        let mode = column(1).trim_end_matches('!');
        assert_eq!(row.mode().is_some(), !mode.is_empty(), "{columns:?}");
        let facts = row.facts();
        for (at, known) in [(2, facts.context.is_some()), (3, facts.max_output.is_some())] {
            assert_eq!(known, !column(at).is_empty(), "{columns:?}");
        }
        let able = Ability::ALL.into_iter().filter(|ability| facts.has(*ability)).count();
        let unable = Ability::ALL.into_iter().filter(|ability| facts.lacks(*ability)).count();
        assert_eq!((able, unable), (column(4).len(), column(5).len()), "{columns:?}");
        let entry = Entry { row: Some(row), own: None, markup: Markup::default() };
        let read: BTreeSet<Meter> = entry.prices(Date::FIRST).all().map(|(meter, _)| meter).collect();
        assert_eq!(read.len(), column(6).split(' ').filter(|price| !price.is_empty()).count(), "{columns:?}");
        prices += read.len();
        assert_eq!(facts.dimensions.is_some(), !column(7).is_empty());
        assert_eq!(row.cache_min_tokens().is_some(), !column(8).is_empty());
        assert_eq!(row.deprecated_on().is_some(), !column(9).is_empty(), "{columns:?}");
        assert_eq!(row.endpoints().count(), column(10).len(), "{columns:?}");
    }
    assert_eq!(prices, promised);
    assert!(prices > 10_000, "the embedded catalog has prices");
}

#[test]
fn an_embedded_model_is_what_its_provider_says() {
    let catalog = Catalog::embedded();
    let entry = catalog.find("openai", "gpt-5.4").expect("a row");
    let facts = entry.facts();
    assert_eq!(
        (facts.context, facts.max_output, facts.mode),
        (Some(1_050_000), Some(128_000), Some(Mode::Chat))
    );
    assert!(
        facts.has(Ability::Tools) && facts.lacks(Ability::EffortMinimal) && !facts.has(Ability::AudioInput)
    );
    let input = entry.prices(catalog.as_of()).of(Unit::Input, Tier::Standard, 1000);
    assert_eq!(input.map(|price| price.times(1_000_000)), Some(2_500_000_000_000_000), "2.50 USD a million");
    assert!(entry.endpoints().any(|path| path == "/v1/responses"));
    assert!(catalog.find("deepseek", "deepseek-chat").and_then(|entry| entry.deprecated_on()).is_some());
}

#[test]
fn what_openais_older_models_do_not_take_is_known() {
    let catalog = Catalog::embedded();
    for (provider, model) in [
        ("openai", "gpt-4.1"),
        ("openai", "gpt-4o-2024-11-20"),
        ("openai", "ft:gpt-4.1-mini-2025-04-14:us::1"),
        ("openai", "gpt-3.5-turbo"),
        ("azure", "gpt-4o-mini"),
        ("azure", "gpt-35-turbo"),
        ("openrouter", "openai/gpt-4.1"),
    ] {
        assert!(catalog.facts(provider, model).lacks(Ability::Reasoning), "{provider} {model}");
    }
    for effort in [Ability::EffortNone, Ability::EffortMinimal, Ability::EffortXhigh, Ability::EffortMax] {
        assert!(catalog.facts("openai", "o3-mini").lacks(effort), "{effort:?}");
    }
    for (provider, model) in [("openai", "gpt-5.4"), ("openai", "o4-mini"), ("azure", "gpt-5-mini")] {
        assert!(catalog.facts(provider, model).has(Ability::Reasoning), "{provider} {model}");
    }
}

#[test]
fn another_spelling_finds_the_row_and_likeness_does_not() {
    let catalog = Catalog::embedded();
    let found = |provider, model| catalog.find(provider, model).is_some();
    assert!(found("openai", "gpt-5.4-2031-01-01"));
    assert!(found("gemini", "models/gemini-2.5-flash"));
    assert!(found("bedrock", "jp.anthropic.claude-opus-4-8-v1:0"));
    for model in ["gpt-5.4-turbo", "gpt-5.", "GPT-5.4", "", "gpt-5.4-2031"] {
        assert!(!found("openai", model), "{model}");
    }
    assert!(!found("nobody", "gpt-5.4") && !found("", "") && !found("openai/gpt-5.4", ""));
}

#[test]
fn a_relay_knows_a_vendors_facts_and_not_its_prices() {
    let catalog = Catalog::embedded();
    let own = catalog.facts("anthropic", "claude-opus-4-6");
    assert!(!own.is_unknown());
    assert_eq!(catalog.facts("openrouter", "anthropic/claude-opus-4.6"), own);
    assert_eq!(catalog.facts("custom", "anthropic/claude-opus-4-6"), own);
    assert!(catalog.find("openrouter", "anthropic/claude-opus-4.6").is_none());
    assert!(catalog.facts("custom", "claude-opus-4-6").is_unknown());
}

#[test]
fn an_operator_writes_over_one_model_and_one_field_at_a_time() {
    let mut own = Own::default();
    let price = (Meter::by_word("input").unwrap(), Price::new(5));
    own.add(
        "a",
        "x",
        OwnModel {
            context: Some(7),
            abilities: vec![(Ability::Vision, false), (Ability::Pdf, true)],
            prices: [price].into(),
            ..OwnModel::default()
        },
    );
    own.add("a", "y", OwnModel::default());
    own.add("c", "new", OwnModel { context: Some(1), ..OwnModel::default() });
    own.as_of = Date::parse("2026-05-06");
    let catalog = small().overridden_by(own);
    let entry = catalog.find("a", "x").expect("a row");
    let facts = entry.facts();
    assert_eq!((facts.context, facts.max_output), (Some(7), Some(10)));
    assert!(facts.has(Ability::Tools) && facts.lacks(Ability::Vision) && facts.has(Ability::Pdf));
    assert_eq!(entry.prices(catalog.as_of()).all().count(), 2);
    assert_eq!(entry.prices(catalog.as_of()).of(Unit::Input, Tier::Standard, 0), Some(Price::new(5)));
    // A snapshot with a row of its own is a model of its own; one without is the model.
    assert_eq!(catalog.facts("a", "x-2026-03-05").context, Some(2000));
    assert_eq!(catalog.facts("a", "x-2026-04-01").context, Some(7));
    assert_eq!(names(&catalog, "a"), ["x", "x-2026-03-05", "y", "z"]);
    assert_eq!((names(&catalog, "b"), names(&catalog, "c")), (vec!["x".to_owned()], vec!["new".to_owned()]));
    assert_eq!((catalog.models(), catalog.as_of().to_string().as_str()), (6, "2026-05-06"));
    assert_eq!(small().facts("a", "x").context, Some(1000), "the embedded one is as it was");
}

#[test]
fn what_an_operator_writes_of_a_snapshot_lies_over_the_models_row() {
    let mut own = Own::default();
    own.add("a", "x-2026-09-09", OwnModel { context: Some(9), ..OwnModel::default() });
    let catalog = small().overridden_by(own);
    let facts = catalog.facts("a", "x-2026-09-09");
    assert_eq!((facts.context, facts.max_output), (Some(9), Some(10)));
    assert_eq!(catalog.facts("a", "x").context, Some(1000));
}

#[test]
fn names_of_prices_are_found_and_not_listed() {
    let catalog = Catalog::embedded();
    let regional = catalog.find("azure", "eu/gpt-5").expect("a row");
    assert!(!regional.is_callable() && !regional.prices(catalog.as_of()).is_empty());
    assert!(catalog.models_of("azure").all(|(name, _)| !name.contains('/')));
    assert!(catalog.knows("azure") && !catalog.knows("custom") && !catalog.knows("azur"));
}
