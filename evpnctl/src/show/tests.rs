//! Every view, held fast by a snapshot of fixed values, and within its width.

use super::{bgp, config, consistency, energy, evpn, neighbor, route, system, underlay, why};
use crate::text::{AsNotation, WIDTH};
use evpn_api::{Page, samples};

/// Holds a view, after the checks that hold for all of them.
macro_rules! view {
    ($name:ident, $text:expr) => {
        #[test]
        fn $name() {
            let text: String = $text;
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
                assert_eq!(line, line.trim_end(), "blanks at the end");
            }
            assert!(text.ends_with('\n') && !text.contains('\x1b'));
            insta::assert_snapshot!(text);
        }
    };
}

view!(summary, bgp::summary(&samples::summary(), AsNotation::Plain));
view!(summary_with_dots, bgp::summary(&samples::summary(), AsNotation::Dot));
view!(bgp_vnis, bgp::vnis(&samples::bgp_vnis()));
view!(neighbors, neighbor::neighbors(&[samples::neighbor()], AsNotation::Plain));
view!(routes, route::routes(&samples::routes(), AsNotation::Plain));
view!(ipv4_routes, underlay::routes(&samples::ipv4_routes(), AsNotation::Plain));
view!(ipv6_routes, underlay::routes(&samples::ipv6_routes(), AsNotation::Dot));
view!(rt_constraints, underlay::routes(&samples::rt_constraints(), AsNotation::Plain));
view!(vnis, evpn::vnis(&samples::vnis()));
view!(vni_in_full, evpn::vni(&samples::vnis()[1]));
view!(macs, evpn::macs(&samples::macs()));
view!(macs_cut_off, { evpn::macs(&Page { next_cursor: Some("x".into()), ..samples::macs() }) });
view!(arp, evpn::arp(&samples::arp()));
view!(energy_of_two_sites, energy::energy(&samples::energy()));
view!(energy_off, energy::energy(&samples::energy_off()));
view!(consistent, consistency::consistency(&samples::consistency_ok()));
view!(different, consistency::consistency(&samples::consistency_differs()));
view!(why_mac, why::why(&samples::why_mac()));
view!(why_prefix, why::why(&samples::why_prefix()));
view!(why_unknown, why::why(&samples::why_unknown()));
view!(effective_config, config::effective(&samples::effective_config()));
view!(reloaded, config::reloaded(&samples::reloaded()));
view!(version, system::version(&samples::version()));
view!(ready, system::health(&samples::health_ready()));
view!(waiting, system::health(&samples::health_waiting()));

#[test]
fn every_classic_mistake_is_shown_with_its_remedy() {
    let summary = samples::summary();
    let text = bgp::summary(&summary, AsNotation::Plain);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut mistakes = 0;
    for reset in summary.peers.values().filter_map(|peer| peer.last_reset.as_ref()) {
        assert!(text.contains(&reset.last_reset_due_to), "{}", reset.cause);
        assert!(text.contains(reset.remedy.as_ref().unwrap()), "{}", reset.cause);
        mistakes += 1;
    }
    assert_eq!(mistakes, 11);
}

#[test]
fn a_finding_is_shown_whole_however_long() {
    let mut health = samples::health_waiting();
    let text = "the port is taken, probably by another BGP daemon (ss -ltnp 'sport = :179' names it); \
                tried again every 10 s";
    health.checks[0].text = text.to_owned();
    let shown = system::health(&health).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(text), "{shown}");
}

#[test]
fn a_path_without_a_vni_has_no_word_for_it() {
    let mut routes = samples::routes();
    let text = |routes: &_| route::routes(routes, AsNotation::Plain);
    assert!(text(&routes).contains(" vni "));
    for path in routes.items.iter_mut().flat_map(|route| &mut route.paths) {
        path.vni = Some(vec![]);
    }
    assert!(!text(&routes).contains(" vni "), "{}", text(&routes));
}

#[test]
fn every_trouble_of_a_vni_is_shown_with_its_remedy() {
    let text = evpn::vnis(&samples::vnis()).split_whitespace().collect::<Vec<_>>().join(" ");
    for notice in samples::vnis().iter().flat_map(|vni| &vni.notices) {
        assert!(text.contains(&notice.text), "{}", notice.text);
        assert!(text.contains(notice.remedy.as_ref().unwrap()), "{}", notice.text);
    }
}
