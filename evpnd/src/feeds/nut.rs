//! A reading from upsd (Network UPS Tools, RFC 9271).

use super::ANSWER_MAX;
use crate::secret;
use evpn_config::SecretFile;
use evpn_energy::feed::nut::{NutClient, NutTarget, NutTargetError};
use evpn_energy::{FeedError, Reading};
use std::io;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Octets read at a time.
const READ_OCTETS: usize = 4096;
/// A connection to upsd, kept between readings.
pub(super) struct Nut {
    address: (String, u16),
    client: NutClient,
    stream: Option<TcpStream>,
}

/// User name and password, read from its file, which nobody else may read.
pub(super) fn login(
    username: Option<&str>,
    password_file: Option<&Path>,
) -> Result<Option<(String, String)>, String> {
    let (Some(username), Some(path)) = (username, password_file) else { return Ok(None) };
    let password = secret::read(&SecretFile::login("energy feed", path))?;
    Ok(Some((username.to_owned(), password)))
}

impl Nut {
    pub(super) fn new(
        address: (String, u16),
        ups: &str,
        login: Option<(String, String)>,
    ) -> Result<Self, NutTargetError> {
        let client = NutClient::new(NutTarget::new(ups, login)?);
        Ok(Self { address, client, stream: None })
    }

    /// Asks and waits for the answer, on the connection that there is or on a new one.
    pub(super) async fn read(&mut self) -> Result<Reading, FeedError> {
        let what = format!("upsd at {}:{}", self.address.0, self.address.1);
        let read = match timeout(ANSWER_MAX, self.ask(&what)).await {
            Ok(read) => read,
            Err(_) => Err(FeedError::NoAnswer { what, limit: ANSWER_MAX }),
        };
        if read.as_ref().is_err_and(FeedError::must_reconnect) {
            self.stream = None;
            // What was under way is part of the error that is being returned.
            drop(self.client.closed());
        }
        read
    }

    async fn ask(&mut self, what: &str) -> Result<Reading, FeedError> {
        let unreachable =
            |e: io::Error| FeedError::Unreachable { what: what.to_owned(), cause: e.to_string() };
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let (host, port) = (self.address.0.as_str(), self.address.1);
                let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
                self.client.connected();
                stream
            }
        };
        let question = self.client.poll()?;
        stream.write_all(&question).await.map_err(unreachable)?;
        let mut octets = [0u8; READ_OCTETS];
        loop {
            let count = stream.read(&mut octets).await.map_err(unreachable)?;
            if count == 0 {
                return Err(self.client.closed().unwrap_or(FeedError::Closed));
            }
            let read = octets.get(..count).unwrap_or_default();
            if let Some(outcome) = self.client.receive(read) {
                self.stream = Some(stream);
                return outcome;
            }
        }
    }
}
