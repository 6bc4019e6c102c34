//! Parameters, substitutions, arithmetic, splitting, names.

use super::{check, check_with_dash};

#[test]
fn parameters() {
    check_with_dash(&[
        ("x=5; echo $x ${x} \"$x\" '$x' \\$x", "5 5 5 $x $x\n", 0),
        ("x=a; echo ${x}b $xb \"${x}b\"", "ab ab\n", 0),
        ("echo ${x:-d} ${x-d}; x=; echo ${x:-d} [${x-d}]", "d d\nd []\n", 0),
        ("echo ${x:=d} $x; y=; echo ${y=e} $y", "d d\n\n", 0),
        ("echo [${x:+a}] [${x+a}]; x=; echo [${x:+a}] [${x+a}]; x=1; echo ${x:+a}", "[] []\n[] [a]\na\n", 0),
        ("(: ${x:?}) 2>/dev/null || echo unset; x=1; echo ${x:?no}", "unset\n1\n", 0),
        ("echo ${x:?message}; echo no", "", 2),
        ("x=hello; echo ${#x} ${#y} ${#}", "5 0 0\n", 0),
        ("x=a.b.c; echo ${x%.*} ${x%%.*} ${x#*.} ${x##*.}", "a.b a b.c c\n", 0),
        ("x=/usr/lib/file.tar.gz; echo ${x##*/} ${x%/*} ${x%%.*}", "file.tar.gz /usr/lib /usr/lib/file\n", 0),
        ("x='a*b'; echo \"${x#a*}\" \"${x#'a*'}\" \"${x#a\\*}\"", "*b b b\n", 0),
        ("x=abc; echo ${x#x} ${x%x} ${x#abc} ${x#}", "abc abc abc\n", 0),
        ("x=abcabc; p=b; echo ${x%$p*} ${x%%\"$p\"*}", "abca a\n", 0),
        ("set -- a b c; echo $# $1 ${2} $3 $4", "3 a b c\n", 0),
        ("set -- 1 2 3 4 5 6 7 8 9 ten; echo $10 ${10}", "10 ten\n", 0),
        ("set -- a 'b c'; printf '<%s>' \"$@\"; echo; printf '<%s>' $@; echo", "<a><b c>\n<a><b><c>\n", 0),
        (
            "set -- a 'b c'; printf '<%s>' \"$*\"; echo; IFS=,; printf '<%s>' \"$*\"; echo",
            "<a b c>\n<a,b c>\n",
            0,
        ),
        ("set --; printf '<%s>' \"$@\"; printf '<%s>' \"$*\"; printf '<%s>' a\"$@\"b", "<><><ab>", 0),
        ("set -- a b; printf '<%s>' x\"$@\"y", "<xa><by>", 0),
        ("set -- '' a; printf '<%s>' $@; echo; printf '<%s>' \"$@\"", "<a>\n<><a>", 0),
        ("set -- a b; x=$*; echo \"$x\"; y=\"$@\"; echo \"$y\"", "a b\na b\n", 0),
        ("set -- a b; echo \"${@}\" ${*}", "a b a b\n", 0),
        ("x='a b'; echo ${y:-$x} ; printf '<%s>' ${y:-$x} \"${y:-$x}\"", "a b\n<a><b><a b>", 0),
        ("printf '<%s>' ${y:-a b} ${y:-'a b'} \"${y:-a b}\" ${y:-\"a b\"c}", "<a><b><a b><a b><a bc>", 0),
        ("echo \"${y:-'single'}\" ${y:-'single'}", "'single' single\n", 0),
        ("echo ${y:-${z:-deep}}", "deep\n", 0),
        ("echo \"${y:-\"inner\"}\" \"${y:-}}\"", "inner }\n", 0),
        ("echo ${y:-a}b} ${y:-a\\}b}", "ab} a}b\n", 0),
        ("x=1; unset x; echo [${x-unset}]", "[unset]\n", 0),
        ("readonly x=1; (x=2) 2>/dev/null || echo kept; echo $x", "kept\n1\n", 0),
        ("x=1 y=$x; echo $y", "1\n", 0),
        ("x=1; x=2 sh -c 'echo $x'; echo $x", "2\n1\n", 0),
        ("export x=1; sh -c 'echo $x'; x=2; sh -c 'echo $x'", "1\n2\n", 0),
        ("x=1; sh -c 'echo [$x]'; export x; sh -c 'echo [$x]'", "[]\n[1]\n", 0),
        ("x='a b'; export y=$x; echo \"$y\"", "a b\n", 0),
        ("x=1 :; echo $x", "1\n", 0),
        ("x=1 true; echo [$x]", "[]\n", 0),
        ("x=1 eval 'echo $x'", "1\n", 0),
        ("sleep 0 & [ -n \"$!\" ] && echo set", "set\n", 0),
        ("echo \"$-\" | grep -c '[^A-Za-z]' ", "0\n", 1),
        ("echo \"a\nb\"", "a\nb\n", 0),
        ("x=\"a\nb\"; echo $x; echo \"$x\"", "a b\na\nb\n", 0),
    ]);
    check(&[("x=héllo; echo ${#x} ${x%?}", "5 héll\n", 0), ("echo $LINENO\necho $LINENO", "1\n2\n", 0)]);
}

