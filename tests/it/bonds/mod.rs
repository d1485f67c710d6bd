//! Requests that only one account can answer: encrypted reasoning, files, batches.

mod left;
mod reasoning;
