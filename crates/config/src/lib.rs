//! The configuration of evpnd: from texts to typed, checked, complete values, and what changes
//! between two of them. It reads no files: the caller hands in the texts.
//!
//! ```text
//! Source.. --parse, merge--> tree with places --schema--> Loaded { config, origins } | Errors
//!                                                            |            |
//!                                                     diff(old, new)   effective()
//! ```
//!
//! **A configuration is either complete and consistent or it is refused as a whole, with every
//! reason at its place.**
#![cfg_attr(
    not(test),
    forbid(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]
#![forbid(unsafe_code)]

mod diff;
mod effective;
mod parse;
mod problem;
mod schema;
mod secret;
mod section;
mod source;
mod suggest;
mod value;

pub use diff::{Change, ChangeKind, Effect, Subject, diff};
pub use effective::{Derived, EffectiveLine, Loaded, Origin, effective};
pub use problem::{Error, Errors, Location};
pub use schema::api::Api;
pub use schema::dataplane::{Dataplane, DataplaneMode};
pub use schema::dynamic::DynamicGroup;
pub use schema::energy::{Energy, Feed, Guards, Thresholds, Weights};
pub use schema::evpn::{AutoRouteTarget, Evpn};
pub use schema::log::{Log, LogLevel};
pub use schema::multipath::Multipath;
pub use schema::neighbor::Neighbor;
pub use schema::router::{AsNotation, Router};
pub use schema::unicast::Unicast;
pub use schema::vni::VniConfig;
pub use schema::vrf::{DEFAULT_VRF, Prefix, Redistribute, Vrf};
pub use schema::{KeyDoc, schema_keys};
pub use secret::{SECRET_FORBIDDEN_MODE, SecretFile, TCP_MD5_KEY_MAX};
pub use source::{MAX_SOURCE_OCTETS, Source};
pub use value::{Bandwidth, DrainTime, Endpoint, PeerAs, RdChoice, RtChoice, show_duration};

use serde::Serialize;
use std::path::PathBuf;

/// A whole configuration: every default filled in, every group resolved, lists in the order of
/// what identifies their elements. It serialises under the names of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Config {
    /// Where state is kept that must survive a reboot.
    pub state_dir: PathBuf,
    /// Who this speaker is.
    pub router: Router,
    /// The groups that let in who is not named.
    #[serde(rename = "group")]
    pub dynamic_groups: Vec<DynamicGroup>,
    /// The neighbors.
    #[serde(rename = "neighbor")]
    pub neighbors: Vec<Neighbor>,
    /// What is announced of the underlay.
    pub unicast: Unicast,
    /// What is advertised of the bridge.
    pub evpn: Evpn,
    /// What is special about single L2 VNIs.
    #[serde(rename = "vni")]
    pub vnis: Vec<VniConfig>,
    /// The IP-VRFs.
    #[serde(rename = "vrf")]
    pub vrfs: Vec<Vrf>,
    /// How traffic to a prefix of several sites is spread.
    pub multipath: Multipath,
    /// How the kernel is spoken to.
    pub dataplane: Dataplane,
    /// What the battery does to the site's preference.
    pub energy: Energy,
    /// Where the daemon is reached.
    pub api: Api,
    /// How much is said.
    pub log: Log,
}

/// Reads a configuration from its sources: `evpnd.toml`, then `conf.d/*.toml` in their order.
/// Tables merge, and a key in a later source replaces an earlier one; lists of tables append.
///
/// # Errors
/// Everything that is wrong, all at once. Errors of syntax come alone, since what is read from a
/// broken text misleads.
pub fn load(sources: &[Source]) -> Result<Loaded, Errors> {
    let mut reading = section::Reading::new(sources);
    let table = source::parse_all(sources, &mut reading.problems);
    if !reading.problems.is_empty() {
        return Err(reading.problems.into_errors(sources));
    }
    match schema::read(&table, &mut reading) {
        Some(config) => Ok(Loaded { config, lines: reading.lines }),
        None => Err(reading.problems.into_errors(sources)),
    }
}
