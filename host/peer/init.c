/*
 * The only program of a Linux that is measured beside V. The kernel starts it first; `measure=` on the kernel's command
 * line says what it is to do: `up` (no more than to come up), `one`, between two nodes `count`, `time` or `serve`, or with
 * a disk `disk-count` or `disk-time`.
 * Figures go to the console, a line each. The machine is off when it ends.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

/* The drivers and what they need, in this order, as the tool has put them into the archive. */
static const char *const modules[] = {
    "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
    "failover", "net_failover", "virtio_net", "crc32c-intel", "virtio_blk",
};

static void load_modules(void)
{
    for (size_t index = 0; index < sizeof modules / sizeof *modules; index++) {
        char path[64];
        snprintf(path, sizeof path, "/%s.ko", modules[index]);
        int file = must(path, open(path, O_RDONLY));
        must(path, syscall(SYS_finit_module, file, "", 0));
        close(file);
    }
}

/* Gives the card the address 10.0.0.NODE, and waits until it is there. */
static void configure_card(int node)
{
    int control = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    struct ifreq request = {.ifr_name = "eth0"};
    for (int look = 0; ioctl(control, SIOCGIFINDEX, &request) < 0 && look < 100; look++)
        usleep(20000);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + node)};
    memcpy(&request.ifr_addr, &address, sizeof address);
    must("address", ioctl(control, SIOCSIFADDR, &request));
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    must("up", ioctl(control, SIOCSIFFLAGS, &request));
    close(control);
}

int main(void)
{
    uint64_t booted = ticks();
    const char *measure = getenv("measure");
    int is_node_2 = measure && strcmp(measure, "serve") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("/tmp", 0777);
    must("tmpfs", mount("none", "/tmp", "tmpfs", 0, ""));
    if (!measure || strcmp(measure, "up") == 0) {
        report("up", "is", 1);
    } else if (strcmp(measure, "one") == 0) {
        report("boot-to-here", "instructions", (double)booted);
        measure_one_node();
    } else if (strncmp(measure, "disk-", 5) == 0) {
        load_modules();
        if (strcmp(measure, "disk-count") == 0)
            count_disk();
        else
            time_disk();
    } else {
        load_modules();
        configure_card(is_node_2 ? 2 : 1);
        if (is_node_2)
            serve();
        else if (strcmp(measure, "count") == 0)
            count_two_nodes();
        else
            time_two_nodes();
    }
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 0;
}
