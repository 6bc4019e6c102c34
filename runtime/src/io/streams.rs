//! Standard input, output and error: the streams that the program was started with.
//!
//! Input and output are buffered; output goes out when the buffer is full, at the end of each line where a person may
//! be reading, and when the program ends or starts another. Error output goes out at once.
//!
//! A program that was given no streams at all, such as a service, is at the end of its input from the beginning, and
//! what it writes goes to the log, line by line. To use one stream that is missing among others is an error.

use alloc_crate::string::String;
use alloc_crate::vec::Vec;
use core::fmt;

use abi::Error;
use protocols::io::attribute;
use protocols::program::{Entry, entries_of, entry_kind};

use super::{BufRead, BufReader, BufWriter, Instance, Lines, Read, Result, Write};
use crate::log::{self, Level};
use crate::sync::{Mutex, MutexGuard};

/// Number of standard input in a start block.
const INPUT: u32 = 0;
/// Number of standard output.
const OUTPUT: u32 = 1;
/// Number of standard error.
const ERROR_OUTPUT: u32 = 2;

static STDIN: Mutex<BufReader<Standard>> = Mutex::new(BufReader::new(Standard::new(INPUT)));
static STDOUT: Mutex<BufWriter<Standard>> = Mutex::new(BufWriter::new(Standard::new(OUTPUT)));
static STDERR: Mutex<Standard> = Mutex::new(Standard::new(ERROR_OUTPUT));

/// The instance behind a standard stream (0 input, 1 output, 2 error), if the program was given one.
pub fn standard_stream(number: u32) -> Option<Instance> {
    entries_of(crate::entry::start_block(), entry_kind::STREAM).find_map(|entry| match entry {
        Entry::Stream { number: found, server, instance, attributes } if found == number => {
            Some(Instance { server, number: instance, attributes })
        }
        _ => None,
    })
}

/// Where the program begins to read or write a standard stream that has positions.
pub fn standard_position(number: u32) -> u64 {
    let mut positions = entries_of(crate::entry::start_block(), entry_kind::POSITION);
    let position = positions.find_map(|entry| match entry {
        Entry::Position { number: found, position } if found == number => Some(position),
        _ => None,
    });
    position.unwrap_or(0)
}

/// Where this program is in one of its standard streams that has positions: there a program goes on that inherits it.
/// What was read ahead counts as not read.
pub(crate) fn current_position(number: u32) -> u64 {
    // Whoever holds a stream's lock and starts a program meanwhile must not wait for itself.
    let position = match number {
        INPUT => STDIN.try_lock().map(|mut input| {
            let ahead = input.buffer().len() as u64;
            input.get_mut().position().saturating_sub(ahead)
        }),
        OUTPUT => STDOUT.try_lock().map(|mut output| output.get_mut().position()),
        _ => STDERR.try_lock().map(|mut errors| errors.position()),
    };
    position.unwrap_or_else(|| standard_position(number))
}

/// Whether the program was given any stream.
fn has_streams() -> bool {
    entries_of(crate::entry::start_block(), entry_kind::STREAM).next().is_some()
}

/// A standard stream without a buffer.
#[derive(Debug)]
struct Standard {
    number: u32,
    /// Looked up when first used.
    target: Option<Target>,
    position: u64,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Instance(Instance),
    Log(Level),
    Nothing,
    Closed,
}

impl Standard {
    const fn new(number: u32) -> Standard {
        Standard { number, target: None, position: 0 }
    }

    /// Where it is, if it has positions; else 0.
    fn position(&mut self) -> u64 {
        self.target();
        self.position
    }

    fn target(&mut self) -> Target {
        let (number, position) = (self.number, &mut self.position);
        *self.target.get_or_insert_with(|| match (standard_stream(number), number) {
            (Some(instance), _) => {
                if !instance.is_stream() {
                    *position = standard_position(number);
                }
                Target::Instance(instance)
            }
            _ if has_streams() => Target::Closed,
            (None, INPUT) => Target::Nothing,
            (None, OUTPUT) => Target::Log(Level::Notice),
            (None, _) => Target::Log(Level::Warning),
        })
    }

    /// Whether whoever reads wants each line at once.
    fn is_by_line(&mut self) -> bool {
        match self.target() {
            Target::Instance(instance) => instance.is(attribute::INTERACTIVE),
            Target::Log(_) => true,
            Target::Nothing | Target::Closed => false,
        }
    }
}

