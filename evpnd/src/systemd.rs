//! What systemd is told: READY, the status line, and that we are alive.
//!
//! **The watchdog is fed by the engine's own answer**: a daemon whose engine hangs is not alive,
//! however well its sockets are.

use crate::engine_io::EngineHandle;
use crate::timer::Timer;
use sd_notify::NotifyState;

/// Ready: the kernel has been read and the API answers.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload begins; systemd waits for READY.
pub(crate) fn reloading() {
    notify(&[NotifyState::Reloading]);
}

/// The daemon ends.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("systemd was not told: {error}");
    }
}

/// Feeds the watchdog for ever, at half its time; returns at once where there is none.
pub(crate) async fn watchdog(engine: EngineHandle) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let every = limit / 2;
    let timer = match Timer::new() {
        Ok(timer) => timer,
        Err(error) => {
            tracing::error!("no timer for the watchdog, which will end evpnd: {error}");
            return;
        }
    };
    while timer.sleep(every).await.is_ok() {
        let answer = tokio::time::timeout(every, engine.ask(|engine, _| engine.status())).await;
        match answer {
            Ok(Ok(text)) => {
                notify(&[NotifyState::Watchdog, NotifyState::Status(&text)]);
            }
            Ok(Err(_)) => return,
            Err(_) => tracing::error!("the engine has not answered for {} s", every.as_secs()),
        }
    }
}
