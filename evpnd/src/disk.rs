//! What survives the death of the process: sequences of MAC addresses and the energy policy's state.
//!
//! Sequences are appended to a log, one record of [`RECORD_OCTETS`] octets each, and the log is
//! rewritten at every start with the latest of each. Death of the process loses nothing that was
//! written; only death of the machine could, and after that the kernel's tables are empty too.
//!
//! ```text
//! sequences:  "evpnd sequences 1\n"  then records  | vni 4 | mac 6 | sequence 4 | checksum 2 |
//! energy:     "evpnd energy 1 CHECKSUM\n"  then JSON
//! boot:       the kernel's boot id
//! ```
//!
//! **A file of a newer version is refused and left untouched; a record whose checksum is wrong ends
//! the log.**

use evpn_energy::Snapshot;
use evpn_engine::{Memory, PersistRecord};
use evpn_proto::types::{MacAddr, Vni};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

const SEQUENCES: &str = "sequences";
const SEQUENCES_MAGIC: &[u8] = b"evpnd sequences ";
const ENERGY: &str = "energy";
const ENERGY_MAGIC: &str = "evpnd energy ";
const BOOT: &str = "boot";
const VERSION: u32 = 1;
const RECORD_OCTETS: usize = 16;
/// Where the kernel names its boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is wrong with the state directory.
#[derive(Debug, Error)]
pub(crate) enum DiskError {
    /// It cannot be used.
    #[error("{path}: {error}; state-dir must be a directory that evpnd can write to")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It was written by a newer evpnd.
    #[error(
        "{path} was written by a newer evpnd (version {version}, this one knows {VERSION}): install \
         that version again, or move the file away, which forgets what it holds"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It is something else.
    #[error("{path} is not a file of evpnd's: move it away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// The state directory.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    sequences: File,
}

/// Whether the machine has been up since the last time: then the kernel still forwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Boot {
    /// evpnd ran before in this boot.
    Same,
    /// It did not.
    New,
}

impl Disk {
    /// Opens the directory, making it if need be, and reads what it holds.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Memory, Boot), DiskError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| DiskError::Io { path, error }
        };
        fs::create_dir_all(directory).map_err(at(directory))?;
        let path = directory.join(SEQUENCES);
        let latest = read_sequences(&path)?;
        replace(directory, SEQUENCES, &encode_sequences(&latest)).map_err(at(&path))?;
        let sequences = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
        let energy = read_energy(&directory.join(ENERGY))?;
        let boot = note_boot(directory).map_err(at(&directory.join(BOOT)))?;
        let mut memory = Memory { energy, ..Memory::default() };
        for ((vni, mac), sequence) in latest {
            memory.sequences.entry(vni).or_default().push((mac, sequence));
        }
        Ok((Self { directory: directory.to_owned(), sequences }, memory, boot))
    }

    /// Writes a record. It is with the kernel when this returns.
    pub(crate) fn persist(&mut self, record: &PersistRecord) {
        let written = match record {
            PersistRecord::Sequence(vni, mac, sequence) => {
                self.sequences.write_all(&encode_record(*vni, *mac, *sequence))
            }
            PersistRecord::Energy(snapshot) => self.write_energy(snapshot),
        };
        if let Err(error) = written {
            let directory = self.directory.display();
            tracing::error!(
                "cannot write to {directory}: {error}; a restart would forget what has just changed: \
                 make room there"
            );
        }
    }

    fn write_energy(&self, snapshot: &Snapshot) -> io::Result<()> {
        let json = snapshot.encode().map_err(io::Error::other)?;
        let sum = checksum(json.as_bytes());
        let text = format!("{ENERGY_MAGIC}{VERSION} {sum:04x}\n{json}");
        replace(&self.directory, ENERGY, text.as_bytes())
    }
}

type Latest = BTreeMap<(Vni, MacAddr), u32>;

fn read(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::Io { path: path.to_owned(), error }),
    }
}

/// Splits off the first line and checks that it is ours and not newer. Gives what follows the
/// version on that line, and the rest.
fn header<'a>(
    path: &Path,
    magic: &[u8],
    octets: &'a [u8],
) -> Result<(&'a str, &'a [u8]), DiskError> {
    let foreign = || DiskError::Foreign { path: path.to_owned() };
    let end = octets.iter().position(|o| *o == b'\n').ok_or_else(foreign)?;
    let (line, rest) = octets.split_at(end);
    let line = line.strip_prefix(magic).and_then(|l| std::str::from_utf8(l).ok());
    let line = line.ok_or_else(foreign)?;
    let (version, more) = line.split_once(' ').unwrap_or((line, ""));
    let version: u32 = version.parse().map_err(|_| foreign())?;
    if version > VERSION {
        return Err(DiskError::Newer { path: path.to_owned(), version });
    }
    Ok((more, rest.get(1..).unwrap_or_default()))
}

fn read_sequences(path: &Path) -> Result<Latest, DiskError> {
    let mut latest = Latest::new();
    let Some(octets) = read(path)? else { return Ok(latest) };
    let (_, records) = header(path, SEQUENCES_MAGIC, &octets)?;
    for record in records.chunks_exact(RECORD_OCTETS) {
        let Some((vni, mac, sequence)) = decode_record(record) else { break };
        let entry = latest.entry((vni, mac)).or_insert(0);
        *entry = sequence.max(*entry);
    }
    Ok(latest)
}

