//! What a node is made of, and QEMU's command line for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::Deserialize;

use crate::counting::Counting;
use crate::disk::{self, Attached};
use crate::firmware::{Firmware, Medium};
use crate::wiring::CardKind;

/// A node to be booted.
#[derive(Clone, Debug)]
pub struct Machine {
    /// QEMU.
    pub qemu: PathBuf,
    /// How it comes to the kernel.
    pub start: Start,
    /// The kernel's image.
    pub kernel: PathBuf,
    /// Words for the kernel.
    pub command_line: String,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// How the processor is run.
    pub processor: Processor,
    /// What it lacks, by QEMU's names.
    pub lacking: Vec<String>,
    /// Whether a reset starts the node again, rather than ending it.
    pub may_restart: bool,
    /// Wait for a debugger at this TCP port of the host.
    pub debugger: Option<u16>,
    /// Lead the second serial port, at which a program's debugger is, to this TCP port of the host.
    pub gdb_line: Option<u16>,
    /// Whether it has a screen and a keyboard, and whether they are in a window.
    pub display: Display,
    /// The keyboard of one that has.
    pub keyboard: Keyboard,
    /// Whether it has a device of random numbers.
    pub has_random: bool,
    /// Its lines beside the serial ports.
    pub ports: Vec<Port>,
    /// The network card, if it has one.
    pub card: Option<Card>,
    /// Its disks.
    pub disks: Vec<Attached>,
    /// What counts its instructions, if they are. An emulated processor only.
    pub counting: Option<Counting>,
}

/// A screen, with a keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Display {
    /// None.
    #[default]
    None,
    /// One that nobody sees, for tests.
    Hidden,
    /// One in a window of the host's.
    Window,
}

/// A keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Keyboard {
    /// At the controller that PCs have
    #[default]
    Ps2,
    /// A virtio device, on a machine without that controller
    Virtio,
}

/// A virtio console device's line, which leads to a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The socket.
    pub path: PathBuf,
    /// Whether QEMU makes it and lets somebody connect, or connects to one that is there.
    pub listens: bool,
}

impl Port {
    /// The arguments of the `number`th. That the device is of virtio's newer kind alone tells it from the host channel's.
    fn arguments(&self, number: usize) -> [OsString; 6] {
        let listens = if self.listens { ",server=on,wait=off" } else { "" };
        let mut chardev = OsString::from(format!("socket,id=port{number}{listens},path="));
        chardev.push(comma_twice(&self.path));
        let device = format!("virtio-serial-pci,id=ports{number},max_ports=2,disable-legacy=on");
        let port = format!("virtserialport,bus=ports{number}.0,nr=1,chardev=port{number}");
        ["-chardev".into(), chardev, "-device".into(), device.into(), "-device".into(), port.into()]
    }
}

/// How a machine comes to its kernel, with its words and the boot archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// QEMU puts all of it into memory.
    #[default]
    Direct,
    /// Its firmware loads it from an image.
    Medium(Medium, Firmware),
    /// Its firmware loads it from another node.
    Network(Firmware),
}

impl Start {
    /// How the node at that place starts: from a medium if there is one; the others than the first over the network if
    /// `netboot` says so.
    pub fn of(node: usize, medium: Option<Medium>, netboot: bool, firmware: Firmware) -> Start {
        match medium {
            _ if netboot && node > 0 => Start::Network(firmware),
            Some(medium) => Start::Medium(medium, firmware),
            None => Start::Direct,
        }
    }
}

/// A network card.
#[derive(Clone, Debug)]
pub struct Card {
    /// What it is.
    pub kind: CardKind,
    /// The socket of the switch's port that its cable leads to.
    pub socket: PathBuf,
    /// Its address.
    pub address: [u8; 6],
}

/// The processor where instructions are counted. A REP instruction counts once per iteration, so code that prefers them
/// where they are announced fast would look slow.
pub const COUNTED: &str = "max,-erms,-fsrm";
/// The deterministic clock.
pub const COUNTED_CLOCK: [&str; 6] =
    ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm", "-seed", "42"];

/// QEMU's name for the card.
pub const CARD: &str = "card";
/// The most data in a frame: as much as switches usually let pass. A virtio card announces it.
pub const MOST_DATA_BYTES: u16 = 9000;

