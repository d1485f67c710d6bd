use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::catalog::{Catalog, Markup, Meter};
use crate::vocab::usage::Other;

/// Everything has its own price, and twice that above 200k.
const ALL: &str = "i=25e8 i>200=5e9 o=1e10 o>200=2e10 r=25e7 r>200=5e8 w=3125e6 w>200=625e7 w1=5e9 w1>200=1e10 ia=1e10 \
                   oa=2e10 ra=1e9 im=3e9 om=4e10 or=12e9 ic=15e9 is=1e11 oI=4e13 iq=2e12";

fn nano(row: &'static str, tier: Tier, usage: &Usage) -> Option<u64> {
    cost(&Prices::new("nobody", row, None, Markup::default()), tier, usage)
        .map(|cost| cost.money.as_nano_usd())
}

fn standard(row: &'static str, usage: Usage, expected: Option<u64>) {
    assert_eq!(nano(row, Tier::Standard, &usage), expected, "{row} {usage:?}");
}

#[test]
fn cached_tokens_are_charged_once_and_reasoning_is_output() {
    let usage = Usage { input: 1000, cache_read: 600, output: 100, reasoning: 40, ..Usage::default() };
    // 400 x 2.5 + 600 x 0.25 + 100 x 10 = 2,150 USD a million.
    standard("i=25e8 o=1e10 r=25e7", usage, Some(2_150_000));
    // 60 x 10 + 40 x 12.
    standard("i=25e8 o=1e10 r=25e7 or=12e9", usage, Some(2_230_000));
    let written = Usage { input: 1000, cache_write: 100, cache_write_1h: 200, ..Usage::default() };
    // 700 x 2 + 100 x 2.5 + 200 x 4.
    standard("i=2e9 w=25e8 w1=4e9", written, Some(2_450_000));
}

#[test]
fn sound_and_pictures_are_taken_out_where_they_have_their_own_price() {
    let usage = Usage {
        input: 100,
        input_audio: 60,
        cache_read: 30,
        cache_read_audio: 20,
        input_image: 5,
        output: 50,
        output_audio: 40,
        ..Usage::default()
    };
    // Fresh: 40 of sound, 5 of a picture, 25 of text; cached: 20 of sound, 10 of text.
    // 40 x 10 + 5 x 3 + 25 x 2.5 + 20 x 1 + 10 x 0.25 + 40 x 20 + 10 x 10 = 1,400.
    standard(ALL, usage, Some(1_400_000));
    // All of it as text: 70 x 2.5 + 30 x 0.25 + 50 x 10 = 682.5.
    standard("i=25e8 o=1e10 r=25e7", usage, Some(682_500));
    // Sound has its own price, cached sound has none.
    standard("i=25e8 o=1e10 r=25e7 ia=1e10", usage, None);
}

#[test]
fn beyond_a_threshold_the_whole_request_has_the_higher_price() {
    let usage = |input| Usage { input, output: 10, ..Usage::default() };
    standard("i=1e9 i>200=2e9 o=5e9 o>200=7e9", usage(200_000), Some(200_050_000));
    standard("i=1e9 i>200=2e9 o=5e9 o>200=7e9", usage(200_001), Some(400_072_000));
}

#[test]
fn a_tier_has_its_own_prices_or_none() {
    const ROW: &str = "i=2e9 i>200=4e9 i@b=1e9 o=1e10 o@b=5e9 r=2e8 r@b=1e8 or=1e10 w1=4e9";
    let check =
        |tier, usage: Usage, expected| assert_eq!(nano(ROW, tier, &usage), expected, "{tier:?} {usage:?}");
    let usage = Usage { input: 100, cache_read: 10, output: 10, reasoning: 5, ..Usage::default() };
    // 90 x 1 + 10 x 0.1 + 10 x 5: reasoning costs what the output does.
    check(Tier::Batch, usage, Some(141_000));
    check(Tier::Flex, usage, None);
    check(Tier::Other, usage, None);
    // What the list does not say of batches above 200k is unknown.
    check(Tier::Batch, Usage { input: 200_001, ..Usage::default() }, None);
    // Twice the input, on batches too.
    check(Tier::Batch, Usage { input: 100, cache_write_1h: 100, ..Usage::default() }, Some(200_000));
    check(Tier::Priority, Usage::default(), Some(0));
}

