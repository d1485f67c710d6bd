//! The tables, made and changed by numbered migrations, each applied once and in order.
//!
//! Whoever opens the store applies what is missing, in one transaction and under a lock, so that replicas which
//! start at the same moment wait for each other. A store that a newer version has changed is left alone: what an
//! older one would write there might be wrong. Migrations are never edited once they were released; there is a text
//! for each database, since types and partitions differ.

use rusqlite::{Connection, TransactionBehavior};
use tokio_postgres::Client;

use super::error::Error;
use super::sqlite::meaning;

struct Migration {
    sqlite: &'static str,
    postgres: &'static str,
}

/// In order; the first is number 1.
const ALL: &[Migration] = &[
    Migration {
        sqlite: include_str!("migrations/sqlite/001_first.sql"),
        postgres: include_str!("migrations/postgres/001_first.sql"),
    },
    Migration {
        sqlite: include_str!("migrations/sqlite/002_audit_stays.sql"),
        postgres: include_str!("migrations/postgres/002_audit_stays.sql"),
    },
    Migration {
        sqlite: include_str!("migrations/sqlite/003_alerts_told.sql"),
        postgres: include_str!("migrations/postgres/003_alerts_told.sql"),
    },
    Migration {
        sqlite: include_str!("migrations/sqlite/004_what_went_wrong.sql"),
        postgres: include_str!("migrations/postgres/004_what_went_wrong.sql"),
    },
    Migration {
        sqlite: include_str!("migrations/sqlite/005_fewer_indexes.sql"),
        postgres: include_str!("migrations/postgres/005_fewer_indexes.sql"),
    },
    Migration {
        sqlite: include_str!("migrations/sqlite/006_slots_of_keys.sql"),
        postgres: include_str!("migrations/postgres/006_slots_of_keys.sql"),
    },
];

/// The lock under which replicas change tables; `mainstay` in ASCII.
pub const LOCK: i64 = 0x6d61_696e_7374_6179;

/// The version that all of them make.
fn newest() -> i64 {
    i64::try_from(ALL.len()).expect("there are few")
}

/// What is still to be applied to a store.
#[derive(Clone, Copy)]
pub struct Missing {
    migrations: &'static [Migration],
    /// Whether there is anything that they change.
    old: bool,
}

impl Missing {
    /// Of a store with `applied` migrations.
    fn behind(applied: i64) -> Result<Self, Error> {
        let newer = || {
            Error::Refused(format!(
                "its tables are of version {applied}, of a newer mainstay than this one, which knows {}; use that one, \
                 or another store",
                ALL.len()
            ))
        };
        let migrations = ALL.get(usize::try_from(applied).unwrap_or(0)..).ok_or_else(newer)?;
        Ok(Self { migrations, old: applied > 0 && !migrations.is_empty() })
    }

    pub const fn is_nothing(&self) -> bool {
        self.migrations.is_empty()
    }

    /// Whether it may take long, since there are rows.
    pub const fn changes_old(&self) -> bool {
        self.old
    }

    /// Says so in that case.
    fn tell(&self) {
        if self.old {
            let missing = self.migrations.len();
            tracing::info!(
                missing,
                version = newest(),
                "the store's tables are being changed into those of this version"
            );
        }
    }
}

pub fn sqlite(connection: &mut Connection) -> Result<(), Error> {
    let applied = |error: rusqlite::Error| meaning(&error);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(applied)?;
    let version = transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let version = version.map_err(applied)?;
    let missing = Missing::behind(version)?;
    missing.tell();
    for migration in missing.migrations {
        transaction.execute_batch(migration.sqlite).map_err(applied)?;
    }
    if !missing.is_nothing() {
        transaction.pragma_update(None, "user_version", newest()).map_err(applied)?;
    }
    transaction.commit().map_err(applied)
}

/// Begins a transaction that [`complete`] ends, and finds what is missing. Needs a connection on which nothing else is
/// asked meanwhile, and whose tables are those of the schema `mainstay`.
pub async fn look(client: &Client) -> Result<Missing, Error> {
    let wrong = |error: tokio_postgres::Error| super::postgres::meaning(&error);
    let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
    client.batch_execute(&begin).await.map_err(wrong)?;
    // Whoever may use a schema that somebody has made for him may not be allowed to make one.
    let there = client.query_one("SELECT to_regnamespace('mainstay') IS NOT NULL", &[]).await;
    if !there.and_then(|row| row.try_get::<_, bool>(0)).map_err(wrong)? {
        client.batch_execute("CREATE SCHEMA mainstay").await.map_err(wrong)?;
    }
    let migrations = "CREATE TABLE IF NOT EXISTS migrations (version BIGINT NOT NULL)";
    client.batch_execute(migrations).await.map_err(wrong)?;
    let row = client.query_one("SELECT coalesce(max(version), 0) FROM migrations", &[]).await;
    Missing::behind(row.and_then(|row| row.try_get(0)).map_err(wrong)?)
}

