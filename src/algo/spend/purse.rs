//! What was spent in one window, and what requests under way may still cost.
//!
//! What a request can cost at most is reserved before it goes anywhere, and what it did cost is booked in its place at
//! its end. A request whose reserve fits beside all that is spent and reserved is let in. Of those that do not fit one
//! is let in all the same while anything is left, the *last one*, and no other beside it: a budget can be
//! used up that way, however large reserves are. So, where no request costs more than its reserve, what is spent is
//! never as much as the limit and the reserve of one request together.
//!
//! What others spend (other replicas, the process before) is told as sums that only grow; what was booked here is never
//! taken out of a sum that may not have it yet, so that nothing counts twice. Less it becomes only where somebody
//! corrects what things have cost.

use std::time::Duration;

use super::calendar::Span;

/// Of one window. All amounts in nano-USD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    /// `None` before the first.
    span: Option<Span>,
    /// Booked here.
    own: u64,
    /// By everybody else, as far as is known.
    others: u64,
    /// By others, and not yet spent.
    promised: u64,
    reserved: u64,
    /// Of that, by requests that nobody has judged yet.
    asked: u64,
    /// A last one is under way.
    last: Last,
    /// What was spent and let in when others were heard last; `None` while they are.
    alone_from: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    No,
    UnderWay,
}

/// How a request is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Its reserve fits.
    Within,
    /// It does not, and something is left.
    Last,
}

/// What a request has reserved in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the window began.
    begins: u64,
    amount: u64,
    /// `None` while nobody has judged it.
    grant: Option<Grant>,
}

impl Entry {
    pub fn is_last(&self) -> bool {
        self.grant == Some(Grant::Last)
    }
}

impl Purse {
    /// Goes on to the window that it is now, with nothing spent. Whether it is another one.
    pub fn turn(&mut self, span: Span) -> bool {
        if self.span == Some(span) {
            return false;
        }
        *self = Self { span: Some(span), ..Self::default() };
        true
    }

    /// Whether `now`, the time since the Unix epoch, is in its window.
    pub fn is_in(&self, now: Duration) -> bool {
        self.span.is_some_and(|span| span.has(now))
    }

    /// The window that it is in.
    pub fn span(&self) -> Span {
        self.span.unwrap_or_default()
    }

    /// By everybody, as far as is known.
    pub fn spent(&self) -> u64 {
        self.own.saturating_add(self.others)
    }

    /// Booked here.
    pub fn own(&self) -> u64 {
        self.own
    }

    /// What requests under way may still cost, here and as others have said.
    pub fn reserved(&self) -> u64 {
        self.reserved.saturating_add(self.promised)
    }

    /// Of it, here.
    pub fn reserved_here(&self) -> u64 {
        self.reserved
    }

    /// What is neither spent nor reserved.
    pub fn left(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.spent()).saturating_sub(self.reserved())
    }

    /// How a request that may cost `amount` would be let in; `None` where nothing is left for it.
    pub fn judge(&self, limit: u64, amount: u64) -> Option<Grant> {
        let left = self.left(limit);
        match self.last {
            _ if left == 0 => None,
            _ if amount <= left => Some(Grant::Within),
            Last::No => Some(Grant::Last),
            Last::UnderWay => None,
        }
    }

    /// Whether a last one is under way here.
    pub fn has_last(&self) -> bool {
        self.last == Last::UnderWay
    }

    /// Lets a request in.
    pub fn reserve(&mut self, amount: u64, grant: Grant) -> Entry {
        self.reserved = self.reserved.saturating_add(amount);
        if grant == Grant::Last {
            self.last = Last::UnderWay;
        }
        Entry { begins: self.span().begins, amount, grant: Some(grant) }
    }

    /// Reserves for a request about which others are asked: it is in the way of everybody, and not let in yet.
    pub fn ask(&mut self, amount: u64) -> Entry {
        self.reserved = self.reserved.saturating_add(amount);
        self.asked = self.asked.saturating_add(amount);
        Entry { begins: self.span().begins, amount, grant: None }
    }

    /// The request of `entry` has been judged.
    pub fn judged(&mut self, entry: &mut Entry) {
        if entry.grant.is_none() {
            entry.grant = Some(Grant::Within);
            if entry.begins == self.span().begins {
                self.asked = self.asked.saturating_sub(entry.amount);
            }
        }
    }

    /// A request is over, and has cost so much. What was reserved in a window that is over belongs to that one.
    pub fn settle(&mut self, mut entry: Entry, cost: u64) {
        if entry.begins != self.span().begins {
            return;
        }
        self.judged(&mut entry);
        self.reserved = self.reserved.saturating_sub(entry.amount);
        self.own = self.own.saturating_add(cost);
        if entry.is_last() {
            self.last = Last::No;
        }
    }

    /// A request that was let in turns out to be the last one.
    pub fn make_last(&mut self, entry: &mut Entry) {
        if entry.begins == self.span().begins {
            entry.grant = Some(Grant::Last);
            self.last = Last::UnderWay;
        }
    }

    /// Of `limit`, what this one of `replicas` may grant while it hears nothing of the others: all that was spent and
    /// let in when it heard of them last, and its part of what was left then. What is asked of others at that moment is
    /// not let in: else a burst of asks would look like all of `limit`, and each replica would grant the whole rest.
    pub fn part(&mut self, limit: u64, replicas: u32) -> u64 {
        if replicas <= 1 {
            return limit;
        }
        let now = self.spent().saturating_add(self.reserved().saturating_sub(self.asked));
        let taken = *self.alone_from.get_or_insert(now);
        let left = limit.saturating_sub(taken).div_ceil(replicas.into());
        limit.min(taken.saturating_add(left))
    }

    /// Of what was booked here, `amount` counts as others' from now on: somebody else speaks of it.
    pub fn hand_over(&mut self, amount: u64) {
        let amount = amount.min(self.own);
        self.own -= amount;
        self.others = self.others.saturating_add(amount);
    }

    /// Everybody has spent `sum` in this window, of which some was booked here: at most what has been booked here by
    /// now. A sum that came late changes nothing.
    pub fn hear(&mut self, sum: u64) {
        self.others = self.others.max(sum.saturating_sub(self.own));
    }

    /// All that was spent turns out to have cost so much less.
    pub fn correct(&mut self, less: u64) {
        let of_others = less.min(self.others);
        self.others -= of_others;
        self.own = self.own.saturating_sub(less - of_others);
    }

    /// What others have spent (it only grows) and what their requests under way may still cost (it is as it is said).
    pub fn hear_others(&mut self, spent: u64, reserved: u64) {
        self.others = self.others.max(spent);
        self.promised = reserved;
        self.alone_from = None;
    }
}
