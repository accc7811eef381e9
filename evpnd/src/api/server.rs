//! Connections: how many, for how long, and how they end.
//!
//! **A stop lets requests in progress finish, and waits for none longer than [`STOP_TIME`].**

use super::backend::{ApiError, Backend};
use super::router::router;
use super::socket::Listener;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// Connections at once. Further ones wait in the kernel's backlog.
pub(crate) const MAX_CONNECTIONS: usize = 64;

/// Requests in progress at once. Further ones wait, and that counts as their time.
pub(crate) const MAX_REQUESTS: usize = 16;

/// The time for a request, from its header to its answer.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(10);

/// The time for a request's header, and for a connection to stay idle.
pub(crate) const HEADER_TIME: Duration = Duration::from_secs(30);

/// The time for requests in progress when the daemon stops.
pub(crate) const STOP_TIME: Duration = Duration::from_secs(3);

/// The pause after the kernel refused a connection, for want of descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
}

/// Serves the interface until `stop` is over, and ends in order. The socket's file is gone then.
pub(crate) async fn serve<B: Backend>(
    listener: Listener,
    backend: Arc<B>,
    stop: impl Future<Output = ()> + Send,
) {
    let router = limited(router(backend));
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Some((stream, permit)) => converse(stream, permit, &router, &graceful),
            None => sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    if timeout(STOP_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("API requests were still in progress and are cut off");
    }
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &Listener,
    connections: &Arc<Semaphore>,
) -> Option<(UnixStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.socket.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection to the API");
            None
        }
    }
}

/// Serves a connection in a task of its own.
fn converse(
    stream: UnixStream,
    permit: OwnedSemaphorePermit,
    router: &Router,
    graceful: &GracefulShutdown,
) {
    let peer = stream.peer_cred().map(|credentials| Peer { uid: credentials.uid() });
    let router = match peer {
        Ok(peer) => router.clone().layer(Extension(peer)),
        Err(_) => router.clone(),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the API ended early");
        }
        drop(permit);
    });
}

/// With the bounds on requests in progress and on their time.
fn limited(router: Router) -> Router {
    let requests = Arc::new(Semaphore::new(MAX_REQUESTS));
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let requests = Arc::clone(&requests);
        async move {
            let answered = timeout(REQUEST_TIME, async {
                let _permit = requests.acquire().await;
                next.run(request).await
            });
            answered.await.unwrap_or_else(|_| too_slow())
        }
    }))
}

fn too_slow() -> Response {
    let seconds = REQUEST_TIME.as_secs();
    ApiError::unavailable(format!("evpnd is busy: no answer within {seconds} s"))
        .remedy("try again; `journalctl -u evpnd -n 50` may say what keeps it busy")
        .into_response()
}
