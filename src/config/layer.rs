//! Layers: `defaults`, then upstream, then route, then channel, field by field.
//!
//! A section is a struct whose fields are `Option`s or sections themselves. What an upper layer says
//! hides what the lower one says about the same field, and nothing else.

/// Can lie over a lower layer of itself.
pub trait Layer {
    /// `self` where it says something, `below` elsewhere.
    #[must_use]
    fn over(self, below: Self) -> Self;
}

impl<T> Layer for Option<T> {
    fn over(self, below: Self) -> Self {
        self.or(below)
    }
}

/// Lays several layers over each other; the first is the topmost.
pub fn stack<L: Layer + Default>(layers: impl IntoIterator<Item = L>) -> L {
    // From the top down: what is already there wins.
    layers.into_iter().fold(L::default(), Layer::over)
}

/// Declares sections: structs that can be read, described by a schema, and layered.
macro_rules! section {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)+ })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)+ }

        impl $crate::config::layer::Layer for $name {
            fn over(self, below: Self) -> Self {
                Self { $($field: $crate::config::layer::Layer::over(self.$field, below.$field),)+ }
            }
        }
    )+};
}

pub(super) use section;
