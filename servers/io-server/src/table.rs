//! A table of things that clients know by number, and that come and go.
//!
//! A number holds a slot and the slot's generation, so that the number of what is gone is noticed. It is never 0.
//! The slot that has been free the longest is used next, so a number comes back as late as can be.

use alloc::vec::Vec;

/// Most things in a table.
pub const MAX_SLOTS: usize = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 16;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// A slot that no free slot comes after.
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u16,
    /// The slot freed next after this one, while both are free.
    next_free: u32,
    content: Option<T>,
}

/// Things by number.
#[derive(Clone, Debug)]
pub struct Table<T> {
    slots: Vec<Slot<T>>,
    /// The slot that has been free the longest.
    first_free: u32,
    last_free: u32,
    /// How many have content.
    used: usize,
    most: usize,
}

impl<T> Table<T> {
    /// An empty table for at most `most` things, of which no more than [`MAX_SLOTS`] count.
    pub fn new(most: usize) -> Table<T> {
        Table { slots: Vec::new(), first_free: NONE, last_free: NONE, used: 0, most: most.min(MAX_SLOTS) }
    }

    /// How many more go in.
    pub fn room(&self) -> usize {
        self.most - self.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many things are in it.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Takes `content` in and numbers it; gives it back if the table is full.
    pub fn insert(&mut self, content: T) -> Result<u32, T> {
        if self.room() == 0 {
            return Err(content);
        }
        self.used += 1;
        let index = self.first_free;
        let Some(slot) = self.slots.get_mut(index as usize) else {
            self.slots.push(Slot { generation: 1, next_free: NONE, content: Some(content) });
            return Ok(1 << INDEX_BITS | (self.slots.len() - 1) as u32);
        };
        self.first_free = slot.next_free;
        slot.generation = slot.generation.checked_add(1).unwrap_or(1);
        slot.content = Some(content);
        Ok(u32::from(slot.generation) << INDEX_BITS | index)
    }

    /// What has this number.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        let slot = self.slots.get((number & INDEX_MASK) as usize)?;
        slot.content.as_ref().filter(|_| u32::from(slot.generation) == number >> INDEX_BITS)
    }

    /// What has this number, to be changed.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let slot = self.slots.get_mut((number & INDEX_MASK) as usize)?;
        slot.content.as_mut().filter(|_| u32::from(slot.generation) == number >> INDEX_BITS)
    }

    /// Takes out what has this number.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let index = number & INDEX_MASK;
        let slot = self
            .slots
            .get_mut(index as usize)
            .filter(|slot| u32::from(slot.generation) == number >> INDEX_BITS)?;
        let content = slot.content.take()?;
        slot.next_free = NONE;
        self.used -= 1;
        if self.first_free == NONE {
            self.first_free = index;
        } else {
            self.slots[self.last_free as usize].next_free = index;
        }
        self.last_free = index;
        Some(content)
    }

    /// Everything with its number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let number = u32::from(slot.generation) << INDEX_BITS | index as u32;
            slot.content.as_ref().map(|content| (number, content))
        })
    }

    /// Everything, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.content.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_means_one_thing_only() {
        let mut table = Table::new(2);
        let first = table.insert('a').unwrap();
        let second = table.insert('b').unwrap();
        assert_eq!((table.insert('c'), table.len()), (Err('c'), 2));
        assert_eq!(table.remove(first), Some('a'));
        assert_eq!((table.remove(first), table.get(first)), (None, None));
        let third = table.insert('c').unwrap();
        assert!(third != first && third != second && third != 0);
        assert_eq!(table.get(third), Some(&'c'));
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.iter().collect::<Vec<_>>(), [(third, &'c'), (second, &'b')]);
        for number in [0, u32::MAX, 1 << INDEX_BITS | 2] {
            assert_eq!(table.get(number), None);
        }
    }

    #[test]
    fn generations_wrap_past_zero() {
        let mut table = Table::new(1);
        let first = table.insert(()).unwrap();
        table.remove(first);
        for _ in 0..0xfffe {
            let number = table.insert(()).unwrap();
            assert!(number != first && number != 0);
            table.remove(number);
        }
        assert_eq!(table.insert(()), Ok(first));
    }
}
