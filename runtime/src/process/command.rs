//! Starting programs and waiting for them.

use alloc_crate::borrow::ToOwned;
use alloc_crate::format;
use alloc_crate::string::String;
use alloc_crate::vec::Vec;

use abi::kernel::record::UsageRecord;
use abi::{Error, LogicalHost, Pid, UserId, kernel};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, names};
use protocols::program::{Entry, MAX_START_BYTES, flag, program};

use crate::env;
use crate::file::File;
use crate::io::{Instance, current_position, standard_stream};
use crate::message::{Segment, again, call};
use crate::name::{self, Bound, is_server_gone};
use crate::process::job::{self, Job};
use crate::process::place::{self, Manager, Place};
use crate::time;

/// Where programs are looked for when the variable `PATH` does not say.
pub const DEFAULT_PATH: &str = "[boot]bin";
/// What [`Child::kill`] makes the exit status: 128 and the number of the signal of that meaning.
const STATUS_KILLED: u32 = abi::notice::STATUS_KILLED;
/// For how long it is taken for granted that a program has not moved.
const MANAGER_NS: u64 = 1_000_000_000;

/// What one of a program's standard streams is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stream {
    /// The starter's own.
    #[default]
    Inherit,
    /// None: reading it or writing it is an error.
    Closed,
    /// This instance, which is shared with the program; the starter keeps what it has.
    Instance(Instance),
    /// As `Instance`; the program begins at this position, if it has positions.
    At(Instance, u64),
}

impl From<&File> for Stream {
    fn from(file: &File) -> Stream {
        Stream::Instance(file.instance())
    }
}

/// A program to be started: which, with what arguments, environment and streams.
///
/// ```no_run
/// use v::process::Command;
/// let output = v::file::File::create("[tmp]listing")?;
/// let mut child = Command::new("ls").arg("-l").arg("[boot]bin").stdout(&output).start()?;
/// assert_eq!(child.wait()?.code, 0);
/// # Ok::<(), v::Error>(())
/// ```
///
/// Unless told otherwise the program gets this one's environment, streams, prefixes and working directory.
#[derive(Clone, Debug)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    variables: Option<Vec<(String, String)>>,
    changes: Vec<(String, String)>,
    streams: [Stream; 3],
    directory: Option<String>,
    place: Place,
    job: Option<Job>,
    flags: u32,
    is_awaited: bool,
}

