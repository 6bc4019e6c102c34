# Quoting, expansion, splitting, patterns. Fragments are parted by lines of four dashes.
----
echo a\ b 'c  d' "e  f"
----
printf '<%s>' "" '' a"" ''b; echo
----
printf '%s\n' "a\nb" 'a\nb' a\nb
----
printf '%s\n' "\$HOME \\ \" \` \a"
----
printf '%s|' "it's" 'say "hi"' it\'s; echo
----
printf '%s|' a'b'"c"d\e; echo
----
echo "a
b"
----
echo a\
b
----
echo 'a\
b'
----
echo "a\
b"
----
x='a  b   c'; printf '<%s>' $x; echo; printf '<%s>' "$x"; echo
----
x=' lead trail '; printf '<%s>' $x; echo
----
x=''; printf '<%s>' $x "$x" a$x; echo
----
unset x; printf '<%s>' $x "$x" end; echo
----
IFS=:; x=a:b::c; printf '<%s>' $x; echo
----
IFS=:; x=:a:; printf '<%s>' $x; echo
----
IFS=' :'; x='a : b:c  d : : e'; printf '<%s>' $x; echo
----
IFS=; x='a b c'; printf '<%s>' $x; echo
----
IFS=,; set -- a b c; echo "$*"; printf '<%s>' "$@"; echo
----
IFS=; set -- a b c; echo "$*"
----
unset IFS; x=' a	b
c '; printf '<%s>' $x; echo
----
IFS=x; y=axbxc; z=$y; echo "$z"; printf '<%s>' $y; echo
----
IFS=-; echo $((0-5))
----
set -- 'a b' c ''; printf '<%s>' $@; echo; printf '<%s>' "$@"; echo; printf '<%s>' $*; echo; printf '<%s>' "$*"; echo
----
set -- ; printf '<%s>' "$@"; echo; printf '<%s>' "$*"; echo; printf '<%s>' x"$@"y; echo
----
set -- a b; printf '<%s>' x"$@"y; echo
----
set -- a b; printf '<%s>' "1$@2$@3"; echo
----
set -- 1 2 3 4 5 6 7 8 9 10 11; echo $10 ${10} ${11} $#
----
set -- a b c; echo ${#} $#
----
x=abc; echo ${#x} ${#y} "${#x}"
----
x=hello; echo ${x#h} ${x#*l} ${x##*l} ${x%o} ${x%l*} ${x%%l*}
----
x=/usr/local/bin/tool.tar.gz; echo ${x##*/} ${x%/*} ${x%.*} ${x%%.*} ${x#*.} ${x##*.}
----
x='a*b'; echo "${x#a\*}" "${x#'a*'}" "${x#a*}"
----
x='a*b'; p='a*'; echo "${x#$p}" "${x#"$p"}"
----
x=aaa; echo ${x#a} ${x##a} ${x#aa} ${x#b} ${x%%a*}
----
x='[x]y'; echo "${x#[[]}" "${x%]*}"
----
x=value; echo ${x:-d} ${x-d} ${x:+s} ${x+s}; unset x; echo ${x:-d} ${x-d} ${x:+s} ${x+s} end; x=; echo ${x:-d} ${x-d} ${x:+s} ${x+s} end
----
unset x; echo ${x:=a b} $x; unset x; echo "${x=c}" $x
----
unset x y; echo ${x:-${y:-deep}} "${x:-"q d"}" ${x:-'s q'}
----
unset x; printf '<%s>' ${x:-a b} "${x:-a b}" ${x:-"a b"} ; echo
----
unset x; printf '<%s>' ${x:-a 'b c'} ; echo
----
set -- 'a b' c; unset x; printf '<%s>' ${x:-"$@"}; echo; printf '<%s>' "${x:-$@}"; echo
----
set -- 'a b' c; printf '<%s>' ${1+"$@"}; echo
----
unset x; (echo ${x?}) 2>/dev/null; echo $?
----
unset x; (echo ${x:?gone}) 2>&1 | grep -c gone
----
x=; (echo ${x?ok}); (echo ${x:?no}) 2>/dev/null; echo $?
----
x=1; echo "${x}a" ${x}b $x"c" "$x"'d'
----
echo "${x-}}" '$x' \$x
----
echo "~" \~ a~b
----
HOME=/h; echo ~ ~/ ~/a "~/a" x~; y=~/b; echo $y; y=a:~/c; echo $y
----
HOME='/h  h'; printf '<%s>' ~; echo
----
echo $(echo a; echo b) "$(echo a; echo b)"
----
printf '<%s>' "$(printf 'a\n\n\n')"; echo
----
printf '<%s>' $(printf '  a  b\n c '); echo
----
echo `echo a \`echo b\`` "`echo c d`"
----
echo "$(echo "inner $(echo "deep 'x'")")"
----
echo $(echo ')') $(echo \)) "$(echo "(")"
----
echo $(case a in a) echo case;; esac)
----
echo $(case a in (a) echo paren;; esac)
----
x=$(echo a # comment )
echo b); echo $x
----
x=$(exit 3); echo $? "$x"; x=$(exit 4) y=$(exit 5); echo $?
----
false; echo $(echo $?)
----
x=$(false) true; echo $?
----
echo "a$(echo)b" "$()" `` end
----
echo `echo '\\'` `echo "\\\\"` | cat
----
echo '\\' "\\" | cat -A | wc -l
----
echo $((1+2*3)) $(((1+2)*3)) $((7/2)) $((-7/2)) $((7%3)) $((-7%3))
----
echo $((1<2)) $((2<=1)) $((1==1)) $((1!=1)) $((3>2)) $((3>=4))
----
echo $((1&&0)) $((1||0)) $((!5)) $((~5)) $((5&3)) $((5|3)) $((5^3)) $((1<<4)) $((256>>2))
----
echo $((1?2:3)) $((0?2:3)) $((1?0?4:5:6))
----
x=5; echo $((x)) $(($x+1)) $((x*=2)) $x $((x+=1)) $((x-=1)) $((x/=2)) $((x%=3)) $((x<<=2)) $((x>>=1)) $((x|=8)) $((x&=9)) $((x^=1)) $x
----
echo $((0x1f)) $((010)) $((0)) $((0xFF+1))
----
unset u; echo $((u)) $((u+1)); u=; echo $((u+2)); u='3 '; echo $((u+1))
----
x=3; y=x; echo $(( x + 1 )) "$(( 2 * (x + 1) ))"
----
echo $((9223372036854775807)) $((9223372036854775807+1)) $((-9223372036854775807-1))
----
echo $(( (1) )); echo $?
----
(echo $((1/0))) 2>/dev/null; echo $?
----
(echo $((1+))) 2>/dev/null; echo $?
----
(echo $((1 2))) 2>/dev/null; echo $?
----
i=0; echo $((i=i+1)) $i; : $((i=i+1)); echo $i
----
echo $((- 3)) $((+3)) $((- -3)) $((!0)) $((! 1))
----
echo $((1 +
2))
----
x='1+2'; echo $((x * 2)) $(($x * 2)) 2>/dev/null; echo $?
----
touch a.c b.c c.h; echo *.c; echo *.[ch]; echo ?.c; echo [!a].c; echo *.z; echo '*.c' "*.c" \*.c
----
touch a b; x='*'; echo $x "$x"; set -f; echo $x; set +f; echo $x
----
touch .hidden shown; echo *; echo .h*; echo [.]hidden
----
mkdir -p d/e; touch d/f d/e/g; echo d/*; echo */*; echo d/*/; echo d/*/g; echo ./d/f*
----
touch 'a b' c; for f in *; do echo "<$f>"; done
----
touch 'x*y' xzy; echo x\*y x*y 'x'*'y'
----
touch a1 a2 b1; echo [ab]1 [a-b]? [[:alpha:]]1 *[!1]
----
touch -- -n; echo *
----
touch ']' a; echo []a] [!]]
----
mkdir d; touch d/a; cd d; echo * ../d/*
----
touch ab aB; echo a[[:upper:]] a[[:lower:]]
----
touch a-b a.b; echo a[-.]b a[.-]b
----
x=a; echo "$x"[b] $x* 
----
touch abc; x='a[b]c'; echo $x "$x"
----
case abc in a*c) echo 1;; esac; case 'a*c' in 'a*c') echo 2;; esac; case abc in 'a*c') echo no;; *) echo 3;; esac
----
case a/b in *) echo star;; esac; case a/b in a?b) echo slash;; esac; case .x in *) echo dot;; esac
----
case x in [!a-w]) echo yes;; esac; case - in [a-]) echo dash;; esac; case ] in []]) echo close;; esac
----
case 'a b' in a\ b) echo 1;; esac; case '' in '') echo 2;; esac; case a in '') echo no;; ?) echo 3;; esac
----
x='a|b'; case a in $x) echo no;; *) echo text;; esac; case 'a|b' in $x) echo same;; esac
----
case '\' in '\') echo 1;; esac; case '\' in \\) echo 2;; esac; case 'a\b' in 'a\b') echo 3;; esac
----
p='\*'; case '*' in $p) echo 1;; *) echo 0;; esac; case '\*' in "$p") echo 2;; esac
----
case ab in [[:alpha:]][[:alpha:]]) echo alpha;; esac; case 7 in [[:digit:]]) echo digit;; esac; case _ in [[:punct:]]) echo punct;; esac
----
echo a{b,c}d {1..3}
----
x=a=b; echo $x; export y=c=d; echo $y; z='a b'; export w=$z; echo "$w"
----
x='a b' y=$x; echo "$y"
----
x=1 y=$x; echo "<$y>"; x=2; x=3 y=$x; echo $y
----
a=1 b=2; echo $a$b; a=3 echo $a; echo $a
----
a=1 sh -c 'echo $a'; echo "<$a>"
----
a=5; a=1 true; echo $a; a=2 :; echo $a
----
a=1; a=2 eval 'echo $a'; echo $a
----
f() { echo $a; a=4; }; a=1; a=2 f; echo $a
----
x="a'b"; echo $x "$x"; x='a"b'; echo $x
----
x='$y `z` $(w)'; echo $x "$x"
----
echo "a"'b'"c" "a"\'"b" 'a'\''b'
----
echo \# a#b '#'c "#"d # comment
----
echo a;echo b;# comment
----
echo $'a' "$" '$' $ "a$"
----
echo "$x$" "$-x" | sed 's/[a-z]*x/x/'
----
x=ab; echo $x$x ${x}${x} "$x-$x" $x.c ${x}_c "$x_c"
----
printf '%s\n' *nomatch* '[' ']' '[a' 
----
x='a	b'; echo $x "$x"
----
x="$(printf 'a\tb\nc')"; echo "$x"; echo $x
----
echo ${x:-a}${y:-b} "${x:-a}${y:-b}"
----
x=abc; y=${x%c}; z=${y#a}; echo $y $z ${x%"$z"c}
----
x='  a  '; y=${x#"${x%%[! ]*}"}; echo "<$y>"
----
set -- a b c d; shift; echo $1 $#; shift 2; echo $1 $#; shift; echo "<$1>" $#
----
set -- -a -b; echo $1; set -- "$@" c; echo $# $3; set --; echo $#
----
eval "set -- 'a b' \"c d\""; echo $#; echo "$2"
----
x=y; y=z; eval echo \$$x; eval "$x=new"; echo $y
----
echo "${x:-\$y}" "${x:-'q'}" ${x:-\}} "${x:-\}}"
----
unset x; echo "${x:-"a}b"}" ${x:-a\ b}
----
unset x; cat <<E
${x:-"quoted"} ${x:-'single'} ${x:-a\}b}
E
----
x=12345; echo ${x%???} ${x#??} ${x%%[3-9]*}
----
x=été; echo ${x#é} ${x%é}
----
a='*'; b="[$a]"; echo "$b" "${b#[}" "${b#'['}"
----
x='a/b/c'; echo ${x#*/} ${x##*/} ${x%/*} ${x%%/*}; y=${x%/*}; echo ${y##*/}
----
x=a.b.c; IFS=.; set -- $x; echo $1-$2-$3; echo $#
----
IFS='
'; x='a b
c d'; for l in $x; do echo "<$l>"; done
----
IFS=' '; x='a	b c'; printf '<%s>' $x; echo
----
IFS=a; x=banana; printf '<%s>' $x; echo
----
x='a\b\\c'; printf '%s\n' $x
----
printf '%s\n' "$(printf '%s' 'a\b')" `printf '%s' 'c\d'`
