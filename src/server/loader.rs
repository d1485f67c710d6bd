//! From the file to something that can be put in force, or to the reason why not.
//!
//! The one way in which configuration is read: `serve`, `check` and every reload come through here, so
//! they cannot disagree. Whatever the file refers to (secrets, roots, certificates) is read too, since
//! a file whose certificate is unreadable is not a good file. Blocks; callers on the runtime use
//! `spawn_blocking`.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;
use sha2::{Digest, Sha256};

use super::keeper::place;
use super::tls::{self, Certificate, Files, Listener};
use crate::config::problem::Severity;
use crate::config::{self, Blueprint, Env, FILE_MAX, Problem};
use crate::upstream::Roots;

/// Where configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// Built into the program, or written by a test.
    Text {
        name: String,
        text: String,
    },
}

/// The environment and the disk, for references in the file.
pub type World = Arc<dyn Env + Send + Sync>;

/// A good file, with what it refers to.
pub struct Draft {
    pub blueprint: Blueprint,
    /// What it was made of; empty where no text was.
    pub(super) text: String,
    pub warnings: Vec<Problem>,
    /// How peers are checked, by `ca_file`.
    pub(super) roots: HashMap<Option<String>, Arc<ClientConfig>>,
    pub certificate: Option<Certificate>,
    /// Of the admin side.
    pub admin_certificate: Option<Certificate>,
    pub(super) fingerprint: Fingerprint,
}

/// Why a file cannot be used. Its `Display` is what people are shown, on every way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    Unreadable {
        file: String,
        why: String,
    },
    Invalid {
        file: String,
        problems: Vec<Problem>,
    },
    /// The file is in order, and what it refers to is not.
    Unusable {
        file: String,
        path: String,
        why: String,
    },
}

/// What was read, to tell whether it has changed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Referenced files, in the order in which they were asked for.
    files: Vec<String>,
    /// Those of upstreams in which there was nothing, or which could not be read, and why. A caller's key that is taken away
    /// is meant to end.
    lost: Vec<(String, String)>,
    digest: [u8; 32],
}

/// Reads one source, again and again.
pub struct Loader {
    source: Source,
    world: World,
    /// Made once for the same roots, because their identity tells whether connections can be kept.
    roots: Mutex<HashMap<Option<[u8; 32]>, Arc<ClientConfig>>>,
}

impl Source {
    /// As messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text { name, .. } => name.clone(),
        }
    }

    fn read(&self) -> Result<String, Rejection> {
        let unreadable = |why: String| Rejection::Unreadable { file: self.name(), why };
        match self {
            Self::Text { text, .. } => Ok(text.clone()),
            Self::File(path) => {
                let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
                let mut bytes = Vec::new();
                // One byte more than allowed is enough to be told that it is too large.
                file.take(FILE_MAX as u64 + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| unreadable(error.to_string()))?;
                String::from_utf8(bytes).map_err(|error| {
                    unreadable(format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
                })
            }
        }
    }
}

