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
    /// Only this prefix; an address stands for its prefix of full length. Status 1 if there is none.
    /// The word `summary` is `show bgp summary`.
    #[arg(value_name = "PREFIX|summary", value_parser = Asked::parse)]
    pub(crate) asked: Option<Asked>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
}

/// What of a family is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A prefix.
    Prefix(IpNet),
    /// Every neighbor in a line.
    Summary,
}

impl Asked {
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() >= 3 && "summary".starts_with(text) {
            return Ok(Self::Summary);
        }
        let prefix = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse());
        let prefix = prefix.map_err(|_| "not a prefix such as 10.1.0.0/24".to_owned())?;
        Ok(Self::Prefix(prefix.trunc()))
    }
}
