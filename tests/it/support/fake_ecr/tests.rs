//! Tests of the in-memory registry and of the proxy.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::proxy::{Fault, Proxy, Rule};
use super::*;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Sends requests to `base`, with a password if there is one, and a short timeout.
struct TestClient {
    http: Client,
    base: Url,
    password: Option<&'static str>,
}

impl TestClient {
    fn to(host: &str) -> TestClient {
        let base = Url::parse(&format!("http://{host}")).unwrap();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        TestClient { http, base, password: None }
    }

    fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        let request = self.http.request(method, self.base.join(path).unwrap());
        match self.password {
            Some(password) => request.basic_auth("AWS", Some(password)),
            None => request,
        }
    }

    async fn status(&self, method: &str, path: &str) -> u16 {
        self.ask(method, path).send().await.unwrap().status().as_u16()
    }

    async fn open(&self) -> String {
        let response = self.ask("POST", "/v2/r/blobs/uploads/").send().await.unwrap();
        assert_eq!(response.status(), 202);
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    async fn put(&self, location: &str, content: &str) -> reqwest::Result<Response> {
        let location = format!("{location}?digest={}", digest(content.as_bytes()));
        self.ask("PUT", &location).body(content.to_owned()).send().await
    }

    async fn push(&self, content: &str) -> reqwest::Result<Response> {
        let location = self.open().await;
        self.put(&location, content).await
    }

    async fn put_manifest(&self, reference: &str, manifest: &Value) -> Response {
        let path = format!("/v2/r/manifests/{reference}");
        let request = self.ask("PUT", &path).header("content-type", MANIFEST);
        request.body(manifest.to_string()).send().await.unwrap()
    }
}

fn manifest() -> Value {
    let descriptor = |content: &str| json!({ "digest": digest(content.as_bytes()), "size": content.len() });
    let (config, layer) = (descriptor("config"), descriptor("layer"));
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] })
}

fn seeded(behaviour: EcrBehaviour) -> (FakeEcr, TestClient) {
    let registry = FakeEcr::start(behaviour);
    registry.seed_blob("r", "config");
    registry.seed_blob("r", "layer");
    let client = TestClient::to(&registry.host());
    (registry, client)
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default()
}

async fn code_of(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = json_of(response).await;
    (status, body["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
}

fn status_and_code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_push_must_follow_the_specification() {
    let registry = FakeEcr::start(EcrBehaviour::default());
    let client = TestClient::to(&registry.host());
    assert_eq!(client.push("config").await.unwrap().status(), 201);
    assert_eq!(
        code_of(client.put_manifest("t", &manifest()).await).await,
        status_and_code(400, "MANIFEST_BLOB_UNKNOWN")
    );
    assert_eq!(client.push("layer").await.unwrap().status(), 201);
    let location = client.open().await;
    assert_eq!(
        code_of(client.put(&location, "").await.unwrap()).await,
        status_and_code(400, "BLOB_UPLOAD_INVALID")
    );
    let location = format!("{}?digest={}", client.open().await, digest(b"x"));
    let chunked =
        client.ask("PUT", &location).header("transfer-encoding", "chunked").body("x").send().await.unwrap();
    assert_eq!(code_of(chunked).await, status_and_code(411, "BLOB_UPLOAD_INVALID"));
    let location = client.open().await;
    let lied = client.ask("PUT", &format!("{location}?digest=sha256:0")).body("x").send().await.unwrap();
    assert_eq!(code_of(lied).await, status_and_code(400, "DIGEST_INVALID"));
    assert_eq!(
        code_of(client.put(&location, "x").await.unwrap()).await,
        status_and_code(416, "BLOB_UPLOAD_INVALID")
    );

    for (path, wrong) in
        [("/mediaType", json!(null)), ("/layers/0/size", json!(6)), ("/schemaVersion", json!(1))]
    {
        let mut broken = manifest();
        *broken.pointer_mut(path).unwrap() = wrong;
        assert_eq!(
            code_of(client.put_manifest("t", &broken).await).await,
            status_and_code(400, "MANIFEST_INVALID")
        );
    }
    let put = client.put_manifest("t", &manifest()).await;
    assert_eq!((put.status().as_u16(), put.headers().contains_key("location")), (201, true));
    let by_tag = client.ask("GET", "/v2/r/manifests/t").header("accept", MANIFEST).send().await.unwrap();
    assert_eq!(by_tag.headers()["docker-content-digest"], registry.tags("r")["t"]);
    assert_eq!(json_of(by_tag).await, manifest());
    let other = client.ask("GET", "/v2/r/manifests/t").header("accept", "text/plain").send().await.unwrap();
    assert_eq!(other.status(), 404);
    let head = client.ask("HEAD", &format!("/v2/r/blobs/{}", digest(b"layer"))).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"5".parse().unwrap()));
    let mount = format!("/v2/other/blobs/uploads/?mount={}&from=r", digest(b"layer"));
    assert_eq!(client.status("POST", &mount).await, 201);

    let log = registry.log();
    assert_eq!((log.blob_uploads(), log.manifest_puts(), log.mounts(), log.heads()), (2, 1, 1, 1));
    assert_eq!(log.blob_bytes(), 6 + 5 + 1 + 1 + 1);
    assert_eq!(log.manifest_references(), ["t"]);
}

