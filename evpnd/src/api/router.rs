//! Paths and what they call.
//!
//! **A path outside of this list, a wrong method and a wrong parameter are answered in the same
//! form as everything else**: `{"error": ..., "remedy": ...}`.

use super::backend::{Answer, ApiError, Backend, Caller};
use super::metrics;
use super::params::{Body, HostFilter, Named, Params, RouteFilter, WhySubject};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use evpn_api::PREFIX;
use evpn_api::energy::OverrideRequest;
use evpn_api::evpn::HostQuery;
use evpn_api::neighbor::ClearRequest;
use evpn_api::route::RouteQuery;
use evpn_api::system::LogLevel;
use evpn_api::why::WhyQuery;
use std::sync::Arc;

/// The largest body of a request, in octets; the largest that is sensible is a hundredth of it.
pub(crate) const MAX_REQUEST_BODY: usize = 64 * 1024;

/// A handler that calls one method of the backend without arguments.
macro_rules! ask {
    ($method:ident) => {
        get(async |State(backend): State<Arc<B>>| backend.$method().await.map(Json))
    };
}

/// Every path of the interface.
pub(crate) fn router<B: Backend>(backend: Arc<B>) -> Router {
    let api = Router::new()
        .route("/version", ask!(version))
        .route("/health", ask!(health))
        .route("/bgp/l2vpn/evpn/summary", ask!(summary))
        .route("/bgp/l2vpn/evpn/routes", get(routes::<B>))
        .route("/bgp/l2vpn/evpn/vni", ask!(bgp_vnis))
        .route("/bgp/neighbors", ask!(neighbors))
        .route("/bgp/neighbors/{id}", get(neighbor::<B>))
        .route("/bgp/neighbors/{id}/clear", post(clear_neighbor::<B>))
        .route("/evpn/vni", ask!(vnis))
        .route("/evpn/mac", get(macs::<B>))
        .route("/evpn/arp", get(arp::<B>))
        .route("/energy", ask!(energy))
        .route("/energy/override", post(override_energy::<B>))
        .route("/consistency", ask!(consistency))
        .route("/why", get(why::<B>))
        .route("/config/effective", ask!(effective_config))
        .route("/config/reload", post(reload::<B>))
        .route("/log-level", post(set_log_level::<B>).put(set_log_level::<B>));
    Router::new()
        .nest(PREFIX, api)
        .route("/metrics", get(metrics_text::<B>))
        .route("/healthz", get(healthz::<B>))
        .route("/readyz", get(readyz::<B>))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BODY))
        .with_state(backend)
}

type Shared<B> = State<Arc<B>>;

async fn routes<B: Backend>(
    State(backend): Shared<B>,
    Params(query): Params<RouteQuery>,
) -> Answer<impl IntoResponse> {
    let (filter, page) = RouteFilter::of(query)?;
    backend.routes(filter, page).await.map(Json)
}

async fn neighbor<B: Backend>(
    State(backend): Shared<B>,
    Named(id): Named,
) -> Answer<impl IntoResponse> {
    backend.neighbor(id).await.map(Json)
}

async fn clear_neighbor<B: Backend>(
    State(backend): Shared<B>,
    Named(id): Named,
    caller: Caller,
    Body(request): Body<ClearRequest>,
) -> Answer<impl IntoResponse> {
    backend.clear_neighbor(id, request, caller).await.map(Json)
}

async fn macs<B: Backend>(
    State(backend): Shared<B>,
    Params(query): Params<HostQuery>,
) -> Answer<impl IntoResponse> {
    let (filter, page) = HostFilter::of(query)?;
    backend.macs(filter, page).await.map(Json)
}

async fn arp<B: Backend>(
    State(backend): Shared<B>,
    Params(query): Params<HostQuery>,
) -> Answer<impl IntoResponse> {
    let (filter, page) = HostFilter::of(query)?;
    backend.arp(filter, page).await.map(Json)
}

async fn override_energy<B: Backend>(
    State(backend): Shared<B>,
    caller: Caller,
    Body(request): Body<OverrideRequest>,
) -> Answer<impl IntoResponse> {
    if let Err(notice) = request.check() {
        return Err(ApiError::bad_request(notice.text).remedy(notice.remedy.unwrap_or_default()));
    }
    backend.override_energy(request, caller).await.map(Json)
}

async fn why<B: Backend>(
    State(backend): Shared<B>,
    Params(query): Params<WhyQuery>,
) -> Answer<impl IntoResponse> {
    backend.why(WhySubject::of(&query)?).await.map(Json)
}

async fn reload<B: Backend>(
    State(backend): Shared<B>,
    caller: Caller,
) -> Answer<impl IntoResponse> {
    backend.reload(caller).await.map(Json)
}

async fn set_log_level<B: Backend>(
    State(backend): Shared<B>,
    caller: Caller,
    Body(level): Body<LogLevel>,
) -> Answer<impl IntoResponse> {
    backend.set_log_level(level, caller).await.map(Json)
}

async fn metrics_text<B: Backend>(State(backend): Shared<B>) -> Answer<impl IntoResponse> {
    let text = metrics::encode(backend.metrics().await?)
        .map_err(|error| ApiError::internal(format!("cannot write metrics: {error}")))?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}

/// Alive: whoever must answer does.
async fn healthz<B: Backend>(State(backend): Shared<B>) -> Answer<&'static str> {
    backend.health().await.map(|_| "ok\n")
}

/// Ready: every check passes.
async fn readyz<B: Backend>(State(backend): Shared<B>) -> Answer<Response> {
    let health = backend.health().await?;
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(health)).into_response())
}

async fn no_such_path(uri: axum::http::Uri) -> ApiError {
    let remedy = format!("paths begin with {PREFIX}/, e.g. {PREFIX}/version");
    ApiError::not_found(format!("there is nothing at {}", uri.path())).remedy(remedy)
}

async fn no_such_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    ApiError::method_not_allowed(format!("{} does not take {method}", uri.path()))
}
