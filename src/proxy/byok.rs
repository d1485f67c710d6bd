//! Callers who bring a key of their own to a provider: which header it is in, whether the route takes it, and whom it
//! is for. It goes along in place of ours (`attempt`), and what its provider says of it is the caller's affair
//! (`route::verdict`); no memory of ours hears of that.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::Gateway;
use super::intake::Arrival;
use super::refuse::{Refusal, in_short};
use crate::access::{Caller, OwnKey};
use crate::algo::sigv4::Keys;
use crate::config::{self, Byok};
use crate::dialect::provider::Auth;
use crate::dialect::provider::grant::Grant;
use crate::dialect::trouble::Kind;
use crate::state::Table;
use crate::vocab::Secret;

const KEY: HeaderName = HeaderName::from_static("x-mainstay-provider-key");
/// Whose it is, where that is not plain.
const PROVIDER: HeaderName = HeaderName::from_static("x-mainstay-provider");
/// Longest key that is taken.
const LONGEST: usize = 4096;

/// The key that came along, and the caller with what he leaves behind under it.
pub fn sent(
    gateway: &Gateway,
    caller: Caller,
    arrival: &Arrival,
) -> Result<(Caller, Option<Secret>), Box<Refusal>> {
    let secret = read(&arrival.head.headers).map_err(|why| arrival.refuse(Kind::BadRequest, why))?;
    let Some(secret) = secret else { return Ok((caller, None)) };
    let scope = gateway.own_keys.scope(&caller, &secret);
    Ok((caller.apart(scope), Some(secret)))
}

/// Refuses a key where there is no provider that it could go to.
pub fn none_here(arrival: &Arrival) -> Result<(), Box<Refusal>> {
    if !arrival.head.headers.contains_key(KEY) {
        return Ok(());
    }
    let message =
        format!("the header {KEY} is for requests to models; what is asked for here is served without it");
    Err(arrival.refuse(Kind::BadRequest, message))
}

/// The caller with the key that came along, if his `route` takes it, and needs it.
pub fn on_route(
    table: &Table,
    route: usize,
    caller: Caller,
    secret: Option<Secret>,
    arrival: &Arrival,
) -> Result<Caller, Box<Refusal>> {
    let route = &table.routes[route];
    let name = &route.config.name;
    let refuse = |kind, message: String| Err(arrival.refuse(kind, message));
    let secret = match (secret, route.config.byok) {
        (None, Byok::Off | Byok::Allow) => return Ok(caller),
        (None, Byok::Require) => {
            let message =
                format!("the route `{name}` wants your own key to its provider, in the header {KEY}");
            return refuse(Kind::Unauthorized, message);
        }
        (Some(_), Byok::Off) => {
            let message =
                format!("the route `{name}` takes no keys of callers' own; leave the header {KEY} out");
            return refuse(Kind::BadRequest, message);
        }
        (Some(secret), Byok::Allow | Byok::Require) => secret,
    };
    let upstreams = route.channels.iter().map(|channel| &channel.upstream.config);
    let may_take = |upstream: &&config::Upstream| upstream.takes_own(route.config.byok);
    let mut takers: Vec<&config::Upstream> = upstreams.filter(may_take).collect();
    if takers.is_empty() {
        let message = format!(
            "nobody on the route `{name}` is paid with a key, so yours would pay for nothing; leave the header {KEY} out"
        );
        return refuse(Kind::BadRequest, message);
    }
    let said = arrival.head.headers.get(PROVIDER).map(|value| value.to_str().unwrap_or_default());
    if let Some(said) = said {
        takers.retain(|upstream| upstream.taker() == said);
        if takers.is_empty() {
            let message = format!(
                "nobody on the route `{name}` takes keys to `{}` (header {PROVIDER})",
                in_short(said)
            );
            return refuse(Kind::BadRequest, message);
        }
    }
    let Some(taker) = takers.first().map(|upstream| upstream.taker()) else {
        return refuse(Kind::BadRequest, format!("nobody on the route `{name}` takes a key"));
    };
    if takers.iter().any(|upstream| upstream.taker() != taker) {
        let mut names: Vec<&str> = takers.iter().map(|upstream| upstream.taker()).collect();
        names.sort_unstable();
        names.dedup();
        let message = format!(
            "say in the header {PROVIDER} whose key it is; the route `{name}` has {}",
            names.join(", ")
        );
        return refuse(Kind::BadRequest, message);
    }
    if takers.iter().any(|upstream| has_to_be_worked_with(upstream, &secret)) {
        let message = format!(
            "the key in the header {KEY} is none that can be sent as it is; send an API key or a token that \
             holds, not what signs requests or is exchanged for one"
        );
        return refuse(Kind::BadRequest, message);
    }
    Ok(caller.bringing(OwnKey { secret, taker: Arc::from(taker) }))
}

/// Whether it signs requests, or has to be exchanged for a token, which would have the gateway ask whoever it names.
fn has_to_be_worked_with(upstream: &config::Upstream, secret: &Secret) -> bool {
    let auths = upstream.speaks.iter().map(|dialect| upstream.provider.auth_in(*dialect));
    auths.into_iter().any(|auth| match auth {
        Auth::Aws(_) => Keys::parse(secret.expose()).is_some(),
        Auth::Google | Auth::Azure(_) => Grant::is_one(secret.expose()),
        Auth::None | Auth::Bearer | Auth::Header(_) | Auth::Query(_) => false,
    })
}

fn read(headers: &HeaderMap) -> Result<Option<Secret>, String> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("the header {KEY} came twice; send it once"));
    }
    let fits =
        |text: &&str| (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = value.to_str().ok().filter(fits);
    text.map(|text| Some(Secret::new(text))).ok_or_else(|| {
        format!(
            "the header {KEY} is empty, longer than {LONGEST} bytes, or has something in it that no key has"
        )
    })
}
