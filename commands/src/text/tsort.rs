//! `tsort`: an order in which what has to come first does.

use alloc::format;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, failed, read_all};
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "tsort",
        synopsis: "[FILE]",
        summary: "Orders names so that the first of each pair comes before the second.",
        details: "Names are words. Where pairs lead in a circle, that is told, and the circle is broken somewhere.",
        choices: &[],
        operands: (0, 1),
    },
    body: tsort,
};

fn tsort(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    context.each_file(&arguments.operands, |context, name, file| {
        let text = read_all(file)?;
        let words: Vec<&[u8]> = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        if !words.len().is_multiple_of(2) {
            return Err(FileFailure::Stop(failed(name, "it has an odd number of words; they are pairs")));
        }
        let mut names = words.clone();
        names.sort_unstable();
        names.dedup();
        let number = |word: &&[u8]| names.binary_search(word).unwrap_or_default();
        // A pair of the same name twice says only that there is this name. Of those behind a name the last that was said is
        // done first.
        let pairs = words.chunks_exact(2).rev().map(|pair| (number(&pair[0]), number(&pair[1])));
        let mut pairs: Vec<(usize, usize)> = pairs.filter(|(first, second)| first != second).collect();
        pairs.sort_by_key(|(first, _)| *first);
        let mut before = alloc::vec![0_usize; names.len()];
        for (_, second) in &pairs {
            before[*second] += 1;
        }
        // What is written, or is to be next: nothing has to come before it any more.
        let mut order: Vec<usize> = (0..names.len()).filter(|at| before[*at] == 0).collect();
        let mut is_written = alloc::vec![false; names.len()];
        for at in 0..names.len() {
            if at == order.len() {
                let broken = circle(&pairs, &is_written);
                context.complain(name, format!("'{}' comes before itself", names[broken].escape_ascii()));
                order.push(broken);
                before[broken] = 0;
            }
            let next = order[at];
            is_written[next] = true;
            context.output.write_all(names[next])?;
            context.output.write_all(b"\n")?;
            let first = pairs.partition_point(|(first, _)| *first < next);
            for (_, other) in pairs[first..].iter().take_while(|(first, _)| *first == next) {
                // Zero already is who has broken a circle.
                if before[*other] > 0 {
                    before[*other] -= 1;
                    if before[*other] == 0 {
                        order.push(*other);
                    }
                }
            }
        }
        Ok(())
    })
}

/// A name in a circle, of which there are some when none is free: going back from any, one comes again.
fn circle(pairs: &[(usize, usize)], is_written: &[bool]) -> usize {
    let mut at = is_written.iter().position(|is_written| !is_written).unwrap_or_default();
    for _ in 0..is_written.len() {
        let back = pairs.iter().find(|(first, second)| *second == at && !is_written[*first]);
        at = back.map_or(at, |(first, _)| *first);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn what_has_to_come_first_does() {
        expect(&COMMAND, "", "a b\nb c\nd d\n", "a\nd\nb\nc\n");
        expect(&COMMAND, "", "", "");
        let (status, output, errors) = try_command(&COMMAND, "", &[("-", b"x a a b b a b c")]);
        assert_eq!((status, &*output), (1, "x\na\nb\nc\n"));
        assert_eq!(errors, "tsort: -: 'a' comes before itself\n");
        assert_eq!(try_command(&COMMAND, "", &[("-", b"a b c")]).0, 1);
    }
}
