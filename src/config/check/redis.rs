//! The `server.redis` section: a URL of its own kind, a password, two times.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Uri;

use super::Scene;
use crate::config::blueprint::Redis;
use crate::config::file::server;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;
use crate::config::tree::{Node, Text};
use crate::config::url;
use crate::vocab::Secret;

/// What the URL says.
#[derive(Debug, PartialEq, Eq)]
struct Where {
    tls: bool,
    host: String,
    port: u16,
    database: u32,
    username: Option<String>,
    password: Option<String>,
}

pub fn check(said: &server::Redis, path: &Path, scene: &Scene<'_>, findings: &mut Findings) -> Option<Redis> {
    const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);
    const POLL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);
    // A missing one was reported by the schema.
    let url = said.url.as_deref()?;
    let Where { tls, host, port, database, username, password } = match parse(url) {
        Ok(parsed) => parsed,
        Err((why, hint)) => {
            findings.error(&path.key("url"), format!("the URL {why}"), hint);
            return None;
        }
    };
    if password.is_some() && said.password.is_some() {
        findings.error(&path.key("password"), "the URL has a password, too", "remove one of them");
        return None;
    }
    let in_clear = |key: &str| {
        let text = scene.root.at(&path.key(key)).and_then(Node::scalar).map(|scalar| &scalar.text);
        text == Some(&Text::AsWritten)
    };
    for (key, held) in [("url", password.is_some()), ("password", said.password.is_some())] {
        if held && in_clear(key) {
            findings.warn(
                &path.key(key),
                "a password stands here in clear text",
                "keep it in the environment (`${NAME}`) or in a file (`file:/path`)",
            );
        }
    }
    let password = password.or_else(|| said.password.clone()).filter(|password| !password.is_empty());
    let redis = Redis {
        tls,
        host: host.into(),
        port,
        database,
        username,
        password: password.map(Secret::new),
        ca_file: said.ca_file.clone(),
        prefix: said.prefix.clone().unwrap_or_else(|| "mainstay".to_owned()),
        timeout: settle::redis_timeout(said.timeout),
        poll: settle::redis_poll(said.poll),
        replicas: said.replicas.unwrap_or(1),
    };
    if redis.username.is_some() && redis.password.is_none() {
        findings.error(
            &path.key("url"),
            "a user name without a password",
            "write `password: ${NAME}` beside it",
        );
    }
    if !TIMEOUT.contains(&redis.timeout) {
        let hint = "20ms is the default: so long a request of whoever has limits or budgets waits at most";
        findings.error(&path.key("timeout"), "answers are waited for 1ms to 1s", hint);
    }
    if !POLL.contains(&redis.poll) {
        let hint = "500ms is the default: so much later the other replicas know";
        findings.error(&path.key("poll"), "looks are 100ms to 10s apart", hint);
    }
    Some(redis)
}

