//! What a client that is slow, greedy or gone can do: nothing to others.

use super::Server;
use crate::api::router::MAX_REQUEST_BODY;
use crate::api::server::{HEADER_TIME, MAX_CONNECTIONS, MAX_REQUESTS, REQUEST_TIME, STOP_TIME};
use evpn_api::{Client, ClientError, samples};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let server = Server::start();
    let body = " ".repeat(MAX_REQUEST_BODY + 1);
    let request = format!(
        "POST /api/v1/log-level HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = server.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(server.fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_busy_daemon_says_so_in_time() {
    let server = Server::start();
    server.fake.version_answers.forget_permits(usize::MAX);
    let client = server.client().with_timeout(REQUEST_TIME * 2);
    let Err(ClientError::Refused { status, body }) = client.version().await else {
        panic!("no answer")
    };
    assert_eq!(status, 503);
    assert!(body.error.contains("busy") && body.remedy.is_some());
    // Other requests are answered all the while.
    assert_eq!(client.summary().await.unwrap(), samples::summary());
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_limit_wait_and_are_answered_when_others_end() {
    let server = Server::start();
    server.fake.version_answers.forget_permits(usize::MAX);
    let client = server.client().with_timeout(REQUEST_TIME * 4);
    let stuck: Vec<_> = (0..MAX_REQUESTS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.version().await.map(drop) })
        })
        .collect();
    while server.fake.waiting_for_version() < MAX_REQUESTS {
        tokio::task::yield_now().await;
    }
    let patient = client.clone();
    let patient = tokio::spawn(async move { patient.summary().await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!patient.is_finished());
    server.fake.version_answers.add_permits(1);
    assert_eq!(patient.await.unwrap().unwrap(), samples::summary());
    server.fake.version_answers.add_permits(MAX_REQUESTS);
    for request in stuck {
        request.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let server = Server::start();
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = UnixStream::connect(server.socket()).await.unwrap();
        // An answer means that the server has accepted it.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_ne!(stream.read(&mut [0; 512]).await.unwrap(), 0);
        open.push(stream);
    }
    let client = Client::new(server.socket()).with_timeout(Duration::from_millis(300));
    assert!(matches!(client.version().await, Err(ClientError::Timeout { .. })));
    open.pop();
    let client = client.with_timeout(Duration::from_secs(5));
    assert_eq!(client.version().await.unwrap(), samples::version());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start();
    let mut silent = UnixStream::connect(server.socket()).await.unwrap();
    let closed = timeout(HEADER_TIME * 2, silent.read(&mut [0; 8])).await;
    assert_eq!(closed.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_stop_lets_a_request_finish_and_takes_the_socket_away() {
    let mut server = Server::start();
    server.fake.version_answers.forget_permits(usize::MAX);
    let client = server.client();
    let request = tokio::spawn(async move { client.version().await });
    while server.fake.waiting_for_version() < 1 {
        tokio::task::yield_now().await;
    }
    server.stop.take().unwrap().send(()).unwrap();
    while server.socket().exists() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(server.client().version().await, Err(ClientError::Unreachable { .. })));
    server.fake.version_answers.add_permits(1);
    assert_eq!(request.await.unwrap().unwrap(), samples::version());
    server.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_nobody_longer_than_its_time() {
    let mut server = Server::start();
    server.fake.version_answers.forget_permits(usize::MAX);
    let client = server.client();
    let request = tokio::spawn(async move { client.version().await });
    while server.fake.waiting_for_version() < 1 {
        tokio::task::yield_now().await;
    }
    let before = Instant::now();
    server.stop.take().unwrap().send(()).unwrap();
    server.task.await.unwrap();
    assert!(before.elapsed() <= STOP_TIME + Duration::from_millis(100));
    request.abort();
}
