//! The thread that owns the engine.
//!
//! ```text
//!  peer_io, feeds ──Input──┐                          ┌──► peer_io        (Send, Connect, Close, ...)
//!  dataplane_io ──facts────┼─► engine thread ─Output──┼──► dataplane_io   (changes, mode)
//!  api, signals ──Ask──────┘   one at a time          ├──► disk           (sequences, before the next output)
//!                                                     └──► log
//! ```
//!
//! [`TO_ENGINE_MAX`] messages wait at most; UPDATEs are bounded by octets before that, where they
//! are read. **The engine thread never waits for anybody but the disk**: what it gives to others it
//! gives without blocking, or drops with the connection that does not keep up.

use crate::clock::Clock;
use crate::dataplane_io;
use crate::disk::Disk;
use crate::peer_io::ToPeers;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use evpn_dataplane::facts::KernelEvent;
use evpn_engine::{Engine, Event, Input, Now, Output, Progress, RouterPort};
use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

/// Messages that may wait for the engine.
pub(crate) const TO_ENGINE_MAX: usize = 4096;
/// Inputs that are taken before the engine runs.
const BATCH_MAX: usize = 256;

type Question = Box<dyn FnOnce(&mut Engine, Now) + Send>;

/// What may be said to the engine thread.
pub(crate) enum ToEngine {
    /// Something happened.
    Input(Input),
    /// The kernel's news with their number, which goes back with what follows from them.
    Kernel {
        /// The number of this report.
        heard: u64,
        /// The news.
        events: Vec<KernelEvent>,
    },
    /// Something was read: the permit stands for its octets until the engine has dealt with it.
    Read(Input, OwnedSemaphorePermit),
    /// Somebody wants to know or to decide something.
    Ask(Question),
    /// The daemon ends: sessions close, forwarding stays.
    Stop,
}

/// The way to the engine.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    sender: Sender<ToEngine>,
}

/// The engine thread has ended.
#[derive(Clone, Copy, Debug, Error)]
#[error("evpnd is shutting down")]
pub(crate) struct Stopped;

impl EngineHandle {
    /// A way to an engine that [`spawn`] will start.
    pub(crate) fn new() -> (Self, Receiver<ToEngine>) {
        let (sender, receiver) = bounded(TO_ENGINE_MAX);
        (Self { sender }, receiver)
    }

    /// Tells the kernel's news; waits while the queue is full, which cannot last: the engine never
    /// waits for the dataplane. False once the engine has ended.
    pub(crate) fn kernel(&self, heard: u64, events: Vec<KernelEvent>) -> bool {
        self.sender.send(ToEngine::Kernel { heard, events }).is_ok()
    }

    /// Says what happened, from a task.
    pub(crate) async fn input(&self, input: Input) {
        self.send(ToEngine::Input(input)).await;
    }

    /// Says what was read, from a task.
    pub(crate) async fn read(&self, input: Input, permit: OwnedSemaphorePermit) {
        self.send(ToEngine::Read(input, permit)).await;
    }

    async fn send(&self, mut message: ToEngine) {
        while let Err(crossbeam_channel::TrySendError::Full(back)) = self.sender.try_send(message) {
            message = back;
            tokio::time::sleep(FULL_QUEUE_WAIT).await;
        }
    }

    /// Ends the engine thread once everything before has been dealt with.
    pub(crate) fn stop(&self) {
        drop(self.sender.send(ToEngine::Stop));
    }

    /// Runs `question` on the engine thread and returns its answer.
    ///
    /// # Errors
    /// The engine has stopped.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |engine, now| {
            // Nobody may be waiting any more.
            drop(answer.send(question(engine, now)));
        });
        self.send(ToEngine::Ask(question)).await;
        answered.await.map_err(|_| Stopped)
    }
}

/// How long a task waits before it tries a full queue again: that is back-pressure, and rare.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(1);

/// What the engine thread is started with.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    /// What came before the engine was there.
    pub(crate) backlog: Vec<ToEngine>,
    pub(crate) inbox: Receiver<ToEngine>,
    pub(crate) peers: ToPeers,
    pub(crate) dataplane: dataplane_io::Handle,
    /// Where we advertise ourselves.
    pub(crate) router_ports: watch::Sender<Vec<RouterPort>>,
    pub(crate) disk: Disk,
}

