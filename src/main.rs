//! The command line. Each command is a function here; what they do is done by the library.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use http::{HeaderName, HeaderValue};
use mainstay::app::{self, App, Process, Proof, StartError, ask};
use mainstay::config;
use mainstay::dialect::Dialect;
use mainstay::route::Question;
use mainstay::server::files;
use mainstay::server::loader::{Loader, Rejection, Source};
use mainstay::sim::page::Held;
use mainstay::state::model::Shape;
use mainstay::telemetry::logs;
use mainstay::vocab::{Ability, Secret};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is served where there is no file: the sample of the repository.
const SAMPLE: &str = include_str!("../routing.yaml");
const DEFAULT_FILE: &str = "routing.yaml";
/// What standard error may take for the last lines of the log.
const LAST_LINES: Duration = Duration::from_secs(1);
/// What operators prove themselves with: a token, or the PEM files of a certificate and its key.
const ADMIN_TOKEN: &str = "MAINSTAY_ADMIN_TOKEN";
const ADMIN_CERT: &str = "MAINSTAY_ADMIN_CERT";
const ADMIN_KEY: &str = "MAINSTAY_ADMIN_KEY";

/// An AI API gateway that makes provider outages invisible to callers.
#[derive(Parser)]
#[command(version, about, long_about = LONG_ABOUT, arg_required_else_help = false)]
struct Cli {
    /// The routing file, `-` for the standard input [default: ./routing.yaml, or the built-in sample where there is none]
    #[arg(short, long, global = true, env = "MAINSTAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

const LONG_ABOUT: &str = "\
An AI API gateway that makes provider outages invisible to callers.

Point an OpenAI, Anthropic or Gemini SDK at it; one routing.yaml says which upstreams serve which \
models. Without a command it serves. MAINSTAY_LOG sets what is logged (info, or what the file says).";

#[derive(Subcommand)]
enum Command {
    /// Serve callers (the default command)
    Serve,
    /// Report everything that is wrong with the file; exit 0 if it can be used, 1 if not, 2 if it cannot be read
    Check {
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Print what the admin side can be asked (OpenAPI 3.1)
    Openapi,
    /// Show which channels a model's requests go to, and why not to the others
    Explain {
        /// The model as callers name it
        #[arg(long)]
        model: String,
        /// In which dialect they ask (openai, responses, anthropic, gemini, cohere, bedrock)
        #[arg(long)]
        dialect: Option<Dialect>,
        /// What the request brings or asks for (vision, tools, pdf, audio_input, video_input, reasoning ...)
        #[arg(long, value_delimiter = ',', value_parser = ability)]
        needs: Vec<Ability>,
        /// The name of the key that they ask with
        #[arg(long, value_name = "NAME")]
        key: Option<String>,
        /// Tokens of the prompt
        #[arg(long, default_value_t = 0)]
        prompt_tokens: u64,
        /// A header of the request, for rules and splits (repeatable)
        #[arg(long, value_name = "NAME:VALUE", value_parser = header)]
        header: Vec<(HeaderName, HeaderValue)>,
        /// The answer is wanted whole, and not as a stream
        #[arg(long)]
        whole: bool,
        /// The running gateway's admin listener [default: what the file says]
        #[arg(long, value_name = "URL")]
        admin: Option<String>,
    },
    /// Say what something would cost: tokens at models, or a request at every channel of its route
    Cost(app::CostOf),
    /// Rehearse an outage: what callers would see of it with this file, in virtual time
    #[command(after_long_help = app::SIMULATE_HELP)]
    Simulate(app::Simulate),
    /// Make, list, rotate and end callers' keys at a running gateway
    Keys {
        #[command(subcommand)]
        what: app::Keys,
        /// Its admin listener [default: what the file says]
        #[arg(long, global = true, value_name = "URL")]
        admin: Option<String>,
    },
    /// Say what became of requests, and why: the last ones, or one of them with all that is known of it
    Requests(app::Requests),
    #[command(flatten)]
    Operate(app::Operate),
    /// Report what was used and what it cost: of a running gateway, or straight from its store
    Usage {
        #[command(flatten)]
        asked: app::UsageOf,
        #[command(flatten)]
        whence: app::Whence,
    },
    /// Price what was used on some days again, after prices were put right in the catalog's file
    Reprice {
        #[command(flatten)]
        asked: app::RepriceOf,
        #[command(flatten)]
        whence: app::Whence,
    },
    /// Print the version
    Version {
        #[arg(long)]
        json: bool,
    },
    /// Print a shell's completion script
    Completions { shell: clap_complete::Shell },
    /// Ask a running gateway whether it is ready; exit 0 if so, 1 if not
    Healthcheck {
        /// Its admin listener [default: what the file says]
        #[arg(long, value_name = "URL")]
        admin: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Exit code of `check` and `serve` for a file that cannot be used.
const INVALID: u8 = 1;
/// Exit code for a file that cannot be read; clap uses it for wrong usage.
const UNREADABLE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = app::install_crypto().and_then(|()| run(cli));
    done.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let source = source(cli.config);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(source),
        Command::Check { format } => check(&Loader::new(source, Arc::new(Process)), format),
        Command::Schema => print(&pretty(&config::schema())?),
        Command::Openapi => print(&pretty(&mainstay::admin::document())?),
        Command::Explain { model, dialect, needs, key, prompt_tokens, header, whole, admin } => {
            let shape = whole.then_some(Shape::Whole);
            let mut question =
                Question { model, dialect, prompt_tokens, headers: header, shape, ..Question::default() };
            for ability in needs {
                question.needs.add(ability);
            }
            explain(source, question, key.as_deref(), admin.as_deref())
        }
        Command::Cost(asked) => cost(source, &asked),
        Command::Simulate(asked) => simulate(source, &asked),
        Command::Keys { what, admin } => keys(source, &what, admin.as_deref()),
        Command::Requests(asked) => requests(source, &asked),
        Command::Operate(what) => operate(source, &what),
        Command::Usage { asked, whence } => {
            let (base, proof) = gateway(source.clone(), &whence)?;
            let mut out = std::io::stdout();
            let done = asked.report(&whence, source, &base, &proof, &mut out);
            Ok(reported(one_thread()?.block_on(done)?))
        }
        Command::Reprice { asked, whence } => {
            let (base, proof) = gateway(source.clone(), &whence)?;
            let mut out = std::io::stdout();
            let done = asked.report(&whence, source, &base, &proof, &mut out);
            Ok(reported(one_thread()?.block_on(done)?))
        }
        Command::Version { json: true } => print(
            &serde_json::json!({ "name": "mainstay", "version": env!("CARGO_PKG_VERSION") }).to_string(),
        ),
        Command::Version { json: false } => print(concat!("mainstay ", env!("CARGO_PKG_VERSION"))),
        Command::Completions { shell } => {
            // It panics where nobody reads on.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mainstay", &mut text);
            print(String::from_utf8_lossy(&text).trim_end())
        }
        Command::Healthcheck { admin } => {
            let (base, proof) = operators(source, admin.as_deref())?;
            healthcheck(&base, &proof)
        }
    }
}

fn header(said: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = said.split_once(':').ok_or("write NAME:VALUE")?;
    let name = name.trim().parse().map_err(|_| "not a header's name")?;
    Ok((name, value.trim().parse().map_err(|_| "not a header's value")?))
}

fn ability(name: &str) -> Result<Ability, String> {
    let known = || format!("no ability of models; there are {}", Ability::ALL.map(Ability::name).join(", "));
    Ability::parse(name).ok_or_else(known)
}

fn source(config: Option<PathBuf>) -> Source {
    let default = PathBuf::from(DEFAULT_FILE);
    match config {
        Some(path) => Source::at(path),
        None if default.exists() => Source::File(default),
        None => Source::Text { name: "routing.yaml (built-in sample)".to_owned(), text: SAMPLE.to_owned() },
    }
}

fn serve(source: Source) -> anyhow::Result<ExitCode> {
    logs::start();
    app::log_panics();
    files::raise();
    let sockets = app::Sockets::inherited().context("cannot listen on what the service manager holds")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        app::outlive_file_limits()?;
        let name = source.name();
        let app = match App::start_on(sockets, source, Arc::new(Process)).await {
            Ok(app) => app,
            Err(StartError::Rejected(rejection)) => {
                say(&rejection.to_string());
                return Ok(refused(&rejection));
            }
            Err(error @ StartError::Bind { .. }) => return Err(error.into()),
        };
        let scheme = |is_secured: bool| if is_secured { "https" } else { "http" };
        let callers = format!("{}://{}", scheme(app.host().certificate.is_some()), app.address());
        let operators =
            format!("{}://{}", scheme(app.host().admin_certificate.is_some()), app.admin_address());
        let version = env!("CARGO_PKG_VERSION");
        match logs::Manner::now() {
            logs::Manner::Plain => say(&format!(
                "mainstay {version} serves {name}\n  callers    {callers}\n  operators  {operators}"
            )),
            logs::Manner::Json => tracing::info!(version, file = name, callers, operators, "mainstay serves"),
        }
        app::serving(&format!("serves {name}: callers {callers}, operators {operators}"));
        app.run_to_signal().await.map(|()| ExitCode::SUCCESS)
    });
    // Nothing that still hangs somewhere may keep the process.
    runtime.shutdown_background();
    logs::finish(LAST_LINES);
    served
}

