//! Which node a command is about: this one, or the one that it was told of by a last word `@NODE`, of which the shell
//! makes the option [`NODE`]. Such a command runs here, and what it would ask of this node's kernel and servers it asks of
//! that one's.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::{Error, LogicalHost, Pid};

use super::hosts::network_failure;
use crate::context::{Failure, failed};
use crate::usage::{Arguments, NODE};

/// The node.
pub struct Node {
    /// Its name; none if nothing was said, which means this one.
    name: Option<String>,
    /// Where it is.
    pub host: LogicalHost,
}

impl Node {
    /// This node.
    pub const fn own() -> Node {
        Node { name: None, host: LogicalHost::OWN }
    }

    /// A node that answered when all were asked.
    pub fn found(name: &str, host: LogicalHost) -> Node {
        if host == v::node::host() { Node::own() } else { Node { name: Some(name.to_string()), host } }
    }

    /// The node that a command's arguments say.
    pub fn of(arguments: &Arguments) -> Result<Node, Failure> {
        match arguments.value(NODE.long) {
            None => Ok(Node::own()),
            Some(name) => Ok(Node { name: Some(name.to_string()), host: find(name)? }),
        }
    }

    /// Whether it was named; it may be this one nevertheless.
    pub const fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// What one of its prefixes is called here.
    pub fn prefix(&self, prefix: &str) -> String {
        match &self.name {
            None => format!("[{prefix}]"),
            Some(name) => format!("[{name}]{prefix}"),
        }
    }

    /// The server that has one of its prefixes.
    pub fn server(&self, prefix: &str) -> Result<Pid, Failure> {
        let name = self.prefix(prefix);
        Ok(v::name::resolve(&name).map_err(|error| failed(&name, error))?.server)
    }

    /// Nanoseconds since it was booted.
    pub fn uptime_ns(&self) -> Result<u64, Failure> {
        let clocks = v::node::read_clocks(self.host).map_err(|error| failed("time server", error))?;
        Ok(clocks.uptime_ns)
    }
}

/// Where the node with a name is. The failure says which nodes there are.
pub fn find(name: &str) -> Result<LogicalHost, Failure> {
    v::node::find(name).map_err(|error| match error {
        Error::HostNotFound => failed(name, not_found(&v::node::all().unwrap_or_default())),
        error => network_failure(name, error),
    })
}

fn not_found(known: &[protocols::network::HostRecord]) -> String {
    let names: Vec<&str> = known.iter().filter_map(protocols::network::HostRecord::name).collect();
    format!("there is no such node; those that answer are {}", names.join(", "))
}
