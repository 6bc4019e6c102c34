//! The loop: everything that happens comes as a message, and each is dealt with at once.

use abi::notice::notice;
use abi::protocol::{Reply as _, Request as _};
use abi::remote::Received;
use abi::{Error, LogicalHost, Message, Pid};
use hardware::interrupt::InterruptLine;
use protocols::network::HOST_NAME_BYTES;
use protocols::network::network::{
    DomainCounterQueried, HostClaimed, HostExported, HostFound, HostImported, HostReleased, Network,
};
use v::message::{self, Sender};
use v::server::{Alarm, Client, Outcome};

use crate::domain::Domain;
use crate::frames::Frames;

/// The server.
pub struct NetworkServer {
    frames: Frames,
    domain: Domain,
    alarm: Alarm,
}

impl NetworkServer {
    /// A server with at least one card, and the domain that is reached by it.
    pub const fn new(frames: Frames, domain: Domain) -> NetworkServer {
        NetworkServer { frames, domain, alarm: Alarm::new() }
    }

    /// Serves for ever.
    pub fn serve(&mut self) -> ! {
        let mut answer = None;
        loop {
            self.alarm.arm(self.frames.next_deadline_ns().min(self.domain.next_deadline_ns()));
            let received = match answer.take() {
                // It fails if the client has gone, who needs no answer then.
                Some((client, reply)) => self.domain.reply_receive(client, &reply),
                // There is nothing that a receive from anyone could fail for.
                None => self.domain.receive(),
            };
            if let Ok(received) = &received {
                answer = self.take(received);
            }
        }
    }

    /// Deals with a message. What is to be replied to it with the next receive.
    fn take(&mut self, received: &Received) -> Option<(Pid, Message)> {
        if let Some(card) = self.frames.domain_card()
            && self.domain.take_message(received, card)
        {
            return None;
        }
        let client = received.sender;
        match self.answer(received) {
            Outcome::Later => None,
            Outcome::Reply(reply) => Some((client, reply)),
            Outcome::ReplyData(reply, data) | Outcome::Lend(reply, data, _) => {
                answer(client, &reply, data);
                None
            }
        }
    }

    /// Does what a message for the server itself asks.
    fn answer(&mut self, received: &Received) -> Outcome<'_> {
        match received.message.code() {
            notice::Alarm::CODE => {
                self.alarm.has_come();
                self.tick();
                Outcome::Reply(notice::AlarmHandled {}.to_message())
            }
            notice::Interrupt::CODE => match self.frames.interrupted_by(received.sender) {
                Some(number) => {
                    self.frames.attend(number, &mut self.domain);
                    InterruptLine::attended(&received.message)
                }
                None => Outcome::refuse(Error::BadRequest),
            },
            _ => match Network::from_message(&received.message) {
                Some(request) => {
                    let head = self.domain.head(received.message.segment_bytes() as usize).to_vec();
                    let sender = Sender {
                        pid: received.sender,
                        user: received.user,
                        grant: received.grant,
                        forwarder: received.forwarder,
                        page_of: None,
                    };
                    self.request(&Client { sender: &sender, head: &head }, request)
                }
                None => Outcome::refuse(Error::BadRequest),
            },
        }
    }

    fn request(&mut self, client: &Client<'_>, request: Network) -> Outcome<'_> {
        let outcome = match request {
            Network::ListHosts(_) => self.domain.list_hosts(client).map(|()| None),
            Network::FindHost(find) => self.find_host(client, find.patience_ms),
            Network::QueryDomainCounter(query) => {
                return match self.domain.counter(query.position) {
                    Some((name, value)) => Outcome::data(
                        DomainCounterQueried { value, count: name.len() as u32 },
                        name.as_bytes(),
                    ),
                    None => Outcome::refuse(Error::NotFound),
                };
            }
            Network::ClaimHost(claim) => self.claim_host(client, claim.former),
            Network::ReleaseHost(release) => self.release_host(client, release.logical_host),
            Network::ExportHost(export) => self.export_host(client, export.logical_host, export.team),
            Network::ImportHost(import) => self.import_host(client, import.logical_host, import.team),
            request => return self.frames.request(client, request),
        };
        match outcome {
            Ok(Some(reply)) => Outcome::Reply(reply),
            Ok(None) => Outcome::Later,
            Err(error) => Outcome::refuse(error),
        }
    }

    fn find_host(&mut self, client: &Client<'_>, patience_ms: u32) -> Result<Option<Message>, Error> {
        let name = client.read_text(HOST_NAME_BYTES).map_err(|error| match error {
            Error::TooLong => Error::HostNotFound,
            error => error,
        })?;
        let found = self.domain.find_host(client.pid, &name, patience_ms)?;
        Ok(found.map(|host| HostFound { logical_host: host.to_bits() }.to_message()))
    }

    fn claim_host(&mut self, client: &Client<'_>, former: u32) -> Result<Option<Message>, Error> {
        need_system(client)?;
        let card = self.frames.domain_card().ok_or(Error::NoNetwork)?;
        let claimed = self.domain.claim_host(client.pid, LogicalHost::from_bits(former), card)?;
        Ok(claimed.map(|host| HostClaimed { logical_host: host.to_bits() }.to_message()))
    }

    fn release_host(&mut self, client: &Client<'_>, number: u32) -> Result<Option<Message>, Error> {
        need_system(client)?;
        let host = LogicalHost::from_bits(number);
        let card = self.frames.domain_card().ok_or(Error::NoNetwork)?;
        self.domain.release_host(host, card)?;
        Ok(Some(HostReleased {}.to_message()))
    }

    fn export_host(&mut self, client: &Client<'_>, number: u32, team: Pid) -> Result<Option<Message>, Error> {
        need_system(client)?;
        let card = self.frames.domain_card().ok_or(Error::NoNetwork)?;
        let bytes = self.domain.export_host(client, (LogicalHost::from_bits(number), team), card)?;
        Ok(Some(HostExported { bytes }.to_message()))
    }

    fn import_host(&mut self, client: &Client<'_>, number: u32, team: Pid) -> Result<Option<Message>, Error> {
        need_system(client)?;
        let card = self.frames.domain_card().ok_or(Error::NoNetwork)?;
        self.domain.import_host(client, (LogicalHost::from_bits(number), team), card)?;
        Ok(Some(HostImported {}.to_message()))
    }

    fn tick(&mut self) {
        self.frames.tick(&mut self.domain);
        if let Some(card) = self.frames.domain_card() {
            self.domain.advance(card);
        }
    }
}

/// Guests are the program manager's.
fn need_system(client: &Client<'_>) -> Result<(), Error> {
    if client.user.is_system() { Ok(()) } else { Err(Error::NoPermission) }
}

/// Replies to a client. One that has gone meanwhile needs no answer; one whose segment is not as the reply needs it is
/// told so.
fn answer(client: abi::Pid, reply: &Message, data: &[u8]) {
    if let Err(error @ (Error::NoWriteAccess | Error::TooLong | Error::BadAddressOfOther)) =
        message::reply(client, reply, data)
    {
        let _ = message::reply(client, &abi::protocol::refusal(error), &[]);
    }
}
