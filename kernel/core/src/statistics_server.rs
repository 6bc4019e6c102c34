//! The statistics server: counters, the trace ring and the log.

use abi::kernel::record::StatisticsRecord;
use abi::kernel::statistics::{
    LogRead, LogWritten, Nothing, Statistics, StatisticsQueried, TraceRead, TraceSet,
};
use abi::trace::TraceRecord;
use abi::{Error, Message, Rights};

use crate::Result;
use crate::kernel::{CPUS, Kernel};
use crate::machine::{Machine, ProcessIndex};
use crate::request::Answer;
use crate::ring::Ring;

/// Most records that one request reads.
const RECORDS_AT_ONCE: u64 = 512;
/// Most bytes of the log that one request reads.
const LOG_BYTES_AT_ONCE: u64 = 16 * 1024;
/// Most bytes that one request writes.
const LOG_BYTES_PER_WRITE: usize = 256;
/// Bytes of a ring that are written to the segment together.
const RING_BYTES_PER_WRITE: usize = 512;

impl<M: Machine> Kernel<M> {
    /// Carries out a request.
    #[inline(never)]
    pub(crate) fn statistics_request(&mut self, caller: ProcessIndex, message: &Message) -> Result<Answer> {
        match Statistics::from_message(message).ok_or(Error::BadRequest)? {
            Statistics::Null(_) => Ok(Answer::reply(&Nothing {})),
            Statistics::QueryStatistics(_) => {
                let bytes = self.statistics().to_bytes();
                self.reply_with(caller, &StatisticsQueried {}, &bytes)
            }
            Statistics::SetTrace(set) => {
                self.need_right(caller, Rights::TRACE)?;
                let previous = self.trace.choose(set.events);
                Ok(Answer::reply(&TraceSet { previous }))
            }
            Statistics::ReadTrace(read) => {
                self.need_right(caller, Rights::TRACE)?;
                let (first, count) =
                    self.read_ring(caller, |kernel| &kernel.trace.records, read.from, RECORDS_AT_ONCE)?;
                let reply = TraceRead { count: count as u32, next: first + count };
                Ok(Answer::with_segment(&reply, count * TraceRecord::BYTES as u64))
            }
            Statistics::WriteLog(_) => {
                self.need_right(caller, Rights::TRACE)?;
                let mut buffer = [0; LOG_BYTES_PER_WRITE];
                let bytes = self.read_whole_segment(caller, &mut buffer)?;
                self.log(bytes);
                Ok(Answer::reply(&LogWritten {}))
            }
            Statistics::ReadLog(read) => {
                self.need_right(caller, Rights::TRACE)?;
                let (first, count) =
                    self.read_ring(caller, |kernel| &kernel.log, read.from, LOG_BYTES_AT_ONCE)?;
                Ok(Answer::with_segment(&LogRead { count: count as u32, next: first + count }, count))
            }
        }
    }

    fn statistics(&mut self) -> StatisticsRecord {
        let uptime_ns = self.read_clock();
        let (counted, short) = (&self.counters, &self.short_calls);
        StatisticsRecord {
            total_frames: u64::from(self.frames.total_count()),
            free_frames: u64::from(self.frames.free_count()),
            kernel_frames: u64::from(self.kernel_frames),
            process_slots: u64::from(self.processes.count()),
            processes: u64::from(self.processes.used()),
            team_slots: self.teams.len() as u64,
            teams: u64::from(self.teams_used),
            sends: counted.sends + short.sends + counted.kernel_requests,
            replies: counted.replies + short.replies,
            switches: counted.switches + short.sends + short.replies,
            uptime_ns,
            region_slots: u64::from(self.regions.count()),
            regions: u64::from(self.regions.used()),
            processors: CPUS as u64,
            cached_frames: u64::from(self.cache.used()),
            dirty_frames: u64::from(self.cache.dirty()),
            ..*counted
        }
    }

    /// Writes items of a ring into the caller's segment, from number `from` on, `most` at most. The number of the first,
    /// and how many.
    fn read_ring<const BYTES: usize>(
        &mut self,
        caller: ProcessIndex,
        ring: impl Fn(&Kernel<M>) -> &Ring<BYTES>,
        from: u64,
        most: u64,
    ) -> Result<(u64, u64)> {
        let room = most.min(self.processes[caller].grant().bytes() / BYTES as u64);
        let first = ring(self).first_from(from);
        let mut buffer = [0; RING_BYTES_PER_WRITE];
        let mut count = 0;
        while count < room {
            let limit = (room - count).min((RING_BYTES_PER_WRITE / BYTES) as u64);
            let row = ring(self).row_from(first + count, limit);
            if row.is_empty() {
                break;
            }
            let piece = &mut buffer[..row.len()];
            piece.copy_from_slice(row);
            self.write_reply_segment(caller, count * BYTES as u64, piece)?;
            count += (piece.len() / BYTES) as u64;
        }
        Ok((first, count))
    }
}

#[cfg(test)]
#[path = "tests/statistics_server.rs"]
mod tests;
