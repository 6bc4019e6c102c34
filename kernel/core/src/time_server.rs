//! The time server: clocks, delays, alarms.

use abi::kernel::time::{AlarmSet, Clocks, Delayed, Time, TimeSet};
use abi::{Error, Message, Rights};

use crate::Result;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::State;
use crate::request::Answer;

impl<M: Machine> Kernel<M> {
    /// Answers one request.
    #[inline(never)]
    pub(crate) fn time_request(&mut self, caller: ProcessIndex, message: &Message) -> Result<Answer> {
        match Time::from_message(message).ok_or(Error::BadRequest)? {
            Time::Now(_) => {
                let now = self.read_clock();
                Ok(Answer::reply(&Clocks {
                    monotonic_ns: self.own_time(caller, now),
                    real_ns: self.real_base_ns.wrapping_add(now),
                }))
            }
            Time::Delay(delay) => {
                let now = self.read_clock();
                if delay.until_ns > self.own_time(caller, now) {
                    self.block_current(State::Delaying);
                    self.processes[caller].clear_results();
                    self.set_own_deadline(caller, delay.until_ns);
                }
                Ok(Answer::reply(&Delayed {}))
            }
            Time::SetAlarm(alarm) => {
                if alarm.at_ns == 0 {
                    self.cancel_alarm(caller);
                } else {
                    self.set_alarm(caller, alarm.at_ns, alarm.tag)?;
                }
                Ok(Answer::reply(&AlarmSet {}))
            }
            Time::SetTime(time) => {
                self.need_right(caller, Rights::SET_TIME)?;
                self.real_base_ns = time.real_ns.wrapping_sub(self.read_clock());
                self.machine.set_real_base(self.real_base_ns);
                Ok(Answer::reply(&TimeSet {}))
            }
        }
    }
}
