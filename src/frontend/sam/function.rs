//! The functions of a template whose images are to be built.

use super::document::{Mapping, Node};
use super::intrinsics::Resolver;
use super::value::{Kind, Value};
use crate::frontend::fault::{Fault, Parsed};
use crate::image::Arch;

pub(super) const SERVERLESS: &str = "AWS::Serverless::Function";
pub(super) const LAMBDA: &str = "AWS::Lambda::Function";
/// The key of Metadata that describes an image as lbuild.toml does.
pub(super) const LBUILD: &str = "lbuild";
/// The keys of Metadata from which SAM builds an image.
pub(super) const DOCKER_KEYS: [&str; 7] = [
    "Dockerfile",
    "DockerContext",
    "DockerTag",
    "DockerBuildArgs",
    "DockerBuildTarget",
    "DockerImage",
    "DockerBuildExtraParams",
];
pub(super) const SKIP_BUILD: &str = "SkipBuild";

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Field {
    /// The resolved value.
    pub value: String,
    pub(super) at: usize,
}

impl PartialEq for Field {
    fn eq(&self, other: &Field) -> bool {
        self.value == other.value
    }
}

/// A function whose image is to be built.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageFunction {
    /// The name of the resource in the template.
    pub logical_id: String,
    /// The name of the image, as SAM derives it: `DockerImage` or the logical id, in lower case.
    pub name: String,
    /// The tag of the image before lbuild adds its name and digest: `DockerTag`, or `latest`.
    pub tag: String,
    /// `FunctionName`, if it is known before the deployment.
    pub function_name: Option<String>,
    /// The architecture, x86_64 unless the function says otherwise.
    pub arch: Arch,
    /// How the image is made.
    pub image: ImageSource,
    /// The value of `ImageUri` before the build.
    pub image_uri: Option<Field>,
    pub(super) has_own_name: bool,
    pub(super) resource: Resource,
}

/// How the image of a function is made. Two equal ones give one image.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageSource {
    /// From a Dockerfile.
    Dockerfile(DockerBuild),
    /// As lbuild.toml describes it: `Metadata: {lbuild: …}`.
    Keys(Keys),
}

/// The Docker keys of a function's metadata.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DockerBuild {
    /// The build context, relative to the template.
    pub context: Field,
    /// The Dockerfile, relative to the context.
    pub dockerfile: Field,
    /// The stage.
    pub target: Option<Field>,
    /// Values of `ARG`s.
    pub build_args: Vec<(String, Field)>,
    /// Flags of `docker build`.
    pub extra: Vec<Field>,
}

/// Keys of lbuild.toml, read with [`Template::keys`](super::Template::keys).
#[derive(Clone, Debug)]
pub struct Keys(pub(super) Value);

impl PartialEq for Keys {
    fn eq(&self, other: &Keys) -> bool {
        is_same(&self.0, &other.0)
    }
}

/// Whether two values are equal, wherever they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Text { text, .. }, Kind::Text { text: other, .. }) => text == other,
        (Kind::List(items), Kind::List(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(item, other)| is_same(item, other))
        }
        (Kind::Map(entries), Kind::Map(others)) => {
            let find = |name: &str| others.iter().find(|(key, _)| key.name == name);
            entries.len() == others.len()
                && entries
                    .iter()
                    .all(|(key, value)| find(&key.name).is_some_and(|(_, other)| is_same(value, other)))
        }
        (Kind::Nothing, Kind::Nothing) => true,
        _ => false,
    }
}

/// The kind of resource, which decides where `ImageUri` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Serverless,
    Lambda,
}

impl Resource {
    fn of(resource: &Node) -> Option<Resource> {
        match resource.get("Type")?.text()? {
            SERVERLESS => Some(Resource::Serverless),
            LAMBDA => Some(Resource::Lambda),
            _ => None,
        }
    }

    /// The keys from a resource to the mapping with `ImageUri`.
    pub fn path(self) -> &'static [&'static str] {
        match self {
            Resource::Serverless => &["Properties"],
            Resource::Lambda => &["Properties", "Code"],
        }
    }
}

