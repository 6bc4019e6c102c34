//! Moves between two nodes that are no more than what the steps see of them, each step broken in every way.

extern crate std;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use core::cell::RefCell;

use protocols::moving::PUT_PAGE_BYTES;

use super::*;

/// The first pages of the program.
const PAGES: u64 = 40;

/// What befalls a request to the other manager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// It does not get there.
    RequestLost,
    /// It is done, and the answer lost.
    ReplyLost,
    /// The other node dies before it.
    DeathBefore,
    /// The other node dies once it has done it.
    DeathAfter,
    /// It says no.
    Refused,
    /// The nodes do not hear each other any more, from just before it, or just after.
    PartedBefore,
    PartedAfter,
    /// The other manager ends before it, or just after it, and there is another one.
    ManagerEndsBefore,
    ManagerEndsAfter,
}

const FAULTS: [Fault; 9] = [
    Fault::RequestLost,
    Fault::ReplyLost,
    Fault::DeathBefore,
    Fault::DeathAfter,
    Fault::Refused,
    Fault::PartedBefore,
    Fault::PartedAfter,
    Fault::ManagerEndsBefore,
    Fault::ManagerEndsAfter,
];

/// Both nodes.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own that the steps change")]
struct World {
    /// The program's pages here, as numbers.
    here: BTreeMap<u64, u64>,
    /// Those that are to be told.
    written: Vec<u64>,
    /// What was put.
    there: BTreeMap<u64, u64>,
    state_there: Vec<u8>,
    frozen: bool,
    exported: bool,
    ended: bool,
    has_ticket: bool,
    runs_there: bool,
    is_dead: bool,
    is_parted: bool,
    /// The manager that knew the ticket is no more.
    is_succeeded: bool,
    /// Requests to the other manager so far, and what befalls which.
    requests: u32,
    fault: Option<(u32, Fault)>,
    /// Steps at home so far, and which fails with what.
    home_steps: u32,
    home_fault: Option<(u32, Error)>,
    /// Pages that the program writes between two steps, and how many it has written.
    pace: u64,
    /// Whether it also lets pages go, and whether it maps memory, so often.
    lets_go: bool,
    maps: u32,
    is_changed: bool,
    writes: u64,
    /// Replies that come while it is frozen, and write.
    replies: u32,
    reads: u32,
    ticks: u64,
    state_bytes: usize,
}

impl World {
    fn new() -> World {
        let here: BTreeMap<u64, u64> = (0..PAGES).map(|page| (page * PAGE_BYTES, page)).collect();
        let written = here.keys().copied().collect();
        World { here, written, state_bytes: 300, ..World::default() }
    }

    /// The program goes on for a while, wherever it is allowed to.
    fn run(&mut self) {
        if self.replies > 0 && self.frozen && !self.exported {
            self.replies -= 1;
            let address = u64::from(self.replies) % PAGES * PAGE_BYTES;
            self.here.insert(address, 1_000_000 + u64::from(self.replies));
            self.written.push(address);
        }
        for _ in 0..self.pace {
            self.writes += 1;
            let (address, number) = (self.writes * 7 % PAGES * PAGE_BYTES, 1000 + self.writes);
            if !self.frozen && !self.exported && !self.ended {
                if self.lets_go && number % 5 == 0 {
                    self.here.remove(&address);
                    self.written.retain(|written| *written != address);
                } else {
                    self.here.insert(address, number);
                    self.written.push(address);
                }
                if self.maps > 0 && number % 50 == 0 {
                    self.maps -= 1;
                    self.is_changed = true;
                }
            }
        }
    }

    fn home_step(&mut self) -> Result<(), Error> {
        self.run();
        self.home_steps += 1;
        match self.home_fault {
            Some((step, error)) if step == self.home_steps => Err(error),
            _ => Ok(()),
        }
    }

