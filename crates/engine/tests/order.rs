//! What depends on what comes first: inputs that are taken in one batch, and outputs that whoever
//! carries them out may take one by one.

mod common;

use common::*;
use evpn_dataplane::facts::{KernelEvent, MacOrigin};
use evpn_dataplane::object::Command;
use evpn_engine::{Input, Output, Progress};
use evpn_proto::bgp::message::{Message, Update};
use evpn_proto::bgp::session::TransportError;
use std::time::Duration;

#[test]
fn a_route_withdrawn_right_before_its_last_neighbour_is_lost_leaves_its_vni() {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    let route = mac_route(2, mac(7));
    net.inject(0, 2, attributes(2), vec![route.clone()]);
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));

    // Both come before the engine runs. With the neighbour goes its group, which held the route.
    let neighbor = net.view(0).neighbor(underlay(2)).unwrap();
    let (peer, connection) = (neighbor.index, neighbor.session.endpoints().unwrap().connection);
    let update = Update { withdrawn: vec![route.key], ..Update::default() };
    let message = Box::new(Message::Update(update));
    let (now, at) = (net.now, net.now.time);
    let engine = &mut net.leaves[0].engine;
    engine.handle(now, Input::Received { peer, connection, message, at });
    engine.handle(now, Input::Closed { peer, connection, error: TransportError::Reset });
    net.advance(Duration::from_secs(1));
    assert_eq!(net.tables(0).host(mac(7)), None);
}

#[test]
fn a_host_is_probed_after_the_wish_for_its_remote_neighbour_entry_is_withdrawn() {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    net.learn(1, 7);
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
    let learned = KernelEvent::LocalMac {
        bridge: BRIDGE,
        port: PORT,
        mac: mac(7),
        origin: MacOrigin::Learned,
    };
    let now = net.now;
    let engine = &mut net.leaves[0].engine;
    engine.handle(now, Input::Kernel(vec![learned]));
    while engine.run(now) == Progress::More {}
    let outputs: Vec<Output> = std::iter::from_fn(|| engine.poll_output()).collect();
    let place = |is: &dyn Fn(&Output) -> bool| outputs.iter().position(is).unwrap();
    let withdrawn = place(&|output| matches!(output, Output::Dataplane(_)));
    let probed = place(
        &|output| matches!(output, Output::Command(Command::ProbeNeighbour { address, .. }) if *address == host(7)),
    );
    // The dataplane forgets a probe of an address for which we still want an entry of ours.
    assert!(withdrawn < probed, "{outputs:?}");
}