#[test]
fn substitutions() {
    check_with_dash(&[
        ("echo $(echo a) `echo b`", "a b\n", 0),
        ("x=$(printf 'a\\n\\n\\n'); echo \"[$x]\"", "[a]\n", 0),
        ("echo \"$(printf 'a  b\\nc')\"; echo $(printf 'a  b\\nc')", "a  b\nc\na b c\n", 0),
        ("echo $(echo $(echo $(echo deep)))", "deep\n", 0),
        ("echo `echo \\`echo deep\\``", "deep\n", 0),
        ("echo \"`echo \\\"quoted\\\"`\"", "quoted\n", 0),
        ("echo \"$(echo \"inner  quotes\")\"", "inner  quotes\n", 0),
        ("x=$(false); echo $?; x=$(exit 3); echo $?; x=$(true)$(false); echo $?", "1\n3\n1\n", 0),
        ("x=1; echo $(x=2; echo $x) $x", "2 1\n", 0),
        ("echo $(seq 3 | sort -r)", "3 2 1\n", 0),
        ("echo $(for i in a b; do echo $i; done)", "a b\n", 0),
        ("echo $(case x in x) echo case;; esac)", "case\n", 0),
        ("echo $(if true; then echo yes; fi; echo more)", "yes more\n", 0),
        ("echo $() `` done", "done\n", 0),
        ("f() { echo \"in $1\"; }; echo $(f a) \"$(f 'b  c')\"", "in a in b  c\n", 0),
        ("echo $(echo '#' not comment) # comment", "# not comment\n", 0),
        ("echo $(echo a # comment )\n)", "a\n", 0),
        ("x=$(seq 20000 | tail -n 1); echo $x", "20000\n", 0),
        ("x=$(seq 20000); echo \"$x\" | wc -l", "20000\n", 0),
        ("x=$(for i in $(seq 5000); do echo $i; done | cat); echo \"$x\" | tail -n 1", "5000\n", 0),
        ("x=$(echo err >&2) 2>/dev/null; echo [$x]", "[]\n", 0),
        ("$(echo echo hello)", "hello\n", 0),
        ("x=$(set -- a b; echo $#); echo $x $#", "2 0\n", 0),
        ("v='a b'; r=$(echo \"$v\" | sed 's/a/c/'); echo \"$r\"", "c b\n", 0),
        ("a() { echo $(b); }; b() { echo bb; }; echo $(a)", "bb\n", 0),
        ("echo $( (echo one); (echo two) )", "one two\n", 0),
    ]);
    check(&[("echo $((echo sub) | cat) $((echo a); (echo b))", "sub a b\n", 0)]);
}

#[test]
fn arithmetic() {
    check_with_dash(&[
        ("echo $((1+2*3)) $(((1+2)*3)) $((10/3)) $((10%3)) $((-7/2)) $((-7%2))", "7 9 3 1 -3 -1\n", 0),
        ("x=5; echo $((x)) $(($x)) $((x*x)) $((y)) $((${y:-2}+1))", "5 5 25 0 3\n", 0),
        ("echo $((1<2)) $((2<=1)) $((1==1)) $((1!=1)) $((2>1)) $((1>=2))", "1 0 1 0 1 0\n", 0),
        ("echo $((1&&0)) $((1||0)) $((!1)) $((!0)) $((~0))", "0 1 0 1 -1\n", 0),
        ("echo $((6&3)) $((6|3)) $((6^3)) $((1<<4)) $((256>>4)) $((-16>>2))", "2 7 5 16 16 -4\n", 0),
        ("echo $((1?2:3)) $((0?2:3)) $((1?0?1:2:3))", "2 3 2\n", 0),
        ("echo $((x=5)) $x $((x+=2)) $((x*=3)) $((x-=1)) $((x/=4)) $((x%=3)) $x", "5 5 7 21 20 5 2 2\n", 0),
        ("echo $((x<<=3)) $((y|=6)) $((y&=3)) $((y^=1)) $((y>>=1))", "0 6 2 3 1\n", 0),
        ("echo $((0x1F)) $((010)) $((0))", "31 8 0\n", 0),
        ("echo $((9223372036854775807+1))", "-9223372036854775808\n", 0),
        ("echo $((-9223372036854775807-1))", "-9223372036854775808\n", 0),
        ("x=1; echo $((1 || (x=2))) $x $((0 && (x=3))) $x $((1 ? 4 : (x=5))) $x", "1 1 0 1 4 1\n", 0),
        ("echo $((1 || 1/0)) $((0 && 1/0))", "1 0\n", 0),
        ("echo $((  1 +\n 2 ))", "3\n", 0),
        ("echo \"$((1+1))\" a$((2))b", "2 a2b\n", 0),
        ("x=' 7 '; echo $((x+1))", "8\n", 0),
        ("echo $(( $(echo 3) * 2 )) $((`echo 4`))", "6 4\n", 0),
        ("echo $((2 - -2)) $((- 3)) $((+3)) $((-+-3))", "4 -3 3 3\n", 0),
        ("x=3; echo $(( x > 2 ? x : 0 ))", "3\n", 0),
        ("echo $((1/0)); echo no", "", 2),
        ("echo $((1+)); echo no", "", 2),
        ("x=abc; echo $((x)); echo no", "", 2),
        ("echo $((1 2)); echo no", "", 2),
    ]);
    check(&[
        (
            "echo $((-9223372036854775807 - 1)) $(((-9223372036854775807 - 1) / -1))",
            "-9223372036854775808 -9223372036854775808\n",
            0,
        ),
        ("x=1; echo $((x++)) $((++x)) $((x--)) $((--x)) $((1, 2))", "1 3 3 1 2\n", 0),
        ("echo $((1 << 64)) $((1 << 63))", "1 -9223372036854775808\n", 0),
        ("echo $((9223372036854775807 * 2))", "-2\n", 0),
        ("echo $((0xFFFFFFFFFFFFFFFF))", "-1\n", 0),
        ("echo $((99999999999999999999)); echo no", "", 2),
        ("echo $((08)); echo no", "", 2),
        ("echo $((3 = 4)); echo no", "", 2),
        ("echo $((a = )); echo no", "", 2),
        ("echo $((1 ? 2)); echo no", "", 2),
        ("echo $(()) $(( ))", "0 0\n", 0),
    ]);
}

