//! Descriptor sets: schemas that a compiler has already read (`protoc -o`, `buf build`, a server's reflection).

use super::descriptor::{File, FileSet};
use super::link::{Unit, link};
use super::{Diagnostic, Schema};
use hashbrown::HashMap;
use prost::Message as _;

/// Bytes that are no `google.protobuf.FileDescriptorSet`.
#[derive(Debug, thiserror::Error)]
#[error("not a descriptor set: {0}")]
pub struct DescriptorSetError(#[from] prost::DecodeError);

impl Schema {
    /// The table of an encoded `google.protobuf.FileDescriptorSet`, and what is wrong with the files in it.
    ///
    /// proto2, proto3 and editions. Files may stand in any order; what a missing file takes with it is said.
    pub fn from_descriptors(set: &[u8]) -> Result<(Schema, Vec<Diagnostic>), DescriptorSetError> {
        let files = decode(set)?;
        let mut said = Vec::new();
        let names: HashMap<&str, usize> = files.iter().enumerate().map(|(at, file)| (file.name(), at)).collect();
        let units: Vec<Unit<'_>> = files
            .iter()
            .map(|file| Unit {
                file,
                name: file.name(),
                source: None,
                imports: imports(file, |name| names.get(name).copied()),
                builtin: false,
            })
            .collect();
        let schema = link(&units, &mut said);
        Ok((schema, said))
    }
}

/// The files of an encoded descriptor set.
pub(super) fn decode(set: &[u8]) -> Result<Vec<File>, DescriptorSetError> {
    Ok(FileSet::decode(set)?.file)
}

/// What `file` imports, as far as `find` knows it, and whether publicly.
pub(super) fn imports(file: &File, find: impl Fn(&str) -> Option<usize>) -> Vec<(usize, bool)> {
    let public = |at: usize| file.public_dependency.iter().any(|&p| usize::try_from(p) == Ok(at));
    file.dependency.iter().enumerate().filter_map(|(at, name)| Some((find(name)?, public(at)))).collect()
}
