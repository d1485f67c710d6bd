//! Everything that a rehearsal follows from.

use std::sync::Arc;
use std::time::Duration;

use crate::config::rehearsal::{Script, Target, Workload};
use crate::config::{Blueprint, Credential, Readiness};
use crate::vocab::Secret;

/// Everything that a run follows from.
#[derive(Clone, Debug)]
pub struct Rehearsal<'a> {
    pub blueprint: &'a Blueprint,
    pub script: &'a Script,
    pub workload: &'a Workload,
    /// For so long callers come. The run ends when the last of them has gone.
    pub duration: Duration,
    pub seed: u64,
    /// In the order of their times.
    pub reloads: Vec<Reload>,
    pub freezes: Vec<Freeze>,
    pub steps: Vec<WallStep>,
    /// So many conversations go on at a time, of which every request belongs to one; 0 is none.
    pub conversations: u64,
    /// Between an attempt's begin and the moment when it is sent at most so much time passes.
    pub dawdle: Duration,
}

impl<'a> Rehearsal<'a> {
    /// One in which nothing happens to the gateway itself.
    pub const fn of(
        blueprint: &'a Blueprint,
        script: &'a Script,
        workload: &'a Workload,
        duration: Duration,
        seed: u64,
    ) -> Self {
        Self {
            blueprint,
            script,
            workload,
            duration,
            seed,
            reloads: Vec::new(),
            freezes: Vec::new(),
            steps: Vec::new(),
            conversations: 0,
            dawdle: Duration::ZERO,
        }
    }
}

/// Somebody sets the wall's clock by so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallStep {
    pub at: Duration,
    pub by: i64,
}

/// Another configuration is put in force.
#[derive(Clone, Debug)]
pub struct Reload {
    pub at: Duration,
    pub blueprint: Blueprint,
    pub how: Handover,
}

/// Who serves from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The same process, which forgets nothing that it can still use.
    Reload,
    /// Another one, which knows what this one has written down. This one sees its requests to their end.
    Restart,
}

/// The process does not run for a while, and then sees all at once what has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub at: Duration,
    pub lasting: Duration,
}

/// A kind of requests that no route takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no route takes {what} of the workload")]
pub struct Unroutable {
    what: String,
}

impl Unroutable {
    pub(super) fn new(target: &Target) -> Self {
        Self { what: target.to_string() }
    }
}

/// Makes upstreams usable whose keys are not set on this machine; their names.
pub fn pretend_keys(blueprint: &mut Blueprint) -> Vec<Arc<str>> {
    let mut pretended = Vec::new();
    for upstream in &mut blueprint.upstreams {
        let Readiness::Unconfigured { missing } = &upstream.readiness else { continue };
        for number in upstream.credentials.len() + 1..=missing.len().max(1) {
            upstream.credentials.push(Credential {
                alias: format!("{}#{number}", upstream.name),
                secret: Secret::new(format!("rehearsed-{number}")),
                fingerprint: format!("rehearsed {number}"),
                quota_group: None,
            });
        }
        upstream.readiness = Readiness::Ready;
        pretended.push(Arc::clone(&upstream.name));
    }
    pretended
}
