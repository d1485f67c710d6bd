//! What has to be done from time to time: old rows thrown away, months made ahead, SQLite's log put where it belongs,
//! the size looked at.
//!
//! SQLite deletes a few rows at a time, so that no batch waits for longer than that takes. PostgreSQL drops whole
//! months of requests. Nothing of it is urgent: what fails is tried again at the next time.

use std::time::Duration;

use super::error::Error;
use super::months::{self, Month, TABLES};
use super::rows::RowId;
use super::script::{Answer, Script, Value};
use super::sqlite::Checkpoint;
use super::sums::{DAY, HOUR};
use super::write::{REMEMBERED, micros};
use super::{Database, Store, WRITE, slots};
use crate::config::Retention;

/// Rows that are deleted at once.
const AT_ONCE: i64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deleted {
    None,
    Some,
}

impl Store {
    /// To be called every hour or so, by one replica or by all.
    pub async fn tend(&self, retention: &Retention) -> Result<(), Error> {
        self.keeps(retention);
        let (_, unix) = self.watch.now();
        let before = |kept: Duration| micros(unix.saturating_sub(kept));
        let (requests, hours) = (before(retention.requests), before(retention.hours));
        // The ids of attempts' requests begin with the time.
        let first_kept = Value::id(RowId::new(unix.saturating_sub(retention.requests), 0).0);
        match &self.database {
            Database::Sqlite(_) => {
                self.delete("requests", "at_micros", "at_micros, id", Value::Int(requests)).await?;
                self.delete("attempts", "request", "request, number, at_micros", first_kept).await?;
                self.delete("key_slots", "slot", "key_name, slot", Value::Int(slots::of(requests))).await?;
            }
            Database::Postgres => {
                for made in months::ahead(unix) {
                    match self.writer.run(Script::say_dynamic(made), WRITE).await {
                        // What is there of that month already is in the table for all others, and stays there.
                        Ok(_) | Err(Error::Refused(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                self.drop_months(requests).await?;
                self.delete("requests_other", "at_micros", "ctid", Value::Int(requests)).await?;
                self.delete("attempts_other", "request", "ctid", first_kept).await?;
            }
        }
        self.delete("hours", "bucket", "tag, bucket, series", Value::Int(hours.div_euclid(HOUR))).await?;
        if let Some(kept) = retention.days {
            let day = before(kept).div_euclid(HOUR).div_euclid(DAY);
            if self.delete("days", "bucket", "tag, bucket, series", Value::Int(day)).await? == Deleted::Some {
                self.delete_series().await?;
            }
        }
        self.delete("batches", "at_micros", "id", Value::Int(before(REMEMBERED))).await?;
        // What still fires was told again since then.
        self.delete("alerts", "told_micros", "id", Value::Int(before(REMEMBERED))).await?;
        // The log is moved by itself only when it is large, which little traffic may not make it for weeks.
        self.checkpoint(Checkpoint::Passive).await?;
        self.measure().await
    }

    /// Deletes what of `table` has less than `than` in `column`, a little at a time. `key` is what it is told apart by.
    async fn delete(&self, table: &str, column: &str, key: &str, than: Value) -> Result<Deleted, Error> {
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {column} < $1 LIMIT $2)"
        );
        let mut deleted = Deleted::None;
        loop {
            let values = vec![than.clone(), Value::Int(AT_ONCE)];
            match self.change(Script::only_if_dynamic(sql.clone(), values)).await? {
                Answer::Done(_) => deleted = Deleted::Some,
                Answer::Undone => return Ok(deleted),
            }
        }
    }

    /// Deletes series of which no sum is left. Sums by day are kept longest, so there are some only after those were
    /// deleted. PostgreSQL lets no batch put one down meanwhile: its sums would belong to nothing.
    async fn delete_series(&self) -> Result<(), Error> {
        const UNUSED: &str =
            "SELECT id FROM series EXCEPT SELECT series FROM days EXCEPT SELECT series FROM hours LIMIT $1";
        const MANY: i64 = 10_000;
        while !self.look(Script::ask(UNUSED, vec![Value::Int(1)])).await?.is_empty() {
            let script = match &self.database {
                Database::Sqlite(_) => Script::default(),
                Database::Postgres => {
                    Script::default().say("LOCK TABLE series IN SHARE ROW EXCLUSIVE MODE", Vec::new())
                }
            };
            let sql = format!("DELETE FROM series WHERE id IN ({UNUSED})");
            self.change(script.say(sql, vec![Value::Int(MANY)])).await?;
        }
        Ok(())
    }

    async fn drop_months(&self, before: i64) -> Result<(), Error> {
        for table in TABLES {
            let parts = Script::ask(
                "SELECT CAST(c.relname AS text) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                 JOIN pg_class t ON t.oid = i.inhparent \
                 WHERE CAST(t.relname AS text) = $1 AND t.relnamespace = 'mainstay'::regnamespace",
                vec![Value::Text(table.into())],
            );
            for row in self.look(parts).await? {
                let name = row.text(0);
                if Month::of_part(table, &name).is_some_and(|month| month.is_before(before)) {
                    self.change(Script::say_dynamic(format!("DROP TABLE IF EXISTS {name}"))).await?;
                }
            }
        }
        Ok(())
    }

    async fn measure(&self) -> Result<(), Error> {
        let sql = match &self.database {
            Database::Sqlite(_) => {
                "SELECT c.page_count * s.page_size FROM pragma_page_count() AS c, pragma_page_size() AS s"
            }
            Database::Postgres => {
                "SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS BIGINT) FROM pg_class \
                 WHERE relnamespace = 'mainstay'::regnamespace AND relkind = 'r'"
            }
        };
        let rows = self.look(Script::ask(sql, Vec::new())).await?;
        self.watch.measured(rows.first().map_or(0, |row| row.count(0)));
        Ok(())
    }
}
