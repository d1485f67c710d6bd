//! The decisions behind the words: the program's own.

#[path = "../../../../src/algo/aimd/mod.rs"]
pub mod aimd;
#[path = "../../../../src/algo/breaker/mod.rs"]
pub mod breaker;
#[path = "../../../../src/algo/budget.rs"]
pub mod budget;
#[path = "../../../../src/algo/cooldown/mod.rs"]
pub mod cooldown;
#[path = "../../../../src/algo/dice.rs"]
pub mod dice;
#[path = "../../../../src/algo/fate.rs"]
pub mod fate;
#[path = "../../../../src/algo/line.rs"]
pub mod line;
#[path = "../../../../src/algo/name.rs"]
pub mod name;
#[path = "../../../../src/algo/outage.rs"]
pub mod outage;
#[path = "../../../../src/algo/ring.rs"]
pub mod ring;
#[path = "../../../../src/algo/shun.rs"]
pub mod shun;
#[path = "../../../../src/algo/slots.rs"]
mod slots;
#[path = "../../../../src/algo/tick.rs"]
pub mod tick;
