//! Keys that are made while the gateway runs: kept in the store as keyed hashes, held here in memory.
//!
//! Nothing on the way of a request asks the store. What it has is read every few seconds and put in the place of what
//! was known before (`Access::stock`); while it is away, the last that was known holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use parking_lot::Mutex;

use super::digests::{Digest, Digests};
use super::found::Found;
use super::ring::{Counts, Key, State};
use crate::algo::limit::Allowance;
use crate::config::managed::{ManagedKey, Naming, managed};
use crate::config::{Level, Lineage, Member, Reach, Urgency};
use crate::store::KeyRow;
use crate::store::rows::RowId;
use crate::telemetry::Metrics;
use crate::vocab::Secret;

/// How secrets of managed keys begin.
pub const BEGINNING: &str = "ms-";
/// Characters behind that: each of 62, so that there are as many secrets as 32 bytes have values.
const LENGTH: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// How many of them are shown to know a key by.
const SHOWN: usize = 8;

/// What is known of the store's keys, over reloads.
pub struct Managed {
    hasher: hmac::Key,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The store's last change that is in here, and the key that it was of.
    version: i64,
    newest: Option<RowId>,
    /// How often anything here has changed.
    generation: u64,
    /// Each is the same piece of memory for as long as the store says nothing new of it.
    rows: HashMap<RowId, Arc<KeyRow>>,
    /// When the store was last heard, since the Unix epoch.
    heard: Option<Duration>,
}

/// Managed keys as requests find them.
pub(super) struct Shelf {
    pub(super) generation: u64,
    entries: Digests<Entry>,
    names: HashMap<Arc<str>, Named>,
}

/// A key, and what of the store's it was made from.
struct Named {
    key: Arc<Key>,
    row: Arc<KeyRow>,
}

struct Entry {
    key: Arc<Key>,
    from: Duration,
    to: Option<Duration>,
}

impl Managed {
    /// With what its hashes are made.
    pub fn new(secret: &Secret) -> Arc<Self> {
        let hasher = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Arc::new(Self { hasher, known: Mutex::default() })
    }

    /// The store's last change that is known here, and the key that it was of.
    pub(super) fn last(&self) -> (i64, Option<RowId>) {
        let known = self.known.lock();
        (known.version, known.newest)
    }

    /// How often anything here has changed.
    pub(super) fn generation(&self) -> u64 {
        self.known.lock().generation
    }

    /// Takes these in place of all that was known.
    pub(super) fn begin_anew(&self, all: Vec<KeyRow>, now: Duration) {
        let mut known = self.known.lock();
        *known = Known { generation: known.generation + 1, ..Known::default() };
        known.take(all, now);
    }

    /// When the store was last heard, since the Unix epoch.
    pub fn heard(&self) -> Option<Duration> {
        self.known.lock().heard
    }

    /// Takes what has changed in the store.
    pub fn take(&self, changed: Vec<KeyRow>, now: Duration) {
        self.known.lock().take(changed, now);
    }

    /// All of them, by name.
    pub fn rows(&self) -> Vec<Arc<KeyRow>> {
        let mut rows: Vec<_> = self.known.lock().rows.values().cloned().collect();
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        rows
    }

    pub fn row(&self, name: &str) -> Option<Arc<KeyRow>> {
        self.known.lock().rows.values().find(|row| *row.name == *name).cloned()
    }

    pub(super) fn hash(&self, secret: &[u8]) -> Digest {
        let tag = hmac::sign(&self.hasher, secret);
        let mut digest = Digest::default();
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }

