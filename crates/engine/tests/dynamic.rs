//! Neighbours that nobody named: a dynamic neighbour lives as long as there is something of it, and
//! a number stands for one neighbour at a time.

mod common;

use common::*;
use evpn_engine::settings::{ListenSettings, NeighborSettings, Settings};
use evpn_engine::{ClearKind, Event, Input};
use evpn_proto::bgp::session::{Mode, PeerAs, SessionState, StopReason};
use evpn_proto::types::NeighborId;
use evpn_rib::PeerIdx;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// A group of leaf `n` that lets in whoever is in another AS.
fn listens(n: u8, prefix_text: &str, limit: u16) -> ListenSettings {
    let mut neighbor = settings(n, &[9], Ases::Each).neighbors[0].clone();
    neighbor.session.peer_as = PeerAs::External;
    neighbor.session.mode = Mode::Passive;
    ListenSettings { group: "guests".into(), prefixes: vec![prefix(prefix_text)], limit, neighbor }
}

/// Leaf 1 listens, the others dial it.
fn hub(count: u8, change: impl Fn(&mut Settings)) -> Net {
    let all = (1..=count).map(|n| {
        let peers: &[u8] = if n == 1 { &[] } else { &[1] };
        let mut settings = settings(n, peers, Ases::Each);
        if n == 1 {
            settings.listen = vec![listens(1, "10.9.0.0/24", 100)];
        }
        change(&mut settings);
        settings
    });
    Net::up(all.collect())
}

fn names(net: &Net) -> Vec<String> {
    net.view(0).neighbors().iter().map(|n| n.id().to_string()).collect()
}

fn index(net: &Net, n: u8) -> PeerIdx {
    net.view(0).neighbor(underlay(n)).unwrap().index
}

#[test]
fn whoever_dials_from_the_range_is_a_neighbour_with_the_groups_values() {
    let mut net = hub(3, |_| {});
    net.learn(1, 7);
    let neighbors = net.view(0).neighbors();
    assert_eq!(names(&net), ["10.9.0.2", "10.9.0.3"]);
    for neighbor in &neighbors {
        assert_eq!(neighbor.dynamic, Some("guests"));
        assert!(neighbor.is_established());
    }
    drop(neighbors);
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
    assert_eq!(net.tables(2).host(mac(7)), Some(vtep(2)), "and passes on what they say");
    // Its name is its address: it can be looked at, and cleared.
    let path = &net.view(0).routes(&Default::default(), None, 100).routes[0].paths[0];
    assert!(path.peer.is_none() || path.peer == Some(NeighborId::from(underlay(2))));
}

#[test]
fn who_dials_from_elsewhere_is_refused() {
    let net = hub(2, |settings| {
        if let [listen] = settings.listen.as_mut_slice() {
            listen.prefixes = vec![prefix("10.8.0.0/16"), prefix("10.9.0.0/31")];
        }
    });
    assert_eq!(names(&net), Vec::<String>::new());
    assert!(net.leaves[0].events.contains(&Event::UnknownPeer(underlay(2))));
}

#[test]
fn the_longest_range_decides() {
    let net = hub(3, |settings| {
        if settings.listen.is_empty() {
            return;
        }
        let mut close = listens(1, "10.9.0.2/31", 10);
        close.group = "close".into();
        close.neighbor.max_prefix = Some(77);
        let mut wide = listens(1, "10.0.0.0/8", 10);
        wide.group = "wide".into();
        settings.listen.splice(.., [wide, close, listens(1, "10.8.0.0/16", 10)]);
    });
    let of = |n| net.view(0).neighbor(underlay(n)).unwrap();
    assert_eq!((of(2).dynamic, of(2).settings.max_prefix), (Some("close"), Some(77)));
    assert_eq!(of(3).dynamic, Some("close"));
}

