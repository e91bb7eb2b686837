//! A guest that uses its devices, without an operating system: an ELF image that QEMU starts by PVH. It needs no
//! download and no Linux, so that it boots in seconds even where emulation emulates.
//!
//! It says on the serial port what works, one line each:
//! - `pci: VVVV:DDDD`: a device, its vendor and number;
//! - `usb: N in use`: so many ports of an xHCI controller have a device;
//! - `nvme: version V`, `nic: MAC`: registers of an NVMe drive, of an Intel network card;
//! - `rng: random bytes`, `vsock: cid N, answered`, `9p: 9P2000.L`: virtio devices that answered;
//! - `tpm: random bytes`, `tpm 1.2: random bytes`: the TPM gave them (CRB or TIS);
//! - `memory: N MiB`: so much is there, and a byte of each 2 MiB was written and read;
//! - `disk: …`, `disk 2: …`: the second sector of a virtio disk was read, and written to the third;
//! - `scsi T.U: VENDOR …: text` of a target and unit: the same by virtio-scsi, and `keys`: it answered a question about reservations;
//! - `fs: …`, `fs 2: …`: a virtio-fs was mounted, its file `to-guest` read, a file `from-NAME` written;
//! - `nvdimm: …`, `pmem: …`, `shmem: …`: memory was read, and written half a page behind;
//! - `fw_cfg: opt/… = text`, `input: NAME`, `crypto: ready`, `mem: N MiB`, `gpu: N outputs`: what such a device has to say;
//! - `channel: NAME`: a port of virtio-serial is open, and a line went to it; a line also goes to the other serial ports
//!   and to the parallel port;
//! - `net: heard X`, `net: X answers`: frames went over virtio-net to another such guest and back;
//! - `console: heard X`: a letter was typed on the serial port (`p` panics, `r` reboots);
//! - `powering off` when the ACPI power button is pressed; a guest `slow` takes 40 seconds, a guest `deaf` does not.
//!
//! NAME is the kernel command line. `lab-guest: ready` comes at the end of the start.
//! Sources: the Virtio 1.1 specification (PCI transport, split queues), linux/fuse.h, the TCG's CRB interface.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

// PVH: 32-bit protected mode, paging off, EBX points to the start information. Maps the first 4 GiB one to one in
// pages of 2 MiB, and goes to 64 bits.
global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad start32
    .bss
    .align 4096
    pml4: .skip 4096
    pdpt: .skip 4096
    pd: .skip 16384
    idt: .skip 4096
    .skip 65536
    stack_top:
    .data
    .align 16
    gdt: .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
    gdtr: .word 23
    .quad gdt
    idtr: .word 4095
    .quad idt
    start_info: .long 0
    .text
    .code32
    start32:
    cli
    cld
    mov esp, offset stack_top
    mov dword ptr [start_info], ebx
    xor ecx, ecx
    2:
    mov eax, ecx
    shl eax, 21
    or eax, 0x83
    mov dword ptr [pd + ecx * 8], eax
    inc ecx
    cmp ecx, 2048
    jb 2b
    mov eax, offset pd + 3
    xor ecx, ecx
    3:
    mov dword ptr [pdpt + ecx * 8], eax
    add eax, 4096
    inc ecx
    cmp ecx, 4
    jb 3b
    mov eax, offset pdpt + 3
    mov dword ptr [pml4], eax
    mov eax, offset pml4
    mov cr3, eax
    mov eax, cr4
    or eax, 0x620
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    and eax, 0xfffffffb
    or eax, 0x80000003
    mov cr0, eax
    lgdt [gdtr]
    push 8
    mov eax, offset start64
    push eax
    retf
    .code64
    start64:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    lea rsp, [rip + stack_top]
    lea rax, [rip + tick]
    lea rbx, [rip + idt + 512]
    mov [rbx], ax
    mov word ptr [rbx + 2], 8
    mov word ptr [rbx + 4], 0x8e00
    shr rax, 16
    mov [rbx + 6], ax
    lidt [rip + idtr]
    mov edi, dword ptr [rip + start_info]
    call guest
    4: hlt
    jmp 4b
    tick:
    push rax
    mov al, 0x20
    out 0x20, al
    pop rax
    iretq
"#
);

// ------------------------------------------------------------------ the machine

fn outb(port: u16, value: u8) {
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) }
}
fn inb(port: u16) -> u8 {
    let value;
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) }
    value
}
fn outw(port: u16, value: u16) {
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack)) }
}
fn inw(port: u16) -> u16 {
    let value;
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nomem, nostack)) }
    value
}
fn outl(port: u16, value: u32) {
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack)) }
}
fn inl(port: u16) -> u32 {
    let value;
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack)) }
    value
}

/// Sleeps until the timer ticks, 18 times a second.
fn sleep() {
    // May push: the compiler keeps nothing below the stack pointer across it.
    unsafe { asm!("sti", "hlt", "cli") }
}

fn timer() {
    // The interrupt controller, with its interrupts from 32 on; only the timer.
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xfe), (0xa1, 0xff)] {
        outb(port, value);
    }
}

fn say(parts: &[&[u8]]) {
    for part in parts.iter().chain([b"\r\n" as &[u8]].iter()) {
        for byte in *part {
            while inb(0x3fd) & 0x20 == 0 {}
            outb(0x3f8, *byte);
        }
    }
}