    fn request(&mut self, does: impl FnOnce(&mut World) -> Result<(), Error>) -> Result<(), Error> {
        self.run();
        self.requests += 1;
        let fault = self.fault.filter(|(step, _)| *step == self.requests).map(|(_, fault)| fault);
        self.is_dead |= fault == Some(Fault::DeathBefore);
        self.is_parted |= fault == Some(Fault::PartedBefore);
        self.is_succeeded |= fault == Some(Fault::ManagerEndsBefore);
        match fault {
            _ if self.is_dead || self.is_parted => Err(Error::HostUnreachable),
            Some(Fault::RequestLost) => Err(Error::HostNotFound),
            Some(Fault::Refused) => {
                self.has_ticket = false;
                Err(Error::NoMemory)
            }
            _ if self.is_succeeded => Err(Error::StaleProcess),
            _ => {
                does(self)?;
                self.is_dead |= fault == Some(Fault::DeathAfter);
                self.is_parted |= fault == Some(Fault::PartedAfter);
                self.is_succeeded |= fault == Some(Fault::ManagerEndsAfter);
                match fault {
                    None => Ok(()),
                    Some(Fault::ManagerEndsAfter) => Err(Error::DiedBeforeReply),
                    Some(_) => Err(Error::HostUnreachable),
                }
            }
        }
    }

    fn runs_here(&self) -> bool {
        !self.frozen && !self.exported && !self.ended
    }
}

#[derive(Clone)]
struct Side(Rc<RefCell<World>>);

impl Home for Side {
    fn describe(&mut self) -> Result<Vec<u8>, Error> {
        let mut world = self.0.borrow_mut();
        world.home_step()?;
        world.is_changed = false;
        world.written = world.here.keys().copied().collect();
        Ok(Vec::from(*b"program"))
    }

    fn is_as_described(&mut self) -> Result<bool, Error> {
        let mut world = self.0.borrow_mut();
        world.home_step()?;
        Ok(!world.is_changed)
    }

    fn own(&mut self) -> Result<Vec<u64>, Error> {
        let mut world = self.0.borrow_mut();
        world.home_step()?;
        Ok(world.here.keys().copied().collect())
    }

    fn written(&mut self) -> Result<Vec<u64>, Error> {
        let mut world = self.0.borrow_mut();
        world.home_step()?;
        let mut written = core::mem::take(&mut world.written);
        written.sort_unstable();
        written.dedup();
        Ok(written)
    }

    fn read(&mut self, address: u64, page: &mut [u8]) -> Result<bool, Error> {
        let mut world = self.0.borrow_mut();
        world.reads += 1;
        world.home_step()?;
        let Some(number) = world.here.get(&address) else { return Ok(false) };
        page[..8].copy_from_slice(&number.to_le_bytes());
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.0.borrow_mut().home_step()
    }

    fn freeze(&mut self) -> Result<(), Error> {
        let mut world = self.0.borrow_mut();
        assert!(world.runs_here());
        world.home_step()?;
        world.frozen = true;
        Ok(())
    }

    fn thaw(&mut self) {
        let mut world = self.0.borrow_mut();
        assert!(world.frozen && !world.exported);
        world.frozen = false;
    }

    fn export(&mut self) -> Result<Vec<u8>, Error> {
        let mut world = self.0.borrow_mut();
        assert!(world.frozen);
        world.home_step()?;
        world.exported = true;
        Ok((0..world.state_bytes).map(|at| at as u8).collect())
    }

    fn import(&mut self, state: &[u8]) {
        let mut world = self.0.borrow_mut();
        assert!(world.frozen && world.exported && state.len() == world.state_bytes);
        assert!(!world.runs_there, "it has run there already");
        (world.frozen, world.exported) = (false, false);
    }

    fn is_elsewhere(&mut self) -> bool {
        let world = self.0.borrow();
        world.runs_there && !world.is_dead && !world.is_parted
    }

    fn leave(&mut self) {
        let mut world = self.0.borrow_mut();
        assert!(world.exported && !world.ended);
        world.ended = true;
    }

    fn pause(&mut self) {
        self.0.borrow_mut().run();
    }

    fn now_ns(&mut self) -> u64 {
        let mut world = self.0.borrow_mut();
        world.ticks += 1;
        world.ticks
    }
}

impl Away for Side {
    fn offer(&mut self, description: &[u8]) -> Result<(), Error> {
        assert_eq!(description, b"program");
        self.0.borrow_mut().request(|world| {
            world.has_ticket = true;
            world.there.clear();
            Ok(())
        })
    }

