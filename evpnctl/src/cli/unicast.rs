//! `show bgp ipv4 unicast` and `show bgp ipv6 unicast`.
//!
//! **A prefix is one whose octets beyond its length are zero**, whatever was typed there.

use clap::{Args, Subcommand};
use ipnet::IpNet;
use std::net::IpAddr;

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum ShowIp {
    /// Prefixes and the paths to them, the rejected ones included.
    Unicast(PrefixArgs),
}

/// Which prefixes.
#[derive(Debug, Args)]
pub(crate) struct PrefixArgs {
    /// Only this one; an address stands for its prefix of full length. Status 1 if there is none.
    #[arg(value_parser = parse_prefix)]
    pub(crate) prefix: Option<IpNet>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
}

fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let prefix = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
    prefix.map(|prefix| prefix.trunc()).map_err(|_| "not a prefix such as 10.1.0.0/24".to_owned())
}
