/* Files on a disk: ext4 as Debian makes it, on a virtio disk. The same as tests/bench/src/disk.rs does on V. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum { FILE_MIB = 64, PIECE_BYTES = 64 * 1024, RANDOM_READS = 1000, WARM_READS = 200 };
enum { FILE_BYTES = FILE_MIB << 20 };

static char piece[PIECE_BYTES];
static int counts;

static void mount_disk(void)
{
    mkdir("/disk", 0777);
    mkdir("/proc", 0777);
    must("proc", mount("none", "/proc", "proc", 0, ""));
    must("devices", mount("none", "/dev", "devtmpfs", 0, ""));
    for (int look = 0; access("/dev/vda", F_OK) < 0 && look < 100; look++)
        usleep(20000);
    must("ext4", mount("/dev/vda", "/disk", "ext4", 0, ""));
}

/* What was read is to be read again. */
static void forget(void)
{
    int file = (int)must("drop_caches", open("/proc/sys/vm/drop_caches", O_WRONLY));
    must("drop_caches", write(file, "3", 1));
    close(file);
}

/* Has something counted, or timed: what one of `operations` takes. */
static void phase(const char *name, int operations, void (*work)(void))
{
    char timed[64];
    if (counts) {
        MARK(BEGIN);
        work();
        MARK(END);
        MARK(FIGURE);
        report(name, "counted", operations);
    } else {
        uint64_t start_ns = now_ns();
        work();
        snprintf(timed, sizeof timed, "%s-time", name);
        report(timed, "us", (double)(now_ns() - start_ns) / 1000 / operations);
    }
}

static void write_file(void)
{
    int file = (int)must("file", open("/disk/file", O_WRONLY | O_CREAT | O_TRUNC, 0600));
    for (int at = 0; at < FILE_BYTES; at += PIECE_BYTES)
        must("write", write(file, piece, PIECE_BYTES));
    must("sync", fsync(file));
    close(file);
}

static void read_file(void)
{
    int file = (int)must("file", open("/disk/file", O_RDONLY));
    for (int at = 0; at < FILE_BYTES; at += PIECE_BYTES)
        must("read", read(file, piece, PIECE_BYTES) == PIECE_BYTES ? 0 : -1);
    close(file);
}

/* Pages in an order that is the same everywhere. */
static uint64_t next_page(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % (FILE_BYTES / PAGE_BYTES);
}

static void read_anywhere(void)
{
    int file = (int)must("file", open("/disk/file", O_RDONLY));
    for (int count = 0; count < RANDOM_READS; count++) {
        off_t at = (off_t)next_page() * PAGE_BYTES;
        must("read", pread(file, piece, PAGE_BYTES, at) == PAGE_BYTES ? 0 : -1);
    }
    close(file);
}

static void read_again(void)
{
    int file = (int)must("file", open("/disk/file", O_RDONLY));
    for (int count = 0; count < WARM_READS; count++)
        must("read", pread(file, piece, PAGE_BYTES, PAGE_BYTES));
    close(file);
}

static void measure_disk(void)
{
    memset(piece, 7, sizeof piece);
    mount_disk();
    phase("disk-write", FILE_MIB, write_file);
    forget();
    phase("disk-read", FILE_MIB, read_file);
    forget();
    phase("disk-read-random", RANDOM_READS, read_anywhere);
    read_again();
    phase("disk-read-warm", WARM_READS, read_again);
    must("unmount", umount("/disk"));
}

void count_disk(void)
{
    counts = 1;
    measure_disk();
}

void time_disk(void)
{
    measure_disk();
}
