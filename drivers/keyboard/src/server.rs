//! From a keyboard's interrupt to the display server, and back to the keyboard's lights.
//!
//! The display server is asked by its name, so that its next life hears of the keys that come then. What it does not hear is lost, as
//! what is typed at a terminal that nobody reads.

use abi::notice::notice;
use abi::protocol::Request as _;
use abi::{Error, Message, Pid};
use alloc::vec::Vec;
use hardware::interrupt::InterruptLine;
use protocols::keyboard::keyboard;
use v::server::{Client, Outcome, Server};
use v::{Segment, call, name};

/// The prefix of the display server.
const DISPLAY: &str = "[display]";
/// Most keys that one interrupt is taken to tell of: a keyboard may tell of some without end.
const MOST_KEYS: usize = 256;
/// How often a keyboard is looked at again that has more to tell when it is asked for an interrupt.
const MOST_LOOKS: usize = 4;

/// A key that has gone down or up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its number: see [`protocols::keyboard`].
    pub key: u32,
    /// Whether it is down.
    pub is_down: bool,
}

/// A keyboard.
pub trait Source {
    /// Who sends its interrupts.
    fn interrupt(&self) -> Pid;

    /// The next key that has gone down or up, if there is one.
    fn take(&mut self) -> Option<Change>;

    /// Asks for an interrupt when there is one. True if there is one already, for which none may come.
    fn ask(&mut self) -> bool;

    /// Has these lights on: bits of [`protocols::keyboard::light`].
    fn show(&mut self, lights: u32);
}

/// Who is told of keys, and says which lights are to be on.
pub trait Display {
    /// A key has gone down or up.
    fn press(&mut self, change: Change) -> Result<u32, Error>;

    /// No key is down.
    fn release(&mut self) -> Result<u32, Error>;
}

/// The display server.
#[derive(Clone, Copy, Debug)]
pub struct DisplayServer;

impl Display for DisplayServer {
    fn press(&mut self, change: Change) -> Result<u32, Error> {
        let request = keyboard::PressKey { key: change.key, is_down: u32::from(change.is_down) };
        // A key that may have been typed already is not typed again.
        name::with_place(DISPLAY, false, |place| Ok(call(place.server, &request, Segment::None)?.lights))
    }

    fn release(&mut self) -> Result<u32, Error> {
        let request = keyboard::ReleaseKeys {};
        name::with_place(DISPLAY, true, |place| Ok(call(place.server, &request, Segment::None)?.lights))
    }
}

/// A keyboard, and the lights that are on.
struct Keyboard<S> {
    source: S,
    lights: Option<u32>,
}

impl<S: Source> Keyboard<S> {
    fn show(&mut self, lights: Result<u32, Error>) {
        // Where nobody says, they stay as they are.
        if let Ok(lights) = lights
            && self.lights.replace(lights) != Some(lights)
        {
            self.source.show(lights);
        }
    }

    fn attend(&mut self, display: &mut impl Display) {
        for _ in 0..MOST_LOOKS {
            for _ in 0..MOST_KEYS {
                let Some(change) = self.source.take() else { break };
                let lights = display.press(change);
                self.show(lights);
            }
            if !self.source.ask() {
                return;
            }
        }
    }
}

/// The keyboards of a service.
pub struct Keyboards<S, D> {
    keyboards: Vec<Keyboard<S>>,
    display: D,
}

impl<S: Source, D: Display> Keyboards<S, D> {
    /// Begins with nothing held down, whatever an earlier driver has told of.
    pub fn new(sources: Vec<S>, mut display: D) -> Keyboards<S, D> {
        let lights = display.release();
        let mut keyboards: Vec<_> =
            sources.into_iter().map(|source| Keyboard { source, lights: None }).collect();
        for keyboard in &mut keyboards {
            keyboard.show(lights);
            keyboard.attend(&mut display);
        }
        Keyboards { keyboards, display }
    }

