//! `edit`: a text is changed on the whole screen.
//!
//! | module | what it has |
//! |---|---|
//! | `keys` | keys, from what a terminal sends |
//! | `buffer` | the text, and every change of it |
//! | `colour` | the colours of a line |
//! | `editor` | what keys do, and what is shown |
//!
//! This file has the terminal and the file. A file is saved beside itself first and takes the name when all of it is there, so
//! that neither a full disk nor a lost server leaves half of it.

mod buffer;
mod colour;
mod editor;
mod keys;

use alloc::format;
use alloc::string::String;

use abi::Error;
use protocols::io::mode;
use v::io::Write;

use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::file::{self, File};
use crate::files::kept::Kept;
use crate::text::terminal::{ENTER, LEAVE, RawTerminal};
use crate::usage::{Arguments, Usage};
use editor::{Editor, Wish};
use keys::Keys;

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "edit",
        synopsis: "FILE",
        summary: "Edits a text on the whole screen.",
        details: "Arrows, Home, End, PageUp and PageDown move; what is typed or pasted is put in. ^S saves, ^Q quits;\n\
                  ^Z undoes a change, ^Y does it again; ^F finds a text, ^N finds it again, ^G goes to a line;\n\
                  ^K cuts a line, several times several, and ^U puts them back. Programs and lists of services have\n\
                  colours, by their files' names. A file that is not there is made when it is saved. What is no text\n\
                  in UTF-8 is not edited.",
        choices: &[],
        operands: (1, 1),
    },
    body: edit,
};

/// Added to a file's name for what is not all there yet.
const UNFINISHED: &str = "~new";

fn edit(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let name = arguments.operands[0].as_str();
    let keyboard = RawTerminal::find().filter(|_| RawTerminal::is_watched());
    let keyboard = keyboard.ok_or_else(|| Failure::Failed("it needs a terminal".into()))?;
    let (text, is_new) = match file::read(name) {
        Ok(bytes) => (String::from_utf8(bytes).map_err(|_| failed(name, "this is no text in UTF-8"))?, false),
        Err(Error::NotFound) => (String::new(), true),
        Err(error) => return Err(failed(name, error)),
    };
    let mut editor = Editor::new(&text, name);
    if is_new {
        editor.say("a new file".into());
    }
    let refused = |error: Error| failed("terminal", error);
    let terminal = RawTerminal::new(keyboard).map_err(refused)?;
    let outcome = run(&mut editor, name, &terminal, context);
    terminal.restore().map_err(refused)?;
    outcome
}

fn run(editor: &mut Editor, name: &str, terminal: &RawTerminal, context: &mut Context<'_>) -> Outcome {
    let mut keys = Keys::default();
    let mut bytes = [0; 1024];
    context.output.write_all(ENTER)?;
    let outcome = 'keys: loop {
        if let Some((rows, columns)) = terminal.window() {
            editor.resize(rows, columns);
        }
        context.output.write_all(&editor.screen())?;
        context.output.flush()?;
        let count = match terminal.read(&mut bytes) {
            Ok(0) => break Ok(()),
            Ok(count) => count,
            Err(error) => break Err(failed("terminal", error)),
        };
        for key in keys.take(&bytes[..count]) {
            match editor.press(key) {
                Wish::Nothing => {}
                Wish::Quit => break 'keys Ok(()),
                Wish::Save => match save(name, &editor.text()) {
                    Ok(()) => editor.note_saved(),
                    Err(error) => editor.say(format!("not saved: {error}")),
                },
            }
        }
    };
    context.output.write_all(LEAVE)?;
    context.output.flush()?;
    outcome
}

/// Makes a text the content of a file, all of it or nothing. Who may read and write it stays as it was, and who may not write it
/// does not replace it either.
fn save(name: &str, text: &str) -> Result<(), Error> {
    let original = match file::metadata(name) {
        Err(Error::NotFound) => None,
        found => Some(found?),
    };
    if original.is_some() {
        File::open_with(name, mode::WRITE)?;
    }
    let unfinished = format!("{name}{UNFINISHED}");
    let written = File::create(&unfinished).and_then(|mut file| {
        if let Some(original) = &original {
            Kept::Possible.begin(&unfinished, original, true)?;
        }
        file.write_all(text.as_bytes())?;
        file.synchronize()
    });
    let permissions = original.and_then(|original| original.permissions());
    let saved = written
        .and_then(|()| permissions.map_or(Ok(()), |permissions| Kept::Possible.set(&unfinished, permissions)))
        .and_then(|()| file::rename(&unfinished, name));
    if saved.is_err() {
        // The reason is told; that the beginning stays there would add nothing.
        let _ = file::remove(&unfinished);
    }
    saved
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_saved_stays_as_secret_as_it_was() {
        let directory = file::Directory::new("edit");
        let path = directory.here().join("f");
        let mode = || fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
        save("f", "new").expect("a new file");
        for kept in [0o600, 0o666, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).expect("permissions");
            let text = format!("{kept:o}");
            save("f", &text).expect("it is saved");
            assert_eq!((fs::read(&path).expect("the file"), mode()), (text.into_bytes(), kept));
        }
        // A directory is not written, and nothing is left beside it.
        fs::create_dir(directory.here().join("d")).expect("a directory");
        assert_eq!(save("d", "text"), Err(Error::IsADirectory));
        assert_eq!(fs::read_dir(directory.here()).expect("the directory").count(), 2);
    }
}
