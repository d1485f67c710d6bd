//! The `alerts:` section: where messages go, and what they are signed with.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;

use super::Scene;
use super::access::{Unfit, is_name, secret_at};
use crate::config::blueprint::{Alerts, BaseUrl, MessageForm, Webhook};
use crate::config::file::alerts::{self, FormatName};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::{settle, url};
use crate::vocab::{AlertKind, Secret};

/// Each has a queue.
const MOST: usize = 16;
/// A shorter secret can be guessed.
const SECRET_MIN: usize = 16;
/// What may be base64 stands behind this (Standard Webhooks).
const ENCODED: &str = "whsec_";

pub fn check(scene: &Scene<'_>, findings: &mut Findings) -> Alerts {
    const DOWN: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(24);
    let said = &scene.file.alerts;
    let path = Path::root().key("alerts");
    let settled = Alerts {
        webhooks: webhooks(scene, &path.key("webhooks"), findings),
        down_after: settle::down_after(said),
        error_spike: settle::error_spike(&said.error_spike),
        spend_spike: settle::spend_spike(&said.spend_spike),
    };
    if !DOWN.contains(&settled.down_after) {
        let hint = "60s is the default: what is well again by then is not told";
        findings.error(&path.key("down_after"), "something may be away for 5s to 1d", hint);
    }
    settled
}

fn webhooks(scene: &Scene<'_>, path: &Path, findings: &mut Findings) -> Vec<Webhook> {
    let said = &scene.file.alerts.webhooks.0;
    if said.len() > MOST {
        let hint = "let one of them pass messages on";
        findings.error(path, format!("there are more than {MOST} webhooks"), hint);
    }
    let known = said.iter().filter_map(|(name, said)| webhook(scene, name, said, &path.key(name), findings));
    known.collect()
}

fn webhook(
    scene: &Scene<'_>,
    name: &str,
    said: &alerts::Webhook,
    path: &Path,
    findings: &mut Findings,
) -> Option<Webhook> {
    if !is_name(name) {
        let hint = "use letters, digits, `-`, `_` and `.`: it is a metric label";
        findings.error_at_key(path, "a webhook cannot be called this", hint);
    }
    // A missing one was reported by the schema.
    let place = said.url.as_deref().and_then(|text| match parse(text) {
        Ok(place) => Some(place),
        Err(why) => {
            let hint = "write one like https://hooks.example.com/mainstay";
            findings.error(&path.key("url"), format!("the URL {why}"), hint);
            None
        }
    });
    if let Some((host, _)) = &place
        && !host.https
        && !is_here(host)
    {
        let hint = "begin with https://";
        findings.warn(&path.key("url"), "messages go there in clear text", hint);
    }
    let form = match said.format {
        None | Some(FormatName::Mainstay) => signed(scene, said, path, findings),
        Some(FormatName::Slack) => {
            if said.secret.is_some() {
                let hint = "remove it, or write `format: mainstay`";
                findings.error(&path.key("secret"), "messages for Slack are not signed", hint);
            }
            Some(MessageForm::Slack)
        }
    };
    let kinds = match &said.kinds {
        Some(names) => names.iter().filter_map(|name| AlertKind::parse(&name.0)).collect(),
        None => AlertKind::ALL.to_vec(),
    };
    let (host, path) = place?;
    Some(Webhook { name: name.into(), host, path: Secret::new(path), kinds, form: form? })
}

fn signed(
    scene: &Scene<'_>,
    said: &alerts::Webhook,
    path: &Path,
    findings: &mut Findings,
) -> Option<MessageForm> {
    let at = path.key("secret");
    let Some(text) = &said.secret else {
        findings.error_at_key(
            path,
            "its messages could not be told from anybody else's: there is no `secret` to sign them with",
            "write `secret: \"${NAME}\"` beside `url`, and give it to the receiver",
        );
        return None;
    };
    match secret_at(scene, &at, text, SECRET_MIN) {
        Ok(secret) => {
            let encoded = secret.expose().strip_prefix(ENCODED);
            if encoded.is_some_and(|text| BASE64_STANDARD.decode(text).is_err()) {
                let hint = "take it as the receiver shows it, or one without whsec_";
                findings.error(&at, format!("what stands behind {ENCODED} is not base64"), hint);
                return None;
            }
            Some(MessageForm::Signed(secret))
        }
        Err(Unfit::Missing(what)) => {
            findings.error(&at, format!("{what} is not there or empty"), "set it, or remove the webhook");
            None
        }
        Err(Unfit::Wrong(message, hint)) => {
            findings.error(&at, message, hint);
            None
        }
    }
}

/// Host, and path with query; or what is wrong. The text is not repeated: who knows it can write there.
fn parse(text: &str) -> Result<(BaseUrl, String), &'static str> {
    let (before, _) = text.split_once('?').unwrap_or((text, ""));
    let after_scheme = before.split_once("://").map_or(before, |(_, rest)| rest);
    if after_scheme.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return Err("has a user name or password in it");
    }
    if text.contains('#') {
        return Err("has a fragment (`#...`)");
    }
    let host = url::parse(before, "").map_err(|refused| refused.why)?;
    let uri: Uri = text.parse().map_err(|_| "is not a URL")?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok((BaseUrl { path: String::new(), ..host }, path))
}

