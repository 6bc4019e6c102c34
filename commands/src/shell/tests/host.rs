//! A [`System`] of the host's files, pipes and programs, for tests.
//!
//! Programs are real ones; shells for parts of a shell run on threads, with as little stack as programs have.

use alloc::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::{format, string::ToString, vec::Vec};

use abi::Error;

use crate::shell::Shell;
use crate::shell::ast::{Mode, Text};
use crate::shell::system::{Ended, Object, ObjectKind, Placement, Program, Start, System, Waited};

/// As much stack as a program has.
const STACK_BYTES: usize = 256 << 10;

/// How much memory is always free.
pub const FREE_BYTES: usize = 64 << 20;

/// What the shell may use of it; the rest is for what it calls.
const USABLE_BYTES: usize = 192 << 10;

type Names = (PathBuf, BTreeMap<Text, Text>);

/// The host as a system, with a context and prefixes of its own.
#[derive(Clone)]
pub struct Host {
    context: PathBuf,
    prefixes: BTreeMap<Text, Text>,
    /// Programs that the user has stopped.
    stopped: Arc<Mutex<Vec<u32>>>,
}

/// A program, or a shell on a thread.
pub enum Child {
    Program(process::Child),
    Shell(Option<JoinHandle<i32>>, i32),
}

fn signal(program: u32, name: &str) {
    let arguments = [format!("-{name}"), program.to_string()];
    let status = process::Command::new("/usr/bin/kill").args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{name} to {program}");
}

fn convert(error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound,
        ErrorKind::PermissionDenied => Error::NoPermission,
        ErrorKind::AlreadyExists => Error::AlreadyExists,
        ErrorKind::BrokenPipe => Error::BrokenPipe,
        ErrorKind::NotADirectory => Error::NotADirectory,
        ErrorKind::IsADirectory => Error::IsADirectory,
        _ if error.raw_os_error() == Some(8) => Error::BadImage,
        _ => Error::DeviceError,
    }
}

impl Host {
    pub fn new(context: PathBuf) -> Host {
        Host { context, prefixes: BTreeMap::new(), stopped: Arc::default() }
    }

    fn path(&self, name: &[u8]) -> PathBuf {
        if let Some(end) = name.iter().position(|byte| *byte == b']').filter(|_| name[0] == b'[')
            && let Some(target) = self.prefixes.get(&name[1..end])
        {
            let rest = name[end + 1..].strip_prefix(b"/").unwrap_or(&name[end + 1..]);
            return self.path(target).join(OsStr::from_bytes(rest));
        }
        // An empty name names nothing, where a joined one is the directory.
        if name.is_empty() { PathBuf::new() } else { self.context.join(OsStr::from_bytes(name)) }
    }
}

/// Runs a shell as its arguments say, and returns its status.
pub fn run_shell(
    host: Host,
    streams: [Option<Arc<File>>; 3],
    arguments: &[Text],
    environment: Vec<(Text, Text)>,
) -> i32 {
    let is_session = matches!(arguments, [_, option] if option == b"-i");
    let (commands, arguments) = match arguments {
        [name, option] if option == b"-i" => (None, Vec::from([name.clone()])),
        [_, option, commands, rest @ ..] if option == b"-c" => (Some(commands), rest.to_vec()),
        [_, rest @ ..] => (None, rest.to_vec()),
        [] => (None, Vec::new()),
    };
    let file = arguments.first().filter(|_| !is_session).cloned();
    let mut shell = Shell::new(host, streams, arguments, environment);
    if is_session {
        return shell.run_interactively();
    }
    match (commands, file) {
        (Some(commands), _) => shell.run_commands(commands),
        (None, Some(file)) => shell.run_script(&file),
        (None, None) => shell.run_input(),
    }
}

/// Starts a shell on a thread.
pub fn start_shell(
    host: Host,
    streams: [Option<Arc<File>>; 3],
    arguments: Vec<Text>,
    environment: Vec<(Text, Text)>,
) -> JoinHandle<i32> {
    let shell = move || run_shell(host, streams, &arguments, environment);
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(shell).expect("a thread")
}

impl System for Host {
    type Stream = Arc<File>;
    type Child = Child;
    type Job = u32;
    type Names = Names;

