//! The state machine of one neighbour (RFC 4271 section 8).
