//! What answers beside the engine.

use evpn_dataplane::difference::Differences;
use evpn_dataplane::object::Mode;
use evpn_dataplane::reconciler::{Counters, Summary};
use evpn_netlink::lookup::Lookup;
use evpn_proto::types::Time;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// What the kernel does with packets to each address.
pub(crate) type Lookups = BTreeMap<IpAddr, Lookup>;

/// An answer to come.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the dataplane's thread knows of the kernel.
pub(crate) trait Dataplane: Send + Sync + 'static {
    /// What is wanted and what is there, with the first `limit` differences in words.
    ///
    /// # Errors
    /// Why it cannot answer.
    fn report(&self, limit: usize) -> Pending<'_, Result<DataplaneReport, String>>;

    /// By which routes the kernel sends packets to these addresses, asked of it now. Those of which
    /// it says nothing are left out.
    fn lookups(&self, to: Vec<IpAddr>) -> Pending<'_, Lookups>;
}

/// What is wanted of the kernel and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct DataplaneReport {
    /// How far reconciling may go.
    pub(crate) mode: Mode,
    /// Since the kernel was last read in full.
    pub(crate) checked_ago: Duration,
    /// How much there is of everything.
    pub(crate) summary: Summary,
    /// What has happened so far.
    pub(crate) counters: Counters,
    /// What is apart.
    pub(crate) differences: Differences,
    /// Another EVPN daemon at work here, for which nothing is swept.
    pub(crate) held: Option<String>,
}

/// What came of a reload: each change with its effect, or each problem.
pub(crate) type Reload = Result<Vec<(String, String)>, Vec<String>>;

/// The configuration in force.
pub(crate) trait ConfigControl: Send + Sync + 'static {
    /// Every value with its origin.
    fn effective(&self) -> ConfigSource;
    /// The energy feed's kind: `manual`, `file`, `nut`.
    fn feed(&self) -> String;
    /// Reads the files again and takes all of it or nothing; tells each change and what it does,
    /// or each problem.
    fn reload(&self) -> Pending<'_, Reload>;
    /// Sets what is logged.
    ///
    /// # Errors
    /// What is wrong with the level.
    fn set_log_level(&self, level: &str) -> Result<(), String>;
}

/// A configuration with its origins.
#[derive(Clone, Debug)]
pub(crate) struct ConfigSource {
    /// The files, in order.
    pub(crate) files: Vec<String>,
    /// Since when it is in force.
    pub(crate) loaded_at: Time,
    /// Its values, in the order of the reference.
    pub(crate) values: Vec<ConfigValue>,
}

/// A value with its origin.
#[derive(Clone, Debug)]
pub(crate) struct ConfigValue {
    /// Its key.
    pub(crate) key: String,
    /// The value in TOML's notation.
    pub(crate) value: String,
    /// Where it came from.
    pub(crate) origin: String,
}