impl Card {
    /// The card of the node at that place, at the switch's port `socket`. Its address tells the node's number.
    pub fn new(kind: CardKind, node: usize, socket: PathBuf) -> Card {
        Card { kind, socket, address: [0x52, 0x54, 0x00, 0x56, 0x00, node as u8 + 1] }
    }

    /// QEMU's arguments: the cable's end, and the card, from which such firmware is to start the machine.
    pub fn arguments(&self, starts: Option<Firmware>) -> [OsString; 4] {
        let path = comma_twice(&self.socket);
        let cable = format!("stream,id=cable,server=off,addr.type=unix,addr.path={path}");
        let address = self.address.map(|byte| format!("{byte:02x}")).join(":");
        let kind = match self.kind {
            CardKind::Virtio => format!("virtio-net-pci,host_mtu={MOST_DATA_BYTES}"),
            CardKind::E1000 | CardKind::E1000e => self.kind.to_string(),
        };
        // Without the file there is no firmware of the card's own to look for something to boot. UEFI drives virtio's
        // cards by itself, as it does those of real machines; the card's would wait long for an IPv6 router.
        let firmware = match starts {
            None => ",romfile=",
            Some(Firmware::Uefi) if self.kind == CardKind::Virtio => ",romfile=,bootindex=1",
            Some(_) => ",bootindex=1",
        };
        let card = format!("{kind},id={CARD},netdev=cable,mac={address}{firmware}");
        ["-netdev".into(), cable.into(), "-device".into(), card.into()]
    }
}

/// How the processor is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// By KVM.
    Virtual,
    /// By QEMU's TCG.
    Emulated,
    /// By QEMU's TCG, deterministically: an instruction takes one nanosecond, which is one tick of its clock.
    Counted,
}

/// The device of the host channel. Port 0 would lose what the tool doesn't take in time; and the device works while the
/// processor waits for it, so that counted nodes stay deterministic.
const CHANNEL: [&str; 4] = [
    "-device",
    "virtio-serial-pci,max_ports=2,ioeventfd=off",
    "-device",
    "virtserialport,nr=1,chardev=channel",
];

/// A device of random numbers, which are the host's.
const RANDOM: [&str; 4] =
    ["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"];

/// A disk with nothing but zeros, which firmware tries first.
const EMPTY_DISK: [&str; 4] = [
    "-drive",
    "if=none,id=empty,driver=null-co,size=64M,read-zeroes=on",
    "-device",
    "ide-hd,drive=empty,bootindex=0",
];

/// QEMU's connections to the tool. Each is a Unix socket that the tool listens at, in a folder of the node's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The kernel's log, from the Bochs debug console.
    Log,
    /// The console: the first serial port.
    Console,
    /// The host channel: a port of a virtio console device.
    Channel,
    /// QEMU's own monitor, which says why a machine ended.
    Monitor,
}

impl Line {
    /// All of them.
    pub const ALL: [Line; 4] = [Line::Log, Line::Console, Line::Channel, Line::Monitor];

    /// Its name on QEMU's command line, and its socket's.
    pub fn name(self) -> &'static str {
        match self {
            Line::Log => "log",
            Line::Console => "console",
            Line::Channel => "channel",
            Line::Monitor => "monitor",
        }
    }
}

