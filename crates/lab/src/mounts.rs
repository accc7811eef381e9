//! The mount namespace of a node, as a list of steps computed from its binds and from
//! what lies on this machine. Reads directories; mounts nothing itself.
//!
//! **Whatever a node's processes find at a path is the machine's, except /run, /sys,
//! the private directories and the binds**, and none of it changes a file of the
//! machine. Where a bind's target does not exist, its directory is covered by a tmpfs
//! of links to what it held, in which the target can be made.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use crate::ops::{Failure, Op, Step, c_path};
use crate::privilege::Privilege;
use crate::topology::Bind;

/// Fresh and empty in every node, so that sockets and pid files do not meet.
const RUN: &str = "/run";
/// Directories in a node's /run that daemons expect their package or unit to have made.
const IN_RUN: [&str; 3] = ["/run/lock", "/run/netns", "/run/evpnd"];
/// Where covered directories stay reachable.
const UNDER: &str = "/run/.lab";
/// State that evpnd would otherwise share with the evpnd of other nodes.
const EVPND_STATE: &str = "/var/lib/evpnd";

/// The steps, or why they cannot be made. `private` names further directories that are
/// empty and the node's own.
pub(crate) fn plan(
    binds: &[Bind],
    private: &[&str],
    privilege: Privilege,
) -> Result<Vec<Step>, String> {
    Plan::new(privilege).build(binds, private).map_err(|e| match e {
        Refusal::Why(why) => why,
        Refusal::Path(failure) => format!("{}: {}", failure.what, failure.source),
    })
}

enum Refusal {
    Why(String),
    Path(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Path(failure)
    }
}

/// How a target comes to be.
enum Place {
    /// It is there on the machine.
    There,
    /// It is made inside a directory that is the node's own.
    Made,
}

struct Plan {
    privilege: Privilege,
    slots: usize,
    /// Made before anything is covered.
    keep: Vec<Step>,
    /// Directories to cover with links, with the slot that keeps what they held.
    mirrors: BTreeMap<PathBuf, usize>,
    /// Directories whose content is the node's own.
    fresh: Vec<PathBuf>,
    /// Made last.
    fill: Vec<Step>,
}

impl Plan {
    fn new(privilege: Privilege) -> Self {
        let fresh = vec![PathBuf::from(RUN)];
        Self { privilege, slots: 0, keep: vec![], mirrors: BTreeMap::new(), fresh, fill: vec![] }
    }

    fn build(mut self, binds: &[Bind], private: &[&str]) -> Result<Vec<Step>, Refusal> {
        for dir in IN_RUN {
            self.make_dirs(Path::new(dir))?;
        }
        for dir in private.iter().chain([&EVPND_STATE]) {
            self.private_dir(Path::new(dir))?;
        }
        for bind in binds {
            self.bind(bind)?;
        }
        let mut steps = vec![Step::new(Op::FollowMounts, "detaching the node's mounts")];
        steps.append(&mut self.keep);
        steps.push(mount(c"tmpfs", Path::new(RUN), "mode=0755")?);
        // Without root the kernel may refuse it (where parts of /sys are masked); then
        // /sys shows the machine's interfaces, which neither ip nor evpnd reads.
        steps.push(Step { optional: true, ..mount(c"sysfs", Path::new("/sys"), "")? });
        steps.push(mkdir(Path::new(UNDER))?);
        for (dir, slot) in &self.mirrors {
            steps.extend(mirror(dir, *slot, self.privilege)?);
        }
        steps.append(&mut self.fill);
        Ok(steps)
    }

    /// An empty directory of the node's own.
    fn private_dir(&mut self, dir: &Path) -> Result<(), Refusal> {
        let (dir, place) = self.place(dir)?;
        if let Place::There = place {
            let meta =
                fs::metadata(&dir).map_err(|e| Refusal::Why(format!("{}: {e}", dir.display())))?;
            self.fill.push(mount(c"tmpfs", &dir, &owner_options(&meta, self.privilege))?);
        } else {
            self.make_dirs(&dir)?;
        }
        self.fresh.push(dir);
        Ok(())
    }

    fn bind(&mut self, bind: &Bind) -> Result<(), Refusal> {
        let source = fs::metadata(&bind.source).map_err(|e| {
            Refusal::Why(format!("the bind's source {}: {e}", bind.source.display()))
        })?;
        let (target, place) = self.place(&bind.target)?;
        match place {
            Place::There if target.is_dir() != source.is_dir() => {
                return Err(Refusal::Why(format!(
                    "{} and {} must both be files or both be directories",
                    bind.source.display(),
                    target.display()
                )));
            }
            Place::There => {}
            Place::Made if source.is_dir() => self.make_dirs(&target)?,
            Place::Made => {
                if let Some(parent) = target.parent() {
                    self.make_dirs(parent)?;
                }
                self.fill.push(Step::new(
                    Op::Touch { path: c_path(&target)? },
                    format!("making {}", target.display()),
                ));
            }
        }
        let slot = self.keep(&bind.source)?;
        let attach = Op::Attach { slot, target: c_path(&target)?, read_only: bind.read_only };
        self.fill.push(Step::new(
            attach,
            format!("binding {} to {}", bind.source.display(), target.display()),
        ));
        Ok(())
    }

