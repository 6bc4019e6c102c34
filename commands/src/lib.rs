//! The shell and the commands. Each command is a [`Command`]: what it takes, and a body that a test can call; the
//! programs in `src/bin` only name them.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod context;
#[cfg(test)]
mod differential;
pub mod file;
pub mod files;
pub mod json;
pub mod parallel;
pub mod run;
pub mod shell;
pub mod system;
pub mod text;
pub mod usage;

/// A command.
pub struct Command {
    /// Its name and what it takes.
    pub usage: usage::Usage,
    /// What it does.
    pub body: context::Body,
}

/// The commands of the program `toolbox`, in the order of the alphabet. It is all of them under their names, so that they
/// share their code in the boot archive and in memory. Those that bring much of their own, as regular expressions, are
/// programs by themselves.
pub const TOOLBOX: &[&Command] = &[
    &system::balance::COMMAND,
    &text::base64::COMMAND,
    &files::basename::BASENAME,
    &text::cat::COMMAND,
    &system::volume::CHECK_DISK,
    &files::chmod::COMMAND,
    &files::chown::COMMAND,
    &text::checksum::CKSUM,
    &text::cmp::COMMAND,
    &text::comm::COMMAND,
    &system::core_file::COMMAND,
    &files::cp::COMMAND,
    &text::checksum::CRC32,
    &text::cut::COMMAND,
    &system::date::COMMAND,
    &files::dd::COMMAND,
    &system::debug::COMMAND,
    &system::devices::COMMAND,
    &files::df::COMMAND,
    &text::diff::COMMAND,
    &files::basename::DIRNAME,
    &system::disks::COMMAND,
    &files::du::COMMAND,
    &text::echo::COMMAND,
    &system::env::COMMAND,
    &system::migrate::EVACUATE,
    &text::fold::EXPAND,
    &system::truth::FALSE,
    &files::find::COMMAND,
    &text::fold::FOLD,
    &system::volume::FORMAT_DISK,
    &system::free::COMMAND,
    &system::groups::COMMAND,
    &text::gzip::GUNZIP,
    &text::gzip::GZIP,
    &text::head::COMMAND,
    &text::hexdump::COMMAND,
    &system::hostname::COMMAND,
    &system::hosts::COMMAND,
    &text::join::COMMAND,
    &system::kill::COMMAND,
    &system::log::COMMAND,
    &files::ls::COMMAND,
    &system::man::COMMAND,
    &text::checksum::MD5SUM,
    &system::trace::MESSAGES,
    &system::migrate::MIGRATEPROG,
    &files::mkdir::MKDIR,
    &files::mv::COMMAND,
    &system::netstat::COMMAND,
    &text::nl::COMMAND,
    &system::nproc::COMMAND,
    &text::od::COMMAND,
    &text::paste::COMMAND,
    &system::ping::COMMAND,
    &system::poweroff::COMMAND,
    &system::prefixes::COMMAND,
    &text::printf::COMMAND,
    &system::ps::COMMAND,
    &system::reboot::COMMAND,
    &system::regions::COMMAND,
    &text::rev::COMMAND,
    &files::rm::COMMAND,
    &files::mkdir::RMDIR,
    &text::seq::COMMAND,
    &system::services::COMMAND,
    &text::checksum::SHA256SUM,
    &text::shuf::COMMAND,
    &system::sleep::COMMAND,
    &text::sort::COMMAND,
    &files::split::COMMAND,
    &files::stat::COMMAND,
    &text::strings::COMMAND,
    &system::volume::SYNC,
    &text::tac::COMMAND,
    &text::tail::COMMAND,
    &files::tar::COMMAND,
    &text::tee::COMMAND,
    &system::time::COMMAND,
    &system::timeout::COMMAND,
    &system::top::COMMAND,
    &files::touch::COMMAND,
    &text::tr::COMMAND,
    &system::trace::COMMAND,
    &text::tsort::COMMAND,
    &text::uniq::COMMAND,
    &system::uptime::COMMAND,
    &system::watch::COMMAND,
    &text::wc::COMMAND,
    &system::which::COMMAND,
    &system::xargs::COMMAND,
    &text::yes::COMMAND,
    &text::gzip::ZCAT,
];

