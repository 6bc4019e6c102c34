//! The statistics server: counters, the trace ring and the log.

use abi::kernel::record::StatisticsRecord;
use abi::kernel::statistics::{
    LogRead, LogWritten, Nothing, Statistics, StatisticsQueried, TraceRead, TraceSet,
};
use abi::trace::TraceRecord;
use abi::{Error, Message, Rights};

use crate::kernel::{CPUS, Kernel};
use crate::machine::{Machine, ProcessIndex};
use crate::request::Answer;

/// Most records that one request reads.
const RECORDS_AT_ONCE: u64 = 512;
/// Records that are written to the segment together.
const RECORDS_PER_WRITE: usize = 16;
/// Most bytes of the log that one request reads.
const LOG_BYTES_AT_ONCE: u64 = 16 * 1024;
/// Most bytes that one request writes.
const LOG_BYTES_PER_WRITE: usize = 256;

/// Carries out a request.
#[inline(never)]
pub(crate) fn request<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    message: &Message,
) -> Result<Answer, Error> {
    match Statistics::from_message(message).ok_or(Error::BadRequest)? {
        Statistics::Null(_) => Ok(Answer::reply(&Nothing {})),
        Statistics::QueryStatistics(_) => {
            let bytes = statistics(kernel).to_bytes();
            kernel.write_reply_segment(caller, 0, &bytes)?;
            Ok(Answer::with_segment(&StatisticsQueried {}, bytes.len() as u64))
        }
        Statistics::SetTrace(set) => {
            kernel.need_right(caller, Rights::TRACE)?;
            let previous = kernel.trace.choose(set.events);
            Ok(Answer::reply(&TraceSet { previous }))
        }
        Statistics::ReadTrace(read) => {
            kernel.need_right(caller, Rights::TRACE)?;
            read_trace(kernel, caller, read.from)
        }
        Statistics::WriteLog(_) => {
            kernel.need_right(caller, Rights::TRACE)?;
            write_log(kernel, caller)
        }
        Statistics::ReadLog(read) => {
            kernel.need_right(caller, Rights::TRACE)?;
            read_log(kernel, caller, read.from)
        }
    }
}

fn statistics<M: Machine>(kernel: &mut Kernel<M>) -> StatisticsRecord {
    let uptime_ns = kernel.read_clock();
    let counters = &kernel.counters;
    StatisticsRecord {
        total_frames: u64::from(kernel.frames.total_count()),
        free_frames: u64::from(kernel.frames.free_count()),
        kernel_frames: u64::from(kernel.kernel_frames),
        process_slots: u64::from(kernel.processes.count()),
        processes: u64::from(kernel.processes.used()),
        team_slots: kernel.teams.len() as u64,
        teams: u64::from(kernel.teams_used),
        sends: counters.sends + counters.short_sends + counters.kernel_requests,
        kernel_requests: counters.kernel_requests,
        replies: counters.replies + counters.short_replies,
        bytes_moved: counters.bytes_moved,
        switches: counters.switches + counters.short_sends + counters.short_replies,
        page_faults: counters.page_faults,
        exceptions: counters.exceptions,
        interrupts: counters.interrupts,
        timer_interrupts: counters.timer_interrupts,
        idle_ns: counters.idle_ns,
        uptime_ns,
        region_slots: u64::from(kernel.regions.count()),
        regions: u64::from(kernel.regions.used()),
        processors: CPUS as u64,
    }
}

fn read_trace<M: Machine>(kernel: &mut Kernel<M>, caller: ProcessIndex, from: u64) -> Result<Answer, Error> {
    let room = (kernel.processes[caller].grant().bytes() / TraceRecord::BYTES as u64).min(RECORDS_AT_ONCE);
    let first = kernel.trace.first_from(from);
    let mut count = 0;
    while count < room {
        let mut buffer = [[0; TraceRecord::BYTES]; RECORDS_PER_WRITE];
        let numbers = first + count..first + room;
        let records = numbers.map_while(|number| kernel.trace.get(number));
        let mut filled = 0;
        for (place, record) in buffer.iter_mut().zip(records) {
            *place = record.to_bytes();
            filled += 1;
        }
        let bytes = buffer[..filled].as_flattened();
        kernel.write_reply_segment(caller, count * TraceRecord::BYTES as u64, bytes)?;
        count += filled as u64;
        if filled < RECORDS_PER_WRITE {
            break;
        }
    }
    let reply = TraceRead { count: count as u32, next: first + count };
    Ok(Answer::with_segment(&reply, count * TraceRecord::BYTES as u64))
}

fn write_log<M: Machine>(kernel: &mut Kernel<M>, caller: ProcessIndex) -> Result<Answer, Error> {
    let granted = kernel.processes[caller].grant().bytes();
    let mut buffer = [0; LOG_BYTES_PER_WRITE];
    let bytes =
        usize::try_from(granted).ok().and_then(|count| buffer.get_mut(..count)).ok_or(Error::TooLong)?;
    kernel.read_request_segment(caller, bytes)?;
    kernel.log(bytes);
    Ok(Answer::reply(&LogWritten {}))
}

fn read_log<M: Machine>(kernel: &mut Kernel<M>, caller: ProcessIndex, from: u64) -> Result<Answer, Error> {
    let room = kernel.processes[caller].grant().bytes().min(LOG_BYTES_AT_ONCE);
    let first = kernel.log.first_from(from);
    let mut buffer = [0; LOG_BYTES_PER_WRITE];
    let mut count = 0;
    while count < room {
        let limit = (room - count).min(buffer.len() as u64);
        let bytes = kernel.log.bytes_from(first + count, limit);
        if bytes.is_empty() {
            break;
        }
        let piece = &mut buffer[..bytes.len()];
        piece.copy_from_slice(bytes);
        kernel.write_reply_segment(caller, count, piece)?;
        count += piece.len() as u64;
    }
    let reply = LogRead { count: count as u32, next: first + count };
    Ok(Answer::with_segment(&reply, count))
}

#[cfg(test)]
#[path = "tests/statistics_server.rs"]
mod tests;
