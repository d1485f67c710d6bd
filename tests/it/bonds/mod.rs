//! Requests that only one account can answer: encrypted reasoning, responses, conversations, files, batches.

mod left;
mod reasoning;
mod responses;
mod stored;
mod threads;
