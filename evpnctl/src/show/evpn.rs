//! `show evpn vni|mac|arp`.
//!
//! **A VNI that does not work, or not well, is followed by why and by the command that mends it.**

use super::Lines;
use super::bgp::up_down;
use crate::table::{Column, Table};
use crate::text::{counted, or_dash};
use evpn_api::evpn::{Arp, ArpState, Mac, Vni};
use evpn_api::{Locality, Page};

/// `show evpn vni`.
pub(crate) fn vnis(vnis: &[Vni]) -> String {
    let mut table = Table::new([
        Column::Number("VNI"),
        Column::Word("Type"),
        Column::Word("State"),
        Column::Text("VxLAN IF"),
        Column::Text("Bridge"),
        Column::Number("VLAN"),
        Column::Number("# MACs"),
        Column::Number("# ARPs"),
        Column::Number("# VTEPs"),
        Column::Text("Tenant VRF"),
    ]);
    for vni in vnis {
        table.row([
            vni.vni.to_string(),
            vni.kind.to_string(),
            up_down(vni.state).to_owned(),
            or_dash(vni.vxlan_if.as_ref()),
            or_dash(vni.bridge.as_ref()),
            or_dash(vni.vlan),
            vni.num_macs.to_string(),
            vni.num_arp_nd.to_string(),
            vni.num_remote_vteps.to_string(),
            vni.tenant_vrf.clone(),
        ]);
        for notice in &vni.notices {
            table.note(&notice.text);
            if let Some(remedy) = &notice.remedy {
                table.remedy(remedy);
            }
        }
    }
    table.render()
}

/// `show evpn vni N`.
pub(crate) fn vni(vni: &Vni) -> String {
    let mut lines = Lines::default();
    lines.field("VNI", &vni.vni.to_string());
    lines.field("Type", &vni.kind.to_string());
    lines.field("State", up_down(vni.state));
    for notice in &vni.notices {
        lines.add(20, &notice.text);
        if let Some(remedy) = &notice.remedy {
            lines.remedy(20, remedy);
        }
    }
    lines.field("VxLAN interface", &or_dash(vni.vxlan_if.as_ref()));
    lines.field("Bridge", &or_dash(vni.bridge.as_ref()));
    lines.field("VLAN", &or_dash(vni.vlan));
    lines.field("SVI interface", &or_dash(vni.svi_if.as_ref()));
    lines.field("Tenant VRF", &vni.tenant_vrf);
    lines.field("Local VTEP", &or_dash(vni.vtep_ip));
    let vteps: Vec<String> = vni.remote_vteps.iter().map(ToString::to_string).collect();
    let vteps = if vteps.is_empty() { "none".to_owned() } else { vteps.join(" ") };
    lines.field("Remote VTEPs", &vteps);
    lines.field("MACs", &vni.num_macs.to_string());
    lines.field("ARPs and neighbors", &vni.num_arp_nd.to_string());
    lines.into_text()
}

/// `show evpn mac`.
pub(crate) fn macs(page: &Page<Mac>) -> String {
    let mut table = Table::new([
        Column::Number("VNI"),
        Column::Word("MAC"),
        Column::Word("Type"),
        Column::Word("Flags"),
        Column::Text("Intf/Remote ES/VTEP"),
        Column::Word("Seq #'s"),
    ]);
    for mac in &page.items {
        let place = match (&mac.intf, &mac.remote_es, mac.remote_vtep) {
            (Some(port), ..) => port.clone(),
            (None, Some(segment), _) => segment.clone(),
            (None, None, vtep) => or_dash(vtep),
        };
        table.row([
            mac.vni.to_string(),
            mac.mac.clone(),
            locality(mac.kind).to_owned(),
            if mac.sticky { "S".to_owned() } else { String::new() },
            place,
            format!("{}/{}", mac.local_sequence, mac.remote_sequence),
        ]);
    }
    let mut lines = Lines::default();
    lines.add(0, "Flags: S sticky");
    lines.gap();
    lines.block(&table.render());
    foot(&mut lines, page, "MAC");
    lines.into_text()
}

/// `show evpn arp`.
pub(crate) fn arp(page: &Page<Arp>) -> String {
    let mut table = Table::new([
        Column::Address("Neighbor"),
        Column::Number("VNI"),
        Column::Word("Type"),
        Column::Word("State"),
        Column::Word("MAC"),
        Column::Text("Remote VTEP"),
        Column::Word("Seq #'s"),
    ]);
    for arp in &page.items {
        let state = match arp.state {
            ArpState::Active => "active",
            ArpState::Inactive => "inactive",
        };
        table.row([
            arp.ip.to_string(),
            arp.vni.to_string(),
            locality(arp.kind).to_owned(),
            state.to_owned(),
            arp.mac.clone(),
            or_dash(arp.remote_vtep),
            format!("{}/{}", arp.local_sequence, arp.remote_sequence),
        ]);
    }
    let mut lines = Lines::default();
    lines.block(&table.render());
    foot(&mut lines, page, "address");
    lines.into_text()
}

fn foot<T>(lines: &mut Lines, page: &Page<T>, noun: &str) {
    lines.gap();
    let count = u64::try_from(page.items.len()).unwrap_or(u64::MAX);
    let shown = match noun {
        "address" if count != 1 => format!("{count} addresses"),
        noun => counted(count, noun),
    };
    lines.add(0, &shown);
    if page.next_cursor.is_some() {
        lines.add(0, "There are more: --limit was reached.");
    }
}

const fn locality(kind: Locality) -> &'static str {
    match kind {
        Locality::Local => "local",
        Locality::Remote => "remote",
    }
}
