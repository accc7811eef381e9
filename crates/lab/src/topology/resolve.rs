//! From the file as written to a [`Topology`] that can be built: inheritance as
//! containerlab does it (node over kind over defaults; `exec`, `binds`, maps and
//! `stages` add up), names checked, commands split.

use std::path::Path;
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use super::schema::{EndpointDef, EndpointObject, File, LinkDef, NodeDef, Ordered};
use super::{
    Bind, Endpoint, Kind, Link, Node, Runs, Topology, Wrong, expand, order, refuse, words,
};

/// containerlab's own: large enough that VXLAN over a link carries 1500 bytes whole.
const LINK_MTU: u32 = 9500;
/// What the kernel takes for a virtual Ethernet interface.
const MTU_RANGE: std::ops::RangeInclusive<u32> = 68..=65535;
/// IFNAMSIZ less the closing zero.
const INTERFACE_NAME_MAX: usize = 15;
/// HOST_NAME_MAX is 64; a DNS label takes 63.
const NAME_MAX: usize = 63;
/// Node names by which containerlab's links mean the machine itself.
const MACHINE: [&str; 4] = ["host", "macvlan", "mgmt-net", "vxlan"];

/// The settings that say something about one node, the strongest last.
type Layers<'a> = Vec<&'a NodeDef>;

pub(super) fn topology(path: &Path, file: &File) -> Result<Topology, Wrong> {
    check_name(&file.name, "the lab's name")?;
    let name = file.name.value.clone();
    let prefix = match file.prefix.as_deref() {
        None | Some("__lab-name") => format!("{name}-"),
        Some("") => String::new(),
        Some(prefix) => format!("{prefix}-{name}-"),
    };
    if let Some(kinds) = &file.topology.kinds {
        for (kind, _) in &kinds.0 {
            self::kind(kind)?;
        }
    }
    let entries = &file.topology.nodes.0;
    if entries.is_empty() {
        return Err(Wrong::new(file.name.referenced, "a topology needs at least one node"));
    }
    let mut nodes = Vec::with_capacity(entries.len());
    let mut stages = Vec::with_capacity(entries.len());
    for (node_name, def) in entries {
        check_name(node_name, "a node's name")?;
        let (kind, layers) = layers(file, node_name, def.as_ref())?;
        nodes.push(node(path, &name, node_name, kind, &layers)?);
        stages.push(layers.iter().filter_map(|d| d.stages.as_ref()).collect());
    }
    let mut links: Vec<Link> = Vec::new();
    for def in file.topology.links.as_deref().unwrap_or_default() {
        let link = link(def, &nodes)?;
        check_interfaces_free(&link, &links, &nodes, def.referenced)?;
        links.push(link);
    }
    let tasks = order::tasks(&nodes, &stages)?;
    Ok(Topology { path: path.to_owned(), name, prefix, nodes, links, tasks })
}

/// The kind of a node and what defaults, kind and node say, in this order.
fn layers<'a>(
    file: &'a File,
    name: &Spanned<String>,
    def: Option<&'a NodeDef>,
) -> Result<(Kind, Layers<'a>), Wrong> {
    let defaults = file.topology.defaults.as_ref();
    let Some(kind_name) =
        def.and_then(|d| d.kind.as_ref()).or_else(|| defaults.and_then(|d| d.kind.as_ref()))
    else {
        let message = format!("node `{}` has no kind; add `kind: linux`", name.value);
        return Err(Wrong::new(name.referenced, message));
    };
    let of_kind = file.topology.kinds.as_ref().and_then(|k| {
        k.0.iter().find(|(k, _)| k.value == kind_name.value).and_then(|(_, def)| def.as_ref())
    });
    Ok((kind(kind_name)?, [defaults, of_kind, def].into_iter().flatten().collect()))
}

fn kind(name: &Spanned<String>) -> Result<Kind, Wrong> {
    match name.value.as_str() {
        "linux" => Ok(Kind::Linux),
        "bridge" => Ok(Kind::Bridge),
        "host" => Err(Wrong::new(
            name.referenced,
            "kind `host` is not supported by this lab: it would change the machine's own network",
        )),
        other => Err(Wrong::new(
            name.referenced,
            format!("kind `{other}` is not supported by this lab; it has linux and bridge"),
        )),
    }
}

