//! From the file to something that can be put in force, or to the reason why not.
//!
//! The one way in which configuration is read: `serve`, `check` and every reload come through here, so
//! they cannot disagree. Whatever the file refers to (secrets, roots, certificates) is read too, since
//! a file whose certificate is unreadable is not a good file. Blocks; callers on the runtime use
//! `spawn_blocking`.

mod fingerprint;
mod rejection;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;
use sha2::{Digest, Sha256};

use super::keeper::place;
use super::tls::{self, Certificate, Files, Listener};
use crate::config::{self, Blueprint, ClientCertificate, Env, FILE_MAX, Pem, Problem};
use crate::upstream::Roots;
use fingerprint::Asked;

pub use fingerprint::Fingerprint;
pub use rejection::Rejection;

/// Where configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// Built into the program, come through a pipe, or written by a test.
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
    /// The same for upstreams that are shown a certificate, by their names.
    pub(super) showing: HashMap<Arc<str>, Arc<ClientConfig>>,
    pub certificate: Option<Certificate>,
    /// Of the admin side.
    pub admin_certificate: Option<Certificate>,
    pub(super) fingerprint: Fingerprint,
}

/// Reads one source, again and again.
pub struct Loader {
    source: Source,
    world: World,
    /// Made once for the same roots, because their identity tells whether connections can be kept.
    roots: Mutex<HashMap<Option<[u8; 32]>, Arc<ClientConfig>>>,
    /// The same, by all that they are made of.
    showing: Mutex<HashMap<[u8; 32], Arc<ClientConfig>>>,
}

impl Source {
    /// What `path` names. What can be read only once, a pipe or, as `-`, the standard input, is read now.
    pub fn at(path: PathBuf) -> Self {
        let is_stdin = path.as_os_str() == "-";
        let is_once = || path.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir());
        if !is_stdin && !is_once() {
            return Self::File(path);
        }
        let read = |from: &mut dyn Read| {
            let mut bytes = Vec::new();
            // As below.
            from.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
        };
        let read = if is_stdin {
            read(&mut std::io::stdin().lock())
        } else {
            File::open(&path).and_then(|mut pipe| read(&mut pipe))
        };
        match read {
            Ok(bytes) => {
                let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
                Self::Text { name, text: String::from_utf8_lossy(&bytes).into_owned() }
            }
            // Whoever reads it is told why.
            Err(_) => Self::File(path),
        }
    }

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
        Self { source, world, roots: Mutex::default(), showing: Mutex::default() }
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
        let lost_files: Vec<PathBuf> =
            loaded.lost_files.iter().map(|name| self.beside(Path::new(name))).collect();
        draft.fingerprint = Fingerprint::of(&text, asked, &lost_files);
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
        let showing = self.showing(&blueprint, world)?;
        let certificate = self.certificate(&blueprint)?;
        let admin_certificate = self.admin_certificate(&blueprint)?;
        let (text, warnings, fingerprint) = (String::new(), Vec::new(), Fingerprint::default());
        Ok(Draft { blueprint, text, warnings, roots, showing, certificate, admin_certificate, fingerprint })
    }

    /// Whether reading again would give what `last` was taken of.
    pub fn is_unchanged(&self, last: &Fingerprint) -> bool {
        let Ok(text) = self.source.read() else { return false };
        last.is_of(&text, |path| self.world.file(path))
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

    /// How upstreams are reached that are shown a certificate: by one that is made anew when anything of it changes.
    fn showing(
        &self,
        blueprint: &Blueprint,
        world: &dyn Env,
    ) -> Result<HashMap<Arc<str>, Arc<ClientConfig>>, Rejection> {
        let (mut made, mut used) = (HashMap::new(), HashMap::new());
        for upstream in blueprint.upstreams.iter().filter(|upstream| upstream.base.https) {
            let Some(ClientCertificate { cert, key }) = &upstream.tls.shown else { continue };
            let unusable = |field: &str, why: String| Rejection::Unusable {
                file: self.source.name(),
                path: format!("upstreams.{}.tls{field}", upstream.name),
                why,
            };
            let file = |field: &str, path: &str| {
                world.file(path).map_err(|why| unusable(field, format!("cannot read {path}: {why}")))
            };
            let pem = |field: &str, pem: &Pem| match pem {
                Pem::File(path) => file(field, path),
                Pem::Text(text) => Ok(text.expose().to_owned()),
            };
            let (chain, key) = (pem(".client_cert", cert)?, pem(".client_key", key)?);
            let roots = upstream.tls.ca_file.as_deref().map(|path| file(".ca_file", path)).transpose()?;
            let mut hash = Sha256::new();
            for text in [&chain, &key].into_iter().chain(&roots) {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
            let digest: [u8; 32] = hash.finalize().into();
            let known = self.showing.lock().get(&digest).or_else(|| used.get(&digest)).cloned();
            let roots = roots.as_ref().map_or(Roots::System, |text| Roots::Pem(text.as_bytes()));
            let made_now = || {
                let config = roots.showing(chain.as_bytes(), key.as_bytes());
                config
                    .map_err(|error| unusable("", format!("the client certificate cannot be used: {error}")))
            };
            let config = known.map_or_else(made_now, Ok)?;
            used.insert(digest, Arc::clone(&config));
            made.insert(Arc::clone(&upstream.name), config);
        }
        *self.showing.lock() = used;
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
    asked: Mutex<Vec<Asked>>,
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

#[cfg(test)]
mod tests;
