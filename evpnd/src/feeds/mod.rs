//! Reading the battery.
//!
//! **A feed reports what it read or why it could not, at every interval, and decides nothing.**

mod file;
mod nut;

use crate::engine_io::EngineHandle;
use evpn_config::Feed;
use evpn_energy::{FeedError, Reading};
use evpn_engine::Input;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

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
    Ok(Some(tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let input = match source.read().await {
                Ok(reading) => Input::Reading(reading),
                Err(error) => Input::FeedFailed(error),
            };
            engine.input(input).await;
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
