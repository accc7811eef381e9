//! Whether another EVPN daemon works in this network namespace.
//!
//! Two daemons that both hold marked entries on the same devices for theirs would delete each
//! other's. What a daemon left behind does not say that it works: FRR keeps its entries over a
//! restart, on purpose. What says so are
//! - the control sockets that it listens on (Unix sockets belong to the network namespace that they
//!   were made in): [`listening`]. FRR's EVPN is in its bgpd: a zebra that serves OSPF for the
//!   underlay is no rival, nor is a BIRD;
//! - entries that it writes while we look: [`Writes`].
//!
//! **A sweep is refused while there is either**, until the operator says that evpnd takes over.

use evpn_dataplane::object::NexthopId;
use evpn_dataplane::observe::{NexthopSpec, Observation};
use std::{fs, io};

/// The sockets of this thread's network namespace.
const SOCKETS: &str = "/proc/thread-self/net/unix";
/// `__SO_ACCEPTCON`: somebody listens.
const LISTENS: &str = "00010000";
/// FRR's and BIRD's number for what they write (`RTPROT_ZEBRA`, `RTPROT_BIRD`).
const PROTOCOLS: [(u8, &str); 2] = [(11, "FRR"), (12, "BIRD")];
/// The end of the name of the control socket of FRR's bgpd.
const BGPD: &str = "/bgpd.vty";
/// And of zebra's, which writes the tables for it.
const ZEBRA: [&str; 2] = ["/zebra.vty", "/zserv.api"];

/// The daemons that listen on a control socket in this network namespace: what they are and where.
///
/// # Errors
/// /proc is not mounted, or hides itself.
pub fn listening() -> io::Result<Vec<String>> {
    Ok(find(&fs::read_to_string(SOCKETS)?))
}

/// ```text
/// Num       RefCount Protocol Flags    Type St Inode Path
/// 0000…: 00000002 00000000 00010000 0001 01 26547 /run/frr/zserv.api
/// ```
fn find(table: &str) -> Vec<String> {
    let paths: Vec<&str> = table.lines().filter_map(listener).collect();
    if !paths.iter().any(|path| ZEBRA.iter().any(|end| path.ends_with(end))) {
        return Vec::new();
    }
    let bgpds = paths.iter().filter(|path| path.ends_with(BGPD));
    bgpds.map(|path| format!("FRR's bgpd listens on {path}")).collect()
}

/// The name of the socket in a line, if somebody listens on it.
fn listener(line: &str) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    let (flags, path) = (fields.nth(3), fields.nth(3));
    path.filter(|_| flags == Some(LISTENS))
}

/// Notices what another daemon writes.
#[derive(Clone, Copy, Default, Debug)]
pub struct Writes {
    seen: Option<&'static str>,
}

impl Writes {
    /// Looks at news (not at a dump: that shows what was left behind too).
    pub fn notice(&mut self, news: &Observation) {
        let protocol = match news {
            Observation::Neighbour(seen) if seen.external => seen.protocol,
            Observation::Nexthop {
                id: NexthopId(_),
                spec: NexthopSpec::Fdb(_) | NexthopSpec::FdbGroup(_),
                protocol,
            } => *protocol,
            _ => return,
        };
        if let Some((_, name)) = PROTOCOLS.iter().find(|(number, _)| *number == protocol) {
            self.seen = Some(name);
        }
    }

    /// Whether anybody was seen writing since it was asked last.
    pub const fn any(&self) -> bool {
        self.seen.is_some()
    }

    /// Who was seen writing since it was asked last.
    pub fn take(&mut self) -> Option<&'static str> {
        self.seen.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_dataplane::object::{IfIndex, NeighbourKey};
    use evpn_dataplane::observe::{Resolution, SeenNeighbour};
    use evpn_proto::types::MacAddr;

    const ZEBRA_ONLY: &str = "Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 1 /run/frr/zserv.api\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 2 /run/frr/bgpd.vty\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 4 /run/frr/ospfd.vty\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 4 /run/bird/bird.ctl\n\
        0000000000000000: 00000002 00000000 00000000 0002 01 5\n";
    const BGPD_LINE: &str =
        "0000000000000000: 00000002 00000000 00010000 0001 01 6 /run/lab/one/bgpd.vty\n";

    #[test]
    fn a_daemon_that_serves_the_underlay_alone_is_no_rival() {
        assert_eq!(find(ZEBRA_ONLY), Vec::<String>::new());
        assert_eq!(find(BGPD_LINE), Vec::<String>::new(), "without zebra it writes nothing");
    }

    #[test]
    fn a_bgpd_that_listens_beside_zebra_is_one() {
        let both = format!("{ZEBRA_ONLY}{BGPD_LINE}");
        assert_eq!(find(&both), ["FRR's bgpd listens on /run/lab/one/bgpd.vty"]);
    }

    #[test]
    fn a_marked_neighbour_of_another_daemon_tells_of_it_and_ours_does_not() {
        let mut seen = SeenNeighbour {
            key: NeighbourKey { device: IfIndex(1), address: "192.0.2.1".parse().unwrap() },
            mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
            resolution: Resolution::NoArp,
            external: true,
            router: false,
            protocol: 110,
        };
        let mut writes = Writes::default();
        writes.notice(&Observation::Neighbour(seen));
        assert_eq!(writes.take(), None);
        seen.protocol = 11;
        writes.notice(&Observation::Neighbour(seen));
        assert_eq!(writes.take(), Some("FRR"));
        assert_eq!(writes.take(), None);
        seen.external = false;
        writes.notice(&Observation::Neighbour(seen));
        assert_eq!(writes.take(), None, "a number without the mark is left over from a probe");
    }
}
