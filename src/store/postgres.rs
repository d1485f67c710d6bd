//! PostgreSQL: two tasks, one that writes and one that reads, each keeping one connection.
//!
//! While nobody is there scripts are answered at once; none waits in a queue for somebody to come. A script that is
//! not done within its time ends the connection, for a server that is stopped or cut off says nothing, and the next
//! one has to wait for a new connection to have answered. The server gives up on a statement by itself, too, so that
//! nothing which nobody waits for holds a lock there.

mod tls;

use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Statement};

use self::tls::Tls;
use super::error::Error;
use super::lane::{Job, Jobs};
use super::months;
use super::schema;
use super::script::{Answer, Cell, Row, Rows, Script, Step, Table, Then, Value};
use super::standing::Watch;
use crate::algo::dice::Dice;

/// A change of nothing: whoever takes connections and ends no transaction, or has the table locked, is away.
const PROOF: &str =
    "BEGIN; LOCK TABLE requests IN ROW EXCLUSIVE MODE; UPDATE changes SET last = last; COMMIT";

/// For a name, a connection, its TLS and its greeting, all told: nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what a newer version changes about tables with many rows: an index of a hundred million takes minutes.
const CHANGING: Duration = Duration::from_hours(2);
/// What is said of a store meanwhile.
const UNFINISHED: &str =
    "its tables are being made those of this version, which takes a while where there are many rows";
/// Between two tries to connect: this at first, doubling, and never longer than the other.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Statements that stay prepared.
const PREPARED: usize = 64;
/// What every connection begins with. A statement may take as long as the most patient asks; then it is ended there.
const GREETING: &str = "SET search_path TO mainstay; SET statement_timeout TO '30s'; SET lock_timeout TO '5s'; \
                        SET idle_in_transaction_session_timeout TO '30s'; SET client_min_messages TO warning";

/// What a lane's task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Write,
    Read,
}

/// How it is reached.
#[derive(Clone)]
pub struct Server {
    config: Config,
    tls: Tls,
}

impl Server {
    pub fn new(config: &Config, trusted: Option<Arc<ClientConfig>>) -> Self {
        let mut config = config.clone();
        config.application_name("mainstay").connect_timeout(PATIENCE);
        // After a failover the name may still lead to the one that takes no writes.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Self { config, tls: Tls::new(trusted) }
    }
}

/// Runs what comes for as long as anybody might ask. `watch` hears how the connection stands.
pub async fn serve(server: Server, role: Role, mut jobs: Jobs, watch: Arc<Watch>, mut dice: Dice) {
    let (first, longest) = PAUSE;
    let mut pause = first;
    let mut why = "the first try has not ended yet".to_owned();
    loop {
        let connecting = session(&server, &watch, role);
        let Some(opened) = refusing(&mut jobs, connecting, &why).await else { return };
        why = match opened {
            Ok((session, connection)) => {
                if role == Role::Write {
                    watch.here();
                }
                match attend(session, connection, &mut jobs, &mut pause).await {
                    Some(why) => why,
                    None => return,
                }
            }
            Err(error) => why_not(error),
        };
        if role == Role::Write {
            watch.away(&why);
        }
        if refusing(&mut jobs, sleep(dice.jitter(pause, 0.5)), &why).await.is_none() {
            return;
        }
        pause = pause.saturating_mul(2).min(longest);
    }
}

/// What is said of a connection that ended so, or never came to be.
fn why_not(error: Error) -> String {
    match error {
        Error::Away(why) | Error::Refused(why) => why,
        Error::Late | Error::Taken | Error::Changed => error.to_string(),
    }
}

/// Waits for `until`, and tells all who ask meanwhile that nobody is there. `None` when nobody can ask any more.
async fn refusing<T>(jobs: &mut Jobs, until: impl Future<Output = T>, why: &str) -> Option<T> {
    let mut until = pin!(until);
    loop {
        tokio::select! {
            done = &mut until => return Some(done),
            // Losing a receive loses nothing: a job is taken whole, or stays.
            job = jobs.recv() => job?.answer(Err(Error::Away(why.to_owned()))),
        }
    }
}

