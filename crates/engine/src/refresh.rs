//! Refreshes of routes (RFC 2918, RFC 7313): asking a neighbour for its routes again.

use crate::engine::Engine;
use crate::io::Output;
use evpn_proto::bgp::message::{Family, RouteRefresh};
use evpn_proto::bgp::wire;
use evpn_rib::PeerIdx;

/// A ROUTE-REFRESH that asks for the routes (RFC 2918).
const REQUEST: u8 = 0;

impl Engine {
    /// Asks the neighbour to send its routes again, if it offers that.
    pub(crate) fn request_refresh(&mut self, index: PeerIdx) {
        let up = self.peer(index).and_then(|peer| peer.up.as_ref());
        let Some(up) = up.filter(|up| up.negotiated.route_refresh) else { return };
        let refresh = RouteRefresh { family: Family::EVPN, subtype: REQUEST };
        let octets = wire::encode_route_refresh(&refresh);
        self.output(Output::Send { peer: index, connection: up.connection, octets });
    }
}
