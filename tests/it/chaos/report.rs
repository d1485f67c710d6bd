//! How a run went, for people: callers, faults, and what was wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::NAMES;
use super::callers::{Fared, Outcome, Wish};
use super::schedule::{Episode, KINDS, Kind};
use super::vitals::{Scrape, Vitals};

/// Who asked and got what, which faults there were, and who met them.
pub fn table(
    episodes: &[Episode],
    fared: &[Fared],
    scrape: &Scrape,
    healed: Option<Duration>,
    memory: &[Vitals],
) -> String {
    let mut lines = vec![format!("{:<30}{:>8}{:>8}{:>8}{:>8}", "callers", "asked", "good", "told", "wrong")];
    for wish in [Wish::Stream, Wish::Buffered, Wish::Whole, Wish::Formed] {
        let of: Vec<&Fared> = fared.iter().filter(|one| one.wish == wish).collect();
        let wrong = of.iter().filter(|one| one.wrong().is_some()).count();
        let told = of.iter().filter(|one| matches!(one.outcome, Outcome::Told)).count();
        let good = of.len() - wrong - told;
        lines.push(format!("{:<30}{:>8}{good:>8}{told:>8}{wrong:>8}", wish.name(), of.len()));
    }
    let mut met: BTreeMap<Kind, (usize, usize)> = BTreeMap::new();
    for one in fared {
        for kind in failed_over_from(one, episodes) {
            met.entry(kind).or_default().0 += 1;
        }
        if let Some(kind) = continued_from(one, episodes) {
            met.entry(kind).or_default().1 += 1;
        }
    }
    lines.push(format!("{:<30}{:>8}{:>12}{:>12}", "fault", "times", "failed over", "continued"));
    for kind in KINDS {
        let times = episodes.iter().filter(|episode| episode.kind == kind).count();
        let (over, continued) = met.get(&kind).copied().unwrap_or_default();
        lines.push(format!("{:<30}{times:>8}{over:>12}{continued:>12}", kind.name()));
    }
    for (name, labels) in [
        ("mainstay_continuations_total", &[][..]),
        ("mainstay_faults_total", &[]),
        ("mainstay_panic_total", &[]),
    ] {
        let counted = scrape.all(name, labels).filter(|(_, value)| *value > 0.0);
        lines.extend(counted.map(|(series, value)| format!("{series} {value}")));
    }
    let all_at = fared.iter().map(|one| one.ended.saturating_sub(one.asked)).max().unwrap_or_default();
    lines.push(format!("longest answer {all_at:.1?}; breakers closed {healed:.1?} after the last fault"));
    lines.push(format!(
        "memory {:?} MiB",
        memory.iter().map(|seen| seen.memory_mib as u32).collect::<Vec<_>>()
    ));
    lines.join("\n")
}

/// What is wrong with an answer, and all that happened meanwhile.
pub fn of_wrong(one: &Fared, episodes: &[Episode]) -> Option<String> {
    let why: String = one.wrong()?.chars().take(2_000).collect();
    let meets = |episode: &&Episode| episode.from <= one.ended && one.asked <= episode.until;
    let met = episodes
        .iter()
        .filter(meets)
        .map(|it| format!("{} {} {:.1?} to {:.1?}", NAMES[it.upstream], it.kind.name(), it.from, it.until));
    let (met, upstream) = (met.collect::<Vec<_>>().join(", "), &one.upstream);
    let Fared { asked, ended, attempts, .. } = one;
    Some(format!("{asked:.1?} to {ended:.1?}, {attempts} attempts, {upstream}: {why}\n  meanwhile: {met}"))
}

/// What went wrong elsewhere while a caller waited for his answer's begin, where it took more than one attempt.
fn failed_over_from(one: &Fared, episodes: &[Episode]) -> Vec<Kind> {
    let meets = |episode: &&Episode| episode.from <= one.begun && one.asked <= episode.until;
    let elsewhere = episodes.iter().filter(meets).filter(|episode| NAMES[episode.upstream] != one.upstream);
    if one.attempts > 1 { elsewhere.map(|episode| episode.kind).collect() } else { Vec::new() }
}

/// What went wrong at the upstream that began an answer which others continued.
fn continued_from(one: &Fared, episodes: &[Episode]) -> Option<Kind> {
    let meets = |episode: &&Episode| episode.from <= one.ended && one.asked <= episode.until;
    let breaks = |episode: &&Episode| {
        !matches!(episode.kind, Kind::RateLimited | Kind::Overloaded | Kind::Slow)
            && NAMES[episode.upstream] == one.upstream
    };
    let first = episodes.iter().filter(meets).find(breaks);
    (one.continued > 0).then_some(first?.kind)
}
