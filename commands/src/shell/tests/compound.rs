//! Conditions, loops, functions, subshells, `case`.

use super::{check, check_with_dash};

#[test]
fn conditions() {
    check_with_dash(&[
        ("if true; then echo a; else echo b; fi", "a\n", 0),
        ("if false; then echo a; else echo b; fi", "b\n", 0),
        ("if false; then echo a; elif true; then echo b; else echo c; fi", "b\n", 0),
        ("if false; then echo a; fi; echo $?", "0\n", 0),
        ("if true; false; then echo a; else echo $?; fi", "1\n", 0),
        ("if\ntrue\nthen\necho a\nfi", "a\n", 0),
        ("if ! false; then echo a; fi", "a\n", 0),
        ("if true; then false; fi; echo $?", "1\n", 0),
        ("case abc in abc) echo yes;; esac", "yes\n", 0),
        ("case abc in x|a*) echo yes;; *) echo no;; esac", "yes\n", 0),
        ("case abc in (a?c) echo yes; esac", "yes\n", 0),
        ("case abc in x) echo no;; esac; echo $?", "0\n", 0),
        ("case $x in '') echo empty;; esac", "empty\n", 0),
        ("x='a b'; case $x in 'a b') echo same;; esac", "same\n", 0),
        (
            "p='a*'; case abc in $p) echo pattern;; esac; case abc in \"$p\") echo no;; *) echo text;; esac",
            "pattern\ntext\n",
            0,
        ),
        (
            "case '*' in \\*) echo star;; esac; case a in \\*) echo no;; *) echo other;; esac",
            "star\nother\n",
            0,
        ),
        ("case b in [a-c]) echo in;; esac; case d in [!a-c]) echo out;; esac", "in\nout\n", 0),
        (
            "case ']' in []]) echo bracket;; esac; case 5 in [[:digit:]]) echo digit;; esac",
            "bracket\ndigit\n",
            0,
        ),
        ("case a in a) ;; esac; echo $?", "0\n", 0),
        ("case a in\n# comment\na) echo one\n;;\n\nb) echo two\nesac", "one\n", 0),
        ("case if in if) echo word;; esac", "word\n", 0),
        ("false; case a in b) ;; esac; echo $?", "0\n", 0),
    ]);
}

#[test]
fn loops() {
    check_with_dash(&[
        ("for i in 1 2 3; do echo $i; done", "1\n2\n3\n", 0),
        ("for i in; do echo $i; done; echo $?", "0\n", 0),
        ("set -- a 'b c'; for i; do echo \"$i\"; done", "a\nb c\n", 0),
        ("set -- a 'b c'; for i\ndo echo \"$i\"; done", "a\nb c\n", 0),
        ("for i in a b\ndo\necho $i\ndone", "a\nb\n", 0),
        ("x='1 2'; for i in $x \"$x\"; do echo $i; done", "1\n2\n1 2\n", 0),
        ("for i in 1 2 3 4; do if [ $i = 3 ]; then break; fi; echo $i; done", "1\n2\n", 0),
        ("for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done", "1\n3\n", 0),
        ("for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done", "1a\n2a\n", 0),
        ("for i in 1 2; do for j in a b; do break 2; done; done; echo $i$j", "1a\n", 0),
        ("for i in 1 2; do for j in a b; do break 9; done; done; echo $i$j", "1a\n", 0),
        ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done", "1\n2\n3\n", 0),
        ("i=0; until [ $i -ge 2 ]; do i=$((i+1)); echo $i; done", "1\n2\n", 0),
        ("while false; do :; done; echo $?", "0\n", 0),
        ("i=0; while :; do i=$((i+1)); [ $i -gt 5 ] && break; done; echo $i", "6\n", 0),
        ("while break; do echo no; done; echo out", "out\n", 0),
        ("i=0; while i=$((i+1)); [ $i -lt 4 ]; do [ $i = 2 ] && continue; echo $i; done", "1\n3\n", 0),
        ("for i in 1 2 3; do (break); echo $i; done", "1\n2\n3\n", 0),
        ("for x in 1; do false; done; echo $?", "1\n", 0),
        ("for i in 1 2; do echo $i; done | cat", "1\n2\n", 0),
        ("seq 3 | while read i; do for j in x y; do echo $i$j; done; done | tail -n 1", "3y\n", 0),
    ]);
    check(&[("for i in a; do break 0; done", "", 2), ("break; echo on", "on\n", 0)]);
}

