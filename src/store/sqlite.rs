//! SQLite: two threads, one that writes and one that reads, each with a connection of its own.
//!
//! In WAL mode readers never wait for the writer, nor it for them. With `synchronous=FULL` what was answered is on
//! disk, whether the process is killed or the machine loses its power: a batch is synced as it would be in the spool. A
//! process beside this one (a backup, a shell) may hold the lock for up to [`BUSY`]. A file that is removed while it is
//! open takes nothing more until it is put back; one that is put in its place is opened.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, TransactionBehavior, params_from_iter};

use super::error::Error;
use super::lane::{Job, Jobs};
use super::schema;
use super::script::{Answer, Cell, Row, Rows, Script, Short, Step, Then, Value};

/// How long another process may hold the lock.
const BUSY: Duration = Duration::from_secs(2);
/// What is said of a file that is locked for longer.
const HELD: &str = "it is locked by another process";
/// Statements that stay compiled.
const COMPILED: usize = 64;
/// Bytes of a page, in a file that is made: twice as many as SQLite's own choice, which takes some 8 % off what 500
/// requests cost it. Larger ones save a little more, and write as much again where there is little traffic.
const PAGE: i64 = 8_192;
/// Bytes that the log holds before its pages are moved to their places. A page that is written many times meanwhile, as
/// the last ones are, is moved once.
const LOGGED: i64 = 32 << 20;
/// By how much the writer stands back (nice(2)): it has a tenth of a core that others want whole, which is some 10,000
/// requests a second.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// Steps of SQLite's machine between two looks whether anybody still waits: some hundred µs.
const STEPS: i32 = 100_000;

/// A database's file, and the connection that reads it.
pub struct File {
    path: PathBuf,
    /// What is open, and the log beside it.
    open: Mutex<[Option<Identity>; 2]>,
    reader: Mutex<Option<Connection>>,
}

/// What a name leads to: a device and a number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

/// How much of the log goes into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// What nobody reads; nobody waits for it.
    Passive,
    /// All, so that the log is empty.
    Truncate,
}

impl Checkpoint {
    const fn pragma(self) -> &'static str {
        match self {
            Self::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Self::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        }
    }
}

/// What has become of the file that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    Removed,
    /// Another one has its name.
    Replaced,
}

impl File {
    /// Opens a file, or makes it, with the schema as it is to be; the connection is the one that writes.
    pub fn open(path: &Path) -> Result<(Arc<Self>, Connection), Error> {
        make_private(path);
        let file = Self { path: path.to_owned(), open: Mutex::default(), reader: Mutex::default() };
        let connection = file.connect()?;
        *file.reader.lock() = Some(file.connect_to_read()?);
        Ok((Arc::new(file), connection))
    }

    fn connect(&self) -> Result<Connection, Error> {
        let mut connection = Connection::open(&self.path).map_err(|error| meaning(&error))?;
        refuse_read_only(&connection)?;
        prepare(&mut connection).map_err(|error| meaning(&error))?;
        schema::sqlite(&mut connection)?;
        // Or a transaction that begins by reading might find that it cannot write any more.
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        *self.open.lock() = [identity(&self.path), identity(&self.beside("-wal"))];
        Ok(connection)
    }

