/*
 * What two nodes do together: a message there and back by UDP and by raw packets, a page by UDP, a MiB by TCP. Each
 * service of node 2 is a process of its own, which waits for one thing.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

enum { NODE_2 = 0x0a000002, MESSAGE_PORT = 7001, PAGE_PORT, TO_PORT, FROM_PORT };
/* For experiments, by the standard. */
enum { FRAME_TYPE = 0x88b5, FRAME_BYTES = 60, KIND = 14, ASKS = 1, ANSWERS = 2 };
enum { MESSAGES = 64, PAGES = 32, MOVES = 2, TURNS = 20, TIMED_MESSAGES = 25, TIMED_MOVES = 12 };

static char moved[MOVED_BYTES];
static uint8_t frame[FRAME_BYTES];

static struct sockaddr_in at(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
}

static int open_socket(int type)
{
    int file = (int)must("socket", socket(AF_INET, type, 0)), one = 1;
    struct timeval patience = {.tv_sec = 2};
    setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (type == SOCK_STREAM)
        setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return file;
}

static int open_raw(void)
{
    int file = (int)must("raw socket", socket(AF_PACKET, SOCK_RAW, htons(FRAME_TYPE)));
    struct sockaddr_ll card = {
        .sll_family = AF_PACKET, .sll_protocol = htons(FRAME_TYPE), .sll_ifindex = (int)if_nametoindex("eth0")};
    must("bind", bind(file, (struct sockaddr *)&card, sizeof card));
    return file;
}

/* Whoever sent the frame is who it goes to next. The card puts no source in. */
static void turn_round(uint8_t kind)
{
    uint8_t other[6];
    memcpy(other, frame, 6);
    memcpy(frame, frame + 6, 6);
    memcpy(frame + 6, other, 6);
    frame[KIND] = kind;
}

static void answer_datagrams(uint16_t port, size_t reply_bytes)
{
    int file = open_socket(SOCK_DGRAM);
    struct sockaddr_in own = at(INADDR_ANY, port);
    must("bind", bind(file, (struct sockaddr *)&own, sizeof own));
    for (;;) {
        struct sockaddr_in client;
        socklen_t length = sizeof client;
        must("receive", recvfrom(file, moved, sizeof moved, 0, (struct sockaddr *)&client, &length));
        sendto(file, moved, reply_bytes, 0, (struct sockaddr *)&client, length);
    }
}

static void transfer(int file, ssize_t (*step)(int, void *, size_t), size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t some = step(file, moved + done, bytes - done);
        if (some <= 0)
            exit(1);
        done += (size_t)some;
    }
}

static ssize_t send_some(int file, void *data, size_t bytes)
{
    return send(file, data, bytes, 0);
}

static ssize_t receive_some(int file, void *data, size_t bytes)
{
    return recv(file, data, bytes, 0);
}

/* A byte asks for a MiB, or a byte says that one has come. */
static void answer_stream(uint16_t port)
{
    int listener = open_socket(SOCK_STREAM);
    struct sockaddr_in own = at(INADDR_ANY, port);
    must("bind", bind(listener, (struct sockaddr *)&own, sizeof own));
    must("listen", listen(listener, 1));
    int file = (int)must("accept", accept(listener, NULL, NULL)), one = 1;
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (;;) {
        transfer(file, receive_some, port == TO_PORT ? 1 : MOVED_BYTES);
        transfer(file, send_some, port == TO_PORT ? MOVED_BYTES : 1);
    }
}

static void answer_frames(void)
{
    int file = open_raw();
    for (;;)
        if (recv(file, frame, sizeof frame, 0) >= KIND && frame[KIND] == ASKS) {
            turn_round(ANSWERS);
            send(file, frame, sizeof frame, 0);
        }
}

void serve(void)
{
    if (fork() == 0)
        answer_datagrams(MESSAGE_PORT, MESSAGE_BYTES);
    if (fork() == 0)
        answer_datagrams(PAGE_PORT, PAGE_BYTES);
    if (fork() == 0)
        answer_stream(TO_PORT);
    if (fork() == 0)
        answer_stream(FROM_PORT);
    if (fork() == 0)
        answer_frames();
    while (wait(NULL) > 0)
        ;
}