impl Resolver<'_> {
    /// The functions whose images are to be built. Those whose condition does not hold are among them: SAM's commands want an
    /// image for each.
    pub fn image_functions(&self) -> Parsed<Vec<ImageFunction>> {
        let Some(section) = self.root.get("Resources") else {
            return Err(Fault::new(
                self.root.at(),
                "a template has a section Resources, and this one has none",
            ));
        };
        let resources = section.mapping();
        let resources = resources.ok_or_else(|| Fault::new(section.at(), "Resources must be a mapping"))?;
        let mut found = Vec::new();
        for entry in resources.all() {
            let id = entry.key.text().unwrap_or_default();
            if id.starts_with("Fn::ForEach::") {
                refuse_images(&entry.value, entry.key.at())?;
            }
            let Some(resource) = Resource::of(&entry.value) else { continue };
            let function = self.image_function(id, &entry.value, resource)?;
            if function.is_some() && !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                let fault = Fault::new(entry.key.at(), format!("`{id}` is not the logical id of a resource"));
                return Err(fault.hint("logical ids have letters and digits only"));
            }
            found.extend(function);
        }
        Ok(found)
    }

    /// A function, if its image is to be built.
    fn image_function(&self, id: &str, node: &Node, resource: Resource) -> Parsed<Option<ImageFunction>> {
        let properties = node.get("Properties");
        let property = |key: &str| {
            let ignored = node.get("IgnoreGlobals").is_some_and(|names| ignores(names, key));
            self.property(properties.map(|node| &**node), resource, (key, ignored))
        };
        let has = |key: &str| node.get("Metadata").and_then(|metadata| metadata.get(key)).is_some();
        let metadata =
            node.get("Metadata").filter(|_| ["Dockerfile", "DockerContext", LBUILD].into_iter().any(has));
        let Some(metadata) = metadata else {
            self.require_image(id, node, resource, property("PackageType"))?;
            return Ok(None);
        };
        let own = metadata.get(LBUILD);
        match property("PackageType").map(|node| self.text(node, "PackageType")).transpose()? {
            Some(kind) if kind == "Image" => {}
            Some(kind) if kind.eq_ignore_ascii_case("image") => {
                let fault = Fault::new(node.at(), format!("{id} has the PackageType `{kind}`"));
                return Err(fault.hint("write PackageType: Image"));
            }
            // SAM builds such a function from its code.
            _ if own.is_none() => return Ok(None),
            _ => {
                let message =
                    format!("{id} has the key lbuild in its Metadata, but is not packaged as an image");
                return Err(Fault::new(node.at(), message).hint("add PackageType: Image to its Properties"));
            }
        }
        if let Some(node) = metadata.get(SKIP_BUILD)
            && self.value(node)?.as_bool() == Some(true)
        {
            return Ok(None);
        }
        let image = match own {
            Some(keys) => ImageSource::Keys(Keys(self.value(keys)?)),
            None => ImageSource::Dockerfile(self.docker_build(id, metadata)?),
        };
        let (given_name, tag) = self.parts_of_tag(metadata)?;
        let name = given_name.as_ref().map_or_else(|| id.to_lowercase(), |name| name.value.to_lowercase());
        Ok(Some(ImageFunction {
            logical_id: id.to_owned(),
            name,
            has_own_name: given_name.is_some(),
            function_name: self.function_name(properties.map(|node| &**node)),
            tag: tag.map_or_else(|| "latest".to_owned(), |tag| tag.value),
            arch: self.arch(property("Architectures"))?,
            image,
            image_uri: self.image_uri(properties.map(|node| &**node), resource)?,
            resource,
        }))
    }

    /// Refuses a function that is an image and says neither which nor how it is built.
    fn require_image(&self, id: &str, node: &Node, resource: Resource, kind: Option<&Node>) -> Parsed<()> {
        let is_image =
            kind.and_then(|kind| self.text(kind, "PackageType").ok()).is_some_and(|kind| kind == "Image");
        let mut holder = Some(node);
        for key in resource.path() {
            // An intrinsic function may have the image.
            holder = holder
                .filter(|holder| holder.intrinsic().is_none())
                .and_then(|node| node.get(key))
                .map(|node| &**node);
        }
        let is_given =
            holder.is_some_and(|holder| holder.get("ImageUri").is_some() || holder.intrinsic().is_some());
        if !is_image || is_given {
            return Ok(());
        }
        let message = format!("{id} is an image, but has neither an ImageUri nor Metadata to build it");
        let hint = "add Dockerfile and DockerContext, or lbuild, to its Metadata";
        Err(Fault::new(node.at(), message).hint(hint))
    }

    /// The name of the function; `None` also if it cannot be resolved, because nothing depends on it.
    fn function_name(&self, properties: Option<&Node>) -> Option<String> {
        self.text_of(properties?, "FunctionName").ok().flatten()
    }

    /// A property of a function, else of `Globals`.
    fn property<'n>(
        &'n self,
        properties: Option<&'n Node>,
        resource: Resource,
        (key, ignored): (&str, bool),
    ) -> Option<&'n Node> {
        let own = properties.and_then(|properties| properties.get(key));
        let global = || match resource {
            Resource::Serverless if !ignored => self.root.get("Globals")?.get("Function")?.get(key),
            Resource::Serverless | Resource::Lambda => None,
        };
        own.or_else(global).map(|node| &**node)
    }

    fn arch(&self, node: Option<&Node>) -> Parsed<Arch> {
        let Some(node) = node else { return Ok(Arch::Amd64) };
        let value = self.value(node)?;
        let fault = |message: String| Fault::new(node.at(), message).hint("write [arm64] or [x86_64]");
        match value.kind {
            Kind::List(mut items) => match (items.pop(), items.is_empty()) {
                (Some(arch), true) => {
                    let arch = arch.into_text("an architecture")?;
                    arch.parse().map_err(|_| fault(format!("Lambda has no architecture `{arch}`")))
                }
                (None, _) => Ok(Arch::Amd64),
                (Some(_), false) => {
                    Err(fault("a function has one architecture, and this one has several".to_owned()))
                }
            },
            Kind::Nothing => Ok(Arch::Amd64),
            _ => Err(fault("Architectures must be a list".to_owned())),
        }
    }

    fn image_uri(&self, properties: Option<&Node>, resource: Resource) -> Parsed<Option<Field>> {
        let mut holder = properties;
        for key in resource.path().iter().skip(1) {
            holder = holder.and_then(|node| node.get(key)).map(|node| &**node);
            if let Some(node) = holder.filter(|node| node.mapping().is_none() && !node.is_null()) {
                return Err(Fault::new(node.at(), format!("{key} must be a mapping, with ImageUri in it")));
            }
        }
        match holder {
            Some(holder) => self.field(holder, "ImageUri"),
            None => Ok(None),
        }
    }
}