#[test]
fn functions() {
    check_with_dash(&[
        ("f() { echo \"f $1 $#\"; }; f a b", "f a 2\n", 0),
        ("f () { return 3; }; f; echo $?", "3\n", 0),
        ("f() { echo a; return; echo b; }; f; echo $?", "a\n0\n", 0),
        ("f() { false; return; }; f; echo $?", "1\n", 0),
        ("set -- x; f() { echo $1; set -- z; echo $1; }; f y; echo $1", "y\nz\nx\n", 0),
        ("f() { x=in; }; x=out; f; echo $x", "in\n", 0),
        ("f() { local x=in; echo $x; }; x=out; f; echo $x", "in\nout\n", 0),
        ("f() { local x; x=in; g; echo $x; }; g() { x=changed; }; x=out; f; echo $x", "changed\nout\n", 0),
        ("f() ( x=in; exit 4 ); x=out; f; echo $? $x", "4 out\n", 0),
        ("f()\n{\necho newline\n}\nf", "newline\n", 0),
        ("f() { if [ $1 -gt 0 ]; then echo $1; f $(($1-1)); fi; }; f 3", "3\n2\n1\n", 0),
        ("f() { echo one; f() { echo two; }; }; f; f", "one\ntwo\n", 0),
        ("f() { for i in 1 2; do return 5; done; }; f; echo $?", "5\n", 0),
        ("f() { echo in; }; unset -f f; f 2>/dev/null; echo $?", "127\n", 0),
        ("echo() { printf 'mine %s\\n' \"$1\"; }; echo a; command echo b", "mine a\nb\n", 0),
        ("f() { echo $x; }; x=1; x=2 f", "2\n", 0),
        ("f() { cat; }; f < /dev/null; echo a | f", "a\n", 0),
        ("f() for i in 1 2; do echo $i; done; f", "1\n2\n", 0),
        ("f() { exit 6; }; f; echo no", "", 6),
        ("f() { echo \"$@\" | cat; }; f 'a  b' c", "a  b c\n", 0),
        (
            "fact() { if [ $1 -le 1 ]; then echo 1; else echo $(( $1 * $(fact $(($1 - 1))) )); fi; }; fact 6",
            "720\n",
            0,
        ),
    ]);
}

#[test]
fn groups_and_subshells() {
    check_with_dash(&[
        ("{ echo a; echo b; }", "a\nb\n", 0),
        ("(echo a; echo b)", "a\nb\n", 0),
        ("x=1; (x=2; echo $x); echo $x", "2\n1\n", 0),
        ("x=1; { x=2; }; echo $x", "2\n", 0),
        ("(cd /; pwd); [ \"$(pwd)\" = / ] || echo elsewhere", "/\nelsewhere\n", 0),
        ("(exit 3); echo $?", "3\n", 0),
        ("(set -- a b; echo $#); echo $#", "2\n0\n", 0),
        ("( (echo nested) )", "nested\n", 0),
        ("(echo a) > f; cat f", "a\n", 0),
        ("(f() { echo f; }; f); f 2>/dev/null || echo gone", "f\ngone\n", 0),
        ("(exec > f; echo hidden); echo shown; cat f", "shown\nhidden\n", 0),
        ("a=$$; b=$(echo $$); c=$(true; echo $$); [ $a = $b ] && [ $a = $c ] && echo same", "same\n", 0),
        ("(trap 'echo bye' EXIT; echo hi); echo after", "hi\nbye\nafter\n", 0),
        ("trap 'echo bye $?' EXIT; exit 3", "bye 3\n", 3),
        ("trap 'echo bye' EXIT; trap - EXIT; echo only", "only\n", 0),
        ("{ echo a; } && { echo b; }", "a\nb\n", 0),
    ]);
}

#[test]
fn options() {
    check_with_dash(&[
        ("set -e; false; echo no", "", 1),
        ("set -e; false || echo yes; echo on", "yes\non\n", 0),
        ("set -e; if false; then :; fi; ! true; echo on", "on\n", 0),
        ("set -e; true && false; echo no", "", 1),
        ("set -e; false && true; echo on", "on\n", 0),
        ("set -e; (false; echo no); echo no", "", 1),
        ("set -e; f() { false; echo in; }; f || echo out; f; echo no", "in\n", 1),
        ("set -e; x=$(false); echo no", "", 1),
        ("set -e; echo $(false) on", "on\n", 0),
        ("set -e; while false; do :; done; echo on", "on\n", 0),
        ("set -e; false | true; echo on; true | false; echo no", "on\n", 1),
        ("set -e; { false; echo no; } | cat; echo on", "on\n", 0),
        ("set -e; if { false; true; }; then echo yes; fi", "yes\n", 0),
        ("set -u; echo $undefined; echo no", "", 2),
        ("set -u; echo ${undefined-ok} $# \"$@\"", "ok 0\n", 0),
        ("set -u; (echo $undefined) 2>/dev/null; echo $?", "2\n", 0),
        ("set -f; echo *; set +f", "*\n", 0),
        ("set -a; x=1; sh -c 'echo $x'", "1\n", 0),
        ("set -x 2>/dev/null; { set -x; } 2>/dev/null; echo a 2>/dev/null", "a\n", 0),
        ("set -o nounset; echo ${x-unset}; set +o nounset; echo $x", "unset\n\n", 0),
        ("set -- -a b; echo $1 $2 $#", "-a b 2\n", 0),
        ("set a b c; shift; echo $*; shift 2; echo $#", "b c\n0\n", 0),
        ("set -e a; echo $-$1 | grep -c e", "1\n", 0),
        ("set a b; set --; echo $#", "0\n", 0),
    ]);
    check(&[("set -q; echo no", "", 2), ("set -o nonsense; echo no", "", 2), ("shift 2; echo no", "", 2)]);
}
