//! Reading the battery.
//!
//! **A feed reports what it read or why it could not, at every interval, and decides nothing.**

mod file;
mod nut;

use crate::engine_io::EngineHandle;
use crate::timer::Timer;
use evpn_config::Feed;
use evpn_energy::{FeedError, Reading};
use evpn_engine::Input;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a source may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Starts the feed; it runs until it is aborted. None where the operator reads the battery.
///
/// # Errors
/// What is wrong with the feed's settings, for the operator.
pub(crate) fn start(feed: &Feed, engine: EngineHandle) -> Result<Option<JoinHandle<()>>, String> {
    let Some(every) = feed.interval() else { return Ok(None) };
    let mut source = match feed {
        Feed::Manual => return Ok(None),
        Feed::File { path, .. } => Source::File(path.clone()),
        Feed::Nut { address, ups, username, password_file, .. } => {
            let login = nut::login(username.as_deref(), password_file.as_deref())?;
            let address = (address.host.clone(), address.port);
            Source::Nut(Box::new(nut::Nut::new(address, ups, login).map_err(|e| e.to_string())?))
        }
    };
    let timer = Timer::new().map_err(|e| format!("no timer for the feed: {e}"))?;
    Ok(Some(tokio::spawn(async move {
        loop {
            // Set before the source is read, so that a slow answer does not lengthen the interval.
            if let Err(error) = timer.set(every) {
                tracing::error!("no timer for the feed, which ends: {error}");
                return;
            }
            let input = match source.read().await {
                Ok(reading) => Input::Reading(reading),
                Err(error) => Input::FeedFailed(error),
            };
            engine.input(input).await;
            if let Err(error) = timer.expired().await {
                tracing::error!("no timer for the feed, which ends: {error}");
                return;
            }
        }
    })))
}

enum Source {
    File(std::path::PathBuf),
    Nut(Box<nut::Nut>),
}

impl Source {
    async fn read(&mut self) -> Result<Reading, FeedError> {
        match self {
            Self::File(path) => file::read(path).await,
            Self::Nut(nut) => nut.read().await,
        }
    }
}
