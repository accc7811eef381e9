//! The interface over a real socket, with a backend that answers fixed values.

#[path = "../src/api/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the daemon uses what this test does not")]
mod api;

#[path = "api/backend.rs"]
mod backend;
#[path = "api/limits.rs"]
mod limits;
#[path = "api/metrics.rs"]
mod metrics;
#[path = "api/routes.rs"]
mod routes;
#[path = "api/socket.rs"]
mod socket;

use api::{SocketOptions, listen, serve};
use backend::Fake;
use evpn_api::Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server on a socket of its own.
struct Server {
    folder: tempfile::TempDir,
    fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = listen(&options(&folder.path().join("s"))).unwrap();
        let fake = Arc::new(Fake::default());
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap_or(()) };
        let task = tokio::spawn(serve(listener, Arc::clone(&fake), stopped));
        Self { folder, fake, stop: Some(stop), task }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// Sends a request as it stands and returns the whole answer.
    async fn raw(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }
}

fn options(path: &Path) -> SocketOptions {
    SocketOptions { path: path.to_owned(), mode: 0o660, group: None }
}
