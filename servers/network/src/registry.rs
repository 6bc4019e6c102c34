//! Who has registered which type of frame, who waits for one, and which frames wait to be fetched.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::{Error, Pid};
use protocols::network::FIRST_TYPE;

/// Most bytes of frames that wait to be fetched by one process, with what each takes beside its bytes.
pub const MOST_WAITING_BYTES: usize = 512 * 1024;
const FRAME_OVERHEAD_BYTES: usize = 64;
/// Most types that are registered at a time.
pub const MOST_TYPES: usize = 64;

/// Who gets a frame, and whether its owner lives.
pub trait Clients {
    /// Replies to a process that waits for a frame: gives it one.
    fn deliver(&mut self, client: Pid, card: u32, frame: &[u8]);
    /// Replies with an error.
    fn refuse(&mut self, client: Pid, error: Error);
    /// Whether a process has ended.
    fn has_ended(&mut self, process: Pid) -> bool;
}

/// A process that waits for a frame.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    client: Pid,
    room: u64,
    until_ns: u64,
}

#[derive(Debug)]
struct Registration {
    ethertype: u16,
    owner: Pid,
    waiter: Option<Waiter>,
    /// Frames with the cards that they came by.
    frames: VecDeque<(u32, Vec<u8>)>,
    frame_bytes: usize,
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Somebody has it, or will fetch it.
    Taken,
    /// Nobody has registered its type.
    Unclaimed,
    /// Too many wait already, or it was too long for who waited.
    Dropped,
}

/// The registrations.
#[derive(Debug)]
pub struct Registry {
    registrations: Vec<Registration>,
    /// Before that nobody's time is over.
    soonest_ns: u64,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// Nobody has registered anything.
    pub const fn new() -> Registry {
        Registry { registrations: Vec::new(), soonest_ns: u64::MAX }
    }

    /// Registers a type for a process. Doing it twice changes nothing.
    pub fn register(&mut self, owner: Pid, ethertype: u32, clients: &mut impl Clients) -> Result<(), Error> {
        let narrow = u16::try_from(ethertype).ok().filter(|_| ethertype >= FIRST_TYPE);
        let ethertype = narrow.ok_or(Error::BadArgument)?;
        if let Some(at) = self.registrations.iter().position(|known| known.ethertype == ethertype) {
            let before = self.registrations[at].owner;
            if before == owner {
                return Ok(());
            }
            if !clients.has_ended(before) {
                return Err(Error::Busy);
            }
            self.registrations.swap_remove(at);
        }
        if self.registrations.len() == MOST_TYPES {
            self.registrations.retain(|known| !clients.has_ended(known.owner));
            if self.registrations.len() == MOST_TYPES {
                return Err(Error::NoResources);
            }
        }
        self.registrations.push(Registration {
            ethertype,
            owner,
            waiter: None,
            frames: VecDeque::new(),
            frame_bytes: 0,
        });
        Ok(())
    }

    /// Gives a type up.
    pub fn unregister(&mut self, owner: Pid, ethertype: u32) -> Result<(), Error> {
        let at = self.find(owner, ethertype)?;
        self.registrations.swap_remove(at);
        Ok(())
    }

    fn find(&self, owner: Pid, ethertype: u32) -> Result<usize, Error> {
        let is_it = |known: &Registration| u32::from(known.ethertype) == ethertype && known.owner == owner;
        self.registrations.iter().position(is_it).ok_or(Error::NotFound)
    }

    /// The owner wants the next frame, of at most `room` bytes: it is answered at once if one waits or the time is over.
    pub fn receive(
        &mut self,
        client: Pid,
        ethertype: u32,
        room: u64,
        until_ns: u64,
        now_ns: u64,
        clients: &mut impl Clients,
    ) -> Result<(), Error> {
        let at = self.find(client, ethertype)?;
        let registration = &mut self.registrations[at];
        match registration.frames.pop_front() {
            Some((card, frame)) => {
                registration.frame_bytes -= frame.len() + FRAME_OVERHEAD_BYTES;
                give(Waiter { client, room, until_ns }, card, &frame, clients);
                Ok(())
            }
            None if until_ns <= now_ns => Err(Error::DeadlinePassed),
            None => {
                registration.waiter = Some(Waiter { client, room, until_ns });
                self.soonest_ns = self.soonest_ns.min(until_ns);
                Ok(())
            }
        }
    }

    /// A frame has come.
    pub fn arrived(&mut self, card: u32, frame: &[u8], clients: &mut impl Clients) -> Fate {
        let ethertype = match frame.get(12..) {
            Some([high, low, ..]) => u16::from_be_bytes([*high, *low]),
            _ => return Fate::Dropped,
        };
        let is_it = |known: &&mut Registration| known.ethertype == ethertype;
        let Some(registration) = self.registrations.iter_mut().find(is_it) else {
            return Fate::Unclaimed;
        };
        if let Some(waiter) = registration.waiter.take() {
            return give(waiter, card, frame, clients);
        }
        let bytes = frame.len() + FRAME_OVERHEAD_BYTES;
        if registration.frame_bytes + bytes > MOST_WAITING_BYTES {
            return Fate::Dropped;
        }
        registration.frames.push_back((card, frame.to_vec()));
        registration.frame_bytes += bytes;
        Fate::Taken
    }

    /// Answers those whose time is over.
    pub fn expire(&mut self, now_ns: u64, clients: &mut impl Clients) {
        for registration in &mut self.registrations {
            if let Some(waiter) = registration.waiter.take_if(|waiter| waiter.until_ns <= now_ns) {
                clients.refuse(waiter.client, Error::DeadlinePassed);
            }
        }
        let waits = self.registrations.iter().filter_map(|known| Some(known.waiter?.until_ns));
        self.soonest_ns = waits.min().unwrap_or(u64::MAX);
    }

