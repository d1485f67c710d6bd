//! What the console asks of whoever reads and writes the configuration, which lives on a floor above this room. Texts
//! come and go without secrets: `config::veil` has stand-ins for them.

use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;

use super::Reloaded;
use crate::config::changes::Changes;
use crate::config::{Blueprint, Problem};

/// What will be known later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is in force, as it is written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Written {
    /// Where it comes from.
    pub source: String,
    pub revision: String,
    /// Unix time in seconds.
    pub applied_at: f64,
    /// What is wrong with what is on disk now; what is in force is older.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Whether it is a file, which can be put.
    pub is_file: bool,
    /// References as they are written; `REDACTED-…` for a secret that stands in it.
    pub text: String,
}

/// What was in force once, or is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Past {
    pub revision: String,
    /// When it came into force: Unix time in seconds.
    pub at: f64,
    /// Who put it there: an operator, or `gateway` and why.
    pub by: String,
    /// Whether it is in force now.
    pub is_current: bool,
    pub text: String,
}

/// What a text would change.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Compared {
    /// What is in force.
    pub revision: String,
    /// What would be.
    pub new_revision: String,
    pub changes: Changes,
    /// Settings that would take effect after a restart only.
    pub after_restart: Vec<&'static str>,
    /// The texts beside each other, as `diff -u` has it.
    pub unified: String,
}

/// Why a text was not put in force. Nothing has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum NotTaken {
    /// Something else is in force than whoever sent it thinks: this.
    Stale {
        revision: String,
    },
    Problems(Vec<Problem>),
    /// There is no such revision in the history.
    Unknown,
    /// The file cannot be written, and why.
    Unwritable(String),
}

/// Whoever reads and writes it.
pub trait Editing: Send + Sync {
    fn written(&self) -> Written;

    /// The oldest first.
    fn history(&self) -> Vec<Past>;

    /// What is to be said of a text: warnings where it can be used, else everything.
    fn check(&self, text: String) -> Later<'_, Result<Vec<Problem>, Vec<Problem>>>;

    /// What a text means, or what is in force as it would be read now.
    fn read(&self, text: Option<String>) -> Later<'_, Result<Blueprint, Vec<Problem>>>;

    fn compare(&self, text: String) -> Later<'_, Result<Compared, Vec<Problem>>>;

    /// Writes a text into the file and puts it in force, if `expected` is what is in force now.
    fn put<'a>(
        &'a self,
        text: String,
        expected: Option<&'a str>,
        by: &'a str,
    ) -> Later<'a, Result<Reloaded, NotTaken>>;

    /// As [`Editing::put`], a text of the history.
    fn roll_back<'a>(
        &'a self,
        revision: &'a str,
        expected: Option<&'a str>,
        by: &'a str,
    ) -> Later<'a, Result<Reloaded, NotTaken>>;
}
