//! Programs that leave: the process beside the manager that takes the steps, and may wait for the other node.
//!
//! As with the [loader](crate::loader), the manager forwards a client that wants a program moved to the mover, and puts
//! down what only it knows of the program; the mover answers the client itself. When a program has left, it tells the
//! manager, which forwards to the other node who waits for the program's end, and ends what is left of it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::protocol::{Reply as _, Request as _, refusal};
use abi::{Error, Message, PAGE_BYTES, Pid};
use protocols::io::io;
use protocols::moving::moving::{
    DropPages, InstallProgram, MoveProgram, OfferProgram, ProgramLeft, ProgramMoved, PutPages, PutState,
    WithdrawProgram,
};
use v::server::{self, Client, Options, Outcome, Server};
use v::sync::Mutex;
use v::time::{self, Duration};
use v::{Segment, memory, message};

use super::description::{Description, Region};
use super::host;
use super::steps::{self, Away, Home};
use crate::programs::Stream;

const STACK_BYTES: usize = 64 * 1024;
const PAUSE: Duration = Duration::from_millis(1);

/// What the manager has put down for the mover: a client, and what is known of the program that it wants moved.
type Departing = Mutex<Vec<(Pid, Description)>>;

/// The mover, seen from the manager.
#[derive(Debug)]
pub struct Mover {
    process: Pid,
    departing: Arc<Departing>,
}

impl Mover {
    /// Starts it, for the manager whose process is `manager`.
    pub fn start(manager: Pid) -> Result<Mover, Error> {
        let departing = Arc::new(Departing::default());
        let mut moving = Moving { manager, departing: Arc::clone(&departing) };
        let body = move || server::serve(&mut moving, Options::default());
        let thread = v::process::spawn_thread(STACK_BYTES, body)?;
        let process = thread.pid();
        // It runs as long as the manager.
        core::mem::forget(thread);
        Ok(Mover { process, departing })
    }

    /// Hands a client over to it, with what is known of its program; the regions are the mover's to see.
    pub fn ask(&self, client: Pid, request: &MoveProgram, known: Description) -> Outcome<'static> {
        let mut departing = self.departing.lock();
        departing.retain(|(other, _)| *other != client);
        departing.push((client, known));
        drop(departing);
        match message::forward(client, self.process, &request.to_message()) {
            Ok(()) => Outcome::Later,
            Err(error) => Outcome::refuse(error),
        }
    }

    /// Whether a process is the mover.
    pub fn is(&self, process: Pid) -> bool {
        process == self.process
    }
}

/// The mover itself.
struct Moving {
    manager: Pid,
    departing: Arc<Departing>,
}

impl Server for Moving {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        let mut departing = self.departing.lock();
        let place = departing.iter().position(|(other, _)| *other == client.pid);
        let known = place.map(|place| departing.swap_remove(place).1);
        drop(departing);
        let (Some(known), MoveProgram::CODE) = (known, message.code()) else {
            return Outcome::refuse(Error::BadRequest);
        };
        let request = MoveProgram::from_message(message);
        Outcome::Reply(match self.move_program(&request, known) {
            Ok(moved) => moved.to_message(),
            Err(error) => refusal(error),
        })
    }
}

impl Moving {
    fn move_program(&self, request: &MoveProgram, known: Description) -> Result<ProgramMoved, Error> {
        let MoveProgram { program, manager: to } = *request;
        let mut home = Leaving { program, known, to, manager: self.manager, is_first: true };
        let mut away = Receiving { manager: to, program, ticket: 0 };
        let moved = steps::move_program(&mut home, &mut away)?;
        Ok(ProgramMoved {
            frozen_us: u32::try_from(moved.frozen_ns / 1000).unwrap_or(u32::MAX),
            running_pages: moved.running_pages,
            frozen_pages: moved.frozen_pages,
            rounds: moved.rounds,
            state_bytes: moved.state_bytes,
        })
    }
}

/// A program of this node that is to leave.
struct Leaving {
    program: Pid,
    known: Description,
    to: Pid,
    manager: Pid,
    is_first: bool,
}

impl Home for Leaving {
    fn describe(&mut self) -> Result<Vec<u8>, Error> {
        let team = memory::query_team(self.program)?;
        self.known.quota_processes = team.quota_processes;
        self.known.resident_pages = team.used_pages.into();
        self.known.regions = regions(self.program)?;
        self.is_first = true;
        // The files that it is bound to stay open as long as it lives, whichever manager it has.
        for Stream { server, instance } in self.known.sources() {
            v::call(server, &io::Share { instance, owner: self.program }, Segment::None)?;
        }
        self.known.to_bytes()
    }

