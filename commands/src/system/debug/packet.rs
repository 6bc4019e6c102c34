//! The framing of GDB's remote serial protocol: `$data#checksum`, acknowledged by `+`, asked for again by `-`, and the
//! byte 3, which interrupts. See "Remote Protocol" in GDB's manual.

use alloc::vec::Vec;

/// The longest packet that is taken, in bytes; GDB is told.
pub const MOST_BYTES: usize = 4096;

/// What came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// A packet whose checksum is right.
    Packet(Vec<u8>),
    /// One whose checksum is wrong, or that is too long.
    Damaged,
    /// The last packet sent is wanted again.
    Again,
    /// The program is to be stopped.
    Interrupt,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Between,
    Data,
    Checksum(Option<u8>),
}

/// Finds packets in what comes off the line.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    data: Vec<u8>,
    is_too_long: bool,
}

impl Parser {
    /// Takes the next byte.
    pub fn push(&mut self, byte: u8) -> Option<Incoming> {
        match (self.state, byte) {
            (State::Between | State::Data, b'$') => {
                self.data.clear();
                self.is_too_long = false;
                self.state = State::Data;
            }
            (State::Between, b'-') => return Some(Incoming::Again),
            (State::Between, 3) => return Some(Incoming::Interrupt),
            (State::Between, _) => {}
            (State::Data, b'#') => self.state = State::Checksum(None),
            (State::Data, _) if self.data.len() == MOST_BYTES => self.is_too_long = true,
            (State::Data, _) => self.data.push(byte),
            (State::Checksum(None), _) => self.state = State::Checksum(Some(byte)),
            (State::Checksum(Some(first)), _) => {
                self.state = State::Between;
                let expected = [first, byte].map(digit);
                let is_right = expected == [Some(sum(&self.data) >> 4), Some(sum(&self.data) & 15)];
                let is_whole = is_right && !self.is_too_long;
                let data = core::mem::take(&mut self.data);
                return Some(if is_whole { Incoming::Packet(data) } else { Incoming::Damaged });
            }
        }
        None
    }
}

fn sum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// The packet with this data, which has none of the bytes that would have to be escaped.
pub fn framed(data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(data.len() + 4);
    packet.push(b'$');
    packet.extend(data);
    packet.push(b'#');
    packet.extend(hex(&[sum(data)]));
    packet
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])).collect()
}

/// The bytes that hexadecimal digits say.
pub fn bytes(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let pair = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    if rest.is_empty() { pairs.iter().map(pair).collect() } else { None }
}

/// A number in hexadecimal digits.
pub fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.len() <= 16;
    let add = |number: u64, byte: &u8| Some(number << 4 | u64::from(digit(*byte)?));
    if is_number { digits.iter().try_fold(0, add) } else { None }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn parsed(line: &[u8]) -> Vec<Incoming> {
        let mut parser = Parser::default();
        line.iter().filter_map(|byte| parser.push(*byte)).collect()
    }

    #[test]
    fn packets_are_found_among_other_things() {
        let packet = |text: &[u8]| Incoming::Packet(text.to_vec());
        assert_eq!(parsed(b"+$g#67+$qC#b4"), [packet(b"g"), packet(b"qC")]);
        assert_eq!(parsed(b"\x03-$#00"), [Incoming::Interrupt, Incoming::Again, packet(b"")]);
        assert_eq!(parsed(b"$g#68$g#6x"), [Incoming::Damaged, Incoming::Damaged]);
        // A packet that was broken off, and the next.
        assert_eq!(parsed(b"$abc$g#67"), [packet(b"g")]);
        assert_eq!(framed(b"OK"), b"$OK#9a");
    }

    #[test]
    fn a_packet_without_an_end_takes_no_more_memory() {
        let mut line = vec![b'a'; 3 * MOST_BYTES];
        line[0] = b'$';
        line.extend(b"#00$g#67");
        assert_eq!(parsed(&line), [Incoming::Damaged, Incoming::Packet(b"g".to_vec())]);
    }

    #[test]
    fn digits_are_read() {
        assert_eq!(bytes(b"00fF7a"), Some(vec![0, 255, 0x7a]));
        assert_eq!((bytes(b"0"), bytes(b"0g")), (None, None));
        assert_eq!((number(b"401a"), number(b"")), (Some(0x401a), None));
        assert_eq!((number(b"ffffffffffffffff"), number(b"00000000000000001")), (Some(u64::MAX), None));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_found(data in prop::collection::vec(prop::sample::select(b"abc019:;,+-".to_vec()), 0..99)) {
            prop_assert_eq!(parsed(&framed(&data)), [Incoming::Packet(data)]);
        }

        #[test]
        fn garbage_is_survived(line in prop::collection::vec(any::<u8>(), 0..9999)) {
            parsed(&line);
        }
    }
}
