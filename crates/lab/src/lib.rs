//! Brings a containerlab topology up in Linux network namespaces, without containers
//! and without calling `ip`; also without root, in a user namespace.
//!
//! **The machine's own namespaces, mounts and files are left as they are**: a lab
//! consists of processes that hold namespaces, of one state directory, and (as root)
//! of names under /run/netns. It is not a container runtime: images are not pulled,
//! nodes share the machine's files except where `binds` say otherwise.
//!
//! ```no_run
//! use evpn_lab::{Lab, Silent, Topology, UpOptions};
//!
//! let topology = Topology::load("topologies/two-leaves/two-leaves.clab.yml")?;
//! let lab = Lab::up(&topology, &UpOptions::default(), &mut Silent)?;
//! let status = lab.exec("host1", ["ping", "-c", "1", "192.0.2.12"])?;
//! assert!(status.success());
//! lab.down(&mut Silent)?;
//! # Ok::<(), evpn_lab::LabError>(())
//! ```

mod down;
mod error;
mod frr;
mod lab;
mod mounts;
mod netlink;
mod ops;
mod privilege;
mod process;
mod progress;
mod state;
mod topology;
mod up;

pub use down::Down;
pub use error::LabError;
pub use lab::Lab;
pub use process::ProcessId;
pub use progress::{Progress, Silent};
pub use topology::{Bind, Endpoint, Kind, Link, Node, Runs, Task, Topology};
pub use up::UpOptions;
