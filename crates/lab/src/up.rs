//! Brings a lab up: namespaces, links, settings, commands, in this order.
//!
//! **Whatever can be refused is refused before anything is touched**; what fails later
//! is taken down again, unless the caller wants to look at it.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use nix::sched::CloneFlags;

use crate::down::{NETNS_DIR, netns_link};
use crate::error::LabError;
use crate::lab::{Lab, LabNode, Session, search_path, step_error};
use crate::ops::{Op, Step, hold, work};
use crate::privilege::{Privilege, enter_user_namespace, may_set_groups, node_namespaces};
use crate::process::ProcessId;
use crate::progress::Progress;
use crate::state::{Header, HeaderNode, Role, StateDir};
use crate::topology::{Kind, Link, Node, Runs, Task, Topology, words};
use crate::{frr, mounts, netlink};

/// How [`Lab::up`] goes about it.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct UpOptions {
    /// Leave a lab that failed to come up as it is, to look at it.
    pub keep_on_failure: bool,
    /// Start nothing that nodes run by themselves (their `cmd`): the caller will.
    pub without_commands: bool,
}

/// How much of a command's output an error shows, in bytes.
const SHOWN_OUTPUT: usize = 4096;

/// What was found and computed before anything is touched.
struct Prepared {
    privilege: Privilege,
    /// The steps of each node's mounts.
    mounts: Vec<Vec<Step>>,
}

impl Lab {
    /// Brings a topology up and returns once every `exec` command has succeeded.
    ///
    /// # Errors
    /// [`LabError::NoNamespaces`], [`LabError::Preflight`] and [`LabError::AlreadyUp`]
    /// before anything is touched; later [`LabError::Step`], [`LabError::Start`] or
    /// [`LabError::Exec`], after which the lab is gone again unless it was to be kept.
    pub fn up(
        topology: &Topology,
        options: &UpOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LabError> {
        let prepared = prepare(topology, options)?;
        let already =
            || LabError::AlreadyUp { name: topology.name.clone(), file: topology.path.clone() };
        if let Some(other) = StateDir::find(&topology.name) {
            let file = other.journal().ok().flatten().map(|j| j.header.file);
            return Err(file.map_or_else(already, |file| LabError::AlreadyUp {
                name: topology.name.clone(),
                file,
            }));
        }
        progress.total(2 * topology.nodes.len() + topology.links.len() + topology.tasks.len() + 1);
        progress.step("", "making its state");
        let (state, lock) = StateDir::create(&topology.name).map_err(|e| match e {
            LabError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                already()
            }
            other => other,
        })?;
        let lab = Self {
            name: topology.name.clone(),
            state,
            nodes: Vec::new(),
            rootless: prepared.privilege == Privilege::Rootless,
            children: Vec::new(),
        };
        let mut builder = Builder { lab, topology, options, progress, anchor: None };
        match builder.build(prepared) {
            Ok(()) => Ok(builder.lab),
            Err(cause) if options.keep_on_failure => Err(cause),
            Err(cause) => {
                // Taking down needs the lock alone.
                drop(lock);
                let Builder { lab, progress, .. } = builder;
                match lab.down(progress) {
                    Ok(()) => Err(cause),
                    Err(teardown) => Err(LabError::Teardown {
                        cause: Box::new(cause),
                        teardown: Box::new(teardown),
                    }),
                }
            }
        }
    }
}

fn prepare(topology: &Topology, options: &UpOptions) -> Result<Prepared, LabError> {
    let privilege = Privilege::detect()?;
    let mut mounts = Vec::with_capacity(topology.nodes.len());
    for node in &topology.nodes {
        let refuse = |message| LabError::Preflight { node: node.name.clone(), message };
        let own = node.env.iter().find(|(k, _)| k == "PATH").map(|(_, v)| OsString::from(v));
        let path = search_path(own.or_else(|| std::env::var_os("PATH")));
        let runs = match &node.runs {
            Runs::Command(argv) if !options.without_commands => Some(argv),
            _ => None,
        };
        for argv in node.exec.iter().chain(runs) {
            check_program(argv, &path).map_err(refuse)?;
        }
        let mut private: &[&str] = &[];
        if node.runs == Runs::Frr && !options.without_commands {
            frr::check(may_set_groups(privilege)).map_err(refuse)?;
            private = frr::PRIVATE_DIRS;
        }
        mounts.push(mounts::plan(&node.binds, private, privilege).map_err(refuse)?);
    }
    Ok(Prepared { privilege, mounts })
}