fn refused(rejection: &Rejection) -> ExitCode {
    match rejection {
        Rejection::Unreadable { .. } => ExitCode::from(UNREADABLE),
        Rejection::Invalid { .. } | Rejection::Unusable { .. } => ExitCode::from(INVALID),
    }
}

fn check(loader: &Loader, format: Format) -> anyhow::Result<ExitCode> {
    let file = loader.source().name();
    match (loader.load(), format) {
        (Ok(draft), Format::Text) => {
            for warning in &draft.warnings {
                say(&warning.render(&file));
            }
            let blueprint = &draft.blueprint;
            let automatic = app::automatic_routes(blueprint);
            let (upstreams, routes) = (blueprint.upstreams.len(), blueprint.routes.len() - automatic.len());
            let warnings = match draft.warnings.len() {
                1 => "1 warning".to_owned(),
                several => format!("{several} warnings"),
            };
            let head = format!("{file}: good ({upstreams} upstreams, {routes} routes, {warnings})");
            let lines = automatic.iter().map(|route| format!("  {route}"));
            print(&std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n"))
        }
        (Ok(draft), Format::Json) => {
            print(&pretty(&serde_json::json!({ "file": file, "valid": true, "problems": draft.warnings }))?)
        }
        (Err(rejection), Format::Text) => {
            say(&rejection.to_string());
            Ok(refused(&rejection))
        }
        (Err(rejection), Format::Json) => {
            let report =
                serde_json::json!({ "file": file, "valid": false, "problems": rejection.problems() });
            print(&pretty(&report)?)?;
            Ok(refused(&rejection))
        }
    }
}

fn explain(
    source: Source,
    question: Question,
    key: Option<&str>,
    admin: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let said = admin.is_some();
    let (base, proof) = operators(source.clone(), admin)?;
    match one_thread()?.block_on(ask(&base, &app::explain_path(&question, key), &proof)) {
        Ok(answer) if answer.status.is_success() => {
            let explained: serde_json::Value = serde_json::from_slice(&answer.body)?;
            print(&app::table_of(&explained))
        }
        Ok(answer) => {
            say(&format!("{base}: {}", String::from_utf8_lossy(&answer.body)));
            Ok(ExitCode::FAILURE)
        }
        Err(error) if said => Err(error),
        Err(_) => {
            say(&format!("no gateway answers at {base}: this is the file alone, without any live state"));
            cold(source, question, key)
        }
    }
}

/// Explains the file as a gateway that has just started would.
fn cold(source: Source, mut question: Question, key: Option<&str>) -> anyhow::Result<ExitCode> {
    let draft = match Loader::new(source, Arc::new(Process)).load() {
        Ok(draft) => draft,
        Err(rejection) => {
            say(&rejection.to_string());
            return Ok(refused(&rejection));
        }
    };
    if let Some(name) = key {
        let known = draft.blueprint.keys.iter().find(|key| *key.name == *name);
        question.lineage = Some(known.with_context(|| format!("no key is called {name}"))?.lineage.clone());
    }
    if let Some(explained) = app::explain_cold(&draft.blueprint, &question)? {
        return print(&app::table_of(&explained));
    }
    say(&format!("no route takes {}", question.model));
    Ok(ExitCode::FAILURE)
}

fn cost(source: Source, asked: &app::CostOf) -> anyhow::Result<ExitCode> {
    match Loader::new(source, Arc::new(Process)).load() {
        Ok(draft) => print(&asked.answer(&draft.blueprint)?),
        Err(rejection) => {
            say(&rejection.to_string());
            Ok(refused(&rejection))
        }
    }
}

fn simulate(source: Source, asked: &app::Simulate) -> anyhow::Result<ExitCode> {
    match asked.run(source) {
        Ok(outcome) => {
            print(&outcome.shown)?;
            outcome.remarks.iter().for_each(|remark| say(remark));
            Ok(match outcome.verdict {
                Held::Yes => ExitCode::SUCCESS,
                Held::No => ExitCode::FAILURE,
            })
        }
        Err(why) => {
            say(&why);
            Ok(ExitCode::from(UNREADABLE))
        }
    }
}

fn keys(source: Source, what: &app::Keys, admin: Option<&str>) -> anyhow::Result<ExitCode> {
    let (base, proof) = operators(source, admin)?;
    let (method, path, body) = what.request();
    let answer = one_thread()?.block_on(app::tell(&base, method, &path, &proof, body))?;
    answered(&answer, |said| what.shown(said))
}

fn requests(source: Source, asked: &app::Requests) -> anyhow::Result<ExitCode> {
    let (base, proof) = operators(source, asked.admin.as_deref())?;
    let answer = one_thread()?.block_on(ask(&base, &asked.path(), &proof))?;
    answered(&answer, |said| asked.shown(said))
}

/// Prints what was said, or says why nothing was.
fn answered(
    answer: &app::Answer,
    shown: impl FnOnce(&serde_json::Value) -> String,
) -> anyhow::Result<ExitCode> {
    if answer.status.is_success() {
        return print(&shown(&serde_json::from_slice(&answer.body)?));
    }
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = String::from_utf8_lossy(&answer.body);
    say(&format!("error: {}", said["error"].as_str().unwrap_or(&text)));
    Ok(ExitCode::FAILURE)
}

fn operate(source: Source, what: &app::Operate) -> anyhow::Result<ExitCode> {
    let question = what.request()?;
    let (base, proof) = operators(source, what.admin())?;
    let answer = one_thread()?.block_on(question.put_to(&base, &proof))?;
    if answer.status.is_success() {
        return print(&what.shown(&serde_json::from_slice(&answer.body)?));
    }
    say(&format!("error: {}", app::refusal(&answer.body)));
    Ok(ExitCode::FAILURE)
}

fn reported(done: Result<Option<String>, String>) -> ExitCode {
    match done {
        Ok(remark) => {
            if let Some(remark) = remark {
                say(&remark);
            }
            ExitCode::SUCCESS
        }
        Err(refused) => {
            say(&format!("error: {refused}"));
            ExitCode::FAILURE
        }
    }
}

fn healthcheck(base: &str, proof: &Proof) -> anyhow::Result<ExitCode> {
    let answer = one_thread()?.block_on(ask(base, "/readyz", proof))?;
    say(String::from_utf8_lossy(&answer.body).trim_end());
    Ok(if answer.status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As [`operators`], unless no gateway is asked.
fn gateway(source: Source, whence: &app::Whence) -> anyhow::Result<(String, Proof)> {
    if whence.is_store() { Ok(Default::default()) } else { operators(source, whence.admin()) }
}

/// Where operators connect and what they prove themselves with: `admin` if they say it, or by the file, and by the variables
/// `MAINSTAY_ADMIN_TOKEN`, `MAINSTAY_ADMIN_CERT` and `MAINSTAY_ADMIN_KEY`, which go first. The file may have mistakes, as that of a
/// gateway has which serves on beside them; where it does not say where that is, no other one is asked.
fn operators(source: Source, admin: Option<&str>) -> anyhow::Result<(String, Proof)> {
    let said = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let token = std::env::var(ADMIN_TOKEN).ok().filter(|token| !token.is_empty()).map(Secret::new);
    let mut proof = token.map(Proof::from).unwrap_or_default();
    if let (Some(cert), Some(key)) = (said(ADMIN_CERT), said(ADMIN_KEY)) {
        proof = proof.with_certificate(cert.as_ref(), key.as_ref())?;
    }
    let loader = Loader::new(source, Arc::new(Process));
    let side = match (loader.admin_side(), admin) {
        (Ok(side), _) => side,
        (Err(_), Some(admin)) => return Ok((admin.to_owned(), proof)),
        (Err(rejection), None) => {
            let said = rejection.to_string();
            let said = said.strip_prefix("error: ").unwrap_or(&said);
            anyhow::bail!("{said}\nso nobody knows where the gateway is; `--admin URL` says it as well")
        }
    };
    // Whoever shows a certificate means to be the one whom it names.
    if proof.own.is_none() {
        proof.token = proof.token.or(side.token);
    }
    let scheme = match &side.certificate {
        Some(certificate) => {
            proof.known = std::fs::read(loader.beside(certificate)).ok();
            "https"
        }
        None => "http",
    };
    Ok((admin.map_or_else(|| app::local_url(scheme, side.address), str::to_owned), proof))
}

fn one_thread() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")
}

fn pretty(value: &serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)?)
}

/// To standard output: the answer. A reader that has gone away, such as `head`, is no failure.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// To standard error: what is said about the answer, or instead of it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