#[test]
fn a_neighbour_that_ends_for_good_leaves_nothing_and_its_number_is_used_again() {
    let mut net = hub(3, |settings| {
        // Without graceful restart an end is for good.
        for neighbor in &mut settings.neighbors {
            neighbor.session.graceful_restart = None;
        }
    });
    net.learn(1, 7);
    net.learn(2, 8);
    let number = index(&net, 2);
    net.unplug(1);
    assert_eq!(net.tables(0).host(mac(7)), None);
    assert_eq!(names(&net), ["10.9.0.2", "10.9.0.3"], "it would have to wait before it is let in");
    net.advance(Duration::from_secs(2));
    assert_eq!(names(&net), ["10.9.0.3"]);
    assert_eq!(net.tables(2).host(mac(7)), None, "the others hear of the end");
    assert_eq!(net.tables(0).host(mac(8)), Some(vtep(3)), "and lose nothing else");
    // Somebody else takes the number over: nothing of the former one is his.
    net.leaves[1].unplugged = false;
    net.reconfigure(0, |settings| {
        let mut other = settings_of_neighbor(3, 9);
        other.id = IpAddr::from([10, 9, 0, 77]).into();
        settings.neighbors.push(other);
    });
    let taken = net.view(0).neighbor(IpAddr::from([10, 9, 0, 77])).unwrap();
    assert_eq!(taken.index, number);
    assert_eq!((taken.received.held, taken.advertised), (0, 0));
    net.advance(Duration::from_secs(120));
    assert!(net.view(0).neighbor(underlay(2)).unwrap().is_established());
    assert_ne!(index(&net, 2), number);
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
}

fn settings_of_neighbor(n: u8, peer: u8) -> NeighborSettings {
    settings(n, &[peer], Ases::Each).neighbors[0].clone()
}

#[test]
fn a_number_goes_on_counting_its_connections() {
    // Nobody answers at 77, so it is dialled again and again.
    let mut net = hub(1, |_| {});
    let add = |net: &mut Net, last: u8| {
        net.reconfigure(0, |settings| {
            let mut other = settings_of_neighbor(1, 9);
            other.id = IpAddr::from([10, 9, 0, last]).into();
            settings.neighbors = vec![other];
        });
    };
    add(&mut net, 77);
    let number = net.view(0).neighbors()[0].index;
    net.advance(Duration::from_secs(60));
    net.reconfigure(0, |settings| settings.neighbors.clear());
    assert_eq!(names(&net), Vec::<String>::new());
    add(&mut net, 78);
    assert_eq!(net.view(0).neighbors()[0].index, number);
    net.advance(Duration::from_secs(60));
    let dialled = &net.leaves[0].dialled;
    assert!(dialled.len() > 8 && dialled.iter().all(|(peer, _)| *peer == number), "{dialled:?}");
    let names: BTreeSet<_> = dialled.iter().collect();
    assert_eq!(names.len(), dialled.len(), "what comes late of one is never another's");
}

#[test]
fn graceful_restart_keeps_a_neighbour_and_its_routes_until_the_time_is_over() {
    let mut net = hub(2, |_| {});
    net.learn(1, 7);
    let number = index(&net, 2);
    net.kill(1);
    let neighbor = net.view(0).neighbor(underlay(2)).unwrap();
    assert!(!neighbor.is_established() && neighbor.received.stale > 0);
    net.start_again(1, host_events(7));
    net.advance(Duration::from_secs(20));
    let neighbor = net.view(0).neighbor(underlay(2)).unwrap();
    assert!(neighbor.is_established());
    assert_eq!((neighbor.index, neighbor.received.stale), (number, 0));
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
    // One that does not return is gone when its time is over.
    net.unplug(1);
    assert_eq!(names(&net), ["10.9.0.2"]);
    net.advance(Duration::from_secs(119));
    assert_eq!(names(&net), ["10.9.0.2"]);
    net.advance(Duration::from_secs(3));
    assert_eq!(names(&net), Vec::<String>::new());
    assert_eq!(net.tables(0).host(mac(7)), None);
}

#[test]
fn beyond_the_limit_callers_are_refused_and_one_line_says_so() {
    let mut net = hub(4, |settings| {
        for listen in &mut settings.listen {
            listen.limit = 2;
        }
    });
    assert_eq!(net.view(0).neighbors().len(), 2);
    let told = |net: &Net| {
        let full =
            |e: &&Event| matches!(e, Event::PeerRefused(_, why) if why.contains("listen-limit"));
        net.leaves[0].events.iter().filter(full).count()
    };
    assert_eq!(told(&net), 1);
    net.advance(Duration::from_secs(50));
    assert_eq!(told(&net), 1, "it dials again and again, which is told once a minute");
    net.advance(Duration::from_secs(60));
    assert_eq!(told(&net), 2);
    // Room is made by a reload, or by one that leaves.
    net.reconfigure(0, |settings| settings.listen[0].limit = 3);
    net.advance(Duration::from_secs(61));
    assert_eq!(net.view(0).neighbors().len(), 3);
}

