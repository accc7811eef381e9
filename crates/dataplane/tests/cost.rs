//! What 100,000 changes cost. Run in release with `--ignored --nocapture` for the figures.

mod common;
use common::*;
use evpn_dataplane::object::*;
use evpn_dataplane::observe::{BridgeMac, MacState, Observation};

#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn a_hundred_thousand_macs() {
    let n = 100_000;
    let mut b = Bench::new(Mode::Steady);
    let begun = std::time::Instant::now();
    let mut ops = Vec::new();
    for i in 0..n {
        b.r.want(fdb(i, 2), ALL);
    }
    let wanted = begun.elapsed();
    loop {
        ops.clear();
        b.r.plan(b.now, 256, &mut ops);
        if ops.is_empty() {
            break;
        }
        for op in &ops {
            b.r.done(op, Ok(()), b.now);
        }
    }
    let written = begun.elapsed();
    for i in 0..n {
        let entry = BridgeMac {
            bridge: BRIDGE,
            port: VXLAN,
            mac: mac(i),
            vlan: None,
            state: MacState::External,
            sticky: false,
        };
        b.r.observe(Observation::BridgeMac(entry));
        b.r.observe(Observation::VxlanMac { key: key(i), to: to(2), state: MacState::External });
    }
    let all = begun.elapsed();
    assert!(!b.r.has_work());
    println!(
        "want {:?}, plan and done {:?}, echoes {:?}, per MAC {:?}",
        wanted,
        written - wanted,
        all - written,
        all / n
    );
}
