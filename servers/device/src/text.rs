//! What is known of a device, for people.

use alloc::string::String;
use core::fmt::{self, Write as _};

use pci::{Address, Header};
use protocols::device::{DeviceRecord, bar, state};

/// One fact a line.
pub fn of(record: &DeviceRecord<'_>) -> String {
    let mut text = String::new();
    // A string takes whatever is written to it.
    let _ = write(&mut text, record);
    text
}

fn write(text: &mut String, record: &DeviceRecord<'_>) -> fmt::Result {
    let header = Header(record.configuration);
    let [class, subclass, interface] = header.class();
    writeln!(text, "device     {}", Address::from_bits(record.address as u16))?;
    writeln!(text, "identity   {}", header.identity())?;
    let kind = pci::class::name(class, subclass);
    writeln!(text, "class      {class:02x}.{subclass:02x}.{interface:02x}, {kind}")?;
    writeln!(text, "revision   {}", header.0[8])?;
    writeln!(text, "service    {}", if record.service.is_empty() { "none" } else { record.service })?;
    writeln!(text, "state      {}", state::name(record.state))?;
    match (record.line, header.message_table()) {
        (_, None) => writeln!(text, "interrupts none by messages")?,
        (0, Some(table)) => writeln!(text, "interrupts none in use; the device has {}", table.entries)?,
        (line, Some(table)) => {
            writeln!(text, "interrupts message line {line}; the device has {}", table.entries)?;
        }
    }
    for (number, range) in record.bars.iter().enumerate().filter(|(_, range)| range.kind != bar::NONE) {
        let kind = if range.kind == bar::PORTS { "ports " } else { "memory" };
        let last = range.start.saturating_add(range.count.saturating_sub(1));
        writeln!(text, "bar {number}      {kind} {:#x}-{last:#x}", range.start)?;
    }
    Ok(())
}
