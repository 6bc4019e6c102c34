//! Symbols of a real program, and of what is none.

use super::*;
use proptest::prelude::*;

extern crate std;

#[test]
fn this_test_knows_its_own_functions() {
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let symbols = Symbols::parse(&file).unwrap();
    let (table, names) = elf::ElfBytes::<elf::endian::LittleEndian>::minimal_parse(&file)
        .unwrap()
        .symbol_table()
        .unwrap()
        .unwrap();
    let main = table.iter().find(|symbol| names.get(symbol.st_name as usize).ok() == Some("main")).unwrap();
    assert_eq!(symbols.function_at(main.st_value), Some(("main", 0)));
    assert_eq!(symbols.function_at(main.st_value + 1), Some(("main", 1)));
    assert_eq!(symbols.function_at(0), None);
    assert!(Symbols::parse(&file[..file.len() / 2]).is_none());
}

proptest! {
    /// Whatever the header and the table of sections say, which lies at the end of the file.
    #[test]
    fn no_damage_confuses_the_reader(flips in prop::collection::vec((0..512_usize, any::<u8>()), 1..6)) {
        let mut file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for (at, value) in flips {
            let place = if at < 64 { at } else { file.len() - at };
            file[place] = value;
        }
        let _ = Symbols::parse(&file).map(|symbols| symbols.function_at(0x40_1010));
        prop_assert!(Lines::parse(&file).is_none());
    }
}
