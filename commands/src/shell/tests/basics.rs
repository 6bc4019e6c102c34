//! Simple commands, quoting, lists, pipelines, redirections.

use super::{check, check_with_dash};

#[test]
fn commands_and_quoting() {
    check_with_dash(&[
        ("", "", 0),
        ("# only a comment", "", 0),
        ("echo hello", "hello\n", 0),
        ("echo  a   b", "a b\n", 0),
        ("echo 'a  b' \"c  d\" e\\ \\ f", "a  b c  d e  f\n", 0),
        ("echo 'it'\\''s' \"say \\\"hi\\\"\"", "it's say \"hi\"\n", 0),
        ("printf '%s\\n' \"a\\b\\$c\\`d\"", "a\\b$c`d\n", 0),
        ("echo a#b #c", "a#b\n", 0),
        ("echo one \\\ntwo", "one two\n", 0),
        ("ec\\\nho joined", "joined\n", 0),
        ("printf '%s\\n' 'a\\\nb'", "a\\\nb\n", 0),
        ("printf '[%s]' '' \"\" a''b", "[][][ab]", 0),
        ("\"echo\" quoted", "quoted\n", 0),
        ("e'ch'o mixed", "mixed\n", 0),
        ("echo $", "$\n", 0),
        ("echo a$ \"b$\" $/", "a$ b$ $/\n", 0),
        ("echo ~ ~/x a~ '~' \"~\" x=~", "/home/me /home/me/x a~ ~ ~ x=~\n", 0),
        ("x=~/y; echo $x", "/home/me/y\n", 0),
        ("echo if then fi { } !", "if then fi { } !\n", 0),
        ("true", "", 0),
        ("false", "", 1),
        ("nonexistent-command", "", 127),
        ("/nonexistent/command", "", 127),
        ("/", "", 126),
        ("exit 3", "", 3),
        ("exit 259", "", 3),
        ("sh -c 'exit 9'", "", 9),
    ]);
}

#[test]
fn lists() {
    check_with_dash(&[
        ("echo a; echo b\necho c", "a\nb\nc\n", 0),
        ("true && echo yes", "yes\n", 0),
        ("false && echo yes", "", 1),
        ("false || echo no", "no\n", 0),
        ("true || echo no", "", 0),
        ("false && echo a || echo b", "b\n", 0),
        ("true || echo a && echo b", "b\n", 0),
        ("true &&\n\n echo next", "next\n", 0),
        ("! true; echo $?; ! false; echo $?", "1\n0\n", 0),
        ("! false && echo yes", "yes\n", 0),
        ("! echo a | grep -q b; echo $?", "0\n", 0),
        ("false; echo $?", "1\n", 0),
        ("(exit 4); echo $?", "4\n", 0),
    ]);
}

#[test]
fn pipelines() {
    check_with_dash(&[
        ("echo hello | wc -c", "6\n", 0),
        ("printf 'b\\na\\nc\\n' | sort | head -n 2", "a\nb\n", 0),
        ("echo a | cat | cat | cat", "a\n", 0),
        ("echo x | { read y; echo \"got $y\"; }", "got x\n", 0),
        ("seq 3 | while read n; do echo \"<$n>\"; done", "<1>\n<2>\n<3>\n", 0),
        ("x=1; echo 2 | read x; echo $x", "1\n", 0),
        ("x=1; { x=2; echo a; } | cat; echo $x", "a\n1\n", 0),
        ("true | false; echo $?; false | true; echo $?", "1\n0\n", 0),
        ("echo a |\n# between\n cat", "a\n", 0),
        ("seq 100000 | head -n 1", "1\n", 0),
        ("while true; do echo y; done | head -n 2", "y\ny\n", 0),
        ("{ seq 3; echo end; } | { while read a; do printf '%s,' $a; done; }", "1,2,3,end,", 0),
        ("seq 50000 | (cat) | { cat; } | tail -n 1", "50000\n", 0),
        ("f() { cat; echo f; }; echo in | f | cat", "in\nf\n", 0),
        ("x=var; echo a | eval 'cat; echo $x'", "a\nvar\n", 0),
        ("cmd=echo; $cmd one | cat", "one\n", 0),
        ("exit 3 | exit 4; echo $?", "4\n", 0),
        ("nonexistent-command | cat; echo $?", "0\n", 0),
        ("echo a | nonexistent-command; echo $?", "127\n", 0),
        ("echo a | (read x; echo $x; exit 5); echo $?", "a\n5\n", 0),
        ("set -- a b; { echo \"$# $2\"; } | { cat; echo $1; } | cat", "2 b\na\n", 0),
        ("echo a | : ; echo $?", "0\n", 0),
        ("(false; echo $?) | { cat; }", "1\n", 0),
        ("echo $(false) | { cat; echo $?; } | cat", "\n0\n", 0),
    ]);
}

