//! Plain HTTP: only our own errors have a shape. There is no usage and nothing to watch.

pub mod error;
