//! The demo's course, and the eyes it watches with.
//!
//! ```text
//! without_policy  (a)      level    one level's chain of evidence
//! with_policy     (b), (c)
//! ```
//!
//! **Nothing that evpnd says of itself is a figure here**: charges come from upsd, bandwidths from a
//! capture, weights from the kernel, shares and losses from the hosts.

mod level;
mod with_policy;
mod without_policy;

use super::battery::Battery;
use super::capture::octets::Seen;
use super::claims::Claim;
use super::clock;
use super::files::DRAINED;
use super::load::tally::{Broken, Kind, Report, Requests, Served};
use super::network::{Daemon, Lab, Lines, Trouble};
use super::screen::{Screen, percent, thousands};
use super::weights::{self, Source, Weights};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The service, and the sites that offer it.
pub(crate) const SERVICE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0x10)),
];
pub(crate) const SITE_A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub(crate) const SITE_B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// The leaf of the clients.
pub(crate) const CLIENTS: &str = "site-c";
/// The times that are sped up, as demo/sped-up.toml has them; a test compares.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(8);
pub(crate) const IDLE_TIME: Duration = Duration::from_secs(2);
/// The load.
pub(crate) const REQUESTS_A_SECOND: u64 = 1000;
pub(crate) const SESSIONS: u64 = 20;
pub(crate) const ENDLESS: u64 = 5;
/// The charges, in per cent, at which the battery is seen as it runs empty: down to each level's, and
/// to the end.
pub(crate) const FALL: [&[u8]; 4] = [&[80, 60, 45], &[35, 25], &[18, 10], &[4, 0]];
/// And as it fills again.
pub(crate) const RISE: [&[u8]; 3] = [&[10, 25], &[35, 45], &[60, 100]];
/// How long a load that was just started runs before it is counted.
const WARM_UP: Duration = Duration::from_secs(2);
/// Addresses of each family that the client comes from.
const ADDRESSES: u16 = 8;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// In milliseconds; reports may come a little early.
const ABOUT_A_SECOND: u64 = 950;
/// After this time every request and every word has its answer, or is lost.
const SETTLED: Duration = Duration::from_millis(3500);

/// The demo while it runs.
pub(crate) struct Story<'s> {
    pub(crate) lab: &'s Lab,
    pub(crate) screen: &'s Screen,
    pub(crate) battery: Battery,
    capture: Lines<Seen>,
    servers: [Lines<Served>; 2],
    daemons: Vec<Daemon>,
    load: Option<Lines<Report>>,
    pub(crate) claims: Vec<Claim>,
    doing: String,
}

/// What came of the load between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    pub(crate) v4: Requests,
    pub(crate) v6: Requests,
}

impl<'s> Story<'s> {
    /// Starts what watches, then the daemons, then the servers.
    ///
    /// # Errors
    /// What cannot be started.
    pub(crate) fn begin(
        lab: &'s Lab,
        screen: &'s Screen,
        battery: Battery,
    ) -> Result<Self, Trouble> {
        let serve = |host: &str, site: char| {
            let service = SERVICE.iter().flat_map(|s| ["--service".to_owned(), s.to_string()]);
            let words = ["__serve".to_owned(), "--site".to_owned(), site.to_string()];
            lab.watch(host, &words.into_iter().chain(service).collect::<Vec<_>>())
        };
        let capture = lab.watch(CLIENTS, &["__capture".to_owned()])?;
        let servers = [serve("host-a", 'A')?, serve("host-b", 'B')?];
        battery.start(lab)?;
        // The capture must be open before the first route is sent.
        clock::pause(5 * LOOK);
        let daemons = lab.start_daemons()?;
        let (load, claims, doing) = (None, Vec::new(), String::new());
        let mut story =
            Self { lab, screen, battery, capture, servers, daemons, load, claims, doing };
        story.add_client_addresses()?;
        Ok(story)
    }

    /// Tells the whole story.
    ///
    /// # Errors
    /// What keeps it from going on.
    pub(crate) fn tell(&mut self) -> Result<(), Trouble> {
        self.doing("sessions come up and routes arrive");
        self.wait("two ways to the service at site-c", Duration::from_secs(30), |story| {
            Ok(story.weights()?.iter().all(|w| w.len() == 2))
        })?;
        // A group that is new takes in its second way an idle time later.
        self.pause(IDLE_TIME)?;
        without_policy::tell(self)?;
        with_policy::tell(self)
    }