/// The parts of a URL, or what is wrong with it and what to write instead. Its text is not repeated: it may
/// hold a password.
fn parse(text: &str) -> Result<Where, (&'static str, &'static str)> {
    const EXAMPLE: &str = "write it like redis://redis.example.com:6379/0, or rediss:// with TLS";
    let uri = text.parse::<Uri>().map_err(|_| ("is not one", EXAMPLE))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(("is not a whole one", EXAMPLE));
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return Err(("is neither redis nor rediss", EXAMPLE)),
    };
    if uri.query().is_some() || text.contains('#') {
        return Err(("has a query or a fragment", "remove it; the settings stand beside `url`"));
    }
    let (username, password) = match authority.as_str().rsplit_once('@') {
        None => (None, None),
        Some((user, _)) => {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let part =
                |text: &str| url::decoded(text).ok_or(("has a broken %-sequence", "write % itself as %25"));
            let (name, password) = (part(name)?, part(password)?);
            (Some(name).filter(|name| !name.is_empty()), Some(password).filter(|word| !word.is_empty()))
        }
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(("has no host", EXAMPLE));
    }
    let after_user = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, rest)| rest);
    let port = match authority.port() {
        None if after_user != authority.host() => return Err(("has no valid port", "use 1 to 65535")),
        None => 6379,
        Some(port) if port.as_u16() == 0 => return Err(("has port 0", "use 1 to 65535")),
        Some(port) => port.as_u16(),
    };
    let database = match uri.path().trim_matches('/') {
        "" => 0,
        number => {
            let hint = "put the number of a database behind the host, as in redis://HOST/1, or nothing";
            number.parse::<u16>().map_err(|_| ("has a path that is no database", hint))?.into()
        }
    };
    Ok(Where { tls, host: host.to_ascii_lowercase(), port, database, username, password })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;

    #[test]
    fn a_url_is_split_into_whom_to_call_and_as_whom() {
        let check = |text, tls, host: &str, port, database, user: [Option<&str>; 2]| {
            let [username, password] = user.map(|part| part.map(str::to_owned));
            let whole = Where { tls, host: host.to_owned(), port, database, username, password };
            assert_eq!(parse(text), Ok(whole), "{text}");
        };
        check("redis://10.0.0.9", false, "10.0.0.9", 6379, 0, [None, None]);
        check("rediss://Cache.Example.com:6380/3", true, "cache.example.com", 6380, 3, [None, None]);
        check("redis://[::1]:7000/", false, "::1", 7000, 0, [None, None]);
        check("redis://:p%40ss%3Aw@h", false, "h", 6379, 0, [None, Some("p@ss:w")]);
        check("redis://gate:word@h:1/2", false, "h", 1, 2, [Some("gate"), Some("word")]);
        check("redis://gate@h", false, "h", 6379, 0, [Some("gate"), None]);
        check("valkey://h", false, "h", 6379, 0, [None, None]);
    }

    #[test]
    fn what_is_no_such_url_says_why_and_shows_nothing_of_it() {
        let check = |text, why| assert_eq!(parse(text).map_err(|(why, _)| why), Err(why), "{text}");
        check("", "is not one");
        check("localhost:6379", "is not a whole one");
        check("http://h", "is neither redis nor rediss");
        check("redis://h:x", "has no valid port");
        check("redis://h:0", "has port 0");
        check("redis://h/main", "has a path that is no database");
        check("redis://h/0?timeout=1", "has a query or a fragment");
        check("redis://:%zz@h", "has a broken %-sequence");
    }

    const FILE: &str = "version: 1\nserver: {redis: {url: 'redis://h', MORE}}\nupstreams: {a: {provider: openai, \
                        credentials: ['${KEY}']}, b: {provider: simulated}}\nroutes: [{model: m, channels: [{upstream: a}, {upstream: b}]}]\n";

    fn said(file: &str) -> Vec<String> {
        let env = Given::default()
            .var("KEY", "sk-0123456789")
            .var("WORD", "hidden-word")
            .var("URL", "redis://u:hidden-word@h");
        let problems = match crate::config::load(file, &env) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        };
        let shown: Vec<String> = problems
            .iter()
            .map(|p| format!("{}: {}; {}", p.path, p.message, p.hint.as_deref().unwrap_or_default()))
            .collect();
        let rendered: String = problems.iter().map(|problem| problem.render("routing.yaml")).collect();
        assert!(!rendered.contains("hidden-word"), "{rendered}");
        shown
    }

    #[test]
    fn everything_has_a_default_but_the_url() {
        let env = Given::default().var("KEY", "sk-0123456789").var("WORD", "hidden-word");
        let file = FILE.replace("MORE", "password: '${WORD}'").replace("redis://h", "rediss://h");
        let loaded = crate::config::load(&file, &env).expect("a good file");
        assert_eq!(loaded.warnings, []);
        let redis = loaded.blueprint.server.redis.clone().expect("it is there");
        assert_eq!(
            (redis.prefix.as_str(), redis.timeout.as_millis(), redis.poll.as_millis()),
            ("mainstay", 20, 500)
        );
        assert_eq!((redis.shown().as_str(), redis.password), ("h:6379/0", Some(Secret::new("hidden-word"))));
        assert!(!format!("{:?}", loaded.blueprint.server).contains("hidden-word"));
        let missing = said(&FILE.replace("url: 'redis://h', MORE", "prefix: x"));
        assert!(missing[0].contains("url"), "{missing:?}");
    }

    #[test]
    fn what_cannot_work_or_says_too_much_is_pointed_out() {
        let check = |more: &str, part: &str| {
            let shown = said(&FILE.replace("MORE", more));
            assert!(shown.iter().any(|line| line.contains(part)), "{more}: {shown:?}");
        };
        check("timeout: 2s", "answers are waited for 1ms to 1s");
        check("poll: 1m", "looks are 100ms to 10s apart");
        check("timeout: 1s, poll: 1s", "an answer may take longer");
        check("replicas: 0", "use 1 to 1000");
        check("password: hidden-word", "in clear text");
        check("password: '${WORD}'", "the password goes over the network");
        check("ca_file: /x.pem", "does nothing without TLS");
        check("prefix: ''", "prefix");
        let both = said(&FILE.replace("'redis://h'", "'${URL}'").replace("MORE", "password: '${WORD}'"));
        assert!(both.iter().any(|line| line.contains("remove one of them")), "{both:?}");
        let bad = said(&FILE.replace("redis://h", "http://u:hidden-word@h").replace("MORE", "prefix: x"));
        assert!(bad.iter().any(|line| line.contains("neither redis nor rediss")), "{bad:?}");
        let nobody = said(
            &FILE
                .replace("provider: openai, credentials: ['${KEY}']", "provider: simulated")
                .replace("MORE", "prefix: x"),
        );
        assert!(nobody.iter().any(|line| line.contains("nothing to share")), "{nobody:?}");
    }
}
