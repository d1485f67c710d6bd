//! What is asked for, in words that are the same on the command line and in a query of the admin side.

use std::time::Duration;

use super::Failed;
use super::period::{Period, Said};
use super::sheet::Format;
use crate::catalog::Date;
use crate::config::did_you_mean;
use crate::store::{Each, Field, Query};
use crate::vocab::Part;

/// Most models that the same tokens are priced at.
const MOST_MODELS: usize = 8;

/// Sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageAsked {
    pub query: Query,
    /// `provider/model`, or the name of a model that one provider has.
    pub at: Vec<String>,
    pub period: Period,
    pub format: Format,
}

/// Rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsAsked {
    pub rows: Rows,
    pub period: Period,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    Requests,
    Attempts,
}

impl Rows {
    pub const ALL: [(&str, Self); 2] = [("requests", Self::Requests), ("attempts", Self::Attempts)];
}

/// Costs that are to be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepriceAsked {
    /// Whole days (UTC).
    pub period: Period,
    /// `provider/model` or the model alone, as rows call them; none for all.
    pub models: Vec<String>,
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Says what would change.
    DryRun,
    Correct,
}

impl RepriceAsked {
    /// As the audit trail calls it: `2026-11-01 to 2026-12-01`.
    pub fn subject(&self) -> String {
        let day = |micros: i64| Date::of_unix(micros.max(0).unsigned_abs() / 1_000_000);
        format!("{} to {}", day(self.period.from), day(self.period.to))
    }
}

/// Names with values, any of them several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<(String, String)>);

const WHEN: [&str; 4] = ["from", "to", "last", "month"];

impl Words {
    pub fn usage(&self, now: Duration) -> Result<UsageAsked, Failed> {
        self.known(&["by", "only", "at", "format"])?;
        let period = self.period(now)?.in_whole_hours(now);
        let (mut each, mut tag, mut by) = (Each::All, None, Vec::new());
        for word in self.several("by") {
            match word {
                "hour" | "day" if each != Each::All => {
                    return Failed::wrong("time is cut once: by `hour` or by `day`");
                }
                "hour" => each = Each::Hour,
                "day" => each = Each::Day,
                word => {
                    let field = field(word, "by", &mut tag)?;
                    if by.contains(&field) {
                        return Failed::wrong(format!("`by` has `{word}` twice"));
                    }
                    by.push(field);
                }
            }
        }
        let mut only = Vec::new();
        for said in self.all("only") {
            let Some((word, value)) = said.split_once('=') else {
                return Failed::wrong(format!("`only` is NAME=VALUE, as in team=blue, and not `{said}`"));
            };
            let field = field(word, "only", &mut tag)?;
            if field == Field::Part {
                part(value)?;
            }
            only.push((field, value.to_owned()));
        }
        let at: Vec<String> = self.several("at").map(str::to_owned).collect();
        if at.len() > MOST_MODELS {
            return Failed::wrong(format!(
                "`at` has {} models; {MOST_MODELS} fit beside each other",
                at.len()
            ));
        }
        let Period { from, to } = period;
        let query = Query { from, to, by, each, tag, only, most: 0 };
        Ok(UsageAsked { query, at, period, format: self.format(Format::Json)? })
    }

    pub fn rows(&self, now: Duration) -> Result<RowsAsked, Failed> {
        self.known(&["rows", "format"])?;
        let rows = match self.one("rows")? {
            None => Rows::Requests,
            Some(word) => {
                let found = Rows::ALL.iter().find(|(name, _)| *name == word);
                let Some((_, rows)) = found else {
                    return Failed::wrong(format!("`{word}` are no rows; there are requests and attempts"));
                };
                *rows
            }
        };
        let format = self.format(Format::Json)?;
        if format == Format::Table {
            return Failed::wrong("rows are written as csv or json; their table would have no end");
        }
        Ok(RowsAsked { rows, period: self.period(now)?, format })
    }

    pub fn reprice(&self, now: Duration) -> Result<RepriceAsked, Failed> {
        self.known(&["model", "dry_run"])?;
        if self.one("from")?.is_none() {
            return Failed::wrong("say with `from` and `to` which days are priced again, as in 2026-11-01");
        }
        for word in ["from", "to"] {
            if let Some(day) = self.one(word)?.filter(|day| Date::parse(day).is_none()) {
                let why = format!(
                    "whole days are priced again; `{word}` is one, as in 2026-11-01, and not `{day}`"
                );
                return Failed::wrong(why);
            }
        }
        let mode = match self.one("dry_run")? {
            None | Some("false") => Mode::Correct,
            Some("" | "true") => Mode::DryRun,
            Some(other) => return Failed::wrong(format!("dry_run is true or false, not {other}")),
        };
        let models = self.several("model").map(str::to_owned).collect();
        Ok(RepriceAsked { period: self.period(now)?, models, mode })
    }

