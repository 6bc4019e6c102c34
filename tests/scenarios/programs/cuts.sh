# Run on a node whose power is cut again and again: what was said to be safe must be there, and the disk whole. Says
# `verified` only then, and goes on writing.
check-disk > [tmp]check || { cat [tmp]check; echo damaged; exit 1; }
n=0; if [ -e [home]count ]; then n=$(cat [home]count); fi
said=0; if [ -e [node1]tmp/said ]; then said=$(cat [node1]tmp/said); fi
if [ $n -lt $said ]; then echo "lost: $n is there, $said was said to be safe"; exit 1; fi
i=$n
while [ $i -gt 0 ] && [ $i -gt $((n - 10)) ]; do
    if [ "$(tail -n 1 [home]d$((i % 7))/f$i)" != $((i * 50)) ]; then echo "lost: file $i"; exit 1; fi
    i=$((i - 1))
done
echo "verified $n of $said"
while true; do
    n=$((n + 1)); d=[home]d$((n % 7))
    mkdir -p $d; seq 1 $((n * 50)) > $d/new; mv $d/new $d/f$n
    if [ $n -gt 30 ]; then rm -f [home]d$(((n - 30) % 7))/f$((n - 30)); fi
    echo $n > [home]count.new; mv [home]count.new [home]count
    sync
    echo $n > [node1]tmp/said.new; mv [node1]tmp/said.new [node1]tmp/said
done