impl Machine {
    /// QEMU's arguments, with sockets in `folder` and the boot archive, or the image with it, at `archive`.
    pub fn arguments(&self, folder: &Path, archive: &Path) -> Result<Vec<OsString>> {
        let mut arguments = self.start_arguments(folder, archive)?;
        for line in Line::ALL {
            arguments.extend(["-chardev".into(), chardev(line.name(), &folder.join(line.name()))]);
        }
        let mut say = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        let has_virtio_keyboard = self.display != Display::None && self.keyboard == Keyboard::Virtio;
        let machine = if has_virtio_keyboard { "q35,i8042=off" } else { "q35" };
        say(&["-machine", machine, "-smp", "1", "-m", &format!("{}M", self.memory_mib)]);
        say(&["-no-user-config", "-nodefaults"]);
        if self.display != Display::Window {
            say(&["-display", "none"]);
        }
        // Firmware shows something on whatever adapter there is; without it, the driver has to know the adapter.
        let adapter = match (self.display, self.start) {
            (Display::None, _) => "none",
            (_, Start::Direct) => "std",
            _ => "virtio",
        };
        say(&["-vga", adapter]);
        let (accelerator, model) = match self.processor {
            Processor::Virtual => ("kvm", "max"),
            Processor::Emulated if self.counting.is_none() => ("tcg", "max"),
            Processor::Emulated | Processor::Counted => ("tcg", COUNTED),
        };
        let model = self.lacking.iter().fold(String::from(model), |model, feature| model + ",-" + feature);
        say(&["-accel", accelerator, "-cpu", &model]);
        if self.processor == Processor::Counted {
            say(&COUNTED_CLOCK);
        }
        if !self.may_restart {
            say(&["-no-reboot"]);
        }
        if let Some(port) = self.debugger {
            say(&["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
        }
        say(&["-device", "isa-debugcon,iobase=0xe9,chardev=log"]);
        say(&["-serial", "chardev:console"]);
        if let Some(port) = self.gdb_line {
            let socket = format!("socket,id=gdb,host=127.0.0.1,port={port},server=on,wait=off,nodelay=on");
            say(&["-chardev", &socket, "-serial", "chardev:gdb"]);
        }
        say(&["-mon", "chardev=monitor,mode=control"]);
        say(&["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        let starts = match self.start {
            Start::Network(firmware) => Some(firmware),
            Start::Direct | Start::Medium(..) => None,
        };
        arguments.extend(self.card.iter().flat_map(|card| card.arguments(starts)));
        arguments.extend(disk::arguments(&self.disks));
        arguments.extend(CHANNEL.map(OsString::from));
        // Behind the channel's, whose port goes to the first such device.
        arguments.extend(self.ports.iter().enumerate().flat_map(|(number, port)| port.arguments(number)));
        if has_virtio_keyboard {
            arguments.extend(["-device", "virtio-keyboard-pci"].map(OsString::from));
        }
        if self.has_random {
            arguments.extend(RANDOM.map(OsString::from));
        }
        arguments.extend(self.counting.iter().flat_map(Counting::arguments));
        Ok(arguments)
    }

    /// The arguments that say how it comes to its kernel.
    fn start_arguments(&self, folder: &Path, archive: &Path) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = Vec::new();
        match self.start {
            Start::Direct => {
                arguments.extend(["-kernel".into(), self.kernel.clone().into_os_string()]);
                arguments.extend(["-initrd".into(), archive.as_os_str().to_owned()]);
                arguments.extend(["-append".into(), self.command_line.clone().into()]);
                if !self.disks.is_empty() {
                    // The firmware lets disks alone that nothing is to be booted from. For an NVMe disk it would take memory
                    // where QEMU has put the boot archive.
                    arguments.extend(["-boot".into(), "strict=on".into()]);
                }
            }
            Start::Medium(medium, firmware) => {
                arguments.extend(firmware.arguments(folder)?);
                arguments.extend(medium.arguments(archive));
            }
            Start::Network(firmware) => {
                arguments.extend(firmware.arguments(folder)?);
                arguments.extend(EMPTY_DISK.map(OsString::from));
            }
        }
        Ok(arguments)
    }
}

/// A socket as QEMU words it.
fn chardev(name: &str, path: &Path) -> OsString {
    format!("socket,id={name},path={}", comma_twice(path)).into()
}

/// A path among QEMU's options, in which a comma is said twice.
pub fn comma_twice(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            qemu: "qemu".into(),
            start: Start::Direct,
            kernel: "a,b/kernel".into(),
            command_line: "exec panic=exit".to_owned(),
            memory_mib: 64,
            processor: Processor::Emulated,
            lacking: Vec::new(),
            may_restart: false,
            debugger: None,
            gdb_line: None,
            display: Display::None,
            keyboard: Keyboard::default(),
            has_random: false,
            ports: Vec::new(),
            card: None,
            disks: Vec::new(),
            counting: None,
        }
    }