    /// A secret that nobody has, with what it is known by.
    pub(super) fn fresh() -> Option<(Secret, String)> {
        let random = SystemRandom::new();
        let mut text = String::from(BEGINNING);
        let mut bytes = [0; 64];
        while text.len() < BEGINNING.len() + LENGTH {
            random.fill(&mut bytes).ok()?;
            let room = BEGINNING.len() + LENGTH - text.len();
            // Of the 256 values of a byte, 248 share out evenly.
            let even = bytes.iter().filter(|byte| **byte < 248).take(room);
            text.extend(even.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
        }
        let shown = text.get(BEGINNING.len()..BEGINNING.len() + SHOWN)?.to_owned();
        Some((Secret::new(text), shown))
    }

    /// The keys below `members`, each with these `limits` where it has none of its own, but for those whose names are
    /// `taken` by the file. Those that are `before` as the store has them are not made again: one of 50,000 changes at a
    /// time.
    pub(super) fn shelf(
        &self,
        before: &Shelf,
        (members, limits): (&[Lineage], Allowance),
        taken: impl Fn(&str) -> bool,
        metrics: &Metrics,
    ) -> Shelf {
        let (generation, rows) = {
            let known = self.known.lock();
            (known.generation, known.rows.values().cloned().collect::<Vec<_>>())
        };
        let (mut entries, mut names) = (Vec::new(), HashMap::new());
        for row in rows {
            if taken(&row.name) {
                tracing::warn!(
                    key = &*row.name,
                    "routing.yaml has a key of this name, so the store's one is out of use"
                );
                continue;
            }
            let same = before.names.get(&row.name).filter(|named| Arc::ptr_eq(&named.row, &row));
            let key = match same {
                Some(named) => Arc::clone(&named.key),
                None => Arc::new(key(&row, (members, limits), metrics)),
            };
            for digest in &row.digests {
                let (from, to) = (unix(digest.valid_from), digest.valid_to.map(unix));
                entries.push((digest.hash, Entry { key: Arc::clone(&key), from, to }));
            }
            names.insert(Arc::clone(&row.name), Named { key, row });
        }
        Shelf { generation, entries: Digests::new(entries), names }
    }
}

impl Known {
    fn take(&mut self, changed: Vec<KeyRow>, now: Duration) {
        self.heard = Some(now);
        let seen = self.version;
        // Of two looks at once the later answer may be the older one.
        for row in changed.into_iter().filter(|row| row.version > seen) {
            self.generation += 1;
            if row.version > self.version {
                (self.version, self.newest) = (row.version, Some(row.id));
            }
            if row.deleted_at.is_some() {
                self.rows.remove(&row.id);
            } else {
                self.rows.insert(row.id, Arc::new(row));
            }
        }
    }
}

impl Shelf {
    pub(super) fn empty() -> Self {
        Self { generation: 0, entries: Digests::new(Vec::new()), names: HashMap::new() }
    }

