//! What an engine is made for: the sizes of its tables and the protocol's times.

use crate::packet::header::DOMAIN_MAX;
use crate::packet::{CHECKSUM_BYTES, HEADER_BYTES, SEGMENT_BYTES, SMALLEST_MTU_BYTES};

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1000 * MILLISECOND_NS;

/// See the fields. [`Configuration::default`] fits a node on a local Ethernet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Configuration {
    /// The entities' naming domain, below 8192. Packets of other domains are dropped.
    pub domain: u16,
    /// Bytes of the largest packet that the link carries beside its own headers.
    pub mtu_bytes: u32,
    /// Time on the link of a packet of `mtu_bytes`: the unit, 32 times over, of the gap between packets.
    pub packet_time_ns: u64,
    /// Leave segment data out of the checksum (HCO), where the link checks them.
    pub header_checksum_only: bool,
    /// Take packets without a checksum.
    pub accept_unchecked: bool,

    /// Transactions of local clients at a time.
    pub clients: usize,
    /// Transactions of one client's run that may be outstanding, and of one remote client's that are remembered; up to
    /// 255, and 0 to refuse runs.
    pub run_length: usize,
    /// Responses of groups' members to transactions under way, at a time.
    pub group_responses: usize,
    /// Remembered transactions of remote clients, answered ones included. A host may hold no more than are free, so
    /// that none keeps the others out; of the buffers, too.
    pub servers: usize,
    /// Remote logical hosts known at a time.
    pub hosts: usize,
    /// Buffers for segments that come in.
    pub buffers: usize,
    /// Bytes of such a buffer: the longest segment that is received.
    pub buffer_bytes: u32,
    /// Local logical hosts at a time, claims to such included.
    pub local_hosts: usize,
    /// Groups with local members at a time.
    pub groups: usize,
    /// Whether requests to any group are delivered: who drives the engine knows the groups, and refuses what is for none
    /// of its members.
    pub any_group: bool,
    /// Answers without a record of their own, such as error notices, that wait for transmission at a time.
    pub control_packets: usize,

    /// How long a packet may wander about in the network.
    pub maximum_packet_lifetime_ns: u64,
    /// How long an answered transaction is remembered (TS4); at least `maximum_packet_lifetime_ns`. One with a group
    /// is remembered for twice that time only, if it is less.
    pub retention_ns: u64,
    /// What most requests take at the server (TC1 less TC2).
    pub service_time_ns: u64,
    /// Round trip time of a host that has not been measured yet (TC2).
    pub round_trip_ns: u64,
    /// Shortest time before a retransmission.
    pub retransmit_min_ns: u64,
    /// Longest time between retransmissions to a host that does not answer. Much less than `retention_ns`: where a third of
    /// all packets is lost, many must be tried before the response is forgotten.
    pub retransmit_max_ns: u64,
    /// Longest time between polls of a server that is at work on a request. Never more than half of `retention_ns`: a
    /// response that was lost must still be there when the client asks again.
    pub poll_max_ns: u64,
    /// Longest expected time between packets of a group (TC3, TS1).
    pub group_gap_ns: u64,
    /// Retransmissions without an answer before a transaction may be given up (`RequestRetries`, `ResponseRetries`).
    pub retries: u8,
    /// How long a host must have been silent, too, before it counts as dead.
    pub silence_ns: u64,
    /// How long a server works without word from the client before the engine asks whether it still waits (TS2).
    pub orphan_ns: u64,
    /// Probes for a logical host before it is used.
    pub claim_probes: u8,
    /// Time between them.
    pub claim_interval_ns: u64,
    /// Time between announcements of a claimed logical host.
    pub announce_ns: u64,
    /// How long a host with no transactions is remembered.
    pub host_idle_ns: u64,
}

impl Default for Configuration {
    fn default() -> Configuration {
        Configuration {
            domain: 3,
            mtu_bytes: 1500,
            packet_time_ns: 12_000,
            header_checksum_only: false,
            accept_unchecked: false,
            clients: 256,
            run_length: 8,
            group_responses: 64,
            servers: 512,
            hosts: 256,
            buffers: 64,
            buffer_bytes: 64 * 1024 + 24,
            local_hosts: 16,
            groups: 64,
            any_group: false,
            control_packets: 64,
            maximum_packet_lifetime_ns: SECOND_NS,
            retention_ns: 4 * SECOND_NS,
            service_time_ns: 200 * MILLISECOND_NS,
            round_trip_ns: 20 * MILLISECOND_NS,
            retransmit_min_ns: 5 * MILLISECOND_NS,
            retransmit_max_ns: 250 * MILLISECOND_NS,
            poll_max_ns: 5 * SECOND_NS,
            group_gap_ns: 10 * MILLISECOND_NS,
            retries: 5,
            silence_ns: 5 * SECOND_NS,
            orphan_ns: 15 * SECOND_NS,
            claim_probes: 3,
            claim_interval_ns: 50 * MILLISECOND_NS,
            announce_ns: 60 * SECOND_NS,
            host_idle_ns: 600 * SECOND_NS,
        }
    }
}

impl Configuration {
    /// Bytes of segment data that go into one packet: what the link leaves, a multiple of 8, up to a packet group.
    pub(crate) fn room_bytes(&self) -> u32 {
        let overhead = (HEADER_BYTES + CHECKSUM_BYTES) as u32;
        (self.mtu_bytes - overhead).min(crate::packet::GROUP_BYTES as u32) / 8 * 8
    }

    /// See `poll_max_ns`.
    pub(crate) fn longest_poll_ns(&self) -> u64 {
        self.poll_max_ns.min(self.retention_ns / 2)
    }

    /// Panics with the field that cannot be.
    pub(crate) fn check(&self) {
        assert!(self.domain <= DOMAIN_MAX, "domain: 13 bits");
        assert!(self.mtu_bytes as usize >= SMALLEST_MTU_BYTES, "mtu_bytes: must carry one block");
        assert!(self.buffer_bytes as usize <= SEGMENT_BYTES, "buffer_bytes: beyond the largest message");
        assert!(self.retransmit_min_ns <= self.retransmit_max_ns, "retransmit_min_ns: above the longest");
        assert!(u8::try_from(self.run_length).is_ok(), "run_length: more than a response can stand for");
        assert!(self.local_hosts >= 1, "local_hosts: at least one");
        assert!(
            self.clients + self.servers + self.hosts < crate::manager::NODES_MAX,
            "clients, servers and hosts: too many"
        );
        assert!(
            self.retention_ns >= self.maximum_packet_lifetime_ns,
            "retention_ns: what is forgotten sooner could be executed twice"
        );
    }
}
