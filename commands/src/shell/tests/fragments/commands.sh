# Lists, compound commands, functions, redirections, here-documents.
----
true && true || echo no; false || false && echo no; echo end
----
true || true && echo a; false && false || echo b
----
! true; echo $?; ! false; echo $?; ! ! true 2>/dev/null; echo $?
----
! true && echo no || echo yes; ! false | true; echo $?
----
{ echo a; }; { echo b
}; (echo c); ( echo d )
----
{ false; }; echo $?; (exit 7); echo $?
----
if true; then echo a; fi; if false; then echo b; else echo c; fi; if false; then :; elif true; then echo d; fi
----
if false; then echo a; elif false; then echo b; fi; echo $?
----
if true; false; then echo a; else echo b; fi
----
if (exit 3); then :; else echo $?; fi
----
while :; do break; done; echo $?; until :; do :; done; echo $?
----
i=0; while [ $i -lt 5 ]; do i=$((i+1)); case $i in 2) continue;; 4) break;; esac; echo $i; done; echo end $i
----
for i in a b c; do for j in 1 2 3; do [ $j = 2 ] && continue 2; echo $i$j; done; done
----
for i in a b; do for j in 1 2; do [ $i$j = a2 ] && break 2; echo $i$j; done; done; echo $i$j
----
for i in; do echo no; done; echo $? ${i-unset}
----
for i in 1 2 3; do :; done; echo $i
----
for i in "a b" c; do echo "$i"; done
----
set -- x y; for i do echo $i; done; for i; do echo $i; done
----
for i in a b c
do
	echo $i
done | tac
----
for f in 1; do echo in; done > out; cat out
----
while read a b; do echo "$b-$a"; done <<E
1 2 3
4
  5  6  
E
----
printf 'a\nb' | while read x; do echo "<$x>"; done
----
printf 'a\nb' | { while read x; do echo "<$x>"; done; echo "[$x]"; }
----
case a in a) echo 1;; a) echo 2;; esac
----
case a in b|c) echo 1;; a|d) echo 2;; esac
----
case a in a) ;; esac; echo $?; false; case a in a) ;; esac; echo $?
----
case a in esac; echo $?
----
case $(echo a) in (a) echo yes ;; (*) echo no ;; esac
----
x=a; case "$x" in
  a)
    echo one
    echo two
    ;;
  *) echo other
