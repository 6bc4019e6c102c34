# Built-in commands and options.
----
test a; echo $?; test ''; echo $?; test; echo $?; [ ]; echo $?; [ a ]; echo $?
----
[ a = a ]; echo $?; [ a = b ]; echo $?; [ a != b ]; echo $?; [ '' = '' ]; echo $?
----
[ -n a ]; echo $?; [ -n '' ]; echo $?; [ -z '' ]; echo $?; [ -z a ]; echo $?; [ -n ]; echo $?
----
[ 1 -eq 1 ] && [ 1 -ne 2 ] && [ 1 -lt 2 ] && [ 2 -gt 1 ] && [ 1 -le 1 ] && [ 1 -ge 1 ] && echo all
----
[ 10 -gt 9 ] && echo numeric; [ -5 -lt 3 ] && echo negative; [ 007 -eq 7 ] && echo zeros
----
[ a -eq 1 ] 2>/dev/null; echo $?; [ 1 -eq ] 2>/dev/null; echo $?; [ 1 2 3 4 5 ] 2>/dev/null; echo $?
----
touch f; mkdir d; [ -e f ] && [ -f f ] && [ -d d ] && [ ! -d f ] && [ ! -f d ] && [ ! -e x ] && echo kinds
----
: > e; echo x > n; [ -s e ]; echo $?; [ -s n ]; echo $?; [ -r n ]; echo $?; [ -w n ]; echo $?
----
[ ! a ]; echo $?; [ ! '' ]; echo $?; [ ! -n a ]; echo $?; [ ! a = b ]; echo $?
----
[ a -a b ]; echo $?; [ a -a '' ]; echo $?; [ '' -o b ]; echo $?; [ '' -o '' ]; echo $?
----
[ \( a = a \) ]; echo $?; [ \( a = b \) -o \( c = c \) ]; echo $?; [ ! \( a = a \) ]; echo $?
----
[ a = a -a b = b -o c = d ]; echo $?; [ -z '' -a -n x ]; echo $?
----
[ = = = ]; echo $?; [ ! = ! ]; echo $?; [ '(' = '(' ]; echo $?; [ -n = -n ]; echo $?; [ ! ]; echo $?; [ -f ]; echo $?
----
[ "$x" = '' ] && echo empty; x='a b'; [ "$x" = 'a b' ] && echo blank
----
[ a \< b ]; echo $?; [ b \> a ]; echo $?; [ b \< a ]; echo $?
----
touch -d 2020-01-01 old; touch new; [ new -nt old ]; echo $?; [ old -ot new ]; echo $?; [ old -nt new ]; echo $?
----
[ -t 0 ]; echo $?; [ -x /bin/sh ] && echo x; [ -c /dev/null ] && echo char
----
echo a b  c; echo; echo '' ''; echo -n x; echo -n; echo; echo - -- -a
----
printf '%s %d %x %o %c %%\n' str 42 255 8 char
----
printf '%5s|%-5s|%05d|%+d|% d|%.3s|%.2d\n' a b 3 4 5 abcdef 6
----
printf '%s\n' a b c; printf '%s-%s\n' a b c; printf 'no args\n'; printf '%s|%d\n'
----
printf '%b\n' 'a\tb\\n\0101\n'; printf 'a\tb\\n\101\n'
----
printf '%d %d %d\n' 0x10 010 "'a"; printf '%i\n' 5; printf '%u\n' 7
----
printf '%d\n' abc 2>/dev/null; echo $?; printf '%d\n' 12abc 2>/dev/null; echo $?
----
printf '%*s|%-*s|\n' 5 a 5 b; printf '%.*s\n' 2 abc
----
printf '\a\b\f\r\v\n' | od -c | head -n 1
----
printf '%s' 'no newline'; echo; printf ''; printf '%%'; echo
----
printf '%z\n' a 2>/dev/null || echo bad; printf 2>/dev/null; echo $?
----
printf -- '-x\n'; printf '%s\n' -- -a
----
printf '%x %X %#x %#o\n' 255 255 255 8
----
printf '%c%c\n' ab c; printf '%5c|\n' x
----
read x <<E
  a b  
E
echo "<$x>"
----
read x y z <<E
a b c d e
E
echo "$x|$y|$z"
----
read x y z <<E
a
E
echo "$x|$y|$z"
----
printf 'a\\\nb\n' | { read x; echo "$x"; }; printf 'a\\\nb\n' | { read -r x; echo "$x"; }
----
printf 'a\\tb\n' | { read x; printf '%s\n' "$x"; }; printf 'a\\tb\n' | { read -r x; printf '%s\n' "$x"; }
----
IFS=: read a b c <<E
1:2:3:4
E
echo "$a|$b|$c"; echo a b | { read x y; echo $y; }
----
IFS=: read a b <<E
:x:
E
echo "$a|$b"
----
IFS=, read -r a b <<E
 a , b ,
