//! What each processor has of its own: where the entry code finds its stack and the running process's save areas,
//! the descriptor table, the task state with the stacks for exceptions.
//!
//! In the kernel GS points to this struct; `swapgs` at every entry and exit makes it so. There is one processor now;
//! nothing outside this file knows that.

use core::cell::UnsafeCell;

use abi::call::Registers;

use crate::boot::STACK_BYTES;
use crate::instructions::write_register;
use crate::saved::Saved;
use crate::walks::Walks;

/// Selectors. The order is what `syscall` and `sysret` want.
pub const KERNEL_CODE: u16 = 0x08;
/// Also the kernel's stack segment.
pub const KERNEL_DATA: u16 = 0x10;
/// User data and stack.
pub const USER_DATA: u16 = 0x18 | 3;
/// 64-bit user code.
pub const USER_CODE: u16 = 0x20 | 3;
const TASK: u16 = 0x28;

/// Bytes of each exception stack: enough for a panic's report.
const EXCEPTION_STACK_BYTES: usize = 16 * 1024;

/// Which entry of the task state's stack table a vector uses.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum ExceptionStack {
    /// Every interrupt and exception without one of its own.
    Common = 1,
    /// Double fault, machine check and non-maskable interrupt, which come at any time.
    Urgent = 2,
}

/// One processor's state. The entry code knows the offsets of the first fields.
#[repr(C, align(64))]
pub struct Cpu {
    /// Where this struct is.
    this: *mut Cpu,
    /// Top of the kernel's stack.
    pub stack_top: u64,
    /// Where a system call of the running process saves its registers.
    pub registers: *mut Registers,
    /// Index of the running process.
    pub process: u64,
    /// The first of the areas, one for each process, where an interrupt or exception saves all registers.
    pub saved: *mut Saved,
    /// Physical address of the root page table in use.
    pub root_table: u64,
    /// Where recent walks through page tables ended.
    pub walks: Walks,
    descriptors: [u64; 7],
    task: TaskState,
}

/// The 64-bit task state segment, in words of four bytes since its fields are not aligned.
#[repr(C, align(8))]
struct TaskState([u32; 26]);

impl TaskState {
    const fn new() -> TaskState {
        let mut words = [0; 26];
        // No port permissions: the map begins beyond the segment's limit.
        words[25] = (size_of::<TaskState>() as u32) << 16;
        TaskState(words)
    }

    fn set_stack(&mut self, stack: ExceptionStack, top: u64) {
        let at = 9 + 2 * (stack as usize - 1);
        self.0[at] = top as u32;
        self.0[at + 1] = (top >> 32) as u32;
    }
}

/// A stack for exceptions, and the processor itself: written by the hardware and the entry code.
#[repr(align(16))]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: there is one processor and interrupts are off in the kernel, so nobody else is in a shared value while code
// here uses it.
unsafe impl<T> Sync for Shared<T> {}

static FIRST: Shared<Cpu> = Shared(UnsafeCell::new(Cpu {
    this: core::ptr::null_mut(),
    stack_top: 0,
    registers: core::ptr::null_mut(),
    process: 0,
    saved: core::ptr::null_mut(),
    root_table: 0,
    walks: Walks::new(),
    descriptors: [
        0,
        0x00af_9b00_0000_ffff, // kernel code, 64-bit
        0x00cf_9300_0000_ffff, // kernel data
        0x00cf_f300_0000_ffff, // user data
        0x00af_fb00_0000_ffff, // user code, 64-bit
        0,                     // the task state's two, filled in below
        0,
    ],
    task: TaskState::new(),
}));

static COMMON_STACK: Shared<[u8; EXCEPTION_STACK_BYTES]> =
    Shared(UnsafeCell::new([0; EXCEPTION_STACK_BYTES]));
static URGENT_STACK: Shared<[u8; EXCEPTION_STACK_BYTES]> =
    Shared(UnsafeCell::new([0; EXCEPTION_STACK_BYTES]));

const GS_BASE: u32 = 0xc000_0101;
const KERNEL_GS_BASE: u32 = 0xc000_0102;

impl Cpu {
    /// This processor.
    ///
    /// # Safety
    /// No other reference to it is alive.
    #[inline]
    pub unsafe fn this() -> &'static mut Cpu {
        // SAFETY: the struct is static; the caller says that the reference is the only one.
        unsafe { &mut *FIRST.0.get() }
    }

    /// Loads descriptor table, task state and GS of the first processor.
    pub fn initialize() {
        unsafe extern "C" {
            static kernel_stack: u8;
        }
        // SAFETY: boot calls this once, before anyone else holds the reference.
        let cpu = unsafe { Cpu::this() };
        cpu.this = cpu;
        cpu.stack_top = (&raw const kernel_stack).addr() as u64 + abi::PAGE_BYTES + STACK_BYTES as u64;
        for (stack, memory) in
            [(ExceptionStack::Common, &COMMON_STACK), (ExceptionStack::Urgent, &URGENT_STACK)]
        {
            cpu.task.set_stack(stack, memory.0.get().addr() as u64 + EXCEPTION_STACK_BYTES as u64);
        }
        let task = (&raw const cpu.task).addr() as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        cpu.descriptors[5] = limit | (task & 0xff_ffff) << 16 | 0x89 << 40 | (task >> 24 & 0xff) << 56;
        cpu.descriptors[6] = task >> 32;
        let pointer = TablePointer::new(&cpu.descriptors);
        // SAFETY: the table is static and holds the segments that are loaded here, flat and 64-bit as those in use;
        // the far return goes to the next instruction. The pushes lie below the red zone.
        unsafe {
            core::arch::asm!(
                "lgdt [{pointer}]",
                "sub rsp, 128",
                "push {code}",
                "lea {scratch}, [rip + 2f]",
                "push {scratch}",
                "retfq",
                "2:",
                "add rsp, 128",
                "mov ss, {data:e}",
                "mov ds, {zero:e}",
                "mov es, {zero:e}",
                "mov fs, {zero:e}",
                "mov gs, {zero:e}",
                "ltr {task:x}",
                pointer = in(reg) &raw const pointer,
                code = const KERNEL_CODE,
                data = in(reg) u32::from(KERNEL_DATA),
                zero = in(reg) 0,
                task = in(reg) TASK,
                scratch = out(reg) _,
            );
            write_register(GS_BASE, cpu.this.addr() as u64);
            write_register(KERNEL_GS_BASE, 0);
        }
    }
}

/// What `lgdt` and `lidt` read.
#[repr(C, packed)]
pub struct TablePointer {
    limit: u16,
    address: u64,
}

impl TablePointer {
    /// Of a table that stays where it is.
    pub fn new<T>(table: &T) -> TablePointer {
        TablePointer { limit: (size_of::<T>() - 1) as u16, address: (&raw const *table).addr() as u64 }
    }
}
