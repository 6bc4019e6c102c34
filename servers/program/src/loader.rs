//! The manager's second process, which waits for other nodes in its place.
//!
//! A file server elsewhere may take long to answer, or for ever until its node is given up, and the manager has others
//! to serve. So it forwards a client whose image is elsewhere to the loader, which loads the image, puts it down for
//! that client, and forwards the client back with the same message; then the manager finds it. So it does with a client
//! on another node whose start block did not come whole with its request, and for each guest, whose logical host the
//! network server may have to claim first. A client that ends meanwhile leaves what was loaded to be forgotten at the
//! manager's next tick.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::protocol::Request as _;
use abi::{Error, LogicalHost, Message, Pid};
use io_server::elsewhere;
use protocols::network::network;
use protocols::program::program::{Program as Request, StartProgram};
use protocols::program::{MAX_START_BYTES, flag};
use v::server::{self, Client, Options, Outcome, Server};
use v::sync::Mutex;
use v::{Segment, message};

use crate::file::is_elsewhere;
use crate::images::{Image, Images};

const STACK_BYTES: usize = 64 * 1024;
/// How soon a server of another node is told what it is to be told: after something was loaded from there, and else.
const SOON_NS: u64 = 5_000_000;
const TICK_NS: u64 = 2_000_000_000;
/// How long a logical host outlives its guest: who asks whether that has ended then hears so from this node's kernel, and
/// need not find out that nobody answers.
const LINGER_NS: u64 = 10_000_000_000;
/// How many are kept beyond that, the latest, for guests to come: such a number need not be claimed again, nor looked for by
/// those who remember where it is.
const MOST_KEPT: usize = 4;
/// How long after the network server has said that one is this node's it need not be asked again.
const SURE_NS: u64 = 2_000_000_000;
/// From this number on a logical host is not given again, so that each guest has numbers enough.
const LAST_NUMBER: u32 = 1 << 30;

/// What a program is made of.
#[derive(Debug)]
pub struct Parts {
    /// What it runs.
    pub image: Arc<Image>,
    /// Its start block, if that is not all in the beginning of the client's segment, and the client is elsewhere.
    pub block: Option<Vec<u8>>,
    /// Of a guest: its logical host. None where there is no network, and nowhere to move.
    pub host: Option<GuestHost>,
}

/// A logical host that was claimed for a guest. Dropping it gives it back.
#[derive(Debug)]
pub struct GuestHost {
    /// Which.
    pub host: LogicalHost,
    /// The number of the guest's first process.
    pub first_number: u32,
    /// From which number on processes of a further guest may have theirs, once that is known.
    next_number: Option<u32>,
    /// Who has said that it is this node's, and when.
    said: Option<(Pid, u64)>,
    /// Where to give it back; nowhere once it is another node's.
    unused: Option<Arc<UnusedHosts>>,
}

impl GuestHost {
    /// Its guest has ended: its processes have had the numbers before this one.
    pub fn has_ended(mut self, next_number: u32) {
        self.next_number = Some(next_number).filter(|number| *number < LAST_NUMBER);
    }

    /// It is another node's now, to give back.
    pub fn has_left(mut self) {
        self.unused = None;
    }
}

impl Drop for GuestHost {
    fn drop(&mut self) {
        if let Some(unused) = &self.unused {
            let Self { host, next_number, said, .. } = *self;
            unused.lock().push(UnusedHost { host, next_number, said, since_ns: v::time::now_ns() });
        }
    }
}

/// A logical host whose guest has ended.
#[derive(Debug)]
struct UnusedHost {
    host: LogicalHost,
    /// The number of a further guest's first process; none if there is to be none.
    next_number: Option<u32>,
    said: Option<(Pid, u64)>,
    since_ns: u64,
}

/// Those that the network server was not told of, the latest last.
type UnusedHosts = Mutex<Vec<UnusedHost>>;

