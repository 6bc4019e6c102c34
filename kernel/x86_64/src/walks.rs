//! Where recent walks through page tables ended, so that a copy need not walk again.
//!
//! A table of pages stays until its space is destroyed, so an entry here holds as long as its space does; destroying
//! any space forgets them all. What a page's own entry says is never kept here: it is read each time.

/// Places for walks, by their keys; each has room for two, so that a client and its server may meet in one.
const PLACES: usize = 32;
/// Bits of address that one table of pages is for.
const TABLE_SHIFT: u32 = 21;
/// A root's address has this many zero bits below, the address's number of table fits in.
const NUMBER_BITS: u32 = 26;

#[derive(Clone, Copy)]
struct Walk {
    /// Root and number of table; 0 for none, since no root is at address 0.
    key: u64,
    table: u64,
}

/// The walks of one processor; of the two in a place, the latest comes first.
pub struct Walks([[Walk; 2]; PLACES]);

impl Walks {
    /// None yet.
    pub const fn new() -> Walks {
        Walks([[Walk { key: 0, table: 0 }; 2]; PLACES])
    }

    /// The table of pages for `address`, below 2^47, under the root table `root`, below 2^44; `walk` finds one that is
    /// not here.
    #[inline]
    pub fn find(&mut self, root: u64, address: u64, walk: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let key = root << (NUMBER_BITS - 12) | address >> TABLE_SHIFT;
        let place = &mut self.0[(key ^ key >> NUMBER_BITS) as usize % PLACES];
        if place[0].key != key {
            place.swap(0, 1);
            if place[0].key != key {
                place[0] = Walk { key, table: walk()? };
            }
        }
        Some(place[0].table)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Walks::new();
    }
}
