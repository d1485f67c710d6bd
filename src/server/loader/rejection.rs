//! Why a configuration cannot be used, as people and programs are told.

use std::fmt;

use crate::config::Problem;
use crate::config::problem::Severity;

/// Why a file cannot be used. Its `Display` is what people are shown, on every way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    Unreadable {
        file: String,
        why: String,
    },
    Invalid {
        file: String,
        problems: Vec<Problem>,
    },
    /// The file is in order, and what it refers to is not.
    Unusable {
        file: String,
        path: String,
        why: String,
    },
}

impl Rejection {
    /// What is wrong, one by one.
    pub(in crate::server) fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Invalid { problems, .. } => problems,
            Self::Unreadable { why, .. } => vec![Problem::error("", why)],
            Self::Unusable { path, why, .. } => vec![Problem::error(&path, why)],
        }
    }

    /// What is wrong, as `check --format json` lists it.
    pub fn problems(&self) -> serde_json::Value {
        match self {
            Self::Invalid { problems, .. } => serde_json::json!(problems),
            Self::Unreadable { why, .. } => {
                serde_json::json!([{ "severity": "error", "path": "", "message": why }])
            }
            Self::Unusable { path, why, .. } => {
                serde_json::json!([{ "severity": "error", "path": path, "message": why }])
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, why } => write!(f, "error: cannot read {file}: {why}"),
            Self::Invalid { file, problems } => {
                for problem in problems {
                    writeln!(f, "{}", problem.render(file))?;
                }
                let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
                write!(f, "{file}: {errors} error{}", if errors == 1 { "" } else { "s" })
            }
            Self::Unusable { file, path, why } => write!(f, "error: {path}: {why}\n --> {file}"),
        }
    }
}

impl std::error::Error for Rejection {}
