//! The rtnetlink requests of a lab, as bytes. Sends nothing: [`crate::ops`] does, in
//! the node's namespace.
//!
//! **Every request asks for an acknowledgement, and creation is exclusive.**

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

/// The index that the bridge of a bridge node gets, so that its ports can name it.
const BRIDGE_INDEX: u32 = 10_000;

/// One end of a link to be made.
pub(crate) struct End<'a> {
    pub(crate) interface: &'a str,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: u32,
}

impl End<'_> {
    fn attributes(&self) -> Vec<LinkAttribute> {
        let mut attributes =
            vec![LinkAttribute::IfName(self.interface.to_owned()), LinkAttribute::Mtu(self.mtu)];
        attributes.extend(self.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
        attributes
    }
}

/// Makes a pair: `near` here, `far` in the network namespace that `far_netns` is open on.
pub(crate) fn create_veth(near: &End<'_>, far: &End<'_>, far_netns: BorrowedFd<'_>) -> Vec<u8> {
    let mut peer = LinkMessage::default();
    peer.attributes = far.attributes();
    peer.attributes.push(LinkAttribute::NetNsFd(far_netns.as_raw_fd()));
    let mut link = LinkMessage::default();
    link.attributes = near.attributes();
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    encode(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
}

/// Makes the bridge of a bridge node.
pub(crate) fn create_bridge(name: &str) -> Vec<u8> {
    let mut link = LinkMessage::default();
    link.header.index = BRIDGE_INDEX;
    link.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ];
    encode(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
}

/// Makes an interface a port of the bridge of its bridge node.
pub(crate) fn join_bridge(interface: &str) -> Vec<u8> {
    let mut link = LinkMessage::default();
    link.attributes =
        vec![LinkAttribute::IfName(interface.to_owned()), LinkAttribute::Controller(BRIDGE_INDEX)];
    encode(RouteNetlinkMessage::SetLink(link), 0)
}

/// Sets an interface up.
pub(crate) fn set_up(interface: &str) -> Vec<u8> {
    set_flags(interface, LinkFlags::Up)
}

/// Sets an interface down.
pub(crate) fn set_down(interface: &str) -> Vec<u8> {
    set_flags(interface, LinkFlags::empty())
}

fn set_flags(interface: &str, flags: LinkFlags) -> Vec<u8> {
    let mut link = LinkMessage::default();
    link.header.flags = flags;
    link.header.change_mask = LinkFlags::Up;
    link.attributes = vec![LinkAttribute::IfName(interface.to_owned())];
    encode(RouteNetlinkMessage::SetLink(link), 0)
}

fn encode(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut message = NetlinkMessage::new(Default::default(), NetlinkPayload::from(message));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}
