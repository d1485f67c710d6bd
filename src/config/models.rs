//! The file of `catalog.file`, from text to a [`Catalog`], or everything that is wrong with it.
//!
//! It goes the way of routing.yaml itself (tree, shape, decode, checks), so that its problems have the same
//! form. References are not replaced in it: facts about models are no secrets.

use std::collections::BTreeMap;

use super::file::models::{Model, Models, Prices};
use super::path::Path;
use super::problem::{Findings, Problem};
use super::redact::{Redactor, Tree};
use super::shape;
use super::{FILE_MAX, Mark, check, decode, nearest, schema, tree};
use crate::catalog::{
    ABILITIES, Catalog, Date, DatedPrices, MODES, Markup, Meter, Own, OwnModel, Price, Unit,
};
use crate::dialect::provider;

/// Reads `text` over `catalog`. The problems carry `name`, which is this file's and not routing.yaml's.
pub fn read(text: &str, name: &str, catalog: &Catalog) -> Result<Catalog, Vec<Problem>> {
    let mut findings = Findings::default();
    let mut tree = None;
    let own = own(text, catalog, &mut tree, &mut findings);
    if findings.any_error() {
        // No secret stands in it, but a word that looks like one may have got there by mistake.
        let mut problems = super::problems(findings, text, tree.as_ref(), &Redactor::new(None, Tree::Whole));
        for problem in &mut problems {
            problem.file = Some(name.to_owned());
        }
        return Err(problems);
    }
    Ok(catalog.overridden_by(own.unwrap_or_default()))
}

fn own(
    text: &str,
    catalog: &Catalog,
    whole: &mut Option<tree::Node>,
    findings: &mut Findings,
) -> Option<Own> {
    if text.len() > FILE_MAX {
        let message = format!("the file is larger than {} KiB", FILE_MAX / 1024);
        findings.error_at(Mark::default(), message, "keep only the models that are used");
        return None;
    }
    let root = tree::parse(text, findings).filter(|root| !root.is_null());
    let Some(mut root) = root else {
        if !findings.any_error() {
            let hint = "begin with: providers: {openai: {gpt-x: {context: 400000}}}";
            findings.error_at(Mark::default(), "the file is empty", hint);
        }
        return None;
    };
    *whole = Some(root.clone());
    shape::fit(&mut root, &schema::of_models(), findings);
    let said = match decode::decode::<Models>(&root) {
        Ok(said) => said,
        Err(error) => {
            if !findings.any_error() {
                findings.error_at(Mark::default(), format!("{}: {}", error.path(), error.inner()), "");
            }
            return None;
        }
    };
    let mut own = Own::default();
    own.as_of = day(said.as_of.as_deref(), &Path::root().key("as_of"), findings);
    for (provider, models) in &said.providers.0 {
        let path = Path::root().key("providers").key(provider.as_str());
        known_provider(provider, &path, catalog, findings);
        for (name, model) in &models.0 {
            let path = path.key(name.as_str());
            let said = OwnModel {
                like: like(model.like.as_deref(), provider, &path.key("like"), catalog, findings),
                ..self::model(model, &path, findings)
            };
            own.add(provider, name, said);
        }
    }
    for (provider, text) in &said.markups {
        let path = Path::root().key("markups").key(provider.as_str());
        known_provider(provider, &path, catalog, findings);
        match Markup::parse(text) {
            Some(markup) => own.mark_up(provider, markup),
            None => findings.error(
                &path,
                format!("`{text}` is no markup"),
                "write 20% for a fifth more, or -12.5% for an eighth less; -99.9% to 1000%",
            ),
        }
    }
    Some(own)
}

fn known_provider(name: &str, path: &Path, catalog: &Catalog, findings: &mut Findings) {
    if provider::find(name).is_some() || catalog.knows(name) {
        return;
    }
    let known = || provider::PROVIDERS.iter().map(|row| row.name);
    let hint = format!("{}providers: {}", nearest::did_you_mean(name, known()), nearest::listed(known()));
    findings.error_at_key(path, format!("there is no provider `{name}`"), hint);
}

/// Only what the program's own catalog has: nothing would be known of another name, nor of what is like a likeness.
fn like(
    said: Option<&str>,
    provider: &str,
    path: &Path,
    catalog: &Catalog,
    findings: &mut Findings,
) -> Option<Box<str>> {
    let said = said?;
    if catalog.find(provider, said).is_none() {
        let names = || catalog.models_of(provider).map(|(name, _)| name);
        let hint = format!(
            "{}write the name that the provider itself has for it, as in `anthropic.claude-opus-4-7`",
            nearest::did_you_mean(said, names())
        );
        findings.error(path, format!("the catalog has no model `{said}` of {provider}"), hint);
        return None;
    }
    Some(said.into())
}

