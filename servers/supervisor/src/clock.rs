//! The date at boot: from a PC's real-time clock, which is taken to show universal time, to the kernel.
//!
//! The kernel knows only the time since boot; what the clock on the board shows is as much its business as any other
//! device. Until this has run, the date is that of 1970.

use abi::kernel::{self, time};
use v::Segment;

use crate::ports::{read_port, write_port};

/// The clock's ports: which register, and its value.
const REGISTER_PORT: u16 = 0x70;
const VALUE_PORT: u16 = 0x71;
/// Readings before a clock that never shows the same twice is given up.
const TRIES: u32 = 1000;

/// Sets the kernel's date, where the clock makes sense.
pub fn set_date() {
    let read = |register: u8| {
        write_port(REGISTER_PORT, 1, register.into());
        read_port(VALUE_PORT, 1) as u8
    };
    if let Some(seconds) = seconds_since_1970(read) {
        let request = time::SetTime { real_ns: seconds * 1_000_000_000 };
        let _ = v::call(kernel::server(kernel::TIME), &request, Segment::None);
    }
}

/// Seconds since 1970 by a clock whose registers `read` reads.
pub fn seconds_since_1970(mut read: impl FnMut(u8) -> u8) -> Option<u64> {
    // Two equal readings, neither during an update, are right.
    let mut last = None;
    for _ in 0..TRIES {
        let reading = read_date(&mut read);
        if reading.is_some() && reading == last {
            break;
        }
        last = reading;
    }
    seconds_of(last?)
}

/// Second, minute, hour, day, month, year of the century.
type Date = [u8; 6];

fn read_date(mut read: impl FnMut(u8) -> u8) -> Option<Date> {
    const STATUS_A: u8 = 0x0a;
    const STATUS_B: u8 = 0x0b;
    const UPDATING: u8 = 1 << 7;
    const BINARY: u8 = 1 << 2;
    const TWENTY_FOUR_HOURS: u8 = 1 << 1;
    const AFTERNOON: u8 = 1 << 7;
    if read(STATUS_A) & UPDATING != 0 {
        return None;
    }
    let status = read(STATUS_B);
    let number = |value: u8| {
        if status & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 15) }
    };
    let mut date = [0, 2, 4, 7, 8, 9].map(read);
    let afternoon = status & TWENTY_FOUR_HOURS == 0 && date[2] & AFTERNOON != 0;
    if status & TWENTY_FOUR_HOURS == 0 {
        date[2] &= !AFTERNOON;
    }
    let mut date = date.map(number);
    if status & TWENTY_FOUR_HOURS == 0 {
        date[2] = date[2] % 12 + if afternoon { 12 } else { 0 };
    }
    Some(date)
}

fn seconds_of([second, minute, hour, day, month, year]: Date) -> Option<u64> {
    const DAYS_BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    if second > 60 || minute > 59 || hour > 23 || !(1..=31).contains(&day) || year > 99 {
        return None;
    }
    let before_month = *DAYS_BEFORE_MONTH.get(usize::from(month).checked_sub(1)?)?;
    let year = 2000 + u64::from(year);
    // From 1970 to 2099 every fourth year is a leap year.
    let leap_days = (year - 1969) / 4 + u64::from(year.is_multiple_of(4) && month > 2);
    let days = (year - 1970) * 365 + leap_days + before_month + u64::from(day) - 1;
    Some(days * 86_400 + u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use proptest::prelude::*;

    /// A clock's registers: the date in the order of [`Date`], and status b.
    fn clock(date: [u8; 6], status: u8) -> impl FnMut(u8) -> u8 {
        move |register| match register {
            0x0a => 0,
            0x0b => status,
            other => date[[0, 2, 4, 7, 8, 9].iter().position(|one| *one == other).unwrap()],
        }
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        // 2024-02-29 13:05:59.
        let seconds = Some(1_709_211_959);
        assert_eq!(seconds_since_1970(clock([59, 5, 13, 29, 2, 24], 6)), seconds);
        assert_eq!(seconds_since_1970(clock([0x59, 0x05, 0x13, 0x29, 0x02, 0x24], 2)), seconds);
        assert_eq!(seconds_since_1970(clock([0x59, 0x05, 0x81, 0x29, 0x02, 0x24], 0)), seconds);
        assert_eq!(seconds_since_1970(clock([59, 5, 0x81, 29, 2, 24], 4)), seconds);
        assert_eq!(seconds_since_1970(clock([0, 0, 12, 1, 1, 0], 4)), Some(946_684_800), "midnight is 12 am");
    }

    #[test]
    fn a_reading_during_an_update_does_not_count() {
        let mut date = clock([0x59, 0x05, 0x13, 0x29, 0x02, 0x24], 2);
        let mut updates = 3;
        let read = |register: u8| {
            if register == 0x0a && updates > 0 {
                updates -= 1;
                return 0x80;
            }
            // A date that is only half there.
            if updates > 0 { 0x10 } else { date(register) }
        };
        assert_eq!(seconds_since_1970(read), Some(1_709_211_959));
        assert_eq!(seconds_since_1970(|_| 0xff), None, "no clock");
    }

    proptest! {
        #[test]
        fn no_clock_confuses_the_reader(date: [u8; 6], status: u8) {
            let seconds = seconds_since_1970(clock(date, status));
            prop_assert!(seconds.is_none_or(|seconds| (946_684_800..4_102_444_801).contains(&seconds)));
        }
    }
}