esac
----
f() { echo $#:$1; }; f; f a; f 'a b' c
----
f() { return $1; }; f 0; echo $?; f 7; echo $?; f 255; echo $?
----
f() { x=1; local y=2; echo $x$y; }; y=o; f; echo $x$y
----
f() { local x; echo "<$x>"; x=1; }; x=outer; f; echo $x
----
f() { local a=1 b=$a c; echo "$a<$b>$c"; }; a=0; f
----
f() { local x=$1; echo "$x"; }; f 'a b'
----
f() { g; echo f; }; g() { return 3; echo no; }; f; echo $?
----
f() ( exit 3 ); f; echo $?; f() { (return 4); echo $?; }; f
----
f() { for i in 1 2 3; do [ $i = 2 ] && return $i; done; }; f; echo $?
----
f() { while :; do return; done; }; f; echo $?
----
f() { echo old; }; g() { f; }; f() { echo new; }; g
----
f() if true; then echo cond; fi; f; f() case $1 in a) echo A;; esac; f a
----
f() { cat; } <<E
from function
E
f; f
----
f() { echo out; echo err >&2; }; f 2>/dev/null; f 2>&1 >/dev/null
----
f() { f2() { echo inner; }; }; f; f2
----
f() { echo "$@"; shift; echo "$@"; }; set -- o; f a b; echo $1
----
f() { [ $1 -eq 0 ] && return; echo $1; f $(($1-1)); }; f 3; echo $?
----
unset -f nofunc; echo $?; f() { :; }; unset -f f; f 2>/dev/null; echo $?
----
f() { echo f; }; f=var; echo $f; f
----
fib() { if [ $1 -lt 2 ]; then echo $1; else echo $(( $(fib $(($1-1))) + $(fib $(($1-2))) )); fi; }; fib 7
----
(x=1; echo $x); echo "<$x>"; x=2; (x=3); echo $x
----
(cd /; pwd); (exit 1) || echo failed; (set -- a b; echo $#); echo $#
----
(f() { echo sub; }; f); f 2>/dev/null || echo none
----
echo a | cat | (cat; echo b) | { cat; echo c; }
----
echo a | read x; echo "<$x>"; echo b | { read x; echo $x; }
----
false | true; echo $?; true | false; echo $?; (exit 3) | (exit 4); echo $?
----
echo a | while read x; do y=$x; done; echo "<$y>"
----
echo 1 > f; echo 2 >> f; cat f; cat < f > g; cat g; wc -l < f
----
echo a > f; { read x; echo $x; } < f; read y < f; echo $y
----
{ echo 1; echo 2 >&2; } > out 2> err; cat out; cat err
----
{ echo 1; echo 2 >&2; } > both 2>&1; cat both
----
exec 3>f; echo a >&3; echo b 1>&3; exec 3>&-; cat f
----
echo hello > f; exec 4<f; read x <&4; exec 4<&-; echo $x
----
exec 5>&1; echo five >&5; (echo sub >&5); exec 5>&-
----
echo a >/nonexistent/f 2>/dev/null || echo one; cat </nonexistent 2>/dev/null || echo other
----
echo x 2>&1 >f; cat f; ls nonexistent >f 2>&1; wc -l < f
----
: > f; test -s f; echo $?; > g; ls
----
set -C; echo a > f; echo b > f || echo kept; cat f; echo c >| f; cat f; set +C; echo d > f; cat f
----
echo a 1>&2 2>/dev/null; { echo b >&2; } 2>&1
----
cat <<A <<B
first
A
second
B
----
cat <<E; echo after
x=$((1+1)) $(echo sub) `echo back` \$no \\ \` "q" 'q'
E
----
cat <<'E'
$x $(no) `no` \$ \\
E
----
cat <<"E F"
text
E F
----
cat <<-E
	tab
		two
	  mixed
	E
----
cat <<E | tr a-z A-Z
lower
E
----
cat <<E && echo yes || echo no
$(false)text
E
----
if cat <<E
cond
E
then echo then; fi
----
f() { cat <<E
$1
E
}; f one; f "two words"
----
x=$(cat <<E
in substitution
E
); echo "$x"
----
cat <<E
a\
b
\	tab
E
----
cat <<E
$(cat <<F
inner
F
)
outer
E
----
while read l; do echo "[$l]"; done <<E
a b

  c
E
----
cat <<E
${unset:-default} ${#HOME} ${HOME%/*}
E
----
cat << E
spaced
E
----
cat <<E >f
to file
E
cat f
----
cat 0<<E
numbered
E
----
cat 3<<E <&3
three
E
----
sleep 0 & wait; echo $?; (exit 5) & wait $!; echo $?
----
{ echo bg; } & wait; true & wait $!; echo $?
----
x=1; { x=2; } & wait; echo $x
----
for i in 1 2 3; do (exit $i) & pids="$pids $!"; done; for p in $pids; do wait $p; echo $?; done
----
wait 999999; echo $?
----
echo a & wait; echo b
----
true & [ -n "$!" ] && echo has; wait
----
cat & wait; echo $?
----
if true
then
	echo multi
	echo line
fi
----
while false
do :
done; echo $?
----
true &&
echo continued ||
echo no
----
echo a |
cat
----
{ echo a
echo b; } | cat
----
if if true; then false; else true; fi; then echo a; else echo b; fi
----
for i in 1 2; do if [ $i = 1 ]; then echo one; else echo two; fi; done
----
case x in x) if true; then case y in y) echo nested;; esac; fi;; esac
----
while :; do while :; do break 2; done; echo no; done; echo out
----
echo if; echo then else fi; echo done do; echo { }; echo ! a
----
if=1; echo $if; for=2; echo $for
----
for if in a; do echo $if; done; case in in in) echo in;; esac
----
{ echo } ; }
----
a() { echo a; }; b() { a; echo b; }; b | cat; $(echo b)
----
$(echo echo) word; $empty echo shown; $empty; echo $?
----
cmd='echo a b'; $cmd; "$cmd" 2>/dev/null; echo $?
----
e=echo; $e "a  b" $e
----
x=5 $empty; echo $x
----
> f x=3 echo a; cat f; <f cat
----
echo a >f >g; wc -c <f; cat g
----
(echo a; (echo b; (echo c)))
----
((echo a); (echo b))
----
( (exit 3) ; echo $? )
----
{ { { echo deep; }; }; }
----
true; ( ) 2>/dev/null || echo
----
echo start; if; then echo x; fi; echo no
----
echo start
echo "unterminated
----
echo a; echo b)
----
for 1x in a; do echo; done
----
case a in a) echo x esac
----
echo a &&
----
while true; do echo x; break
----
f( { echo; }
----
echo ${
----
echo a; } ; echo b
----
echo a ;; echo b
----
echo a | | cat
----
; echo a
----
& echo a
----
echo $(echo
----
echo before; eval 'echo )'; echo after
----
eval; echo $?; eval ''; echo $?; eval 'false'; echo $?
----
eval 'x=1; y=2'; echo $x$y; eval 'for i in 1 2' '; do echo $i; done'
----
eval "echo 'a  b'" "'c  d'"; eval echo '"a  b"'
----
eval 'return 3' 2>/dev/null; echo no
----
f() { eval 'return 3'; echo no; }; f; echo $?
----
for i in 1 2 3; do eval 'continue'; echo no; done; for i in 1 2; do eval break; done; echo $i
----
echo 'echo sourced $1; x=7; return 4; echo no' > s; . ./s; echo $? $x
----
echo 'echo $#; set -- new; echo $1' > s; set -- a b; . ./s; echo $1
----
echo 'exit 6' > s; (. ./s); echo $?; . ./s; echo no
----
echo 'f() { echo from file; }' > s; . ./s; f
----
printf 'echo $0 $1 $#\n' > s; sh ./s a b; sh -c 'echo $0 $1' n a
----
echo 'echo script; exit 3' > s; chmod +x s; ./s; echo $?
----
printf '#!/bin/sh\necho bang $1\n' > s; chmod +x s; ./s x
----
mkdir bin; echo 'echo found' > bin/prog; chmod +x bin/prog; PATH=$PWD/bin:$PATH; prog
----
PATH=/nonexistent; ls 2>/dev/null; echo $?; echo builtin
----
PATH= ls 2>/dev/null; echo $?
----
: a b $(echo c >&2) 2>/dev/null; echo $?
----
echo ok; exec echo replaced; echo no
----
(exec true; echo no); (exec false); echo $?
----
exec 2>/dev/null; nonexistent; echo $?
----
exec >f; echo hidden; exec >&2; test -s f
----
trap 'echo bye' EXIT; echo hi
----
trap 'echo bye' 0; exit 3
----
trap 'echo $?' EXIT; false
----
trap 'exit 9' EXIT; exit 3
----
trap 'echo a' EXIT; trap 'echo b' EXIT; trap
----
trap 'echo a' EXIT; trap - EXIT; echo c
----
trap '' EXIT; echo d
----
trap "echo its" EXIT; trap
----
(trap 'echo sub' EXIT; exit 2); echo $?
----
trap 'echo outer' EXIT; (echo in); echo $(echo x)
----
f() { trap 'echo in f' EXIT; }; f; echo after
----
trap 'echo bye' EXIT; set -e; false; echo no
----
trap 'echo int' INT; trap; trap - INT; trap
----
trap 'echo a' NOSUCH 2>/dev/null; echo $?
----
trap '' INT; trap