impl Read for Standard {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let instance = match self.target() {
            Target::Instance(instance) => instance,
            Target::Log(_) | Target::Nothing => return Ok(0),
            Target::Closed => return Err(Error::NotReadable),
        };
        if instance.is(attribute::INTERACTIVE) {
            // Whoever is asked for input shall see the question; a failure shows when output is flushed again.
            let _ = flush_standard_output();
        }
        let count = instance.read(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Standard {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        match self.target() {
            Target::Instance(instance) => {
                let count = instance.write(self.position, data)?;
                self.position += count as u64;
                return Ok(count);
            }
            Target::Log(level) => {
                for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    log::write_text(level, &String::from_utf8_lossy(line));
                }
            }
            Target::Nothing => {}
            Target::Closed => return Err(Error::NotWritable),
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Standard input; see [`stdin`].
#[derive(Clone, Copy, Debug)]
pub struct Stdin(());

/// Standard input. It is buffered once for the whole program; [`lock`](Stdin::lock) gives it as a [`BufRead`].
pub const fn stdin() -> Stdin {
    Stdin(())
}

/// Standard input for a while; see [`Stdin::lock`].
pub struct StdinLock(MutexGuard<'static, BufReader<Standard>>);

impl Stdin {
    /// Keeps standard input to oneself, for reading from its buffer.
    pub fn lock(self) -> StdinLock {
        StdinLock(STDIN.lock())
    }

    /// Appends a line with its newline; 0 means the end.
    pub fn read_line(self, line: &mut String) -> Result<usize> {
        STDIN.lock().read_line(line)
    }

    /// The lines, without their newlines.
    pub fn lines(self) -> Lines<StdinLock> {
        self.lock().lines()
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        STDIN.lock().read(buffer)
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> Result<usize> {
        STDIN.lock().read_to_end(bytes)
    }
}

impl Read for StdinLock {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for StdinLock {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

/// Standard output; see [`stdout`].
#[derive(Clone, Copy, Debug)]
pub struct Stdout(());

/// Standard output. It is buffered once for the whole program.
pub const fn stdout() -> Stdout {
    Stdout(())
}

impl Write for Stdout {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        self.write_all(data)?;
        Ok(data.len())
    }

    fn write_all(&mut self, data: &[u8]) -> Result<()> {
        let mut output = STDOUT.lock();
        output.write_all(data)?;
        if data.contains(&b'\n') && output.get_mut().is_by_line() {
            output.pass_on()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        STDOUT.lock().flush()
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        let mut output = STDOUT.lock();
        output.write_fmt(text)?;
        // The pieces of the text have gone by; whether there was a newline the buffer's end tells.
        if output.get_mut().is_by_line() && output.ends_with(b'\n') {
            output.pass_on()?;
        }
        Ok(())
    }
}

/// Standard error; see [`stderr`].
#[derive(Clone, Copy, Debug)]
pub struct Stderr(());

/// Standard error. What is written goes out at once, formatted text in one piece.
pub const fn stderr() -> Stderr {
    Stderr(())
}

impl Write for Stderr {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        STDERR.lock().write(data)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<()> {
        let mut whole = Vec::new();
        whole.write_fmt(text)?;
        self.write_all(&whole)
    }
}

/// Passes on what is buffered of standard output. Skipped while another process of the team writes: it will itself.
pub fn flush_standard_output() -> Result<()> {
    match STDOUT.try_lock() {
        Some(mut output) => output.flush(),
        None => Ok(()),
    }
}

/// Gives up the standard streams that are pipes, at the program's end, so that who is at the other end sees it at once
/// and not only when the pipe server next looks after owners.
pub(crate) fn release_pipes() {
    let is_pipe = |instance: &Instance| instance.is_stream() && !instance.is(attribute::INTERACTIVE);
    let mut pipes = [INPUT, OUTPUT, ERROR_OUTPUT].map(|number| standard_stream(number).filter(is_pipe));
    // One message to each server, which may be far away.
    while let Some(server) = pipes.iter().flatten().map(|pipe| pipe.server).next() {
        let [input, output, error] = pipes
            .each_mut()
            .map(|pipe| pipe.take_if(|pipe| pipe.server == server).map_or(0, |pipe| pipe.number));
        // One that is not ours to release, or whose server has died, is nobody's loss.
        let _ = Instance::release_streams(server, [input, output, error]);
    }
}

/// Writes to standard error without the heap and without locks, for a report when nothing can be relied upon.
pub fn write_fatal(text: &str) {
    match standard_stream(ERROR_OUTPUT) {
        Some(instance) => {
            let mut rest = text.as_bytes();
            while !rest.is_empty() {
                match instance.write(0, rest) {
                    Ok(count) if count > 0 => rest = &rest[count..],
                    _ => return,
                }
            }
        }
        None => log::write_to_kernel(Level::Error, text.trim_end()),
    }
}

/// Writes formatted text to standard output. A failure is not reported here but when it is flushed; programs that
/// must know use `write!`.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        { let _ = $crate::io::Write::write_fmt(&mut $crate::io::stdout(), ::core::format_args!($($text)*)); }
    };
}

/// As `print!`, with a newline.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($format:literal $($arguments:tt)*) => { $crate::print!("{}\n", ::core::format_args!($format $($arguments)*)) };
}

/// Writes formatted text to standard error.
#[macro_export]
macro_rules! eprint {
    ($($text:tt)*) => {
        { let _ = $crate::io::Write::write_fmt(&mut $crate::io::stderr(), ::core::format_args!($($text)*)); }
    };
}

/// As `eprint!`, with a newline.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::eprint!("\n") };
    ($format:literal $($arguments:tt)*) => { $crate::eprint!("{}\n", ::core::format_args!($format $($arguments)*)) };
}
