//! The audit trail: who changed what, and when. Rows are added and read, and there is no way to change one.

use super::Store;
use super::error::Error;
use super::rows::RowId;
use super::script::{Row, Script, Value};

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Of the moment, so that ids are in the order of time.
    pub id: RowId,
    /// Microseconds of Unix time.
    pub at_micros: i64,
    /// Who.
    pub actor: String,
    /// What, in a word: `key.create`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// JSON, without any secret.
    pub detail: String,
}

impl Store {
    pub async fn append_audit(&self, row: &AuditRow) -> Result<(), Error> {
        let values = vec![
            Value::id(row.id.0),
            Value::Int(row.at_micros),
            Value::whole(&row.actor),
            Value::whole(&row.action),
            Value::whole(&row.subject),
            Value::whole(&row.detail),
        ];
        let script = Script::default().say(
            "INSERT INTO audit (id, at_micros, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)",
            values,
        );
        self.change(script).await.map(drop)
    }

    /// The newest first: at most `most`, of those older than the one of id `before`.
    pub async fn audit(&self, before: Option<RowId>, most: u32) -> Result<Vec<AuditRow>, Error> {
        let before = before.unwrap_or(RowId(u128::MAX));
        let script = Script::ask(
            "SELECT id, at_micros, actor, action, subject, detail FROM audit WHERE id < $1 \
             ORDER BY id DESC LIMIT $2",
            vec![Value::id(before.0), Value::Int(most.into())],
        );
        let rows = self.look(script).await?;
        Ok(rows.iter().map(read).collect())
    }
}

fn read(row: &Row) -> AuditRow {
    AuditRow {
        id: RowId(row.id(0)),
        at_micros: row.int(1),
        actor: row.text(2),
        action: row.text(3),
        subject: row.text(4),
        detail: row.text(5),
    }
}
