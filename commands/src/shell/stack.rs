//! A bound on recursion.
//!
//! Scripts nest as deep as their author likes, and stacks end. How much stack a level takes depends on the
//! build, so the bound is on the stack itself: the distance between a mark near the entry and the current
//! frame. Past the bound, parser and executor report 'nested too deeply' instead of overflowing.

use core::hint::black_box;

/// A mark on the stack, and how far from it recursion may go.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    mark: usize,
    limit_bytes: usize,
}

impl Stack {
    /// Marks the current frame. Only to be asked on the thread that made it.
    pub fn here(limit_bytes: usize) -> Stack {
        Stack { mark: frame(), limit_bytes }
    }

    /// Whether recursion has to stop.
    pub fn is_exhausted(self) -> bool {
        frame().abs_diff(self.mark) > self.limit_bytes
    }
}

/// About where the stack pointer is.
#[inline(never)]
fn frame() -> usize {
    let local = 0_u8;
    black_box(&raw const local).addr()
}