    fn is_as_described(&mut self) -> Result<bool, Error> {
        Ok(regions(self.program)? == self.known.regions)
    }

    fn written(&mut self) -> Result<Vec<u64>, Error> {
        let is_first = core::mem::take(&mut self.is_first);
        let mut all = if is_first { host::take_written(self.program, true)? } else { Vec::new() };
        all.extend(host::take_written(self.program, false)?);
        Ok(all)
    }

    fn own(&mut self) -> Result<Vec<u64>, Error> {
        host::take_written(self.program, true)
    }

    fn read(&mut self, address: u64, page: &mut [u8]) -> Result<bool, Error> {
        host::read_page(self.program, address, page)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let shared =
            |region: &&Region| region.source.is_some() && region.protection & memory::protection::SHARED != 0;
        for region in self.known.regions.iter().filter(shared) {
            memory::flush(self.program, region.address, region.pages)?;
        }
        Ok(())
    }

    fn freeze(&mut self) -> Result<(), Error> {
        host::freeze(self.program)
    }

    fn thaw(&mut self) {
        host::thaw(self.program);
    }

    fn export(&mut self) -> Result<Vec<u8>, Error> {
        host::export(self.program.host(), self.program)
    }

    fn import(&mut self, state: &[u8]) {
        match host::import(self.program.host(), self.program, state) {
            Ok(()) => host::thaw(self.program),
            Err(error) => v::log::error!("{} could not be moved, nor go on here: {error}", self.program),
        }
    }

    fn is_elsewhere(&mut self) -> bool {
        v::process::identify_anywhere(self.program).is_ok()
    }

    fn leave(&mut self) {
        let left = ProgramLeft { program: self.program, manager: self.to };
        if let Err(error) = v::call(self.manager, &left, Segment::None) {
            v::log::error!("{} has moved, and its manager does not want to know it: {error}", self.program);
        }
    }

    fn pause(&mut self) {
        // It is only to let others go on.
        let _ = time::sleep(PAUSE);
    }

    fn now_ns(&mut self) -> u64 {
        time::now_ns()
    }
}

/// The regions of a program.
fn regions(program: Pid) -> Result<Vec<Region>, Error> {
    let mut regions = Vec::new();
    let mut address = 0;
    loop {
        let (found, binding) = match memory::query_region(program, address) {
            Ok(found) => found,
            Err(Error::NotMapped) => return Ok(regions),
            Err(error) => return Err(error),
        };
        let pager = Pid::from_bits(binding.pager);
        let source = (!pager.is_none())
            .then_some((Stream { server: pager, instance: binding.instance as u32 }, binding.position));
        regions.push(Region {
            address: found.address,
            pages: found.pages,
            protection: found.protection,
            source,
        });
        address = found.address + u64::from(found.pages) * PAGE_BYTES;
    }
}

/// The manager of the node where it goes.
struct Receiving {
    manager: Pid,
    program: Pid,
    ticket: u32,
}

impl Away for Receiving {
    fn offer(&mut self, description: &[u8]) -> Result<(), Error> {
        let offer = OfferProgram { program: self.program };
        self.ticket = v::call(self.manager, &offer, Segment::Read(description))?.ticket;
        Ok(())
    }

    fn put_pages(&mut self, pages: &[u8]) -> Result<(), Error> {
        // The same pages twice are the same.
        let put = PutPages { ticket: self.ticket };
        message::again(true, || v::call(self.manager, &put, Segment::Read(pages))).map(|_| ())
    }

    fn drop_pages(&mut self, addresses: &[u64]) -> Result<(), Error> {
        let drop = DropPages { ticket: self.ticket };
        let bytes: Vec<u8> = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
        message::again(true, || v::call(self.manager, &drop, Segment::Read(&bytes))).map(|_| ())
    }

    fn put_state(&mut self, part: &[u8]) -> Result<(), Error> {
        v::call(self.manager, &PutState { ticket: self.ticket }, Segment::Read(part)).map(|_| ())
    }

    fn install(&mut self) -> Result<(), Error> {
        v::call(self.manager, &InstallProgram { ticket: self.ticket }, Segment::None).map(|_| ())
    }

    fn withdraw(&mut self) {
        // A ticket that nobody uses ends by itself.
        let _ = v::call(self.manager, &WithdrawProgram { ticket: self.ticket }, Segment::None);
    }
}
