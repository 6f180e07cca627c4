//! Services and their methods.

use super::linker::{Linker, Scope, SymbolKind};
use super::names::{MAX_NAME, join};
use crate::schema::descriptor;
use crate::schema::table::{Message, MessageIx, Method, Service};
use hashbrown::{HashMap, HashSet};

impl<'a, 's> Linker<'a, 's> {
    /// Links services; those of one name become one.
    pub(super) fn serve(&mut self) {
        let mut names: HashMap<Box<str>, (u32, usize)> = HashMap::new();
        for (descriptor, scope) in std::mem::take(&mut self.services) {
            let Some(name) = self.full_name(&scope, descriptor.name.as_deref(), "a service") else { continue };
            let mut methods = Vec::with_capacity(descriptor.method.len());
            let mut seen = HashSet::new();
            for method in &descriptor.method {
                let bare = method.name.as_deref().unwrap_or_default();
                if bare.is_empty() || bare.len() > MAX_NAME || !seen.insert(bare) {
                    continue;
                }
                let full = join(&name, bare);
                methods.push(Method {
                    name: bare.into(),
                    input: self.method_type(method.input_type(), method.input_at, &scope, &full),
                    output: self.method_type(method.output_type(), method.output_at, &scope, &full),
                    client_streaming: method.client_streaming(),
                    server_streaming: method.server_streaming(),
                    idempotency: idempotency(method),
                });
            }
            match names.get(&name) {
                None => {
                    names.insert(name.clone(), (self.schema.services.len() as u32, scope.unit));
                    self.schema.services.push(Service { name, methods });
                }
                Some(&(ix, first)) => self.join_service(ix, methods, first, scope.unit),
            }
        }
        self.schema.service_names = names.into_iter().map(|(name, (ix, _))| (name, ix)).collect();
    }

    /// Adds to a service the methods that only a second definition of it has.
    fn join_service(&mut self, ix: u32, methods: Vec<Method>, first: usize, second: usize) {
        let Some(service) = self.schema.services.get_mut(ix as usize) else { return };
        let known: HashMap<Box<str>, usize> =
            service.methods.iter().enumerate().map(|(at, m)| (m.name.clone(), at)).collect();
        let mut differs = false;
        for method in methods {
            match known.get(&method.name).and_then(|&at| service.methods.get(at)) {
                None => service.methods.push(method),
                Some(there) => {
                    let shape = |m: &Method| (m.input, m.output, m.client_streaming, m.server_streaming);
                    differs |= shape(there) != shape(&method);
                }
            }
        }
        let name = service.name.clone();
        if differs {
            self.warn_duplicate(&name, first, second);
        }
    }

    fn method_type(&mut self, wanted: &str, at: Option<u32>, scope: &Scope, method: &str) -> MessageIx {
        if let Some(SymbolKind::Message(ix)) = self.resolve(wanted, scope) {
            return ix;
        }
        let bare: Box<str> = wanted.trim_start_matches('.').chars().take(MAX_NAME).collect();
        self.miss(scope.unit, bare.clone(), at, method.into(), "method");
        if let Some(&ix) = self.stubs.get(&bare) {
            return ix;
        }
        let ix = MessageIx(self.schema.messages.len() as u32);
        self.schema.messages.push(Message {
            name: bare.clone(),
            fields: Vec::new(),
            oneofs: Vec::new(),
            map_entry: false,
            message_set: false,
            well_known: None,
        });
        self.stubs.insert(bare, ix);
        ix
    }
}

fn idempotency(method: &descriptor::Method) -> u8 {
    match method.options.as_ref().and_then(|o| o.idempotency_level) {
        Some(1) => 1,
        Some(2) => 2,
        _ => 0,
    }
}
