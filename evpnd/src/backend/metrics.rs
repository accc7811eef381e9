//! The figures of a moment.

use super::{DataplaneReport, count};
use crate::api::metrics::{PeerFigures, PeerState, SiteFigures, Snapshot, VniFigures};
use evpn_engine::view::View;
use evpn_engine::view::energy::Energy;
use evpn_engine::view::neighbors::Neighbor;
use evpn_engine::view::vnis::Vni;
use std::fs;

/// What the engine knows.
pub(super) fn see(view: View<'_>) -> Snapshot {
    Snapshot {
        rib_routes: count(view.route_count()),
        rib_octets: count(view.route_octets()),
        peers: view.neighbors().iter().map(|n| peer(view, n)).collect(),
        vnis: view.vnis().iter().map(vni).collect(),
        sites: view.energy().iter().map(site).collect(),
        ..Snapshot::default()
    }
}

/// What others know.
pub(super) fn complete(snapshot: Snapshot, report: Option<&DataplaneReport>) -> Snapshot {
    Snapshot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        resident_octets: resident_octets(),
        drift_entries: report.map_or(0, |r| count(r.differences.total)),
        repairs: report.map_or(0, |r| r.counters.repairs),
        kernel_refusals: report.map_or(0, |r| r.counters.failures.iter().sum()),
        ..snapshot
    }
}

/// Memory that the kernel counts as ours; proc(5), `VmRSS`.
fn resident_octets() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn peer(view: View<'_>, neighbor: &Neighbor<'_>) -> PeerFigures {
    let session = neighbor.session;
    let up = neighbor.is_established();
    let state = match up {
        true => PeerState::Established,
        false if neighbor.settings.shutdown => PeerState::AdminDown,
        false => PeerState::Down,
    };
    let counts = neighbor.received;
    PeerFigures {
        peer: neighbor.id().to_string(),
        local_as: session.config().local_as.0,
        peer_as: super::neighbors::remote_as(neighbor),
        state,
        uptime_seconds: session.uptime(view.now().time).map(|uptime| uptime.as_secs()),
        prefixes_received: count(counts.held),
        prefixes_accepted: count(counts.held.saturating_sub(counts.rejected)),
        prefixes_advertised: count(neighbor.advertised),
        messages_received: session.messages_received().total(),
        messages_sent: session.messages_sent().total(),
        drops: session.times_established().saturating_sub(u64::from(up)),
        treat_as_withdraw: neighbor.faults.treated_as_withdrawn,
    }
}

fn vni(vni: &Vni<'_>) -> VniFigures {
    VniFigures {
        vni: vni.fabric.vni.get(),
        up: vni.fabric.state.is_ok(),
        local_macs: count(vni.macs.local),
        remote_macs: count(vni.macs.remote),
        arp_nd: count(vni.ips.total()),
        remote_vteps: count(vni.flood_vteps.len()),
    }
}

fn site(energy: &Energy<'_>) -> SiteFigures {
    SiteFigures {
        site: energy.settings.site.clone(),
        soc_permille: energy.explanation.reading.map(|reading| reading.soc.get()),
        feed_age_seconds: energy.reading_age.map(|age| age.as_secs()),
        level: super::energy::level(energy.explanation.level),
        transitions: energy.transitions,
        rejected_readings: energy.refused,
    }
}