    fn start(&mut self, start: &Start<'_, Arc<File>, u32>) -> Result<Child, Error> {
        match start.placement {
            Placement::Here | Placement::Node(b"here") => {}
            Placement::Node(_) => return Err(Error::NoSuchNode),
            Placement::Anywhere(_) => return Err(Error::NoOffer),
        }
        let Program::File(name) = start.program else {
            let thread = start_shell(
                self.clone(),
                start.streams.clone(),
                start.arguments.to_vec(),
                start.environment.to_vec(),
            );
            return Ok(Child::Shell(Some(thread), 0));
        };
        let stdio = |stream: &Option<Arc<File>>| match stream {
            Some(stream) => stream.try_clone().map_or(Stdio::null(), Stdio::from),
            None => Stdio::null(),
        };
        let [input, output, error] = &start.streams;
        let mut command = process::Command::new(self.path(name));
        command
            .arg0(OsStr::from_bytes(&start.arguments[0]))
            .args(start.arguments[1..].iter().map(|argument| OsStr::from_bytes(argument)))
            .env_clear()
            .envs(
                start
                    .environment
                    .iter()
                    .map(|(name, value)| (OsStr::from_bytes(name), OsStr::from_bytes(value))),
            )
            .current_dir(&self.context)
            .stdin(stdio(input))
            .stdout(stdio(output))
            .stderr(stdio(error));
        command.spawn().map(Child::Program).map_err(|error| convert(&error))
    }

    fn wait(&mut self, child: &mut Child) -> Result<Waited, Error> {
        if let Child::Program(child) = child
            && fs::remove_file(self.context.join("stop")).is_ok()
        {
            // As if the user stopped it now.
            signal(child.id(), "STOP");
            self.stopped.lock().expect("no test has panicked").push(child.id());
            return Ok(Waited::Stopped);
        }
        let status = match child {
            Child::Program(child) => {
                let status = child.wait().map_err(|error| convert(&error))?;
                status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
            }
            Child::Shell(thread, status) => {
                if let Some(thread) = thread.take() {
                    *status = thread.join().expect("a shell does not panic");
                }
                *status
            }
        };
        Ok(Waited::Ended(Ended { status, reason: None }))
    }

    fn poll(&mut self, child: &mut Child) -> Result<Option<Ended>, Error> {
        let has_ended = match child {
            Child::Program(child) => child.try_wait().map_err(|error| convert(&error))?.is_some(),
            Child::Shell(thread, _) => thread.as_ref().is_none_or(JoinHandle::is_finished),
        };
        match has_ended.then(|| self.wait(child)).transpose()? {
            Some(Waited::Ended(ended)) => Ok(Some(ended)),
            Some(Waited::Stopped) | None => Ok(None),
        }
    }

    fn bring_to_foreground(&mut self, _child: &mut Child) {}

    fn kill(&mut self, child: &mut Child) -> Result<(), Error> {
        match child {
            Child::Program(child) => child.kill().map_err(|error| convert(&error)),
            Child::Shell(..) => Err(Error::NotSupported),
        }
    }

    fn new_job(&mut self) -> u32 {
        0
    }

    fn kill_job(&mut self, _job: u32) -> Result<(), Error> {
        Ok(())
    }

    fn allow_stop(&mut self, _job: Option<u32>) {}

    fn continue_job(&mut self, _job: u32) -> Result<(), Error> {
        // All jobs are one here.
        self.stopped.lock().expect("no test has panicked").drain(..).for_each(|id| signal(id, "CONT"));
        Ok(())
    }

    fn identity(&self, child: &Child) -> Text {
        match child {
            Child::Program(child) => child.id().to_string().into_bytes(),
            Child::Shell(thread, _) => {
                let thread = thread.as_ref().map(|thread| thread.thread().id());
                format!("{thread:?}").into_bytes().into_iter().filter(u8::is_ascii_digit).collect()
            }
        }
    }

    fn own_identity(&self) -> Text {
        // Nobody's, so that no script ends the tests.
        b"4999999".to_vec()
    }

    fn interrupted(&mut self) -> bool {
        // A script that makes this file is its own user.
        fs::remove_file(self.context.join("interrupt")).is_ok()
    }

    fn catch_interruptions(&mut self, _catches: bool) {}

    fn pipe(&mut self) -> Result<(Arc<File>, Arc<File>), Error> {
        let (reader, writer) = pipe().map_err(|error| convert(&error))?;
        Ok((Arc::new(OwnedFd::from(reader).into()), Arc::new(OwnedFd::from(writer).into())))
    }

    fn open(&mut self, name: &[u8], mode: Mode) -> Result<Arc<File>, Error> {
        let mut options = OpenOptions::new();
        match mode {
            Mode::Read => options.read(true),
            Mode::Write | Mode::Overwrite => options.write(true).create(true).truncate(true),
            Mode::Append => options.append(true).create(true),
            Mode::ReadWrite => options.read(true).write(true).create(true),
        };
        options.open(self.path(name)).map(Arc::new).map_err(|error| convert(&error))
    }

