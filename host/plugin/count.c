/*
 * A plugin of QEMU's that counts a guest's instructions, where QEMU's own deterministic clock cannot be used: between
 * machines that wait for each other. See host/src/counting.rs, which builds it and reads what it writes.
 *
 * The count is the first word of a file that is mapped, so that the plugin in one machine can read the others'. A
 * guest marks a place in its course by an instruction that does nothing, NOP with a 32-bit displacement:
 *
 *     0f 1f 80 LO HI a5 7e        nopl 0x7ea5HILO(%rax)
 *
 * At each, a line is written: the mark's number (HI LO), the own count, the others' counts. Arguments: own=FILE,
 * other=FILE for each of the others, log=FILE.
 *
 * What is declared here is QEMU's plugin interface, version 1, so that none of its header files is needed.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*translated_fn)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed_fn)(unsigned processor, void *data);

EXPORTED int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated_fn);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, enum qemu_plugin_op, void *counter,
                                                uint64_t addend);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed_fn, enum qemu_plugin_cb_flags,
                                            void *data);

enum { MARK_BYTES = 7, COUNTER_FILE_BYTES = 4096, MOST_OTHERS = 64 };

static volatile uint64_t *own_count;
static volatile uint64_t *other_counts[MOST_OTHERS];
static size_t others;
static FILE *log_file;

/* The counter in the file at that path, which is made if it isn't there. */
static uint64_t *map_counter(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, COUNTER_FILE_BYTES) != 0)
        return NULL;
    void *mapped = mmap(NULL, COUNTER_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* Whether the instruction is a mark, and if so its number. */
static int is_mark(const struct qemu_plugin_insn *instruction, uintptr_t *number)
{
    if (qemu_plugin_insn_size(instruction) != MARK_BYTES)
        return 0;
    const uint8_t *bytes = qemu_plugin_insn_data(instruction);
    if (memcmp(bytes, "\x0f\x1f\x80", 3) != 0 || memcmp(bytes + 5, "\xa5\x7e", 2) != 0)
        return 0;
    *number = (uintptr_t)(bytes[3] | bytes[4] << 8);
    return 1;
}

static void mark_executed(unsigned processor, void *number)
{
    (void)processor;
    fprintf(log_file, "%" PRIuPTR " %" PRIu64, (uintptr_t)number, *own_count);
    for (size_t other = 0; other < others; other++)
        fprintf(log_file, " %" PRIu64, *other_counts[other]);
    fprintf(log_file, "\n");
    fflush(log_file);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(block);
    for (size_t index = 0; index < count; index++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, index);
        uintptr_t number;
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, (void *)own_count, 1);
        if (is_mark(instruction, &number))
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, mark_executed, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void *)number);
    }
}

/* Adds another machine's counter. */
static int add_other(const char *path)
{
    if (others == MOST_OTHERS)
        return -1;
    other_counts[others] = map_counter(path);
    return other_counts[others++] ? 0 : -1;
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *information, int count, char **arguments)
{
    (void)information;
    for (int index = 0; index < count; index++) {
        if (strncmp(arguments[index], "own=", 4) == 0)
            own_count = map_counter(arguments[index] + 4);
        else if (strncmp(arguments[index], "other=", 6) == 0 && add_other(arguments[index] + 6) != 0)
            return -1;
        else if (strncmp(arguments[index], "log=", 4) == 0)
            log_file = fopen(arguments[index] + 4, "w");
    }
    if (!own_count || !log_file) {
        fprintf(stderr, "count: own=FILE and log=FILE must be given, and be writable\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
