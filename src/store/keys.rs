//! Callers' keys that are managed here and not written in routing.yaml.
//!
//! A key is kept as keyed hashes of its secret: several while an old one goes on beside a new one. Each change has a
//! number, counted over all keys, so that replicas ask for what has changed since the last they know. What a key may
//! do is `terms`, a text of whoever reads it; nothing here looks into it.

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::Store;
use super::error::Error;
use super::rows::RowId;
use super::script::{Answer, Kind, Row, Script, Table, Value};

/// A managed key. Times are microseconds of Unix time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub id: RowId,
    /// No two keys that are not deleted have the same.
    pub name: Arc<str>,
    /// How its secret begins, to recognise it by.
    pub prefix: String,
    pub organisation: Option<Arc<str>>,
    pub team: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    /// JSON: scopes, limits, tags.
    pub terms: String,
    pub disabled_at: Option<i64>,
    pub expires_at: Option<i64>,
    /// It is listed no more, and its name is free; replicas learn of its end by it.
    pub deleted_at: Option<i64>,
    pub created_at: i64,
    pub created_by: String,
    /// The number of its last change. The store's to count: what is said in an insert means nothing, and in an update
    /// it is the one that was read.
    pub version: i64,
    pub digests: Vec<Digest>,
}

/// A keyed hash of a key's secret, and when that secret is good.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    pub hash: [u8; 32],
    pub valid_from: i64,
    /// Until when, that moment excluded; for good where there is none.
    pub valid_to: Option<i64>,
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}..{:?})", self.valid_from, self.valid_to)
    }
}

static DIGESTS: LazyLock<Table> = LazyLock::new(|| {
    let columns = vec![
        ("key_id", Kind::Bytes),
        ("digest", Kind::Bytes),
        ("valid_from", Kind::Int),
        ("valid_to", Kind::Int),
    ];
    Table::new("key_digests", columns, "")
});

const COLUMNS: &str = "k.id, k.name, k.prefix, k.organisation, k.team, k.\"user\", k.terms, k.disabled_at, \
                       k.expires_at, k.deleted_at, k.created_at, k.created_by, k.version";

impl Store {
    /// The number of the change. [`Error::Taken`] where the name is.
    pub async fn insert_key(&self, key: &KeyRow) -> Result<i64, Error> {
        let mut values = vec![Value::id(key.id.0)];
        values.extend(said(key));
        values.extend([Value::Int(key.created_at), Value::whole(&key.created_by)]);
        let script = counted()
            .say(
                "INSERT INTO keys (id, name, prefix, organisation, team, \"user\", terms, disabled_at, expires_at, \
                 deleted_at, created_at, created_by, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, (SELECT last FROM changes))",
                values,
            )
            .fill(&DIGESTS, digests(key.id, &key.digests));
        self.changed(script).await
    }

    /// Changes all of a key but its id, its digests and its making. The number of the change.
    /// [`Error::Changed`] where its version is not the one that `key` has, [`Error::Taken`] where its new name is.
    pub async fn update_key(&self, key: &KeyRow) -> Result<i64, Error> {
        let mut values = vec![Value::id(key.id.0)];
        values.extend(said(key));
        values.push(Value::Int(key.version));
        let script = counted().only_if(
            "UPDATE keys SET name = $2, prefix = $3, organisation = $4, team = $5, \"user\" = $6, terms = $7, \
             disabled_at = $8, expires_at = $9, deleted_at = $10, version = (SELECT last FROM changes) \
             WHERE id = $1 AND version = $11",
            values,
        );
        self.changed(script).await
    }

