//! What callers may use.

use crate::algo::limit::Allowance;
use crate::config::file::limits as file;

pub fn allowance(said: &file::Allowance) -> Allowance {
    let file::Allowance { rpm, rpd, tpm, tpd, concurrency } = *said;
    Allowance { rpm, rpd, tpm, tpd, concurrency }
}
