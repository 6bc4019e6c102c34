//! Packets worked out by hand from the RFC's figures, beside what the codec makes of them.
//!
//! `vectors/NAME.hex` holds a packet: hexadecimal digits, and behind a `#` what they mean and why. No line of them was
//! written by the codec, and the sums at their ends were added up by other means. Here stands, field by field, what
//! each packet says; both directions are checked.

use std::fs;
use std::path::Path;

use vmtp::EntityId;
use vmtp::packet::header::{HEADER_CHECKSUM_ONLY, MULTICAST};
use vmtp::packet::message::{
    CO_RESIDENT, CONDITIONAL, DATAGRAM, DELIVERY_MASK, MULTIPLE_RESPONSES, PUBLIC, SEGMENT,
};
use vmtp::packet::{Control, Function, Header, Message, Packet, PacketError, assemble, mask};

const CLIENT: EntityId = EntityId::from_bits(0x2abc_def1_1234_0007);
const SERVER: EntityId = EntityId::from_bits(0x20fe_dcba_0042_0003);
const THIRD: EntityId = EntityId::from_bits(0x20aa_aaaa_0001_0002);

/// The bytes of a file of vectors.
fn bytes_of(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: Vec<u8> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().chars())
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    assert!(digits.len().is_multiple_of(2), "{name} has half a byte");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The packet says this, and what says this is this packet.
fn both_ways(name: &str, header: Header, segment: &[u8]) {
    let bytes = reads(name, header, segment);
    let mut out = vec![0xee; bytes.len()];
    let written = assemble(&header, segment.len() as u32, &mut out, |stretch, place| {
        let from = stretch.group_offset as usize;
        place.copy_from_slice(&segment[from..from + place.len()]);
    });
    assert_eq!((written, &out), (Some(bytes.len()), &bytes), "{name}");
}

/// The packet says this; written anew, it would have other padding.
fn reads(name: &str, header: Header, segment: &[u8]) -> Vec<u8> {
    let bytes = bytes_of(name);
    let packet = Packet::parse(&bytes, false).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!(packet.header, header, "{name}");
    let length = mask::bytes_of(header.delivery, segment.len() as u32) as usize;
    let first = header.delivery.trailing_zeros() as usize % 32 * 512;
    assert_eq!(packet.data[..length], segment[first..first + length], "{name}");
    bytes
}

fn request(transaction: u32, words: [u32; 8]) -> Header {
    Header {
        client: CLIENT,
        domain: 3,
        control: Control::new(Function::Request),
        transaction,
        server: SERVER,
        message: Message { words },
        ..Header::default()
    }
}

fn response(words: [u32; 8]) -> Header {
    Header { control: Control::new(Function::Response), ..request(0x0102_0304, words) }
}

fn flags(flags: u32) -> Control {
    Control::new(Function::Request).and(flags)
}

#[test]
fn plain_requests_and_responses() {
    both_ways("request", request(0x0102_0304, [0x1001, 2, 0x0304_0506, 4, 5, 6, 0xffff_ffff, 7]), &[]);
    both_ways("response", response([0, 1, 2, 3, 4, 5, 6, 7]), &[]);
    both_ways("request-zero-sum", request(0x15, [0; 8]), &[]);
}

#[test]
fn every_field_has_its_place() {
    let control =
        flags(Control::NEXT_RECEIVE_SEQUENCE | Control::NOT_START_OF_RUN | Control::NO_RETRANSMISSION);
    let header = Header {
        client: EntityId::from_bits(0x8fed_cba9_8765_4321),
        domain: 0x1555,
        flags: MULTICAST,
        length_words: 2,
        control: control
            .with_retransmit_count(5)
            .with_forward_count(10)
            .with_gap_or_group_count(195)
            .with_priority(0b1100),
        transaction: 0xfedc_ba98,
        delivery: 0x8000_0001,
        server: EntityId::from_bits(0x6123_4567_89ab_cdef),
        message: Message {
            words: [
                CONDITIONAL
                    | DATAGRAM
                    | DELIVERY_MASK
                    | SEGMENT
                    | CO_RESIDENT
                    | MULTIPLE_RESPONSES
                    | PUBLIC
                    | 0xab_cdef,
                0xc000_0001,
                0xc000_0002,
                0x1111_1111,
                0x2222_2222,
                0x3333_3333,
                0x7fff_ffff,
                0x3fff,
            ],
        },
    };
    let bytes = bytes_of("request-every-field");
    let packet = Packet::parse(&bytes, false).expect("a packet");
    assert_eq!((packet.header, packet.data), (header, &b"datadata"[..]));
    assert_eq!(header.encode(), bytes[..64]);

    let header = Header {
        domain: 0x1fff,
        length_words: 2,
        control: Control(0xff80_0001)
            .with_retransmit_count(7)
            .with_forward_count(15)
            .with_gap_or_group_count(255)
            .with_priority(15),
        transaction: u32::MAX,
        delivery: 3,
        ..response([
            CONDITIONAL | DATAGRAM | DELIVERY_MASK | SEGMENT | 0x80_0000,
            0x1111_1111,
            0x2222_2222,
            0x3333_3333,
            0x4444_4444,
            0x5555_5555,
            3,
            0x208,
        ])
    };
    let bytes = bytes_of("response-every-field");
    let packet = Packet::parse(&bytes, false).expect("a packet");
    assert_eq!(packet.header, header);
    assert_eq!(header.encode(), bytes[..64]);
}