#[test]
fn what_vendors_say_beside_their_lists_holds_for_them_only() {
    let check = |provider: &'static str, tier, usage: Usage, expected: Option<u64>| {
        let prices = Prices::new(provider, "i=2e9 i@b=1e9 o=1e10 o@b=5e9 r=2e8", None, Markup::default());
        let found = cost(&prices, tier, &usage).map(|cost| cost.money.as_nano_usd());
        assert_eq!(found, expected, "{provider} {tier:?}");
    };
    let cached = Usage { input: 100, cache_read: 100, ..Usage::default() };
    check("openai", Tier::Batch, cached, Some(100_000));
    check("azure", Tier::Batch, cached, None);
    let written = Usage { input: 100, cache_write: 100, ..Usage::default() };
    check("openai", Tier::Standard, written, Some(200_000));
    check("anthropic", Tier::Standard, written, None);
    let searched = Usage { other: Other { searches: 3, ..Other::default() }, ..Usage::default() };
    check("anthropic", Tier::Batch, searched, Some(30_000_000));
    check("openai", Tier::Standard, searched, None);
    check("groq", Tier::Flex, cached, Some(20_000));
}

#[test]
fn what_is_free_costs_nothing_and_what_is_unknown_is_not_free() {
    let usage = Usage { input: 9, cache_read: 3, output: 9, reasoning: 3, ..Usage::default() };
    standard("i=0 o=0", usage, Some(0));
    standard("i=0", usage, None);
    standard("o=1e9", usage, None);
    standard("", usage, None);
    standard("i=1e9 o=1e9", usage, None);
    standard("", Usage::default(), Some(0));
    standard("iR=5e12", Usage::default(), Some(0));
}

#[test]
fn pictures_seconds_characters_and_searches_have_their_prices() {
    let other = |other| Usage { other, ..Usage::default() };
    standard("oI=4e13", other(Other { images: 3, ..Other::default() }), Some(120_000_000));
    standard("iI=2e13", other(Other { images: 1, ..Other::default() }), Some(20_000_000));
    standard("ic=15e9", other(Other { characters: 1000, ..Other::default() }), Some(15_000_000));
    // 12.345 s of 0.0001.
    standard("is=1e11", other(Other { audio_millis: 12_345, ..Other::default() }), Some(1_234_500));
    standard("iq=2e12", other(Other { searches: 2, ..Other::default() }), Some(4_000_000));
    standard("i=1e9 o=1e9", other(Other { images: 1, ..Other::default() }), None);
    // Counted in tokens, charged in tokens.
    let both =
        Usage { input: 10, output: 100, output_image: 100, ..other(Other { images: 1, ..Other::default() }) };
    standard("i=5e9 om=4e10 oI=4e13", both, Some(4_050_000));
    // Unless the model is sold by the second.
    let heard = Usage { input: 375, output: 30, ..other(Other { audio_millis: 30_000, ..Other::default() }) };
    standard("is=5e10", heard, Some(1_500_000));
    standard("i=1e9 o=1e9 is=5e10", heard, Some(405_000));
}

#[test]
fn a_cost_is_said_for_people() {
    let usage = Usage { input: 1200, cache_read: 200, output: 30, ..Usage::default() };
    let cost = |row, usage| {
        cost(&Prices::new("nobody", row, None, Markup::default()), Tier::Standard, usage).expect("a price")
    };
    let said = cost("i=25e8 o=1e10 r=25e7", &usage).to_string();
    assert_eq!(said, "input 1000 x 2.5/M, cache_read 200 x 0.25/M, output 30 x 10/M");
    let usage = Usage { other: Other { audio_millis: 1500, ..Other::default() }, ..Usage::default() };
    assert_eq!(cost("is=1e11", &usage).to_string(), "input_seconds 1.5 x 0.0001");
    assert_eq!(cost("", &Usage::default()).to_string(), "");
}

#[test]
fn an_operators_price_is_the_one_that_counts() {
    let own = BTreeMap::from([(Meter::by_word("input").expect("a meter"), Price::new(1_000_000_000))]);
    let prices = Prices::new("openai", "i=25e8 o=1e10", Some(&own), Markup::default());
    let usage = Usage { input: 10, output: 10, ..Usage::default() };
    assert_eq!(cost(&prices, Tier::Standard, &usage).map(|cost| cost.money), Some(Money::nano_usd(110_000)));
}

#[test]
fn a_markup_is_in_what_everything_costs_and_what_stands_in_no_list() {
    let markup = Markup::parse("10%").expect("a markup");
    let usage = Usage { input: 10, other: Other { searches: 3, ..Other::default() }, ..Usage::default() };
    let of = |markup| {
        let prices = Prices::new("anthropic", "i=3e9 o=15e9", None, markup);
        cost(&prices, Tier::Standard, &usage).map(|cost| cost.money.as_nano_usd())
    };
    // Ten tokens at 3 USD a million, three searches at 10 USD a thousand.
    assert_eq!(of(Markup::default()), Some(30_000 + 30_000_000));
    assert_eq!(of(markup), Some(33_000 + 33_000_000));
}

