//! A client of `/api/v1` over the daemon's Unix socket.
//!
//! Each call is a connection of its own: calls are rare, and a daemon that restarts in between is
//! then no special case.
//!
//! **A call ends**: it is answered, refused, or given up after the client's timeout.

mod error;
#[cfg(test)]
mod tests;

pub use error::{ClientError, MAX_SOCKET_PATH, Unreachable};

use crate::bgp::{BgpVni, Summary};
use crate::config::{EffectiveConfig, Reloaded};
use crate::consistency::Consistency;
use crate::energy::{Energy, OverrideRequest};
use crate::evpn::{Arp, HostQuery, Mac, Vni};
use crate::neighbor::{ClearRequest, Done, Neighbor};
use crate::route::{PageQuery, PrefixQuery, Route, RouteQuery};
use crate::system::{Health, LogLevel, Version};
use crate::why::{Why, WhyQuery};
use crate::{AddressFamily, ErrorBody, NeighborId, PREFIX, Page};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The largest answer that is read, in octets: a full page of routes is a tenth of it.
pub const MAX_ANSWER: usize = 32 << 20;

/// How long a call may take unless told otherwise: longer than the server's own limit, so that its
/// word comes first.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

type Answer<T> = Result<T, ClientError>;

/// A client of one daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

/// A call, as it goes out.
struct Call {
    method: Method,
    path: String,
    body: Bytes,
}

/// The path of a neighbour. Interfaces may be called almost anything (RFC 3986 section 2.1).
fn neighbor_path(id: &NeighborId, more: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:".contains(&octet);
    let encoded = id.to_string().bytes().fold(String::new(), |mut text, octet| {
        match plain(octet) {
            true => text.push(octet.into()),
            false => text.push_str(&format!("%{octet:02X}")),
        }
        text
    });
    format!("bgp/neighbors/{encoded}{more}")
}

