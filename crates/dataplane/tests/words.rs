//! Writes as the log tells of them.

mod common;
use common::*;
use evpn_dataplane::object::*;
use evpn_dataplane::op::{Halves, Op};

#[test]
fn a_write_is_told_with_the_names_of_devices_and_without_those_of_the_code() {
    let b = Bench::new(Mode::Steady);
    let absent = FdbKey { device: IfIndex(999), ..key(1) };
    let says = |op: Op, text: &str| assert_eq!(b.r.words(&op), text, "{op:?}");
    says(Op::Fdb { key: key(1), to: to(2) }, "write mac 02:00:00:00:00:01 on vx10, vtep 10.0.0.2");
    says(
        Op::FdbDelete { key: absent, halves: Halves::Both },
        "delete mac 02:00:00:00:00:01 on device 999",
    );
    says(
        Op::FdbDelete { key: key(1), halves: Halves::Vxlan },
        "delete mac 02:00:00:00:00:01 on vx10 from the device itself",
    );
    let neighbour = NeighbourKey { device: absent.device, address: [192, 0, 2, 1].into() };
    says(Op::NeighbourDelete(neighbour), "delete neighbour 192.0.2.1 on device 999");
    says(Op::NexthopDelete(NexthopId(7)), "delete nexthop 7");
    let flood = FloodKey { device: absent.device, vtep: [10, 0, 0, 2].into() };
    says(Op::FloodDelete(flood), "delete flood to 10.0.0.2 on device 999");
}