#[test]
fn each_flag_is_one_bit() {
    // The figures' bits, counted from the first octet's highest.
    let control = [
        (96, Control::NEXT_RECEIVE_SEQUENCE),
        (97, Control::ACKNOWLEDGE),
        (98, Control::NOT_START_OF_RUN),
        (99, Control::NOT_END_OF_RUN),
        (100, Control::NO_RETRANSMISSION),
        (101, Control::MEMBER_OF_GROUP),
        (102, Control::CONTINUED),
        (103, Control::SKIP_TRANSACTIONS),
        (104, Control::DELAY_RESPONSE),
    ];
    let code = [
        (256, CONDITIONAL),
        (257, DATAGRAM),
        (258, DELIVERY_MASK),
        (259, SEGMENT),
        (261, CO_RESIDENT),
        (262, MULTIPLE_RESPONSES),
        (263, PUBLIC),
    ];
    let decoded = |bit: usize| {
        let mut bytes = Header::default().encode();
        bytes[bit / 8] ^= 0x80 >> (bit % 8);
        Header::decode(&bytes).expect("no flag makes a header wrong")
    };
    for (bit, flag) in control {
        assert_eq!(decoded(bit), Header { control: Control(flag), ..Header::default() }, "bit {bit}");
    }
    for (bit, flag) in code {
        let words = [flag, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(decoded(bit), Header { message: Message { words }, ..Header::default() }, "bit {bit}");
        assert!(decoded(bit).message.has(flag));
    }
    for (bit, flags) in [(80, HEADER_CHECKSUM_ONLY), (81, 2), (82, MULTICAST)] {
        assert_eq!(decoded(bit), Header { flags, ..Header::default() }, "bit {bit}");
    }
    assert_eq!(decoded(127).control.function(), Function::Response);
    assert_eq!((decoded(105).control.retransmit_count(), decoded(107).control.retransmit_count()), (4, 1));
    assert_eq!((decoded(108).control.forward_count(), decoded(111).control.forward_count()), (8, 1));
    assert_eq!(
        (decoded(112).control.gap_or_group_count(), decoded(119).control.gap_or_group_count()),
        (128, 1)
    );
    assert_eq!((decoded(120).control.priority(), decoded(123).control.priority()), (8, 1));
}

#[test]
fn segments_are_padded() {
    let words = [SEGMENT | 0x1002, 0, 0, 0, 0, 0, 0, 5];
    let hello = Header { length_words: 2, delivery: 1, ..request(0, words) };
    let bytes = reads("request-segment-of-5", hello, b"hello");
    assert_eq!(Packet::parse(&bytes, false).expect("a packet").data.len(), 8);
    let again = Header { control: flags(Control::ACKNOWLEDGE).with_retransmit_count(1), ..request(0, words) };
    both_ways("request-again", again, &[]);
    let forwarded =
        Header { control: flags(Control::ACKNOWLEDGE).with_forward_count(1), server: THIRD, ..hello };
    both_ways("request-forwarded", forwarded, b"hello");
    let again = Header {
        length_words: 2,
        delivery: 1,
        control: Control::new(Function::Response)
            .and(Control::ACKNOWLEDGE)
            .with_retransmit_count(3)
            .with_forward_count(2)
            .with_gap_or_group_count(1),
        ..response([SEGMENT, 0, 0, 0, 0, 0, 0, 7])
    };
    reads("response-again", again, &[0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
}

#[test]
fn groups_runs_and_masks() {
    let group = Header {
        flags: MULTICAST,
        server: EntityId::from_bits(0x6000_0000_0000_0001),
        control: flags(Control::MEMBER_OF_GROUP | Control::DELAY_RESPONSE)
            .with_gap_or_group_count(32)
            .with_priority(4),
        ..request(0x10, [MULTIPLE_RESPONSES | 0x1003, 1, 2, 3, 4, 5, 6, 7])
    };
    both_ways("request-to-group", group, &[]);
    let co_resident = Header {
        server: EntityId::from_bits(0x4000_0000_0000_0009),
        ..request(0x11, [CONDITIONAL | DATAGRAM | CO_RESIDENT | 0x109, 0x20fe_dcba, 0x42_0003, 1, 2, 3, 4, 5])
    };
    both_ways("request-to-coresident", co_resident, &[]);
    assert_eq!(co_resident.message.co_resident(), Some(SERVER));
    let first = Header {
        length_words: 2,
        delivery: 1,
        control: flags(Control::NOT_END_OF_RUN | Control::CONTINUED | Control::SKIP_TRANSACTIONS),
        ..request(0x100, [SEGMENT | 0x1002, 0, 0, 0, 0, 0, 0, 0x8000])
    };
    both_ways("request-run-first", first, &[0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
    let last = Header { transaction: 0x101, control: flags(Control::NOT_START_OF_RUN), ..first };
    both_ways("request-run-last", last, &[0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
    let partial = Header {
        length_words: 2,
        delivery: 0x10,
        control: flags(Control::NO_RETRANSMISSION),
        ..request(0x12, [DELIVERY_MASK | SEGMENT | 0x1002, 0, 0, 0, 0, 0, 0x10, 0x808])
    };
    let mut segment = vec![0; 0x808];
    segment[0x800..].copy_from_slice(&[0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
    both_ways("request-partial", partial, &segment);
}

#[test]
fn runs_of_transactions() {
    let words = |code: u32| [code, 1, 2, 3, 4, 5, 6, 7];
    let start = Header { control: flags(Control::NOT_END_OF_RUN), ..request(43, words(0x1001)) };
    both_ways("request-run-start", start, &[]);
    let middle = Header { control: flags(Control::PLACE_IN_RUN), transaction: 44, ..start };
    both_ways("request-in-run", middle, &[]);
    let control = Control::new(Function::Response).and(Control::NOT_START_OF_RUN).with_gap_or_group_count(3);
    both_ways("response-batched", Header { control, transaction: 46, ..response(words(0)) }, &[]);
}

#[test]
fn checksums_may_cover_less() {
    let bytes = bytes_of("request-without-checksum");
    let header = request(0x13, [0x1001, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(Packet::parse(&bytes, true).expect("a packet").header, header);
    assert_eq!(Packet::parse(&bytes, false).unwrap_err(), PacketError::Checksum);
    let header = Header {
        flags: HEADER_CHECKSUM_ONLY,
        length_words: 2,
        delivery: 1,
        ..request(0x14, [SEGMENT | 0x1002, 0, 0, 0, 0, 0, 0, 8])
    };
    let segment = [0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef];
    both_ways("request-header-checksum", header, &segment);
    let mut bytes = bytes_of("request-header-checksum");
    bytes[64] ^= 1;
    assert!(Packet::parse(&bytes, false).is_ok(), "damage to data is not seen, as the sender chose");
    bytes[63] ^= 1;
    assert_eq!(Packet::parse(&bytes, false).unwrap_err(), PacketError::Checksum);
}

/// The notices to a client, a server and a forwarder, flags included (RFC 1045, III).
const CLIENT_CODE: u32 = 0x4500_010f;
const SERVER_CODE: u32 = 0x4500_0110;
const REMOTE_CODE: u32 = 0x4100_0111;

#[test]
fn the_managers_messages() {
    let manager = EntityId::from_bits(0x20fe_dcba_0001_0001);
    let notify = |client, transaction, words| Header {
        client,
        server: EntityId::MANAGER_GROUP,
        ..request(transaction, words)
    };
    let words = [CLIENT_CODE, 0x2abc_def1, 0x1234_0007, 1, 0, 0x0102_0304, 0xc3f, 1];
    both_ways("notify-client-retry", notify(manager, 0x21, words), &[]);
    let words = [CLIENT_CODE, 0x2abc_def1, 0x1234_0007, 0x4031_0201, 0, 0x0102_0304, u32::MAX, 0];
    both_ways("notify-client-ok", notify(manager, 0x22, words), &[]);
    let words = [CLIENT_CODE, 0x2abc_def1, 0x1234_0007, 1, 0, 44, u32::MAX, 9];
    both_ways("notify-client-overflow", notify(manager, 44, words), &[]);
    let manager = EntityId::from_bits(0x2abc_def1_0001_0001);
    let words = [SERVER_CODE, 0x20fe_dcba, 0x42_0003, 0x2abc_def1, 0x1234_0007, 0x0102_0304, 3, 1];
    both_ways("notify-server-retry", notify(manager, 0x31, words), &[]);
    let words = [SERVER_CODE, 0x20fe_dcba, 0x42_0003, 0x2abc_def1, 0x1234_0007, 0x0102_0304, 0, 15];
    both_ways("notify-server-discarded", notify(manager, 0x32, words), &[]);
    let manager = EntityId::from_bits(0x20aa_aaaa_0001_0001);
    let words = [REMOTE_CODE, 0x2abc_def1, 0x1234_0007, 0x4001_0001, 0, 0x0102_0304, 1, 0];
    both_ways("notify-remote-client", notify(manager, 0x41, words), &[]);
}

#[test]
fn probes() {
    let entity = EntityId::from_bits(0x6008_a05a_2408_004d);
    let probe = Header {
        client: EntityId::from_bits(0x0000_63f9_2408_0031),
        domain: 1,
        flags: MULTICAST,
        server: EntityId::MANAGER_GROUP,
        ..request(0x51, [0x0500_0101, 0x6008_a05a, 0x2408_004d, 0x6008_a05a, 0x2408_004d, 0, 0, 0])
    };
    both_ways("probe", probe, &[]);
    assert_eq!(probe.message.co_resident(), Some(entity));
    assert!(entity.is_group() && !probe.client.is_group());
    let answer = Header {
        client: probe.client,
        domain: 1,
        transaction: 0x51,
        server: EntityId::from_bits(0xa000_1e8f_2408_004d),
        ..response([0, 0x0a0b_0c0d, 0, 7, 0x2408_0000, 100, 0x2408_0000, 100])
    };
    both_ways("probe-response", answer, &[]);
    let block = Header {
        client: EntityId::DEFAULT_CLIENT,
        domain: 1,
        flags: MULTICAST,
        server: EntityId::MANAGER_GROUP,
        ..request(0, [0x0500_0103, 0x2abc_def1, 0x100, 0, 0, 0, 0, 0])
    };
    both_ways("probe-block", block, &[]);
}

/// The RFC's example (2.13): 14.5 blocks of which three are left out, over Ethernet, in six packets.
#[test]
fn fourteen_and_a_half_blocks() {
    let segment: Vec<u8> = (0..0x1d00u32).map(|at| (7 * at + 13 * (at >> 9) + 5) as u8).collect();
    let packets = [
        (0x0003, 256, [0x19, 0x4d, 0xd4, 0x02]),
        (0x000c, 256, [0x1b, 0x58, 0xd2, 0x00]),
        (0x0030, 256, [0x19, 0x7c, 0xd4, 0x00]),
        (0x00c0, 256, [0x1c, 0x0c, 0xd2, 0x00]),
        (0x1400, 256, [0xaf, 0xcc, 0x50, 0x81]),
        (0x6000, 192, [0x59, 0x2b, 0xb4, 0x21]),
    ];
    let mut rest = 0x74ff;
    for (delivery, length_words, checksum) in packets {
        assert_eq!(mask::first_packet(rest, 0x1d00, 1024), delivery);
        rest &= !delivery;
        let words = [DELIVERY_MASK | SEGMENT | 0x1002, 0, 0, 0, 0, 0, 0x74ff, 0x1d00];
        let header = Header { delivery, length_words, ..request(0x61, words) };
        let mut out = [0xee; 68 + 1024];
        let length = assemble(&header, 0x1d00, &mut out, |stretch, place| {
            place.copy_from_slice(&segment[stretch.group_offset as usize..][..place.len()]);
        });
        assert_eq!(length, Some(68 + 4 * usize::from(length_words)), "{delivery:x}");
        let length = length.unwrap_or_default();
        let blocks: Vec<u8> = (0..32)
            .filter(|block| delivery >> block & 1 == 1)
            .flat_map(|block| &segment[block * 512..segment.len().min(block * 512 + 512)])
            .copied()
            .collect();
        assert_eq!(out[64..length - 4], blocks, "{delivery:x}");
        assert_eq!(out[length - 4..length], checksum, "{delivery:x}");
    }
    assert_eq!(rest, 0);
}

#[test]
fn what_is_no_packet_is_refused() {
    use PacketError::{Checksum, Encrypted, Length, Version};
    let good = bytes_of("request-segment-of-5");
    for end in 0..good.len() {
        assert_eq!(Packet::parse(&good[..end], true).unwrap_err(), Length, "{end} bytes");
    }
    let longer = |bytes: usize| [&good[..], &vec![0; bytes]].concat();
    for more in [1, 4, 8, 512] {
        assert_eq!(Packet::parse(&longer(more), true).unwrap_err(), Length);
    }
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Packet::parse(&bytes, true).unwrap_err()
    };
    for version in 1..8 {
        assert_eq!(with(8, version << 5), Version);
    }
    assert_eq!(with(11, 3), Length, "an odd length");
    assert_eq!(with(11, 4), Length, "a length beyond the packet's end");
    assert_eq!(with(11, 0), Length, "a length short of it");
    for (high, low) in [(0x10, 2), (0x1f, 0xfe), (0x1f, 0xff)] {
        let mut bytes = good.clone();
        (bytes[10], bytes[11]) = (high, low);
        bytes.resize(68 + usize::from(high) * 1024 + usize::from(low) * 4, 0);
        assert_eq!(Packet::parse(&bytes, true).unwrap_err(), Length, "more than 4096 words");
    }
    for at in (0..8).chain(12..good.len()) {
        assert_eq!(with(at, good[at] ^ 1), Checksum, "octet {at}");
    }
    assert_eq!(Packet::parse(&bytes_of("response-encrypted"), true).unwrap_err(), Encrypted);
    let mut swapped = good;
    let end = swapped.len();
    swapped[end - 4..].rotate_left(2);
    assert_eq!(Packet::parse(&swapped, true).unwrap_err(), Checksum, "the first sum goes first");
}

/// On Ethernet: destination, source, type 805b, packet. The smallest packet needs no padding.
#[test]
fn on_ethernet() {
    use vmtp::encapsulation::ethernet;
    let packet = bytes_of("request");
    let header = [0x52, 0x54, 0, 0x12, 0x34, 0x02, 0x52, 0x54, 0, 0x12, 0x34, 0x01, 0x80, 0x5b];
    let mut frame = [&[0; 14], &packet[..]].concat();
    let (source, destination) = ([0x52, 0x54, 0, 0x12, 0x34, 1], [0x52, 0x54, 0, 0x12, 0x34, 2]);
    assert_eq!(ethernet::write_header(&mut frame, source, destination), Some(()));
    assert_eq!(frame, [&header, &packet[..]].concat());
    assert_eq!(ethernet::take_apart(&frame), Some((source, &packet[..])));
    assert!(frame.len() >= 60, "Ethernet pads shorter frames");
    frame[13] = 0x5c;
    assert_eq!(ethernet::take_apart(&frame), None);
}

/// Over UDP and IPv4: 20 octets of IP, its sum 2680 worked out by hand, and 8 of UDP without a checksum.
#[test]
fn over_udp() {
    use vmtp::encapsulation::udp::{self, Ends};
    let packet = bytes_of("request");
    let headers = [
        0x45, 0, 0, 96, 0, 0, 0x40, 0, 64, 17, 0x26, 0x80, 10, 0, 0, 5, 10, 0, 0, 9, // IP
        0x1f, 0xa9, 0x1f, 0xa9, 0, 76, 0, 0, // UDP: port 8105 twice, 8 + 68 octets
    ];
    let ends = Ends { source: ([10, 0, 0, 5], 8105), destination: ([10, 0, 0, 9], 8105) };
    let mut datagram = [&[0; 28], &packet[..]].concat();
    assert_eq!(udp::write_headers_4(&mut datagram, &ends), Some(()));
    assert_eq!(datagram, [&headers, &packet[..]].concat());
    assert_eq!(udp::take_apart_4(&datagram), Some((ends, &packet[..])));
    for at in 0..20 {
        let mut damaged = datagram.clone();
        damaged[at] ^= 1;
        assert_eq!(udp::take_apart_4(&damaged), None, "octet {at} of IP's header");
    }
    assert_eq!(udp::take_apart_4(&datagram[..95]), None, "cut short");
}
