//! Memory of one route, and a route as a table holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use parking_lot::Mutex;

use super::queue::Queue;
use super::recent::Recent;
use super::table::Channel;
use crate::algo::budget::Budget;
use crate::algo::share::Share;
use crate::algo::throttle::Throttle;
use crate::algo::wrr::Smooth;
use crate::config;
use crate::telemetry::RequestHandles;

/// What is known of a route. Survives reloads by the route's name.
#[derive(Debug)]
pub struct Memory {
    pub turn: Mutex<Smooth>,
    pub throttle: Mutex<Throttle>,
    pub budget: Mutex<Budget>,
    /// What hedges may have, beside `budget`, which they share with retries.
    pub hedges: Mutex<Share>,
    pub in_flight: AtomicU32,
    /// Requests that came to an end which was not their caller's doing, nor refused by us.
    pub ended: AtomicU64,
    /// Those of them that failed or broke off.
    pub failed: AtomicU64,
    /// Requests that wait for a channel to come back.
    pub waiting: AtomicU32,
    /// Its requests that are mirrored now.
    pub mirrors: AtomicU32,
    /// For `select: sticky`: the identity of the channel that served a conversation last.
    pub affinity: Recent<u64>,
    /// Requests that wait for a place at one of its channels.
    pub queue: Arc<Queue>,
}

/// A route of one table.
pub struct Route {
    pub config: config::Route,
    pub memory: Arc<Memory>,
    pub channels: Box<[Arc<Channel>]>,
    pub handles: Arc<RequestHandles>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("name", &self.config.name).finish_non_exhaustive()
    }
}
