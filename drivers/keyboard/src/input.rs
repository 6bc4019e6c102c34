//! A virtio input device, brought up: a queue of events, and one by which its lights are changed.

use abi::{Error, Pid};
use hardware::buffers::Buffers;
use hardware::device::Device;
use hardware::interrupt::InterruptLine;
use protocols::keyboard::light;
use virtio::transport::Bell;
use virtio::{Queue, Transport, feature};

use crate::events::{EVENT_BYTES, Event, Events, Orders};
use crate::facts::{Facts, kind};
use crate::server::{Change, Source};

/// Numbers of queues.
const EVENTS: u16 = 0;
const ORDERS: u16 = 1;
/// Buffers for events, of which a key takes two: the second says that no more belong to the first. A device drops what it has no
/// buffers for.
const EVENT_BUFFERS: u16 = 64;
const ORDER_BUFFERS: u16 = 8;
/// Most buffers that are looked at for a key.
const MOST_BUFFERS: usize = 256;
/// Lights: their bits for the display server, and their numbers for the device.
const LIGHTS: [(u32, u16); 2] = [(light::NUMBERS, 0), (light::CAPITALS, 1)];

/// A started device.
#[derive(Debug)]
pub struct InputDevice {
    transport: Transport,
    bells: [Bell; 2],
    interrupt: InterruptLine,
    facts: Facts,
    events: Events,
    orders: Orders,
}

impl InputDevice {
    /// Resets the device and starts it, if it is a keyboard.
    pub fn start(device: &Device) -> Result<Option<InputDevice>, Error> {
        let transport = Transport::open(device)?;
        let features = transport.agree(feature::EVENT_INDEX)?;
        let facts = Facts::of(&transport);
        if !facts.is_keyboard() {
            return Ok(None);
        }
        let has_events = features & feature::EVENT_INDEX != 0;
        let allocate = |number, most| {
            let size = transport.queue_size(number, most)?;
            Ok((Queue::allocate(size, has_events)?, Buffers::allocate(size.into(), EVENT_BYTES)?))
        };
        let (events, event_buffers) = allocate(EVENTS, EVENT_BUFFERS)?;
        let (orders, order_buffers) = allocate(ORDERS, ORDER_BUFFERS)?;
        let interrupt = device.claim_interrupt()?;
        let bells = [transport.set_up(EVENTS, &events)?, transport.set_up(ORDERS, &orders)?];
        transport.start();
        let events = Events::new(events, event_buffers);
        let orders = Orders::new(orders, order_buffers);
        Ok(Some(InputDevice { transport, bells, interrupt, facts, events, orders }))
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.facts.name
    }
}

impl Source for InputDevice {
    fn interrupt(&self) -> Pid {
        self.interrupt.sender()
    }

    fn take(&mut self) -> Option<Change> {
        for _ in 0..MOST_BUFFERS {
            if let Some(Event { kind: kind::KEY, code, value }) = self.events.take()? {
                return Some(Change { key: code.into(), is_down: value != 0 });
            }
        }
        None
    }

    fn ask(&mut self) -> bool {
        if self.events.show() {
            self.transport.ring(self.bells[0]);
        }
        self.events.ask()
    }

    fn show(&mut self, lights: u32) {
        for (bit, number) in LIGHTS {
            if self.facts.has_light(number.into()) {
                let value = u32::from(lights & bit != 0);
                // A device that does not take what it is told keeps its lights as they are.
                self.orders.give(Event { kind: kind::LIGHT, code: number, value });
            }
        }
        if self.orders.show() {
            self.transport.ring(self.bells[1]);
        }
    }
}
