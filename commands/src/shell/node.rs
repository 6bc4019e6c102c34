//! The [`System`] of a V node: names, streams and programs as the crate `v` has them.
//!
//! One thing differs from what scripts are used to: a program has a position of its own in each file that it is
//! given. So a file opened by `>` is written at its end, wherever that is, and the outputs of several commands follow
//! each other; and a program is told how far the shell has read. How far a program has read, the shell does not learn.
//! A here-document is a pipe that somebody fills.
//!
//! The user's interruption reaches programs through their terminal: those that the shell puts in its foreground are
//! ended by it. The shell that the user types at clears the foreground and learns of interruptions; shells that run
//! for it only add to the foreground.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;

use abi::boot::STACK_BYTES;
use abi::notice::STATUS_KILLED;
use abi::{Error, PAGE_BYTES, Pid, UserId};
use protocols::io::{attribute, mode};
use protocols::permissions::{READ, WRITE};
use protocols::terminal::terminal;
use v::file::{self, File, Kind};
use v::io::Instance;
use v::message::{Segment, call};
use v::name::{self, Bound};
use v::process::{self, Command, Job, Place, Thread};
use v::time::{self, Duration};

use super::ast::{Mode, Text};
use super::suspend::Suspender;
use super::system::{Constraints, Ended, Object, ObjectKind, Placement, Program, Start, System, Waited};
use crate::system::kernel::statistics;

/// Where the shell's own image is.
const SHELL: &str = "[boot]bin/exec";
/// The longest script that goes to another shell as an argument; a longer one goes as a file.
const LONGEST_ARGUMENT_BYTES: usize = 64 << 10;
/// What a pipe takes at once for sure.
const PIPE_BYTES: usize = 4096;
/// Stack of the process that fills a pipe with a longer here-document.
const PUMP_STACK_BYTES: usize = 32 << 10;
/// Stack left for what the shell calls.
const SPARE_STACK_BYTES: usize = 64 << 10;
/// The status of a program whose node does not answer any more.
const LOST_STATUS: i32 = 255;
/// How often a background program is looked at while the user may interrupt the waiting.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a node has to answer whose name may only be a pattern; and how long the answer, or none, is remembered.
const NODE_PATIENCE_MS: u32 = 100;
const NODE_MEMORY_NS: u64 = 10_000_000_000;

/// As long as a line of a terminal can be.
const LONGEST_LINE_BYTES: usize = 4096;

/// This node as a shell sees it.
#[derive(Default)]
pub struct Node {
    /// The terminal among the standard streams.
    terminal: Option<Instance>,
    /// The user types at this shell.
    is_session: bool,
    /// A script that has a trap for interruptions.
    catches: bool,
    /// Stops jobs when the user says so.
    suspender: Option<Suspender>,
    /// Processes that fill pipes, until they have ended.
    pumps: Vec<Thread>,
    /// Whose this shell is, once that was asked.
    user: Option<UserId>,
    /// Numbers the files that scripts are passed in.
    files: u32,
    /// Names that were looked for among the nodes, whether there is one, and when that is forgotten.
    nodes: Vec<(Text, bool, u64)>,
}

/// An open stream; released with the last handle, if it is not one that the shell was started with.
#[derive(Clone)]
pub struct Stream(Rc<Open>);

struct Open {
    source: Source,
    position: Cell<u64>,
}

enum Source {
    Standard(Instance),
    Opened(File),
}

/// A program that was started.
pub struct Child {
    program: process::Child,
    /// What it is called.
    name: String,
    is_foreground: bool,
    may_stop: bool,
}

impl Stream {
    fn new(source: Source, position: u64) -> Stream {
        Stream(Rc::new(Open { source, position: Cell::new(position) }))
    }

    /// A stream that the shell was started with.
    pub fn standard(number: u32) -> Option<Stream> {
        let instance = v::io::standard_stream(number)?;
        Some(Stream::new(Source::Standard(instance), v::io::standard_position(number)))
    }

    /// What is open.
    pub fn instance(&self) -> Instance {
        match &self.0.source {
            Source::Standard(instance) => *instance,
            Source::Opened(file) => file.instance(),
        }
    }

    /// Reads at the position, which stays.
    fn peek(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let position = self.0.position.get();
        match &self.0.source {
            Source::Standard(instance) => instance.read(position, buffer),
            Source::Opened(file) => file.read_at(position, buffer),
        }
    }

