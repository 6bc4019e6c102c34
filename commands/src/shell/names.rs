//! Matching patterns with the names of files.
//!
//! A leading `[name]` whose prefix is known means that prefix, in what is matched as in every other name;
//! patterns work after it. What matches nothing stays as it is.

use alloc::vec::Vec;

use abi::Error;

use super::ast::{Position, Text};
use super::execute::{Leave, Shell};
use super::pattern::{Masked, Pattern};
use super::room::ENTRY_BYTES;
use super::system::{ObjectKind, System};

impl<S: System> Shell<S> {
    /// The names that a field's pattern matches, sorted; its own text if there are none.
    pub(super) fn match_names(&mut self, field: Masked, at: Position) -> Result<Vec<Text>, Leave> {
        let start = self.prefix_length(&field);
        let components = split_components(&field, start);
        if !components.iter().any(|(component, _)| component.is_pattern()) {
            return Ok(Vec::from([field.text]));
        }
        self.need_at(components.len() * ENTRY_BYTES + Pattern::most_bytes(&field), at)?;
        let mut found = Vec::from([field.text[..start].to_vec()]);
        for (index, (component, slashes)) in components.iter().enumerate() {
            let is_last = index + 1 == components.len();
            let mut next = Vec::new();
            for base in found {
                let matched = self.match_component(base, component, is_last, &mut next);
                matched.map_err(|error| self.fail(at, &alloc::format!("the names that match: {error}")))?;
            }
            if !is_last {
                for name in &mut next {
                    name.extend(core::iter::repeat_n(b'/', *slashes));
                }
            }
            found = next;
        }
        found.sort_unstable();
        if found.is_empty() {
            found.push(field.text);
        }
        Ok(found)
    }

    /// The length of a leading `[name]` with a known prefix.
    fn prefix_length(&mut self, field: &Masked) -> usize {
        if field.text.first() != Some(&b'[') || field.quoted.first() == Some(&true) {
            return 0;
        }
        let Some(end) = field.text.iter().position(|byte| *byte == b']') else {
            return 0;
        };
        if self.system.is_prefix(&field.text[1..end]) { end + 1 } else { 0 }
    }

    /// Adds to `next` the names that `base` has with this component.
    fn match_component(
        &mut self,
        base: Text,
        component: &Masked,
        is_last: bool,
        next: &mut Vec<Text>,
    ) -> Result<(), Error> {
        if !component.is_pattern() {
            let mut name = base;
            name.extend_from_slice(&component.text);
            if !is_last || component.text.is_empty() || self.system.look_up(&name).is_ok() {
                next.push(name);
            }
            return Ok(());
        }
        let Ok(entries) = self.system.list(&base) else {
            return Ok(());
        };
        let pattern = Pattern::new(component);
        for (entry, kind) in entries {
            let is_hidden = entry.first() == Some(&b'.') && !pattern.starts_with_dot();
            let fits = is_last || kind == ObjectKind::Directory;
            if fits && !is_hidden && pattern.matches(&entry) {
                self.need(ENTRY_BYTES + base.len() + entry.len())?;
                next.push([&*base, &*entry].concat());
            }
        }
        Ok(())
    }
}

/// The parts of a name between slashes from `start` on, each with the number of slashes after it.
fn split_components(field: &Masked, start: usize) -> Vec<(Masked, usize)> {
    let mut components = Vec::new();
    let mut offset = start;
    while offset < field.text.len() {
        let rest = &field.text[offset..];
        let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let slashes = rest[length..].iter().take_while(|byte| **byte == b'/').count();
        let component =
            Masked { text: rest[..length].to_vec(), quoted: field.quoted[offset..offset + length].to_vec() };
        components.push((component, slashes));
        offset += length + slashes;
    }
    // A name that ends in a slash means a directory; the slash is kept as an empty last component.
    if components.last().is_some_and(|(_, slashes)| *slashes > 0) {
        components.push((Masked::default(), 0));
    }
    components
}