static int datagrams, pages, to, from, raw;

static int connect_to(int type, uint16_t port)
{
    struct sockaddr_in server = at(NODE_2, port);
    for (int look = 0; look < 300; look++) {
        int file = open_socket(type);
        if (connect(file, (struct sockaddr *)&server, sizeof server) == 0)
            return file;
        close(file);
        usleep(100000);
    }
    perror("connect");
    exit(1);
}

static void message(int file, size_t reply_bytes)
{
    must("send", send(file, moved, MESSAGE_BYTES, 0));
    must("receive", recv(file, moved, reply_bytes, 0));
}

static void echo(void)
{
    turn_round(ASKS);
    must("send", send(raw, frame, sizeof frame, 0));
    do
        must("receive", recv(raw, frame, sizeof frame, 0));
    while (frame[KIND] != ANSWERS);
}

static void move_to(void)
{
    transfer(to, send_some, 1);
    transfer(to, receive_some, MOVED_BYTES);
}

static void move_from(void)
{
    transfer(from, send_some, MOVED_BYTES);
    transfer(from, receive_some, 1);
}

/* Node 2 answers TCP when all its services are there, or nearly. */
static void connect_all(void)
{
    to = connect_to(SOCK_STREAM, TO_PORT);
    from = connect_to(SOCK_STREAM, FROM_PORT);
    sleep(1);
    datagrams = connect_to(SOCK_DGRAM, MESSAGE_PORT);
    pages = connect_to(SOCK_DGRAM, PAGE_PORT);
    raw = open_raw();
    /* turn_round makes the source the destination: everyone, until somebody has answered. */
    memset(frame + 6, 0xff, 6);
    memcpy(frame, (uint8_t[]){0x52, 0x54, 0, 0x56, 0, 1}, 6);
    frame[12] = FRAME_TYPE >> 8;
    frame[13] = FRAME_TYPE & 0xff;
}

void count_two_nodes(void)
{
    connect_all();
    COUNTED("remote-send-receive-reply", MESSAGES, message(datagrams, MESSAGE_BYTES));
    COUNTED("remote-read-4-kib", PAGES, message(pages, PAGE_BYTES));
    COUNTED("remote-move-to-1-mib", MOVES, move_to());
    COUNTED("remote-move-from-1-mib", MOVES, move_from());
    COUNTED("frame-echo", MESSAGES, echo());
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void report_median(const char *name, uint64_t *durations, size_t count)
{
    qsort(durations, count, sizeof *durations, compare);
    report(name, "us", (double)durations[count / 2] / 1000);
}

static uint64_t timed(void (*operation)(void))
{
    uint64_t start = now_ns();
    operation();
    return now_ns() - start;
}

static void one_message(void)
{
    message(datagrams, MESSAGE_BYTES);
}

void time_two_nodes(void)
{
    static uint64_t of_messages[TURNS * TIMED_MESSAGES], of_frames[TURNS * TIMED_MESSAGES];
    size_t count = 0;
    connect_all();
    for (int turn = 0; turn < TURNS; turn++) {
        for (int index = 0; index < TIMED_MESSAGES; index++)
            of_messages[count + (size_t)index] = timed(one_message);
        for (int index = 0; index < TIMED_MESSAGES; index++)
            of_frames[count + (size_t)index] = timed(echo);
        count += TIMED_MESSAGES;
    }
    report_median("remote-send-receive-reply-time", of_messages, count);
    report_median("frame-echo-time", of_frames, count);
    uint64_t to_ns = 0, from_ns = 0;
    move_to();
    move_from();
    for (int move = 0; move < TIMED_MOVES; move++) {
        to_ns += timed(move_to);
        from_ns += timed(move_from);
    }
    double bytes = (double)TIMED_MOVES * MOVED_BYTES;
    report("remote-move-to-throughput", "MB/s", bytes * 1000 / (double)to_ns);
    report("remote-move-from-throughput", "MB/s", bytes * 1000 / (double)from_ns);
}
