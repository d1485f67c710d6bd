//! What is logged, changed while the process runs: by its configuration, or by an operator for a while.
//!
//! Secrets are in no line of ours. Of other people's code nobody can say that, so whoever asks while the gateway runs
//! has their words down to `info` at most.

use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;

use super::Settings;
use crate::algo::tick::Tick;

/// How our own targets begin.
pub(super) const OWN: &str = "mainstay";
/// Characters of a filter.
const LONGEST: usize = 500;

/// The process's own.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    /// What `MAINSTAY_LOG` says, if anything that can be read.
    environment: Option<String>,
    set: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
    dial: Mutex<Dial>,
}

/// How it stands.
struct Dial {
    usual: String,
    turned: Option<Turned>,
}

/// What is logged in place of the usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    pub filter: String,
    pub until: Tick,
}

/// What is logged now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub usual: String,
    pub turned: Option<Turned>,
}

/// Why the log stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unturned {
    #[error("{0}")]
    Wrong(String),
    #[error("this process has not set up its log itself")]
    Elsewhere,
}

/// The process has set up its log, with the `usual` filter, and this is how it gets another one.
pub(super) fn started(
    environment: Option<String>,
    usual: String,
    set: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
) {
    drop(LOG.set(Log { environment, set, dial: Mutex::new(Dial { usual, turned: None }) }));
}

/// Logs what a configuration says from now on, or once what an operator said is over. Nothing happens where this
/// process has not set up its log.
pub fn follow(settings: Settings) {
    let Some(log) = LOG.get() else { return };
    settings.format.manner().set();
    let usual = settings.filter(log.environment.as_deref());
    let mut dial = log.dial.lock();
    if dial.usual != usual {
        dial.usual = usual;
        if dial.turned.is_none() {
            (log.set)(EnvFilter::new(&dial.usual));
        }
    }
}

/// What is logged; `None` where this process has not set up its log.
pub fn standing() -> Option<Standing> {
    let dial = LOG.get()?.dial.lock();
    Some(Standing { usual: dial.usual.clone(), turned: dial.turned.clone() })
}

/// Logs what `filter` says, until then.
pub fn turn(filter: &str, lasting: Duration, now: Tick) -> Result<(), Unturned> {
    let filter = read(filter).map_err(Unturned::Wrong)?;
    let log = LOG.get().ok_or(Unturned::Elsewhere)?;
    let parsed = EnvFilter::try_new(&filter).map_err(|error| Unturned::Wrong(error.to_string()))?;
    let mut dial = log.dial.lock();
    if !(log.set)(parsed) {
        return Err(Unturned::Elsewhere);
    }
    dial.turned = Some(Turned { filter, until: now + lasting });
    Ok(())
}

/// Logs the usual again.
pub fn turn_back() -> Result<(), Unturned> {
    let log = LOG.get().ok_or(Unturned::Elsewhere)?;
    back(log, &mut log.dial.lock());
    Ok(())
}

/// Goes back to the usual when it is time. To be called every second or so.
pub fn pass(now: Tick) {
    let Some(log) = LOG.get() else { return };
    let mut dial = log.dial.lock();
    if dial.turned.as_ref().is_some_and(|turned| turned.until <= now) {
        back(log, &mut dial);
        tracing::info!(filter = dial.usual, "the log is as usual again");
    }
}

fn back(log: &Log, dial: &mut Dial) {
    dial.turned = None;
    (log.set)(EnvFilter::new(&dial.usual));
}

/// A filter as it stands in the environment, without what others than our own targets say below `info`, and what no
/// filter that is asked for at the admin side may have.
pub(super) fn without_others(text: &str) -> String {
    let directives = text.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    let kept = directives.filter_map(|text| {
        let less = || text.rsplit_once('=').map(|(target, _)| format!("{target}=info"));
        directive(text).ok().or_else(|| less().filter(|less| directive(less).is_ok()))
    });
    kept.collect::<Vec<_>>().join(",")
}

/// A filter as somebody may ask for it: `info,mainstay::request=debug`. A level alone is that of our own targets, where
/// it says more than `info`.
fn read(text: &str) -> Result<String, String> {
    if text.len() > LONGEST {
        return Err(format!("a filter has at most {LONGEST} characters"));
    }
    let directives = text.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    let read: Vec<String> = directives.map(directive).collect::<Result<_, _>>()?;
    if read.is_empty() {
        return Err("say what is to be logged, as in `info,mainstay::request=debug`".to_owned());
    }
    Ok(read.join(","))
}

fn directive(text: &str) -> Result<String, String> {
    let (target, level) = match text.rsplit_once('=') {
        Some((target, level)) => (Some(target.trim()), level.trim()),
        None => (None, text),
    };
    let level = level.to_ascii_lowercase();
    let says_more = match level.as_str() {
        "off" | "error" | "warn" | "info" => false,
        "debug" | "trace" => true,
        _ => return Err(format!("{text}: a level is off, error, warn, info, debug or trace")),
    };
    let is_name = |target: &str| {
        !target.is_empty() && target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
    };
    match target {
        None if says_more => Ok(format!("info,{OWN}={level}")),
        None => Ok(level),
        Some(target) if !is_name(target) => {
            Err(format!("{text}: write TARGET=LEVEL, as in mainstay::request=debug"))
        }
        Some(target) if says_more && target.split("::").next() != Some(OWN) => Err(format!(
            "{text}: what others than mainstay say below info may hold keys and bodies; set MAINSTAY_LOG and restart \
             where that is wanted"
        )),
        Some(target) => Ok(format!("{target}={level}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_no_more_of_others_than_info() {
        let check = |said: &str, expected: Result<&str, &str>| match (read(said), expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{said}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{said}: {why}"),
            (found, _) => panic!("{said}: {found:?}"),
        };
        check("warn", Ok("warn"));
        check("DEBUG", Ok("info,mainstay=debug"));
        check("info, mainstay::request=debug,hyper=off", Ok("info,mainstay::request=debug,hyper=off"));
        check("h2=debug", Err("may hold keys"));
        check("mainstays=trace", Err("may hold keys"));
        check("mainstay[span{key=x}]=debug", Err("TARGET=LEVEL"));
        check("loud", Err("a level is"));
        check("mainstay=", Err("a level is"));
        check("=info", Err("TARGET=LEVEL"));
        check(" , ", Err("say what"));
        check(&"x".repeat(501), Err("at most 500"));
    }

    #[test]
    fn what_others_say_below_info_can_be_left_out() {
        let check = |said: &str, kept: &str| assert_eq!(without_others(said), kept, "{said}");
        check("trace", "info,mainstay=trace");
        check(
            "info,h2=trace, hyper=off,mainstay::proxy=debug",
            "info,h2=info,hyper=off,mainstay::proxy=debug",
        );
        check("warn,mainstays=debug,h2[span{key=x}]=trace,loud", "warn,mainstays=info");
    }

    #[test]
    fn a_log_that_is_another_ones_is_left_alone() {
        assert_eq!(turn("debug", Duration::from_secs(1), Tick::ZERO), Err(Unturned::Elsewhere));
        assert_eq!((turn_back(), standing()), (Err(Unturned::Elsewhere), None));
        pass(Tick::MAX);
        follow(Settings::default());
    }
}