#[test]
fn splitting() {
    check_with_dash(&[
        ("x='a b  c'; printf '<%s>' $x", "<a><b><c>", 0),
        ("x='  a  '; printf '<%s>' $x; printf '<%s>' -$x-", "<a><-><a><->", 0),
        ("IFS=:; x=a:b::c:; printf '<%s>' $x", "<a><b><><c>", 0),
        ("IFS=:; x=:a; printf '<%s>' $x", "<><a>", 0),
        ("IFS=': '; x='a : b  c:d'; printf '<%s>' $x", "<a><b><c><d>", 0),
        ("IFS=': '; x=' : a'; printf '<%s>' $x", "<><a>", 0),
        ("IFS=; x='a b'; printf '<%s>' $x", "<a b>", 0),
        ("unset IFS; x='a b'; printf '<%s>' $x", "<a><b>", 0),
        ("IFS=x; y=axb; printf '<%s>' $y; printf '<%s>' axb", "<a><b><axb>", 0),
        ("x=''; printf '<%s>' $x \"$x\" a", "<><a>", 0),
        ("a='1 2' b='3 4'; printf '<%s>' $a$b", "<1><23><4>", 0),
        ("a='1 ' b=' 2'; printf '<%s>' $a$b x$b", "<1><2><x><2>", 0),
        ("IFS=,; set -- a,b c; printf '<%s>' $*", "<a><b><c>", 0),
        ("x='a b'; y=$x; echo \"$y\"; for i in \"$x\"; do echo $i; done", "a b\na b\n", 0),
        ("IFS=' '; printf '<%s>' $(printf 'a\\nb c')", "<a\nb><c>", 0),
    ]);
}

#[test]
fn names() {
    check_with_dash(&[
        ("touch a.c b.c c.h; echo *.c *.h *.x", "a.c b.c c.h *.x\n", 0),
        ("touch a b .hidden; echo *; echo .h*", "a b\n.hidden\n", 0),
        ("touch a1 a2 b1; echo a? [ab]1 [!a]* a[0-9]", "a1 a2 a1 b1 b1 a1 a2\n", 0),
        ("touch ab; echo 'a'* \"a*\" a\\* \"a\"?", "ab a* a* ab\n", 0),
        ("mkdir d e; touch d/x d/y e/x; echo */x d/* ./d/*", "d/x e/x d/x d/y ./d/x ./d/y\n", 0),
        ("mkdir d; touch f; echo */ */. ", "d/ d/.\n", 0),
        ("touch 'a b'; for f in *; do echo \"[$f]\"; done", "[a b]\n", 0),
        ("touch a; x='*'; echo $x \"$x\"", "a *\n", 0),
        ("echo /usr/bi[n] /bi?/. | head -c 8", "/usr/bin", 0),
        ("touch '[a'; echo [a", "[a\n", 0),
        ("touch -- -n; echo ./*", "./-n\n", 0),
        ("x=*; touch z; echo $x; y=\"$x\"; echo \"$y\"", "z\n*\n", 0),
        ("mkdir d; touch d/f; cd d; echo *; echo ../d/*", "f\n../d/f\n", 0),
        ("touch a; set -- *; echo $#", "1\n", 0),
        ("mkdir -p a/b/c a/d/c; echo a/*/c */*/c", "a/b/c a/d/c a/b/c a/d/c\n", 0),
    ]);
}
