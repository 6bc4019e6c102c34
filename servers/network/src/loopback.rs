//! Frames that come back by themselves: Ethernet's configuration testing protocol (Ethernet version 2, chapter 8), by which
//! a station sends a frame on to the station that the frame names. So a node measures the way to another's driver and
//! back without a program there.
//!
//! A frame's content is a number of bytes to skip and, behind those, a function: *forward*, with a station, or *reply*,
//! which is for whoever has registered the type. A frame that is sent on skips eight bytes more, so none goes round for
//! ever.

use network_card::{HEAD_BYTES, Station};
use protocols::network::loopback;

/// Bytes of a frame's head and of the number behind it.
pub const ONWARD_BYTES: usize = HEAD_BYTES + 2;
const FORWARD_BYTES: u16 = 8;

/// If a frame that has come to the station `own` is to be sent on, how it begins then; what follows stays as it is. Nothing
/// goes to a group: one frame would become many.
pub fn onward(frame: &[u8], own: Station) -> Option<[u8; ONWARD_BYTES]> {
    let (destination, rest) = frame.split_first_chunk::<6>()?;
    let (_, rest) = rest.split_first_chunk::<6>()?;
    let (ethertype, content) = rest.split_first_chunk::<2>()?;
    if *destination != own.0 || u16::from_be_bytes(*ethertype) != loopback::ETHERTYPE {
        return None;
    }
    let (skipped, functions) = content.split_first_chunk::<2>()?;
    let skipped = u16::from_le_bytes(*skipped);
    let [low, high, to @ ..] =
        *functions.get(usize::from(skipped)..)?.first_chunk::<{ FORWARD_BYTES as usize }>()?;
    if u16::from_le_bytes([low, high]) != loopback::FORWARD || to[0] & 1 != 0 {
        return None;
    }
    let skipped = skipped.checked_add(FORWARD_BYTES)?;
    let mut head = [0; ONWARD_BYTES];
    head[..6].copy_from_slice(&to);
    head[6..12].copy_from_slice(&own.0);
    head[12..HEAD_BYTES].copy_from_slice(ethertype);
    head[HEAD_BYTES..].copy_from_slice(&skipped.to_le_bytes());
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Station = Station([2, 0, 0, 0, 0, 1]);
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn frame(skipped: u16, function: u16, to: [u8; 6]) -> [u8; 60] {
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&OWN.0);
        frame[6..12].copy_from_slice(&OTHER);
        frame[12..14].copy_from_slice(&loopback::ETHERTYPE.to_be_bytes());
        frame[14..16].copy_from_slice(&skipped.to_le_bytes());
        frame[16..18].copy_from_slice(&function.to_le_bytes());
        frame[18..24].copy_from_slice(&to);
        frame
    }

    #[test]
    fn a_frame_goes_to_the_station_that_it_names() {
        let asked = frame(0, loopback::FORWARD, OTHER);
        let head = onward(&asked, OWN).unwrap();
        assert_eq!(head[..6], OTHER);
        assert_eq!(head[6..12], OWN.0);
        assert_eq!(head[12..], [0x90, 0, 8, 0]);
        // Behind what it skips then is nothing to be forwarded.
        let mut again = asked;
        again[..ONWARD_BYTES].copy_from_slice(&head);
        again[..6].copy_from_slice(&OWN.0);
        assert_eq!(onward(&again, OWN), None);
    }

    #[test]
    fn what_is_not_to_be_sent_on_stays() {
        let asked = frame(0, loopback::FORWARD, OTHER);
        assert_eq!(onward(&asked, Station(OTHER)), None, "it came to another station");
        assert_eq!(onward(&frame(0, loopback::REPLY, OTHER), OWN), None);
        assert_eq!(onward(&frame(0, loopback::FORWARD, [0xff; 6]), OWN), None, "to everyone");
        assert_eq!(onward(&frame(u16::MAX, loopback::FORWARD, OTHER), OWN), None);
        let mut other_type = asked;
        other_type[13] = 1;
        assert_eq!(onward(&other_type, OWN), None);
        // Behind the frame's end nothing is looked at.
        for skipped in 37..=u16::MAX {
            assert_eq!(onward(&frame(skipped, loopback::FORWARD, OTHER), OWN), None, "{skipped} bytes");
        }
        for bytes in 0..24 {
            assert_eq!(onward(&asked[..bytes], OWN), None, "{bytes} bytes");
        }
        assert!(onward(&asked[..24], OWN).is_some());
    }
}
