//! Background commands.

use super::{check, check_with_dash, run_script};

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
