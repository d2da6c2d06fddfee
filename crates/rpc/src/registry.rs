//! What was registered, by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::capability::{ANY_PATH, Call, Capability, Event, Handlers, Registered, Stream};
use crate::message::{Message, MessageType};
use crate::meter::Meter;
use crate::name::CapabilityName;
use crate::objects::Object;
use crate::runtime::RuntimeError;
use crate::{RpcError, code};

/// What there is to do for a message.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) handler: Handler,
    pub(crate) meter: Arc<Meter>,
}

#[derive(Clone)]
pub(crate) enum Handler {
    Call(Arc<Registered<Call>>),
    Event(Arc<Registered<Event>>),
    Stream(Arc<Registered<Stream>>),
    Object(Arc<str>, Arc<dyn Object>),
}

/// The capabilities and objects of a server.
pub(crate) struct Registry {
    capabilities: HashMap<String, Offered>,
    objects: HashMap<String, Thing>,
}

struct Offered {
    name: CapabilityName,
    doc: String,
    paths: BTreeMap<String, Handlers>,
    meter: Arc<Meter>,
}

struct Thing {
    id: Arc<str>,
    name: CapabilityName,
    object: Arc<dyn Object>,
    meter: Arc<Meter>,
}

impl Registry {
    pub(crate) fn new(
        capabilities: Vec<Capability>,
        objects: Vec<(String, Arc<dyn Object>)>,
    ) -> Result<Self, RuntimeError> {
        let mut registry = Self {
            capabilities: HashMap::new(),
            objects: HashMap::new(),
        };
        for capability in capabilities {
            let name: CapabilityName = capability.name.parse().map_err(RuntimeError::Name)?;
            let offered = Offered {
                meter: Arc::new(Meter::new(name.as_str())),
                name,
                doc: capability.doc,
                paths: capability.paths,
            };
            let twice = registry
                .capabilities
                .insert(offered.name.as_str().to_owned(), offered);
            if let Some(twice) = twice {
                let name = twice.name.as_str().to_owned();
                return Err(RuntimeError::Twice { name });
            }
        }
        for (id, object) in objects {
            let thing = Thing {
                id: id.as_str().into(),
                name: CapabilityName::of_object(&id).map_err(RuntimeError::Name)?,
                object,
                meter: Arc::new(Meter::new(&id)),
            };
            if registry.objects.insert(id.clone(), thing).is_some() {
                return Err(RuntimeError::Twice { name: id });
            }
        }
        Ok(registry)
    }

    /// What there is to do for a message, and under which name it is granted.
    pub(crate) fn find(&self, message: &Message) -> Result<(&CapabilityName, Work), RpcError> {
        let route = message.route.as_ref();
        let object = route.and_then(|route| route.object.as_deref());
        if let Some(id) = object.filter(|id| !id.is_empty())
            && message.kind == MessageType::Request
        {
            return self.object(id);
        }
        let name = route.and_then(|route| route.capability.as_deref());
        let name = name.unwrap_or_default().trim();
        let path = message.path.as_deref().unwrap_or_default();
        let offered = self
            .capabilities
            .get(name)
            .ok_or_else(|| not_found(message.kind, name, path))?;
        let handler = offered
            .handler(message.kind, path)
            .ok_or_else(|| not_found(message.kind, name, path))?;
        let meter = Arc::clone(&offered.meter);
        Ok((&offered.name, Work { handler, meter }))
    }

    fn object(&self, id: &str) -> Result<(&CapabilityName, Work), RpcError> {
        let thing = self
            .objects
            .get(id)
            .ok_or_else(|| RpcError::new(code::OBJECT_NOT_FOUND, format!("There is no object '{id}'.")))?;
        let work = Work {
            handler: Handler::Object(Arc::clone(&thing.id), Arc::clone(&thing.object)),
            meter: Arc::clone(&thing.meter),
        };
        Ok((&thing.name, work))
    }

    /// All capabilities: their names, what they are for, and their paths; in order of their names.
    pub(crate) fn capabilities(&self) -> Vec<(&CapabilityName, &str, &BTreeMap<String, Handlers>)> {
        let mut all: Vec<_> = self
            .capabilities
            .values()
            .map(|offered| (&offered.name, offered.doc.as_str(), &offered.paths))
            .collect();
        all.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        all
    }
}

impl Offered {
    fn handler(&self, kind: MessageType, path: &str) -> Option<Handler> {
        let find = |path: &str| {
            let handlers = self.paths.get(path)?;
            match kind {
                MessageType::Emit => handlers.event.clone().map(Handler::Event),
                MessageType::Subscribe => handlers.stream.clone().map(Handler::Stream),
                _ => handlers.call.clone().map(Handler::Call),
            }
        };
        find(path).or_else(|| find(ANY_PATH))
    }
}

fn not_found(kind: MessageType, name: &str, path: &str) -> RpcError {
    let message = format!("No capability '{name}' with path '{path}' takes messages of type {kind}.");
    RpcError::new(code::CAPABILITY_NOT_FOUND, message)
        .with(serde_json::json!({"capability": name, "path": path, "type": kind}))
}
