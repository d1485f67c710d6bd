//! The `store:` section: a URL of SQLite's or PostgreSQL's, and two times.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};

use super::Scene;
use crate::config::blueprint::{Store, StorePlace};
use crate::config::file::store::Retention;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;
use crate::config::tree::{Node, Text};
use crate::vocab::Secret;

/// Of requests and of hours: less is no use to anybody, and more than the sums of a day would be looked at in vain.
const SHORTEST: Duration = Duration::from_hours(24);

/// `Err` where something has to be mended.
pub fn check(scene: &Scene<'_>, findings: &mut Findings) -> Result<Option<Store>, ()> {
    let Some(said) = &scene.file.store else { return Ok(None) };
    let path = Path::root().key("store");
    // A missing one was reported by the schema.
    let url = said.url.as_deref().ok_or(())?;
    let place = match place(url) {
        Ok(place) => place,
        Err((why, hint)) => {
            findings.error(&path.key("url"), format!("the URL {why}"), hint);
            return Err(());
        }
    };
    let retention = settle::retention(&said.retention);
    for (key, kept) in [("requests", retention.requests), ("hours", retention.hours)] {
        if kept < SHORTEST {
            let path = path.key("retention").key(key);
            findings.error(
                &path,
                "less than a day is not kept",
                "write 1d or more; 30d and 400d are the defaults",
            );
        }
    }
    if retention.days.is_some_and(|days| days < retention.hours) {
        findings.error(
            &path.key("retention").key("days"),
            "sums by day would be gone before those by hour",
            "keep days as long as `hours` (400d) or longer: reports are made of whole days and the hours at their ends",
        );
    }
    let place = match place {
        Place::Sqlite(file) => {
            if said.ca_file.is_some() {
                let hint = "remove it, or give the URL of a PostgreSQL";
                findings.warn(&path.key("ca_file"), "`ca_file` does nothing for SQLite", hint);
            }
            StorePlace::Sqlite(file.into())
        }
        Place::Postgres { url, shown, tls, password } => {
            let node = scene.root.at(&path.key("url")).and_then(Node::scalar);
            if password && node.map(|scalar| &scalar.text) == Some(&Text::AsWritten) {
                findings.warn(
                    &path.key("url"),
                    "a password stands here in clear text",
                    "keep the URL in the environment (`${NAME}`) or in a file (`file:/path`)",
                );
            }
            if said.ca_file.is_some() && !tls {
                let hint = "remove it, or write `sslmode=require` in the URL";
                findings.warn(&path.key("ca_file"), "`ca_file` does nothing without TLS", hint);
            }
            StorePlace::Postgres { url: Secret::new(url), shown, tls, ca_file: said.ca_file.clone() }
        }
    };
    Ok(Some(Store { place, retention }))
}

/// The store of this URL, without a file that says more; or what is wrong with the URL.
pub fn of_url(url: &str) -> Result<Store, String> {
    let place = match place(url).map_err(|(why, hint)| format!("the URL {why}; {hint}"))? {
        Place::Sqlite(file) => StorePlace::Sqlite(file.into()),
        Place::Postgres { url, shown, tls, .. } => {
            StorePlace::Postgres { url: Secret::new(url), shown, tls, ca_file: None }
        }
    };
    Ok(Store { place, retention: settle::retention(&Retention::default()) })
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Sqlite(String),
    Postgres { url: String, shown: String, tls: bool, password: bool },
}

type Wrong = (&'static str, &'static str);

/// What a URL means, or what is wrong with it and what to write instead. Its text is not repeated: it may hold a
/// password.
fn place(url: &str) -> Result<Place, Wrong> {
    const EXAMPLE: &str = "write sqlite:mainstay.db, or postgres://user@db.example.com:5432/mainstay";
    let (scheme, rest) = url.split_once(':').ok_or(("has no scheme", EXAMPLE))?;
    match scheme.to_ascii_lowercase().as_str() {
        "sqlite" => {
            let file = rest.strip_prefix("//").unwrap_or(rest);
            match file {
                "" => Err(("names no file", EXAMPLE)),
                ":memory:" => {
                    Err(("names no file, and what is kept in memory only is gone at the end", EXAMPLE))
                }
                _ if file.contains(['?', '#']) => Err(("has a query or a fragment", "remove it")),
                _ => Ok(Place::Sqlite(file.to_owned())),
            }
        }
        "postgres" | "postgresql" => postgres(url),
        _ => Err(("is neither sqlite: nor postgres://", EXAMPLE)),
    }
}

fn postgres(url: &str) -> Result<Place, Wrong> {
    const EXAMPLE: &str = "write it like postgres://user@db.example.com:5432/mainstay?sslmode=require";
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let options: Vec<&str> = query.split('&').filter(|option| !option.is_empty()).collect();
    let value = |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    if value("password").is_some() {
        return Err((
            "has its password in the query, where it might be shown",
            "write it before the host: user:password@",
        ));
    }
    let parsed = tokio_postgres::Config::from_str(address).map_err(|_| ("is no PostgreSQL one", EXAMPLE))?;
    let [host] = parsed.get_hosts() else { return Err(("does not name one host", EXAMPLE)) };
    let (host, here) = match host {
        Host::Tcp(host) if host.is_empty() => return Err(("has no host", EXAMPLE)),
        Host::Tcp(host) => (host.clone(), is_here(host)),
        Host::Unix(socket) => (socket.display().to_string(), true),
    };
    if parsed.get_user().is_none() {
        return Err(("has no user", EXAMPLE));
    }
    // Roots are always checked, so that the stricter words of libpq mean the same as `require`.
    let tls = match value("sslmode") {
        None => !here,
        Some("disable") => false,
        Some("require" | "verify-ca" | "verify-full") => true,
        Some(_) => return Err(("has an `sslmode` that is not taken", "use disable, require or verify-full")),
    };
    let others = options.iter().filter(|option| !option.starts_with("sslmode="));
    let mode = if tls { "sslmode=require" } else { "sslmode=disable" };
    let query: Vec<&str> = others.copied().chain([mode]).collect();
    let whole = format!("{address}?{}", query.join("&"));
    let checked = tokio_postgres::Config::from_str(&whole);
    let checked =
        checked.map_err(|_| ("has an option that is not taken", "remove what stands behind `?`"))?;
    debug_assert_eq!(checked.get_ssl_mode() == SslMode::Require, tls);
    let port = parsed.get_ports().first().copied().unwrap_or(5432);
    let database = parsed.get_dbname().or(parsed.get_user()).unwrap_or_default();
    let password = parsed.get_password().is_some();
    Ok(Place::Postgres { url: whole, shown: format!("{host}:{port}/{database}"), tls, password })
}

