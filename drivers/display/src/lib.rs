//! Consoles on a screen: to the terminal servers each is what a serial line with a terminal at its other end
//! is. `[display]1` and the others are written what is to be shown, and read what is typed.
//!
//! | module | what it has |
//! |---|---|
//! | `grid` | the characters of a console, and how they move |
//! | `console` | what is written to a console: text and a terminal's control sequences |
//! | `screen` | characters as pixels, and only those that have changed |
//! | `keyboard` | from keys, of which the drivers of keyboards tell, to what a terminal sends |
//! | `server` | the I/O protocol in terms of them; which console is on the screen |
//! | `frame` | the screen's pixels: a known adapter's, or those that the firmware has set up |
//! | `colours` | colours as the bits of a pixel |
//! | `bochs` | Bochs's display adapter, which QEMU has |
//!
//! The font is Spleen, 8 by 16 pixels: Latin letters, arrows, lines. What it lacks is shown as a box.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bochs;
pub mod colours;
pub mod console;
pub mod frame;
pub mod grid;
pub mod keyboard;
pub mod screen;
pub mod server;

pub use server::DisplayServer;

#[cfg(test)]
mod tests;