    fn known(&self, words: &[&str]) -> Result<(), Failed> {
        let all = || words.iter().chain(&WHEN).copied();
        let Some((word, _)) = self.0.iter().find(|(word, _)| !all().any(|known| known == word)) else {
            return Ok(());
        };
        let close = did_you_mean(word, all());
        let list = all().collect::<Vec<_>>().join(", ");
        Failed::wrong(format!("nothing can be asked by `{word}`; {close}there are {list}"))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(word, _)| word == name).map(|(_, value)| value.as_str())
    }

    /// With commas between them, or each by itself.
    fn several(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all(name).flat_map(|value| value.split(',')).filter(|value| !value.is_empty())
    }

    fn one(&self, name: &str) -> Result<Option<&str>, Failed> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (one, None) => Ok(one),
            (_, Some(_)) => Failed::wrong(format!("`{name}` is said twice")),
        }
    }

    fn period(&self, now: Duration) -> Result<Period, Failed> {
        let [from, to, last, month] = WHEN.map(|word| self.one(word).map(|said| said.map(str::to_owned)));
        Said { from: from?, to: to?, last: last?, month: month? }.period(now)
    }

    fn format(&self, usual: Format) -> Result<Format, Failed> {
        self.one("format")?.map_or(Ok(usual), Format::parse)
    }
}

/// How a report calls what sums are kept by.
pub const FIELDS: [(&str, Field); 10] = [
    ("organisation", Field::Organisation),
    ("team", Field::Team),
    ("user", Field::User),
    ("key", Field::Key),
    ("route", Field::Route),
    ("arm", Field::Arm),
    ("upstream", Field::Upstream),
    ("provider", Field::Provider),
    ("model", Field::Model),
    ("part", Field::Part),
];

/// Of the words that anything may have only these are known beforehand. None at all is what a request without attempts
/// has.
fn part(value: &str) -> Result<(), Failed> {
    let names = || Part::ALL.into_iter().map(Part::name);
    if value.is_empty() || names().any(|name| name == value) {
        return Ok(());
    }
    let close = did_you_mean(value, names());
    let list = names().collect::<Vec<_>>().join(", ");
    Failed::wrong(format!("no part is `{value}`; {close}there are {list}"))
}

/// Sums are kept by one tag at a time, so that all words have to mean the same.
fn field(word: &str, of: &str, tag: &mut Option<String>) -> Result<Field, Failed> {
    if let Some(name) = word.strip_prefix("tag:").filter(|name| !name.is_empty()) {
        let known = tag.get_or_insert_with(|| name.to_owned());
        if known != name {
            return Failed::wrong(format!("sums are kept by one tag at a time: by {known} or by {name}"));
        }
        return Ok(Field::Tag);
    }
    if let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == word) {
        return Ok(*field);
    }
    let names = || FIELDS.iter().map(|(name, _)| *name).chain(["tag:NAME"]);
    let close = did_you_mean(word, names());
    let time = if of == "by" { ", hour, day" } else { "" };
    let list = names().collect::<Vec<_>>().join(", ");
    Failed::wrong(format!("`{of}` knows no `{word}`; {close}there are {list}{time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_hours(498_648);

    fn words(text: &str) -> Words {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Words(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn a_report_is_asked_for_in_words() {
        let asked = words(
            "by=day,team&by=tag:customer&only=team=blue&only=tag:customer=a=b&at=x/y,z&format=csv&last=7d",
        );
        let asked = asked.usage(NOW).expect("good");
        assert_eq!(asked.query.each, Each::Day);
        assert_eq!(asked.query.by, [Field::Team, Field::Tag]);
        assert_eq!(asked.query.tag.as_deref(), Some("customer"));
        assert_eq!(asked.query.only, [(Field::Team, "blue".to_owned()), (Field::Tag, "a=b".to_owned())]);
        assert_eq!((asked.at, asked.format), (vec!["x/y".to_owned(), "z".to_owned()], Format::Csv));
    }

    #[test]
    fn every_field_of_the_store_has_its_word() {
        let known = |field: &Field| FIELDS.iter().any(|(_, known)| known == field) || *field == Field::Tag;
        assert!(Field::ALL.iter().all(known));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_a_way_out() {
        let refused = |text: &str, of: fn(&Words, Duration) -> Option<Failed>| match of(&words(text), NOW) {
            Some(Failed::Wrong(why)) => why,
            other => panic!("{text}: {other:?}"),
        };
        for (text, why) in [
            ("by=tem", "did you mean `team`? there are organisation,"),
            ("by=day,hour", "`hour` or by `day`"),
            ("by=team,team", "twice"),
            ("by=tag:", "tag:NAME"),
            ("by=tag:a&only=tag:b=1", "by a or by b"),
            ("only=blue", "NAME=VALUE"),
            ("only=day=1", "knows no `day`"),
            ("only=part=hedg", "did you mean `hedge`? there are turn, hedge, leg, mirror"),
            ("form=2026-11-01", "did you mean `from`?"),
            ("format=xml", "table, csv and json"),
            ("format=csv&format=json", "said twice"),
            ("at=1,2,3,4,5,6,7,8,9", "8 fit"),
            ("last=soon", "`last`"),
        ] {
            let said = refused(text, |words, now| words.usage(now).err());
            assert!(said.contains(why), "{text}: {said}");
        }
        for (text, why) in
            [("rows=keys", "requests and attempts"), ("format=table", "csv or json"), ("by=day", "by `by`")]
        {
            let said = refused(text, |words, now| words.rows(now).err());
            assert!(said.contains(why), "{text}: {said}");
        }
        for (text, why) in [
            ("", "which days"),
            ("from=2026-11-01T12:00:00Z", "whole days"),
            ("from=2026-11-01&to=2026-11-02T12:00:00Z", "whole days"),
            ("from=2026-11-01&dry_run=maybe", "true or false"),
            ("from=2026-11-01&last=7d", "with one of them"),
        ] {
            let said = refused(text, |words, now| words.reprice(now).err());
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
