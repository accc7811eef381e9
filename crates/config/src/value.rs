//! The kinds of value that only a configuration has.
//!
//! **Each parses what it displays.**

use evpn_proto::types::{Asn, NeighborId, Rd, RouteTarget};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Serialises a value as the text it displays as.
pub(crate) fn as_text<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Serialises values as the texts they display as.
pub(crate) fn as_texts<T: Display, S: Serializer>(values: &[T], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(T::to_string))
}

/// Serialises an optional value as the text it displays as.
pub(crate) fn as_optional_text<T: Display, S: Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(T::to_string).serialize(to)
}

/// Serialises who a neighbor is under the key that says so.
pub(crate) fn as_neighbor_id<S: Serializer>(id: &NeighborId, to: S) -> Result<S::Ok, S::Error> {
    let key = match id {
        NeighborId::Address(_) => "address",
        NeighborId::Interface(_) => "interface",
    };
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(key, &id.to_string())?;
    map.end()
}

/// Serialises a duration with its unit.
pub(crate) fn as_duration<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&show_duration(*value))
}

/// A duration in the one unit that divides it, as the configuration writes it: `90s`, `2h`.
pub fn show_duration(value: Duration) -> String {
    let millis = value.as_millis();
    match millis {
        _ if !millis.is_multiple_of(1_000) => format!("{millis}ms"),
        _ if millis == 0 || !millis.is_multiple_of(60_000) => format!("{}s", millis / 1_000),
        _ if !millis.is_multiple_of(3_600_000) => format!("{}m", millis / 60_000),
        _ => format!("{}h", millis / 3_600_000),
    }
}

/// Which AS a neighbour may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAs {
    /// This one.
    Number(Asn),
    /// The same as ours (iBGP).
    Internal,
    /// Any but ours (eBGP).
    External,
}

impl PeerAs {
    /// Whether a session with such a neighbour is internal to `own` AS.
    pub fn is_internal(self, own: Asn) -> bool {
        match self {
            Self::Number(number) => number == own,
            Self::Internal => true,
            Self::External => false,
        }
    }
}

impl Display for PeerAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Internal => f.write_str("internal"),
            Self::External => f.write_str("external"),
        }
    }
}

/// A route distinguisher as configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RdChoice {
    /// `router id:number`, the number being the daemon's choice per table (RFC 7432 section 7.9).
    #[default]
    Auto,
    /// This one.
    Fixed(Rd),
}

impl Display for RdChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(rd) => rd.fmt(f),
        }
    }
}

/// A route target as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtChoice {
    /// Derived from the AS and the VNI; on import, from the VNI alone.
    Auto,
    /// This one.
    Fixed(RouteTarget),
}

impl Display for RtChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(target) => target.fmt(f),
        }
    }
}

/// A bandwidth in bits per second, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bandwidth(u64);

impl Default for Bandwidth {
    fn default() -> Self {
        Self(Self::MIN)
    }
}

impl Bandwidth {
    /// The least, 1 Mbit/s: the smallest weight, a thousandth of it, is still some kbit/s.
    pub const MIN: u64 = 1_000_000;
    /// The most, 100 Tbit/s.
    pub const MAX: u64 = 100_000_000_000_000;

    const UNITS: &[(&str, u64)] = &[
        ("Tbit/s", 1_000_000_000_000),
        ("Gbit/s", 1_000_000_000),
        ("Mbit/s", 1_000_000),
        ("kbit/s", 1_000),
        ("bit/s", 1),
    ];

    /// The number, bits per second.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// From a text such as `10Gbit/s` or `2.5Gbit/s`; none outside of `MIN` to `MAX`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, factor) = Self::UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))?;
        let is_number = number.starts_with(|c: char| c.is_ascii_digit())
            && number.ends_with(|c: char| c.is_ascii_digit());
        if !is_number {
            return None;
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = u32::try_from(fraction.len()).ok()?;
        let scale = 10_u64.checked_pow(digits)?;
        let all: u64 = format!("{whole}{fraction}").parse().ok()?;
        let scaled = all.checked_mul(factor)?;
        let bits = scaled.is_multiple_of(scale).then(|| scaled / scale)?;
        (Self::MIN..=Self::MAX).contains(&bits).then_some(Self(bits))
    }
}

impl Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |(_, factor): &&(&str, u64)| self.0.is_multiple_of(*factor);
        match Self::UNITS.iter().find(divides) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}bit/s", self.0),
        }
    }
}

