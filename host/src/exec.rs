//! The session of `--exec`: the commands' standard streams over the host channel.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use protocols::host_channel::{Decoder, Frame, VERSION};

use crate::channel::{Speaker, Tap};
use crate::log::{Log, Source};
use crate::session::{BOOT_PATIENCE, End, Lines, Session};

/// One run of `--exec`, or several where its node starts again.
pub struct Exec<'a> {
    decoder: Decoder,
    streams: Streams<'a>,
}

/// Where what the guest says goes.
struct Streams<'a> {
    /// `None` where the tool keeps silent, so that nothing from outside reaches a deterministic node.
    answer: Option<(Speaker, Tap)>,
    output: Box<dyn Write + 'a>,
    error: Box<dyn Write + 'a>,
    log: Log,
    greeted: bool,
}

impl<'a> Exec<'a> {
    /// A session in which commands read `input`.
    pub fn new(
        log: Log,
        input: impl Read + Send + 'static,
        output: impl Write + 'a,
        error: impl Write + 'a,
    ) -> Exec<'a> {
        let speaker = Speaker::default();
        let tap = Tap::new(input, speaker.clone());
        Exec::with(Some((speaker, tap)), log, output, error)
    }

    /// A session that says nothing to the node. Commands that read standard input wait forever.
    pub fn silent(log: Log, output: impl Write + 'a, error: impl Write + 'a) -> Exec<'a> {
        Exec::with(None, log, output, error)
    }

    fn with(
        answer: Option<(Speaker, Tap)>,
        log: Log,
        output: impl Write + 'a,
        error: impl Write + 'a,
    ) -> Exec<'a> {
        let (output, error) = (Box::new(output), Box::new(error));
        Exec { decoder: Decoder::new(), streams: Streams { answer, output, error, log, greeted: false } }
    }
}

impl Session for Exec<'_> {
    fn begin(&mut self, lines: Lines) -> Result<()> {
        self.decoder = Decoder::new();
        self.streams.greeted = false;
        if let Some((speaker, _)) = &self.streams.answer {
            speaker.connect(lines.channel);
        }
        Ok(())
    }

    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        self.streams.log.take(Source::Console, bytes);
        Ok(None)
    }

    fn channel(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        for &byte in bytes {
            let end = match self.decoder.push(byte) {
                Some(Ok(frame)) => self.streams.take(frame)?,
                Some(Err(damage)) if self.streams.greeted => {
                    self.streams.log.note(&format!("damage on the host channel: {damage:?}"));
                    None
                }
                Some(Err(_)) | None => None,
            };
            if end.is_some() {
                return Ok(end);
            }
        }
        Ok(None)
    }

    fn patience(&self) -> Option<Duration> {
        (!self.streams.greeted).then_some(BOOT_PATIENCE)
    }

    fn ended(&mut self, end: End) -> End {
        // Commands may power the node off, but a system that does so before it has come up has failed.
        if end == End::PowerOff && !self.streams.greeted { End::NoBoot } else { end }
    }
}

impl Streams<'_> {
    fn take(&mut self, frame: Frame) -> Result<Option<End>> {
        match frame {
            Frame::Hello { version } => return Ok(self.greet(version)),
            Frame::Output(data) => return write(&mut *self.output, data),
            Frame::ErrorOutput(data) => return write(&mut *self.error, data),
            Frame::Exit { status } => return Ok(Some(End::Exit(status))),
            Frame::Credit { bytes } => self.answer.iter().for_each(|(_, tap)| tap.grant(bytes)),
            Frame::Input(_) | Frame::InputEnd | Frame::WindowSize { .. } => {
                self.log.note(&format!("the guest said what only the tool says: {frame:?}"));
            }
        }
        Ok(None)
    }

    fn greet(&mut self, version: u32) -> Option<End> {
        if version != VERSION {
            return Some(End::Failed(format!(
                "the guest speaks version {version} of the host channel, not {VERSION}"
            )));
        }
        if std::mem::replace(&mut self.greeted, true) {
            self.log.note("the host channel's server has started again");
        }
        if let Some((speaker, tap)) = &self.answer {
            speaker.say(Frame::Hello { version: VERSION });
            if tap.reset() {
                speaker.say(Frame::InputEnd);
            }
        }
        None
    }
}

fn write(to: &mut dyn Write, data: &[u8]) -> Result<Option<End>> {
    let written: io::Result<()> = to.write_all(data).and_then(|()| to.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Some(End::OutputClosed)),
        written => written.map(|()| None).context("cannot write what the commands wrote"),
    }
}
