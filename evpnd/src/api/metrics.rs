//! Figures for Prometheus, in the OpenMetrics text form.
//!
//! Names and labels follow frr_exporter where it has them, with the prefix `evpnd_`.
//!
//! **A figure is absent where it is not known**: never zero, which would be a value.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// The type of the answer.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The daemon's version.
    pub(crate) version: String,
    /// What the process holds in memory, in octets.
    pub(crate) resident_octets: Option<u64>,
    /// EVPN routes held.
    pub(crate) rib_routes: u64,
    /// What they take, in octets.
    pub(crate) rib_octets: u64,
    /// Each neighbour.
    pub(crate) peers: Vec<PeerFigures>,
    /// Each VNI.
    pub(crate) vnis: Vec<VniFigures>,
    /// Each site of which something is known.
    pub(crate) sites: Vec<SiteFigures>,
    /// Kernel objects that differed from what is intended at the last audit.
    pub(crate) drift_entries: u64,
    /// Kernel objects that an audit has mended.
    pub(crate) repairs: u64,
    /// Kernel writes that were refused.
    pub(crate) kernel_refusals: u64,
}

/// A neighbour.
#[derive(Clone, Debug)]
pub(crate) struct PeerFigures {
    /// Who it is.
    pub(crate) peer: String,
    /// Our AS.
    pub(crate) local_as: u32,
    /// Its AS, once known.
    pub(crate) peer_as: Option<u32>,
    /// Its session.
    pub(crate) state: PeerState,
    /// Since it is established.
    pub(crate) uptime_seconds: Option<u64>,
    /// Routes held from it.
    pub(crate) prefixes_received: u64,
    /// Of these, accepted.
    pub(crate) prefixes_accepted: u64,
    /// Routes advertised to it.
    pub(crate) prefixes_advertised: u64,
    /// Messages received.
    pub(crate) messages_received: u64,
    /// Messages sent.
    pub(crate) messages_sent: u64,
    /// How often the session went down.
    pub(crate) drops: u64,
    /// Updates treated as withdrawals for an error in them (RFC 7606).
    pub(crate) treat_as_withdraw: u64,
}

/// A session, as frr_exporter counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerState {
    /// 0.
    Down,
    /// 1.
    Established,
    /// 2.
    AdminDown,
}

/// A VNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VniFigures {
    /// Its number.
    pub(crate) vni: u32,
    /// Whether it works.
    pub(crate) up: bool,
    /// Hosts behind this switch.
    pub(crate) local_macs: u64,
    /// Hosts behind others.
    pub(crate) remote_macs: u64,
    /// Addresses of hosts.
    pub(crate) arp_nd: u64,
    /// VTEPs to flood to.
    pub(crate) remote_vteps: u64,
}

/// A site.
#[derive(Clone, Debug)]
pub(crate) struct SiteFigures {
    /// Its name.
    pub(crate) site: String,
    /// State of charge in thousandths of full.
    pub(crate) soc_permille: Option<u16>,
    /// The last reading's age.
    pub(crate) feed_age_seconds: Option<u64>,
    /// 0 normal, 1 prefer-less, 2 avoid, 3 drained.
    pub(crate) level: evpn_api::energy::Level,
    /// Changes of level.
    pub(crate) transitions: u64,
    /// Readings that did not pass the gates.
    pub(crate) rejected_readings: u64,
}

/// The snapshot as text.
///
/// # Errors
/// None that a string can cause; the encoder's type has one.
pub(crate) fn encode(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// A name, and what it means.
type Name = (&'static str, &'static str);
/// The labels of one row.
type Labels = Vec<(&'static str, String)>;
/// A family of gauges, and where a row's value is found; none where it is not known.
type GaugeOf<T> = (Name, fn(&T) -> Option<f64>);
/// A family, and where a row's count is found.
type CountOf<T> = (Name, fn(&T) -> u64);

/// Writes families. A family without rows is left out.
struct Families<'e>(DescriptorEncoder<'e>);

impl Families<'_> {
    fn gauges(
        &mut self,
        (name, help): Name,
        rows: impl Iterator<Item = (Labels, Option<f64>)>,
    ) -> fmt::Result {
        let mut rows = rows.filter_map(|(labels, value)| Some((labels, value?))).peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            match labels.is_empty() {
                true => family.encode_gauge(&value)?,
                false => family.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn counters(
        &mut self,
        (name, help): Name,
        rows: impl Iterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in rows {
            match labels.is_empty() {
                true => family.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                false => family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&value, None)?,
            }
        }
        Ok(())
    }
}

/// A count as a gauge's value. Beyond 2^53 it loses its last digits, which nobody reads.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn gauge(count: u64) -> Option<f64> {
    Some(count as f64)
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.encode_process(&mut families)?;
        self.encode_peers(&mut families)?;
        self.encode_vnis(&mut families)?;
        self.encode_sites(&mut families)
    }
}

