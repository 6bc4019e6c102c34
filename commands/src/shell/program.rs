//! The program `exec`: its words, and which way of running a shell they ask for.

use alloc::string::String;
use alloc::vec::Vec;

use v::io::Write;

use super::ast::Text;
use super::execute::{Shell, USAGE};
use super::node::{Node, Stream};
use crate::usage::{Choice, MANY, Usage};

/// The option for a script in a file that the shell removes.
pub(super) const TAKE: &str = "--take";
/// The option for a shell that the user does not wait for.
pub(super) const BACKGROUND: &str = "--background";

/// What `exec --help` shows.
pub const USAGE_OF_EXEC: Usage = Usage {
    name: "exec",
    synopsis: "[-aCefinuvx] [FILE [ARGUMENT...] | -c COMMANDS [NAME [ARGUMENT...]]]",
    summary: "Runs commands: a script, those given, or those that are typed.",
    details: "The language is POSIX's, with V's names. A final @NODE or @ * of a command says where it runs.\n\
              Without words it reads commands from standard input, with prompts where that is a terminal.\n\
              The options -aCefnuvx are those of its command set.",
    choices: &[
        Choice { letter: 'c', long: "commands", value: Some("COMMANDS"), help: "Runs these commands." },
        Choice {
            letter: 'i',
            long: "interactive",
            value: None,
            help: "Prompts, whatever standard input is.",
        },
    ],
    operands: (0, MANY),
};

/// What the words ask for.
#[derive(Debug, PartialEq, Eq, Default)]
struct Request {
    source: Source,
    /// Letters of options that are set.
    letters: Text,
    is_background: bool,
    /// `$0` and what follows.
    arguments: Vec<Text>,
}

/// Where the commands come from.
#[derive(Debug, PartialEq, Eq, Default)]
enum Source {
    #[default]
    Input,
    Terminal,
    Text(Text),
    /// A file that is removed once it is read.
    Taken(Text),
    File(Text),
    Help,
}

/// Reads the words after the program's name.
fn parse(words: &[String]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut rest = words;
    let bytes = |word: &String| word.clone().into_bytes();
    while let Some((word, after)) = rest.split_first() {
        if word == "--" {
            rest = after;
            break;
        }
        if !word.starts_with('-') || word == "-" {
            break;
        }
        rest = after;
        match word.as_str() {
            "--help" => request.source = Source::Help,
            "--interactive" => request.source = Source::Terminal,
            BACKGROUND => request.is_background = true,
            "-c" | "--commands" | TAKE => {
                let (text, after) =
                    rest.split_first().ok_or_else(|| alloc::format!("{word} needs a value"))?;
                rest = after;
                request.source =
                    if word == TAKE { Source::Taken(bytes(text)) } else { Source::Text(bytes(text)) };
                if rest.is_empty() {
                    request.arguments.push(b"exec".to_vec());
                }
                break;
            }
            _ => {
                for letter in word.bytes().skip(1) {
                    match letter {
                        b'i' => request.source = Source::Terminal,
                        b'a' | b'C' | b'e' | b'f' | b'n' | b'u' | b'v' | b'x' => request.letters.push(letter),
                        _ => return Err(alloc::format!("there is no option {word}")),
                    }
                }
            }
        }
    }
    if request.source == Source::Input
        && let Some(file) = rest.first()
    {
        request.source = Source::File(bytes(file));
    }
    request.arguments.extend(rest.iter().map(bytes));
    if request.arguments.is_empty() {
        request.arguments.push(b"exec".to_vec());
    }
    Ok(request)
}

/// Runs the program.
pub fn run() -> i32 {
    let words: Vec<String> = v::env::arguments().skip(1).map(String::from).collect();
    let request = match parse(&words) {
        Ok(request) => request,
        Err(message) => {
            v::eprintln!("exec: {message}; see 'exec --help'");
            return USAGE;
        }
    };
    if request.source == Source::Help {
        let written = v::io::stdout().write_all(USAGE_OF_EXEC.help().as_bytes());
        return i32::from(written.is_err());
    }
    let streams = [0, 1, 2].map(Stream::standard);
    let is_typed = |stream: &Option<Stream>| {
        stream.as_ref().is_some_and(|stream| stream.instance().is(protocols::io::attribute::INTERACTIVE))
    };
    let is_session =
        request.source == Source::Terminal || request.source == Source::Input && is_typed(&streams[0]);
    let node = Node::new(&streams, is_session);
    let environment = v::env::variables();
    let environment = environment.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes()));
    let mut shell = Shell::new(node, streams, request.arguments, environment.collect());
    for letter in request.letters {
        shell.set_option(letter);
    }
    if request.is_background {
        shell.set_background();
    }
    match request.source {
        Source::Text(text) => shell.run_commands(&text),
        Source::File(file) => shell.run_script(&file),
        Source::Taken(file) => match take(&file) {
            Ok(text) => shell.run_commands(&text),
            Err(error) => {
                v::eprintln!("exec: the script of a part of a shell: {error}");
                1
            }
        },
        _ if is_session => shell.run_interactively(),
        _ => shell.run_input(),
    }
}

/// Reads a file and removes it.
fn take(file: &[u8]) -> Result<Vec<u8>, abi::Error> {
    let name = core::str::from_utf8(file).map_err(|_| abi::Error::BadName)?;
    let text = v::file::read(name)?;
    v::file::remove(name)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn request(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(ToString::to_string).collect();
        parse(&words)
    }

    fn expect(line: &str, source: Source, letters: &str, arguments: &[&str]) {
        let arguments: Vec<Text> = arguments.iter().map(|word| word.as_bytes().to_vec()).collect();
        let expected =
            Request { source, letters: letters.as_bytes().to_vec(), is_background: false, arguments };
        assert_eq!(request(line), Ok(expected), "{line}");
    }

    #[test]
    fn words_say_what_to_run() {
        expect("", Source::Input, "", &["exec"]);
        expect("-i", Source::Terminal, "", &["exec"]);
        expect("-eu", Source::Input, "eu", &["exec"]);
        expect("script -x a", Source::File(b"script".to_vec()), "", &["script", "-x", "a"]);
        expect("-x -- -script", Source::File(b"-script".to_vec()), "x", &["-script"]);
        expect("-c ls", Source::Text(b"ls".to_vec()), "", &["exec"]);
        expect("-e -c ls name -a", Source::Text(b"ls".to_vec()), "e", &["name", "-a"]);
        expect("--take f n a", Source::Taken(b"f".to_vec()), "", &["n", "a"]);
        expect("--help", Source::Help, "", &["exec"]);
        assert!(request("--background -c x").is_ok_and(|request| request.is_background));
        assert_eq!(request("-c"), Err("-c needs a value".to_string()));
        assert_eq!(request("-q"), Err("there is no option -q".to_string()));
    }
}
