//! The only room that opens outbound connections.
//!
//! A [`Pool`] belongs to one upstream. [`Pool::call`] sends one request and gives back the response's
//! head with an [`Incoming`] body; dropping either cancels the exchange at the peer at once. It retries
//! nothing that may have left, follows no redirect, decompresses nothing and classifies no status:
//! that is the business of rooms above.
//!
//! [`Pool::authorize`] puts a credential on a request before it is called with (`auth`).
//!
//! A [`Fetcher`] gets what callers' URLs name, from strangers, and minds whom it asks (`fetch`).
//!
//! Where an upstream is reached by a forward proxy, every connection to it begins with a CONNECT (`tunnel`).
//!
//! HTTP/1.1 connections have no task of their own: whoever waits for the response drives the
//! connection (`h1`). HTTP/2 connections are shared, and each has one task (`h2`).

mod body;
mod call;
mod dial;
mod document;
mod fetch;
mod h1;
mod h2;
mod lane;
mod lookup;
mod obtain;
mod patience;
mod pool;
mod post;
mod shelf;
mod slot;
mod target;
mod tls;
mod tunnel;

pub mod auth;
pub mod headers;
pub mod probe;
pub mod upgrade;

#[cfg(test)]
mod tests;

pub use body::{BodyFault, BoxBody, BoxError, Incoming, Outgoing};
pub use call::{CallError, CallLimits, Doubt, Reuse};
pub use dial::{Dial, DialError, Dialing, Resolving, Socket, TcpDial};
pub use document::{DocumentError, document};
pub use fetch::{FetchError, Fetched, Fetcher, Purse};
pub use pool::{Pool, PoolCounts};
pub use post::Poster;
pub use target::{Proxy, Target};
pub use tls::{Roots, RootsError};
pub use upgrade::Upgraded;

use tokio::time::Instant;

/// The time that ages of connections are counted in. Tokio's clock and not the engine's, because these
/// ages are compared with tokio's timers and must stop with them in tests under paused time.
#[expect(clippy::disallowed_methods, reason = "connection ages live on the clock of tokio's timers")]
fn now() -> Instant {
    Instant::now()
}