/// A program named without a directory must be in the path.
fn check_program(argv: &[String], path: &OsStr) -> Result<(), String> {
    let Some(program) = argv.first().filter(|p| !p.contains('/')) else { return Ok(()) };
    if std::env::split_paths(path).any(|dir| dir.join(program).is_file()) {
        return Ok(());
    }
    Err(match program.as_str() {
        "ip" | "bridge" | "tc" | "ss" => {
            format!("`{program}` is not installed; apt-get install iproute2")
        }
        "ping" => "`ping` is not installed; apt-get install iputils-ping".to_owned(),
        "sysctl" => {
            "`sysctl` is not installed; use the node's `sysctls`, or apt-get install procps"
                .to_owned()
        }
        "evpnd" | "evpnctl" => format!(
            "`{program}` is neither beside this program nor in PATH; build it with `cargo build`, or set EVPND_BIN_DIR to its directory"
        ),
        _ => format!(
            "`{program}` is not in PATH; images are not pulled, so it must be installed on this machine"
        ),
    })
}

struct Builder<'a> {
    lab: Lab,
    topology: &'a Topology,
    options: &'a UpOptions,
    progress: &'a mut dyn Progress,
    /// Of a lab without root: the process that owns its user namespace.
    anchor: Option<Arc<OwnedFd>>,
}