impl Snapshot {
    fn encode_process(&self, families: &mut Families<'_>) -> fmt::Result {
        let one = |value| std::iter::once((Labels::new(), value));
        let version = vec![("version", self.version.clone())];
        let build = ("evpnd_build_info", "The daemon's version, as a label");
        families.gauges(build, std::iter::once((version, gauge(1))))?;
        let resident = ("evpnd_resident_memory_bytes", "Memory that the process holds");
        families.gauges(resident, one(self.resident_octets.and_then(gauge)))?;
        let routes = ("evpnd_bgp_rib_routes", "EVPN routes held");
        families.gauges(routes, one(gauge(self.rib_routes)))?;
        let memory = ("evpnd_bgp_rib_memory_bytes", "Memory of the EVPN routes held");
        families.gauges(memory, one(gauge(self.rib_octets)))?;
        let drift = ("evpnd_fdb_drift_entries", "Kernel objects that differ from the intended");
        families.gauges(drift, one(gauge(self.drift_entries)))?;
        let once = |count| std::iter::once((Labels::new(), count));
        let repairs = ("evpnd_fdb_repairs", "Kernel objects mended by an audit");
        families.counters(repairs, once(self.repairs))?;
        let refusals = ("evpnd_kernel_refusals", "Kernel writes refused");
        families.counters(refusals, once(self.kernel_refusals))
    }

    fn encode_peers(&self, families: &mut Families<'_>) -> fmt::Result {
        let gauges: [GaugeOf<PeerFigures>; 5] = [
            (
                ("evpnd_bgp_peer_state", "1 established, 0 down, 2 held down by an operator"),
                |peer| Some(f64::from(peer.state as u8)),
            ),
            (("evpnd_bgp_peer_uptime_seconds", "Since it is established"), |peer| {
                peer.uptime_seconds.and_then(gauge)
            }),
            (("evpnd_bgp_peer_prefixes_received_count", "Routes held from it"), |peer| {
                gauge(peer.prefixes_received)
            }),
            (("evpnd_bgp_peer_prefixes_accepted_count", "Routes accepted"), |peer| {
                gauge(peer.prefixes_accepted)
            }),
            (("evpnd_bgp_peer_prefixes_advertised_count", "Routes sent to it"), |peer| {
                gauge(peer.prefixes_advertised)
            }),
        ];
        for (name, value) in gauges {
            let rows = self.peers.iter().map(|peer| (peer.labels(), value(peer)));
            families.gauges(name, rows)?;
        }
        let counters: [CountOf<PeerFigures>; 4] = [
            (("evpnd_bgp_peer_message_received", "Messages received"), |p| p.messages_received),
            (("evpnd_bgp_peer_message_sent", "Messages sent"), |p| p.messages_sent),
            (("evpnd_bgp_peer_drops", "How often the session went down"), |p| p.drops),
            (("evpnd_bgp_peer_treat_as_withdraw", "Updates with errors, withdrawn"), |p| {
                p.treat_as_withdraw
            }),
        ];
        for (name, value) in counters {
            let rows = self.peers.iter().map(|peer| (peer.labels(), value(peer)));
            families.counters(name, rows)?;
        }
        Ok(())
    }

    fn encode_vnis(&self, families: &mut Families<'_>) -> fmt::Result {
        let labels = |vni: &VniFigures| vec![("vni", vni.vni.to_string())];
        let single: [CountOf<VniFigures>; 3] = [
            (("evpnd_evpn_vni_up", "Whether the VNI works"), |vni| u64::from(vni.up)),
            (("evpnd_evpn_arp_nd", "Addresses of hosts"), |vni| vni.arp_nd),
            (("evpnd_evpn_remote_vteps", "VTEPs to flood to"), |vni| vni.remote_vteps),
        ];
        for (name, value) in single {
            let rows = self.vnis.iter().map(|vni| (labels(vni), gauge(value(vni))));
            families.gauges(name, rows)?;
        }
        let by_type = self.vnis.iter().flat_map(|vni| {
            [("local", vni.local_macs), ("remote", vni.remote_macs)].map(|(kind, count)| {
                let mut labels = labels(vni);
                labels.push(("type", kind.to_owned()));
                (labels, gauge(count))
            })
        });
        families.gauges(("evpnd_evpn_macs", "Hosts"), by_type)?;
        let count = gauge(u64::try_from(self.vnis.len()).unwrap_or(u64::MAX));
        let all = std::iter::once((Labels::new(), count));
        families.gauges(("evpnd_evpn_vnis", "VNIs"), all)
    }

    fn encode_sites(&self, families: &mut Families<'_>) -> fmt::Result {
        let labels = |site: &SiteFigures| vec![("site", site.site.clone())];
        let gauges: [GaugeOf<SiteFigures>; 3] = [
            (("evpnd_energy_soc_ratio", "State of charge"), |site| {
                site.soc_permille.map(|permille| f64::from(permille) / 1000.0)
            }),
            (("evpnd_energy_feed_age_seconds", "Age of the last reading"), |site| {
                site.feed_age_seconds.and_then(gauge)
            }),
            (("evpnd_energy_level", "0 normal, 1 prefer-less, 2 avoid, 3 drained"), |site| {
                Some(f64::from(site.level as u8))
            }),
        ];
        for (name, value) in gauges {
            let rows = self.sites.iter().map(|site| (labels(site), value(site)));
            families.gauges(name, rows)?;
        }
        let transitions = self.sites.iter().map(|site| (labels(site), site.transitions));
        families.counters(("evpnd_energy_transitions", "Changes of level"), transitions)?;
        let rejected = self.sites.iter().map(|site| (labels(site), site.rejected_readings));
        families.counters(("evpnd_energy_rejected_readings", "Readings refused"), rejected)
    }
}

impl PeerFigures {
    fn labels(&self) -> Labels {
        vec![
            ("vrf", "default".to_owned()),
            ("afi", "l2vpn".to_owned()),
            ("safi", "evpn".to_owned()),
            ("local_as", self.local_as.to_string()),
            ("peer", self.peer.to_string()),
            ("peer_as", self.peer_as.map_or_else(String::new, |asn| asn.to_string())),
        ]
    }
}
