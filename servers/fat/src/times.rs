//! FAT's dates, which are taken for those of UTC, and the time in nanoseconds since 1970.

use alloc::rc::Rc;
use core::cell::Cell;

use lamfat::{Date, DateTime, Time, TimeProvider};
use time::{Month, OffsetDateTime, PrimitiveDateTime};

const SECOND_NS: i128 = 1_000_000_000;
const MILLISECOND_NS: u32 = 1_000_000;
/// What can be written: the first day of 1980, and the last of 2107.
const FIRST_NS: i128 = 315_532_800 * SECOND_NS;
const LAST_NS: i128 = 4_354_819_199 * SECOND_NS;

/// What time it is, as the request that is being done was told.
#[derive(Clone, Debug, Default)]
pub struct Clock(pub Rc<Cell<u64>>);

impl TimeProvider for Clock {
    fn get_current_date(&self) -> Date {
        self.get_current_date_time().date
    }

    fn get_current_date_time(&self) -> DateTime {
        from_ns(self.0.get())
    }
}

/// A time as FAT has it; the nearest that it can have.
pub fn from_ns(real_ns: u64) -> DateTime {
    let real_ns = i128::from(real_ns).clamp(FIRST_NS, LAST_NS);
    let at = OffsetDateTime::from_unix_timestamp_nanos(real_ns).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let year = u16::try_from(at.year()).unwrap_or_default().clamp(1980, 2107);
    let date = Date::new(year, u8::from(at.month()).into(), at.day().into());
    let time = Time::new(at.hour().into(), at.minute().into(), at.second().into(), at.millisecond());
    DateTime::new(date, time)
}

/// In nanoseconds since 1970; 0 if there is no such date.
pub fn to_ns(at: &DateTime) -> u64 {
    let (date, time) = (&at.date, &at.time);
    let date = Month::try_from(date.month as u8)
        .and_then(|month| time::Date::from_calendar_date(date.year.into(), month, date.day as u8));
    let nanosecond = u32::from(time.millis) * MILLISECOND_NS;
    let time = time::Time::from_hms_nano(time.hour as u8, time.min as u8, time.sec as u8, nanosecond);
    match (date, time) {
        (Ok(date), Ok(time)) => {
            let ns = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp_nanos();
            u64::try_from(ns).unwrap_or_default()
        }
        _ => 0,
    }
}
