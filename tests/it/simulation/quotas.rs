//! What operators allow each key at each model binds, whatever else goes on: never more in any minute or day.
//!
//! Counted is what was sent and not certainly refunded, so the count is at most the gateway's own. A process that takes
//! over begins a count of its own; that it recalls the former one's is a law of its own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use mainstay::algo::quota::Caps;
use mainstay::algo::tick::Tick;
use mainstay::config::{self, Blueprint};
use mainstay::sim::{Bill, Left};
use mainstay::state::Channel;
use mainstay::vocab::{Fault, Stage};

const MINUTE: Duration = Duration::from_mins(1);
/// What an attempt is estimated to take: a usual prompt and a usual answer.
const TOKENS: u64 = 1500;

/// A key, at a model of an upstream.
type Account = (usize, String, String);

struct Attempt {
    at: Tick,
    request: u64,
    /// What it was thought to take, and what it has used once that is known.
    tokens: u64,
}

/// Attempts by account.
#[derive(Default)]
pub struct Quotas(HashMap<Account, VecDeque<Attempt>>);

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
        let Caps { rpm, tpm, rpd, tpd } = channel.config.quota;
        rpm.or(tpm).or(rpd).or(tpd)?;
        let account = (memory(channel), key.unwrap_or_default().to_owned(), model(channel).to_owned());
        let attempts = self.0.entry(account).or_default();
        let lately = || attempts.iter().rev().take_while(|attempt| now.since(attempt.at) < MINUTE);
        // Whoever comes while a token is left may take more than that.
        let tokens = lately().map(|attempt| attempt.tokens).sum::<u64>() + 1;
        let all_tokens = attempts.iter().map(|attempt| attempt.tokens).sum::<u64>() + 1;
        let requests = lately().count() as u64 + 1;
        attempts.push_back(Attempt { at: now, request, tokens: TOKENS });
        // No world lasts a day.
        let all = attempts.len() as u64;
        let used = [
            rpm.map(|most| (requests, most)),
            tpm.map(|most| (tokens, most)),
            rpd.map(|most| (all, most)),
            tpd.map(|most| (all_tokens, most)),
        ];
        used.into_iter().flatten().min_by_key(|(used, most)| most.saturating_sub(*used))
    }

    /// An attempt is over, with this bill: whatever may have been refunded no longer counts.
    pub fn left(&mut self, request: u64, channel: &Channel, how: Left, bill: Bill) {
        let counts = match how {
            Left::Finished => true,
            Left::Failed(fault, stage) => stage != Stage::NotSent && fault != Fault::NotProcessed,
            Left::Cancelled => false,
        };
        let used = (how == Left::Finished).then_some(bill.prompt + bill.answer).filter(|used| *used > 0);
        let (memory, model) = (memory(channel), model(channel));
        for (account, attempts) in &mut self.0 {
            let newest = attempts.iter().rposition(|attempt| attempt.request == request);
            let Some(newest) = newest.filter(|_| account.0 == memory && account.2 == model) else { continue };
            if !counts {
                attempts.remove(newest);
            } else if let Some(used) = used {
                attempts[newest].tokens = used;
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
