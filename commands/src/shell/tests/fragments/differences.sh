# What is different from dash on purpose; the reasons are in docs/book/shell.md.
----
echo 'a\b'
----
cat < nofile; echo $?
----
cd /nonexistent 2> f; echo $?
----
set -- abc; echo ${#@}
----
echo $((1, 2))
----
echo $LINENO
----
set -- -a; getopts a o; echo ${OPTARG-unset}
----
echo $(exit 3) $?
----
x="it's"; set | grep ^x=
----
echo ~root
----
printf '%.1f\n' 1.5
----
trap 'echo t' TERM; echo $?
----
alias e=echo; echo $?
----
umask > f 2>&1; echo $?
----
ulimit > f 2>&1; echo $?
----
times > f; echo $?
----
hash > f; echo $?
----
mkdir -p a/b; CDPATH=a; cd b
----
echo ${PPID:+set}
----
sleep 0 & jobs -p | grep -c .; wait; jobs
----
echo a @nowhere 2> f; echo $?