/// What has to be polled for a session to go on; it ends with the connection, and says why.
type Driver = Pin<Box<dyn Future<Output = String> + Send>>;

async fn session(server: &Server, watch: &Watch, role: Role) -> Result<(Session, Driver), Error> {
    let wrong = |error: tokio_postgres::Error| meaning(&error);
    let late = |_| Error::Away(format!("not connected within {} s", PATIENCE.as_secs()));
    let opened = async {
        let (client, connection) = server.config.connect(server.tls.clone()).await.map_err(wrong)?;
        let mut driver: Driver = Box::pin(async move {
            match connection.await {
                Ok(()) => "the connection was closed".to_owned(),
                Err(error) => why_not(meaning(&error)),
            }
        });
        let greeted = async {
            client.batch_execute(GREETING).await.map_err(wrong)?;
            schema::look(&client).await
        };
        let missing = while_connected(&mut driver, greeted).await?;
        Ok((client, driver, missing))
    };
    let (client, mut driver, missing) = timeout(PATIENCE, opened).await.map_err(late)??;
    let completed = async {
        schema::complete(&client, missing).await?;
        for month in months::ahead(watch.now().1) {
            match client.batch_execute(&month).await {
                Err(error) if is_unfit(&error) => return Err(meaning(&error)),
                // What is there of that month already is in the table for all others, and stays there.
                Ok(()) | Err(_) => {}
            }
        }
        if role == Role::Write {
            client.batch_execute(PROOF).await.map_err(wrong)?;
        }
        Ok(())
    };
    match role {
        // The other lane makes what is missing.
        Role::Read if !missing.is_nothing() => return Err(Error::Away(UNFINISHED.to_owned())),
        Role::Write if missing.changes_old() => watch.away(UNFINISHED),
        Role::Read | Role::Write => {}
    }
    let patience = if missing.changes_old() { CHANGING } else { PATIENCE };
    let late = |_| Error::Away(format!("its tables were not ready within {} s", patience.as_secs()));
    timeout(patience, while_connected(&mut driver, completed)).await.map_err(late)??;
    Ok((Session { client, prepared: HashMap::new() }, driver))
}

/// What comes of `asked`, or why the connection ended before.
async fn while_connected<T>(
    driver: &mut Driver,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        answered = asked => answered,
        why = driver => Err(Error::Away(why)),
    }
}

/// Serves a connection until it is of no use any more, and says why. `None` when nobody can ask any more.
async fn attend(
    mut session: Session,
    mut driver: Driver,
    jobs: &mut Jobs,
    pause: &mut Duration,
) -> Option<String> {
    loop {
        let job: Job = tokio::select! {
            why = &mut driver => return Some(why),
            job = jobs.recv() => job?,
        };
        if job.answer.is_closed() {
            continue;
        }
        let work = timeout(job.patience, session.run(&job.script));
        let result = tokio::select! {
            result = work => result.unwrap_or(Err(Failure { error: Error::Late, connection: Connection::Spent })),
            why = &mut driver => Err(Failure { error: Error::Away(why), connection: Connection::Spent }),
        };
        match result {
            Ok(answer) => {
                // One that comes and goes is waited for like one that stays away.
                *pause = PAUSE.0;
                job.answer(Ok(answer));
            }
            Err(Failure { error, connection }) => {
                let why = why_not(error.clone());
                job.answer(Err(error));
                if connection == Connection::Spent {
                    return Some(why);
                }
            }
        }
    }
}

struct Session {
    client: Client,
    prepared: HashMap<String, Statement>,
}

/// Why a script was not done, and what that says of the connection.
struct Failure {
    error: Error,
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Good,
    Spent,
}

