//! Which attempts a request may make. Synchronous, over one table; knows no sockets.
//!
//! [`Plan`] is one request's way: `choose` gives the next permit, `verdict` says what follows from a
//! failure. `shortlist` judges every channel and keeps the reason where it says no.

mod closest;
mod explain;
mod hedge;
mod limits;
pub mod line;
mod need;
pub mod onward;
mod plan;
pub mod price;
mod purse;
pub mod quote;
mod shortlist;
pub mod steer;
mod unserved;
mod verdict;
mod withheld;

pub use closest::closest;
pub use explain::{Explained, ExplainedChannel, Question, explain, explain_route, generation};
pub use limits::Limits;
pub use need::{Bond, Hold, Need, Resend, USUAL_ANSWER};
pub use plan::{Exhausted, Lack, Plan};
pub use shortlist::{Rank, WhyNot, is_always_translated};
pub use verdict::{Failure, Verdict, fair, is_of_own_key};
pub use withheld::Withheld;
