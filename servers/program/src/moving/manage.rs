//! The manager's part in moves: who may ask for one, what comes, and what is left when a program has gone.

use abi::Error;
use abi::protocol::Request as _;
use protocols::moving::moving::{
    InstallProgram, LeaveNoted, MoveProgram, Moving, OfferProgram, PagesDropped, PagesPut, ProgramAwaited,
    ProgramInstalled, ProgramLeft, ProgramWithdrawn, StatePut,
};
use protocols::program::program::WaitProgram;
use v::message;
use v::server::{Client, Outcome};

use super::description::Description;
use super::host;
use crate::manage::{Managing, Running, statistics};
use crate::stopping;

impl Managing {
    /// Does what a message of the protocol for moves asks.
    pub(crate) fn request_of_move(&mut self, client: &Client<'_>, request: Moving) -> Outcome<'static> {
        match request {
            Moving::MoveProgram(request) => match self.may_move(client, request) {
                Ok(known) => self.mover.ask(client.pid, &request, known),
                Err(error) => Outcome::refuse(error),
            },
            Moving::ProgramLeft(left) => Outcome::from(self.left(client, left)),
            // What follows, only other managers ask.
            _ if !client.user.is_system() => Outcome::refuse(Error::NoPermission),
            Moving::OfferProgram(offer) => Outcome::from(self.offered(client, offer)),
            Moving::PutPages(put) => {
                let outcome =
                    whole(client).and_then(|pages| self.arrivals.put_pages(client.pid, put.ticket, pages));
                Outcome::from(outcome.map(|()| PagesPut {}))
            }
            Moving::DropPages(drop) => {
                let outcome =
                    whole(client).and_then(|pages| self.arrivals.drop_pages(client.pid, drop.ticket, pages));
                Outcome::from(outcome.map(|()| PagesDropped {}))
            }
            Moving::PutState(put) => {
                let outcome =
                    whole(client).and_then(|part| self.arrivals.put_state(client.pid, put.ticket, part));
                Outcome::from(outcome.map(|()| StatePut {}))
            }
            Moving::InstallProgram(install) => Outcome::from(self.install(client, install)),
            Moving::WithdrawProgram(withdraw) => {
                let outcome = self.arrivals.withdraw(client.pid, withdraw.ticket);
                Outcome::from(outcome.map(|()| ProgramWithdrawn {}))
            }
        }
    }

    /// What is known of a program that a client wants moved, if it may.
    fn may_move(&self, client: &Client<'_>, request: MoveProgram) -> Result<Description, Error> {
        let program = self.programs.get(request.program)?;
        if client.user != program.user && !client.user.is_system() {
            return Err(Error::NoPermission);
        }
        if !self.programs.is_running(request.program) {
            return Err(Error::NonexistentProcess);
        }
        if !request.program.is_guest() {
            return Err(Error::NotMovable);
        }
        if request.manager.host() == v::node::host() {
            return Err(Error::BadArgument);
        }
        Ok(program.describe())
    }

    fn offered(&mut self, client: &Client<'_>, offer: OfferProgram) -> Result<ProgramAwaited, Error> {
        let statistics = statistics()?;
        let free_pages = statistics.free_frames + statistics.cached_frames;
        let (quota_pages, description) = (self.quota_pages, whole(client)?);
        let ticket = self.arrivals.offer(client.pid, offer.program, description, quota_pages, free_pages)?;
        Ok(ProgramAwaited { ticket })
    }

    fn install(&mut self, client: &Client<'_>, install: InstallProgram) -> Result<ProgramInstalled, Error> {
        let Some(arrived) = self.arrivals.install(client.pid, install.ticket)? else {
            return Ok(ProgramInstalled {});
        };
        let sources = arrived.description.sources();
        self.programs.started(arrived.program, arrived.description.program());
        let host = Some(self.loader.adopt_host(arrived.program.host()));
        self.running.push(Running { program: arrived.program, _image: None, files: sources, host });
        self.offers.guest_started(v::time::now_ns());
        host::thaw(arrived.program);
        // It may have been stopped at any moment of its move, which its kernel has told.
        let is_stopped = stopping::is_stopped(arrived.program);
        self.programs.set_stopped(arrived.program, is_stopped);
        Ok(ProgramInstalled {})
    }

    /// A program has left: who waits for its end waits there, and what is left of it ends.
    fn left(&mut self, client: &Client<'_>, left: ProgramLeft) -> Result<LeaveNoted, Error> {
        if !self.mover.is(client.pid) {
            return Err(Error::NoPermission);
        }
        let waiter = self.programs.left(left.program);
        // Its files and its logical host are its own still, elsewhere.
        if let Some(place) = self.running.iter().position(|running| running.program == left.program)
            && let Some(host) = self.running.swap_remove(place).host
        {
            host.has_left();
        }
        host::end(left.program);
        if let Some(waiter) = waiter {
            let tells_stop = u32::from(waiter.tells_stop);
            let wait = WaitProgram { program: left.program, tells_stop, begins: 0 }.to_message();
            if let Err(error) = message::forward(waiter.pid, left.manager, &wait) {
                // It may have ended in the meantime.
                let _ = message::reply(waiter.pid, &abi::protocol::refusal(error), &[]);
            }
        }
        Ok(LeaveNoted {})
    }
}

/// The segment of a client, which came with its request.
fn whole<'a>(client: &Client<'a>) -> Result<&'a [u8], Error> {
    if client.head.len() as u64 == client.readable_bytes()? { Ok(client.head) } else { Err(Error::TooLong) }
}
