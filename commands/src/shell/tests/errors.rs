//! What is wrong is said with its position; nothing ends in a crash.

use std::format;
use std::string::{String, ToString};

use super::{check, check_with_dash, run_script};

/// A script with what it writes to standard error, and its status.
fn check_messages(cases: &[(&str, &str, i32)]) {
    for (script, message, status) in cases {
        let outcome = run_script(script);
        assert_eq!((outcome.errors.as_str(), outcome.status), (*message, *status), "{script}");
    }
}

#[test]
fn syntax_errors_have_a_position() {
    check_messages(&[
        ("echo a )", "exec: line 1, column 8: found `)`, expected `;`, `&` or the end of the line\n", 2),
        ("echo a\n  | b", "exec: line 2, column 3: found `|`, expected a command\n", 2),
        (
            "if true; then echo a; done",
            "exec: line 1, column 23: found `done`, expected `elif`, `else` or `fi`\n",
            2,
        ),
        ("if ; then", "exec: line 1, column 4: found `;`, expected a command\n", 2),
        ("while true; do echo; fi", "exec: line 1, column 22: found `fi`, expected `done`\n", 2),
        ("for 1 in a; do :; done", "exec: line 1, column 5: found `1`, expected a variable's name\n", 2),
        ("for i in a; echo; done", "exec: line 1, column 13: found `echo`, expected `do`\n", 2),
        ("case a of", "exec: line 1, column 8: found `of`, expected `in`\n", 2),
        ("case a in a) echo ) esac", "exec: line 1, column 19: found `)`, expected `;;` or `esac`\n", 2),
        ("a && || b", "exec: line 1, column 6: found `||`, expected a command\n", 2),
        ("echo > > f", "exec: line 1, column 8: found `>`, expected a file's name\n", 2),
        ("echo > \n", "exec: line 1, column 8: found the end of the line, expected a file's name\n", 2),
        ("echo 'a\nb", "exec: line 1, column 6: the text ends here, expected `'`\n", 2),
        ("echo \"a\n$(", "exec: line 2, column 3: the text ends here, expected a command or `)`\n", 2),
        (
            "echo ${x",
            "exec: line 1, column 6: the text ends here, expected one of `}` `-` `=` `?` `+` `#` `%`\n",
            2,
        ),
        (
            "echo ${x!}",
            "exec: line 1, column 9: found `!` in `${`, expected one of `}` `-` `=` `?` `+` `#` `%`\n",
            2,
        ),
        ("echo ${}", "exec: line 1, column 8: found `}` in `${`, expected a parameter's name\n", 2),
        ("cat <<END\ntext", "exec: line 1, column 7: the text ends here, expected a line `END`\n", 2),
        ("{ echo a", "exec: line 1, column 9: the text ends here, expected `}`\n", 2),
        (
            "f() echo a",
            "exec: line 1, column 5: found a simple command, expected `{`, `(` or the like as a function's body\n",
            2,
        ),
        ("a-b() { :; }", "exec: line 1, column 1: found `(` after a word that can't name a function\n", 2),
        ("echo 12>&1", "exec: line 1, column 6: found a stream's number above 9\n", 2),
        ("then", "exec: line 1, column 1: found `then`, expected a command\n", 2),
        ("}", "exec: line 1, column 1: found `}`, expected a command\n", 2),
        (
            "echo a;; echo b",
            "exec: line 1, column 7: found `;;`, expected `;`, `&` or the end of the line\n",
            2,
        ),
        ("echo é )", "exec: line 1, column 8: found `)`, expected `;`, `&` or the end of the line\n", 2),
    ]);
}