    /// Puts these in the place of a key's digests, and `prefix` in that of its prefix. The number of the change.
    /// [`Error::Changed`] where the key is deleted, or its version is not `version`.
    pub async fn replace_digests(
        &self,
        id: RowId,
        version: i64,
        prefix: &str,
        anew: &[Digest],
    ) -> Result<i64, Error> {
        let script = counted()
            .only_if(
                "UPDATE keys SET prefix = $2, version = (SELECT last FROM changes) \
                 WHERE id = $1 AND version = $3 AND deleted_at IS NULL",
                vec![Value::id(id.0), Value::whole(prefix), Value::Int(version)],
            )
            .say("DELETE FROM key_digests WHERE key_id = $1", vec![Value::id(id.0)])
            .fill(&DIGESTS, digests(id, anew));
        self.changed(script).await
    }

    /// Those that are not deleted, by name.
    pub async fn list_keys(&self) -> Result<Vec<KeyRow>, Error> {
        self.keys("k.deleted_at IS NULL", "k.name, k.id", Vec::new()).await
    }

    /// Those that were changed by the change of this number or after it, deleted ones included, in the order of their
    /// last change: the version of the last one is what to ask with next time. All there ever were for 0.
    pub async fn keys_from(&self, version: i64) -> Result<Vec<KeyRow>, Error> {
        self.keys("k.version >= $1", "k.version, k.id", vec![Value::Int(version)]).await
    }

    /// The condition and the order are ours; only values come from elsewhere.
    async fn keys(&self, which: &str, order: &str, values: Vec<Value>) -> Result<Vec<KeyRow>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, d.digest, d.valid_from, d.valid_to FROM keys k \
             LEFT JOIN key_digests d ON d.key_id = k.id WHERE {which} ORDER BY {order}, d.valid_from, d.digest"
        );
        let mut keys: Vec<KeyRow> = Vec::new();
        for row in self.look(Script::ask(sql, values)).await? {
            if keys.last().is_none_or(|key| key.id.0 != row.id(0)) {
                keys.push(read(&row));
            }
            if let (Some(key), Ok(hash)) = (keys.last_mut(), row.bytes(13).try_into()) {
                key.digests.push(Digest { hash, valid_from: row.int(14), valid_to: row.maybe_int(15) });
            }
        }
        Ok(keys)
    }

    async fn changed(&self, script: Script) -> Result<i64, Error> {
        let script = script.then_ask("SELECT last FROM changes", Vec::new());
        match self.change(script).await? {
            Answer::Done(rows) => Ok(rows.first().map_or(0, |row| row.int(0))),
            Answer::Undone => Err(Error::Changed),
        }
    }
}

/// Counts a change, which keeps others that change a key waiting until this one is done: nobody can see a number
/// before he can see all that are lower.
fn counted() -> Script {
    Script::default().say("UPDATE changes SET last = last + 1", Vec::new())
}

/// From the name to the deletion.
fn said(key: &KeyRow) -> [Value; 9] {
    [
        Value::whole(&key.name),
        Value::whole(&key.prefix),
        Value::maybe(key.organisation.as_deref(), Value::text),
        Value::maybe(key.team.as_deref(), Value::text),
        Value::maybe(key.user.as_deref(), Value::text),
        Value::whole(&key.terms),
        Value::maybe(key.disabled_at, Value::Int),
        Value::maybe(key.expires_at, Value::Int),
        Value::maybe(key.deleted_at, Value::Int),
    ]
}

fn digests(id: RowId, digests: &[Digest]) -> Vec<Vec<Value>> {
    let row = |digest: &Digest| {
        vec![
            Value::id(id.0),
            Value::bytes(&digest.hash),
            Value::Int(digest.valid_from),
            Value::maybe(digest.valid_to, Value::Int),
        ]
    };
    digests.iter().map(row).collect()
}

fn read(row: &Row) -> KeyRow {
    KeyRow {
        id: RowId(row.id(0)),
        name: row.name(1).unwrap_or_default(),
        prefix: row.text(2),
        organisation: row.name(3),
        team: row.name(4),
        user: row.name(5),
        terms: row.text(6),
        disabled_at: row.maybe_int(7),
        expires_at: row.maybe_int(8),
        deleted_at: row.maybe_int(9),
        created_at: row.int(10),
        created_by: row.text(11),
        version: row.int(12),
        digests: Vec::new(),
    }
}
