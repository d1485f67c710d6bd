//! The one integration binary: every file here is a module of it.
//!
//! `lab` holds a gateway between scriptable upstreams, in memory and under paused time, so that a
//! minute of outage takes milliseconds and nothing races.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod access;
mod alerts;
mod bad_asks;
mod bad_input;
mod billed;
mod bodies;
mod bonds;
mod captured;
mod catalog;
mod chaos;
mod clouds;
mod collector;
mod console;
mod cors;
mod crowded;
mod deadlines;
mod deploy;
mod exchanged;
mod faults;
mod floors;
mod grafana;
mod hammer;
mod handed_on;
mod http;
mod lab;
mod laws;
mod ledger;
mod logs;
mod managed;
mod media;
mod metrics;
mod named;
mod openapi;
mod operators;
mod pairs;
mod parsers;
mod plain_http;
mod prices;
mod process;
mod prometheus;
mod providers;
mod proxied;
mod readme;
mod recall;
mod rehearsal;
mod replay;
mod replicas;
mod reports;
mod requests;
mod restart;
mod scenarios;
mod sdk;
mod simulation;
mod stopped;
mod stored;
mod suitable;
mod tasks;
mod verbatim;
mod zero_log;
