//! A reading from a file that something else writes.

use evpn_energy::feed::file::{MAX_FILE_BYTES, parse};
use evpn_energy::{FeedError, Reading, UnixSeconds};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

pub(super) async fn read(path: &Path) -> Result<Reading, FeedError> {
    let path: PathBuf = path.to_owned();
    let what = path.display().to_string();
    // A file on a dead network mount may block for long: not the runtime's thread.
    let read = tokio::task::spawn_blocking(move || octets(&path)).await;
    let failed = |e: &dyn std::fmt::Display| FeedError::Unreachable {
        what: what.clone(),
        cause: e.to_string(),
    };
    let (octets, modified) = read.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
    parse(&octets, modified).map(|file| file.reading)
}

fn octets(path: &Path) -> io::Result<(Vec<u8>, Option<UnixSeconds>)> {
    let file = File::open(path)?;
    let modified = file.metadata()?.modified().ok();
    let modified = modified.and_then(|m| m.duration_since(UNIX_EPOCH).ok());
    let mut octets = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut octets)?;
    Ok((octets, modified.map(|m| UnixSeconds(m.as_secs()))))
}
