//! Pure algorithms: no async, clock, lock, log or global. `now` and `dice` are arguments.

pub mod aimd;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod cooldown;
pub mod crc;
pub mod dice;
pub mod ewma;
pub mod fate;
pub mod health;
pub mod hours;
pub mod limit;
pub mod line;
pub mod name;
pub mod outage;
pub mod quantile;
pub mod quota;
pub mod ramp;
pub mod rendezvous;
pub mod ring;
pub mod share;
pub mod shun;
pub mod sigv4;
mod slots;
pub mod throttle;
pub mod tick;
pub mod wrr;
