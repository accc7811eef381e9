//! The command line: what people type, in the words of vtysh.
//!
//! Subcommands may be shortened (`sh bgp sum`), and a trailing `json` means `--json`, as in vtysh.
//!
//! **An order that takes a site out of service says for how long and why.**

pub(crate) mod habits;
#[cfg(test)]
mod tests;
mod unicast;

pub(crate) use unicast::{Asked, PrefixArgs, ShowIp};

use crate::clear::ClearArgs;
use crate::decode::DecodeArgs;
use crate::text::parse_duration;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use evpn_api::NeighborId;
use evpn_api::route::RouteKind;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

/// How long `drain` and `hold` last unless told otherwise: two hours, in seconds. It is enough for
/// most work on a site, and what is forgotten ends by itself.
pub(crate) const DEFAULT_OVERRIDE: &str = "2h";

/// Looks at and steers evpnd, the BGP EVPN daemon for leaf switches that live on a battery.
///
/// Exit status: 0 yes, done; 1 no, refused, or there is a difference; 2 wrong usage, or evpnd
/// cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "evpnctl", version, infer_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Answer in JSON, whose keys are stable.
    #[arg(short, long, global = true)]
    pub(crate) json: bool,

    /// The socket on which evpnd listens.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "EVPND_SOCKET",
        default_value = evpn_api::DEFAULT_SOCKET,
        value_hint = ValueHint::FilePath
    )]
    pub(crate) socket: PathBuf,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show routes, neighbors, VNIs, hosts, energy.
    #[command(subcommand)]
    Show(Show),
    /// Explain how a host or a prefix came to be forwarded as it is; status 1 where it is not.
    Why(WhyArgs),
    /// Reset sessions.
    #[command(subcommand)]
    Clear(Clear),
    /// Order the site to drain, to stay as it is, or to go by its battery again.
    #[command(subcommand)]
    Energy(EnergyOrder),
    /// Check, show and reload the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Tell whether evpnd is ready: status 0 if it is.
    Health(HealthArgs),
    /// Check this machine: kernel, devices, settings, other daemons; status 0 if nothing is wrong.
    Doctor(DoctorArgs),
    /// Collect what a report of a problem needs into one archive, secrets left out.
    TechSupport(TechSupportArgs),
    /// Set what evpnd logs, until it restarts.
    LogLevel {
        /// error, warn, info, debug, trace, or a filter such as info,evpn_engine=debug.
        level: String,
    },
    /// Tell what the octets of a BGP message say, in JSON, and what evpnd would do about them.
    ///
    /// Needs no evpnd. Whatever the options do not say is taken as agreed on with an external
    /// neighbor of 4-octet AS numbers: family l2vpn-evpn alone, messages of up to 65535 octets. A
    /// session may have agreed on something else, and then judges otherwise.
    ///
    /// Status 0 if all of it is accepted, 1 for any other action, 2 if HEX is not hexadecimal. -j
    /// prints the same JSON in one line.
    Decode(DecodeArgs),
    /// Bring a containerlab topology up in network namespaces, without containers.
    #[command(subcommand)]
    Lab(Lab),
    /// See a site drain before its battery is empty, and what happens without evpnd.
    Demo(crate::demo::Args),
    /// Write completions for a shell to standard output.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write manual pages into a directory.
    #[command(hide = true)]
    Man {
        /// The directory; it must exist.
        #[arg(value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum Show {
    /// BGP: neighbors and routes.
    #[command(subcommand)]
    Bgp(ShowBgp),
    /// EVPN: VNIs, hosts and their addresses.
    #[command(subcommand)]
    Evpn(ShowEvpn),
    /// The battery, the level, and what is announced because of it.
    Energy,
    /// What the routes ask for against what the kernel holds; status 1 where they differ.
    Consistency,
    /// Versions of evpnd and evpnctl.
    Version,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum ShowBgp {
    /// Every neighbor in a line, and why those are down that are.
    Summary,
    /// Neighbors in full.
    #[command(visible_alias = "neighbors")]
    Neighbor {
        /// Only this one: its address or its interface.
        #[arg(value_parser = parse_neighbor)]
        neighbor: Option<NeighborId>,
        /// What happened to its session lately, and nothing else.
        #[arg(value_enum, requires = "neighbor")]
        part: Option<NeighborPart>,
    },
    /// EVPN: its routes, and what BGP says of each VNI.
    #[command(subcommand)]
    L2vpn(ShowL2vpn),
    /// IPv4 unicast: routes of the underlay.
    #[command(subcommand)]
    Ipv4(ShowIp),
    /// IPv6 unicast: routes of the underlay.
    #[command(subcommand)]
    Ipv6(ShowIp),
    /// Which EVPN routes are wanted by whom (RFC 4684).
    RtConstraint {
        /// At most so many.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
}

/// A part of what is known of a neighbor.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum NeighborPart {
    /// What happened to its session lately, the newest first.
    Events,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum ShowL2vpn {
    /// EVPN routes.
    #[command(subcommand)]
    Evpn(ShowBgpEvpn),
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum ShowBgpEvpn {
    /// Every neighbor in a line, and why those are down that are.
    Summary,
    /// Routes and the paths to them, the rejected ones included.
    Route(RouteArgs),
    /// What BGP says of each VNI.
    Vni,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum ShowEvpn {
    /// VNIs, and why those are down that are.
    Vni {
        /// Only this one, in full.
        vni: Option<u32>,
    },
    /// Hosts.
    Mac(HostArgs),
    /// Addresses of hosts.
    #[command(visible_alias = "arp-cache")]
    Arp(HostArgs),
}

/// Which routes.
#[derive(Debug, Args)]
pub(crate) struct RouteArgs {
    /// Only this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<KindArg>,
    /// Only this route distinguisher.
    #[arg(long)]
    pub(crate) rd: Option<String>,
    /// Only this VNI.
    #[arg(long)]
    pub(crate) vni: Option<u32>,
    /// Only this host.
    #[arg(long)]
    pub(crate) mac: Option<String>,
    /// Only this prefix.
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// The same in words: type macip, rd 10.0.0.1:100, vni 100, mac ..., prefix ...
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,
}

/// Which hosts.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// Only of one VNI: `vni 100`, or `vni all`.
    #[arg(value_names = ["vni", "N|all"], num_args = 0..=2)]
    pub(crate) words: Vec<String>,
}

/// Route types, in the words of vtysh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Type 1, Ethernet auto-discovery.
    #[value(alias = "1")]
    Ead,
    /// Type 2, MAC/IP.
    #[value(alias = "2")]
    Macip,
    /// Type 3, inclusive multicast.
    #[value(alias = "3")]
    Multicast,
    /// Type 4, Ethernet segment.
    #[value(alias = "4")]
    Es,
    /// Type 5, IP prefix.
    #[value(alias = "5")]
    Prefix,
}

impl From<KindArg> for RouteKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Ead => Self::Ead,
            KindArg::Macip => Self::Macip,
            KindArg::Multicast => Self::Multicast,
            KindArg::Es => Self::Es,
            KindArg::Prefix => Self::Prefix,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// A MAC address, a prefix, or an address.
    #[arg(value_name = "MAC|PREFIX", value_parser = Subject::parse)]
    pub(crate) subject: Subject,
    /// Only in this VNI.
    #[arg(long)]
    pub(crate) vni: Option<u32>,
}

/// What `why` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A host.
    Mac(String),
    /// A prefix or an address.
    Prefix(String),
}

