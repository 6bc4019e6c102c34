//! Terminals: what they do beside `io`.
//!
//! A terminal in cooked mode edits lines: a read gives one line with its newline, 0 bytes after ^D on an empty
//! line (and after Tab, for whoever completes words), and the error [`Aborted`](abi::Error::Aborted) after ^C when no program is in the foreground. In raw mode
//! a read gives the bytes as they come.

use abi::{Pid, protocol};

/// Bits of a terminal's mode.
pub mod mode {
    /// Bytes as they come: no editing, no echo, ^C is a byte.
    pub const RAW: u32 = 1;
    /// What is typed is not shown.
    pub const NO_ECHO: u32 = 2;
    /// Lines read in this mode are not remembered in the history.
    pub const NO_HISTORY: u32 = 4;
}

protocol! {
    /// Terminals.
    pub mod terminal = 0x14, enum Terminal {
        /// Sets the mode: bits of [`mode`](crate::terminal::mode).
        SetMode = 1 { instance: u32, mode: u32 } => ModeSet { previous: u32 };
        /// The window's size in characters.
        QueryWindow = 2 { instance: u32 } => Window { columns: u32, rows: u32 };
        /// Tells the terminal its window's size.
        SetWindow = 3 { instance: u32, columns: u32, rows: u32 } => WindowSet {};
        /// ^C ends this program too, with status 130. The caller must be of the program's user.
        AddForeground = 4 { instance: u32, program: Pid } => ForegroundAdded {};
        /// ^C ends no program any more. Whether there was one since the last call tells `interrupted`.
        ClearForeground = 5 { instance: u32 } => ForegroundCleared { interrupted: u32 };
        /// The read segment is shown as the prompt when the next line is read.
        SetPrompt = 6 {
            instance: u32,
            /// 1 if the reader completes words: it reads 0 bytes also when Tab is pressed, and then answers the
            /// question that [`QueryLine`] gets.
            completes: u32,
        } => PromptSet {
            /// 1 if no line is remembered, so that whoever keeps lines may tell them by [`AddHistory`].
            has_no_history: u32,
        };
        /// Answers a Tab: the words that may complete the one before the cursor are the lines of the read segment, with
        /// backslashes before what is special to the reader. The line is edited on at the next read.
        SetCompletions = 7 { instance: u32 } => CompletionsSet {};
        /// The line up to where Tab was pressed, into the write segment; [`NotFound`](abi::Error::NotFound) if that is not
        /// why the last read gave 0 bytes.
        QueryLine = 8 { instance: u32 } => Line {
            count: u32,
            /// Where in it the word begins that is to be completed.
            word: u32,
        };
        /// The lines of the read segment, the oldest first, are remembered as if they had been entered now.
        AddHistory = 9 { instance: u32 } => HistoryAdded {};
        /// Replies when the user types ^Z while programs are in the foreground. Those that wait to read are put aside,
        /// until [`ResumeReaders`] names their number. Of several that wait the last one to ask is told.
        AwaitStop = 10 { instance: u32 } => StopWanted { readers: u32 };
        /// Those who wait to read now are put aside, too, under this number: they asked before they were stopped.
        PutReadersAside = 12 { instance: u32, readers: u32 } => ReadersPutAside {};
        /// Those who were put aside under this number wait to read again.
        ResumeReaders = 11 { instance: u32, readers: u32 } => ReadersResumed {};
    }
}
