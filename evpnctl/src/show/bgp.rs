//! `show bgp summary` and `show bgp l2vpn evpn vni`.
//!
//! **A neighbour that is down is never shown without the reason for it**, if there is one.

use super::Lines;
use crate::table::{Column, Table};
use crate::text::{AsNotation, counted, duration, duration_or_never, or_dash};
use evpn_api::bgp::{BgpVni, PeerSummary, SessionState, Summary};
use evpn_api::{AddressFamily, UpDown};

/// `show bgp l2vpn evpn summary`.
pub(crate) fn summary(summary: &Summary, notation: AsNotation) -> String {
    let mut lines = Lines::default();
    lines.add(
        0,
        &format!(
            "BGP router identifier {}, local AS number {}",
            summary.router_id,
            notation.asn(summary.local_as)
        ),
    );
    let others = summary.rib_counts.iter().filter(|(of, _)| **of != AddressFamily::L2VpnEvpn);
    let others = others.map(|(family, routes)| counted(*routes, &format!("{family} route")));
    let evpn = counted(summary.rib_count, "EVPN route");
    let routes: Vec<String> = std::iter::once(evpn).chain(others).collect();
    lines.add(0, &format!("{} in {} KiB", routes.join(", "), summary.rib_memory / 1024));
    lines.gap();
    let mut table = Table::new([
        Column::Address("Neighbor"),
        Column::Number("AS"),
        Column::Number("MsgRcvd"),
        Column::Number("MsgSent"),
        Column::Word("Up/Down"),
        Column::Number("State/Pfx"),
        Column::Number("PfxSnt"),
        Column::Text("Name"),
    ]);
    for (id, peer) in &summary.peers {
        let up = peer.state == SessionState::Established;
        table.row([
            id.to_string(),
            or_dash(peer.remote_as.map(|asn| notation.asn(asn))),
            peer.msg_rcvd.to_string(),
            peer.msg_sent.to_string(),
            duration_or_never(peer.peer_uptime_msec),
            if up { peer.pfx_rcd.to_string() } else { state_of(peer) },
            if up { peer.pfx_snt.to_string() } else { "-".to_owned() },
            name_of(peer),
        ]);
        if !peer.families_given_up.is_empty() {
            let families = names(&peer.families_given_up);
            table.note(&format!("given up after an error in what it sent: {families}"));
            table.remedy(&format!(
                "`evpnctl show bgp neighbor {id}` has the error; `evpnctl clear bgp {id}` begins anew"
            ));
        }
        if !peer.families_not_negotiated.is_empty() {
            let families = names(&peer.families_not_negotiated);
            table.note(&format!("not negotiated: {families}"));
            table.remedy(&format!(
                "activate it for us at {id}, or take it out of `families` of neighbor {id}"
            ));
        }
        if let Some(reset) = peer.last_reset.as_ref().filter(|_| !up) {
            let ago = duration(reset.last_reset_timer_msecs);
            table.note(&format!("{} ({ago} ago)", reset.last_reset_due_to));
            if let Some(remedy) = &reset.remedy {
                table.remedy(remedy);
            }
        }
    }
    lines.block(&table.render());
    lines.gap();
    let total = counted(u64::from(summary.total_peers), "neighbor");
    lines.add(0, &format!("{total}, {} not established", summary.failed_peers));
    lines.into_text()
}

fn names(families: &[AddressFamily]) -> String {
    families.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// As it calls itself or as people call it, and by which group it came.
fn name_of(peer: &PeerSummary) -> String {
    let name = peer.hostname.as_deref().or(peer.desc.as_deref());
    match (&peer.dynamic_group, name) {
        (None, name) => or_dash(name),
        (Some(group), None) => format!("(dynamic, {group})"),
        (Some(group), Some(name)) => format!("{name} (dynamic, {group})"),
    }
}

fn state_of(peer: &PeerSummary) -> String {
    match peer.admin_down {
        true => "Admin".to_owned(),
        false => peer.state.to_string(),
    }
}

/// `show bgp l2vpn evpn vni`.
pub(crate) fn vnis(vnis: &[BgpVni]) -> String {
    let mut table = Table::new([
        Column::Number("VNI"),
        Column::Word("Type"),
        Column::Word("State"),
        Column::Word("RD"),
        Column::Text("Import RT"),
        Column::Text("Export RT"),
        Column::Text("Tenant VRF"),
    ]);
    for vni in vnis {
        table.row([
            vni.vni.to_string(),
            vni.kind.to_string(),
            up_down(vni.state).to_owned(),
            vni.rd.clone(),
            vni.import_rts.join(" "),
            vni.export_rts.join(" "),
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

/// `up` or `down`.
pub(super) const fn up_down(state: UpDown) -> &'static str {
    match state {
        UpDown::Up => "up",
        UpDown::Down => "down",
    }
}
