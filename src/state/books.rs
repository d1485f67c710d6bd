//! Who hears how an attempt ended and what it used. A permit tells exactly once, when it is settled or dropped.
//!
//! What is made of it (a price, a row) is the listener's affair; here is only what a permit knows.

use std::fmt::Debug;
use std::sync::Arc;

use super::channel::Channel;
use super::credential::Credential;
use crate::algo::tick::Tick;
use crate::vocab::{Fault, Money, Part, Payer, Stage, Usage};

/// Hears of the attempts of one request, or of all.
pub trait Books: Send + Sync + Debug {
    /// Another attempt begins; its place among those of the request.
    fn begins(&self) -> u32;

    /// It is over. What it cost, where that is known.
    fn ended(&self, attempt: &Attempt<'_>) -> Option<Money>;
}

/// Knows better than by its bytes how many tokens a request asks to have read, if it has to.
pub trait Prompt: Send + Sync + Debug {
    /// `None` where that cannot be said, or not at once.
    fn tokens(&self) -> Option<u64>;
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    /// Nobody's: the caller hung up, our own limits ended it, or another attempt was faster.
    Cancelled,
    Failed(Fault),
}

impl Verdict {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cancelled => Fault::Cancelled.name(),
            Self::Failed(fault) => fault.name(),
        }
    }
}

/// An attempt that is over.
#[derive(Debug)]
pub struct Attempt<'p> {
    /// As [`Books::begins`] said.
    pub place: u32,
    pub part: Part,
    pub channel: &'p Arc<Channel>,
    /// As the upstream calls it; empty for plain HTTP.
    pub model: &'p Arc<str>,
    pub credential: Option<&'p Arc<Credential>>,
    /// Whose key went along.
    pub payer: Payer,
    pub begun: Tick,
    pub ended: Tick,
    pub heard: Heard,
    pub verdict: Verdict,
    pub stage: Stage,
    pub used: Used,
    /// What went wrong, in words of ours.
    pub detail: Option<Box<str>>,
}

/// How an attempt went, step by step, as far as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// When its connection was there and the request began to leave.
    pub sent: Option<Tick>,
    /// When the head of an answer came, and its status.
    pub headed: Option<(Tick, u16)>,
    /// When its first content came.
    pub first_content: Option<Tick>,
}

/// What an attempt has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub usage: Usage,
    /// Nobody said it, or not all of it. An estimate of nothing means that nobody knows.
    pub estimated: bool,
}

impl Used {
    /// Whether something was used, and nobody knows what.
    pub fn is_unknown(&self) -> bool {
        self.estimated && Usage { tier: None, ..self.usage } == Usage::default()
    }
}

/// How it is known what a request uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metering {
    /// Nothing is used that anybody counts: plain HTTP, files, counts of tokens.
    #[default]
    Free,
    /// The provider says it, else it is estimated: the prompt has about so many tokens.
    Tokens(u64),
    /// The provider says it, or nobody knows: pictures, sound.
    Told,
}

/// What is known of that when an attempt ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// What the provider said last.
    pub told: Option<Usage>,
    /// And that it was all.
    pub is_whole: bool,
    /// It was ended here, and well: what was told may be less than all.
    pub is_stopped: bool,
    pub metering: Metering,
    /// Content events of a stream that were seen: a token has one, or several have one together, so that there are
    /// never fewer tokens. Of a whole answer the tokens themselves, about.
    pub events: u64,
}

impl Account {
    /// Has the prompt counted, where its estimate is all that will be known of it.
    pub fn ask(&mut self, prompt: &dyn Prompt, verdict: Verdict, stage: Stage) {
        if let (None, Metering::Tokens(_)) = (self.told, self.metering)
            && may_be_charged(verdict, stage)
            && let Some(counted) = prompt.tokens()
        {
            self.metering = Metering::Tokens(counted);
        }
    }

    /// What an attempt that ended like this has used. Where nobody said it, the prompt counts for every attempt whose
    /// provider may have begun to work, and the answer for as much as was seen of it.
    pub fn used(&self, verdict: Verdict, stage: Stage) -> Used {
        let seen = |told: Usage| Usage { output: told.output.max(self.events), ..told };
        let (usage, estimated) = match (self.told, self.metering) {
            // An answer may speak of tokens that nobody is charged for.
            (_, Metering::Free) => (Usage::default(), false),
            (Some(usage), _) if self.is_whole || (verdict == Verdict::Ok && !self.is_stopped) => {
                (usage, false)
            }
            (Some(usage), _) => (seen(usage), true),
            (None, _) if !may_be_charged(verdict, stage) => (Usage::default(), false),
            (None, Metering::Told) => (Usage::default(), true),
            (None, Metering::Tokens(input)) => (seen(Usage { input, ..Usage::default() }), true),
        };
        Used { usage, estimated }
    }
}

