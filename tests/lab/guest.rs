//! A guest that uses its devices, without an operating system: an ELF image that QEMU starts by PVH. It needs no
//! download and no Linux, so that it boots in seconds even where emulation emulates.
//!
//! It says on the serial port what works, one line each:
//! - `pci: VVVV:DDDD`: a device, its vendor and number;
//! - `usb: N in use`: so many ports of an xHCI controller have a device;
//! - `nvme: version V`, `nic: MAC`: registers of an NVMe drive, of an Intel network card;
//! - `rng: random bytes`, `vsock: cid N, answered`, `9p: 9P2000.L`: virtio devices that answered;
//! - `tpm: …` the TPM (CRB) gave random bytes;
//! - `disk: …` the second sector of the first virtio disk was read, and written to the third;
//! - `fs: …` the first virtio-fs was mounted, its file `to-guest` read, a file `from-NAME` written;
//! - `net: heard X`, `net: X answers`: frames went over virtio-net to another such guest and back;
//! - `console: heard X`: a letter was typed on the serial port (`p` panics, `r` reboots);
//! - `powering off` when the ACPI power button is pressed.
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

/// A device by its virtio number: bus and slot.
fn find(ids: [u32; 2]) -> Option<u32> {
    // The first functions, of the buses that a small machine has.
    (0..16 * 256).filter(|d| d % 8 == 0 || *d < 256).find(|d| {
        let id = pci(*d, 0);
        id & 0xffff == 0x1af4 && ids.contains(&(id >> 16))
    })
}

const SIZE: usize = 16;

#[repr(C, align(4096))]
struct Queue {
    table: [[u64; 2]; SIZE],
    available: [u16; 4 + SIZE],
    used: [u32; 2 + 2 * SIZE],
    buffer: [[u8; 2048]; 4],
}

static mut QUEUES: [Queue; 4] = [const {
    Queue { table: [[0; 2]; SIZE], available: [0; 4 + SIZE], used: [0; 2 + 2 * SIZE], buffer: [[0; 2048]; 4] }
}; 4];

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
        // Only "this is no legacy device".
        for (word, features) in [(0u32, 0u32), (1, 1)] {
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

/// Copies the second sector to the third. The text in it.
fn disk(device: u32) -> Option<&'static [u8]> {
    let virtio = Virtio::new(device);
    let mut ring = virtio.ring(0, 3);
    virtio.go();
    let done = sector(&mut ring, 1, false) && sector(&mut ring, 2, true);
    let text = unsafe { core::slice::from_raw_parts(ring.buffer(1), 512) };
    done.then(|| text.split(|b| *b == b'\n').next().unwrap_or(b""))
}

// ------------------------------------------------------------------ the rest

/// Asks the TPM for random bytes; how it answered, none without a TPM.
fn tpm() -> Option<u32> {
    const BASE: u64 = 0xfed4_0000;
    // The interface identifier: a CRB.
    if get::<u32>(BASE + 0x30) & 15 != 1 {
        return None;
    }
    // Request the locality; get ready.
    put(BASE + 8, 1u32);
    put(BASE + 0x40, 1u32);
    for _ in 0..90 {
        if get::<u32>(BASE + 0x40) & 1 == 0 {
            break;
        }
        sleep();
    }
    for (i, byte) in [0x80, 0x01, 0, 0, 0, 0x0c, 0, 0, 0x01, 0x7b, 0, 8u8].iter().enumerate() {
        put(BASE + 0x80 + i as u64, *byte);
    }
    put(BASE + 0x4c, 1u32);
    for _ in 0..180 {
        if get::<u32>(BASE + 0x4c) == 0 {
            let code = u32::from_be_bytes(core::array::from_fn(|i| get(BASE + 0x86 + i as u64)));
            let length: u8 = get(BASE + 0x85);
            return Some(if code == 0 && length == 20 { 0 } else { 1 });
        }
        sleep();
    }
    Some(u32::MAX)
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
    match tpm() {
        Some(0) => say(&[b"tpm: random bytes"]),
        Some(_) => say(&[b"tpm: FAILED"]),
        None => {}
    }
    if let Some(device) = find([0x1042, 0x1001]) {
        match disk(device) {
            Some(text) => say(&[b"disk: ", text]),
            None => say(&[b"disk: FAILED"]),
        }
    }
    if let Some(device) = find([0x105a, 0x105a]) {
        let virtio = Virtio::new(device);
        let mut fs = Fs { ring: virtio.ring(1, 2) };
        virtio.go();
        match fs.visit(name) {
            Ok(text) => say(&[b"fs: ", text]),
            Err(step) => say(&[b"fs: FAILED: ", step]),
        }
    }
    let mut net = find([0x1041, 0x1000]).map(Net::new);
    say(&[b"lab-guest: ready"]);
    let (mut heard, mut answered) = (false, false);
    for ticks in 0u32.. {
        if let Some(net) = &mut net {
            while let Some((from, verb, other)) = net.receive() {
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
        if status != 0xffff && status & 0x100 != 0 {
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
