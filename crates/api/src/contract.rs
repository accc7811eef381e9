//! The JSON of every answer, held fast.
//!
//! **A change of these snapshots that is not an addition breaks whoever reads `v1`.**

use crate::samples;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
}

macro_rules! contracts {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let value = samples::$name();
            round_trips(&value);
            insta::assert_json_snapshot!(value);
        }
    )*};
}

contracts!(
    arp,
    bgp_vnis,
    consistency_differs,
    consistency_ok,
    effective_config,
    energy,
    energy_off,
    health_ready,
    health_waiting,
    ipv4_routes,
    ipv6_routes,
    log_level,
    macs,
    neighbor,
    reloaded,
    routes,
    rt_constraints,
    summary,
    version,
    vnis,
    why_mac,
    why_prefix,
    why_unknown,
);

#[test]
fn keys_that_frr_has_are_named_as_in_frr() {
    let summary = serde_json::to_value(samples::summary()).unwrap();
    let peer = &summary["peers"]["10.0.0.2"];
    for key in ["remoteAs", "localAs", "state", "pfxRcd", "pfxSnt", "peerUptimeMsec", "hostname"] {
        assert!(!peer[key].is_null(), "{key}");
    }
    for key in ["routerId", "as", "vrfName", "ribCount", "totalPeers", "failedPeers"] {
        assert!(!summary[key].is_null(), "{key}");
    }
    let families = &serde_json::to_value(samples::neighbor()).unwrap()["addressFamilyInfo"];
    for family in ["l2VpnEvpn", "ipv4Unicast", "ipv6Unicast"] {
        for key in ["acceptedPrefixCounter", "sentPrefixCounter", "prefixAllowedMax"] {
            assert!(!families[family][key].is_null(), "{family} {key}");
        }
    }
    let routes = &serde_json::to_value(samples::ipv6_routes()).unwrap()["items"];
    let path = &routes[0]["paths"][0];
    for key in ["valid", "bestpath", "pathFrom", "peerId", "path", "origin", "nexthops"] {
        assert!(!path[key].is_null(), "{key}");
    }
    for key in ["ip", "afi", "scope", "used"] {
        assert!(!path["nexthops"][1][key].is_null(), "{key}");
    }
    assert_eq!(path["nexthops"][1]["scope"], "link-local");
    let vni = &serde_json::to_value(samples::vnis()).unwrap()[0];
    for key in ["vni", "type", "vxlanIf", "numMacs", "numArpNd", "numRemoteVteps", "tenantVrf"] {
        assert!(!vni[key].is_null(), "{key}");
    }
}

#[test]
fn what_does_not_apply_to_a_family_has_no_key() {
    for routes in [samples::ipv4_routes(), samples::ipv6_routes(), samples::rt_constraints()] {
        for route in serde_json::to_value(routes).unwrap()["items"].as_array().unwrap() {
            for key in ["rd", "routeType", "ethTag", "mac", "ip"] {
                assert!(route.get(key).is_none(), "{key}");
            }
            assert!(route["paths"][0].get("vni").is_none());
        }
    }
}

#[test]
fn a_route_of_an_older_evpnd_is_of_evpn() {
    let mut route = serde_json::to_value(&samples::routes().items[0]).unwrap();
    route.as_object_mut().unwrap().remove("family");
    let read: crate::route::Route = serde_json::from_value(route).unwrap();
    assert_eq!(read, samples::routes().items[0]);
}

#[test]
fn a_reader_ignores_keys_that_it_does_not_know() {
    let mut value = serde_json::to_value(samples::version()).unwrap();
    value["addedLater"] = true.into();
    let read: crate::system::Version = serde_json::from_value(value).unwrap();
    assert_eq!(read, samples::version());
}

#[test]
fn a_request_with_an_unknown_parameter_is_refused() {
    assert!(serde_urlencoded::from_str::<crate::route::RouteQuery>("vnj=100").is_err());
    assert!(serde_urlencoded::from_str::<crate::route::PrefixQuery>("vni=100").is_err());
    assert!(serde_urlencoded::from_str::<crate::route::PageQuery>("prefix=x").is_err());
    assert!(serde_urlencoded::from_str::<crate::evpn::HostQuery>("vnj=100").is_err());
    assert!(serde_urlencoded::from_str::<crate::why::WhyQuery>("mak=x").is_err());
    assert!(serde_json::from_str::<crate::neighbor::ClearRequest>("{\"sotf\": true}").is_err());
}

#[test]
fn a_query_survives_the_url() {
    let query = crate::route::RouteQuery {
        kind: Some(crate::route::RouteKind::Macip),
        rd: Some("10.0.0.1:100".into()),
        vni: Some(100),
        prefix: Some("2001:db8::/32".into()),
        cursor: Some("a&b=c%/+ d".into()),
        ..Default::default()
    };
    let text = serde_urlencoded::to_string(&query).unwrap();
    assert_eq!(serde_urlencoded::from_str::<crate::route::RouteQuery>(&text).unwrap(), query);
}
