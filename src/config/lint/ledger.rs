//! Labels that nobody writes down.

use crate::config::blueprint::Blueprint;
use crate::config::path::Path;
use crate::config::problem::Findings;

pub fn lint(blueprint: &Blueprint, findings: &mut Findings) {
    if blueprint.store.is_none() && !blueprint.ledger.tags.is_empty() {
        findings.warn(
            &Path::root().key("ledger").key("tags"),
            "labels of requests that are written down nowhere: there is no store",
            "add `store: {url: \"sqlite:mainstay.db\"}`, or remove them",
        );
    }
}