#[test]
fn redirections() {
    check_with_dash(&[
        ("echo a > f; cat f; echo b > f; cat f", "a\nb\n", 0),
        ("echo a > f; echo b >> f; cat < f", "a\nb\n", 0),
        ("echo a >f; echo b >| f; cat f", "b\n", 0),
        ("set -C; echo a > f; (echo b > f) 2>/dev/null || echo kept; cat f", "kept\na\n", 0),
        ("ls nonexistent 2> errors; test -s errors && echo caught", "caught\n", 0),
        ("ls nonexistent 2>&1 | wc -l", "1\n", 0),
        ("ls nonexistent > all 2>&1; wc -l < all", "1\n", 0),
        ("{ echo out; echo err >&2; } 2>/dev/null", "out\n", 0),
        ("> empty; test -e empty && wc -c < empty", "0\n", 0),
        ("echo a 1>f 2>&1; cat f", "a\n", 0),
        ("echo hidden >&-; echo $?", "1\n", 0),
        ("exec > f; echo one; exec >&2; cat f", "", 0),
        ("exec 3> f; echo three >&3; exec 3>&-; cat f", "three\n", 0),
        ("echo a > f; exec 4< f; read x <&4; echo $x", "a\n", 0),
        ("{ echo a; echo b >&2; } 2>&1 >/dev/null", "b\n", 0),
        ("{ { echo out; echo err >&2; } 3>&1 1>&2 2>&3 3>&-; } 2>/dev/null", "err\n", 0),
        ("cat < nofile || echo failed", "failed\n", 0),
        ("for i in 1 2 3; do echo $i; done > f; cat f", "1\n2\n3\n", 0),
        ("if true; then echo yes; fi > f; cat f", "yes\n", 0),
        ("f() { echo in function; } > f; f; cat f", "in function\n", 0),
        ("echo 2>f; cat f", "\n", 0),
        ("echo 2 >f; cat f", "2\n", 0),
        ("echo a2>f; cat f", "a2\n", 0),
        (">f echo first; cat f", "first\n", 0),
        ("n=f; echo named > \"$n\"; cat f", "named\n", 0),
        ("echo abc <> f; cat f", "abc\n", 0),
    ]);
}

#[test]
fn here_documents() {
    check_with_dash(&[
        ("cat <<END\none\ntwo\nEND\necho after", "one\ntwo\nafter\n", 0),
        ("x=5; cat <<END\n$x \"$x\" '$x' $((x+1)) $(echo sub) \\$x\nEND", "5 \"5\" '5' 6 sub $x\n", 0),
        ("x=5; cat <<'END'\n$x `echo no` \\$x\nEND", "$x `echo no` \\$x\n", 0),
        ("cat <<\"END\"\n$x\nEND", "$x\n", 0),
        ("cat <<\\END\n$x\nEND", "$x\n", 0),
        ("cat <<-END\n\tone\n\t\ttwo\n\tEND", "one\ntwo\n", 0),
        ("cat <<A; cat <<B\na\nA\nb\nB", "a\nb\n", 0),
        ("cat <<END | tr a b\nbanana\nEND", "bbnbnb\n", 0),
        ("cat <<END && echo ok\ntext\nEND", "text\nok\n", 0),
        ("while read x; do echo \"[$x]\"; done <<END\na\nb\nEND", "[a]\n[b]\n", 0),
        ("f() { cat <<END\n$1\nEND\n}; f one; f two", "one\ntwo\n", 0),
        ("echo $(cat <<END\ninside\nEND\n)", "inside\n", 0),
        ("cat <<END\nEND", "", 0),
        ("cat <<END\na\\\nb\nEND", "ab\n", 0),
        ("cat <<END\na\\\nEND\nb\\\\\nEND", "aEND\nb\\\n", 0),
        ("cat <<'END'\na\\\nEND", "a\\\n", 0),
        ("cat <<END\n${x:-'single'}\nEND", "'single'\n", 0),
        ("{ cat; echo b; } <<END | { cat; }\na\nEND", "a\nb\n", 0),
        ("(cat) <<E1 | (cat; cat <<E2)\nfirst\nE1\nsecond\nE2", "first\nsecond\n", 0),
    ]);
}

#[test]
fn built_in_output() {
    check_with_dash(&[
        ("echo", "\n", 0),
        ("echo -n a; echo b", "ab\n", 0),
        ("printf 'plain\\n'", "plain\n", 0),
        ("printf '%s-%s\\n' a b c", "a-b\nc-\n", 0),
        ("printf '%d %5d|%-5d|%05d\\n' 1 2 3 4", "1     2|3    |00004\n", 0),
        ("printf '%x %X %o %u\\n' 255 255 8 7", "ff FF 10 7\n", 0),
        ("printf '%#x %#o %+d % d\\n' 255 8 5 6", "0xff 010 +5  6\n", 0),
        ("printf '%.2s|%5s|%-5s|\\n' abcdef abc abc", "ab|  abc|abc  |\n", 0),
        ("printf '%.3d %8.3d|\\n' 5 6", "005      006|\n", 0),
        ("printf '%c%c\\n' abc def", "ad\n", 0),
        ("printf '%%\\t\\101\\n'", "%\tA\n", 0),
        ("printf '%b|' 'a\\tb' 'c\\0101'", "a\tb|cA|", 0),
        ("printf '%b' 'one\\ctwo' three", "one", 0),
        ("printf '%d\\n' \"'A\" 0x10 010 -7", "65\n16\n8\n-7\n", 0),
        ("printf '%*d|%-*d|\\n' 4 1 4 2", "   1|2   |\n", 0),
        ("printf '%s\\n'", "\n", 0),
        ("printf 'none\\n' a b", "none\n", 0),
        ("printf '%d\\n' abc 2>/dev/null; echo $?", "0\n1\n", 0),
    ]);
    check(&[("echo 'a\\tb' -n", "a\\tb -n\n", 0), ("printf '%99999999d' 1", "", 1)]);
}
