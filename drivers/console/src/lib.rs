//! Virtio console devices: one byte stream to the host.
//!
//! Such a device has ports, each a byte stream with a queue for each way, and a pair of queues over which device and
//! driver tell each other which ports there are and which are open. The driver takes the device's port 1: port 0 is
//! kept for consoles, which lose what the host doesn't take in time, while at any other the host holds the driver back.
//!
//! [`Port`] is a library and never waits: on every interrupt its owner calls [`Port::attend`], takes what has been received, and
//! goes on until [`Port::rearm`] says that no more has come. Nothing is lost while the port is open. The host link has such a
//! port for itself; the program `virtio-console` serves them to everyone, as lines of bytes:
//!
//! | module | what it has |
//! |---|---|
//! | `control` | what device and driver say of ports |
//! | `line` | what was received, what is to be sent, and who waits |

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod control;
pub mod line;

use alloc::vec::Vec;

use hardware::device::Device;
use hardware::interrupt::InterruptLine;
use v::{Error, Pid};
use virtio::{Transport, Way, feature};

use control::{Control, event};

/// The device has the queues for control, and so more ports than port 0.
const SEVERAL_PORTS: u64 = 1 << 1;

/// The port that is used.
const PORT: u32 = 1;

/// Numbers of queues. Those of port 0 come first, and are not used.
const CONTROL_FROM_DEVICE: u16 = 2;
const CONTROL_TO_DEVICE: u16 = 3;
const FROM_DEVICE: u16 = 4;
const TO_DEVICE: u16 = 5;

/// Buffers of the control queues, and their bytes: an event may have a name behind it.
const CONTROL_BUFFERS: u16 = 8;
const CONTROL_BYTES: usize = 128;
/// Buffers for what is received, and their bytes: QEMU fills as many at once.
const RECEIVE_BUFFERS: u16 = 8;
const RECEIVE_BYTES: usize = 4096;
/// Buffers for what is sent.
const SEND_BUFFERS: u16 = 32;

/// The most bytes of one [`Port::send`].
pub const SEND_BYTES: usize = 2048;

/// Buffers that go to the device with something in them, and those that it does not have.
#[derive(Debug)]
struct Sending {
    way: Way,
    free: Vec<u16>,
}

impl Sending {
    fn new(way: Way) -> Sending {
        let free = (0..way.queue.size()).rev().collect();
        Sending { way, free }
    }

    /// Takes back what the device is done with.
    fn take_back(&mut self) {
        while let Some(used) = self.way.queue.take() {
            // A buffer that the device did not have is nonsense, and is not taken for free.
            if self.way.buffers.take_back(used.buffer as usize) {
                self.free.push(used.buffer as u16);
            }
        }
        self.way.queue.quieten();
    }

    /// As [`take_back`](Sending::take_back); asks for an interrupt at the next one if `is_enough` says no.
    fn take_back_until(&mut self, is_enough: impl Fn(&Sending) -> bool) -> bool {
        self.take_back();
        if !is_enough(self) && self.way.queue.ask() {
            self.take_back();
            if !is_enough(self) {
                self.way.queue.ask();
            }
        }
        is_enough(self)
    }

    /// Has the device take `data`, which fits a buffer. False if it has all buffers.
    fn send(&mut self, data: &[u8], transport: &Transport) -> bool {
        if self.free.is_empty() {
            self.take_back();
        }
        let Some(buffer) = self.free.pop() else {
            return false;
        };
        self.way.buffers.get_mut(buffer.into())[..data.len()].copy_from_slice(data);
        self.way.queue.set_length(buffer, data.len() as u32);
        self.way.hand_over(buffer);
        self.way.show(transport);
        true
    }
}

/// Bytes that were received: they lie in a buffer of the device until it is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    buffer: u16,
    bytes: usize,
}

/// A started device.
#[derive(Debug)]
pub struct Port {
    transport: Transport,
    interrupt: InterruptLine,
    events: Way,
    control: Sending,
    receiving: Way,
    sending: Sending,
    is_open: bool,
}

