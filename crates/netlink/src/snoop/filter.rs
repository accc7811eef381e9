//! Which frames the kernel hands over: a program for its packet filter.
//!
//! **Everything that is not ARP, a neighbour solicitation or a neighbour advertisement is dropped
//! where it came in.** So is what carries a VLAN tag: a bridge that does not tell VLANs apart
//! carries it through, and the host in it is none of this bridge's.

use libc::sock_filter;

/// Octets that are kept of a frame.
pub(super) const KEPT: u32 = 256;

const ETHER_TYPE: u32 = 12;
const ARP: u32 = 0x0806;
const IPV6: u32 = 0x86dd;
/// The header after IPv6's, 14 octets of Ethernet in front of it.
const NEXT_HEADER: u32 = 14 + 6;
const ICMPV6: u32 = 58;
const ICMPV6_TYPE: u32 = 14 + 40;
const SOLICITATION: u32 = 135;
const ADVERTISEMENT: u32 = 136;
/// Whether the kernel took a VLAN tag off (`SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT`).
const TAGGED: u32 = 0xffff_f000 + 48;

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_OCTET: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn load(code: u16, at: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k: at }
}

/// Skips as many instructions as it says: `yes` where the loaded value is `value`, else `no`.
const fn if_equal(value: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: IF_EQUAL, jt: yes, jf: no, k: value }
}

const fn keep(octets: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: octets }
}

/// The program.
pub(super) const fn program() -> [sock_filter; 12] {
    [
        load(LOAD_WORD, TAGGED),
        if_equal(0, 0, 9),
        load(LOAD_HALF, ETHER_TYPE),
        if_equal(ARP, 6, 0),
        if_equal(IPV6, 0, 6),
        load(LOAD_OCTET, NEXT_HEADER),
        if_equal(ICMPV6, 0, 4),
        load(LOAD_OCTET, ICMPV6_TYPE),
        if_equal(SOLICITATION, 1, 0),
        if_equal(ADVERTISEMENT, 0, 1),
        keep(KEPT),
        keep(0),
    ]
}