#[test]
fn a_reload_without_the_range_ends_its_sessions_and_a_named_neighbour_takes_over() {
    let mut net = hub(3, |_| {});
    net.learn(1, 7);
    net.reconfigure(0, |settings| {
        settings.listen.clear();
        settings.neighbors = vec![settings_of_neighbor(1, 2)];
    });
    assert_eq!(names(&net), ["10.9.0.2"]);
    let neighbor = net.view(0).neighbor(underlay(2)).unwrap();
    assert_eq!(neighbor.dynamic, None);
    let removed = "the neighbor was removed from the configuration".to_owned();
    assert!(net.leaves[0].events.contains(&Event::PeerDown(underlay(3).into(), removed)));
    net.advance(Duration::from_secs(20));
    assert!(net.view(0).neighbor(underlay(2)).unwrap().is_established());
    assert_eq!(net.tables(0).host(mac(7)), Some(vtep(2)));
    assert_eq!(names(&net), ["10.9.0.2"], "leaf 3 dials in vain");
    // And the other way round: who is no longer named is let in by the range.
    net.reconfigure(0, |settings| {
        settings.neighbors.clear();
        settings.listen = vec![listens(1, "10.9.0.0/24", 100)];
    });
    net.advance(Duration::from_secs(70));
    assert_eq!(names(&net), ["10.9.0.2", "10.9.0.3"]);
    assert_eq!(net.view(0).neighbors()[0].dynamic, Some("guests"));
}

#[test]
fn a_named_neighbour_that_is_shut_down_is_not_let_in_by_a_range() {
    let net = hub(2, |settings| {
        if settings.router_id.octets()[3] == 1 {
            let mut named = settings_of_neighbor(1, 2);
            named.shutdown = true;
            settings.neighbors = vec![named];
        }
    });
    assert!(!net.view(0).neighbor(underlay(2)).unwrap().is_established());
    let held_down = |e: &Event| matches!(e, Event::PeerRefused(_, why) if why.contains("down"));
    assert!(net.leaves[0].events.iter().any(held_down));
}

#[test]
fn one_with_too_many_routes_is_kept_out_until_somebody_clears_it() {
    let mut net = hub(2, |settings| {
        for listen in &mut settings.listen {
            listen.neighbor.max_prefix = Some(3);
        }
    });
    for n in 10..20 {
        net.learn(1, n);
    }
    let state = |net: &Net| net.view(0).neighbor(underlay(2)).map(|n| n.session.state());
    assert_eq!(state(&net), Some(SessionState::Idle));
    net.advance(Duration::from_secs(300));
    assert_eq!(state(&net), Some(SessionState::Idle));
    for n in 10..20 {
        net.forget(1, n);
    }
    let (peer, kind) = (index(&net, 2), ClearKind::Hard(StopReason::Reset { text: "".into() }));
    net.input(0, Input::Clear { peer, kind });
    assert_eq!(state(&net), None, "nothing is left of it");
    net.advance(Duration::from_secs(70));
    assert_eq!(state(&net), Some(SessionState::Established));
}

#[test]
fn a_caller_of_the_wrong_as_fails_with_one_line_for_all_its_attempts() {
    let mut net = hub(2, |settings| {
        for listen in &mut settings.listen {
            listen.neighbor.session.peer_as = PeerAs::Internal;
        }
    });
    net.advance(Duration::from_secs(300));
    assert_eq!(names(&net), Vec::<String>::new());
    let downs = |e: &&Event| matches!(e, Event::PeerDown(..));
    let lines: Vec<&Event> = net.leaves[0].events.iter().filter(downs).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].to_string().contains("peer says AS 65002"), "{}", lines[0]);
}

#[test]
fn after_a_restart_nothing_is_swept_before_dynamic_neighbours_had_time_to_return() {
    let mut net = hub(2, |_| {});
    net.learn(1, 7);
    net.kill(0);
    net.start_again(0, Vec::new());
    net.advance(Duration::from_secs(30));
    assert!(net.view(0).neighbor(underlay(2)).unwrap().is_established());
    assert!(net.view(0).is_restarting(), "others may still come");
    net.advance(Duration::from_secs(31));
    assert!(!net.view(0).is_restarting());
    let at_sweep = net.leaves[0].at_sweep.as_ref().unwrap();
    assert_eq!(at_sweep.host(mac(7)), Some(vtep(2)));
}