impl Session {
    async fn run(&mut self, script: &Script) -> Result<Answer, Failure> {
        let done = self.attempt(script).await;
        let ended = match &done {
            Ok(Answer::Done(_)) => self.client.batch_execute("COMMIT").await,
            Ok(Answer::Undone) | Err(_) => self.client.batch_execute("ROLLBACK").await,
        };
        match (done, ended) {
            (Ok(answer), Ok(())) => Ok(answer),
            (Ok(_), Err(error)) => Err(Failure { error: meaning(&error), connection: Connection::Spent }),
            (Err(error), ended) => {
                let spent = ended.is_err() || is_unfit(&error);
                let connection = if spent { Connection::Spent } else { Connection::Good };
                Err(Failure { error: meaning(&error), connection })
            }
        }
    }

    /// What does not have to wait for an answer does not: a server far away is waited for four times, and not for each
    /// statement.
    async fn attempt(&mut self, script: &Script) -> Result<Answer, tokio_postgres::Error> {
        self.begin(script).await?;
        let mut answer = Vec::new();
        let mut steps = script.0.as_slice();
        while let Some((step, rest)) = steps.split_first() {
            steps = rest;
            match step {
                Step::Say { sql, values, then } => {
                    let changed =
                        self.client.execute(self.prepared(sql), &parameters(&cells(values))).await?;
                    if changed == 0 && *then == Then::IfChanged {
                        return Ok(Answer::Undone);
                    }
                }
                Step::Ask { sql, values } => {
                    let rows = self.client.query(self.prepared(sql), &parameters(&cells(values))).await?;
                    answer = rows.iter().map(read).collect::<Result<_, _>>()?;
                }
                Step::Fill { table, rows, then } => {
                    let mut filled = vec![self.fill(table, &**rows, *then)];
                    while let Some((Step::Fill { table, rows, then }, rest)) = steps.split_first() {
                        steps = rest;
                        filled.push(self.fill(table, &**rows, *then));
                    }
                    // What was done behind one that was in vain is undone with it.
                    if together(filled).await?.contains(&Filled::InVain) {
                        return Ok(Answer::Undone);
                    }
                }
            }
        }
        Ok(Answer::Done(answer))
    }

    /// Begins a transaction, with all statements of the script prepared.
    async fn begin(&mut self, script: &Script) -> Result<(), tokio_postgres::Error> {
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        let client = &self.client;
        let texts: BTreeSet<&str> = script.0.iter().map(text).collect();
        let begun: Asked<'_, Option<Statement>> =
            Box::pin(async { client.batch_execute("BEGIN").await.map(|()| None) });
        let missing: Vec<&str> = texts.into_iter().filter(|sql| !self.prepared.contains_key(*sql)).collect();
        let preparing = missing
            .iter()
            .map(|sql| -> Asked<'_, _> { Box::pin(async { client.prepare(sql).await.map(Some) }) });
        let said = together(std::iter::once(begun).chain(preparing).collect()).await?;
        let prepared = missing.iter().zip(said.into_iter().flatten());
        self.prepared.extend(prepared.map(|(sql, statement)| ((*sql).to_owned(), statement)));
        Ok(())
    }

    fn prepared(&self, sql: &str) -> &Statement {
        self.prepared.get(sql).expect("the script's statements were prepared when it began")
    }

    fn fill<'a>(&'a self, table: &'a Table, rows: &'a dyn Rows, then: Then) -> Asked<'a, Filled> {
        Box::pin(async move {
            let lists = lists(table, rows);
            let lists: Vec<&(dyn ToSql + Sync)> =
                lists.iter().map(|list| list as &(dyn ToSql + Sync)).collect();
            let changed = self.client.execute(self.prepared(&table.postgres), &lists).await?;
            let in_vain = then == Then::IfChanged && changed < rows.count() as u64;
            Ok(if in_vain { Filled::InVain } else { Filled::Well })
        })
    }
}

/// Whether all rows were where they were to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    Well,
    InVain,
}

