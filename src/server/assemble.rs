//! Builds what a blueprint describes: upstreams' connections, live memory, the table.
//!
//! Everything that can fail comes first, so that a failure leaves no trace. A pool is kept as long as
//! neither its target nor its settings change, whatever else in the file does.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ClientConfig;

use super::builtin::{Builtin, Simulating};
use super::loader::{Draft, Rejection};
use crate::access::tokens::Publishers;
use crate::access::{Access, Managed};
use crate::config::{self, BaseUrl};
use crate::proxy::Snapshot;
use crate::simulated::Simulated;
use crate::state::memoir::Memoir;
use crate::state::{Live, Registry, Table};
use crate::upstream::{Dial, Fetcher, Pool, Proxy, Target};

pub(super) struct Assembler {
    live: Arc<Live>,
    dial: Arc<dyn Dial>,
    registry: Registry,
    pools: HashMap<Arc<str>, Kept>,
    /// Kept as long as its settings are the same: its turns are for all requests together.
    fetcher: Option<Arc<Fetcher>>,
    pub(super) builtin: Arc<Builtin>,
    /// What is known of the store's keys.
    pub(super) managed: Option<Arc<Managed>>,
    /// What is known of issuers' keys.
    pub(super) publishers: Arc<Publishers>,
}

struct Kept {
    identity: Identity,
    pool: Arc<Pool>,
}

/// What makes connections usable for an upstream.
#[derive(Clone, Debug)]
struct Identity {
    base: BaseUrl,
    server_name: Option<String>,
    roots: Option<Arc<ClientConfig>>,
    aws_region: Option<Arc<str>>,
    proxy: Option<config::Proxy>,
    settings: config::Pool,
}

/// What is not part of the new snapshot any more.
#[derive(Default)]
pub(super) struct Replaced {
    pub(super) pools: Vec<Arc<Pool>>,
    pub(super) simulated: Vec<Arc<Simulated>>,
}

impl Assembler {
    pub(super) fn new(live: Arc<Live>, dial: Arc<dyn Dial>, simulating: Simulating) -> Self {
        let builtin = Arc::new(Builtin::new(simulating));
        Self {
            live,
            dial,
            registry: Registry::default(),
            pools: HashMap::new(),
            fetcher: None,
            builtin,
            managed: None,
            publishers: Arc::default(),
        }
    }

    /// Takes what an earlier process knew. Before the first snapshot.
    pub(super) fn recall(&mut self, memoir: Memoir) {
        self.registry.recall(memoir);
    }

    /// Builds a snapshot. What it replaces goes on working for the requests that hold it.
    pub(super) fn assemble(
        &mut self,
        file: &str,
        draft: &mut Draft,
    ) -> Result<(Snapshot, Replaced), Rejection> {
        let prepared = self.builtin.prepare(&mut draft.blueprint).map_err(|error| Rejection::Unusable {
            file: file.to_owned(),
            path: "upstreams".to_owned(),
            why: format!("cannot start a simulated upstream: {error}"),
        })?;
        let simulated = self.builtin.commit(prepared);
        self.live.metrics.limit(draft.blueprint.telemetry.max_series);
        let mut before = std::mem::take(&mut self.pools);
        let mut pools = Vec::with_capacity(draft.blueprint.upstreams.len());
        for upstream in &draft.blueprint.upstreams {
            let showing = draft.showing.get(&upstream.name);
            let roots = showing.or_else(|| draft.roots.get(&upstream.tls.ca_file));
            let roots = roots.filter(|_| upstream.base.https);
            let identity = Identity {
                base: upstream.base.clone(),
                server_name: upstream.tls.server_name.clone(),
                roots: roots.cloned(),
                aws_region: upstream.aws_region.clone(),
                proxy: upstream.proxy.clone(),
                settings: upstream.pool.clone(),
            };
            let kept = before.remove_entry(&upstream.name);
            let pool = match kept {
                Some((_, kept)) if kept.identity == identity => kept.pool,
                other => {
                    before.extend(other);
                    Pool::new(
                        Arc::clone(&upstream.name),
                        identity.target(),
                        upstream.pool.clone(),
                        Arc::clone(&self.dial),
                    )
                }
            };
            pool.count_in(&self.live.metrics);
            self.pools.insert(Arc::clone(&upstream.name), Kept { identity, pool: Arc::clone(&pool) });
            pools.push(pool);
        }
        let table = Table::compile(&draft.blueprint, &mut self.registry, &self.live);
        let replaced = Replaced { pools: before.into_values().map(|kept| kept.pool).collect(), simulated };
        let metrics = &self.live.metrics;
        let issuers = &draft.blueprint.issuers;
        let access = Access::compile(&draft.blueprint, metrics)
            .trusting(issuers, &self.publishers, metrics)
            .with(self.managed.as_ref(), metrics);
        self.publishers.keep(issuers, |issuer| draft.roots.get(&issuer.ca_file).cloned());
        let access = Arc::new(access);
        let fetcher = self.fetcher(&draft.blueprint.server.media);
        Ok((Snapshot { table: Arc::new(table), pools: pools.into(), access, fetcher }, replaced))
    }
}

impl Assembler {
    fn fetcher(&mut self, settings: &config::Media) -> Arc<Fetcher> {
        let kept = self.fetcher.take().filter(|kept| kept.settings() == settings);
        let made = || Fetcher::new(settings.clone(), Arc::clone(&self.dial));
        Arc::clone(self.fetcher.insert(kept.unwrap_or_else(made)))
    }
}

impl Identity {
    fn target(&self) -> Target {
        let target = Target::new(&self.base, self.settings.http2)
            .in_region(self.aws_region.as_deref())
            .through(self.proxy.as_ref().map(Proxy::new));
        match &self.roots {
            Some(roots) => target.with_tls(Arc::clone(roots), self.server_name.as_deref()),
            None => target,
        }
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        let same_roots = match (&self.roots, &other.roots) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_roots
            && self.base == other.base
            && self.server_name == other.server_name
            && self.aws_region == other.aws_region
            && self.proxy == other.proxy
            && self.settings == other.settings
    }
}
