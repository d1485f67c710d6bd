//! What operators allow each key at each model binds, whatever else goes on: never more in any minute or day.
//!
//! Counted is what was sent and not certainly refunded, so the count is at most the gateway's own. A process that takes
//! over begins a count of its own; that it recalls the former one's is a law of its own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use mainstay::algo::quota::Caps;
use mainstay::algo::tick::Tick;
use mainstay::config::{self, Blueprint};
use mainstay::sim::Left;
use mainstay::state::Channel;
use mainstay::vocab::{Fault, Stage};

const MINUTE: Duration = Duration::from_mins(1);
/// What an attempt is estimated to take: a usual prompt and a usual answer.
const TOKENS: u64 = 1500;

/// A key, at a model of an upstream.
type Account = (usize, String, String);

/// Attempts by account.
#[derive(Default)]
pub struct Quotas(HashMap<Account, VecDeque<(Tick, u64)>>);

pub fn is_capped(channel: &config::Channel) -> bool {
    channel.quota != Caps::default()
}

/// Whether every route has somebody whom no quota keeps from serving.
pub fn spare_somebody(blueprint: &Blueprint) -> bool {
    blueprint.routes.iter().all(|route| route.channels.iter().any(|channel| !is_capped(channel)))
}

impl Quotas {
    /// An attempt is made: how much of the scarcest quota is used with it, and how much there is; `None` without one.
    pub fn asked(
        &mut self,
        now: Tick,
        request: u64,
        channel: &Channel,
        key: Option<&str>,
    ) -> Option<(u64, u64)> {
        let Caps { rpm, tpm, rpd } = channel.config.quota;
        // The last attempt may take more tokens than were left.
        let minutely = [rpm, tpm.map(|tokens| tokens.div_ceil(TOKENS))].into_iter().flatten().min();
        minutely.or(rpd)?;
        let account = (memory(channel), key.unwrap_or_default().to_owned(), model(channel).to_owned());
        let attempts = self.0.entry(account).or_default();
        attempts.push_back((now, request));
        let lately = attempts.iter().rev().take_while(|(at, _)| now.since(*at) < MINUTE).count() as u64;
        // No world lasts a day.
        let all = attempts.len() as u64;
        let used = [minutely.map(|most| (lately, most)), rpd.map(|most| (all, most))];
        used.into_iter().flatten().min_by_key(|(used, most)| most.saturating_sub(*used))
    }

    /// An attempt is over: whatever may have been refunded no longer counts.
    pub fn left(&mut self, request: u64, channel: &Channel, how: Left) {
        let counts = match how {
            Left::Finished => true,
            Left::Failed(fault, stage) => stage != Stage::NotSent && fault != Fault::NotProcessed,
            Left::Cancelled => false,
        };
        if counts {
            return;
        }
        let (memory, model) = (memory(channel), model(channel));
        for (account, attempts) in &mut self.0 {
            let newest = attempts.iter().rposition(|(_, asked)| *asked == request);
            if let Some(newest) = newest.filter(|_| account.0 == memory && account.2 == model) {
                attempts.remove(newest);
            }
        }
    }
}

fn memory(channel: &Channel) -> usize {
    std::ptr::from_ref(&*channel.upstream.memory).cast::<()>() as usize
}

fn model(channel: &Channel) -> &str {
    channel.label.split_once('/').map_or("", |(_, model)| model)
}
