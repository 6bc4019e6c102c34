//! What is typed at a terminal: keys for the node that it shows, and commands to the tool, each of which begins with
//! the escape key.

/// Ctrl-], after which the next key is a command.
pub const ESCAPE: u8 = 0x1d;

/// A command to the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Leave, and end all nodes.
    Leave,
    /// Show the node at this place, from 0.
    Show(usize),
    /// Show the node after the one that is shown, or the one before.
    Next,
    /// See [`Command::Next`].
    Previous,
    /// Pull the cable of the node that is shown, or plug it in again.
    Cable,
    /// Switch the node that is shown off, or on again.
    Power,
    /// Say what the commands are.
    Help,
}

/// What has been typed.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed<'a> {
    /// Keys for the node.
    Keys(&'a [u8]),
    /// A command for the tool.
    Command(Command),
}

/// What the commands are, for people.
pub const HELP: &str = "Ctrl-] and then: q leaves, 1 to 9 shows that node, n or p the next or previous one, c pulls or \
                        plugs its cable, o switches it off or on, Ctrl-] is that key itself";

/// Tells keys from commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keyboard {
    escaped: bool,
}

impl Keyboard {
    /// Hands what `bytes` mean to `take`, one thing after another.
    pub fn typed(&mut self, mut bytes: &[u8], mut take: impl FnMut(Typed)) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.escaped {
                self.escaped = false;
                take(meaning(first));
                bytes = rest;
                continue;
            }
            let keys = bytes.iter().position(|byte| *byte == ESCAPE).unwrap_or(bytes.len());
            if keys > 0 {
                take(Typed::Keys(&bytes[..keys]));
            }
            self.escaped = keys < bytes.len();
            bytes = bytes.get(keys + 1..).unwrap_or_default();
        }
    }
}

fn meaning(key: u8) -> Typed<'static> {
    Typed::Command(match key {
        ESCAPE => return Typed::Keys(&[ESCAPE]),
        b'q' | b'Q' => Command::Leave,
        b'1'..=b'9' => Command::Show(usize::from(key - b'1')),
        b'n' => Command::Next,
        b'p' => Command::Previous,
        b'c' => Command::Cable,
        b'o' => Command::Power,
        _ => Command::Help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keys for the node and commands, of what is typed in these pieces.
    fn typed(pieces: &[&[u8]]) -> (Vec<u8>, Vec<Command>) {
        let (mut keys, mut commands) = (Vec::new(), Vec::new());
        let mut keyboard = Keyboard::default();
        for piece in pieces {
            keyboard.typed(piece, |typed| match typed {
                Typed::Keys(more) => keys.extend(more),
                Typed::Command(command) => commands.push(command),
            });
        }
        (keys, commands)
    }

    #[test]
    fn only_what_follows_the_escape_key_is_a_command() {
        assert_eq!(typed(&[b"ls\r\x03\x04q1"]), (b"ls\r\x03\x04q1".to_vec(), vec![]));
        assert_eq!(
            typed(&[b"a\x1d2b\x1d", b"qc"]),
            (b"abc".to_vec(), vec![Command::Show(1), Command::Leave])
        );
        assert_eq!(typed(&[b"\x1d\x1d\x1dx\x1d?"]), (b"\x1d".to_vec(), vec![Command::Help, Command::Help]));
        assert_eq!(typed(&[b"\x1dn\x1dp\x1dc\x1do"]).1.len(), 4);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_keys_come(bytes in prop::collection::vec(prop::sample::select(b"\x1daq1".to_vec()), 0..20), cut in 0..20_usize) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(typed(&[&bytes]), typed(&[first, second]));
        }
    }
}
