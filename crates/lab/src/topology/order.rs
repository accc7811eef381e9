//! In which order nodes are started and configured.
//!
//! **All namespaces and links exist before the first task**; then every node is
//! started, then every node is configured, each in the order of the file, except where
//! a node's `stages` ask it to wait for another. (containerlab runs nodes side by side;
//! one after the other gives the same result and the same log each time.)

use super::schema::{Stage, Stages, WaitFor};
use super::{Node, Wrong, refuse};

/// One thing to do for a node, by its index into [`super::Topology::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Start what the node runs.
    Start(usize),
    /// Run its `exec` commands.
    Configure(usize),
}

/// The tasks of all nodes, so ordered that each wait is fulfilled. `stages` has one
/// entry per node.
pub(super) fn tasks(nodes: &[Node], stages: &[Vec<&Stages>]) -> Result<Vec<Task>, Wrong> {
    let count = nodes.len();
    // Task t < count starts node t; task count + t configures it. before[t] lists what must be done first.
    let mut before: Vec<Vec<usize>> =
        (0..2 * count).map(|t| if t < count { vec![] } else { vec![t - count] }).collect();
    for (node, stages) in stages.iter().enumerate() {
        for stages in stages {
            for (stage, task) in [
                (&stages.create, node),
                (&stages.create_links, node),
                (&stages.configure, count + node),
            ] {
                for wait in waits(stage.as_ref()) {
                    before[task].push(awaited(wait, nodes)?);
                }
            }
        }
    }
    let mut done = vec![false; 2 * count];
    let mut order = Vec::with_capacity(2 * count);
    while order.len() < 2 * count {
        let ready = (0..2 * count).find(|&t| !done[t] && before[t].iter().all(|&b| done[b]));
        let Some(task) = ready else {
            let wait = stages.iter().flatten().find_map(|s| {
                [&s.create, &s.create_links, &s.configure]
                    .into_iter()
                    .find_map(|s| waits(s.as_ref()).first())
            });
            let at = wait.map_or(serde_saphyr::Location::UNKNOWN, |w| w.node.referenced);
            return Err(Wrong::new(
                at,
                "the `wait-for` entries of this topology wait for each other in a circle",
            ));
        };
        done[task] = true;
        order.push(if task < count { Task::Start(task) } else { Task::Configure(task - count) });
    }
    Ok(order)
}

fn waits(stage: Option<&Stage>) -> &[WaitFor] {
    stage.map_or(&[], |s| &s.wait_for)
}

/// The task that completes the stage which `wait` names.
fn awaited(wait: &WaitFor, nodes: &[Node]) -> Result<usize, Wrong> {
    let Some(node) = nodes.iter().position(|n| n.name == wait.node.value) else {
        return Err(Wrong::new(
            wait.node.referenced,
            format!("no node `{}` to wait for", wait.node.value),
        ));
    };
    match wait.stage.value.as_str() {
        "create" | "create-links" => Ok(node),
        "configure" => Ok(nodes.len() + node),
        other => Err(Wrong::new(
            wait.stage.referenced,
            refuse::explain(other, &["create", "create-links", "configure"]),
        )),
    }
}
