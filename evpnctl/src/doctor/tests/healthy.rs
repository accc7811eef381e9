//! A leaf on which nothing is wrong: an L2VNI with a host, an L3VNI, an uplink, a running evpnd.

use super::super::facts::{
    ConfigFound, EvpndFound, Facts, Families, Folder, Intent, Outside, PasswordFile, Process,
    Running, Told,
};
use super::super::judge::sysctls;
use evpn_dataplane::facts::{BridgePort, Link, LinkKind, Vxlan};
use evpn_dataplane::object::IfIndex;
use evpn_netlink::probe::Feature;
use evpn_netlink::survey::{BridgeSettings, Device, Survey};
use evpn_proto::types::Vni;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn vni(number: u32) -> Vni {
    Vni::new(number).unwrap()
}

fn link(index: u32, name: &str, kind: LinkKind) -> Link {
    Link {
        index: IfIndex(index),
        name: name.to_owned(),
        mac: None,
        mtu: 1500,
        admin_up: true,
        carrier: true,
        master: None,
        port: None,
        kind,
        addresses: Vec::new(),
    }
}

fn plain(link: Link) -> Device {
    Device { link, bridge: None }
}

fn bridge(index: u32, name: &str, address: Option<&str>) -> Device {
    let mut link = link(index, name, LinkKind::Bridge { vlan_filtering: false });
    link.addresses.extend(address.map(|a| a.parse::<ipnet::IpNet>().unwrap()));
    let settings =
        BridgeSettings { ageing: Duration::from_secs(300), spanning_tree: false, filtered: false };
    Device { link, bridge: Some(settings) }
}

pub(super) fn vxlan(index: u32, name: &str, number: u32, master: u32) -> Device {
    let settings = Vxlan {
        vni: Some(vni(number)),
        local: Some("10.0.0.1".parse().unwrap()),
        port: 4789,
        learning: false,
        external: false,
    };
    let mut link = link(index, name, LinkKind::Vxlan(settings));
    link.master = Some(IfIndex(master));
    link.port = Some(BridgePort { learning: false, neigh_suppress: true });
    plain(link)
}

fn with_address(mut link: Link, address: &str) -> Device {
    link.addresses.push(address.parse().unwrap());
    plain(link)
}

/// The healthy leaf.
pub(super) fn facts() -> Facts {
    let mut uplink = link(2, "up0", LinkKind::Other("veth".to_owned()));
    uplink.mtu = 1600;
    let mut port = link(12, "swp1", LinkKind::Other("veth".to_owned()));
    port.master = Some(IfIndex(10));
    let devices = vec![
        with_address(link(1, "lo", LinkKind::Other(String::new())), "10.0.0.1/32"),
        with_address(uplink, "192.0.2.1/31"),
        bridge(10, "br100", Some("172.16.0.1/24")),
        vxlan(11, "vx100", 100, 10),
        plain(port),
        bridge(20, "br4000", None),
        vxlan(21, "vx4000", 4000, 20),
    ];
    let mut values = BTreeMap::new();
    for key in sysctls::PLAIN {
        let value = match key {
            key if key.contains("bridge-nf") || key.contains("rp_filter") => "0",
            key if key.contains("gc_thresh") => "1024",
            key if key.contains("rmem") => "212992",
            _ => "1",
        };
        values.insert(key.to_owned(), value.to_owned());
    }
    for device in &devices {
        for (family, setting) in sysctls::OF_DEVICES {
            let key = sysctls::of_device(family, &device.link.name, setting);
            values.insert(key, "0".to_owned());
        }
    }
    let every = Feature::ALL.into_iter().map(|feature| (feature, Ok(()))).collect();
    Facts {
        kernel: "6.12.0".to_owned(),
        features: Some(Ok(every)),
        survey: Some(Ok(Survey { devices, neighbours_ipv4: 10, neighbours_ipv6: 10 })),
        underlay: [IfIndex(2)].into(),
        sysctls: values,
        intent: Some(intent()),
        config: ConfigFound::Valid("/etc/evpnd/evpnd.toml".into()),
        evpnd: EvpndFound::Running(Box::new(running())),
        state_dir: Some(Folder {
            path: "/var/lib/evpnd".into(),
            owner: Some(990),
            free: Some(1 << 30),
        }),
        password_files: vec![key("energy feed", "nut"), key("neighbor 192.0.2.0", "spine")],
        rivals: Vec::new(),
        bgp_listeners: vec!["evpnd".to_owned()],
        networkd: None,
        network_manager: [].into(),
        firewall: None,
        clock_synchronised: Some(true),
    }
}

fn key(whose: &str, name: &str) -> PasswordFile {
    let outside = Some(Outside { mode: 0o640, length: 12 });
    PasswordFile { whose: whose.to_owned(), path: format!("/etc/evpnd/{name}").into(), outside }
}

fn intent() -> Intent {
    Intent {
        l3vnis: [(vni(4000), "red".to_owned())].into(),
        routed: Families { ipv4: true, ipv6: true },
        passes_on: Families::default(),
        told: Told::default(),
        named: [vni(100)].into(),
        disabled: [vni(666)].into(),
        all_vnis: true,
        vtep: None,
        neighbors: vec!["192.0.2.0".parse().unwrap()],
        port: 179,
        receive_buffer: 16 << 20,
    }
}

fn running() -> Running {
    Running {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        waits_for: Vec::new(),
        process: Some(Process {
            capabilities: 1 << 10 | 1 << 12 | 1 << 13,
            initial_user_namespace: true,
            user: 990,
        }),
    }
}