impl Command {
    /// `program` is a file's name if it has a prefix or a slash in it; else it is looked for in the directories that
    /// the variable `PATH` names, with blanks or colons between, or in [`DEFAULT_PATH`].
    pub fn new(program: &str) -> Command {
        Command {
            program: program.to_owned(),
            arguments: Vec::from([program.to_owned()]),
            variables: None,
            changes: Vec::new(),
            streams: [Stream::Inherit; 3],
            directory: None,
            place: Place::Here,
            job: None,
            flags: 0,
            is_awaited: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Command {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = T>) -> Command {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Calls the program by another name than its file's: its argument 0.
    #[must_use]
    pub fn name(mut self, name: &str) -> Command {
        name.clone_into(&mut self.arguments[0]);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Command {
        self.changes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives it these variables instead of this program's; those set by [`env`](Command::env) are added.
    #[must_use]
    pub fn only_variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Command {
        self.variables = Some(variables.into_iter().collect());
        self
    }

    /// Its standard input.
    #[must_use]
    pub fn stdin(mut self, stream: impl Into<Stream>) -> Command {
        self.streams[0] = stream.into();
        self
    }

    /// Its standard output.
    #[must_use]
    pub fn stdout(mut self, stream: impl Into<Stream>) -> Command {
        self.streams[1] = stream.into();
        self
    }

    /// Its standard error.
    #[must_use]
    pub fn stderr(mut self, stream: impl Into<Stream>) -> Command {
        self.streams[2] = stream.into();
        self
    }

    /// Its working directory.
    #[must_use]
    pub fn directory(mut self, name: &str) -> Command {
        self.directory = Some(name.to_owned());
        self
    }

    /// Lets it run on some node, as a guest. It has the same names, streams, directory and environment there.
    ///
    /// ```no_run
    /// use v::process::{Command, Place};
    /// let mut child = Command::new("hostname").on(Place::Node("node2".into())).start()?;
    /// assert_eq!(child.wait()?.code, 0);
    /// # Ok::<(), v::Error>(())
    /// ```
    #[must_use]
    pub fn on(mut self, place: Place) -> Command {
        self.place = place;
        self
    }

    /// Makes it, and all that it starts, part of a job.
    #[must_use]
    pub fn in_job(mut self, job: Job) -> Command {
        self.job = Some(job);
        self
    }

    /// Lets it run at background priority.
    #[must_use]
    pub fn background(mut self) -> Command {
        self.flags |= flag::BACKGROUND;
        self
    }

    /// Gives it no rights, whatever this program has.
    #[must_use]
    pub fn without_rights(mut self) -> Command {
        self.flags |= flag::WITHOUT_RIGHTS;
        self
    }

    /// Says that the caller does nothing but wait for it as soon as it is started. On another node it begins with that, which is a
    /// message less.
    #[must_use]
    pub fn awaited(mut self) -> Command {
        self.is_awaited = true;
        self
    }

    /// Says that nobody will wait for it.
    #[must_use]
    pub fn detached(mut self) -> Command {
        self.flags |= flag::DETACHED;
        self
    }

    /// Leaves it suspended at its first instruction, for a debugger.
    #[must_use]
    pub fn held(mut self) -> Command {
        self.flags |= flag::HELD;
        self
    }

    /// Starts the program. [`NotFound`](Error::NotFound) if there is none of this name,
    /// [`NoSuchNode`](Error::NoSuchNode) if no node answers to the name of its place, and [`NoOffer`](Error::NoOffer)
    /// if no node has what is needed.
    ///
    /// The program is held until its streams are shared with it, so it never meets one that its starter has closed.
    pub fn start(&self) -> Result<Child, Error> {
        // What was printed before comes before what the program prints; a failure shows at the next flush.
        let _ = crate::io::flush_standard_output();
        let image = self.open_image()?;
        let streams = [0, 1, 2].map(|number| match self.streams[number as usize] {
            Stream::Inherit => standard_stream(number),
            Stream::Closed => None,
            Stream::Instance(instance) | Stream::At(instance, _) => Some(instance),
        });
        let object = if self.place == Place::Here { None } else { fixed_object(&image) };
        let block = self.start_block(&streams, object)?;
        let flags = match self.place {
            Place::Here => self.flags,
            _ => self.flags | flag::GUEST,
        };
        let instance = image.instance();
        let request = program::StartProgram {
            image_server: instance.server,
            image_instance: instance.number,
            flags: flags | flag::HELD,
            starter: crate::process::team(),
        };
        let ask = |manager| call(manager, &request, Segment::Read(&block));
        let (manager, started) = place::at(&self.place, ask).map_err(lost)?;
        let Manager { pid: manager, node } = manager;
        let begins = self.is_awaited && node.is_some();
        let child = Child { pid: started.program, manager, known_ns: time::now_ns(), node, begins };
        let is_held = begins || self.flags & flag::HELD != 0;
        let shared = self.share(&streams, child.pid);
        shared.and_then(|()| if is_held { Ok(()) } else { child.resume() }).map_err(lost).inspect_err(
            |_| {
                // The reason is told; that a program which never ran cannot be ended would add nothing.
                let _ = child.kill();
            },
        )?;
        Ok(child)
    }

    fn share(&self, streams: &[Option<Instance>; 3], program: Pid) -> Result<(), Error> {
        for (stream, wish) in streams.iter().zip(&self.streams) {
            let Some(instance) = stream else { continue };
            match instance.share(program) {
                // A stream of this program's own that has died is no reason not to start another.
                Err(_) if *wish == Stream::Inherit => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn open_image(&self) -> Result<File, Error> {
        let mut found = Err(Error::NotFound);
        for name in program_files(&self.program) {
            found = File::open_with(&name, mode::READ);
            match found {
                Err(Error::NotFound | Error::NotADirectory | Error::NoSuchPrefix | Error::HostNotFound) => {}
                _ => break,
            }
        }
        found
    }

    fn append_variables(&self, block: &mut Vec<u8>) -> Result<(), Error> {
        if self.variables.is_none()
            && self.changes.is_empty()
            && let Some(unchanged) = env::unchanged()
        {
            unchanged.for_each(|text| Entry::Variable(text).append(block));
            return Ok(());
        }
        let mut variables = self.variables.clone().unwrap_or_else(env::variables);
        variables.retain(|(name, _)| self.changes.iter().all(|(changed, _)| changed != name));
        for (name, value) in variables.iter().chain(&self.changes) {
            if name.is_empty() || name.contains('=') {
                return Err(Error::BadName);
            }
            Entry::Variable(&format!("{name}={value}")).append(block);
        }
        Ok(())
    }

    fn start_block(&self, streams: &[Option<Instance>; 3], image: Option<u64>) -> Result<Vec<u8>, Error> {
        let mut block = Vec::new();
        if let Some(object) = image {
            Entry::Image { object }.append(&mut block);
        }
        for argument in &self.arguments {
            Entry::Argument(argument).append(&mut block);
        }
        self.append_variables(&mut block)?;
        job::append_own(&mut block);
        if let Some(job) = self.job {
            job.append(&mut block);
        }
        for (number, instance) in streams.iter().enumerate() {
            if let Some(instance) = instance {
                Entry::Stream {
                    number: number as u32,
                    server: instance.server,
                    instance: instance.number,
                    attributes: instance.attributes,
                }
                .append(&mut block);
            }
            let number = number as u32;
            let position = match (instance, &self.streams[number as usize]) {
                (Some(instance), _) if instance.is_stream() => 0,
                (Some(_), Stream::Inherit) => current_position(number),
                (_, Stream::At(_, position)) => *position,
                _ => 0,
            };
            if position > 0 {
                Entry::Position { number, position }.append(&mut block);
            }
        }
        append_names(&name::prefixes(), &mut block);
        if self.place != Place::Here || name::home().is_some() {
            name::append_home(&mut block);
        }
        let directory = match &self.directory {
            Some(name) => Some(name::find_directory(name)?),
            None => name::directory(),
        };
        if let Some(directory) = directory {
            Entry::Directory { server: directory.server, context: directory.context, name: &directory.name }
                .append(&mut block);
        }
        if block.len() > MAX_START_BYTES {
            return Err(Error::TooLong);
        }
        Ok(block)
    }
}

/// What an image is at its server, if that cannot be changed. Asking it here is nearer than from where the program is to run.
fn fixed_object(image: &File) -> Option<u64> {
    let Instance { server, number: instance, .. } = image.instance();
    let mut bytes = [0; Descriptor::MAX_BYTES];
    let describe = names::DescribeInstance { instance, user: UserId::SYSTEM };
    let described = call(server, &describe, Segment::Write(&mut bytes)).ok()?;
    let (descriptor, _) = Descriptor::decode(bytes.get(..described.count as usize)?)?;
    (descriptor.attributes & attribute::WRITABLE == 0).then_some(descriptor.object)
}

/// That a node is not there which had just answered is nothing that was wrong with a name.
const fn lost(error: Error) -> Error {
    match error {
        Error::HostNotFound => Error::HostUnreachable,
        error => error,
    }
}

fn append_names(bindings: &[name::Binding], block: &mut Vec<u8>) {
    for binding in bindings {
        let name = &binding.prefix;
        match &binding.to {
            Bound::Context(server, context) => {
                Entry::Prefix { name, server: *server, context: *context }.append(block);
            }
            Bound::Alias(target) => Entry::Alias { name, target }.append(block),
        }
    }
}

/// The names under which a program may be found: files that `PATH` says, whether they are there or not.
pub fn program_files(program: &str) -> Vec<String> {
    candidates(program, env::variable("PATH").as_deref().unwrap_or(DEFAULT_PATH))
}

fn candidates(program: &str, path: &str) -> Vec<String> {
    if program.starts_with('[') || program.contains('/') {
        return Vec::from([program.to_owned()]);
    }
    if program.is_empty() {
        return Vec::new();
    }
    path.split([' ', '\t', '\n', ':'])
        .filter(|directory| !directory.is_empty())
        .map(|directory| {
            let between = if directory.ends_with([']', '/']) { "" } else { "/" };
            format!("{directory}{between}{program}")
        })
        .collect()
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// Its exit status.
    pub code: i32,
    /// The number of the processor's exception that ended it, if one did.
    pub exception: Option<u32>,
}

impl Status {
    /// Whether it ended with status 0.
    pub fn is_success(self) -> bool {
        self.code == 0
    }
}

/// A program that was started. Dropping it leaves the program alone.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Who was asked last; not for good, as it may be started again, and the program may move.
    manager: Pid,
    /// When that was known to have the program.
    known_ns: u64,
    node: Option<String>,
    /// It begins when it is waited for.
    begins: bool,
}

impl Drop for Child {
    fn drop(&mut self) {
        // It was not waited for after all. If it has ended, or its node is gone, there is nothing to let go.
        let _ = self.begin();
    }
}

impl Child {
    /// Its root process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The name of the node that it was started on; none if it is this program's, as its own.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Waits until it has ended. How it ended can be learnt once.
    ///
    /// If the program manager dies meanwhile, or the program moves, the one that has the program now is asked. If the
    /// program ended between two managers, nobody knows how: [`DiedBeforeReply`](Error::DiedBeforeReply). If its node
    /// does not answer any more: [`HostUnreachable`](Error::HostUnreachable), or [`HostNotFound`](Error::HostNotFound)
    /// where another has booted in its place.
    pub fn wait(&mut self) -> Result<Status, Error> {
        // Who does not want to know of stops is told of none.
        self.wait_for(0, None)?.ok_or(Error::BadReply)
    }

    /// As [`wait`](Child::wait), and says what all of its processes did.
    pub fn wait_with_usage(&mut self) -> Result<(Status, UsageRecord), Error> {
        let mut usage = [0; UsageRecord::BYTES];
        let status = self.wait_for(0, Some(&mut usage))?.ok_or(Error::BadReply)?;
        Ok((status, UsageRecord::from_bytes(&usage)))
    }

    /// As [`wait`](Child::wait), but ends as well when the program is [stopped](Job::stop), with none.
    pub fn wait_or_stop(&mut self) -> Result<Option<Status>, Error> {
        self.wait_for(1, None)
    }

    fn wait_for(&mut self, tells_stop: u32, mut usage: Option<&mut [u8]>) -> Result<Option<Status>, Error> {
        let request = program::WaitProgram {
            program: self.pid,
            tells_stop,
            begins: u32::from(core::mem::take(&mut self.begins)),
        };
        let mut manager_died = false;
        if self.node.is_some() && time::now_ns() > self.known_ns + MANAGER_NS {
            // It may have moved, and that the node where it was does not answer any more takes long to find out.
            self.manager = place::who_knows(self.pid).unwrap_or(self.manager);
            self.known_ns = time::now_ns();
        }
        loop {
            let ask = || {
                let segment = usage.as_deref_mut().map_or(Segment::None, Segment::Write);
                call(self.manager, &request, segment)
            };
            let error = match again(true, ask) {
                Ok(ended) if ended.is_stopped != 0 => return Ok(None),
                Ok(ended) => {
                    let exception = ended.exception.checked_sub(1);
                    return Ok(Some(Status { code: ended.status.cast_signed(), exception }));
                }
                Err(error) => error,
            };
            if !is_server_gone(error, true) && error != Error::HostUnreachable {
                return Err(error);
            }
            let manager = place::manager_of(self.pid)?;
            if manager == self.manager {
                // It was the manager itself that does not know the program.
                return Err(if manager_died { Error::DiedBeforeReply } else { error });
            }
            self.manager = manager;
            manager_died = true;
        }
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Result<Option<Status>, Error> {
        self.begin()?;
        let has_ended = again(true, || crate::process::has_ended_anywhere(self.pid))?;
        if has_ended { self.wait().map(Some) } else { Ok(None) }
    }

    /// Ends it.
    pub fn kill(&self) -> Result<(), Error> {
        let request = kernel::process::Destroy { process: self.pid, status: STATUS_KILLED };
        match again(true, || call(self.process_server(), &request, Segment::None)) {
            // It has ended by itself.
            Ok(_) | Err(Error::StaleProcess | Error::NonexistentProcess | Error::ProcessElsewhere) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lets it run now, if it was to begin when it is waited for.
    fn begin(&mut self) -> Result<(), Error> {
        if core::mem::take(&mut self.begins) { self.resume() } else { Ok(()) }
    }

    fn resume(&self) -> Result<(), Error> {
        let request = kernel::process::Resume { process: self.pid };
        again(true, || call(self.process_server(), &request, Segment::None))?;
        Ok(())
    }

    /// The kernel's process server, wherever the program is.
    fn process_server(&self) -> Pid {
        let host = if self.node.is_some() { self.pid.host() } else { LogicalHost::OWN };
        Pid::kernel_server(host, kernel::PROCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_along_the_path() {
        assert_eq!(candidates("ls", "[boot]bin"), ["[boot]bin/ls"]);
        assert_eq!(candidates("ls", " [a]: [b]c/:d "), ["[a]ls", "[b]c/ls", "d/ls"]);
        assert_eq!(candidates("./ls", "[boot]bin"), ["./ls"]);
        assert_eq!(candidates("[x]ls", "[boot]bin"), ["[x]ls"]);
        assert!(candidates("", "[boot]bin").is_empty());
        assert!(candidates("ls", "").is_empty());
    }

    #[test]
    fn a_start_block_says_what_the_command_said() {
        let terminal = Instance { server: Pid::from_bits(0x2000_0001_0001_0011), number: 4, attributes: 3 };
        let command = Command::new("/bin/ls")
            .name("ls")
            .args(["-l", ""])
            .only_variables([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())])
            .env("B", "3=4");
        let block = command.start_block(&[None, Some(terminal), None], None).unwrap();
        let expected = [
            Entry::Argument("ls"),
            Entry::Argument("-l"),
            Entry::Argument(""),
            Entry::Variable("A=1"),
            Entry::Variable("B=3=4"),
            Entry::Stream { number: 1, server: terminal.server, instance: 4, attributes: 3 },
        ];
        assert_eq!(protocols::program::entries(&block).collect::<Vec<_>>(), expected);

        let placed = command.clone().stdin(Stream::At(terminal, 0)).stdout(Stream::At(terminal, 9));
        let block = placed.start_block(&[None, Some(terminal), None], None).unwrap();
        let position = Entry::Position { number: 1, position: 9 };
        assert_eq!(protocols::program::entries(&block).last(), Some(position));

        let long = command.clone().arg(&"x".repeat(MAX_START_BYTES));
        assert_eq!(long.start_block(&[None; 3], None), Err(Error::TooLong));
        let bad = command.env("A=", "x");
        assert_eq!(bad.start_block(&[None; 3], None), Err(Error::BadName));
    }
}
