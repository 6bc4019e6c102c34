//! Lists threaded through the process table: ready lists and the queues of receivers.
//!
//! A slot is in at most one such list, so one pair of links in it is enough and nothing is ever allocated.

use crate::machine::ProcessIndex;
use crate::process::NOBODY;
use crate::table::Processes;

/// First and last of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct List {
    /// The first, or nobody.
    pub head: ProcessIndex,
    /// The last, or nobody.
    pub tail: ProcessIndex,
}

impl List {
    /// Nobody in it.
    pub const EMPTY: List = List { head: NOBODY, tail: NOBODY };

    /// Whether nobody is in it.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.head == NOBODY
    }

    /// Puts `index`, which is in no list, behind `before`, or in front if `before` is nobody.
    pub fn insert_after<S>(&mut self, table: &mut Processes<S>, before: ProcessIndex, index: ProcessIndex) {
        let after = if before == NOBODY {
            core::mem::replace(&mut self.head, index)
        } else {
            core::mem::replace(&mut table[before].next, index)
        };
        table[index].previous = before;
        table[index].next = after;
        if after == NOBODY {
            self.tail = index;
        } else {
            table[after].previous = index;
        }
    }

    /// Puts `index` last.
    #[inline]
    pub fn push_back<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let tail = self.tail;
        self.insert_after(table, tail, index);
    }

    /// Puts `index` first.
    #[inline]
    pub fn push_front<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        self.insert_after(table, NOBODY, index);
    }

    /// Puts `index` behind the last that is at least as urgent.
    pub fn insert_by_priority<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let priority = table[index].priority;
        let mut before = self.tail;
        while before != NOBODY && table[before].priority > priority {
            before = table[before].previous;
        }
        self.insert_after(table, before, index);
    }

    /// Takes `index`, which is in this list, out.
    pub fn remove<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let (previous, next) = (table[index].previous, table[index].next);
        if previous == NOBODY {
            self.head = next;
        } else {
            table[previous].next = next;
        }
        if next == NOBODY {
            self.tail = previous;
        } else {
            table[next].previous = previous;
        }
        table[index].next = NOBODY;
        table[index].previous = NOBODY;
    }
}