fn node(
    path: &Path,
    lab: &str,
    name: &Spanned<String>,
    kind: Kind,
    layers: &Layers<'_>,
) -> Result<Node, Wrong> {
    let node = name.value.as_str();
    if let Some(mode) = strongest(layers, |d| d.network_mode.as_ref()) {
        check_network_mode(mode)?;
    }
    let image = strongest(layers, |d| d.image.as_ref());
    let mut exec = Vec::new();
    for line in layers.iter().flat_map(|d| d.exec.iter().flatten()) {
        exec.push(command(line, lab, node)?);
    }
    let mut binds: Vec<Bind> = Vec::new();
    for text in layers.iter().flat_map(|d| d.binds.iter().flatten()) {
        let bind = bind(path, lab, node, text)?;
        // A node's own bind takes the place of its kind's at the same target.
        binds.retain(|b| b.target != bind.target);
        binds.push(bind);
    }
    let mut sysctls = Vec::new();
    for (key, value) in layers.iter().flat_map(|d| entries(d.sysctls.as_ref())) {
        put(&mut sysctls, sysctl_path(key)?, value.clone());
    }
    let mut env = Vec::new();
    for (key, value) in layers.iter().flat_map(|d| entries(d.env.as_ref())) {
        if key.value.is_empty() || key.value.contains(['=', '\0']) {
            return Err(Wrong::new(
                key.referenced,
                format!("`{}` cannot name a variable", key.value),
            ));
        }
        put(&mut env, key.value.clone(), expand::names(value, lab, node));
    }
    let mut labels = Vec::new();
    for (key, value) in layers.iter().flat_map(|d| entries(d.labels.as_ref())) {
        put(&mut labels, key.value.clone(), value.clone());
    }
    Ok(Node {
        name: node.to_owned(),
        kind,
        runs: if kind == Kind::Bridge { Runs::Nothing } else { runs(lab, name, image, layers)? },
        image: image.map(|i| i.value.clone()),
        exec,
        binds,
        env,
        sysctls,
        startup_delay: Duration::from_secs(
            strongest(layers, |d| d.startup_delay.as_ref()).map_or(0, |s| u64::from(*s)),
        ),
        labels,
        group: strongest(layers, |d| d.group.as_ref()).cloned(),
    })
}

/// What the strongest layer that speaks of it says.
fn strongest<'a, T>(
    layers: &Layers<'a>,
    pick: impl Fn(&'a NodeDef) -> Option<&'a T>,
) -> Option<&'a T> {
    layers.iter().rev().find_map(|d| pick(d))
}

fn entries<T>(map: Option<&Ordered<T>>) -> &[(Spanned<String>, T)] {
    map.map_or(&[], |m| &m.0)
}

/// Sets `key` in a list that serves as an ordered map.
fn put(list: &mut Vec<(String, String)>, key: String, value: String) {
    match list.iter_mut().find(|(k, _)| *k == key) {
        Some((_, old)) => *old = value,
        None => list.push((key, value)),
    }
}

fn command(line: &Spanned<String>, lab: &str, node: &str) -> Result<Vec<String>, Wrong> {
    match words::split(&expand::names(&line.value, lab, node)) {
        Ok(words) if words.is_empty() => {
            Err(Wrong::new(line.referenced, "this command has no words"))
        }
        Ok(words) => Ok(words),
        Err(why) => Err(Wrong::new(line.referenced, why)),
    }
}

