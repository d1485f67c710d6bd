//! Who tells it: the resource and the scope that stand over everything a collector gets.

use super::wire::Message;

/// One gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Tells processes apart; another one after each start.
    pub instance: String,
}

impl Resource {
    /// Writes the message `Resource` as `field`.
    pub fn write(&self, field: u32, message: &mut Message) {
        message.message(field, |resource| {
            resource.attribute(1, "service.name", "mainstay");
            resource.attribute(1, "service.version", env!("CARGO_PKG_VERSION"));
            resource.attribute(1, "service.instance.id", &self.instance);
        });
    }

    /// Writes the message `InstrumentationScope` as `field`.
    pub fn scope(field: u32, message: &mut Message) {
        message.message(field, |scope| {
            scope.text(1, "mainstay");
            scope.text(2, env!("CARGO_PKG_VERSION"));
        });
    }
}
