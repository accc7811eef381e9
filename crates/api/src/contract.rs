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
    log_level,
    macs,
    neighbor,
    reloaded,
    routes,
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
    let vni = &serde_json::to_value(samples::vnis()).unwrap()[0];
    for key in ["vni", "type", "vxlanIf", "numMacs", "numArpNd", "numRemoteVteps", "tenantVrf"] {
        assert!(!vni[key].is_null(), "{key}");
    }
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