impl Loader {
    pub fn new(source: Source, world: World) -> Self {
        Self { source, world, roots: Mutex::default() }
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// A path that the configuration names, from its own directory.
    pub fn beside(&self, path: &Path) -> PathBuf {
        match &self.source {
            Source::File(file) => file.parent().map_or_else(|| path.to_owned(), |parent| parent.join(path)),
            Source::Text { .. } => path.to_owned(),
        }
    }

    /// Reads everything.
    pub fn load(&self) -> Result<Draft, Rejection> {
        self.load_text(self.source.read()?)
    }

    /// Where the admin side is, as far as what is there now says it, whatever else is wrong with that.
    pub fn admin_side(&self) -> Result<config::AdminSide, Rejection> {
        let noting = Noting { loader: self, asked: Mutex::default() };
        let side = config::admin_side(&self.source.read()?, &noting);
        side.map_err(|problems| Rejection::Invalid { file: self.source.name(), problems })
    }

    /// What is there now, whatever it is worth.
    pub(super) fn read(&self) -> Result<String, Rejection> {
        self.source.read()
    }

    /// As [`Loader::load`], if this were what is there.
    pub(super) fn load_text(&self, text: String) -> Result<Draft, Rejection> {
        let noting = Noting { loader: self, asked: Mutex::default() };
        let loaded = config::load(&text, &noting);
        let loaded = loaded.map_err(|problems| Rejection::Invalid { file: self.source.name(), problems })?;
        let mut draft = self.complete(loaded.blueprint, &noting)?;
        let asked = noting.asked.into_inner();
        let unwritable = self.state_file(&draft.blueprint, asked.iter().map(|(path, _)| path.as_str()))?;
        draft.fingerprint = Fingerprint {
            digest: digest(&text, asked.iter().map(|(_, content)| content)),
            lost: {
                let of_upstreams: Vec<PathBuf> =
                    loaded.lost_files.iter().map(|name| self.beside(Path::new(name))).collect();
                let lost =
                    asked.iter().filter(|(path, _)| of_upstreams.iter().any(|lost| *lost == Path::new(path)));
                lost.map(|(path, content)| (path.clone(), why_lost(content))).collect()
            },
            files: asked.into_iter().map(|(path, _)| path).collect(),
        };
        draft.warnings = loaded.warnings;
        draft.warnings.extend(unwritable);
        draft.text = text;
        Ok(draft)
    }

    /// Refuses a state file that would be written over what the configuration consists of, and warns of one
    /// that could not be written. `asked` are the files that it refers to.
    fn state_file<'a>(
        &self,
        blueprint: &Blueprint,
        asked: impl Iterator<Item = &'a str>,
    ) -> Result<Option<Problem>, Rejection> {
        let Some(path) = &blueprint.server.state_file else { return Ok(None) };
        let path = self.beside(path);
        let mut used: Vec<(PathBuf, &'static str)> =
            asked.map(|path| (path.into(), "a file that the configuration refers to")).collect();
        if let Source::File(file) = &self.source {
            used.push((file.clone(), "the configuration itself"));
        }
        if let Some(config::Store { place: config::StorePlace::Sqlite(store), .. }) = &blueprint.store {
            used.push((self.beside(store), "the store"));
        }
        if let Some(tls) = &blueprint.server.tls {
            used.push((self.beside(&tls.cert), "the listener's certificate"));
            used.push((self.beside(&tls.key), "the listener's private key"));
        }
        if let Some(tls) = &blueprint.server.admin_tls {
            used.push((self.beside(&tls.own.cert), "the admin side's certificate"));
            used.push((self.beside(&tls.own.key), "the admin side's private key"));
            used.extend(
                tls.client_ca.iter().map(|path| (self.beside(path), "the roots of operators' certificates")),
            );
        }
        match place::collision(&path, &used) {
            Some(why) => {
                Err(Rejection::Unusable { file: self.source.name(), path: place::SETTING.to_owned(), why })
            }
            None => Ok(place::warning(&path)),
        }
    }

    /// For a blueprint that a test has written.
    pub fn draft_of(&self, blueprint: Blueprint) -> Result<Draft, Rejection> {
        self.complete(blueprint, &*self.world)
    }

    /// Reads what `blueprint` refers to.
    fn complete(&self, blueprint: Blueprint, world: &dyn Env) -> Result<Draft, Rejection> {
        let roots = self.roots_of(&blueprint, world)?;
        let certificate = self.certificate(&blueprint)?;
        let admin_certificate = self.admin_certificate(&blueprint)?;
        let (text, warnings, fingerprint) = (String::new(), Vec::new(), Fingerprint::default());
        Ok(Draft { blueprint, text, warnings, roots, certificate, admin_certificate, fingerprint })
    }

    /// Whether reading again would give what `last` was taken of.
    pub fn is_unchanged(&self, last: &Fingerprint) -> bool {
        let Ok(text) = self.source.read() else { return false };
        let contents: Vec<_> = last.files.iter().map(|path| self.world.file(path)).collect();
        digest(&text, contents.iter()) == last.digest
    }

    fn roots_of(
        &self,
        blueprint: &Blueprint,
        world: &dyn Env,
    ) -> Result<HashMap<Option<String>, Arc<ClientConfig>>, Rejection> {
        let mut made: HashMap<Option<String>, Arc<ClientConfig>> = HashMap::new();
        let mut used = HashMap::new();
        let upstreams = blueprint.upstreams.iter().filter(|upstream| upstream.base.https);
        let upstreams = upstreams
            .map(|upstream| (&upstream.tls.ca_file, format!("upstreams.{}.tls.ca_file", upstream.name)));
        let redis = blueprint.server.redis.iter().filter(|redis| redis.tls);
        let redis = redis.map(|redis| (&redis.ca_file, "server.redis.ca_file".to_owned()));
        let store = blueprint.store.iter().filter_map(|store| match &store.place {
            config::StorePlace::Postgres { tls: true, ca_file, .. } => {
                Some((ca_file, "store.ca_file".to_owned()))
            }
            config::StorePlace::Postgres { .. } | config::StorePlace::Sqlite(_) => None,
        });
        let issuers = blueprint.issuers.iter().filter(|issuer| issuer.keys.url().starts_with("https:"));
        let issuers = issuers.map(|issuer| (&issuer.ca_file, format!("issuers.{}.ca_file", issuer.name)));
        for (ca_file, path) in upstreams.chain(redis).chain(store).chain(issuers) {
            if made.contains_key(ca_file) {
                continue;
            }
            let unusable =
                |why: String| Rejection::Unusable { file: self.source.name(), path: path.clone(), why };
            let text = match ca_file {
                Some(path) => {
                    Some(world.file(path).map_err(|why| unusable(format!("cannot read {path}: {why}")))?)
                }
                None => None,
            };
            let key = text.as_ref().map(|text| Sha256::digest(text).into());
            let known = self.roots.lock().get(&key).cloned();
            let roots = text.as_ref().map_or(Roots::System, |text| Roots::Pem(text.as_bytes()));
            let made_now = || roots.client_config().map_err(|error| unusable(error.to_string()));
            let config = known.map_or_else(made_now, Ok)?;
            used.insert(key, Arc::clone(&config));
            made.insert(ca_file.clone(), config);
        }
        *self.roots.lock() = used;
        Ok(made)
    }

    fn certificate(&self, blueprint: &Blueprint) -> Result<Option<Certificate>, Rejection> {
        let Some(tls) = &blueprint.server.tls else { return Ok(None) };
        let files = Files { own: self.pair_beside(tls), listener: Listener::Callers };
        let loaded = Certificate::load(files).map(Some);
        loaded.map_err(|error| self.unusable("server.tls", &error, [&tls.cert, &tls.key]))
    }

    fn admin_certificate(&self, blueprint: &Blueprint) -> Result<Option<Certificate>, Rejection> {
        let Some(tls) = &blueprint.server.admin_tls else { return Ok(None) };
        let client_ca = tls.client_ca.as_ref().map(|path| self.beside(path));
        let files = Files { own: self.pair_beside(&tls.own), listener: Listener::Operators { client_ca } };
        let loaded = Certificate::load(files).map(Some);
        let paths = [&tls.own.cert, &tls.own.key].into_iter().chain(&tls.client_ca);
        loaded.map_err(|error| self.unusable("server.admin_tls", &error, paths))
    }

    fn pair_beside(&self, pair: &config::ServerTls) -> config::ServerTls {
        config::ServerTls { cert: self.beside(&pair.cert), key: self.beside(&pair.key) }
    }

    fn unusable<'p>(
        &self,
        setting: &str,
        error: &tls::Unusable,
        paths: impl IntoIterator<Item = &'p PathBuf>,
    ) -> Rejection {
        let elsewhere = paths.into_iter().find_map(|path| self.elsewhere(path));
        let why = format!("{error}{}", elsewhere.unwrap_or_default());
        Rejection::Unusable { file: self.source.name(), path: setting.to_owned(), why }
    }

