//! The naming server at work.
//!
//! A look-up of a prefix whose server has died is not refused: it waits for the server to be restarted and to
//! register again, up to [`RESTART_PATIENCE_NS`]. The table is kept by the supervisor, so that a naming server that is
//! restarted knows every prefix that its earlier life knew.

use alloc::string::String;
use alloc::vec::Vec;

use abi::protocol::{Reply, refusal};
use abi::{Error, Message, Pid, Rights};
use io_server::IoServer;
use io_server::serve::{Kernel, request};
use protocols::naming::naming::{Enumerated, Located, Naming, Register, Registered, Resolved, Unregistered};
use protocols::naming::{MAX_PREFIX_BYTES, PREFIXES, RESTART_PATIENCE_NS};
use protocols::supervisor::{MAX_STATE_BYTES, supervisor};
use v::server::{Client, Outcome, Server};
use v::{Segment, message, time};

use crate::directory::{Directory, LIMITS};
use crate::table::{Binding, Table};

/// Most look-ups that wait.
const MOST_WAITING: usize = 4096;

/// A look-up that waits for its prefix's server.
#[derive(Debug)]
struct Waiting {
    client: Pid,
    name: String,
    until_ns: u64,
}

/// All that the naming server knows.
#[derive(Debug)]
pub struct Answering {
    files: IoServer<Directory>,
    waiting: Vec<Waiting>,
    supervisor: Pid,
    own: Pid,
}

impl Answering {
    /// Takes over what the earlier life knew, and adds the prefixes of the supervisor and of the server itself.
    pub fn new(supervisor: Pid, own: Pid) -> Result<Answering, Error> {
        let mut bytes = alloc::vec![0; MAX_STATE_BYTES];
        let load = supervisor::LoadState {};
        let loaded = v::call(supervisor, &load, Segment::Write(&mut bytes))?;
        let mut table = Table::decode(bytes.get(..loaded.count as usize).ok_or(Error::BadReply)?);
        table.register("supervisor", supervisor, 0, false, |_| false)?;
        table.register("naming", own, PREFIXES, false, |_| false)?;
        Ok(Answering {
            files: IoServer::new(Directory { table }, LIMITS),
            waiting: Vec::new(),
            supervisor,
            own,
        })
    }

    const fn table(&self) -> &Table {
        &self.files.service.table
    }

    const fn table_mut(&mut self) -> &mut Table {
        &mut self.files.service.table
    }

    fn resolve(&mut self, client: &Client<'_>) -> Outcome<'static> {
        let name = match client.read_text(MAX_PREFIX_BYTES) {
            Ok(name) => name,
            Err(Error::TooLong) => return Outcome::refuse(Error::NoSuchPrefix),
            Err(error) => return Outcome::refuse(error),
        };
        match self.table().find(&name) {
            None if name == v::node::name() => {
                Outcome::Reply(Resolved { server: self.own, context: PREFIXES }.to_message())
            }
            None => Outcome::refuse(Error::NoSuchPrefix),
            Some(binding) if lives(binding.server) => Outcome::Reply(resolved(binding)),
            Some(_) if self.waiting.len() == MOST_WAITING => Outcome::refuse(Error::NoResources),
            Some(_) => {
                self.waiting.push(Waiting {
                    client: client.pid,
                    name,
                    until_ns: time::now_ns() + RESTART_PATIENCE_NS,
                });
                Outcome::Later
            }
        }
    }

    /// All naming servers are asked: only who has the prefix answers.
    fn locate(&self, client: &Client<'_>) -> Result<Located, Error> {
        let name = client.read_text(MAX_PREFIX_BYTES).map_err(|_| Error::NothingToSay)?;
        match self.table().find(&name) {
            Some(binding) if binding.is_global && lives(binding.server) => {
                Ok(Located { server: binding.server, context: binding.context })
            }
            None if name == v::node::name() => Ok(Located { server: self.own, context: PREFIXES }),
            _ => Err(Error::NothingToSay),
        }
    }

    fn register(&mut self, client: &Client<'_>, register: &Register) -> Result<Registered, Error> {
        let team = team_that_may_register(client)?;
        if v::process::identify(register.server)?.team != team {
            return Err(Error::NoPermission);
        }
        let name = client.read_text(MAX_PREFIX_BYTES)?;
        self.table_mut().register(
            &name,
            register.server,
            register.context,
            register.is_global == 1,
            lives,
        )?;
        self.save();
        self.answer_waiting(&name);
        Ok(Registered {})
    }

    fn unregister(&mut self, client: &Client<'_>) -> Result<Unregistered, Error> {
        let team = team_that_may_register(client)?;
        let name = client.read_text(MAX_PREFIX_BYTES)?;
        let may = |server| match v::process::identify(server) {
            Ok(found) => found.team == team,
            Err(_) => true,
        };
        self.table_mut().unregister(&name, may)?;
        self.save();
        Ok(Unregistered {})
    }

    fn enumerate(&self, position: u32) -> Outcome<'_> {
        let Some(binding) = self.table().at(position as usize) else {
            return Outcome::refuse(Error::NotFound);
        };
        let reply =
            Enumerated { server: binding.server, context: binding.context, count: binding.name.len() as u32 };
        Outcome::data(reply, binding.name.as_bytes())
    }