impl Subject {
    fn parse(text: &str) -> Result<Self, String> {
        if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
            return Ok(Self::Prefix(text.to_owned()));
        }
        text.parse::<evpn_proto::types::MacAddr>()
            .map(|mac| Self::Mac(mac.to_string()))
            .map_err(|_| "neither a MAC address such as 02:00:00:00:00:01 nor a prefix".to_owned())
    }
}

/// What the kernel would not take for an interface's name is a mistake in typing.
pub(crate) fn parse_neighbor(text: &str) -> Result<NeighborId, String> {
    use evpn_proto::types::NeighborId as Named;
    match text.parse::<Named>().map_err(|e| e.to_string())? {
        Named::Address(address) => Ok(NeighborId::Address(address)),
        Named::Interface(name) => Ok(NeighborId::Interface(name.to_string())),
    }
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum Clear {
    /// BGP sessions.
    Bgp(ClearArgs),
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum EnergyOrder {
    /// Move traffic away from the site, without breaking connections where that can be done.
    Drain(OrderArgs),
    /// Stay at the present level, whatever the battery says.
    Hold(OrderArgs),
    /// Go by the battery again.
    Auto {
        /// The site; this one unless said.
        site: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// The site; this one unless said.
    pub(crate) site: Option<String>,
    /// For how long: 30m, 2h, 1d.
    #[arg(long = "for", value_name = "TIME", default_value = DEFAULT_OVERRIDE, value_parser = parse_duration)]
    pub(crate) seconds: u64,
    /// Why. Others see it, and it is recorded.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum Config {
    /// Check a configuration without evpnd: status 0 if it is valid.
    Check {
        /// A file, or a directory with evpnd.toml and conf.d/.
        #[arg(default_value = "/etc/evpnd", value_hint = ValueHint::AnyPath)]
        path: PathBuf,
    },
    /// Show every value in force and where it came from.
    Show {
        /// With defaults and derived values; there is no other form yet.
        #[arg(long, default_value_t = true)]
        effective: bool,
    },
    /// Have evpnd read its configuration again: all of it, or nothing where there is an error.
    Reload,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Wait until it is ready.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give up waiting after this time.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The configuration, a file or a directory [default: evpnd's own, else /etc/evpnd].
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) config: Option<PathBuf>,
    /// Try out what the kernel can do, in namespaces of this process's own.
    #[arg(long, hide = true)]
    pub(crate) probe: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TechSupportArgs {
    /// The archive; it must not exist [default: evpnd-HOST-TIME.tar].
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// The configuration, a file or a directory [default: evpnd's own, else /etc/evpnd].
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum Lab {
    /// Bring a lab up.
    Up {
        /// The topology, a .clab.yml file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Leave a lab that failed to come up as it is, to look at it.
        #[arg(long)]
        keep: bool,
    },
    /// Run a command in a node, and end with its status.
    Exec {
        /// The topology, or the lab's name.
        #[arg(value_hint = ValueHint::FilePath)]
        lab: PathBuf,
        /// The node.
        node: String,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Take a lab down.
    Down {
        /// The topology, or the lab's name.
        #[arg(value_hint = ValueHint::FilePath)]
        lab: PathBuf,
        /// End with this status instead of 0: an interrupted `up` ends so.
        #[arg(long, hide = true, default_value_t = 0)]
        status: u8,
    },
}

/// The arguments with a trailing `json` of a `show` as `--json`.
pub(crate) fn with_json_word(mut args: Vec<OsString>) -> Vec<OsString> {
    // `s` alone is no abbreviation of vtysh's, and a value of --socket is a path.
    let is_show = |arg: &OsString| matches!(arg.to_str(), Some("sh" | "sho" | "show"));
    let shows = args.iter().any(is_show);
    if let Some(last) = args.last_mut().filter(|last| shows && *last == "json") {
        *last = "--json".into();
    }
    args
}

/// Words in pairs: a keyword and its value.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn keywords<'w>(
    words: &'w [String],
    allowed: &[&str],
) -> Result<BTreeMap<&'w str, &'w str>, String> {
    let mut found = BTreeMap::new();
    for pair in words.chunks(2) {
        let [keyword, rest @ ..] = pair else { continue };
        if !allowed.contains(&keyword.as_str()) {
            return Err(format!("\"{keyword}\" is none of {}", allowed.join(", ")));
        }
        let [value] = rest else { return Err(format!("{keyword} lacks its value")) };
        if found.insert(keyword.as_str(), value.as_str()).is_some() {
            return Err(format!("{keyword} is given twice"));
        }
    }
    Ok(found)
}

/// A VNI in words; none for `all`.
///
/// # Errors
/// What was expected.
pub(crate) fn vni_word(word: &str) -> Result<Option<u32>, String> {
    match word {
        "all" => Ok(None),
        number => match number.parse() {
            Ok(vni) => Ok(Some(vni)),
            Err(_) => Err(format!("\"{number}\" is not a VNI")),
        },
    }
}