/// What a node runs: its own words, or what its image is known to run.
fn runs(
    lab: &str,
    name: &Spanned<String>,
    image: Option<&Spanned<String>>,
    layers: &Layers<'_>,
) -> Result<Runs, Wrong> {
    let mut argv = Vec::new();
    for part in
        [strongest(layers, |d| d.entrypoint.as_ref()), strongest(layers, |d| d.cmd.as_ref())]
            .into_iter()
            .flatten()
    {
        argv.extend(command(part, lab, &name.value)?);
    }
    if !argv.is_empty() {
        return Ok(Runs::Command(argv));
    }
    let Some(image) = image else {
        return Err(Wrong::new(
            name.referenced,
            format!("node `{}` has no image; containerlab needs one", name.value),
        ));
    };
    // registry/path/NAME:tag@digest
    let base = image.value.split('@').next().and_then(|i| i.rsplit('/').next()).unwrap_or_default();
    match base.split(':').next().unwrap_or_default() {
        "frr" => Ok(Runs::Frr),
        // Its Containerfile says `sleep infinity`: the node is there without it.
        "evpnd" => Ok(Runs::Nothing),
        other => Err(Wrong::new(
            image.referenced,
            format!(
                "images are not pulled, and what `{other}` runs by itself is not known here; add `cmd`, for example `cmd: sleep infinity`"
            ),
        )),
    }
}

fn check_network_mode(mode: &Spanned<String>) -> Result<(), Wrong> {
    match mode.value.as_str() {
        "none" | "bridge" => Ok(()),
        other => Err(Wrong::new(
            mode.referenced,
            format!(
                "network-mode `{other}` is not supported by this lab: each node has a network of its own; use `none`"
            ),
        )),
    }
}

/// `SOURCE:TARGET[:OPTIONS]`, the source relative to the topology's directory.
fn bind(path: &Path, lab: &str, node: &str, text: &Spanned<String>) -> Result<Bind, Wrong> {
    let wrong =
        |message: &str| Wrong::new(text.referenced, format!("bind `{}`: {message}", text.value));
    let value = expand::names(&text.value, lab, node);
    let mut parts = value.split(':');
    let (Some(source), Some(target)) = (parts.next().filter(|s| !s.is_empty()), parts.next())
    else {
        return Err(wrong("it must read SOURCE:TARGET or SOURCE:TARGET:ro"));
    };
    let mut read_only = false;
    for option in parts.flat_map(|o| o.split(',')) {
        match option {
            "ro" => read_only = true,
            // SELinux labels and caching hints concern container runtimes only.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            other => return Err(wrong(&format!("option `{other}` is not known; use ro or rw"))),
        }
    }
    let target = Path::new(target);
    let plain = target
        .components()
        .all(|c| matches!(c, std::path::Component::RootDir | std::path::Component::Normal(_)));
    if !target.is_absolute() || !plain || target.parent().is_none() {
        return Err(wrong("the target must be an absolute path below /, without `..`"));
    }
    let base = path.parent().unwrap_or(Path::new("/"));
    Ok(Bind { source: base.join(source), target: target.to_owned(), read_only })
}

/// The path below /proc/sys of a setting named with dots, or with slashes as sysctl(8)
/// allows for interface names that hold a dot.
fn sysctl_path(key: &Spanned<String>) -> Result<String, Wrong> {
    let slashes_first =
        key.value.find('/').is_some_and(|s| key.value.find('.').is_none_or(|d| s < d));
    let path = if slashes_first {
        key.value.clone()
    } else {
        key.value
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect()
    };
    let plain = path.split('/').all(|p| !p.is_empty() && p != "." && p != "..");
    if path.starts_with("net/") && plain {
        return Ok(path);
    }
    Err(Wrong::new(
        key.referenced,
        format!(
            "sysctl `{}` is not supported by this lab: only net.* belongs to a node alone",
            key.value
        ),
    ))
}

