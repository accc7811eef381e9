//! Hosts: MAC and IP addresses.

use crate::api::backend::ApiError;
use evpn_api::evpn::{Arp, ArpState, Mac};
use evpn_api::{Locality, Page};
use evpn_engine::view::hosts::{self as seen, Hosts, Place};
use evpn_proto::types::{MacAddr, Vni};
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

/// Between a cursor's VNI and its address, which may have colons.
const SEPARATOR: char = '/';

/// Reads a cursor: the VNI and address of the last host of the page before.
pub(super) fn parse<K: FromStr>(cursor: Option<&str>) -> Result<Option<(Vni, K)>, ApiError> {
    let parse = |text: &str| {
        let (vni, key) = text.split_once(SEPARATOR)?;
        Some((Vni::new(vni.parse().ok()?)?, key.parse().ok()?))
    };
    let refuse = || {
        ApiError::bad_request("this is no cursor of a page of hosts")
            .remedy("leave it out to begin at the first page")
    };
    cursor.map(|text| parse(text).ok_or_else(refuse)).transpose()
}

fn page<T, K: Display, A>(hosts: &Hosts<T, K>, item: impl Fn(&T) -> A) -> Page<A> {
    Page {
        items: hosts.hosts.iter().map(item).collect(),
        next_cursor: hosts.next.as_ref().map(|(vni, key)| format!("{vni}{SEPARATOR}{key}")),
        total: None,
    }
}

pub(super) fn macs(hosts: &Hosts<seen::Mac<'_>, MacAddr>) -> Page<Mac> {
    page(hosts, |mac| {
        let (kind, intf, remote_vtep, remote_es) = match mac.place {
            Place::Local(port) => (Locality::Local, port.map(str::to_owned), None, None),
            Place::Remote { vtep, esi } => {
                let esi = Some(esi).filter(|esi| !esi.is_zero()).map(|esi| esi.to_string());
                (Locality::Remote, None, Some(vtep), esi)
            }
        };
        Mac {
            vni: mac.vni.get(),
            mac: mac.mac.to_string(),
            kind,
            intf,
            remote_vtep,
            remote_es,
            local_sequence: mac.local_sequence,
            remote_sequence: mac.remote_sequence,
            sticky: mac.sticky,
        }
    })
}

pub(super) fn arp(hosts: &Hosts<seen::Address, IpAddr>) -> Page<Arp> {
    page(hosts, |address| Arp {
        vni: address.vni.get(),
        ip: address.ip,
        kind: if address.vtep.is_some() { Locality::Remote } else { Locality::Local },
        state: if address.active { ArpState::Active } else { ArpState::Inactive },
        mac: address.mac.to_string(),
        remote_vtep: address.vtep,
        local_sequence: address.local_sequence,
        remote_sequence: address.remote_sequence,
    })
}