    pub(super) fn named(&self, name: &str) -> Option<&Arc<Key>> {
        self.names.get(name).map(|named| &named.key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.names.values().map(|named| &named.key)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Whose secret has this hash, `now` or at any other time.
    pub(super) fn knows(&self, digest: &Digest) -> bool {
        self.entries.find(digest).is_some()
    }

    /// The key whose secret has this hash, where that secret is good `now`.
    pub(super) fn find(&self, digest: &Digest, now: Duration) -> Option<&Arc<Key>> {
        let entry = self.entries.find(digest)?;
        if now < entry.from || entry.to.is_some_and(|to| now >= to) {
            let key = &*entry.key.name;
            tracing::info!(target: "mainstay::access", key, "a secret was sent that has been replaced");
            return None;
        }
        Some(&entry.key)
    }
}

/// Microseconds of Unix time as a duration since then.
fn unix(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// What is kept of a key as requests need it. What cannot be read, or stands below nobody who is there, is good for
/// nothing: it might be meant to allow less than it would.
fn key(row: &KeyRow, (members, limits): (&[Lineage], Allowance), metrics: &Metrics) -> Key {
    let said = ManagedKey {
        name: &row.name,
        organisation: row.organisation.as_deref(),
        team: row.team.as_deref(),
        user: row.user.as_deref(),
        terms: &row.terms,
        expires: row.expires_at.map(unix),
        limits,
    };
    let (lineage, urgency, state) = match managed(said, members, Naming::Lenient) {
        Ok((lineage, urgency)) if row.disabled_at.is_none() => (lineage, urgency, State::Good),
        Ok((lineage, urgency)) => (lineage, urgency, State::Disabled),
        Err(problems) => {
            tracing::warn!(key = &*row.name, "a managed key is out of use: {}", problems.join("; "));
            let own = Member {
                level: Level::Key,
                name: Arc::clone(&row.name),
                tags: Vec::new(),
                reach: Reach::default(),
                limits: Allowance::default(),
                most: None,
                budgets: Arc::default(),
                max_cost: None,
                explain: false,
                zero_log: false,
                expires: None,
            };
            (Lineage::below(None, own), Urgency::default(), State::Disabled)
        }
    };
    Key {
        name: Arc::clone(&row.name),
        // No name has a blank in it.
        scope: format!("{} {}", row.name, row.id).into(),
        lineage,
        urgency,
        secrets: Vec::new(),
        state,
        counts: Counts::of_key(&row.name, metrics),
        found: Found::default(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Request};

    use super::*;
    use crate::access::{Access, Denied, Signing};
    use crate::config::{self, Env};
    use crate::store::Digest as Kept;

    struct World;

    impl Env for World {
        fn var(&self, name: &str) -> Option<String> {
            (name == "SHOP").then(|| "secret-of-the-file".to_owned())
        }

        fn file(&self, path: &str) -> Result<String, String> {
            Err(path.to_owned())
        }
    }

    fn compiled(managed: &Arc<Managed>, more: &str) -> Access {
        let text = format!(
            "version: 1\naccess: keys\n{more}\nupstreams: {{a: {{provider: simulated}}}}\n\
             routes: [{{model: m, channels: [{{upstream: a}}]}}]\n"
        );
        let blueprint = config::load(&text, &World).expect("a good file").blueprint;
        let metrics = Metrics::new();
        Access::compile(&blueprint, &metrics).with(Some(managed), &metrics)
    }

    const TEAM: &str = "teams: {growth: {allow: {models: [m]}}}";

    fn row(managed: &Managed, name: &str, secret: &str, number: i64) -> KeyRow {
        KeyRow {
            id: RowId(number as u128),
            name: name.into(),
            prefix: String::new(),
            organisation: None,
            team: Some("growth".into()),
            user: None,
            terms: "{}".to_owned(),
            disabled_at: None,
            expires_at: None,
            deleted_at: None,
            created_at: 0,
            created_by: String::new(),
            version: number,
            digests: vec![Kept {
                hash: managed.hash(secret.as_bytes()),
                valid_from: 10_000_000,
                valid_to: Some(20_000_000),
            }],
        }
    }

    fn managed() -> Arc<Managed> {
        Managed::new(&Secret::new("what-hashes-are-made-with"))
    }

    /// Who has this secret, at this second.
    fn whose(access: &Access, secret: &str, second: u64) -> String {
        let headers = HeaderMap::from_iter([(
            http::header::AUTHORIZATION,
            HeaderValue::try_from(format!("Bearer {secret}")).expect("a header"),
        )]);
        match access.judge(&headers, None, Signing::Foreign, Duration::from_secs(second)) {
            Ok(standing) => standing.named().map_or("nobody".into(), |key| key.name.to_string()),
            Err(Denied::Over(key)) => format!("over: {}", key.name),
            Err(denied) => format!("{denied:?}"),
        }
    }

    #[test]
    fn a_secret_is_long_begins_as_ours_do_and_is_never_the_same() {
        let secrets: std::collections::HashSet<String> =
            (0..100).map(|_| Managed::fresh().expect("randomness").0.expose().to_owned()).collect();
        assert_eq!(secrets.len(), 100);
        let letters: std::collections::HashSet<char> =
            secrets.iter().flat_map(|secret| secret[BEGINNING.len()..].chars()).collect();
        assert_eq!(letters.len(), ALPHABET.len(), "none of the 62 is left out");
        assert!(secrets.iter().all(|secret| secret.len() == 46 && secret.starts_with("ms-")));
        let (secret, shown) = Managed::fresh().expect("randomness");
        assert!(secret.expose()[3..].starts_with(&shown) && shown.len() == 8);
    }

    #[test]
    fn a_secret_is_good_within_its_time_and_another_hash_secret_voids_it() {
        let managed = managed();
        managed.take(vec![row(&managed, "till", "ms-till", 1)], Duration::ZERO);
        let access = compiled(&managed, TEAM);
        for (second, expected) in [(9, "Unknown"), (10, "till"), (19, "till"), (20, "Unknown")] {
            assert_eq!(whose(&access, "ms-till", second), expected, "{second}");
        }
        assert_eq!(whose(&access, "ms-other", 15), "Unknown");
        let other = Managed::new(&Secret::new("what-other-hashes-are-made-with"));
        other.take(managed.rows().iter().map(|row| KeyRow::clone(row)).collect(), Duration::ZERO);
        assert_eq!(whose(&compiled(&other, TEAM), "ms-till", 15), "Unknown");
    }

    #[test]
    fn what_changes_in_the_store_holds_once_it_is_stocked() {
        let managed = managed();
        let access = compiled(&managed, TEAM);
        let metrics = Metrics::new();
        assert_eq!(whose(&access, "ms-till", 15), "Unknown");
        managed.take(vec![row(&managed, "till", "ms-till", 1)], Duration::ZERO);
        access.stock(&metrics);
        assert_eq!(whose(&access, "ms-till", 15), "till");
        let disabled = KeyRow { disabled_at: Some(1), version: 2, ..row(&managed, "till", "ms-till", 1) };
        managed.take(vec![disabled], Duration::ZERO);
        access.stock(&metrics);
        assert_eq!(whose(&access, "ms-till", 15), "over: till");
        let expired =
            KeyRow { expires_at: Some(15_000_000), version: 3, ..row(&managed, "till", "ms-till", 1) };
        managed.take(vec![expired], Duration::ZERO);
        access.stock(&metrics);
        assert_eq!(
            (whose(&access, "ms-till", 14), whose(&access, "ms-till", 15)),
            ("till".into(), "over: till".into())
        );
        let deleted = KeyRow { deleted_at: Some(1), version: 4, ..row(&managed, "till", "ms-till", 1) };
        managed.take(vec![deleted], Duration::ZERO);
        access.stock(&metrics);
        assert_eq!(whose(&access, "ms-till", 15), "Unknown");
        assert_eq!((managed.last().0, managed.rows().len()), (4, 0));
    }

    #[test]
    fn a_key_may_be_good_as_long_as_the_store_has_not_said_which_there_are() {
        let managed = managed();
        let access = compiled(&managed, TEAM);
        assert!(access.awaits_keys());
        managed.take(Vec::new(), Duration::ZERO);
        assert!(!access.awaits_keys());
    }

    #[test]
    fn an_older_copy_of_the_store_takes_the_place_of_what_was_known() {
        let managed = managed();
        let access = compiled(&managed, TEAM);
        let metrics = Metrics::new();
        let (till, shop) = (row(&managed, "till", "ms-till", 1), row(&managed, "shop", "ms-shop", 2));
        managed.take(vec![till.clone(), shop], Duration::ZERO);
        access.stock(&metrics);
        managed.begin_anew(vec![KeyRow { disabled_at: Some(1), version: 2, ..till }], Duration::ZERO);
        access.stock(&metrics);
        assert_eq!(whose(&access, "ms-till", 15), "over: till");
        assert_eq!(whose(&access, "ms-shop", 15), "Unknown");
    }

    #[test]
    fn keys_of_which_the_store_says_nothing_new_are_not_made_again() {
        let managed = managed();
        let access = compiled(&managed, TEAM);
        let key = |name| access.key(name).expect("it is there");
        let (till, shop) = (row(&managed, "till", "ms-till", 1), row(&managed, "shop", "ms-shop", 2));
        managed.take(vec![till.clone(), shop], Duration::ZERO);
        access.stock(&Metrics::new());
        let (first_till, first_shop) = (key("till"), key("shop"));
        managed.take(vec![KeyRow { disabled_at: Some(1), version: 3, ..till.clone() }], Duration::ZERO);
        access.stock(&Metrics::new());
        assert!(Arc::ptr_eq(&first_shop, &key("shop")) && !Arc::ptr_eq(&first_till, &key("till")));
        assert_eq!(
            (whose(&access, "ms-till", 15), whose(&access, "ms-shop", 15)),
            ("over: till".into(), "shop".into())
        );
        // A copy of the store may have other keys under the numbers of those before.
        managed.begin_anew(vec![KeyRow { version: 3, ..till }], Duration::ZERO);
        access.stock(&Metrics::new());
        assert_eq!(whose(&access, "ms-till", 15), "till");
    }

    #[test]
    fn an_answer_that_comes_late_brings_nothing_back() {
        let managed = managed();
        let made = row(&managed, "till", "ms-till", 1);
        let deleted = KeyRow { deleted_at: Some(1), version: 2, ..made.clone() };
        managed.take(vec![deleted], Duration::ZERO);
        managed.take(vec![made], Duration::ZERO);
        assert!(managed.rows().is_empty());
    }

    #[test]
    fn a_name_that_is_free_again_inherits_nothing() {
        let managed = managed();
        let access = compiled(&managed, TEAM);
        let scope = |number| {
            let made = row(&managed, "till", "ms-till", number);
            managed.take(vec![made.clone()], Duration::ZERO);
            access.stock(&Metrics::new());
            let scope = access.key("till").expect("it is there").scope.to_string();
            managed.take(vec![KeyRow { deleted_at: Some(1), version: number + 1, ..made }], Duration::ZERO);
            scope
        };
        assert_ne!(scope(1), scope(3));
    }

    #[test]
    fn what_might_be_meant_to_allow_less_allows_nothing() {
        let managed = managed();
        let strange =
            KeyRow { terms: r#"{"quotas": {}}"#.to_owned(), ..row(&managed, "strange", "ms-strange", 2) };
        managed.take(vec![row(&managed, "till", "ms-till", 1), strange], Duration::ZERO);
        let orphaned = compiled(&managed, "");
        assert_eq!(whose(&orphaned, "ms-till", 15), "over: till", "its team is gone");
        assert_eq!(
            whose(&compiled(&managed, TEAM), "ms-strange", 15),
            "over: strange",
            "a later version wrote it"
        );
        let written = compiled(&managed, &format!("{TEAM}\nkeys: {{till: {{secret: '${{SHOP}}'}}}}"));
        assert_eq!(whose(&written, "ms-till", 15), "Unknown", "the file's key has the name");
        assert_eq!(whose(&written, "secret-of-the-file", 15), "till");
    }

    #[test]
    fn no_secret_of_ours_goes_on_not_even_one_that_is_over() {
        let managed = managed();
        managed.take(vec![row(&managed, "till", "ms-till", 1)], Duration::ZERO);
        let access = compiled(&managed, TEAM);
        let request =
            Request::get("/x?key=ms-till&a=b").header("x-api-key", "ms-till").header("api-key", "theirs");
        let (mut head, ()) = request.body(()).expect("a request").into_parts();
        access.strip(&mut head);
        assert_eq!((head.uri.to_string().as_str(), head.headers.len()), ("/x?a=b", 1));
    }
}