    fn line(machine: &Machine) -> String {
        let arguments = machine.arguments(Path::new("/tmp/a,b"), Path::new("/tmp/archive")).unwrap();
        arguments.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_node_has_its_lines_kernel_and_archive() {
        let line = line(&machine());
        for part in [
            "-machine q35",
            "-accel tcg -cpu max ",
            "-m 64M",
            "-no-reboot",
            "-append exec panic=exit",
            "-kernel a,b/kernel",
            "-initrd /tmp/archive",
            "socket,id=console,path=/tmp/a,,b/console",
            "-serial chardev:console",
            "-device virtserialport,nr=1,chardev=channel",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains("icount") && !line.contains("-gdb") && !line.contains("-netdev"));
        assert!(!line.contains("virtio-rng") && !line.contains("disable-legacy"));
    }

    #[test]
    fn a_port_leads_to_a_socket() {
        let port = |listens| Port { path: "/tmp/a,b".into(), listens };
        let line = line(&Machine { ports: vec![port(true), port(false)], ..machine() });
        for part in [
            "-chardev socket,id=port0,server=on,wait=off,path=/tmp/a,,b -device virtio-serial-pci,id=ports0,",
            "virtserialport,bus=ports0.0,nr=1,chardev=port0 -chardev socket,id=port1,path=/tmp/a,,b",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }

    #[test]
    fn a_node_has_random_numbers_of_the_hosts_where_it_is_to() {
        let line = line(&Machine { has_random: true, ..machine() });
        assert!(line.contains("-device virtio-rng-pci,rng=random"), "{line}");
    }

    #[test]
    fn a_virtio_keyboard_is_the_only_one() {
        let display = Display::Hidden;
        let virtio = line(&Machine { display, keyboard: Keyboard::Virtio, ..machine() });
        assert!(
            virtio.contains("q35,i8042=off") && virtio.contains("-device virtio-keyboard-pci"),
            "{virtio}"
        );
        let ps2 = line(&Machine { display, ..machine() });
        assert!(!ps2.contains("i8042") && !ps2.contains("virtio-keyboard"), "{ps2}");
    }

    #[test]
    fn a_card_has_its_nodes_address_and_a_cable() {
        for (kind, device) in
            [(CardKind::Virtio, "virtio-net-pci,host_mtu=9000"), (CardKind::E1000e, "e1000e")]
        {
            let line = line(&Machine { card: Some(Card::new(kind, 1, "/tmp/a,b".into())), ..machine() });
            for part in [
                "-netdev stream,id=cable,server=off,addr.type=unix,addr.path=/tmp/a,,b",
                &format!("-device {device},id=card,netdev=cable,mac=52:54:00:56:00:02,"),
            ] {
                assert!(line.contains(part), "{part} is not in {line}");
            }
        }
    }

    #[test]
    fn firmware_starts_from_an_image_or_from_the_card() {
        let medium = Start::Medium(Medium::Cd, Firmware::Bios);
        let image = line(&Machine { start: medium, ..machine() });
        assert!(image.contains("file=/tmp/archive -device ide-cd") && !image.contains("-kernel"));
        let card = Some(Card::new(CardKind::Virtio, 1, "/tmp/a".into()));
        let network = line(&Machine { start: Start::Network(Firmware::Bios), card, ..machine() });
        assert!(network.contains("mac=52:54:00:56:00:02,bootindex=1") && network.contains("read-zeroes=on"));
        assert!(!network.contains("-append") && !network.contains("romfile="));
    }

    #[test]
    fn a_counted_node_is_deterministic() {
        let line = line(&Machine { processor: Processor::Counted, ..machine() });
        assert!(line.contains("-cpu max,-erms,-fsrm -icount shift=0,sleep=off"));
        assert!(line.contains("-rtc base=2024-01-01,clock=vm -seed 42"));
    }

    #[test]
    fn a_node_may_wait_for_a_debugger_and_lack_something() {
        let line = line(&Machine {
            debugger: Some(1234),
            gdb_line: Some(1235),
            may_restart: true,
            lacking: vec!["xsave".to_owned()],
            ..machine()
        });
        assert!(
            line.contains("-cpu max,-xsave ")
                && line.contains("-S -gdb tcp:127.0.0.1:1234")
                && line.contains("-serial chardev:console -chardev socket,id=gdb,host=127.0.0.1,port=1235,")
                && !line.contains("-no-reboot")
        );
    }
}
