//! Whether a state file may stand where the configuration puts it, judged before anything is written.
//!
//! Only looks. What stands there and is nobody's whom the configuration knows is found by the write itself.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::file;
use crate::config::Problem;

/// The setting, as messages name it.
pub(in super::super) const SETTING: &str = "server.state_file";

/// What of the files in `used`, each with what it is, a state file at `path` would be written over.
pub(in super::super) fn collision(path: &Path, used: &[(PathBuf, &'static str)]) -> Option<String> {
    let written = [Some(path.to_owned()), file::beside(path)];
    let written: Vec<PathBuf> = written.into_iter().flatten().map(|path| real(&path)).collect();
    let (theirs, what) = used.iter().find(|(theirs, _)| written.contains(&real(theirs)))?;
    Some(format!(
        "{} is {what}, and would be written over every few seconds; name a file that nothing else uses, as in \
         state.json",
        theirs.display()
    ))
}

/// Why nothing could be written there, as things are.
pub(in super::super) fn warning(path: &Path) -> Option<Problem> {
    let directory = file::directory(path);
    let shown = directory.display();
    let (message, hint) = match access(directory, Access::EXISTS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (format!("there is no directory {shown}: nothing would outlast a restart"), "make it")
        }
        Err(error) => (format!("{shown} cannot be looked at: {error}"), "name a file elsewhere"),
        Ok(()) if !directory.is_dir() => (format!("{shown} is no directory"), "name a file elsewhere"),
        Ok(()) => match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => return None,
            Err(error) => (
                format!("nothing can be written into {shown}: {error}"),
                "let the user that the gateway runs as write there, or name a file elsewhere",
            ),
        },
    };
    Some(Problem::warning(SETTING, message, hint))
}

/// The same for two names of one file, whether or not it exists yet.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let directory = file::directory(path).canonicalize();
        let name = path.file_name().unwrap_or_default();
        directory.map_or_else(|_| path.to_owned(), |directory| directory.join(name))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_is_missing_or_none_is_warned_of() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(warning(&directory.path().join("state.json")), None);
        let missing = warning(&directory.path().join("none/state.json")).expect("it is missing");
        assert!(missing.message.starts_with("there is no directory"), "{}", missing.message);
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert!(warning(&directory.path().join("file/state.json")).is_some());
    }

    #[test]
    fn a_directory_is_warned_of_where_a_write_would_fail_and_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o755, 0o555, 0o222] {
            std::fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            let path = directory.path().join("state.json");
            // Root may write anywhere, and is not warned.
            let fails = std::fs::write(&path, "").is_err();
            assert_eq!(warning(&path).is_some(), fails, "{mode:o}");
        }
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_file_by_another_name_is_the_same_and_its_neighbour_is_written_too() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("key.new"), "").unwrap();
        std::os::unix::fs::symlink(at("key.new"), at("link")).unwrap();
        let used = [(at("key.new"), "a secret"), (at("missing"), "a certificate")];
        for state in ["key.new", "link", "key", "missing"] {
            assert!(collision(&at(state), &used).is_some(), "{state}");
        }
        assert_eq!(collision(&at("state.json"), &used), None);
    }
}