    /// What to say of a path at which there is nothing, while there is something in the working directory.
    fn elsewhere(&self, path: &Path) -> Option<String> {
        let own = self.beside(path);
        let is_elsewhere = own != path && !own.exists() && path.exists();
        is_elsewhere.then(|| {
            let (own, directory) = (own.display(), self.beside(Path::new("")));
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
            format!(
                " ({own}: paths count from the directory of the configuration, {}; there is a {} in the working \
                 directory, so move it, or write where it is)",
                directory.display(),
                path.display()
            )
        })
    }
}

/// The world as the configuration sees it, from its own directory, with a note of every file that was asked for.
struct Noting<'a> {
    loader: &'a Loader,
    asked: Mutex<Vec<(String, Result<String, String>)>>,
}

impl Env for Noting<'_> {
    fn var(&self, name: &str) -> Option<String> {
        self.loader.world.var(name)
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let own = self.loader.beside(Path::new(path));
        // A path of two texts is a text.
        let own = own.to_str().unwrap_or(path);
        let content = self.loader.world.file(own);
        self.asked.lock().push((own.to_owned(), content.clone()));
        content.map_err(|why| why + &self.loader.elsewhere(Path::new(path)).unwrap_or_default())
    }
}

impl Fingerprint {
    /// A file that something was in when `before` was taken, and nothing is any more; and why.
    pub(super) fn loses(&self, before: &Self) -> Option<(&str, &str)> {
        let was_there =
            |path: &String| before.files.contains(path) && !before.lost.iter().any(|(lost, _)| lost == path);
        let found = self.lost.iter().find(|(path, _)| was_there(path));
        found.map(|(path, why)| (path.as_str(), why.as_str()))
    }
}

