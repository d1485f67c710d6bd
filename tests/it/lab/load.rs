//! Open-loop load: requests leave on time, whatever became of those before them.

use std::sync::Arc;
use std::time::Duration;

use mainstay::algo::tick::Tick;

use super::Lab;
use super::caller::{Answer, Ask, send};

/// So many requests a second, for so long.
pub struct Load {
    pub ask: Ask,
    pub per_second: f64,
    pub lasting: Duration,
}

/// What the callers of a load saw, in the order in which they asked.
pub struct Report {
    pub answers: Vec<Answer>,
}

impl Lab {
    pub async fn run(&self, load: Load) -> Report {
        let Load { ask, per_second, lasting } = load;
        let gap = Duration::from_secs_f64(1.0 / per_second);
        let count = (lasting.as_secs_f64() * per_second).round() as u32;
        let mut ticks = tokio::time::interval(gap);
        let mut callers = Vec::new();
        for _ in 0..count {
            ticks.tick().await;
            let (gateway, ask) = (Arc::clone(&self.gateway), ask.clone());
            callers.push(tokio::spawn(async move { send(&gateway, &ask).await }));
        }
        let mut answers = Vec::new();
        for caller in callers {
            answers.push(caller.await.expect("a caller of the lab does not panic"));
        }
        Report { answers }
    }
}

impl Report {
    /// Answers that are not whole and right, with why.
    pub fn errors(&self) -> Vec<String> {
        self.answers.iter().filter_map(|answer| answer.spoken().err()).collect()
    }

    pub fn error_share(&self) -> f64 {
        self.errors().len() as f64 / self.answers.len().max(1) as f64
    }

    /// Answers to requests that were sent from `from` to `to` after the first.
    pub fn between(&self, from: Duration, to: Duration) -> Self {
        let begin = self.answers.first().map_or(Tick::ZERO, |first| first.asked_at);
        let inside = |answer: &&Answer| (from..to).contains(&answer.asked_at.since(begin));
        Self { answers: self.answers.iter().filter(inside).cloned().collect() }
    }

    /// The share of good answers that came from `upstream`.
    pub fn share_of(&self, upstream: &str) -> f64 {
        let good: Vec<_> = self.answers.iter().filter_map(|answer| answer.spoken().ok()).collect();
        good.iter().filter(|speaker| *speaker == upstream).count() as f64 / good.len().max(1) as f64
    }

    pub fn assert_no_errors(&self) {
        let errors = self.errors();
        assert!(
            errors.is_empty(),
            "{} of {} callers saw an error, first: {}",
            errors.len(),
            self.answers.len(),
            errors[0]
        );
    }

    /// The slowest answer.
    pub fn slowest(&self) -> Duration {
        self.answers.iter().map(|answer| answer.took).max().unwrap_or_default()
    }
}
