/* What one node does by itself. Of several ways that Linux has, the cheapest that is usual is taken. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

enum { BULK_BYTES = 64 * 1024, FAULTS = 20 };

static char bulk[BULK_BYTES], copy[BULK_BYTES];

/* Another process, which answers each message that comes by a pipe with so many bytes by another. */
struct peer {
    int to, from;
    pid_t process;
};

static struct peer start_peer(size_t reply_bytes)
{
    int there[2], back[2];
    must("pipe", pipe(there));
    must("pipe", pipe(back));
    pid_t process = (pid_t)must("fork", fork());
    if (process == 0) {
        close(there[1]);
        while (read(there[0], copy, MESSAGE_BYTES) == MESSAGE_BYTES)
            must("write", write(back[1], bulk, reply_bytes));
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    return (struct peer){.to = there[1], .from = back[0], .process = process};
}

static void ask(const struct peer *peer, size_t reply_bytes)
{
    must("write", write(peer->to, bulk, MESSAGE_BYTES));
    for (size_t have = 0; have < reply_bytes;)
        have += (size_t)must("read", read(peer->from, copy, reply_bytes - have));
}

static void end_peer(const struct peer *peer)
{
    close(peer->to);
    close(peer->from);
    waitpid(peer->process, NULL, 0);
}

static void messages(void)
{
    struct peer peer = start_peer(MESSAGE_BYTES);
    MEASURE("send-receive-reply", 200, ask(&peer, MESSAGE_BYTES));
    struct iovec here = {copy, BULK_BYTES}, there = {bulk, BULK_BYTES};
    MEASURE("move-to-64-kib", 20, must("copy", process_vm_readv(peer.process, &here, 1, &there, 1, 0)));
    end_peer(&peer);
    peer = start_peer(PAGE_BYTES);
    MEASURE("reply-4-kib-segment", 50, ask(&peer, PAGE_BYTES));
    end_peer(&peer);
    MEASURE("null-kernel-request", 200, syscall(SYS_getppid));
}

static void files(void)
{
    int file = (int)must("file", open("/tmp/file", O_RDWR | O_CREAT, 0600));
    must("write", write(file, bulk, 2 * PAGE_BYTES));
    MEASURE("read-4-kib-of-cached-file", 50, must("read", pread(file, copy, PAGE_BYTES, PAGE_BYTES)));
    close(file);
    MEASURE("open-and-close-file", 50, close((int)must("open", open("/tmp/file", O_RDONLY))));
}

static void *nothing(void *argument)
{
    return argument;
}

/* Until it has become the program, the child has its parent's memory. */
static void run_program(void)
{
    static char *const arguments[] = {"/tiny", NULL};
    pid_t child = vfork();
    if (child == 0) {
        execve(arguments[0], arguments, NULL);
        _exit(1);
    }
    int status;
    must("wait", waitpid(child, &status, 0));
    must("tiny", status == 0 ? 0 : -1);
}

static void threads_and_programs(void)
{
    pthread_t thread;
    MEASURE("process-create-start-end", 10,
            (pthread_create(&thread, NULL, nothing, NULL), pthread_join(thread, NULL)));
    MEASURE("program-load-run-end", 5, run_program());
}

static void faults(void)
{
    size_t pages = WARMING + BATCHES * FAULTS;
    char *next = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MEASURE("zero-page-fault", FAULTS, (*(volatile char *)next = 1, next += PAGE_BYTES));
}

void measure_one_node(void)
{
    memset(bulk, 1, sizeof bulk);
    messages();
    files();
    threads_and_programs();
    faults();
}