#[tokio::test]
async fn uploads_can_behave_like_ecr() {
    let behaviour = EcrBehaviour {
        relative_location: true,
        refuse_mount: true,
        ecr_patch: true,
        ..EcrBehaviour::default()
    };
    let (registry, client) = seeded(behaviour);
    let mount = format!("/v2/other/blobs/uploads/?mount={}&from=r", digest(b"layer"));
    assert_eq!(client.status("POST", &mount).await, 202);
    let location = client.open().await;
    assert!(location.starts_with("/v2/r/"));
    let patch = client.ask("PATCH", &location).body("ab").send().await.unwrap();
    assert_eq!((patch.status().as_u16(), &patch.headers()["range"]), (201, &"0-1".parse().unwrap()));
    assert_eq!(client.ask("PATCH", &location).body("cd").send().await.unwrap().status(), 400);
    let wrong =
        client.ask("PATCH", &location).header("content-range", "9-10").body("cd").send().await.unwrap();
    assert_eq!(code_of(wrong).await, status_and_code(416, "BLOB_UPLOAD_INVALID"));

    registry.change(|behaviour| behaviour.fail_blob_puts = 1);
    let location = client.open().await;
    assert_eq!(client.put(&location, "x").await.unwrap().status(), 500);
    assert_eq!(
        code_of(client.put(&location, "x").await.unwrap()).await,
        status_and_code(416, "BLOB_UPLOAD_INVALID")
    );
    assert_eq!(client.push("x").await.unwrap().status(), 201);
}

#[tokio::test]
async fn manifests_and_repositories_can_behave_like_ecr() {
    let behaviour = EcrBehaviour {
        immutable_tags: true,
        no_manifest_location: true,
        missing_repository: MissingRepository::Reset,
        loses: vec![digest(b"layer")],
        ..EcrBehaviour::default()
    };
    let (_registry, client) = seeded(behaviour);
    let layer = format!("/v2/r/blobs/{}", digest(b"layer"));
    assert_eq!(client.status("HEAD", &layer).await, 200);
    let refused = json_of(client.put_manifest("t", &manifest()).await).await;
    assert_eq!(refused["errors"][0]["detail"]["digest"], digest(b"layer"));
    assert_eq!((client.status("HEAD", &layer).await, client.status("GET", &layer).await), (200, 404));
    client.push("layer").await.unwrap();
    let put = client.put_manifest("t", &manifest()).await;
    assert_eq!((put.status().as_u16(), put.headers().contains_key("location")), (201, false));
    assert_eq!(
        code_of(client.put_manifest("t", &manifest()).await).await,
        status_and_code(400, "TAG_INVALID")
    );

    let unknown = client.ask("GET", "/v2/nobody/manifests/t").send().await.unwrap();
    assert_eq!(code_of(unknown).await, status_and_code(404, "NAME_UNKNOWN"));
    assert!(client.ask("POST", "/v2/nobody/blobs/uploads/").send().await.is_err());
}

