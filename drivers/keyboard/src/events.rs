//! The two queues of a virtio input device (virtio 1.2, 5.8.6): buffers that the device fills with an event each, all of which it has,
//! and buffers in which it is told of lights.

use alloc::vec::Vec;

use hardware::buffers::Buffers;
use virtio::{Inbox, Queue};

/// Bytes of an event, and so of a buffer.
pub const EVENT_BYTES: usize = 8;

/// An event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its [kind](crate::facts::kind).
    pub kind: u16,
    /// Which of that kind, such as a key's number.
    pub code: u16,
    /// Of keys: 0 is up, 1 down, 2 still down. Of lights: 1 is on.
    pub value: u32,
}

impl Event {
    /// As it stands in a buffer.
    pub fn encode(self) -> [u8; EVENT_BYTES] {
        let bits = u64::from(self.kind) | u64::from(self.code) << 16 | u64::from(self.value) << 32;
        bits.to_le_bytes()
    }

    /// Of a buffer.
    pub const fn decode(bytes: [u8; EVENT_BYTES]) -> Event {
        let bits = u64::from_le_bytes(bytes);
        Event { kind: bits as u16, code: (bits >> 16) as u16, value: (bits >> 32) as u32 }
    }
}

/// Events that the device tells of.
#[derive(Debug)]
pub struct Events(Inbox);

impl Events {
    /// Hands all buffers over; the device sees them after the next [`ask`](Events::ask).
    ///
    /// # Panics
    /// If there are more buffers than places in the queue.
    pub fn new(queue: Queue, buffers: Buffers) -> Events {
        Events(Inbox::new(queue, buffers))
    }

    /// The next buffer that the device gives back: the event in it, if that is no nonsense. None if there is no buffer.
    pub fn take(&mut self) -> Option<Option<Event>> {
        let event = |bytes: &mut [u8], count: usize| bytes[..count].first_chunk().copied().map(Event::decode);
        self.0.take(event).map(Option::flatten)
    }

    /// Lets the device see which buffers it has again. True if it is to be told.
    pub fn show(&mut self) -> bool {
        self.0.show()
    }

    /// Asks for an interrupt at the next event. True if there is one already, for which none may come.
    pub fn ask(&mut self) -> bool {
        self.0.ask()
    }
}

/// What the device is told.
#[derive(Debug)]
pub struct Orders {
    queue: Queue,
    buffers: Buffers,
    free: Vec<u16>,
}

impl Orders {
    /// All buffers are free.
    ///
    /// # Panics
    /// As [`Events::new`].
    pub fn new(mut queue: Queue, buffers: Buffers) -> Orders {
        queue.quieten();
        for buffer in 0..buffers.count() {
            queue.describe(buffer as u16, buffers.physical(buffer), EVENT_BYTES as u32, false);
        }
        let free = (0..buffers.count() as u16).collect();
        Orders { queue, buffers, free }
    }

    /// Gives the device an event, which it sees after the next [`show`](Orders::show). False if it has not taken those before.
    pub fn give(&mut self, event: Event) -> bool {
        for _ in 0..self.buffers.count() {
            let Some(used) = self.queue.take() else { break };
            // A buffer that the device did not have is not taken for free.
            if self.buffers.take_back(used.buffer as usize) {
                self.free.push(used.buffer as u16);
            }
        }
        self.queue.quieten();
        let Some(buffer) = self.free.pop() else { return false };
        self.buffers.get_mut(buffer.into())[..EVENT_BYTES].copy_from_slice(&event.encode());
        self.buffers.lend(buffer.into());
        self.queue.name(buffer);
        true
    }