/// What was loaded for whom, or why it could not be.
type Loaded = Mutex<Vec<(Pid, Result<Parts, Error>)>>;

/// The loader, seen from the manager.
#[derive(Debug)]
pub struct Loader {
    process: Pid,
    loaded: Arc<Loaded>,
    unused: Arc<UnusedHosts>,
}

impl Loader {
    /// Starts it, for the manager whose process is `manager`.
    pub fn start(images: Arc<Images>, manager: Pid) -> Result<Loader, Error> {
        let (loaded, unused) = (Arc::new(Loaded::default()), Arc::new(UnusedHosts::default()));
        let mut loading = Loading {
            manager,
            images,
            loaded: Arc::clone(&loaded),
            unused: Arc::clone(&unused),
            soon_ns: None,
        };
        let options = Options { tick_ns: TICK_NS, ..Options::default() };
        let thread = v::process::spawn_thread(STACK_BYTES, move || server::serve(&mut loading, options))?;
        let process = thread.pid();
        // It runs as long as the manager.
        core::mem::forget(thread);
        Ok(Loader { process, loaded, unused })
    }

    /// Whether a client's request is one for which the loader waits.
    pub fn is_for(client: &Client<'_>, start: &StartProgram) -> bool {
        is_elsewhere(start.image_server) || is_guest(client, start)
    }

    /// Hands a client over to it.
    pub fn ask(&self, client: Pid, start: &StartProgram) -> Outcome<'static> {
        match message::forward(client, self.process, &start.to_message()) {
            Ok(()) => Outcome::Later,
            Err(error) => Outcome::refuse(error),
        }
    }

    /// What it has loaded for a client.
    pub fn take(&self, client: Pid) -> Option<Result<Parts, Error>> {
        let mut loaded = self.loaded.lock();
        let place = loaded.iter().position(|(other, _)| *other == client)?;
        Some(loaded.swap_remove(place).1)
    }

    /// The logical host of a guest that an earlier manager started.
    pub fn adopt_host(&self, host: LogicalHost) -> GuestHost {
        // It may have been here before.
        self.unused.lock().retain(|unused| unused.host != host);
        let unused = Some(Arc::clone(&self.unused));
        GuestHost { host, first_number: 0, next_number: None, said: None, unused }
    }

    /// A logical host for a guest of which the network server, if it still runs, has just said that it is this node's.
    pub fn ready_host(&self) -> Option<GuestHost> {
        let now_ns = v::time::now_ns();
        let mut unused = self.unused.lock();
        let place = unused.iter().rposition(|unused| {
            let is_sure = unused.said.is_some_and(|(_, said_ns)| now_ns < said_ns + SURE_NS);
            is_sure && unused.next_number.is_some()
        })?;
        let (network, _) = unused[place].said?;
        if v::process::has_ended(network) != Ok(false) {
            return None;
        }
        let UnusedHost { host, next_number, said, .. } = unused.remove(place);
        let first_number = next_number?;
        Some(GuestHost {
            host,
            first_number,
            next_number: None,
            said,
            unused: Some(Arc::clone(&self.unused)),
        })
    }

    /// Forgets what it has loaded for clients that have ended.
    pub fn forget_dead(&self) {
        self.loaded.lock().retain(|(client, _)| !elsewhere::has_ended(*client));
    }
}

/// The loader itself.
struct Loading {
    manager: Pid,
    images: Arc<Images>,
    loaded: Arc<Loaded>,
    unused: Arc<UnusedHosts>,
    /// When the manager has likely started what was loaded.
    soon_ns: Option<u64>,
}

impl Loading {
    fn load(&self, client: &Client<'_>, start: &StartProgram) -> Result<Parts, Error> {
        let image = self.images.load(start.image_server, start.image_instance, client.user)?;
        let block = has_more_elsewhere(client).then(|| client.read_segment(MAX_START_BYTES)).transpose()?;
        let host = if is_guest(client, start) { self.claim_host()? } else { None };
        Ok(Parts { image, block, host })
    }

