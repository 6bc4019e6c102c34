//! The host channel: what comes off the serial line.

use protocols::host_channel::{Decoder, Frame, MAX_ENCODED};

/// The line as it comes, and the same bytes said in frames, which come back.
pub fn check(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    for byte in bytes {
        if let Some(Ok(frame)) = decoder.push(*byte) {
            comes_back(&frame);
        }
    }
    for data in bytes.chunks(64) {
        comes_back(&Frame::Output(data));
    }
}

/// Whatever garbage was on the line before it, a frame is understood.
fn comes_back(frame: &Frame<'_>) {
    let mut line = [0; MAX_ENCODED];
    let line = frame.encode(&mut line).expect("a frame that was taken can be said");
    let mut decoder = Decoder::new();
    assert!(decoder.push(7).is_none());
    let mut taken = 0;
    for byte in line {
        if let Some(Ok(back)) = decoder.push(*byte) {
            assert_eq!(back, *frame);
            taken += 1;
        }
    }
    assert_eq!(taken, 1, "{frame:?}");
}