fn get<T>(at: u64) -> T {
    unsafe { read_volatile(at as *const T) }
}
fn put<T>(at: u64, value: T) {
    unsafe { write_volatile(at as *mut T, value) }
}
fn fence() {
    unsafe { asm!("mfence", options(nostack)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    unsafe { asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack)) }
    to
}
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, n: usize) -> *mut u8 {
    unsafe { asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") value as u8, options(nostack)) }
    to
}
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    while i < n {
        let (x, y) = unsafe { (read_volatile(a.add(i)), read_volatile(b.add(i))) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
        i += 1;
    }
    0
}
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    unsafe { memcmp(a, b, n) }
}
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    say(&[b"lab-guest: a fault in the guest itself"]);
    loop {
        sleep();
    }
}

// ------------------------------------------------------------------ PCI and virtio

fn pci(device: u32, offset: u32) -> u32 {
    outl(0xcf8, 1 << 31 | device << 8 | (offset & 0xfc));
    inl(0xcfc) >> (8 * (offset & 3))
}
fn pci_set(device: u32, offset: u32, value: u32) {
    outl(0xcf8, 1 << 31 | device << 8 | offset);
    outl(0xcfc, value);
}

/// All functions of all devices, on the buses that a small machine has.
fn functions() -> impl Iterator<Item = u32> {
    (0..16 * 256).filter(|d| pci(*d, 0) & 0xffff != 0xffff && (d % 8 == 0 || pci(*d & !7, 0xc) >> 16 & 0x80 != 0))
}

/// The lowest memory region of a device.
fn region(device: u32) -> u64 {
    pci_set(device, 4, pci(device, 4) & 0xffff | 6);
    let low = pci(device, 0x10);
    let high = if low & 6 == 4 { pci(device, 0x14) } else { 0 };
    u64::from(high) << 32 | u64::from(low & !15)
}

fn hex(value: u64, digits: usize) -> [u8; 16] {
    core::array::from_fn(|i| {
        if i < digits { b"0123456789abcdef"[(value >> (4 * (digits - 1 - i)) & 15) as usize] } else { 0 }
    })
}

/// Says which devices are there, and what some of them answer.
fn devices() {
    for device in functions() {
        let (id, class) = (u64::from(pci(device, 0)), pci(device, 8) >> 8);
        say(&[b"pci: ", trimmed(&hex(id & 0xffff, 4)), b":", trimmed(&hex(id >> 16, 4))]);
        // What lies beyond the first 4 GiB is not mapped.
        if region(device) >> 32 != 0 || region(device) == 0 {
            continue;
        }
        match class {
            0x0c0330 => {
                let base = region(device);
                let ports = get::<u32>(base + 4) >> 24;
                let first = base + u64::from(get::<u32>(base) & 0xff) + 0x400;
                let used = (0..ports).filter(|p| get::<u32>(first + 16 * u64::from(*p)) & 1 != 0).count();
                say(&[b"usb: ", trimmed(&hex(used as u64, 1)), b" in use"]);
            }
            0x010802 => say(&[b"nvme: version ", trimmed(&hex(u64::from(get::<u32>(region(device) + 8)), 8))]),
            0x020000 if id & 0xffff == 0x8086 => {
                let (low, high) = (get::<u32>(region(device) + 0x5400), get::<u32>(region(device) + 0x5404));
                let mac = u64::from(low.swap_bytes()) << 16 | u64::from((high as u16).swap_bytes());
                say(&[b"nic: ", trimmed(&hex(mac, 12))]);
            }
            _ => {}
        }
    }
}

/// One exchange with a virtio device: bytes to it on queue `to`, and what it wrote on queue `from` (the same, or its own).
fn exchange(virtio: &Virtio, to: u16, from: u16, request: &[u8]) -> Option<&'static [u8]> {
    let mut out = virtio.ring(to, 2);
    let mut back = (from != to).then(|| virtio.ring(from, 3));
    virtio.go();
    if let Some(back) = &back {
        back.describe(0, 2048, true, None);
        back.offer(0);
    }
    unsafe { out.buffer(0).copy_from_nonoverlapping(request.as_ptr(), request.len()) }
    let one = back.is_none();
    // Without a request the device only writes.
    let head = if request.is_empty() { 1 } else { 0 };
    out.describe(0, request.len() as u32, false, one.then_some(1));
    out.describe(1, 2048, true, None);
    out.offer(head);
    for _ in 0..18 * 30 {
        let (done, at) = match &mut back {
            Some(back) => (back.done(), back.buffer(0)),
            None => (out.done(), out.buffer(1)),
        };
        if let Some((_, length)) = done {
            return Some(unsafe { core::slice::from_raw_parts(at, length.min(2048)) });
        }
        sleep();
    }
    None
}

/// Asks virtio devices that have no driver of their own here.
fn virtio_devices() {
    if let Some(device) = find([0x1044, 0x1005]) {
        let bytes = exchange(&Virtio::new(device), 0, 0, &[]);
        let random = bytes.is_some_and(|b| b.len() >= 16 && b.iter().any(|x| *x != b[0]));
        say(&[b"rng: ", if random { b"random bytes" } else { b"FAILED" }]);
    }
    if let Some(device) = find([0x1053, 0x1012]) {
        let virtio = Virtio::new(device);
        let cid: u32 = get(virtio.config);
        // A request of a stream to a port of the host at which nobody listens.
        let mut packet = [0u8; 44];
        packet[0..4].copy_from_slice(&cid.to_le_bytes());
        packet[8] = 2;
        packet[16..18].copy_from_slice(&[9, 9]);
        packet[20..22].copy_from_slice(&[9, 9]);
        packet[28] = 1;
        packet[30] = 1;
        let answer = exchange(&virtio, 1, 0, &packet);
        // It resets.
        let reset = answer.is_some_and(|a| a.len() >= 44 && a[30] == 3);
        say(&[b"vsock: cid 0x", trimmed(&hex(u64::from(cid), 4)), if reset { b", answered" } else { b", FAILED" }]);
    }
    if let Some(device) = find([0x1049, 0x1009]) {
        let request = b"\x15\0\0\0\x64\xff\xff\0\x10\0\0\x08\x009P2000.L";
        let answer = exchange(&Virtio::new(device), 0, 0, request);
        let agreed = answer.is_some_and(|a| a.get(13..21) == Some(b"9P2000.L"));
        say(&[b"9p: ", if agreed { b"9P2000.L" } else { b"FAILED" }]);
    }
}

