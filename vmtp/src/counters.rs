//! What has happened since the engine was made.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Numbers of events. They say nothing about the engine's state: all are equal.
        #[derive(Clone, Copy, Default, Debug)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Names and numbers, for a listing.
            pub fn list(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Packets taken from the network, good ones.
    packets_received,
    /// Packets that were not VMTP's, cut, encrypted or of another version.
    packets_malformed,
    /// Packets whose checksum was wrong.
    checksum_errors,
    /// Packets of other domains or for nobody here.
    packets_ignored,
    /// Packets given out for transmission.
    packets_sent,
    /// Packet groups received whole.
    groups_received,
    /// Packet groups whose transmission was begun.
    groups_sent,
    /// Times that blocks were missing from a packet group received.
    groups_with_gaps,
    /// Packets sent again.
    retransmissions,
    /// Packets that had come before.
    duplicates,
    /// Notices sent.
    notices_sent,
    /// Notices received.
    notices_received,
    /// Probes sent.
    probes_sent,
    /// Probes answered.
    probes_answered,
    /// Sends begun.
    sends,
    /// Sends that ended in a response.
    responses,
    /// Sends that failed.
    failures,
    /// Requests delivered to local servers.
    requests,
    /// Requests delivered again because their response was idempotent.
    requests_redone,
    /// Requests that were given up by their client.
    requests_abandoned,
    /// Requests refused because nobody remembers whether they were executed.
    requests_forgotten,
    /// Requests turned away because a table or the buffers were full.
    overflows,
    /// Packets from elsewhere in the name of a local logical host.
    conflicts,
    /// Hosts declared dead.
    hosts_dead,
}

impl PartialEq for Counters {
    fn eq(&self, _: &Counters) -> bool {
        true
    }
}

impl Eq for Counters {}

impl core::hash::Hash for Counters {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}
