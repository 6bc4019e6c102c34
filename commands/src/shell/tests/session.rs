//! Scripts, lines of standard input, arguments, `read`, `test` and the like.

use super::{check_with_dash, run};

#[test]
fn scripts_have_arguments() {
    let outcome = run(&["exec", "-c", "echo $0 $1 $#", "name", "a", "b c"], "");
    assert_eq!(outcome.output, "name a 2\n");
    let outcome = run(&["exec", "nofile"], "");
    assert_eq!((outcome.errors.as_str(), outcome.status), ("exec: nofile: not found\n", 127));
    let outcome = run(&["exec", "/usr/bin/cat"], "");
    assert_eq!((outcome.errors.as_str(), outcome.status), ("exec: /usr/bin/cat: not a script\n", 126));
}

#[test]
fn lines_of_input_are_run() {
    let cases = [
        ("echo a\necho b\n", "a\nb\n", 0),
        ("echo a", "a\n", 0),
        ("read x\nhello\necho \"[$x]\"\n", "[hello]\n", 0),
        ("cat\nrest\nof input\n", "rest\nof input\n", 0),
        ("if true\nthen echo yes\nfi\n", "yes\n", 0),
        ("echo one \\\ntwo\n", "one two\n", 0),
        ("cat <<E\ntext\nE\necho after\n", "text\nafter\n", 0),
        ("echo 'a\nb'\nexit 4\necho no\n", "a\nb\n", 4),
        ("echo a\nif true\n", "a\n", 2),
        ("echo a\n)\necho no\n", "a\n", 2),
        ("set -n\necho no\n", "", 0),
        ("echo a # comment \\\necho b\n", "a\nb\n", 0),
    ];
    for (input, output, status) in cases {
        let outcome = run(&["exec"], input);
        assert_eq!((outcome.output.as_str(), outcome.status), (output, status), "{input}: {outcome:?}");
    }
}

#[test]
fn read_splits_lines() {
    check_with_dash(&[
        ("echo 'a b c' | { read x y; echo \"[$x][$y]\"; }", "[a][b c]\n", 0),
        ("echo '  a  ' | { read x; echo \"[$x]\"; }", "[a]\n", 0),
        ("echo '  a  ' | { IFS= read x; echo \"[$x]\"; }", "[  a  ]\n", 0),
        ("echo a | { read x y; echo \"[$x][$y]\"; }", "[a][]\n", 0),
        ("printf 'a\\\\b\\n' | { read x; echo \"$x\"; }", "ab\n", 0),
        ("printf 'a\\\\\\nb\\n' | { read x; echo \"$x\"; }", "ab\n", 0),
        ("printf 'a\\\\ b c\\n' | { read x y; echo \"[$x][$y]\"; }", "[a b][c]\n", 0),
        ("echo a:b:c | { IFS=: read x y z; echo \"$x-$y-$z\"; }", "a-b-c\n", 0),
        ("echo a::c: | { IFS=: read x y z; echo \"$x-$y-$z\"; }", "a--c\n", 0),
        ("echo a:b: | { IFS=: read x; echo \"$x\"; }", "a:b:\n", 0),
        ("printf 'no newline' | { read x; echo $? \"$x\"; }", "1 no newline\n", 0),
        ("read x < /dev/null; echo $? [$x]", "1 []\n", 0),
        ("printf 'a\\nb\\n' | { read x; cat; }", "b\n", 0),
        ("printf '1 2\\n3 4\\n' | while read a b; do echo $((a+b)); done", "3\n7\n", 0),
    ]);
}

#[test]
fn conditions_of_test() {
    check_with_dash(&[
        ("[ a ] && [ ! '' ] && [ -n a ] && [ -z '' ] && echo all", "all\n", 0),
        ("[ ]; echo $?; [ '' ]; echo $?; test; echo $?", "1\n1\n1\n", 0),
        ("[ a = a ] && [ a != b ] && echo all", "all\n", 0),
        (
            "[ 1 -eq 01 ] && [ 2 -gt 1 ] && [ -1 -lt 0 ] && [ 2 -ge 2 ] && [ 1 -le 2 ] && [ 1 -ne 2 ] && echo all",
            "all\n",
            0,
        ),
        (
            "touch f; echo a > g; mkdir d; [ -e f ] && [ -f f ] && [ ! -s f ] && [ -s g ] && [ -d d ] && [ ! -f d ] && echo all",
            "all\n",
            0,
        ),
        ("[ -e nofile ] || [ -d nofile ] || echo none", "none\n", 0),
        ("[ a -a b ] && [ '' -o b ] && [ a -a '' -o b ] && echo all", "all\n", 0),
        ("[ ! a = b ] && [ ! '(' = ')' ] && echo all", "all\n", 0),
        ("[ '(' a ')' ] && [ '(' a = a ')' ] && [ '(' '' -o a ')' -a b ] && echo all", "all\n", 0),
        ("[ -f = -f ] && [ '!' = '!' ] && [ ! ] && [ -n ] && [ '(' ] && echo all", "all\n", 0),
        ("[ 1 -eq a ] 2>/dev/null; echo $?", "2\n", 0),
        ("x='a b'; [ \"$x\" = 'a b' ] && echo same", "same\n", 0),
        ("[ -r / ] && [ -x / ] && [ -p / ] || echo no-pipe", "no-pipe\n", 0),
        ("[ -t 0 ] || echo no-terminal", "no-terminal\n", 0),
        ("test 5 -lt 10 && test abc '<' abd 2>/dev/null; echo $?", "0\n", 0),
    ]);
}

#[test]
fn sourcing_and_evaluating() {
    check_with_dash(&[
        ("echo 'x=5; echo in' > s; . ./s; echo $x", "in\n5\n", 0),
        ("echo 'return 3; echo no' > s; . ./s; echo $?", "3\n", 0),
        ("echo 'exit 3' > s; . ./s; echo no", "", 3),
        ("eval 'x=1; echo $x'; eval; echo $?", "1\n0\n", 0),
        ("eval echo '$x' \\; echo b", "\nb\n", 0),
        ("x='echo \"a  b\"'; eval \"$x\"; $x", "a  b\n\"a b\"\n", 0),
        ("false; eval ''; echo $?", "0\n", 0),
        ("exec echo replaced; echo no", "replaced\n", 0),
        ("exec sh -c 'exit 8'", "", 8),
        ("command exit 5; echo no", "", 5),
    ]);
}

#[test]
fn options_of_scripts() {
    check_with_dash(&[
        (
            "set -- -a -b value -cd rest; while getopts ab:cd o; do echo $o $OPTARG; done; shift $((OPTIND-1)); echo $*",
            "a\nb value\nc\nd\nrest\n",
            0,
        ),
        (
            "set -- -bvalue -- -a; while getopts ab: o; do echo $o $OPTARG; done; echo $OPTIND",
            "b value\n3\n",
            0,
        ),
        ("set -- -x; while getopts :ab o; do echo $o $OPTARG; done", "? x\n", 0),
        ("set -- -b; while getopts :ab: o; do echo $o $OPTARG; done", ": b\n", 0),
        ("set -- -x; getopts ab o 2>/dev/null; echo $? $o", "0 ?\n", 0),
        ("getopts a o a b; echo $? $o", "1 ?\n", 0),
    ]);
}
