//! SQLite: two threads, one that writes and one that reads, each with a connection of its own.
//!
//! In WAL mode readers never wait for the writer, nor it for them. `synchronous=NORMAL` loses the last writes when
//! the machine loses its power, never the file; a killed process loses nothing that was answered. A process beside
//! this one (a backup, a shell) may hold the lock for up to [`BUSY`].

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params_from_iter};

use super::error::Error;
use super::lane::Jobs;
use super::schema;
use super::script::{Answer, Row, Script, Step, Then, Value};

/// How long another process may hold the lock.
const BUSY: Duration = Duration::from_secs(2);
/// Statements that stay compiled.
const COMPILED: usize = 64;
/// Steps of SQLite's machine between two looks whether anybody still waits: some hundred µs.
const STEPS: i32 = 100_000;

/// A connection that writes, with the schema as it is to be.
pub fn open(path: &Path) -> Result<Connection, Error> {
    make_private(path);
    let mut connection = Connection::open(path).map_err(|error| meaning(&error))?;
    prepare(&mut connection).map_err(|error| meaning(&error))?;
    schema::sqlite(&mut connection)?;
    // Or a transaction that begins by reading might find that it cannot write any more.
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    Ok(connection)
}

/// A new file is for the gateway's user alone, and so are the two that SQLite puts beside it.
fn make_private(path: &Path) {
    // What is there is as somebody wanted it, and what cannot be made SQLite will say.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(COMPILED);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", "ON")
}

/// A connection that reads what the other one writes.
pub fn open_to_read(path: &Path) -> Result<Connection, Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| meaning(&error))?;
    connection.busy_timeout(BUSY).map_err(|error| meaning(&error))?;
    Ok(connection)
}

/// Runs what comes, until nobody is there to ask any more.
pub fn serve(mut connection: Connection, mut jobs: Jobs) {
    while let Some(job) = jobs.blocking_recv() {
        let given_up = Arc::clone(&job.given_up);
        if given_up.load(Relaxed) {
            continue;
        }
        let watched = connection.progress_handler(STEPS, Some(move || given_up.load(Relaxed)));
        let result = watched.and_then(|()| run(&mut connection, &job.script));
        job.answer(result.map_err(|error| meaning(&error)));
    }
}

fn run(connection: &mut Connection, script: &Script) -> rusqlite::Result<Answer> {
    let mut rows = Vec::new();
    let transaction = connection.transaction()?;
    for step in &script.0 {
        match step {
            Step::Say { sql, values, then } => {
                let sql = sql.replace('$', "?");
                let changed = transaction.prepare_cached(&sql)?.execute(params_from_iter(values))?;
                if changed == 0 && *then == Then::IfChanged {
                    transaction.rollback()?;
                    return Ok(Answer::Undone);
                }
            }
            Step::Ask { sql, values } => {
                let mut statement = transaction.prepare_cached(&sql.replace('$', "?"))?;
                let width = statement.column_count();
                let found = statement.query_map(params_from_iter(values), |row| read(row, width))?;
                rows = found.collect::<rusqlite::Result<_>>()?;
            }
            Step::Fill { table, rows } => {
                let mut statement = transaction.prepare_cached(&table.sqlite)?;
                for values in rows {
                    statement.execute(params_from_iter(values))?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(Answer::Done(rows))
}

fn read(row: &rusqlite::Row<'_>, width: usize) -> rusqlite::Result<Row> {
    let value = |at| {
        Ok(match row.get_ref(at)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            // No column and no sum is one, unless it has run over.
            ValueRef::Real(number) => Value::Int(number as i64),
            ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned().into()),
            ValueRef::Blob(bytes) => Value::bytes(bytes),
        })
    };
    (0..width).map(value).collect::<rusqlite::Result<_>>().map(Row)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Shared(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub fn meaning(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) if is_double(error) => Error::Taken,
        Some(ErrorCode::OperationInterrupted) => Error::Late,
        // What a constraint or a type says repeats no value.
        Some(_) | None => Error::Refused(error.to_string()),
    }
}

/// Whether a name is there already.
fn is_double(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    let doubles = [rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE, rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY];
    code.is_some_and(|code| doubles.contains(&code))
}
