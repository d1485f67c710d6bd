//! What could not be said in the other dialect.
//!
//! A writer reports what it leaves out, and nothing is left out without a report. The proxy decides by
//! the route's `unsupported` policy whether the caller is told, or the request refused.

use std::borrow::Cow;

use super::{Ask, Extras, Stops, Text};

/// More than anybody is told; what a hostile body makes up beyond them must not be looked through each time.
const MOST_NAMES: usize = 64;

/// Everything that was lost on the way of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    names: Vec<Cow<'static, str>>,
    /// What cannot be left out without another meaning: the request must not be sent like this.
    fatal: Option<Loss>,
    /// What is no loss, since it is done here.
    stops: Stops,
}

/// Something that changes the request's meaning when it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// In the caller's own words: `messages[2].content[0]`, or just the field's name.
    pub param: Cow<'static, str>,
    pub message: Cow<'static, str>,
}

impl Losses {
    /// Leaves out something of this name: OpenAI's for what several dialects have (`temperature`,
    /// `logit_bias`, `image.detail`), the caller's own for what only his dialect has.
    pub fn drop(&mut self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        if self.names.len() < MOST_NAMES && !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// The same, if there was anything to leave out.
    pub fn drop_if<T>(&mut self, value: Option<&T>, name: &'static str) {
        if value.is_some() {
            self.drop(name);
        }
    }

    /// Leaves stop sequences out of the request: its answer is ended here. What cannot be heeded is lost.
    pub fn stop_here<'t>(&mut self, texts: impl IntoIterator<Item = &'t Text<'t>>) {
        for text in texts {
            if !self.stops.add(text) {
                self.drop("stop");
            }
        }
    }

    /// Stop sequences that are heeded here.
    pub fn stops(&self) -> &Stops {
        &self.stops
    }

    /// Leaves out what only the caller's dialect knows.
    pub fn drop_extras(&mut self, extras: &Extras<'_>) {
        for (key, _) in extras.iter() {
            self.drop(key.to_owned());
        }
    }

    /// What belongs to the request as a whole, its turns, parts and tools, and only its own dialect
    /// knows. For writers of other dialects.
    pub fn drop_all_extras(&mut self, ask: &Ask<'_>) {
        self.drop_extras(&ask.extras);
        for turn in &ask.turns {
            self.drop_extras(&turn.extras);
            for part in &turn.parts {
                self.drop_extras(&part.extras);
            }
        }
        for tool in &ask.tools {
            self.drop_extras(&tool.extras);
        }
    }

    /// The request cannot be said at all in the other dialect. The first reason counts.
    pub fn refuse(&mut self, param: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) {
        if self.fatal.is_none() {
            self.fatal = Some(Loss { param: param.into(), message: message.into() });
        }
    }

    /// Names of what was left out, each once; of very many only the first ones.
    pub fn names(&self) -> &[Cow<'static, str>] {
        &self.names
    }

    pub fn fatal(&self) -> Option<&Loss> {
        self.fatal.as_ref()
    }
}
