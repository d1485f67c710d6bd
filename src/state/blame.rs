//! Which memory hears what about a fault: one table (RESILIENCE §4.2), nothing else.

use crate::algo::breaker::Signal;
use crate::vocab::{Class, Fault, RateHint, Scope};

/// What the two breakers of a channel are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blame {
    pub transport: Signal,
    pub model: Signal,
}

/// Whether an earlier attempt of the same request failed in the same way on another channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    First,
    /// Two channels failing alike on one request: the request is at fault, not the second channel.
    OnAnotherChannel,
}

impl Blame {
    /// Nobody is told: the network here is to blame, or nothing was asked.
    pub const NOBODY: Self = Self { transport: Signal::Neutral, model: Signal::Neutral };

    pub fn of(fault: Fault, hint: &RateHint, repeat: Repeat) -> Self {
        let answered = |model| Self { transport: Signal::Success, model };
        let nobody = Self::NOBODY;
        if repeat == Repeat::OnAnotherChannel && may_be_the_requests_fault(fault) {
            return nobody;
        }
        match fault.class() {
            Class::ClientFault => answered(Signal::ClientFault),
            Class::UpstreamFault => match fault.scope() {
                // The peer itself said that it did not look at the request.
                Scope::Transport if fault == Fault::NotProcessed => nobody,
                Scope::Transport => Self { transport: Signal::Failure, model: Signal::Neutral },
                Scope::Model | Scope::Credential | Scope::Nobody if fault.silent() => {
                    Self { transport: Signal::Neutral, model: Signal::Failure }
                }
                Scope::Model | Scope::Credential | Scope::Nobody => answered(Signal::Failure),
            },
            Class::Overload => answered(Signal::Overload { retry_after: hint.retry_after }),
            Class::StreamFault => Self { transport: Signal::Neutral, model: Signal::StreamFailure },
            Class::Throttled | Class::QuotaExhausted | Class::AuthFault | Class::ConfigFault => {
                answered(Signal::Neutral)
            }
            Class::Cancelled | Class::LocalFault => nobody,
        }
    }

    /// At an upstream without keys: what would be one key's affair is the channel's, since nobody else remembers it.
    pub fn of_keyless(fault: Fault, hint: &RateHint, repeat: Repeat) -> Self {
        let model = match fault.class() {
            Class::Throttled => Signal::Overload { retry_after: hint.retry_after },
            Class::QuotaExhausted | Class::AuthFault => Signal::Failure,
            Class::ClientFault
            | Class::UpstreamFault
            | Class::Overload
            | Class::ConfigFault
            | Class::StreamFault
            | Class::Cancelled
            | Class::LocalFault => return Self::of(fault, hint, repeat),
        };
        Self { transport: Signal::Success, model }
    }

    /// For plain HTTP, which has the transport's gate only: the graver of the two.
    pub fn merged(self) -> Signal {
        match self.model {
            Signal::Success | Signal::Neutral => self.transport,
            Signal::ClientFault
            | Signal::Failure
            | Signal::Overload { .. }
            | Signal::StreamFailure
            | Signal::Slow => self.model,
        }
    }
}

/// A request can crash whoever reads it, so these say nothing certain about the channel.
const fn may_be_the_requests_fault(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::ServerError | Fault::BadGateway | Fault::Reset | Fault::Protocol | Fault::Truncated
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fault: Fault, transport: Signal, model: Signal) {
        let blame = Blame::of(fault, &RateHint::default(), Repeat::First);
        assert_eq!(blame, Blame { transport, model }, "{fault:?}");
    }

    #[test]
    fn faults_reach_the_memory_of_whoever_is_guilty() {
        check(Fault::Connect, Signal::Failure, Signal::Neutral);
        check(Fault::ServerError, Signal::Success, Signal::Failure);
        check(Fault::HeadersTimeout, Signal::Neutral, Signal::Failure);
        check(Fault::Overloaded, Signal::Success, Signal::Overload { retry_after: None });
        check(Fault::Throttled, Signal::Success, Signal::Neutral);
        check(Fault::BadRequest, Signal::Success, Signal::ClientFault);
        check(Fault::NotProcessed, Signal::Neutral, Signal::Neutral);
        check(Fault::StreamCut, Signal::Neutral, Signal::StreamFailure);
    }

    #[test]
    fn without_a_key_the_channel_hears_what_a_key_would_have() {
        let hint = RateHint { retry_after: Some(std::time::Duration::from_secs(3)), ..RateHint::default() };
        for fault in Fault::ALL {
            let (keyed, keyless) =
                (Blame::of(fault, &hint, Repeat::First), Blame::of_keyless(fault, &hint, Repeat::First));
            let heard = match fault {
                Fault::Throttled => Signal::Overload { retry_after: hint.retry_after },
                Fault::QuotaExhausted | Fault::AuthRefused => Signal::Failure,
                _ => keyed.model,
            };
            assert_eq!((keyless.transport, keyless.model), (keyed.transport, heard), "{fault:?}");
        }
    }

    #[test]
    fn what_is_not_the_upstreams_guilt_never_counts_against_it() {
        let harmless = [Class::ClientFault, Class::Throttled, Class::Cancelled, Class::LocalFault];
        for fault in Fault::ALL.into_iter().filter(|fault| harmless.contains(&fault.class())) {
            let Blame { transport, model } = Blame::of(fault, &RateHint::default(), Repeat::First);
            for signal in [transport, model] {
                assert!(
                    matches!(signal, Signal::Success | Signal::ClientFault | Signal::Neutral),
                    "{fault:?}: {signal:?}"
                );
            }
        }
    }

    #[test]
    fn a_second_channel_that_fails_alike_is_not_blamed() {
        let again = |fault| Blame::of(fault, &RateHint::default(), Repeat::OnAnotherChannel);
        assert_eq!(again(Fault::ServerError).model, Signal::Neutral);
        assert_eq!(again(Fault::Connect).transport, Signal::Failure, "no request refuses connections");
    }
}
