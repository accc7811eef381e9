//! Routes that are prefixes: IPv4 and IPv6 unicast (RFC 4271 section 4.3, RFC 4760 section 5) and
//! route target memberships (RFC 4684 section 4).
//!
//! ```text
//! length in bits (1) | prefix (as many octets as its bits need)
//! ```
//!
//! **A length that the family cannot have leaves it unknown where the next route begins; whatever
//! else is wrong with a prefix costs only itself.**

use crate::bgp::wire::error::{ErrorKind, WireError};
use crate::bgp::wire::reader::Reader;
use crate::types::{Family, Route, RouteKey, RtMembership};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The longest prefix of a family, in bits.
const fn bits_max(family: Family) -> u8 {
    match family {
        Family::IPV4_UNICAST => 32,
        Family::RT_CONSTRAINT => RtMembership::BITS_MAX,
        _ => 128,
    }
}

const fn name(family: Family) -> &'static str {
    match family {
        Family::IPV4_UNICAST => "IPv4 prefix",
        Family::RT_CONSTRAINT => "route target membership",
        _ => "IPv6 prefix",
    }
}

/// Length in bits and octets of the prefix at the front (RFC 7606 section 5.3).
pub(super) fn next<'a>(
    run: &mut Reader<'a>,
    family: Family,
) -> Result<(u8, Reader<'a>), WireError> {
    let at = *run;
    let bits = run.u8(name(family))?;
    if bits > bits_max(family) {
        return Err(at.error(name(family), ErrorKind::BadValue(bits.into())));
    }
    Ok((bits, run.take(usize::from(bits.div_ceil(8)), name(family))?))
}

/// Reads the route. RFC 4271 section 6.3: a prefix that cannot be routed to is ignored. So that what
/// cannot be announced need not be withdrawn either, it is not asked whether it comes or goes.
pub(super) fn route(family: Family, bits: u8, body: Reader<'_>) -> Result<Route, WireError> {
    let refused = || body.error(name(family), ErrorKind::BadValue(bits.into()));
    let key = match family {
        Family::IPV4_UNICAST => {
            let net = Ipv4Net::new(padded::<4>(body).into(), bits).map_err(|_| refused())?;
            unicast(IpNet::V4(net)).ok_or_else(refused)?
        }
        Family::RT_CONSTRAINT => {
            let membership = RtMembership::from_prefix(bits, padded(body));
            RouteKey::RtMembership(membership.ok_or_else(refused)?)
        }
        _ => {
            let net = Ipv6Net::new(padded::<16>(body).into(), bits).map_err(|_| refused())?;
            unicast(IpNet::V6(net)).ok_or_else(refused)?
        }
    };
    Ok(Route::bare(key))
}

/// RFC 4271 section 4.3: bits beyond the length are irrelevant.
fn unicast(prefix: IpNet) -> Option<RouteKey> {
    let prefix = prefix.trunc();
    (!prefix.addr().is_multicast()).then_some(RouteKey::Unicast { prefix })
}

/// The octets, with zeros after them.
fn padded<const N: usize>(body: Reader<'_>) -> [u8; N] {
    let mut octets = [0; N];
    for (to, from) in octets.iter_mut().zip(body.octets()) {
        *to = *from;
    }
    octets
}
