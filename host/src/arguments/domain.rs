//! Of several nodes: how many there are, how they are connected, and what their network does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::per_node::PerNode;
use crate::wiring::{CardKind, DomainNumber, Wiring};
use ethernet::impairment::Impairments;
use ethernet::partition::{MOST_NODES, Partition, node_place};
use ethernet::units::{Chance, milliseconds};

/// Several nodes and the network between them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Several nodes")]
pub struct DomainOptions {
    /// Boot that many nodes, on a network of their own
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = node_count, allow_negative_numbers = true)]
    pub nodes: u8,

    /// Give all nodes but the first no more than their services: programs and files they load from node 1
    #[arg(long)]
    pub diskless: bool,

    /// Start all nodes but the first over the network: they have an empty disk, and node 1 a boot server
    ///
    /// They load kernel and services from it, and all else as with --diskless. Node 1 starts first.
    #[arg(long, conflicts_with_all = ["exec_on", "diskless"])]
    pub netboot: bool,

    /// Run shell lines on another node than the first; repeatable
    ///
    /// Without --exec, the streams and the status of the first of them are the tool's.
    #[arg(long, num_args = 2, value_names = ["NODE", "LINES"], allow_hyphen_values = true)]
    pub exec_on: Vec<String>,

    /// Network cards: virtio, e1000 or e1000e; with `N:CARD` that of node N alone, as in `virtio,2:e1000`
    #[arg(long, value_name = "CARD", default_value_t)]
    pub card: PerNode<CardKind>,

    /// The domain that nodes are in, from 0 to 8191; with `N:NUMBER` that of node N alone
    ///
    /// Nodes of different domains don't hear each other, though they are on one wire.
    #[arg(long, value_name = "NUMBER", default_value_t, allow_negative_numbers = true)]
    pub domain: PerNode<DomainNumber>,

    /// Lose so many frames, in per cent, such as 0.5
    #[arg(long, value_name = "PERCENT", default_value = "0", allow_negative_numbers = true)]
    pub loss: Chance,

    /// Deliver so many frames twice, in per cent
    #[arg(long, value_name = "PERCENT", default_value = "0", allow_negative_numbers = true)]
    pub duplicate: Chance,

    /// Hold so many frames back for 10 ms, so that later ones overtake them, in per cent
    #[arg(long, value_name = "PERCENT", default_value = "0", allow_negative_numbers = true)]
    pub reorder: Chance,

    /// Delay each frame so long, in milliseconds
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds, allow_negative_numbers = true)]
    pub delay: Duration,

    /// Delay each frame by up to so much more, in milliseconds; frames stay in order
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds, allow_negative_numbers = true)]
    pub jitter: Duration,

    /// Separate groups of nodes, as in '1 | 2-3,5 after 10s for 5s'; repeatable
    ///
    /// Groups stand between bars; each is a list of numbers and ranges. Nodes of different groups don't hear each
    /// other; nodes in no group hear everyone. The times, in s or ms, count from the network's start, which is just
    /// before that of the first node. Without `after` the partition is there at once, without `for` it lasts.
    /// Without groups, as in 'after=10s,for=5s', node 1 is separated from all others.
    #[arg(long, value_name = "PARTITION", verbatim_doc_comment)]
    pub partition: Vec<Partition>,

    /// Decide what is lost, delayed and so on from this number: the same for the same frames
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,

    /// Write all frames to this file, for Wireshark
    ///
    /// A frame is there once, as its node sent it; its comment says what the network did to it.
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
}

impl DomainOptions {
    /// How the nodes are connected.
    pub fn wiring(&self) -> Wiring {
        Wiring { card: self.card.clone(), domain: self.domain.clone() }
    }

    /// What the network does to frames.
    pub fn impairments(&self) -> Impairments {
        Impairments {
            seed: self.seed,
            loss: self.loss,
            duplicate: self.duplicate,
            reorder: self.reorder,
            delay: self.delay,
            jitter: self.jitter,
            partitions: self.partition.clone(),
        }
    }

    /// The lines of each node but the first, by its place.
    pub fn lines(&self) -> Result<Vec<Option<String>>> {
        let mut all = vec![None; self.nodes.into()];
        for pair in self.exec_on.chunks(2) {
            let [node, lines] = pair else { bail!("--exec-on takes a node's number and lines") };
            let node = node_place(node).map_err(anyhow::Error::msg)?;
            ensure!(node != 0, "--exec-on is for the other nodes; --exec is for node 1");
            let place = all.get_mut(node).filter(|place| place.is_none());
            let place = place.ok_or_else(|| {
                anyhow::anyhow!("--exec-on {}: there is no such node, or it has lines already", node + 1)
            })?;
            *place = Some(lines.clone());
        }
        Ok(all)
    }

    /// Makes sure that what is said of nodes is about nodes that there are.
    pub fn check(&self, icount: bool) -> Result<()> {
        let nodes = usize::from(self.nodes);
        let named = self.impairments().nodes_named();
        ensure!(named <= nodes, "--partition names node {named}, but there are only {nodes}; see --nodes");
        let named = self.wiring().nodes_named();
        ensure!(named <= nodes, "--card or --domain names node {named}, but there are only {nodes}");
        ensure!(nodes > 1 || self.pcap.is_none(), "--pcap needs a network: see --nodes");
        let is_perfect = Impairments { seed: self.seed, ..Impairments::default() } == self.impairments();
        ensure!(nodes > 1 || is_perfect, "--loss, --delay and the like need a network: see --nodes");
        ensure!(nodes > 1 || !self.diskless, "--diskless needs a node with files beside it: see --nodes");
        ensure!(nodes > 1 || !self.netboot, "--netboot needs a node to start over the network: see --nodes");
        ensure!(
            nodes == 1 || !icount,
            "--icount is for one node: time would not pass while nodes wait for each other"
        );
        Ok(())
    }
}

fn node_count(text: &str) -> Result<u8, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_NODES).contains(&usize::from(*count)));
    count.ok_or_else(|| format!("a number of nodes, from 1 to {MOST_NODES}"))
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a whole number, from 0 to {}", u64::MAX))
}
