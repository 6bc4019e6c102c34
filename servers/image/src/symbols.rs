//! Names for addresses, from an image's symbol table.

use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::LittleEndian;
use elf::string_table::StringTable;
use elf::symbol::SymbolTable;

/// The symbol table of a file that is in memory whole.
pub struct Symbols<'a> {
    symbols: SymbolTable<'a, LittleEndian>,
    names: StringTable<'a>,
}

impl<'a> Symbols<'a> {
    /// The file's symbols; none if it has no table that can be read.
    pub fn parse(file: &'a [u8]) -> Option<Symbols<'a>> {
        let image = ElfBytes::minimal_parse(file).ok()?;
        let (symbols, names) = image.symbol_table().ok()??;
        Some(Symbols { symbols, names })
    }

    /// The function that `address` lies in, by the name in the table, and how far it is behind its beginning.
    pub fn function_at(&self, address: u64) -> Option<(&'a str, u64)> {
        self.symbols.iter().filter(|symbol| symbol.st_symtype() == STT_FUNC).find_map(|symbol| {
            let offset = address.checked_sub(symbol.st_value)?;
            if offset >= symbol.st_size {
                return None;
            }
            let name = self.names.get(usize::try_from(symbol.st_name).ok()?).ok()?;
            Some((name, offset))
        })
    }
}
