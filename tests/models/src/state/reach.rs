//! What only `state` may name, for models.

use super::fate::{Fates, Member};
use super::network::{Network, WayOut};
use crate::around::{config, telemetry};

pub struct World {
    pub network: Network,
    pub ways: Vec<WayOut>,
    pub members: Vec<Member>,
    metrics: telemetry::Metrics,
}

impl World {
    /// Upstreams by these names, each its own way out, all of one fate.
    pub fn of(names: &[&str]) -> Self {
        let blueprint = config::Blueprint::of(names);
        let (network, metrics) = (Network::default(), telemetry::Metrics);
        network.follow(&blueprint);
        let mut fates = Fates::default();
        fates.follow(&blueprint, &metrics);
        let ways = blueprint.upstreams.iter().filter_map(|upstream| network.way_of(upstream)).collect();
        let members = blueprint.upstreams.iter().filter_map(|upstream| fates.member(upstream)).collect();
        Self { network, ways, members, metrics }
    }

    pub fn fails(&self, member: usize, fault: crate::vocab::Fault, now: crate::algo::tick::Tick) {
        self.members[member].failed(fault, &self.metrics, now);
    }
}

/// The handles of a credential, which count nothing here.
pub const fn handles() -> telemetry::CredentialHandles {
    telemetry::CredentialHandles
}
