//! Octets to values and back (RFC 4271 section 4, RFC 4760, RFC 7432 section 7, RFC 7606).
pub mod error;
