//! The ledger: what its rows say of requests, compared with what callers were told and upstreams billed; and a store
//! that is away.

mod away;
mod killed;
mod left;
mod rows;
mod told;