/// Starts the engine thread.
///
/// # Errors
/// The system has no thread for it.
pub(crate) fn spawn(parts: Parts) -> std::io::Result<JoinHandle<()>> {
    let thread = Thread { parts, heard: 0 };
    std::thread::Builder::new().name("engine".to_owned()).spawn(move || thread.run())
}

/// This message and those behind it, [`BATCH_MAX`] at most; what is beyond stays in the queue.
fn batch<T>(first: T, queue: &Receiver<T>) -> impl Iterator<Item = T> {
    std::iter::once(first).chain(queue.try_iter()).take(BATCH_MAX)
}

struct Thread {
    parts: Parts,
    /// The number of the last report of the kernel that the engine has taken in.
    heard: u64,
}

impl Thread {
    fn run(mut self) {
        for message in std::mem::take(&mut self.parts.backlog) {
            // Nobody could have said Stop yet.
            let _continue = self.take(message);
        }
        let mut progress = Progress::More;
        loop {
            match self.wait(progress) {
                Ok(message) => {
                    if self.take_batch(message).is_break() {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            progress = self.parts.engine.run(self.parts.clock.now());
            self.carry_out();
        }
        let now = self.parts.clock.now();
        self.parts.engine.shut_down(now);
        self.carry_out();
        self.parts.peers.stop();
    }

    fn wait(&self, progress: Progress) -> Result<ToEngine, RecvTimeoutError> {
        if self.parts.engine.is_behind() {
            // What neighbours send waits in the queue, which has a bound, and then in their TCP.
            return Err(RecvTimeoutError::Timeout);
        }
        if progress == Progress::More {
            return self.parts.inbox.try_recv().map_err(|e| match e {
                crossbeam_channel::TryRecvError::Empty => RecvTimeoutError::Timeout,
                crossbeam_channel::TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
        match self.parts.engine.next_deadline(self.parts.clock.time()) {
            Some(deadline) => self.parts.inbox.recv_timeout(self.parts.clock.until(deadline)),
            None => self.parts.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Takes this message and those that wait behind it, until there is enough to do.
    fn take_batch(&mut self, first: ToEngine) -> ControlFlow<()> {
        let inbox = self.parts.inbox.clone();
        for message in batch(first, &inbox) {
            self.take(message)?;
            if self.parts.engine.is_behind() {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    fn take(&mut self, message: ToEngine) -> ControlFlow<()> {
        let now = self.parts.clock.now();
        let engine = &mut self.parts.engine;
        match message {
            ToEngine::Input(input) => engine.handle(now, input),
            ToEngine::Kernel { heard, events } => {
                self.heard = heard;
                engine.handle(now, Input::Kernel(events));
            }
            ToEngine::Read(input, permit) => {
                engine.handle(now, input);
                drop(permit);
            }
            ToEngine::Ask(question) => question(engine, now),
            ToEngine::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.parts.engine.poll_output() {
            match output {
                Output::Dataplane(changes) => self.parts.dataplane.changes(self.heard, changes),
                Output::Command(command) => self.parts.dataplane.command(command),
                Output::Serve(devices) => self.parts.dataplane.serve(devices),
                // Whoever listens may have ended before us.
                Output::Advertise(ports) => drop(self.parts.router_ports.send(ports)),
                Output::Mode(mode) => self.parts.dataplane.mode(mode),
                Output::Persist(record) => self.parts.disk.persist(&record),
                Output::Event(event) => log(&event),
                output => self.parts.peers.output(output),
            }
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::PeerUp(peer) => tracing::info!(%peer, "{event}"),
        Event::UnknownPeer(peer) | Event::PeerRefused(peer, _) => {
            tracing::warn!(%peer, "{event}");
        }
        Event::PeerDown(peer, _) | Event::PeerErrors(peer, _) => {
            tracing::warn!(%peer, "{event}");
        }
        Event::Vni(vni, _) => tracing::warn!(%vni, "{event}"),
        _ if event.is_warning() => tracing::warn!("{event}"),
        _ => tracing::info!("{event}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_two_batches() {
        let count = 3 * BATCH_MAX + 7;
        let (sender, queue) = bounded(count);
        for number in 0..count {
            sender.try_send(number).unwrap();
        }
        let mut taken = Vec::new();
        while let Ok(first) = queue.try_recv() {
            let before = taken.len();
            taken.extend(batch(first, &queue));
            assert!(taken.len() - before <= BATCH_MAX);
        }
        assert_eq!(taken, (0..count).collect::<Vec<_>>());
    }
}
