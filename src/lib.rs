//! Mainstay: a self-hosted AI API gateway round a resilience engine.
//!
//! Rooms are directories; a room imports rooms on strictly lower floors only (`tests/it/floors.rs`
//! holds that). From the ground up:
//!
//! | floor | rooms |
//! |---|---|
//! | 0 | [`algo`], [`vocab`] |
//! | 1 | [`catalog`], [`dialect`], [`strategy`], [`telemetry`] |
//! | 2 | [`config`] |
//! | 3 | [`state`], [`shared`], [`store`] |
//! | 4 | [`access`], [`route`], [`upstream`], [`simulated`], [`cache`], [`ledger`], [`capture`], [`report`], [`alerts`] |
//! | 5 | [`proxy`], [`sim`] |
//! | 6 | [`admin`] |
//! | 7 | [`server`] |
//! | 8 | [`app`], `main` |

#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
pub mod alerts;
pub mod algo;
pub mod app;
pub mod cache;
pub mod capture;
pub mod catalog;
pub mod config;
pub mod dialect;
pub mod ledger;
pub mod proxy;
pub mod report;
pub mod route;
pub mod server;
pub mod shared;
pub mod sim;
pub mod simulated;
pub mod state;
pub mod store;
pub mod strategy;
pub mod telemetry;
pub mod upstream;
pub mod vocab;
