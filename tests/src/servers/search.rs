//! Elasticsearch and OpenSearch, from the zips that their own integration tests use: the servers themselves with few
//! modules (no lifecycle policies, no data streams; Elasticsearch's answers `GET /` on 7.17 only).

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::{Certificate, Client, Method};

use super::process::{self, Process};
use super::request::{self, Answer};
use super::{download, java};
use crate::harness;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Elasticsearch7,
    Elasticsearch8,
    OpenSearch2,
    OpenSearch3,
}

/// How a server of one's own differs from the shared ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The password of the user `elastic`; without one security is off. For [`Engine::Elasticsearch8`].
    pub password: Option<&'static str>,
    /// HTTPS, with a certificate for 127.0.0.1 of the authority in [`authority`]. Needs a password.
    pub tls: bool,
}

/// A server with one node.
pub struct Search {
    pub engine: Engine,
    /// Its address, without a slash at the end.
    pub url: String,
    port: u16,
    folder: PathBuf,
    password: Option<&'static str>,
    client: Client,
    process: Option<Process>,
}

/// The parts that differ in name.
struct Names {
    artifact: &'static str,
    /// The program, its settings file, and their variables' prefix.
    program: &'static str,
    variables: &'static str,
    /// Options of the virtual machine that this server cannot do without.
    options: &'static str,
}

impl Engine {
    pub const ALL: [Engine; 4] =
        [Engine::Elasticsearch7, Engine::Elasticsearch8, Engine::OpenSearch2, Engine::OpenSearch3];

    pub fn version(self) -> &'static str {
        self.names().artifact.split(':').nth(2).expect("a version")
    }

    /// Where it is installed.
    fn home(self) -> PathBuf {
        let home = download::distribution(self.names().artifact);
        // The Thai analyzer of OpenSearch 3's own analysis module wants what the packaged Java has not, and then no
        // index can be made. The other servers' zips do not have that module.
        match fs::remove_dir_all(home.join("modules/analysis-common")) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", home.display()),
            _ => home,
        }
    }

    fn names(self) -> Names {
        let (artifact, options) = match self {
            Engine::Elasticsearch7 => ("org.elasticsearch.distribution.integ-test-zip:elasticsearch:7.17.29:zip", ""),
            Engine::Elasticsearch8 => ("org.elasticsearch.distribution.integ-test-zip:elasticsearch:8.19.21:zip", ""),
            Engine::OpenSearch2 => (
                "org.opensearch.distribution.integ-test-zip:opensearch:2.19.6:zip",
                "18-:-Djava.security.manager=allow\n",
            ),
            Engine::OpenSearch3 => (
                "org.opensearch.distribution.integ-test-zip:opensearch:3.6.0:zip",
                "-javaagent:agent/opensearch-agent.jar\n",
            ),
        };
        let (program, variables) =
            if artifact.contains("opensearch") { ("opensearch", "OPENSEARCH") } else { ("elasticsearch", "ES") };
        Names { artifact, program, variables, options }
    }
}

impl Search {
    pub fn start(engine: Engine, settings: Settings) -> Search {
        let names = engine.names();
        let folder = process::folder(names.program);
        let port = process::free_port();
        configure(&folder, engine, port, &settings);
        if let Some(password) = settings.password {
            let mut keystore = command(&folder, engine, "elasticsearch-keystore");
            set_password(keystore.args(["add", "-x", "-f", "bootstrap.password"]), password);
        }
        let mut client = Client::builder().no_proxy();
        if settings.tls {
            let authority = fs::read(authority()).expect("a certificate");
            client = client.add_root_certificate(Certificate::from_pem(&authority).expect("PEM"));
        }
        let scheme = if settings.tls { "https" } else { "http" };
        let mut server = Search {
            engine,
            url: format!("{scheme}://127.0.0.1:{port}"),
            port,
            folder,
            password: settings.password,
            client: client.build().expect("a client"),
            process: None,
        };
        server.start_again();
        server
    }

    /// Sends a request with a JSON or NDJSON body, as a user who may do everything.
    pub fn request(&self, method: &str, path: &str, body: impl Into<String>) -> Answer {
        self.send(method, path, body.into()).unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }

    /// A new bearer token of a service account, such as `elastic/fleet-server`, once the server knows it. Keys of its API
    /// cannot be made: the index that it keeps them in wants a module that the zip does not have.
    pub fn service_token(&self, account: &str) -> String {
        let mut program = command(&self.folder, self.engine, "elasticsearch-service-tokens");
        let output = program.args(["create", account, "rayline"]).output().expect("a program");
        let said = String::from_utf8_lossy(&output.stdout);
        let (_, token) = said.trim_end().rsplit_once(" = ").unwrap_or_else(|| panic!("{output:?}"));
        let knows = || {
            let request = self.client.get(format!("{}/_security/_authenticate", self.url)).bearer_auth(token);
            request::send(request).is_ok_and(|answer| answer.status == 200)
        };
        self.process.as_ref().expect("a server that runs").wait_until(knows);
        token.to_owned()
    }