#[test]
fn failing_commands_have_a_position() {
    check_messages(&[
        ("\n  nonesuch", "exec: line 2, column 3: nonesuch: no such command; 'help' lists them\n", 127),
        ("./nonesuch", "exec: line 1, column 1: ./nonesuch: not found\n", 127),
        ("cat < nofile", "exec: line 1, column 5: nofile: not found\n", 1),
        ("echo a >&7", "exec: line 1, column 8: `7` is not an open stream's number\n", 1),
        ("echo ${x?gone}", "exec: line 1, column 6: x: gone\n", 2),
        ("set -u; echo $x", "exec: line 1, column 14: x: not set\n", 2),
        ("echo $((1/0))", "exec: line 1, column 6: arithmetic `1/0`: division by zero\n", 2),
        (
            "echo $((1 +))",
            "exec: line 1, column 6: arithmetic `1 +` ends, expected a number, a variable or `(`\n",
            2,
        ),
        ("readonly x=1; x=2", "exec: line 1, column 15: x: read-only\n", 2),
        ("cd /nonesuch", "exec: line 1, column 1: cd: /nonesuch: not found\n", 1),
        ("[ a = b", "exec: line 1, column 1: [: expected `]` at the end\n", 2),
        ("test 1 -eq x", "exec: line 1, column 1: test: `x` is not a number\n", 2),
        (
            "echo a @elsewhere",
            "exec: line 1, column 1: echo: no node answers to the name elsewhere; 'hosts' lists those that do\n",
            126,
        ),
        (". ./nofile", "exec: line 1, column 1: .: ./nofile: not found\n", 2),
        ("export 1x=2", "exec: line 1, column 1: export: 1x: not a variable's name\n", 2),
        ("wait %3", "exec: line 1, column 1: wait: %3: no such job\n", 127),
        (
            "trap 'x' HUP",
            "exec: line 1, column 1: trap: HUP: there is no such condition, only EXIT and INT\n",
            1,
        ),
        (
            "nonesuch $(true\ntrue)",
            "exec: line 1, column 1: nonesuch: no such command; 'help' lists them\n",
            127,
        ),
        ("cat < ''", "exec: line 1, column 5: '': not found\n", 1),
        ("echo \"$(nonesuch)\"", "exec: line 1, column 9: nonesuch: no such command; 'help' lists them\n", 0),
    ]);
}

#[test]
fn errors_end_scripts_where_posix_says_so() {
    check_with_dash(&[
        ("echo a; )", "", 2),
        ("echo a\n)", "a\n", 2),
        ("(echo ${x?}); echo on", "on\n", 0),
        ("eval '('; echo no", "", 2),
        ("echo a\neval 'echo b\n)'; echo no", "a\nb\n", 2),
        ("readonly x; x=1; echo no", "", 2),
        ("cat < nofile; echo on", "on\n", 0),
        (". ./nofile; echo no", "", 2),
        ("nonesuch; echo $?", "127\n", 0),
        ("exec nonesuch; echo no", "", 127),
        ("unset 1x; echo no", "", 2),
    ]);
    check(&[(": < nofile; echo no", "", 1), ("exec < nofile; echo no", "", 1)]);
}

/// Here-documents in substitutions in here-documents.
fn nested_documents(depth: usize) -> String {
    let mut script = String::new();
    for level in 0..depth {
        script.extend(["cat <<E", &level.to_string(), "\n$("]);
    }
    for level in (0..depth).rev() {
        script.extend([")\nE", &level.to_string(), "\n"]);
    }
    script
}

