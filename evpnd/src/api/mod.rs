//! The daemon's HTTP/JSON interface on its Unix socket: `/api/v1`, `/metrics`, `/healthz`,
//! `/readyz`.
//!
//! - [`backend`]: what the interface needs of the daemon, as a trait.
//! - [`router`]: paths, parameters and errors; each handler is one call of the backend.
//! - [`params`]: parameters as the daemon's own types, or a refusal that says what was expected.
//! - [`socket`]: the socket's file: its mode, its group, and who may remove it.
//! - [`server`]: connections, their limits, and an orderly end.
//! - [`metrics`]: a snapshot of figures as OpenMetrics text.
//!
//! Who may connect may do everything: the socket's group is the permission. No TCP, no TLS and no
//! HTTP/2 in this process, which holds CAP_NET_ADMIN.
//!
//! **Nothing that a client sends or withholds can stall the daemon or exhaust it**: connections,
//! requests in progress, a request's size and its time are all bounded, by constants with a name.

pub(crate) mod backend;
pub(crate) mod metrics;
pub(crate) mod params;
pub(crate) mod router;
pub(crate) mod server;
pub(crate) mod socket;

pub(crate) use server::serve;
pub(crate) use socket::{Listener, SocketError, SocketOptions, listen};
