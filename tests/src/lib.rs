//! Rules of the house (`tests/`), scenarios on booted nodes (`scenarios/`) and the guest programs that they need
//! (`programs/`). The library itself is empty.

#![forbid(unsafe_code)]
