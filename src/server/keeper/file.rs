//! The state file on its disk: what is there, read whole, replaced whole.
//!
//! A name in a configuration may be mistaken, and what it then names may be a configuration, or a secret that
//! exists nowhere else. So what does not begin as a state file does is left as it is, and so is what a newer version
//! of this program has left, whose operator may go back to it. Nothing here knows what else is in the file. All of it
//! blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::state::memoir::{BEGIN, BEGIN_BYTES, MOST_BYTES, newer};

/// Nobody else's: it tells which providers are used, and how they are doing.
const MODE: u32 = 0o600;

/// Why nothing is written over a file.
pub(super) const FOREIGN: &str = "it is no state file of Mainstay's, and is not written over: name another \
                                  file in `server.state_file`, or take this one away";
/// The same of what stands where a new file is made before it takes the old one's place.
const IN_THE_WAY: &str = "what stands beside it, by its name and `.new`, is in the way and not ours: name another \
                          file in `server.state_file`, or take that one away";

/// Why nothing is written over a state file.
pub(super) const NEWER: &str =
    "a newer version of Mainstay has written it, and it is not written over: a start sets it aside";

/// What is where the state file should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Not even an empty file, or only that.
    Nothing,
    /// A state file, whole or not.
    Ours,
    /// A state file of this version, which this program does not know yet.
    Newer(u32),
    /// Anything else.
    Foreign,
}

/// Looks, and changes nothing.
pub(super) fn found(path: &Path) -> io::Result<Found> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
        // A pipe would be waited for.
        Ok(about) if !about.is_file() => return Ok(Found::Foreign),
        Ok(_) => {}
    }
    let begin = begin(path)?;
    Ok(if begin.is_empty() {
        Found::Nothing
    } else if let Some(version) = newer(&begin) {
        Found::Newer(version)
    } else if begin.starts_with(BEGIN.as_bytes()) {
        Found::Ours
    } else {
        Found::Foreign
    })
}

pub(super) fn read(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other(FOREIGN));
    }
    let mut text = String::new();
    // One byte more than allowed is enough to be told that it is too large.
    let read = File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_string(&mut text);
    match read {
        // Not text, so not ours; judged like any other foreign file.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(String::new()),
        Err(error) => Err(error),
        Ok(_) => Ok(text),
    }
}

/// The whole of `text`, or the file as it was.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    match found(path)? {
        Found::Nothing | Found::Ours => {}
        Found::Newer(_) => return Err(io::Error::other(NEWER)),
        Found::Foreign => return Err(io::Error::other(FOREIGN)),
    }
    let beside = beside(path).ok_or(io::ErrorKind::InvalidInput)?;
    clear(&beside)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory(path))?.sync_all()
}

/// Gives a file of a newer version a name by which nobody writes over it, and says which. One that was set aside
/// before makes room for it, which is newer; anything else does not.
pub(super) fn set_aside(path: &Path, version: u32) -> io::Result<PathBuf> {
    let aside = named(path, &format!(".v{version}")).ok_or(io::ErrorKind::InvalidInput)?;
    if found(&aside)? == Found::Foreign {
        let name = aside.display();
        return Err(io::Error::other(format!("{name} is in the way and not ours: take one of the two away")));
    }
    fs::rename(path, &aside)?;
    File::open(directory(path))?.sync_all()?;
    Ok(aside)
}

/// Where a new file is made.
pub(super) fn beside(path: &Path) -> Option<PathBuf> {
    named(path, ".new")
}

fn named(path: &Path, ending: &str) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(ending);
    Some(path.with_file_name(name))
}

/// The directory of a file that may be named without any.
pub(super) fn directory(path: &Path) -> &Path {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    directory.unwrap_or(Path::new("."))
}

/// Takes away what an interrupted write has left, and nothing else. A link is no content of anybody's, and is
/// not written through.
fn clear(beside: &Path) -> io::Result<()> {
    let about = match fs::symlink_metadata(beside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(about) => about,
    };
    let left_over = about.is_symlink() || (about.is_file() && is_interrupted(&begin(beside)?));
    if left_over { fs::remove_file(beside) } else { Err(io::Error::other(IN_THE_WAY)) }
}

/// A state file's begin, or as much of it as had reached the disk.
fn is_interrupted(begin: &[u8]) -> bool {
    let wanted = &BEGIN.as_bytes()[..BEGIN.len().min(begin.len())];
    // A disk that lost its power may have kept the length and not the content.
    begin.starts_with(wanted) || begin.iter().all(|byte| *byte == 0)
}

/// As many bytes as tell whose it is, and of which version.
fn begin(path: &Path) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    File::open(path)?.take(BEGIN_BYTES as u64).read_to_end(&mut begin)?;
    Ok(begin)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_write_replaces_all_of_the_file_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        let beside = beside(&path).unwrap();
        let text = |rest: &str| format!("{BEGIN}{rest}");
        // What an interrupted write may have left.
        for left in ["", "{\"main", "\0\0\0", &text(":1,\"sha")] {
            fs::write(&beside, left).unwrap();
            for text in [text(" a longer one"), text("short")] {
                replace(&path, &text).unwrap();
                assert_eq!(read(&path).unwrap(), text);
            }
        }
        symlink("elsewhere", &beside).unwrap();
        replace(&path, &text("")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        assert_eq!(read(&path).unwrap(), "", "what is no text is no state");
        assert!(replace(&directory.path().join("none/state.json"), "x").is_err());
    }

    #[test]
    fn what_does_not_begin_as_ours_is_left_alone_beside_it_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        for theirs in ["version: 1", "{}", "{\"mainstay_stat\":1}", " {\"mainstay_state\":1}"] {
            for file in [&path, &beside(&path).unwrap()] {
                fs::write(file, theirs).unwrap();
                let error = replace(&path, BEGIN).unwrap_err().to_string();
                assert!(error.contains("`server.state_file`"), "{error}");
                assert_eq!(fs::read_to_string(file).unwrap(), theirs);
                fs::remove_file(file).unwrap();
            }
        }
        fs::create_dir(&path).unwrap();
        assert_eq!(found(&path).unwrap(), Found::Foreign, "a directory");
        assert!(read(&path).is_err());
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        replace(&path, BEGIN).unwrap();
        assert_eq!(found(&path).unwrap(), Found::Ours, "an empty file may be written");
    }
}
