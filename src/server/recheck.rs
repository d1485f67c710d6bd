//! Asks, at no cost, whether a credential that was refused is accepted again.
//!
//! The question is the provider's list of models, asked with that very credential. A provider without
//! such a list gets its answer from a caller: the key goes back to a trickle of single requests.

use std::sync::Arc;

use http::{Method, Request, StatusCode, Uri};
use tokio::time::timeout;

use super::prober::{Subject, introduction};
use crate::algo::cooldown::Recheck;
use crate::config::{self, ProbeKind};
use crate::proxy::Snapshot;
use crate::state::Live;
use crate::state::credential::{Cell, Credential};
use crate::upstream::{CallLimits, Outgoing, Reuse};
use crate::vocab::Fault;

/// Rechecks what is due in `snapshot`, one after the other. To be called every few seconds.
pub(super) async fn recheck(live: &Live, snapshot: &Snapshot) {
    for (upstream, pool) in snapshot.table.upstreams.iter().zip(&snapshot.pools) {
        for key in &upstream.credentials {
            let cells: [&Arc<Cell>; 2] = [&key.own, &key.quota];
            if !cells.iter().any(|cell| cell.wants_recheck(live.now())) {
                continue;
            }
            let subject = Subject { upstream: Arc::clone(upstream), pool: Arc::clone(pool) };
            let Some(answer) = ask(&subject, key).await else { continue };
            tracing::info!(
                credential = key.alias,
                accepted = (answer == Recheck::Accepted),
                "credential rechecked"
            );
            for cell in cells.iter().filter(|cell| cell.wants_recheck(live.now())) {
                cell.rechecked(answer, live.now(), &mut live.dice());
            }
        }
    }
}

/// `None` where the upstream gave no answer to the question.
async fn ask(subject: &Subject, key: &Credential) -> Option<Recheck> {
    let Subject { upstream, pool } = subject;
    // A token that was got for the key may be what is refused.
    pool.forget_token(&key.secret);
    let Some(path) = list_of_models(&upstream.config) else { return Some(Recheck::Accepted) };
    let introduction = introduction(upstream, Some(key));
    let (scheme, secret) = introduction.credential?;
    let mut request = Request::new(Outgoing::Empty);
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::try_from(path).ok()?;
    *request.headers_mut() = introduction.headers;
    let limit = upstream.config.probe.settings.timeout;
    let limits =
        CallLimits { connect: limit, tls: limit, pool_wait: limit, headers: limit, reuse: Reuse::Any };
    let asked = timeout(limit, async {
        pool.authorize(&mut request, scheme, &secret, &limits).await?;
        pool.call(request, limits).await
    });
    match asked.await.ok()? {
        Ok(response) => verdict(response.status()),
        // No token is given for it.
        Err(error) => (error.fault == Fault::AuthRefused).then_some(Recheck::Refused),
    }
}

fn verdict(status: StatusCode) -> Option<Recheck> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PAYMENT_REQUIRED => {
            Some(Recheck::Refused)
        }
        // A key whose rate is used up is a good key.
        StatusCode::TOO_MANY_REQUESTS => Some(Recheck::Accepted),
        status if status.is_success() => Some(Recheck::Accepted),
        _ => None,
    }
}

fn list_of_models(upstream: &config::Upstream) -> Option<String> {
    match &upstream.probe.kind {
        ProbeKind::ListModels { path } => Some(path.clone()),
        ProbeKind::Off | ProbeKind::Tcp | ProbeKind::Http { .. } => {
            upstream.provider.models_path(&upstream.base.path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_about_the_key_counts() {
        let of = |code| verdict(StatusCode::from_u16(code).unwrap());
        assert_eq!(of(200), Some(Recheck::Accepted));
        assert_eq!(of(429), Some(Recheck::Accepted));
        assert_eq!(of(401), Some(Recheck::Refused));
        assert_eq!(of(403), Some(Recheck::Refused));
        assert_eq!(of(500), None);
        assert_eq!(of(404), None);
    }
}
