//! Claims that a rehearsal is held to: `success >= 99.9%`, `p99_ttft < 3s`, `recovery <= 60s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::report::Totals;
use super::text;

/// A metric, a comparison and a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    metric: Metric,
    comparison: Comparison,
    /// A share, seconds, dollars or a plain number, as the metric has it.
    bound: f64,
}

/// What can be claimed something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Share of whole answers among those who did not hang up.
    Success,
    P50Ttft,
    P99Ttft,
    /// Attempts for each request.
    Amplification,
    /// Dollars of the whole rehearsal.
    Cost,
    /// From the end of an outage until its upstream has its share back.
    Recovery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Longer signs first: `>` is the begin of `>=`.
const COMPARISONS: [(&str, Comparison); 4] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

/// What became of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    Holds { found: String },
    Fails { found: String },
}

impl Metric {
    pub const ALL: [Self; 6] =
        [Self::Success, Self::P50Ttft, Self::P99Ttft, Self::Amplification, Self::Cost, Self::Recovery];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::P50Ttft => "p50_ttft",
            Self::P99Ttft => "p99_ttft",
            Self::Amplification => "amplification",
            Self::Cost => "cost",
            Self::Recovery => "recovery",
        }
    }

    fn of(self, totals: &Totals) -> Option<f64> {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        match self {
            Self::Success => totals.success,
            Self::P50Ttft => seconds(totals.p50_ttft),
            Self::P99Ttft => seconds(totals.p99_ttft),
            Self::Amplification => Some(totals.amplification),
            // A part of the bill proves nothing.
            Self::Cost => totals.cost.usd().filter(|_| totals.cost.unpriced == 0),
            Self::Recovery => seconds(totals.recovery),
        }
    }

    fn read(self, text: &str) -> Option<f64> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        match self {
            Self::Success => text
                .strip_suffix('%')
                .and_then(number)
                .map(|percent| percent / 100.0)
                .or_else(|| number(text)),
            Self::P50Ttft | Self::P99Ttft | Self::Recovery => {
                let (digits, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
                let scale = match unit {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" => 60.0,
                    _ => return None,
                };
                number(digits).map(|value| value * scale)
            }
            Self::Amplification => number(text),
            Self::Cost => number(text.strip_prefix('$').unwrap_or(text)),
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Success => "success >= 99.9%",
            Self::P50Ttft => "p50_ttft < 800ms",
            Self::P99Ttft => "p99_ttft < 3s",
            Self::Amplification => "amplification <= 1.2",
            Self::Cost => "cost < $5",
            Self::Recovery => "recovery <= 60s",
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::Success => text::percent(value),
            Self::P50Ttft | Self::P99Ttft | Self::Recovery => text::seconds(value),
            Self::Amplification => format!("{value:.3}"),
            Self::Cost => text::dollars(value),
        }
    }
}

impl Claim {
    /// Holds `totals` to it. What cannot be measured does not hold.
    pub fn judge(&self, totals: &Totals) -> Judgement {
        let Some(value) = self.metric.of(totals) else {
            return Judgement::Fails { found: "it could not be measured".to_owned() };
        };
        let holds = match self.comparison {
            Comparison::AtLeast => value >= self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::Above => value > self.bound,
            Comparison::Below => value < self.bound,
        };
        let found = self.metric.shown(value);
        if holds { Judgement::Holds { found } } else { Judgement::Fails { found } }
    }
}

impl FromStr for Claim {
    type Err = String;

    fn from_str(said: &str) -> Result<Self, String> {
        let form = || {
            let known: Vec<&str> = Metric::ALL.into_iter().map(Metric::example).collect();
            format!("write a metric, a comparison and a bound, as in {}", known.join(", "))
        };
        let split = COMPARISONS.iter().find_map(|(sign, comparison)| {
            let (name, bound) = said.split_once(sign)?;
            Some((name.trim(), *comparison, bound.trim()))
        });
        let Some((name, comparison, bound)) = split else { return Err(form()) };
        let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name);
        let Some(metric) = metric else {
            return Err(format!("`{name}` is nothing that is measured; {}", form()));
        };
        let read = metric.read(bound);
        let Some(bound) = read else {
            return Err(format!("`{bound}` is no bound of {name}; write it as in `{}`", metric.example()));
        };
        Ok(Self { metric, comparison, bound })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison);
        let sign = known.map_or("", |(sign, _)| sign);
        write!(f, "{} {sign} {}", self.metric.name(), self.metric.shown(self.bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::report::Cost;

    fn totals() -> Totals {
        Totals {
            success: Some(0.9995),
            p99_ttft: Some(Duration::from_millis(2500)),
            amplification: 1.1,
            cost: Cost { femto_usd: 4_000_000_000_000_000, unpriced: 0 },
            ..Totals::default()
        }
    }

    #[test]
    fn a_claim_holds_or_fails_by_its_comparison() {
        let holds = |claim: &str| {
            let judged =
                claim.parse::<Claim>().unwrap_or_else(|why| panic!("{claim}: {why}")).judge(&totals());
            matches!(judged, Judgement::Holds { .. })
        };
        for claim in [
            "success >= 99.9%",
            "success>=0.9995",
            "success > 99%",
            "p99_ttft < 3s",
            "p99_ttft <= 2500ms",
            "amplification <= 1.1",
            "cost < $5",
            "cost<5",
        ] {
            assert!(holds(claim), "{claim}");
        }
        for claim in
            ["success >= 99.99%", "success > 0.9995", "p99_ttft < 2.5s", "amplification < 1.1", "cost < 4"]
        {
            assert!(!holds(claim), "{claim}");
        }
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        for claim in ["recovery <= 60s", "p50_ttft < 1m"] {
            let judged = claim.parse::<Claim>().expect("a claim").judge(&totals());
            assert!(matches!(judged, Judgement::Fails { .. }), "{claim}");
        }
        let cost = Cost { femto_usd: 1, unpriced: 1 };
        let judged = "cost < 1".parse::<Claim>().expect("a claim").judge(&Totals { cost, ..totals() });
        assert!(matches!(judged, Judgement::Fails { .. }), "a part of the bill proves nothing");
    }

    #[test]
    fn what_is_no_claim_is_refused_with_an_example() {
        for (said, expected) in [
            ("", "as in success"),
            ("success", "as in success"),
            ("succes >= 99%", "`succes` is nothing"),
            ("success >= many", "`many` is no bound of success"),
            ("p99_ttft < 3", "p99_ttft < 3s"),
            ("p99_ttft < 3h", "p99_ttft < 3s"),
            ("cost < NaN", "no bound of cost"),
            (">= 3", "`` is nothing"),
        ] {
            let why = said.parse::<Claim>().expect_err(said);
            assert!(why.contains(expected), "{said}: {why}");
        }
    }

    #[test]
    fn a_claim_is_shown_as_it_is_written() {
        for said in ["success >= 99.9%", "p99_ttft < 3.0s", "amplification <= 1.200", "cost > $5.00"] {
            assert_eq!(said.parse::<Claim>().map(|claim| claim.to_string()).as_deref(), Ok(said));
        }
    }
}