#[tokio::test]
async fn an_expired_password_is_refused() {
    for (answer, status) in
        [(ExpiredAnswer::Challenge, 401), (ExpiredAnswer::Forbidden, 403), (ExpiredAnswer::BadRequest, 400)]
    {
        let (registry, mut client) = seeded(EcrBehaviour {
            auth: Auth::Basic { password: "old".to_owned() },
            expires: Some(Expiry {
                after: ExpiryTrigger::BlobPuts(1),
                answer,
                next_password: Some("new".to_owned()),
            }),
            ..EcrBehaviour::default()
        });
        let challenge = client.ask("GET", "/v2/").send().await.unwrap();
        assert_eq!(challenge.status(), 401);
        assert!(challenge.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic realm="));
        client.password = Some("old");
        let location = client.open().await;
        assert_eq!(client.push("one").await.unwrap().status(), 201);
        assert_eq!(client.put(&location, "two").await.unwrap().status(), status);
        client.password = Some("new");
        assert_eq!(client.put(&location, "two").await.unwrap().status(), 416);
        assert_eq!(client.push("two").await.unwrap().status(), 201);
        assert_eq!(registry.log().0[1].authorization.as_deref(), Some("Basic"));
    }
}

#[tokio::test]
async fn bearer_tokens_are_limited_to_their_scope() {
    let auth =
        |anonymous_pull, denial| Auth::Bearer { password: Some("good".to_owned()), anonymous_pull, denial };
    let (registry, mut client) = seeded(EcrBehaviour { auth: auth(true, None), ..EcrBehaviour::default() });
    let layer = format!("/v2/r/blobs/{}", digest(b"layer"));
    let challenge = client.ask("GET", &layer).send().await.unwrap();
    let expected = format!(
        "Bearer realm=\"http://{0}/token\",service=\"{0}\",scope=\"repository:r:pull\"",
        registry.host()
    );
    assert_eq!(challenge.headers()["www-authenticate"], expected);
    let scope = "/token?scope=repository:r:pull,push";
    client.password = Some("stale");
    assert_eq!(code_of(client.ask("GET", scope).send().await.unwrap()).await, status_and_code(403, "DENIED"));
    for (password, pushes) in [(None, 401), (Some("good"), 202)] {
        client.password = password;
        let answer = json_of(client.ask("GET", scope).send().await.unwrap()).await;
        client.password = None;
        let bearer = |method, path| client.ask(method, path).bearer_auth(answer["token"].as_str().unwrap());
        assert_eq!(bearer("GET", &layer).send().await.unwrap().status(), 200);
        assert_eq!(bearer("GET", "/v2/other/blobs/x").send().await.unwrap().status(), 401);
        assert_eq!(bearer("POST", "/v2/r/blobs/uploads/").send().await.unwrap().status(), pushes);
    }
    let form = "grant_type=refresh_token&refresh_token=good&scope=repository:r:pull";
    assert_eq!(client.ask("POST", "/token").body(form).send().await.unwrap().status(), 200);
    registry.change(|behaviour| behaviour.auth = auth(false, Some("no such account".to_owned())));
    assert_eq!(code_of(client.ask("GET", scope).send().await.unwrap()).await, status_and_code(403, "DENIED"));
}

#[tokio::test]
async fn the_proxy_injects_faults() {
    let (registry, _) = seeded(EcrBehaviour::default());
    let proxy = Proxy::to(&registry.host());
    let client = TestClient::to(&proxy.host());
    let stall = Duration::from_millis(60);
    proxy.set_script([
        Rule::on("PUT", "/uploads/", Fault::too_many_requests(7)),
        Rule::on("PUT", "/uploads/", Fault::ResetBeforeBody).nth(2),
        Rule::on("PUT", "/uploads/", Fault::ResetInBody { at: 1 }).nth(3),
        Rule::on("PUT", "/uploads/", Fault::ResetAfterBody).nth(4),
        Rule::on("PUT", "/v2/*/uploads/*digest=", Fault::CommitThen { status: 500 }).nth(5),
        Rule::on("PUT", "/uploads/", Fault::CommitThenReset).nth(6),
        Rule::on("GET", "/blobs/", Fault::CutBody { at: 2 }),
        Rule::on("GET", "/blobs/", Fault::CorruptByte { at: 2 }).nth(2),
        Rule::on("GET", "/blobs/", Fault::StallBody { at: 2, pause: stall }).nth(3),
        Rule::on("GET", "/blobs/", Fault::Stall(stall)).nth(4),
        Rule::on("GET", "/blobs/", Fault::CutBody { at: 5 }).nth(5),
    ]);
    let refused = client.push("new").await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    for _ in 0..3 {
        assert!(client.push("new").await.is_err());
    }
    assert_eq!(registry.log().blob_uploads(), 0);
    assert_eq!(client.push("new").await.unwrap().status(), 500);
    assert!(client.push("newer").await.is_err());
    assert_eq!(registry.log().blob_uploads(), 2);

    let layer = format!("/v2/r/blobs/{}", digest(b"layer"));
    let head = client.ask("HEAD", &layer).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "5");
    let get = async || client.ask("GET", &layer).send().await.unwrap().bytes().await;
    assert!(get().await.is_err());
    assert_eq!(&get().await.unwrap()[..], b"laxer");
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(&get().await.unwrap()[..], b"layer");
        assert!(start.elapsed() >= stall);
    }
    assert_eq!(&get().await.unwrap()[..], b"layer");
    assert_eq!(proxy.injected(), [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0], "a cut after the end is not injected");
}

