//! The `server:` section.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::access::{Unfit, access, secret_at};
use super::{Scene, cors, media, operators, redis};
use crate::config::blueprint::{
    Access, AdminSide, Idempotency, Limits, Responses, Server, ServerTimeouts, ServerTls,
};
use crate::config::file::{degrade, server as file};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;
use crate::config::units::Size;
use crate::vocab::Secret;

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);

pub fn check(scene: &Scene<'_>, findings: &mut Findings) -> Option<Server> {
    let said = &scene.file.server;
    let path = Path::root().key("server");
    let listen = address(said.listen.as_deref(), LISTEN, &path.key("listen"), findings);
    let admin = address(said.admin.as_deref(), ADMIN, &path.key("admin"), findings);
    if let (Some(listen), Some(admin)) = (listen, admin)
        && listen == admin
        && listen.port() != 0
    {
        findings.error(
            &scene.root.said_at(
                std::slice::from_ref(&path),
                &[if said.admin.is_some() { "admin" } else { "listen" }],
            ),
            format!("{admin} is both `listen` and `admin`"),
            "give the admin side (127.0.0.1:9090 unless said) a port of its own",
        );
    }
    let admin_token = own_secret(scene, said.admin_token.as_deref(), &path.key("admin_token"), 16, findings);
    let admin_tokens = operators::tokens(scene, admin_token.as_ref(), &path, findings);
    let admin_tls = operators::tls(scene, &path, findings);
    let asks =
        ["admin_token", "admin_tokens"].iter().any(|setting| scene.root.has_value(&path.key(*setting)))
            || !said.admin_tls.clients.0.is_empty();
    if admin.is_some_and(|admin| !admin.ip().is_loopback()) && !asks {
        findings.error(
            &path.key("admin"),
            "other machines can reach the admin side, and nobody is asked who he is",
            "write `admin_token: \"${MAINSTAY_ADMIN_TOKEN}\"` beside it and set the variable, or listen on 127.0.0.1",
        );
    }
    let everybody = said.open_to_everybody.unwrap_or(false);
    if listen.is_some_and(|listen| !listen.ip().is_loopback())
        && access(scene.file.access) == Access::Open
        && !everybody
    {
        findings.error(
            &path.key("listen"),
            "other machines can reach this, and nobody is asked for a key",
            "write `access: keys` and `keys:`, or listen on 127.0.0.1, or, where everybody may use what you pay for, \
             `open_to_everybody: true` beside it",
        );
    }
    let key_hash_secret =
        own_secret(scene, said.key_hash_secret.as_deref(), &path.key("key_hash_secret"), 32, findings);
    if said.key_hash_secret.is_some() && scene.file.store.is_none() {
        findings.warn(
            &path.key("key_hash_secret"),
            "there are no managed keys without a `store`",
            "write `store: {url: \"sqlite:mainstay.db\"}`, or remove it",
        );
    }
    let tls = certificate(said.tls.cert.as_deref(), said.tls.key.as_deref(), &path.key("tls"), findings);
    Some(Server {
        listen: listen?,
        admin: admin?,
        admin_token,
        admin_tokens,
        admin_tls,
        key_hash_secret,
        tls,
        limits: limits(&said.limits, &path.key("limits"), findings),
        timeouts: timeouts(&said.timeouts, &path.key("timeouts"), findings),
        drain: settle::drain(&said.drain),
        probe_concurrency: said.probe_concurrency.unwrap_or(16),
        cors: cors::check(scene, &path.key("cors"), findings)?,
        media: media::check(&said.media, &path.key("media"), findings)?,
        responses: responses(&said.responses, &path.key("responses"), findings),
        cache_memory: cache_memory(said.cache_memory, &path.key("cache_memory"), findings),
        idempotency: idempotency(&said.idempotency, &path.key("idempotency"), findings),
        state_file: said.state_file.as_deref().map(Into::into),
        redis: match &said.redis {
            Some(said) => Some(redis::check(said, &path.key("redis"), scene, findings)?),
            None => None,
        },
    })
}

/// Of `server`, what whoever asks the admin side has to know. `None` where its address is wrong.
pub fn admin_side(scene: &Scene<'_>, findings: &mut Findings) -> Option<AdminSide> {
    let said = &scene.file.server;
    let path = Path::root().key("server");
    Some(AdminSide {
        address: address(said.admin.as_deref(), ADMIN, &path.key("admin"), findings)?,
        token: own_secret(scene, said.admin_token.as_deref(), &path.key("admin_token"), 16, findings),
        certificate: said.admin_tls.cert.as_deref().map(Into::into),
    })
}

/// Both files of a listener's certificate, or none.
pub fn certificate(
    cert: Option<&str>,
    key: Option<&str>,
    path: &Path,
    findings: &mut Findings,
) -> Option<ServerTls> {
    let (missing, hint) = match (cert, key) {
        (Some(cert), Some(key)) => return Some(ServerTls { cert: cert.into(), key: key.into() }),
        (None, None) => return None,
        (Some(_), None) => ("`key` is missing", "PEM file with the private key"),
        (None, Some(_)) => ("`cert` is missing", "PEM file with the certificate chain"),
    };
    findings.error_at_key(path, missing, hint);
    None
}

