//! What the interface needs of the daemon.
//!
//! **A backend answers each call or refuses it with a reason**; it never has to know of HTTP.

use super::metrics::Snapshot;
use super::params::{HostFilter, PageRequest, RouteFilter, WhySubject};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use evpn_api::bgp::{BgpVni, Summary};
use evpn_api::config::{EffectiveConfig, Reloaded};
use evpn_api::consistency::Consistency;
use evpn_api::energy::{Energy, OverrideRequest};
use evpn_api::evpn::{Arp, Mac, Vni};
use evpn_api::neighbor::{ClearRequest, Done, Neighbor};
use evpn_api::route::Route;
use evpn_api::system::{Health, LogLevel, Version};
use evpn_api::why::Why;
use evpn_api::{ErrorBody, Page};
use evpn_proto::types::NeighborId;
use std::fmt;
use std::future::Future;

/// What a call comes to.
pub(crate) type Answer<T> = Result<T, ApiError>;

/// The daemon, as the interface sees it. Calls come from several tasks at once; each is given up
/// after [`super::server::REQUEST_TIME`], whether or not it is then still being answered.
pub(crate) trait Backend: Send + Sync + 'static {
    /// What runs here.
    fn version(&self) -> impl Future<Output = Answer<Version>> + Send;
    /// Whether it is ready, check by check. Answering at all is being alive.
    fn health(&self) -> impl Future<Output = Answer<Health>> + Send;
    /// The figures of this moment.
    fn metrics(&self) -> impl Future<Output = Answer<Snapshot>> + Send;

    /// Every neighbour in a line.
    fn summary(&self) -> impl Future<Output = Answer<Summary>> + Send;
    /// Every neighbour in full, sorted by what they are known by.
    fn neighbors(&self) -> impl Future<Output = Answer<Vec<Neighbor>>> + Send;
    /// One neighbour in full; [`ApiError::not_found`] for a name that is nobody's.
    fn neighbor(&self, id: NeighborId) -> impl Future<Output = Answer<Neighbor>> + Send;
    /// Resets a session, or refreshes its routes.
    fn clear_neighbor(
        &self,
        id: NeighborId,
        request: ClearRequest,
        caller: Caller,
    ) -> impl Future<Output = Answer<Done>> + Send;

    /// A page of EVPN routes, sorted by distinguisher, type and key.
    fn routes(
        &self,
        filter: RouteFilter,
        page: PageRequest,
    ) -> impl Future<Output = Answer<Page<Route>>> + Send;
    /// What BGP says of each VNI, sorted.
    fn bgp_vnis(&self) -> impl Future<Output = Answer<Vec<BgpVni>>> + Send;
    /// What EVPN does with each VNI, sorted.
    fn vnis(&self) -> impl Future<Output = Answer<Vec<Vni>>> + Send;
    /// A page of hosts, sorted by VNI and MAC address.
    fn macs(
        &self,
        filter: HostFilter,
        page: PageRequest,
    ) -> impl Future<Output = Answer<Page<Mac>>> + Send;
    /// A page of hosts' addresses, sorted by VNI and address.
    fn arp(
        &self,
        filter: HostFilter,
        page: PageRequest,
    ) -> impl Future<Output = Answer<Page<Arp>>> + Send;

    /// The battery, the level, and what is announced because of it.
    fn energy(&self) -> impl Future<Output = Answer<Energy>> + Send;
    /// Takes an operator's order, which is complete and within bounds; the state after it.
    fn override_energy(
        &self,
        request: OverrideRequest,
        caller: Caller,
    ) -> impl Future<Output = Answer<Energy>> + Send;

    /// What is intended against what the kernel holds, read now.
    fn consistency(&self) -> impl Future<Output = Answer<Consistency>> + Send;
    /// How a host or a prefix came to be forwarded as it is. An unknown one is an answer too.
    fn why(&self, subject: WhySubject) -> impl Future<Output = Answer<Why>> + Send;

    /// Every value in force and where it came from.
    fn effective_config(&self) -> impl Future<Output = Answer<EffectiveConfig>> + Send;
    /// Reads the configuration again and takes all of it or nothing; [`ApiError::unprocessable`]
    /// with the problems as details where it takes nothing.
    fn reload(&self, caller: Caller) -> impl Future<Output = Answer<Reloaded>> + Send;
    /// Sets what is logged; the level in force after it.
    fn set_log_level(
        &self,
        level: LogLevel,
        caller: Caller,
    ) -> impl Future<Output = Answer<LogLevel>> + Send;
}

/// Who asks, as the kernel says: for the log, the ledger and `show energy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The user of the process at the other end.
    pub(crate) uid: u32,
    /// The user's name, where there is one.
    pub(crate) name: Option<String>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} (uid {})", self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// A refusal: its status and what the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let body = ErrorBody { error: error.into(), ..ErrorBody::default() };
        Self { status, body }
    }

    /// 400: the request is wrong in itself.
    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 404: there is no such thing.
    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// 405: that cannot be done with it.
    pub(crate) fn method_not_allowed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, error)
    }

    /// 409: not in the present state.
    pub(crate) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }

    /// 413: larger than any sensible request.
    pub(crate) fn too_large(error: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    /// 422: understood, and what it leads to is wrong: a configuration with errors.
    pub(crate) fn unprocessable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error)
    }

    /// 500: something that should not happen.
    pub(crate) fn internal(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    /// 503: not now.
    pub(crate) fn unavailable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// With what to do about it.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.body.remedy = Some(remedy.into());
        self
    }

    /// With the single problems.
    #[must_use]
    pub(crate) fn details(mut self, details: Vec<String>) -> Self {
        self.body.details = details;
        self
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.body.error, self.status.as_u16())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
