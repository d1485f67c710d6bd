//! Where managed keys are made, changed, rotated and ended. Each change is in the store before it holds here, and here
//! before the answer goes out; other replicas have it within seconds.
//!
//! A secret leaves once, in the answer to whoever made it. Who may do this, and who hears of it, is `admin`'s affair.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::managed::Managed;
use crate::algo::limit::Allowance;
use crate::config::managed::{ManagedKey, Naming, managed, moment};
use crate::config::{Known, Lineage};
use crate::store::rows::RowId;
use crate::store::{self, Digest, KeyRow, Store, micros};
use crate::vocab::Secret;

/// How long a replaced secret goes on beside the new one, unless somebody says otherwise.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// Makes and changes keys.
pub struct Desk {
    store: Arc<Store>,
    managed: Arc<Managed>,
}

/// Who does it, when, and what there is for a key to name.
pub struct Maker<'a> {
    pub by: &'a str,
    /// Since the Unix epoch.
    pub now: Duration,
    /// Of the request's own randomness.
    pub chance: u128,
    pub members: &'a [Lineage],
    pub known: Known<'a>,
}

/// Why nothing was done.
#[derive(Debug)]
pub enum Refused {
    /// No managed key is called this.
    Missing,
    /// What is wrong with what was asked.
    Wrong(Vec<String>),
    Store(store::Error),
    /// The machine gives no randomness.
    NoSecret,
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Desk {
    pub fn new(store: Arc<Store>, managed: Arc<Managed>) -> Arc<Self> {
        Arc::new(Self { store, managed })
    }

    pub fn managed(&self) -> &Arc<Managed> {
        &self.managed
    }

    /// Takes what has changed in the store since it was last looked at.
    pub async fn look(&self, now: Duration) -> Result<(), store::Error> {
        let (last, newest) = self.managed.last();
        let changed = self.store.keys_from(last).await?;
        // What was changed last is there, or has been changed again.
        let went_on = changed.first().is_some_and(|row| row.version > last || Some(row.id) == newest);
        if last == 0 || went_on {
            self.managed.take(changed, now);
        } else {
            tracing::warn!("the store is an older copy of itself: its keys are those that it has now");
            self.managed.begin_anew(self.store.keys_from(0).await?, now);
        }
        Ok(())
    }

    /// Makes a key of what `said` says of it.
    pub async fn create(
        &self,
        mut said: Map<String, Value>,
        maker: &Maker<'_>,
    ) -> Result<(KeyRow, Secret), Refused> {
        let Some(Value::String(name)) = said.remove("name") else {
            return Err(wrong("`name` is missing: what metrics, logs and bills are to call it"));
        };
        let (secret, prefix) = Managed::fresh().ok_or(Refused::NoSecret)?;
        let mut row = KeyRow {
            id: RowId::new(maker.now, maker.chance),
            name: name.into(),
            prefix,
            organisation: None,
            team: None,
            user: None,
            terms: "{}".to_owned(),
            disabled_at: None,
            expires_at: None,
            deleted_at: None,
            created_at: micros(maker.now),
            created_by: maker.by.to_owned(),
            version: 0,
            digests: vec![self.digest(&secret, maker.now)],
        };
        apply(&mut row, said, maker)?;
        if row.expires_at.is_some_and(|expires| expires <= micros(maker.now)) {
            return Err(wrong(
                "`expires` is over already, and nobody could ever use the key; name a moment that is to come",
            ));
        }
        self.store.insert_key(&row).await?;
        self.look_after(maker.now).await;
        Ok((row, secret))
    }

    /// Changes what is said of a key: what is not named stays, what is null goes. The row before and after.
    pub async fn change(
        &self,
        name: &str,
        said: Map<String, Value>,
        maker: &Maker<'_>,
    ) -> Result<(KeyRow, KeyRow), Refused> {
        let before = self.current(name, maker.now).await?;
        let mut row = before.clone();
        apply(&mut row, said, maker)?;
        self.put(before, row, maker.now).await
    }

    /// From now on nobody calls with it, or whoever could before.
    pub async fn disable(&self, name: &str, now: Duration) -> Result<(KeyRow, KeyRow), Refused> {
        let before = self.current(name, now).await?;
        let row = KeyRow { disabled_at: before.disabled_at.or(Some(micros(now))), ..before.clone() };
        self.put(before, row, now).await
    }

    pub async fn enable(&self, name: &str, now: Duration) -> Result<(KeyRow, KeyRow), Refused> {
        let before = self.current(name, now).await?;
        let row = KeyRow { disabled_at: None, ..before.clone() };
        self.put(before, row, now).await
    }

    /// Ends it for good; its name is free again.
    pub async fn delete(&self, name: &str, now: Duration) -> Result<(KeyRow, KeyRow), Refused> {
        let before = self.current(name, now).await?;
        let row = KeyRow { deleted_at: Some(micros(now)), ..before.clone() };
        self.put(before, row, now).await
    }

    /// A new secret for it. The one it had last is good for `overlap` still, earlier ones are not.
    pub async fn rotate(
        &self,
        name: &str,
        overlap: Duration,
        now: Duration,
    ) -> Result<(KeyRow, Secret), Refused> {
        let mut row = self.current(name, now).await?;
        let (secret, prefix) = Managed::fresh().ok_or(Refused::NoSecret)?;
        let until = micros(now.saturating_add(overlap));
        let last = row.digests.iter().max_by_key(|digest| digest.valid_from).cloned();
        let last = last.filter(|_| !overlap.is_zero());
        let last =
            last.map(|old| Digest { valid_to: Some(old.valid_to.map_or(until, |to| to.min(until))), ..old });
        row.digests = last.into_iter().chain([self.digest(&secret, now)]).collect();
        row.prefix = prefix;
        self.store.replace_digests(row.id, row.version, &row.prefix, &row.digests).await?;
        self.look_after(now).await;
        Ok((row, secret))
    }

    async fn put(&self, before: KeyRow, row: KeyRow, now: Duration) -> Result<(KeyRow, KeyRow), Refused> {
        self.store.update_key(&row).await?;
        self.look_after(now).await;
        Ok((before, row))
    }

    /// Takes a change of our own. It is done, whatever comes of this: what is not heard now is heard by and by.
    async fn look_after(&self, now: Duration) {
        if let Err(error) = self.look(now).await {
            tracing::warn!(%error, "a key was changed, and holds here once the store is heard again");
        }
    }

    /// As it is in the store.
    async fn current(&self, name: &str, now: Duration) -> Result<KeyRow, Refused> {
        self.look(now).await?;
        self.managed.row(name).map(Arc::unwrap_or_clone).ok_or(Refused::Missing)
    }

    fn digest(&self, secret: &Secret, now: Duration) -> Digest {
        let hash = self.managed.hash(secret.expose().as_bytes());
        Digest { hash, valid_from: micros(now), valid_to: None }
    }
}

/// Puts what `said` says into `row`, if it is right then.
fn apply(row: &mut KeyRow, mut said: Map<String, Value>, maker: &Maker<'_>) -> Result<(), Refused> {
    let parents = ["organisation", "team", "user"];
    if parents.iter().any(|parent| said.contains_key(*parent)) {
        let mut parent = |name: &str| match said.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(named)) => Ok(Some(Arc::from(named))),
            Some(_) => Err(wrong(&format!("`{name}` is a name, or null"))),
        };
        (row.organisation, row.team, row.user) = (parent("organisation")?, parent("team")?, parent("user")?);
    }
    match said.remove("expires") {
        None => {}
        Some(Value::Null) => row.expires_at = None,
        Some(Value::String(text)) => match moment(&text) {
            Some(moment) => row.expires_at = Some(micros(moment)),
            None => {
                return Err(wrong(&format!(
                    "`expires` is no point in time: `{text}`; write 2027-01-31, or 2027-01-31T12:00:00Z"
                )));
            }
        },
        Some(Value::Number(seconds)) => {
            let moment = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let moment = moment.ok_or_else(|| wrong("`expires` is before 1970"))?;
            row.expires_at = Some(micros(moment));
        }
        Some(_) => return Err(wrong("`expires` is a day, a time, seconds since 1970, or null")),
    }
    let mut terms: Map<String, Value> = serde_json::from_str(&row.terms).unwrap_or_default();
    for (name, value) in said {
        if value.is_null() {
            terms.remove(&name);
        } else {
            terms.insert(name, value);
        }
    }
    row.terms = Value::Object(terms).to_string();
    let said = ManagedKey {
        name: &row.name,
        organisation: row.organisation.as_deref(),
        team: row.team.as_deref(),
        user: row.user.as_deref(),
        terms: &row.terms,
        expires: None,
        limits: Allowance::default(),
    };
    managed(said, maker.members, Naming::Strict(&maker.known)).map(drop).map_err(Refused::Wrong)
}

fn wrong(message: &str) -> Refused {
    Refused::Wrong(vec![message.to_owned()])
}
