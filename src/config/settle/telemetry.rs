//! What the outside sees, where the file does not say.

use crate::config::file::telemetry;
use crate::telemetry::MOST_SERIES;

pub fn max_series(said: &telemetry::Metrics) -> usize {
    said.max_series.map_or(MOST_SERIES, |most| most as usize)
}