fn model(said: &Model, path: &Path, findings: &mut Findings) -> OwnModel {
    let mode = said.mode.as_ref().and_then(|name| MODES.iter().find(|(_, word, _)| *word == name.0));
    let mut abilities = Vec::new();
    for (key, names, able) in [("supports", &said.supports, true), ("lacks", &said.lacks, false)] {
        for (number, name) in names.iter().enumerate() {
            // The schema lets only known words through.
            let Some((.., ability)) = ABILITIES.iter().find(|(_, word, _)| *word == name.0) else { continue };
            if abilities.contains(&(*ability, !able)) {
                let message = format!("`{}` is in `supports` and in `lacks`", name.0);
                findings.error(&path.key(key).index(number), message, "keep one of them");
            }
            abilities.push((*ability, able));
        }
    }
    OwnModel {
        like: None,
        context: said.context,
        max_output: said.max_output,
        dimensions: said.dimensions,
        mode: mode.map(|(.., mode)| *mode),
        abilities,
        prices: prices(&said.price, &path.key("price"), findings),
        cache_min_tokens: said.cache_min_tokens,
        deprecated_on: day(said.deprecated_on.as_deref(), &path.key("deprecated_on"), findings),
    }
}

/// The key of a price that is none: the first day on which the others hold.
const FROM: &str = "from";

fn prices(said: &Prices, path: &Path, findings: &mut Findings) -> DatedPrices {
    let sets: Vec<(&BTreeMap<String, String>, Path)> = match said {
        Prices::Always(prices) => vec![(prices, path.clone())],
        Prices::ByDay(list) => {
            list.iter().enumerate().map(|(number, prices)| (prices, path.index(number))).collect()
        }
    };
    let mut dated: Vec<(Option<Date>, BTreeMap<Meter, Price>)> = Vec::new();
    for (prices, path) in sets {
        let written = prices.get(FROM).map(String::as_str);
        let from = day(written, &path.key(FROM), findings);
        let is_good = written.is_none() || from.is_some();
        if is_good && dated.iter().any(|(known, _)| *known == from) {
            let message = from.map_or_else(
                || "there are two lists of prices without a day".to_owned(),
                |from| format!("there are two lists of prices from {from} on"),
            );
            findings.error_at_key(&path, message, "put them together, or write `from: 2026-10-01` in one");
        }
        let priced = prices
            .iter()
            .filter(|(word, _)| *word != FROM)
            .filter_map(|(word, dollars)| price(word, dollars, &path.key(word.as_str()), findings));
        dated.push((from, priced.collect()));
    }
    DatedPrices::new(dated)
}

fn price(word: &str, dollars: &str, path: &Path, findings: &mut Findings) -> Option<(Meter, Price)> {
    let Some(meter) = Meter::by_word(word) else {
        let known = || Unit::ALL.iter().map(|unit| unit.word());
        let close = nearest::did_you_mean(word, known());
        let hint = format!(
            "{close}known: {}; behind it `_above_272k` and `_batch`, `_flex` or `_priority`",
            nearest::listed(known())
        );
        findings.error_at_key(path, format!("`{word}` is nothing that has a price"), hint);
        return None;
    };
    let price = Price::parse(dollars, meter.unit.per());
    if price.is_none() {
        let hint = "write dollars as in 2.5 or 0.0375";
        findings.error(path, format!("`{dollars}` is not an amount of dollars"), hint);
    }
    price.map(|price| (meter, price))
}

fn day(said: Option<&str>, path: &Path, findings: &mut Findings) -> Option<Date> {
    let said = said?;
    let date = Date::parse(said);
    if date.is_none() {
        findings.error(path, format!("`{said}` is not a day"), "write it as in 2026-11-20");
    }
    date
}