    /// The addresses that requests come from.
    fn sources() -> Vec<IpAddr> {
        let v4 = (0..ADDRESSES).map(|n| {
            let last = u8::try_from(101 + n).unwrap_or_default();
            IpAddr::from([172, 16, 3, last])
        });
        let v6 = (0..ADDRESSES)
            .map(|n| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 0x101 + n)));
        v4.chain(v6).collect()
    }

    fn add_client_addresses(&mut self) -> Result<(), Trouble> {
        for address in Self::sources() {
            let length = if address.is_ipv6() { 64 } else { 24 };
            let address = format!("{address}/{length}");
            let nodad: &[&str] = if length == 64 { &["nodad"] } else { &[] };
            let words = [&["addr", "add", &address, "dev", "eth1"], nodad].concat();
            self.lab.output("host-c", "ip", &words)?;
        }
        Ok(())
    }

    /// Starts the load anew: every count begins at zero.
    ///
    /// # Errors
    /// If it cannot be started, or does not run.
    pub(crate) fn start_load(&mut self) -> Result<(), Trouble> {
        if let Some(load) = self.load.take() {
            load.end();
        }
        let mut words: Vec<String> = vec!["__load".to_owned()];
        words.extend(SERVICE.iter().flat_map(|s| ["--service".to_owned(), s.to_string()]));
        words.extend(Self::sources().iter().flat_map(|a| ["--from".to_owned(), a.to_string()]));
        let numbers = [
            ("--rate", REQUESTS_A_SECOND),
            ("--sessions", SESSIONS),
            ("--endless", ENDLESS),
            ("--pause-ms", milliseconds(IDLE_TIME / 2)),
            ("--life-ms", milliseconds(DRAIN_TIME / 2)),
        ];
        words.extend(numbers.iter().flat_map(|(n, v)| [(*n).to_owned(), v.to_string()]));
        self.load = Some(self.lab.watch("host-c", &words)?);
        self.wait("an answer to the first request", Duration::from_secs(10), |story| {
            Ok(story.report().requests().answered() > 0)
        })?;
        Ok(())
    }

    /// The client's last report.
    pub(crate) fn report(&self) -> Report {
        let load = self.load.as_ref();
        let last = load.and_then(|load| load.all().last().map(|(_, report)| report.clone()));
        last.unwrap_or_default()
    }

    /// All sessions that broke since the load was started.
    pub(crate) fn broken(&self) -> Vec<Broken> {
        let Some(load) = &self.load else { return Vec::new() };
        load.all().iter().flat_map(|(_, report)| report.broken.clone()).collect()
    }

    /// Requests that arrived at a site's host so far.
    pub(crate) fn served(&self, site: char) -> u64 {
        let of = |lines: &Lines<Served>| lines.all().last().map(|(_, served)| *served);
        let mut all = self.servers.iter().filter_map(of);
        all.find(|served| served.site == site).map_or(0, |served| served.v4 + served.v6)
    }

    /// The weights of the clients' leaf, for each address of the service.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn weights(&self) -> Result<Vec<Weights>, Trouble> {
        weights::read(self.lab, CLIENTS, &SERVICE)
    }

    /// The same for the service's first address, and who says it.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn weights_shown(&self) -> Result<(Weights, Source), Trouble> {
        let (all, by) = weights::show(self.lab, CLIENTS, &SERVICE)?;
        Ok((all.into_iter().next().unwrap_or_default(), by))
    }

    /// The last route of a site for an address of the service that was captured, and when.
    pub(crate) fn captured(&self, site: IpAddr, service: IpAddr) -> Option<(Duration, Seen)> {
        let prefix = format!("{service}/{}", if service.is_ipv6() { 128 } else { 32 });
        let is_it = |seen: &Seen| seen.next_hop == Some(site) && seen.prefixes.contains(&prefix);
        self.capture.all().iter().rev().find(|(_, seen)| is_it(seen)).cloned()
    }

    /// What the load does while the story waits for something.
    pub(crate) fn doing(&mut self, what: &str) {
        what.clone_into(&mut self.doing);
    }

    /// Lets time pass under the eyes of whoever watches.
    ///
    /// # Errors
    /// If something that has to run has ended.
    pub(crate) fn pause(&mut self, time: Duration) -> Result<(), Trouble> {
        let until = clock::now() + time;
        loop {
            self.look()?;
            let left = until.saturating_sub(clock::now());
            if left.is_zero() {
                return Ok(());
            }
            clock::pause(left.min(LOOK));
        }
    }

    /// Waits until something is so, and returns when that was.
    ///
    /// # Errors
    /// If it is not so within that time.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        within: Duration,
        mut is_so: impl FnMut(&mut Self) -> Result<bool, Trouble>,
    ) -> Result<Duration, Trouble> {
        let until = clock::now() + within;
        loop {
            if is_so(self)? {
                return Ok(clock::now());
            }
            if clock::now() >= until {
                let what = format!("waited {} s in vain for {what}", within.as_secs());
                return Err(Trouble { what, details: self.lab.logs() });
            }
            self.pause(LOOK)?;
        }
    }

    /// Shows what is going on, and that everything still runs.
    fn look(&mut self) -> Result<(), Trouble> {
        let ended = self.daemons.iter_mut().find_map(|daemon| daemon.check().err());
        if let Some(mut trouble) = ended {
            trouble.details = self.lab.logs();
            return Err(trouble);
        }
        self.battery.keep_up(self.lab.files())?;
        self.capture.check()?;
        for server in &mut self.servers {
            server.check()?;
        }
        if let Some(load) = &mut self.load {
            load.check()?;
        }
        let mut text = self.doing.clone();
        if let Some(last) = self.last_second() {
            let all = last.v4 + last.v6;
            let lost = self.report().requests().lost;
            let share = all.share_of_a().map_or_else(|| "-".to_owned(), percent);
            text += &format!(
                ": {} answered a second, {share} by site A, {} lost",
                thousands(all.answered()),
                thousands(lost)
            );
        }
        self.screen.status(text);
        Ok(())
    }

    /// What came of the load in the last second.
    pub(crate) fn last_second(&self) -> Option<Window> {
        let all = self.load.as_ref()?.all();
        let (_, last) = all.last()?;
        let (_, earlier) =
            all.iter().rev().find(|(_, r)| r.at_ms + ABOUT_A_SECOND <= last.at_ms)?;
        Some(Window { v4: last.v4 - earlier.v4, v6: last.v6 - earlier.v6 })
    }

    /// Counts what comes of the load for some time.
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub(crate) fn measure(&mut self, time: Duration) -> Result<Window, Trouble> {
        let before = self.report();
        self.pause(time)?;
        let after = self.report();
        Ok(Window { v4: after.v4 - before.v4, v6: after.v6 - before.v6 })
    }

    /// Empties or fills the battery to each of these charges, in per cent.
    ///
    /// # Errors
    /// If upsd does not follow.
    pub(crate) fn charge(&mut self, charges: &[u8]) -> Result<(), Trouble> {
        for charge in charges {
            self.battery.set(self.lab.files(), *charge)?;
            let what = format!("{charge} % from {}", self.battery.source());
            self.wait(&what, Duration::from_secs(10), |story| {
                let read = story.battery.read(story.lab)?;
                Ok(read.parse::<f32>().is_ok_and(|read| read == f32::from(*charge)))
            })?;
            self.pause(self.battery.settles_in())?;
        }
        Ok(())
    }

    /// Has the evpnd of the drained site act on its battery or not.
    ///
    /// # Errors
    /// If it refuses.
    pub(crate) fn set_policy(&mut self, acts: bool) -> Result<(), Trouble> {
        self.lab.files().set_policy(acts)?;
        self.lab.output(DRAINED, "evpnctl", &["config", "reload"]).map(drop)
    }

    pub(crate) fn claim(
        &mut self,
        part: char,
        claim: impl Into<String>,
        figure: impl Into<String>,
        by: impl Into<String>,
        ok: bool,
    ) {
        let (claim, figure, by) = (claim.into(), figure.into(), by.into());
        self.claims.push(Claim { part, claim, figure, by, ok });
    }
}

/// How many of these are of a kind.
pub(crate) fn count(broken: &[Broken], kind: Kind) -> usize {
    broken.iter().filter(|b| b.kind == kind).count()
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_those_that_evpnd_is_given() {
        let sped_up = super::super::files::sped_up();
        let drain_time = sped_up.iter().find(|s| s.key == "drain-time").unwrap();
        assert_eq!(drain_time.value, format!("{} s", DRAIN_TIME.as_secs()));
        assert_eq!(IDLE_TIME, DRAIN_TIME / 4);
    }
}