/// Devices that say who they are.
fn virtio_names() {
    for device in all([0x1052, 0x1052]) {
        // The name is one of the things that can be selected.
        let config = Virtio::new(device).config;
        put(config, 1u8);
        let length = usize::from(get::<u8>(config + 2)).min(64);
        let name: [u8; 64] = core::array::from_fn(|i| if i < length { get(config + 8 + i as u64) } else { 0 });
        say(&[b"input: ", trimmed(&name)]);
    }
    for device in all([0x1054, 0x1054]) {
        let ready = get::<u32>(Virtio::new(device).config) & 1 != 0;
        say(&[b"crypto: ", if ready { b"ready" } else { b"FAILED" }]);
    }
    for device in all([0x1050, 0x1050]) {
        let outputs = get::<u32>(Virtio::new(device).config + 8);
        say(&[b"gpu: ", trimmed(&hex(u64::from(outputs), 1)), b" outputs"]);
    }
}

/// A device by its virtio number: bus and slot.
fn find(ids: [u32; 2]) -> Option<u32> {
    all(ids).next()
}

/// All devices of a virtio number.
fn all(ids: [u32; 2]) -> impl Iterator<Item = u32> {
    // The first functions, of the buses that a small machine has.
    (0..16 * 256).filter(|d| d % 8 == 0 || *d < 256).filter(move |d| {
        let id = pci(*d, 0);
        id & 0xffff == 0x1af4 && ids.contains(&(id >> 16))
    })
}

/// ` 2`, ` 3`…: what comes behind the name of another device of its kind.
fn another(i: usize) -> [u8; 2] {
    if i == 0 { [0; 2] } else { [b' ', b'1' + i as u8] }
}

/// The first line of a text.
fn first_line(text: &[u8]) -> &[u8] {
    text.split(|b| *b == b'\n' || *b == 0).next().unwrap_or(b"")
}

const SIZE: usize = 16;

#[repr(C, align(4096))]
struct Queue {
    table: [[u64; 2]; SIZE],
    available: [u16; 4 + SIZE],
    used: [u32; 2 + 2 * SIZE],
    buffer: [[u8; 2048]; 4],
}

static mut QUEUES: [Queue; 8] = [const {
    Queue { table: [[0; 2]; SIZE], available: [0; 4 + SIZE], used: [0; 2 + 2 * SIZE], buffer: [[0; 2048]; 4] }
}; 8];

struct Ring {
    at: *mut Queue,
    number: u16,
    notify: u64,
    seen: u16,
}

impl Ring {
    fn buffer(&self, i: usize) -> *mut u8 {
        unsafe { addr_of_mut!((*self.at).buffer[i]).cast() }
    }
    /// Writes a descriptor: buffer, bytes, whether the device writes to it, the one that follows.
    fn describe(&self, i: usize, length: u32, to_us: bool, next: Option<u16>) {
        let flags = u64::from(next.is_some()) | u64::from(to_us) << 1;
        let second = u64::from(length) | flags << 32 | u64::from(next.unwrap_or(0)) << 48;
        unsafe { write_volatile(addr_of_mut!((*self.at).table[i]), [self.buffer(i) as u64, second]) }
    }
    fn offer(&self, head: u16) {
        unsafe {
            let index = read_volatile(addr_of!((*self.at).available[1]));
            write_volatile(addr_of_mut!((*self.at).available[2 + usize::from(index) % SIZE]), head);
            fence();
            write_volatile(addr_of_mut!((*self.at).available[1]), index.wrapping_add(1));
            fence();
        }
        put(self.notify, self.number);
    }
    /// The next chain that the device is done with: its head and the bytes it wrote.
    fn done(&mut self) -> Option<(usize, usize)> {
        fence();
        unsafe {
            let index = (read_volatile(addr_of!((*self.at).used[0])) >> 16) as u16;
            if index == self.seen {
                return None;
            }
            let slot = 1 + 2 * (usize::from(self.seen) % SIZE);
            self.seen = self.seen.wrapping_add(1);
            let head = read_volatile(addr_of!((*self.at).used[slot]));
            Some((head as usize % 4, read_volatile(addr_of!((*self.at).used[slot + 1])) as usize))
        }
    }
}

struct Virtio {
    common: u64,
    notify: u64,
    step: u64,
    config: u64,
}