impl Builder<'_> {
    fn build(&mut self, prepared: Prepared) -> Result<(), LabError> {
        let topology = self.topology;
        self.begin(prepared.privilege)?;
        let journal = Arc::new(self.lab.state.append()?);
        if prepared.privilege == Privilege::Rootless {
            self.anchor = Some(self.make_anchor(&journal)?);
        }
        for (node, mounts) in topology.nodes.iter().zip(prepared.mounts) {
            self.make_node(node, mounts, &journal)?;
        }
        for (node, made) in topology.nodes.iter().zip(&self.lab.nodes) {
            self.progress.step(&node.name, "setting it up");
            set_up_node(&self.lab, node, made)?;
        }
        for link in &topology.links {
            self.make_link(link)?;
        }
        for task in &topology.tasks {
            match *task {
                Task::Start(node) => self.start(&topology.nodes[node])?,
                Task::Configure(node) => self.configure(&topology.nodes[node])?,
            }
        }
        self.check_alive()?;
        self.progress.step("", "noting that it is up");
        self.lab.state.finish()
    }

    fn begin(&self, privilege: Privilege) -> Result<(), LabError> {
        let nodes = self.topology.nodes.iter().map(|node| HeaderNode {
            name: node.name.clone(),
            namespace: self.topology.namespace(node),
            env: node.env.clone(),
        });
        let mut header = Header::new(&self.topology.name, &self.topology.path, nodes.collect());
        header.rootless = privilege == Privilege::Rootless;
        let made_by_another = || {
            StateDir::all().any(|s| matches!(s.journal(), Ok(Some(j)) if j.header.made_netns_dir))
        };
        header.made_netns_dir =
            !header.rootless && (!Path::new(NETNS_DIR).exists() || made_by_another());
        self.lab.state.begin(&header)
    }

    fn make_anchor(&mut self, journal: &Arc<OwnedFd>) -> Result<Arc<OwnedFd>, LabError> {
        self.progress.step("", "making a user namespace");
        let mut steps = vec![record(journal, Role::Anchor, "-")];
        steps.extend(enter_user_namespace());
        let failed =
            |what: String, source| LabError::Step { node: "(all)".to_owned(), what, source };
        let pid = hold(&steps, c"lab-anchor").map_err(|f| failed(f.what, f.source))?;
        let pidfd = ProcessId::of(pid).and_then(ProcessId::open);
        pidfd.map(Arc::new).ok_or_else(|| {
            failed("keeping the user namespace".to_owned(), io::ErrorKind::NotFound.into())
        })
    }

    fn make_node(
        &mut self,
        node: &Node,
        mounts: Vec<Step>,
        journal: &Arc<OwnedFd>,
    ) -> Result<(), LabError> {
        self.progress.step(&node.name, "making its namespaces");
        let mut steps = vec![record(journal, Role::Holder, &node.name)];
        if let Some(anchor) = &self.anchor {
            steps.push(Step::new(
                Op::Enter(Arc::clone(anchor), CloneFlags::CLONE_NEWUSER),
                "entering the user namespace",
            ));
        }
        steps.push(Step::new(Op::Unshare(node_namespaces()), "making its namespaces"));
        steps.push(Step::new(Op::Hostname(node.name.clone().into_bytes()), "setting its hostname"));
        steps.extend(mounts);
        let failed =
            |what: String, source| LabError::Step { node: node.name.clone(), what, source };
        // Names hold no zero byte; ps shows 15 bytes of this.
        let shown = CString::new(format!("lab-{}", node.name)).unwrap_or_default();
        let pid = hold(&steps, &shown).map_err(|f| failed(f.what, f.source))?;
        let holder = ProcessId::of(pid).ok_or_else(|| {
            failed("keeping its namespaces".to_owned(), io::ErrorKind::NotFound.into())
        })?;
        let namespace = self.topology.namespace(node);
        if !self.lab.rootless {
            self.name_namespace(node, &namespace, holder)?;
        }
        let about = HeaderNode { name: node.name.clone(), namespace, env: node.env.clone() };
        self.lab.nodes.push(LabNode { about, holder });
        Ok(())
    }

    /// Gives a namespace its name for `ip netns`, by a link: a bind mount would change
    /// the machine's mounts.
    fn name_namespace(
        &mut self,
        node: &Node,
        namespace: &str,
        holder: ProcessId,
    ) -> Result<(), LabError> {
        self.progress.step(&node.name, "naming its network namespace");
        let (path, to) = netns_link(namespace, holder);
        let make =
            || fs::create_dir_all(NETNS_DIR).and_then(|()| std::os::unix::fs::symlink(&to, &path));
        match make() {
            // Root of a container or user namespace may not write there: then without names.
            Err(e)
                if [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem]
                    .contains(&e.kind()) =>
            {
                Ok(())
            }
            result => result.map_err(|e| LabError::io(path, e)),
        }
    }

    fn make_link(&mut self, link: &Link) -> Result<(), LabError> {
        let [near, far] = &link.ends;
        let nodes = &self.lab.nodes;
        let (near_node, far_node) = (&nodes[near.node], &nodes[far.node]);
        let what =
            format!("linking {} to {}:{}", near.interface, far_node.about.name, far.interface);
        self.progress.step(&near_node.about.name, &what);
        let path = format!("/proc/{}/ns/net", far_node.holder.pid);
        let far_netns = File::open(&path).map_err(|e| LabError::io(path, e))?;
        let end = |e: &'_ crate::topology::Endpoint| (e.interface.clone(), e.mac);
        let ((near_name, near_mac), (far_name, far_mac)) = (end(near), end(far));
        let create = netlink::create_veth(
            &netlink::End { interface: &near_name, mac: near_mac, mtu: link.mtu },
            &netlink::End { interface: &far_name, mac: far_mac, mtu: link.mtu },
            far_netns.as_fd(),
        );
        let steps = [self.lab.enter_step(near_node)?, Step::new(Op::Netlink(create), what)];
        work(&steps).map_err(|f| step_error(near_node, f))?;
        for end in &link.ends {
            let node = &nodes[end.node];
            let mut steps = vec![self.lab.enter_step(node)?];
            if self.topology.nodes[end.node].kind == Kind::Bridge {
                let join = Op::Netlink(netlink::join_bridge(&end.interface));
                steps.push(Step::new(
                    join,
                    format!("making {} a port of the bridge", end.interface),
                ));
            }
            let up = Op::Netlink(netlink::set_up(&end.interface));
            steps.push(Step::new(up, format!("taking up {}", end.interface)));
            work(&steps).map_err(|f| step_error(node, f))?;
        }
        Ok(())
    }

    fn start(&mut self, node: &Node) -> Result<(), LabError> {
        if node.runs == Runs::Nothing || self.options.without_commands {
            return Ok(());
        }
        if !node.startup_delay.is_zero() {
            self.progress.step(&node.name, "waiting for its startup-delay");
            #[allow(
                clippy::disallowed_methods,
                reason = "the topology asks for a wait of this length"
            )]
            std::thread::sleep(node.startup_delay);
        }
        match &node.runs {
            Runs::Nothing => Ok(()),
            Runs::Command(argv) => {
                self.progress.step(&node.name, &format!("starting {}", words::show(argv)));
                spawn(&mut self.lab, &node.name, argv)
            }
            Runs::Frr => {
                self.progress.step(&node.name, "starting FRR");
                frr::start(&mut self.lab, &node.name)
            }
        }
    }

    fn configure(&mut self, node: &Node) -> Result<(), LabError> {
        for argv in &node.exec {
            self.progress.step(&node.name, &words::show(argv));
            run(&self.lab, &node.name, argv)?;
        }
        Ok(())
    }

    /// A command that has failed by now was started in vain.
    fn check_alive(&mut self) -> Result<(), LabError> {
        for (node, child) in &mut self.lab.children {
            let ended = child.try_wait().ok().flatten().filter(|status| !status.success());
            if let Some(status) = ended {
                let log = fs::read(self.lab.state.log_path(node)).unwrap_or_default();
                let command = format!("what {node} runs");
                return Err(LabError::Exec {
                    node: node.clone(),
                    command,
                    status,
                    stderr: shown(&log),
                });
            }
        }
        Ok(())
    }
}

