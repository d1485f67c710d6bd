//! Warnings about `server.redis`: what is shared there and with whom.

use std::net::IpAddr;

use crate::config::blueprint::{Blueprint, Lineage};
use crate::config::path::Path;
use crate::config::problem::Findings;

pub fn lint(blueprint: &Blueprint, findings: &mut Findings) {
    let Some(redis) = &blueprint.server.redis else { return };
    let path = Path::root().key("server").key("redis");
    let members = blueprint.members.iter().chain(blueprint.keys.iter().map(|key| &key.lineage));
    let limited = members.flat_map(Lineage::members).any(|member| !member.limits.is_unlimited())
        || blueprint.routes.iter().any(|route| !route.limits.is_unlimited());
    if !limited && blueprint.upstreams.iter().all(|upstream| upstream.credentials.is_empty()) {
        findings.warn_at_key(
            &path,
            "there is nothing to share: no upstream has a key that could be told of, and nobody has limits",
            "add `credentials` to an upstream, or remove it",
        );
    }
    if redis.password.is_some() && !redis.tls && !is_here(&redis.host) {
        findings.warn_at_key(
            &path,
            "the password goes over the network in clear text",
            "write rediss:// in its `url`, or see to it that nobody listens on the way",
        );
    }
    if redis.ca_file.is_some() && !redis.tls {
        findings.warn(
            &path.key("ca_file"),
            "`ca_file` does nothing without TLS",
            "write rediss:// in its `url`",
        );
    }
    if redis.timeout >= redis.poll {
        let hint = "make `timeout` shorter than `poll`";
        findings.warn(
            &path.key("timeout"),
            "an answer may take longer than the time between two looks",
            hint,
        );
    }
}

/// Whether it is on this machine, as far as its name says so.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