    /// Halts it, as a server does that is out of memory or cut off: connections stand and nothing answers.
    pub fn pause(&mut self) {
        self.process.as_ref().expect("a server that runs").signal("STOP");
    }

    pub fn resume(&mut self) {
        self.process.as_ref().expect("a server that runs").signal("CONT");
    }

    /// Kills it. Its data stays.
    pub fn kill(&mut self) {
        self.process.take().expect("a server that runs").kill();
        while !process::is_free(self.port) {
            std::thread::yield_now();
        }
    }

    /// Starts it after [`Search::kill`], with the same data at the same address.
    pub fn start_again(&mut self) {
        let names = self.engine.names();
        let label = format!("{} {}", names.program, self.engine.version());
        let process = Process::start(&label, &self.folder, &command(&self.folder, self.engine, names.program));
        process.wait_until(|| self.send("GET", "/_cluster/health", String::new()).is_ok_and(|it| it.status == 200));
        self.process = Some(process);
    }

    fn send(&self, method: &str, path: &str, body: String) -> Result<Answer, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !body.is_empty() {
            let kind = if path.ends_with("_bulk") { "application/x-ndjson" } else { "application/json" };
            request = request.header("content-type", kind).body(body);
        }
        if let Some(password) = self.password {
            request = request.basic_auth("elastic", Some(password));
        }
        request::send(request)
    }
}

/// The certificate of the authority behind `tls`, as PEM. Nobody trusts it unless told to.
pub fn authority() -> PathBuf {
    certificates().join("authority.pem")
}

fn certificates() -> PathBuf {
    harness::workspace("tests/certificates")
}

/// Writes the settings into `config` of the folder.
fn configure(folder: &Path, engine: Engine, port: u16, settings: &Settings) {
    let names = engine.names();
    let config = folder.join("config");
    fs::create_dir(&config).expect("a folder");
    fs::create_dir(folder.join("tmp")).expect("a folder");
    let place = folder.display();
    let mut text = format!(
        "discovery.type: single-node\n\
         network.host: 127.0.0.1\n\
         http.port: {port}\n\
         transport.port: 0\n\
         path.data: {place}/data\n\
         path.logs: {place}/logs\n\
         cluster.max_shards_per_node: 10000\n\
         cluster.routing.allocation.disk.threshold_enabled: false\n"
    );
    if names.program == "elasticsearch" {
        text += &format!("xpack.security.enabled: {}\n", settings.password.is_some());
    }
    if settings.password.is_some() {
        assert_eq!(engine, Engine::Elasticsearch8, "the others' zips have no security");
        text += "xpack.security.transport.ssl.enabled: false\n";
    }
    if settings.tls {
        for name in ["server.pem", "server.key"] {
            fs::copy(certificates().join(name), config.join(name)).expect("a file");
        }
        text += "xpack.security.http.ssl.enabled: true\n\
                 xpack.security.http.ssl.certificate: server.pem\n\
                 xpack.security.http.ssl.key: server.key\n";
    }
    fs::write(config.join(format!("{}.yml", names.program)), text).expect("a file");
    let options = format!("-Xms256m\n-Xmx512m\n-Djava.io.tmpdir={place}/tmp\n{}", names.options);
    fs::write(config.join("jvm.options"), options).expect("a file");
    let logging = engine.home().join("config/log4j2.properties");
    fs::copy(logging, config.join("log4j2.properties")).expect("a file");
}

/// One of the server's programs, with the settings of the folder.
fn command(folder: &Path, engine: Engine, program: &str) -> Command {
    let names = engine.names();
    let java = match engine {
        Engine::OpenSearch3 => java::packaged(),
        _ => java::local().expect("the install asked for one"),
    };
    let mut command = process::unprivileged(&engine.home().join("bin").join(program));
    let variable = |name: &str| format!("{}_{name}", names.variables);
    command
        .env(variable("PATH_CONF"), folder.join("config"))
        .env(variable("TMPDIR"), folder.join("tmp"))
        .env(variable("JAVA_HOME"), java)
        // The server's start script asks for all of its memory at once, for machines of its own.
        .env(variable("JAVA_OPTS"), "-XX:-AlwaysPreTouch");
    command
}

fn set_password(keystore: &mut Command, password: &str) {
    let mut child = keystore.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the keystore's program");
    child.stdin.take().expect("a pipe").write_all(password.as_bytes()).expect("a pipe");
    assert!(child.wait().expect("a child").success(), "the keystore takes no password");
}
