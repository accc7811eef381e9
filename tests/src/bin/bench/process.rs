//! What /proc tells of a process.
//!
//! **Every thread counts**: `/proc/PID/status` alone knows the main thread's switches only.

use crate::Result;
use std::fs;
use std::time::Duration;

/// Memory, in KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Memory {
    /// Resident now (VmRSS).
    pub(crate) resident: u64,
    /// The most that was ever resident (VmHWM).
    pub(crate) peak: u64,
    /// Its proportional share (Pss): pages that others map too count in part.
    pub(crate) proportional: u64,
    /// Its own pages that no file backs (RssAnon).
    pub(crate) anonymous: u64,
}

impl Memory {
    /// Of a process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = read(&format!("/proc/{pid}/status"))?;
        let rollup = read(&format!("/proc/{pid}/smaps_rollup"))?;
        Ok(Self {
            resident: field(&status, "VmRSS")?,
            peak: field(&status, "VmHWM")?,
            proportional: field(&rollup, "Pss")?,
            anonymous: field(&status, "RssAnon")?,
        })
    }
}

/// How often a process was given a processor, and gave it up.
#[derive(Clone, Debug)]
pub(crate) struct Switches {
    /// Each thread's name with its voluntary and involuntary switches.
    pub(crate) threads: Vec<(String, u64, u64)>,
}

impl Switches {
    /// Of a process's threads so far.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let tasks = format!("/proc/{pid}/task");
        let entries = fs::read_dir(&tasks).map_err(|e| format!("{tasks}: {e}"))?;
        let mut threads = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| format!("{tasks}: {e}"))?.path().join("status");
            let status = read(&path.display().to_string())?;
            let name = words(&status, "Name").unwrap_or("?").to_owned();
            let voluntary = field(&status, "voluntary_ctxt_switches")?;
            threads.push((name, voluntary, field(&status, "nonvoluntary_ctxt_switches")?));
        }
        Ok(Self { threads })
    }

    /// Of all threads together.
    pub(crate) fn total(&self) -> u64 {
        self.threads.iter().map(|(_, voluntary, involuntary)| voluntary + involuntary).sum()
    }
}

/// Processor time that a process has used, its threads included.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    /// utime and stime after the name, which is in parentheses and may hold anything.
    const UTIME: usize = 11;
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(UTIME)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    // SAFETY: a system call without pointers.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let per_second = u64::try_from(per_second).ok().filter(|n| *n > 0).unwrap_or(100);
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
}

fn words<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim())
}

fn field(text: &str, name: &str) -> Result<u64> {
    let number = words(text, name).and_then(|w| w.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("/proc has no {name}"))
}