fn record(journal: &Arc<OwnedFd>, role: Role, node: &str) -> Step {
    Step::new(
        Op::Record { journal: Arc::clone(journal), prefix: role.prefix(node) },
        "noting the process in the journal",
    )
}

/// What a node has before its links: its loopback, its settings, its bridge.
fn set_up_node(lab: &Lab, node: &Node, made: &LabNode) -> Result<(), LabError> {
    let mut steps =
        vec![lab.enter_step(made)?, Step::new(Op::Netlink(netlink::set_up("lo")), "taking up lo")];
    for (key, value) in &node.sysctls {
        // Names of settings were checked and hold no zero byte.
        let path = CString::new(format!("/proc/sys/{key}")).unwrap_or_default();
        steps.push(Step::new(
            Op::Write { path, bytes: value.clone().into_bytes() },
            format!("setting {key} to {value}"),
        ));
    }
    if node.kind == Kind::Bridge {
        steps.push(Step::new(Op::Netlink(netlink::create_bridge(&node.name)), "making the bridge"));
        steps.push(Step::new(Op::Netlink(netlink::set_up(&node.name)), "taking up the bridge"));
    }
    work(&steps).map_err(|f| step_error(made, f))
}

/// Starts a long-running command in a node, its output going to the node's log.
pub(crate) fn spawn(lab: &mut Lab, node: &str, argv: &[String]) -> Result<(), LabError> {
    let Some((program, args)) = argv.split_first() else { return Ok(()) };
    let path = lab.state.log_path(node);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|e| LabError::io(&path, e))?;
    let also = log.try_clone().map_err(|e| LabError::io(&path, e))?;
    let child = lab
        .command_in(node, program.as_ref(), Session::Own)?
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(also)
        .spawn()
        .map_err(|source| LabError::Start {
            node: node.to_owned(),
            command: words::show(argv),
            source,
        })?;
    lab.children.push((node.to_owned(), child));
    Ok(())
}

/// Runs a command in a node to its end; a failure comes with its output.
pub(crate) fn run(lab: &Lab, node: &str, argv: &[String]) -> Result<(), LabError> {
    let Some((program, args)) = argv.split_first() else { return Ok(()) };
    let command = words::show(argv);
    let output = lab
        .command_in(node, program.as_ref(), Session::Callers)?
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| LabError::Start {
            node: node.to_owned(),
            command: command.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
    Err(LabError::Exec {
        node: node.to_owned(),
        command,
        status: output.status,
        stderr: shown(said),
    })
}

/// The end of some output, as text.
fn shown(output: &[u8]) -> String {
    let start = output.len().saturating_sub(SHOWN_OUTPUT);
    String::from_utf8_lossy(&output[start..]).trim().to_owned()
}
