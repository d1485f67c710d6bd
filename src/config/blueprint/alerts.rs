//! What operators are told of, and where.

use std::sync::Arc;
use std::time::Duration;

use super::BaseUrl;
use crate::algo::alarm::{failures, spending};
use crate::vocab::{AlertKind, Secret};

#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// In the order of the file.
    pub webhooks: Vec<Webhook>,
    /// For how long something has to be away.
    pub down_after: Duration,
    pub error_spike: failures::Settings,
    pub spend_spike: spending::Settings,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// A metric label.
    pub name: Arc<str>,
    /// Without its path.
    pub host: BaseUrl,
    /// Path and query: whoever knows them can write there.
    pub path: Secret,
    pub kinds: Vec<AlertKind>,
    pub form: MessageForm,
}

/// What messages look like.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageForm {
    /// JSON, signed with this.
    Signed(Secret),
    /// As Slack takes it.
    Slack,
}

impl MessageForm {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Signed(_) => "mainstay",
            Self::Slack => "slack",
        }
    }
}
