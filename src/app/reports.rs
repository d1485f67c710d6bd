//! `mainstay usage` and `mainstay reprice`: asked of a running gateway, or made straight from the store where none
//! runs. The words are the same, so that both come to the same.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::explain::escaped;
use super::{Answer, Process, Proof, ask};
use crate::config::{self, StorePlace};
use crate::report::words::Mode;
use crate::report::{self, Export, Failed, Repricing, Words};
use crate::server::loader::{Draft, Loader, Source};
use crate::server::storing;
use crate::state::Live;
use crate::store::rows::RowId;
use crate::store::{AuditRow, Presence, Store};

/// For a PostgreSQL to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(50);
/// For as many days as anybody prices again.
const LONG: Duration = Duration::from_hours(12);

/// Whom to ask.
#[derive(Args, Clone, Debug)]
pub struct Whence {
    /// The running gateway's admin listener [default: what the file says]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Ask no gateway, but this store (sqlite:PATH or postgres://…), or without a URL the one of the file
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", conflicts_with = "admin")]
    store: Option<String>,
}

impl Whence {
    /// What is said to be the gateway's address.
    pub fn admin(&self) -> Option<&str> {
        self.admin.as_deref()
    }

    /// Whether a store is asked, and no gateway.
    pub const fn is_store(&self) -> bool {
        self.store.is_some()
    }
}

#[derive(Args, Clone, Debug, Default)]
struct When {
    /// From this day (UTC) or moment on: 2026-11-01, 2026-11-01T12:00:00Z
    #[arg(long)]
    from: Option<String>,
    /// The first day or moment that counts no more [default: now]
    #[arg(long)]
    to: Option<String>,
}

/// What was used.
#[derive(Args, Clone, Debug)]
pub struct UsageOf {
    /// What to tell apart: organisation, team, user, key, tag:NAME, route, arm, upstream, provider, model, part, day, hour
    #[arg(long, value_delimiter = ',')]
    by: Vec<String>,
    #[command(flatten)]
    when: When,
    /// So long back from now: 7d, 24h
    #[arg(long, value_name = "TIME")]
    last: Option<String>,
    /// A month: 2026-10; the present one without a value, and where no time is said
    #[arg(long, value_name = "MONTH", num_args = 0..=1, default_missing_value = "")]
    month: Option<String>,
    /// Only where that is so (repeatable); NAME= is where there is none
    #[arg(long, value_name = "NAME=VALUE")]
    only: Vec<String>,
    /// What the same tokens would have cost at these models
    #[arg(long, value_name = "MODEL", value_delimiter = ',')]
    at: Vec<String>,
    /// table, csv or json [default: table; csv for rows]
    #[arg(long)]
    format: Option<String>,
    /// Not sums, but all requests (or attempts) one by one
    #[arg(long, value_name = "ROWS", num_args = 0..=1, default_missing_value = "requests",
          conflicts_with_all = ["by", "only", "at"])]
    rows: Option<String>,
}

/// What to price again.
#[derive(Args, Clone, Debug)]
pub struct RepriceOf {
    #[command(flatten)]
    when: When,
    /// Only this one, as rows call it: openai/gpt-5.4, or gpt-5.4 (repeatable)
    #[arg(long, value_delimiter = ',')]
    model: Vec<String>,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A remark beside what was printed; or why nothing was.
pub type Done = Result<Option<String>, String>;

impl When {
    fn words(&self, words: &mut Words) {
        for (name, said) in [("from", &self.from), ("to", &self.to)] {
            words.0.extend(said.iter().map(|said| (name.to_owned(), said.clone())));
        }
    }
}

impl UsageOf {
    fn words(&self) -> Words {
        let mut words = Words::default();
        self.when.words(&mut words);
        let usual = if self.rows.is_some() { "csv" } else { "table" };
        let format = Some(self.format.clone().unwrap_or_else(|| usual.to_owned()));
        let once = [("last", &self.last), ("month", &self.month), ("rows", &self.rows), ("format", &format)];
        let several = [("by", &self.by), ("only", &self.only), ("at", &self.at)];
        let once = once.into_iter().filter_map(|(name, said)| Some((name, said.as_ref()?)));
        let several = several.into_iter().flat_map(|(name, said)| said.iter().map(move |said| (name, said)));
        words.0.extend(once.chain(several).map(|(name, said)| (name.to_owned(), said.clone())));
        words
    }

    /// Writes the report to `out`.
    pub async fn report(
        &self,
        whence: &Whence,
        source: Source,
        base: &str,
        proof: &Proof,
        out: &mut dyn Write,
    ) -> anyhow::Result<Done> {
        let words = self.words();
        let (base, remark) = match whence.gateway(base, proof).await {
            Gateway::At(base) => {
                let path = if self.rows.is_some() { "/admin/ledger" } else { "/admin/usage" };
                return Ok(told(ask::copy(base, &query(path, &words), proof, out).await?).map(|_| None));
            }
            Gateway::Nowhere(base) => (base, true),
            Gateway::NotAsked => (base, false),
        };
        let direct = Direct::open(whence, source).await?;
        let remark = remark.then(|| format!("no gateway answers at {base}: this is straight from the store"));
        let now = direct.live.clock.unix_now();
        if self.rows.is_some() {
            let asked = match words.rows(now) {
                Ok(asked) => asked,
                Err(failed) => return Ok(Err(failed.to_string())),
            };
            let mut export = Export::new(Arc::clone(&direct.store), asked);
            while let Some(text) = export.next().await {
                if !written(out, &text?)? {
                    break;
                }
            }
            return Ok(Ok(remark));
        }
        let asked = match words.usage(now) {
            Ok(asked) => asked,
            Err(failed) => return Ok(Err(failed.to_string())),
        };
        match report::usage(&direct.store, &direct.draft.blueprint.catalog, &asked).await {
            Ok(text) => {
                written(out, &text)?;
                Ok(Ok(remark))
            }
            Err(failed) => Ok(Err(failed.to_string())),
        }
    }
}

impl RepriceOf {
    fn words(&self) -> Words {
        let mut words = Words::default();
        self.when.words(&mut words);
        words.0.extend(self.model.iter().map(|model| ("model".to_owned(), model.clone())));
        if self.dry_run {
            words.0.push(("dry_run".to_owned(), "true".to_owned()));
        }
        words
    }