    fn stream_of(&mut self, text: &[u8]) -> Result<Arc<File>, Error> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("v-shell-document-{}-{number}", process::id()));
        let opened = fs::write(&path, text).and_then(|()| File::open(&path));
        let _ = fs::remove_file(&path);
        opened.map(Arc::new).map_err(|error| convert(&error))
    }

    fn null(&mut self) -> Result<Arc<File>, Error> {
        self.open(b"/dev/null", Mode::ReadWrite)
    }

    fn read(&mut self, stream: &Arc<File>, buffer: &mut [u8]) -> Result<usize, Error> {
        (&**stream).read(buffer).map_err(|error| convert(&error))
    }

    fn read_within_line(&mut self, stream: &Arc<File>, buffer: &mut [u8]) -> Result<usize, Error> {
        self.read(stream, &mut buffer[..1])
    }

    fn write(&mut self, stream: &Arc<File>, bytes: &[u8]) -> Result<(), Error> {
        (&**stream).write_all(bytes).map_err(|error| convert(&error))
    }

    fn is_terminal(&mut self, stream: &Arc<File>) -> bool {
        stream.is_terminal()
    }

    fn set_prompt(&mut self, _terminal: &Arc<File>, _prompt: &[u8]) -> Result<bool, Error> {
        Err(Error::NotSupported)
    }

    fn add_history(&mut self, _terminal: &Arc<File>, _lines: &[u8]) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    fn append(&mut self, name: &[u8], bytes: &[u8]) -> Result<u64, Error> {
        let write = |mut file: File| {
            file.write_all(bytes)?;
            file.sync_data()?;
            file.metadata().map(|metadata| metadata.len())
        };
        let file = OpenOptions::new().append(true).create(true).open(self.path(name));
        file.and_then(write).map_err(|error| convert(&error))
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        fs::rename(self.path(from), self.path(to)).map_err(|error| convert(&error))
    }

    fn remove(&mut self, name: &[u8]) -> Result<(), Error> {
        fs::remove_file(self.path(name)).map_err(|error| convert(&error))
    }

    fn line_to_complete(&mut self, _terminal: &Arc<File>) -> Option<(Text, usize)> {
        None
    }

    fn set_completions(&mut self, _terminal: &Arc<File>, _lines: &[u8]) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    fn look_up(&mut self, name: &[u8]) -> Result<Object, Error> {
        let metadata = fs::metadata(self.path(name)).map_err(|error| convert(&error))?;
        let kind = if metadata.is_dir() {
            ObjectKind::Directory
        } else if metadata.is_file() {
            ObjectKind::File
        } else {
            ObjectKind::Stream
        };
        let mode = metadata.permissions().mode();
        Ok(Object {
            kind,
            size_bytes: metadata.len(),
            is_readable: mode & 0o444 != 0,
            is_writable: mode & 0o222 != 0,
            is_executable: mode & 0o111 != 0,
            modified: metadata.mtime().cast_unsigned() * 1_000_000_000
                + metadata.mtime_nsec().cast_unsigned(),
        })
    }

    fn list(&mut self, directory: &[u8]) -> Result<Vec<(Text, ObjectKind)>, Error> {
        let entries =
            fs::read_dir(if directory.is_empty() { self.context.clone() } else { self.path(directory) })
                .map_err(|error| convert(&error))?;
        let mut found = Vec::new();
        for name in entries.filter_map(|entry| Some(entry.ok()?.file_name().into_vec())) {
            let path = [directory, if directory.is_empty() { b"" } else { b"/" }, &name].concat();
            let kind = self.look_up(&path).map_or(ObjectKind::Stream, |object| object.kind);
            found.push((name, kind));
        }
        Ok(found)
    }

    fn node(&self) -> Text {
        b"here".to_vec()
    }

    fn nodes(&mut self) -> Vec<Text> {
        Vec::from([b"node2".to_vec()])
    }

    fn context(&mut self) -> Result<Text, Error> {
        Ok(self.context.clone().into_os_string().into_vec())
    }

    fn set_context(&mut self, name: &[u8]) -> Result<(), Error> {
        let path = fs::canonicalize(self.path(name)).map_err(|error| convert(&error))?;
        if !path.is_dir() {
            return Err(Error::NotADirectory);
        }
        self.context = path;
        Ok(())
    }

    fn names(&self) -> Names {
        (self.context.clone(), self.prefixes.clone())
    }

    fn restore_names(&mut self, names: Names) {
        (self.context, self.prefixes) = names;
    }

    fn prefixes(&mut self) -> Vec<(Text, Text)> {
        self.prefixes.clone().into_iter().collect()
    }

    fn is_prefix(&mut self, name: &[u8]) -> bool {
        self.prefixes.contains_key(name)
    }

    fn set_prefix(&mut self, prefix: &[u8], target: &[u8]) -> Result<(), Error> {
        if prefix.is_empty() {
            return Err(Error::BadName);
        }
        let target = self.path(target).into_os_string().into_vec();
        self.prefixes.insert(prefix.to_vec(), target);
        Ok(())
    }

    fn remove_prefix(&mut self, prefix: &[u8]) -> Result<(), Error> {
        self.prefixes.remove(prefix).map(|_| ()).ok_or(Error::NoSuchPrefix)
    }

    fn default_path(&self) -> Text {
        b"/usr/bin:/bin".to_vec()
    }

    fn free_bytes(&mut self) -> usize {
        FREE_BYTES
    }

    fn stack_bytes(&self) -> usize {
        USABLE_BYTES
    }
}
