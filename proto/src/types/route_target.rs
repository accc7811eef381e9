//! Route targets (RFC 4360 section 4, RFC 5668, automatic form RFC 8365 section 5.1.2.1).

use super::asn::decimal;
use super::{Asn, ParseError, Vni};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The sub-type of an extended community that is a route target.
const SUBTYPE_ROUTE_TARGET: u8 = 0x02;

/// A route target: the extended community itself, 8 octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTarget(pub [u8; 8]);

impl RouteTarget {
    /// The community read as a route target, where it is one (types 0x00, 0x01 and 0x02).
    pub const fn from_community(octets: [u8; 8]) -> Option<Self> {
        let [kind, subtype, ..] = octets;
        if kind <= 2 && subtype == SUBTYPE_ROUTE_TARGET { Some(Self(octets)) } else { None }
    }

    /// `asn:number` with a 2-octet AS.
    pub const fn two_octet_as(asn: u16, number: u32) -> Self {
        let [a, b] = asn.to_be_bytes();
        let [w, x, y, z] = number.to_be_bytes();
        Self([0, SUBTYPE_ROUTE_TARGET, a, b, w, x, y, z])
    }

    /// The automatic target of a VNI as the field uses it: `(AS & 0xffff):VNI`.
    pub const fn auto(asn: Asn, vni: Vni) -> Self {
        Self::two_octet_as(asn.low16(), vni.get())
    }

    /// The automatic target in the form of RFC 8365 section 5.1.2.1: automatic bit clear, type 1
    /// (VXLAN), domain 0, then the VNI.
    pub const fn auto_rfc8365(asn: Asn, vni: Vni) -> Self {
        Self::two_octet_as(asn.low16(), RFC8365_VXLAN | vni.get())
    }

    /// The VNI that an automatic target of whatever AS stands for, in either form.
    pub fn auto_vni(self) -> Option<Vni> {
        let [kind, _, _, _, w, x, y, z] = self.0;
        let number = u32::from_be_bytes([w, x, y, z]);
        let number = if number & !Vni::MAX == RFC8365_VXLAN { number & Vni::MAX } else { number };
        if kind == 0 { Vni::new(number) } else { None }
    }
}

/// The high octet of the number of an RFC 8365 automatic target: A=0, type=1 (VXLAN), domain=0.
const RFC8365_VXLAN: u32 = 0x1000_0000;

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, _, a, b, c, d, x, y] = self.0;
        let four = u32::from_be_bytes([a, b, c, d]);
        let two = u16::from_be_bytes([x, y]);
        match kind {
            0 => write!(f, "{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, x, y])),
            1 => write!(f, "{}:{two}", Ipv4Addr::from(four)),
            _ => write!(f, "{four}:{two}"),
        }
    }
}

impl fmt::Debug for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RT:{self}")
    }
}

impl FromStr for RouteTarget {
    type Err = ParseError;

    /// `65000:100`, `10.0.0.1:100`, or `4200000000:100`, which is `64086.59904:100` too.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::new(text, "a route target such as 65000:100 or 1.10:100");
        let (administrator, number) = text.rsplit_once(':').ok_or_else(error)?;
        let short = || decimal(number).map(u16::to_be_bytes).ok_or_else(error);
        if let Ok(address) = administrator.parse::<Ipv4Addr>() {
            let ([a, b, c, d], [x, y]) = (address.octets(), short()?);
            return Ok(Self([1, SUBTYPE_ROUTE_TARGET, a, b, c, d, x, y]));
        }
        let Asn(asn) = administrator.parse().map_err(|_| error())?;
        if let Ok(asn) = u16::try_from(asn) {
            return Ok(Self::two_octet_as(asn, decimal(number).ok_or_else(error)?));
        }
        let ([a, b, c, d], [x, y]) = (asn.to_be_bytes(), short()?);
        Ok(Self([2, SUBTYPE_ROUTE_TARGET, a, b, c, d, x, y]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_round_trip_in_every_form() {
        for text in ["65000:100", "10.0.0.1:100", "4200000000:100", "0:4294967295"] {
            assert_eq!(text.parse::<RouteTarget>().map(|rt| rt.to_string()).as_deref(), Ok(text));
        }
        assert!("65000".parse::<RouteTarget>().is_err());
        assert!("4200000000:65536".parse::<RouteTarget>().is_err());
        for (dotted, plain) in [
            ("1.10:100", "65546:100"),
            ("64086.59904:100", "4200000000:100"),
            ("0.65000:70000", "65000:70000"),
        ] {
            assert_eq!(dotted.parse::<RouteTarget>(), plain.parse(), "{dotted}");
        }
        for text in ["1.10:65536", "1.65536:1", "1.2.3:1", "+1:1", "1:+1", ":1", "1:", "1.10:"] {
            assert!(text.parse::<RouteTarget>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_automatic_target_names_its_vni_in_both_forms() {
        let vni = Vni::new(10_100).unwrap();
        let asn = Asn(4_200_000_001);
        assert_eq!(RouteTarget::auto(asn, vni).auto_vni(), Some(vni));
        assert_eq!(RouteTarget::auto_rfc8365(asn, vni).auto_vni(), Some(vni));
        assert_eq!("10.0.0.1:100".parse::<RouteTarget>().unwrap().auto_vni(), None);
    }
}
