//! `rules`, `split` and `mirror` of a route: every route that they name is there and takes models, shares are a
//! whole, times and headers can be read.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;

use super::route_path;
use crate::algo::hours::{Days, Hours};
use crate::config::blueprint::{
    Arm, Level, Matcher, Mirror, Pattern, Rule, Split, Steering, Sticks, Time, Wanted, When,
};
use crate::config::file;
use crate::config::file::indexed::Named;
use crate::config::file::steer as said;
use crate::config::nearest::{did_you_mean, listed};
use crate::config::path::Path;
use crate::config::percent::Percent;
use crate::config::problem::Findings;

/// Mirrored requests at the same moment: enough for a share of a busy route, and little beside its callers.
const MOST_MIRRORED: u32 = 16;

/// Headers that say who asks; rules have `key` for that.
const PROOFS: [&str; 5] = ["authorization", "proxy-authorization", "x-api-key", "x-goog-api-key", "cookie"];

/// A route while it is looked at.
struct Site<'a> {
    index: usize,
    matchers: &'a [Option<Matcher>],
    names: &'a HashMap<String, usize>,
    file: &'a file::File,
}

pub fn steering(
    file: &file::File,
    index: usize,
    matchers: &[Option<Matcher>],
    names: &HashMap<String, usize>,
    findings: &mut Findings,
) -> Steering {
    let said = &file.routes[index];
    if matches!(matchers[index], None | Some(Matcher::Path { .. })) {
        // What is said there was refused with the path.
        return Steering::default();
    }
    let site = Site { index, matchers, names, file };
    let path = route_path(index);
    let rules = said.rules.iter().enumerate();
    Steering {
        rules: rules
            .filter_map(|(number, rule)| site.rule(rule, &path.key("rules").index(number), findings))
            .collect(),
        split: said.split.as_ref().and_then(|split| site.split(split, &path.key("split"), findings)),
        mirror: said.mirror.as_ref().and_then(|mirror| site.mirror(mirror, &path.key("mirror"), findings)),
    }
}