/// A secret of the gateway's own at `path`. One that is wrong, or not there, is an error: nothing may be open for it.
pub fn own_secret(
    scene: &Scene<'_>,
    said: Option<&str>,
    path: &Path,
    least: usize,
    findings: &mut Findings,
) -> Option<Secret> {
    let said = said?;
    match secret_at(scene, path, said, least) {
        Ok(secret) => Some(secret),
        Err(Unfit::Missing(what)) => {
            findings.error(path, format!("{what} is not there or empty"), "set it, or remove this");
            None
        }
        Err(Unfit::Wrong(message, hint)) => {
            findings.error(path, message, hint);
            None
        }
    }
}

const MOST_MEMORY: u64 = 64 << 30;

fn limits(said: &file::Limits, path: &Path, findings: &mut Findings) -> Limits {
    let limits = settle::limits(said);
    if said.memory.is_some() && limits.memory < limits.max_body.saturating_mul(2) {
        findings.error(
            &path.key("memory"),
            "less memory for requests than two bodies of `max_body` take, so such a body might never come in",
            "512MiB is the default; raise it, or lower `max_body` (64MiB unless said)",
        );
    }
    let least = [
        ("max_body", limits.max_body, 1024, "1KiB"),
        ("max_header_bytes", limits.max_header_bytes, 1024, "1KiB"),
        ("max_headers", limits.max_headers.into(), 8, "8"),
        ("max_uri", limits.max_uri, 64, "64B"),
    ];
    for (name, said, least, shown) in least {
        if said < least {
            let hint = "leave it out for the default";
            findings.error(
                &path.key(name),
                format!("less than {shown}: hardly any request would come in"),
                hint,
            );
        }
    }
    if said.memory.is_some() && limits.memory > MOST_MEMORY {
        let hint = "512MiB, the default, hold some ten thousand requests of usual length";
        findings.error(&path.key("memory"), "more than 64GiB of memory for requests", hint);
    }
    limits
}

fn timeouts(said: &file::ServerTimeouts, path: &Path, findings: &mut Findings) -> ServerTimeouts {
    let timeouts = settle::server_timeouts(said);
    for (name, duration) in [
        ("header_read", timeouts.header_read),
        ("body_read", timeouts.body_read),
        ("write_stall", timeouts.write_stall),
    ] {
        if duration.is_zero() {
            findings.error(&path.key(name), "no time at all cuts off whoever needs some", NO_TIME);
        }
    }
    timeouts
}

/// What to do about a duration of 0 that leaves no time for anything.
pub const NO_TIME: &str = "leave it out for the default, or write a long time for one that never ends";

fn cache_memory(said: Option<Size>, path: &Path, findings: &mut Findings) -> u64 {
    let memory = settle::cache_memory(said);
    if memory > MOST_MEMORY {
        let hint = "64MiB, the default, hold some ten thousand answers";
        findings.error(path, "more than 64GiB of memory for kept answers", hint);
    }
    memory
}

fn idempotency(said: &degrade::Idempotency, path: &Path, findings: &mut Findings) -> Idempotency {
    const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
    let idempotency = settle::idempotency(said);
    if idempotency.memory > MOST_MEMORY {
        let hint = "16MiB is the default; `enabled: false` keeps nothing";
        findings.error(&path.key("memory"), "more than 64GiB of memory for repeated requests", hint);
    }
    if !TTL.contains(&idempotency.ttl) {
        let hint = "10m is the default; `enabled: false` keeps nothing";
        findings.error(&path.key("ttl"), "a key means its answer for 1s to 30d", hint);
    }
    idempotency
}

/// Bounded on both sides: what is no bound would be found out when the memory is gone.
fn responses(said: &file::Responses, path: &Path, findings: &mut Findings) -> Responses {
    const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(30 * 24);
    let responses = settle::responses(said);
    if responses.memory > MOST_MEMORY {
        findings.error(
            &path.key("memory"),
            "more than 64GiB of memory for remembered responses",
            "64MiB, the default, hold some thousand conversations; 0 remembers nothing",
        );
    }
    if !TTL.contains(&responses.ttl) {
        findings.error(
            &path.key("ttl"),
            "responses are remembered for 1s to 30d after their last use",
            "1h is the default; `memory: 0` remembers nothing",
        );
    }
    responses
}

fn address(
    said: Option<&str>,
    default: SocketAddr,
    path: &Path,
    findings: &mut Findings,
) -> Option<SocketAddr> {
    let Some(text) = said else { return Some(default) };
    let address = text.parse().ok();
    if address.is_none() {
        let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok());
        let port = port.map_or(default.port().to_string(), str::to_owned);
        findings.error(
            path,
            format!("`{text}` is not an address and port"),
            format!("write 127.0.0.1:{port} for this machine only, or 0.0.0.0:{port} for all networks"),
        );
    }
    address
}