/// Why a file is as good as none.
fn why_lost(content: &Result<String, String>) -> String {
    match content {
        Ok(_) => "it is empty".to_owned(),
        Err(why) => why.clone(),
    }
}

fn digest<'a>(text: &str, contents: impl Iterator<Item = &'a Result<String, String>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(text);
    for content in contents {
        match content {
            Ok(content) => add(content),
            // Why a file cannot be read is worded by the system; that it cannot is what counts.
            Err(_) => add("\0"),
        }
    }
    hash.finalize().into()
}

impl Rejection {
    /// What is wrong, one by one.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Invalid { problems, .. } => problems,
            Self::Unreadable { why, .. } => vec![Problem::error("", why)],
            Self::Unusable { path, why, .. } => vec![Problem::error(&path, why)],
        }
    }

    /// What is wrong, as `check --format json` lists it.
    pub fn problems(&self) -> serde_json::Value {
        match self {
            Self::Invalid { problems, .. } => serde_json::json!(problems),
            Self::Unreadable { why, .. } => {
                serde_json::json!([{ "severity": "error", "path": "", "message": why }])
            }
            Self::Unusable { path, why, .. } => {
                serde_json::json!([{ "severity": "error", "path": path, "message": why }])
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, why } => write!(f, "error: cannot read {file}: {why}"),
            Self::Invalid { file, problems } => {
                for problem in problems {
                    writeln!(f, "{}", problem.render(file))?;
                }
                let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
                write!(f, "{file}: {errors} error{}", if errors == 1 { "" } else { "s" })
            }
            Self::Unusable { file, path, why } => write!(f, "error: {path}: {why}\n --> {file}"),
        }
    }
}

impl std::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
version: 1
upstreams:
  a: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: a}]}
