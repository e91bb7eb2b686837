//! A guest of a few hundred bytes, made without an assembler: as a disk with a boot sector, or as a
//! kernel for direct boot (the bzImage form, entered in real mode).
//!
//! It writes a line to the first serial port, with the kernel command line if there is one, and then
//! waits. The ACPI power button powers it off. Letters on the serial port make it act: `q` powers
//! off, `r` reboots, `p` reports a panic (device pvpanic), any other is echoed.
//!
//! It runs with SeaBIOS, on the machines pc and q35, under TCG as under KVM.

/// What it writes first.
pub const GREETING: &str = "virtc guest: ready";
/// What it writes when the power button was pressed.
pub const FAREWELL: &str = "virtc guest: powering off";

/// First serial port; its line status is 5 above.
const SERIAL: u16 = 0x3f8;
const LINE_STATUS: u16 = SERIAL + 5;
/// Where SeaBIOS puts the ACPI power management registers, on pc and q35: status, enable at 2, control at 4.
const PM_STATUS: u16 = 0x600;
const PM_ENABLE: u16 = 0x602;
const PM_CONTROL: u16 = 0x604;
/// The power button, in status and enable.
const BUTTON: u16 = 0x100;
/// Go to the sleep state 0, which is off on QEMU's machines.
const SLEEP: u16 = 0x2000;
/// QEMU's ISA panic device.
const PVPANIC: u16 = 0x505;
/// The keyboard controller, which also resets the machine.
const KEYBOARD: u16 = 0x64;

