//! BGP-4 (RFC 4271) with the extensions that EVPN needs, sans-IO.
//!
//! - [`message`]: what a message says, as values.
//! - [`attributes`]: path attributes and communities, as values.
//! - [`aigp`]: the metric of a path through several networks of one administration.
//! - [`role`] and [`otc`]: what a neighbour of another AS is to us, and which routes that keeps from
//!   it.
//! - [`wire`]: octets to values and back, with RFC 7606's handling of errors.
//! - [`words`]: what people call what attributes say.
//! - [`session`]: the state machine of one neighbour.

pub mod aigp;
pub mod attributes;
pub mod message;
pub mod otc;
pub mod role;
pub mod session;
pub mod wire;
pub mod words;
