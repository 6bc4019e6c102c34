//! Background commands.

use std::string::String;

use super::{check, check_with_dash, run, run_script, run_with};
use crate::shell::jobs::one_line;
use crate::shell::parser::parse;
use crate::shell::print::print_list;
use crate::shell::stack::Stack;

#[test]
fn background() {
    check_with_dash(&[
        ("echo a & wait; echo b", "a\nb\n", 0),
        ("{ sleep 0.1; echo slow; } & echo fast; wait", "fast\nslow\n", 0),
        ("sh -c 'exit 3' & wait $!; echo $?", "3\n", 0),
        ("(exit 4) & wait $!; echo $?", "4\n", 0),
        ("false & wait; echo $?", "0\n", 0),
        ("x=1; { x=2; } & wait; echo $x", "1\n", 0),
        ("cat & wait; echo done", "done\n", 0),
        ("true && echo a & wait", "a\n", 0),
        ("echo a | cat & wait", "a\n", 0),
        (
            "sleep 0 & a=$!; sleep 0 & b=$!; [ $a != $b ] && echo different; wait $a $b; echo $?",
            "different\n0\n",
            0,
        ),
        ("for i in 1 2 3; do echo $i > f$i & done; wait; cat f1 f2 f3", "1\n2\n3\n", 0),
        ("wait; echo $?", "0\n", 0),
    ]);
}

#[test]
fn job_names() {
    check(&[
        ("sh -c 'exit 5' & wait %1; echo $?", "5\n", 0),
        ("sleep 0 & sh -c 'exit 6' & wait %%; echo $?; wait %-; echo $?", "6\n127\n", 0),
        ("sleep 9 & kill %1; wait %1; echo $?", "137\n", 0),
        ("sleep 9 & kill %sleep; wait; echo $?", "0\n", 0),
        ("sleep 9 & kill $!; wait $!; echo $?", "143\n", 0),
        ("sh -c 'exit 7' & fg; echo $?", "7\n", 0),
        ("jobs; echo $?", "0\n", 0),
    ]);
}

#[test]
fn jobs_are_listed() {
    let outcome = run_script("sleep 9 & jobs; kill %1; wait %1");
    assert_eq!(outcome.output, "[1] Running    sleep 9\n");
}

#[test]
fn jobs_of_several_lines_are_shown_in_one() {
    for line in [
        "sleep 9",
        "( sleep 9; echo a; )",
        "while sleep 9; do :; done",
        "if sleep 9; then :; elif b; then c; else d; fi",
        "for i in 1 2; do sleep 9; done | cat",
        "{ sleep 9; } && sleep 9",
    ] {
        let tree = parse(line.as_bytes(), Stack::here(1 << 20)).expect("a script");
        assert_eq!(String::from_utf8_lossy(&one_line(&print_list(&tree))), line);
    }
}

#[test]
fn what_the_user_stops_becomes_a_job() {
    // The file `stop` is the user's ^Z: the wait for the next program takes it.
    let outcome = run(
        &["exec", "-i"],
        ": > stop; sleep 0.2; echo not done\n\
         echo $?; jobs\n\
         wait; echo waited for none\n\
         fg; echo $?; jobs\n\
         : > stop; for i in 1 2; do sleep 0.1 | cat; done\n\
         jobs; bg; wait; jobs\n\
         : > stop; sleep 50\n\
         wait %1\n\
         kill %1\n",
    );
    let output = "148\n[1] Stopped    sleep 0.2\nwaited for none\n0\n";
    assert!(outcome.output.starts_with(output), "{outcome:?}");
    assert!(outcome.errors.contains("[1] Stopped    sleep 0.2\n"), "{outcome:?}");
    assert!(outcome.errors.contains("sleep 50 is stopped; fg or bg lets it go on\n"), "{outcome:?}");
}

#[test]
fn interruptions_are_trapped() {
    // The file `interrupt` is the user's ^C.
    check(&[
        ("trap 'echo got $?' INT; : > interrupt; echo after; trap - INT; trap", "got 130\nafter\n", 0),
        (": > interrupt; echo no", "", 130),
        (
            "trap '' INT; : > interrupt; echo lives; (: > interrupt; echo in there, too)",
            "lives\nin there, too\n",
            0,
        ),
        ("trap 'exit 7' INT; : > interrupt; echo no", "", 7),
        ("trap 'echo t' INT; (: > interrupt; echo no); echo on", "t\non\n", 0),
        ("trap 'echo t' 2; while :; do : > interrupt; sleep 0; break; done; echo out", "t\nout\n", 0),
    ]);
}

#[test]
fn sessions_begin_with_a_file() {
    let home = std::env::temp_dir().join(std::format!("v-shell-home-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let (home_name, file) = (home.to_str().unwrap(), home.join("named"));
    let text = "x=1; f() { echo f $x $NODE; }; PS1='$NODE> '; return; echo no\n";
    std::fs::write(home.join(".shrc"), text).unwrap();
    let outcome = run_with(&["exec", "-i"], "f\n", &[("HOME", home_name)]);
    assert_eq!((&*outcome.output, &*outcome.errors), ("f 1 here\n", "here> here> \n"));
    std::fs::write(&file, "echo named; exit 3; echo no").unwrap();
    let outcome = run_with(&["exec", "-i"], "f\n", &[("HOME", home_name), ("ENV", "$HOME/named")]);
    assert_eq!((&*outcome.output, outcome.status), ("named\n", 3));
    std::fs::remove_dir_all(&home).unwrap();
}
