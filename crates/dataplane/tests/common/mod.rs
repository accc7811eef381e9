//! A bridge with a VXLAN device and an access port, and short names for objects.
#![allow(dead_code, reason = "each test file uses its part")]

use evpn_dataplane::facts::KernelEvent;
use evpn_dataplane::fake::Kernel;
use evpn_dataplane::object::*;
use evpn_dataplane::observe::NexthopSpec;
use evpn_dataplane::reconciler::{Reconciler, Settings};
use evpn_proto::types::{MacAddr, Time, Vni};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

pub(crate) const BRIDGE: IfIndex = IfIndex(10);
pub(crate) const VXLAN: IfIndex = IfIndex(11);
pub(crate) const ACCESS: IfIndex = IfIndex(12);
pub(crate) const L3_BRIDGE: IfIndex = IfIndex(20);
pub(crate) const ALL: u64 = u64::MAX;

pub(crate) struct Bench {
    pub(crate) kernel: Kernel,
    pub(crate) r: Reconciler,
    pub(crate) now: Time,
}

pub(crate) fn kernel() -> Kernel {
    let mut kernel = Kernel::new();
    kernel.add_bridge(BRIDGE.0, "br10");
    kernel.add_vxlan(VXLAN.0, "vx10", BRIDGE.0, Vni::new(10).unwrap());
    kernel.add_port(ACCESS.0, "acc0", BRIDGE.0);
    kernel.add_bridge(L3_BRIDGE.0, "br20");
    kernel
}

impl Bench {
    /// A kernel as it is found, adopted; the mode is `Adopt` still.
    pub(crate) fn adopting(mut kernel: Kernel) -> Self {
        let mut r = Reconciler::new(Settings::default(), 7);
        r.manage(&[VXLAN]);
        kernel.lose_news();
        kernel.audit(&mut r);
        Self { kernel, r, now: Time::ZERO + Duration::from_secs(1) }
    }

    pub(crate) fn new(mode: Mode) -> Self {
        let mut bench = Self::adopting(kernel());
        bench.r.set_mode(mode);
        let _ = bench.r.take_news(usize::MAX);
        bench
    }

    /// A new process on the same kernel.
    pub(crate) fn restart(&mut self) {
        *self = Self::adopting(self.kernel.clone());
        self.kernel.take_log();
    }

    pub(crate) fn want(&mut self, change: Change) {
        self.r.want(change, ALL);
    }

    pub(crate) fn run(&mut self) -> usize {
        self.kernel.run(&mut self.r, self.now)
    }

    /// Runs on until nothing waits for a time any more.
    pub(crate) fn settle(&mut self) {
        self.run();
        for _ in 0..10_000 {
            let Some(at) = self.r.next_deadline() else { return };
            self.now = self.now.max(at);
            self.run();
        }
        panic!("it never comes to rest");
    }

    pub(crate) fn news(&mut self) -> Vec<KernelEvent> {
        self.kernel.tell(&mut self.r);
        self.r.take_news(usize::MAX).1
    }

    pub(crate) fn assert_no_difference(&self) {
        let found = self.r.differences(10);
        assert_eq!(found.total, 0, "{:#?}", found.first);
    }
}

pub(crate) fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

pub(crate) fn vtep(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
}

pub(crate) fn key(n: u32) -> FdbKey {
    FdbKey { device: VXLAN, mac: mac(n) }
}

pub(crate) fn to(n: u8) -> FdbTarget {
    FdbTarget::Vtep(vtep(n))
}

pub(crate) fn fdb(n: u32, v: u8) -> Change {
    Change::Fdb(key(n), Some(FdbEntry { to: to(v), sticky: false }))
}

pub(crate) fn no_fdb(n: u32) -> Change {
    Change::Fdb(key(n), None)
}

pub(crate) fn id(n: u32) -> NexthopId {
    NexthopId(NexthopId::OURS_FIRST + n)
}

pub(crate) fn hop(v: u8) -> Nexthop {
    Nexthop { gateway: vtep(v), device: L3_BRIDGE }
}

pub(crate) fn group(members: &[(u32, u16)]) -> NexthopGroup {
    let members = members.iter().map(|(n, w)| Member { nexthop: id(*n), weight: *w }).collect();
    NexthopGroup { members, resilience: None }
}

pub(crate) fn resilient(members: &[(u32, u16)], buckets: u16) -> NexthopGroup {
    let idle = Duration::from_secs(1);
    NexthopGroup { resilience: Some(Resilience { buckets, idle }), ..group(members) }
}

pub(crate) fn prefix(n: u8) -> RouteKey {
    RouteKey { table: 254, prefix: format!("198.51.{n}.0/24").parse().unwrap() }
}

pub(crate) fn route(n: u8, nexthop: u32, metric: u32) -> Change {
    Change::Route(prefix(n), Some(Route { nexthop: id(nexthop), metric }))
}

pub(crate) fn spec(v: u8) -> NexthopSpec {
    NexthopSpec::Routed(hop(v))
}
