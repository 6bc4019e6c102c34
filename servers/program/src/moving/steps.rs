//! The steps of a move, in order, and what follows when one of them fails.
//!
//! | step | if it fails |
//! |---|---|
//! | the program is described, and offered to the other manager | it never stopped |
//! | its pages are copied, and those that it has written meanwhile, in rounds, until they are few or get no fewer | it never stopped |
//! | it is frozen, and the rest is copied, and what it has let go is dropped there | it goes on here; if its address space has become another, the move begins anew |
//! | its state is taken out of this node, and sent, with what replies have written that came until then | the state is put back, and it goes on here |
//! | it is installed there, which is when it has moved: one short message | if it was certainly not done, as before; if nobody knows, see below |
//! | what is left of it here is ended | |
//!
//! **It never runs in two places.** If no answer comes to the installation, it is asked for again, and the network is asked
//! who has the program's logical host. If nobody says anything, the program may have run there, and what it has done cannot
//! be done again. So it is not let go on here: it runs there, out of reach, or has died with that node, or was just not
//! heard of there, which is the price. Whoever waits for it hears that nobody knows what became of it.
//!
//! The steps are taken by whoever may wait: here is their order only, over two traits, so that tests can break each.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use abi::{Error, PAGE_BYTES};
use protocols::moving::{MOST_PUT_BYTES, MOST_PUT_PAGES};

/// So few pages are copied while the program is frozen: one request has them.
const FEW_PAGES: usize = MOST_PUT_PAGES;
/// Most pages that are dropped by one request.
const MOST_DROPPED: usize = MOST_PUT_BYTES / size_of::<u64>();
/// Most rounds of copying while it runs.
const MOST_ROUNDS: u32 = 6;
/// A round is worth it if it leaves at most so much of what the one before left.
const GAIN: (usize, usize) = (3, 4);
/// How often it is tried to freeze the program: while something is under way that cannot move, it is not.
const MOST_TRIES: u32 = 200;
/// How often it is asked to be installed, if no answer comes.
const MOST_INSTALLATIONS: u32 = 2;
/// How often the move of a program begins whose address space becomes another meanwhile.
const MOST_BEGINNINGS: u32 = 5;

/// This node, and the program in it.
pub trait Home {
    /// The program's description. What it has written is told anew from then on.
    fn describe(&mut self) -> Result<Vec<u8>, Error>;

    /// Whether that still describes its address space.
    fn is_as_described(&mut self) -> Result<bool, Error>;

    /// Pages of its own that were written since this was asked last, or at the first time all.
    fn written(&mut self) -> Result<Vec<u64>, Error>;

    /// All pages of its own, in order.
    fn own(&mut self) -> Result<Vec<u64>, Error>;

    /// The content of a page. False if it is none of its own any more.
    fn read(&mut self, address: u64, page: &mut [u8]) -> Result<bool, Error>;

    /// Has written back what it has changed in files.
    fn flush(&mut self) -> Result<(), Error>;

    /// Stops it. [`Busy`](Error::Busy): not now, but soon.
    fn freeze(&mut self) -> Result<(), Error>;

    /// Lets it go on.
    fn thaw(&mut self);

    /// Takes its state out of this node: from then on nobody reaches it here. [`Busy`](Error::Busy): not now, but soon.
    fn export(&mut self) -> Result<Vec<u8>, Error>;

    /// Puts that back, and lets it go on.
    fn import(&mut self, state: &[u8]);

    /// Whether some other node has the program.
    fn is_elsewhere(&mut self) -> bool;

    /// It is not to run here any more: ends what is left of it.
    fn leave(&mut self);

    /// Waits a moment.
    fn pause(&mut self);

    /// The time, from somewhen on.
    fn now_ns(&mut self) -> u64;
}

/// The other node's manager.
pub trait Away {
    /// Offers it the program.
    fn offer(&mut self, description: &[u8]) -> Result<(), Error>;

    /// Puts pages, as [`PutPages`](protocols::moving::moving::PutPages) has them.
    fn put_pages(&mut self, pages: &[u8]) -> Result<(), Error>;

    /// Drops pages that were put.
    fn drop_pages(&mut self, addresses: &[u64]) -> Result<(), Error>;

    /// Puts a part of the state.
    fn put_state(&mut self, part: &[u8]) -> Result<(), Error>;

    /// Lets it run there, if it does not yet. [`NotFound`](Error::NotFound): there is nothing of it.
    fn install(&mut self) -> Result<(), Error>;

    /// It will not come.
    fn withdraw(&mut self);
}

/// What a move took.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Moved {
    /// How long the program did not run.
    pub frozen_ns: u64,
    /// Pages copied while it ran.
    pub running_pages: u32,
    /// Pages copied while it did not.
    pub frozen_pages: u32,
    /// Rounds of copying while it ran.
    pub rounds: u32,
    /// Bytes of its state.
    pub state_bytes: u32,
}

/// Moves the program. After an error it is where it was; or, if that says that it may have moved, maybe nowhere.
pub fn move_program(home: &mut impl Home, away: &mut impl Away) -> Result<Moved, Error> {
    let mut beginnings = 0;
    loop {
        beginnings += 1;
        let description = home.describe()?;
        away.offer(&description)?;
        let mut attempt = Attempt {
            home: &mut *home,
            away: &mut *away,
            copied: BTreeSet::new(),
            uncopied: Vec::new(),
            moved: Moved::default(),
        };
        match attempt.run() {
            Ok(()) => return Ok(attempt.moved),
            Err(failure) => {
                away.withdraw();
                match failure {
                    Failure::Changed if beginnings < MOST_BEGINNINGS => {}
                    Failure::Changed => return Err(Error::Busy),
                    Failure::Error(error) => return Err(error),
                }
            }
        }
    }
}

