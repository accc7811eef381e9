//! VNIs.

use super::{Lookups, count, reach};
use evpn_api::bgp::{BgpVni, VniKind};
use evpn_api::evpn::Vni;
use evpn_api::{Notice, UpDown};
use evpn_engine::view::View;
use evpn_engine::view::vnis as seen;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The VRF of everything that is in none.
const DEFAULT_VRF: &str = "default";
/// VTEPs, and route targets of each, that a notice names.
const NAMED_MAX: usize = 3;

/// VTEPs that the kernel is asked for in one answer: some 10 ms of the dataplane's time.
const LOOKUPS_MAX: usize = 1000;

pub(super) fn vnis(view: View<'_>) -> Vec<Vni> {
    let unimported = view.unimported();
    let of = |vni: &seen::Vni<'_>| unimported.get(&vni.fabric.vni).map_or(&[][..], Vec::as_slice);
    let mut vnis: Vec<Vni> = view.vnis().iter().map(|vni| evpn_vni(view, vni, of(vni))).collect();
    vnis.sort_by_key(|vni| vni.vni);
    vnis
}

/// Every VTEP to which anything is flooded, once; of a very large fabric the first ones.
pub(super) fn vteps(vnis: &[Vni]) -> Vec<IpAddr> {
    let all: BTreeSet<IpAddr> = vnis.iter().flat_map(|vni| &vni.remote_vteps).copied().collect();
    all.into_iter().take(LOOKUPS_MAX).collect()
}

/// Adds to each VNI the VTEPs to which the kernel sends nothing: the first, and a count.
pub(super) fn note_unreached(vnis: &mut [Vni], lookups: &Lookups) {
    for vni in vnis {
        let mut unreached = vni.remote_vteps.iter().filter_map(|v| reach::unreached(*v, lookups));
        let Some(mut notice) = unreached.next() else { continue };
        let more = unreached.count();
        if more > 0 {
            let plural = if more == 1 { "VTEP is" } else { "VTEPs are" };
            notice.text.push_str(&format!("; {more} more {plural} not reached either"));
        }
        vni.notices.push(notice);
    }
}

pub(super) fn bgp_vnis(view: View<'_>) -> Vec<BgpVni> {
    let mut vnis: Vec<BgpVni> = view.vnis().iter().map(bgp_vni).collect();
    vnis.sort_by_key(|vni| vni.vni);
    vnis
}

fn kind(vni: &seen::Vni<'_>) -> VniKind {
    if vni.vrf.is_some() { VniKind::L3 } else { VniKind::L2 }
}

fn tenant(vni: &seen::Vni<'_>) -> String {
    vni.vrf.map_or(DEFAULT_VRF, |vrf| &vrf.name).to_owned()
}

fn state(vni: &seen::Vni<'_>) -> UpDown {
    if vni.fabric.state.is_ok() { UpDown::Up } else { UpDown::Down }
}

fn evpn_vni(view: View<'_>, vni: &seen::Vni<'_>, unimported: &[seen::Unimported]) -> Vni {
    let devices = vni.fabric.state.as_ref().ok();
    let mut notices = notices(vni);
    let lonely = vni.vrf.is_none() && devices.is_some() && vni.flood_vteps.is_empty();
    let differs = unimported_notice(vni, unimported);
    if differs.is_none() && lonely && !view.is_restarting() {
        notices.push(vni.mismatch.map(notice).unwrap_or_else(|| {
            Notice::new(
                "no remote VTEP",
                "evpnctl show bgp l2vpn evpn route --type multicast: does anybody announce this \
                 VNI, with a route target that we import?",
            )
        }));
    }
    notices.extend(differs);
    Vni {
        vni: vni.fabric.vni.get(),
        kind: kind(vni),
        state: state(vni),
        notices,
        vxlan_if: vni.fabric.device.clone(),
        bridge: devices.map(|d| d.bridge_name.clone()),
        vlan: None,
        svi_if: devices.filter(|d| d.has_svi).map(|d| d.bridge_name.clone()),
        tenant_vrf: tenant(vni),
        vtep_ip: devices.map(|d| d.vtep),
        num_macs: count(vni.macs.total()),
        num_arp_nd: count(vni.ips.total()),
        num_remote_vteps: count(vni.flood_vteps.len()),
        remote_vteps: vni.flood_vteps.clone(),
    }
}

fn bgp_vni(vni: &seen::Vni<'_>) -> BgpVni {
    let mut export_rts: Vec<String> = vni.export.iter().map(ToString::to_string).collect();
    export_rts.sort_unstable();
    BgpVni {
        vni: vni.fabric.vni.get(),
        kind: kind(vni),
        in_kernel: vni.fabric.device.is_some(),
        state: state(vni),
        notices: notices(vni),
        rd: vni.rd.to_string(),
        originator_ip: vni.fabric.state.as_ref().ok().map(|d| d.vtep),
        tenant_vrf: tenant(vni),
        import_rts: vni.import.texts(vni.fabric.vni),
        export_rts,
    }
}

fn notices(vni: &seen::Vni<'_>) -> Vec<Notice> {
    vni.fabric
        .state
        .as_ref()
        .err()
        .into_iter()
        .chain(&vni.fabric.warnings)
        .map(|text| notice(text))
        .collect()
}

/// Who announces a VNI with route targets that nothing here imports: the first few, and a count.
fn unimported_notice(vni: &seen::Vni<'_>, unimported: &[seen::Unimported]) -> Option<Notice> {
    let number = vni.fabric.vni;
    let imports = vni.import.texts(number).join(", ");
    let (text, whose) = match unimported {
        [] => return None,
        [one] => {
            let (vtep, carries) = (one.vtep, carried(one));
            let text = format!(
                "{vtep} announces it with route target {carries}, and {imports} is imported"
            );
            (text, "the one")
        }
        several => {
            let (first, more) = several.split_at(several.len().min(NAMED_MAX));
            let named = first.iter().map(|one| format!("{} ({})", one.vtep, carried(one)));
            let named = named.collect::<Vec<_>>().join(", ");
            let more = match more.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let text = format!(
                "{named}{more} announce it with route targets that nothing here imports, and \
                 {imports} is imported"
            );
            (text, "theirs")
        }
    };
    let remedy = format!("add {whose} to `import` of [[vni]] {number}, or correct `export` there");
    Some(Notice::new(&text, remedy))
}

fn carried(unimported: &seen::Unimported) -> String {
    let named = unimported.targets.iter().take(NAMED_MAX).map(ToString::to_string);
    let named: Vec<String> = named.collect();
    if named.is_empty() { "none".to_owned() } else { named.join(", ") }
}

/// The engine's texts say what is wrong, a colon, and what to do.
fn notice(text: &str) -> Notice {
    match text.split_once(": ") {
        Some((what, remedy)) => Notice::new(what, remedy),
        None => Notice { text: text.to_owned(), remedy: None },
    }
}
