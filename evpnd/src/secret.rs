//! Secrets, which stand in files of their own.
//!
//! **A secret that others could read is not taken**: it is none any more.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Permissions that a secret's file must not have: anything for others, writing for the group.
const FORBIDDEN_MODE: u32 = 0o027;
/// The longest file that is read, in octets.
const FILE_MAX: u64 = 4096;

/// The first line of a file that nobody else may read.
///
/// # Errors
/// The file's name and what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|e| format!("{shown}: {e}"))?;
    let mode = metadata.permissions().mode();
    if mode & FORBIDDEN_MODE != 0 {
        return Err(format!(
            "{shown} has mode {:03o}: others could read it; chmod 640 {shown}",
            mode & 0o777
        ));
    }
    if metadata.len() > FILE_MAX {
        return Err(format!("{shown} is longer than {FILE_MAX} octets: it is no password"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("{shown}: {e}"))?;
    let secret = text.lines().next().unwrap_or_default();
    if secret.is_empty() {
        return Err(format!("{shown}: its first line is empty; write the password there"));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, Result<String, String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let read = read(&path);
        (directory, read)
    }

    #[test]
    fn the_first_line_of_a_private_file_is_the_secret() {
        assert_eq!(file("geheim\r\nmore\n", 0o600).1, Ok("geheim".to_owned()));
        assert_eq!(file("geheim", 0o640).1, Ok("geheim".to_owned()));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        for mode in [0o644, 0o604, 0o660, 0o777] {
            let why = file("geheim", mode).1.unwrap_err();
            assert!(why.contains("chmod 640") && !why.contains("geheim"), "{why}");
        }
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert!(file("\n", 0o600).1.unwrap_err().contains("empty"));
    }
}
