//! The tool in GDB's place, for scenarios: at the TCP port to which `--gdb` leads a node's second serial port, it speaks GDB's remote
//! serial protocol to `debug`, and asks what GDB asks.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex::Regex;

use crate::symbols::Symbols;

/// How long an answer may take: a program may have to come to a breakpoint for it, on a busy host.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a packet is sent that did not arrive whole.
const TRIES: usize = 3;
/// Where the instruction pointer stands among the registers: digits of which 16 are before each.
const INSTRUCTION_DIGITS: std::ops::Range<usize> = 16 * 16..17 * 16;

/// A program that is stopped before its first instruction, and a function of it that commits a segmentation fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debugged {
    /// The program's name.
    pub program: String,
    /// The function's, with its path.
    pub function: String,
}

impl FromStr for Debugged {
    type Err = String;

    fn from_str(text: &str) -> Result<Debugged, String> {
        let (program, function) = text.split_once(' ').unwrap_or_default();
        if program.is_empty() || function.is_empty() {
            return Err(format!("`{text}` is no program and a function of it, which are debugged"));
        }
        Ok(Debugged { program: program.to_owned(), function: function.to_owned() })
    }
}

impl fmt::Display for Debugged {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} of {} is debugged", self.function, self.program)
    }
}

/// A TCP port of this host that nobody listens at.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free TCP port")?;
    Ok(listener.local_addr()?.port())
}

impl Debugged {
    /// Debugs it at a port of this host; its image with symbols is in `folder`. It looks at the program, has it run to the function
    /// and step into it, and lets it go when it has met its fault.
    pub fn debug(&self, port: u16, folder: &Path) -> Result<()> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("nobody is at GDB's port")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        self.session(&mut Line(stream), &Symbols::of(&folder.join(&self.program))?)
            .context("debugging by GDB's protocol")
    }

    fn session(&self, line: &mut Line<impl Read + Write>, symbols: &Symbols) -> Result<()> {
        let place = symbols.address(&self.function).with_context(|| format!("no {}", self.function))?;
        let code = format!("m{place:x},4");
        line.says(
            "qSupported:multiprocess+;swbreak+;vContSupported+",
            "PacketSize=[0-9a-f]+;.*swbreak\\+.*",
        )?;
        line.says("vMustReplyEmpty", "")?;
        line.says("qXfer:features:read:target.xml:0,3ff", "(?s)[lm].*i386:x86-64.*")?;
        line.says("?", "T02thread:1;")?;
        let first = line.instruction()?;
        let (name, _) = symbols.find(first).unwrap_or_default();
        ensure!(name == "_start", "it is stopped at {first:#x}, {name:?}, not at its start");

        let original = line.says(&code, "[0-9a-f]{8}")?;
        line.says(&format!("Z0,{place:x},1"), "OK")?;
        let shown = line.says(&code, "[0-9a-f]{8}")?;
        ensure!(shown == original, "the breakpoint shows: {shown}, not {original}");
        line.says("c", "T05thread:1;swbreak:;")?;
        let reached = line.instruction()?;
        ensure!(reached == place, "it is stopped at {reached:#x}, not at its breakpoint, {place:#x}");
        line.says(&format!("z0,{place:x},1"), "OK")?;
        line.says("s", "T05thread:1;")?;
        let next = line.instruction()?;
        ensure!((place + 1..place + 16).contains(&next), "a step from {place:#x} leads to {next:#x}");

        line.says("vCont;c", "T0bthread:1;")?;
        let fault = line.instruction()?;
        let (name, _) = symbols.find(fault).unwrap_or_default();
        ensure!(name == self.function, "the fault is at {fault:#x}, {name:?}");
        line.says("m0,8", "E.+")?;
        line.says("D", "OK")?;
        Ok(())
    }
}

/// GDB's end of the line.
struct Line<S>(S);

impl<S: Read + Write> Line<S> {
    /// Sends a packet; the answer's data, all of which the pattern must match.
    fn says(&mut self, data: &str, pattern: &str) -> Result<String> {
        let answer = self.ask(data).with_context(|| format!("asked `{data}`"))?;
        let is_right = Regex::new(&format!("^(?:{pattern})$"))?.is_match(&answer);
        ensure!(is_right, "asked `{data}`: the answer is `{answer}`, not `{pattern}`");
        Ok(answer)
    }

    fn ask(&mut self, data: &str) -> Result<String> {
        let packet = format!("${data}#{:02x}", sum(data.as_bytes()));
        for _ in 0..TRIES {
            self.0.write_all(packet.as_bytes()).context("nobody takes packets")?;
            if self.is_acknowledged()? {
                return self.answer();
            }
        }
        anyhow::bail!("it does not arrive whole")
    }

    fn is_acknowledged(&mut self) -> Result<bool> {
        match self.byte()? {
            b'+' => Ok(true),
            b'-' => Ok(false),
            other => anyhow::bail!("before the packet was acknowledged came `{}`", char::from(other)),
        }
    }

    /// Takes a packet, and acknowledges it.
    fn answer(&mut self) -> Result<String> {
        let begin = self.byte()?;
        ensure!(begin == b'$', "a packet begins with `{}`", char::from(begin));
        let mut data = Vec::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => data.push(byte),
            }
        }
        let digits = [self.byte()?, self.byte()?];
        let told = u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).context("a sum of a packet")?;
        ensure!(told == sum(&data), "the sum of a packet is wrong: {}", String::from_utf8_lossy(&data));
        self.0.write_all(b"+").context("nobody takes acknowledgements")?;
        String::from_utf8(data).context("an answer that is no text")
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).context("no answer")?;
        Ok(byte[0])
    }

    /// Where the program is.
    fn instruction(&mut self) -> Result<u64> {
        let registers = self.says("g", "[0-9a-fx]+")?;
        let digits = registers.get(INSTRUCTION_DIGITS).context("too few registers")?;
        // The lowest byte comes first.
        Ok(u64::from_str_radix(digits, 16).context("a register")?.swap_bytes())
    }
}

fn sum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// A line at whose other end all has been said already.
    struct Said(&'static [u8], Vec<u8>);

    impl Read for Said {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ask(said: &'static [u8], pattern: &str) -> (Result<String, String>, String) {
        let mut line = Line(Said(said, Vec::new()));
        let answer = line.says("?", pattern).map_err(|error| format!("{error:#}"));
        (answer, String::from_utf8(line.0.1).unwrap())
    }

    #[test]
    fn packets_are_acknowledged_and_repeated() {
        assert_eq!(ask(b"+$OK#9a", "OK"), (Ok("OK".into()), "$?#3f+".into()));
        assert_eq!(ask(b"-+$#00", ""), (Ok(String::new()), "$?#3f$?#3f+".into()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (said, complaint) in [
            (&b"+$OK#9b"[..], "the sum of a packet is wrong: OK"),
            (b"---", "it does not arrive whole"),
            (b"+$OK#9a", "asked `?`: the answer is `OK`, not `E..`"),
            (b"$OK#9a", "before the packet was acknowledged came `$`"),
            (b"+$OK", "no answer"),
        ] {
            let (answer, _) = ask(said, "E..");
            assert!(answer.as_ref().is_err_and(|error| error.contains(complaint)), "{answer:?}");
        }
    }

    #[test]
    fn what_is_debugged_is_a_program_and_a_function() {
        let expected = Debugged { program: "crash".into(), function: "a::b".into() };
        assert_eq!("crash a::b".parse(), Ok(expected));
        assert!("crash".parse::<Debugged>().is_err());
    }
}
