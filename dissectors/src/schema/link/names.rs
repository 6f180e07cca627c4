//! Finding what a name stands for, and reporting what cannot be found.

use super::linker::{Linker, Missing, Scope, SymbolKind, Unit};
use crate::schema::Diagnostic;

/// Longest full name that is taken over. Real ones stay far below 200; the limit bounds what many short names inside
/// one long package or many nested messages can add up to.
pub(super) const MAX_NAME: usize = 512;

/// Diagnostics for one file: further ones are of little use, and finding lines and columns takes time.
pub(super) const MAX_WARNINGS: usize = 100;

impl<'a, 's> Linker<'a, 's> {
    /// What `name` means inside `scope`: innermost first, then outwards, among what the file can see; a file that
    /// forgets an import is helped out by looking everywhere.
    pub(super) fn resolve(&mut self, name: &str, scope: &Scope) -> Option<SymbolKind> {
        if let Some(absolute) = name.strip_prefix('.') {
            return self.symbols.get(absolute).map(|s| s.kind);
        }
        if name.is_empty() || name.len() > MAX_NAME {
            return None;
        }
        self.see(scope.unit);
        let mut anywhere = None;
        let mut outer = &*scope.name;
        let mut candidate = String::with_capacity(outer.len() + 1 + name.len());
        loop {
            candidate.clear();
            candidate.push_str(outer);
            if !outer.is_empty() {
                candidate.push('.');
            }
            candidate.push_str(name);
            if let Some(symbol) = self.symbols.get(candidate.as_str()) {
                if symbol.units.iter().any(|&unit| self.visible.contains(&(unit as usize))) {
                    return Some(symbol.kind);
                }
                anywhere = anywhere.or(Some(symbol.kind));
            }
            if outer.is_empty() {
                return anywhere;
            }
            outer = outer.rfind('.').and_then(|dot| outer.get(..dot)).unwrap_or_default();
        }
    }

    /// Works out which units `unit` sees: itself, its imports, and what those import publicly.
    pub(super) fn see(&mut self, unit: usize) {
        if self.visible_for == Some(unit) {
            return;
        }
        self.visible_for = Some(unit);
        self.visible.clear();
        self.visible.insert(unit);
        let mut open: Vec<usize> = self.unit(unit).imports.iter().map(|&(at, _)| at).collect();
        while let Some(at) = open.pop() {
            if self.visible.insert(at)
                && let Some(seen) = self.units.get(at)
            {
                open.extend(seen.imports.iter().filter(|&&(_, public)| public).map(|&(at, _)| at));
            }
        }
    }

    pub(super) fn full_name(&mut self, outer: &Scope, name: Option<&str>, what: &str) -> Option<Box<str>> {
        let name = name.unwrap_or_default();
        if name.is_empty() {
            self.warn(outer.unit, format!("{what} in `{}` has no name: it is left out", outer.name));
            return None;
        }
        if outer.name.len() + 1 + name.len() > MAX_NAME {
            let start: String = name.chars().take(40).collect();
            self.warn(
                outer.unit,
                format!("the full name of {what} is longer than {MAX_NAME} bytes: `{start}…` is left out"),
            );
            return None;
        }
        Some(join(&outer.name, name))
    }

    pub(super) fn miss(&mut self, unit: usize, name: Box<str>, at: Option<u32>, first: String, kind: &'static str) {
        let next = self.missing.len();
        let at_index = *self.missing_index.entry((unit, name.clone())).or_insert(next);
        match self.missing.get_mut(at_index) {
            Some(known) => known.count += 1,
            None => self.missing.push(Missing { unit, name, at, first, count: 1, kind }),
        }
    }

    pub(super) fn unit(&self, at: usize) -> &'a Unit<'a> {
        &self.units[at]
    }

    pub(super) fn warn(&mut self, unit: usize, message: String) {
        if self.may_warn(unit) {
            let name = self.unit(unit).name;
            self.diagnostics.push(Diagnostic::warning(Some(name), message));
        }
    }

    /// Whether one more thing may be said about `unit`; the last one is that there is more.
    pub(super) fn may_warn(&mut self, unit: usize) -> bool {
        let count = self.warnings_of.entry(unit).or_default();
        *count += 1;
        let count = *count;
        if count == MAX_WARNINGS {
            let message = "there is more to be diagnostics about this file, which is not shown".into();
            self.diagnostics.push(Diagnostic::warning(Some(self.unit(unit).name), message));
        }
        count < MAX_WARNINGS
    }

    pub(super) fn warn_duplicate(&mut self, name: &str, first: usize, second: usize) {
        if self.unit(first).builtin || self.unit(second).builtin {
            return;
        }
        let message = if first == second {
            format!("`{name}` is defined twice: the first definition is used")
        } else {
            format!("`{name}` is defined otherwise in {}, which is used", self.unit(first).name)
        };
        self.warn(second, message);
    }
}

pub(super) fn join(outer: &str, name: &str) -> Box<str> {
    if outer.is_empty() { name.into() } else { format!("{outer}.{name}").into() }
}