/// Whether a mapping has no other keys than those of a build.
pub(super) fn is_only_of_build(metadata: &Mapping) -> bool {
    let keys = metadata.all().into_iter().filter_map(|entry| entry.key.text());
    keys.into_iter().all(is_of_build)
}

/// Whether a key of Metadata describes a build.
pub(super) fn is_of_build(key: &str) -> bool {
    key == LBUILD || key == SKIP_BUILD || DOCKER_KEYS.contains(&key)
}

/// Whether `IgnoreGlobals` names a property: `*`, or a list of names.
fn ignores(names: &Node, key: &str) -> bool {
    let listed = names.items().is_some_and(|items| items.iter().any(|item| item.text() == Some(key)));
    names.text() == Some("*") || listed
}

/// Refuses functions to be built in `Fn::ForEach`, which only CloudFormation expands.
fn refuse_images(node: &Node, at: usize) -> Parsed<()> {
    let is_built = |node: &Node| {
        let metadata = node.get("Metadata");
        let has = |key: &str| metadata.is_some_and(|metadata| metadata.get(key).is_some());
        has("Dockerfile") || has(LBUILD)
    };
    let inner = node.items().unwrap_or_default().iter().filter_map(|item| item.mapping());
    match inner.flat_map(Mapping::all).any(|entry| is_built(&entry.value)) {
        true => {
            let fault = Fault::new(
                at,
                "the images of functions in Fn::ForEach cannot be built: only CloudFormation expands it",
            );
            Err(fault.hint("write the functions out"))
        }
        false => Ok(()),
    }
}
