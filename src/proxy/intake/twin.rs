//! The same request once more, for an attempt that goes its own way: a mirror's, or one that may outlast its race.

use std::sync::Arc;

use super::{Guest, Load};
use crate::proxy::media::Contents;
use crate::proxy::recall::Recall;
use crate::proxy::settle::Settle;

impl Guest {
    /// What is asked, of whom and for whom; it ends as `settle` says. `None` of plain HTTP. What a twin has not got:
    /// - the headers, what is encrypted in the body, and what was fetched for it;
    /// - what it refers to, and what was left at an upstream (a `bond` that holds it there it has);
    /// - how much it may cost;
    /// - all that only the answer's way to a caller takes: who waits for it, and where it is kept.
    pub fn twin(&self, settle: impl FnOnce() -> Settle) -> Option<Self> {
        let Load::Ask { body, scan } = &self.load else { return None };
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = self.head.method.clone();
        head.uri = self.head.uri.clone();
        head.version = self.head.version;
        Some(Self {
            head,
            request_id: self.request_id.clone(),
            caller: self.caller.clone(),
            dialect: self.dialect,
            operation: self.operation,
            route: self.route,
            asked_for: self.asked_for,
            model: self.model.clone(),
            shape: self.shape,
            resend: self.resend,
            begun: self.begun,
            deadline: self.deadline,
            is_retry: self.is_retry,
            prompt_tokens: self.prompt_tokens,
            thinks: self.thinks,
            most_output: self.most_output,
            most_cost: None,
            session: self.session,
            stored_at: self.stored_at,
            bond: self.bond,
            thoughts: None,
            errand: None,
            least_window: self.least_window,
            abilities: self.abilities,
            load: Load::Ask { body: body.clone(), scan: Arc::clone(scan) },
            recall: Recall::nothing(),
            onward: None,
            upgrade: None,
            again: None,
            contents: Contents::default(),
            priority: self.priority,
            shed: None,
            settle: settle(),
            attendance: None,
            followed: None,
        })
    }
}