impl Client {
    /// A client of the daemon that listens at `socket`. Nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), timeout: DEFAULT_TIMEOUT }
    }

    /// With another limit of time for a call.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `GET version`.
    ///
    /// # Errors
    /// Every method of this client: [`ClientError`].
    pub async fn version(&self) -> Answer<Version> {
        self.get("version", &()).await
    }

    /// `GET health`.
    pub async fn health(&self) -> Answer<Health> {
        self.get("health", &()).await
    }

    /// `GET bgp/l2vpn/evpn/summary`.
    pub async fn summary(&self) -> Answer<Summary> {
        self.get("bgp/l2vpn/evpn/summary", &()).await
    }

    /// A page of `GET bgp/l2vpn/evpn/routes`.
    pub async fn routes(&self, query: &RouteQuery) -> Answer<Page<Route>> {
        self.get(AddressFamily::L2VpnEvpn.routes_path(), query).await
    }

    /// A page of `GET bgp/ipv4/unicast/routes`.
    pub async fn ipv4_routes(&self, query: &PrefixQuery) -> Answer<Page<Route>> {
        self.get(AddressFamily::Ipv4Unicast.routes_path(), query).await
    }

    /// A page of `GET bgp/ipv6/unicast/routes`.
    pub async fn ipv6_routes(&self, query: &PrefixQuery) -> Answer<Page<Route>> {
        self.get(AddressFamily::Ipv6Unicast.routes_path(), query).await
    }

    /// A page of `GET bgp/rt-constraint/routes`.
    pub async fn rt_constraints(&self, query: &PageQuery) -> Answer<Page<Route>> {
        self.get(AddressFamily::RtConstraint.routes_path(), query).await
    }

    /// `GET bgp/l2vpn/evpn/vni`.
    pub async fn bgp_vnis(&self) -> Answer<Vec<BgpVni>> {
        self.get("bgp/l2vpn/evpn/vni", &()).await
    }

    /// `GET bgp/neighbors`.
    pub async fn neighbors(&self) -> Answer<Vec<Neighbor>> {
        self.get("bgp/neighbors", &()).await
    }

    /// `GET bgp/neighbors/{id}`.
    pub async fn neighbor(&self, id: &NeighborId) -> Answer<Neighbor> {
        self.get(&neighbor_path(id, ""), &()).await
    }

    /// `POST bgp/neighbors/{id}/clear`.
    pub async fn clear_neighbor(&self, id: &NeighborId, request: ClearRequest) -> Answer<Done> {
        self.post(&neighbor_path(id, "/clear"), &request).await
    }

    /// `GET evpn/vni`.
    pub async fn vnis(&self) -> Answer<Vec<Vni>> {
        self.get("evpn/vni", &()).await
    }

    /// A page of `GET evpn/mac`.
    pub async fn macs(&self, query: &HostQuery) -> Answer<Page<Mac>> {
        self.get("evpn/mac", query).await
    }

    /// A page of `GET evpn/arp`.
    pub async fn arp(&self, query: &HostQuery) -> Answer<Page<Arp>> {
        self.get("evpn/arp", query).await
    }

    /// `GET energy`.
    pub async fn energy(&self) -> Answer<Energy> {
        self.get("energy", &()).await
    }

    /// `POST energy/override`: the state after it.
    pub async fn override_energy(&self, request: &OverrideRequest) -> Answer<Energy> {
        self.post("energy/override", request).await
    }

    /// `GET consistency`.
    pub async fn consistency(&self) -> Answer<Consistency> {
        self.get("consistency", &()).await
    }

    /// `GET why`.
    pub async fn why(&self, query: &WhyQuery) -> Answer<Why> {
        self.get("why", query).await
    }

    /// `GET config/effective`.
    pub async fn effective_config(&self) -> Answer<EffectiveConfig> {
        self.get("config/effective", &()).await
    }

    /// `POST config/reload`.
    pub async fn reload(&self) -> Answer<Reloaded> {
        self.post("config/reload", &()).await
    }

    /// `POST log-level`: the level in force after it.
    pub async fn set_log_level(&self, level: &LogLevel) -> Answer<LogLevel> {
        self.post("log-level", level).await
    }

    /// `GET /metrics`, which is beside [`PREFIX`]: text for scrapers.
    pub async fn metrics(&self) -> Answer<String> {
        let path = "/metrics".to_owned();
        let body = self.octets(Call { method: Method::GET, path, body: Bytes::new() }).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Any `GET` under [`PREFIX`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Answer<T> {
        let query = serde_urlencoded::to_string(query).map_err(|e| not_understood(path, &e))?;
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("{PREFIX}/{path}{mark}{query}");
        self.call(Call { method: Method::GET, path, body: Bytes::new() }).await
    }

    /// Any `POST` under [`PREFIX`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Answer<T> {
        let body = serde_json::to_vec(body).map_err(|e| not_understood(path, &e))?;
        let path = format!("{PREFIX}/{path}");
        self.call(Call { method: Method::POST, path, body: body.into() }).await
    }

    async fn call<T: DeserializeOwned>(&self, call: Call) -> Answer<T> {
        let path = call.path.clone();
        let body = self.octets(call).await?;
        serde_json::from_slice(&body).map_err(|e| not_understood(&path, &e))
    }

    /// The body of an answer that is a success.
    async fn octets(&self, call: Call) -> Answer<Bytes> {
        let path = call.path.clone();
        let answered = tokio::time::timeout(self.timeout, self.exchange(call)).await;
        let (status, body) = answered.map_err(|_| ClientError::Timeout {
            socket: self.socket.clone(),
            timeout: self.timeout,
        })??;
        if status.is_success() {
            return Ok(body);
        }
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| ErrorBody {
            error: format!("evpnd answered {status} to {path}"),
            ..ErrorBody::default()
        });
        Err(ClientError::Refused { status: status.as_u16(), body })
    }

    async fn exchange(&self, call: Call) -> Answer<(StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| ClientError::connecting(&self.socket, &error))?;
        let broken = |text: String| ClientError::Broken { socket: self.socket.clone(), text };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        // The connection ends with the sender; its error is the request's, told below.
        let driver = tokio::spawn(async move { connection.await.map_err(|e| e.to_string()) });
        let request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header(HOST, "evpnd")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(call.body))
            .map_err(|error| broken(error.to_string()))?;
        let exchange = async {
            let response =
                sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => ClientError::TooLarge { limit: MAX_ANSWER },
                None => broken(error.to_string()),
            })?;
            Ok((status, body.to_bytes()))
        };
        let answer = exchange.await;
        driver.abort();
        answer
    }
}

fn not_understood(path: &str, error: &impl ToString) -> ClientError {
    ClientError::NotUnderstood { path: path.to_owned(), text: error.to_string() }
}
