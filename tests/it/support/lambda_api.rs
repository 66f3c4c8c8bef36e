//! Lambda's calls about functions, with the states that moto does not have, and faults.

mod answers;
mod function;

use self::answers::{arn, ok, refused, sts};
use self::function::{Function, kept};
use super::fake_ecr::CALLER;
use super::http::{CLOSED, Request, Response, Server};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

pub const REGION: &str = "eu-west-1";
pub const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
pub const ROLE: &str = "arn:aws:iam::123456789012:role/hello";

/// How Lambda behaves.
#[derive(Clone, Default)]
pub struct LambdaBehaviour {
    /// How many looks a change takes until it is complete.
    pub looks: usize,
    /// A change to an image of this digest fails, with this code.
    pub failing: Option<(String, &'static str)>,
    /// This call is refused, as the caller lacks the permission.
    pub denied: Option<&'static str>,
    /// The connection is closed once after this call was done.
    pub lost: Option<&'static str>,
    /// So many calls are refused because there are too many.
    pub throttled: usize,
    /// So many updates meet one of somebody else.
    pub conflicts: usize,
    /// So many creations are refused because the role is new.
    pub new_role: usize,
    /// The call of this number gets no answer.
    pub silent_after: Option<usize>,
    /// The payload, whether it is an error, and the log of an invocation.
    pub invocation: Option<(Value, bool, &'static str)>,
}

#[derive(Default)]
struct State {
    behaviour: LambdaBehaviour,
    functions: BTreeMap<String, Function>,
    /// By function and number.
    versions: BTreeMap<(String, String), Function>,
    /// The versions of aliases, by function and name.
    aliases: BTreeMap<(String, String), String>,
    /// Aliases that name a second version.
    split: Vec<(String, String)>,
    policies: usize,
    revision: usize,
    calls: Vec<String>,
    count: usize,
}

pub struct LambdaApi {
    server: Server,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl LambdaApi {
    pub fn start(behaviour: LambdaBehaviour) -> LambdaApi {
        let shared = Arc::new((Mutex::new(State { behaviour, ..State::default() }), Condvar::new()));
        let own = shared.clone();
        let server = Server::with_headers("127.0.0.1", move |request| {
            let (state, called) = &*own;
            let mut state = state.lock().expect("no caller panics");
            let response = state.answer(&request);
            called.notify_all();
            let is_silent = state.behaviour.silent_after == Some(state.count);
            let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
            if request.target.contains("/invocations") {
                headers.extend(state.invocation_headers());
            }
            drop(state);
            if is_silent {
                // the caller is killed meanwhile
                std::thread::sleep(Duration::from_secs(60));
            }
            (response, headers)
        });
        LambdaApi { server, shared }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    fn state<T>(&self, take: impl FnOnce(&mut State) -> T) -> T {
        take(&mut self.shared.0.lock().expect("no caller panics"))
    }

    pub fn behave(&self, behaviour: LambdaBehaviour) {
        self.state(|state| {
            state.behaviour = behaviour;
            state.count = 0;
        });
    }

    /// The calls since the last time, without those that only look.
    pub fn changes(&self) -> Vec<String> {
        self.state(|state| {
            let calls = std::mem::take(&mut state.calls);
            calls.into_iter().filter(|call| !call.starts_with("Get")).collect()
        })
    }

    /// Waits until so many calls were answered; `false` if that does not happen in time.
    pub fn wait_for_calls(&self, count: usize, time: Duration) -> bool {
        let (state, called) = &*self.shared;
        let state = state.lock().expect("no caller panics");
        let waited = called.wait_timeout_while(state, time, |state| state.count < count);
        !waited.expect("no caller panics").1.timed_out()
    }

    /// The number of changes of repositories' policies.
    pub fn policies(&self) -> usize {
        self.state(|state| state.policies)
    }

    /// A member of a function's configuration, by its JSON pointer.
    pub fn config(&self, name: &str, pointer: &str) -> Value {
        self.state(|state| state.functions[name].config.pointer(pointer).cloned().unwrap_or_default())
    }

    pub fn set(&self, name: &str, member: &str, value: Value) {
        self.state(|state| state.functions.get_mut(name).expect("it exists").config[member] = value);
    }

    /// The image that a function runs.
    pub fn image(&self, name: &str) -> String {
        self.state(|state| state.functions[name].image.clone())
    }

    pub fn alias(&self, name: &str, alias: &str) -> Option<String> {
        self.state(|state| state.aliases.get(&(name.to_owned(), alias.to_owned())).cloned())
    }

    /// Lets an alias name a second version.
    pub fn split(&self, name: &str, alias: &str) {
        self.state(|state| state.split.push((name.to_owned(), alias.to_owned())));
    }

    pub fn is_split(&self, name: &str, alias: &str) -> bool {
        self.state(|state| state.split.contains(&(name.to_owned(), alias.to_owned())))
    }

    pub fn versions(&self) -> usize {
        self.state(|state| state.versions.len())
    }

    /// Creates a function that is ready.
    pub fn put(&self, name: &str, image: &str, more: &Value) {
        let mut config = json!({
            "FunctionName": name, "FunctionArn": arn(name), "Version": "$LATEST", "Role": ROLE, "PackageType": "Image",
            "Architectures": ["x86_64"], "MemorySize": 128, "Timeout": 3, "EphemeralStorage": { "Size": 512 },
            "State": "Active", "LastUpdateStatus": "Successful",
        });
        let (Value::Object(config), Value::Object(more)) = (&mut config, more) else { panic!("objects") };
        config.extend(more.clone());
        let config = Value::Object(config.clone());
        let function = Function { config, image: image.to_owned(), changing: None };
        self.state(|state| state.functions.insert(name.to_owned(), function));
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        if let Some(target) = request.header("x-amz-target") {
            return self.ecr(target.rsplit('.').next().unwrap_or_default());
        }
        if request.target == "/" {
            return sts();
        }
        let (path, _) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let path = path.replace("%3A", ":");
        let rest =
            path.strip_prefix("/2015-03-31/functions").unwrap_or_default().trim_matches('/').to_owned();
        let mut parts = rest.split('/');
        let name = parts.next().unwrap_or_default().rsplit(':').next().unwrap_or_default().to_owned();
        let what = parts.next().unwrap_or_default().to_owned();
        let last = parts.next().unwrap_or_default().to_owned();
        let action = match (request.method.as_str(), what.as_str(), last.as_str()) {
            ("GET", "", "") => "GetFunction",
            ("GET", "configuration", "") => "GetFunctionConfiguration",
            ("POST", "", "") => "CreateFunction",
            ("PUT", "code", "") => "UpdateFunctionCode",
            ("PUT", "configuration", "") => "UpdateFunctionConfiguration",
            ("POST", "versions", "") => "PublishVersion",
            ("POST", "aliases", "") => "CreateAlias",
            ("GET", "aliases", _) => "GetAlias",
            ("PUT", "aliases", _) => "UpdateAlias",
            ("POST", "invocations", "") => "Invoke",
            _ => return refused(404, "UnknownOperationException", &request.target),
        };
        self.calls.push(action.to_owned());
        self.count += 1;
        let permission = if action == "Invoke" { "InvokeFunction" } else { action };
        if self.behaviour.denied == Some(permission) {
            let message = format!(
                "User: {CALLER} is not authorized to perform: lambda:{permission} on resource: {} because no identity-based \
                 policy allows the lambda:{permission} action",
                arn(&name)
            );
            return refused(403, "AccessDeniedException", &message);
        }
        if self.behaviour.throttled > 0 {
            self.behaviour.throttled -= 1;
            return refused(429, "TooManyRequestsException", "Rate exceeded");
        }
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        let qualifier = request.query("Qualifier").pop();
        let response = match action {
            "Invoke" => return self.invoke(),
            _ => self.act(action, &name, qualifier.as_deref(), &last, &body),
        };
        if self.behaviour.lost == Some(action) && response.status < 300 {
            self.behaviour.lost = None;
            return Response { status: CLOSED, body: Vec::new() };
        }
        response
    }

    /// Whether it is an error, and the log, are in headers.
    fn invoke(&self) -> Response {
        let (payload, ..) = self.behaviour.invocation.clone().unwrap_or((json!(null), false, ""));
        ok(200, &payload)
    }

    fn invocation_headers(&self) -> Vec<(String, String)> {
        let Some((_, is_error, log)) = &self.behaviour.invocation else { return Vec::new() };
        let mut headers = vec![
            ("X-Amz-Log-Result".to_owned(), BASE64_STANDARD.encode(log)),
            ("X-Amz-Executed-Version".to_owned(), "$LATEST".to_owned()),
        ];
        headers.extend(is_error.then(|| ("X-Amz-Function-Error".to_owned(), "Unhandled".to_owned())));
        headers
    }

    fn ecr(&mut self, action: &str) -> Response {
        match action {
            "GetRepositoryPolicy" if self.policies == 0 => {
                refused(400, "RepositoryPolicyNotFoundException", "Repository policy does not exist")
            }
            "GetAuthorizationToken" => {
                let token = json!({ "authorizationToken": BASE64_STANDARD.encode("AWS:password") });
                ok(200, &json!({ "authorizationData": [token] }))
            }
            "SetRepositoryPolicy" => {
                self.policies += 1;
                ok(200, &json!({}))
            }
            _ => refused(400, "AccessDeniedException", "not of this server"),
        }
    }

    fn act(
        &mut self,
        action: &str,
        name: &str,
        qualifier: Option<&str>,
        last: &str,
        body: &Value,
    ) -> Response {
        if action == "CreateFunction" {
            return self.create(body);
        }
        if !self.functions.contains_key(name) {
            let message = format!("Function not found: {}", arn(name));
            return refused(404, "ResourceNotFoundException", &message);
        }
        match action {
            "GetFunction" | "GetFunctionConfiguration" => self.get(action, name, qualifier),
            "UpdateFunctionCode" | "UpdateFunctionConfiguration" => self.update(action, name, body),
            "PublishVersion" => self.publish(name),
            "CreateAlias" => {
                let alias = (name.to_owned(), body["Name"].as_str().expect("a name").to_owned());
                if self.aliases.contains_key(&alias) {
                    return refused(409, "ResourceConflictException", "Alias already exists");
                }
                self.point(alias, body)
            }
            "GetAlias" => {
                let alias = (name.to_owned(), last.to_owned());
                let Some(version) = self.aliases.get(&alias) else {
                    return refused(404, "ResourceNotFoundException", "Alias not found");
                };
                let weights = if self.split.contains(&alias) { json!({ "9": 0.1 }) } else { json!({}) };
                let routing = json!({ "AdditionalVersionWeights": weights });
                ok(200, &json!({ "Name": last, "FunctionVersion": version, "RoutingConfig": routing }))
            }
            "UpdateAlias" => {
                let alias = (name.to_owned(), last.to_owned());
                if body["RoutingConfig"]["AdditionalVersionWeights"] == json!({}) {
                    self.split.retain(|other| *other != alias);
                }
                if !self.aliases.contains_key(&alias) {
                    return refused(404, "ResourceNotFoundException", "Alias not found");
                }
                self.point(alias, body)
            }
            _ => unreachable!("{action}"),
        }
    }

    fn create(&mut self, body: &Value) -> Response {
        let name = body["FunctionName"].as_str().expect("a name").to_owned();
        if self.functions.contains_key(&name) {
            return refused(409, "ResourceConflictException", &format!("Function already exist: {name}"));
        }
        if self.behaviour.new_role > 0 {
            self.behaviour.new_role -= 1;
            let message = "The role defined for the function cannot be assumed by Lambda.";
            return refused(400, "InvalidParameterValueException", message);
        }
        let mut config = body.as_object().expect("an object").clone();
        let image = config.remove("Code").expect("code")["ImageUri"].as_str().expect("a name").to_owned();
        for (member, value) in
            [("FunctionArn", json!(arn(&name))), ("Version", json!("$LATEST")), ("State", json!("Pending"))]
        {
            config.insert(member.to_owned(), value);
        }
        config.insert("LastUpdateStatus".to_owned(), json!("Successful"));
        config.insert("StateReasonCode".to_owned(), json!("Creating"));
        kept(&mut config);
        let failure = self.failure(&image);
        let changing = Some((self.behaviour.looks, failure));
        let config = Value::Object(config);
        self.functions.insert(name.clone(), Function { config: config.clone(), image, changing });
        ok(201, &config)
    }

    fn failure(&self, image: &str) -> Option<&'static str> {
        let failing = self.behaviour.failing.as_ref();
        failing.filter(|(digest, _)| image.contains(digest.as_str())).map(|(_, code)| *code)
    }

    fn get(&mut self, action: &str, name: &str, qualifier: Option<&str>) -> Response {
        let found = match qualifier {
            None | Some("$LATEST") => self.functions.get_mut(name),
            Some(qualifier) => {
                let alias = self.aliases.get(&(name.to_owned(), qualifier.to_owned()));
                let version = alias.cloned().unwrap_or_else(|| qualifier.to_owned());
                self.versions.get_mut(&(name.to_owned(), version))
            }
        };
        let Some(function) = found else {
            return refused(404, "ResourceNotFoundException", "Function not found");
        };
        if action == "GetFunctionConfiguration" {
            function.look();
            return ok(200, &function.config);
        }
        let code = json!({ "RepositoryType": "ECR", "ImageUri": function.image, "ResolvedImageUri": function.image });
        ok(200, &json!({ "Configuration": function.config, "Code": code }))
    }

    fn update(&mut self, action: &str, name: &str, body: &Value) -> Response {
        let is_met = self.behaviour.conflicts > 0;
        self.behaviour.conflicts = self.behaviour.conflicts.saturating_sub(1);
        let image = body["ImageUri"].as_str().map(str::to_owned);
        let failure = image.as_ref().and_then(|image| self.failure(image));
        let looks = self.behaviour.looks;
        self.revision += 1;
        let revision = self.revision.to_string();
        let function = self.functions.get_mut(name).expect("it exists");
        let given = body.get("RevisionId").filter(|given| **given != function.config["RevisionId"]);
        if given.is_some() {
            return refused(
                412,
                "PreconditionFailedException",
                "The RevisionId provided does not match the latest one",
            );
        }
        if function.changing.is_some() || is_met {
            let message = format!(
                "The operation cannot be performed at this time. An update is in progress for resource: {}",
                arn(name)
            );
            return refused(409, "ResourceConflictException", &message);
        }
        let config = function.config.as_object_mut().expect("an object");
        match (action, failure) {
            // if it fails, Lambda names an image that it cannot use
            ("UpdateFunctionCode", _) => {
                function.image = image.expect("an image");
                config.insert("Architectures".to_owned(), body["Architectures"].clone());
            }
            _ => {
                config.extend(body.as_object().expect("an object").clone());
                kept(config);
            }
        }
        config.insert("LastUpdateStatus".to_owned(), json!("InProgress"));
        config.insert("RevisionId".to_owned(), json!(revision));
        function.changing = Some((looks, failure));
        ok(200, &function.config)
    }

    /// The latest version again, if nothing has changed since.
    fn publish(&mut self, name: &str) -> Response {
        let function = self.functions[name].clone();
        let number = |key: &&(String, String)| key.1.parse::<usize>().expect("a number");
        let latest = self.versions.keys().filter(|key| key.0 == name).max_by_key(number).cloned();
        if let Some(version) = latest.as_ref().map(|key| &self.versions[key]) {
            let of = |config: &Value| {
                ["ImageConfigResponse", "Environment", "MemorySize", "Timeout", "VpcConfig"]
                    .map(|member| config[member].clone())
            };
            if version.image == function.image && of(&version.config) == of(&function.config) {
                return ok(201, &version.config);
            }
        }
        let number = (latest.map_or(0, |key| key.1.parse::<usize>().expect("a number")) + 1).to_string();
        let mut version = function;
        version.config["Version"] = json!(number);
        version.config["FunctionArn"] = json!(format!("{}:{number}", arn(name)));
        version.config["State"] = json!("Pending");
        version.changing = Some((self.behaviour.looks, None));
        let answer = ok(201, &version.config);
        self.versions.insert((name.to_owned(), number), version);
        answer
    }

    fn point(&mut self, alias: (String, String), body: &Value) -> Response {
        let version = body["FunctionVersion"].as_str().expect("a version").to_owned();
        let answer = json!({ "Name": alias.1, "FunctionVersion": version, "AliasArn": format!("{}:{}", arn(&alias.0), alias.1) });
        self.aliases.insert(alias, version);
        ok(200, &answer)
    }
}
