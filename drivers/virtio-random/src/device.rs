//! A device, brought up. It has one queue, no registers of its own, and nothing to agree on.

use abi::{Error, Pid};
use hardware::buffers::Buffers;
use hardware::device::Device;
use hardware::interrupt::InterruptLine;
use virtio::transport::Bell;
use virtio::{Queue, Transport, feature};

use crate::server::Randomness;
use crate::source::{BUFFER_BYTES, Source};

const QUEUE: u16 = 0;
/// Buffers that the device fills before they are asked for.
const BUFFERS: u16 = 4;

/// A started device.
#[derive(Debug)]
pub struct RandomDevice {
    transport: Transport,
    bell: Bell,
    interrupt: InterruptLine,
    source: Source,
}

impl RandomDevice {
    /// Resets the device and starts it.
    pub fn start(device: &Device) -> Result<RandomDevice, Error> {
        let transport = Transport::open(device)?;
        let features = transport.agree(feature::EVENT_INDEX)?;
        let size = transport.queue_size(QUEUE, BUFFERS)?;
        let buffers = Buffers::allocate(size.into(), BUFFER_BYTES)?;
        let queue = Queue::allocate(size, features & feature::EVENT_INDEX != 0)?;
        let interrupt = device.claim_interrupt()?;
        let bell = transport.set_up(QUEUE, &queue)?;
        transport.start();
        let mut started = RandomDevice { transport, bell, interrupt, source: Source::new(queue, buffers) };
        started.show();
        Ok(started)
    }

    fn show(&mut self) {
        if self.source.show() {
            self.transport.ring(self.bell);
        }
    }
}

impl Randomness for RandomDevice {
    fn interrupt(&self) -> Pid {
        self.interrupt.sender()
    }

    fn take(&mut self, place: &mut [u8; BUFFER_BYTES]) -> usize {
        let count = self.source.take(place);
        self.show();
        count
    }

    fn ask(&mut self) -> bool {
        self.source.ask()
    }
}
