//! A tar file that belongs to the one who made it.
//!
//! **It never replaces a file, and nobody else may read it.**

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Permissions of the archive and of what is in it.
const MODE: u32 = 0o600;

/// An archive in work.
pub(super) struct Archive {
    builder: tar::Builder<File>,
    folder: String,
    time: u64,
}

impl Archive {
    /// Begins an archive in which everything is below `folder`, and of `time` (seconds since 1970).
    ///
    /// # Errors
    /// The file exists, or cannot be made.
    pub(super) fn create(path: &Path, folder: &str, time: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
        Ok(Self { builder: tar::Builder::new(file), folder: folder.to_owned(), time })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// Of the disk.
    pub(super) fn add(&mut self, name: &str, octets: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(octets.len()).map_err(io::Error::other)?);
        header.set_mode(MODE);
        header.set_mtime(self.time);
        self.builder.append_data(&mut header, format!("{}/{name}", self.folder), octets)
    }

    /// Completes it.
    ///
    /// # Errors
    /// Of the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        let mut file = self.builder.into_inner()?;
        file.flush()?;
        file.sync_all()
    }
}