/// Whether a provider that said nothing of tokens may have used some. None charges for a request that it refused.
const fn may_be_charged(verdict: Verdict, stage: Stage) -> bool {
    let fault = match verdict {
        Verdict::Ok => return true,
        Verdict::Cancelled => Fault::Cancelled,
        Verdict::Failed(fault) => fault,
    };
    if matches!(stage, Stage::NotSent) {
        return false;
    }
    match fault {
        Fault::Dns
        | Fault::Connect
        | Fault::ConnectTimeout
        | Fault::Tls
        | Fault::NotProcessed
        | Fault::PoolFull
        | Fault::Unsayable
        | Fault::BadGateway
        | Fault::ServerError
        | Fault::ModelMissing => false,
        Fault::Reset
        | Fault::Protocol
        | Fault::HeadersTimeout
        | Fault::FirstEventTimeout
        | Fault::Truncated
        | Fault::StreamError
        | Fault::StreamCut
        | Fault::StreamStalled
        | Fault::Cancelled
        | Fault::DeadlineExceeded
        | Fault::Starved => true,
        Fault::BadRequest
        | Fault::ContextOverflow
        | Fault::ContentPolicy
        | Fault::ForeignReasoning
        | Fault::Throttled
        | Fault::QuotaExhausted
        | Fault::AuthRefused
        | Fault::Overloaded
        | Fault::Busy => matches!(stage, Stage::Committed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAGES: [Stage; 5] =
        [Stage::NotSent, Stage::Sending, Stage::Waiting, Stage::Headers, Stage::Committed];

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    #[test]
    fn what_was_refused_or_never_sent_cost_nothing_and_what_fell_silent_may_have() {
        let account = Account { metering: Metering::Tokens(7), ..Account::default() };
        let check = |verdict, stage, input, estimated| {
            assert_eq!(
                account.used(verdict, stage),
                Used { usage: usage(input, 0), estimated },
                "{verdict:?} {stage:?}"
            );
        };
        check(Verdict::Failed(Fault::Connect), Stage::NotSent, 0, false);
        check(Verdict::Failed(Fault::Throttled), Stage::Headers, 0, false);
        check(Verdict::Failed(Fault::ServerError), Stage::Headers, 0, false);
        check(Verdict::Failed(Fault::HeadersTimeout), Stage::Waiting, 7, true);
        check(Verdict::Failed(Fault::Reset), Stage::Waiting, 7, true);
        check(Verdict::Cancelled, Stage::Waiting, 7, true);
        check(Verdict::Ok, Stage::Committed, 7, true);
        let of = |metering| Account { metering, ..account }.used(Verdict::Ok, Stage::Committed);
        assert_eq!(of(Metering::Free), Used::default());
        assert_eq!(of(Metering::Told), Used { estimated: true, ..Used::default() });
    }

    #[test]
    fn a_cut_stream_counts_for_what_was_seen_where_that_is_more_than_was_told() {
        let metering = Metering::Tokens(3);
        let told = Account { told: Some(usage(10, 1)), events: 5, metering, ..Account::default() };
        let cut = Verdict::Failed(Fault::StreamCut);
        assert_eq!(told.used(cut, Stage::Committed), Used { usage: usage(10, 5), estimated: true });
        let whole = Account { is_whole: true, ..told };
        assert_eq!(whole.used(cut, Stage::Committed), Used { usage: usage(10, 1), estimated: false });
        assert_eq!(told.used(Verdict::Ok, Stage::Committed), Used { usage: usage(10, 1), estimated: false });
        let stopped = Account { is_stopped: true, ..told };
        let seen = Used { usage: usage(10, 5), estimated: true };
        assert_eq!(stopped.used(Verdict::Ok, Stage::Committed), seen);
        let untold = Account { told: None, ..told };
        assert_eq!(untold.used(cut, Stage::Committed), Used { usage: usage(3, 5), estimated: true });
    }

    #[derive(Debug)]
    struct Counted(Option<u64>);

    impl Prompt for Counted {
        fn tokens(&self) -> Option<u64> {
            self.0
        }
    }

    #[test]
    fn a_prompt_is_counted_only_where_nobody_has_said_what_it_was() {
        let account = Account { metering: Metering::Tokens(7), events: 2, ..Account::default() };
        let after = |mut account: Account, counted, verdict, stage| {
            account.ask(&Counted(counted), verdict, stage);
            account.used(verdict, stage).usage.input
        };
        let cut = Verdict::Failed(Fault::StreamCut);
        assert_eq!(after(account, Some(4), cut, Stage::Committed), 4);
        assert_eq!(after(account, None, cut, Stage::Committed), 7);
        assert_eq!(after(account, Some(4), Verdict::Failed(Fault::Connect), Stage::NotSent), 0);
        let told = Account { told: Some(usage(9, 1)), ..account };
        assert_eq!(after(told, Some(4), cut, Stage::Committed), 9);
        let free = Account { metering: Metering::Free, ..account };
        assert_eq!(after(free, Some(4), Verdict::Cancelled, Stage::Committed), 0);
    }

    proptest! {
        #[test]
        fn what_is_no_estimate_is_what_was_told_or_nothing(
            told in proptest::option::of((0_u64..100, 0_u64..100)),
            is_whole: bool,
            is_stopped: bool,
            prompt in proptest::option::of(0_u64..100),
            events in 0_u64..100,
            fault in proptest::option::of(0..Fault::ALL.len()),
            stage in 0..STAGES.len(),
        ) {
            let told = told.map(|(input, output)| usage(input, output));
            let verdict = fault.map_or(Verdict::Ok, |at| Verdict::Failed(Fault::ALL[at]));
            let metering = prompt.map_or(Metering::Told, Metering::Tokens);
            let account = Account { told, is_whole, is_stopped, metering, events };
            let used = account.used(verdict, STAGES[stage]);
            match (used.estimated, told, prompt) {
                (false, _, _) => prop_assert_eq!(used.usage, told.unwrap_or_default()),
                (true, Some(told), _) => {
                    prop_assert_eq!(used.usage, usage(told.input, told.output.max(events)));
                }
                (true, None, Some(prompt)) => prop_assert_eq!(used.usage, usage(prompt, events)),
                (true, None, None) => prop_assert!(used.is_unknown()),
            }
            let free = Account { metering: Metering::Free, ..account };
            prop_assert_eq!(free.used(verdict, STAGES[stage]), Used::default());
        }
    }
}