    /// Answers the look-ups of a prefix that has a server again.
    fn answer_waiting(&mut self, name: &str) {
        let Some(binding) = self.files.service.table.find(name) else {
            return;
        };
        let reply = resolved(binding);
        for waiting in self.waiting.extract_if(.., |waiting| waiting.name == name) {
            // Whoever has ended meanwhile needs no answer.
            let _ = message::reply(waiting.client, &reply, &[]);
        }
    }

    /// Leaves the table with the supervisor.
    fn save(&self) {
        let save = supervisor::SaveState {};
        if let Err(error) = v::call(self.supervisor, &save, Segment::Read(&self.table().encode())) {
            v::log::error!("the prefixes are not safe from a restart: {error}");
        }
    }
}

impl Server for Answering {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        match Naming::from_message(message) {
            Some(Naming::Resolve(_)) => self.resolve(client),
            Some(Naming::Register(register)) => Outcome::from(self.register(client, &register)),
            Some(Naming::Unregister(_)) => Outcome::from(self.unregister(client)),
            Some(Naming::Locate(_)) => Outcome::from(self.locate(client)),
            Some(Naming::Enumerate(enumerate)) => self.enumerate(enumerate.position),
            None => self.files.request(&request(client, message), &mut Kernel),
        }
    }

    fn tick(&mut self) {
        let now_ns = time::now_ns();
        for waiting in self.waiting.extract_if(.., |waiting| waiting.until_ns <= now_ns) {
            let _ = message::reply(waiting.client, &refusal(Error::NoSuchPrefix), &[]);
        }
        self.files.tick(&mut Kernel);
    }

    fn next_tick_ns(&self) -> Option<u64> {
        let waiting = self.waiting.iter().map(|waiting| waiting.until_ns).min();
        [waiting, self.files.next_tick_ns()].into_iter().flatten().min()
    }
}

fn resolved(binding: &Binding) -> Message {
    let reply = Resolved { server: binding.server, context: binding.context };
    reply.to_message()
}

fn lives(server: Pid) -> bool {
    !matches!(v::process::has_ended(server), Ok(true))
}

/// The client's team, if it is the system's and has the right.
fn team_that_may_register(client: &Client<'_>) -> Result<Pid, Error> {
    let found = v::process::identify(client.pid)?;
    if client.user.is_system() && found.rights.contains(Rights::REGISTER_PREFIX) {
        Ok(found.team)
    } else {
        Err(Error::NoPermission)
    }
}