    /// Takes an interrupt. It is believed from its own sender only, whom nobody can imitate.
    fn interrupt(&mut self, sender: Pid, message: &Message) -> Outcome<'static> {
        let keyboard = self.keyboards.iter_mut().find(|keyboard| keyboard.source.interrupt() == sender);
        match keyboard.filter(|_| message.code() == notice::Interrupt::CODE) {
            Some(keyboard) => {
                keyboard.attend(&mut self.display);
                InterruptLine::attended(message)
            }
            None => Outcome::refuse(Error::BadRequest),
        }
    }
}

impl<S: Source, D: Display> Server for Keyboards<S, D> {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        self.interrupt(client.pid, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;
    use alloc::rc::Rc;
    use alloc::vec;
    use core::cell::RefCell;

    const INTERRUPT: Pid = Pid::from_bits(7);

    /// What keyboards and display have done, in order.
    #[derive(PartialEq, Eq, Debug)]
    enum Done {
        Release,
        Key(u32, bool),
        Lights(u32),
    }

    #[derive(Clone, Default)]
    struct World {
        changes: Rc<RefCell<VecDeque<Change>>>,
        /// What comes just when an interrupt is asked for.
        late: Rc<RefCell<VecDeque<Change>>>,
        lights: Rc<RefCell<Option<u32>>>,
        done: Rc<RefCell<Vec<Done>>>,
    }

    impl Source for World {
        fn interrupt(&self) -> Pid {
            INTERRUPT
        }
        fn take(&mut self) -> Option<Change> {
            self.changes.borrow_mut().pop_front()
        }
        fn ask(&mut self) -> bool {
            self.changes.borrow_mut().extend(self.late.borrow_mut().pop_front());
            !self.changes.borrow().is_empty()
        }
        fn show(&mut self, lights: u32) {
            self.done.borrow_mut().push(Done::Lights(lights));
        }
    }

    impl Display for World {
        fn press(&mut self, change: Change) -> Result<u32, Error> {
            self.done.borrow_mut().push(Done::Key(change.key, change.is_down));
            self.lights.borrow().ok_or(Error::NoSuchPrefix)
        }
        fn release(&mut self) -> Result<u32, Error> {
            self.done.borrow_mut().push(Done::Release);
            self.lights.borrow().ok_or(Error::NoSuchPrefix)
        }
    }

    #[test]
    fn keys_reach_the_display_and_lights_the_keyboard() {
        let world = World { lights: Rc::new(RefCell::new(Some(1))), ..World::default() };
        let mut keyboards = Keyboards::new(vec![world.clone()], world.clone());
        let mut after = |changes: &[(u32, bool)], late: &[(u32, bool)], lights| {
            let change = |(key, is_down): &(u32, bool)| Change { key: *key, is_down: *is_down };
            world.changes.borrow_mut().extend(changes.iter().map(change));
            world.late.borrow_mut().extend(late.iter().map(change));
            *world.lights.borrow_mut() = lights;
            let message = notice::Interrupt { line: 1, count: 1 }.to_message();
            assert!(!matches!(keyboards.interrupt(Pid::from_bits(8), &message), Outcome::Later));
            assert!(world.changes.borrow().len() == changes.len(), "an interrupt of nobody's");
            keyboards.interrupt(INTERRUPT, &message);
            core::mem::take(&mut *world.done.borrow_mut())
        };
        let begun = after(&[(30, true)], &[], Some(1));
        assert_eq!(begun, [Done::Release, Done::Lights(1), Done::Key(30, true)]);
        let capitals = after(&[(58, true), (58, false)], &[(31, true)], Some(3));
        let keys = [Done::Key(58, true), Done::Lights(3), Done::Key(58, false), Done::Key(31, true)];
        assert_eq!(capitals, keys);
        // While there is no display the lights stay.
        assert_eq!(after(&[(1, true)], &[], None), [Done::Key(1, true)]);
    }
}