    /// Until then nobody's time is over; `u64::MAX` if nobody waits.
    #[inline]
    pub fn soonest_deadline_ns(&self) -> u64 {
        self.soonest_ns
    }
}

fn give(waiter: Waiter, card: u32, frame: &[u8], clients: &mut impl Clients) -> Fate {
    if waiter.room < frame.len() as u64 {
        clients.refuse(waiter.client, Error::TooLong);
        return Fate::Dropped;
    }
    clients.deliver(waiter.client, card, frame);
    Fate::Taken
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec;

    #[derive(Default)]
    struct Heard {
        answers: Vec<(Pid, Result<Vec<u8>, Error>)>,
        ended: Vec<Pid>,
    }

    impl Clients for Heard {
        fn deliver(&mut self, client: Pid, _card: u32, frame: &[u8]) {
            self.answers.push((client, Ok(frame.to_vec())));
        }

        fn refuse(&mut self, client: Pid, error: Error) {
            self.answers.push((client, Err(error)));
        }

        fn has_ended(&mut self, process: Pid) -> bool {
            self.ended.contains(&process)
        }
    }

    const TYPE: u32 = 0x88b5;

    fn frame(ethertype: u32, bytes: usize) -> Vec<u8> {
        let mut frame = vec![0; bytes];
        frame[12..14].copy_from_slice(&(ethertype as u16).to_be_bytes());
        frame
    }

    fn pid(number: u64) -> Pid {
        Pid::from_bits(number)
    }

    #[test]
    fn a_frame_goes_to_who_waits_and_else_waits_itself() {
        let (mut registry, mut heard) = (Registry::new(), Heard::default());
        registry.register(pid(1), TYPE, &mut heard).unwrap();
        assert_eq!(registry.arrived(0, &frame(TYPE, 60), &mut heard), Fate::Taken);
        assert_eq!(registry.arrived(0, &frame(0x800, 60), &mut heard), Fate::Unclaimed);
        assert_eq!(registry.arrived(0, &[0; 13], &mut heard), Fate::Dropped);
        registry.receive(pid(1), TYPE, 2000, 50, 10, &mut heard).unwrap();
        registry.receive(pid(1), TYPE, 2000, 50, 10, &mut heard).unwrap();
        assert_eq!(registry.soonest_deadline_ns(), 50);
        assert_eq!(registry.arrived(0, &frame(TYPE, 61), &mut heard), Fate::Taken);
        registry.receive(pid(1), TYPE, 2000, 70, 10, &mut heard).unwrap();
        registry.expire(69, &mut heard);
        assert_eq!(heard.answers.len(), 2);
        registry.expire(70, &mut heard);
        assert_eq!(heard.answers[0], (pid(1), Ok(frame(TYPE, 60))));
        assert_eq!(heard.answers[1], (pid(1), Ok(frame(TYPE, 61))));
        assert_eq!(heard.answers[2], (pid(1), Err(Error::DeadlinePassed)));
        assert_eq!(registry.receive(pid(1), TYPE, 9, 9, 10, &mut heard), Err(Error::DeadlinePassed));
        assert_eq!(registry.soonest_deadline_ns(), u64::MAX);
    }

    #[test]
    fn a_type_has_one_owner_that_lives() {
        let (mut registry, mut heard) = (Registry::new(), Heard::default());
        for bad in [0, 0x5ff, 0x1_0800, u32::MAX] {
            assert_eq!(registry.register(pid(1), bad, &mut heard), Err(Error::BadArgument));
        }
        registry.register(pid(1), TYPE, &mut heard).unwrap();
        registry.register(pid(1), TYPE, &mut heard).unwrap();
        assert_eq!(registry.register(pid(2), TYPE, &mut heard), Err(Error::Busy));
        assert_eq!(registry.receive(pid(2), TYPE, 2000, 9, 1, &mut heard), Err(Error::NotFound));
        assert_eq!(registry.unregister(pid(2), TYPE), Err(Error::NotFound));
        heard.ended.push(pid(1));
        registry.register(pid(2), TYPE, &mut heard).unwrap();
        registry.unregister(pid(2), TYPE).unwrap();
        assert_eq!(registry.arrived(0, &frame(TYPE, 60), &mut heard), Fate::Unclaimed);
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut registry, mut heard) = (Registry::new(), Heard::default());
        registry.register(pid(1), TYPE, &mut heard).unwrap();
        let mut taken = 0;
        while registry.arrived(0, &frame(TYPE, 9014), &mut heard) == Fate::Taken {
            taken += 1;
        }
        assert_eq!(taken, MOST_WAITING_BYTES / (9014 + FRAME_OVERHEAD_BYTES));
        registry.receive(pid(1), TYPE, 9013, 9, 1, &mut heard).unwrap();
        assert_eq!(heard.answers, [(pid(1), Err(Error::TooLong))]);
        assert_eq!(registry.arrived(0, &frame(TYPE, 9014), &mut heard), Fate::Taken);
        for number in 0..MOST_TYPES as u32 - 1 {
            registry.register(pid(1), 0x1000 + number, &mut heard).unwrap();
        }
        assert_eq!(registry.register(pid(2), 0x2000, &mut heard), Err(Error::NoResources));
        heard.ended.push(pid(1));
        registry.register(pid(2), 0x2000, &mut heard).unwrap();
    }
}