    /// A connection that reads what the other one writes.
    fn connect_to_read(&self) -> Result<Connection, Error> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|error| meaning(&error))?;
        connection.busy_timeout(BUSY).map_err(|error| meaning(&error))?;
        Ok(connection)
    }

    /// Moves what the log holds into the file, over a connection of its own: whoever writes goes on beside it.
    pub fn checkpoint(&self, how: Checkpoint) -> Result<(), Error> {
        // Nothing is opened in the place of a file that is gone; whoever writes next will say so.
        if self.fate() != Fate::There {
            return Ok(());
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let moved = Connection::open_with_flags(&self.path, flags).and_then(|connection| {
            connection.busy_timeout(BUSY)?;
            connection.query_row(how.pragma(), [], |row| row.get(0))
        });
        let is_held: bool = moved.map_err(|error| meaning(&error))?;
        match how {
            Checkpoint::Truncate if is_held => Err(Error::Refused(HELD.to_owned())),
            Checkpoint::Truncate | Checkpoint::Passive => Ok(()),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// SQLite goes on writing to a file that has no name any more, and says nothing of it.
    fn fate(&self) -> Fate {
        match identity(&self.path) {
            None => Fate::Removed,
            found if found == self.open.lock()[0] => Fate::There,
            Some(_) => Fate::Replaced,
        }
    }

    fn removed(&self) -> Error {
        Error::Refused(format!(
            "{} was removed while it was open; put it back, or restart to begin a new one",
            self.path.display()
        ))
    }

    /// Opens what has the name now, once nothing of the old file is open any more.
    fn again(&self, old: Connection) -> Result<Connection, Error> {
        *self.reader.lock() = None;
        drop(old);
        let [_, log] = *self.open.lock();
        if log.is_some() && identity(&self.beside("-wal")) == log {
            // It is the old file's, and would be taken for the new one's.
            for suffix in ["-wal", "-shm"] {
                // What is gone already is as it should be; what stays SQLite will say.
                let _ = fs::remove_file(self.beside(suffix));
            }
        }
        tracing::warn!(file = %self.path.display(), "the store's file was replaced by another one, which is used from now on");
        self.connect()
    }
}

/// SQLite opens a file that may not be written all the same, and never tries again.
fn refuse_read_only(connection: &Connection) -> Result<(), Error> {
    match connection.is_readonly(rusqlite::MAIN_DB) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::Refused("the gateway's user may not write to the file".to_owned())),
        Err(error) => Err(meaning(&error)),
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|found| Identity(found.dev(), found.ino()))
}

/// A new file is for the gateway's user alone, and so are the two that SQLite puts beside it.
fn make_private(path: &Path) {
    // What is there is as somebody wanted it, and what cannot be made SQLite will say.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(COMPILED);
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A file that is there keeps its own.
    let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    connection.pragma_update(None, "wal_autocheckpoint", LOGGED / page.max(1))?;
    connection.pragma_update(None, "foreign_keys", "ON")
}

/// Runs what changes something, until nobody is there to ask any more.
pub fn write(file: &File, connection: Connection, mut jobs: Jobs) {
    // Whoever waits for an answer goes first where both want the same core. On Linux this is for one thread alone;
    // should it be forbidden, all have equal rights.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
    let mut connection = Some(connection);
    while let Some(job) = jobs.blocking_recv() {
        if job.given_up.load(Relaxed) {
            continue;
        }
        let result = file.change(&mut connection, &job);
        job.answer(result);
    }
}

/// Runs what looks at something, until nobody is there to ask any more.
pub fn read_only(file: &File, mut jobs: Jobs) {
    while let Some(job) = jobs.blocking_recv() {
        if job.given_up.load(Relaxed) {
            continue;
        }
        let result = file.look(&job);
        job.answer(result);
    }
}

impl File {
    fn change(&self, connection: &mut Option<Connection>, job: &Job) -> Result<Answer, Error> {
        let mut open = match (connection.take(), self.fate()) {
            (Some(open), Fate::There) => open,
            (Some(open), Fate::Removed) => {
                // Put back, it is as good as ever.
                *connection = Some(open);
                return Err(self.removed());
            }
            (Some(open), Fate::Replaced) => self.again(open)?,
            (None, Fate::Removed) => return Err(self.removed()),
            (None, Fate::There | Fate::Replaced) => self.connect()?,
        };
        let done = watched(&mut open, job);
        *connection = Some(open);
        // What went into a file that is gone by now is written anew, wherever that will be.
        match (done, self.fate()) {
            (Ok(_), Fate::Removed | Fate::Replaced) => Err(self.removed()),
            (done, Fate::There | Fate::Removed | Fate::Replaced) => done,
        }
    }