/// Applies what is missing, however long that takes.
pub async fn complete(client: &Client, missing: Missing) -> Result<(), Error> {
    let wrong = |error: tokio_postgres::Error| super::postgres::meaning(&error);
    missing.tell();
    if !missing.is_nothing() {
        client.batch_execute("SET LOCAL statement_timeout TO 0").await.map_err(wrong)?;
        for migration in missing.migrations {
            client.batch_execute(migration.postgres).await.map_err(wrong)?;
        }
        let applied = format!("INSERT INTO migrations (version) VALUES ({})", newest());
        client.batch_execute(&applied).await.map_err(wrong)?;
    }
    client.batch_execute("COMMIT").await.map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::slots::SLOT;

    #[test]
    fn a_store_of_a_newer_version_is_left_alone() {
        let missing =
            |applied| Missing::behind(applied).map(|missing| (missing.migrations.len(), missing.old));
        assert_eq!(missing(0), Ok((ALL.len(), false)));
        assert_eq!(missing(newest() - 1), Ok((1, true)));
        assert_eq!(missing(newest()), Ok((0, false)));
        assert!(missing(newest() + 1).is_err_and(|error| error.to_string().contains("newer mainstay")));
    }

    #[test]
    fn the_audit_trail_is_only_added_to() {
        let mut connection = Connection::open_in_memory().expect("memory is there");
        sqlite(&mut connection).expect("a new one");
        let row = "INSERT INTO audit VALUES (x'01', 1, 'ann', 'key.create', 'shop', '{}')";
        connection.execute(row, []).expect("a row");
        for change in ["UPDATE audit SET actor = 'bob'", "DELETE FROM audit"] {
            let error = connection.execute(change, []).expect_err(change);
            assert!(error.to_string().contains("audit"), "{error}");
        }
        let rows = connection.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows, Ok(1));
    }

    #[test]
    fn a_store_of_any_older_version_becomes_what_a_new_one_is() {
        let made = |connection: &Connection| -> Vec<String> {
            let sql = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_master ORDER BY 1";
            let mut statement = connection.prepare(sql).expect("SQL");
            let found = statement.query_map([], |row| row.get(0)).expect("what was made");
            found.collect::<Result<_, _>>().expect("texts")
        };
        let mut new = Connection::open_in_memory().expect("memory is there");
        sqlite(&mut new).expect("a new one");
        for version in 1..=ALL.len() {
            let mut old = Connection::open_in_memory().expect("memory is there");
            for migration in &ALL[..version] {
                old.execute_batch(migration.sqlite).expect("as it was then");
            }
            old.pragma_update(None, "user_version", i64::try_from(version).expect("few")).expect("a number");
            sqlite(&mut old).expect("an older one");
            assert_eq!(made(&old), made(&new), "from version {version}");
        }
    }

    #[test]
    fn the_slots_of_keys_are_those_of_the_rows_that_are_there() {
        let mut connection = Connection::open_in_memory().expect("memory is there");
        for migration in &ALL[..5] {
            connection.execute_batch(migration.sqlite).expect("as it was then");
        }
        connection.pragma_update(None, "user_version", 5).expect("a number");
        let row = |key: Option<&str>, at_micros: i64| {
            let sql = "INSERT INTO requests SELECT ?2, randomblob(16), 'a', NULL, NULL, NULL, ?1, NULL, 'r', NULL, 'd', \
                       'o', 'm', 0, 'ok', NULL, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0";
            connection.execute(sql, (key, at_micros)).expect("a row");
        };
        for (key, at_micros) in
            [("shop", 0), ("shop", SLOT - 1), ("shop", SLOT), ("till", 5 * SLOT + 1), ("till", 5 * SLOT)]
        {
            row(Some(key), at_micros);
        }
        row(None, 7 * SLOT);
        sqlite(&mut connection).expect("an older one");
        let mut slots =
            connection.prepare("SELECT key_name, slot FROM key_slots ORDER BY 1, 2").expect("SQL");
        let slots = slots.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("slots");
        let slots: Vec<(String, i64)> = slots.collect::<Result<_, _>>().expect("texts and numbers");
        assert_eq!(slots, [("shop".to_owned(), 0), ("shop".to_owned(), 1), ("till".to_owned(), 5)]);
    }

    #[test]
    fn tables_are_made_once() {
        let mut connection = Connection::open_in_memory().expect("memory is there");
        sqlite(&mut connection).expect("a new one");
        sqlite(&mut connection).expect("the same one again");
        connection.pragma_update(None, "user_version", 99).expect("a number");
        assert!(sqlite(&mut connection).is_err());
    }
}
