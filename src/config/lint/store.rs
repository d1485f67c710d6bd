//! Warnings about `store`: a file that several replicas would each have for themselves.

use crate::config::blueprint::{Blueprint, StorePlace};
use crate::config::path::Path;
use crate::config::problem::Findings;

pub fn lint(blueprint: &Blueprint, findings: &mut Findings) {
    let file = blueprint.store.as_ref().is_some_and(|store| matches!(store.place, StorePlace::Sqlite(_)));
    if file && blueprint.server.redis.is_some() {
        findings.warn_at_key(
            &Path::root().key("store"),
            "each replica has a file of its own: keys that are made at one are unknown to the others",
            "give all of them the URL of one PostgreSQL, or remove `server.redis` where there is one replica only",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::Given;

    #[test]
    fn replicas_that_share_are_told_that_a_file_is_not_shared() {
        let check = |redis: &str, url: &str, warned: bool| {
            let file = format!(
                "version: 1\nserver: {{{redis}}}\nstore: {{url: '{url}'}}\nupstreams: {{a: {{provider: simulated}}}}\n\
                 routes: [{{model: m, channels: [{{upstream: a}}]}}]\n"
            );
            let loaded = crate::config::load(&file, &Given::default()).expect("a good file");
            let about = loaded.warnings.iter().any(|problem| problem.path == "store");
            assert_eq!(about, warned, "{redis} {url}: {:?}", loaded.warnings);
        };
        check("redis: {url: 'redis://h'}", "sqlite:x.db", true);
        check("redis: {url: 'redis://h'}", "postgres://gate@h/x", false);
        check("", "sqlite:x.db", false);
    }
}