    fn look(&self, job: &Job) -> Result<Answer, Error> {
        let mut reader = self.reader.lock();
        if self.fate() != Fate::There {
            return Err(self.removed());
        }
        let mut open = match reader.take() {
            Some(open) => open,
            None => self.connect_to_read()?,
        };
        let done = watched(&mut open, job);
        *reader = Some(open);
        done
    }
}

/// Runs a script for as long as somebody waits for it.
fn watched(connection: &mut Connection, job: &Job) -> Result<Answer, Error> {
    let given_up = Arc::clone(&job.given_up);
    let watched = connection.progress_handler(STEPS, Some(move || given_up.load(Relaxed)));
    watched.and_then(|()| run(connection, &job.script)).map_err(|error| meaning(&error))
}

fn run(connection: &mut Connection, script: &Script) -> rusqlite::Result<Answer> {
    let mut rows = Vec::new();
    let transaction = connection.transaction()?;
    for step in &script.0 {
        match step {
            Step::Say { sql, values, then } => {
                let sql = sql.replace('$', "?");
                let changed = transaction
                    .prepare_cached(&sql)?
                    .execute(params_from_iter(values.iter().map(Value::cell)))?;
                if changed == 0 && *then == Then::IfChanged {
                    transaction.rollback()?;
                    return Ok(Answer::Undone);
                }
            }
            Step::Ask { sql, values } => {
                let mut statement = transaction.prepare_cached(&sql.replace('$', "?"))?;
                let width = statement.column_count();
                let found = statement
                    .query_map(params_from_iter(values.iter().map(Value::cell)), |row| read(row, width))?;
                rows = found.collect::<rusqlite::Result<_>>()?;
            }
            Step::Fill { table, rows, then } => {
                let mut whole = Filler::new(&transaction, &table.sqlite, table.columns.len())?;
                let short = table.short.as_ref();
                let filler = |short: &Short| Filler::new(&transaction, &short.sqlite, short.columns);
                let mut short = short.map(filler).transpose()?;
                for row in 0..rows.count() {
                    let filler = short.as_mut().filter(|_| rows.is_short(row)).unwrap_or(&mut whole);
                    if filler.put(&**rows, row)? == 0 && *then == Then::IfChanged {
                        drop((whole, short));
                        transaction.rollback()?;
                        return Ok(Answer::Undone);
                    }
                }
            }
        }
    }
    transaction.commit()?;
    Ok(Answer::Done(rows))
}

/// A statement that puts rows into a table. What it was told of one row it knows of the next, most of which have the
/// same names and words: it is told what is another.
struct Filler<'c, 'r> {
    statement: CachedStatement<'c>,
    columns: usize,
    known: Vec<Cell<'r>>,
}

impl<'c, 'r> Filler<'c, 'r> {
    fn new(connection: &'c Connection, sql: &str, columns: usize) -> rusqlite::Result<Self> {
        let statement = connection.prepare_cached(sql)?;
        Ok(Self { statement, columns, known: Vec::with_capacity(columns) })
    }

    /// How many rows that changed.
    fn put(&mut self, rows: &'r dyn Rows, row: usize) -> rusqlite::Result<usize> {
        for column in 0..self.columns {
            let cell = rows.cell(row, column);
            if self.known.get(column) == Some(&cell) {
                continue;
            }
            // Its parameters are counted from 1.
            self.statement.raw_bind_parameter(column + 1, &cell)?;
            match self.known.get_mut(column) {
                Some(known) => *known = cell,
                None => self.known.push(cell),
            }
        }
        self.statement.raw_execute()
    }
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

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Id(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub fn meaning(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) if is_double(error) => Error::Taken,
        Some(ErrorCode::OperationInterrupted) => Error::Late,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Refused(HELD.to_owned()),
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