/// Real-mode machine code with labels.
struct Code {
    origin: u16,
    bytes: Vec<u8>,
    labels: Vec<(&'static str, u16)>,
    /// Place of a reference, its label, and whether it is absolute (16 bits) or relative (8 bits).
    references: Vec<(usize, &'static str, bool)>,
}

impl Code {
    fn label(&mut self, name: &'static str) {
        let here = self.origin + self.bytes.len() as u16;
        self.labels.push((name, here));
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn with_word(&mut self, opcode: u8, word: u16) {
        self.bytes.push(opcode);
        self.raw(&word.to_le_bytes());
    }

    fn mov_dx(&mut self, port: u16) {
        self.with_word(0xba, port);
    }

    fn mov_ax(&mut self, value: u16) {
        self.with_word(0xb8, value);
    }

    /// A jump over at most 127 bytes.
    fn jump(&mut self, opcode: u8, to: &'static str) {
        self.bytes.push(opcode);
        self.references.push((self.bytes.len(), to, false));
        self.bytes.push(0);
    }

    /// `mov si, label` and `call label`.
    fn with_label(&mut self, opcode: u8, to: &'static str) {
        self.bytes.push(opcode);
        self.references.push((self.bytes.len(), to, true));
        self.raw(&[0, 0]);
    }

    fn text(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }

    fn finish(mut self) -> Vec<u8> {
        let find = |labels: &[(&str, u16)], name: &str| {
            labels.iter().find(|(n, _)| *n == name).map(|(_, at)| *at).expect("every label is placed below")
        };
        for (at, name, absolute) in std::mem::take(&mut self.references) {
            let target = find(&self.labels, name);
            if absolute {
                // `call` is relative to the next instruction, `mov` absolute.
                let is_call = self.bytes[at - 1] == 0xe8;
                let value = if is_call { target.wrapping_sub(self.origin + at as u16 + 2) } else { target };
                self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            } else {
                let distance = i32::from(target) - i32::from(self.origin) - (at as i32 + 1);
                self.bytes[at] = i8::try_from(distance).expect("the code is short") as u8;
            }
        }
        self.bytes
    }
}

const JMP: u8 = 0xeb;
const JZ: u8 = 0x74;
const JNZ: u8 = 0x75;
const CALL: u8 = 0xe8;
const MOV_SI: u8 = 0xbe;

/// The program. `origin` is the offset in its segment at which it lies; for a kernel, the segment starts with the boot
/// sector, and the address of the command line is in the header.
fn program(origin: u16, is_kernel: bool) -> Vec<u8> {
    let mut code = Code { origin, bytes: Vec::new(), labels: Vec::new(), references: Vec::new() };
    let c = &mut code;
    c.raw(&[0xfa, 0xfc]); // cli; cld
    if is_kernel {
        c.raw(&[0x8c, 0xc8]); // mov ax, cs: 0x20 paragraphs above the segment of the boot sector
        c.raw(&[0x2d, 0x20, 0x00]); // sub ax, 0x20
    } else {
        c.raw(&[0x31, 0xc0]); // xor ax, ax
    }
    c.raw(&[0x8e, 0xd8]); // mov ds, ax
    if !is_kernel {
        c.raw(&[0x8e, 0xd0]); // mov ss, ax
        c.with_word(0xbc, 0x7c00); // mov sp, 0x7c00
    }
    // The power button sets its status bit only when it is enabled.
    c.mov_dx(PM_ENABLE);
    c.mov_ax(BUTTON);
    c.raw(&[0xef]); // out dx, ax
    c.with_label(MOV_SI, "greeting");
    c.with_label(CALL, "print");
    if is_kernel {
        c.raw(&[0x1e]); // push ds
        c.raw(&[0xa1, 0x28, 0x02]); // mov ax, [cmd_line_ptr]
        c.raw(&[0x8b, 0x1e, 0x2a, 0x02]); // mov bx, [cmd_line_ptr + 2]
        c.raw(&[0x89, 0xc6]); // mov si, ax
        c.raw(&[0x81, 0xe6, 0x0f, 0x00]); // and si, 15
        c.raw(&[0xc1, 0xe8, 0x04]); // shr ax, 4
        c.raw(&[0xc1, 0xe3, 0x0c]); // shl bx, 12
        c.raw(&[0x09, 0xd8]); // or ax, bx
        c.raw(&[0x8e, 0xd8]); // mov ds, ax
        c.with_label(CALL, "print");
        c.raw(&[0x1f]); // pop ds
    }
    c.with_label(MOV_SI, "newline");
    c.with_label(CALL, "print");

    c.label("wait");
    c.raw(&[0xfb, 0xf4]); // sti; hlt: the timer wakes us 18 times a second
    c.mov_dx(PM_STATUS);
    c.raw(&[0xed]); // in ax, dx
    c.with_word(0x3d, 0xffff); // cmp ax, 0xffff: no such device
    c.jump(JZ, "listen");
    c.raw(&[0xf6, 0xc4, (BUTTON >> 8) as u8]); // test ah, 1
    c.jump(JNZ, "off");
    c.label("listen");
    c.mov_dx(LINE_STATUS);
    c.raw(&[0xec, 0xa8, 0x01]); // in al, dx; test al, 1: something was received
    c.jump(JZ, "wait");
    c.mov_dx(SERIAL);
    c.raw(&[0xec]); // in al, dx
    c.raw(&[0x3c, b'q']);
    c.jump(JZ, "off");
    c.raw(&[0x3c, b'r']);
    c.jump(JZ, "reset");
    c.raw(&[0x3c, b'p']);
    c.jump(JZ, "panic");
    c.raw(&[0x3c, 0xff]); // no serial port
    c.jump(JZ, "wait");
    c.raw(&[0xee]); // out dx, al
    c.jump(JMP, "listen");

    c.label("off");
    c.with_label(MOV_SI, "farewell");
    c.with_label(CALL, "print");
    c.mov_dx(PM_CONTROL);
    c.mov_ax(SLEEP);
    c.raw(&[0xef]); // out dx, ax
    c.jump(JMP, "wait");

    c.label("reset");
    c.raw(&[0xb0, 0xfe, 0xe6, KEYBOARD as u8]); // mov al, 0xfe; out 0x64, al
    c.jump(JMP, "wait");

    c.label("panic");
    c.mov_dx(PVPANIC);
    c.raw(&[0xb0, 0x01, 0xee]); // mov al, 1; out dx, al
    c.jump(JMP, "wait");

    c.label("print");
    c.raw(&[0xac, 0x08, 0xc0]); // lodsb; or al, al
    c.jump(JZ, "printed");
    c.raw(&[0x88, 0xc3]); // mov bl, al
    c.mov_dx(LINE_STATUS);
    c.label("full");
    c.raw(&[0xec, 0xa8, 0x20]); // in al, dx; test al, 0x20: room to send
    c.jump(JZ, "full");
    c.raw(&[0x88, 0xd8]); // mov al, bl
    c.mov_dx(SERIAL);
    c.raw(&[0xee]); // out dx, al
    c.jump(JMP, "print");
    c.label("printed");
    c.raw(&[0xc3]); // ret

    c.label("greeting");
    c.text(GREETING);
    if is_kernel {
        c.text(", command line: ");
    }
    c.text("\0");
    c.label("farewell");
    c.text(FAREWELL);
    c.label("newline");
    c.text("\r\n\0");
    code.finish()
}

/// A disk image that boots: the program in its first sector, and 1 MiB in all, because SeaBIOS passes over
/// SATA disks that are much smaller.
pub fn disk() -> Vec<u8> {
    let mut image = program(0x7c00, false);
    assert!(image.len() <= 510, "the program has {} bytes", image.len());
    image.resize(510, 0);
    image.extend([0x55, 0xaa]);
    image.resize(1 << 20, 0);
    image
}

/// A kernel for `<os><kernel>`. The fields are those of the Linux boot protocol.
pub fn kernel() -> Vec<u8> {
    let mut image = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[2]); // setup_sects: two beside the boot sector
    put(0x1fe, &[0x55, 0xaa]);
    put(0x200, &[0xeb, 0x66]); // jmp over the header, to 0x268
    put(0x202, b"HdrS");
    put(0x206, &[0x0a, 0x02]); // protocol 2.10
    put(0x211, &[0x01]); // loadflags: the rest goes above 1 MiB
    put(0x214, &0x10_0000_u32.to_le_bytes()); // code32_start
    put(0x22c, &0x37ff_ffff_u32.to_le_bytes()); // initrd_addr_max
    put(0x230, &0x0100_0000_u32.to_le_bytes()); // kernel_alignment
    put(0x238, &255_u32.to_le_bytes()); // cmdline_size
    let program = program(0x268, true);
    image.truncate(0x268);
    image.extend(program);
    assert!(image.len() <= 0x600, "the kernel has {} bytes", image.len());
    image.resize(0x600, 0);
    // The protected-mode part: never entered, but it has to be there. cli; hlt; jump back.
    image.extend([0xfa, 0xf4, 0xeb, 0xfd]);
    image.resize(0x800, 0);
    image
}