    /// Lets the device see what it was given. True if it is to be told.
    pub fn show(&mut self) -> bool {
        self.queue.show()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use hardware::dma::DmaMemory;
    use proptest::prelude::*;

    const COUNT: u16 = 4;

    /// A queue's memory as the device has it.
    struct Device {
        queue: DmaMemory,
        used: usize,
        buffers: DmaMemory,
        given: u16,
    }

    impl Device {
        fn new() -> (Device, Queue, Buffers) {
            let memory = DmaMemory::imitate(Queue::bytes(COUNT));
            let buffers = DmaMemory::imitate(EVENT_BYTES * usize::from(COUNT));
            let (seen, seen_buffers) = (memory.seen_by_device(), buffers.seen_by_device());
            let queue = Queue::new(memory, COUNT, true);
            let [descriptors, _, used] = queue.places();
            let used = (used - descriptors) as usize;
            let device = Device { queue: seen, used, buffers: seen_buffers, given: 0 };
            (device, queue, Buffers::of(&buffers, COUNT.into(), EVENT_BYTES))
        }

        /// Gives a buffer back with so many bytes.
        fn give(&mut self, buffer: u32, bytes: u32) {
            let entry = self.used + 4 + 8 * usize::from(self.given % COUNT);
            self.queue.set(entry, buffer);
            self.queue.set(entry + 4, bytes);
            self.given += 1;
            self.queue.set(self.used + 2, self.given);
        }

        /// Writes anything into the used ring.
        fn scribble(&self, words: &[u32], index: u16) {
            for (at, word) in words.iter().enumerate() {
                // Some are buffers that there are.
                self.queue.set(self.used + 4 * at, if word % 2 == 0 { word % 8 } else { *word });
            }
            self.queue.set(self.used + 2, index);
        }
    }

    #[test]
    fn fields_stand_where_the_standard_has_them() {
        let event = Event { kind: 0x0201, code: 0x0403, value: 0x0807_0605 };
        assert_eq!(event.encode(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Event::decode(event.encode()), event);
    }

    #[test]
    fn events_are_taken_once_and_their_buffers_go_back() {
        let (mut device, queue, buffers) = Device::new();
        let mut events = Events::new(queue, buffers);
        assert!(events.show(), "it has all buffers");
        let key = Event { kind: 1, code: 30, value: 1 };
        for round in 0..20 {
            assert_eq!(events.take(), None);
            let buffer = round % u32::from(COUNT);
            device.buffers.set(EVENT_BYTES * buffer as usize, u64::from_le_bytes(key.encode()));
            device.give(buffer, 8);
            assert_eq!(events.take(), Some(Some(key)));
            events.show();
            assert!(!events.ask());
        }
        device.give(1, 7);
        assert!(events.ask(), "for this no interrupt may come");
        assert_eq!(events.take(), Some(None), "it is not whole");
        device.give(9, 8);
        assert_eq!(events.take(), Some(None), "there is no such buffer");
    }

    #[test]
    fn lights_are_told_as_far_as_the_device_listens() {
        let (mut device, queue, buffers) = Device::new();
        let mut orders = Orders::new(queue, buffers);
        let light = |value| Event { kind: 0x11, code: 1, value };
        for value in 0..u32::from(COUNT) {
            assert!(orders.give(light(value)));
        }
        assert!(orders.show());
        assert!(!orders.give(light(9)), "it has not taken those before");
        assert_eq!(
            device.buffers.get::<u64>(0),
            u64::from_le_bytes(light(3).encode()),
            "the last buffer first"
        );
        device.give(2, 0);
        device.give(2, 0);
        assert!(orders.give(light(9)));
        assert_eq!(device.buffers.get::<u64>(16), u64::from_le_bytes(light(9).encode()));
        assert!(!orders.give(light(10)), "it gave back one buffer, and that once");
    }

    proptest! {
        #[test]
        fn a_hostile_device_tells_of_no_more_than_it_writes(
            words in prop::collection::vec(any::<u32>(), 9),
            index: u16,
        ) {
            let (device, queue, buffers) = Device::new();
            let mut events = Events::new(queue, buffers);
            events.show();
            device.scribble(&words, index);
            let mut looks = vec![];
            while let Some(event) = events.take() {
                looks.push(event);
                prop_assert!(looks.len() <= usize::from(index));
                events.show();
            }
            prop_assert_eq!(looks.len(), usize::from(index));
            prop_assert!(!events.ask(), "it is all looked at");
        }

        #[test]
        fn a_hostile_device_is_given_no_buffer_twice(
            words in prop::collection::vec(any::<u32>(), 9),
            indices: [u16; 8],
        ) {
            let (device, queue, buffers) = Device::new();
            let mut orders = Orders::new(queue, buffers);
            for index in indices {
                device.scribble(&words, index);
                // A buffer that it has would be a panic.
                orders.give(Event { kind: 0x11, code: 0, value: 1 });
                orders.show();
                prop_assert!(orders.free.len() <= usize::from(COUNT));
            }
        }
    }
}