/// How long traffic may take to leave a prefix's site without breaking connections. A quarter of
/// it is the idle time of the receivers' buckets, which the kernel keeps in units of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DrainTime(Duration);

impl Default for DrainTime {
    fn default() -> Self {
        Self(Self::MIN)
    }
}

impl DrainTime {
    /// The least.
    pub const MIN: Duration = Duration::from_secs(1);
    /// The most.
    pub const MAX: Duration = Duration::from_secs(24 * 60 * 60);
    /// Four units of the kernel's idle timer.
    const STEP_MS: u128 = 40;

    /// None outside of `MIN` to `MAX` and for what is no multiple of 40 ms.
    pub fn new(value: Duration) -> Option<Self> {
        let whole_millis = value.subsec_nanos().is_multiple_of(1_000_000);
        let exact = whole_millis && value.as_millis().is_multiple_of(Self::STEP_MS);
        (exact && (Self::MIN..=Self::MAX).contains(&value)).then_some(Self(value))
    }

    /// The nearest valid one that is not longer, for advice.
    pub(crate) fn rounded(value: Duration) -> Duration {
        let steps = value.as_millis() / Self::STEP_MS;
        let millis = u64::try_from(steps * Self::STEP_MS).unwrap_or(u64::MAX);
        Duration::from_millis(millis).clamp(Self::MIN, Self::MAX)
    }

    /// The drain time itself.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// How long a connection may be silent and still be safe in a drain.
    pub fn idle_time(self) -> Duration {
        self.0 / 4
    }

    /// The idle time in the kernel's units of 10 ms (`NHA_RES_GROUP_IDLE_TIMER`).
    pub fn idle_ticks(self) -> u32 {
        u32::try_from(self.idle_time().as_millis() / 10).unwrap_or(u32::MAX)
    }
}

impl Display for DrainTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_duration(self.0))
    }
}

/// A host by address or name, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// An address without brackets, or a name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Endpoint {
    /// From `host`, `host:port`, `address`, `[v6]:port`; none where it is neither.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self { host: address.to_string(), port: default_port });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
            None => (text, default_port),
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match inner {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => is_host_name(host),
        };
        valid.then(|| Self { host: inner.unwrap_or(host).to_owned(), port })
    }
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    host.split('.').all(label)
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_parses_what_it_displays() {
        for (text, bits) in [
            ("10Gbit/s", 10_000_000_000),
            ("2500Mbit/s", 2_500_000_000),
            ("1Tbit/s", 1_000_000_000_000),
        ] {
            let bandwidth = Bandwidth::parse(text).unwrap();
            assert_eq!((bandwidth.bits_per_second(), bandwidth.to_string().as_str()), (bits, text));
        }
        assert_eq!(Bandwidth::parse("2.5Gbit/s"), Bandwidth::parse("2500 Mbit/s"));
        for bad in [
            "10",
            "10Gbps",
            "-1Gbit/s",
            "0Gbit/s",
            "1.0000000001Gbit/s",
            ".Gbit/s",
            "+1Gbit/s",
            "1.Gbit/s",
            "101Tbit/s",
            "999kbit/s",
        ] {
            assert_eq!(Bandwidth::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_idle_time_is_a_quarter_in_kernel_ticks() {
        let drain = DrainTime::new(Duration::from_secs(60)).unwrap();
        assert_eq!((drain.idle_time(), drain.idle_ticks()), (Duration::from_secs(15), 1_500));
        assert_eq!(DrainTime::new(Duration::from_millis(1_040)).unwrap().idle_ticks(), 26);
        assert_eq!(DrainTime::new(Duration::from_millis(1_010)), None);
        assert_eq!(DrainTime::new(Duration::from_millis(960)), None);
    }

    #[test]
    fn an_endpoint_parses_what_it_displays() {
        for text in ["127.0.0.1:3493", "[::1]:3493", "ups.site-a.example:4000"] {
            assert_eq!(Endpoint::parse(text, 3493).map(|e| e.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Endpoint::parse("::1", 3493).unwrap().to_string(), "[::1]:3493");
        assert_eq!(Endpoint::parse("nas", 3493).unwrap().port, 3493);
        for bad in ["", ":1", "a b:1", "nas:0", "nas:x", "[nas]:1", "1::2:99999999"] {
            assert_eq!(Endpoint::parse(bad, 3493), None, "{bad}");
        }
    }
}
