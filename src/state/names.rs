//! The names that a table has, by the labels of metrics that they are values of: series of others are of what is gone.

use std::collections::HashSet;

use super::table::Table;

pub struct Names<'t> {
    revision: &'t str,
    routes: HashSet<&'t str>,
    upstreams: HashSet<&'t str>,
    models: HashSet<&'t str>,
    credentials: HashSet<&'t str>,
}

impl Table {
    pub fn names(&self) -> Names<'_> {
        let routes: HashSet<&str> = self.routes.iter().map(|route| &*route.config.name).collect();
        let channels = || self.routes.iter().flat_map(|route| route.channels.iter());
        // Where callers name models, a channel goes by its route's name, or by one for all.
        let models = channels().filter_map(|channel| channel.own_model()).map(|model| &*model.name);
        let models = models.chain(routes.iter().copied()).chain(["*", "other"]).collect();
        let keys = self.upstreams.iter().flat_map(|upstream| upstream.credentials.iter());
        let upstreams: HashSet<&str> = self.upstreams.iter().map(|upstream| &*upstream.config.name).collect();
        Names {
            revision: &self.revision,
            models,
            credentials: keys.map(|key| &*key.alias).chain(upstreams.iter().copied()).collect(),
            routes,
            upstreams,
        }
    }
}

impl Names<'_> {
    /// Whether `value` is there, as far as a table can say it; callers' keys and webhooks hold their own series.
    pub fn has(&self, label: &str, value: &str) -> bool {
        match label {
            "revision" => value == self.revision,
            "route" | "to" => self.routes.contains(value),
            "upstream" => self.upstreams.contains(value),
            "model" => self.models.contains(value),
            "credential" => self.credentials.contains(value),
            "key" | "webhook" => false,
            _ => true,
        }
    }
}