    /// Does it, and writes what came of it to `out`.
    pub async fn report(
        &self,
        whence: &Whence,
        source: Source,
        base: &str,
        proof: &Proof,
        out: &mut dyn Write,
    ) -> anyhow::Result<Done> {
        let words = self.words();
        let (outcome, remark) = match whence.gateway(base, proof).await {
            Gateway::At(base) => {
                let path = query("/admin/reprice", &words);
                let answer = ask::tell_for(base, Method::POST, &path, proof, Bytes::new(), LONG).await?;
                match told(answer) {
                    Ok(body) => (serde_json::from_slice(&body)?, None),
                    Err(why) => return Ok(Err(why)),
                }
            }
            Gateway::Nowhere(base) => {
                let remark = format!("no gateway answers at {base}: this was done straight in the store");
                match Direct::open(whence, source).await?.reprice(&words).await {
                    Ok(outcome) => (outcome, Some(remark)),
                    Err(failed) => return Ok(Err(failed.to_string())),
                }
            }
            Gateway::NotAsked => match Direct::open(whence, source).await?.reprice(&words).await {
                Ok(outcome) => (outcome, None),
                Err(failed) => return Ok(Err(failed.to_string())),
            },
        };
        let text = if self.json {
            serde_json::to_string_pretty(&outcome)? + "\n"
        } else {
            Repricing::table(&outcome)
        };
        written(out, &text)?;
        Ok(Ok(remark))
    }
}

enum Gateway<'a> {
    At(&'a str),
    /// Nobody said that there is one, and there is none.
    Nowhere(&'a str),
    NotAsked,
}

impl Whence {
    async fn gateway<'a>(&'a self, usual: &'a str, proof: &Proof) -> Gateway<'a> {
        match (&self.store, &self.admin) {
            (Some(_), _) => Gateway::NotAsked,
            (None, Some(admin)) => Gateway::At(admin),
            (None, None) if ask(usual, "/livez", proof).await.is_ok() => Gateway::At(usual),
            (None, None) => Gateway::Nowhere(usual),
        }
    }
}

/// A store without a gateway.
struct Direct {
    store: Arc<Store>,
    draft: Draft,
    live: Arc<Live>,
}

impl Direct {
    async fn open(whence: &Whence, source: Source) -> anyhow::Result<Self> {
        let loader = Loader::new(source, Arc::new(Process));
        let mut draft = loader.load()?;
        if let Some(url) = whence.store.as_deref().filter(|url| !url.is_empty()) {
            let mut named = config::store_of(url).map_err(|why| anyhow::anyhow!("--store: {why}"))?;
            if let StorePlace::Sqlite(path) = &mut named.place {
                // From here, and not from where the file is.
                *path = std::path::absolute(&*path)?;
            }
            let blueprint = config::Blueprint { store: Some(named), ..draft.blueprint };
            draft = loader.draft_of(blueprint)?;
        }
        if let Some(config::Store { place: StorePlace::Sqlite(path), .. }) = &draft.blueprint.store {
            let path = loader.beside(path);
            anyhow::ensure!(Path::exists(&path), "there is no store at {}", path.display());
        }
        let live = Arc::new(Live::default());
        let name = loader.source().name();
        let opened = storing::open(&loader, &draft, &live)?;
        let opened = opened.with_context(|| {
            format!("{name} names no `store`; name one with --store, or a gateway with --admin")
        })?;
        for work in opened.work {
            tokio::spawn(work);
        }
        let store = opened.store;
        let mut waited = Duration::ZERO;
        while let Presence::Away { why } = store.standing().presence {
            anyhow::ensure!(waited < PATIENCE, "the store is away: {why}");
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
        Ok(Self { store, draft, live })
    }

    async fn reprice(&self, words: &Words) -> Result<Value, Failed> {
        let now = self.live.clock.unix_now();
        let asked = words.reprice(now)?;
        let outcome = report::reprice(&self.store, &self.draft.blueprint.catalog, &asked).await?.json(&asked);
        if asked.mode == Mode::Correct {
            let mut dice = self.live.dice();
            let chance = u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64());
            let row = AuditRow {
                id: RowId::new(now, chance),
                at_micros: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
                actor: "the command line".to_owned(),
                action: "reprice".to_owned(),
                subject: asked.subject(),
                detail: outcome.to_string(),
            };
            self.store.append_audit(&row).await?;
        }
        Ok(outcome)
    }
}

fn query(path: &str, words: &Words) -> String {
    let pairs = words.0.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// What was answered, or why not.
fn told(answer: Answer) -> Result<Bytes, String> {
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = String::from_utf8_lossy(&answer.body);
    Err(said["error"].as_str().unwrap_or(&text).to_owned())
}

/// Whether anybody takes more. A reader that has gone away, such as `head`, is no failure.
fn written(out: &mut dyn Write, text: &str) -> anyhow::Result<bool> {
    match out.write_all(text.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}