#[test]
fn deep_nesting_is_refused() {
    let depth = 100_000;
    let nested = [
        format!("{}echo{}", "(".repeat(depth), ")".repeat(depth)),
        format!("{}echo{}", "( ".repeat(depth), " )".repeat(depth)),
        format!("{}echo{}", "{ ".repeat(depth), ";}".repeat(depth)),
        format!("echo {}x{}", "$(echo ".repeat(depth), ")".repeat(depth)),
        format!("echo {}x{}", "${x:-".repeat(depth), "}".repeat(depth)),
        format!("echo \"{}x{}\"", "${x:-\"".repeat(depth), "\"}".repeat(depth)),
        format!("echo $(({}1{}))", "(".repeat(depth), ")".repeat(depth)),
        format!("echo $(({}1))", "- ".repeat(depth)),
        format!("echo $(({}1))", "a=".repeat(depth)),
        format!("echo $(({}1))", "1?".repeat(depth)),
        format!("echo {}1{}", "$((".repeat(depth), "))".repeat(depth)),
        format!("{}echo{}", "if true; then ".repeat(depth), "; fi".repeat(depth)),
        format!("{}echo{}", "f() { ".repeat(depth), "; }".repeat(depth)),
        format!("{}echo{}", "case a in a) ".repeat(depth), ";; esac".repeat(depth)),
        nested_documents(2000),
        format!("test {} a", "\\( ".repeat(20_000)),
        String::from("f() { f; }; f"),
        String::from("f() { eval f; }; f"),
        String::from("f() { f | cat; }; x='f() { eval \"$x\"; }; f'; eval \"$x\""),
        String::from("f() { echo ${x:-$((y = $1))} $(:); { ( f 1 ); }; }; f 1"),
        String::from("echo '. ./loop' > loop; . ./loop"),
    ];
    for script in nested {
        let outcome = run_script(&script);
        let start: String = script.chars().take(40).collect();
        assert!(outcome.errors.contains("nested too deeply"), "{start}: {outcome:?}");
        assert!(outcome.status != 0, "{start}");
    }
}

/// What parses can also be copied, written out for another shell, and dropped: none of these needs more stack.
#[test]
fn what_is_just_not_too_deep_can_be_handed_on() {
    let shapes: [(&str, &str); 7] = [
        ("( ", " )"),
        ("{ ", "; }"),
        ("if true; then ", "; fi"),
        ("case a in a) ", ";; esac"),
        ("echo $(", ")"),
        ("echo ${x:-", "}"),
        ("echo \"$((", "))\""),
    ];
    for (open, close) in shapes {
        let nested = |depth: usize| {
            let inner = if open.starts_with("echo \"$((") { "1" } else { "echo" };
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            run_script(&format!("{{ {open}{inner}{close}; }} | {{ cat; }} | cat"))
        };
        let is_refused = |depth: &usize| nested(*depth).errors.contains("nested too deeply");
        let refused = (1..10_000).find(is_refused);
        assert!(refused.is_some_and(|depth| depth > 8), "{open}: {refused:?}");
    }
}

#[test]
fn ambiguous_substitutions_take_bounded_time() {
    let script = format!("echo {}x{}", "$((".repeat(30), ") )".repeat(30));
    run_script(&script);
    let script = format!("echo {}x{}", "$(( $(cat <<E\n".repeat(30), "\nE\n) ) )".repeat(30));
    run_script(&script);
}

#[test]
fn growth_is_refused() {
    for (script, status) in [
        ("x=0123456789; while :; do x=$x$x; done", 2),
        ("while :; do x=\"${x:-0123456789}$x\"; done", 2),
        ("x=$(cat /dev/zero)", 2),
        ("x='%65535d'; for i in 1 2 3 4 5 6 7 8 9 a; do x=$x$x; done; printf $x > /dev/null", 1),
    ] {
        let outcome = run_script(&format!("({script}); echo \"went on after $?\""));
        assert_eq!(outcome.output, format!("went on after {status}\n"), "{script}: {outcome:?}");
        assert!(outcome.errors.contains("out of memory"), "{script}: {outcome:?}");
    }
}

#[test]
fn moderate_nesting_works() {
    let script = format!("{}echo deep{}", "(".repeat(20), ")".repeat(20));
    let script = script.replace("((", "( (");
    assert_eq!(run_script(&script.replace("((", "( (")).output, "deep\n");
    let count = "f() { if [ $1 -gt 0 ]; then f $(($1 - 1)); else echo end; fi; }; f 15";
    assert_eq!(run_script(count).output, "end\n");
}