impl Site<'_> {
    fn rule(&self, said: &said::Rule, path: &Path, findings: &mut Findings) -> Option<Rule> {
        let when = self.when(&said.when, &path.key("when"), findings);
        let to = self.target(said.to.as_ref()?, &path.key("use"), findings);
        Some(Rule { when: when?, to: to? })
    }

    fn target(&self, name: &str, path: &Path, findings: &mut Findings) -> Option<usize> {
        let Some(&target) = self.names.get(name) else {
            let models = self.names.iter().filter(|(_, index)| {
                matches!(self.matchers[**index], Some(Matcher::Model { pattern: Pattern::Exact(_) }))
            });
            let mut known: Vec<&str> = models.map(|(name, _)| name.as_str()).collect();
            known.sort_unstable();
            let hint = format!("{}routes: {}", did_you_mean(name, known.iter().copied()), listed(known));
            findings.error(path, format!("there is no route `{name}`"), hint);
            return None;
        };
        match &self.matchers[target] {
            // Its own name for a model is what the caller asked for.
            _ if target == self.index => Some(target),
            Some(Matcher::Model { pattern: Pattern::Exact(_) | Pattern::Listed(_) }) => Some(target),
            Some(Matcher::Model { pattern: Pattern::Prefix(_) }) => {
                let hint = "name a route with a single model";
                findings.error(path, format!("`{name}` is a pattern and does not say which model"), hint);
                None
            }
            Some(Matcher::Path { .. }) => {
                let hint = "name a route with `model`";
                findings.error(path, format!("`{name}` is plain HTTP and serves no models"), hint);
                None
            }
            // Reported where it stands.
            None => None,
        }
    }

    fn when(&self, said: &said::When, path: &Path, findings: &mut Findings) -> Option<When> {
        let mut when =
            When { tools: said.tools, images: said.images, stream: said.stream, ..When::default() };
        let callers = [
            (Level::Organisation, &said.organisation),
            (Level::Team, &said.team),
            (Level::User, &said.user),
            (Level::Key, &said.key),
        ];
        for (level, names) in callers {
            let Some(names) = names else { continue };
            for (number, name) in names.iter().enumerate() {
                self.known(level, name, &path.key(level.name()).index(number), findings);
            }
            when.callers.push((level, names.iter().map(|name| name.as_str().into()).collect()));
        }
        let mut whole = true;
        for (name, value) in &said.header {
            match header(name, value, &path.key("header").key(name.as_str()), findings) {
                Some(header) => when.headers.push(header),
                None => whole = false,
            }
        }
        if let Some(said::Bounds { above, below }) = said.prompt_tokens {
            (when.above, when.below) = (above, below);
            let path = path.key("prompt_tokens");
            let none_between = above.zip(below).is_some_and(|(above, below)| below.saturating_sub(above) < 2);
            if above.is_none() && below.is_none() {
                let hint = "write {above: 32000}, {below: 2000}, or both";
                findings.error_at_key(&path, "no bound is here", hint);
                whole = false;
            } else if none_between || below == Some(0) {
                let hint = "`above` is the lower bound, `below` the upper one";
                findings.error_at_key(&path, "no number lies between these bounds", hint);
                whole = false;
            }
        }
        if let Some(said) = &said.time {
            match time(said, &path.key("time"), findings) {
                Some(time) => when.time = Some(time),
                None => whole = false,
            }
        }
        whole.then_some(when)
    }

    /// Warns of somebody who is not in the file: keys are made elsewhere, too.
    fn known(&self, level: Level, name: &str, path: &Path, findings: &mut Findings) {
        fn names<T>(of: &Named<T>) -> Vec<&str> {
            of.0.iter().map(|(name, _)| name.as_str()).collect()
        }
        let known = match level {
            Level::Organisation => names(&self.file.organisations),
            Level::Team => names(&self.file.teams),
            Level::User => names(&self.file.users),
            Level::Key => names(&self.file.keys),
        };
        if !known.contains(&name) {
            let close = did_you_mean(name, known.iter().copied());
            let level = level.name();
            let message = format!("no {level} of this file is called `{name}`");
            let here = if known.is_empty() { "none".to_owned() } else { listed(known) };
            findings.warn(path, message, format!("{close}{level}s that it has: {here}"));
        }
    }

    fn split(&self, said: &said::Split, path: &Path, findings: &mut Findings) -> Option<Split> {
        let by = sticks(said.by.as_deref(), &path.key("by"), findings);
        let mut arms = Vec::new();
        for (name, arm) in &said.arms.0 {
            let path = path.key("arms").key(name.as_str());
            let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if name.is_empty() || name.len() > 64 || !name.bytes().all(harmless) {
                let hint = "use up to 64 letters, digits, `-` and `_`: a header carries it";
                findings.error_at_key(&path, format!("`{name}` cannot be an arm's name"), hint);
                continue;
            }
            let to = match &arm.to {
                Some(to) => self.target(to, &path.key("use"), findings),
                None => Some(self.index),
            };
            let (Some(to), Some(share)) = (to, arm.share) else { continue };
            arms.push(Arm { name: Arc::from(name.as_str()), share, to });
        }
        if findings.touches(path) {
            return None;
        }
        let sum: u32 = arms.iter().map(|arm| arm.share.hundredths()).sum();
        if arms.len() < 2 {
            findings.error_at_key(&path.key("arms"), "one arm splits nothing", "add another one");
            return None;
        }
        if sum != Percent::WHOLE {
            let message = format!("the shares sum to {}%, not 100%", f64::from(sum) / 100.0);
            findings.error_at_key(
                &path.key("arms"),
                message,
                "share out what is left, or take away what is too much",
            );
            return None;
        }
        Some(Split { by: by?, arms })
    }

    fn mirror(&self, said: &said::Mirror, path: &Path, findings: &mut Findings) -> Option<Mirror> {
        let to = self.target(said.to.as_ref()?, &path.key("to"), findings);
        let share = said.share?;
        if share.hundredths() == 0 {
            findings.error(&path.key("share"), "0% mirrors nothing", "remove `mirror`, or write a share");
            return None;
        }
        if to == Some(self.index) {
            let hint = "name another route: this one has the request already";
            findings.error(&path.key("to"), "a route cannot be its own mirror", hint);
            return None;
        }
        Some(Mirror { to: to?, share, max_in_flight: said.max_in_flight.unwrap_or(MOST_MIRRORED) })
    }
}

fn header(name: &str, value: &str, path: &Path, findings: &mut Findings) -> Option<(HeaderName, Wanted)> {
    let name = header_name(name, path, findings)?;
    let wanted = match value.strip_suffix('*') {
        Some(begin) => Wanted::Beginning(begin.into()),
        None => Wanted::Exactly(value.into()),
    };
    let (Wanted::Exactly(text) | Wanted::Beginning(text)) = &wanted;
    if text.contains('*') {
        let hint = "put the `*` at the end, as in `team-*`";
        findings.error(path, "has a `*` that is not at its end", hint);
        return None;
    }
    Some((name, wanted))
}

/// The name of a header that callers may be told apart by.
fn header_name(name: &str, path: &Path, findings: &mut Findings) -> Option<HeaderName> {
    let Ok(name) = HeaderName::try_from(name) else {
        findings.error_at_key(path, "is not a header's name", "use letters, digits and `-`");
        return None;
    };
    if PROOFS.contains(&name.as_str()) {
        let message = format!("`{name}` holds a secret, and is not looked at here");
        findings.error_at_key(path, message, "tell callers apart by their `key`");
        return None;
    }
    Some(name)
}

