//! The load: a client that asks an anycast service all the time, and the servers that answer.
//!
//! ```text
//! client  counts what came back         udp  one socket, so one flow, for each request
//! serve   counts what arrived           tcp  sessions that are busy, pause, or never end
//! tally   what both count
//! ```
//!
//! They run as processes of their own inside the hosts and know nothing of evpnd, routes or
//! batteries. An answer begins with the letter of its site.
//!
//! **What is counted as answered came back to the very socket that asked, with the number that was
//! sent**; everything else is lost, odd or broken.

pub(crate) mod client;
pub(crate) mod serve;
pub(crate) mod tally;
mod tcp;
mod udp;

use std::io::{self, Write};
use std::time::Duration;

/// Where the service answers requests over UDP, and over TCP.
pub(crate) const PORT: u16 = 9000;
/// How often a line is written.
pub(crate) const REPORT_EVERY: Duration = Duration::from_millis(200);
/// Octets of a number on its way.
const NUMBER_OCTETS: usize = size_of::<u64>();
/// Octets of an answer: the site's letter and the number.
const ANSWER_OCTETS: usize = 1 + NUMBER_OCTETS;

/// The answer of a site to a number.
fn answer(site: u8, number: [u8; NUMBER_OCTETS]) -> [u8; ANSWER_OCTETS] {
    let mut answer = [site; ANSWER_OCTETS];
    if let Some((_, rest)) = answer.split_first_mut() {
        rest.copy_from_slice(&number);
    }
    answer
}

/// The site of an answer, if it is one to this number.
fn site_of(octets: &[u8], number: u64) -> Option<char> {
    match octets {
        [site, rest @ ..] if *rest == number.to_be_bytes() => Some(char::from(*site)),
        _ => None,
    }
}

/// Raises the limit of open files as far as it goes: a request that is lost keeps its socket open
/// until its time is over.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    // Where it cannot be raised, requests that find no socket are counted as not sent.
    raised.unwrap_or_default();
}

/// Writes a line of JSON to standard output.
pub(crate) fn tell<T: serde::Serialize>(line: &T) -> io::Result<()> {
    let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
    text.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_its_own_request_only() {
        let answer = answer(b'A', 7u64.to_be_bytes());
        assert_eq!(site_of(&answer, 7), Some('A'));
        assert_eq!(site_of(&answer, 8), None);
        assert_eq!(site_of(b"A", 7), None);
        assert_eq!(site_of(&[], 7), None);
    }
}