    fn claim_host(&self) -> Result<Option<GuestHost>, Error> {
        let former = self.take_unused();
        let former_host = former.map_or(LogicalHost::OWN, |(host, _)| host);
        let request = network::ClaimHost { former: former_host.to_bits() };
        let claim = || with_network(|network| Ok((network, v::call(network, &request, Segment::None)?)));
        let claimed = match claim() {
            Err(Error::NoResources) => {
                self.release_hosts(0, 0);
                claim()
            }
            claimed => claimed,
        };
        match claimed {
            Ok((network, claimed)) => {
                let host = LogicalHost::from_bits(claimed.logical_host);
                let again = former.filter(|(former, _)| *former == host);
                let first_number = again.map_or(Pid::FIRST_GUEST_NUMBER, |(_, number)| number);
                let said = Some((network, v::time::now_ns()));
                let unused = Some(Arc::clone(&self.unused));
                Ok(Some(GuestHost { host, first_number, next_number: None, said, unused }))
            }
            Err(Error::NoNetwork | Error::NoSuchPrefix) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The logical host of the guest that ended last, and from which number on a further guest's processes may have theirs.
    fn take_unused(&self) -> Option<(LogicalHost, u32)> {
        let mut unused = self.unused.lock();
        let place = unused.iter().rposition(|unused| unused.next_number.is_some())?;
        let UnusedHost { host, next_number, .. } = unused.remove(place);
        next_number.map(|number| (host, number))
    }

    /// Gives back the logical hosts of guests that ended so long ago, but for the last ones of which there may be more.
    fn release_hosts(&self, linger_ns: u64, kept: usize) {
        let until_ns = v::time::now_ns().saturating_sub(linger_ns);
        let mut unused = self.unused.lock();
        let mut beyond = unused.iter().filter(|unused| unused.next_number.is_some()).count();
        let due: Vec<_> = unused
            .extract_if(.., |unused| {
                let is_kept = unused.next_number.is_some() && beyond <= kept;
                beyond -= usize::from(unused.next_number.is_some());
                unused.since_ns <= until_ns && !is_kept
            })
            .collect();
        drop(unused);
        for UnusedHost { host, .. } in due {
            let logical_host = host.to_bits();
            // One that the network server has lost is not there to be released.
            let _ = with_network(|network| {
                v::call(network, &network::ReleaseHost { logical_host }, Segment::None)
            });
        }
    }
}

/// Asks the node's network server.
pub fn with_network<T>(mut ask: impl FnMut(Pid) -> Result<T, Error>) -> Result<T, Error> {
    v::name::with_place("[network]", false, |place| ask(place.server))
}

/// Whether what a client asks for is to be a guest.
pub fn is_guest(client: &Client<'_>, start: &StartProgram) -> bool {
    start.flags & flag::GUEST != 0 || is_elsewhere(client.pid)
}

/// Whether a client's segment has to be fetched from another node.
fn has_more_elsewhere(client: &Client<'_>) -> bool {
    is_elsewhere(client.pid) && client.grant.bytes() > client.head.len() as u64
}

impl Server for Loading {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        let Some(Request::StartProgram(start)) = Request::from_message(message) else {
            return Outcome::refuse(Error::BadRequest);
        };
        let parts = self.load(client, &start);
        self.loaded.lock().push((client.pid, parts));
        // One that has ended meanwhile is not there to be forwarded.
        let _ = message::forward(client.pid, self.manager, message);
        self.soon_ns = Some(v::time::now_ns() + SOON_NS);
        Outcome::Later
    }

    fn next_tick_ns(&self) -> Option<u64> {
        self.soon_ns
    }

    fn tick(&mut self) {
        self.soon_ns = None;
        self.images.run_errands();
        self.release_hosts(LINGER_NS, MOST_KEPT);
    }
}