fn encode_sequences(latest: &Latest) -> Vec<u8> {
    let mut octets = SEQUENCES_MAGIC.to_vec();
    octets.extend_from_slice(format!("{VERSION}\n").as_bytes());
    for ((vni, mac), sequence) in latest {
        octets.extend_from_slice(&encode_record(*vni, *mac, *sequence));
    }
    octets
}

fn encode_record(vni: Vni, mac: MacAddr, sequence: u32) -> [u8; RECORD_OCTETS] {
    let [a, b, c, d] = vni.get().to_be_bytes();
    let [e, f, g, h, i, j] = mac.0;
    let [k, l, m, n] = sequence.to_be_bytes();
    let body = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
    let [o, p] = checksum(&body).to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

fn decode_record(record: &[u8]) -> Option<(Vni, MacAddr, u32)> {
    let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = record else { return None };
    let body = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
    if checksum(&body) != u16::from_be_bytes([o, p]) {
        return None;
    }
    let vni = Vni::new(u32::from_be_bytes([a, b, c, d]))?;
    Some((vni, MacAddr([e, f, g, h, i, j]), u32::from_be_bytes([k, l, m, n])))
}

fn read_energy(path: &Path) -> Result<Option<Snapshot>, DiskError> {
    let Some(octets) = read(path)? else { return Ok(None) };
    let (sum, json) = header(path, ENERGY_MAGIC.as_bytes(), &octets)?;
    let snapshot = if sum == format!("{:04x}", checksum(json)) {
        Snapshot::decode(json).map_err(|e| e.to_string())
    } else {
        Err("its checksum is wrong".to_owned())
    };
    match snapshot {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) => {
            tracing::warn!("{}: {error}; the site begins at the normal level", path.display());
            Ok(None)
        }
    }
}

/// CRC-16/CCITT, which finds what a torn or bent record looks like.
fn checksum(octets: &[u8]) -> u16 {
    octets.iter().fold(0xffff, |sum, octet| {
        (0..8).fold(sum ^ (u16::from(*octet) << 8), |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
        })
    })
}

/// Puts a file in place as a whole: temporary file, fsync, rename, fsync of the directory.
fn replace(directory: &Path, name: &str, octets: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}

fn note_boot(directory: &Path) -> io::Result<Boot> {
    let now = fs::read_to_string(BOOT_ID).unwrap_or_default();
    let before = fs::read_to_string(directory.join(BOOT)).unwrap_or_default();
    if now.is_empty() || now != before {
        replace(directory, BOOT, now.as_bytes())?;
        return Ok(Boot::New);
    }
    Ok(Boot::Same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u8, sequence: u32) -> PersistRecord {
        PersistRecord::Sequence(Vni::new(100).unwrap(), MacAddr([2, 0, 0, 0, 0, n]), sequence)
    }

    #[test]
    fn the_latest_sequence_survives() {
        let directory = tempfile::tempdir().unwrap();
        let (mut disk, memory, _) = Disk::open(directory.path()).unwrap();
        assert!(memory.sequences.is_empty());
        for (n, sequence) in [(1, 1), (2, 7), (1, 2)] {
            disk.persist(&record(n, sequence));
        }
        drop(disk);
        let (_, memory, boot) = Disk::open(directory.path()).unwrap();
        let kept = &memory.sequences[&Vni::new(100).unwrap()];
        assert_eq!(kept, &[(MacAddr([2, 0, 0, 0, 0, 1]), 2), (MacAddr([2, 0, 0, 0, 0, 2]), 7)]);
        assert_eq!(boot, Boot::Same);
    }

    #[test]
    fn a_torn_record_loses_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let (mut disk, ..) = Disk::open(directory.path()).unwrap();
        disk.persist(&record(1, 1));
        disk.persist(&record(2, 1));
        drop(disk);
        let path = directory.path().join(SEQUENCES);
        let mut octets = fs::read(&path).unwrap();
        octets.truncate(octets.len() - 3);
        fs::write(&path, octets).unwrap();
        let (_, memory, _) = Disk::open(directory.path()).unwrap();
        assert_eq!(memory.sequences[&Vni::new(100).unwrap()].len(), 1);
    }

    #[test]
    fn a_newer_file_is_refused_and_left_untouched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(SEQUENCES);
        fs::write(&path, b"evpnd sequences 2\nsomething new").unwrap();
        let error = Disk::open(directory.path()).unwrap_err();
        assert!(matches!(error, DiskError::Newer { version: 2, .. }));
        assert_eq!(fs::read(&path).unwrap(), b"evpnd sequences 2\nsomething new");
    }

    #[test]
    fn a_bent_energy_state_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(ENERGY);
        fs::write(&path, b"evpnd energy 1 0000\n{}").unwrap();
        let (_, memory, _) = Disk::open(directory.path()).unwrap();
        assert!(memory.energy.is_none());
    }
}
