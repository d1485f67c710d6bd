//! What a configuration was read from, to tell whether that has changed since, and whether something of it is gone.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What was read, to tell whether it has changed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Referenced files, in the order in which they were asked for.
    files: Vec<String>,
    /// Those of upstreams in which there was nothing, or which could not be read, and why. A caller's key that is taken
    /// away is meant to end.
    lost: Vec<(String, String)>,
    digest: [u8; 32],
}

/// A file's name, and what was in it, or why that cannot be read.
pub type Asked = (String, Result<String, String>);

impl Fingerprint {
    /// Of `text` and all that it refers to; `of_upstreams` are those among them in which there was nothing.
    pub(super) fn of(text: &str, asked: Vec<Asked>, of_upstreams: &[PathBuf]) -> Self {
        let is_lost = |path: &str| of_upstreams.iter().any(|lost| lost == Path::new(path));
        let lost = asked.iter().filter(|(path, _)| is_lost(path));
        Self {
            lost: lost.map(|(path, content)| (path.clone(), why_lost(content))).collect(),
            digest: digest(text, asked.iter().map(|(_, content)| content)),
            files: asked.into_iter().map(|(path, _)| path).collect(),
        }
    }

    /// Whether `text` and its files, as `read` finds them now, would give the same.
    pub(super) fn is_of(&self, text: &str, read: impl Fn(&str) -> Result<String, String>) -> bool {
        let contents: Vec<_> = self.files.iter().map(|path| read(path)).collect();
        digest(text, contents.iter()) == self.digest
    }

    /// A file that something was in when `before` was taken, and nothing is any more; and why.
    pub(in crate::server) fn loses(&self, before: &Self) -> Option<(&str, &str)> {
        let was_there =
            |path: &String| before.files.contains(path) && !before.lost.iter().any(|(lost, _)| lost == path);
        let found = self.lost.iter().find(|(path, _)| was_there(path));
        found.map(|(path, why)| (path.as_str(), why.as_str()))
    }
}

/// Why a file is as good as none.
fn why_lost(content: &Result<String, String>) -> String {
    match content {
        Ok(_) => "it is empty".to_owned(),
        Err(why) => why.clone(),
    }
}

fn digest<'a>(text: &str, contents: impl Iterator<Item = &'a Result<String, String>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(text);
    for content in contents {
        match content {
            Ok(content) => add(content),
            // Why a file cannot be read is worded by the system; that it cannot is what counts.
            Err(_) => add("\0"),
        }
    }
    hash.finalize().into()
}
