//! Requests that only one account can answer: encrypted reasoning, responses, files, batches.

mod left;
mod reasoning;
mod responses;
