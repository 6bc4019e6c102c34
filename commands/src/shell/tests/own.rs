//! What V's shell has beyond POSIX: prefixes in names, `@NODE`, `prefix`.

use super::{check, run_script};
use crate::shell::ast::{Kind, Piece, Where, Word};
use crate::shell::parser::parse;
use crate::shell::stack::Stack;

#[test]
fn known_prefixes_are_literal() {
    check(&[
        (
            "mkdir d; touch d/a.o d/b.o t; prefix tmp=d; echo [tmp]*.o [tmp]/a*",
            "[tmp]a.o [tmp]b.o [tmp]/a.o\n",
            0,
        ),
        ("touch t; echo [tmp]*; prefix tmp=.; echo [tmp]*", "t\n[tmp]t\n", 0),
        ("touch t; prefix tmp=.; echo ./[tmp]", "./t\n", 0),
        ("touch t; prefix tmp=.; echo [tmp] '[tmp]'* \\[tmp]*", "[tmp] [tmp]* [tmp]*\n", 0),
        (
            "mkdir -p d/s; touch d/s/f; prefix tmp=d; p=[tmp]; echo $p*/f; cat [tmp]s/f; rm d/s/f; echo [tmp]s/*",
            "[tmp]s/f\n[tmp]s/*\n",
            0,
        ),
        ("mkdir d; prefix tmp=d; echo text > [tmp]f; read x < [tmp]/f; echo $x", "text\n", 0),
        ("touch t; prefix tmp=.; case t in [tmp]) echo class;; esac", "class\n", 0),
    ]);
}

#[test]
fn prefixes_are_shown_and_set() {
    check(&[
        ("prefix", "", 0),
        ("prefix root=/; prefix usr=[root]usr; prefix", "[root]\t/\n[usr]\t/usr\n", 0),
        ("prefix [a]=/; prefix -d a; prefix -d a", "", 1),
        ("prefix a", "", 2),
        ("(prefix a=/; prefix); prefix", "[a]\t/\n", 0),
        ("(cd /; pwd); echo $PWD | grep -c work", "/\n1\n", 0),
        ("prefix a=/usr; cd [a]bin; pwd; cd /; cd -; echo $OLDPWD", "/usr/bin\n/usr/bin\n/\n", 0),
    ]);
}

#[test]
fn placement_is_parsed() {
    let placement = |text: &str| {
        let list = parse(text.as_bytes(), Stack::here(1 << 20)).expect(text);
        let (words, placement) = match &list.items[0].and_or.first.stages[0].kind {
            Kind::Simple(simple) => (simple.words.len(), &simple.placement),
            Kind::Subshell(list, placement) => (list.items.len(), placement),
            _ => panic!("{text}"),
        };
        let text = |word: &Word| match word.pieces.as_slice() {
            [Piece::Literal(text) | Piece::Quoted(text)] => text.clone(),
            _ => b"(expanded)".to_vec(),
        };
        let node = placement.as_ref().map(|placement| match placement {
            Where::Anywhere(word) => [b"any ", &*text(word)].concat(),
            Where::Node(word) => text(word),
        });
        (words, node)
    };
    let at = |name: &str| Some(name.as_bytes().to_vec());
    assert_eq!(placement("make all @node2"), (2, at("node2")));
    assert_eq!(placement("make all @node2 > log 2>&1"), (2, at("node2")));
    assert_eq!(placement("make @ *"), (1, at("any *")));
    assert_eq!(placement("make @* "), (1, at("any *")));
    assert_eq!(placement("make @ '* mem>64M'"), (1, at("any * mem>64M")));
    assert_eq!(placement("make @'* mem>64M'"), (1, at("any * mem>64M")));
    assert_eq!(placement("make @ \"* mem>$m\" > log"), (1, at("any (expanded)")));
    assert_eq!(placement("make @$node"), (1, at("(expanded)")));
    assert_eq!(placement("make '@node2'"), (2, None));
    assert_eq!(placement("make \\@node2"), (2, None));
    assert_eq!(placement("make @node2 all"), (3, None));
    assert_eq!(placement("make @"), (2, None));
    assert_eq!(placement("make @ '*'"), (3, None));
    assert_eq!(placement("make @ '*.c'"), (3, None));
    assert_eq!(placement("make user@host"), (2, None));
    assert_eq!(placement("@node2"), (1, None));
    assert_eq!(placement("(a; b) @node2 > log"), (2, at("node2")));
    assert_eq!(placement("(a) > log @ *"), (1, at("any *")));
    assert_eq!(placement("(a; b)"), (2, None));
    for text in ["(a) @", "(a) @ b", "(a) @b @c", "(a) b", "{ a; } @b"] {
        assert!(parse(text.as_bytes(), Stack::here(1 << 20)).is_err(), "{text}");
    }
}

