//! What `${VAR}` and `file:` mean for this process: its environment and its disk.

use std::fs::File;
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
        std::fs::write(&path, "sk-1\n").unwrap();
        assert_eq!(read().as_deref(), Ok("sk-1\n"));
        std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
        assert!(read().is_ok());
        std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(read().is_err());
    }
}
