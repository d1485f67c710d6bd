//! Looks at what is known and raises what operators should know. Beside the requests, every few seconds.
//!
//! | file | tells |
//! |---|---|
//! | `conditions` | what begins and ends, by subject |
//! | `live` | upstreams, models and routes that are not served; credentials that are refused; a store that is away |
//! | `errors` | routes of which more fails than usual |
//! | `spend` | hours in which more is spent than usual |

mod conditions;
mod errors;
mod live;
mod spend;

use self::conditions::Conditions;
use self::errors::Errors;
pub use self::spend::Purses;
use crate::state::Table;
use crate::store::Presence;
use crate::vocab::AlertKind;

/// How what outlives the process is.
#[derive(Clone, Debug)]
pub struct Kept {
    pub presence: Presence,
    /// Bytes of rows that the store has still to take, of as many as there may be.
    pub spooled: (u64, u64),
}

/// What was seen so far.
#[derive(Debug)]
pub struct Watch {
    channels: Conditions,
    credentials: Conditions,
    store: Conditions,
    errors: Errors,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            channels: Conditions::of(AlertKind::ChannelDown),
            credentials: Conditions::of(AlertKind::CredentialDead),
            store: Conditions::of(AlertKind::StoreAway),
            errors: Errors::default(),
        }
    }
}

impl Watch {
    /// Looks once. `kept` is `None` where nothing outlives the process.
    pub fn look(&mut self, table: &Table, kept: Option<&Kept>) {
        let now = table.live.now();
        let after = table.alerts.down_after;
        self.channels.look(live::channels(table, after), &table.live.alerts, now);
        self.credentials.look(live::credentials(table, now), &table.live.alerts, now);
        self.store.look(kept.map(|kept| live::store(kept, after)), &table.live.alerts, now);
        self.errors.look(table, now);
    }
}
