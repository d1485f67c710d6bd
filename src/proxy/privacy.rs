//! What may be kept of a request. Whoever writes down more of one than numbers asks here, or asks its [`Settle`], which
//! has the answer of [`of`].
//!
//! Without a log of it (`zero_log`) a request gets an id and a trace of ours as soon as it is known whose it is: its
//! caller's own stand in no answer then and in nothing that is written. Whether anybody may be told what was sent is
//! said by the configuration alone, or by the key that a request proves; nobody can ask for less to be kept of others,
//! nor for more.
//!
//! [`Settle`]: super::settle::Settle

use super::intake::Arrival;
use super::{Gateway, Snapshot, identity, trace};
use crate::access::Standing;
use crate::config::Lineage;
use crate::state::Table;
use crate::vocab::Privacy;

/// What may be kept of requests with this key, or with none.
pub fn of(table: &Table, lineage: Option<&Lineage>) -> Privacy {
    match table.telemetry.privacy {
        Privacy::ZeroLog => Privacy::ZeroLog,
        Privacy::Usual => lineage.map(Lineage::privacy).unwrap_or_default(),
    }
}

impl Arrival {
    /// It comes with this key: what its caller calls it is left out from now on where nothing of it may be kept.
    pub fn comes_from(&mut self, gateway: &Gateway, snapshot: &Snapshot, lineage: &Lineage) {
        if self.privacy.is_zero_log() || !of(&snapshot.table, Some(lineage)).is_zero_log() {
            return;
        }
        self.privacy = Privacy::ZeroLog;
        self.request_id = gateway.live.name_request();
        self.trace = trace::of(gateway, snapshot, &self.head.method, None);
    }

    /// The same of one that is answered before anybody has asked whose it is, by the key in its head.
    pub fn shows_whose_it_is(&mut self, gateway: &Gateway, snapshot: &Snapshot) {
        if self.privacy.is_zero_log() {
            return;
        }
        let known = identity::judge(gateway, &snapshot.access, self);
        if let Some(key) = known.as_ref().ok().and_then(Standing::named) {
            self.comes_from(gateway, snapshot, &key.lineage);
        }
    }
}