";

    #[derive(Default)]
    struct Disk(Mutex<HashMap<String, String>>);

    impl Env for Disk {
        fn var(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, path: &str) -> Result<String, String> {
            self.0.lock().get(path).cloned().ok_or_else(|| "no such file".to_owned())
        }
    }

    struct RealDisk;

    impl Env for RealDisk {
        fn var(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, path: &str) -> Result<String, String> {
            std::fs::read_to_string(path).map_err(|error| error.to_string())
        }
    }

    fn loader(text: &str, disk: &Arc<Disk>) -> Loader {
        let world: World = Arc::clone(disk) as World;
        Loader::new(Source::Text { name: "routing.yaml".to_owned(), text: text.to_owned() }, world)
    }

    #[test]
    fn a_changed_secret_is_a_change_and_the_same_one_is_none() {
        let disk = Arc::new(Disk::default());
        disk.0.lock().insert("/run/key".to_owned(), "sk-1".to_owned());
        let text =
            FILE.replace("routes:", "  o: {provider: openai, credentials: [\"file:/run/key\"]}\nroutes:");
        let loader = loader(&text, &disk);
        let draft = loader.load().expect("a good file");
        assert!(loader.is_unchanged(&draft.fingerprint));
        disk.0.lock().insert("/run/key".to_owned(), "sk-2".to_owned());
        assert!(!loader.is_unchanged(&draft.fingerprint));
        disk.0.lock().clear();
        assert!(!loader.is_unchanged(&draft.fingerprint));
    }

    #[test]
    fn roots_are_made_once_as_long_as_they_are_the_same() {
        let disk = Arc::new(Disk::default());
        let pem = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).expect("a certificate").cert.pem();
        disk.0.lock().insert("/ca.pem".to_owned(), pem);
        let text = FILE.replace(
            "routes:",
            "  h: {provider: http, base_url: \"https://x\", tls: {ca_file: /ca.pem}}\nroutes:",
        );
        let loader = loader(&text, &disk);
        let key = Some("/ca.pem".to_owned());
        let (one, two) = (loader.load().expect("good"), loader.load().expect("good"));
        assert!(Arc::ptr_eq(&one.roots[&key], &two.roots[&key]));
        disk.0.lock().insert("/ca.pem".to_owned(), "no PEM".to_owned());
        let rejection = loader.load().err().expect("the roots are unusable");
        assert!(rejection.to_string().starts_with("error: upstreams.h.tls.ca_file: "), "{rejection}");
        assert!(!loader.is_unchanged(&one.fingerprint));
    }

    #[test]
    fn facts_about_models_are_read_with_the_file_and_a_mistake_in_them_is_one_of_the_file() {
        let disk = Arc::new(Disk::default());
        let write = |text: &str| disk.0.lock().insert("models.yaml".to_owned(), text.to_owned());
        let loader = loader(&format!("{FILE}catalog: {{file: models.yaml}}\n"), &disk);
        write("providers: {simulated: {demo: {context: 7}}}");
        let good = loader.load().expect("a good file");
        assert_eq!(good.blueprint.catalog.facts("simulated", "demo").context, Some(7));
        assert!(loader.is_unchanged(&good.fingerprint));
        write("providers: {simulated: {demo: {context: seven}}}");
        assert!(!loader.is_unchanged(&good.fingerprint));
        let rejection = loader.load().err().expect("no number");
        let shown = rejection.to_string();
        assert!(shown.contains("--> models.yaml:1:41"), "{shown}");
        assert!(shown.ends_with("routing.yaml: 1 error"), "{shown}");
        assert_eq!(rejection.problems()[0]["file"], "models.yaml");
    }

    #[test]
    fn every_path_counts_from_the_directory_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        let certified =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        write("cert.pem", &certified.cert.pem());
        write("key.pem", &certified.signing_key.serialize_pem());
        write("secret", "sk-1");
        write("models.yaml", "providers: {simulated: {demo: {context: 7}}}");
        let text = FILE.replace(
            "routes:",
            "  h: {provider: http, base_url: \"https://x\", tls: {ca_file: cert.pem}}\n  \
             o: {provider: openai, credentials: [\"file:./secret\"]}\n\
             catalog: {file: models.yaml}\nserver: {tls: {cert: cert.pem, key: ./key.pem}}\nroutes:",
        );
        write("routing.yaml", &text);
        let loader = Loader::new(Source::File(directory.path().join("routing.yaml")), Arc::new(RealDisk));
        let draft = loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
        assert_eq!(draft.blueprint.catalog.facts("simulated", "demo").context, Some(7));
        assert!(draft.certificate.is_some() && draft.roots.contains_key(&Some("cert.pem".to_owned())));
        assert!(loader.is_unchanged(&draft.fingerprint));
        write("secret", "sk-2");
        assert!(!loader.is_unchanged(&draft.fingerprint));
    }

    #[test]
    fn what_is_in_the_working_directory_instead_is_said_to_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("routing.yaml");
        // Tests run in the directory of Cargo.toml.
        for (setting, path) in [
            ("catalog: {file: Cargo.toml}", "catalog.file"),
            ("server: {tls: {cert: Cargo.toml, key: Cargo.lock}}", "server.tls"),
        ] {
            std::fs::write(&at, format!("{FILE}{setting}\n")).unwrap();
            let loaded = Loader::new(Source::File(at.clone()), Arc::new(RealDisk)).load();
            let shown = loaded.err().expect("it is elsewhere").to_string();
            let own = directory.path().join("Cargo.toml");
            for part in [path, own.to_str().unwrap(), "there is a Cargo.toml in the working directory"] {
                assert!(shown.contains(part), "no {part:?}: {shown}");
            }
        }
    }

    #[test]
    fn a_rejection_shows_every_problem_and_counts_them() {
        let disk = Arc::new(Disk::default());
        let text = FILE.replace("upstream: a", "upstream: b, wieght: 3");
        let rejection = loader(&text, &disk).load().err().expect("two mistakes");
        let shown = rejection.to_string();
        assert!(shown.contains("routing.yaml:5:"), "{shown}");
        assert!(shown.ends_with("errors"), "{shown}");
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("routing.yaml");
        let read = || Source::File(path.clone()).read();
        assert!(matches!(read(), Err(Rejection::Unreadable { .. })));
        std::fs::write(&path, b"version: \xff").unwrap();
        assert!(read().expect_err("not text").to_string().ends_with("not UTF-8 at byte 9"));
        std::fs::write(&path, FILE).unwrap();
        assert_eq!(read().as_deref(), Ok(FILE));
    }

    #[test]
    fn a_state_file_that_is_the_configuration_or_part_of_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        write("key", "sk-1");
        std::os::unix::fs::symlink(at("routing.yaml"), at("link")).unwrap();
        let upstream =
            format!("  o: {{provider: openai, credentials: [\"file:{}\"]}}\nroutes:", at("key").display());
        let text = FILE.replace("routes:", &upstream);
        let load = |state: &str| {
            write("routing.yaml", &format!("{text}server: {{state_file: '{state}'}}\n"));
            Loader::new(Source::File(at("routing.yaml")), Arc::new(RealDisk)).load()
        };
        for state in ["routing.yaml", "./routing.yaml", "key", "link"] {
            let rejection = load(state).err().unwrap_or_else(|| panic!("{state} would be written over"));
            assert!(rejection.to_string().starts_with("error: server.state_file: "), "{rejection}");
        }
        let warned = |state: &str| {
            let warnings = load(state).expect("a good file, so far").warnings;
            warnings.iter().filter(|warning| warning.path == place::SETTING).count()
        };
        assert_eq!((warned("state.json"), warned("none/state.json")), (0, 1));
    }
}
