//! The configuration's file, replaced whole: by a new one beside it that takes its name, so that nobody ever reads half
//! of it. Its mode and its owner stay. Blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::Path;

/// Replaces the content of the file at `path`, or of the one that it leads to.
///
/// # Errors
/// Why it is as it was, in words, and what to do about it.
pub(super) fn overwrite(path: &Path, text: &str) -> Result<(), String> {
    let name = path.display();
    replace(path, text).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => {
                "; its file system is read-only, as a ConfigMap's is: change it where it comes from"
            }
            io::ErrorKind::PermissionDenied => "; the process may not make files in its directory",
            io::ErrorKind::ResourceBusy => "; it is mounted by itself: mount its directory instead",
            _ => "",
        };
        format!("cannot write {name}: {error}{remedy}")
    })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let about = fs::metadata(&path)?;
    let mut beside = path.file_name().unwrap_or_default().to_owned();
    beside.push(".mainstay-new");
    let beside = path.with_file_name(beside);
    // What an interrupted write has left. A link is not written through.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = write(&beside, text, &about).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn write(beside: &Path, text: &str, like: &fs::Metadata) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(text.as_bytes())?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        // Only root may give files away; others have a file of their own from now on.
        drop(chown(beside, Some(like.uid()), Some(like.gid())));
    }
    file.set_permissions(like.permissions())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_through_links() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("routing.yaml");
        let link = directory.path().join("link.yaml");
        fs::write(&file, "old").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        symlink("routing.yaml", &link).expect("a link");
        fs::write(directory.path().join("routing.yaml.mainstay-new"), "left over").expect("a file");
        overwrite(&link, "new").expect("it can be written");
        assert_eq!(fs::read_to_string(&file).expect("it is there"), "new");
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
        assert_eq!(
            fs::read_dir(directory.path()).expect("a directory").count(),
            2,
            "nothing is left beside it"
        );
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        let directory = tempfile::tempdir().expect("a directory");
        let why = overwrite(&directory.path().join("none.yaml"), "new").expect_err("there is nothing");
        assert!(why.starts_with("cannot write ") && why.contains("none.yaml"), "{why}");
        let why = overwrite(Path::new("/proc/version"), "new").expect_err("nobody can");
        assert!(why.contains("/proc/version"), "{why}");
    }
}