fn link(def: &Spanned<LinkDef>, nodes: &[Node]) -> Result<Link, Wrong> {
    let LinkDef { kind, endpoints, mtu, .. } = &def.value;
    if let Some(kind) = kind.as_ref().filter(|k| k.value != "veth") {
        let message = format!("link type `{}` is not supported by this lab; use veth", kind.value);
        return Err(Wrong::new(kind.referenced, message));
    }
    let [a, b] = endpoints.as_slice() else {
        return Err(Wrong::new(
            def.referenced,
            format!("a link has two endpoints, this one has {}", endpoints.len()),
        ));
    };
    let mtu = mtu.unwrap_or(LINK_MTU);
    if !MTU_RANGE.contains(&mtu) {
        return Err(Wrong::new(
            def.referenced,
            format!(
                "mtu {mtu} is out of range; it must be between {} and {}",
                MTU_RANGE.start(),
                MTU_RANGE.end()
            ),
        ));
    }
    Ok(Link { ends: [endpoint(a, nodes)?, endpoint(b, nodes)?], mtu })
}

fn endpoint(def: &Spanned<EndpointDef>, nodes: &[Node]) -> Result<Endpoint, Wrong> {
    let at = def.referenced;
    let (node, interface, mac) = match &def.value {
        EndpointDef::Brief(text) => match text.split_once(':') {
            Some((node, interface)) => (node, interface, None),
            None => {
                return Err(Wrong::new(at, format!("endpoint `{text}` must read NODE:INTERFACE")));
            }
        },
        EndpointDef::Full(EndpointObject { node, interface, mac }) => {
            (node.as_str(), interface.as_str(), mac.as_deref())
        }
    };
    let Some(index) = nodes.iter().position(|n| n.name == node) else {
        return Err(Wrong::new(at, unknown_node(node, nodes)));
    };
    let plain = interface.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != ':');
    if interface.is_empty()
        || interface.len() > INTERFACE_NAME_MAX
        || !plain
        || [".", "..", "lo"].contains(&interface)
    {
        let message = format!(
            "`{interface}` cannot name an interface: 1 to {INTERFACE_NAME_MAX} printable characters without / and :, not `lo`"
        );
        return Err(Wrong::new(at, message));
    }
    let mac = mac.map(|text| {
        parse_mac(text).ok_or_else(|| {
            Wrong::new(
                at,
                format!("`{text}` is not a unicast MAC address such as 02:00:00:00:00:01"),
            )
        })
    });
    Ok(Endpoint { node: index, interface: interface.to_owned(), mac: mac.transpose()? })
}

fn unknown_node(node: &str, nodes: &[Node]) -> String {
    if MACHINE.contains(&node) {
        return format!(
            "a link to `{node}` is not supported by this lab: it would change the machine's own network"
        );
    }
    match refuse::closest(node, nodes.iter().map(|n| n.name.as_str())) {
        Some(near) => format!("no node `{node}`; did you mean `{near}`?"),
        None => format!("no node `{node}` in this topology"),
    }
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next().filter(|p| p.len() == 2)?, 16).ok()?;
    }
    let unicast = mac[0] & 1 == 0 && mac != [0; 6];
    (parts.next().is_none() && unicast).then_some(mac)
}

/// No interface of a node may be made twice.
fn check_interfaces_free(
    link: &Link,
    earlier: &[Link],
    nodes: &[Node],
    at: Location,
) -> Result<(), Wrong> {
    let same = |a: &Endpoint, b: &Endpoint| a.node == b.node && a.interface == b.interface;
    for (i, end) in link.ends.iter().enumerate() {
        let within = i == 1 && same(end, &link.ends[0]);
        let bridge = &nodes[end.node];
        let is_the_bridge = bridge.kind == Kind::Bridge && bridge.name == end.interface;
        if within || is_the_bridge || earlier.iter().flat_map(|l| &l.ends).any(|e| same(e, end)) {
            let message = format!(
                "interface `{}` of node `{}` is there already",
                end.interface, nodes[end.node].name
            );
            return Err(Wrong::new(at, message));
        }
    }
    Ok(())
}

fn check_name(name: &Spanned<String>, what: &str) -> Result<(), Wrong> {
    let value = &name.value;
    let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if plain && value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.len() <= NAME_MAX {
        return Ok(());
    }
    let message = format!(
        "`{value}` cannot be {what}: 1 to {NAME_MAX} letters, digits, `.`, `_` and `-`, with a letter or digit first"
    );
    Err(Wrong::new(name.referenced, message))
}