    fn put_pages(&mut self, pages: &[u8]) -> Result<(), Error> {
        assert!(pages.len() <= MOST_PUT_BYTES && pages.len().is_multiple_of(PUT_PAGE_BYTES));
        let (addresses, contents) = pages.split_at(pages.len() / PUT_PAGE_BYTES * 8);
        self.0.borrow_mut().request(|world| {
            for (address, page) in addresses.as_chunks().0.iter().zip(contents.chunks(PAGE_BYTES as usize)) {
                let number = u64::from_le_bytes(*page.first_chunk().unwrap());
                world.there.insert(u64::from_le_bytes(*address), number);
            }
            Ok(())
        })
    }

    fn drop_pages(&mut self, addresses: &[u64]) -> Result<(), Error> {
        assert!(!addresses.is_empty() && addresses.len() * 8 <= MOST_PUT_BYTES);
        self.0.borrow_mut().request(|world| {
            assert!(addresses.iter().all(|address| world.there.remove(address).is_some()), "it was put");
            Ok(())
        })
    }

    fn put_state(&mut self, part: &[u8]) -> Result<(), Error> {
        self.0.borrow_mut().request(|world| {
            world.state_there.extend_from_slice(part);
            Ok(())
        })
    }

    fn install(&mut self) -> Result<(), Error> {
        self.0.borrow_mut().request(|world| {
            if !world.has_ticket {
                return Err(Error::NotFound);
            }
            assert!(world.exported && world.state_there.len() == world.state_bytes);
            assert!(world.state_there.iter().enumerate().all(|(at, byte)| *byte == at as u8));
            world.runs_there = true;
            Ok(())
        })
    }

    fn withdraw(&mut self) {
        // Whether it gets there or not: a ticket ends by itself.
        let _ = self.0.borrow_mut().request(|world| {
            assert!(!world.runs_there);
            world.has_ticket = false;
            Ok(())
        });
    }
}

/// Moves, and checks that just one node has the program, with all that it has written.
fn check(world: World) -> (Result<Moved, Error>, World) {
    let side = Side(Rc::new(RefCell::new(world)));
    let outcome = move_program(&mut side.clone(), &mut side.clone());
    let world = side.0.take();
    // Nor has it run there before that node died.
    assert!(!(world.runs_here() && world.runs_there), "it is here and there");
    assert!(world.runs_here() || world.ended, "it is frozen for ever");
    assert!(outcome.is_err() || world.runs_there && world.ended, "it is nowhere");
    if world.runs_there {
        assert_eq!(world.here, world.there, "not all of it has moved");
    }
    (outcome, world)
}

#[test]
fn a_program_that_does_nothing_is_copied_once() {
    let (moved, world) = check(World::new());
    let moved = moved.unwrap();
    assert_eq!((moved.running_pages, moved.frozen_pages, moved.rounds), (PAGES as u32, 0, 1));
    assert_eq!(world.reads, PAGES as u32);
}

#[test]
fn a_program_that_writes_is_copied_in_rounds_and_not_for_ever() {
    for pace in 0..20 {
        let (moved, _) = check(World { pace, ..World::new() });
        let moved = moved.unwrap();
        assert!(moved.rounds <= MOST_ROUNDS && moved.frozen_pages <= PAGES as u32, "{moved:?}");
    }
}

#[test]
fn what_a_program_lets_go_is_not_there_either() {
    for pace in 0..30 {
        check(World { pace, lets_go: true, ..World::new() }).0.unwrap();
    }
}

#[test]
fn a_move_begins_anew_when_the_address_space_changes_but_not_for_ever() {
    let (outcome, world) = check(World { pace: 1, maps: 1, ..World::new() });
    assert!(outcome.is_ok() && world.maps == 0);
    let (outcome, world) = check(World { pace: 3, maps: u32::MAX, ..World::new() });
    assert_eq!(outcome, Err(Error::Busy));
    assert!(world.runs_here());
}