/// Those of the program `text-toolbox`, which are built on regular expressions; as [`TOOLBOX`].
pub const TEXT_TOOLBOX: &[&Command] = &[
    &text::awk::COMMAND,
    &text::edit::COMMAND,
    &text::expr::COMMAND,
    &text::grep::COMMAND,
    &text::less::COMMAND,
    &text::sed::COMMAND,
];

/// Those that are programs by themselves, in the order of the alphabet.
pub const ALONE: &[&Command] = &[
    &text::count_to::COMMAND,
    &parallel::count_words::COMMAND,
    &system::crash::COMMAND,
    &parallel::mandelbrot::COMMAND,
    &parallel::queens::COMMAND,
    &system::stress_memory::COMMAND,
    &system::truth::TRUE,
];

/// Every command, program by program.
const PROGRAMS: [&[&Command]; 3] = [TOOLBOX, TEXT_TOOLBOX, ALONE];

/// How many commands there are.
const COMMANDS: usize = TOOLBOX.len() + TEXT_TOOLBOX.len() + ALONE.len();

/// What all commands take, made at compile time as [`PROFILES`], for the manual.
pub const USAGES: [usage::Usage; COMMANDS] = {
    let mut usages = [TOOLBOX[0].usage; COMMANDS];
    let (mut program, mut command, mut at) = (0, 0, 0);
    while program < PROGRAMS.len() {
        if command == PROGRAMS[program].len() {
            (program, command) = (program + 1, 0);
            continue;
        }
        usages[at] = PROGRAMS[program][command].usage;
        (command, at) = (command + 1, at + 1);
    }
    usages
};

/// What the shell has to know of a command that it starts.
#[derive(Clone, Copy)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What follows its name.
    pub synopsis: &'static str,
    /// Its options.
    pub choices: &'static [usage::Choice],
    /// Whether it can be about another node.
    pub takes_node: bool,
    /// Whether its workers, not itself, run where the words behind it say.
    pub takes_place: bool,
}

/// The profiles of all commands, made at compile time: who reads these does not have the commands' bodies linked to it.
pub const PROFILES: [Profile; COMMANDS] = {
    let mut profiles = [Profile {
        name: "",
        summary: "",
        synopsis: "",
        choices: &[],
        takes_node: false,
        takes_place: false,
    }; COMMANDS];
    let mut at = 0;
    while at < COMMANDS {
        let usage = &USAGES[at];
        let (takes_node, takes_place) = (usage.takes_node(), usage.takes_place());
        profiles[at] = Profile {
            name: usage.name,
            summary: usage.summary,
            synopsis: usage.synopsis,
            choices: usage.choices,
            takes_node,
            takes_place,
        };
        at += 1;
    }
    profiles
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolboxes_have_the_names_that_the_manifest_gives_them() {
        let manifest = include_str!("../Cargo.toml");
        for (program, commands) in [("\ntoolbox = [", TOOLBOX), ("\ntext-toolbox = [", TEXT_TOOLBOX)] {
            let (_, list) = manifest.split_once(program).expect("the manifest names the commands");
            let (list, _) = list.split_once(']').expect("the list ends");
            let listed: std::vec::Vec<&str> = list.split('"').skip(1).step_by(2).collect();
            let names: std::vec::Vec<&str> = commands.iter().map(|command| command.usage.name).collect();
            assert_eq!(listed, names);
            assert!(names.is_sorted());
        }
    }

    #[test]
    fn commands_are_in_order_and_say_what_they_do() {
        assert!(PROGRAMS.iter().all(|commands| commands.is_sorted_by_key(|command| command.usage.name)));
        for command in PROGRAMS.concat() {
            let usage = &command.usage;
            assert!(usage.summary.ends_with('.'), "{}", usage.name);
            for (position, choice) in usage.choices.iter().enumerate() {
                let clash = usage.choices[..position].iter().any(|other| {
                    other.long == choice.long || other.letter == choice.letter && choice.letter != '\0'
                });
                assert!(!clash, "{} --{}", usage.name, choice.long);
                let words = usage.synopsis.split([' ', '[', ']', '|']);
                let letters = words.filter(|word| word.starts_with('-') && !word.starts_with("--"));
                let is_shown =
                    choice.letter == '\0' || letters.into_iter().any(|word| word.contains(choice.letter));
                assert!(is_shown, "{}'s synopsis lacks -{}", usage.name, choice.letter);
            }
        }
    }
}