impl Port {
    /// Resets the device and starts it. The port opens later, of which an interrupt tells.
    pub fn start(device: &Device) -> Result<Port, Error> {
        let transport = Transport::open(device)?;
        let features = transport.agree(feature::EVENT_INDEX | SEVERAL_PORTS)?;
        if features & SEVERAL_PORTS == 0 {
            return Err(Error::NotSupported);
        }
        let interrupt = device.claim_interrupt()?;
        let has_events = features & feature::EVENT_INDEX != 0;
        let way = |number, most, bytes, device_writes| {
            Way::new(&transport, number, most, bytes, has_events, device_writes)
        };
        let mut events = way(CONTROL_FROM_DEVICE, CONTROL_BUFFERS, CONTROL_BYTES, true)?;
        let control = way(CONTROL_TO_DEVICE, CONTROL_BUFFERS, CONTROL_BYTES, false)?;
        let mut receiving = way(FROM_DEVICE, RECEIVE_BUFFERS, RECEIVE_BYTES, true)?;
        let sending = way(TO_DEVICE, SEND_BUFFERS, SEND_BYTES, false)?;
        transport.start();
        for way in [&mut events, &mut receiving] {
            for buffer in 0..way.queue.size() {
                way.hand_over(buffer);
            }
            way.queue.ask();
            way.show(&transport);
        }
        let (mut control, mut sending) = (Sending::new(control), Sending::new(sending));
        control.way.queue.quieten();
        sending.way.queue.quieten();
        let mut port = Port { transport, interrupt, events, control, receiving, sending, is_open: false };
        port.tell(event::DRIVER_READY)?;
        Ok(port)
    }

    /// Who sends its interrupts.
    pub const fn interrupt(&self) -> Pid {
        self.interrupt.sender()
    }

    fn tell(&mut self, event: u16) -> Result<(), Error> {
        let said = Control { port: PORT, event, value: 1 }.encode();
        self.control.send(&said, &self.transport).then_some(()).ok_or(Error::NoResources)
    }

    /// Hears what the device says of the port. True if the host has opened its end since the last call.
    pub fn attend(&mut self) -> Result<bool, Error> {
        let mut was_opened = false;
        while let Some(used) = self.events.queue.take() {
            if !self.events.buffers.take_back(used.buffer as usize) {
                continue;
            }
            let said = self.events.buffers.get(used.buffer as usize);
            let said = said.get(..used.bytes as usize).and_then(Control::decode);
            self.events.hand_over(used.buffer as u16);
            self.events.show(&self.transport);
            match said {
                Some(Control { port: PORT, event: event::PORT_ADDED, .. }) => {
                    self.tell(event::PORT_READY)?;
                    self.tell(event::OPEN)?;
                }
                Some(Control { port: PORT, event: event::OPEN, value }) => {
                    self.is_open = value != 0;
                    was_opened |= self.is_open;
                }
                // Other ports, names, sizes of terminals.
                Some(_) | None => {}
            }
        }
        Ok(was_opened)
    }

    /// The next bytes that have come. What is not given back is missing to those that come.
    pub fn receive(&mut self) -> Option<Received> {
        loop {
            let used = self.receiving.queue.take()?;
            if !self.receiving.buffers.take_back(used.buffer as usize) {
                continue;
            }
            let buffer = used.buffer as u16;
            let bytes = used.bytes as usize;
            if bytes <= self.receiving.buffers.bytes() {
                return Some(Received { buffer, bytes });
            }
            self.receiving.hand_over(buffer);
        }
    }

    /// Received bytes.
    pub fn bytes(&self, received: &Received) -> &[u8] {
        &self.receiving.buffers.get(received.buffer.into())[..received.bytes]
    }

    /// Received bytes have been dealt with.
    #[expect(clippy::needless_pass_by_value, reason = "what was given back can't be looked at any more")]
    pub fn give_back(&mut self, received: Received) {
        self.receiving.hand_over(received.buffer);
        self.receiving.show(&self.transport);
    }

    /// Asks for an interrupt when more comes, all that was there having been taken. True if more has come meanwhile,
    /// for which no interrupt may come.
    pub fn rearm(&mut self) -> bool {
        let has_events = self.events.queue.ask();
        self.receiving.queue.ask() || has_events
    }

    /// How often [`send`](Port::send) will succeed. If that is `fewer` times or less, an interrupt comes when it may
    /// have become more often.
    pub fn room(&mut self, fewer: usize) -> usize {
        if !self.is_open {
            return 0;
        }
        if self.sending.free.len() <= fewer {
            self.sending.take_back_until(|sending| sending.free.len() > fewer);
        }
        self.sending.free.len()
    }

    /// Sends `data`, all of it or nothing: [`NoResources`](Error::NoResources) if the device has all that it can take,
    /// [`TooLong`](Error::TooLong) for more than [`SEND_BYTES`].
    pub fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        if data.len() > SEND_BYTES {
            return Err(Error::TooLong);
        }
        self.sending.send(data, &self.transport).then_some(()).ok_or(Error::NoResources)
    }

    /// Whether the host has taken all that was sent. If not, an interrupt comes when it may have.
    pub fn is_idle(&mut self) -> bool {
        self.sending.take_back_until(|sending| sending.free.len() == sending.way.buffers.count())
    }
}