impl Virtio {
    /// Finds the registers and resets the device.
    fn new(device: u32) -> Virtio {
        Virtio::with(device, 0)
    }
    /// The same, with features of its own.
    fn with(device: u32, own: u32) -> Virtio {
        pci_set(device, 4, pci(device, 4) & 0xffff | 6);
        let mut found = Virtio { common: 0, notify: 0, step: 0, config: 0 };
        let mut cap = pci(device, 0x34) & 0xfc;
        while cap != 0 {
            if pci(device, cap) & 0xff == 9 {
                let bar = 0x10 + 4 * (pci(device, cap + 4) & 0xff);
                let low = pci(device, bar);
                let high = if low & 6 == 4 { pci(device, bar + 4) } else { 0 };
                let at = (u64::from(high) << 32 | u64::from(low & !15)) + u64::from(pci(device, cap + 8));
                match pci(device, cap) >> 24 {
                    1 => found.common = at,
                    2 => (found.notify, found.step) = (at, u64::from(pci(device, cap + 16))),
                    4 => found.config = at,
                    _ => {}
                }
            }
            cap = pci(device, cap + 1) & 0xfc;
        }
        let status = found.common + 0x14;
        put(status, 0u8);
        while get::<u8>(status) != 0 {}
        put(status, 3u8);
        // Besides only "this is no legacy device".
        for (word, features) in [(0u32, own), (1, 1)] {
            put(found.common + 8, word);
            put(found.common + 12, features);
        }
        put(status, 11u8);
        found
    }
    fn ring(&self, number: u16, which: usize) -> Ring {
        let at = unsafe { addr_of_mut!(QUEUES[which]) };
        // Another device may have had it before.
        unsafe {
            addr_of_mut!((*at).available).write_volatile([0; 4 + SIZE]);
            addr_of_mut!((*at).used).write_volatile([0; 2 + 2 * SIZE]);
        }
        let c = self.common;
        put(c + 0x16, number);
        put(c + 0x18, SIZE as u16);
        put(c + 0x1a, 0xffffu16);
        let notify = self.notify + u64::from(get::<u16>(c + 0x1e)) * self.step;
        unsafe {
            for (offset, address) in [
                (0x20, addr_of!((*at).table) as u64),
                (0x28, addr_of!((*at).available) as u64),
                (0x30, addr_of!((*at).used) as u64),
            ] {
                put(c + offset, address as u32);
                put(c + offset + 4, (address >> 32) as u32);
            }
        }
        put(c + 0x1c, 1u16);
        Ring { at, number, notify, seen: 0 }
    }
    /// A ring that is there already: where its two sides are.
    fn again(&self, number: u16, which: usize) -> Ring {
        let at = unsafe { addr_of_mut!(QUEUES[which]) };
        put(self.common + 0x16, number);
        let notify = self.notify + u64::from(get::<u16>(self.common + 0x1e)) * self.step;
        Ring { at, number, notify, seen: 0 }
    }
    fn go(&self) {
        put(self.common + 0x14, 15u8);
    }
}

// ------------------------------------------------------------------ virtio-fs

struct Fs {
    ring: Ring,
}

impl Fs {
    /// One request: operation, node, its parts. The answer without its header, or none after an error.
    fn ask(&mut self, operation: u32, node: u64, parts: &[&[u8]]) -> Option<&'static [u8]> {
        let request = self.ring.buffer(0);
        let mut length = 40;
        unsafe {
            for part in parts {
                request.add(length).copy_from_nonoverlapping(part.as_ptr(), part.len());
                length += part.len();
            }
            let words = request.cast::<u32>();
            for (i, word) in
                [length as u32, operation, 1, 0, node as u32, (node >> 32) as u32, 0, 0, 0, 0].iter().enumerate()
            {
                words.add(i).write_volatile(*word);
            }
        }
        self.ring.describe(0, length as u32, false, Some(1));
        self.ring.describe(1, 2048, true, None);
        self.ring.offer(0);
        let answer = self.ring.buffer(1);
        for _ in 0..18 * 60 {
            if self.ring.done().is_some() {
                let (length, error) = (get::<u32>(answer as u64) as usize, get::<i32>(answer as u64 + 4));
                let ok = error == 0 && (16..=2048).contains(&length);
                return ok.then(|| unsafe { core::slice::from_raw_parts(answer.add(16), length - 16) });
            }
            sleep();
        }
        None
    }

    fn number(answer: &[u8], at: usize) -> u64 {
        answer.get(at..at + 8).map_or(0, |b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
    }

    fn words(words: &[u32]) -> &[u8] {
        unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), 4 * words.len()) }
    }

    /// INIT, LOOKUP, OPEN, READ; then CREATE and WRITE. What failed, or the text that was read.
    fn visit(&mut self, name: &[u8]) -> Result<&'static [u8], &'static [u8]> {
        self.ask(26, 0, &[Self::words(&[7, 31, 0, 0])]).ok_or(b"init" as &[u8])?;
        // As Linux does it: CREATE only what LOOKUP did not find. The virtiofsd in C dies of anything else.
        let (node, file) = match self.ask(1, 1, &[b"from-", name, b"\0"]).map(|entry| Self::number(entry, 0)) {
            Some(node) => {
                let opened = self.ask(14, node, &[Self::words(&[2, 0])]).ok_or(b"open" as &[u8])?;
                (node, Self::number(opened, 0) as u32)
            }
            None => {
                let made = self.ask(35, 1, &[Self::words(&[0o102, 0o644, 0, 0]), b"from-", name, b"\0"]);
                let made = made.ok_or(b"create" as &[u8])?;
                (Self::number(made, 0), Self::number(made, 128) as u32)
            }
        };
        let text = b"written by the guest\n";
        self.ask(16, node, &[Self::words(&[file, 0, 0, 0, text.len() as u32, 0, 0, 0, 0, 0]), text])
            .ok_or(b"write" as &[u8])?;
        let node = Self::number(self.ask(1, 1, &[b"to-guest\0"]).ok_or(b"lookup" as &[u8])?, 0);
        let file = Self::number(self.ask(14, node, &[Self::words(&[0, 0])]).ok_or(b"open" as &[u8])?, 0) as u32;
        let read = self.ask(15, node, &[Self::words(&[file, 0, 0, 0, 1024, 0, 0, 0, 0, 0])]).ok_or(b"read" as &[u8])?;
        Ok(read.split(|b| *b == b'\n').next().unwrap_or(b""))
    }
}

// ------------------------------------------------------------------ virtio-net

