//! The socket's file.

use super::options;
use crate::api::socket::{MAX_SOCKET_PATH, SocketError};
use crate::api::{SocketOptions, listen};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

fn mode_of(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_socket_has_the_mode_and_the_group_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let gid = nix::unistd::getgid();
    let group = nix::unistd::Group::from_gid(gid).unwrap().unwrap().name;
    let with_group = SocketOptions { group: Some(group), ..options(&path) };
    let _listener = listen(&with_group).unwrap();
    assert_eq!(mode_of(&path), 0o660);
    assert_eq!(std::fs::metadata(&path).unwrap().gid(), gid.as_raw());
}

#[tokio::test]
async fn an_unknown_group_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let with_group = SocketOptions { group: Some("no-such-group".into()), ..options(&path) };
    let error = listen(&with_group).unwrap_err();
    assert!(error.to_string().contains("groupadd --system no-such-group"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_on_which_somebody_answers_is_never_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let first = listen(&options(&path)).unwrap();
    assert!(matches!(listen(&options(&path)), Err(SocketError::InUse { .. })));
    drop(first);
    assert!(!path.exists());
    let _second = listen(&options(&path)).unwrap();
}

#[tokio::test]
async fn a_stale_socket_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _listener = listen(&options(&path)).unwrap();
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(listen(&options(&path)), Err(SocketError::NotASocket { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn the_file_of_a_successor_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let first = listen(&options(&path)).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
}

#[tokio::test]
async fn a_path_that_the_kernel_does_not_take_is_refused_with_its_length() {
    let path = std::path::PathBuf::from("/").join("x".repeat(MAX_SOCKET_PATH));
    let error = listen(&options(&path)).unwrap_err();
    assert!(error.to_string().contains(&format!("{} octets", MAX_SOCKET_PATH + 1)), "{error}");
}
