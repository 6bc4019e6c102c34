//! Tests the crate `v` on a booted node: `test-runtime [BEGINNING OF A CHECK'S NAME…]`.
//!
//! The checks named `kernel …` need no server: with this program in the supervisor's place they test a kernel that
//! has nothing else yet. Those named `system …` need the servers that an ordinary program finds, those named
//! `operator …` need the operator's user id as well.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod debugger;
mod files;
mod heap;
mod mapped;
mod messages;
mod programs;
mod restarts;
mod words;

use v::prelude::*;

v_start::program!(main);

const CHECKS: &[(&str, test_programs::Check)] = &[
    ("kernel copy", words::copy),
    ("kernel overlap", words::overlap),
    ("kernel fill", words::fill),
    ("kernel compare", words::compare),
    ("kernel heap", heap::heap),
    ("kernel heap gives back", heap::gives_back),
    ("kernel pages", heap::pages),
    ("kernel clocks", messages::clocks),
    ("kernel threads", messages::threads),
    ("kernel lock", messages::lock),
    ("kernel serve", messages::serve),
    ("kernel serve ticks", messages::ticks),
    ("kernel errors", messages::errors),
    ("system files", files::files),
    ("system directories", files::directories),
    ("system working directory", files::working_directory),
    ("system prefixes", files::prefixes),
    ("system mapped files", mapped::mapped),
    ("system what cannot be mapped", mapped::not_mappable),
    ("system shared memory", mapped::shared),
    ("system mapped files come and go", mapped::comes_and_goes),
    ("system untouched buffers", mapped::untouched_buffers),
    ("system large pages", heap::large),
    ("system streams of a program", programs::streams),
    ("system statuses", programs::statuses),
    ("system positions", programs::positions),
    ("system environment", programs::environment),
    ("system pipeline", programs::pipeline),
    ("system debugger", debugger::debugger),
    ("operator restart of the file server", restarts::file_server),
    ("operator restart of the pipe server", restarts::pipe_server),
    ("operator restart of the naming server", restarts::naming_server),
    ("operator restart of the program manager", restarts::program_manager),
];

fn main() -> i32 {
    let words: Vec<&str> = v::env::arguments().skip(1).collect();
    if let Some(("child", rest)) = words.split_first().map(|(first, rest)| (*first, rest)) {
        return programs::child(rest);
    }
    if v::entry::boot_archive().is_some() {
        // Nobody else is there.
        v::log::use_kernel_log();
        return test_programs::run(CHECKS, &["kernel"]);
    }
    test_programs::run(CHECKS, &words)
}
