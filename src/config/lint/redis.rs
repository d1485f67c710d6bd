//! Warnings about `server.redis`: what is shared there and with whom.

use std::net::IpAddr;

use crate::algo::limit::Allowance;
use crate::config::blueprint::{Blueprint, Budget, Lineage};
use crate::config::path::Path;
use crate::config::problem::Findings;

pub fn lint(blueprint: &Blueprint, findings: &mut Findings) {
    let Some(redis) = &blueprint.server.redis else { return };
    let path = Path::root().key("server").key("redis");
    if !is_anybody_bound(blueprint)
        && blueprint.upstreams.iter().all(|upstream| upstream.credentials.is_empty())
    {
        findings.warn_at_key(
            &path,
            "there is nothing to share: no upstream has a key that could be told of, and nobody has limits or budgets",
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

/// Whether there are limits or budgets, or may be: a managed key brings its own.
fn is_anybody_bound(blueprint: &Blueprint) -> bool {
    let members = blueprint.members.iter().chain(blueprint.keys.iter().map(|key| &key.lineage));
    let members = members.flat_map(Lineage::members).map(|member| &**member);
    let mut members = members.chain(blueprint.issuers.iter().map(|issuer| &issuer.own));
    let is_bound = |limits: &Allowance, budgets: &[Budget]| !limits.is_unlimited() || !budgets.is_empty();
    members.any(|member| is_bound(&member.limits, &member.budgets))
        || blueprint.routes.iter().any(|route| is_bound(&route.limits, &route.budgets))
        || blueprint.server.key_hash_secret.is_some()
}

/// Whether it is on this machine, as far as its name says so.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use crate::config::load;
    use crate::config::testing::Given;

    fn shares_nothing(server: &str, route: &str, rest: &str) -> bool {
        let text = format!(
            "version: 1\nserver: {{redis: {{url: 'redis://h:6379'}}{server}}}\nupstreams: {{a: {{provider: simulated}}}}\n\
             routes: [{{model: m{route}, channels: [{{upstream: a}}]}}]\n{rest}\n"
        );
        let env = Given::default().var("HASH", "0123456789abcdef0123456789abcdef");
        let loaded = load(&text, &env).unwrap_or_else(|problems| panic!("{problems:?}"));
        loaded.warnings.iter().any(|problem| problem.message.starts_with("there is nothing to share"))
    }

    #[test]
    fn whoever_has_limits_or_budgets_has_something_to_share() {
        assert!(shares_nothing("", "", ""));
        assert!(!shares_nothing("", ", limits: {rpm: 1}", ""));
        assert!(!shares_nothing("", ", budgets: [{per: day, limit: 1}]", ""));
        for own in ["limits: {rpm: 1}", "budgets: [{per: day, limit: 1}]"] {
            let issuer = format!("issuers: {{okta: {{issuer: 'https://x', audience: m, {own}}}}}");
            assert!(!shares_nothing("", "", &issuer), "{own}");
        }
        let managed = ", key_hash_secret: '${HASH}'";
        assert!(!shares_nothing(managed, "", "store: {url: 'sqlite:m.db'}"), "keys bring their own");
    }
}
