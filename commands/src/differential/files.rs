//! Commands on files beside those of the host: the same tree is given to both.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command as Tool, Output, Stdio};
use std::string::ToString;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::io::Write as _;
use v::io::{BufRead, BufReader, Cursor};

use crate::PROGRAMS;
use crate::file::{self, Directory, File};
use crate::run::run_with;
use crate::run::testing::words;

/// Runs a line of ours on the test's directory: status, output, errors.
fn ours(line: &str, input: &[u8]) -> (i32, Vec<u8>, String) {
    let mut words = words(line);
    let name = words.remove(0);
    let command =
        PROGRAMS.concat().into_iter().find(|command| command.usage.name == name).expect("a command");
    let open = |name: &str| -> Result<Box<dyn BufRead>, abi::Error> {
        if name == "-" {
            return Ok(Box::new(BufReader::new(Cursor::new(input.to_vec()))));
        }
        Ok(Box::new(BufReader::new(File::open(name)?)))
    };
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let status = run_with(command, &words, &mut output, &mut errors, &open);
    (status, output, String::from_utf8_lossy(&errors).into_owned())
}

/// Runs a line by the host's tool.
fn hosts(line: &str, input: &[u8], place: &Path) -> Output {
    let mut words = words(line);
    let mut child = Tool::new(words.remove(0))
        .args(words)
        .env("LC_ALL", "C")
        .current_dir(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a tool of the host");
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // Who needs no input does not read it.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().expect("the tool ends");
    writer.join().expect("the input is written");
    output
}

/// Whether the host has a tool. Those of every system are taken for granted.
fn has(tool: &str) -> bool {
    Tool::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A name for each byte that a name can have, and some that mean something elsewhere.
fn odd_names() -> Vec<String> {
    let mut names: Vec<String> =
        (1_u8..128).filter(|byte| *byte != b'/').map(|byte| format!("x{}y", char::from(byte))).collect();
    let others = [
        "-n",
        " ",
        "*",
        "?",
        "\\",
        "a]b",
        "x[tmp]y",
        "'q'",
        "\"q\"",
        "~",
        "é€🦀",
        "a\\nb",
        "...",
        "#",
        "$HOME",
        "{}",
    ];
    names.extend(others.map(String::from));
    names
}

/// A tree with all of that in it.
fn plant(place: &Path) {
    for directory in ["d/e/f", "d/empty", "odd", "A"] {
        fs::create_dir_all(place.join(directory)).expect("a directory");
    }
    for size in [0, 1, 511, 512, 513, 1024, 1025, 70_000] {
        let content: Vec<u8> = (0..=250).cycle().take(size).collect();
        fs::write(place.join(format!("d/size{size}")), content).expect("a file");
    }
    for name in odd_names() {
        fs::write(place.join("odd").join(&name), name.as_bytes()).expect("a file");
    }
    fs::create_dir(place.join("odd/[dir]")).expect("a directory");
    fs::write(place.join("odd/[dir]/]x["), "x").expect("a file");
    for (name, mode) in [("d/e/secret", 0o600), ("d/e/open", 0o666), ("d/e/fixed", 0o444), ("A/b.C", 0o644)] {
        fs::write(place.join(name), name).expect("a file");
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    }
    fs::set_permissions(place.join("d/e/f"), fs::Permissions::from_mode(0o700)).expect("a mode");
}

/// What is below a directory: each name with mode, time and content, none of a directory.
type Tree = BTreeMap<Vec<u8>, (u32, i64, Option<Vec<u8>>)>;

fn tree(place: &Path) -> Tree {
    let mut found = BTreeMap::new();
    let mut waiting = Vec::from([place.to_path_buf()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("metadata");
            let content = metadata.is_file().then(|| fs::read(&path).expect("a file"));
            let name = path.strip_prefix(place).expect("below").as_os_str().as_bytes().to_vec();
            // What V does not tell apart: a group is others.
            found.insert(name, (metadata.mode() & 0o606, metadata.mtime(), content));
            if metadata.is_dir() {
                waiting.push(path);
            }
        }
    }
    found
}

fn sorted(output: &[u8], end: u8) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = output.split(|byte| *byte == end).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn find_finds_what_the_hosts_finds() {
    if !has("find") {
        return;
    }
    let mut differences = Vec::new();
    let mut planted = None;
    for line in include_str!("find.txt").lines() {
        let removes = line.contains("-delete");
        let mut found = Vec::new();
        for is_ours in [true, false] {
            let directory = planted.take().unwrap_or_else(|| {
                let directory = Directory::new("find");
                plant(&directory.here());
                directory
            });
            let (status, output) = if is_ours {
                let (status, output, _) = ours(line, b"");
                (status, output)
            } else {
                let output = hosts(line, b"", &directory.here());
                (output.status.code().unwrap_or(-1), output.stdout)
            };
            let end = if line.contains("-print0") { 0 } else { b'\n' };
            let lines = sorted(&output, end).into_iter().map(|line| line.escape_ascii().to_string());
            let left: Vec<_> =
                if removes { tree(&directory.here()).into_keys().collect() } else { Vec::new() };
            found.push((status == 0, lines.collect::<Vec<String>>(), left));
            planted = Some(directory).filter(|_| !removes);
        }
        if found[0] != found[1] {
            differences.push(format!("{line}\n  ours   {:?}\n  theirs {:?}", found[0], found[1]));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn archives_go_both_ways() {
    if !has("tar") {
        return;
    }
    let long = format!("d/{}", ["long-directory-name-of-some-forty-characters"; 5].join("/"));
    for format in ["gnu", "ustar", "pax", "v7"] {
        let directory = Directory::new("tar");
        let here = directory.here();
        fs::create_dir(here.join("from")).expect("a directory");
        plant(&here.join("from"));
        if format != "pax" {
            // Once is enough.
            fs::remove_dir_all(here.join("from/odd"))
                .and_then(|()| fs::create_dir(here.join("from/odd")))
                .expect("a directory");
        }
        if format != "v7" {
            fs::create_dir_all(here.join("from").join(&long)).expect("a directory");
            fs::write(here.join("from").join(&long).join("file"), "far down").expect("a file");
        }
        if matches!(format, "gnu" | "pax") {
            fs::write(here.join("from").join("n".repeat(250)), "a long name").expect("a file");
        }
        let original = tree(&here.join("from"));
        for place in ["one", "two", "three"] {
            fs::create_dir(here.join(place)).expect("a directory");
        }
        // The host's archive is listed and extracted as the host does.
        let made = hosts(&format!("tar --format={format} -cf theirs.tar -C from d odd A"), b"", &here);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let listed = ours("tar -tf theirs.tar", b"");
        assert_eq!((listed.0, &*listed.2), (0, ""), "{format}");
        let theirs = hosts("tar --quoting-style=literal -tf theirs.tar", b"", &here).stdout;
        assert_eq!(sorted(&listed.1, b'\n'), sorted(&theirs, b'\n'), "{format}");
        assert_eq!(ours("tar -xpf theirs.tar -C one", b"").0, 0);
        let whole: BTreeMap<_, _> = original.iter().filter(|(name, _)| !name.starts_with(b"nnn")).collect();
        assert!(tree(&here.join("one")).iter().eq(whole), "{format}");
        // Ours is extracted by the host, and by ourselves, as it was; compressed, too.
        let made = ours("tar -czf ours.tar -C from .", b"");
        assert_eq!((made.0, &*made.2), (0, ""));
        let extracted = hosts("tar -xpzf ours.tar -C two", b"", &here);
        assert!(extracted.status.success(), "{}", String::from_utf8_lossy(&extracted.stderr));
        assert!(tree(&here.join("two")) == original, "{format}");
        assert_eq!(ours("tar -xzpf ours.tar -C three", b"").0, 0);
        assert!(tree(&here.join("three")) == original, "{format}");
        // Without -p others write nothing; what may not be written is replaced.
        assert_eq!(ours("tar -xzf ours.tar -C three", b"").0, 0);
        assert!(tree(&here.join("three")).values().all(|(mode, ..)| mode & 0o002 == 0));
    }
}

/// A header's block with this name, sealed.
fn block(name: &[u8], kind: u8, size: &str) -> Vec<u8> {
    let mut block = alloc::vec![0_u8; 512];
    block[..name.len()].copy_from_slice(name);
    for (at, text) in
        [(100, "0000644"), (108, "0000001"), (116, "0000001"), (124, size), (136, "00000000000")]
    {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    block
}

#[test]
fn hostile_archives_write_nothing_elsewhere() {
    let directory = Directory::new("tar-hostile");
    let here = directory.here();
    fs::create_dir(here.join("out")).expect("a directory");
    fs::write(here.join("out/file"), "as it was").expect("a file");
    let names: [&[u8]; 12] = [
        b"../up",
        b"/root",
        b"a/../../up",
        b"..",
        b"[there]x",
        b"[there]/x",
        b"\xff\xfe",
        b"file/below",
        b"./..//up",
        b"a/./b",
        b"//",
        b"",
    ];
    let mut archive = Vec::new();
    for name in names {
        for kind in [b'0', b'5', b'2', b'1', b'7', 0, b'x', b'L'] {
            let content: &[u8] = if kind == b'x' { b"14 path=../up\n" } else { b"../../up\0" };
            let size = if matches!(kind, b'x' | b'L') { content.len() } else { 0 };
            archive.extend_from_slice(&block(name, kind, &format!("{size:011o}")));
            if size > 0 {
                archive.extend_from_slice(content);
                archive.resize(archive.len().next_multiple_of(512), 0);
                // Whose name that is.
                archive.extend_from_slice(&block(b"named", b'0', "00000000000"));
            }
        }
    }
    archive.extend_from_slice(&block(b"last", b'0', "00000000000"));
    let (status, _, errors) = ours("tar -xC out", &archive);
    assert_eq!(status, 1);
    for reason in ["it would lead out", "a link or a device", "not UTF-8"] {
        assert!(errors.contains(reason), "{errors}");
    }
    // Nothing is above, and what was in the way is what it was.
    let above: Vec<_> = tree(&here).into_keys().filter(|name| !name.starts_with(b"out")).collect();
    assert!(above.is_empty(), "{above:?}");
    assert!(fs::read_dir(here.join("../there")).expect("a server").next().is_none());
    assert_eq!(fs::read(here.join("out/file")).expect("a file"), b"as it was");
    assert!(
        here.join("out/root").exists() && here.join("out/a/b").exists() && here.join("out/last").exists()
    );
    // Sizes that nobody has, and headers that are cut.
    for size in ["77777777777", "99999999999", "-0000000001", "\u{7f}0000000000"] {
        let (status, _, errors) = ours("tar -xC out", &block(b"huge", b'0', size));
        assert!(status == 1 && errors.starts_with("tar: -: it"), "{size}: {errors}");
    }
}

#[test]
fn cut_and_damaged_archives_are_told() {
    let directory = Directory::new("tar-cut");
    let here = directory.here();
    for name in ["a", "b"] {
        fs::write(here.join(name), name.repeat(700)).expect("a file");
    }
    for option in ["", "z"] {
        assert_eq!(ours(&format!("tar -c{option}f whole a b"), b"").0, 0);
        let whole = fs::read(here.join("whole")).expect("an archive");
        // The zeros at the end say no more than its end does.
        let needed = if option.is_empty() { whole.len() - 1024 } else { whole.len() };
        for end in (1..needed).step_by(if option.is_empty() { 97 } else { 1 }) {
            let (status, output, errors) = ours(&format!("tar -x{option}O"), &whole[..end]);
            let is_between = option.is_empty() && matches!(end, 0 | 2048);
            assert!(status == i32::from(!is_between) && output.len() <= 1400, "{end}: {status}");
            assert_eq!(errors.starts_with("tar: -: it"), !is_between, "{end}: {errors}");
        }
        for at in 0..whole.len().min(512) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let (status, _, errors) = ours(&format!("tar -t{option}"), &damaged);
            // gzip's time and system are nobody's business.
            let matters = option.is_empty() || !(4..10).contains(&at);
            assert!(
                !matters || status == 1 && errors.starts_with("tar: -: it"),
                "{option} {at}: {status} {errors}"
            );
        }
    }
}

#[test]
fn compressed_files_go_both_ways() {
    if !has("gzip") {
        return;
    }
    let mut mixed = Vec::new();
    for number in 0_u32..4_000 {
        mixed.extend_from_slice(&number.wrapping_mul(2_654_435_761).to_le_bytes()[number as usize % 3..]);
    }
    let zeros = alloc::vec![0_u8; 70_000];
    for content in [&b""[..], b"a", b"hello\nhello\n", &zeros, &mixed] {
        let directory = Directory::new("gzip");
        let here = directory.here();
        let put = |name: &str| fs::write(here.join(name), content).expect("a file");
        let is_whole = |name: &str| fs::read(here.join(name)).expect("a file") == content;
        for level in ["", " -1", " -9"] {
            put("f");
            assert_eq!(ours(&format!("gzip{level} f"), b"").0, 0);
            assert!(
                !here.join("f").exists()
                    && hosts("gunzip f.gz", b"", &here).status.success()
                    && is_whole("f")
            );
            assert!(hosts(&format!("gzip{level} -k f"), b"", &here).status.success());
            assert_eq!(ours("gunzip -f f.gz", b"").0, 0);
            assert!(is_whole("f"));
        }
        // What is secret stays so, and as old as it was.
        fs::set_permissions(here.join("f"), fs::Permissions::from_mode(0o600)).expect("permissions");
        let facts = |name: &str| {
            fs::metadata(here.join(name)).map(|facts| (facts.mode() & 0o777, facts.mtime())).ok()
        };
        let before = facts("f");
        assert_eq!((ours("gzip f", b"").0, facts("f"), facts("f.gz")), (0, None, before));
        assert_eq!((ours("gunzip f.gz", b"").0, facts("f.gz"), facts("f")), (0, None, before));
        // Members one after the other, zeros behind, and what is no member.
        let member = hosts("gzip -c f", b"", &here).stdout;
        let double = [&member[..], &ours("gzip -c f", b"").1].concat();
        for (bytes, name) in [
            (double.clone(), "two"),
            ([&double[..], &[0; 600]].concat(), "zeros"),
            ([&double[..], b"more"].concat(), "more"),
        ] {
            let (status, output, _) = ours("gunzip -c", &bytes);
            let theirs = hosts("gunzip -c", &bytes, &here);
            assert_eq!((status == 0, output == theirs.stdout), (theirs.status.success(), true), "{name}");
        }
        // Cut anywhere, and with any byte of a small one changed.
        let step = (member.len() / 20).max(1);
        for end in (0..member.len()).step_by(step) {
            let (status, _, errors) = ours("gzip -t", &member[..end]);
            assert!(status == 1 && errors.contains("it ends too early"), "{end}: {errors}");
        }
        let damaged = (0..member.len().min(60)).map(|at| {
            let mut bytes = member.clone();
            bytes[at] ^= 0x41;
            bytes
        });
        for bytes in damaged {
            let theirs = hosts("gzip -t", &bytes, &here).status;
            // Flags of their own making, and names, are read alike.
            assert_eq!(ours("gzip -t", &bytes).0 == 0, theirs.success(), "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn xargs_runs_what_the_hosts_runs() {
    if !has("xargs") {
        return;
    }
    let inputs: [&[u8]; 9] = [
        b"",
        b"\n",
        b"a b\tc\n\n d\n",
        b"'a b' \"c d\" e\\ f\n",
        b"one\ntwo three\n",
        b"a\0b c\0\0d",
        b"x 'y\nz'\n",
        b"a\\\nb\n",
        b"-n\n--\n",
    ];
    let directory = Directory::new("xargs");
    let mut differences = Vec::new();
    for line in include_str!("xargs.txt").lines() {
        let is_by_zeros = line.contains("-0");
        for input in inputs.into_iter().filter(|input| is_by_zeros || !input.contains(&0)) {
            let (status, output, _) = ours(line, input);
            let theirs = hosts(line, input, &directory.here());
            // Who is given nonsense may notice it before it runs something, or then.
            let is_refused = theirs.status.code() == Some(1) || input.starts_with(b"x '");
            if is_refused && status != 0 && !theirs.status.success() {
                continue;
            }
            if (Some(status), &output) != (theirs.status.code(), &theirs.stdout) {
                differences.push(format!(
                    "{line} < {}\n  ours   {status} {}\n  theirs {:?} {} {}",
                    input.escape_ascii(),
                    output.escape_ascii(),
                    theirs.status.code(),
                    theirs.stdout.escape_ascii(),
                    theirs.stderr.escape_ascii(),
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn pieces_and_blocks_are_the_hosts() {
    let lines: Vec<u8> = (0..2500).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
    let mut differences = Vec::new();
    for line in include_str!("blocks.txt").lines() {
        let mut found = Vec::new();
        for is_ours in [true, false] {
            let directory = Directory::new("blocks");
            let here = directory.here();
            for (name, content) in
                [("in", &lines[..]), ("short", b"a b\nc"), ("old", &[b'x'; 5000]), ("empty", b"")]
            {
                fs::write(here.join(name), content).expect("a file");
            }
            let (status, output) = if is_ours {
                let (status, output, _) = ours(line, &lines);
                (status, output)
            } else {
                let output = hosts(line, &lines, &here);
                (output.status.code().unwrap_or(-1), output.stdout)
            };
            let contents: Vec<_> =
                tree(&here).into_iter().map(|(name, (.., content))| (name, content)).collect();
            found.push((status == 0, output, contents));
        }
        if found[0] != found[1] {
            let shown = |at: usize| {
                let (is_success, output, contents) = &found[at];
                let sizes = contents
                    .iter()
                    .map(|(name, content)| (name.escape_ascii().to_string(), content.as_ref().map(Vec::len)));
                format!("{is_success} {} {:?}", output.len(), sizes.collect::<Vec<_>>())
            };
            differences.push(format!("{line}\n  ours   {}\n  theirs {}", shown(0), shown(1)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn copies_keep_what_they_should() {
    let directory = Directory::new("copies");
    let here = directory.here();
    plant(&here);
    let mode = |name: &str| fs::metadata(here.join(name)).expect("a file").mode() & 0o606;
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for name in ["d/e/secret", "d/e/open", "d/e/fixed", "d/e/f", "d/e"] {
        fs::File::open(here.join(name)).and_then(|file| file.set_modified(old)).expect("a time");
    }
    let age = |name: &str| fs::metadata(here.join(name)).expect("a file").mtime();
    // A copy is its owner's, and as secret as the original; what was there stays as it was.
    for (name, copied) in [("secret", 0o600), ("open", 0o604), ("fixed", 0o604)] {
        assert_eq!(ours(&format!("cp d/e/{name} {name}"), b"").0, 0);
        assert_eq!(mode(name), copied, "{name}");
        assert!(age(name) > 1_000_000_000);
        assert_eq!(ours(&format!("cp d/e/secret {name}"), b"").0, 0);
        assert_eq!(mode(name), copied, "{name}");
        for option in ["-p", "-a"] {
            assert_eq!(ours(&format!("cp {option} d/e/{name} kept"), b"").0, 0);
            assert_eq!((mode("kept"), age("kept")), (mode(&format!("d/e/{name}")), 1_000_000_000), "{name}");
        }
    }
    assert_eq!(ours("cp -r d plain", b"").0, 0);
    assert_eq!(
        [mode("plain/e"), mode("plain/e/f"), mode("plain/e/secret"), mode("plain/e/open")],
        [0o604, 0o600, 0o600, 0o604]
    );
    assert_eq!(ours("cp -a d all", b"").0, 0);
    assert!(tree(&here.join("all")) == tree(&here.join("d")) && age("all/e") == 1_000_000_000);
    // To another server, as well.
    let before = tree(&here.join("d"));
    assert_eq!(ours("mv d [there]d", b"").2, "");
    assert!(!here.join("d").exists() && tree(&here.join("../there/d")) == before);
    assert_eq!(ours("mv [there]d/e/secret secret", b"").0, 0);
    assert_eq!((mode("secret"), age("secret")), (0o600, 1_000_000_000));
    fs::create_dir(here.join("d")).expect("a directory");
    assert!(
        ours("mv [there]d .", b"").2.contains("already exists")
            && file::exists("[there]d/e").expect("a name")
    );
}

#[test]
fn nothing_is_removed_by_dots_or_by_nothing() {
    let directory = Directory::new("dots");
    let here = directory.here();
    fs::create_dir_all(here.join("d/e")).expect("directories");
    fs::write(here.join("d/e/f"), "kept").expect("a file");
    let before = tree(&here);
    for name in ["''", ".", "..", "./", "d/.", "d/e/..", "d/e/../", "d/e//."] {
        for option in ["-r", "-rf"] {
            let line = format!("rm {option} {name}");
            let (status, _, errors) = ours(&line, b"");
            assert_eq!(status == 0, hosts(&line, b"", &here).status.success(), "{line}: {errors}");
            assert_eq!(tree(&here), before, "{line}");
        }
    }
}