/// The virtio header, the addresses and the type of a frame that no protocol uses.
const HEAD: usize = 12 + 14;
const TYPE: [u8; 2] = [0x88, 0xb5];

struct Net {
    receive: Ring,
    send: Ring,
    own: [u8; 6],
    busy: bool,
}

impl Net {
    fn new(device: u32) -> Net {
        let virtio = Virtio::new(device);
        let own = core::array::from_fn(|i| get(virtio.config + i as u64));
        let (receive, send) = (virtio.ring(0, 0), virtio.ring(1, 1));
        virtio.go();
        for i in 0..4 {
            receive.describe(i, 2048, true, None);
            receive.offer(i as u16);
        }
        Net { receive, send, own, busy: false }
    }
    fn send(&mut self, to: [u8; 6], verb: u8, name: &[u8]) {
        while self.busy && self.send.done().is_none() {
            sleep();
        }
        let frame = unsafe { core::slice::from_raw_parts_mut(self.send.buffer(0), 128) };
        frame.fill(0);
        frame[12..18].copy_from_slice(&to);
        frame[18..24].copy_from_slice(&self.own);
        frame[24..26].copy_from_slice(&TYPE);
        frame[HEAD] = verb;
        frame[HEAD + 1..].iter_mut().zip(name).for_each(|(slot, byte)| *slot = *byte);
        self.send.describe(0, 128, false, None);
        self.send.offer(0);
        self.busy = true;
    }
    /// A frame of our type: who sent it, and what: a verb and a name.
    fn receive(&mut self) -> Option<([u8; 6], u8, [u8; 32])> {
        while let Some((head, length)) = self.receive.done() {
            let frame = unsafe { core::slice::from_raw_parts(self.receive.buffer(head), length.min(2048)) };
            let ours = frame.len() >= HEAD + 33 && frame[24..26] == TYPE;
            let found = ours.then(|| {
                (core::array::from_fn(|i| frame[18 + i]), frame[HEAD], core::array::from_fn(|i| frame[HEAD + 1 + i]))
            });
            self.receive.offer(head as u16);
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

// ------------------------------------------------------------------ virtio-blk

/// One sector from or to the disk: the request, the data, the status.
fn sector(ring: &mut Ring, number: u64, write: bool) -> bool {
    put(ring.buffer(0) as u64, u64::from(write));
    put(ring.buffer(0) as u64 + 8, number);
    put(ring.buffer(2) as u64, 0xffu8);
    ring.describe(0, 16, false, Some(1));
    ring.describe(1, 512, !write, Some(2));
    ring.describe(2, 1, true, None);
    ring.offer(0);
    for _ in 0..18 * 60 {
        if ring.done().is_some() {
            return get::<u8>(ring.buffer(2) as u64) == 0;
        }
        sleep();
    }
    false
}

/// Copies the second sector to the third. The text in it, and whether it could be written.
fn disk(device: u32) -> Option<(&'static [u8], bool)> {
    let virtio = Virtio::new(device);
    let mut ring = virtio.ring(0, 3);
    virtio.go();
    let done = sector(&mut ring, 1, false);
    let written = done && sector(&mut ring, 2, true);
    let text = unsafe { core::slice::from_raw_parts(ring.buffer(1), 512) };
    done.then(|| (first_line(text), written))
}

fn disks() {
    for (i, device) in all([0x1042, 0x1001]).enumerate() {
        match disk(device) {
            Some((text, true)) => say(&[b"disk", trimmed(&another(i)), b": ", text]),
            Some((text, false)) => say(&[b"disk", trimmed(&another(i)), b": ", text, b" (read only)"]),
            None => say(&[b"disk", trimmed(&another(i)), b": FAILED"]),
        }
    }
}

// ------------------------------------------------------------------ virtio-scsi

/// One command to a target, with what goes to it or the room for what comes back: its status.
fn scsi(ring: &mut Ring, (target, unit): (u8, u8), command: &[u8], out: &[u8], back: u32) -> Option<u8> {
    let request = ring.buffer(0);
    unsafe { core::ptr::write_bytes(request, 0, 64) }
    for (i, byte) in [1, target, 0x40, unit].iter().enumerate() {
        put(request as u64 + i as u64, *byte);
    }
    for (i, byte) in command.iter().enumerate() {
        put(request as u64 + 19 + i as u64, *byte);
    }
    unsafe { ring.buffer(3).copy_from_nonoverlapping(out.as_ptr(), out.len()) }
    put(ring.buffer(1) as u64 + 11, 0xffu8);
    ring.describe(0, 51, false, Some(if out.is_empty() { 1 } else { 3 }));
    ring.describe(3, out.len() as u32, false, Some(1));
    ring.describe(1, 108, true, (back > 0).then_some(2));
    ring.describe(2, back, true, None);
    ring.offer(0);
    for _ in 0..18 * 60 {
        if ring.done().is_some() {
            let at = ring.buffer(1) as u64;
            return (get::<u8>(at + 11) == 0).then(|| get::<u8>(at + 10));
        }
        sleep();
    }
    None
}

/// Says what is at the first targets: who made it, its second sector, which goes to the third.
fn scsi_disks(device: u32) {
    let virtio = Virtio::new(device);
    put(virtio.common + 0x16, 2u16);
    let mut ring = virtio.ring(2, 3);
    virtio.go();
    for target in (0..4).flat_map(|target| (0..4).map(move |unit| (target, unit))) {
        // The first answer may be that it has just been switched on.
        let _ = scsi(&mut ring, target, &[0], &[], 0);
        if scsi(&mut ring, target, &[0x12, 0, 0, 0, 36], &[], 36) != Some(0) {
            continue;
        }
        let mut who = [0u8; 36];
        unsafe { who.as_mut_ptr().copy_from_nonoverlapping(ring.buffer(2), 36) }
        // There may be a target without this unit.
        if who[0] & 0xe0 != 0 {
            continue;
        }
        let block = if who[0] & 31 == 5 { 2048u32 } else { 512 };
        let read = [0x28, 0, 0, 0, 0, u8::from(block == 512), 0, 0, 1];
        let done = scsi(&mut ring, target, &read, &[], block.min(2048)) == Some(0);
        let skip = if block == 512 { 0 } else { 512 };
        let mut text = [0u8; 512];
        unsafe { text.as_mut_ptr().copy_from_nonoverlapping(ring.buffer(2).add(skip), 512) }
        let written = block == 512 && done && scsi(&mut ring, target, &[0x2a, 0, 0, 0, 0, 2, 0, 0, 1], &text, 0) == Some(0);
        // Persistent reservations: the keys that are registered.
        let keys = scsi(&mut ring, target, &[0x5e, 0, 0, 0, 0, 0, 0, 0, 64], &[], 64) == Some(0);
        let text = if done { first_line(&text) } else { b"not read" };
        let also: &[u8] = if written { b"" } else { b" (read only)" };
        let number = [b'0' + target.0, b'.', b'0' + target.1];
        say(&[b"scsi ", &number, b": ", &who[8..32], b": ", text, also, if keys { b", keys" } else { b"" }]);
    }
}

// ------------------------------------------------------------------ virtio-serial

/// Opens the ports of a virtio-serial, says their names, and writes a line to each.
fn channels(device: u32, name: &[u8]) {
    // The console at the first port has no other sign of life.
    let virtio = Virtio::with(device, 2);
    let mut back = virtio.ring(2, 4);
    let mut control = virtio.ring(3, 5);
    let mut first = virtio.ring(1, 3);
    let ports = get::<u32>(virtio.config + 4).min(8) as u16;
    for port in 1..ports {
        // Only one of them is written to at a time: they share a ring.
        virtio.ring(2 * (port + 1) + 1, 6);
    }
    virtio.go();
    for i in 0..4 {
        back.describe(i, 2048, true, None);
        back.offer(i as u16);
    }
    let mut tell = |id: u32, event: u16, value: u16| {
        let at = control.buffer(0) as u64;
        put(at, id);
        put(at + 4, event);
        put(at + 6, value);
        control.describe(0, 8, false, None);
        control.offer(0);
        for _ in 0..18 * 5 {
            if control.done().is_some() {
                break;
            }
            sleep();
        }
    };
    tell(u32::MAX, 0, 1);
    let mut quiet = 0;
    while quiet < 9 {
        let Some((head, length)) = back.done() else {
            quiet += 1;
            sleep();
            continue;
        };
        let at = back.buffer(head) as u64;
        let (id, event) = (get::<u32>(at), get::<u16>(at + 4));
        match event {
            1 => {
                tell(id, 3, 1);
                tell(id, 6, 1);
            }
            5 => {}
            7 => {
                let text = unsafe { core::slice::from_raw_parts((at + 8) as *const u8, length.clamp(8, 128) - 8) };
                say(&[b"channel: ", first_line(text)]);
                // An agent of SPICE says no lines: QEMU's own clipboard does not come to an end over one.
                if id < u32::from(ports) && first_line(text) != b"com.redhat.spice.0" {
                    let mut ring = virtio.again(2 * (id as u16 + 1) + 1, 6);
                    line(&mut ring, name);
                }
            }
            _ => {}
        }
        // A console has no name.
        if event == 1 && id == 0 {
            say(&[b"channel: the console"]);
            line(&mut first, name);
        }
        back.offer(head as u16);
    }
}

/// A line to a port.
fn line(ring: &mut Ring, name: &[u8]) {
    let mut length = 0;
    for part in [b"hello from " as &[u8], name, b"\n"] {
        unsafe { ring.buffer(0).add(length).copy_from_nonoverlapping(part.as_ptr(), part.len()) }
        length += part.len();
    }
    ring.describe(0, length as u32, false, None);
    ring.offer(0);
    for _ in 0..18 * 2 {
        if ring.done().is_some() {
            return;
        }
        sleep();
    }
}

// ------------------------------------------------------------------ memory

unsafe extern "C" {
    static mut pd: [u64; 2048];
}

/// Maps two megabytes of memory that lie anywhere; only the last such call counts. Takes the place of addresses that
/// small machines do not have.
fn window(at: u64) -> u64 {
    const SLOT: usize = 1000;
    let virt = (SLOT as u64) << 21;
    unsafe {
        write_volatile(addr_of_mut!(pd[SLOT]), (at & !0x1f_ffff) | 0x83);
        asm!("invlpg [{}]", in(reg) virt, options(nostack));
    }
    virt + (at & 0x1f_ffff)
}

/// Reads a line of memory, and writes one two kilobytes behind.
fn memory(what: &[u8], at: u64) {
    let here = window(at);
    let text = unsafe { core::slice::from_raw_parts(here as *const u8, 64) };
    say(&[what, b": ", first_line(text)]);
    for (i, byte) in b"written by the guest\n".iter().enumerate() {
        put(here + 2048 + i as u64, *byte);
    }
}

/// Counts the memory that the map of the start has, and uses a little of each 2 MiB.
fn count(info: u64) {
    let (map, entries) = (get::<u64>(info + 40), u64::from(get::<u32>(info + 48)));
    let (mut bytes, mut works) = (0, true);
    for entry in (0..entries.min(64)).map(|i| map + 24 * i) {
        let (start, length, kind) = (get::<u64>(entry), get::<u64>(entry + 8), get::<u32>(entry + 16));
        if kind != 1 {
            continue;
        }
        bytes += length;
        // The first megabytes have this program.
        for page in (start.max(16 << 20)..start + length & !0x1f_ffff).step_by(2 << 20).take(1024) {
            let here = window(page) + 64;
            put(here, page ^ 0x5aa5);
            works &= get::<u64>(here) == page ^ 0x5aa5;
        }
    }
    let mut digits = [0u8; 8];
    say(&[b"memory: ", decimal((bytes + (1 << 20) - 1) >> 20, &mut digits), if works { b" MiB" } else { b" MiB, FAILED" }]);
}

fn decimal(mut value: u64, digits: &mut [u8; 8]) -> &[u8] {
    let mut at = digits.len();
    while at > 0 && (value > 0 || at == digits.len()) {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    &digits[at..]
}

/// The address of the first NVDIMM: what ACPI says in its table NFIT.
fn nvdimm(info: u64) -> Option<u64> {
    let root = get::<u64>(info + 32);
    let directory = u64::from(get::<u32>(root + 16));
    let tables = (get::<u32>(directory + 4).saturating_sub(36) / 4).min(64);
    let table = (0..u64::from(tables)).map(|i| u64::from(get::<u32>(directory + 36 + 4 * i)));
    let table = table.into_iter().find(|t| get::<u32>(*t) == u32::from_le_bytes(*b"NFIT"))?;
    let end = table + u64::from(get::<u32>(table + 4));
    let mut at = table + 40;
    while at + 4 <= end {
        let (kind, length) = (get::<u16>(at), u64::from(get::<u16>(at + 2)));
        if kind == 0 {
            return Some(get::<u64>(at + 32));
        }
        at += length.max(4);
    }
    None
}

/// A memory region of a device, by its number.
fn bar(device: u32, number: u32) -> u64 {
    pci_set(device, 4, pci(device, 4) & 0xffff | 6);
    let low = pci(device, 0x10 + 4 * number);
    let high = if low & 6 == 4 { pci(device, 0x14 + 4 * number) } else { 0 };
    u64::from(high) << 32 | u64::from(low & !15)
}

/// What hosts lend as memory.
fn memories(info: u64) {
    if let Some(at) = nvdimm(info) {
        memory(b"nvdimm", at);
    }
    for device in all([0x105b, 0x105b]) {
        memory(b"pmem", get(Virtio::new(device).config));
    }
    for device in all([0x1110, 0x1110]) {
        memory(b"shmem", bar(device, 2));
    }
    for device in all([0x1058, 0x1058]) {
        let virtio = Virtio::new(device);
        let mut digits = [0u8; 8];
        say(&[b"mem: ", decimal(get::<u64>(virtio.config + 24) >> 20, &mut digits), b" MiB"]);
    }
}

// ------------------------------------------------------------------ ports of old

/// Files that the host hands over.
fn fw_cfg() {
    let byte = || inb(0x511);
    let number = |n: usize| (0..n).fold(0u32, |all, _| all << 8 | u32::from(byte()));
    outw(0x510, 0x19);
    let files = number(4).min(128);
    for i in 0..files {
        outw(0x510, 0x19);
        (0..4 + 64 * i).for_each(|_| {
            byte();
        });
        let (size, select) = (number(4), number(2));
        number(2);
        let name: [u8; 56] = core::array::from_fn(|_| byte());
        if !name.starts_with(b"opt/") {
            continue;
        }
        outw(0x510, select as u16);
        let mut text = [0u8; 60];
        text.iter_mut().take(size as usize).for_each(|slot| *slot = byte());
        say(&[b"fw_cfg: ", trimmed(&name), b" = ", first_line(&text)]);
    }
}

/// A line to the other serial ports and to the parallel port.
fn ports(name: &[u8]) {
    for base in [0x2f8u16, 0x3e8, 0x2e8] {
        // A register that keeps what is written, where there is a port.
        outb(base + 7, 0x5a);
        if inb(base + 7) != 0x5a {
            continue;
        }
        outb(base + 4, 3);
        for byte in [b"hello from " as &[u8], name, b"\r\n"].into_iter().flatten() {
            // One that nobody reads takes no more.
            for _ in 0..1000 {
                if inb(base + 5) & 0x20 != 0 {
                    break;
                }
            }
            outb(base, *byte);
        }
    }
    for byte in [b"hello from " as &[u8], name, b"\r\n"].into_iter().flatten() {
        outb(0x378, *byte);
        outb(0x37a, 0x0d);
        outb(0x37a, 0x0c);
    }
}

// ------------------------------------------------------------------ the rest

const TPM: u64 = 0xfed4_0000;

/// Asks the TPM for random bytes: what to say; none without a TPM.
fn tpm() -> Option<&'static [u8]> {
    match get::<u32>(TPM + 0x30) & 15 {
        1 => Some(if crb() { b"tpm: random bytes" } else { b"tpm: FAILED" }),
        _ if matches!(get::<u32>(TPM + 0xf00), 0 | u32::MAX) => None,
        _ => Some(tis()),
    }
}

/// Says by the CRB interface: eight random bytes.
fn crb() -> bool {
    // Request the locality; get ready.
    put(TPM + 8, 1u32);
    put(TPM + 0x40, 1u32);
    for _ in 0..90 {
        if get::<u32>(TPM + 0x40) & 1 == 0 {
            break;
        }
        sleep();
    }
    for (i, byte) in RANDOM_2.iter().enumerate() {
        put(TPM + 0x80 + i as u64, *byte);
    }
    put(TPM + 0x4c, 1u32);
    for _ in 0..180 {
        if get::<u32>(TPM + 0x4c) == 0 {
            let code = u32::from_be_bytes(core::array::from_fn(|i| get(TPM + 0x86 + i as u64)));
            return code == 0 && get::<u8>(TPM + 0x85) == 20;
        }
        sleep();
    }
    false
}

/// TPM2_GetRandom of eight bytes; TPM_GetRandom, of version 1.2.
const RANDOM_2: [u8; 12] = [0x80, 0x01, 0, 0, 0, 0x0c, 0, 0, 0x01, 0x7b, 0, 8];
const RANDOM_1: [u8; 14] = [0, 0xc1, 0, 0, 0, 0x0e, 0, 0, 0, 0x46, 0, 0, 0, 8];
/// TPM_Startup and TPM_ContinueSelfTest, of version 1.2.
const STARTUP_1: [u8; 12] = [0, 0xc1, 0, 0, 0, 0x0c, 0, 0, 0, 0x99, 0, 1];
const SELF_TEST_1: [u8; 10] = [0, 0xc1, 0, 0, 0, 0x0a, 0, 0, 0, 0x53];

/// The same by the TIS interface. A TPM of version 1.2 does not know the question of 2.0.
fn tis() -> &'static [u8] {
    if tis_asks(&RANDOM_2) == Some(0) {
        return b"tpm: random bytes";
    }
    let _ = tis_asks(&STARTUP_1);
    let _ = tis_asks(&SELF_TEST_1);
    if tis_asks(&RANDOM_1) == Some(0) { b"tpm 1.2: random bytes" } else { b"tpm: FAILED" }
}

/// One command by the TIS interface: its return code.
fn tis_asks(command: &[u8]) -> Option<u32> {
    let until = |bits: u8| {
        (0..18 * 20).any(|_| {
            let there = get::<u8>(TPM + 0x18) & bits == bits;
            if !there {
                sleep();
            }
            there
        })
    };
    put(TPM, 2u8);
    put(TPM + 0x18, 0x40u8);
    if !until(0x40) {
        return None;
    }
    command.iter().for_each(|byte| put(TPM + 0x24, *byte));
    put(TPM + 0x18, 0x20u8);
    let answer = until(0x90).then(|| core::array::from_fn::<u8, 10, _>(|_| get(TPM + 0x24)));
    put(TPM + 0x18, 0x40u8);
    answer.map(|a| u32::from_be_bytes([a[6], a[7], a[8], a[9]]))
}

const PM_STATUS: u16 = 0x600;

fn trimmed(name: &[u8]) -> &[u8] {
    name.split(|b| *b == 0).next().unwrap_or(b"")
}

#[unsafe(no_mangle)]
extern "C" fn guest(info: u64) -> ! {
    timer();
    outw(PM_STATUS + 2, 0x100);
    let line: u64 = get(info + 24);
    let mut name = [0u8; 32];
    for (i, slot) in name.iter_mut().enumerate().take(31) {
        *slot = if line == 0 { 0 } else { get(line + i as u64) };
        if *slot == 0 {
            break;
        }
    }
    let name = trimmed(&name);
    say(&[b"lab-guest: this is ", name]);
    devices();
    virtio_devices();
    virtio_names();
    count(info);
    fw_cfg();
    ports(name);
    if let Some(text) = tpm() {
        say(&[text]);
    }
    memories(info);
    disks();
    all([0x1048, 0x1004]).for_each(scsi_disks);
    for (i, device) in all([0x105a, 0x105a]).enumerate() {
        let virtio = Virtio::new(device);
        let mut fs = Fs { ring: virtio.ring(1, 2) };
        virtio.go();
        match fs.visit(name) {
            Ok(text) => say(&[b"fs", trimmed(&another(i)), b": ", text]),
            Err(step) => say(&[b"fs", trimmed(&another(i)), b": FAILED: ", step]),
        }
    }
    all([0x1043, 0x1003]).for_each(|device| channels(device, name));
    let mut net = find([0x1041, 0x1000]).map(Net::new);
    say(&[b"lab-guest: ready"]);
    let (mut heard, mut answered, mut pressed) = (false, false, None);
    for ticks in 0u32.. {
        if let Some(net) = &mut net {
            while let Some((from, verb, other)) = net.receive() {
                // A group of IP multicast also hands back what one has sent.
                if trimmed(&other) == name {
                    continue;
                }
                if verb == b'?' {
                    net.send(from, b'!', name);
                    if !heard {
                        say(&[b"net: heard ", trimmed(&other)]);
                    }
                    heard = true;
                } else if !answered {
                    answered = true;
                    say(&[b"net: ", trimmed(&other), b" answers"]);
                }
            }
            if ticks % 9 == 0 {
                net.send([0xff; 6], b'?', name);
            }
        }
        let status = inw(PM_STATUS);
        if status != 0xffff && status & 0x100 != 0 && pressed.is_none() {
            pressed = Some(ticks);
            say(&[b"lab-guest: heard the power button"]);
        }
        // One is deaf, and one takes its time.
        let patience = if name == b"deaf" { u32::MAX } else if name == b"slow" { 18 * 40 } else { 0 };
        if pressed.is_some_and(|at| ticks - at >= patience) {
            say(&[b"lab-guest: powering off"]);
            outw(PM_STATUS + 4, 0x2000);
        }
        match if inb(0x3fd) & 1 == 0 { 0 } else { inb(0x3f8) } {
            b'p' => outb(0x505, 1),
            b'r' => outb(0x64, 0xfe),
            0 | b'\r' | b'\n' => {}
            letter => say(&[b"console: heard ", &[letter]]),
        }
        sleep();
    }
    loop {}
}
