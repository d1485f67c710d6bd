//! What `${VAR}` and `file:` mean for this process: its environment and its disk.

use std::fs::{self, File};
use std::io::Read;

use crate::config::Env;

/// A secret or a bundle of roots is far smaller; a reference to a device or a log is a mistake.
const FILE_MAX: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Env for Process {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        // Whoever opens a pipe waits for its other end, and all reloads with him.
        let kind = fs::metadata(path).map_err(|error| error.to_string())?.file_type();
        if !kind.is_file() {
            let what = if kind.is_dir() { "a directory" } else { "a pipe or a device" };
            return Err(format!("it is {what}, not a file"));
        }
        let file = File::open(path).map_err(|error| error.to_string())?;
        let mut text = String::new();
        file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
        if text.len() as u64 > FILE_MAX { Err(format!("larger than {FILE_MAX} bytes")) } else { Ok(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let read = || Process.file(path.to_str().unwrap());
        assert!(read().is_err());
        fs::write(&path, "sk-1\n").unwrap();
        assert_eq!(read().as_deref(), Ok("sk-1\n"));
        fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        assert!(read().is_ok());
        fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(read().is_err());
        let directory = directory.path().to_str().unwrap();
        assert_eq!(Process.file(directory), Err("it is a directory, not a file".to_owned()));
        assert_eq!(Process.file("/dev/null"), Err("it is a pipe or a device, not a file".to_owned()));
    }
}