    /// Where a target really is, and whether it is there; if not, its place is prepared.
    fn place(&mut self, target: &Path) -> Result<(PathBuf, Place), Refusal> {
        if self.fresh.iter().any(|f| target.starts_with(f)) {
            return Ok((target.to_owned(), Place::Made));
        }
        // The deepest directory that is there, with symbolic links followed (/var/run is /run).
        let Some(dir) = target.ancestors().find(|d| d.exists()) else {
            return Err(Refusal::Why(format!("no directory of {} exists", target.display())));
        };
        let real =
            dir.canonicalize().map_err(|e| Refusal::Why(format!("{}: {e}", dir.display())))?;
        let rest = target.strip_prefix(dir).unwrap_or(Path::new(""));
        // Joining an empty path would add a slash.
        let full = if rest.as_os_str().is_empty() { real.clone() } else { real.join(rest) };
        if self.fresh.iter().any(|f| full.starts_with(f)) {
            return Ok((full, Place::Made));
        }
        let Some(first) = rest.components().next() else {
            return Ok((full, Place::There));
        };
        if real.parent().is_none() {
            return Err(Refusal::Why(format!(
                "{} would need a new directory in /, which this lab cannot make; bind to a place below /etc, /opt, /srv or /usr/local",
                target.display()
            )));
        }
        if !self.mirrors.contains_key(&real) {
            let slot = self.keep(&real)?;
            self.mirrors.insert(real.clone(), slot);
        }
        // What stands beneath the new name is the node's own from now on.
        self.fresh.push(real.join(first));
        Ok((full, Place::Made))
    }

    fn keep(&mut self, path: &Path) -> Result<usize, Refusal> {
        let slot = self.slots;
        self.slots += 1;
        self.keep.push(Step::new(
            Op::Keep { path: c_path(path)?, slot },
            format!("keeping {}", path.display()),
        ));
        Ok(slot)
    }

    /// Makes `dir` and its parents as far as they are the node's own.
    fn make_dirs(&mut self, dir: &Path) -> Result<(), Refusal> {
        let outermost =
            self.fresh.iter().filter(|f| dir.starts_with(f)).min_by_key(|f| f.as_os_str().len());
        let Some(outside) = outermost.and_then(|f| f.parent()).map(Path::to_owned) else {
            return Ok(());
        };
        let missing: Vec<_> = dir.ancestors().take_while(|d| *d != outside).collect();
        for dir in missing.into_iter().rev() {
            self.fill.push(mkdir(dir)?);
        }
        Ok(())
    }
}

/// Covers `dir` with a tmpfs that links to all it held.
fn mirror(dir: &Path, slot: usize, privilege: Privilege) -> Result<Vec<Step>, Refusal> {
    let why = |e: std::io::Error| Refusal::Why(format!("{}: {e}", dir.display()));
    let under = Path::new(UNDER).join(slot.to_string());
    let what = format!("covering {}", dir.display());
    let mut steps = vec![
        mkdir(&under)?,
        Step::new(Op::Attach { slot, target: c_path(&under)?, read_only: false }, what.clone()),
        mount(c"tmpfs", dir, &owner_options(&fs::metadata(dir).map_err(why)?, privilege))?,
    ];
    for entry in fs::read_dir(dir).map_err(why)? {
        let entry = entry.map_err(why)?;
        // A link keeps its own text, which may be relative to this directory.
        let to = match fs::read_link(entry.path()) {
            Ok(to) => to,
            Err(_) => under.join(entry.file_name()),
        };
        let op = Op::Symlink { to: c_path(&to)?, path: c_path(&entry.path())? };
        steps.push(Step::new(op, what.clone()));
    }
    Ok(steps)
}

/// Mount options of a tmpfs that stands for a directory.
fn owner_options(meta: &fs::Metadata, privilege: Privilege) -> String {
    // A user namespace with one id knows no other owner.
    let (uid, gid) = if privilege == Privilege::Root { (meta.uid(), meta.gid()) } else { (0, 0) };
    format!("mode={:o},uid={uid},gid={gid}", meta.mode() & 0o7777)
}

fn mount(fs: &'static std::ffi::CStr, target: &Path, data: &str) -> Result<Step, Refusal> {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
    if fs == c"sysfs" {
        flags |= MountFlags::NOEXEC;
    }
    // The options are written by this module and hold no zero byte.
    let data = CString::new(data).unwrap_or_default();
    let op = Op::Mount { fs, target: c_path(target)?, flags, data };
    Ok(Step::new(op, format!("mounting {} on {}", fs.to_string_lossy(), target.display())))
}

fn mkdir(dir: &Path) -> Result<Step, Refusal> {
    Ok(Step::new(
        Op::Mkdir { path: c_path(dir)?, mode: 0o755 },
        format!("making {}", dir.display()),
    ))
}