#[tokio::test]
async fn the_proxy_delays_and_forwards_requests() {
    let (registry, _) =
        seeded(EcrBehaviour { auth: Auth::Basic { password: "p".to_owned() }, ..EcrBehaviour::default() });
    let proxy = Proxy::to(&registry.host());
    proxy.set_latency(Duration::from_millis(40));
    let mut client = TestClient::to(&proxy.host());
    client.password = Some("p");
    let start = Instant::now();
    futures_util::future::join_all((0..20).map(|_| client.open())).await;
    let location = client.open().await;
    let took = start.elapsed().as_millis();
    assert!((80..400).contains(&took), "two rounds of 40 ms took {took} ms");
    assert!(location.starts_with(&format!("http://{}/", proxy.host())));
    assert_eq!((proxy.traffic().requests, proxy.traffic().connections), (21, 20));

    let forward = Proxy::forward();
    forward.route("registry.test", registry.addr());
    forward.route("secure.test:443", registry.addr());
    let through = reqwest::Proxy::all(format!("http://{}", forward.host())).unwrap();
    client.http = Client::builder().proxy(through).build().unwrap();
    client.base = Url::parse("http://registry.test").unwrap();
    assert_eq!(client.status("GET", "/v2/").await, 200);
    let mut tunnel = tokio::net::TcpStream::connect(forward.addr()).await.unwrap();
    tunnel.write_all(b"CONNECT secure.test:443 HTTP/1.1\r\nHost: secure.test:443\r\n\r\n").await.unwrap();
    let mut answer = [0; 512];
    let length = tunnel.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    tunnel.write_all(b"GET /v2/ HTTP/1.1\r\nHost: secure.test\r\n\r\n").await.unwrap();
    let length = tunnel.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 401"), "the registry at the other end");
    assert_eq!(forward.hosts(), ["registry.test", "secure.test:443"]);
}
