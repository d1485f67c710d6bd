//! Sockets in, background work, and the life of the process.
//!
//! ```text
//! listen ── (tls) ── connection ── line (stalls, raw heads) ── hyper ── guard ── edge ── the gateway
//!                        └─ front (how many, closing)              └─ streams (HTTP/2)
//! console ── line ── hyper ── guard ── admin's router
//! host ── tasks: expire, pulse, sweep, recheck, certificate, prober, watch, sharing, store
//!    └─ reload ── loader (file -> draft) ── assemble (draft -> snapshot) ── the gateway's swap
//! ```
//!
//! | file | job |
//! |---|---|
//! | [`listen`], [`tls`], [`front`], `places`, `eviction` | callers' connections: taken in, encrypted, counted, ended for others |
//! | `connection`, `conduct`, `busy`, `line`, `streams` | one connection; when it has been silent, or deaf, for too long |
//! | `certified`, `renewal` | certificates: what a client's says, and what a listener shows when its files change |
//! | [`files`] | open files and sockets, as many as the system grants |
//! | `guard`, `framing` | heads that are refused: too large, or ambiguous |
//! | `edge` | the tower layers |
//! | [`console`] | operators' connections |
//! | [`host`], [`tasks`], [`lifecycle`], [`shutdown`] | background work, its stages, its end |
//! | `upkeep` | what has to be looked at from time to time |
//! | [`loader`], [`reload`], `watch`, `assemble`, [`builtin`] | from the file to the table in force |
//! | `editing`, `overwrite`, `history` | what operators put into the file, and what was in it before |
//! | `visitor` | a request that an operator tries out |
//! | `keyring` | the store's keys, kept up to date |
//! | `issuers` | issuers' public keys, kept up to date |
//! | `spending` | what everybody has spent, as the store knows it |
//! | `keeper` | what outlasts the process |
//! | `sharing` | what replicas tell each other |
//! | `storing` | the store, opened and tended |
//! | `alerting` | what operators are told, looked for and posted |
//! | `collector` | metrics and traces, posted to an OpenTelemetry collector |
//! | `booking` | the ledger, where there is a store for it |
//! | `capturing` | what callers say, where that is captured |
//! | [`prober`], `rescue`, `recheck` | asking upstreams and credentials how they are |

mod alerting;
mod assemble;
mod booking;
pub mod builtin;
mod busy;
mod capturing;
mod certified;
mod collector;
mod conduct;
mod connection;
pub mod console;
mod edge;
mod editing;
mod eviction;
pub mod files;
mod framing;
pub mod front;
mod guard;
mod history;
pub mod host;
mod issuers;
mod keeper;
mod keyring;
pub mod lifecycle;
mod line;
pub mod listen;
pub mod loader;
mod overwrite;
mod places;
pub mod prober;
mod recheck;
pub mod reload;
mod renewal;
mod rescue;
mod sharing;
pub mod shutdown;
mod spending;
pub mod storing;
mod streams;
pub mod tasks;
#[cfg(test)]
mod testing;
pub mod tls;
mod upkeep;
mod visitor;
mod watch;