E
echo "<$a><$b>"
----
read x < /dev/null; echo $? "<$x>"; printf 'noeol' | { read x; echo $? $x; }
----
IFS= read -r x <<E
  keep  
E
echo "<$x>"
----
printf '1\n2\n3\n' | { read a; read b; cat; echo $a$b; }
----
x=old; read x <<E

E
echo "<$x>"
----
export A=1; sh -c 'echo $A'; B=2; export B; sh -c 'echo $B'; C=3; sh -c 'echo "<$C>"'
----
export A=1; unset A; sh -c 'echo "<$A>"'; export X; sh -c 'echo "<$X>"'; X=later; sh -c 'echo "<$X>"'
----
export A='a b' B=c; export -p | grep -E '^export [AB]='
----
readonly A=1; (A=2) 2>/dev/null; echo $?; echo $A; (unset A) 2>/dev/null; echo $?; readonly -p | grep A=
----
readonly A; A=1; echo no
----
readonly A=1; export A; sh -c 'echo $A'
----
unset a b; a=1; unset a b c; echo "<$a>"; unset -v a; echo $?
----
f() { :; }; f=1; unset f; f; echo $? "<$f>"; unset -f f; f 2>/dev/null; echo $?
----
set a b c; echo $# $1; set -- ; echo $#; set x; echo $1
----
x='a b'; set | grep '^x='
----
set -e; echo a; false; echo b
----
set -e; if false; then :; fi; false || true; ! true; while false; do :; done; echo alive
----
set -e; f() { false; echo after; }; f || echo caught; f && :; echo alive
----
set -e; (false); echo no
----
set -e; x=$(false); echo no
----
set -e; local_() { local x=$(false); echo local; }; local_; export y=$(false); echo exported
----
set -e; false | true; echo alive; true | false; echo no
----
set -e; { false; } || true; { false; echo no; }; echo no
----
set -e; ! false; ! true; echo alive
----
set -e; for i in 1 2; do [ $i = 2 ] && echo two; done; echo alive
----
set -e; [ a = b ] && echo x; echo alive; [ a = b ]; echo no
----
set -e; case a in a) false;; esac; echo no
----
set -e; eval 'false'; echo no
----
set -e; eval 'false' || echo tolerated; echo on
----
set -e; f() { return 3; }; f; echo no
----
set -e; set +e; false; echo off
----
set -e; echo $(false; echo continued); echo alive
----
set -e; false & wait $! || echo bg; echo alive
----
set -e; trap 'echo exit $?' EXIT; f() { false; }; f
----
set -u; echo ${a-d} ${a:+b}; (echo $a) 2>/dev/null; echo $?; echo "$@" $#
----
set -u; x=; echo "<$x>"; (: $((nope+1))) 2>/dev/null; echo $?
----
set -u; echo $nope; echo no
----
set -u; echo ${#nope}; echo no
----
set -x; echo a 2>/dev/null; x=1; : $x; set +x; echo b
----
{ set -x; echo a 'b c'; x='d e'; echo "$x"; } 2>&1 | tail -n 3
----
PS4='> '; { set -x; echo a; } 2>&1
----
set -f; touch a; echo *; set +f; echo *
----
set -n; echo no
----
set -a; X=1; sh -c 'echo $X'; set +a; Y=2; sh -c 'echo "<$Y>"'
----
set -o errexit; set -o | grep errexit; set +o errexit; false; echo on
----
set -o nosuch 2>/dev/null; echo no
----
set -ef; case $- in *e*f* | *f*e*) echo both;; esac
----
set -v; echo a
----
shift; echo no
----
set -- a; shift 0; echo $#; shift; echo $#; (shift) 2>/dev/null; echo $?
----
set -- a b c; shift 3; echo $#; (shift x) 2>/dev/null; echo $?
----
cd /; pwd; cd /usr/bin; pwd; cd -; pwd; echo $OLDPWD
----
mkdir d; cd d; pwd | sed 's|.*/||'; cd ..; cd ./d/../d; pwd | sed 's|.*/||'
----
cd /nonexistent 2>/dev/null || echo none; HOME=/usr; cd; pwd; (unset HOME; cd 2>/dev/null; pwd)
----
cd /usr; cd bin; pwd; echo $PWD; cd ../lib; pwd
----
type cd | head -n 1 | grep -c built; type nonexistent >/dev/null 2>&1; echo $?; f() { :; }; type f | grep -c function
----
command -v cd; command -v ls; command -v nonexistent; echo $?; f() { :; }; command -v f; command -v if
----
command echo a; command nonexistent 2>/dev/null; echo $?; echo() { :; }; command echo real
----
command -V cd | grep -c built; command -V ls | grep -c /ls
----
command exit 3; echo no
----
command set -- a b; echo $#
----
command . ./nonexistent 2>/dev/null; echo $?
----
readonly r=1; command export r=2 2>/dev/null; echo $? $r
----
exit; echo no
----
false; exit
----
exit 300
----
(exit 256); echo $?; (exit 255); echo $?
----
exit abc
----
exit -1
----
f() { exit 4; }; f; echo no
----
return 5; echo no
----
f() { return; }; false; f; echo $?; true; f; echo $?
----
f() { return 300; }; f; echo $?
----
break; echo $?; continue; echo $?
----
for i in 1 2 3; do break 5; done; echo $i
----
for i in 1 2; do break x; done; echo no
----
f() { break; }; for i in 1 2; do f; echo $i; done
----
getopts ab: o -a -b val rest; echo $o $? $OPTIND
----
set -- -a -b val -c x; while getopts ab:c o; do echo "$o $OPTARG"; done; shift $((OPTIND-1)); echo $1
----
set -- -abval -- -c; while getopts ab:c o; do echo "$o $OPTARG"; done; shift $((OPTIND-1)); echo $1
----
set -- -z; getopts a o 2>/dev/null; echo "$o"; OPTIND=1; getopts :a o; echo "$o $OPTARG"
----
set -- -b; getopts :b: o; echo "$o $OPTARG"; OPTIND=1; getopts b: o 2>/dev/null; echo "$o"
----
true a b; false a b; echo $?
----
sleep 5 & kill $!; wait $!; echo $?
----
echo $0 | sed 's|.*/||' | wc -l; echo $# "$*"; echo $? 
----
echo ${PWD:+has} ${OPTIND:+has} ${IFS:+has}
----
nonexistent-command 2>/dev/null; echo $?; ./nonexistent 2>/dev/null; echo $?; touch f; ./f 2>/dev/null; echo $?; / 2>/dev/null; echo $?
----
sh -c 'exit 5' | true; echo $?; sh -c 'exit 5' && echo no || echo $?
----
x=1; x=2 sh -c 'echo $x'; echo $x; x=3 y=4 env | grep -E '^[xy]=' | sort
----
sh -c 'echo "$@"' name a 'b c' d
----
echo 'echo from stdin; read x; echo "<$x>"
next line' | sh
----
seq 3 | xargs -n 1 sh -c 'echo got $0'
----
: ${x:=default}; echo $x; : "${y:=a b}"; echo "$y"
----
: $(echo side > f); cat f; : > f; wc -c < f
----
n=0; while [ $((n=n+1)) -lt 5 ]; do :; done; echo $n
----
a=3; while [ $a -gt 0 ]; do a=$((a-1)); printf %s $a; done; echo
----
i=0; until [ $((i*i)) -gt 50 ]; do i=$((i+1)); done; echo $i
----
s=; for w in the quick fox; do s="$s${s:+,}$w"; done; echo $s
----
set -- 3 1 2; for a; do echo $a; done | sort | tr '\n' ' '; echo
----
max() { m=$1; for n; do [ $n -gt $m ] && m=$n; done; echo $m; }; max 3 9 2
----
count=0; for f in a b c; do touch $f; count=$((count+1)); done; ls | wc -l; echo $count
----
while getopts x o -x; do echo $o; done; echo $?
----
repeat() { n=$1; shift; while [ $n -gt 0 ]; do "$@"; n=$((n-1)); done; }; repeat 3 echo 'a b'
----
IFS=:; for d in $PATH; do echo "$d"; done | head -n 1
----
line='key = value'; k=${line%% =*}; v=${line#*= }; echo "$k:$v"
----
text='a,b,,c'; while [ -n "$text" ]; do f=${text%%,*}; echo "<$f>"; case $text in *,*) text=${text#*,};; *) text=;; esac; done
----
rev() { s=$1; r=; while [ -n "$s" ]; do r=${s%"${s#?}"}$r; s=${s#?}; done; echo $r; }; rev hello
----
gcd() { while [ $2 -ne 0 ]; do set -- $2 $(($1 % $2)); done; echo $1; }; gcd 48 18
----
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do if [ $((i%15)) = 0 ]; then echo FizzBuzz; elif [ $((i%3)) = 0 ]; then echo Fizz; elif [ $((i%5)) = 0 ]; then echo Buzz; else echo $i; fi; done
----
printf 'b 2\na 1\n' | while read k v; do eval "var_$k=\$v"; eval echo \$var_$k; done
----
exec 3<<E
l1
l2
E
while read l <&3; do echo "<$l>"; done
----
f() { echo "args: $*"; }; x='1 2'; f $x; f "$x"; f; f ''
----
safe() { printf '%s\n' "$1" | sed "s/'/'\\\\''/g;1s/^/'/;\$s/\$/'/"; }; eval "x=$(safe "it's")"; echo "$x"
----
tmp=$(printf '%s\n' c a b | sort); set -- $tmp; echo $1 $3
----
a=1; b=2; t=$a a=$b b=$t; echo $a $b
