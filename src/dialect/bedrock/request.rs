//! Requests. The model and whether it streams are in the path, not in the body.
//!
//! What of `additionalModelRequestFields` is understood becomes the hub's own (thinking, effort, `top_k`);
//! the rest, and what other objects hold beside the known, is kept in the request's extras under its
//! path: `additionalModelRequestFields.anthropic_beta`.

mod read;
mod write;

pub use read::read;
pub use write::{holds_to, write};

/// The objects whose unknown members are kept under their path.
const ADDITIONAL: &str = "additionalModelRequestFields";
const INFERENCE: &str = "inferenceConfig";
const TOOLS: &str = "toolConfig";
const OUTPUT: &str = "outputConfig";

/// The tool of Amazon's own that searches the web.
const GROUNDING: &str = "nova_grounding";