/// Whether it is on this machine, as far as its name says so.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;

    #[test]
    fn a_url_says_which_database_and_whether_with_tls() {
        let sqlite = |url, file: &str| assert_eq!(place(url), Ok(Place::Sqlite(file.to_owned())), "{url}");
        sqlite("sqlite:ledger.db", "ledger.db");
        sqlite("sqlite:/var/lib/mainstay/ledger.db", "/var/lib/mainstay/ledger.db");
        sqlite("sqlite:///var/lib/ledger.db", "/var/lib/ledger.db");
        let postgres = |url: &str, address: &str, tls: bool, password: bool| {
            let mode = if tls { "require" } else { "disable" };
            let whole = format!("{}?sslmode={mode}", url.split('?').next().unwrap_or_default());
            let place = place(url);
            assert_eq!(
                place,
                Ok(Place::Postgres { url: whole, shown: address.to_owned(), tls, password }),
                "{url}"
            );
        };
        postgres("postgres://gate@db.example.com/ledger", "db.example.com:5432/ledger", true, false);
        postgres("postgresql://gate:word@db:6000", "db:6000/gate", true, true);
        postgres("postgres://gate@127.0.0.1:6000/x", "127.0.0.1:6000/x", false, false);
        postgres("postgres://gate@db/x?sslmode=disable", "db:5432/x", false, false);
        postgres("postgres://gate@localhost/x?sslmode=verify-full", "localhost:5432/x", true, false);
    }

    #[test]
    fn what_is_no_such_url_says_why_and_shows_nothing_of_it() {
        let check = |url, why| assert_eq!(place(url).map_err(|(why, _)| why), Err(why), "{url}");
        check("ledger.db", "has no scheme");
        check("sqlite:", "names no file");
        check("sqlite:a.db?mode=ro", "has a query or a fragment");
        check("mysql://h/x", "is neither sqlite: nor postgres://");
        check("postgres://", "does not name one host");
        check("postgres://h/x", "has no user");
        check("postgres://gate@h,i/x", "does not name one host");
        check("postgres://gate@h/x?sslmode=prefer", "has an `sslmode` that is not taken");
        check("postgres://gate@h/x?password=word", "has its password in the query, where it might be shown");
        check("postgres://gate@h/x?nonsense=1", "has an option that is not taken");
    }

    const FILE: &str = "version: 1\nstore: {url: 'URL', MORE}\nupstreams: {a: {provider: simulated}}\nroutes: [{model: m, \
                        channels: [{upstream: a}]}]\n";

    fn said(url: &str, more: &str) -> Vec<String> {
        let env = Given::default().var("URL", "postgres://gate:hidden-word@localhost/x");
        let file = FILE.replace("MORE", more).replace("'URL'", &format!("'{url}'"));
        let problems = match crate::config::load(&file, &env) {
            Ok(loaded) => {
                assert!(!format!("{:?}", loaded.blueprint.store).contains("hidden-word"));
                loaded.warnings
            }
            Err(problems) => problems,
        };
        let rendered: String = problems.iter().map(|problem| problem.render("routing.yaml")).collect();
        assert!(!rendered.contains("hidden-word"), "{rendered}");
        let of_it = problems.iter().filter(|problem| problem.path.starts_with("store"));
        of_it.map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn what_cannot_work_or_says_too_much_is_pointed_out() {
        let check = |url: &str, more: &str, part: &str| {
            let said = said(url, more);
            assert!(said.iter().any(|line| line.contains(part)), "{url} {more}: {said:?}");
        };
        check("mysql://gate:hidden-word@h/x", "", "store.url: the URL is neither");
        check("postgres://gate:hidden-word@h/x", "", "in clear text");
        check("sqlite:x.db", "ca_file: /x.pem", "does nothing for SQLite");
        check("${URL}", "ca_file: /x.pem", "does nothing without TLS");
        check("sqlite:x.db", "retention: {requests: 1h}", "less than a day");
        check("sqlite:x.db", "retention: {days: 399d}", "gone before those by hour");
        assert_eq!(said("sqlite:x.db", "retention: {hours: 2d, days: 2d}"), <[String; 0]>::default());
        assert_eq!(said("${URL}", ""), <[String; 0]>::default());
    }

    #[test]
    fn everything_has_a_default_but_the_url() {
        let file = FILE.replace("'URL', MORE", "sqlite:x.db");
        let loaded = crate::config::load(&file, &Given::default()).expect("a good file");
        let store = loaded.blueprint.store.expect("it is there");
        assert_eq!(store.place, StorePlace::Sqlite("x.db".into()));
        let days = |kept: Duration| kept.as_secs() / 86_400;
        assert_eq!((days(store.retention.requests), days(store.retention.hours)), (30, 400));
    }
}
