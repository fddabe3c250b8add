//! What a component is, told from its bytes: neither compiled nor run. For people who decide
//! whether to install it; all text in it is the author's, and cleaned.

use serde::Serialize;
use wasmparser::component_types::{ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::types::Types;
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::answer::line;
use crate::capability::Capability;
use crate::contract::{self, Names, World};
use crate::grants::{self, Target};
use crate::{Error, package};

/// A component as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// "sha256:…" of the file.
    pub digest: String,
    /// Bytes of the file.
    pub size: u64,
    /// What it is; none where it is nothing of ours.
    pub world: Option<World>,
    /// The version of the contract that it was built for: "0.2.0".
    pub version: Option<String>,
    /// It wants to be told of releases: it exports `ipam-remote`.
    pub remote: bool,
    /// What it asks of the host.
    pub imports: Vec<Import>,
    /// What it offers, by name.
    pub exports: Vec<String>,
    /// Why it cannot be used by this executable, in plain words; none where it can.
    pub misfit: Option<String>,
    /// What its author and tools wrote down.
    pub metadata: Metadata,
}

/// What a component imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    /// "wasi:http/outgoing-handler@0.2.6".
    pub name: String,
    /// The functions of it that it may call.
    pub functions: Vec<String>,
    /// What that lets it do.
    pub meaning: String,
    /// What an operator would write into the node's TOML file to grant it, with words in
    /// capitals to fill in; none where no grant is needed, or none helps.
    pub grant: Option<String>,
}

/// What a component says about itself: nothing of it is proven.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// Its own version.
    pub version: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Who wrote it.
    pub authors: Option<String>,
    /// Under which terms.
    pub licenses: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// Of which language and tools it was made: ("processed-by", "rustc", "1.95.0").
    pub producers: Vec<(String, String, String)>,
}

/// Reads a component. What is no component at all is an error.
pub fn describe(wasm: &[u8]) -> Result<Description, Error> {
    let digest = package::digest(wasm);
    let unreadable = |what: String| Error::Unloadable { plugin: digest.clone(), what };
    let (names, metadata) = read(wasm).map_err(unreadable)?;
    let shape = contract::shape(&names.exports);
    let misfit = match &shape {
        Ok(shape) => contract::misfit(shape, &names),
        Err(what) => Some(what.clone()),
    };
    let shape = shape.ok();
    let imports = names.imports.iter().map(|import| described(import, &digest)).collect();
    Ok(Description {
        size: wasm.len() as u64,
        world: shape.as_ref().map(|shape| shape.world),
        version: shape.as_ref().map(|shape| shape.version.text().to_owned()),
        remote: shape.is_some_and(|shape| shape.remote.is_some()),
        imports,
        exports: names.exports.iter().map(|name| line(name)).collect(),
        misfit: misfit.map(|what| line(&what)),
        metadata,
        digest,
    })
}

fn described((name, functions): &(String, Vec<String>), digest: &str) -> Import {
    let capability = Capability::of(name);
    let meaning = capability.map_or("nothing that is offered here", Capability::meaning);
    let grant = match capability {
        Some(Capability::HttpOutgoing) => {
            let host = "HOST".to_owned();
            let target = Target { tls: true, host, port: 443, method: "GET".to_owned() };
            Some(target.grant(digest))
        }
        Some(Capability::Workload) => Some(grants::pod(digest)),
        _ => None,
    };
    Import {
        name: line(name),
        functions: functions.iter().map(|function| line(function)).collect(),
        meaning: meaning.to_owned(),
        grant,
    }
}

fn read(wasm: &[u8]) -> Result<(Names, Metadata), String> {
    if wasm.starts_with(b"\0asm") && !Parser::is_component(wasm) {
        return Err(
            "it is a core module, no component: `wharfinger plugin component` makes one of it"
                .to_owned(),
        );
    }
    let types = Validator::new_with_features(WasmFeatures::default())
        .validate_all(wasm)
        .map_err(|e| format!("it is no component that can be read: {}", line(e.message())))?;
    let mut names = Names::default();
    let mut metadata = Metadata::default();
    // Modules and components within it have sections of their own.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|e| format!("it cannot be read: {}", line(e.message())))?;
        match payload {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) => metadata.take(depth, &section),
            payload if depth == 1 => outermost(&payload, &types, &mut names)?,
            _ => {}
        }
    }
    metadata.producers.sort();
    metadata.producers.dedup();
    Ok((names, metadata))
}

fn outermost(payload: &Payload<'_>, types: &Types, names: &mut Names) -> Result<(), String> {
    let unreadable = |e: wasmparser::BinaryReaderError| format!("it cannot be read: {e}");
    match payload {
        Payload::ComponentImportSection(section) => {
            for import in section.clone() {
                let name = import.map_err(unreadable)?.name.name;
                let functions = match types.component_item_for_import(name).map(|item| item.ty) {
                    Some(ComponentEntityType::Instance(instance)) => functions(types, instance),
                    _ => Vec::new(),
                };
                names.imports.push((name.to_owned(), functions));
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section.clone() {
                let export = export.map_err(unreadable)?;
                if export.kind == ComponentExternalKind::Instance
                    || export.kind == ComponentExternalKind::Func
                {
                    names.exports.push(export.name.name.to_owned());
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn functions(types: &Types, instance: ComponentInstanceTypeId) -> Vec<String> {
    types[instance]
        .exports
        .iter()
        .filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)))
        .map(|(name, _)| name.clone())
        .collect()
}

impl Metadata {
    /// One section of it. The outermost one's are about the whole; producers may stand deeper.
    fn take(&mut self, depth: usize, section: &wasmparser::CustomSectionReader<'_>) {
        use wasmparser::KnownCustom as Known;
        if let Known::Producers(fields) = section.as_known() {
            self.producers(fields);
            return;
        }
        if depth != 1 {
            return;
        }
        if let Known::ComponentName(parts) = section.as_known() {
            for part in parts.into_iter().flatten() {
                if let wasmparser::ComponentName::Component { name, .. } = part {
                    self.name = Some(line(name));
                }
            }
            return;
        }
        let text = || std::str::from_utf8(section.data()).ok().map(line);
        match section.name() {
            "version" => self.version = text(),
            "description" => self.description = text(),
            "authors" => self.authors = text(),
            "licenses" => self.licenses = text(),
            "source" => self.source = text(),
            _ => {}
        }
    }

    fn producers(&mut self, fields: wasmparser::ProducersSectionReader<'_>) {
        for field in fields.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                self.producers.push((line(field.name), line(value.name), line(value.version)));
            }
        }
    }
}
