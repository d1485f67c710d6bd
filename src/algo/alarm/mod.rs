//! When something is worth waking somebody for, and when it is over: what has to last, and figures far from what is
//! usual. Every one of them ends later than it began, so that nothing that wavers tells of it again and again.
//!
//! What is watched, and who is told, are others' affairs.

pub mod failures;
pub mod lasting;
pub mod spending;
pub mod week;

pub use failures::Failures;
pub use lasting::Lasting;
pub use spending::Spending;
pub use week::Week;

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Begun,
    Over,
}
