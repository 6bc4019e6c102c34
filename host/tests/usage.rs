//! What the tool says to words that make no sense: quickly, why, and with status 2. Nothing is built before that.

use std::process::{Command, Stdio};

/// Runs the tool; its status and what it says on standard error.
fn run(words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_v"))
        .args(words)
        .stdin(Stdio::null())
        // Whatever would be built is not found, so a test that comes so far fails.
        .env("CARGO", "/nonexistent/cargo")
        .output()
        .expect("the tool runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn bad_words_end_with_status_2_and_a_reason() {
    for (words, reason) in [
        (&["run", "--nodes", "0"][..], "from 1 to 64"),
        (&["run", "--nodes", "1000"], "from 1 to 64"),
        (&["run", "--nodes", "x"], "from 1 to 64"),
        (&["run", "--nodes", "-1"], "from 1 to 64"),
        (&["run", "--nodes", "2", "--loss", "200"], "from 0 to 100"),
        (&["run", "--nodes", "2", "--loss", "-1"], "from 0 to 100"),
        (&["run", "--nodes", "2", "--loss", "x"], "no percentage"),
        (&["run", "--loss", "1"], "need a network: see --nodes"),
        (&["run", "--jitter", "5"], "need a network: see --nodes"),
        (&["run", "--nodes", "2", "--delay", "x"], "no number of milliseconds"),
        (&["run", "--nodes", "2", "--seed", "x"], "a whole number"),
        (&["run", "--nodes", "2", "--partition", "nonsense"], "a partition is, for example"),
        (&["run", "--nodes", "2", "--partition", "1|3"], "names node 3"),
        (&["run", "--nodes", "2", "--card", "x"], "there are virtio"),
        (&["run", "--nodes", "2", "--card", "3:virtio"], "names node 3"),
        (&["run", "--nodes", "2", "--domain", "9000"], "8191"),
        (&["run", "--nodes", "2", "--domain", "-1"], "8191"),
        (&["run", "--pcap", "frames"], "needs a network"),
        (&["run", "--nodes", "2", "--pcap", "/nonexistent/frames"], "cannot write /nonexistent/frames"),
        (&["run", "--exec-on", "2", "true"], "no such node"),
        (&["run", "--exec", "true", "--exec-on", "9", "true"], "no such node"),
        (&["run", "--exec", "true", "--nodes", "2", "--exec-on", "x", "true"], "`x`"),
        (&["run", "--add", "/nonexistent"], "cannot add /nonexistent"),
        (&["run", "--disk", "/nonexistent/d"], "there is no /nonexistent/d; with ,size=SIZE"),
        (&["run", "--disk", "/nonexistent/d,size=1M"], "there is no folder /nonexistent"),
        (&["run", "--disk", "d,size=1000"], "a multiple of 512"),
        (&["run", "--disk", "d,size=1M,bus=scsi"], "there are virtio, nvme and ahci"),
        (&["run", "--disk", "d,size=1M,node=2"], "only 1; see --nodes"),
        (&["run", "--disk", "d,size=1M", "--disk", "d,size=1M"], "is there twice"),
        (&["run", "--disk", "/dev/null"], "/dev/null is no file"),
        (&["run", "--disk", "d,siez=1M"], "there are size=, bus=, node=, fat and raw"),
        (&["run", "--memory", "x"], "from 4 to"),
        (&["run", "--memory", "1"], "from 4 to"),
        (&["run", "--memory", "-1"], "from 4 to"),
        (&["run", "--timeout", "-1"], "from 1 to"),
        (&["run", "--timeout", "x"], "from 1 to"),
        (&["run", "--accel", "hvf"], "auto, kvm, tcg"),
        (&["run", "--log", "/nonexistent/log"], "cannot write /nonexistent/log"),
        (&["run", "--log", "/"], "cannot write /"),
        (&["run", "--icount", "--nodes", "2"], "--icount is for one node"),
        (&["run", "ls"], "unexpected argument 'ls'"),
        (&["run", "--firmware", "uefi"], "see --image and --netboot"),
        (&["run", "--image", "floppy"], "cd, usb"),
        (&["run", "--image", "cd", "--icount"], "cannot be used with"),
        (&["run", "--netboot"], "see --nodes"),
        (&["run", "--nodes", "2", "--netboot", "--diskless"], "cannot be used with"),
        (&["run", "--nodes", "2", "--netboot", "--exec-on", "2", "true"], "cannot be used with"),
        (&["image", "--output", "/nonexistent/v.iso"], "cannot write /nonexistent/v.iso"),
        (&["image", "--netboot", "src"], "src has files in it"),
        (&["image", "--netboot", "Cargo.toml"], "cannot write into Cargo.toml"),
        (&["image", "--files-from", "node1"], "--netboot"),
        (&["image", "--boot-server", "--netboot", "x"], "cannot be used with"),
        (&["image", "--add", "/nonexistent"], "cannot add /nonexistent"),
        (&["image", "--name", "a b", "--output", "/dev/null"], "`a b` is no name for a node"),
        (&["image", "--domain", "9000"], "8191"),
        (&["image", "v.iso"], "unexpected argument 'v.iso'"),
        (&["bench", "--json", "/nonexistent/table"], "cannot write /nonexistent/table"),
        (&["debug", "--port", "0"], "--port"),
        (&["debug", "--add", "/nonexistent"], "cannot add /nonexistent"),
        (&["doctor", "x"], "unexpected argument 'x'"),
        (&["new"], "<NAME>"),
        (&["new", "."], "no name for a program"),
        (&["new", "/"], "no name for a program"),
        (&["new", "a b"], "no name for a program"),
        (&["new", "fn"], "choose another name"),
        (&["new", "src"], "is there already"),
        (&["new", "/proc/program"], "cannot write"),
        (&["rum"], "'run'"),
        (&[], "Usage: cargo v <COMMAND>"),
    ] {
        let (status, said) = run(words);
        assert_eq!(status, Some(2), "{words:?}: {said}");
        assert!(said.contains(reason), "{words:?} says: {said}");
    }
}

#[test]
fn help_is_no_mistake() {
    for words in [&["--help"][..], &["run", "--help"], &["help", "debug"], &["--version"]] {
        assert_eq!(run(words), (Some(0), String::new()), "{words:?}");
    }
}
