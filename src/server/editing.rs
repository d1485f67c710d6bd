//! What operators ask of the configuration: to see it, to check and compare another, to put one in its place.
//!
//! What is put is checked as a file is, then written into the file, then put in force, all of it as one reload; so the
//! file and the table agree, or neither has changed. Secrets that the text does not show are put back first
//! (`history`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use similar::TextDiff;

use super::loader::{Draft, Rejection, Source};
use super::overwrite::overwrite;
use super::reload::{Cause, Reloader};
use crate::admin::{Compared, Editing, Later, NotTaken, Past, Reloaded, Written};
use crate::config::changes::changes;
use crate::config::veil::Lifted;
use crate::config::{Blueprint, Problem};

/// How long two texts are compared line by line; what is left then is said to differ as a whole.
const COMPARING: Duration = Duration::from_secs(1);
/// Lines around what differs.
const AROUND: usize = 3;

impl Reloader {
    /// A text with its secrets, and what it means.
    async fn drafted(&self, text: &str) -> Result<(Lifted, Draft), Vec<Problem>> {
        let lifted = self.history.lock().lift(text)?;
        let (loader, whole) = (Arc::clone(&self.loader), lifted.text.clone());
        let read = tokio::task::spawn_blocking(move || loader.load_text(whole)).await;
        let draft =
            read.map_err(|error| vec![Problem::error("", format!("reading was interrupted: {error}"))])?;
        match draft {
            Ok(mut draft) => {
                lifted.replace(text, &mut draft.warnings);
                Ok((lifted, draft))
            }
            Err(rejection) => {
                let mut problems = rejection.into_problems();
                lifted.replace(text, &mut problems);
                Err(problems)
            }
        }
    }

    async fn compared(&self, text: String) -> Result<Compared, Vec<Problem>> {
        let (lifted, draft) = self.drafted(&text).await?;
        let shown = self.history.lock().current().to_owned();
        // Both are read in the environment of now, so that only the texts make a difference.
        let before = self.drafted(&shown).await.map_err(|problems| {
            let why =
                "what is in force could not be read again, so there is nothing to compare with".to_owned();
            std::iter::once(Problem::error("", why)).chain(problems).collect::<Vec<_>>()
        })?;
        let before: Blueprint = before.1.blueprint;
        let after = self.history.lock().lower(&lifted.text);
        let unified = tokio::task::spawn_blocking(move || {
            let mut comparing = TextDiff::configure();
            comparing.timeout(COMPARING);
            let diff = comparing.diff_lines(&shown, &after);
            diff.unified_diff().context_radius(AROUND).header("in force", "sent").to_string()
        });
        let unified = unified.await.unwrap_or_default();
        let changes = changes(&before, &draft.blueprint);
        let after_restart = self.started.differs_from(&draft.blueprint);
        let [revision, new_revision] = [before.revision, draft.blueprint.revision];
        Ok(Compared { revision, new_revision, changes, after_restart, unified })
    }

    async fn taken(&self, text: String, expected: Option<&str>, by: &str) -> Result<Reloaded, NotTaken> {
        let mut workshop = self.workshop.lock().await;
        // What somebody has written into the file since is in force first, and nobody writes over it unseen.
        drop(self.reload_in(&mut workshop, Cause::Watch).await);
        let revision = self.applied().revision;
        if expected.is_some_and(|expected| expected != revision) {
            return Err(NotTaken::Stale { revision });
        }
        let (lifted, draft) = self.drafted(&text).await.map_err(NotTaken::Problems)?;
        let Source::File(path) = self.loader.source().clone() else {
            let why = "the configuration is no file, but built into the program or come through a pipe; start it with `--config FILE`";
            return Err(NotTaken::Unwritable(why.to_owned()));
        };
        let was = self.loader.read().ok();
        if was.as_ref() == Some(&lifted.text) && draft.blueprint.revision == revision {
            return Ok(Reloaded::Unchanged { revision });
        }
        written(&path, lifted.text).await?;
        let applied = self.apply(&mut workshop, draft, Cause::Order, by);
        match applied {
            Ok(applied) => {
                self.count("applied");
                drop(workshop);
                self.write_history().await;
                Ok(applied)
            }
            Err(rejection) => {
                if let Some(was) = was {
                    written(&path, was).await?;
                }
                Err(NotTaken::Problems(Rejection::into_problems(rejection)))
            }
        }
    }
}

/// Writes the file, on a thread that may block.
async fn written(path: &Path, text: String) -> Result<(), NotTaken> {
    let path = path.to_owned();
    let written = tokio::task::spawn_blocking(move || overwrite(&path, &text)).await;
    written
        .unwrap_or_else(|error| Err(format!("writing was interrupted: {error}")))
        .map_err(NotTaken::Unwritable)
}

impl Editing for Reloader {
    fn written(&self) -> Written {
        let applied = self.applied();
        Written {
            source: applied.source,
            revision: applied.revision,
            applied_at: applied.applied_at,
            refused: applied.refused,
            is_file: matches!(self.loader.source(), Source::File(_)),
            text: self.history.lock().current().to_owned(),
        }
    }

    fn history(&self) -> Vec<Past> {
        self.history.lock().all()
    }

    fn check(&self, text: String) -> Later<'_, Result<Vec<Problem>, Vec<Problem>>> {
        Box::pin(async move { self.drafted(&text).await.map(|(_, draft)| draft.warnings) })
    }

    fn read(&self, text: Option<String>) -> Later<'_, Result<Blueprint, Vec<Problem>>> {
        let text = text.unwrap_or_else(|| self.history.lock().current().to_owned());
        Box::pin(async move { self.drafted(&text).await.map(|(_, draft)| draft.blueprint) })
    }

    fn compare(&self, text: String) -> Later<'_, Result<Compared, Vec<Problem>>> {
        Box::pin(self.compared(text))
    }

    fn put<'a>(
        &'a self,
        text: String,
        expected: Option<&'a str>,
        by: &'a str,
    ) -> Later<'a, Result<Reloaded, NotTaken>> {
        Box::pin(self.taken(text, expected, by))
    }

    fn roll_back<'a>(
        &'a self,
        revision: &'a str,
        expected: Option<&'a str>,
        by: &'a str,
    ) -> Later<'a, Result<Reloaded, NotTaken>> {
        Box::pin(async move {
            let text = self.history.lock().text_of(revision).map(str::to_owned);
            let text = text.ok_or(NotTaken::Unknown)?;
            self.taken(text, expected, by).await
        })
    }
}

#[cfg(test)]
mod tests;