/// The catalog that routing.yaml asks for. What is wrong with the other file comes back with it.
pub fn of(scene: &check::Scene<'_>, findings: &mut Findings) -> (Catalog, Vec<Problem>) {
    let embedded = Catalog::embedded();
    let Some(name) = &scene.file.catalog.file else { return (embedded, Vec::new()) };
    match scene.env.file(name) {
        Ok(text) => match read(&text, name, &embedded) {
            Ok(catalog) => (catalog, Vec::new()),
            Err(problems) => (embedded, problems),
        },
        Err(why) => {
            let hint = "correct the name (it counts from the directory of this file), or remove it";
            findings.error(
                &Path::root().key("catalog").key("file"),
                format!("{name} cannot be read: {why}"),
                hint,
            );
            (embedded, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Tier;
    use crate::vocab::{Ability, Mode};

    const GOOD: &str = "
as_of: 2026-12-24
providers:
  openai:
    gpt-x:
      context: 1000
      max_output: 10
      mode: chat
      supports: [tools, vision]
      lacks: [pdf]
      price: {input: 2.5, cache_read_above_272k_batch: 0.0375, input_images: 0.04}
      deprecated_on: 2030-01-01
    gpt-5.4: {context: 7}
  simulated: {demo: {}}
";

    fn wrong(text: &str) -> String {
        let problems = read(text, "models.yaml", &Catalog::embedded()).expect_err("a bad file");
        problems.iter().map(|problem| problem.render("routing.yaml")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_good_file_lies_over_what_the_program_brings() {
        let embedded = Catalog::embedded();
        let catalog = read(GOOD, "models.yaml", &embedded).expect("a good file");
        assert_eq!(catalog.as_of().to_string(), "2026-12-24");
        assert_eq!(catalog.models(), embedded.models() + 2);
        let entry = catalog.find("openai", "gpt-x").expect("a model");
        let facts = entry.facts();
        assert_eq!((facts.context, facts.max_output, facts.mode), (Some(1000), Some(10), Some(Mode::Chat)));
        assert!(facts.has(Ability::Vision) && facts.lacks(Ability::Pdf));
        let price =
            |unit, tier, tokens| entry.prices(catalog.as_of()).of(unit, tier, tokens).map(Price::femto_usd);
        assert_eq!(price(Unit::Input, Tier::Standard, 0), Some(2_500_000_000));
        assert_eq!(price(Unit::CacheRead, Tier::Batch, 300_000), Some(37_500_000));
        assert_eq!(price(Unit::InputImage, Tier::Standard, 0), Some(40_000_000_000_000));
        assert_eq!(entry.deprecated_on(), Date::parse("2030-01-01"));
        let known = catalog.facts("openai", "gpt-5.4");
        assert_eq!(known.context, Some(7));
        assert_eq!(known.max_output, embedded.facts("openai", "gpt-5.4").max_output);
    }

    #[test]
    fn a_name_that_tells_nothing_may_be_like_another() {
        let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3";
        let claude = "anthropic.claude-opus-4-7";
        let text = format!(
            "providers: {{bedrock: {{'{arn}': {{like: us.{claude}, context: 5, price: {{input: 1}}}}}}}}"
        );
        let embedded = Catalog::embedded();
        let catalog = read(&text, "models.yaml", &embedded).expect("a good file");
        assert_eq!(catalog.known_as("bedrock", arn), format!("us.{claude}"));
        assert_eq!(catalog.known_as("bedrock", claude), claude);
        assert_eq!(catalog.known_as("openai", arn), arn);
        let (facts, own) =
            (catalog.facts("bedrock", arn), embedded.facts("bedrock", &format!("us.{claude}")));
        assert_eq!((facts.context, facts.max_output), (Some(5), own.max_output));
        assert!(
            own.max_output.is_some() && facts.has(Ability::PromptCaching) == own.has(Ability::PromptCaching)
        );
        let price = |catalog: &Catalog, model: &str, unit| {
            let entry = catalog.find("bedrock", model).expect("a model");
            entry.prices(catalog.as_of()).of(unit, Tier::Standard, 0).map(Price::femto_usd)
        };
        assert_eq!(price(&catalog, arn, Unit::Input), Some(1_000_000_000));
        let output = price(&embedded, &format!("us.{claude}"), Unit::Output);
        assert!(output.is_some());
        assert_eq!(price(&catalog, arn, Unit::Output), output);
        let said = wrong("providers: {bedrock: {x: {like: anthropic.claude-opus-4-77}}}");
        assert!(said.contains("providers.bedrock.x.like: the catalog has no model"), "{said}");
    }

    #[test]
    fn a_markup_is_on_all_prices_of_a_provider_and_on_nobody_elses() {
        let text = "providers: {openai: {gpt-x: {price: {input: 2, output: 10}}}}\nmarkups: {openai: 20%, anthropic: -10%}";
        let catalog = read(text, "models.yaml", &Catalog::embedded()).expect("a good file");
        let embedded = Catalog::embedded();
        let of = |catalog: &Catalog, provider: &str, model: &str| {
            let entry = catalog.find(provider, model).expect("a model");
            entry.prices(catalog.as_of()).of(Unit::Input, Tier::Standard, 0).expect("a price").femto_usd()
        };
        assert_eq!(of(&catalog, "openai", "gpt-x"), 2_400_000_000);
        let (before, after) = (of(&embedded, "openai", "gpt-5.4"), of(&catalog, "openai", "gpt-5.4"));
        assert_eq!(after * 10, before * 12);
        let claude = |catalog| of(catalog, "anthropic", "claude-sonnet-4-6");
        assert_eq!(claude(&catalog) * 10, claude(&embedded) * 9);
        let gemini = |catalog| of(catalog, "gemini", "gemini-3.5-flash");
        assert_eq!(gemini(&catalog), gemini(&embedded));
        let said = wrong("providers: {}\nmarkups: {openai: 0.2, nobody: 5%}");
        assert!(said.contains("markups.openai: `0.2` is no markup") && said.contains("write 20%"), "{said}");
        assert!(said.contains("there is no provider `nobody`"), "{said}");
    }

    #[test]
    fn prices_may_change_from_a_day_on() {
        let catalog = read(
            "
providers:
  openai:
    gpt-x:
      price:
        - {input: 3, output: 15}
        - {from: 2026-10-01, input: 2.5}
    gpt-y:
      price: {from: 2026-10-01, input: 1}
",
            "models.yaml",
            &Catalog::embedded(),
        )
        .expect("a good file");
        let price = |model: &str, unit, on: &str| {
            let entry = catalog.exactly("openai", model).expect("a model");
            let found = entry.prices(Date::parse(on).expect("a day")).of(unit, Tier::Standard, 0);
            found.map(|price| price.femto_usd() / 100_000_000)
        };
        assert_eq!(price("gpt-x", Unit::Input, "2026-09-30"), Some(30));
        assert_eq!(price("gpt-x", Unit::Input, "2026-10-01"), Some(25));
        assert_eq!(price("gpt-x", Unit::Output, "2026-10-01"), Some(150));
        assert_eq!(price("gpt-y", Unit::Input, "2026-09-30"), None);
        assert_eq!(price("gpt-y", Unit::Input, "2026-10-01"), Some(10));
    }

    #[test]
    fn json_is_as_good_as_yaml() {
        let text = r#"{"providers": {"openai": {"gpt-x": {"context": 5, "price": {"input": 1.25}}}}}"#;
        let catalog = read(text, "models.json", &Catalog::embedded()).expect("a good file");
        assert_eq!(catalog.facts("openai", "gpt-x").context, Some(5));
    }

    #[test]
    fn every_mistake_is_shown_with_the_file_that_it_is_in() {
        let shown = wrong(
            "as_of: yesterday
providers:
  opnai: {x: {}}
  openai:
    a: {context: 0, max_output: many, suports: [tools]}
    b: {supports: [toools], mode: chatting}
    c: {supports: [tools], lacks: [tools], price: {inptu: 1, output: free}}
    d: {deprecated_on: 2026-02-30, price: {input: -1}}
    e: {price: [{input: 1}, {from: 2026-13-01, input: 2}, {output: 3}, {from: 2026-10-01}, {from: 2026-10-01}]}
",
        );
        for said in [
            "as_of: `yesterday` is not a day",
            "models.yaml:1:8",
            "did you mean `openai`?",
            "providers.openai.a.context: 0 is not allowed",
            "`many` is not a whole number",
            "did you mean `supports`?",
            "did you mean `tools`?",
            "`chatting` is not a mode",
            "`tools` is in `supports` and in `lacks`",
            "did you mean `input`?",
            "`free` is not an amount of dollars",
            "`2026-02-30` is not a day",
            "`-1` is not an amount of dollars",
            "`2026-13-01` is not a day",
            "two lists of prices without a day",
            "two lists of prices from 2026-10-01 on",
        ] {
            assert!(shown.contains(said), "{said} is not in\n{shown}");
        }
        assert!(!shown.contains("routing.yaml"), "{shown}");
    }

    #[test]
    fn what_is_no_catalog_at_all_is_refused() {
        for text in
            ["", "[]", "x", "providers: []", "providers:\n\t- x", "providers: {openai: 3}", "a: &a [*a]"]
        {
            assert!(!wrong(text).is_empty(), "{text:?}");
        }
        assert!(wrong(&"#".repeat(FILE_MAX + 1)).contains("larger than"));
    }
}
