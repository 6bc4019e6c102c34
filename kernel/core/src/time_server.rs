//! The time server: clocks, delays, alarms.

use abi::kernel::TIME;
use abi::kernel::time::{AlarmSet, Clocks, Delayed, Time, TimeSet, Woken};
use abi::protocol::{Reply, refusal};
use abi::{Error, Message, Rights};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::State;
use crate::request::Answer;

/// Answers one request.
#[inline(never)]
pub(crate) fn request<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    message: &Message,
) -> Result<Answer, Error> {
    match Time::from_message(message).ok_or(Error::BadRequest)? {
        Time::Now(_) => {
            let monotonic_ns = kernel.read_clock();
            Ok(Answer::reply(&Clocks {
                monotonic_ns,
                real_ns: kernel.real_base_ns.wrapping_add(monotonic_ns),
            }))
        }
        Time::Delay(delay) => {
            if delay.until_ns <= kernel.read_clock() {
                return Ok(Answer::reply(&Delayed {}));
            }
            kernel.block_current(State::Delaying);
            kernel.processes[caller].clear_results();
            kernel.set_deadline(caller, delay.until_ns);
            Ok(Answer::Later)
        }
        Time::Wake(wake) => {
            let process = kernel.find_controlled(caller, wake.process)?;
            if kernel.processes[process].state != State::Delaying {
                return Err(Error::BadArgument);
            }
            kernel.clear_deadline(process);
            kernel.finish_delay(process, &refusal(Error::Aborted));
            Ok(Answer::reply(&Woken {}))
        }
        Time::SetAlarm(alarm) => {
            if alarm.at_ns == 0 {
                kernel.cancel_alarm(caller);
            } else {
                kernel.set_alarm(caller, alarm.at_ns, alarm.tag)?;
            }
            Ok(Answer::reply(&AlarmSet {}))
        }
        Time::SetTime(time) => {
            kernel.need_right(caller, Rights::SET_TIME)?;
            kernel.real_base_ns = time.real_ns.wrapping_sub(kernel.read_clock());
            kernel.machine.set_real_base(kernel.real_base_ns);
            Ok(Answer::reply(&TimeSet {}))
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// The time for which a process waited has come.
    pub(crate) fn end_delay(&mut self, index: ProcessIndex) {
        self.finish_delay(index, &Delayed {}.to_message());
    }

    fn finish_delay(&mut self, index: ProcessIndex, reply: &Message) {
        self.set_reply(index, TIME, reply);
        self.make_ready(index);
    }
}