fn sticks(said: Option<&str>, path: &Path, findings: &mut Findings) -> Option<Sticks> {
    match said {
        None | Some("request") => Some(Sticks::Request),
        Some("session") => Some(Sticks::Session),
        Some(said) => {
            if let Some(name) = said.strip_prefix("header:") {
                return header_name(name.trim(), path, findings).map(Sticks::Header);
            }
            if let Some(level) = Level::ALL.into_iter().find(|level| level.name() == said) {
                return Some(Sticks::Caller(level));
            }
            let known = ["request", "key", "user", "team", "organisation", "session", "header:x-user"];
            let hint = format!("{}known: {}", did_you_mean(said, known), listed(known));
            findings.error(path, format!("`{said}` is nothing to split by"), hint);
            None
        }
    }
}

fn time(said: &said::Time, path: &Path, findings: &mut Findings) -> Option<Time> {
    if *said == said::Time::default() {
        findings.error_at_key(path, "no time is here", "write {between: \"18:00-08:00\"}, `days`, or both");
        return None;
    }
    let between = match said.between.as_deref().map(times) {
        None => Some((0, 24 * 60)),
        Some(Some((begin, end))) if begin == end => {
            let hint = "leave `between` out for whole days";
            findings.error(&path.key("between"), "ends when it begins", hint);
            None
        }
        Some(Some(times)) => Some(times),
        Some(None) => {
            let hint = "write two times of the day, as in \"18:00-08:00\"";
            findings.error(&path.key("between"), "cannot be read", hint);
            None
        }
    };
    let east = match said.zone.as_deref().map(zone) {
        None => Some(0),
        Some(Some(east)) => Some(east),
        Some(None) => {
            let hint =
                "write UTC, or a distance from it, as in \"+02:00\"; names of places are not known here";
            findings.error(&path.key("zone"), "is no zone", hint);
            None
        }
    };
    let mut days = Days::default();
    let names = said.days.as_deref().unwrap_or_default();
    for day in names {
        days.add(*day as u8);
    }
    let days = if names.is_empty() { Days::ALL } else { days };
    let ((begin, end), east) = (between?, east?);
    let mut words = Vec::new();
    words.extend(said.between.as_ref().map(|between| format!("between {between}")));
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(|day| format!("{day:?}").to_lowercase()).collect();
        words.push(format!("on {}", names.join("/")));
    }
    words.push(said.zone.clone().unwrap_or_else(|| "UTC".to_owned()));
    Some(Time { hours: Hours::new(begin, end, days, east), said: words.join(" ").into() })
}

/// `18:00-08:00` in minutes after midnight.
fn times(text: &str) -> Option<(u16, u16)> {
    let (begin, end) = text.split_once('-')?;
    let (begin, end) = (minutes(begin.trim())?, minutes(end.trim())?);
    // Midnight is where a day begins, and where another one ends.
    (begin < 24 * 60).then_some((begin, if end == 0 { 24 * 60 } else { end }))
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Some(hours * 60 + minutes).filter(|all| *all <= 24 * 60)
}

/// `+02:00` in minutes.
fn zone(text: &str) -> Option<i16> {
    if text.eq_ignore_ascii_case("utc") || text == "Z" {
        return Some(0);
    }
    let (sign, distance) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(east), _) => (1, east),
        (None, Some(west)) => (-1, west),
        (None, None) => return None,
    };
    // Kiritimati is 14 hours ahead.
    let distance = minutes(distance).filter(|distance| *distance <= 14 * 60)?;
    i16::try_from(distance).ok().map(|distance| sign * distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_zones_are_read_or_refused() {
        for (text, expected) in [
            ("18:00-08:00", Some((1080, 480))),
            ("9:05 - 17:30", Some((545, 1050))),
            ("22:00-00:00", Some((1320, 1440))),
            ("00:00-24:00", Some((0, 1440))),
            ("24:00-01:00", None),
            ("25:00-26:00", None),
            ("18:60-19:00", None),
            ("18-19", None),
            ("18:00", None),
            ("", None),
            ("-1:00-2:00", None),
        ] {
            assert_eq!(times(text), expected, "{text}");
        }
        for (text, expected) in [
            ("UTC", Some(0)),
            ("+02:00", Some(120)),
            ("-03:30", Some(-210)),
            ("+15:00", None),
            ("02:00", None),
            ("Europe/Paris", None),
            ("+é:00", None),
        ] {
            assert_eq!(zone(text), expected, "{text}");
        }
    }
}