    fn advance(&self, count: usize) {
        self.0.position.set(self.0.position.get() + count as u64);
    }

    fn write(&self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let position = self.0.position.get();
            let count = match &self.0.source {
                Source::Standard(instance) => instance.write(position, bytes)?,
                Source::Opened(file) => file.write_at(position, bytes)?,
            };
            if count == 0 {
                return Err(Error::NoSpace);
            }
            self.advance(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

impl Node {
    /// The node, seen from a shell with these standard streams; `is_session` if the user types at it.
    pub fn new(streams: &[Option<Stream>; 3], is_session: bool) -> Node {
        let instances = streams.iter().flatten().map(Stream::instance);
        let terminal = instances.into_iter().find(|instance| instance.is(attribute::INTERACTIVE));
        let suspender = terminal.filter(|_| is_session).and_then(Suspender::start);
        Node { terminal, is_session, suspender, ..Node::default() }
    }

    /// Whether a node has this name.
    fn is_node(&mut self, name: &[u8]) -> bool {
        let now_ns = time::now_ns();
        self.nodes.retain(|(.., until_ns)| *until_ns > now_ns);
        if let Some((_, is_node, _)) = self.nodes.iter().find(|(known, ..)| known == name) {
            return *is_node;
        }
        let is_node = text(name).is_ok_and(|name| {
            protocols::naming::is_prefix(name) && v::node::find_within(name, NODE_PATIENCE_MS).is_ok()
        });
        self.nodes.push((name.to_vec(), is_node, time::now_ns() + NODE_MEMORY_NS));
        is_node
    }

    /// The arguments for another shell: the script in a file if it is long, and whether it runs in the background.
    fn shell_arguments(&mut self, start: &Start<'_, Stream, Job>) -> Result<Vec<Text>, Error> {
        let mut arguments = start.arguments.to_vec();
        if let [_, option, script, ..] = arguments.as_mut_slice()
            && option == b"-c"
            && script.len() > LONGEST_ARGUMENT_BYTES
        {
            let name = format!("[tmp].exec-{}-{}", process::team(), self.files);
            self.files += 1;
            file::write(&name, &*script)?;
            *option = super::program::TAKE.as_bytes().to_vec();
            *script = name.into_bytes();
        }
        if !start.is_foreground {
            arguments.insert(1, super::program::BACKGROUND.as_bytes().to_vec());
        }
        Ok(arguments)
    }

    fn add_to_foreground(&self, program: Pid) {
        if let Some(instance) = self.terminal {
            let request = terminal::AddForeground { instance: instance.number, program };
            // It may have ended already; or the terminal is being restarted, and knows of nobody's interruptions.
            let _ = call(instance.server, &request, Segment::None);
        }
    }
}

/// A name or argument for a program; those are UTF-8.
fn text(bytes: &[u8]) -> Result<&str, Error> {
    core::str::from_utf8(bytes).map_err(|_| Error::BadArgument)
}

fn stream_for(stream: Option<&Stream>) -> process::Stream {
    stream.map_or(process::Stream::Closed, |stream| {
        process::Stream::At(stream.instance(), stream.0.position.get())
    })
}

fn kind(kind: Kind) -> ObjectKind {
    match kind {
        Kind::File => ObjectKind::File,
        // Of a prefix it is not known; most are.
        Kind::Directory | Kind::Prefix => ObjectKind::Directory,
        Kind::Stream | Kind::Device | Kind::Other(_) => ObjectKind::Stream,
    }
}

impl Child {
    /// How it ended, as far as that can be learnt.
    fn ended(&self, outcome: Result<process::Status, Error>) -> Result<Ended, Error> {
        match (outcome, self.program.node()) {
            // What befell a program that met an exception, the exception server tells.
            (Ok(status), _) => Ok(Ended { status: status.code, reason: None }),
            (Err(Error::HostUnreachable | Error::HostNotFound), Some(node)) => {
                let name = &self.name;
                let reason = format!(
                    "{name}: {node} does not answer any more; what has become of {name} is not known"
                );
                Ok(Ended { status: LOST_STATUS, reason: Some(reason) })
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl System for Node {
    type Stream = Stream;
    type Child = Child;
    type Job = Job;
    type Names = name::Saved;

    fn start(&mut self, start: &Start<'_, Stream, Job>) -> Result<Child, Error> {
        let place = match start.placement {
            Placement::Here => Place::Here,
            Placement::Node(name) => Place::Node(text(name)?.to_owned()),
            Placement::Anywhere(Constraints { least_memory_bytes, least_idle_percent }) => {
                Place::Any { least_memory_bytes, least_idle_percent }
            }
        };
        let (file, arguments) = match start.program {
            Program::File(name) => (text(name)?, start.arguments.to_vec()),
            Program::Shell => (SHELL, self.shell_arguments(start)?),
        };
        let mut words = Vec::new();
        for argument in &arguments {
            words.push(text(argument)?);
        }
        let mut variables = Vec::new();
        for (name, value) in start.environment {
            variables.push((text(name)?.to_owned(), text(value)?.to_owned()));
        }
        let [input, output, error] = &start.streams;
        let (name, words) = words.split_first().ok_or(Error::BadArgument)?;
        let command = Command::new(file)
            .name(name)
            .args(words)
            .only_variables(variables)
            .stdin(stream_for(input.as_ref()))
            .stdout(stream_for(output.as_ref()))
            .stderr(stream_for(error.as_ref()))
            .on(place);
        let command = match start.job {
            Some(job) => command.in_job(job),
            None => command,
        };
        let command = if start.is_awaited { command.awaited() } else { command };
        let child = command.start()?;
        if start.is_foreground {
            self.add_to_foreground(child.pid());
        }
        Ok(Child {
            program: child,
            name: (*name).to_owned(),
            is_foreground: start.is_foreground,
            may_stop: start.may_stop,
        })
    }

    fn wait(&mut self, child: &mut Child) -> Result<Waited, Error> {
        if child.may_stop {
            self.suspender.iter().for_each(Suspender::begin_wait);
            let outcome = child.program.wait_or_stop().transpose();
            if let (None, Some(suspender)) = (&outcome, &self.suspender) {
                suspender.put_readers_aside();
            }
            return outcome.map_or(Ok(Waited::Stopped), |outcome| child.ended(outcome).map(Waited::Ended));
        }
        if child.is_foreground || !self.is_session {
            let outcome = child.program.wait();
            return child.ended(outcome).map(Waited::Ended);
        }
        loop {
            if let Some(outcome) = child.program.try_wait().transpose() {
                return child.ended(outcome).map(Waited::Ended);
            }
            if self.interrupted() {
                return Err(Error::Aborted);
            }
            time::sleep(PAUSE)?;
        }
    }

    fn poll(&mut self, child: &mut Child) -> Result<Option<Ended>, Error> {
        let outcome = child.program.try_wait().transpose();
        outcome.map(|outcome| child.ended(outcome)).transpose()
    }

    fn bring_to_foreground(&mut self, child: &mut Child) {
        self.add_to_foreground(child.program.pid());
        child.is_foreground = true;
        child.may_stop = self.suspender.is_some();
    }

    fn kill(&mut self, child: &mut Child) -> Result<(), Error> {
        child.program.kill()
    }

    fn new_job(&mut self) -> Job {
        Job::new()
    }

    fn kill_job(&mut self, job: Job) -> Result<(), Error> {
        job.end(STATUS_KILLED)
    }

    fn allow_stop(&mut self, job: Option<Job>) {
        if let Some(suspender) = &self.suspender {
            suspender.allow(job);
        }
    }

    fn continue_job(&mut self, job: Job) -> Result<(), Error> {
        self.suspender.as_ref().map_or(Ok(()), |suspender| suspender.let_go_on(job))
    }

    fn identity(&self, child: &Child) -> Text {
        child.program.pid().to_string().into_bytes()
    }

    fn own_identity(&self) -> Text {
        process::team().to_string().into_bytes()
    }

    fn interrupted(&mut self) -> bool {
        let Some(instance) = self.terminal.filter(|_| self.is_session || self.catches) else {
            return false;
        };
        let request = terminal::ClearForeground { instance: instance.number };
        call(instance.server, &request, Segment::None).is_ok_and(|cleared| cleared.interrupted != 0)
    }

    fn catch_interruptions(&mut self, catches: bool) {
        if self.catches != catches && !self.is_session {
            self.catches = true;
            // From here on it is in the foreground no more, nor are those that run beside it.
            self.interrupted();
            self.catches = catches;
            if !catches {
                self.add_to_foreground(process::team());
            }
        }
    }

    fn pipe(&mut self) -> Result<(Stream, Stream), Error> {
        let (reader, writer) = v::pipe::pipe()?;
        let stream = |file| Stream::new(Source::Opened(file), 0);
        Ok((stream(reader.into_file()), stream(writer.into_file())))
    }

    fn open(&mut self, name: &[u8], how: Mode) -> Result<Stream, Error> {
        let bits = match how {
            Mode::Read => mode::READ,
            Mode::Write | Mode::Overwrite => mode::WRITE | mode::CREATE | mode::TRUNCATE | mode::APPEND,
            Mode::Append => mode::WRITE | mode::CREATE | mode::APPEND,
            Mode::ReadWrite => mode::READ | mode::WRITE | mode::CREATE,
        };
        Ok(Stream::new(Source::Opened(File::open_with(text(name)?, bits)?), 0))
    }

    fn stream_of(&mut self, text: &[u8]) -> Result<Stream, Error> {
        let (reader, writer) = self.pipe()?;
        for pump in self.pumps.extract_if(.., |pump| matches!(process::has_ended(pump.pid()), Ok(true))) {
            pump.join()?;
        }
        if text.len() <= PIPE_BYTES {
            writer.write(text)?;
            return Ok(reader);
        }
        let Ok(Open { source: Source::Opened(mut file), .. }) = Rc::try_unwrap(writer.0) else {
            return Err(Error::BadInstance);
        };
        let text = text.to_vec();
        let pump = move || {
            // Who stops reading before the end does not want the rest.
            let _ = v::io::Write::write_all(&mut file, &text);
        };
        self.pumps.push(process::spawn_thread(PUMP_STACK_BYTES, pump)?);
        Ok(reader)
    }

    fn null(&mut self) -> Result<Stream, Error> {
        let file = File::open_with("[null]", mode::READ | mode::WRITE)?;
        Ok(Stream::new(Source::Opened(file), 0))
    }

    fn append(&mut self, name: &[u8], bytes: &[u8]) -> Result<u64, Error> {
        let mut file = File::open_with(text(name)?, mode::WRITE | mode::CREATE | mode::APPEND)?;
        v::io::Write::write_all(&mut file, bytes)?;
        file.synchronize()?;
        file.size()
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        file::rename(text(from)?, text(to)?)
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Error> {
        file::remove(text(name)?)
    }

    fn read(&mut self, stream: &Stream, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = stream.peek(buffer)?;
        stream.advance(count);
        Ok(count)
    }

    fn read_within_line(&mut self, stream: &Stream, buffer: &mut [u8]) -> Result<usize, Error> {
        let instance = stream.instance();
        if instance.is_stream() && !instance.is(attribute::INTERACTIVE) {
            // What is read from a pipe is gone.
            return self.read(stream, &mut buffer[..1]);
        }
        let count = stream.peek(buffer)?;
        let newline = buffer[..count].iter().position(|byte| *byte == b'\n');
        let count = newline.filter(|_| !instance.is_stream()).map_or(count, |newline| newline + 1);
        stream.advance(count);
        Ok(count)
    }

    fn write(&mut self, stream: &Stream, bytes: &[u8]) -> Result<(), Error> {
        stream.write(bytes)
    }

    fn is_terminal(&mut self, stream: &Stream) -> bool {
        stream.instance().is(attribute::INTERACTIVE)
    }

    fn set_prompt(&mut self, stream: &Stream, prompt: &[u8]) -> Result<bool, Error> {
        let instance = stream.instance();
        let request = terminal::SetPrompt { instance: instance.number, completes: 1 };
        call(instance.server, &request, Segment::Read(prompt)).map(|set| set.has_no_history != 0)
    }

    fn add_history(&mut self, stream: &Stream, lines: &[u8]) -> Result<(), Error> {
        let instance = stream.instance();
        let request = terminal::AddHistory { instance: instance.number };
        call(instance.server, &request, Segment::Read(lines)).map(|_| ())
    }

    fn line_to_complete(&mut self, stream: &Stream) -> Option<(Text, usize)> {
        let instance = stream.instance();
        let mut line = [0; LONGEST_LINE_BYTES];
        let request = terminal::QueryLine { instance: instance.number };
        let found = call(instance.server, &request, Segment::Write(&mut line)).ok()?;
        Some((line.get(..found.count as usize)?.to_vec(), found.word as usize))
    }

    fn set_completions(&mut self, stream: &Stream, lines: &[u8]) -> Result<(), Error> {
        let instance = stream.instance();
        let request = terminal::SetCompletions { instance: instance.number };
        call(instance.server, &request, Segment::Read(lines)).map(|_| ())
    }

    fn look_up(&mut self, name: &[u8]) -> Result<Object, Error> {
        let metadata = file::metadata(text(name)?)?;
        let kind = kind(metadata.kind);
        let user = match self.user {
            Some(user) => user,
            None => *self.user.insert(process::identify(process::own_pid()?)?.user),
        };
        Ok(Object {
            kind,
            size_bytes: metadata.size,
            is_readable: metadata.lets(user, READ)
                || kind == ObjectKind::Directory && metadata.permissions().is_none(),
            is_writable: metadata.lets(user, WRITE),
            // Nothing marks programs; what can be read can be tried.
            is_executable: kind != ObjectKind::Stream,
            modified: metadata.modified_ns,
        })
    }

    fn list(&mut self, directory: &[u8]) -> Result<Vec<(Text, ObjectKind)>, Error> {
        let name = if directory.is_empty() { "." } else { text(directory)? };
        let entries = file::read_directory(name)?.into_iter();
        Ok(entries.map(|entry| (entry.name.into_bytes(), kind(entry.metadata.kind))).collect())
    }

    fn node(&self) -> Text {
        v::node::name().as_bytes().to_vec()
    }

    fn nodes(&mut self) -> Vec<Text> {
        let nodes = v::node::all().unwrap_or_default();
        nodes.iter().filter_map(|node| Some(node.name()?.as_bytes().to_vec())).collect()
    }

    fn context(&mut self) -> Result<Text, Error> {
        name::current_directory().map(String::into_bytes).ok_or(Error::BadContext)
    }

    fn set_context(&mut self, name: &[u8]) -> Result<(), Error> {
        name::set_current_directory(text(name)?)
    }

    fn names(&self) -> name::Saved {
        name::save()
    }

    fn restore_names(&mut self, names: name::Saved) {
        name::restore(names);
    }

    fn prefixes(&mut self) -> Vec<(Text, Text)> {
        let mut all = Vec::new();
        for binding in name::prefixes() {
            let target = match binding.to {
                Bound::Alias(target) => target,
                Bound::Context(server, context) => match name::context_name(server, context) {
                    Ok(path) => format!("/{path} of {server}"),
                    Err(_) => format!("context {context} of {server}"),
                },
            };
            all.push((binding.prefix.into_bytes(), target.into_bytes()));
        }
        for (prefix, server, context) in name::global_prefixes().unwrap_or_default() {
            let prefix = prefix.into_bytes();
            if all.iter().all(|(known, _)| *known != prefix) {
                all.push((prefix, format!("context {context} of {server}").into_bytes()));
            }
        }
        all.sort();
        all
    }

    fn is_prefix(&mut self, name: &[u8]) -> bool {
        // The naming group is asked for its list, not for this name: it waits for servers that are missing.
        name::prefixes().iter().any(|binding| binding.prefix.as_bytes() == name)
            || name::global_prefixes()
                .is_ok_and(|all| all.iter().any(|(prefix, ..)| prefix.as_bytes() == name))
            || self.is_node(name)
    }

    fn set_prefix(&mut self, prefix: &[u8], target: &[u8]) -> Result<(), Error> {
        let (prefix, target) = (text(prefix)?, name::full_name(text(target)?)?);
        if target.starts_with(&format!("[{prefix}]")) {
            // What it stood for until now is meant.
            let directory = name::find_directory(&target)?;
            return name::set_prefix(prefix, directory.server, directory.context);
        }
        name::set_alias(prefix, &target)
    }

    fn remove_prefix(&mut self, prefix: &[u8]) -> Result<(), Error> {
        if name::remove_prefix(text(prefix)?) { Ok(()) } else { Err(Error::NoSuchPrefix) }
    }

    fn default_path(&self) -> Text {
        process::DEFAULT_PATH.as_bytes().to_vec()
    }

    fn stack_bytes(&self) -> usize {
        STACK_BYTES as usize - SPARE_STACK_BYTES
    }

    fn free_bytes(&mut self) -> usize {
        // Where the kernel does not answer, nothing is free.
        let (Ok(team), Ok(record)) = (v::memory::query_team(Pid::NONE), statistics()) else {
            return 0;
        };
        let pages = u64::from(team.quota_pages.saturating_sub(team.used_pages)).min(record.free_frames);
        // Tables that grow are moved to larger ones, so as much as there is already is kept for that.
        let pages = pages.saturating_sub(u64::from(team.used_pages));
        usize::try_from(pages * PAGE_BYTES).unwrap_or(usize::MAX)
    }
}
