//! Parameters of requests as the daemon's own types.
//!
//! **What passes here is well formed**; what does not is refused with what was expected.

use super::backend::{ApiError, Caller};
use super::server::Peer;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use evpn_api::evpn::HostQuery;
use evpn_api::page::effective_limit;
use evpn_api::route::{RouteKind, RouteQuery};
use evpn_api::why::WhyQuery;
use evpn_proto::types::{MacAddr, NeighborId, ParseError, Rd, Vni};
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use std::net::IpAddr;

/// Which page of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageRequest {
    /// How many items at most: between 1 and [`evpn_api::page::MAX_LIMIT`].
    pub(crate) limit: usize,
    /// The token that the backend gave with the page before, or what somebody made up.
    pub(crate) after: Option<String>,
}

/// Which routes. All that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteFilter {
    /// Of this type.
    pub(crate) kind: Option<RouteKind>,
    /// Of this distinguisher.
    pub(crate) rd: Option<Rd>,
    /// Imported into or exported from this VNI.
    pub(crate) vni: Option<Vni>,
    /// Of this host.
    pub(crate) mac: Option<MacAddr>,
    /// Of this prefix, masked.
    pub(crate) prefix: Option<IpNet>,
}

/// Which hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostFilter {
    /// Of this VNI.
    pub(crate) vni: Option<Vni>,
}

/// What `why` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WhySubject {
    /// A host.
    Mac {
        /// Its address.
        mac: MacAddr,
        /// Only here.
        vni: Option<Vni>,
    },
    /// A prefix; a full-length one stands for the longest that covers it.
    Prefix {
        /// The prefix, masked.
        prefix: IpNet,
        /// Only here.
        vni: Option<Vni>,
    },
}

fn parse_vni(number: Option<u32>) -> Result<Option<Vni>, ApiError> {
    let parse = |number| {
        Vni::new(number).ok_or_else(|| {
            ApiError::bad_request(format!("{number} is not a VNI, 1 to {}", Vni::MAX))
        })
    };
    number.map(parse).transpose()
}

fn parse_mac(text: Option<&String>) -> Result<Option<MacAddr>, ApiError> {
    text.map(|text| text.parse()).transpose().map_err(refuse_text)
}

/// An address is a prefix of its full length; bits beyond the length are masked away.
fn parse_prefix(text: Option<&String>) -> Result<Option<IpNet>, ApiError> {
    let parse = |text: &String| {
        text.parse::<IpAddr>()
            .map(IpNet::from)
            .or_else(|_| text.parse::<IpNet>().map(|prefix| prefix.trunc()))
            .map_err(|_| refuse_text(format!("\"{text}\" is not a prefix such as 10.1.0.0/24")))
    };
    text.map(parse).transpose()
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of map_err")]
fn refuse_text(error: impl ToString) -> ApiError {
    ApiError::bad_request(error.to_string())
}

impl RouteFilter {
    /// A request's filter and page.
    pub(super) fn of(query: RouteQuery) -> Result<(Self, PageRequest), ApiError> {
        let filter = Self {
            kind: query.kind,
            rd: query.rd.map(|rd| rd.parse()).transpose().map_err(refuse_text)?,
            vni: parse_vni(query.vni)?,
            mac: parse_mac(query.mac.as_ref())?,
            prefix: parse_prefix(query.prefix.as_ref())?,
        };
        let page = PageRequest { limit: effective_limit(query.limit), after: query.cursor };
        Ok((filter, page))
    }
}

impl HostFilter {
    /// A request's filter and page.
    pub(super) fn of(query: HostQuery) -> Result<(Self, PageRequest), ApiError> {
        let page = PageRequest { limit: effective_limit(query.limit), after: query.cursor };
        Ok((Self { vni: parse_vni(query.vni)? }, page))
    }
}

impl WhySubject {
    /// A request's subject.
    pub(super) fn of(query: &WhyQuery) -> Result<Self, ApiError> {
        let vni = parse_vni(query.vni)?;
        match (parse_mac(query.mac.as_ref())?, parse_prefix(query.prefix.as_ref())?) {
            (Some(mac), None) => Ok(Self::Mac { mac, vni }),
            (None, Some(prefix)) => Ok(Self::Prefix { prefix, vni }),
            _ => Err(ApiError::bad_request("why takes exactly one of mac and prefix")),
        }
    }
}

/// The parameters after the question mark.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let parsed = Query::<T>::from_request_parts(parts, state).await;
        parsed.map(|Query(params)| Self(params)).map_err(|error| refuse_text(error.body_text()))
    }
}

/// The JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let parsed = Json::<T>::from_request(request, state).await;
        parsed.map(|Json(body)| Self(body)).map_err(|error| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                return ApiError::too_large(error.body_text());
            }
            refuse_text(error.body_text())
                .remedy("send JSON with the header `Content-Type: application/json`")
        })
    }
}

/// The neighbour in the path.
pub(crate) struct Named(pub(crate) NeighborId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|error| refuse_text(error.body_text()))?;
        text.parse().map(Self).map_err(|e: ParseError| ApiError::bad_request(e.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(&Peer { uid }) = parts.extensions.get::<Peer>() else {
            return Err(ApiError::internal("the connection does not say who is there"));
        };
        // The name service may read files or ask a server.
        let user = tokio::task::spawn_blocking(move || nix::unistd::User::from_uid(uid.into()));
        let name = user.await.ok().and_then(Result::ok).flatten().map(|user| user.name);
        Ok(Self { uid, name })
    }
}
