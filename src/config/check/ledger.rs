//! The `ledger:` section.

use std::sync::Arc;

use http::HeaderName;

use super::Scene;
use crate::config::blueprint::{Ledger, SpoolSettings};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;

/// Less is full within seconds.
const LEAST: u64 = 1 << 20;
const MOST: u64 = 1 << 40;

/// Headers with which callers prove who they are.
const SECRETS: [&str; 6] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

pub fn check(scene: &Scene<'_>, findings: &mut Findings) -> Ledger {
    let said = &scene.file.ledger;
    let path = Path::root().key("ledger");
    let mut tags: Vec<Arc<str>> = Vec::new();
    for (index, name) in said.tags.iter().flatten().enumerate() {
        let at = path.key("tags").index(index);
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if SECRETS.contains(&name.as_str()) => findings.error(
                &at,
                format!("`{name}` holds a secret, which is never written down"),
                "name a header that says whom a request is for, as x-customer",
            ),
            Ok(name) if tags.iter().any(|tag| **tag == *name.as_str()) => {
                findings.error(&at, format!("`{name}` is there twice"), "remove one of them");
            }
            Ok(name) => tags.push(name.as_str().into()),
            Err(_) => findings.error(&at, format!("`{name}` is no header"), "as in [x-customer, x-feature]"),
        }
    }
    let spool = SpoolSettings {
        path: said.spool.path.as_deref().map(Into::into),
        max_bytes: settle::spool_bytes(&said.spool),
    };
    if !(LEAST..=MOST).contains(&spool.max_bytes) {
        let hint = "1GiB, the default, holds a million requests or so";
        findings.error(&path.key("spool").key("max_bytes"), "a spool has 1MiB to 1TiB", hint);
    }
    Ledger { tags, spool }
}
