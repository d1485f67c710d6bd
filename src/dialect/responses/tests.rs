//! The laws of this dialect: over recorded exchanges, the canonical samples and made-up answers.

mod again;
mod recorded;
mod requests;
mod samples;
mod streams;
