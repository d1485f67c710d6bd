//! What the log says of a panic: where, and the words that stand in the source. Never what was formatted
//! into them, because that may be a piece of a prompt or of a secret.

use std::panic::PanicHookInfo;

/// Replaces the standard hook, which prints whole messages.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, said = said(panic).unwrap_or("(not shown)"), "panicked");
    }));
}

/// A message that was formatted is a `String`; one that was written down is not.
fn said<'a>(panic: &'a PanicHookInfo<'_>) -> Option<&'a str> {
    panic.payload().downcast_ref::<&'static str>().copied()
}