#[test]
fn what_a_reply_writes_into_a_frozen_program_moves_along() {
    for replies in 1..30 {
        for pace in [0, 2] {
            check(World { pace, replies, ..World::new() }).0.unwrap();
        }
    }
}

#[test]
fn states_of_any_length_arrive() {
    for state_bytes in [1, MOST_PUT_BYTES - 1, MOST_PUT_BYTES, MOST_PUT_BYTES + 1, 3 * MOST_PUT_BYTES] {
        check(World { state_bytes, ..World::new() }).0.unwrap();
    }
}

#[test]
fn whatever_befalls_a_request_one_node_has_the_program() {
    let state_bytes = 3 * MOST_PUT_BYTES;
    for pace in [0, 3] {
        let clean = check(World { pace, state_bytes, ..World::new() }).1.requests;
        assert!(clean > 6);
        for step in 1..=clean + 1 {
            for fault in FAULTS {
                let world = World { pace, state_bytes, fault: Some((step, fault)), ..World::new() };
                let (outcome, world) = check(world);
                let text = format!("request {step} of {clean}: {fault:?}, {outcome:?}");
                match fault {
                    // It was not the last; or it is asked again; or the network knows.
                    _ if step > clean => assert!(outcome.is_ok(), "{text}"),
                    Fault::ReplyLost | Fault::ManagerEndsAfter if step == clean => {
                        assert!(outcome.is_ok(), "{text}");
                    }
                    // Nobody knows whether it ran there.
                    Fault::DeathBefore | Fault::DeathAfter | Fault::PartedBefore | Fault::PartedAfter
                        if step == clean =>
                    {
                        let ran = matches!(fault, Fault::DeathAfter | Fault::PartedAfter);
                        assert_eq!(outcome, Err(Error::HostUnreachable), "{text}");
                        assert!(world.ended && world.runs_there == ran, "{text}");
                    }
                    _ => assert!(outcome.is_err() && world.runs_here(), "{text}"),
                }
            }
        }
    }
}

#[test]
fn whatever_fails_at_home_it_goes_on_there() {
    let clean = check(World { pace: 2, ..World::new() }).1.home_steps;
    for step in 1..=clean {
        for error in [Error::Busy, Error::NoMemory, Error::NonexistentProcess] {
            let (outcome, world) = check(World { pace: 2, home_fault: Some((step, error)), ..World::new() });
            assert!(outcome.is_ok() || world.runs_here(), "step {step}: {error}");
        }
    }
}

#[test]
fn what_is_busy_for_ever_does_not_move() {
    /// A home whose program never can be frozen.
    struct Stubborn(Side);
    impl Home for Stubborn {
        fn is_as_described(&mut self) -> Result<bool, Error> {
            self.0.is_as_described()
        }
        fn own(&mut self) -> Result<Vec<u64>, Error> {
            self.0.own()
        }
        fn describe(&mut self) -> Result<Vec<u8>, Error> {
            self.0.describe()
        }
        fn written(&mut self) -> Result<Vec<u64>, Error> {
            self.0.written()
        }
        fn read(&mut self, address: u64, page: &mut [u8]) -> Result<bool, Error> {
            self.0.read(address, page)
        }
        fn flush(&mut self) -> Result<(), Error> {
            self.0.flush()
        }
        fn freeze(&mut self) -> Result<(), Error> {
            Err(Error::Busy)
        }
        fn thaw(&mut self) {
            self.0.thaw();
        }
        fn export(&mut self) -> Result<Vec<u8>, Error> {
            self.0.export()
        }
        fn import(&mut self, state: &[u8]) {
            self.0.import(state);
        }
        fn is_elsewhere(&mut self) -> bool {
            self.0.is_elsewhere()
        }
        fn leave(&mut self) {
            self.0.leave();
        }
        fn pause(&mut self) {
            self.0.pause();
        }
        fn now_ns(&mut self) -> u64 {
            self.0.now_ns()
        }
    }
    let side = Side(Rc::new(RefCell::new(World::new())));
    assert_eq!(move_program(&mut Stubborn(side.clone()), &mut side.clone()), Err(Error::Busy));
    assert!(side.0.borrow().runs_here() && !side.0.borrow().has_ticket);
}
