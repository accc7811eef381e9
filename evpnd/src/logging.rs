//! The log: to standard error, which journald keeps.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};

/// Changes the level of a running log.
pub(crate) type SetLevel = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Starts the log and returns what changes its level.
///
/// journald stamps each line itself, so time is written only where somebody reads the stream.
pub(crate) fn start(level: &str) -> Result<SetLevel, String> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let by_journald = std::env::var_os("JOURNAL_STREAM").is_some();
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if by_journald {
        registry.with(layer.without_time()).try_init()
    } else {
        registry.with(layer).try_init()
    };
    started.map_err(|e| format!("cannot start the log: {e}"))?;
    Ok(Box::new(move |level| {
        let filter = parse(level)?;
        handle.reload(filter).map_err(|e| e.to_string())
    }))
}

fn parse(level: &str) -> Result<LevelFilter, String> {
    level
        .parse()
        .map_err(|_| format!("\"{level}\" is no log level: error, warn, info, debug, trace"))
}
