//! The host channel's framing and flow control, by example and by property.

use proptest::collection::vec;
use proptest::prelude::*;
use protocols::host_channel::{
    Damage, Decoder, Frame, InputCredit, InputGate, MAX_DATA, MAX_ENCODED, Overrun, TooLong, VERSION,
};

/// A frame that owns its data, so that lists of them can be made up.
#[derive(Clone, Debug)]
enum Said {
    Hello(u32),
    Input(Vec<u8>),
    InputEnd,
    WindowSize(u16, u16),
    Output(Vec<u8>),
    ErrorOutput(Vec<u8>),
    Credit(u32),
    Exit(u32),
}

impl Said {
    fn frame(&self) -> Frame<'_> {
        match self {
            Said::Hello(version) => Frame::Hello { version: *version },
            Said::Input(data) => Frame::Input(data),
            Said::InputEnd => Frame::InputEnd,
            Said::WindowSize(columns, rows) => Frame::WindowSize { columns: *columns, rows: *rows },
            Said::Output(data) => Frame::Output(data),
            Said::ErrorOutput(data) => Frame::ErrorOutput(data),
            Said::Credit(bytes) => Frame::Credit { bytes: *bytes },
            Said::Exit(status) => Frame::Exit { status: *status },
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    // Few distinct bytes make runs of zeros and runs of none, which is where COBS has its corners.
    let data =
        || prop_oneof![vec(any::<u8>(), 0..=MAX_DATA), vec(0u8..2, 0..=MAX_DATA), vec(1u8..2, 0..=MAX_DATA)];
    prop_oneof![
        any::<u32>().prop_map(Said::Hello),
        data().prop_map(Said::Input),
        Just(Said::InputEnd),
        any::<(u16, u16)>().prop_map(|(columns, rows)| Said::WindowSize(columns, rows)),
        data().prop_map(Said::Output),
        data().prop_map(Said::ErrorOutput),
        any::<u32>().prop_map(Said::Credit),
        any::<u32>().prop_map(Said::Exit),
    ]
}

fn encoded(frame: Frame) -> Vec<u8> {
    frame.encode(&mut [0; MAX_ENCODED]).expect("the data is short enough").to_vec()
}

/// What a decoder makes of `line`, damage left out.
fn frames(line: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new();
    line.iter().filter_map(|byte| Some(format!("{:?}", decoder.push(*byte)?.ok()?))).collect()
}

fn damage(line: &[u8]) -> Vec<Damage> {
    let mut decoder = Decoder::new();
    line.iter().filter_map(|byte| decoder.push(*byte)?.err()).collect()
}

#[test]
fn the_bytes_on_the_line_are_as_documented() {
    // Kind, version, checksum; each zero replaced by the distance to the next.
    let line = encoded(Frame::Hello { version: VERSION });
    assert_eq!(line[..3], [0, 3, 1]);
    assert_eq!(line.last(), Some(&0));
    assert!(!line[1..line.len() - 1].contains(&0));
}

#[test]
fn data_beyond_the_limit_is_refused_by_both_ends() {
    let long = [7; MAX_DATA + 1];
    assert_eq!(Frame::Output(&long).encode(&mut [0; MAX_ENCODED]), Err(TooLong));
    let mut line = vec![1; MAX_ENCODED + 1];
    line.push(0);
    assert_eq!(damage(&line), [Damage::Overlong]);
}

#[test]
fn nothing_between_delimiters_is_nothing() {
    assert_eq!(damage(&[0; 9]), []);
    assert_eq!(frames(&[0; 9]), [""; 0]);
}

#[test]
fn an_unknown_kind_is_told_from_a_garbled_frame() {
    // A whole frame of kind 99 without payload.
    let mut plain = vec![99];
    plain.extend(crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&[99]).to_le_bytes());
    let mut line = [0; 16];
    let length = corncobs::encode_buf(&plain, &mut line);
    assert_eq!(damage(&line[..length]), [Damage::Unknown]);
    line[1] ^= 1;
    assert_eq!(damage(&line[..length]), [Damage::Garbled]);
}

proptest! {
    #[test]
    fn frames_come_back_as_they_were_said(list in vec(said(), 0..8)) {
        let line: Vec<u8> = list.iter().flat_map(|said| encoded(said.frame())).collect();
        let expected: Vec<String> = list.iter().map(|said| format!("{:?}", said.frame())).collect();
        prop_assert_eq!(frames(&line), expected);
    }

    #[test]
    fn any_bytes_are_survived(line in vec(any::<u8>(), 0..4096)) {
        frames(&line);
    }

    /// Whatever garbage stands between frames, every frame is found, since each brings its own delimiters.
    #[test]
    fn garbage_costs_no_frame(list in vec((vec(any::<u8>(), 0..3000), said()), 1..4)) {
        let mut line = Vec::new();
        for (garbage, said) in &list {
            line.extend(garbage);
            line.extend(encoded(said.frame()));
        }
        prop_assert_eq!(
            frames(&line),
            list.iter().map(|(_, said)| format!("{:?}", said.frame())).collect::<Vec<_>>()
        );
    }

    /// One changed byte never yields another frame than was said, and the next frame is found again.
    #[test]
    fn a_changed_byte_is_noticed(said in said(), place in any::<prop::sample::Index>(), change in 1u8..) {
        let mut line = encoded(said.frame());
        let place = place.index(line.len());
        line[place] ^= change;
        line.extend(encoded(Frame::InputEnd));
        let found = frames(&line);
        let original = format!("{:?}", said.frame());
        prop_assert_eq!(found.last(), Some(&"InputEnd".to_owned()));
        prop_assert!(found[..found.len() - 1].iter().all(|frame| *frame == original));
    }

    /// The guest's buffer never overflows, and a reader that keeps asking gets everything.
    #[test]
    fn credit_bounds_the_guest_and_starves_nobody(
        capacity in 1u32..5000,
        total in 0usize..50_000,
        steps in vec((0usize..2000, 0usize..2000), 1..50),
    ) {
        let mut gate = InputGate::new(capacity);
        let mut credit = InputCredit::new();
        let (mut sent, mut buffered, mut read) = (0, 0usize, 0);
        for (send, take) in steps.iter().cycle().take(200_000) {
            if read == total {
                break;
            }
            if buffered == 0 {
                gate.wanted().into_iter().for_each(|bytes| credit.grant(bytes));
            }
            let bytes = (send + 1).min(credit.available()).min(total - sent);
            credit.spend(bytes);
            gate.arrived(bytes).expect("what has credit is let in");
            sent += bytes;
            buffered += bytes;
            prop_assert!(buffered <= capacity as usize);
            let bytes = (take + 1).min(buffered);
            gate.taken(bytes);
            buffered -= bytes;
            read += bytes;
        }
        prop_assert_eq!(read, total);
    }
}

#[test]
fn input_without_credit_is_an_overrun() {
    let mut gate = InputGate::new(10);
    assert_eq!(gate.arrived(1), Err(Overrun));
    assert_eq!(gate.wanted(), Some(10));
    assert_eq!(gate.wanted(), None);
    assert_eq!(gate.arrived(11), Err(Overrun));
    assert_eq!(gate.arrived(10), Ok(()));
    assert_eq!(gate.wanted(), None);
    gate.taken(10);
    assert_eq!(gate.wanted(), Some(10));
}
