//! Cohere's v2 chat (docs.cohere.com/reference/chat), of callers and of upstreams.
//!
//! One decision runs through all of it. Before it calls tools, a model of Cohere's says in `tool_plan`
//! what it is about to do, as others say it in the text before their calls; Cohere's API refuses text
//! beside calls and names `tool_plan` as its place (vercel/ai#5794). So the plan is read as text in
//! front of the calls, and text beside calls is written as the plan. Only in a stream, where nobody
//! knows yet whether calls will follow, text is always content.
//!
//! | file | job |
//! |---|---|
//! | [`request`] | what a caller asks for, and how an upstream is asked |
//! | [`reply`] | answers in one piece |
//! | [`stream`] | streamed answers, event by event |
//! | [`embed`], [`rerank`] | vectors and rankings |
//! | [`tools`], [`document`] | tool definitions and documents, which requests have |
//! | [`unsaid`] | what cannot be said here (nor in Ollama's dialect), by name |
//! | [`watch`], [`usage`], [`error`] | what a frame means, what it cost, how we fail |

pub mod document;
pub mod embed;
pub mod error;
pub mod reply;
pub mod request;
pub mod rerank;
pub mod stream;
#[cfg(test)]
pub mod tests;
pub mod tools;
pub mod unsaid;
pub mod usage;
pub mod watch;
