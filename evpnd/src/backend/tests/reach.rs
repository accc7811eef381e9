//! What the kernel does, beside what the routes say.

use super::net::{Ases, Net, mac, prefix, vtep};
use super::{Daemon, Kernel, Lookups, WhySubject, two};
use crate::api::backend::Backend;
use evpn_netlink::lookup::{Lookup, Matched};
use std::net::IpAddr;

#[tokio::test]
async fn why_says_whether_the_kernel_agrees() {
    let subject = || WhySubject::Mac { mac: mac(2), vni: None };
    let agrees = Daemon::two().backend.why(subject()).await.unwrap();
    assert!(agrees.reachable && agrees.tables[0].kernel_ok);
    assert_eq!(
        agrees.tables[0].kernel,
        [
            "02:00:00:00:00:02 dev vx100 master extern_learn",
            "02:00:00:00:00:02 dev vx100 dst 10.0.0.2 self extern_learn"
        ]
    );
    let differs = vec![format!("mac {} on vx100", mac(2))];
    let daemon = Daemon::new(two(|_| {}), Kernel { differs, ..Kernel::default() });
    let differs = daemon.backend.why(subject()).await.unwrap();
    assert!(!differs.tables[0].kernel_ok && differs.tables[0].kernel.is_empty());
    assert!(!differs.reachable);
    assert_eq!(
        differs.verdict,
        "the kernel does not hold mac 02:00:00:00:00:02 on vx100; \
         by the routes, frames to it in VNI 100 go to VTEP 10.0.0.2"
    );

    let prefix = WhySubject::Prefix { prefix: prefix("198.51.2.9/32"), vni: None };
    let why = Daemon::two().backend.why(prefix).await.unwrap();
    assert_eq!(why.verdict, "packets to 198.51.2.0/24 in VRF red go to VTEP 10.0.0.2");
    assert!(why.tables[0].kernel[0].starts_with("198.51.2.0/24 nhid "));
}

#[tokio::test]
async fn why_follows_the_kernel_where_it_sends_elsewhere_or_nowhere() {
    let net = || two(|settings| settings.vrfs[0].table = 254);
    let ask = async |to: IpAddr, lookup: Lookup, subject: WhySubject| {
        let kernel = Kernel { lookups: [(to, lookup)].into(), ..Kernel::default() };
        Daemon::new(net(), kernel).backend.why(subject).await.unwrap()
    };
    let host = || WhySubject::Mac { mac: mac(2), vni: None };
    let why = ask(vtep(2), Lookup::NoRoute, host()).await;
    assert!(!why.reachable);
    assert_eq!(
        why.verdict,
        "the kernel has no route to VTEP 10.0.0.2; \
         by the routes, frames to it in VNI 100 go to VTEP 10.0.0.2"
    );
    let [contradiction] = &why.tables[0].contradictions[..] else { panic!("{why:#?}") };
    assert_eq!(contradiction.remedy.as_deref(), Some("ip route get 10.0.0.2"));
    // The control: a route of whatever kind leads to it.
    let underlay = Matched {
        prefix: prefix("0.0.0.0/0"),
        ours: false,
        protocol: 4,
        metric: 0,
        gateway: None,
        device: None,
    };
    let why = ask(vtep(2), Lookup::Route(underlay.clone()), host()).await;
    assert!(why.reachable && why.tables[0].contradictions.is_empty());

    let remote = || WhySubject::Prefix { prefix: prefix("198.51.2.0/24"), vni: None };
    let why = ask(vtep(2), Lookup::Dropped("blackhole"), remote()).await;
    assert!(!why.reachable && why.verdict.starts_with("the kernel drops packets to VTEP 10.0.0.2"));
    let first: IpAddr = "198.51.2.1".parse().unwrap();
    let theirs = Matched { prefix: prefix("198.51.2.0/24"), ..underlay };
    let why = ask(first, Lookup::Route(theirs.clone()), remote()).await;
    assert!(!why.reachable && why.verdict.contains("by another's route: 198.51.2.0/24 proto 4"));
    let ours = Matched { ours: true, ..theirs };
    assert!(ask(first, Lookup::Route(ours), remote()).await.reachable);
}

#[tokio::test]
async fn vteps_that_the_kernel_does_not_reach_are_named_with_their_vni() {
    let notices = async |lookups: Lookups| {
        let kernel = Kernel { lookups, ..Kernel::default() };
        let daemon = Daemon::new(Net::mesh(3, Ases::Each, |_| {}), kernel);
        let vni = daemon.backend.vnis().await.unwrap().remove(0);
        assert_eq!(vni.remote_vteps, [vtep(2), vtep(3)]);
        // The leaves of this net have their VTEPs on no device, of which there is a notice too.
        let others = vni.notices.into_iter().filter(|n| !n.text.contains("on no device here"));
        others.map(|notice| (notice.text, notice.remedy.unwrap())).collect()
    };
    let none: Vec<(String, String)> = notices(Lookups::new()).await;
    assert_eq!(none, []);
    let one = [(vtep(3), Lookup::NoRoute)].into();
    let text = "the kernel has no route to VTEP 10.0.0.3".to_owned();
    assert_eq!(notices(one).await, [(text, "ip route get 10.0.0.3".to_owned())]);
    let both = [2, 3].map(|n| (vtep(n), Lookup::Dropped("blackhole"))).into();
    let text = "the kernel drops packets to VTEP 10.0.0.2 (blackhole route); 1 more VTEP is not \
                reached either";
    assert_eq!(notices(both).await[0].0, text);
}