#[test]
fn placement_reaches_the_system() {
    let outcome = run_script("n=2; cat @node$n; echo $?; echo a @ * | cat; (echo b; exit 3) @here; echo $?");
    assert_eq!(outcome.output, "126\nb\n3\n");
    assert!(outcome.errors.contains("cat: no node answers to the name node2"), "{}", outcome.errors);
    assert!(outcome.errors.contains("echo: no node offers to run it"), "{}", outcome.errors);
    let outcome = run_script("n='* mem>64M'; cat @$n; echo $?; cat @ '* idle>50 mem>x'; echo no");
    assert_eq!(outcome.output, "126\n");
    assert!(outcome.errors.contains("cat: no node that answers has mem>64M; 'hosts'"), "{}", outcome.errors);
    assert!(outcome.errors.contains("@ * idle>50 mem>x: 'mem>x': expected a number"), "{}", outcome.errors);
}

#[test]
fn functions_and_some_built_ins_run_elsewhere_in_a_shell() {
    check(&[
        ("f() { echo $1 $x; x=2; return 4; }; x=1; f a @here; echo $? $x", "a 1\n4 1\n", 0),
        ("printf '%s-' 'a b' c @here | cat; printf x @here", "a b-c-x", 0),
        ("eval 'x=3; echo $x' @here; echo ${x-none}", "3\nnone\n", 0),
        ("seq() { echo own; }; echo in | seq @here", "own\n", 0),
    ]);
    let outcome = run_script("cd / @here; echo $?; x=1; export x @here | cat; wait @here; echo $?");
    assert_eq!(outcome.output, "2\n2\n");
    for name in ["cd", "export", "wait"] {
        let message = std::format!("{name}: it is about this shell, so it cannot run elsewhere");
        assert!(outcome.errors.contains(&message), "{}", outcome.errors);
    }
}

#[test]
fn some_commands_are_about_a_node() {
    // The word reaches the program as its first argument: there is one of that name here that shows it.
    let script =
        "echo 'echo $0 $*' > ps; chmod +x ps; ./ps -t @node2; ./ps '@node2'; cp ps cat; ./cat -t @node2";
    let outcome = run_script(script);
    assert_eq!(outcome.output, "./ps --node=node2 -t\n./ps @node2\n");
    let outcome = run_script(
        "echo 'echo $*' > queens; chmod +x queens; ./queens 8 @node2; ./queens 8 @ *; ./queens @ '* mem>1M'; ./queens '@a'",
    );
    assert_eq!(outcome.output, "--on=node2 8\n--on=* 8\n--on=* mem>1M\n@a\n");
}

#[test]
fn help_is_for_built_ins_functions_and_programs() {
    let outcome = run_script("PATH=/nonesuch; help");
    let words = ["  cd            Changes the working directory.\n", "Programs"];
    assert!(words.iter().all(|word| outcome.output.contains(word)), "{outcome:?}");
    check(&[
        ("help cd", "Usage: cd [DIRECTORY | -]\nChanges the working directory.\n", 0),
        ("pwd --help", "Usage: pwd\nShows the working directory.\n", 0),
        ("echo --help", "--help\n", 0),
        ("f() { echo a; }; help f", "f is a function\nf() {\necho a\n}\n", 0),
        ("help subshell-state 2> /dev/null", "", 127),
        ("help nonesuch pwd 2> /dev/null", "Usage: pwd\nShows the working directory.\n", 127),
        ("help true | head -n 1; clear", "Usage: true\n\x1b[H\x1b[2J\x1b[3J", 0),
    ]);
    let outcome = run_script("help cat");
    assert!(outcome.output.starts_with("Usage: cat "), "{outcome:?}");
}

#[test]
fn mistyped_names_are_guessed() {
    for (name, hint) in [
        ("ehco", "is 'echo' meant?"),
        ("unsett", "is 'unset' meant?"),
        ("fooo", "is 'foo' meant?"),
        ("x", "'help' lists them"),
        ("qqqq", "'help' lists them"),
    ] {
        let outcome =
            run_script(&std::format!("foo() {{ :; }}; PATH=/nonesuch {name}; PATH=/nonesuch; {name}"));
        let message = std::format!("{name}: no such command; {hint}\n");
        assert!(outcome.errors.ends_with(&message) && outcome.status == 127, "{outcome:?}");
    }
}

#[test]
fn commands_are_described() {
    check(&[
        (
            "type if : echo cd",
            "if is a word of the shell's grammar\n: is a special built-in\necho is a built-in\ncd is a built-in\n",
            0,
        ),
        ("f() { echo a; }; type f", "f is a function\nf() {\necho a\n}\n", 0),
        ("type cat; type nonesuch", "cat is /usr/bin/cat\n", 127),
        ("command -v cat; command -v echo; command -v nonesuch", "/usr/bin/cat\necho\n", 127),
        ("echo 'echo script $1' > s; chmod +x s; ./s arg; echo $?", "script arg\n0\n", 0),
    ]);
}
