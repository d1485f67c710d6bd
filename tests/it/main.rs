//! The one integration binary: every file here is a module of it.
//!
//! `lab` holds a gateway between scriptable upstreams, in memory and under paused time, so that a
//! minute of outage takes milliseconds and nothing races.

mod faults;
mod lab;
mod scenarios;
