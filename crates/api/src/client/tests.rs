//! The client against sockets of every kind of wrong.

use super::*;
use crate::samples;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Serves one connection with these octets, and returns what was asked.
async fn answer_with(listener: UnixListener, answer: String) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = vec![0; 4096];
    let length = stream.read(&mut asked).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8_lossy(&asked[..length]).into_owned()
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn exchange<T>(answer: String, call: impl AsyncFnOnce(Client) -> T) -> (T, String) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = tokio::spawn(answer_with(listener, answer));
    let result = call(Client::new(socket).with_timeout(Duration::from_secs(5))).await;
    (result, server.await.unwrap())
}

#[tokio::test]
async fn an_answer_is_read_and_the_query_is_sent() {
    let body = serde_json::to_string(&samples::macs()).unwrap();
    let query = HostQuery { vni: Some(100), limit: Some(7), cursor: Some("a b".into()) };
    let (page, asked) =
        exchange(http("200 OK", &body), async |client| client.macs(&query).await).await;
    assert_eq!(page.unwrap(), samples::macs());
    assert!(asked.starts_with("GET /api/v1/evpn/mac?vni=100&limit=7&cursor=a+b HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_refusal_brings_its_remedy_along() {
    let body = r#"{"error":"no neighbor 10.0.0.9","remedy":"evpnctl show bgp summary"}"#;
    let (result, _) =
        exchange(http("404 Not Found", body), async |client| client.neighbors().await).await;
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "no neighbor 10.0.0.9");
    assert_eq!(error.remedy(), Some("evpnctl show bgp summary"));
}

#[tokio::test]
async fn a_refusal_without_a_body_still_says_what_was_asked() {
    let (result, _) =
        exchange(http("502 Bad Gateway", "<html>"), async |client| client.version().await).await;
    let text = result.unwrap_err().to_string();
    assert_eq!(text, "evpnd answered 502 Bad Gateway to /api/v1/version");
}

#[tokio::test]
async fn an_answer_of_another_version_is_not_mistaken_for_an_empty_one() {
    let (result, _) = exchange(http("200 OK", "{}"), async |client| client.version().await).await;
    assert!(matches!(result, Err(ClientError::NotUnderstood { .. })));
}

#[tokio::test]
async fn a_daemon_that_breaks_off_is_told_from_one_that_is_not_there() {
    let (result, _) = exchange(String::new(), async |client| client.version().await).await;
    assert!(matches!(result, Err(ClientError::Broken { .. })));
}

#[tokio::test]
async fn a_silent_daemon_ends_in_a_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _silent = UnixListener::bind(&socket).unwrap();
    let client = Client::new(&socket).with_timeout(Duration::from_millis(50));
    assert!(matches!(client.version().await, Err(ClientError::Timeout { .. })));
}

async fn cause_at(socket: &Path) -> String {
    let error = Client::new(socket).version().await.unwrap_err();
    let text = error.to_string();
    let ClientError::Unreachable { cause, .. } = error else { panic!("{text}") };
    assert_eq!(text, format!("cannot reach evpnd at {}: {cause}", socket.display()));
    cause.to_string()
}

#[tokio::test]
async fn each_way_of_not_being_there_has_its_own_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    drop(UnixListener::bind(at("stale")).unwrap());
    std::fs::write(at("file"), "").unwrap();
    let causes = [
        cause_at(&at("missing")).await,
        cause_at(&at("stale")).await,
        cause_at(&at("file")).await,
        cause_at(&at(&"x".repeat(200))).await,
    ];
    insta::assert_snapshot!(causes.join("\n"));
}

#[test]
fn being_refused_by_permissions_names_the_group() {
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let error = ClientError::connecting(Path::new("/run/evpnd/evpnd.sock"), &denied);
    assert_eq!(
        error.to_string(),
        "cannot reach evpnd at /run/evpnd/evpnd.sock: permission denied: add yourself to group \
         evpnd (`sudo usermod -aG evpnd $USER`, then log in again) or use sudo"
    );
}