/// On this machine nobody listens.
pub(super) fn is_here(host: &BaseUrl) -> bool {
    &*host.host == "localhost" || host.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::config::{Loaded, Problem, Severity, load};

    const WORD: &str = "a-word-of-24-characters.";

    fn given() -> Given {
        Given::default()
            .var("WORD", WORD)
            .var("SHORT", "short")
            .var("ENCODED", "whsec_AAECAwQFBgcICQoLDA0ODw==")
    }

    fn loaded(alerts: &str) -> Result<Loaded, Vec<Problem>> {
        let text = format!(
            "version: 1\nupstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, channels: [{{upstream: a}}]}}]\n\
             alerts:\n  {alerts}\n"
        );
        load(&text, &given())
    }

    #[test]
    fn what_is_said_is_taken_and_the_rest_is_usual() {
        let alerts = loaded("{}").expect("sound").blueprint.alerts;
        assert!(alerts.webhooks.is_empty());
        assert_eq!(alerts.down_after, Duration::from_mins(1));
        assert_eq!((alerts.error_spike.share, alerts.error_spike.least), (0.05, 20));
        assert_eq!((alerts.spend_spike.factor, alerts.spend_spike.floor), (3.0, 1_000_000_000));
        let said = "{webhooks: {ops: {url: 'https://Hooks.example.com:8443/a/?b=c', secret: '${ENCODED}', kinds: [budget]}, \
                    chat: {url: 'https://hooks.slack.com/services/T/B/x', format: slack}}, \
                    error_spike: {share: 10%, factor: 2.5, requests: 5}, spend_spike: {floor: 0.25}}";
        let alerts = loaded(said).expect("sound").blueprint.alerts;
        let [ops, chat] = &*alerts.webhooks else { panic!("{alerts:?}") };
        assert_eq!(
            (&*ops.host.host, ops.host.port, ops.path.expose()),
            ("hooks.example.com", 8443, "/a/?b=c")
        );
        assert_eq!(ops.kinds, [AlertKind::Budget]);
        assert_eq!(
            (ops.form.name(), chat.form.name(), chat.kinds.len()),
            ("mainstay", "slack", AlertKind::ALL.len())
        );
        assert_eq!((alerts.error_spike.share, alerts.error_spike.factor), (0.1, 2.5));
        assert_eq!(alerts.spend_spike.floor, 250_000_000);
        let shown = format!("{alerts:?}");
        assert!(!shown.contains("services/T") && !shown.contains("AAECAw"), "{shown}");
    }

    #[test]
    fn what_could_not_work_is_refused_at_its_place() {
        let url = "url: 'https://h/x'";
        for (said, path, line) in [
            (format!("webhooks: {{a: {{{url}}}}}"), "alerts.webhooks.a", 5),
            (
                format!("webhooks: {{a: {{{url}, secret: plain-text-in-the-file}}}}"),
                "alerts.webhooks.a.secret",
                5,
            ),
            (format!("webhooks: {{a: {{{url}, secret: '${{SHORT}}'}}}}"), "alerts.webhooks.a.secret", 5),
            (
                format!("webhooks: {{a: {{{url}, secret: '${{WORD}}', format: slack}}}}"),
                "alerts.webhooks.a.secret",
                5,
            ),
            (format!("webhooks: {{a b: {{{url}, format: slack}}}}"), "alerts.webhooks[\"a b\"]", 5),
            (
                format!("webhooks: {{a: {{{url}, format: slack, kinds: [nothing]}}}}"),
                "alerts.webhooks.a.kinds[0]",
                5,
            ),
            ("webhooks: {a: {format: slack}}".to_owned(), "alerts.webhooks.a", 5),
            ("webhooks:\n    a: {url: ftp://h/x, format: slack}".to_owned(), "alerts.webhooks.a.url", 6),
            ("webhooks: {a: {url: 'https://u:p@h/x', format: slack}}".to_owned(), "alerts.webhooks.a.url", 5),
            ("webhooks: {a: {url: 'https://h/x#y', format: slack}}".to_owned(), "alerts.webhooks.a.url", 5),
            ("webhooks: {a: {url: elsewhere, format: slack}}".to_owned(), "alerts.webhooks.a.url", 5),
            ("down_after: 1s".to_owned(), "alerts.down_after", 5),
            ("error_spike: {factor: 0}".to_owned(), "alerts.error_spike.factor", 5),
        ] {
            let problems = loaded(&said).expect_err(&said);
            let errors: Vec<_> =
                problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
            let [problem] = *errors else { panic!("{said}: {problems:#?}") };
            assert_eq!((problem.path.as_str(), problem.line), (path, line), "{said}: {problem:?}");
        }
    }

    #[test]
    fn an_address_is_shown_nowhere() {
        let said =
            "webhooks: {a: {url: 'https://hooks.example.com/very/secret/place', format: slack, kinds: [no]}}";
        let shown = format!("{:?}", loaded(said).expect_err("no such kind"));
        assert!(!shown.contains("very/secret"), "{shown}");
    }

    #[test]
    fn clear_text_is_warned_of_but_on_this_machine() {
        let warnings = |url: &str| {
            let said = format!("webhooks: {{a: {{url: '{url}', format: slack}}}}");
            let warnings = loaded(&said).expect("sound").warnings;
            warnings.iter().filter(|warning| warning.path == "alerts.webhooks.a.url").count()
        };
        assert_eq!(warnings("http://hooks.example.com/x"), 1);
        assert_eq!(
            warnings("http://127.0.0.1:9/x") + warnings("http://[::1]:9") + warnings("http://localhost/"),
            0
        );
    }
}
