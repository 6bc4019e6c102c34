//! Names and lines for the return addresses in a kernel's panic report, and addresses for names.

use std::path::Path;

use anyhow::{Context, Result};
use formats::lines::Table;
use object::{File, Object, ObjectSymbol, SymbolKind};
use rustc_demangle::demangle;

use crate::guest::checkout;
use crate::lines;

/// The functions of an image, in order of their addresses, and its lines.
#[derive(Debug, Default)]
pub struct Symbols {
    functions: Vec<Function>,
    /// A table as [`formats::lines`] has it, or nothing.
    lines: Vec<u8>,
}

#[derive(Debug)]
struct Function {
    address: u64,
    size: u64,
    name: String,
}

impl Symbols {
    /// Reads an image's symbols.
    pub fn of(image: &Path) -> Result<Symbols> {
        let bytes = std::fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
        let file =
            File::parse(&*bytes).with_context(|| format!("cannot read symbols of {}", image.display()))?;
        let mut functions: Vec<Function> = file
            .symbols()
            // Assembly's labels have no kind.
            .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown))
            .filter_map(|symbol| {
                let name = symbol.name().ok().filter(|name| !name.is_empty())?;
                Some(Function {
                    address: symbol.address(),
                    size: symbol.size(),
                    name: format!("{:#}", demangle(name)),
                })
            })
            .collect();
        functions.sort_by_key(|function| function.address);
        // Without lines the names are worth something too.
        let lines = lines::table(&bytes, checkout()).unwrap_or_default();
        Ok(Symbols { functions, lines })
    }

    /// The function that contains `address`, and how far in.
    pub fn find(&self, address: u64) -> Option<(&str, u64)> {
        let next = self.functions.partition_point(|function| function.address <= address);
        let function = self.functions[..next].last()?;
        let offset = address - function.address;
        // A label's size is not known.
        (function.size == 0 || offset <= function.size).then_some((function.name.as_str(), offset))
    }

    /// Where the function of this name begins.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.functions.iter().find(|function| function.name == name).map(|function| function.address)
    }

    /// A line of a report, `  at 0x…`, with its function's name; `None` for any other line.
    pub fn name_line(&self, line: &str) -> Option<String> {
        let digits = line.trim_end().strip_prefix("  at 0x")?;
        // A return address is that of the instruction after the call, which may already be the next function.
        let call = u64::from_str_radix(digits, 16).ok()?.checked_sub(1)?;
        let (name, offset) = self.find(call)?;
        let place = Table::parse(&self.lines).and_then(|table| table.line_at(call));
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        Some(format!("{} {name} + {:#x}{place}", line.trim_end(), offset + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::lines::Writer;

    fn function(address: u64, size: u64, name: &str) -> Function {
        Function { address, size, name: name.to_owned() }
    }

    #[test]
    fn addresses_get_the_names_of_their_functions() {
        let functions = vec![function(0x1000, 0x10, "first"), function(0x2000, 0, "label")];
        let mut lines = Writer::new(Vec::new(), ["a.rs"].into_iter());
        lines.row(0x1800, 1, 7);
        let symbols = Symbols { functions, lines: lines.finish() };
        assert_eq!(symbols.find(0xfff), None);
        assert_eq!(symbols.find(0x1004), Some(("first", 4)));
        assert_eq!(symbols.find(0x1011), None);
        assert_eq!((symbols.address("label"), symbols.address("other")), (Some(0x2000), None));
        assert_eq!(symbols.find(0x2fff), Some(("label", 0xfff)));
        // The call was the last instruction of `first`.
        assert_eq!(symbols.name_line("  at 0x1010\r").unwrap(), "  at 0x1010 first + 0x10");
        assert_eq!(symbols.name_line("  at 0x2001").unwrap(), "  at 0x2001 label + 0x1 at a.rs:7");
        for other in ["  at 0x", "  at 0x0", "at 0x1010", "  at 0x1010 first", "  at 0xffffffffffffffffff"] {
            assert_eq!(symbols.name_line(other), None, "{other}");
        }
    }

    #[test]
    fn this_program_has_symbols() {
        let symbols = Symbols::of(&std::env::current_exe().unwrap()).unwrap();
        assert!(symbols.functions.iter().any(|function| function.name.contains("this_program_has_symbols")));
    }
}
