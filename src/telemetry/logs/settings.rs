//! What a configuration says of the log, and the filter that it comes to beside `MAINSTAY_LOG`.

use tracing::level_filters::LevelFilter;

use super::REQUEST;
use super::dial::{self, OWN};
use super::form::Choice;
use crate::vocab::Privacy;

/// What is logged, where nobody says so at the command line or the admin side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub format: Choice,
    pub requests: Requests,
    /// Of what other people's code says it is `info` at most.
    pub level: LevelFilter,
    /// Without a log of requests, what other people's code says below `info` is left out, whoever asks for it.
    pub privacy: Privacy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: Choice::default(),
            requests: Requests::default(),
            level: LevelFilter::INFO,
            privacy: Privacy::default(),
        }
    }
}

/// Which requests have a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requests {
    #[default]
    All,
    /// Those that failed or broke off.
    Failed,
    None,
}

impl Settings {
    /// The filter, where `MAINSTAY_LOG` says this or nothing. What it says of requests' lines goes before `requests`.
    pub(super) fn filter(self, environment: Option<&str>) -> String {
        let said = match environment {
            Some(said) if self.privacy.is_zero_log() => dial::without_others(said),
            Some(said) => said.to_owned(),
            None if self.level > LevelFilter::INFO => format!("info,{OWN}={}", self.level),
            None => self.level.to_string(),
        };
        let level = match self.requests {
            Requests::All => return said,
            Requests::Failed => "warn",
            Requests::None => "off",
        };
        if said.contains(REQUEST) { said } else { format!("{said},{REQUEST}={level}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_file_and_requests_beside_both() {
        let check = |environment: Option<&str>, requests, level, privacy, expected: &str| {
            let settings = Settings { requests, level, privacy, ..Settings::default() };
            assert_eq!(settings.filter(environment), expected, "{environment:?} {settings:?}");
        };
        let (info, usual, quiet) = (LevelFilter::INFO, Privacy::Usual, Privacy::ZeroLog);
        check(None, Requests::All, info, usual, "info");
        check(None, Requests::All, LevelFilter::OFF, usual, "off");
        check(None, Requests::All, LevelFilter::DEBUG, usual, "info,mainstay=debug");
        check(None, Requests::Failed, LevelFilter::WARN, usual, "warn,mainstay::request=warn");
        check(None, Requests::None, LevelFilter::TRACE, quiet, "info,mainstay=trace,mainstay::request=off");
        check(Some("debug"), Requests::All, info, usual, "debug");
        check(Some("warn"), Requests::Failed, LevelFilter::TRACE, usual, "warn,mainstay::request=warn");
        check(Some("mainstay::request=debug"), Requests::None, info, usual, "mainstay::request=debug");
        check(Some("debug,h2=trace"), Requests::All, info, quiet, "info,mainstay=debug,h2=info");
    }
}