/// What a step says.
fn text(step: &Step) -> &str {
    match step {
        Step::Say { sql, .. } | Step::Ask { sql, .. } => sql,
        Step::Fill { table, .. } => &table.postgres,
    }
}

/// Something that is asked, and its answer.
type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, tokio_postgres::Error>> + Send + 'a>>;

/// Asks all of it, one behind the other, without waiting for answers in between. The answers in order, or the first
/// error: what comes behind it is refused by the server for that.
async fn together<T>(asked: Vec<Asked<'_, T>>) -> Result<Vec<T>, tokio_postgres::Error> {
    let mut answers: Vec<_> = asked.into_iter().map(Answering::Asked).collect();
    poll_fn(|context| {
        for one in &mut answers {
            if let Answering::Asked(asked) = one
                && let Poll::Ready(said) = asked.as_mut().poll(context)
            {
                *one = Answering::Said(said);
            }
        }
        let said = |one: &Answering<'_, T>| matches!(one, Answering::Said(_));
        if answers.iter().all(said) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().filter_map(Answering::said).collect()
}

/// Something that is asked, until it is answered.
enum Answering<'a, T> {
    Asked(Asked<'a, T>),
    Said(Result<T, tokio_postgres::Error>),
}

impl<T> Answering<'_, T> {
    fn said(self) -> Option<Result<T, tokio_postgres::Error>> {
        match self {
            Self::Asked(_) => None,
            Self::Said(said) => Some(said),
        }
    }
}

fn parameters<'a>(cells: &'a [Cell<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    cells.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect()
}

fn cells(values: &[Value]) -> Vec<Cell<'_>> {
    values.iter().map(Value::cell).collect()
}

/// A column of many rows.
type List<'a> = Vec<Cell<'a>>;

fn lists<'a>(table: &Table, rows: &'a dyn Rows) -> Vec<List<'a>> {
    let column = |at| (0..rows.count()).map(|row| rows.cell(row, at)).collect();
    (0..table.columns.len()).map(column).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let value = |at: usize| {
        let kind = row.columns()[at].type_();
        Ok(if *kind == Type::INT8 {
            Value::maybe(row.try_get::<_, Option<i64>>(at)?, Value::Int)
        } else if *kind == Type::BYTEA {
            Value::maybe(row.try_get::<_, Option<&[u8]>>(at)?, Value::bytes)
        } else {
            Value::maybe(row.try_get::<_, Option<String>>(at)?, |text| Value::Text(text.into()))
        })
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}

impl ToSql for Cell<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.as_ref().to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
            Self::Id(bytes) => bytes.as_slice().to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

/// What the server or the connection has said. Details are left out: they may repeat values.
pub fn meaning(error: &tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return Error::Away(format!("{error}{cause}{}", way_out(&cause)));
    };
    if *said.code() == SqlState::UNIQUE_VIOLATION {
        Error::Taken
    } else if is_unfit(error) {
        Error::Away(said.message().to_owned())
    } else if [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(said.code()) {
        Error::Late
    } else {
        Error::Refused(format!("{} (SQLSTATE {})", said.message(), said.code().code()))
    }
}

/// What mends it, where that is the configuration's to do.
fn way_out(cause: &str) -> &'static str {
    if cause.contains("does not support TLS") {
        "; switch TLS on there, or write sslmode=disable in `store.url` where nobody listens on the way"
    } else if cause.contains("invalid peer certificate") {
        "; name the roots to trust in `store.ca_file`"
    } else {
        ""
    }
}

/// Whether a new connection may well lead to one that serves: this one is being shut down, is a standby, is full.
fn is_unfit(error: &tokio_postgres::Error) -> bool {
    let Some(said) = error.as_db_error() else { return true };
    let code = said.code();
    ["08", "28", "53", "57P", "58"]
        .iter()
        .any(|class| code.code().starts_with(class) && *code != SqlState::DISK_FULL)
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
}
