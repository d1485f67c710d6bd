//! Where in the file something stands: `routes[0].channels[1].weight`.

use std::fmt;

/// One step down from a mapping or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// A way from the root of the file to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of `key` in the mapping at this path.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.with(Step::Key(key.into()))
    }

    /// The item number `index` (from 0) of the list at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// This path is `other` or leads into it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_bare(key) => write!(f, "[{key:?}]")?,
                Step::Key(key) if depth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Needs no quotes in a path.
fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_way_one_would_say_it() {
        let path = Path::root().key("routes").index(0).key("channels").index(1).key("weight");
        assert_eq!(path.to_string(), "routes[0].channels[1].weight");
        assert_eq!(Path::root().key("upstreams").key("a.b").key("tls").to_string(), "upstreams[\"a.b\"].tls");
        assert_eq!(Path::root().to_string(), "");
    }

    #[test]
    fn a_path_lies_within_itself_and_its_ancestors() {
        let route = Path::root().key("routes").index(0);
        assert!(route.is_within(&route));
        assert!(route.key("model").is_within(&route));
        assert!(!route.is_within(&route.key("model")));
    }
}