/// Why an attempt came to nothing.
enum Failure {
    /// The program has mapped or unmapped memory meanwhile.
    Changed,
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

/// What came of the installation.
enum Installed {
    There,
    Not(Error),
    /// Nobody knows.
    Perhaps(Error),
}

/// An attempt to move a program.
struct Attempt<'a, H, A> {
    home: &'a mut H,
    away: &'a mut A,
    /// Pages that are there.
    copied: BTreeSet<u64>,
    /// Pages that were told, and not copied yet.
    uncopied: Vec<u64>,
    moved: Moved,
}

impl<H: Home, A: Away> Attempt<'_, H, A> {
    fn run(&mut self) -> Result<(), Failure> {
        self.copy_running()?;
        let mut tries = 0;
        loop {
            match self.stop_and_go() {
                Err(Failure::Error(Error::Busy)) if tries < MOST_TRIES => {
                    tries += 1;
                    self.home.pause();
                }
                outcome => return outcome,
            }
        }
    }

    /// Copies the program's memory while it runs, until little is left.
    fn copy_running(&mut self) -> Result<(), Error> {
        let (part, of) = GAIN;
        let mut enough = usize::MAX;
        self.uncopied = self.home.written()?;
        loop {
            self.moved.running_pages += self.copy()?;
            self.moved.rounds += 1;
            self.home.flush()?;
            self.uncopied = self.home.written()?;
            let left = self.uncopied.len();
            if left <= FEW_PAGES || left > enough || self.moved.rounds == MOST_ROUNDS {
                return Ok(());
            }
            enough = left / of * part;
        }
    }

    /// Freezes the program, copies the rest of it, and lets it go on there; or here, if that is not to be.
    fn stop_and_go(&mut self) -> Result<(), Failure> {
        self.home.freeze()?;
        let since_ns = self.home.now_ns();
        let state = self.take_out().inspect_err(|_| self.home.thaw())?;
        self.moved.state_bytes = state.len() as u32;
        let stays = |error| if error == Error::Busy { Error::NoResources } else { error };
        if let Err(error) = self.send(&state) {
            self.home.import(&state);
            // Another try would do no better.
            return Err(stays(error).into());
        }
        match self.install() {
            Installed::There => {
                self.moved.frozen_ns = self.home.now_ns() - since_ns;
                self.home.leave();
                Ok(())
            }
            Installed::Not(error) => {
                self.home.import(&state);
                Err(stays(error).into())
            }
            Installed::Perhaps(error) => {
                self.home.leave();
                Err(error.into())
            }
        }
    }

    /// Lets a program go on there that is all there.
    fn install(&mut self) -> Installed {
        let mut perhaps = None;
        for _ in 0..MOST_INSTALLATIONS {
            match self.away.install() {
                Ok(()) => return Installed::There,
                Err(error) if error.may_have_been_executed() => perhaps = Some(error),
                // Nothing is there of it, or it was refused just now: so it was not done before either.
                Err(error) if perhaps.is_none() || error == Error::NotFound => return Installed::Not(error),
                Err(_) => {}
            }
        }
        match perhaps {
            Some(error) if !self.home.is_elsewhere() => Installed::Perhaps(error),
            _ => Installed::There,
        }
    }

    /// Sends the rest of a program whose state was taken out.
    fn send(&mut self, state: &[u8]) -> Result<(), Error> {
        // A frozen program's messages are still answered, into its memory; from now on they are not.
        self.uncopied = self.home.written()?;
        self.moved.frozen_pages += self.copy()?;
        state.chunks(MOST_PUT_BYTES).try_for_each(|part| self.away.put_state(part))
    }

    /// Copies the rest of a frozen program, and takes its state out of this node.
    fn take_out(&mut self) -> Result<Vec<u8>, Failure> {
        self.home.flush()?;
        let written = self.home.written()?;
        self.uncopied.extend(written);
        self.moved.frozen_pages += self.copy()?;
        if !self.home.is_as_described()? {
            return Err(Failure::Changed);
        }
        // A page that it has let go reads as what is under it, not as what was copied.
        let own: BTreeSet<u64> = self.home.own()?.into_iter().collect();
        let let_go: Vec<u64> = self.copied.difference(&own).copied().collect();
        for some in let_go.chunks(MOST_DROPPED) {
            self.away.drop_pages(some)?;
        }
        self.copied.retain(|page| own.contains(page));
        Ok(self.home.export()?)
    }

    /// Copies the pages that are to be, as many at a time as a request has. Says how many there were.
    fn copy(&mut self) -> Result<u32, Error> {
        self.uncopied.sort_unstable();
        self.uncopied.dedup();
        let mut count = 0;
        for some in self.uncopied.chunks(MOST_PUT_PAGES) {
            let (mut addresses, mut pages) = (Vec::new(), Vec::with_capacity(MOST_PUT_BYTES));
            for address in some {
                let begin = pages.len();
                pages.resize(begin + PAGE_BYTES as usize, 0);
                if self.home.read(*address, &mut pages[begin..])? {
                    addresses.extend_from_slice(&address.to_le_bytes());
                    self.copied.insert(*address);
                    count += 1;
                } else {
                    pages.truncate(begin);
                }
            }
            if !pages.is_empty() {
                addresses.append(&mut pages);
                self.away.put_pages(&addresses)?;
            }
        }
        self.uncopied.clear();
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
