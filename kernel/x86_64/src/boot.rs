//! From the loader to Rust: two headers, one entry.
//!
//! A PVH loader (`qemu -kernel`, Firecracker, Cloud Hypervisor) finds its entry in an ELF note, a Multiboot2 loader
//! (GRUB) in a header; both arrive in 32-bit protected mode without paging, with the address of their information in
//! ebx. The code here, linked where it is loaded, turns on long mode with tables that map the first 4 GiB of physical
//! memory at 0, at `physical::DIRECT_MAP` and (two of them) at [`KERNEL_BASE`], and calls `kernel_main(protocol,
//! information)` on the kernel's stack. Interrupts stay off. `paging` soon replaces these tables.

/// Distance from where the kernel's image is loaded to where it is linked; `kernel.ld` says the same.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// What `kernel_main` gets as `protocol` from a Multiboot2 loader; from a PVH loader it gets 0.
pub const MULTIBOOT2: u32 = 0x36d7_6289;

/// Bytes of the kernel's one stack, and of the guard page below it that `paging` leaves unmapped.
pub const STACK_BYTES: usize = 64 * 1024;

core::arch::global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18              // lengths of name and value; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad boot_entry_pvh

    .section .boot.header, "a"
    .balign 8
multiboot2_header:
    .long 0xe85250d6, 0         // magic; i386 protected mode
    .long multiboot2_header_end - multiboot2_header
    .long -(0xe85250d6 + 0 + (multiboot2_header_end - multiboot2_header))
    .word 3, 0                  // tag: entry address
    .long 12, boot_entry
    .balign 8
    .word 6, 0                  // tag: modules on page boundaries
    .long 8
    .word 5, 1                  // tag, optional: a screen's width, height and bits of a pixel
    .long 20, 1024, 768, 32
    .balign 8
    .word 0, 0                  // end of tags
    .long 8
multiboot2_header_end:

    .section .boot.text, "ax"
    .code32
    .globl boot_entry_pvh
boot_entry_pvh:
    xor eax, eax
    .globl boot_entry
boot_entry:
    cli
    cld
    mov edi, eax                // first argument of kernel_main
    mov esi, ebx                // second argument

    // Long mode and no-execute are all that is asked of the processor.
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb 8f
    mov eax, 0x80000001
    cpuid
    and edx, (1 << 29) | (1 << 20)
    cmp edx, (1 << 29) | (1 << 20)
    jne 8f

    // 2048 entries of 2 MiB each: 4 GiB.
    mov eax, 0x83               // present, writable, large
    mov ebx, offset boot_directories
2:  mov dword ptr [ebx], eax
    add ebx, 8
    add eax, 0x200000
    jnc 2b

    mov eax, offset boot_directories + 3
    mov ebx, offset boot_pointers
    mov ecx, 4
3:  mov dword ptr [ebx], eax
    add ebx, 8
    add eax, 4096
    loop 3b
    mov eax, offset boot_directories + 3
    mov dword ptr [boot_pointers + 510 * 8], eax
    add eax, 4096
    mov dword ptr [boot_pointers + 511 * 8], eax
    // One table of pointers serves all: entries 0-3 at 0 and at the direct map, 510 and 511 at KERNEL_BASE.
    mov eax, offset boot_pointers + 3
    mov dword ptr [boot_root], eax
    mov dword ptr [boot_root + 256 * 8], eax
    mov dword ptr [boot_root + 511 * 8], eax

    mov eax, cr4
    or eax, (1 << 5) | (1 << 9) | (1 << 10)     // PAE, vector state, vector exceptions
    mov cr4, eax
    mov eax, offset boot_root
    mov cr3, eax
    mov ecx, 0xc0000080         // EFER
    rdmsr
    or eax, (1 << 0) | (1 << 8) | (1 << 11)     // system calls, long mode, no-execute
    wrmsr
    mov eax, 0x80010033         // paging, write protection, native x87 errors, x87 present, protection
    mov cr0, eax
    lgdt [boot_descriptors_pointer]
    .byte 0xea                  // jmp 8:boot_long_mode
    .long boot_long_mode
    .word 8

8:  mov esi, offset boot_refusal
9:  mov al, byte ptr [esi]
    test al, al
    jz 7f
    out 0xe9, al
    mov edx, 0x3f8
    out dx, al
    inc esi
    jmp 9b
7:  hlt
    jmp 7b

    .code64
boot_long_mode:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    movabs rax, offset kernel_stack + {guard} + {stack}
    mov rsp, rax
    xor ebp, ebp                // the end of every backtrace
    movabs rax, offset kernel_main
    call rax
    ud2

boot_refusal:
    .asciz "kernel panic: this processor has no 64-bit mode or no no-execute pages\n"
    .balign 8
boot_descriptors:
    .quad 0
    .quad 0x00af9b000000ffff    // 64-bit code
boot_descriptors_pointer:
    .word 15
    .long boot_descriptors

    .section .boot.tables, "aw", @nobits
    .balign 4096
boot_root: .skip 4096
boot_pointers: .skip 4096
boot_directories: .skip 4 * 4096

    .section .bss.kernel_stack, "aw", @nobits
    .balign 4096
    .globl kernel_stack
kernel_stack: .skip {guard} + {stack}
    "#,
    guard = const abi::PAGE_BYTES as usize,
    stack = const STACK_BYTES,
);