#[test]
fn the_providers_own_sum_holds_and_nothing_costs_nothing() {
    let catalog = Catalog::embedded();
    let cost = |model, usage| {
        catalog
            .cost("openai", model, &usage, catalog.as_of())
            .map(|cost| (cost.money.as_nano_usd(), cost.to_string()))
    };
    let usage = Usage { input: 10, ..Usage::default() };
    assert_eq!(cost("gpt-5.4", usage), Some((25_000, "input 10 x 2.5/M".to_owned())));
    let said = Usage { said: Some(Money::nano_usd(7)), ..usage };
    assert_eq!(cost("gpt-5.4", said), Some((7, "as its provider says".to_owned())));
    assert_eq!(cost("nobody's", said).map(|(nano, _)| nano), Some(7));
    assert_eq!(cost("nobody's", usage), None);
    let nothing = Usage { tier: Some(Tier::Other), ..Usage::default() };
    assert_eq!(cost("nobody's", nothing), Some((0, String::new())));
    let hurried = |tier| cost("gpt-5.4", Usage { tier: Some(tier), ..usage }).map(|(nano, _)| nano);
    assert_eq!((hurried(Tier::Flex), hurried(Tier::Other)), (Some(12_500), None));
}

fn parts() -> impl Strategy<Value = [u64; 10]> {
    proptest::array::uniform10(0_u64..300_000)
}

/// A usage of so many tokens of each kind, and of so much else.
fn of([text, read, write, hour, audio, read_audio, image, out, thought, spoken]: [u64; 10]) -> Usage {
    Usage {
        input: text + read + write + hour + audio + read_audio + image,
        cache_read: read + read_audio,
        cache_write: write,
        cache_write_1h: hour,
        output: out + thought + spoken,
        reasoning: thought,
        input_audio: audio + read_audio,
        cache_read_audio: read_audio,
        output_audio: spoken,
        input_image: image,
        ..Usage::default()
    }
}

proptest! {
    #[test]
    fn a_model_with_all_prices_has_a_cost_that_is_the_sum_of_its_parts(kinds in parts()) {
        let usage = of(kinds);
        let cost = cost(&Prices::new("nobody", ALL, None, Markup::default()), Tier::Standard, &usage).expect("all prices");
        let counted: u64 = cost.lines.iter().map(|line| line.count).sum();
        prop_assert_eq!(counted, usage.input + usage.output);
        let factor = if usage.input > 200_000 { 2 } else { 1 };
        let [text, read, write, hour, audio, read_audio, image, out, thought, spoken] = kinds;
        // Tenths of a nano-dollar, by hand.
        let tenths = factor * (text * 25_000 + read * 2_500 + write * 31_250 + hour * 50_000 + out * 100_000)
            + audio * 100_000 + read_audio * 10_000 + image * 30_000 + thought * 120_000 + spoken * 200_000;
        prop_assert_eq!(cost.money.as_nano_usd(), (tenths + 5) / 10);
    }

    #[test]
    fn more_of_anything_never_costs_less(kinds in parts(), at in 0_usize..10, more in 1_u64..100_000) {
        let mut greater = kinds;
        greater[at] += more;
        prop_assert!(nano(ALL, Tier::Standard, &of(kinds)) <= nano(ALL, Tier::Standard, &of(greater)));
    }

    #[test]
    fn no_count_however_absurd_upsets_the_sum(counts in proptest::array::uniform12(any::<u64>()), tier in 0..Tier::ALL.len()) {
        let [input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, cache_read_audio, output_audio, input_image, output_image, other] = counts;
        let some = other as u32;
        let usage = Usage {
            input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, cache_read_audio, output_audio,
            input_image, output_image, other: Other { images: some, searches: some, characters: some, audio_millis: some },
            tier: None,
            said: None,
        };
        let found = cost(&Prices::new("nobody", ALL, None, Markup::default()), Tier::ALL[tier], &usage);
        prop_assert!(tier > 0 || found.is_some());
    }

    #[test]
    fn every_price_of_the_catalog_makes_a_cost(at in 0_usize..2000, input in 1_u64..400_000, output in 1_u64..10_000) {
        let catalog = Catalog::embedded();
        let Some((_, entry)) = catalog.models_of("openai").chain(catalog.models_of("azure")).nth(at % 300) else { return Ok(()) };
        let usage = Usage { input, output, ..Usage::default() };
        let prices = entry.prices(catalog.as_of());
        let both = prices.of(Unit::Input, Tier::Standard, input).zip(prices.of(Unit::Output, Tier::Standard, input));
        let expected = both.map(|(i, o)| Money::of_femto(i.times(input) + o.times(output)));
        prop_assert_eq!(cost(&prices, Tier::Standard, &usage).map(|cost| cost.money), expected);
    }
}
