//! `routing.yaml`, from text to a checked [`Blueprint`].
//!
//! | file | job |
//! |---|---|
//! | [`blueprint`] | the result: checked, merged, immutable |

pub mod blueprint;

pub use blueprint::*;
